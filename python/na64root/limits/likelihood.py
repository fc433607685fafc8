"""The likelihood of a counting model, written out: rates as products of factors, and nuisance parameters.

RooFit's workspace and the fit of the toys are both built from it, so that a model is spelled out once.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from ..config import Treatment
from ..errors import ConfigError
from .counting import CountingModel

# A background of zero is given this many events: RooFit has no logarithm of zero.
SMALLEST_BACKGROUND = 1e-10


# Nuisance parameters stay within this many of their standard deviations.
REACH = 8.0


# Of a background measured by an auxiliary count, in standard deviations of the count.
REACH_OF_COUNTS = 10.0


@dataclass(frozen=True)
class Nuisance:
    """A nuisance parameter and its auxiliary measurement a: a ~ N(x, 1), or a ~ Poisson(count x)."""

    name: str
    lowest: float = -REACH
    highest: float = REACH
    count: float = 0.0

    @property
    def nominal(self) -> float:
        """The value of the auxiliary measurement."""
        return self.count

    @property
    def start(self) -> float:
        """The value of the parameter that agrees with it."""
        return 1.0 if self.count else 0.0


@dataclass(frozen=True)
class Factor:
    """How a yield follows a parameter x: exp(slope x) (``power``), or offset + slope x (``linear``)."""

    name: str
    kind: Literal["power", "linear"]
    parameter: str
    slope: float
    offset: float = 0.0


@dataclass(frozen=True)
class Yield:
    """A constant times factors."""

    constant: float
    factors: tuple[Factor, ...] = ()


@dataclass(frozen=True)
class Channel:
    """One bin: mu times signal, plus background, expected."""

    name: str
    observed: int
    signal: Yield
    background: Yield

    @property
    def parameters(self) -> tuple[str, ...]:
        """The nuisance parameters that its rate follows."""
        return tuple(f.parameter for f in (*self.signal.factors, *self.background.factors))


@dataclass(frozen=True)
class Likelihood:
    """Channels, and the nuisance parameters that their rates follow, in the order of their first use."""

    channels: tuple[Channel, ...]
    nuisances: tuple[Nuisance, ...]

    @property
    def highest_mu(self) -> float:
        """No fit needs a larger signal."""
        events = sum(c.observed for c in self.channels)
        background = sum(c.background.constant for c in self.channels)
        return 10.0 * (3.0 + events + background)


def likelihood(model: CountingModel, treatment: Treatment) -> Likelihood:
    """The likelihood of a model; with treatment ``none`` it has no nuisance parameters.

    Raises:
        ConfigError: two bins whose names RooFit would take for one.
    """
    names = [identifier(b.name) for b in model.bins]
    if len(set(names)) < len(names):
        raise ConfigError(
            "two bins have the same name but for punctuation (RooFit has letters only): rename one"
        )
    nuisances: dict[str, Nuisance] = {}
    fixed = treatment == "none"

    def signal_factor(name: str, parameter: str, delta: float) -> Factor:
        lognormal = model.constraint == "lognormal"
        lowest = -REACH if lognormal else max(-1.0 / delta, -REACH)
        nuisances.setdefault(parameter, Nuisance(parameter, lowest))
        if lognormal:
            return Factor(f"scale_{name}", "power", parameter, math.log1p(delta))
        return Factor(f"scale_{name}", "linear", parameter, delta, 1.0)

    channels = []
    for b, name, share, group, own in zip(
        model.bins, names, model.shares, model.background_groups, model.bin_signal_uncertainties, strict=True
    ):
        factors = []
        if model.signal_uncertainty > 0.0 and not fixed:
            factors.append(signal_factor("signal", "theta_signal", model.signal_uncertainty))
        if own > 0.0 and share > 0.0 and not fixed:
            factors.append(signal_factor(f"signal_{name}", f"theta_signal_{name}", own))
        if b.background_uncertainty == 0.0 or fixed:
            background = Yield(max(b.background, SMALLEST_BACKGROUND))
        else:
            background = _background(model, group, name, b.background, b.background_uncertainty, nuisances)
        channels.append(Channel(name, b.observed, Yield(share, tuple(factors)), background))
    return Likelihood(tuple(channels), tuple(nuisances.values()))


def filled(core: Any, known: Likelihood) -> Any:
    """An empty ProfileLikelihood of either face of the core (pybind11 or Cling), made that of a model."""
    places = {nuisance.name: i for i, nuisance in enumerate(known.nuisances)}
    for n in known.nuisances:
        core.add_parameter(n.lowest, n.highest, n.count)
    for channel in known.channels:
        core.add_bin(channel.signal.constant, channel.background.constant)
        for of_signal, part in ((True, channel.signal), (False, channel.background)):
            for f in part.factors:
                if f.kind == "power":
                    core.add_power(of_signal, places[f.parameter], f.slope)
                else:
                    core.add_linear(of_signal, places[f.parameter], f.slope, f.offset)
    return core


def _background(
    model: CountingModel,
    group: str,
    name: str,
    background: float,
    uncertainty: float,
    nuisances: dict[str, Nuisance],
) -> Yield:
    """An uncertain background; adds its nuisance parameter."""
    parameter = f"eta_{identifier(group)}"
    if model.background_constraint == "gaussian":
        members = [m for m, g in zip(model.bins, model.background_groups, strict=True) if g == group]
        # Strictly above zero, where RooFit has no logarithm.
        lowest = max(-m.background / m.background_uncertainty for m in members if m.background_uncertainty)
        nuisances.setdefault(parameter, Nuisance(parameter, max(lowest + SMALLEST_BACKGROUND, -REACH)))
        return Yield(1.0, (Factor(f"background_{name}", "linear", parameter, uncertainty, background),))
    relative = uncertainty / max(background, SMALLEST_BACKGROUND)
    if model.background_constraint == "lognormal":
        nuisances.setdefault(parameter, Nuisance(parameter))
        factor = Factor(f"scale_background_{name}", "power", parameter, math.log1p(relative))
    else:
        count = relative**-2
        highest = 1.0 + REACH_OF_COUNTS / math.sqrt(count)
        nuisances.setdefault(parameter, Nuisance(parameter, 0.0, highest, count))
        factor = Factor(f"scale_background_{name}", "linear", parameter, 1.0)
    return Yield(background, (factor,))


def identifier(name: str) -> str:
    """A name that RooFit's factory and Combine accept."""
    word = re.sub(r"\W", "_", name, flags=re.ASCII)
    return word if word[:1].isalpha() else f"bin_{word}"
