"""What a limit rests on, in numbers: CLs against mu, the test statistic, each uncertainty."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from ..config import Treatment
from ..errors import ConfigError
from ..records import (
    AssumedUncertainty,
    ClsScan,
    Expected,
    LimitImpact,
    LimitResult,
    Record,
    StatisticDistribution,
    ToyPoint,
)
from ..work import Work
from . import roostats
from .counting import CountingModel
from .exact import MOST_EVENTS, TREATMENTS, Impact, Method, experiment, upper_limit
from .limit_impacts import limit_impacts
from .reduction import IrreducibleError, reduced
from .roostats import bayesian_limit, feldman_cousins_interval
from .toy_scan import Toys

log = logging.getLogger(__name__)

# Points of the curve of CLs, and the levels of its expected bands: near 1, where mu is nearly zero, the
# engine does not resolve expected limits.
CURVE_POINTS = 150


EXPECTED_CLS = (0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01)


# Toys with signal, and as many without, of the distributions of the statistic; the most bins below the
# observed value, which lies in the middle of its bin, and the most bins in all.
TOYS = 1000


BINS_TO_OBSERVED = 10


MOST_BINS = 40


SIGNAL_UNCERTAINTIES = tuple(0.05 * i for i in range(11))


BACKGROUND_FACTORS = tuple(0.5 * i for i in range(7))


class CrossChecks(Record):
    """Other answers of RooStats to the same counts, for the reader to compare; none of them is CLs.

    Attributes:
        feldman_cousins: ends of the two-sided interval by RooStats::NeymanConstruction.
        bayesian_upper_limit: by RooStats::BayesianCalculator with a flat prior in mu.
    """

    feldman_cousins: tuple[float, float]
    bayesian_upper_limit: float


class Diagnostics(Record):
    """The numbers behind the diagnostic figures of a limit. `cross_checks` is null but for RooStats.

    `limit_impacts` tell an impact from the jump of broken ties, which `impacts` have in them.
    """

    limit: LimitResult
    cls_scan: ClsScan
    test_statistic: StatisticDistribution
    impacts: list[Impact]
    limit_impacts: list[LimitImpact]
    assumed_uncertainties: list[AssumedUncertainty]
    cross_checks: CrossChecks | None


def diagnose(
    model: CountingModel,
    *,
    cl: float = 0.9,
    method: Method = "exact",
    treatment: Treatment = "frequentist",
    work: Work = Work(),
) -> Diagnostics:
    """The limit of `method`, and the diagnostics of it: exact curves, RooStats toys.

    Args:
        work: of RooStats toys and of the exact engine.

    Raises:
        ConfigError: too many events to enumerate, a model that the exact engine cannot hold; what
            `limits.upper_limit` raises.
        ConvergenceError: a limit that is not found, a fit that failed.
    """
    try:
        model = reduced(model)
    except IrreducibleError as cause:
        raise ConfigError(
            f"no diagnostics ({cause.why}; they are the exact engine's): leave them out, `na64root fit` "
            "shows impacts and scans"
        ) from None
    events = sum(b.observed + b.background for b in model.bins)
    if events > MOST_EVENTS:
        raise ConfigError(
            f"no diagnostics for {events:g} events (the exact engine enumerates at most "
            f"{MOST_EVENTS}): leave out --diagnostics"
        )
    log.info("setting the limit")
    exact = upper_limit(model, cl=cl, treatment=treatment)
    toys: list[ToyPoint] = []
    checks = None
    if method == "roostats":
        scan = roostats.scan_toys(
            model,
            cl=cl,
            treatment=treatment,
            work=work,
            precision=roostats.PRECISION,
            expected=True,
        )
        limit = scan.result()
        for point in sorted(scan.points.values(), key=lambda point: point.mu):
            log_cls, error = point.log_level("cls")
            if math.isfinite(log_cls):
                toys.append(ToyPoint(mu=point.mu, cls=math.exp(log_cls), error=error * math.exp(log_cls)))
        checks = CrossChecks(
            feldman_cousins=feldman_cousins_interval(model, cl=cl, seed=work.seed),
            bayesian_upper_limit=bayesian_limit(model, cl=cl),
        )
    elif method == "asymptotic":
        limit = upper_limit(model, cl=cl, method=method, treatment=treatment)
    else:
        limit = exact
    impacts = limit_impacts(model, cl=cl, treatment=treatment, work=work)
    log.info("computing the limit against each assumed uncertainty")
    with ThreadPoolExecutor(max_workers=work.threads) as pool:
        assumed = _against_uncertainties(model, cl, pool)
    return Diagnostics(
        limit=limit,
        cls_scan=_cls_scan(model, exact, treatment, toys),
        test_statistic=_distribution(
            roostats.toys(
                model, treatment, exact.upper_limit, with_signal=TOYS, without_signal=TOYS, seed=work.seed + 1
            ),
            treatment,
        ),
        impacts=[Impact(i.source, i.without, i.doubled) for i in impacts],
        limit_impacts=impacts,
        assumed_uncertainties=assumed,
        cross_checks=checks,
    )


def _cls_scan(
    model: CountingModel, exact: LimitResult, treatment: Treatment, toys: list[ToyPoint]
) -> ClsScan:
    engine = experiment(model, treatment)
    largest = max(1.5 * exact.upper_limit, 1.2 * (exact.expected.plus2 or 0.0))
    mu = np.linspace(0.0, largest, CURVE_POINTS + 1)[1:]
    # A quantile of CLs over experiments without signal is a level where the quantile of their limits at
    # that level is mu: the expected limits at many levels are the bands.
    expected: dict[str, list[float | None]] = {}
    if exact.expected.median is not None:
        bands = [engine.expected_limits(1.0 - level) for level in EXPECTED_CLS]
        columns = zip(*bands, strict=True)
        expected = {
            name: [value if math.isfinite(value) else None for value in values]
            for name, values in zip(Expected.model_fields, columns, strict=True)
        }
    return ClsScan(
        cl=exact.cl,
        treatment=treatment,
        upper_limit=exact.upper_limit,
        mu=mu.tolist(),
        cls=[engine.cls(float(value))[0] for value in mu],
        expected_cls=list(EXPECTED_CLS) if expected else [],
        expected=expected,
        toys=toys,
    )


def _distribution(toys: Toys, treatment: Treatment) -> StatisticDistribution:
    # RooStats' statistic is -ln of the likelihood ratio, q twice that.
    observed = 2.0 * toys.observed
    samples = [2.0 * values for values in (toys.with_signal, toys.without_signal)]
    largest = max(float(values.max()) for values in samples)
    if observed > 0.0:
        before = min(BINS_TO_OBSERVED, int(MOST_BINS * observed / largest))
        width = observed / (before + 0.5)
    else:
        width = max(largest, 1.0) / MOST_BINS
    number = min(MOST_BINS, max(2 * BINS_TO_OBSERVED, math.ceil(largest / width) + 1))
    edges = width * np.arange(number + 1)
    fractions = [
        np.histogram(np.minimum(values, edges[-1] - 0.5 * width), edges)[0] / len(values)
        for values in samples
    ]
    tails = toys.tail(toys.observed)
    return StatisticDistribution(
        mu=toys.mu,
        treatment=treatment,
        observed=observed,
        edges=edges.tolist(),
        with_signal=fractions[0].tolist(),
        without_signal=fractions[1].tolist(),
        tail_with_signal=tails[0] / len(toys.with_signal),
        tail_without_signal=tails[1] / len(toys.without_signal),
        toys=len(toys.with_signal),
    )


def _against_uncertainties(
    model: CountingModel, cl: float, pool: ThreadPoolExecutor
) -> list[AssumedUncertainty]:
    """The exact limits for a signal uncertainty of 0 to 50 %, and each background's scaled by 0 to 3."""

    def sweep(
        source: str, values: Iterable[float], assumed: float, change: Callable[[float], CountingModel]
    ) -> AssumedUncertainty:
        values = list(values)
        models = [change(value) for value in values]

        def limits_with(treatment: Treatment) -> list[float]:
            def limit(changed: CountingModel) -> float:
                return upper_limit(changed, cl=cl, treatment=treatment, expected=False).upper_limit

            return list(pool.map(limit, models))

        return AssumedUncertainty(
            source=source,
            values=values,
            assumed=assumed,
            upper_limit={treatment: limits_with(treatment) for treatment in TREATMENTS},
        )

    def with_signal(value: float) -> CountingModel:
        return replace(model, signal_sources={}, signal_uncertainty=value)

    uncertain = dict.fromkeys(
        group
        for b, group in zip(model.bins, model.background_groups, strict=True)
        if b.background_uncertainty > 0.0
    )
    return [
        sweep("signal", SIGNAL_UNCERTAINTIES, model.signal_uncertainty, with_signal),
        *(
            sweep(
                f"background {group}",
                BACKGROUND_FACTORS,
                1.0,
                functools.partial(model.with_background_uncertainty, group),
            )
            for group in uncertain
        ),
    ]
