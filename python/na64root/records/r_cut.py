"""What each value of the cut on R leaves, and the best one."""

from typing import Literal

from .origin import Provenance
from .record import Record


class RCutPoint(Record):
    """A cut on R.

    `signal` is the expected signal, `background` the expected background of S1, `mean_limit` the mean upper
    limit that experiments without signal set on the signal of S1. `sensitivity` is signal over mean limit,
    in units of that of the card's cut. Errors are statistical, of both samples.
    """

    r_max: float
    signal: float
    signal_efficiency: float
    signal_efficiency_error: float
    background: float
    background_error: float
    mean_limit: float
    sensitivity: float
    sensitivity_error: float


class BestRCut(Record):
    """Result of `na64root.best_r_cut`. `gain`: sensitivity of the best cut over that of the card's, less 1.

    `flat` are the lowest and highest cut within 1 % of the best sensitivity. `best` is chosen and measured
    with the same events, which makes `gain` too large by a part of its error at most. `candidates` counts the
    events of each sample that pass the other cuts.
    """

    mass_GeV: float
    epsilon: float
    core: Literal["period", "single"]
    r_max: float
    best: float
    flat: tuple[float, float]
    gain: float
    gain_error: float
    cuts: list[RCutPoint]
    candidates: dict[str, int]
    background: str
    published: str
    provenance: Provenance
