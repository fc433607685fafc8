"""Upper limits on a signal from a few counts: one model, several methods.

The statistic is always the one-sided profile likelihood ratio with a best signal that is not negative, the
limit is CLs (A. L. Read, J. Phys. G 28, 2693 (2002)). What to use when:

============== ==========================================================================================
method         what it is
============== ==========================================================================================
``exact``      the counts enumerated, the auxiliary measurements integrated; milliseconds; no toys
``roostats``   toys, as in the paper: HypoTestInverter and FrequentistCalculator, made safe against ties
``asymptotic`` Cowan et al., EPJC 71, 1554 (2011); far too strong for fewer than about 5 expected events
============== ==========================================================================================

``treatment`` says what an ensemble does with nuisance parameters: ``none`` fixes them at their nominal
values; ``frequentist`` lets their auxiliary measurements fluctuate around the values fitted to the data;
``hybrid`` averages over their priors. With no event seen, a larger signal uncertainty makes the frequentist
limit tighter: the fit then explains the empty bins by a low efficiency, and the auxiliary measurement, which
does not agree, makes the data less likely still. That is what the construction does, and a reason to look at
the three side by side.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

from . import _core
from .config import Constraint, Treatment
from .errors import ConfigError, ConvergenceError
from .results import Expected, LimitResult

if TYPE_CHECKING:
    from .limits_roostats import Scan

Method = Literal["exact", "roostats", "asymptotic"]
METHODS: tuple[Method, ...] = ("exact", "roostats", "asymptotic")
TREATMENTS: tuple[Treatment, ...] = ("none", "frequentist", "hybrid")
BackgroundConstraint = Literal["gaussian", "lognormal", "gamma"]

# The exact engine enumerates counts: above this many events, seen and expected, asymptotics are good to 1 %.
MOST_EVENTS = 1000
# Below this many expected background events the asymptotic formulae are off by more than ten per cent.
ASYMPTOTIC_MINIMUM = 5.0


@dataclass(frozen=True)
class Bin:
    """One counting experiment, usually a signature in a run period.

    ``signal_fraction`` is the bin's share of the total expected signal; only the ratios between bins matter.
    """

    name: str
    signature: str
    period: str
    observed: int
    background: float
    background_uncertainty: float
    signal_fraction: float


@dataclass(frozen=True)
class CountingModel:
    """n_i ~ Poisson(mu f_i kappa(theta) + b_i(eta_g)), mu being the total expected number of signal events.

    ``signal_uncertainty`` delta is relative and common to all bins: kappa = (1 + delta)^theta
    (``lognormal``) or 1 + delta theta, not below zero (``gaussian``). ``signal_sources`` names its parts,
    which add in quadrature; give one or the other. Backgrounds vary as b + sigma eta, not below zero
    (``gaussian``), b (1 + sigma/b)^eta (``lognormal``), or are measured by an auxiliary count of (b/sigma)^2
    (``gamma``). Bins of one signature share eta unless ``background_correlation`` is ``none``.

    Raises:
        ConfigError: no bins, a count that is not a whole number >= 0, a negative or NaN yield, no signal at
        all.
    """

    bins: tuple[Bin, ...]
    signal_uncertainty: float = 0.0
    constraint: Constraint = "lognormal"
    background_constraint: BackgroundConstraint = "gaussian"
    background_correlation: Literal["signature", "none"] = "signature"
    signal_sources: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bins", tuple(self.bins))
        object.__setattr__(self, "signal_sources", dict(self.signal_sources))
        if not self.bins:
            raise ConfigError(
                "the counting model has no bins (nothing to set a limit with): give at least one"
            )
        for name, count in Counter(b.name for b in self.bins).items():
            if count > 1:
                raise ConfigError(f"two bins are called {name} (names identify bins): rename one")
        for b in self.bins:
            _check_bin(b, self.background_constraint)
        if not sum(b.signal_fraction for b in self.bins) > 0.0:
            raise ConfigError(
                "all signal fractions are zero (no bin sees the signal): give at least one above zero"
            )
        for name, value in self.signal_sources.items():
            _check_number(f"signal uncertainty {name}", value)
        if self.signal_sources:
            total = math.sqrt(sum(value**2 for value in self.signal_sources.values()))
            if self.signal_uncertainty not in (0.0, total):
                raise ConfigError(
                    f"signal_uncertainty = {self.signal_uncertainty:g} differs from its named sources "
                    f"({total:g} in quadrature): give one or the other"
                )
            object.__setattr__(self, "signal_uncertainty", total)
        _check_number("signal_uncertainty", self.signal_uncertainty)
        _check_choice("constraint", self.constraint, ("lognormal", "gaussian"))
        _check_choice("background_constraint", self.background_constraint, ("gaussian", "lognormal", "gamma"))
        _check_choice("background_correlation", self.background_correlation, ("signature", "none"))

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
    def background_groups(self) -> tuple[str, ...]:
        """For each bin, the name of the background nuisance parameter that it follows."""
        return tuple(b.signature if self.background_correlation == "signature" else b.name for b in self.bins)

    @property
    def shares(self) -> tuple[float, ...]:
        """The signal fractions, normalised to a sum of one."""
        total = sum(b.signal_fraction for b in self.bins)
        return tuple(b.signal_fraction / total for b in self.bins)


def _check_number(what: str, value: float) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or value < 0.0
    ):
        raise ConfigError(f"{what} = {value!r} is not acceptable (must be a finite number >= 0): correct it")


def _check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(
            f"{what} = {value!r} is not known: choose {', '.join(choices[:-1])} or {choices[-1]}"
        )


def _check_bin(b: Bin, background_constraint: str) -> None:
    _check_number(f"background of {b.name}", b.background)
    _check_number(f"background uncertainty of {b.name}", b.background_uncertainty)
    _check_number(f"signal fraction of {b.name}", b.signal_fraction)
    _check_number(f"observed count of {b.name}", b.observed)
    if b.observed != int(b.observed):
        raise ConfigError(
            f"observed count of {b.name} = {b.observed!r} is not a whole number: give events, not yields"
        )
    if b.background == 0.0 and b.background_uncertainty > 0.0 and background_constraint != "gaussian":
        raise ConfigError(
            f"background of {b.name} is zero with an uncertainty "
            f"({background_constraint} constraints are relative): use gaussian"
        )


def experiment(model: CountingModel, treatment: Treatment = "frequentist") -> _core.CountingExperiment:
    """The exact engine for a model: statistic, CLs and limits as functions of mu."""
    _check_choice("treatment", treatment, TREATMENTS)
    groups = list(dict.fromkeys(model.background_groups))
    try:
        return _core.CountingExperiment(
            observed=[float(b.observed) for b in model.bins],
            background=[b.background for b in model.bins],
            background_uncertainty=[b.background_uncertainty for b in model.bins],
            signal_fraction=[b.signal_fraction for b in model.bins],
            group=[groups.index(name) for name in model.background_groups],
            signal_uncertainty=model.signal_uncertainty,
            signal_constraint=_core.Constraint.__members__[model.constraint],
            background_constraint=_core.Constraint.__members__[model.background_constraint],
            treatment=_core.Treatment.__members__[treatment],
        )
    except ValueError as error:
        raise ConfigError(f"the counting model is not acceptable ({error}): correct it") from None


def upper_limit(
    model: CountingModel,
    *,
    cl: float = 0.9,
    method: Method = "exact",
    treatment: Treatment = "frequentist",
    seed: int = 1,
    processes: int = 1,
    precision: float = 0.03,
    expected: bool = True,
) -> LimitResult:
    """The CLs upper limit on the total expected number of signal events, with the expected band.

    Args:
        cl: confidence level, 0.9 in the paper.
        method, treatment: see the table at the top of this module.
        seed, processes, precision: of RooStats toys: a result depends on the seed and not on the number of
            processes; toys are added until the limit's own relative error is below ``precision``.
        expected: also the limits expected without signal.

    Raises:
        ConfigError: a level outside (0, 1), an unknown method or treatment.
        ConvergenceError: no limit found, or a fit that failed.
    """
    _check_choice("method", method, METHODS)
    _check_choice("treatment", treatment, TREATMENTS)
    _check_level(cl)
    if method == "roostats":
        from . import limits_roostats

        scan: Scan = limits_roostats.scan(
            model,
            cl=cl,
            treatment=treatment,
            seed=seed,
            processes=processes,
            precision=precision,
            expected=expected,
        )
        return scan.result()
    events = sum(b.observed + b.background for b in model.bins)
    if method == "exact" and events > MOST_EVENTS:
        raise ConfigError(
            f"{events:g} events are too many to enumerate (at most {MOST_EVENTS}): use --method asymptotic"
        )
    engine = experiment(model, treatment)
    try:
        if method == "asymptotic":
            _warn_if_too_few(model)
            limit, error = engine.asymptotic_upper_limit(cl)
            bands = engine.asymptotic_expected_limits(cl) if expected else (None,) * 5
        else:
            limit, error = engine.upper_limit(cl)
            bands = engine.expected_limits(cl) if expected else (None,) * 5
    except RuntimeError as error_in_core:
        raise ConvergenceError(f"no limit found ({error_in_core}): check the model") from None
    return LimitResult(
        upper_limit=limit,
        upper_limit_error=error,
        expected=Expected(**dict(zip(Expected.model_fields, bands, strict=True))),
        cl=cl,
        method=method,
        treatment=treatment,
        toys=0,
    )


@dataclass(frozen=True)
class Discovery:
    """Evidence against background only: q0, its p-value and its significance in standard deviations."""

    statistic: float
    p_value: float
    significance: float


def discovery(model: CountingModel, *, treatment: Treatment = "frequentist") -> Discovery:
    """The p-value of the background-only hypothesis, by enumeration (Cowan et al., Eq. 12).

    A p-value of one, where the data do not exceed the background, has significance zero.
    """
    statistic, p_value = experiment(model, treatment).discovery()
    significance = max(0.0, NormalDist().inv_cdf(1.0 - p_value)) if 1e-15 < p_value < 1.0 else 0.0
    if p_value <= 1e-15:
        # Below the reach of the enumeration the asymptotic value is excellent.
        significance = math.sqrt(statistic)
    return Discovery(statistic, p_value, significance)


def interval(
    model: CountingModel, *, cl: float = 0.9, treatment: Literal["none", "hybrid"] = "hybrid"
) -> tuple[float, float]:
    """The two-sided interval on the total expected signal, by likelihood-ratio ordering.

    Feldman and Cousins, PRD 57, 3873 (1998); uncertain yields are averaged over in the ensemble (``hybrid``).

    Raises:
        ConfigError: a level outside (0, 1) or another treatment.
    """
    _check_level(cl)
    _check_choice("treatment of a two-sided interval", treatment, ("none", "hybrid"))
    return experiment(model, treatment).interval(cl)


@dataclass(frozen=True)
class Impact:
    """The limit with one source of uncertainty removed, and with it twice as large."""

    source: str
    upper_limit_without: float
    upper_limit_doubled: float


def impacts(
    model: CountingModel, *, cl: float = 0.9, treatment: Treatment = "frequentist"
) -> tuple[Impact, ...]:
    """How the exact limit depends on each uncertainty: named signal sources, then backgrounds by group."""

    def limit(changed: CountingModel) -> float:
        return upper_limit(changed, cl=cl, treatment=treatment, expected=False).upper_limit

    found = []
    sources = dict(model.signal_sources) or {"signal": model.signal_uncertainty}
    for name, value in sources.items():
        if value > 0.0:
            rest = model.signal_uncertainty**2 - value**2
            totals = (math.sqrt(max(0.0, rest)), math.sqrt(rest + 4.0 * value**2))
            limits = [limit(replace(model, signal_sources={}, signal_uncertainty=total)) for total in totals]
            found.append(Impact(name, *limits))
    for group in dict.fromkeys(model.background_groups):
        members = [g == group for g in model.background_groups]
        if any(b.background_uncertainty > 0.0 for b, m in zip(model.bins, members, strict=True) if m):
            limits = [
                limit(
                    replace(
                        model,
                        bins=tuple(
                            replace(b, background_uncertainty=factor * b.background_uncertainty) if m else b
                            for b, m in zip(model.bins, members, strict=True)
                        ),
                    )
                )
                for factor in (0.0, 2.0)
            ]
            found.append(Impact(f"background {group}", *limits))
    return tuple(found)


def _check_level(cl: float) -> None:
    if not 0.0 < cl < 1.0:
        raise ConfigError(f"confidence level {cl!r} is not acceptable (must lie between 0 and 1): try 0.9")


def _warn_if_too_few(model: CountingModel) -> None:
    background = sum(b.background for b in model.bins)
    if background < ASYMPTOTIC_MINIMUM:
        warnings.warn(
            f"asymptotic limit with {background:.3g} expected background events (it needs "
            f"{ASYMPTOTIC_MINIMUM:g}): up to 34 % too strong, use exact",
            stacklevel=3,
        )


def workspace(model: CountingModel) -> Any:
    """A RooWorkspace with the model, the observed data and two RooStats ModelConfig (see limits_roostats)."""
    from . import limits_roostats

    return limits_roostats.workspace(model)
