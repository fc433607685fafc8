"""A verdict, and what it rests on."""

from typing import Literal

from ..config import SignalAcceptance
from ..records import Provenance, Record

Kind = Literal["point", "hepmc3", "lhe"]


class ExpectedEvents(Record):
    """Expected events, with the statistical error of a sample and the relative uncertainties of the card.

    `statistical` is 0 where no sample was used: the chain integrates.
    """

    expected: float
    statistical: float
    systematic: float


class Step(Record):
    """Expected events that a step leaves."""

    step: str
    events: float


class EventFacts(Record):
    """A file of generated events. `decays` counts events by what their A' does, as understood."""

    path: str
    size: int
    sha256: str
    events: int
    weights_sum: float
    decays: dict[str, int]


class Verdict(Record):
    """The result of :func:`na64root.verdict`.

    Attributes:
        kind: what was judged.  mass_GeV: of the A'.
        epsilon: null where a file has the places of its decays and does not say it.
        s1, s2, total: expected events, after everything.
        steps: by signature what each step leaves, from A' produced on.
        upper_limit: on the total, with its error, for the shares of this signal.  cls: of the signal.
        strength: expected over its limit; 1 or more is excluded.
        why: in words.  notes: what was taken as given.
    """

    kind: Kind
    mass_GeV: float
    epsilon: float | None
    alpha_dark: float
    mass_ratio: float
    relative_splitting: float
    s1: ExpectedEvents
    s2: ExpectedEvents
    total: ExpectedEvents
    steps: dict[str, list[Step]]
    upper_limit: float
    upper_limit_error: float
    cls: float
    strength: float
    excluded: bool
    why: str
    confidence_level: float
    acceptance: SignalAcceptance
    events: EventFacts | None
    notes: list[str]
    provenance: Provenance
