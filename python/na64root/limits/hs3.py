"""HS3 (HEP Statistics Serialization Standard) of counting models, as RooFit writes them for our export.

A rate is a tree of sums, products, polynomials and interpolations; here it is multiplied out into processes,
each a number times factors that follow one parameter.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .counting import Bin, CountingModel
from .likelihood import SMALLEST_BACKGROUND
from .model_texts import (
    NOTHING_OBSERVED,
    Found,
    Reader,
    bin_of_processes,
    damaged,
    stand_in,
    with_absolute,
)
from .named_sources import Effect, NamedSource
from .roofit import joined_formula

# Our formula of two joined slopes; it is made again from what it holds and compared.
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


_JOINED = re.compile(
    rf"(exp\(|1\+)\(abs\((\w+)\)<[\d.]+\?\2\*\(({_NUMBER})\+\(({_NUMBER})\).*"
    rf":\(\2>0\?\(({_NUMBER})\)\*\2:\(({_NUMBER})\)\*\2\)\)\)?"
)


# The formulas of the other factors.
_POWER = re.compile(rf"exp\(({_NUMBER})\*(\w+)\)")


_LINE = re.compile(r"(\w+)\+(\w+)\*(\w+)")


# Deeper trees than this are none of a counting model.
DEEPEST = 50


# Prefixes of the nuisance parameters of our own workspaces, which are not part of a source's name.
PREFIXES = ("alpha_", "eta_")


@dataclass(frozen=True)
class _Factor:
    """Two slopes in a parameter as :class:`.named_sources.NamedSource` has them, or the parameter itself."""

    parameter: str
    shape: str  # lognormal, gaussian, or itself
    up: float = 1.0
    down: float | None = None
    interpolation: str = "histfactory"


@dataclass(frozen=True)
class _Term:
    """A number times the parameter of interest, or not, times factors.

    `absolute` is the slope in events of a yield that is nothing at a parameter of zero.
    """

    constant: float
    is_signal: bool = False
    factors: tuple[_Factor, ...] = ()
    absolute: tuple[str, float] | None = None


class _Graph:
    """The objects of a file by name, and what their parameters are."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.read = Reader(path)
        self.content = content
        self.functions = self._named("functions")
        self.distributions = self._named("distributions")
        self.data = self._named("data")
        self.values: dict[str, float] = {}
        self.constants: set[str] = set()
        for point in self.read.of_kind(content.get("parameter_points", []), list, "parameter_points"):
            if self.read.part(point, "name", str, "a parameter point") != "default_values":
                continue
            for parameter in self.read.part(point, "parameters", list, "default_values"):
                name = self.read.part(parameter, "name", str, "a parameter")
                self.values[name] = self.read.part(parameter, "value", float, f"parameter {name}")
                if parameter.get("const", False):
                    self.constants.add(name)
        analyses = self.read.part(content, "analyses", list, "the file")
        if not analyses:
            raise damaged(path, "no analysis", "give one with its parameter of interest")
        interest = self.read.texts(analyses[0], "parameters_of_interest", "the analysis")
        if len(interest) != 1:
            raise damaged(path, f"{len(interest)} parameters of interest", "give one")
        self.interest = interest[0]
        self.likelihood = self.read.part(analyses[0], "likelihood", str, "the analysis")
        # Parameters with a normal measurement, and with a count: its events for a parameter of one, and seen.
        self.normal: set[str] = set()
        self.counted: dict[str, tuple[float, float]] = {}

    def _named(self, key: str) -> dict[str, Any]:
        items = self.read.of_kind(self.content.get(key, []), list, key)
        return {self.read.part(item, "name", str, f"one of {key}"): item for item in items}

    def number(self, what: Any, where: str) -> float:
        """A number, or the value of a constant."""
        if isinstance(what, str):
            if what not in self.values or (what not in self.constants and what in self.free()):
                raise self.read.wrong(where, f"is {what}, which is no constant")
            return self.values[what]
        return float(self.read.of_kind(what, float, where))

    def free(self) -> set[str]:
        """Parameters that are fitted."""
        return {self.interest, *self.normal, *self.counted}

    def add_constraint(self, name: str) -> None:
        """What an auxiliary measurement says of its parameter."""
        item = self.distributions[name]
        kind, where = item.get("type"), f"distribution {name}"
        measured = self.number(self.read.part(item, "x", str, where), where)
        if kind == "gaussian_dist":
            parameter = self.read.part(item, "mean", str, where)
            if measured != 0.0 or self.number(item.get("sigma"), where) != 1.0:
                raise self.read.wrong(where, "is not one of mean zero and width one (not computed here)")
            self.normal.add(parameter)
        else:
            mean = self.functions.get(self.read.part(item, "mean", str, where), {})
            factors = self.read.texts(mean, "factors", where) if mean.get("type") == "product" else []
            if len(factors) != 2 or factors[0] not in self.constants or self.values[factors[0]] <= 0.0:
                raise self.read.wrong(where, "has a mean that is no constant times a parameter")
            self.counted[factors[1]] = (self.values[factors[0]], measured)

    def terms(self, what: Any, where: str, depth: int = 0) -> list[_Term]:
        """A function multiplied out."""
        if depth > DEEPEST:
            raise self.read.wrong(where, "is a function of itself")
        if not isinstance(what, str):
            return [_Term(float(self.read.of_kind(what, float, where)))]
        if what == self.interest:
            return [_Term(1.0, is_signal=True)]
        if what in self.counted:
            return [_Term(1.0, factors=(_Factor(what, "itself"),))]
        if what in self.normal:
            return [_Term(0.0, absolute=(what, 1.0))]
        if what not in self.functions:
            if what not in self.constants:
                raise self.read.wrong(
                    where, f"follows {what[:60]}, which is no constant and was not measured"
                )
            return [_Term(self.values[what])]
        item, inner = self.functions[what], f"function {what}"
        kind = self.read.part(item, "type", str, inner)
        if kind == "sum":
            parts = self.read.part(item, "summands", list, inner)
            return [term for part in parts for term in self.terms(part, inner, depth + 1)]
        if kind == "product":
            found = [_Term(1.0)]
            for part in self.read.part(item, "factors", list, inner):
                found = [
                    self._times(one, other, inner)
                    for one in found
                    for other in self.terms(part, inner, depth + 1)
                ]
            return found
        if kind == "polynomial":
            return [self._polynomial(item, inner)]
        if kind == "interpolation0d":
            return [self._interpolation(item, inner)]
        if kind == "generic_function":
            return [self._formula(item, inner)]
        raise self.read.wrong(inner, f"is of type {kind[:40]} (not computed here)")

    def _times(self, one: _Term, other: _Term, where: str) -> _Term:
        if one.is_signal and other.is_signal:
            raise self.read.wrong(where, f"has {self.interest} twice")
        if one.absolute and other.absolute:
            raise self.read.wrong(where, "is a product of two parameters (not computed here)")
        absolute = one.absolute or other.absolute
        if absolute:
            scale = other.constant if one.absolute else one.constant
            absolute = absolute[0], scale * absolute[1]
        return _Term(
            one.constant * other.constant,
            one.is_signal or other.is_signal,
            (*one.factors, *other.factors),
            absolute,
        )

    def _measured(self, parameter: Any, where: str) -> str:
        if not isinstance(parameter, str) or parameter not in self.normal:
            raise self.read.wrong(where, f"follows {str(parameter)[:60]}, which has no normal measurement")
        return parameter

    def _polynomial(self, item: Any, where: str) -> _Term:
        parameter = self._measured(item.get("x"), where)
        parts = self.read.part(item, "coefficients", list, where)
        coefficients = [self.number(x, where) for x in parts]
        if len(coefficients) != 2:
            raise self.read.wrong(where, "is no straight line")
        offset, slope = coefficients
        if offset == 0.0:
            return _Term(0.0, absolute=(parameter, slope))
        return _Term(offset, factors=(_Factor(parameter, "gaussian", 1.0 + slope / offset),))

    def _interpolation(self, item: Any, where: str) -> _Term:
        factors = []
        names = self.read.part(item, "vars", list, where)
        highs, lows, codes = (
            self.read.numbers(item, key, where) for key in ("high", "low", "interpolationCodes")
        )
        if not len(names) == len(highs) == len(lows) == len(codes):
            raise self.read.wrong(where, "has lists of different lengths")
        nominal = self.number(item.get("nom"), where)
        for name, high, low, code in zip(names, highs, lows, codes, strict=True):
            symmetric = abs(high * low - 1.0) < 1e-9
            if nominal != 1.0 or not (code == 4.0 or (code == 1.0 and symmetric)):
                raise self.read.wrong(where, f"is interpolated by code {code:g} (not computed here)")
            factors.append(_Factor(self._measured(name, where), "lognormal", high, low))
        return _Term(1.0, factors=tuple(factors))

    def _formula(self, item: Any, where: str) -> _Term:
        expression = self.read.part(item, "expression", str, where)
        if (power := _POWER.fullmatch(expression)) is not None:
            high = math.exp(float(power[1]))
            return _Term(1.0, factors=(_Factor(self._measured(power[2], where), "lognormal", high),))
        if (line := _LINE.fullmatch(expression)) is not None:
            offset, slope, x = line.groups()
            return self._polynomial({"coefficients": [offset, slope], "x": x}, where)
        found = _JOINED.fullmatch(expression)
        if found is not None:
            start, x, mean, half, up, down = found.groups()
            additive = start == "1+"
            kind = "additive" if additive else "combine"
            if joined_formula(kind, x, mean, half, up, down) == expression and math.isclose(
                float(up) + float(down), 2.0 * float(mean), abs_tol=1e-12
            ):
                sides = float(up), float(down)
                if additive:
                    factor = _Factor(self._measured(x, where), "gaussian", 1.0 + sides[0], 1.0 - sides[1])
                else:
                    ends = math.exp(sides[0]), math.exp(-sides[1])
                    factor = _Factor(self._measured(x, where), "lognormal", *ends, "combine")
                return _Term(1.0, factors=(factor,))
        raise self.read.wrong(where, f"is the formula {expression[:40]} (not computed here)")


def read_hs3(path: Path, content: dict[str, Any]) -> Found:
    """The counting model of the first analysis of an HS3 file.

    Raises:
        DataError: parts that are missing or of another kind, and objects that no counting model of ours has.
    """
    graph = _Graph(path, content)
    read = graph.read
    likelihood = next(
        (
            x
            for x in read.part(content, "likelihoods", list, "the file")
            if read.part(x, "name", str, "a likelihood") == graph.likelihood
        ),
        None,
    )
    if likelihood is None:
        raise damaged(path, f"no likelihood {graph.likelihood}", "give the whole file")
    distributions = read.texts(likelihood, "distributions", "the likelihood")
    data = read.texts(likelihood, "data", "the likelihood")
    rates: list[tuple[str, Any, float]] = []
    for name, of in zip(distributions, data, strict=False):
        rates += _channels(graph, name, of)
    if len(distributions) != len(data):
        raise damaged(path, f"{len(distributions)} distributions and {len(data)} data")
    metadata = read.of_kind(content.get("metadata", {}), dict, "metadata")
    blind = NOTHING_OBSERVED in str(metadata.get("description", ""))
    sources = _Sources()
    bins = [_bin(graph, name, rate, observed, sources) for name, rate, observed in rates]
    bins = with_absolute(read, bins, sources.absolute, sources.effects)
    if blind:
        bins = [replace(b, observed=stand_in(b.background)) for b in bins]
    model = CountingModel(tuple(bins), named_sources=tuple(sources.made(graph)))
    return Found(model, sum(b.signal_fraction for b in bins), blind=blind)


@dataclass
class _Sources:
    """What factors say of processes in bins, by parameter."""

    kinds: dict[str, tuple[str, str]] = field(default_factory=dict)
    effects: dict[str, list[Effect]] = field(default_factory=dict)
    absolute: dict[str, dict[tuple[str, str], float]] = field(default_factory=dict)

    def made(self, graph: _Graph) -> list[NamedSource]:
        return [
            NamedSource(
                _source_name(parameter),
                shape,  # type: ignore[arg-type]
                tuple(self.effects[parameter]),
                graph.counted[parameter][1] if shape == "gamma" else 0.0,
                interpolation,  # type: ignore[arg-type]
            )
            for parameter, (shape, interpolation) in self.kinds.items()
            if parameter in self.effects
        ]


def _source_name(parameter: str) -> str:
    for prefix in PREFIXES:
        parameter = parameter.removeprefix(prefix)
    return parameter


def _channels(graph: _Graph, name: str, of: str) -> list[tuple[str, Any, float]]:
    """Name, rate and count of each bin of a distribution, whose constraints are noted."""
    read = graph.read
    item = graph.distributions.get(name)
    data = graph.data.get(of)
    if item is None or data is None:
        raise read.wrong("the likelihood", f"names {name[:40]} or {of[:40]}, which is not there")
    names = (
        read.texts(item, "factors", f"distribution {name}") if item.get("type") == "product_dist" else [name]
    )
    axes = [
        read.part(a, "name", str, f"an axis of data {of}")
        for a in read.part(data, "axes", list, f"data {of}")
    ]
    counts = _counts(read, data, of, axes)
    found: list[tuple[str, Any, float]] = []
    for factor in names:
        part = graph.distributions.get(factor)
        if part is None:
            raise read.wrong(f"distribution {name}", f"names {factor[:40]}, which is not there")
        kind, where = part.get("type"), f"distribution {factor}"
        if kind == "extend_pdf":
            shape = graph.distributions.get(read.part(part, "pdf", str, where), {})
            if shape.get("type") != "uniform_dist" or len(axes) != 1:
                raise read.wrong(where, "has a shape (not computed here)")
            found.append(
                (str(name).removeprefix("model_"), read.part(part, "norm", str, where), counts[axes[0]])
            )
        elif kind == "poisson_dist" and (x := read.part(part, "x", str, where)) in counts:
            found.append((x.removeprefix("count_"), read.part(part, "mean", str, where), counts[x]))
        elif kind in ("gaussian_dist", "poisson_dist"):
            graph.add_constraint(factor)
        else:
            raise read.wrong(where, f"is of type {str(kind)[:40]} (not computed here)")
    if not found:
        raise read.wrong(f"distribution {name}", "counts nothing")
    return found


def _counts(read: Reader, data: Any, of: str, axes: list[str]) -> dict[str, float]:
    where, kind = f"data {of}", data.get("type")
    if kind == "binned":
        contents = read.numbers(data, "contents", where)
        if len(contents) != 1 or len(axes) != 1:
            raise read.wrong(where, f"has {len(contents)} bins (give each a channel of its own)")
        return {axes[0]: contents[0]}
    if kind == "unbinned":
        entries = read.part(data, "entries", list, where)
        if len(entries) != 1 or not isinstance(entries[0], list) or len(entries[0]) != len(axes):
            raise read.wrong(where, "is not one row of counts")
        return dict(zip(axes, (read.of_kind(x, float, where) for x in entries[0]), strict=True))
    raise read.wrong(where, f"is of type {str(kind)[:40]} (not computed here)")


def _bin(graph: _Graph, name: str, rate: Any, observed: float, sources: _Sources) -> Bin:
    where = f"the rate of {name}"
    parts: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for term in graph.terms(rate, where):
        kind, of = ("signal" if term.is_signal else "background"), parts[term.is_signal]
        process = f"{kind}{len(of) + 1}" if of else kind
        of[process] = term.constant
        if term.constant < 0.0:
            raise graph.read.wrong(where, "has a negative process")
        if not term.is_signal and not term.factors and term.constant <= SMALLEST_BACKGROUND:
            of[process] = 0.0  # what stands for none in RooFit
        if term.absolute is not None:
            if term.is_signal or term.factors:
                raise graph.read.wrong(where, "has a slope where nothing is expected")
            parameter, sigma = term.absolute
            sources.absolute.setdefault(parameter, {})[name, process] = sigma
        for f in term.factors:
            shape, effect = f.shape, Effect(name, process, f.up, f.down)
            if f.shape == "itself":
                per_one, seen = graph.counted[f.parameter]
                shape, effect = "gamma", Effect(name, process, term.constant / per_one)
                of[process] *= seen / per_one
            kinds = sources.kinds.setdefault(f.parameter, (shape, f.interpolation))
            if kinds[0] != shape:
                raise graph.read.wrong(where, f"follows {f.parameter} as {kinds[0]} and {shape}")
            sources.effects.setdefault(f.parameter, []).append(effect)
    return bin_of_processes(name, observed, parts[True], parts[False])
