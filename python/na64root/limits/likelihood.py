"""The likelihood of a counting model, written out: rates as products of factors, and nuisance parameters.

RooFit's workspace and the fit of the toys are both built from it, so that a model is spelled out once.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from ..config import Treatment
from ..errors import ConfigError
from .counting import CountingModel
from .named_sources import Effect, NamedSource

# A background of zero is given this many events: RooFit has no logarithm of zero.
SMALLEST_BACKGROUND = 1e-10


# Nuisance parameters stay within this many of their standard deviations.
REACH = 8.0


# Of an empty count, events: more have a probability of 1e-9 to give none.
EMPTY = 20.0


# What the core calls the ways in which two slopes are joined.
JOINS = {"combine": "logarithm", "histfactory": "power", "additive": "linear"}


# Of a background measured by an auxiliary count, in standard deviations of the count.
REACH_OF_COUNTS = 10.0


@dataclass(frozen=True)
class Nuisance:
    """A nuisance parameter and its auxiliary measurement a: a ~ N(x, 1), or a ~ Poisson(count x).

    Such a count was ``count``, or nothing where that is the unit of an empty one (``is_empty``).
    """

    name: str
    lowest: float = -REACH
    highest: float = REACH
    count: float = 0.0
    is_empty: bool = False

    @property
    def nominal(self) -> float:
        """The value of the auxiliary measurement."""
        return 0.0 if self.is_empty else self.count

    @property
    def start(self) -> float:
        """The value of the parameter that agrees with it."""
        return 1.0 if self.count and not self.is_empty else max(0.0, self.lowest)


@dataclass(frozen=True)
class Factor:
    """How a yield follows a parameter x.

    ``power`` is exp(slope x), ``linear`` offset + slope x. The others have another slope, ``down``, below
    zero and are joined by a polynomial: ``combine`` and ``histfactory`` are exp(slope x), ``additive`` is
    1 + slope x (see :class:`.named_sources.NamedSource`).
    """

    name: str
    kind: Literal["power", "linear", "combine", "histfactory", "additive"]
    parameter: str
    slope: float
    offset: float = 0.0
    down: float = 0.0


@dataclass(frozen=True)
class Yield:
    """A constant times factors."""

    constant: float
    factors: tuple[Factor, ...] = ()


@dataclass(frozen=True)
class Channel:
    """One bin: mu times the sum of the signals, plus that of the backgrounds, expected."""

    name: str
    observed: int
    signals: tuple[Yield, ...]
    backgrounds: tuple[Yield, ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The nuisance parameters that its rate follows."""
        yields = (*self.signals, *self.backgrounds)
        return tuple(dict.fromkeys(f.parameter for y in yields for f in y.factors))


@dataclass(frozen=True)
class Likelihood:
    """Channels, and the nuisance parameters that their rates follow, in the order of their first use."""

    channels: tuple[Channel, ...]
    nuisances: tuple[Nuisance, ...]

    @property
    def highest_mu(self) -> float:
        """No fit needs a larger signal."""
        events = sum(c.observed for c in self.channels)
        background = sum(y.constant for c in self.channels for y in c.backgrounds)
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

    named = {} if fixed else _named_factors(model)
    channels = []
    for b, name, share, group, own in zip(
        model.bins, names, model.shares, model.background_groups, model.bin_signal_uncertainties, strict=True
    ):
        factors = []
        if model.signal_uncertainty > 0.0 and not fixed:
            factors.append(signal_factor("signal", "theta_signal", model.signal_uncertainty))
        if own > 0.0 and share > 0.0 and not fixed:
            factors.append(signal_factor(f"signal_{name}", f"theta_signal_{name}", own))
        signals = [
            _with_named(
                Yield(share * part / b.signal_fraction if share else 0.0, tuple(factors)),
                named.get((b.name, process), ()),
                nuisances,
            )
            for process, part in b.signals.items()
        ]
        if b.background_uncertainty == 0.0 or fixed:
            known = [Yield(part) for part in b.backgrounds.values()]
        else:
            known = [_background(model, group, name, b.background, b.background_uncertainty, nuisances)]
        backgrounds = [
            _with_named(of, named.get((b.name, process), ()), nuisances)
            for of, process in zip(known, b.backgrounds, strict=True)
        ]
        if not any(y.constant > 0.0 for y in backgrounds):
            backgrounds = [Yield(SMALLEST_BACKGROUND)]
        channels.append(Channel(name, b.observed, tuple(signals), tuple(backgrounds)))
    return Likelihood(tuple(channels), tuple(nuisances.values()))


# A factor of a named source, its nuisance parameter, and the yield of a counted process for one unit of it.
_Named = tuple[Factor, Nuisance, "float | None"]


def _named_factors(model: CountingModel) -> dict[tuple[str, str], list[_Named]]:
    """The factors of named sources by bin and process.

    Raises:
        ConfigError: two sources whose names RooFit would take for one.
    """
    words = [identifier(source.name) for source in model.named_sources]
    for source, word in zip(model.named_sources, words, strict=True):
        if words.count(word) > 1:
            raise ConfigError(
                f"source {source.name} has the name of another but for punctuation (RooFit has letters "
                "only): rename one"
            )
    yields = {
        (b.name, process): part
        for b in model.bins
        for process, part in {**b.signals, **b.backgrounds}.items()
    }
    found: dict[tuple[str, str], list[_Named]] = {}
    number = itertools.count(1)
    for source, word in zip(model.named_sources, words, strict=True):
        effects = [e for e in source.effects if source.shape == "gamma" or yields[e.bin, e.process] > 0.0]
        nuisance = _nuisance(source, f"alpha_{word}", effects)
        for e in effects:
            # The number tells words with underscores apart.
            name, constant = f"scale{next(number)}_{identifier(e.process)}_{identifier(e.bin)}_{word}", None
            if source.shape == "gamma":
                factor = Factor(name, "linear", nuisance.name, 1.0)
                constant = e.up * nuisance.count
            else:
                up, down = source.slopes(e)
                if up == down == 0.0:
                    continue
                if e.down is not None:
                    additive = source.shape == "gaussian"
                    kind = "additive" if additive else source.interpolation
                    factor = Factor(name, kind, nuisance.name, up, 1.0, down)
                elif source.shape == "lognormal":
                    factor = Factor(name, "power", nuisance.name, up)
                else:
                    factor = Factor(name, "linear", nuisance.name, up, 1.0)
            found.setdefault((e.bin, e.process), []).append((factor, nuisance, constant))
    return found


def _nuisance(source: NamedSource, name: str, effects: list[Effect]) -> Nuisance:
    if source.shape == "lognormal":
        return Nuisance(name)
    if source.shape == "gamma":
        # Of an empty count the unit is one event.
        count = source.count or 1.0
        highest = (
            source.count + REACH_OF_COUNTS * math.sqrt(source.count) if source.count else EMPTY
        ) / count
        return Nuisance(name, 0.0 if source.count else SMALLEST_BACKGROUND, highest, count, not source.count)
    lowest, highest = -REACH, REACH
    for e in effects:
        up, down = source.slopes(e)
        # Strictly above zero, where RooFit has no logarithm.
        if down > 0.0:
            lowest = max(lowest, -1.0 / down + SMALLEST_BACKGROUND)
        if up < 0.0:
            highest = min(highest, -1.0 / up - SMALLEST_BACKGROUND)
    return Nuisance(name, lowest, highest)


def _with_named(of: Yield, named: Iterable[_Named], nuisances: dict[str, Nuisance]) -> Yield:
    """A yield with the factors of named sources; adds their nuisance parameters."""
    constant, factors = of.constant, list(of.factors)
    for factor, nuisance, counted in named:
        nuisances.setdefault(nuisance.name, nuisance)
        factors.append(factor)
        if counted is not None and constant == 0.0:
            constant = counted
    return Yield(constant, tuple(factors))


def filled(core: Any, known: Likelihood) -> Any:
    """An empty ProfileLikelihood of either face of the core (pybind11 or Cling), made that of a model."""
    places = {nuisance.name: i for i, nuisance in enumerate(known.nuisances)}
    for n in known.nuisances:
        core.add_parameter(n.lowest, n.highest, n.count)
    for channel in known.channels:
        core.add_bin(channel.signals[0].constant, channel.backgrounds[0].constant)
        for of_signal, processes in ((True, channel.signals), (False, channel.backgrounds)):
            for i, process in enumerate(processes):
                if i:
                    core.add_process(of_signal, process.constant)
                for f in process.factors:
                    if f.kind == "power":
                        core.add_power(of_signal, places[f.parameter], f.slope)
                    elif f.kind == "linear":
                        core.add_linear(of_signal, places[f.parameter], f.slope, f.offset)
                    else:
                        join = getattr(type(core).Join, JOINS[f.kind])
                        core.add_joined(of_signal, places[f.parameter], join, f.slope, f.down)
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
