"""The axes of a plane, and the model point behind each of its points."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from .. import theory
from ..annotations import Array
from ..config import Card
from ..errors import ConfigError
from ..signal import Parameters
from ..signal.parameters import ELECTRIC_CHARGE

PlaneQuantity = Literal["mass", "mass1", "epsilon", "alpha", "ratio", "splitting", "g", "y"]


QUANTITIES: tuple[PlaneQuantity, ...] = get_args(PlaneQuantity)


# The mass of a plane, and what says how strongly the A' couples to matter.
MASSES: tuple[PlaneQuantity, ...] = ("mass", "mass1")
COUPLINGS: tuple[PlaneQuantity, ...] = ("epsilon", "g", "y")


PLANES = ("mass-epsilon", "mass-alpha", "mass1-splitting")


# Parts into which the cells of the grid that the contour crosses are divided, along each axis.
REFINEMENT = 4


@dataclass(frozen=True)
class Axis:
    """Values of a quantity, from low to high, evenly in its logarithm or (`logarithmic` false) in itself.

    Quantities: ``mass`` of the A' and ``mass1`` of chi1 in GeV, ``epsilon``, ``alpha`` (alpha_D), ``ratio``
    (A' to chi1 mass), ``splitting`` (Delta over the chi1 mass), ``g`` (epsilon e), ``y``
    (alpha_D epsilon^2 (m_chi1/m_A')^4).

    Raises:
        ConfigError: an unknown quantity, a range that is none, too few points.
    """

    quantity: PlaneQuantity
    low: float
    high: float
    points: int
    logarithmic: bool = True

    def __post_init__(self) -> None:
        if self.quantity not in QUANTITIES:
            raise ConfigError(f"no axis {self.quantity} (known: {', '.join(QUANTITIES)}): correct it")
        if not (math.isfinite(self.high) and 0.0 < self.low < self.high):
            raise ConfigError(
                f"axis {self.quantity} from {self.low:g} to {self.high:g} (must rise, from above zero): "
                "correct it"
            )
        if self.points < 2:
            raise ConfigError(f"axis {self.quantity} with {self.points} points (at least 2): give more")

    @property
    def values(self) -> Array:
        """The points, shape (points,)."""
        space = np.geomspace if self.logarithmic else np.linspace
        return np.asarray(space(self.low, self.high, self.points))

    @property
    def finer(self) -> Axis:
        """The same range with REFINEMENT times as many intervals."""
        return replace(self, points=REFINEMENT * (self.points - 1) + 1)

    def place(self, values: Array) -> Array:
        """Coordinates in which the axis is even."""
        return np.log(values) if self.logarithmic else np.asarray(values)

    def value(self, places: Array) -> Array:
        """The values at such coordinates, of the same shape."""
        return np.exp(places) if self.logarithmic else np.asarray(places)


@dataclass(frozen=True)
class ModelPoint:
    """One point of a plane."""

    mass_GeV: float
    epsilon: float
    parameters: Parameters


@dataclass(frozen=True)
class Plane:
    """Two axes, and what holds where they do not say it: the card's dark sector, a mass, an epsilon.

    Without `epsilon` it is that of the central g-2 line at each mass, as in Fig. 5 of the paper.

    Raises:
        ConfigError: axes of one quantity or that leave the mass open; no g-2 line where it is needed.
    """

    name: str
    x: Axis
    y: Axis
    parameters: Parameters
    delta_a_mu: float
    epsilon: float | None = None
    mass_GeV: float | None = None

    def __post_init__(self) -> None:
        axes = {self.x.quantity, self.y.quantity}
        if len(axes) == 1:
            raise ConfigError(f"both axes are {self.x.quantity}: choose two quantities")
        if axes == {"epsilon", "g"}:
            raise ConfigError("axes epsilon and g (g is epsilon e): choose one of them")
        if axes == {"mass", "mass1"}:
            raise ConfigError("axes mass and mass1 (their ratio is a parameter): choose mass and ratio")
        if not axes & {"mass", "mass1"} and self.mass_GeV is None:
            raise ConfigError(f"plane {self.name} has no axis mass (which mass?): give --mass-GeV")
        mediator = self.parameters.mediator
        if self.epsilon is None and not axes & set(COUPLINGS) and mediator.muon == 0.0:
            raise ConfigError(
                f"plane {self.name} is on the g-2 line (mediator {mediator.name} does not couple to muons): "
                "give --x, --y and --epsilon"
            )
        coupling = self.parameters.coupling
        if self.epsilon is None and not axes & set(COUPLINGS) and theory.SIGN_OF_MOMENT[coupling] < 0.0:
            raise ConfigError(
                f"plane {self.name} is on the g-2 line (coupling {coupling} makes g-2 smaller, not larger): "
                "give --x, --y and --epsilon"
            )

    @classmethod
    def named(cls, name: str, card: Card) -> Plane:
        """One of the paper's planes: Fig. 4, Fig. 5 top and bottom, with the ranges of the card.

        Raises:
            ConfigError: no such plane.
        """
        ranges = card.plane

        def axis(quantity: PlaneQuantity) -> Axis:
            low, high, points = (getattr(ranges, f"{quantity}_{end}") for end in ENDS[quantity])
            return Axis(quantity, low.value, high.value, round(points.value))

        if name not in PLANES:
            raise ConfigError(f"no plane {name} (known: {', '.join(PLANES)}): correct it or give --x and --y")
        x, y = name.split("-")
        return cls(
            name,
            axis(x),  # type: ignore[arg-type]
            axis(y),  # type: ignore[arg-type]
            Parameters.of(card),
            card.muon_g2.central.value,
        )

    @classmethod
    def of_axes(
        cls, card: Card, x: Axis, y: Axis, *, epsilon: float | None = None, mass_GeV: float | None = None
    ) -> Plane:
        """Any plane, with the card's dark sector.

        Raises:
            ConfigError: a mass or epsilon that an axis gives too; axes that make no plane.
        """
        axes = {x.quantity, y.quantity}
        for name, value, taken in (
            ("--epsilon", epsilon, axes & set(COUPLINGS)),
            ("--mass-GeV", mass_GeV, axes & set(MASSES)),
        ):
            if value is not None and taken:
                raise ConfigError(f"{name} beside an axis {taken.pop()} (both give it): give one of them")
            if value is not None and not (math.isfinite(value) and value > 0.0):
                raise ConfigError(f"{name} {value:g} (must be above zero): correct it")
        return cls(
            f"{x.quantity}-{y.quantity}",
            x,
            y,
            Parameters.of(card),
            card.muon_g2.central.value,
            epsilon=epsilon,
            mass_GeV=mass_GeV,
        )

    @property
    def epsilon_is(self) -> str:
        """In words, for titles."""
        axes = {self.x.quantity, self.y.quantity}
        if axes & {"epsilon", "g"}:
            return "an axis"
        if "y" in axes:
            return "from y"
        return "central g-2 line" if self.epsilon is None else f"epsilon = {self.epsilon:g}"

    def at(self, x: float, y: float) -> ModelPoint | None:
        """The model at a point of the plane; None where A' -> chi1 chi2 is closed or there is no g-2 line."""
        given: dict[str, float] = {self.x.quantity: x, self.y.quantity: y}
        parameters = replace(
            self.parameters,
            alpha_dark=given.get("alpha", self.parameters.alpha_dark),
            mass_ratio=given.get("ratio", self.parameters.mass_ratio),
            relative_splitting=given.get("splitting", self.parameters.relative_splitting),
        )
        mass = given.get("mass", self.mass_GeV)
        if "mass1" in given:
            mass = given["mass1"] * parameters.mass_ratio
        assert mass is not None  # __post_init__
        # 0 < Delta < M - 2 m1, in units of m1.
        if not parameters.relative_splitting < parameters.mass_ratio - 2.0:
            return None
        epsilon = given.get("epsilon", self.epsilon)
        if "g" in given:
            epsilon = given["g"] / ELECTRIC_CHARGE
        if "y" in given:
            if epsilon is None:
                epsilon = epsilon_of_y(given["y"], parameters)
            else:  # the other axis: y says the dark coupling
                ratio = parameters.mass_ratio
                parameters = replace(parameters, alpha_dark=given["y"] * ratio**4 / epsilon**2)
        if epsilon is None:
            charge, coupling = parameters.mediator.muon, parameters.coupling
            epsilon = float(theory.epsilon_g2(mass, self.delta_a_mu, charge=charge, coupling=coupling))
        return ModelPoint(mass, epsilon, parameters) if math.isfinite(epsilon) else None

    @property
    def of_curves(self) -> bool:
        """Whether the axes are a mass and a coupling: each curve of epsilon against m_A' is a curve in it."""
        axes = {self.x.quantity, self.y.quantity}
        return bool(axes & set(MASSES) and axes & set(COUPLINGS))

    @property
    def mass_range(self) -> tuple[float, float]:
        """The lowest and highest m_A' in GeV of a plane of curves."""
        axis = self.x if self.x.quantity in MASSES else self.y
        scale = self.parameters.mass_ratio if axis.quantity == "mass1" else 1.0
        return axis.low * scale, axis.high * scale

    def place(self, mass_GeV: float, epsilon: float) -> tuple[float, float]:
        """Where a point of a curve lies in a plane of curves, as (x, y)."""
        ratio = self.parameters.mass_ratio
        values: dict[str, float] = {
            "mass": mass_GeV,
            "mass1": mass_GeV / ratio,
            "epsilon": epsilon,
            "g": epsilon * ELECTRIC_CHARGE,
            "y": y_of_epsilon(epsilon, self.parameters),
        }
        return values[self.x.quantity], values[self.y.quantity]


def y_of_epsilon(epsilon: float, parameters: Parameters) -> float:
    """y = alpha_D epsilon^2 (m_chi1/m_A')^4, on which the relic density rests (arXiv:1505.00011)."""
    return parameters.alpha_dark * epsilon**2 / parameters.mass_ratio**4


def epsilon_of_y(y: float, parameters: Parameters) -> float:
    """The epsilon that makes this y."""
    return math.sqrt(y / parameters.alpha_dark) * parameters.mass_ratio**2


# Fields of the card's [plane] by quantity.
ENDS: dict[PlaneQuantity, tuple[str, str, str]] = {
    "mass": ("min_GeV", "max_GeV", "points"),
    "mass1": ("min_GeV", "max_GeV", "points"),
    "epsilon": ("min", "max", "points"),
    "alpha": ("min", "max", "points"),
    "splitting": ("min", "max", "points"),
}
