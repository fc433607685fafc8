"""Electrons on target of an input: those given by hand, those of its list of good runs, or the card's.

What is left out takes its electrons along. The card's number stands for all spills of a run period in the
input, so that of it the share of the spills that are kept counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from .config import Card
from .ntuple import Ntuple, good_runs_of, period_index
from .quality import spills


@dataclass(frozen=True)
class InputExposure:
    """Electrons on target and the share of spills that are kept, both by run period; what to say of them."""

    electrons: dict[str, float]
    kept_share: dict[str, float]
    notes: list[str]


def input_exposure(
    ntuple: Ntuple,
    card: Card,
    eot: Mapping[str, float] | None = None,
    without_spills: Collection[tuple[int, int]] = (),
    *,
    blind: bool = False,
) -> InputExposure:
    """The exposure of the events that are used.

    By hand (`eot`) a number is taken as it is. With electrons on target in the list of good runs, it is the
    sum of those entries that the input holds a spill of, each by the share of these spills that are not left
    out. Otherwise it is the card's times `kept_share`.

    Args:
        ntuple: its files are unpacked. Runs and spills are read, in one thread, where there is a list of good
            runs or something is left out.
        eot: as for :meth:`Card.exposure`.
        without_spills: run and spill of those that are left out.
        blind: spills that only events in the signal boxes are of do not count.

    Raises:
        ConfigError: as :meth:`Card.exposure`.  DataError: the events, or the list, cannot be read.
    """
    electrons = card.exposure(eot)
    by_hand = set(electrons) if "all" in (eot or {}) else set(eot or {})
    share = dict.fromkeys(electrons, 1.0)
    notes: list[str] = []
    if ntuple.skipped and by_hand != set(electrons):
        notes.append(
            f"{len(ntuple.skipped)} files were left out, and the exposure still has their electrons on "
            "target (a file does not say how many): give those of the files that were read by --eot"
        )
    good_runs = good_runs_of(card)
    if good_runs is None and not without_spills:
        return InputExposure(electrons, share, notes)
    run, spill = spills(ntuple, card, blind=blind)
    period = period_index(card, run, spill, good=False)
    kept = np.array([(r, s) not in without_spills for r, s in zip(run.tolist(), spill.tolist(), strict=True)])
    if good_runs is not None:
        kept &= good_runs.contains(run, spill)
    for i, name in enumerate(electrons):
        here = period == i
        if here.any():
            share[name] = float(kept[here].mean())
        if name in by_hand:
            continue
        if good_runs is not None and good_runs.entries:
            electrons[name] = good_runs.electrons(run[here], spill[here], kept[here])
            notes.append(f"period {name}: {electrons[name]:.4g} electrons on target by {good_runs.file.path}")
        elif share[name] < 1.0:
            electrons[name] *= share[name]
            notes.append(
                f"period {name}: {int(kept[here].sum())} of {int(here.sum())} spills are used, "
                f"{electrons[name]:.4g} electrons on target"
            )
    return InputExposure(electrons, share, notes)
