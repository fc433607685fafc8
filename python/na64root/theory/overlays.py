"""Lines of theory that are drawn over a plane, as records with source and caveat.

Parameters are arguments; where a line does not hold for them a ConfigError says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from .._core import units
from ..annotations import Array
from ..config import Card, Coupling
from ..records import Line
from ..signal import Parameters
from . import lines, relic
from .published import as_json, floats_of, nullable


def muon_g2(card: Card, mass_GeV: ArrayLike, *, before_fermilab: bool = False) -> Line:
    """The central g-2 line and its 2 sigma band: the paper's red band, or its blue one before Fermilab."""
    g2 = card.muon_g2
    if before_fermilab:
        band, central = lines.muon_g2_band_before_fermilab(card, mass_GeV), g2.central_before_fermilab
        name, sigma = "muon g-2 before Fermilab", g2.uncertainty_before_fermilab
    else:
        band, central = lines.muon_g2_band(card, mass_GeV), g2.central
        name, sigma = "muon g-2", g2.uncertainty
    return Line(
        name=name,
        source=central.source,
        caveat="band: 2 sigma; later theory averages shrink the shift",
        parameters={"delta_a_mu": central.value, "uncertainty": sigma.value},
        x=floats_of(mass_GeV),
        y=nullable(band.central),
        band_low=nullable(band.minus2),
        band_high=nullable(band.plus2),
    )


def electron_g2(
    mass_GeV: ArrayLike,
    *,
    alpha: str = "rubidium",
    pull: float = 2.0,
    charge: float = -1.0,
    coupling: Coupling = "vector",
) -> Line:
    """The bound by the electron's g-2: larger epsilon is excluded at `pull` sigma.

    `charge` is the electron's of the mediator.

    Raises:
        ConfigError: no such measurement of alpha (rubidium, caesium).
    """
    bound = lines.electron_g2_bound(mass_GeV, alpha, pull, charge=charge, coupling=coupling)
    measured = lines.ELECTRON_G2[alpha]
    caveat = f"excluded above at {pull:g} sigma; the two measurements of alpha differ by 5 sigma"
    if not np.isfinite(bound).any():
        side = "below" if lines.SIGN_OF_MOMENT[coupling] > 0.0 else "above"
        caveat = f"no bound: a_e is more than {pull:g} sigma {side} the prediction without an A' already"
    return Line(
        name=f"electron g-2 ({alpha})",
        source=f"a_e: Hanneke et al., PRL 100, 120801 (2008); {measured.source}",
        caveat=caveat,
        parameters={"delta_a_e": measured.central, "uncertainty": measured.uncertainty, "pull": pull},
        x=floats_of(mass_GeV),
        y=nullable(bound),
        excluded_side="above",
    )


def relic_line(mass_GeV: ArrayLike, parameters: Parameters, kind: relic.DarkMatter = "inelastic") -> Line:
    """epsilon of the observed dark matter, with its band; null outside 1 MeV to 3 GeV and where it exceeds 1.

    Args:
        kind: of dark matter, `inelastic` (chi1 and chi2), or one of mass m_chi1: dirac, majorana, scalar.

    Raises:
        ConfigError: an unphysical model.
    """
    masses = np.atleast_1d(np.asarray(mass_GeV, dtype=float))
    low, high = relic.MASS_RANGE_GEV
    line, resonant = np.full(masses.shape, np.nan), np.zeros(masses.shape, dtype=bool)
    guess = 1e-3
    for i, mass in enumerate(masses):
        if low <= mass <= high:
            density = relic.RelicDensity(float(mass), parameters, kind=kind)
            epsilon = density.epsilon(guess=guess)
            if epsilon is not None:
                line[i] = guess = epsilon
                resonant[i] = density.resonance_share(epsilon) > 0.5
    uncertainty = _relic_uncertainty(masses)
    caveat = _relic_caveat(masses, parameters, resonant)
    if kind != "inelastic":
        caveat = KIND_CAVEATS[kind] + caveat.replace(
            "chi1 and chi2 in equilibrium with each other and with the SM", "in equilibrium with the SM"
        )
    return Line(
        name="thermal relic" if kind == "inelastic" else f"{KIND_NAMES[kind]} relic",
        source=RELIC_SOURCE,
        caveat=caveat,
        parameters=as_json(parameters),
        x=masses.tolist(),
        y=nullable(line),
        band_low=nullable(line / (1.0 + uncertainty)),
        band_high=nullable(line * (1.0 + uncertainty)),
        uncertain=resonant.tolist(),
    )


def masses_of_curves(
    low_GeV: float, high_GeV: float, points: int, parameters: Parameters, *, of_pairs: bool = False
) -> Array:
    """Masses of the A' for curves: evenly in the logarithm, and dense where a curve bends.

    That is where A' -> mu mu opens, where chi2 begins to decay to e e and mu mu, and at rho, omega and phi.

    Args:
        points: of the even ones.
        of_pairs: chi1 chi2 annihilate into what else opens where m_A' does, so that thresholds and resonances
            are at m_chi1 + m_chi2 (the relic line), a little above it by the motion of the pair.

    Returns:
        Rising, from low_GeV to high_GeV.
    """
    ratio, splitting = parameters.mass_ratio, parameters.relative_splitting
    pair = (2.0 + splitting) / ratio if of_pairs else 1.0
    thresholds = [2.0 * units.muon_mass / pair]
    thresholds += [2.0 * m * ratio / splitting for m in (units.electron_mass, units.muon_mass)]
    nodes = [factor * at for at in thresholds for factor in (1.0 - 1e-4, 1.0 + 1e-4)]
    for mass, width in (
        (units.rho_mass, units.rho_width),
        (units.omega_mass, units.omega_width),
        (units.phi_mass, units.phi_width),
    ):
        steps = np.array([-3.0, -1.0, -0.3, 0.0, 0.3, 1.0, 3.0]) * width
        nodes += ((mass + steps) / pair).tolist()
        if of_pairs:
            nodes += (mass / pair * np.linspace(0.9, 1.0, 11)).tolist()
    inside = [node for node in nodes if low_GeV < node < high_GeV]
    return np.unique(np.concatenate([np.geomspace(low_GeV, high_GeV, points), inside]))


def relic_alpha_dark(mass_GeV: ArrayLike, epsilon: ArrayLike, parameters: Parameters) -> Line:
    """alpha_D of the observed dark matter against m_A', at an epsilon for each mass: the paper's Fig. 5.

    Null where none between 1e-4 and 1 leaves it: annihilation at the resonance does not fall with alpha_D.

    Args:
        mass_GeV, epsilon: shapes (n_mass,).
        parameters: R and f; alpha_D is not used.

    Raises:
        ConfigError: an unphysical model.
    """

    def excess(log_alpha: float, mass: float, mixing: float) -> float:
        return relic_excess(mass, mixing, replace(parameters, alpha_dark=math.exp(log_alpha)))

    masses = np.atleast_1d(np.asarray(mass_GeV, dtype=float))
    less, line, more = _relic_solutions(excess, (math.log(1e-4), 0.0), masses, epsilon)
    return Line(
        name="thermal relic",
        source=RELIC_SOURCE,
        caveat=_relic_caveat(masses, parameters),
        parameters={key: value for key, value in as_json(parameters).items() if key != "alpha_dark"},
        y_quantity="alpha_dark",
        x=masses.tolist(),
        y=nullable(np.exp(line)),
        band_low=nullable(np.exp(more)),  # more mixing, less coupling
        band_high=nullable(np.exp(less)),
    )


def relic_splitting(chi1_mass_GeV: ArrayLike, epsilon: ArrayLike, parameters: Parameters) -> Line:
    """f of the observed dark matter against m_chi1, at an epsilon for each mass: the paper's Fig. 5.

    A larger f leaves more dark matter, since chi2 is rarer. Null where none below R - 2 leaves it.

    Args:
        chi1_mass_GeV, epsilon: shapes (n_mass,).
        parameters: R and alpha_D; f is not used.

    Raises:
        ConfigError: an unphysical model.
    """
    ratio = parameters.mass_ratio

    def excess(splitting: float, mass: float, mixing: float) -> float:
        return relic_excess(mass, mixing, replace(parameters, relative_splitting=splitting))

    chi1 = np.atleast_1d(np.asarray(chi1_mass_GeV, dtype=float))
    largest = ratio - 2.0
    bracket = (1e-3 * largest, 0.999 * largest)
    less, line, more = _relic_solutions(excess, bracket, ratio * chi1, epsilon)
    return Line(
        name="thermal relic",
        source=RELIC_SOURCE,
        caveat=_relic_caveat(ratio * chi1, parameters),
        parameters={key: v for key, v in as_json(parameters).items() if key != "relative_splitting"},
        x_quantity="chi1_mass_GeV",
        y_quantity="relative_splitting",
        x=chi1.tolist(),
        y=nullable(line),
        band_low=nullable(less),
        band_high=nullable(more),
    )


KIND_NAMES = {"scalar": "scalar", "majorana": "Majorana", "dirac": "Dirac"}


KIND_CAVEATS = {
    "scalar": "complex scalar of mass m_chi1; ",
    "majorana": "Majorana fermion of mass m_chi1, axial coupling g_D/2; ",
    "dirac": "Dirac fermion of mass m_chi1 (pseudo-Dirac for a splitting to 0), excluded by the CMB "
    "unless it is asymmetric; ",
}


RELIC_SOURCE = "own Boltzmann solution, Omega h^2 = 0.12 (Planck 2018)"


def relic_excess(mass: float, mixing: float, parameters: Parameters) -> float:
    """The logarithm of the density over the observed one, at m_A' in GeV and epsilon."""
    return math.log(relic.RelicDensity(mass, parameters)(mixing) / units.dark_matter_density)


def _relic_solutions(
    excess: Callable[[float, float, float], float],
    bracket: tuple[float, float],
    masses: Array,
    epsilon: ArrayLike,
) -> tuple[Array, Array, Array]:
    """Where the density is right, with epsilon less its uncertainty, as given, and more; NaN for nowhere."""
    mixings = np.broadcast_to(np.asarray(epsilon, dtype=float), masses.shape)
    lowest, highest = relic.MASS_RANGE_GEV
    larger = 1.0 + _relic_uncertainty(masses)
    solutions = []
    for factor in (1.0 / larger, np.ones_like(larger), larger):
        solution = np.full(masses.shape, np.nan)
        for i, arguments in enumerate(zip(masses.tolist(), (mixings * factor).tolist(), strict=True)):
            if lowest <= arguments[0] <= highest and math.isfinite(arguments[1]):
                first, last = (excess(end, *arguments) for end in bracket)
                if first * last < 0.0:
                    solution[i] = optimize.brentq(excess, *bracket, args=arguments, xtol=1e-3)
        solutions.append(solution)
    return solutions[0], solutions[1], solutions[2]


def _relic_uncertainty(masses: Array) -> Array:
    return np.where(masses < relic.HADRONS_FROM, relic.UNCERTAINTY, relic.UNCERTAINTY_WITH_HADRONS)


def _relic_caveat(masses: Array, parameters: Parameters, resonant: NDArray[np.bool_] | None = None) -> str:
    caveat = (
        "band: 15 % in epsilon below m_A' = 0.4 GeV, 40 % above, where hadrons matter (as far as the public "
        "target for f -> 0 differs); "
        "chi1 and chi2 in equilibrium with each other and with the SM until freeze-out"
    )
    if (masses / parameters.mass_ratio < relic.LIGHTEST_CHI1_GEV).any():
        caveat += "; chi1 below 5 MeV would heat electrons after neutrinos decouple, which is left out"
    if resonant is not None and resonant.any():
        caveat += "; m_A' near m_chi1 + m_chi2: resonant annihilation, epsilon rests on the width of the A'"
    return caveat


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
        y=[lines.landau_pole_bound(float(mass)) for mass in masses],
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
        x=floats_of(chi1_mass_GeV),
        y=nullable(lines.chi2_stable_below_splitting(np.atleast_1d(chi1_mass_GeV))),
    )


def decay_closed(chi1_mass_GeV: ArrayLike, mass_ratio: float) -> Line:
    """f above which A' -> chi1 chi2 is closed, against m_chi1."""
    masses = floats_of(chi1_mass_GeV)
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
