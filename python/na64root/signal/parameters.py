"""The parameters of the dark sector beside mass and epsilon, and the modes of the search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from .._core import Coupling as CoreCoupling
from .._core import InelasticModel, MediatorCharges, units
from ..config import Card, Coupling
from ..config.mediator import KINETIC_MIXING, Mediator
from ..errors import ConfigError

# e, by which the coupling g of a mediator is larger than epsilon.
ELECTRIC_CHARGE = math.sqrt(4.0 * math.pi * units.alpha)


Mode = Literal["semivisible", "invisible"]


MODES: tuple[Mode, ...] = ("semivisible", "invisible")


def require_mode(card: Card, mode: Mode) -> None:
    """Raise ConfigError where the card's mediator has no signal in a mode."""
    coupling = card.model.coupling
    if mode == "semivisible" and coupling != "vector":
        raise ConfigError(
            f"semi-visible decays with model.coupling = {coupling} (chi2 decays by a vector here): use "
            "--mode invisible where the verb has it, or set model.coupling to vector"
        )


@dataclass(frozen=True)
class Parameters:
    """The dark sector apart from mass and epsilon; the card's values unless changed."""

    alpha_dark: float
    mass_ratio: float
    relative_splitting: float
    mediator: Mediator = KINETIC_MIXING
    coupling: Coupling = "vector"

    @classmethod
    def of(cls, card: Card) -> Parameters:
        """The dark sector of a card."""
        model = card.model
        return cls(
            model.alpha_dark.value,
            model.mass_ratio.value,
            model.relative_splitting.value,
            model.vector,
            model.coupling,
        )

    def model(self, mass_GeV: float, epsilon: float) -> InelasticModel:
        """The core's model; raises ConfigError when it is unphysical."""
        try:
            return InelasticModel(
                mass_GeV,
                epsilon,
                alpha_dark=self.alpha_dark,
                mass_ratio=self.mass_ratio,
                relative_splitting=self.relative_splitting,
                charges=MediatorCharges(**self.mediator.charges),
                coupling=CoreCoupling.__members__[self.coupling],
            )
        except ValueError as error:
            raise ConfigError(
                f"unphysical model at m_A' = {mass_GeV:g} GeV ({error}): correct the parameters"
            ) from None
