"""The thresholds of both signatures and the cut on R, chosen together."""

from .origin import Provenance
from .record import Record


class CutsTogether(Record):
    """One choice of cuts, by their names in the card, and what it leaves.

    `signal` and `background` are expected events by signature; `mean_limit` is the mean upper limit on both
    together that experiments without signal set, at this share of the signatures.
    """

    cuts: dict[str, float]
    signal: dict[str, float]
    background: dict[str, float]
    mean_limit: float


class BestCuts(Record):
    """Result of `na64root.best_cuts`. `gain`: signal over mean limit of `best` over that of `card`, less 1.

    `gain` is that of cuts chosen with one half of the events and measured with the other, the mean of both
    ways, so that fluctuations do not count as a gain; `gain_error` is statistical, of both samples. `alone`
    is what each cut gains by itself, chosen and measured with all events, with its value. `candidates` counts
    the events of each sample.
    """

    mass_GeV: float
    epsilon: float
    card: CutsTogether
    best: CutsTogether
    gain: float
    gain_error: float
    alone: dict[str, tuple[float, float]]
    tried: dict[str, list[float]]
    candidates: dict[str, int]
    background: str
    published: str
    provenance: Provenance
