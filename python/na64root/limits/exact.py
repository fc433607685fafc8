"""Upper limits on a signal from a few counts: one model, several methods.

The statistic is always the one-sided profile likelihood ratio with a best signal that is not negative, the
limit is CLs (A. L. Read, J. Phys. G 28, 2693 (2002)). What to use when:

============== ==========================================================================================
method         what it is
============== ==========================================================================================
``exact``      the counts enumerated, the auxiliary measurements integrated; milliseconds; checked by toys,
               which set the limit where the check fails or the counts are too many (then named ``toys``)
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

import logging
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Literal

from .._core import Constraint, CountingExperiment
from .._core import Criterion as CoreCriterion
from .._core import Treatment as CoreTreatment
from ..config import Card, Criterion, Treatment
from ..errors import ConfigError, ConvergenceError
from ..records import Discovery, Expected, Interval, LimitResult
from ..work import Work
from . import own_toys, roofit, roostats
from .asymptotics import TOLERANCE, Asymptotics
from .counting import Bin, CountingModel, SignalSource, check_choice, check_number
from .reduction import IrreducibleError, reduced

log = logging.getLogger(__name__)

__all__ = [
    "METHODS",
    "TREATMENTS",
    "Bin",
    "CountingModel",
    "Discovery",
    "Impact",
    "Method",
    "SignalSource",
    "card_limit",
    "discovery",
    "evidence",
    "experiment",
    "impacts",
    "interval",
    "two_sided_p_value",
    "upper_limit",
    "workspace",
]


Method = Literal["exact", "roostats", "asymptotic"]


METHODS: tuple[Method, ...] = ("exact", "roostats", "asymptotic")


CRITERIA: tuple[Criterion, ...] = ("cls", "clsb")


TREATMENTS: tuple[Treatment, ...] = ("none", "frequentist", "hybrid")


# The exact engine enumerates counts up to so many events, seen and expected; toys set limits beyond.
MOST_EVENTS, MOST_EVENTS_OF_TOYS = 1000, 1_000_000


# So many likelihoods are fitted in an enumeration, some seconds; beyond, toys are faster and good enough.
MOST_FITS = 1_000_000


# Relative, of the limit by toys where the enumeration cannot be trusted.
OWN_TOYS_PRECISION = 0.005


# Where data as far from the background have a probability without signal (CLb) below this, a limit would
# rest on the tail of a distribution that nobody knows so well.
LEAST_CLB = 1e-8


# A bin so many standard deviations below its background asks for CLb.
DEFICIT = 4.0


# Relative change of a limit at which the slope of CLs is taken.
BESIDE = 1.02


# Below this many expected background events the asymptotic formulae are off by more than ten per cent.
ASYMPTOTIC_MINIMUM = 5.0


# Where the two-sided interval averages over nuisance parameters it takes seconds for two bins that cannot be
# pooled and so many events, seen and expected, and minutes for more: beyond, it is made on request only.
MOST_BINS_INTERVAL: dict[str, int] = {"none": 3, "hybrid": 2}


MOST_EVENTS_INTERVAL = 20


# Different bins of uncertain yields of which a p-value is enumerated: with each more it takes thirty times as
# long, of four bins seconds.
MOST_BINS_DISCOVERY = 4


# Above this signal uncertainty the exact engine has no expected limits with fluctuating auxiliary
# measurements: the statistic is no parabola in them any more.
LARGEST_SIGNAL_UNCERTAINTY_EXPECTED = 0.5


def experiment(model: CountingModel, treatment: Treatment = "frequentist") -> CountingExperiment:
    """The exact engine for a model: statistic, CLs and limits as functions of mu.

    Raises:
        ConfigError: a model that it does not take, or with named sources that it cannot hold
            (:func:`.reduction.reduced`).
    """
    check_choice("treatment", treatment, TREATMENTS)
    model = _held(model, treatment)
    groups = list(dict.fromkeys(model.background_groups))
    try:
        return CountingExperiment(
            observed=[float(b.observed) for b in model.bins],
            background=[b.background for b in model.bins],
            background_uncertainty=[b.background_uncertainty for b in model.bins],
            signal_fraction=[b.signal_fraction for b in model.bins],
            group=[groups.index(name) for name in model.background_groups],
            bin_signal_uncertainty=model.bin_signal_uncertainties,
            signal_uncertainty=model.signal_uncertainty,
            signal_constraint=Constraint.__members__[model.constraint],
            background_constraint=Constraint.__members__[model.background_constraint],
            treatment=CoreTreatment.__members__[treatment],
        )
    except ValueError as error:
        raise ConfigError(f"the counting model is not acceptable ({error}): correct it") from None


def _held(model: CountingModel, treatment: Treatment) -> CountingModel:
    """The model as the exact engine has it; of one whose parameters are fixed, without its sources."""
    return reduced(replace(model, named_sources=()) if treatment == "none" else model)


def upper_limit(
    model: CountingModel,
    *,
    cl: float = 0.9,
    method: Method = "exact",
    treatment: Treatment = "frequentist",
    work: Work = Work(),
    precision: float | None = None,
    expected: bool = True,
    criterion: Criterion = "cls",
    checked: bool = True,
) -> LimitResult:
    """The upper limit on the total expected number of signal events, with the expected band.

    Args:
        cl: confidence level, 0.9 in the paper.
        method, treatment: see the table at the top of this module; the treatment of a model without any
            uncertainty is ``none``, and named so in the result.
        work: of RooStats toys: their seed, and how many processes or which cluster make them.
        precision: of RooStats toys, which are added until the limit's own relative error is below it; by
            default that of :data:`.roostats.PRECISION`.
        expected: also the limits expected without signal; None where that part of the experiments excludes no
            signal, however large, because a gaussian signal uncertainty lets it vanish.
        criterion: ``cls``, or ``clsb`` for CLs+b, which excludes signals to which the data are not sensitive.
        checked: have toys check an enumeration that may be some per cent off (many events, data far from
            what was expected); without, hundreds of limits take seconds.

    Raises:
        ConfigError: a level outside (0, 1), an unknown method, treatment or criterion.
        ConvergenceError: no limit found (with CLs+b all signals may be excluded), a fit that failed, or
            data too improbable without signal for a limit by CLs to mean anything.
    """
    check_choice("criterion", criterion, CRITERIA)
    check_choice("method", method, METHODS)
    check_choice("treatment", treatment, TREATMENTS)
    _check_level(cl)
    if model.is_certain:
        treatment = "none"
    if method == "roostats":
        scan = roostats.scan_toys(
            model,
            cl=cl,
            treatment=treatment,
            work=work,
            precision=roostats.PRECISION if precision is None else precision,
            expected=expected,
            criterion=criterion,
        )
        return scan.result()
    if method == "asymptotic":
        return _asymptotic(model, cl, treatment, criterion, expected)
    return _enumerated(model, cl, treatment, criterion, expected, work, checked)


def _asymptotic(
    model: CountingModel, cl: float, treatment: Treatment, criterion: Criterion, expected: bool
) -> LimitResult:
    if treatment == "hybrid":  # the formulae know no priors: nuisance parameters are fitted
        treatment = "frequentist"
    try:
        engine, level = experiment(model, treatment), (cl, CoreCriterion.__members__[criterion])
    except IrreducibleError:
        _warn_if_too_few(model)
        of = Asymptotics(model, treatment)
        limit = of.upper_limit(cl, criterion)
        found = of.expected_limits(cl, criterion) if expected else (None,) * 5
        return _result(limit, TOLERANCE * limit, found, cl, "asymptotic", treatment, criterion)
    try:
        _warn_if_too_few(model)
        limit, error = engine.asymptotic_upper_limit(*level)
        bands = engine.asymptotic_expected_limits(*level) if expected else (None,) * 5
    except RuntimeError as cause:
        raise _no_limit(cause, criterion) from None
    return _result(limit, error, bands, cl, "asymptotic", treatment, criterion)


def _enumerated(
    model: CountingModel,
    cl: float,
    treatment: Treatment,
    criterion: Criterion,
    expected: bool,
    work: Work,
    checked: bool,
) -> LimitResult:
    """The limit by enumeration, which toys check: where they do not agree, or none is found, they set it."""
    events = sum(b.observed + b.background for b in model.bins)
    if events > MOST_EVENTS_OF_TOYS:
        raise ConfigError(
            f"{events:g} are too many events (at most {MOST_EVENTS_OF_TOYS:,}): use --method asymptotic"
        )
    try:
        model = _held(model, treatment)
    except IrreducibleError as cause:
        return _of_own_toys(model, cl, treatment, criterion, expected, work, cause.why)
    if events > MOST_EVENTS:
        why = f"{events:g} events are too many to enumerate"
        return _of_own_toys(model, cl, treatment, criterion, expected, work, why)
    engine, level = experiment(model, treatment), (cl, CoreCriterion.__members__[criterion])
    try:
        limit, error = engine.upper_limit(*level, MOST_FITS)
    except RuntimeError as cause:
        if criterion == "clsb":  # every signal may be excluded
            raise _no_limit(cause, criterion) from None
        try:
            return _of_own_toys(model, cl, treatment, criterion, expected, work, str(cause))
        except ConvergenceError:
            if model.constraint == "gaussian" and model.largest_signal_uncertainty > 0.0:
                raise _vanishing_signal() from None
            raise
    if criterion == "cls":
        _check_probable(model, engine, limit)
    found = (
        own_toys.check(model, limit, cl=cl, treatment=treatment, criterion=criterion, work=work)
        if checked
        else None
    )
    if found is not None:
        slope = _slope(engine, limit, criterion)
        if not found.agrees(error * slope):
            why = "enumeration and toys give different probabilities"
            return _of_own_toys(model, cl, treatment, criterion, expected, work, why, start=limit)
        # What the check does not exclude may be wrong.
        error += min(found.doubt / slope, limit)
    bands: Sequence[float | None] = (None,) * 5
    if expected and _has_expected_limits(model, treatment):
        try:
            bands = [_finite(value) for value in engine.expected_limits(*level, MOST_FITS)]
        except RuntimeError as cause:
            of_toys = _of_own_toys(model, cl, treatment, criterion, True, work, str(cause), start=limit)
            return of_toys.model_copy(
                update={"upper_limit": limit, "upper_limit_error": error, "method": "exact"}
            )
        if None in bands:
            warnings.warn(
                "some expected limits do not exist (a gaussian signal uncertainty lets the signal "
                "vanish): they are null; the lognormal constraint has them",
                stacklevel=3,
            )
    return _result(limit, error, bands, cl, "exact", treatment, criterion)


def _check_probable(model: CountingModel, engine: CountingExperiment, limit: float) -> None:
    """Raise ConvergenceError where the data are too improbable without signal."""
    if not any(
        b.observed < b.background - DEFICIT * math.hypot(math.sqrt(b.background), b.background_uncertainty)
        for b in model.bins
    ) and not sum(b.observed - b.background for b in model.bins) < -DEFICIT * math.sqrt(
        sum(b.background + b.background_uncertainty**2 for b in model.bins)
    ):
        return
    _, without_signal, _ = engine.confidence_levels(limit)
    if without_signal < LEAST_CLB:
        raise ConvergenceError(
            f"no limit (without signal, data like these have a probability of {without_signal:.0e}, and a "
            "limit would mean nothing): check counts and backgrounds"
        )


def _slope(engine: CountingExperiment, limit: float, criterion: Criterion) -> float:
    """How fast ln CLs (or CLs+b) falls with mu at a limit."""
    place = 2 if criterion == "cls" else 0
    here, beside = (engine.confidence_levels(mu)[place] for mu in (limit, BESIDE * limit))
    return max(math.log(here / beside), 1e-3) / ((BESIDE - 1.0) * limit)


def _has_expected_limits(model: CountingModel, treatment: Treatment) -> bool:
    largest = model.largest_signal_uncertainty
    if treatment != "frequentist" or largest <= LARGEST_SIGNAL_UNCERTAINTY_EXPECTED:
        return True
    warnings.warn(
        f"signal uncertainties above {LARGEST_SIGNAL_UNCERTAINTY_EXPECTED:g} (the exact engine "
        "has no expected limits there): use roostats",
        stacklevel=4,
    )
    return False


def _of_own_toys(
    model: CountingModel,
    cl: float,
    treatment: Treatment,
    criterion: Criterion,
    expected: bool,
    work: Work,
    why: str,
    start: float | None = None,
) -> LimitResult:
    log.info("%s: the limit is that of toys", why)
    scan = own_toys.scan_own_toys(
        model,
        cl=cl,
        treatment=treatment,
        work=work,
        precision=OWN_TOYS_PRECISION,
        expected=expected,
        criterion=criterion,
        start=start,
    )
    found = scan.result()
    # As of the enumeration, the error is one that the limit hardly ever exceeds.
    return found.model_copy(update={"method": "toys", "upper_limit_error": 2.0 * found.upper_limit_error})


def _vanishing_signal() -> ConvergenceError:
    return ConvergenceError(
        "no limit found (a gaussian signal uncertainty this large lets the signal vanish, and lognormal "
        "not): check the model"
    )


def _no_limit(cause: RuntimeError, criterion: Criterion) -> ConvergenceError:
    advice = "use --criterion cls" if criterion == "clsb" else "check the model"
    return ConvergenceError(f"no limit found ({cause}): {advice}")


def _result(
    limit: float,
    error: float,
    bands: Sequence[float | None],
    cl: float,
    method: str,
    treatment: Treatment,
    criterion: Criterion,
) -> LimitResult:
    return LimitResult(
        upper_limit=limit,
        upper_limit_error=error,
        expected=Expected(**dict(zip(Expected.model_fields, bands, strict=True))),
        cl=cl,
        method=method,
        treatment=treatment,
        toys=0,
        criterion=criterion,
    )


def card_limit(
    model: CountingModel, card: Card, *, expected: bool = False, checked: bool = True
) -> LimitResult:
    """The exact upper limit at the card's confidence level, with the card's treatment of the nuisances.

    Args:
        expected: also the limits expected without signal, as for :func:`upper_limit`.
        checked: as there.

    Raises:
        ConfigError, ConvergenceError: as :func:`upper_limit`.
    """
    limit = card.limit
    return upper_limit(
        model,
        cl=limit.confidence_level.value,
        treatment=limit.treatment,
        expected=expected,
        checked=checked,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def discovery(model: CountingModel, *, treatment: Treatment = "frequentist") -> Discovery:
    """The p-value of the background-only hypothesis, by enumeration (Cowan et al., Eq. 12).

    A p-value of one, where the data do not exceed the background, has significance zero.

    Raises:
        ConfigError: frequentist treatment of signal uncertainties of single bins.
    """
    try:
        statistic, p_value = experiment(model, treatment).discovery()
    except ValueError as error:
        raise ConfigError(f"no p-value ({error}): choose that treatment") from None
    significance = max(0.0, NormalDist().inv_cdf(1.0 - p_value)) if 1e-15 < p_value < 1.0 else 0.0
    if p_value <= 1e-15:
        # Below the reach of the enumeration the asymptotic value is excellent.
        significance = math.sqrt(statistic)
    return Discovery(statistic=statistic, p_value=p_value, significance=significance)


def has_discovery(model: CountingModel, treatment: Treatment) -> bool:
    """Whether the p-value without signal is a matter of seconds."""
    return treatment == "none" or _different_bins(model) <= MOST_BINS_DISCOVERY


def interval(
    model: CountingModel, *, cl: float = 0.9, treatment: Literal["none", "hybrid"] = "hybrid"
) -> tuple[float, float]:
    """The two-sided interval on the total expected signal, by likelihood-ratio ordering.

    Feldman and Cousins, PRD 57, 3873 (1998); uncertain yields are averaged over in the ensemble (``hybrid``).

    Raises:
        ConfigError: a level outside (0, 1) or another treatment.
    """
    _check_level(cl)
    check_choice("treatment of a two-sided interval", treatment, ("none", "hybrid"))
    return experiment(model, treatment).interval(cl)


def two_sided_p_value(
    model: CountingModel, mu: float, *, treatment: Literal["none", "hybrid"] = "hybrid"
) -> float:
    """How well the counts agree with a total expected signal `mu`, in the ordering of :func:`interval`.

    The probability at `mu` of counts whose likelihood ratio is no better than that of the observed ones: `mu`
    belongs to the interval at level cl where it exceeds 1 - cl.

    Raises:
        ConfigError: a negative or infinite `mu`, or another treatment.
    """
    check_number("mu", mu)
    check_choice("treatment of a two-sided interval", treatment, ("none", "hybrid"))
    return experiment(model, treatment).two_sided_p_value(mu)


@dataclass(frozen=True)
class Impact:
    """The limit with one source of uncertainty removed, and with it twice as large."""

    source: str
    upper_limit_without: float
    upper_limit_doubled: float


def impacts(
    model: CountingModel, *, cl: float = 0.9, treatment: Treatment = "frequentist"
) -> tuple[Impact, ...]:
    """How the limit depends on each uncertainty: signal sources, backgrounds by group, named sources.

    It is that of `upper_limit`: where toys set it, an impact below a per cent or so is chance.
    """

    def limit(changed: CountingModel) -> float:
        return upper_limit(changed, cl=cl, treatment=treatment, expected=False).upper_limit

    found = []
    sources = model.sources or {"signal": SignalSource(model.signal_uncertainty)}
    for name, source in sources.items():
        if source.uncertainty > 0.0:
            limits = [
                limit(
                    replace(
                        model,
                        signal_uncertainty=0.0,
                        signal_sources=sources
                        | {name: replace(source, uncertainty=factor * source.uncertainty)},
                    )
                )
                for factor in (0.0, 2.0)
            ]
            found.append(Impact(name, *limits))
    for group in dict.fromkeys(model.background_groups):
        members = [g == group for g in model.background_groups]
        if any(b.background_uncertainty > 0.0 for b, m in zip(model.bins, members, strict=True) if m):
            limits = [limit(model.with_background_uncertainty(group, factor)) for factor in (0.0, 2.0)]
            found.append(Impact(f"background {group}", *limits))
    for named in model.named_sources:
        others = tuple(other for other in model.named_sources if other is not named)
        limits = [
            limit(replace(model, named_sources=(*others, *changed))) for changed in ((), (named.scaled(2.0),))
        ]
        found.append(Impact(named.name, *limits))
    return tuple(found)


def _check_level(cl: float) -> None:
    if not 0.0 < cl < 1.0:
        raise ConfigError(f"confidence level {cl!r} is not acceptable (must lie between 0 and 1): try 0.9")


def _warn_if_too_few(model: CountingModel) -> None:
    background = _deciding_background(model)
    if background < ASYMPTOTIC_MINIMUM:
        warnings.warn(
            f"asymptotic limit with {background:.3g} expected background events in the bins that decide (it "
            f"needs {ASYMPTOTIC_MINIMUM:g}): up to 34 % too strong, use exact",
            stacklevel=3,
        )


def _deciding_background(model: CountingModel) -> float:
    """The background events of one bin that would tell as much: clean bins decide, others hardly count.

    Bins count by their ratio of signal to background, one event more in each so that a background of zero has
    a weight; the number is (sum of weights)^2 / (sum of squared weights) of the background events.
    """
    weights = [share / (b.background + 1.0) for share, b in zip(model.shares, model.bins, strict=True)]
    total = sum(w * b.background for w, b in zip(weights, model.bins, strict=True))
    squares = sum(w**2 * b.background for w, b in zip(weights, model.bins, strict=True))
    return total**2 / squares if squares else 0.0


def workspace(model: CountingModel) -> Any:
    """A RooWorkspace with the model, the observed data and two RooStats ModelConfig (see limits_roostats)."""
    return roofit.workspace(model)


def evidence(
    model: CountingModel, *, cl: float = 0.9, treatment: Treatment = "frequentist"
) -> tuple[Discovery | None, Interval | None]:
    """What a result says beside the limit when something is seen: evidence, and the two-sided interval.

    The interval fixes the nuisance parameters where the treatment is ``none`` and averages over them
    otherwise. Both are None where no event was observed; each warns and is None where it would take too long.

    Raises:
        ConfigError, ConvergenceError: as `upper_limit`.
    """
    if model.is_certain:
        treatment = "none"
    observed = sum(b.observed for b in model.bins)
    events = observed + sum(b.background for b in model.bins)
    if not observed:
        return None, None
    if events > MOST_EVENTS:
        warnings.warn(
            f"no p-value and no two-sided interval for {events:g} events (too many to enumerate): the limit "
            "stands alone",
            stacklevel=2,
        )
        return None, None
    try:
        model = _held(model, treatment)
    except IrreducibleError as cause:
        warnings.warn(
            f"no p-value and no two-sided interval ({cause.why}): the limit stands alone", stacklevel=2
        )
        return None, None
    try:
        different = _different_bins(model)
        found = None
        if has_discovery(model, treatment):
            own = treatment == "frequentist" and any(model.bin_signal_uncertainties)
            found = discovery(model, treatment="hybrid" if own else treatment)
        else:
            warnings.warn(
                f"no p-value without signal for {different} different bins (to enumerate them takes "
                "minutes): see the goodness of fit of `na64root fit`",
                stacklevel=2,
            )
        averaged: Literal["none", "hybrid"] = "none" if treatment == "none" else "hybrid"
        many = different > 1 and averaged == "hybrid" and events > MOST_EVENTS_INTERVAL
        if different > MOST_BINS_INTERVAL[averaged] or many:
            warnings.warn(
                f"no two-sided interval for {different} different bins and {events:g} events (it may take "
                "minutes): compute it by na64root.limits.interval",
                stacklevel=2,
            )
            return found, None
        low, high = interval(model, cl=cl, treatment=averaged)
    except RuntimeError as error:
        raise ConvergenceError(f"no p-value or interval found ({error}): check the model") from None
    return found, Interval(low=low, high=high, treatment=averaged)


def _different_bins(model: CountingModel) -> int:
    """Bins after the engine has pooled those of one group with the same ratios of their yields."""
    return len(
        {
            # a signal uncertainty of its own makes a bin different from all others
            (group, b.name if own > 0.0 else "", *(f"{value / largest:.9f}" for value in yields))
            for b, group, own in zip(
                model.bins, model.background_groups, model.bin_signal_uncertainties, strict=True
            )
            for yields in [(b.signal_fraction, b.background, b.background_uncertainty)]
            for largest in [max(*yields, 1e-300)]
        }
    )
