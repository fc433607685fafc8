"""The counting model: bins with counts and yields, and the uncertainties on them.

Engines that set limits with it are in :mod:`na64root.limits.exact` and :mod:`na64root.limits.roostats`.
"""

from __future__ import annotations

import math
import numbers
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from ..config import Constraint, Correlation
from ..errors import ConfigError
from .named_sources import BACKGROUND, LARGEST_RELATIVE, SIGNAL, NamedSource

BackgroundConstraint = Literal["gaussian", "lognormal", "gamma"]


# How far the yield of a process may be from its auxiliary count times its events for each, relative: cards
# are rounded.
LARGEST_DIFFERENCE_OF_COUNTED = 1e-2


# Parts add up to their sum to this, relative.
ROUNDING = 1e-6


CORRELATIONS: tuple[Correlation, ...] = get_args(Correlation)


@dataclass(frozen=True)
class Bin:
    """One counting experiment, usually a signature in a run period.

    ``signal_fraction`` is the bin's share of the total expected signal; only the ratios between bins matter.
    ``signal_uncertainty`` is relative and of this bin alone, such as Monte Carlo statistics. Where signal or
    background are sums of several processes, ``signal_processes`` and ``background_processes`` name them with
    their parts of ``signal_fraction`` and ``background``; a :class:`NamedSource` acts on them. Without, they
    are one process each, ``signal`` and ``background``.
    """

    name: str
    signature: str
    period: str
    observed: int
    background: float
    background_uncertainty: float
    signal_fraction: float
    signal_uncertainty: float = 0.0
    signal_processes: Mapping[str, float] = field(default_factory=dict, hash=False)
    background_processes: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def signals(self) -> Mapping[str, float]:
        """The parts of the signal fraction by process."""
        return self.signal_processes or {SIGNAL: self.signal_fraction}

    @property
    def backgrounds(self) -> Mapping[str, float]:
        """The parts of the background by process."""
        return self.background_processes or {BACKGROUND: self.background}


@dataclass(frozen=True)
class SignalSource:
    """A named relative signal uncertainty: common to all bins (``all``), or of each alone (``none``)."""

    uncertainty: float
    correlation: Correlation = "all"


@dataclass(frozen=True)
class CountingModel:
    """n_i ~ Poisson(mu f_i kappa(theta) kappa_i(theta_i) + b_i(eta_g)), mu the total expected signal events.

    ``signal_uncertainty`` delta is relative and common to all bins: kappa = (1 + delta)^theta
    (``lognormal``) or 1 + delta theta, not below zero (``gaussian``); kappa_i is the same with the
    uncertainty of bin i alone. ``signal_sources`` names the parts of both, which add in quadrature; a number
    there is a source common to all bins. Give ``signal_uncertainty`` or sources. Backgrounds vary as
    b + sigma eta, not below zero (``gaussian``), b (1 + sigma/b)^eta (``lognormal``), or are measured by an
    auxiliary count of (b/sigma)^2 (``gamma``). Bins of one signature share eta unless
    ``background_correlation`` is ``none``. What ``named_sources`` do to processes multiplies all that.

    Raises:
        ConfigError: no bins, a count that is not a whole number >= 0, a negative or NaN yield, no signal at
        all; a source on a bin or process that is not there; processes that do not add up to their bin.
    """

    bins: tuple[Bin, ...]
    signal_uncertainty: float = 0.0
    constraint: Constraint = "lognormal"
    background_constraint: BackgroundConstraint = "gaussian"
    background_correlation: Literal["signature", "none"] = "signature"
    signal_sources: Mapping[str, SignalSource | float] = field(default_factory=dict)
    named_sources: tuple[NamedSource, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "bins", tuple(self.bins))
        sources = {
            name: source if isinstance(source, SignalSource) else SignalSource(source)
            for name, source in self.signal_sources.items()
        }
        object.__setattr__(self, "signal_sources", sources)
        if not self.bins:
            raise ConfigError(
                "the counting model has no bins (nothing to set a limit with): give at least one"
            )
        for name, count in Counter(b.name for b in self.bins).items():
            if count > 1:
                raise ConfigError(f"two bins are called {name} (names identify bins): rename one")
        for b in self.bins:
            _check_bin(b, self.background_constraint)
        whole = (
            b if isinstance(b.observed, int) else replace(b, observed=int(b.observed)) for b in self.bins
        )
        object.__setattr__(self, "bins", tuple(whole))
        if not sum(b.signal_fraction for b in self.bins) > 0.0:
            raise ConfigError(
                "all signal fractions are zero (no bin sees the signal): give at least one above zero"
            )
        for name, source in sources.items():
            check_number(f"signal uncertainty {name}", source.uncertainty)
            _check_relative(f"signal uncertainty {name}", source.uncertainty)
            check_choice(f"correlation of signal uncertainty {name}", source.correlation, CORRELATIONS)
        if sources:
            total = _quadrature(s.uncertainty for s in sources.values() if s.correlation == "all")
            if self.signal_uncertainty not in (0.0, total):
                raise ConfigError(
                    f"signal_uncertainty = {self.signal_uncertainty:g} differs from its named sources "
                    f"({total:g} in quadrature): give one or the other"
                )
            object.__setattr__(self, "signal_uncertainty", total)
        check_number("signal_uncertainty", self.signal_uncertainty)
        _check_relative("signal_uncertainty", self.signal_uncertainty)
        check_choice("constraint", self.constraint, ("lognormal", "gaussian"))
        check_choice("background_constraint", self.background_constraint, ("gaussian", "lognormal", "gamma"))
        check_choice("background_correlation", self.background_correlation, ("signature", "none"))
        object.__setattr__(self, "named_sources", tuple(self.named_sources))
        self._check_named_sources()

    def _check_named_sources(self) -> None:
        bins = {b.name: b for b in self.bins}
        for name, count in Counter(source.name for source in self.named_sources).items():
            if count > 1:
                raise ConfigError(f"two sources are called {name} (a name is one parameter): rename one")
        counted: dict[tuple[str, str], str] = {}
        for source in self.named_sources:
            for effect in source.effects:
                what = f"source {source.name} acts on {effect.process} of {effect.bin}"
                if effect.bin not in bins:
                    raise ConfigError(f"{what} (no such bin): choose {', '.join(bins)}")
                b = bins[effect.bin]
                processes = {**b.signals, **b.backgrounds}
                if effect.process not in processes:
                    raise ConfigError(f"{what} (no such process): choose {', '.join(processes)}")
                if source.shape != "gamma":
                    continue
                place = (effect.bin, effect.process)
                if place in counted:
                    raise ConfigError(
                        f"{what}, which {counted[place]} measures too (one auxiliary count each): keep one"
                    )
                counted[place] = source.name
                nominal, own = source.count * effect.up, processes[effect.process]
                if abs(nominal - own) > LARGEST_DIFFERENCE_OF_COUNTED * max(nominal, own):
                    raise ConfigError(
                        f"{what}, whose yield is {own:g} and not {source.count:g} times {effect.up:g} (its "
                        "auxiliary count): correct one"
                    )

    @classmethod
    def from_lists(
        cls,
        *,
        observed: Iterable[float],
        background: Iterable[float],
        background_uncertainty: Iterable[float],
        signal_fraction: Iterable[float],
        **options: Any,
    ) -> CountingModel:
        """A model of bins that share no background uncertainty, from lists of one length.

        Raises:
            ConfigError: lists of different lengths, or what CountingModel raises.
        """
        lists = {
            "observed": list(observed),
            "background": list(background),
            "background_uncertainty": list(background_uncertainty),
            "signal_fraction": list(signal_fraction),
        }
        lengths = {len(values) for values in lists.values()}
        if len(lengths) > 1:
            given = ", ".join(f"{name} {len(values)}" for name, values in lists.items())
            raise ConfigError(f"lists of different lengths ({given}): give one value per bin in each")
        bins = tuple(
            Bin(f"bin{i + 1}", f"bin{i + 1}", "", n, b, db, f)
            for i, (n, b, db, f) in enumerate(zip(*lists.values(), strict=True))
        )
        return cls(bins, **options)

    @property
    def bin_signal_uncertainties(self) -> tuple[float, ...]:
        """For each bin, the relative signal uncertainty with a nuisance parameter of its own."""
        sources = [s.uncertainty for s in self.sources.values() if s.correlation == "none"]
        return tuple(_quadrature([b.signal_uncertainty, *sources]) for b in self.bins)

    @property
    def is_certain(self) -> bool:
        """Whether no yield has an uncertainty: all treatments are then ``none``."""
        return not (
            self.named_sources
            or self.largest_signal_uncertainty
            or any(b.background_uncertainty for b in self.bins)
        )

    @property
    def background_variance(self) -> float:
        """The variance of the expected background by all its uncertainties, about, in events squared."""
        variance = sum(b.background_uncertainty**2 for b in self.bins)
        yields = {(b.name, process): value for b in self.bins for process, value in b.backgrounds.items()}
        for source in self.named_sources:
            effects = [e for e in source.effects if (e.bin, e.process) in yields]
            if source.shape == "gamma":
                variance += (source.count + 1.0) * sum(e.up for e in effects) ** 2
            else:
                variance += sum(yields[e.bin, e.process] * max(source.slopes(e)) for e in effects) ** 2
        return variance

    @property
    def largest_signal_uncertainty(self) -> float:
        """Relative, of the one common to all bins and those of single bins."""
        return max(self.signal_uncertainty, *self.bin_signal_uncertainties)

    @property
    def sources(self) -> dict[str, SignalSource]:
        """The named sources of the signal uncertainty."""
        return {name: s for name, s in self.signal_sources.items() if isinstance(s, SignalSource)}

    @property
    def background_groups(self) -> tuple[str, ...]:
        """For each bin, the name of the background nuisance parameter that it follows."""
        return tuple(b.signature if self.background_correlation == "signature" else b.name for b in self.bins)

    def with_background_uncertainty(self, group: str, factor: float) -> CountingModel:
        """The model with the background uncertainties of one group times a factor."""
        bins = tuple(
            replace(b, background_uncertainty=factor * b.background_uncertainty) if name == group else b
            for b, name in zip(self.bins, self.background_groups, strict=True)
        )
        return replace(self, bins=bins)

    @property
    def shares(self) -> tuple[float, ...]:
        """The signal fractions, normalised to a sum of one."""
        total = sum(b.signal_fraction for b in self.bins)
        return tuple(b.signal_fraction / total for b in self.bins)


def _quadrature(values: Iterable[float]) -> float:
    return math.sqrt(sum(value**2 for value in values))


def check_number(what: str, value: float) -> None:
    """Raise ConfigError unless `value` is a finite number >= 0."""
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Real)  # NumPy's too
        or not math.isfinite(value)
        or value < 0.0
    ):
        raise ConfigError(f"{what} = {value!r} is not acceptable (must be a finite number >= 0): correct it")


def _check_relative(what: str, value: float) -> None:
    if value > LARGEST_RELATIVE:
        raise ConfigError(
            f"{what} = {value:g} is relative (per cent meant?): write 0.2 for 20 %; more than "
            f"{LARGEST_RELATIVE:g} is not taken"
        )


def check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ConfigError unless `value` is one of `choices`."""
    if value not in choices:
        raise ConfigError(
            f"{what} = {value!r} is not known: choose {', '.join(choices[:-1])} or {choices[-1]}"
        )


def _check_bin(b: Bin, background_constraint: str) -> None:
    check_number(f"background of {b.name}", b.background)
    check_number(f"background uncertainty of {b.name}", b.background_uncertainty)
    check_number(f"signal fraction of {b.name}", b.signal_fraction)
    check_number(f"signal uncertainty of {b.name}", b.signal_uncertainty)
    _check_relative(f"signal uncertainty of {b.name}", b.signal_uncertainty)
    check_number(f"observed count of {b.name}", b.observed)
    if b.observed != int(b.observed):
        raise ConfigError(
            f"observed count of {b.name} = {b.observed!r} is not a whole number: give events, not yields"
        )
    for what, processes, total in (
        ("signal fraction", b.signal_processes, b.signal_fraction),
        ("background", b.background_processes, b.background),
    ):
        for process, value in processes.items():
            check_number(f"{what} of {process} in {b.name}", value)
        if processes and abs(sum(processes.values()) - total) > ROUNDING * max(total, 1e-300):
            raise ConfigError(
                f"the processes of the {what} of {b.name} add up to {sum(processes.values()):g}, not to "
                f"{total:g} (they are its parts): correct one"
            )
    if twice := set(b.signals) & set(b.backgrounds):
        raise ConfigError(
            f"{', '.join(sorted(twice))} is signal and background of {b.name} (a process is one): rename one"
        )
    if len(b.background_processes) > 1 and b.background_uncertainty > 0.0:
        raise ConfigError(
            f"{b.name} has several background processes and one background uncertainty (of which?): give "
            "named_sources"
        )
    if b.background == 0.0 and b.background_uncertainty > 0.0 and background_constraint != "gaussian":
        raise ConfigError(
            f"background of {b.name} is zero with an uncertainty "
            f"({background_constraint} constraints are relative): use gaussian"
        )
