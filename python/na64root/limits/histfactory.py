"""Workspaces of pyhf (HistFactory JSON): what of them is a counting model, bin by bin.

The schema is that of pyhf 1.0.0 (Feickert, Heinrich, Stark, JOSS 6, 2823 (2021); HistFactory:
CERN-OPEN-2012-016). Normalisations and shapes with two sides are interpolated as pyhf's command line does,
by codes 4 and 4p.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .counting import Bin, CountingModel
from .model_texts import (
    LARGEST_NUMBER,
    NOTHING_OBSERVED,
    Found,
    Reader,
    bin_of_processes,
    damaged,
    stand_in,
    with_absolute,
)
from .named_sources import Effect, NamedSource

# What a parameter of the measurement is at its nominal value.
NOMINAL = {"normsys": 0.0, "histosys": 0.0, "staterror": 1.0, "shapesys": 1.0, "lumi": 1.0}


@dataclass
class _Sources:
    """What modifiers say of processes in bins, by the name of the source."""

    read: Reader
    shapes: dict[str, str] = field(default_factory=dict)
    effects: dict[str, list[Effect]] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    # Of processes without events: their uncertainty in events.
    absolute: dict[str, dict[tuple[str, str], float]] = field(default_factory=dict)

    def add(self, name: str, shape: str, effect: Effect, count: float = 0.0) -> None:
        if self.shapes.setdefault(name, shape) != shape:
            raise self.read.wrong(
                f"modifier {name}", f"is {self.shapes[name]} and {shape} (one parameter, two constraints)"
            )
        self.counts[name] = count
        self.effects.setdefault(name, []).append(effect)

    def made(self) -> list[NamedSource]:
        return [
            NamedSource(name, shape, tuple(self.effects[name]), self.counts[name], "histfactory")  # type: ignore[arg-type]
            for name, shape in self.shapes.items()
            if name in self.effects
        ]


def read_pyhf(path: Path, workspace: dict[str, Any]) -> Found:
    """The counting model of the first measurement of a workspace.

    Raises:
        DataError: parts that are missing or of another kind, a modifier that is not computed here, a
            parameter of interest that scales no sample.
    """
    read = Reader(path)
    measurements = read.part(workspace, "measurements", list, "the workspace")
    if not measurements:
        raise damaged(path, "no measurement", "give one with its parameter of interest")
    measurement = measurements[0]
    config = read.part(measurement, "config", dict, "the measurement")
    interest = read.part(config, "poi", str, "config of the measurement")
    notes = []
    if len(measurements) > 1:
        notes.append(f"of {len(measurements)} measurements the first, {measurement.get('name')}, is used")
    parameters = read.of_kind(config.get("parameters", []), list, "parameters of the measurement")
    settings = {read.part(p, "name", str, "a parameter of the measurement"): p for p in parameters}
    observed = {
        read.part(o, "name", str, "an observation"): read.numbers(o, "data", "an observation")
        for o in read.part(workspace, "observations", list, "the workspace")
    }
    sources = _Sources(read)
    kinds: dict[str, str] = {}
    bins: list[Bin] = []
    channels = read.part(workspace, "channels", list, "the workspace")
    for channel in channels:
        bins += _bins_of(read, channel, observed, interest, settings, sources, kinds)
    names = {read.part(c, "name", str, "a channel") for c in channels}
    if lost := [name for name in observed if name not in names]:
        raise damaged(path, f"observation of {lost[0]}, which is no channel")
    _check_settings(read, settings, kinds, interest, sources)
    if not any(b.signal_fraction for b in bins):
        raise damaged(
            path, f"the parameter of interest {interest} scales no events", "name the signal's normfactor"
        )
    bins = with_absolute(read, bins, sources.absolute, sources.effects)
    blind = NOTHING_OBSERVED in read.part(measurement, "name", str, "the measurement")
    if blind:
        bins = [replace(b, observed=stand_in(b.background)) for b in bins]
    model = CountingModel(tuple(bins), named_sources=tuple(sources.made()))
    return Found(model, sum(b.signal_fraction for b in bins), blind=blind, notes=notes)


def _bins_of(
    read: Reader,
    channel: Any,
    observed: dict[str, list[float]],
    interest: str,
    settings: dict[str, Any],
    sources: _Sources,
    kinds: dict[str, str],
) -> list[Bin]:
    name = read.part(channel, "name", str, "a channel")
    where = f"channel {name}"
    if name not in observed:
        raise read.wrong(where, "has no observation")
    counts = observed[name]
    names = [name] if len(counts) == 1 else [f"{name}_{i}" for i in range(len(counts))]
    parts: list[dict[bool, dict[str, float]]] = [{True: {}, False: {}} for _ in names]
    of_template: dict[str, list[tuple[str, list[float], list[float]]]] = {}
    for sample in read.part(channel, "samples", list, where):
        process = read.part(sample, "name", str, f"a sample of {where}")
        sample_where = f"sample {process} of {where}"
        data = read.numbers(sample, "data", sample_where)
        if len(data) != len(counts):
            raise read.wrong(sample_where, f"has {len(data)} bins, the observation {len(counts)}")
        if min(data, default=0.0) < 0.0:
            raise read.wrong(sample_where, f"expects {min(data):g} events")
        modifiers = [
            (
                read.part(m, "name", str, f"a modifier of {sample_where}"),
                read.part(m, "type", str, f"a modifier of {sample_where}"),
                m.get("data"),
            )
            for m in read.part(sample, "modifiers", list, sample_where)
        ]
        is_signal = any(m[:2] == (interest, "normfactor") for m in modifiers)
        for i, value in enumerate(data):
            if process in parts[i][True] or process in parts[i][False]:
                raise read.wrong(where, f"has two samples {process}")
            parts[i][is_signal][process] = value
        if sum(kind == "histosys" for _, kind, _ in modifiers) > 1:
            raise read.wrong(
                sample_where, "has two histosys (pyhf adds them, here uncertainties multiply: use normsys)"
            )
        for modifier, kind, content in modifiers:
            if (modifier, kind) == (interest, "normfactor"):
                continue
            kinds[modifier] = kind
            m_where = f"{kind} {modifier} of {sample_where}"
            if _is_fixed(read, settings.get(modifier), kind):
                continue
            if kind == "staterror":
                errors = _list(read, content, m_where, len(data))
                of_template.setdefault(modifier, []).append((process, data, errors))
            else:
                _read_modifier(
                    read, m_where, modifier, kind, content, names, process, data, settings, sources
                )
    for modifier, samples in of_template.items():
        _read_staterror(modifier, samples, names, sources)
    return [
        bin_of_processes(bin_name, count, part[True], part[False])
        for bin_name, count, part in zip(names, counts, parts, strict=True)
    ]


def _list(read: Reader, content: Any, where: str, size: int) -> list[float]:
    values = [read.of_kind(x, float, where) for x in read.of_kind(content, list, where)]
    if len(values) != size:
        raise read.wrong(where, f"has {len(values)} bins, its sample {size}")
    return values


def _is_fixed(read: Reader, setting: Any, kind: str) -> bool:
    if setting is None or not setting.get("fixed", False):
        return False
    if any(x != NOMINAL.get(kind, 1.0) for x in setting.get("inits", [])):
        raise read.wrong(f"parameter {setting['name']}", "is fixed beside its nominal value")
    return True


def _read_modifier(
    read: Reader,
    where: str,
    name: str,
    kind: str,
    content: Any,
    names: list[str],
    process: str,
    data: list[float],
    settings: dict[str, Any],
    sources: _Sources,
) -> None:
    if kind == "normsys":
        high, low = (read.part(content, end, float, where) for end in ("hi", "lo"))
        for bin_name in names:
            sources.add(name, "lognormal", Effect(bin_name, process, high, low))
    elif kind == "lumi":
        relative = _luminosity(read, where, settings.get(name))
        for bin_name in names:
            sources.add(name, "gaussian", Effect(bin_name, process, 1.0 + relative))
    elif kind == "histosys":
        highs, lows = (
            _list(read, read.part(content, end, list, where), where, len(data))
            for end in ("hi_data", "lo_data")
        )
        for bin_name, nominal, high, low in zip(names, data, highs, lows, strict=True):
            if nominal > 0.0:
                sources.add(name, "gaussian", Effect(bin_name, process, high / nominal, low / nominal))
            elif high != low:
                if high != -low:
                    raise read.wrong(where, "has two sides where nothing is expected")
                sources.absolute.setdefault(name, {})[bin_name, process] = high
    elif kind == "shapesys":
        for i, (bin_name, nominal, error) in enumerate(
            zip(names, data, _list(read, content, where, len(data)), strict=True)
        ):
            if error < 0.0:
                raise read.wrong(where, f"is {error:g}")
            if nominal > 0.0 and error > 0.0:  # pyhf leaves others out too
                count = (nominal / error) ** 2
                if not 0.0 < count < LARGEST_NUMBER:
                    raise read.wrong(where, f"is {error:g} of {nominal:g}")
                own = name if len(names) == 1 else f"{name}_{i}"
                sources.add(own, "gamma", Effect(bin_name, process, nominal / count), count)
    else:
        raise read.wrong(where, "is of a type that is not computed here")


def _luminosity(read: Reader, where: str, setting: Any) -> float:
    if setting is None:
        raise read.wrong(where, "has no auxdata and sigmas in the measurement")
    (measured,) = read.numbers(setting, "auxdata", where)[:1] or [0.0]
    (sigma,) = read.numbers(setting, "sigmas", where)[:1] or [-1.0]
    if measured != 1.0 or sigma <= 0.0:
        raise read.wrong(
            where, f"is {measured:g} +- {sigma:g} (here yields are those of a luminosity of one)"
        )
    return sigma


def _read_staterror(
    name: str, samples: list[tuple[str, list[float], list[float]]], names: list[str], sources: _Sources
) -> None:
    """One parameter for each bin: the errors of all samples in quadrature, over their sum."""
    for i, bin_name in enumerate(names):
        total = sum(data[i] for _, data, _ in samples)
        error = math.sqrt(sum(errors[i] ** 2 for _, _, errors in samples))
        if total > 0.0 and error > 0.0:
            own = name if len(names) == 1 else f"{name}_{i}"
            for process, _, _ in samples:
                sources.add(own, "gaussian", Effect(bin_name, process, 1.0 + error / total))


def _check_settings(
    read: Reader, settings: dict[str, Any], kinds: dict[str, str], interest: str, sources: _Sources
) -> None:
    for name, setting in settings.items():
        where = f"parameter {name}"
        if name == interest:
            if setting.get("fixed", False):
                raise read.wrong(where, "is fixed, but is the parameter of interest")
        elif kinds.get(name) != "lumi":
            for key in ("auxdata", "sigmas", "factors"):
                if key in setting:
                    raise read.wrong(where, f"has {key} of its own (not computed here)")
