"""What `na64root fit` tells of a counting model: the parts that are wanted, each with one treatment."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from ..config import Card, Treatment
from ..errors import ConfigError
from ..records import FitReport, Interval, LikelihoodScan, LimitResult, PointTest, Provenance
from ..work import Work, said_while
from .bayesian import Prior, posterior
from .best_fit import FittedModel, best_fit, goodness_of_fit, injection, strength_impacts
from .counting import CountingModel, check_number
from .exact import (
    MOST_BINS_INTERVAL,
    MOST_EVENTS,
    MOST_EVENTS_INTERVAL,
    discovery,
    experiment,
    has_discovery,
    interval,
    two_sided_p_value,
    upper_limit,
)
from .limit_impacts import limit_impacts
from .reduction import IrreducibleError

Part = Literal["fit", "goodness", "injection", "scan", "point", "interval", "bayesian", "impacts"]
PARTS: tuple[Part, ...] = get_args(Part)

# Points of the scans, up to this many limits.
SCAN_POINTS, SCAN_TO = 100, 2.0


TOYS = 2000


# Fewer toys say nothing, more take minutes.
LEAST_TOYS, MOST_TOYS = 100, 1_000_000


@dataclass(frozen=True)
class FitOptions:
    """What is wanted of a fit.

    Attributes:
        parts: of :data:`PARTS`; `point` needs `mu`.
        toys: of the goodness of fit, and for each injected strength.
        strengths: that are injected; by default 0, the limit, and twice the limit.
        mu: the strength of a point to test, and the mass in GeV and epsilon that it belongs to.
        prior: of the Bayesian limit.

    Raises:
        ConfigError: an unknown part, a number of toys or a strength that is none, `point` without `mu`.
    """

    parts: Collection[Part] = ("fit", "goodness", "injection", "scan", "interval", "bayesian", "impacts")
    toys: int = TOYS
    strengths: tuple[float, ...] | None = None
    mu: float | None = None
    mass_GeV: float | None = None
    epsilon: float | None = None
    prior: Prior = "flat"

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.parts) - set(PARTS)):
            raise ConfigError(f"no part {unknown[0]} of a fit (known: {', '.join(PARTS)}): correct it")
        if not LEAST_TOYS <= self.toys <= MOST_TOYS:
            raise ConfigError(
                f"{self.toys} toys ({LEAST_TOYS} to {MOST_TOYS:,} say something): correct --toys"
            )
        for strength in self.strengths or ():
            check_number("injected strength", strength)
        if self.mu is not None:
            check_number("mu", self.mu)
        if "point" in self.parts and self.mu is None:
            raise ConfigError(
                "a test of a point without its strength: give --mu, or --mass-GeV and --epsilon"
            )


def fit(
    model: CountingModel,
    card: Card,
    options: FitOptions = FitOptions(),
    *,
    provenance: Provenance,
    work: Work = Work(),
) -> FitReport:
    """Fit a counting model, and test it in the ways that are wanted, at the card's level and treatment.

    Raises:
        ConfigError: as :func:`.exact.upper_limit`; a point of a model that cannot be enumerated.
        ConvergenceError: a fit or a limit that was not found.
    """
    cl = card.limit.confidence_level.value
    treatment: Treatment = "none" if model.is_certain else card.limit.treatment
    parts, notes = set(options.parts), list[str]()
    found: dict[str, Any] = {}
    if "point" in parts:
        _require_enumeration(model, treatment)
    with said_while("the limit"):
        limit = upper_limit(model, cl=cl, treatment=treatment, work=work)
    fitted = FittedModel(model, treatment)
    best = best_fit(fitted) if parts & {"fit", "impacts"} else None
    if "fit" in parts:
        found["fit"] = best
    if "goodness" in parts:
        found["goodness"] = goodness_of_fit(fitted, toys=options.toys, work=work)
    if "injection" in parts:
        strengths = options.strengths or (0.0, limit.upper_limit, 2.0 * limit.upper_limit)
        found["injection"] = injection(fitted, strengths, toys=options.toys, work=work)
    if "scan" in parts:
        found["scan"] = _scan(model, fitted, limit, treatment, notes, work)
    if "point" in parts:
        with said_while("the test of the point"):
            found["point"] = _point(model, options, cl, treatment, notes)
    if "interval" in parts:
        with said_while("the enumeration for p-value and two-sided interval"):
            found |= _interval(model, limit, treatment, notes)
    if "bayesian" in parts:
        with said_while("the integral over nuisance parameters"):
            found["bayesian"] = posterior(model, cl=cl, prior=options.prior, seed=work.seed)
    if "impacts" in parts:
        assert best is not None, "made above"
        found["limit_impacts"] = limit_impacts(model, cl=cl, treatment=treatment, work=work)
        found["strength_impacts"] = strength_impacts(fitted, best)
        for impact in found["limit_impacts"]:
            if impact.tie_breaking:
                notes.append(
                    f"{impact.source}: {impact.without:.4g} without it, {impact.vanishing:.4g} with however "
                    "little of it: a jump, since it breaks ties of counts, and no impact of its size"
                )
        if found["limit_impacts"] and limit.method != "exact":
            notes.append("impacts on the limit below a per cent or so are chance (toys set the limits)")
        if bound := [p.name for p in best.parameters if p.error is None]:
            notes.append(
                f"no impact on mu of {', '.join(bound)} (fitted at an end of its range, without an error)"
            )
    empty: dict[str, Any] = dict.fromkeys(("fit", "scan", "point", "discovery", "interval", "bayesian"))
    lists: dict[str, Any] = {
        name: [] for name in ("goodness", "injection", "limit_impacts", "strength_impacts")
    }
    return FitReport(
        cl=cl,
        treatment=treatment,
        limit=limit,
        **(empty | lists | found),
        notes=notes,
        files={},
        provenance=provenance,
    )


def _events(model: CountingModel) -> float:
    return sum(b.observed + b.background for b in model.bins)


def _scan(
    model: CountingModel,
    fitted: FittedModel,
    limit: LimitResult,
    treatment: Treatment,
    notes: list[str],
    work: Work,
) -> LikelihoodScan:
    mu = np.linspace(0.0, SCAN_TO * limit.upper_limit, SCAN_POINTS + 1)
    cls: list[float] | None = None
    if _events(model) > MOST_EVENTS or limit.method != "exact":
        notes.append(f"no CLs scan for {_events(model):g} events (too many, or too odd, to enumerate)")
    else:
        engine, progress = experiment(model, treatment), work.reporting("points of the CLs scan")
        cls = [1.0]
        for value in mu[1:].tolist():
            cls.append(engine.cls(value)[0])
            if progress is not None:
                progress(len(cls), len(mu))
    return LikelihoodScan(
        mu=mu.tolist(),
        two_delta_nll=[fitted.ratio(value, fitted.counts, fitted.measured) for value in mu.tolist()],
        cls=cls,
    )


def _two_sided(model: CountingModel, treatment: Treatment) -> Literal["none", "hybrid"] | None:
    """The treatment of two-sided statements; None where they would take minutes."""
    averaged: Literal["none", "hybrid"] = "none" if treatment == "none" else "hybrid"
    events, bins = _events(model), len(model.bins)
    many = bins > 1 and averaged == "hybrid" and events > MOST_EVENTS_INTERVAL
    if events > MOST_EVENTS or bins > MOST_BINS_INTERVAL[averaged] or many:
        return None
    return averaged


def _require_enumeration(model: CountingModel, treatment: Treatment) -> None:
    """Refuse a point without p-values, before minutes of toys.

    Raises:
        ConfigError: too many events, or sources that the exact engine does not hold.
    """
    if _events(model) > MOST_EVENTS:
        raise ConfigError(
            f"no p-values for {_events(model):g} events (at most {MOST_EVENTS} are enumerated): leave the "
            "point out"
        )
    try:
        experiment(model, treatment)
    except IrreducibleError as cause:
        raise ConfigError(
            f"no p-values of a point ({cause.why}, and the exact engine has no such source): leave the point "
            "out"
        ) from None


def _point(
    model: CountingModel, options: FitOptions, cl: float, treatment: Treatment, notes: list[str]
) -> PointTest:
    assert options.mu is not None, "FitOptions"
    clsb, clb, cls = experiment(model, treatment).confidence_levels(options.mu)
    averaged = _two_sided(model, treatment)
    if averaged is None:
        notes.append("no two-sided p-value of the point (it may take minutes)")
    return PointTest(
        mu=options.mu,
        mass_GeV=options.mass_GeV,
        epsilon=options.epsilon,
        clsb=clsb,
        clb=clb,
        cls=cls,
        two_sided_p_value=None
        if averaged is None
        else two_sided_p_value(model, options.mu, treatment=averaged),
        excluded=cls <= 1.0 - cl,
    )


def _interval(
    model: CountingModel, limit: LimitResult, treatment: Treatment, notes: list[str]
) -> dict[str, Any]:
    """The Feldman-Cousins interval, and the p-value without signal."""
    if limit.method != "exact":
        notes.append(
            "no p-value without signal and no Feldman-Cousins interval (toys set the limit, nothing is "
            "enumerated): see the goodness of fit"
        )
        return {}
    averaged = _two_sided(model, treatment)
    found: dict[str, Any] = {}
    if not has_discovery(model, treatment):
        notes.append("no p-value without signal (too much to enumerate: see the goodness of fit)")
    else:
        own = treatment == "frequentist" and any(model.bin_signal_uncertainties)
        found["discovery"] = discovery(model, treatment="hybrid" if own else treatment)
    if averaged is None:
        notes.append("no Feldman-Cousins interval (it may take minutes: na64root.limits.interval)")
        return found
    low, high = interval(model, cl=limit.cl, treatment=averaged)
    if not math.isfinite(high):
        notes.append("the Feldman-Cousins interval has no upper end")
        return found
    return found | {"interval": Interval(low=low, high=high, treatment=averaged)}
