"""Named sources of uncertainty: what each does to the yields of processes in bins, as a datacard has them."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, replace
from typing import Literal, get_args

from ..errors import ConfigError

Shape = Literal["lognormal", "gaussian", "gamma"]


# How the sides of an asymmetric effect are joined.
Interpolation = Literal["combine", "histfactory"]


# The process of a bin's signal, and of its background, where none is named.
SIGNAL, BACKGROUND = "signal", "background"


# An effect of more than this many times the yield asks whether per cent was meant.
LARGEST_RELATIVE = 5.0


# Two sides that mirror each other to this are one number that was rounded.
MIRRORED = 1e-9


@dataclass(frozen=True)
class Effect:
    """What a source does to one process of one bin.

    Attributes:
        bin, process: their names.
        up: the yield at one standard deviation over the nominal one, such as 1.2; of a ``gamma`` source the
            events that stand for one event of its auxiliary count.
        down: the same at minus one standard deviation; without, the mirror of `up`: 1/up (``lognormal``), or
            2 - up (``gaussian``).
    """

    bin: str
    process: str
    up: float
    down: float | None = None


@dataclass(frozen=True)
class NamedSource:
    """A source of uncertainty, which one nuisance parameter x stands for wherever it acts.

    ============= ========================================================================================
    ``lognormal`` yields follow up^x above zero, down^-x below; x ~ N(0, 1)
    ``gaussian``  yields follow 1 + (up - 1) x above zero, 1 + (1 - down) x below; x ~ N(0, 1) where no
                  yield is negative
    ``gamma``     yields are `up` times the mean of an auxiliary count, which was `count`: Monte Carlo
                  statistics, or a control region
    ============= ========================================================================================

    Where the sides of an effect differ a polynomial of the sixth degree joins them, with the values, slopes
    and curvatures of its ends: ``combine`` within half a standard deviation in the logarithm, as Combine's
    lnN; ``histfactory`` within one in the yield (HistFactory's codes 4 and 4p, CERN-OPEN-2012-016, and pyhf).

    Raises:
        ConfigError: an effect that is no number, or lets a yield vanish; an unknown shape; a count below
            zero; two effects on one process; no effects.
    """

    name: str
    shape: Shape
    effects: tuple[Effect, ...]
    count: float = 0.0
    interpolation: Interpolation = "combine"

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise ConfigError(
                f"source {self.name} has shape {self.shape!r} (not known): choose lognormal, gaussian or "
                "gamma"
            )
        if self.interpolation not in get_args(Interpolation):
            raise ConfigError(
                f"source {self.name} has interpolation {self.interpolation!r} (not known): choose combine or "
                "histfactory"
            )
        if not (isinstance(self.count, numbers.Real) and math.isfinite(self.count) and self.count >= 0.0):
            raise ConfigError(
                f"source {self.name} has the auxiliary count {self.count!r} (must be a finite number >= 0): "
                "correct it"
            )
        effects = tuple(self._checked(effect) for effect in self.effects)
        object.__setattr__(self, "effects", effects)
        if not effects:
            raise ConfigError(f"source {self.name} has no effects (it changes nothing): leave it out")
        places = [(e.bin, e.process) for e in effects]
        for place in places:
            if places.count(place) > 1:
                raise ConfigError(
                    f"source {self.name} has two effects on {place[1]} of {place[0]} (one nuisance parameter "
                    "has one): keep one"
                )

    def _checked(self, effect: Effect) -> Effect:
        where = f"source {self.name} on {effect.process} of {effect.bin}"
        for value in (effect.up, effect.down):
            if value is not None and not (isinstance(value, numbers.Real) and math.isfinite(value)):
                raise ConfigError(f"{where} is {value!r} (must be a finite factor): correct it")
        if self.shape == "gamma" and effect.up == 0.0:
            raise ConfigError(f"{where} has no event for one of its auxiliary count (no number): give one")
        if effect.down is not None and self.shape != "gamma":
            mirror = 2.0 - effect.up if self.shape == "gaussian" else 1.0 / effect.up if effect.up else 0.0
            if abs(effect.down - mirror) > MIRRORED:
                self._check_factor(where, effect.up)
                self._check_factor(where, effect.down)
                return effect
        self._check_factor(where, effect.up)
        return Effect(effect.bin, effect.process, effect.up)

    def _check_factor(self, where: str, value: float) -> None:
        if value < 0.0:
            raise ConfigError(f"{where} is {value:g} (must be a factor >= 0): correct it")
        if self.shape != "lognormal":
            return
        if value == 0.0:
            raise ConfigError(f"{where} is zero (a log-normal factor cannot vanish): write 1.2 for 20 %")
        if max(value, 1.0 / value) > 1.0 + LARGEST_RELATIVE:
            raise ConfigError(
                f"{where} is a factor {value:g} (was per cent meant?): write 1.2 for 20 %; more than "
                f"{LARGEST_RELATIVE:g} times the yield is not taken"
            )

    def scaled(self, factor: float) -> NamedSource:
        """The source with its effects times a factor above zero.

        Logarithms and slopes are multiplied, an auxiliary count is divided by the square. No factor becomes
        larger than is taken, no yield negative.
        """

        def times(side: float | None) -> float | None:
            if side is None:
                return None
            if self.shape == "gaussian":
                return max(0.0, 1.0 + factor * (side - 1.0))
            return min(max(math.pow(side, factor), 1.0 / (1.0 + LARGEST_RELATIVE)), 1.0 + LARGEST_RELATIVE)

        if self.shape == "gamma":
            effects = tuple(replace(e, up=factor**2 * e.up) for e in self.effects)
            return replace(self, effects=effects, count=self.count / factor**2)
        effects = tuple(replace(e, up=times(e.up) or 0.0, down=times(e.down)) for e in self.effects)
        return replace(self, effects=effects)

    @property
    def is_symmetric(self) -> bool:
        """Whether all effects at minus one standard deviation mirror those at plus one."""
        return all(effect.down is None for effect in self.effects)

    def slopes(self, effect: Effect) -> tuple[float, float]:
        """Of an effect above and below zero: of the logarithm of the yield (lognormal), or relative.

        Both are those at zero of a symmetric one.
        """
        if self.shape == "lognormal":
            up = math.log(effect.up)
            return up, up if effect.down is None else -math.log(effect.down)
        up = effect.up - 1.0
        return up, up if effect.down is None else 1.0 - effect.down
