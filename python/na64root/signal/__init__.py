"""Expected signal without Monte Carlo: production, flight, decay, the card's acceptance.

`parameters` are those of the dark sector, `experiment` puts beam and calorimeters into records of the core,
`inside` tabulates what the selection of S2 leaves of decays inside the detector, `chain` folds the integrals
of the C++ core into events per electron, `counts` gives events for an exposure and bins of the likelihood.
"""

from .chain import ENERGY_POINTS, LOWEST_APRIME_ENERGY_GEV, REGIONS, SignalAtMass, SignalModel
from .counts import card_counts, effective_electrons, effective_exposure, expected_signal
from .parameters import MODES, Mode, Parameters, require_mode

__all__ = [
    "ENERGY_POINTS",
    "LOWEST_APRIME_ENERGY_GEV",
    "MODES",
    "REGIONS",
    "Mode",
    "Parameters",
    "SignalAtMass",
    "SignalModel",
    "card_counts",
    "effective_electrons",
    "effective_exposure",
    "expected_signal",
    "require_mode",
]
