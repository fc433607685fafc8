"""What is wanted of a selection, beside the card's cuts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from .skim import Skim


@dataclass(frozen=True)
class SelectionOptions:
    """What else a selection counts, hides, leaves out and keeps.

    Attributes:
        columns: what else to give of the selected events: branches beyond the layout (``mc_depth_X0``),
            elements of arrays (``mc_chi2_GeV[0]``).
        eot: exposure of some periods in electrons on target, taken as it is; of others see
            :func:`na64root.selection.exposure.input_exposure`.
        without_spills: run and spill of those that are left out, counted as such in the cut flow.
        systematics: also vary the card's systematic sources, in the same loop.
        n_minus_one: also the N-1 distributions, in the same loop.
        skim: events to write into a file of their own, in the same loop; not on a cluster.
        blind: hide the events in the signal boxes, which are all that pass the cuts `ecal` and `hcal` of a
            signature, whatever its other cuts say.
    """

    columns: Sequence[str] = ()
    eot: Mapping[str, float] | None = None
    without_spills: Collection[tuple[int, int]] = ()
    systematics: bool = False
    n_minus_one: bool = False
    skim: Skim | None = None
    blind: bool = False
