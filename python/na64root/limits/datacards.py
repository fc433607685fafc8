"""Datacards of Combine, of counting experiments: lnN, gmN, and the rateParam lines that our export writes.

The language is that of Combine's manual (https://cms-analysis.github.io/HiggsAnalysis-CombinedLimit, "Setting
up the analysis"; CMS, arXiv:2404.06614). Everything that this package does not compute is refused by its
name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from ..errors import DataError
from .counting import Bin, CountingModel
from .model_texts import NOTHING_OBSERVED, Found, damaged, stand_in
from .named_sources import Effect, NamedSource

# Kinds of lines that say nothing of the likelihood.
WITHOUT_EFFECT = ("group",)


# What is known and not computed here, and why.
REFUSED = {
    "lnU": "a flat factor, which is no measurement",
    "shape": "a shape",
    "shapeN": "a shape",
    "shapeN2": "a shape",
    "shapeU": "a shape",
    "shape?": "a shape",
    "gmM": "another gamma than gmN",
    "trG": "an obsolete truncated Gaussian",
    "unif": "a flat parameter",
    "dFD": "a flat parameter",
    "dFD2": "a flat parameter",
    "param": "a parameter of no line of ours",
    "flatParam": "a flat parameter",
    "rateParam": "a free or computed rate",
    "extArg": "an external parameter",
    "discrete": "a discrete parameter",
    "autoMCStats": "errors of templates",
    "constr": "a constraint between parameters",
}


# How the formula of a factor begins, and that of a yield never.
FACTOR = "1.0"


# A log-normal factor below this was perhaps meant as an uncertainty.
SMALL_FACTOR = 0.5


_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


# The formula of a yield or factor that is linear in a parameter, as our export writes it.
_LINEAR = re.compile(rf"\(({_NUMBER})(?=[-+])({_NUMBER})\*@0\)")


@dataclass
class _Lines:
    """A card as it stands: the words of its lines, each with the number of the line."""

    path: Path
    bins: list[str] = field(default_factory=list)
    observed: list[float] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    processes: list[list[str]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    counts: dict[str, str] = field(default_factory=dict)
    sources: list[tuple[int, list[str]]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    def wrong(self, line: int, why: str, what: str = "correct the card") -> DataError:
        return damaged(self.path, f"line {line}: {why}", what)


def read_datacard(path: Path, text: str) -> Found:
    """The counting model of a datacard.

    Raises:
        DataError: not a datacard, something that it must have is missing or has another length, a number that
            is none, or a line of a kind that is not computed here.
    """
    card = _lines(path, text)
    signs = _columns(card)
    sources, absolute, notes = _sources(card, signs)
    # What an empty control region measures is nothing, whatever the rate: Combine wants one above zero.
    empty = {(e.bin, e.process) for s in sources if s.shape == "gamma" and not s.count for e in s.effects}
    bins = []
    blind = any(NOTHING_OBSERVED in comment for comment in card.comments)
    for name, observed in zip(card.bins, card.observed, strict=True):
        parts: dict[bool, dict[str, float]] = {True: {}, False: {}}
        for (column, process), rate in zip(signs, card.rates, strict=True):
            if column == name:
                parts[signs[column, process]][process] = 0.0 if (column, process) in empty else rate
        sigma, group = 0.0, name
        for process, (offset, slope, nuisance) in absolute.get(name, {}).items():
            if len(parts[False]) > 1:
                raise damaged(path, f"a rateParam on one of several backgrounds of {name}", "use lnN")
            rate = parts[False][process]
            parts[False][process], sigma = rate * offset, rate * slope
            group = nuisance.removeprefix("eta_")
        background = sum(parts[False].values())
        observed = stand_in(background) if blind else observed
        if observed < 0.0:
            raise damaged(path, f"observation of {name} is negative", "give the events that were seen")
        bins.append(
            Bin(
                name=name,
                signature=group,
                period="",
                observed=observed,  # type: ignore[arg-type]  # CountingModel wants whole numbers
                background=background,
                background_uncertainty=sigma,
                signal_fraction=sum(parts[True].values()),
                signal_processes=parts[True],
                background_processes=parts[False],
            )
        )
    model = CountingModel(tuple(bins), named_sources=tuple(sources))
    return Found(model, sum(b.signal_fraction for b in bins), blind=blind, notes=notes)


def _lines(path: Path, text: str) -> _Lines:
    card = _Lines(path)
    for number, line in enumerate(text.splitlines(), 1):
        content, _, comment = line.partition("#")
        if comment:
            card.comments.append(comment)
        words = content.split()
        if not words or (set(words[0]) == {"-"} and len(words) == 1):
            continue
        kind, *values = words
        if card.rates:
            card.sources.append((number, words))
        elif kind in ("imax", "jmax", "kmax"):
            if kind in card.counts or not values:
                raise card.wrong(number, f"{kind} {'given twice' if values else 'without a number'}")
            card.counts[kind] = values[0]
        elif kind == "shapes":
            if "FAKE" not in values:
                raise card.wrong(number, "shapes are not computed here", "give a counting card")
        elif kind.lower() == "observation":
            if card.observed:
                raise card.wrong(number, "observation given twice")
            card.observed = _numbers(card, number, kind, values)
        elif kind == "bin":
            # Before the processes are those of the observation, beside them those of the columns.
            if not card.bins:
                card.bins = values
            elif not card.columns:
                card.columns = values
            else:
                raise card.wrong(number, "a third bin line")
        elif kind == "process":
            card.processes.append(values)
        elif kind == "rate":
            card.rates = _numbers(card, number, kind, values)
            if not card.rates:
                raise card.wrong(number, "rate without numbers")
        else:
            raise card.wrong(
                number, f"{kind[:40]} is not known here", "give a datacard, or JSON of pyhf or HS3"
            )
    return card


def _numbers(card: _Lines, line: int, what: str, words: list[str]) -> list[float]:
    found = []
    for word in words:
        if not re.fullmatch(_NUMBER, word):
            raise card.wrong(line, f"{what} {word[:40]} is no number")
        found.append(float(word))
    return found


def _columns(card: _Lines) -> dict[tuple[str, str], bool]:
    """Bin and process of each column, and whether it is signal."""
    path = card.path
    for what, values in (("observation", card.observed), ("rate", card.rates), ("bin", card.bins)):
        if not values:
            raise damaged(path, f"no {what} line", "give the whole card")
    if not card.columns or len(card.processes) != 2:
        raise damaged(path, "not one bin and two process lines above the rates", "give the whole card")
    if len(card.bins) != len(card.observed):
        raise damaged(path, f"{len(card.bins)} bins and {len(card.observed)} observations")
    if len(set(card.bins)) < len(card.bins):
        raise damaged(path, "two bins of one name")
    lengths = [len(card.columns), *(len(p) for p in card.processes), len(card.rates)]
    if len(set(lengths)) > 1:
        raise damaged(
            path, "columns of bin, process, process and rate are {}, {}, {} and {}".format(*lengths)
        )
    identities, names = card.processes, card.processes[0]
    if all(re.fullmatch(r"[-+]?\d+", word) for word in names):
        names, numbers = card.processes[1], card.processes[0]
    else:
        numbers = identities[1]
    if not all(re.fullmatch(r"[-+]?\d+", word) for word in numbers):
        raise damaged(path, "no process line of whole numbers", "number signals up to 0, backgrounds from 1")
    signs: dict[tuple[str, str], bool] = {}
    of_process: dict[str, str] = {}
    for column, name, number, rate in zip(card.columns, names, numbers, card.rates, strict=True):
        if column not in card.bins:
            raise damaged(path, f"column of bin {column}, which has no observation")
        if (column, name) in signs:
            raise damaged(path, f"two columns of {name} in {column}")
        if of_process.setdefault(name, number) != number:
            raise damaged(path, f"process {name} has the numbers {of_process[name]} and {number}")
        if rate < 0.0:
            raise damaged(
                path, f"rate of {name} in {column} is {rate:g}", "give events, which are not negative"
            )
        signs[column, name] = int(number) <= 0
    for b in card.bins:
        if b not in card.columns:
            raise damaged(path, f"bin {b} has no processes")
    if not any(signs.values()):
        raise damaged(path, "no signal", "number its process 0 or below")
    for kind, found in (("imax", len(card.bins)), ("jmax", len(of_process) - 1)):
        _check_count(card, kind, found)
    return signs


def _check_count(card: _Lines, kind: str, found: int) -> None:
    given = card.counts.get(kind, "*")
    if given != "*" and given != str(found):
        raise damaged(card.path, f"{kind} is {given[:40]}, but there are {found}")


# Of backgrounds by bin and process: offset and slope that multiply the rate, and the parameter of the slope.
_Absolute = dict[str, dict[str, tuple[float, float, str]]]


def _sources(
    card: _Lines, signs: dict[tuple[str, str], bool]
) -> tuple[list[NamedSource], _Absolute, list[str]]:
    sources: list[NamedSource] = []
    notes: list[str] = []
    parameters: dict[str, int] = {}
    formulas: list[tuple[int, list[str]]] = []
    number_of_sources = 0
    for line, words in card.sources:
        if (len(words) > 1 and words[1] == "group") or (set(words[0]) == {"-"} and len(words) == 1):
            continue
        number_of_sources += len(words) < 2 or words[1] not in ("rateParam", "autoMCStats")
        if len(words) < 2:
            raise card.wrong(line, f"{words[0][:40]} without a kind")
        name, kind, *values = words
        if "[nofloat]" in name:
            raise card.wrong(line, f"{name[:40]} is not computed here", "leave [nofloat] out")
        if kind == "rateParam":
            formulas.append((line, words))
        elif kind == "param":
            if values[:2] != ["0", "1"]:
                _refuse(card, line, name, kind)
            parameters[name] = line
        elif kind in ("lnN", "gmN"):
            source = _gamma if kind == "gmN" else _lognormal
            if (made := source(card, line, name, values, signs, notes)) is not None:
                sources.append(made)
        else:
            _refuse(card, line, name, kind)
    _check_count(card, "kmax", number_of_sources)
    absolute, linear = _formulas(card, formulas, parameters, signs)
    for name, line in parameters.items():
        used = [source.name for source in linear]
        used += [nuisance for parts in absolute.values() for _, _, nuisance in parts.values()]
        if name not in used:
            _refuse(card, line, name, "param")
    return [*sources, *linear], absolute, notes


def _refuse(card: _Lines, line: int, name: str, kind: str) -> NoReturn:
    why = REFUSED.get(kind, "not a kind of Combine's that is known here")
    raise card.wrong(line, f"{name[:40]} is {kind[:40]}, {why}", "only lnN and gmN are computed here")


def _entries(
    card: _Lines, line: int, name: str, values: list[str], signs: dict[tuple[str, str], bool]
) -> dict[tuple[str, str], str]:
    if len(values) != len(signs):
        raise card.wrong(line, f"{name[:40]} has {len(values)} columns, the rates have {len(signs)}")
    return {
        place: value
        for place, value in zip(signs, values, strict=True)
        if set(value) != {"-"} and not re.fullmatch(r"0+\.?0*", value)
    }


def _lognormal(
    card: _Lines,
    line: int,
    name: str,
    values: list[str],
    signs: dict[tuple[str, str], bool],
    notes: list[str],
) -> NamedSource | None:
    effects = []
    for (b, process), entry in _entries(card, line, name, values, signs).items():
        sides = _numbers(card, line, f"lnN {name[:40]} of", entry.split("/"))
        if len(sides) > 2 or min(sides) <= 0.0:
            raise card.wrong(
                line,
                f"lnN {name[:40]} of {entry[:40]} is no factor",
                "write 1.2, or 0.9/1.2, for down and up",
            )
        if len(sides) == 1 and sides[0] < SMALL_FACTOR:
            notes.append(
                f"line {line}: lnN {name} of {entry} on {process} of {b} is a factor: 20 % are written 1.2"
            )
        # A datacard has the side below first.
        effects.append(Effect(b, process, sides[-1], sides[0] if len(sides) == 2 else None))
    return NamedSource(name, "lognormal", tuple(effects)) if effects else None


def _gamma(
    card: _Lines,
    line: int,
    name: str,
    values: list[str],
    signs: dict[tuple[str, str], bool],
    notes: list[str],
) -> NamedSource | None:
    if not values or not re.fullmatch(r"\d+", values[0]):
        raise card.wrong(line, f"gmN {name[:40]} without a whole auxiliary count", "write NAME gmN COUNT ...")
    effects = []
    for (b, process), entry in _entries(card, line, name, values[1:], signs).items():
        (per_count,) = _numbers(card, line, f"gmN {name[:40]} of", [entry])
        if per_count < 0.0:
            raise card.wrong(line, f"gmN {name[:40]} of {entry[:40]} is negative")
        effects.append(Effect(b, process, per_count))
    return NamedSource(name, "gamma", tuple(effects), count=float(values[0])) if effects else None


def _formulas(
    card: _Lines,
    formulas: list[tuple[int, list[str]]],
    parameters: dict[str, int],
    signs: dict[tuple[str, str], bool],
) -> tuple[_Absolute, list[NamedSource]]:
    """Yields linear in a normal parameter: those of a background, and sources of the signal."""
    absolute: _Absolute = {}
    effects: dict[str, list[Effect]] = {}
    for line, words in formulas:
        name = words[0]
        found = _LINEAR.fullmatch(words[4]) if len(words) == 6 else None
        if found is None or words[5] not in parameters:
            _refuse(card, line, name, "rateParam")
        where, process, nuisance = words[2], words[3], words[5]
        offset, slope = float(found[1]), float(found[2])
        for place, is_signal in signs.items():
            if place[1] != process or where not in ("*", place[0]):
                continue
            if found[1] == FACTOR:
                effects.setdefault(nuisance, []).append(Effect(*place, 1.0 + slope))
            elif is_signal or process in absolute.get(place[0], {}):
                _refuse(card, line, name, "rateParam")
            else:
                absolute.setdefault(place[0], {})[process] = (offset, slope, nuisance)
    return absolute, [NamedSource(name, "gaussian", tuple(of)) for name, of in effects.items()]
