"""Impacts on a limit without false ones: what an uncertainty does, apart from the ties that it breaks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

from ..config import Treatment
from ..records import LimitImpact, LimitResult
from ..work import Work
from .counting import CountingModel
from .exact import upper_limit
from .named_sources import NamedSource

# A source is as good as gone at this part of its size: a limit is smooth in it, but for the jump at zero.
VANISHING = 1e-3


# A jump is one beyond this many of the errors of its limits, and this part of the limit.
SURE, LEAST = 3.0, 1e-3


def limit_impacts(
    model: CountingModel, *, cl: float = 0.9, treatment: Treatment = "frequentist", work: Work = Work()
) -> list[LimitImpact]:
    """How the exact limit depends on each uncertainty, the jump at a vanishing one told from the impact.

    With few events many counts are as improbable as those seen: their statistics are equal. However small an
    uncertainty is, its auxiliary measurement breaks these ties, and the limit jumps. That is no impact of its
    size. Where toys set the limits, an impact below a per cent or so is chance.

    Raises:
        ConvergenceError: a limit that is not found.
    """
    sources = scaled_sources(model)
    progress = work.reporting("limits of the impacts")
    total, done = 3 * len(sources) + 1, 0

    def limit(changed: CountingModel) -> LimitResult:
        nonlocal done
        found = upper_limit(changed, cl=cl, treatment=treatment, expected=False, work=work)
        done += 1
        if progress is not None:
            progress(done, total)
        return found

    nominal = limit(model)
    impacts = []
    for name, scaled in sources.items():
        without, vanishing, doubled = (limit(scaled(factor)) for factor in (0.0, VANISHING, 2.0))
        jump = vanishing.upper_limit - without.upper_limit
        errors = without.upper_limit_error + vanishing.upper_limit_error
        impacts.append(
            LimitImpact(
                source=name,
                without=without.upper_limit,
                vanishing=vanishing.upper_limit,
                doubled=doubled.upper_limit,
                impact=nominal.upper_limit - vanishing.upper_limit,
                jump=jump,
                tie_breaking=abs(jump) > SURE * errors + LEAST * nominal.upper_limit,
            )
        )
    return impacts


def scaled_sources(model: CountingModel) -> dict[str, Callable[[float], CountingModel]]:
    """For each source of uncertainty the model with that source times a factor."""
    found: dict[str, Callable[[float], CountingModel]] = {}
    if model.sources:
        for name, source in model.sources.items():
            if source.uncertainty > 0.0:
                found[name] = functools.partial(_with_source, model, name)
    elif model.signal_uncertainty > 0.0:
        found["signal"] = functools.partial(_with_signal, model)
    for b in model.bins:
        if b.signal_uncertainty > 0.0:
            found[f"signal {b.name}"] = functools.partial(_with_bin, model, b.name)
    for group in dict.fromkeys(model.background_groups):
        if any(
            b.background_uncertainty > 0.0
            for b, name in zip(model.bins, model.background_groups, strict=True)
            if name == group
        ):
            found[f"background {group}"] = functools.partial(model.with_background_uncertainty, group)
    for named in model.named_sources:
        # Names of the others are no names to it.
        name = f"source {named.name}" if named.name in found else named.name
        found[name] = functools.partial(_with_named, model, named)
    return found


def _with_source(model: CountingModel, name: str, factor: float) -> CountingModel:
    source = model.sources[name]
    changed = {name: replace(source, uncertainty=factor * source.uncertainty)}
    return replace(model, signal_uncertainty=0.0, signal_sources=model.sources | changed)


def _with_signal(model: CountingModel, factor: float) -> CountingModel:
    return replace(model, signal_uncertainty=factor * model.signal_uncertainty)


def _with_bin(model: CountingModel, name: str, factor: float) -> CountingModel:
    bins = tuple(
        replace(b, signal_uncertainty=factor * b.signal_uncertainty) if b.name == name else b
        for b in model.bins
    )
    return replace(model, bins=bins)


def _with_named(model: CountingModel, named: NamedSource, factor: float) -> CountingModel:
    changed = (named.scaled(factor),) if factor > 0.0 else ()
    others = tuple(other for other in model.named_sources if other is not named)
    return replace(model, named_sources=(*others, *changed))
