"""What a selection finds."""

from __future__ import annotations

from pydantic import Field

from ..config import Signature
from ..event_loop.histograms import Histogram
from ..records import Count, CutFlowRow, InputDetails, InputFile, Record
from .cut_table import CutDescription
from .n_minus_one import NMinusOne
from .skim import Skimmed
from .systematics import SystematicEffect

# Of the selected events of one signature, each of shape (n_selected,).
SelectedColumns = dict[str, list[float]]


class ExpectedCount(Record):
    """Sum of weights of a simulated sample after all cuts, in place of an observed count."""

    period: str
    signature: Signature
    expected: float
    error: float


class Candidate(Record):
    """An event that passed every cut, with every quantity the cuts look at; null when the file lacks it."""

    run: int
    spill: int
    spillevent: int
    period: str
    signature: Signature
    weight: float
    out_of_time_GeV: float | None
    straw_hits_x: float | None
    straw_hits_y: float | None
    beam_cell: tuple[int, int] | None
    srd_GeV: tuple[float, float, float] | None
    momentum_GeV: float | None
    preshower_GeV: float | None
    ecal_GeV: float
    veto_GeV: float
    hcal1_GeV: float
    hcal2_GeV: float
    hcal3_GeV: float
    r: float | None
    shower_chi2: float | None


class SelectionResult(Record):
    """What the selection found. `weighted`: simulation with weights, so that nothing is observed.

    `cutflow_errors`: the root of the sum of squared weights of each row of `cutflow`. `systematics` is empty
    unless asked for, as are `n_minus_one`, `skim` and `columns`: what was asked for of the selected events of
    each signature, beside `weight` and `period` (its number in the card), in the order of run, spill and
    number in the spill.
    `blind`: events in the signal boxes are in nothing of this, and the flow ends before the cut that would
    count them. `kept_share`: by period, the share of the spills of the input that the list of good runs and
    the spills left out leave; null where all exposures are by hand, for which no spill is counted.
    `negative_weights`: events with an `mcWeight` below zero.
    """

    cutflow: list[CutFlowRow]
    cutflow_errors: list[float]
    counts: list[Count]
    expected: list[ExpectedCount]
    exposure: dict[str, float]
    kept_share: dict[str, float | None]
    candidates: list[Candidate]
    files: list[InputFile]
    input: InputDetails
    weighted: bool
    negative_weights: int
    event_loops: int
    notes: list[str]
    histograms: dict[str, Histogram]
    systematics: list[SystematicEffect]
    blind: bool = False
    n_minus_one: tuple[NMinusOne, ...] = ()
    skim: Skimmed | None = None
    cuts: tuple[CutDescription, ...] = ()
    columns: dict[Signature, SelectedColumns] = Field(default_factory=dict)
