"""The limit on a coupling itself: the values of one parameter that are excluded at one mass.

The expected signal is a function of the parameter, and the limit on it another, through the shares of the
signatures. Where the first exceeds the second, the parameter is excluded: no range, one, or more. The signal
is not monotonic in epsilon (production grows with its square, chi2 then decays too early), so an upper limit
on epsilon exists only where everything above it is excluded; else there are ranges.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from .. import limits
from ..annotations import Array
from ..config import Card
from ..errors import ConfigError
from ..records import Provenance, Quoted, Record, provenance
from ..signal import Mode
from ..work import Work
from .counting_models import counts_of_card, total_and_share, warn_of_published_sources
from .grids import Axis, Plane
from .planes import events_along
from .strength import Exclusion

# Points of the range where none are asked for; an excluded range narrower than a step is not found.
POINTS = 200


# Edges are found to this, relative.
EDGE = 1e-7


class ExcludedValues(Record):
    """One range of excluded values; an end that is that of the scanned range, and not an edge, is open."""

    low: float
    high: float
    low_is_open: bool
    high_is_open: bool


class CouplingLimit(Record):
    """The result of `na64root coupling`.

    Attributes:
        epsilon_is: what epsilon is where it is not the parameter.
        values: of the parameter; `n_signal` the expected events there, `upper_limit_events` the limit on
            them, null where there is no model.
        excluded: the ranges where the first exceeds the second; `excluded_expected` those of the limits that
            are expected without signal (`minus2` to `plus2`).
        upper_limit, lower_limit: of the parameter: the edge of the one range that is open above (below); null
            where there is no range, more than one, or one with two edges.
        largest_strength, at: the largest signal over its limit, and where.
        quoted: the limit on the events at the place `at`.
    """

    parameter: str
    mass_GeV: float
    epsilon_is: str
    mode: str
    values: list[float]
    n_signal: list[float | None]
    upper_limit_events: list[float | None]
    excluded: list[ExcludedValues]
    excluded_expected: dict[str, list[ExcludedValues]]
    upper_limit: float | None
    lower_limit: float | None
    largest_strength: float
    at: float
    verdict: str
    quoted: Quoted
    files: dict[str, str]
    provenance: Provenance


def coupling_limit(
    card: Card,
    mass_GeV: float,
    over: Axis | None = None,
    *,
    epsilon: float | None = None,
    mode: Mode = "semivisible",
    eot: Mapping[str, float] | None = None,
    work: Work = Work(),
) -> CouplingLimit:
    """The excluded values of one parameter at one A' mass, for the card's own counts.

    Args:
        over: the parameter and the range that is looked at, by default epsilon as in the card's plane.
        epsilon: where it is not the parameter; that of the central g-2 line when not given.
        eot: electrons on target in place of the card's.

    Raises:
        ConfigError: a parameter that is the mass, a mass or epsilon that is no number above zero, an epsilon
            beside a range of it; nowhere a model in the range.
        ConvergenceError: an integral or a limit that did not converge.
    """
    axis = over or Axis("epsilon", card.plane.epsilon_min.value, card.plane.epsilon_max.value, POINTS)
    if axis.quantity in ("mass", "mass1"):
        raise ConfigError(f"--over {axis.quantity} (a limit is at one mass): give epsilon, alpha or another")
    if not (math.isfinite(mass_GeV) and mass_GeV > 0.0):
        raise ConfigError(f"--mass-GeV {mass_GeV:g} (must be above zero): correct it")
    plane = Plane.of_axes(card, Axis("mass", mass_GeV, 2.0 * mass_GeV, 2), axis, epsilon=epsilon)
    warn_of_published_sources(card)
    counts, exposure = counts_of_card(card, eot)
    if mode == "invisible":
        counts = [count for count in counts if count.signature == "S2"]
    exclusion = Exclusion(card, counts, exposure, mode=mode, expected=True, work=work)

    def found(values: Array) -> tuple[Array, dict[str, Array]]:
        events, varied, _ = events_along(exclusion, plane, mass_GeV, values.tolist())
        known = np.asarray(np.isfinite(events).all(axis=1))
        strengths = exclusion.strengths(np.where(known[:, None], events, 0.0), varied)
        return events, {name: np.where(known, s, math.nan) for name, s in strengths.items()}

    events, strengths = found(axis.values)
    if np.isnan(strengths["observed"]).all():
        raise ConfigError(
            f"no model for any {axis.quantity} in this range (A' -> chi1 chi2 is closed, or there is no g-2 "
            "line): give another --over, or --epsilon"
        )

    def strength(name: str, value: float) -> float:
        return float(found(np.array([value]))[1][name][0])

    ranges = {
        name: excluded_ranges(axis.values, values, functools.partial(strength, name))
        for name, values in strengths.items()
    }
    observed = strengths["observed"]
    best = int(np.nanargmax(observed))
    _, share = total_and_share(np.nan_to_num(events[best : best + 1]))
    quoted = limits.quoted(limits.card_limit(exclusion.limit.model(float(share[0])), card))
    excluded = ranges.pop("observed")
    upper = excluded[0].low if len(excluded) == 1 and _open(excluded[0]) == "above" else None
    lower = excluded[0].high if len(excluded) == 1 and _open(excluded[0]) == "below" else None
    n_signal = events.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        limit_events = n_signal / observed
    return CouplingLimit(
        parameter=axis.quantity,
        mass_GeV=mass_GeV,
        epsilon_is="the parameter" if axis.quantity == "epsilon" else plane.epsilon_is,
        mode=mode,
        values=axis.values.tolist(),
        n_signal=_finite(n_signal),
        upper_limit_events=_finite(limit_events),
        excluded=excluded,
        excluded_expected=ranges,
        upper_limit=upper,
        lower_limit=lower,
        largest_strength=float(observed[best]),
        at=float(axis.values[best]),
        verdict=verdict(axis, excluded, float(observed[best]), float(axis.values[best])),
        quoted=quoted,
        files={},
        provenance=provenance(card, seed=work.seed, limit_method=f"exact, {card.limit.treatment}"),
    )


def excluded_ranges(
    values: Array, strengths: Array, strength: Callable[[float], float]
) -> list[ExcludedValues]:
    """Where a strength is at least 1: ranges with their edges between the points of a grid, by bisection.

    Args:
        values, strengths: shape (n,), rising values; a strength of NaN, no model, is not excluded.
        strength: between them.
    """
    inside = np.flatnonzero(np.nan_to_num(strengths, nan=0.0) >= 1.0)
    if not len(inside):
        return []

    def edge(within: float, beyond: float) -> float:
        while abs(beyond / within - 1.0) > EDGE:
            middle = math.sqrt(within * beyond)
            here = strength(middle)
            within, beyond = (middle, beyond) if here >= 1.0 else (within, middle)
        return within

    last = len(values) - 1
    return [
        ExcludedValues(
            low=float(values[0])
            if part[0] == 0
            else edge(float(values[part[0]]), float(values[part[0] - 1])),
            high=float(values[last])
            if part[-1] == last
            else edge(float(values[part[-1]]), float(values[part[-1] + 1])),
            low_is_open=bool(part[0] == 0),
            high_is_open=bool(part[-1] == last),
        )
        for part in np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1)
    ]


def _open(found: ExcludedValues) -> str:
    if found.low_is_open and found.high_is_open:
        return "both"
    return "above" if found.high_is_open else "below" if found.low_is_open else "neither"


def verdict(axis: Axis, excluded: Sequence[ExcludedValues], largest: float, at: float) -> str:
    """The excluded ranges in words; `largest` is the largest strength, at the value `at`."""
    name, ends = axis.quantity, f"{axis.low:g} to {axis.high:g}"
    if not excluded:
        part = f"{largest:.3g} of its limit at most, at {at:.3g}"
        return f"no {name} from {ends} is excluded: the signal is {part}"
    ranges = " and ".join(f"{one.low:.4g} to {one.high:.4g}" for one in excluded)
    if len(excluded) > 1:
        return (
            f"{len(excluded)} ranges of {name} are excluded, {ranges}; what lies between is allowed, so "
            "there is no upper limit"
        )
    return {
        "both": f"every {name} from {ends} is excluded: the edges lie outside",
        "above": f"{name} above {excluded[0].low:.4g} is excluded (up to {axis.high:g}, where it ends)",
        "below": f"{name} below {excluded[0].high:.4g} is excluded (down to {axis.low:g}, where it ends)",
        "neither": f"{name} from {ranges} is excluded; less and more is allowed, so there is no upper limit",
    }[_open(excluded[0])]


def _finite(values: Array) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]
