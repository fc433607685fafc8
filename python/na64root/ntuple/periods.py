"""Run periods: what an event can belong to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..config import Card
from .good_runs import good_runs_of

_NOT_GOOD = "not in the list of good runs"


def period_names(card: Card) -> list[str]:
    """What an event can belong to: the periods and excluded runs, in the order of :func:`run_ranges`, then
    all other runs, then runs of periods that are not in the list of good runs, where there is one.
    """
    excluded = [f"excluded: {runs.reason}" for runs in card.excluded_runs]
    names = [period.name for period in card.periods] + excluded + ["no period"]
    return [*names, _NOT_GOOD] if card.input.good_runs else names


def run_ranges(card: Card) -> list[tuple[int, int]]:
    """First and last run of each period of the card, then of each range of excluded runs."""
    return [(r.first_run, r.last_run) for r in (*card.periods, *card.excluded_runs)]


def period_index(
    card: Card, runs: NDArray[np.int64], spills: NDArray[np.int64], *, good: bool = True
) -> NDArray[np.intp]:
    """Index of each run and spill, of shape (n,), in :func:`period_names`; the cut table has the same in C++.

    Args:
        good: as the list of good runs of the card says; otherwise by run alone.

    Raises:
        DataError: as :func:`na64root.ntuple.read_good_runs`.
    """
    index = np.full(len(runs), len(run_ranges(card)))
    for i, (first, last) in reversed(list(enumerate(run_ranges(card)))):
        index[(runs >= first) & (runs <= last)] = i
    good_runs = good_runs_of(card) if good else None
    if good_runs is not None:
        index[(index < len(card.periods)) & ~good_runs.contains(runs, spills)] = len(run_ranges(card)) + 1
    return index
