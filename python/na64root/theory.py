"""Lines and bands of theory: the muon's g-2, the electron's, the Landau pole."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from .config import Card

Array = NDArray[np.float64]


class Band(NamedTuple):
    """epsilon against mass; NaN where the shift is not positive and there is no line. Shapes (n_mass,)."""

    minus2: Array
    minus1: Array
    central: Array
    plus1: Array
    plus2: Array


def epsilon_g2(mass_GeV: ArrayLike, delta_a: float, lepton_mass_GeV: float = _core.units.muon_mass) -> Array:
    """The epsilon that shifts a lepton's anomalous magnetic moment by `delta_a`; NaN where delta_a <= 0.

    One-loop vector contribution (Pospelov, arXiv:0811.1030, Eq. 7). Shape of mass_GeV.
    """
    mass = np.asarray(mass_GeV, dtype=float)
    if not delta_a > 0.0:
        return np.full(mass.shape, math.nan)
    return np.asarray(_core.epsilon_of_magnetic_moment(lepton_mass_GeV, mass, delta_a))


def _band(mass_GeV: ArrayLike, central: float, uncertainty: float) -> Band:
    return Band(*(epsilon_g2(mass_GeV, central + pull * uncertainty) for pull in (-2, -1, 0, 1, 2)))


def muon_g2_band(card: Card, mass_GeV: ArrayLike) -> Band:
    """The band of the card's world average with Fermilab: the paper's red band, its Fig. 4."""
    return _band(mass_GeV, card.muon_g2.central.value, card.muon_g2.uncertainty.value)


def muon_g2_band_before_fermilab(card: Card, mass_GeV: ArrayLike) -> Band:
    """The band before Fermilab's result: the paper's blue band, its Fig. 4."""
    g2 = card.muon_g2
    return _band(mass_GeV, g2.central_before_fermilab.value, g2.uncertainty_before_fermilab.value)


def landau_pole_bound(mass_GeV: float) -> float:
    """Largest alpha_D without a Landau pole below 1 TeV: a bound to warn about."""
    return float(_core.landau_pole_bound(mass_GeV))
