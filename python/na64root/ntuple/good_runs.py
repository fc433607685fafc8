"""Lists of good runs: text of runs and ranges, or JSON of the good spills of each run.

Either may say how many electrons on target each entry has.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import Card
from ..errors import DataError
from ..inputs import note, read_bytes
from ..records import GoodRunList

_LAST = 2**32 - 1


_NUMBER = "[0-9]{1,20}"
_RANGE = re.compile(rf"({_NUMBER})(?:\s*-\s*({_NUMBER}))?(?:\s*:\s*(\S+))?")


@dataclass(frozen=True)
class Entry:
    """A line of a list: first and last run * 2^32 + spill, and its electrons on target where it says so."""

    first: int
    last: int
    eot: float | None = None


@dataclass(frozen=True)
class GoodRuns:
    """Good runs and spills as ranges of run * 2^32 + spill, both ends included, in order and apart.

    `entries` are those that say how many electrons on target they have, all or none.
    """

    file: GoodRunList
    ranges: tuple[tuple[int, int], ...]
    entries: tuple[Entry, ...] = ()

    def contains(self, runs: NDArray[np.int64], spills: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each event, of shape (n,), is good."""
        keys = _keys(runs, spills)
        first, last = (np.array([r[i] for r in self.ranges], dtype=np.uint64) for i in (0, 1))
        place = np.searchsorted(first, keys, side="right")
        found: NDArray[np.bool_] = (place > 0) & (keys <= last[np.maximum(place, 1) - 1])
        return found

    def electrons(self, runs: NDArray[np.int64], spills: NDArray[np.int64], kept: NDArray[np.bool_]) -> float:
        """Electrons on target of an input with these spills, of shape (n,), each there once.

        An entry counts where the input holds one of its spills; by the share of those that are kept.
        """
        keys = _keys(runs, spills)
        total = 0.0
        for entry in self.entries:
            held = (keys >= np.uint64(entry.first)) & (keys <= np.uint64(entry.last))
            if held.any() and entry.eot is not None:
                total += entry.eot * float(kept[held].mean())
        return total

    @property
    def expression(self) -> str:
        """C++ statements that say in `na64_is_good` whether the columns `run` and `spill` are good."""
        ranges = ", ".join(f"{{{{{first}u, {last}u}}}}" for first, last in self.ranges)
        size = len(self.ranges)
        return (
            f"static const std::array<std::array<std::uint64_t, 2>, {size}> na64_good{{{{{ranges}}}}}; "
            "const std::uint64_t na64_key = (static_cast<std::uint64_t>(run) << 32) | "
            "static_cast<std::uint32_t>(spill); "
            "const auto na64_next = std::upper_bound(na64_good.begin(), na64_good.end(), na64_key, "
            "[](std::uint64_t na64_k, const auto &na64_range) { return na64_k < na64_range[0]; }); "
            "const bool na64_is_good = na64_next != na64_good.begin() && "
            "na64_key <= (*std::prev(na64_next))[1]; "
        )


def read_good_runs(path: Path) -> GoodRuns:
    """Read a list of good runs.

    Text: on each line a run `4000` or a range `4000-4010`, several separated by commas; # begins a comment.
    JSON: `{"4000": [[1, 50], [60, 70]]}`, the first and the last of the good spills of each run.
    With electrons on target: `4000: 1.2e9`, or a third number, `[1, 50, 1.2e9]`.

    Raises:
        DataError: no such file, a line that is neither, ends in the wrong order, no run at all; electrons of
            some entries only, of a range of runs, or of spills that two entries have.
    """
    note(path)
    try:
        content = read_bytes(path)
    except OSError as error:
        raise DataError(
            f"cannot read the list of good runs {path} ({error.strerror}): check the path"
        ) from None
    return _parsed(path, content)


@functools.lru_cache(maxsize=4)  # every step of an analysis asks for the list
def _parsed(path: Path, content: bytes) -> GoodRuns:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read the list of good runs {path} ({error}): check the path") from None
    entries = _of_json(text, path) if text.lstrip().startswith("{") else _of_text(text, path)
    if not entries:
        raise DataError(f"the list of good runs {path} has no run (all events would be left out): add runs")
    entries.sort(key=lambda entry: (entry.first, entry.last))
    eot = _electrons(entries, path)
    merged: list[tuple[int, int]] = []
    for entry in entries:
        if merged and entry.first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(entry.last, merged[-1][1])
        else:
            merged.append((entry.first, entry.last))
    checksum = hashlib.sha256(content).hexdigest()
    described = GoodRunList(path=str(path), sha256=checksum, ranges=len(entries), eot=eot)
    return GoodRuns(described, tuple(merged), tuple(entries) if eot is not None else ())


def _electrons(entries: Sequence[Entry], path: Path) -> float | None:
    """The electrons on target of all entries; None where none says so."""
    known = [entry.eot for entry in entries if entry.eot is not None]
    if not known:
        return None
    where = f"the list of good runs {path}"
    if len(known) < len(entries):
        raise DataError(
            f"{where} has electrons on target for {len(known)} of {len(entries)} entries (the exposure would "
            "lack the others): give all or none"
        )
    for entry, following in itertools.pairwise(entries):
        if following.first <= entry.last:
            raise DataError(
                f"{where} has spills of run {following.first >> 32} in two entries (their electrons on "
                "target would count twice): give each once"
            )
    return math.fsum(known)


def _keys(runs: NDArray[np.int64], spills: NDArray[np.int64]) -> NDArray[np.uint64]:
    return np.asarray((runs.astype(np.uint64) << np.uint64(32)) | spills.astype(np.uint64))


def _of_text(text: str, path: Path) -> list[Entry]:
    entries = []
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].strip()
        for part in filter(None, (part.strip() for part in content.split(","))):
            found = _RANGE.fullmatch(part)
            if not found:
                raise DataError(
                    f"line {number} of the list of good runs {path} is {part!r} (a run such as 4000 or a "
                    "range 4000-4010 is expected): correct it"
                )
            first, last = int(found[1]), int(found[2] or found[1])
            where = f"line {number} of the list of good runs {path}"
            _check(first, last, where)
            eot = _number(found[3], where) if found[3] else None
            if eot is not None and first != last:
                raise DataError(
                    f"{where} has electrons on target of runs {first} to {last} together (the input may hold "
                    "some of them): give a line for each run"
                )
            entries.append(Entry(first << 32, (last << 32) + _LAST, eot))
    return entries


def _number(text: Any, where: str) -> float:
    """Electrons on target."""
    try:
        number = math.nan if isinstance(text, bool) else float(text)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0.0 <= number < math.inf:
        raise DataError(f"{where} has {text!r} electrons on target (a number such as 1.2e9 is expected): "
                        "correct it")  # fmt: skip
    return number


def _of_json(text: str, path: Path) -> list[Entry]:
    try:
        runs = json.loads(text, object_pairs_hook=functools.partial(_each_once, path=path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"the list of good runs {path} is not valid JSON ({error}): correct it") from None
    entries = []
    for run, spills in runs.items():
        where = f"run {run} in the list of good runs {path}"
        pairs: list[Any] = spills if isinstance(spills, list) else [None]
        if not re.fullmatch(_NUMBER, run) or not all(
            isinstance(p, list) and len(p) in (2, 3) and all(type(s) is int for s in p[:2]) for p in pairs
        ):
            raise DataError(
                f'{where} is {json.dumps(spills)} (first and last good spills as in {{"4000": [[1, 50]]}} '
                "are expected): correct it"
            )
        for first, last, *eot in pairs:
            _check(first, last, where)
            _check(int(run), int(run), where)
            electrons = _number(eot[0], where) if eot else None
            entries.append(Entry((int(run) << 32) + first, (int(run) << 32) + last, electrons))
    return entries


def _each_once(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    """An object of JSON, which may not have a name twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"the list of good runs {path} has run {twice} twice (one would be lost): join them")
    return found


def _check(first: int, last: int, where: str) -> None:
    if not 0 <= first <= last <= _LAST:
        raise DataError(f"{where} goes from {first} to {last} (numbers that rise are expected): correct it")


def good_runs_of(card: Card) -> GoodRuns | None:
    """The list of good runs of the card; None where all runs are used.

    Raises:
        DataError: as :func:`na64root.ntuple.read_good_runs`.
    """
    return read_good_runs(Path(card.input.good_runs)) if card.input.good_runs else None
