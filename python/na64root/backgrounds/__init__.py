"""Backgrounds of S1 and S2 estimated from the data, and the dimuon control sample.

`events` reads the control regions in one loop; `sideband` and `regions` are the methods, `estimate` those
that the card asks for, `records` what comes out. Each method counts where no signal is expected and carries
the count into the box of a signature; how far that holds is in docs/backgrounds.md.
"""

from .estimate import estimate, with_estimates
from .records import Backgrounds, BackgroundUsed, DimuonControl, DimuonYield, Estimate, FitCurve

__all__ = [
    "BackgroundUsed",
    "Backgrounds",
    "DimuonControl",
    "DimuonYield",
    "Estimate",
    "FitCurve",
    "estimate",
    "with_estimates",
]
