"""A' from protons on a dump: decays of pi0 and eta, and bremsstrahlung of the proton."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .._core import units
from ..annotations import Array
from .recasts import EVENTS_AT_90, AprimeSample, Detector, boost, unit_vectors

# Mass in GeV, branching ratio to two photons.
MESONS = {
    "pi0": (units.neutral_pion_mass, units.neutral_pion_to_photons),
    "eta": (units.eta_mass, units.eta_to_photons),
}


@dataclass(frozen=True)
class ProtonDump:
    """A proton beam dump: beams, distances, sizes, efficiencies, excluded events as in ALPINIST and SensCalc.

    `multiplicity` counts mesons per proton on target (Pythia 8, as in SensCalc). The energy threshold of the
    pair, 3 GeV, is assumed: searches and recasts use 1 to 10 GeV.
    """

    name: str
    reference: str
    beam_energy_GeV: float
    protons_on_target: float
    mass_number: float
    multiplicity: Mapping[str, float]
    detector: Detector
    efficiency: float
    events_excluded: float

    @property
    def exposure(self) -> float:
        """Beam particles times efficiency."""
        return self.protons_on_target * self.efficiency


NUCAL = ProtonDump(
    name="NuCal",
    reference="PLB 701, 155 (2011): 1.7e18 protons of 70 GeV on iron",
    beam_energy_GeV=70.0,
    protons_on_target=1.7e18,
    mass_number=56.0,
    multiplicity={"pi0": 2.37, "eta": 0.26},
    # A circle of 1.3 m radius, or a square of 2.6 m: the square.
    detector=Detector(6_400.0, 8_700.0, 130.0, 130.0, pair_energy_min_GeV=3.0),
    efficiency=0.7,
    events_excluded=3.6,
)


CHARM = ProtonDump(
    name="CHARM",
    reference="PLB 713, 244 (2012): 2.4e18 protons of 400 GeV on copper",
    beam_energy_GeV=400.0,
    protons_on_target=2.4e18,
    mass_number=63.5,
    multiplicity={"pi0": 4.15, "eta": 0.47},
    detector=Detector(48_000.0, 51_500.0, 150.0, 150.0, pair_energy_min_GeV=3.0, center_cm=480.0),
    efficiency=0.51,
    events_excluded=EVENTS_AT_90,
)


def aprimes(dump: ProtonDump, mass_GeV: float, *, events: int, seed: int) -> AprimeSample:
    """A' of a proton dump at epsilon = 1, `events` of each process; they are made where the beam ends."""
    random = np.random.Generator(np.random.Philox(seed))
    parts = [make(dump, mass_GeV, events, random) for make in (from_mesons, from_bremsstrahlung)]
    return AprimeSample(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def invariant_cross_section(
    x_radial: Array, x_feynman: Array, transverse: Array, mass_number: float
) -> Array:
    """E d3sigma/dp3 of pi0 in p A, the mean of pi+ and pi-, up to a constant; GeV.

    Bonesini et al., hep-ph/0101163 (BMPT): fitted to p Be at 400 and 450 GeV, with the dependence on A of its
    Eq. 9, whose last factor has pT squared (so also in a public flux code, pyosccalc of aditya-marathe).
    """
    a = 6.10 / x_radial**0.153
    b = 6.10**2 / (2.0 * x_radial**0.478)
    positive = (
        (1.0 - x_radial) ** 3.45
        * (1.0 + 1.57 * x_radial)
        * x_radial**-0.517
        * (1.0 + a * transverse + b * transverse**2)
        * np.exp(-a * transverse)
    )
    ratio = 1.05 * (1.0 + x_radial) ** 2.65
    power = (0.74 - 0.55 * x_feynman + 0.26 * x_feynman**2) * (0.98 + 0.21 * transverse**2)
    return np.asarray(0.5 * positive * (1.0 + 1.0 / ratio) * (mass_number / 9.0) ** power)


def mesons(
    dump: ProtonDump, mass: float, multiplicity: float, n: int, random: np.random.Generator
) -> tuple[Array, Array]:
    """Four-vectors (n, 4) of a meson of `mass` and weights that sum to `multiplicity`.

    The whole phase space is sampled: flat in rapidity, pT half like pT exp(-5 pT), half like pT exp(-2 pT),
    since a detector off the beam sees the energetic ones by their tail alone.
    """
    energy = dump.beam_energy_GeV
    s = 2.0 * units.proton_mass * (energy + units.proton_mass)
    root_s = math.sqrt(s)
    beam = math.sqrt((energy - units.proton_mass) * (energy + units.proton_mass))
    gamma = (energy + units.proton_mass) / root_s
    largest = (s - (2.0 * units.proton_mass) ** 2 + mass**2) / (2.0 * root_s)
    rapidity_max = math.acosh(largest / mass)
    rapidity = rapidity_max * (2.0 * random.random(n) - 1.0)
    transverse = random.gamma(2.0, np.where(np.arange(n) % 2 == 0, 0.2, 0.5))
    transverse_mass = np.hypot(mass, transverse)
    star_energy = transverse_mass * np.cosh(rapidity)
    star_z = transverse_mass * np.sinh(rapidity)
    x_radial = star_energy / largest
    allowed = x_radial < 1.0
    x_feynman = np.clip(star_z / math.sqrt(largest**2 - mass**2), -1.0, 1.0)
    sigma = invariant_cross_section(np.minimum(x_radial, 1.0), x_feynman, transverse, dump.mass_number)
    # d3p/E = pT dpT dphi dy over the density, pT (25 exp(-5 pT) + 4 exp(-2 pT))/2
    density = 0.5 * (25.0 * np.exp(-5.0 * transverse) + 4.0 * np.exp(-2.0 * transverse))
    weight = np.where(allowed, sigma / density, 0.0)
    weight *= multiplicity / weight.sum()
    gamma_beta = beam / root_s
    azimuth = 2.0 * math.pi * random.random(n)
    vectors = np.stack(
        [
            gamma * star_energy + gamma_beta * star_z,
            transverse * np.cos(azimuth),
            transverse * np.sin(azimuth),
            gamma * star_z + gamma_beta * star_energy,
        ],
        axis=1,
    )
    return vectors, weight


def from_mesons(dump: ProtonDump, mass_GeV: float, n: int, random: np.random.Generator) -> AprimeSample:
    """pi0, eta -> gamma A' at epsilon = 1: Br = 2 (1 - M^2/m^2)^3 Br(gamma gamma), isotropic."""
    parts = []
    for name, (mass, branching) in MESONS.items():
        if not mass_GeV < mass:
            continue
        parents, weight = mesons(dump, mass, dump.multiplicity[name], n, random)
        energy = (mass**2 + mass_GeV**2) / (2.0 * mass)
        momentum = (mass**2 - mass_GeV**2) / (2.0 * mass)
        direction = unit_vectors(2.0 * random.random(n), random.random(n))
        at_rest = np.concatenate([np.full((n, 1), energy), momentum * direction], axis=1)
        aprimes = boost(at_rest, parents[:, 0], parents[:, 1:], mass)
        parts.append((aprimes, weight * 2.0 * (1.0 - (mass_GeV / mass) ** 2) ** 3 * branching))
    if not parts:
        return AprimeSample(np.zeros((0, 4)), np.zeros(0), np.zeros(0))
    return AprimeSample(
        np.concatenate([a for a, _ in parts]),
        np.zeros(n * len(parts)),
        np.concatenate([w for _, w in parts]),
    )


# Strength of the phi in the proton's form factor over that of the omega (assumed). The proton has no strange
# quarks, so the phi couples by its light ones alone, -tan(3.4 degrees), the departure from ideal mixing; the
# photon's coupling to the phi is 17.1/12.9 times that to the omega, from their widths to e+ e- (PDG).
PHI_OVER_OMEGA = -math.tan(math.radians(3.4)) * 17.1 / 12.9


def form_factor(q2: float) -> complex:
    """F1 of the proton at a time-like q^2 (GeV^2), after Faessler et al., arXiv:0910.5589.

    That fit has the rho and omega families and no phi. Here it has the strength PHI_OVER_OMEGA, which the
    second omega loses, so that the charge stays.
    """
    phi = PHI_OVER_OMEGA * 1.0118
    total = 0j
    for strength, mass, width in (  # rho and omega families, the phi; GeV
        (0.6165, 0.77, 0.15),
        (0.2232, 1.25, 0.3),
        (-0.3397, 1.45, 0.5),
        (1.0118, 0.77, 0.0085),
        (-0.8817 - phi, 1.25, 0.3),
        (0.3699, 1.45, 0.5),
        (phi, units.phi_mass, units.phi_width),
    ):
        total += strength * mass**2 / (mass**2 - q2 - 1j * mass * width)
    return total


def splitting(z: Array, transverse2: Array, mass_GeV: float) -> Array:
    """dN/dz dpT^2 per interacting proton at epsilon = 1, without form factor; 1/GeV^2.

    Bluemlein and Brunner, arXiv:1311.3870, in the approximation of Weizsaecker and Williams.
    """
    p2, m2 = units.proton_mass**2, mass_GeV**2
    h = transverse2 + (1.0 - z) * m2 + z**2 * p2
    bracket = (
        (1.0 + (1.0 - z) ** 2) / z
        - 2.0 * z * (1.0 - z) * ((2.0 * p2 + m2) / h - z**2 * 2.0 * p2**2 / h**2)
        + 2.0 * z * (1.0 - z) * (z + (1.0 - z) ** 2) * p2 * m2 / h**2
        + 2.0 * z * (1.0 - z) ** 2 * m2**2 / h**2
    )
    return np.asarray(units.alpha / (2.0 * math.pi * h) * bracket)


def from_bremsstrahlung(
    dump: ProtonDump, mass_GeV: float, n: int, random: np.random.Generator
) -> AprimeSample:
    """p -> p A' for 0.1 < z < 0.9 and pT < 1 GeV, the range of the approximation."""
    beam = math.sqrt((dump.beam_energy_GeV - units.proton_mass) * (dump.beam_energy_GeV + units.proton_mass))
    z = 0.1 + 0.8 * random.random(n)
    scale = (1.0 - z) * mass_GeV**2 + z**2 * units.proton_mass**2
    span = np.log1p(1.0 / scale)
    transverse2 = scale * np.expm1(span * random.random(n))
    density = 1.0 / (transverse2 + scale) / span / 0.8
    weight = splitting(z, transverse2, mass_GeV) / density / n * abs(form_factor(mass_GeV**2)) ** 2
    along, transverse = z * beam, np.sqrt(transverse2)
    azimuth = 2.0 * math.pi * random.random(n)
    vectors = np.stack(
        [
            np.sqrt(along**2 + transverse2 + mass_GeV**2),
            transverse * np.cos(azimuth),
            transverse * np.sin(azimuth),
            along,
        ],
        axis=1,
    )
    possible = vectors[:, 0] < dump.beam_energy_GeV - units.proton_mass
    return AprimeSample(vectors, np.zeros(n), np.where(possible, weight, 0.0))
