"""What is drawn over a plane: lines of theory and what other experiments exclude, as records.

Each carries `source` and `caveat`, for the legend and the file of a figure. Parameters are arguments; where a
result does not hold for them a ConfigError says so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import relic, theory
from .config import Card
from .results import Line
from .signal import Parameters

Array = NDArray[np.float64]


def muon_g2(card: Card, mass_GeV: ArrayLike, *, before_fermilab: bool = False) -> Line:
    """The central g-2 line and its 2 sigma band: the paper's red band, or its blue one before Fermilab."""
    g2 = card.muon_g2
    if before_fermilab:
        band, central = theory.muon_g2_band_before_fermilab(card, mass_GeV), g2.central_before_fermilab
        name, sigma = "muon g-2 before Fermilab", g2.uncertainty_before_fermilab
    else:
        band, central = theory.muon_g2_band(card, mass_GeV), g2.central
        name, sigma = "muon g-2", g2.uncertainty
    return Line(
        name=name,
        source=central.source,
        caveat="band: 2 sigma; later theory averages shrink the shift",
        parameters={"delta_a_mu": central.value, "uncertainty": sigma.value},
        x=_floats(mass_GeV),
        y=_nullable(band.central),
        band_low=_nullable(band.minus2),
        band_high=_nullable(band.plus2),
    )


def electron_g2(mass_GeV: ArrayLike, *, alpha: str = "rubidium", pull: float = 2.0) -> Line:
    """The bound by the electron's g-2: larger epsilon is excluded at `pull` sigma.

    Raises:
        ConfigError: no such measurement of alpha (rubidium, caesium).
    """
    bound = theory.electron_g2_bound(mass_GeV, alpha, pull)
    measured = theory.ELECTRON_G2[alpha]
    caveat = f"excluded above at {pull:g} sigma; the two measurements of alpha differ by 5 sigma"
    if not np.isfinite(bound).any():
        caveat = f"no bound: a_e is more than {pull:g} sigma below the prediction without an A' already"
    return Line(
        name=f"electron g-2 ({alpha})",
        source=f"a_e: Hanneke et al., PRL 100, 120801 (2008); {measured.source}",
        caveat=caveat,
        parameters={"delta_a_e": measured.central, "uncertainty": measured.uncertainty, "pull": pull},
        x=_floats(mass_GeV),
        y=_nullable(bound),
        excluded_side="above",
    )


def relic_line(mass_GeV: ArrayLike, parameters: Parameters) -> Line:
    """epsilon of the observed dark matter, with its band; null outside 1 MeV to 3 GeV.

    Raises:
        ConfigError: an unphysical model.  ConvergenceError: no epsilon leaves this density.
    """
    masses = np.atleast_1d(np.asarray(mass_GeV, dtype=float))
    low, high = relic.MASS_RANGE_GEV
    line, resonant = np.full(masses.shape, np.nan), np.zeros(masses.shape, dtype=bool)
    for i, mass in enumerate(masses):
        if low <= mass <= high:
            density = relic.RelicDensity(float(mass), parameters)
            line[i] = density.epsilon()
            resonant[i] = density.resonance_share(float(line[i])) > 0.5
    uncertainty = np.where(masses < relic.HADRONS_FROM, relic.UNCERTAINTY, relic.UNCERTAINTY_WITH_HADRONS)
    caveat = (
        "band: 30 % in epsilon below m_A' = 0.4 GeV, 60 % above, where hadrons matter (assumed); "
        "chi1 and chi2 in equilibrium with each other and with the SM until freeze-out"
    )
    if (masses / parameters.mass_ratio < relic.LIGHTEST_CHI1_GEV).any():
        caveat += "; chi1 below 5 MeV would heat electrons after neutrinos decouple, which is left out"
    if resonant.any():
        caveat += "; m_A' near m_chi1 + m_chi2: resonant annihilation, epsilon rests on the width of the A'"
    return Line(
        name="thermal relic",
        source="own Boltzmann solution, Omega h^2 = 0.12 (Planck 2018)",
        caveat=caveat,
        parameters=_as_dict(parameters),
        x=masses.tolist(),
        y=_nullable(line),
        band_low=_nullable(line / (1.0 + uncertainty)),
        band_high=_nullable(line * (1.0 + uncertainty)),
        uncertain=resonant.tolist(),
    )


def landau_pole(mass_GeV: ArrayLike) -> Line:
    """The largest alpha_D without a Landau pole below 1 TeV, against m_A'."""
    masses = np.atleast_1d(np.asarray(mass_GeV, dtype=float))
    return Line(
        name="Landau pole",
        source="alpha_D < 2 pi/(b ln(1 TeV/m_A')), b = 8/3: chi and a dark Higgs of charge 2",
        caveat="a bound of theory on the model as it stands up to 1 TeV; the paper rounds it to 0.2",
        parameters={"scale_GeV": 1000.0},
        y_quantity="alpha_dark",
        x=masses.tolist(),
        y=[theory.landau_pole_bound(float(mass)) for mass in masses],
        excluded_side="above",
    )


def chi2_stable(chi1_mass_GeV: ArrayLike) -> Line:
    """f below which chi2 has no visible decay, against m_chi1: there the invisible search holds."""
    return Line(
        name="chi2 stable",
        source="Delta = 2 m_e",
        caveat="below it chi2 decays to photons or neutrinos at most, and counts as stable here",
        parameters={},
        x_quantity="chi1_mass_GeV",
        y_quantity="relative_splitting",
        x=_floats(chi1_mass_GeV),
        y=_nullable(theory.chi2_stable_below_splitting(np.atleast_1d(chi1_mass_GeV))),
    )


def decay_closed(chi1_mass_GeV: ArrayLike, mass_ratio: float) -> Line:
    """f above which A' -> chi1 chi2 is closed, against m_chi1."""
    masses = _floats(chi1_mass_GeV)
    return Line(
        name="A' -> chi1 chi2 closed",
        source="Delta = m_A' - 2 m_chi1",
        caveat="at this line, m_A' = m_chi1 + m_chi2, the co-annihilation of the early universe is resonant",
        parameters={"mass_ratio": mass_ratio},
        x_quantity="chi1_mass_GeV",
        y_quantity="relative_splitting",
        x=masses,
        y=[mass_ratio - 2.0] * len(masses),
        excluded_side="above",
    )


def _as_dict(parameters: Parameters) -> dict[str, float]:
    return {
        "alpha_dark": parameters.alpha_dark,
        "mass_ratio": parameters.mass_ratio,
        "relative_splitting": parameters.relative_splitting,
    }


def _floats(values: ArrayLike) -> list[float]:
    return [float(value) for value in np.atleast_1d(np.asarray(values, dtype=float))]


def _nullable(values: Array) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in np.atleast_1d(values)]
