"""A model with named sources as one of the same likelihood that the exact engine holds, if there is one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import ConfigError
from .counting import BackgroundConstraint, Bin, CountingModel
from .named_sources import NamedSource

# Two sources act on the bins in the same ratio to this, relative: they are then one.
PROPORTIONAL = 1e-9


class IrreducibleError(ConfigError):
    """The exact engine cannot hold the model; `why` says in which source that lies."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(
            f"{why} (the exact engine has no such source): use upper_limit, whose toys set the limit, and in "
            "place of p-values and two-sided intervals the fit"
        )


def reduced(model: CountingModel) -> CountingModel:
    """The model without named sources and with one process of each kind, of exactly the same limits.

    Log-normal sources that act in the same ratio on all bins are one, of the quadrature of their logarithms.
    What remains may be one signal source common to all bins and one of each bin alone, and one background
    source in each bin, all of one shape.

    Raises:
        IrreducibleError: there is none; it says which source is in the way.
    """
    if not model.named_sources and not any(b.signal_processes or b.background_processes for b in model.bins):
        return model
    of_signal: list[_Acting] = []
    of_background: list[_Acting] = []
    for source in model.named_sources:
        on_signal, on_background = _on(model, source, signal=True), _on(model, source, signal=False)
        if on_signal and on_background:
            raise _cannot(source.name, "acts on signal and background")
        if on_signal or on_background:
            if not source.is_symmetric:
                raise _cannot(source.name, "is asymmetric")
            (of_signal if on_signal else of_background).append(_Acting(source, on_signal or on_background))
    bins = tuple(replace(b, signal_processes={}, background_processes={}) for b in model.bins)
    plain = replace(model, bins=bins, named_sources=())
    if of_signal:
        plain = _with_signal(plain, of_signal)
    return _with_background(plain, of_background) if of_background else plain


@dataclass(frozen=True)
class _Acting:
    """A source and its slopes in the bins where it acts, those of all its processes there being the same."""

    source: NamedSource
    slopes: Mapping[str, float]

    @property
    def norm(self) -> float:
        return math.sqrt(sum(slope**2 for slope in self.slopes.values()))


def _on(model: CountingModel, source: NamedSource, *, signal: bool) -> dict[str, float]:
    effects = {(e.bin, e.process): e for e in source.effects}
    slopes: dict[str, float] = {}
    for b in model.bins:
        processes = b.signals if signal else b.backgrounds
        if source.shape == "gamma" and any((b.name, p) in effects for p in processes):
            if signal:
                raise _cannot(source.name, "counts a signal")
            if source.count == 0.0:
                raise _cannot(source.name, "counted no event")
            if any(part > 0.0 and (b.name, p) not in effects for p, part in processes.items()):
                raise _cannot(source.name, f"counts a part of {b.name}")
            slopes[b.name] = 1.0
            continue
        # No process without events matters.
        found = [effects.get((b.name, p)) for p, part in processes.items() if part > 0.0]
        values = {0.0 if e is None else source.slopes(e)[0] for e in found}
        if not values or values == {0.0}:
            continue
        if max(values) - min(values) > PROPORTIONAL:
            raise _cannot(source.name, f"acts differently on the processes of {b.name}")
        slopes[b.name] = max(values)
    return slopes


def _cannot(name: str, why: str) -> IrreducibleError:
    return IrreducibleError(f"source {name} {why}")


def _merged(sources: Iterable[_Acting]) -> list[_Acting]:
    """Log-normal sources in the same ratios as one."""
    found: list[_Acting] = []
    for new in sources:
        for i, old in enumerate(found):
            if new.slopes.keys() != old.slopes.keys():
                continue
            if new.source.shape != "lognormal" or old.source.shape != "lognormal":
                continue
            dot = sum(slope * old.slopes[name] for name, slope in new.slopes.items())
            if abs(abs(dot) - new.norm * old.norm) < PROPORTIONAL * new.norm * old.norm:
                scale = math.hypot(1.0, new.norm / old.norm)
                found[i] = _Acting(old.source, {name: scale * slope for name, slope in old.slopes.items()})
                break
        else:
            found.append(new)
    return found


def _one_shape(sources: list[_Acting], what: str) -> Any:
    shapes = {acting.source.shape for acting in sources}
    if len(shapes) > 1:
        raise _cannot(sources[-1].source.name, f"has another shape than the others of the {what}")
    return shapes.pop()


def _with_signal(model: CountingModel, sources: list[_Acting]) -> CountingModel:
    shape = _one_shape(sources, "signal")
    if model.largest_signal_uncertainty > 0.0:
        raise _cannot(sources[0].source.name, "is beside a signal uncertainty without name")
    seen = {b.name for b, share in zip(model.bins, model.shares, strict=True) if share > 0.0}
    common, own = 0.0, dict.fromkeys(seen, 0.0)
    for acting in _merged(sources):
        values = list(acting.slopes.values())
        size = abs(values[0])
        uncertainty = math.expm1(size) if shape == "lognormal" else size
        if acting.slopes.keys() == seen and max(values) - min(values) < PROPORTIONAL and not common:
            common = uncertainty
        elif len(values) == 1 and not own[next(iter(acting.slopes))]:
            own[next(iter(acting.slopes))] = uncertainty
        else:
            raise _cannot(acting.source.name, "is neither common to all signal nor of one bin alone")
    bins = tuple(replace(b, signal_uncertainty=own.get(b.name, 0.0)) for b in model.bins)
    return replace(model, bins=bins, signal_uncertainty=common, constraint=shape)


def _with_background(model: CountingModel, sources: list[_Acting]) -> CountingModel:
    shape: BackgroundConstraint = _one_shape(sources, "background")
    if any(b.background_uncertainty > 0.0 for b in model.bins):
        raise _cannot(sources[0].source.name, "is beside a background uncertainty without name")
    of_bin: dict[str, tuple[str, float]] = {}
    for acting in _merged(sources):
        sign = 1.0 if next(iter(acting.slopes.values())) > 0.0 else -1.0
        for name, slope in acting.slopes.items():
            if name in of_bin:
                raise _cannot(acting.source.name, f"is the second on the background of {name}")
            if sign * slope < 0.0:
                raise _cannot(acting.source.name, "raises one background where it lowers another")
            if shape == "gamma":
                relative = 1.0 / math.sqrt(acting.source.count)
            else:
                # A source that lowers all is the mirror of one that raises all.
                relative = math.expm1(abs(slope)) if shape == "lognormal" else abs(slope)
            of_bin[name] = acting.source.name, relative

    def bin_of(i: int, b: Bin) -> Bin:
        group, relative = of_bin.get(b.name, (f"{i}", 0.0))
        return replace(b, signature=group, background_uncertainty=relative * b.background)

    bins = tuple(bin_of(i, b) for i, b in enumerate(model.bins))
    return replace(model, bins=bins, background_constraint=shape, background_correlation="signature")
