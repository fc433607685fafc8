"""The text of a file that holds a counting model, and what is wrong with it in one line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..inputs import read_bytes
from .counting import Bin, CountingModel
from .named_sources import MIRRORED, Effect

# What text stands in files for a model without observed counts, and how it begins.
NOTHING_OBSERVED = "Nothing is observed"


STAND_IN = "the most probable counts without signal stand in"


# No count, yield or factor is larger.
LARGEST_NUMBER = 1e15


# A counting model has kilobytes; larger files are something else.
LARGEST_FILE = 50_000_000


class Found:
    """A counting model that a file holds.

    Attributes:
        model: its bins, uncertainties and counts.
        signal_events: the expected signal of all bins where the file's own parameter of interest is one.
        blind: nothing is observed; the counts stand in, and only expected limits mean anything.
        notes: what was read in another way than another program would.
    """

    def __init__(
        self, model: CountingModel, signal_events: float, *, blind: bool = False, notes: Sequence[str] = ()
    ) -> None:
        self.model, self.signal_events, self.blind, self.notes = model, signal_events, blind, tuple(notes)


def stand_in(background: float) -> int:
    """The most probable count without signal, for a bin whose own count is hidden."""
    return math.floor(background)


def damaged(path: Path, why: str, what: str = "correct the file") -> DataError:
    """The error of a file that cannot be used: "cannot use PATH (why): what"."""
    return DataError(f"cannot use {path} ({why}): {what}")


def text_of(path: Path) -> str:
    """The text of a file, without the mark of its encoding.

    Raises:
        DataError: no file, not readable, too large, or not UTF-8.
    """
    try:
        if path.is_dir():
            raise damaged(path, "a folder", "give a file")
        if path.stat().st_size > LARGEST_FILE:
            raise damaged(path, f"more than {LARGEST_FILE // 1_000_000} MB", "give a counting model")
        content = read_bytes(path)
    except OSError as error:
        raise damaged(path, f"{error.strerror}", "give a file that is there and readable") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise damaged(path, f"not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    if "\0" in text:
        raise damaged(path, "zero bytes in a text", "save it as UTF-8")
    if not text.strip():
        raise damaged(path, "empty", "give a counting model")
    return text


def json_of(path: Path, text: str) -> dict[str, Any]:
    """The object that a JSON text holds.

    Raises:
        DataError: no JSON, NaN or infinity, a key twice, or not an object.
    """

    def not_finite(name: str) -> None:
        raise ValueError(f"{name} is no number of JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{twice} is given twice")
        return found

    try:
        found = json.loads(text, parse_constant=not_finite, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise damaged(path, f"no JSON at line {error.lineno}: {error.msg}", "give the whole file") from None
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"no JSON: {error}") from None
    if not isinstance(found, dict):
        raise damaged(path, "JSON but no object", "give a counting model")
    return found


class Reader:
    """Parts of a JSON object, each of the kind that it has to be."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def wrong(self, where: str, what: str) -> DataError:
        """The error of a part that is not as it should be."""
        return damaged(self.path, f"{where} {what}")

    def part(self, of: Any, key: str, kind: type, where: str) -> Any:
        """The value of a key.

        Raises:
            DataError: not there, or of another kind.
        """
        if not isinstance(of, Mapping) or key not in of:
            raise self.wrong(where, f"has no {key}")
        return self.of_kind(of[key], kind, f"{key} of {where}")

    def of_kind(self, value: Any, kind: type, where: str) -> Any:
        """The value, which has to be of a kind; numbers are finite and no truth values."""
        kinds = (int, float) if kind is float else kind
        if not isinstance(value, kinds) or (kind is float and isinstance(value, bool)):
            words = {float: "number", str: "text", list: "list", dict: "object", bool: "truth value"}
            raise self.wrong(where, f"is {json.dumps(value)[:40]} and no {words[kind]}")
        if kind is float:
            try:
                number = float(str(value))
            except OverflowError:
                number = float("inf")
            if abs(number) > LARGEST_NUMBER:
                raise self.wrong(where, "is not finite, or beyond 1e15")
            return number
        return value

    def texts(self, of: Any, key: str, where: str) -> list[str]:
        """A list of texts."""
        return [self.of_kind(x, str, f"{key} of {where}") for x in self.part(of, key, list, where)]

    def numbers(self, of: Any, key: str, where: str) -> list[float]:
        """A list of finite numbers."""
        return [self.of_kind(x, float, f"{key} of {where}") for x in self.part(of, key, list, where)]


def bin_of_processes(
    name: str, observed: float, signals: Mapping[str, float], backgrounds: Mapping[str, float]
) -> Bin:
    """A bin that shares no uncertainty but by named sources, of processes and their yields."""
    return Bin(
        name=name,
        signature=name,
        period="",
        observed=observed,  # type: ignore[arg-type]  # CountingModel wants whole numbers
        background=sum(backgrounds.values()),
        background_uncertainty=0.0,
        signal_fraction=sum(signals.values()),
        signal_processes=signals,
        background_processes=backgrounds,
    )


def with_absolute(
    read: Reader,
    bins: Iterable[Bin],
    absolute: Mapping[str, Mapping[tuple[str, str], float]],
    effects: dict[str, list[Effect]],
) -> list[Bin]:
    """The bins with the gaussian sources that also act where nothing is expected, in events.

    Args:
        absolute: by source, the standard deviation in events by bin and process.
        effects: relative ones by source; those of these sources are taken out and become events too.

    Raises:
        DataError: such a source is not the only one of its bins' only background.
    """
    found = {b.name: b for b in bins}
    for name, of_source in absolute.items():
        sigmas = dict(of_source)
        for e in effects.pop(name, []):
            if e.down is not None and abs(e.up + e.down - 2.0) > MIRRORED:
                raise read.wrong(f"source {name}", "has two sides, and acts where nothing is expected")
            sigmas[e.bin, e.process] = (e.up - 1.0) * found[e.bin].backgrounds.get(e.process, 0.0)
        for (bin_name, process), sigma in sigmas.items():
            b = found[bin_name]
            alone = process in b.backgrounds and len(b.backgrounds) == 1 and not b.background_uncertainty
            if not alone or sigma < 0.0:
                raise read.wrong(
                    f"source {name}", f"acts where nothing is expected, and beside others in {bin_name}"
                )
            found[bin_name] = replace(
                b,
                background_uncertainty=sigma,
                signature=name.removeprefix("eta_"),
                background_processes={},
            )
    return list(found.values())
