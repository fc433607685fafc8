"""Whether a model is excluded, in one call: a model point, or generated events of anybody.

`records` is what comes out; `events` is what is read of generated events, `hepmc3` and `lhe` read them;
`accepted` is what the acceptance of the chain leaves of them; `judge` compares with the limit.
"""

from .judge import Point, verdict
from .records import EventFacts, ExpectedEvents, Step, Verdict

__all__ = ["EventFacts", "ExpectedEvents", "Point", "Step", "Verdict", "verdict"]
