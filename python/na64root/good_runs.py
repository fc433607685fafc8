"""Lists of good runs: text of runs and ranges, or JSON of the good spills of each run."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError
from .results import GoodRunList, sha256_of

_LAST = 2**32 - 1
_RANGE = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")


@dataclass(frozen=True)
class GoodRuns:
    """Good runs and spills as ranges of run * 2^32 + spill, both ends included, in order and apart."""

    file: GoodRunList
    ranges: tuple[tuple[int, int], ...]

    def contains(self, runs: NDArray[np.int64], spills: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each event, of shape (n,), is good."""
        keys = (runs.astype(np.uint64) << np.uint64(32)) | spills.astype(np.uint64)
        first, last = (np.array([r[i] for r in self.ranges], dtype=np.uint64) for i in (0, 1))
        place = np.searchsorted(first, keys, side="right")
        found: NDArray[np.bool_] = (place > 0) & (keys <= last[np.maximum(place, 1) - 1])
        return found

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
            "[](std::uint64_t na64_k, const auto &na64_r) { return na64_k < na64_r[0]; }); "
            "const bool na64_is_good = na64_next != na64_good.begin() && "
            "na64_key <= (*std::prev(na64_next))[1]; "
        )


def read_good_runs(path: Path) -> GoodRuns:
    """Read a list of good runs.

    Text: on each line a run `4000` or a range `4000-4010`, several separated by commas; # begins a comment.
    JSON: `{"4000": [[1, 50], [60, 70]]}`, the first and the last of the good spills of each run.

    Raises:
        DataError: no such file, a line that is neither, ends in the wrong order, no run at all.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read the list of good runs {path} ({reason}): check the path") from None
    ranges = _of_json(text, path) if text.lstrip().startswith("{") else _of_text(text, path)
    if not ranges:
        raise DataError(f"the list of good runs {path} has no run (all events would be left out): add runs")
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    described = GoodRunList(path=str(path), sha256=sha256_of(path), ranges=len(ranges))
    return GoodRuns(described, tuple(merged))


def _of_text(text: str, path: Path) -> list[tuple[int, int]]:
    ranges = []
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
            _check(first, last, f"line {number} of the list of good runs {path}")
            ranges.append((first << 32, (last << 32) + _LAST))
    return ranges


def _of_json(text: str, path: Path) -> list[tuple[int, int]]:
    try:
        runs = json.loads(text)
    except ValueError as error:
        raise DataError(f"the list of good runs {path} is not valid JSON ({error}): correct it") from None
    ranges = []
    for run, spills in runs.items():
        where = f"run {run} in the list of good runs {path}"
        pairs: list[Any] = spills if isinstance(spills, list) else [None]
        if not run.isdigit() or not all(
            isinstance(p, list) and len(p) == 2 and all(type(s) is int for s in p) for p in pairs
        ):
            raise DataError(
                f'{where} is {json.dumps(spills)} (first and last good spills as in {{"4000": [[1, 50]]}} '
                "are expected): correct it"
            )
        for first, last in pairs:
            _check(first, last, where)
            _check(int(run), int(run), where)
            ranges.append(((int(run) << 32) + first, (int(run) << 32) + last))
    return ranges


def _check(first: int, last: int, where: str) -> None:
    if not 0 <= first <= last <= _LAST:
        raise DataError(f"{where} goes from {first} to {last} (numbers that rise are expected): correct it")
