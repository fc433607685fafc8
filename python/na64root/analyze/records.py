"""What the analysis of an input gives."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .. import backgrounds, records, selection
from ..config import Correlation, SignalAcceptance, Signature
from ..limits.model_record import ModelRecord
from ..limits.side_by_side import Limits
from ..records import (
    Count,
    CutFlowRow,
    Discovery,
    InclusiveReading,
    Interval,
    Overlay,
    Provenance,
    Record,
    Score,
)
from ..selection.left_out import Exclusions
from ..selection.systematics import SystematicEffect
from ..signal import Mode
from ..simulation import signal_files


class Scorecard(Record):
    """Result of :func:`score`. `inclusive` says what the data exclude where S2 is read inclusively."""

    scores: list[Score]
    provenance: Provenance
    inclusive: list[str]


class ExcludedRange(Record):
    """The excluded range of epsilon at each mass; null where nothing is excluded.

    The others are those of the plane that `scan` computes (:class:`na64root.records.PlaneResult`).
    """

    mass_GeV: list[float]
    epsilon_low: list[float | None]
    epsilon_high: list[float | None]
    mode: Mode = "semivisible"
    contours: list[list[list[float]]] = Field(default_factory=list)
    expected_contours: dict[str, list[list[list[float]]]] = Field(default_factory=dict)
    overlays: dict[str, Overlay] = Field(default_factory=dict)
    inclusive: InclusiveReading | None = None


class SignalUncertaintyOfSample(Record):
    """A source of the signal uncertainty in the limit, relative, as `limits.impacts` names it.

    `origin`: of the card (``published``), or of a varied sample (``varied``), then with the statistical
    `error` of the number. Correlation ``all``: one nuisance for all bins.
    """

    source: str
    uncertainty: float
    error: float | None
    correlation: Correlation
    origin: Literal["published", "varied"]


class SignalOfSample(Record):
    """The limit for the expected signal of a sample given by files, in place of the chain's.

    `chain` is what the chain expects there, null in mode visible. `upper_limit` is the exact one on the
    number of signal events, `upper_limit_mu` the same over `expected`. `uncertainties` are the sources in
    the model beside the statistical error of each bin.
    """

    sample: signal_files.SimulatedSignal
    expected: float
    error: float
    chain: dict[str, float] | None
    upper_limit: float
    upper_limit_mu: float
    excluded: bool
    uncertainties: list[SignalUncertaintyOfSample]


class Analysis(Record):
    """The result of `na64root analyze`.

    `expected` holds the counts of weighted simulation, which has no observed ones. `limit` is null when no
    bin has both a count and exposure. `discovery` and `interval` are null where nothing was observed.
    `signal` is null without a signal sample; with one, `limit` has its shares and statistical errors, while
    the plane remains that of `acceptance`: the chain or the own simulation. `systematics` is what the card's
    sources do to the events of the input, empty unless asked for; `signal_uncertainties` are the sources in
    `counting_model`, that of `limit`. `blind`: events in the signal boxes are in nothing of this, nothing is
    observed, limit and plane are those expected without signal. `g2_end_is_frame` is that of the plane.
    """

    cutflow: list[CutFlowRow]
    counts: list[Count]
    exposure: dict[str, float]
    limit: Limits | None
    exclusion: ExcludedRange
    g2_excluded_up_to_GeV: float | None
    candidates: list[selection.Candidate]
    files: dict[str, str]
    provenance: Provenance
    expected: list[selection.ExpectedCount]
    discovery: Discovery | None = None
    interval: Interval | None = None
    acceptance: SignalAcceptance = "chain"
    signal: SignalOfSample | None = None
    files_skipped: list[records.SkippedFile]
    systematics: list[SystematicEffect]
    data_quality: Exclusions | None = None
    background_estimates: dict[Signature, backgrounds.BackgroundUsed] | None = None
    signal_uncertainties: list[SignalUncertaintyOfSample] = Field(default_factory=list)
    counting_model: ModelRecord | None = None
    blind: bool = False
    notes: list[str]
    g2_end_is_frame: bool = False
