"""Electrons on target of an input: those given by hand, those of its list of good runs, or the card's.

What is left out takes its electrons along. The card's number stands for all spills of a run period in the
input, so that of it the share of the spills that are kept counts. A skim lacks the events that say which
spills its input had: it says so itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import Card
from ..errors import DataError
from ..ntuple import Ntuple, electrons_of_simulation, good_runs_of, period_index
from .quality import spills
from .skim import SkimExposure, SpillRanges, skims_among


@dataclass(frozen=True)
class InputExposure:
    """Electrons on target and the share of spills that are kept, both by run period; what to say of them.

    The share is None where spills are left out and not counted, all numbers being given by hand.
    `of_skim`: what a skim of this input has to say; None unless asked for.
    """

    electrons: dict[str, float]
    kept_share: dict[str, float | None]
    notes: list[str]
    of_skim: SkimExposure | None = None


def input_exposure(
    ntuple: Ntuple,
    card: Card,
    eot: Mapping[str, float] | None = None,
    without_spills: Collection[tuple[int, int]] = (),
    *,
    blind: bool = False,
    for_skim: bool = False,
) -> InputExposure:
    """The exposure of the events that are used.

    By hand (`eot`) a number is taken as it is. Of a skim that says how many electrons on target it has, it is
    that number, by the share of its spills that are not left out now; those of several skims, or of a merged
    one, add up where no spill is in two. With electrons on target in the list of
    good runs, it is the sum of those entries that the input holds a spill of, each by the share of these
    spills that are not left out. Otherwise it is the card's times `kept_share`. Spills of a skim are those of
    the input it was made from.

    Args:
        ntuple: runs and spills are read, in one thread, where there is a list of good runs, something is left
            out or a skim is to be made; not of skims, and not where `eot` has all periods.
        eot: as for :meth:`Card.exposure`.
        without_spills: run and spill of those that are left out.
        blind: spills that only events in the signal boxes are of do not count.
        for_skim: also give `of_skim`.

    Raises:
        ConfigError: as :meth:`Card.exposure`.
        DataError: the events, or the list, cannot be read; a skim has electrons on target of its own for a
            period, and other files with spills of it come with it that have none, or the same spills.
    """
    electrons = card.exposure(eot)
    by_hand = set(electrons) if "all" in (eot or {}) else set(eot or {})
    share: dict[str, float | None] = dict.fromkeys(electrons, 1.0)
    good_runs = good_runs_of(card)
    skims = skims_among(ntuple)
    if good_runs is None and not without_spills and not skims and not for_skim:
        of_all = set(electrons) - by_hand
        notes = _note_on_skipped(ntuple, of_all) + _note_on_simulation(ntuple, electrons, of_all)
        return InputExposure(electrons, share, notes)
    if by_hand == set(electrons) and not for_skim:
        return InputExposure(electrons, dict.fromkeys(electrons), [])
    run, spill, had = _spills(ntuple, card, skims, blind)
    period = period_index(card, run, spill, good=False)
    kept = had & np.array(
        [(r, s) not in without_spills for r, s in zip(run.tolist(), spill.tolist(), strict=True)], dtype=bool
    )
    if good_runs is not None:
        kept &= good_runs.contains(run, spill)
    absolute: dict[str, float] = {}
    of_card = set()
    notes = []
    for i, name in enumerate(electrons):
        here = period == i
        used = float(kept[here].mean()) if here.any() else 1.0
        share[name] = used
        if name in by_hand:
            absolute |= {name: electrons[name]} if here.any() else {}
            continue
        if any(name in part.electrons for parts in skims.values() for part in parts):
            electrons[name] = absolute[name] = _of_skims(skims, name, run[here], spill[here], kept[here])
            notes.append(
                f"period {name}: {electrons[name]:.4g} electrons on target by the skim "
                + ", ".join(path for path, parts in skims.items() if any(name in p.electrons for p in parts))
            )
        elif good_runs is not None and good_runs.entries:
            electrons[name] = good_runs.electrons(run[here], spill[here], kept[here])
            absolute |= {name: electrons[name]} if here.any() else {}
            notes.append(f"period {name}: {electrons[name]:.4g} electrons on target by {good_runs.file.path}")
        else:
            of_card.add(name)
            electrons[name] *= used
            of = " (of the input of the skim)" if skims else ""
            if used < 1.0:
                notes.append(
                    f"period {name}: {int(kept[here].sum())} of {int(here.sum())} spills are used{of}, "
                    f"{electrons[name]:.4g} electrons on target"
                )
    of_skim = SkimExposure(
        spills=_ranges(run[kept], spill[kept]),
        spills_left_out=_ranges(run[~kept], spill[~kept]),
        electrons=absolute,
    )
    notes += _note_on_skipped(ntuple, of_card) + _note_on_simulation(ntuple, card.exposure(), of_card)
    if ntuple.skipped and good_runs is not None and good_runs.entries and by_hand != set(electrons):
        notes.append(
            f"{len(ntuple.skipped)} files were left out: an entry of {good_runs.file.path} has all its "
            "electrons on target where a file that was read holds a spill of it"
        )
    return InputExposure(electrons, share, notes, of_skim if for_skim else None)


def _of_skims(
    skims: Mapping[str, Sequence[SkimExposure]],
    name: str,
    run: NDArray[np.int64],
    spill: NDArray[np.int64],
    kept: NDArray[np.bool_],
) -> float:
    """Electrons on target of a period of which skims have their own: they add, where no spill is in two.

    Args:
        run, spill, kept: the spills of the period in the whole input, and whether they are used.
    """
    of_period = set(zip(run.tolist(), spill.tolist(), strict=True))
    used = set(zip(run[kept].tolist(), spill[kept].tolist(), strict=True))
    total, seen = 0.0, set[tuple[int, int]]()
    for path, parts in skims.items():
        for part in parts:
            had = of_period & set(_in_ranges(part.spills))
            if seen & had or (had and name not in part.electrons):
                raise DataError(_unknown_together(path, name))
            seen |= had
            if name in part.electrons:
                total += part.electrons[name] * (len(had & used) / len(had) if had else 1.0)
    of_parts = {
        pair for parts in skims.values() for part in parts for pair in _in_ranges(part.spills_left_out)
    }
    if of_period - seen - of_parts:
        raise DataError(_unknown_together(next(iter(skims)), name))
    return total


def _unknown_together(path: str, name: str) -> str:
    return (
        f"{path} is a skim with electrons on target of its own for period {name}, and other files come with "
        f"it (what all have together is not known): give --eot {name}=N"
    )


def _note_on_skipped(ntuple: Ntuple, of_card: Collection[str]) -> list[str]:
    """What to say where files were left out and the numbers of some run periods are the card's."""
    if not ntuple.skipped or not of_card:
        return []
    return [
        f"{len(ntuple.skipped)} files were left out, and the exposure still has their electrons on target (a "
        "file does not say how many): give those of the files that were read by --eot"
    ]


def _note_on_simulation(ntuple: Ntuple, assumed: Mapping[str, float], of_card: Collection[str]) -> list[str]:
    """What to say where simulated files hold other electrons on target than the card, whose number counts."""
    held = electrons_of_simulation([ntuple.made_by_na64root.get(path) for path in ntuple.paths])
    if held is None:
        return []
    other = [p for p in assumed if p in of_card and abs(held.get(p, 0.0) - assumed[p]) > 1e-3 * assumed[p]]
    if not other:
        return []
    told = " ".join(f"--eot {p}={held.get(p, 0.0):.4g}" for p in other)
    return [f"the card's exposure is assumed, and the files were simulated for another one: give {told}"]


def _spills(
    ntuple: Ntuple, card: Card, skims: Mapping[str, Sequence[SkimExposure]], blind: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Run and number of each spill of the input, and whether skims have kept it; all (n_spills,)."""
    found: dict[tuple[int, int], bool] = {}
    parts = [part for of_file in skims.values() for part in of_file]
    for part in parts:
        found |= dict.fromkeys(_in_ranges(part.spills_left_out), False)
    for part in parts:
        found |= dict.fromkeys(_in_ranges(part.spills), True)
    others = tuple(file for file in ntuple.files if file.path not in skims)
    if others:
        run, spill = spills(replace(ntuple, files=others), card, blind=blind)
        found |= dict.fromkeys(zip(run.tolist(), spill.tolist(), strict=True), True)
    numbers = np.array(list(found), dtype=np.int64).reshape(-1, 2)
    return numbers[:, 0], numbers[:, 1], np.array(list(found.values()), dtype=bool)


def _ranges(run: NDArray[Any], spill: NDArray[Any]) -> SpillRanges:
    ranges: SpillRanges = {}
    for r, s in sorted(zip(run.tolist(), spill.tolist(), strict=True)):
        of_run = ranges.setdefault(r, [])
        if of_run and of_run[-1][1] + 1 == s:
            of_run[-1] = of_run[-1][0], s
        else:
            of_run.append((s, s))
    return ranges


def _in_ranges(ranges: SpillRanges) -> Iterable[tuple[int, int]]:
    return ((run, s) for run, pairs in ranges.items() for a, b in pairs for s in range(a, b + 1))
