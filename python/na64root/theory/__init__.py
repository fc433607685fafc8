"""Lines of theory, the relic density, and what other experiments exclude.

`lines` are the g-2 bands and bounds; `relic` the thermal relic density; `recasts` and `proton_beam` compute
E137, BaBar, NuCal and CHARM for any parameters; `overlays`, `experiments` and `published` are all of these
as records; `scorecard` puts published numbers beside ours.
"""

from .lines import (
    ELECTRON_G2,
    SIGN_OF_MOMENT,
    Band,
    ElectronG2,
    chi2_stable_below_splitting,
    electron_g2_bound,
    epsilon_g2,
    landau_pole_bound,
    muon_g2_band,
    muon_g2_band_before_fermilab,
    muon_moment,
)

__all__ = [
    "ELECTRON_G2",
    "SIGN_OF_MOMENT",
    "Band",
    "ElectronG2",
    "chi2_stable_below_splitting",
    "electron_g2_bound",
    "epsilon_g2",
    "landau_pole_bound",
    "muon_g2_band",
    "muon_g2_band_before_fermilab",
    "muon_moment",
]
