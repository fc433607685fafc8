"""What blinding hides: the events in the signal boxes, and everything that would show them.

An event is in the box of a signature where it passes the cuts on the energies of ECAL and HCAL, whatever the
other cuts say. :class:`na64root.records.ResultsFolder` remembers which results of a folder were made blind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..config import SIGNATURES, BackgroundMethod, Card
from ..errors import ConfigError, DataError
from ..ntuple import Ntuple
from ..records import Count
from .cut_table import BOX_CUTS, signal_boxes, without_signal_boxes

__all__ = [
    "BOX_CUTS",
    "HIDDEN",
    "NOTE",
    "hidden_cuts",
    "in_signal_box",
    "refuse_hidden_cuts",
    "refuse_systematics",
    "require_blind",
    "require_hidden",
    "signal_boxes",
    "stand_in",
    "without_signal_boxes",
]

# In titles of figures, and in notes.
HIDDEN = "signal boxes hidden"


NOTE = (
    "blind: events in the signal boxes, after the cuts ecal and hcal of a signature, are in no row, "
    "histogram, limit or skim"
)


def hidden_cuts(order: Sequence[str]) -> list[str]:
    """Of cuts in their order, those after which only events in the signal box are left."""
    return list(order[max(order.index(cut) for cut in BOX_CUTS) :])


def refuse_hidden_cuts(order: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise ConfigError where all events after the cuts `wanted`, of those in their order, are hidden."""
    last = hidden_cuts(order)[0]
    if last in wanted:
        raise ConfigError(
            f"a blinded skim cannot hold the events after cut {last} (they are the signal boxes): name an "
            f"earlier one by --skim-cut, such as {order[order.index(last) - 1]}"
        )


def refuse_systematics(blind: bool, systematics: bool) -> None:
    """Raise ConfigError where both are asked for."""
    if blind and systematics:
        raise ConfigError(
            "--systematics with --blind (its effects are on the counts in the signal boxes): leave one out"
        )


def require_hidden(card: Card, *, exclude_outlier_spills: bool) -> None:
    """Raise ConfigError where something asked for depends on events that blinding hides."""
    if exclude_outlier_spills:
        raise ConfigError(
            "--exclude-outlier-spills with --blind (the spills' means are also those of hidden events): "
            "leave one out"
        )
    for signature in SIGNATURES:
        method = card.backgrounds.method(signature)
        if why := in_signal_box(card, method):
            raise ConfigError(
                f"--blind with the background of {signature} by {method} ({why}): change that, or set "
                f"backgrounds.{signature} to another method"
            )


def in_signal_box(card: Card, method: BackgroundMethod) -> str | None:
    """Why a region of this method has the energies of a signal box, which blinding hides; None if not."""
    regions = card.backgrounds.abcd
    if method != "abcd":
        return None
    if regions.second == "shower_chi2":
        return "its region C has the energies of the box of S2, unlike with backgrounds.abcd.second = hcal"
    for period in card.periods:
        loud = card.selection.in_period(period.name).hcal.s1_signal_min_GeV.value
        if regions.hcal_max_GeV.value > loud:
            return (
                "its regions C and D have energies of the box of S1, unlike with "
                f"backgrounds.abcd.hcal_max_GeV up to {loud:g}"
            )
    return None


def require_blind(ntuple: Ntuple, blind: bool) -> None:
    """Refuse to show what a blinded skim, which has lost its signal boxes, would have as observed.

    Raises:
        DataError: a file is such a skim, and `blind` is not set.
    """
    for path, facts in ntuple.made_by_na64root.items():
        if facts.get("blind") and not blind:
            raise DataError(
                f"{path} is a blinded skim (without the events in the signal boxes, so that nothing in it is "
                "observed): use --blind, or a skim that was made without it"
            )


def stand_in(count: Count) -> Count:
    """The most probable count without signal, in place of one that is hidden or was not observed."""
    return count.model_copy(update={"observed": math.floor(count.background)})
