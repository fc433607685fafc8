"""Lines and bands of theory: the muon's g-2, the electron's, the Landau pole, kinematic limits."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._core import Coupling as CoreCoupling
from .._core import epsilon_of_magnetic_moment, magnetic_moment, units
from .._core import landau_pole_bound as core_landau_pole_bound
from ..annotations import Array
from ..config import Card, Coupling
from ..errors import ConfigError


class Band(NamedTuple):
    """epsilon against mass; NaN where the shift is not positive and there is no line. Shapes (n_mass,)."""

    minus2: Array
    minus1: Array
    central: Array
    plus1: Array
    plus2: Array


def epsilon_g2(
    mass_GeV: ArrayLike,
    delta_a: float,
    lepton_mass_GeV: float = units.muon_mass,
    *,
    charge: float = -1.0,
    coupling: Coupling = "vector",
) -> Array:
    """The epsilon that shifts a lepton's anomalous magnetic moment by `delta_a`.

    NaN where `delta_a` is zero or has the other sign: vectors and scalars add, axial vectors and
    pseudoscalars take away. `charge` is the lepton's of the mediator; NaN where it has none. One loop
    (magnetic_moment.hpp). Shape of mass_GeV.
    """
    mass = np.asarray(mass_GeV, dtype=float)
    if not delta_a * SIGN_OF_MOMENT[coupling] > 0.0 or charge == 0.0:
        return np.full(mass.shape, math.nan)
    core = CoreCoupling.__members__[coupling]
    return np.asarray(epsilon_of_magnetic_moment(lepton_mass_GeV, mass, delta_a, core)) / abs(charge)


def muon_moment(card: Card, mass_GeV: ArrayLike, epsilon: ArrayLike) -> Array:
    """What the card's mediator adds to the muon's anomalous magnetic moment; shapes as broadcast."""
    core = CoreCoupling.__members__[card.model.coupling]
    charge = card.model.vector.muon
    return np.asarray(magnetic_moment(units.muon_mass, mass_GeV, np.asarray(epsilon) * charge, core))


# What a mediator does to the anomalous magnetic moment of a lepton that it couples to.
SIGN_OF_MOMENT: dict[Coupling, float] = {"vector": 1.0, "axial": -1.0, "scalar": 1.0, "pseudoscalar": -1.0}


def _band(card: Card, mass_GeV: ArrayLike, central: float, uncertainty: float) -> Band:
    charge, coupling = card.model.vector.muon, card.model.coupling
    return Band(
        *(
            epsilon_g2(mass_GeV, central + pull * uncertainty, charge=charge, coupling=coupling)
            for pull in (-2, -1, 0, 1, 2)
        )
    )


def muon_g2_band(card: Card, mass_GeV: ArrayLike) -> Band:
    """The band of the card's world average with Fermilab: the paper's red band, its Fig. 4."""
    g2 = card.muon_g2
    return _band(card, mass_GeV, g2.central.value, g2.uncertainty.value)


def muon_g2_band_before_fermilab(card: Card, mass_GeV: ArrayLike) -> Band:
    """The band before Fermilab's result: the paper's blue band, its Fig. 4."""
    g2 = card.muon_g2
    central, uncertainty = g2.central_before_fermilab.value, g2.uncertainty_before_fermilab.value
    return _band(card, mass_GeV, central, uncertainty)


class ElectronG2(NamedTuple):
    """Measured minus predicted anomalous magnetic moment of the electron, for one measurement of alpha."""

    central: float
    uncertainty: float
    source: str


# a_e of Hanneke et al., PRL 100, 120801 (2008); the prediction follows alpha, whose two best measurements
# differ by 5 sigma.
ELECTRON_G2 = {
    "rubidium": ElectronG2(4.8e-13, 3.0e-13, "alpha from rubidium: Morel et al., Nature 588, 61 (2020)"),
    "caesium": ElectronG2(-8.8e-13, 3.6e-13, "alpha from caesium: Parker et al., Science 360, 191 (2018)"),
}


def electron_g2_bound(
    mass_GeV: ArrayLike,
    alpha: str = "rubidium",
    pull: float = 2.0,
    *,
    charge: float = -1.0,
    coupling: Coupling = "vector",
) -> Array:
    """The epsilon above which the electron's g-2 is more than `pull` sigma too large. Shape of mass_GeV.

    Too small for axial vectors and pseudoscalars, which take away. NaN everywhere where the measurement lies
    more than `pull` sigma on the other side of the prediction already (caesium at 2 sigma, of vectors): there
    is no bound on epsilon, the Standard Model itself is off. `charge` is the electron's of the mediator.

    Raises:
        ConfigError: no such measurement of alpha.
    """
    if alpha not in ELECTRON_G2:
        raise ConfigError(f"no measurement of alpha by {alpha}: choose one of {', '.join(ELECTRON_G2)}")
    measured = ELECTRON_G2[alpha]
    bound = measured.central + SIGN_OF_MOMENT[coupling] * pull * measured.uncertainty
    return epsilon_g2(mass_GeV, bound, units.electron_mass, charge=charge, coupling=coupling)


def landau_pole_bound(mass_GeV: float) -> float:
    """Largest alpha_D without a Landau pole below 1 TeV: a bound to warn about."""
    return float(core_landau_pole_bound(mass_GeV))


def chi2_stable_below_splitting(chi1_mass_GeV: ArrayLike) -> Array:
    """f = 2 m_e/m_chi1, below which chi2 has no visible decay. Shape of chi1_mass_GeV."""
    return np.asarray(2.0 * units.electron_mass / np.asarray(chi1_mass_GeV, dtype=float))
