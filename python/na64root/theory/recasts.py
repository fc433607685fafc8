"""Other experiments, recast to A' -> chi1 chi2, chi2 -> chi1 e+ e-: E137 and BaBar.

E137: chi2 fly through a shield and decay in front of a detector. A' come with four-vectors and weights from
whatever makes them; flight, decay and acceptance are the same for every such experiment. The place of the
decay is not sampled: for a given pair both leptons cross the detector when the decay lies in an interval of
z, and the probability of that interval is exact for every c tau. Where few chi2 fly towards the detector
their directions are sampled around it and weighted.

BaBar: a limit on A' -> invisible holds for what leaves the detector before it decays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from .._core import (
    Chi2Decayer,
    DecayModel,
    InelasticModel,
    SignalGenerator,
    SignalMode,
    WidthFormula,
    aprime_width,
    aprime_width_to_chi,
    chi2_branching_to_electrons,
    chi2_ctau,
    units,
)
from .._core import material as core_material
from ..annotations import Array
from ..errors import ConfigError
from ..signal import Parameters

# Where a search with no event and no background excludes at 90 % CL.
EVENTS_AT_90 = math.log(10.0)


# epsilon between which edges are looked for, and points of the search for them.
EPSILON_RANGE, EPSILON_POINTS = (1e-8, 1.0), 161


Edges = tuple[float | None, float | None]


def excluded_range(strength: Callable[[Array], Array]) -> Edges:
    """epsilon between which `strength`, of shape (n_epsilon,), is above 1; None, None where it is nowhere.

    Strengths rise and fall once. An end beyond EPSILON_RANGE is the end of that range.
    """
    grid = np.geomspace(*EPSILON_RANGE, EPSILON_POINTS)
    inside = np.flatnonzero(strength(grid) >= 1.0)
    if not len(inside):
        return None, None

    def excess(log_epsilon: float) -> float:
        return math.log(max(float(strength(np.array([math.exp(log_epsilon)]))[0]), 1e-300))

    def edge(last: int, beyond: int) -> float:
        if not 0 <= beyond < len(grid):
            return float(grid[last])
        bracket = sorted((math.log(grid[last]), math.log(grid[beyond])))
        return math.exp(optimize.brentq(excess, *bracket, xtol=1e-5))

    return edge(inside[0], inside[0] - 1), edge(inside[-1], inside[-1] + 1)


@dataclass(frozen=True)
class Detector:
    """A rectangle across the beam at the end of a decay volume; lengths in cm, energies in GeV.

    Both leptons must cross it, with `pair_energy_min_GeV` together. `center_cm` is how far from the beam it
    stands.
    """

    decay_start_cm: float
    decay_end_cm: float
    half_width_cm: float
    half_height_cm: float
    pair_energy_min_GeV: float
    center_cm: float = 0.0


@dataclass(frozen=True)
class E137:
    """The electron beam dump at SLAC, as the recasts take it: 20 GeV electrons on aluminium.

    Sources: Bjorken et al., PRD 38, 3375 (1988); lengths as in DarkCast (179 m of hill, 204 m of air), size
    of the detector as in SensCalc. Target water and the smaller detector of the first 10 C are left out.
    The energy threshold is 1 GeV (assumed; recasts use 1 to 3 GeV).
    """

    beam_energy_GeV: float = 20.0
    electrons_on_target: float = 1.87e20
    material: str = "Al"
    detector: Detector = Detector(
        decay_start_cm=17_900.0,
        decay_end_cm=38_300.0,
        half_width_cm=150.0,
        half_height_cm=150.0,
        pair_energy_min_GeV=1.0,
    )
    events_excluded: float = EVENTS_AT_90

    @property
    def exposure(self) -> float:
        """Beam particles times efficiency."""
        return self.electrons_on_target


class AprimeSample(NamedTuple):
    """A' of a beam: four-vectors (E, x, y, z) in GeV, (n, 4); z of production in cm, (n,); weights (n,).

    The weights sum to the A' per beam particle at epsilon = 1.
    """

    momentum: Array
    origin_cm: Array
    weight: Array


class AcceptedDecays(NamedTuple):
    """chi2 whose pair crosses the detector when they decay between z_low and z_high (cm); shapes (n,).

    `gamma_beta_z` is gamma beta times the cosine to the beam: decay length along z over c tau. Weights are
    per beam particle at epsilon = 1.
    """

    z_low_cm: Array
    z_high_cm: Array
    origin_cm: Array
    gamma_beta_z: Array
    weight: Array


def e137_aprimes(
    mass_GeV: float, experiment: E137, *, events: int, seed: int, above_GeV: float = 0.0
) -> AprimeSample:
    """A' of dark bremsstrahlung in a thick dump of one element, by this package's cascade and cross section.

    Electrons go along the beam; their multiple scattering is left out. Empty where the beam is too soft.

    Args:
        above_GeV: the energy from which on they are of use.
    """
    material = core_material(experiment.material)
    # The pair has less energy than the A', and the cascade holds above 1 GeV. Close to its threshold, where
    # the nucleus takes M^2/(2 M_N), the channel makes nothing.
    nucleus = material.components[0].element.nuclear_mass()
    threshold = 1.05 * mass_GeV * (1.0 + 0.5 * mass_GeV / nucleus)
    lowest = max(1.0, experiment.detector.pair_energy_min_GeV, threshold, above_GeV)
    if not lowest < experiment.beam_energy_GeV:
        return AprimeSample(np.zeros((0, 4)), np.zeros(0), np.zeros(0))
    generator = SignalGenerator(
        Parameters(alpha_dark=0.1, mass_ratio=3.0, relative_splitting=0.4).model(mass_GeV, 1.0),
        material=material,
        beam_energy=experiment.beam_energy_GeV,
        threshold=lowest,
        atoms_per_radiation_length=units.avogadro
        / material.components[0].element.atomic_mass
        * material.radiation_length,
        depth_scale=material.radiation_length_cm(),
        mode=SignalMode.invisible,  # the A' alone: its decay does not matter to its production
    )
    truth = generator.generate(seed, 0, events)
    return AprimeSample(truth["aprime"], truth["production"][:, 2], truth["production_weight"] / events)


def accepted_decays(
    sample: AprimeSample,
    mass_GeV: float,
    parameters: Parameters,
    detector: Detector,
    *,
    decay: str = "matrix_element",
    per_aprime: int = 3,
    most: int | None = None,
    seed: int = 1,
) -> AcceptedDecays:
    """A' -> chi1 chi2, chi2 -> chi1 e+ e-: what can reach the detector. chi2 must decay to electrons.

    Each A' decays 2 `per_aprime` times. Half of the directions of chi2 are isotropic in the frame of the A',
    half are drawn in the laboratory with density ~ 1/(1 - cos + w)^2 around the centre of the detector, w its
    size, with both momenta that A' -> chi1 chi2 has in such a direction. A weight is the true density over
    the sum of the two that sample it (balance heuristic, Veach and Guibas, SIGGRAPH 1995), so that neither
    the edge of the cone of decay nor rare directions make it large.

    Args:
        most: of those A' that can give a pair above the threshold, how many decay, with the weight of the
            others; all of them when not given.

    Raises:
        ConfigError: an unphysical model.
    """
    model = parameters.model(mass_GeV, 1.0)
    sample = _able(sample, least_aprime_energy(model, detector.pair_energy_min_GeV), most, detector)
    n = len(sample.weight) * per_aprime
    if not n or not model.chi2_decays:
        return AcceptedDecays(*(np.zeros(0) for _ in range(5)))
    random = np.random.Generator(np.random.Philox(seed))
    aprime = np.repeat(sample.momentum, per_aprime, axis=0)
    decayer = Chi2Decayer(model, DecayModel.__members__[decay])
    opening = 0.5 * (1.2 * math.hypot(detector.half_width_cm, detector.half_height_cm)) ** 2
    opening /= detector.decay_end_cm**2
    whole = 2.0 / (2.0 + opening)

    v = whole * random.random(n)
    from_axis = opening * v / (1.0 - v)  # 1 - cos
    to_center = math.atan2(detector.center_cm, detector.decay_end_cm)
    direction = _turned(unit_vectors(from_axis, random.random(n)), to_center)
    center = _turned(np.array([[0.0, 0.0, 1.0]]), to_center)
    star = unit_vectors(2.0 * random.random(n), random.random(n))
    energy_star, p_star = _chi2_at_rest(model)
    at_rest = np.concatenate([np.full((n, 1), energy_star), p_star * star], axis=1)
    isotropic = boost(at_rest, aprime[:, 0], aprime[:, 1:], model.mass)[:, 1:]

    columns = []
    for number, chi2 in enumerate([*_chi2_along(aprime, direction, model), isotropic]):
        p = np.linalg.norm(chi2, axis=1)
        safe = np.where(p > 0.0, p, 1.0)
        energy = np.hypot(p, model.chi2_mass)
        tilt = 0.5 * np.sum(np.square(chi2 / safe[:, None] - center), axis=1)  # 1 - cos
        around_center = opening / (tilt + opening) ** 2 / whole / (2.0 * math.pi)
        # dN/dOmega = p^2 M/(4 pi p* |E_A p - P_A E cos|), both over its own singularity.
        slope = np.abs(aprime[:, 0] * safe - np.einsum("ij,ij->i", aprime[:, 1:], chi2) / safe * energy)
        density = p**2 * model.mass / (4.0 * math.pi * p_star)
        share = density / (density + slope * around_center)
        possible = share > 0.0
        weight = (np.repeat(sample.weight, per_aprime) / per_aprime * share)[possible]
        chi2, energy = chi2[possible], energy[possible]
        _, minus, plus = decayer.sample(model.chi2_mass, seed, number * n, len(chi2))
        leptons = [boost(lepton, energy, chi2, model.chi2_mass) for lepton in (minus, plus)]
        origin = np.repeat(sample.origin_cm, per_aprime)[possible]
        low, high = _interval(chi2, leptons, origin, detector)
        kept = high > low
        rows = np.stack([low, high, origin, chi2[:, 2] / model.chi2_mass, weight], axis=1)
        columns.append(rows[kept])
    return AcceptedDecays(*np.concatenate(columns).T)


def least_aprime_energy(model: InelasticModel, pair_energy_GeV: float) -> float:
    """The energy in GeV below which no A' gives a pair of this energy; infinite where chi2 makes none.

    At most a share (E* + p*)/M of the energy goes to chi2, and Delta (m1 + m2)/m2^2 of its to the pair.
    """
    if not model.chi2_decays:
        return math.inf
    m1, m2 = model.chi1_mass, model.chi2_mass
    share = sum(_chi2_at_rest(model)) / model.mass * model.splitting * (m1 + m2) / m2**2
    return pair_energy_GeV / share


def _able(sample: AprimeSample, energy_GeV: float, most: int | None, detector: Detector) -> AprimeSample:
    """The A' above an energy, or `most` of them, with weights that stand for all.

    They are drawn at even steps of a density: for the most part by :func:`_usefulness`, the rest alike, so
    that no weight gets large.
    """
    able = np.flatnonzero(sample.momentum[:, 0] > energy_GeV)
    momentum, origin, weight = (column[able] for column in sample)
    if most is None or len(able) <= most or not weight.sum() > 0.0:
        return AprimeSample(momentum, origin, weight)
    density = (1.0 - EVENLY) * _usefulness(momentum, weight, detector) + EVENLY / len(able)
    edges = np.cumsum(density)
    chosen = np.searchsorted(edges, edges[-1] * (np.arange(most) + 0.5) / most)
    return AprimeSample(momentum[chosen], origin[chosen], weight[chosen] / (density[chosen] * most))


def _usefulness(momentum: Array, weight: Array, detector: Detector) -> Array:
    """Where A' are looked for, shape (n,), of sum 1: what reaches a detector is rare and energetic.

    Half goes with weight and energy squared, as what gives a pair where chi2 lives long; half with those
    squared again and the direction to the detector, as the most energetic do where it lives short.
    """
    energy = momentum[:, 0]
    absolute = np.linalg.norm(momentum[:, 1:], axis=1)
    to_center = math.atan2(detector.center_cm, detector.decay_end_cm)
    along = momentum[:, 1] * math.sin(to_center) + momentum[:, 3] * math.cos(to_center)
    # Angles squared: to the centre, and those of the detector and of the decay of an A'.
    angle2 = 2.0 * (1.0 - along / np.where(absolute > 0.0, absolute, 1.0))
    wide2 = (max(detector.half_width_cm, detector.half_height_cm) / detector.decay_end_cm) ** 2
    wide2 = wide2 + np.maximum(1.0 - (absolute / energy) ** 2, 0.0)
    long = weight * energy**2
    short = weight * (energy**2 / (angle2 + wide2)) ** 2
    return np.asarray(0.5 * long / long.sum() + 0.5 * short / short.sum())


# The share of A' that are drawn whatever their weight and energy.
EVENLY = 0.2


def unit_vectors(one_minus_cosine: Array, u: Array) -> Array:
    """Directions (n, 3) of these 1 - cos to the z axis, shape (n,), and azimuths 2 pi u, shape (n,)."""
    sine = np.sqrt(one_minus_cosine * (2.0 - one_minus_cosine))
    azimuth = 2.0 * math.pi * u
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), 1.0 - one_minus_cosine], axis=1)


def _turned(vectors: Array, angle: float) -> Array:
    """Vectors (n, 3) turned from z towards x."""
    x, y, z = vectors.T
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.stack([cosine * x + sine * z, y, cosine * z - sine * x], axis=1)


def _chi2_at_rest(model: InelasticModel) -> tuple[float, float]:
    """Energy and momentum of chi2 in the frame of the A'."""
    mass, m1, m2 = model.mass, model.chi1_mass, model.chi2_mass
    energy = (mass**2 + m2**2 - m1**2) / (2.0 * mass)
    return energy, math.sqrt((energy - m2) * (energy + m2))


def _chi2_along(aprime: Array, direction: Array, model: InelasticModel) -> tuple[Array, Array]:
    """The two momenta of chi2, (n, 3), in a laboratory direction; 0 where there is none.

    E_A E - P_A p cos = M E*, a quadratic equation in p.
    """
    energy_star, p_star = _chi2_at_rest(model)
    mass, energy, vector = model.mass, aprime[:, 0], aprime[:, 1:]
    along = np.einsum("ij,ij->i", vector, direction)
    across2 = np.sum(np.square(np.cross(vector, direction)), axis=1)
    discriminant = (mass * p_star) ** 2 - model.chi2_mass**2 * across2
    root = np.sqrt(np.clip(discriminant, 0.0, None))
    scale = mass**2 + across2  # E_A^2 - (P_A cos)^2
    both = [(mass * energy_star * along + sign * energy * root) / scale for sign in (1.0, -1.0)]
    first, second = (np.where((discriminant > 0.0) & (p > 0.0), p, 0.0)[:, None] * direction for p in both)
    return first, second


def boost(rest: Array, energy: Array, momentum: Array, mass: float) -> Array:
    """Four-vectors (n, 4) from the rest frame of a particle to the laboratory."""
    along = np.einsum("ij,ij->i", momentum, rest[:, 1:]) / mass
    factor = (along / (energy / mass + 1.0) + rest[:, 0]) / mass
    space = rest[:, 1:] + momentum * factor[:, None]
    return np.concatenate([(energy / mass * rest[:, 0] + along)[:, None], space], axis=1)


def _interval(chi2: Array, leptons: list[Array], origin: Array, detector: Detector) -> tuple[Array, Array]:
    """z between which a decay sends both leptons into the detector; low > high where there is none.

    At the detector, x = (z - origin) t + (end - z) s is linear in z, t and s the slopes of chi2 and lepton.
    """
    forward = chi2[:, 2] > 0.0
    for lepton in leptons:
        forward &= lepton[:, 3] > 0.0
    forward &= leptons[0][:, 0] + leptons[1][:, 0] > detector.pair_energy_min_GeV
    low = np.where(forward, np.maximum(detector.decay_start_cm, origin), 1.0)
    high = np.where(forward, detector.decay_end_cm, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        for lepton in leptons:
            for axis, center, half in (
                (0, detector.center_cm, detector.half_width_cm),
                (1, 0.0, detector.half_height_cm),
            ):
                t = chi2[:, axis] / chi2[:, 2]
                s = lepton[:, 1 + axis] / lepton[:, 3]
                offset, slope = detector.decay_end_cm * s - origin * t - center, t - s
                ends = np.sort(np.stack([(-half - offset) / slope, (half - offset) / slope]), axis=0)
                low, high = np.fmax(low, ends[0]), np.fmin(high, ends[1])
    return low, high


class BeamDump:
    """Expected events of one experiment at one mass, for any epsilon.

    The A' of `decays` are those of kinetic mixing; electrons make those of another mediator by its charge.
    """

    def __init__(
        self,
        decays: AcceptedDecays,
        mass_GeV: float,
        parameters: Parameters,
        exposure: float,
        *,
        width: str = "exact",
    ) -> None:
        model = parameters.model(mass_GeV, 1.0)
        formula = WidthFormula.__members__[width]
        self.mass_GeV = mass_GeV
        self._decays = decays
        self._exposure = exposure * parameters.mediator.electron**2
        self._ctau = chi2_ctau(model, formula)
        self._branching = chi2_branching_to_electrons(model, formula)
        self._to_chi = aprime_width_to_chi(model)
        self._to_leptons = aprime_width(model) - self._to_chi

    def expected(self, epsilon: ArrayLike) -> Array:
        """Expected events; shape of epsilon (n_epsilon,)."""
        square = np.square(np.atleast_1d(np.asarray(epsilon, dtype=float)))
        d = self._decays
        if not len(d.weight):
            return np.zeros_like(square)
        result = np.empty_like(square)
        near, far = d.z_low_cm - d.origin_cm, d.z_high_cm - d.origin_cm
        for i, value in enumerate(square):
            length = d.gamma_beta_z * self._ctau / value
            result[i] = np.sum(d.weight * np.exp(-near / length) * -np.expm1(-(far - near) / length))
        aprimes = square * self._to_chi / (self._to_chi + square * self._to_leptons)
        return np.asarray(self._exposure * aprimes * self._branching * result)

    def edges(self, events: float) -> Edges:
        """epsilon between which more than `events` are expected; None, None where there are never so many."""
        return excluded_range(lambda epsilon: self.expected(epsilon) / events)


@dataclass(frozen=True)
class BaBar:
    """e+ e- -> gamma A' at the Upsilon region; the radius is in the frame of the collision, where it is cm.

    The effective radius is assumed: 1 m, between 0.5 m (drift chamber) and 1.5 m (muon system). Softness of
    the pair, angles out of acceptance and the boost of the beams (0.5) are left in it.
    """

    energy_GeV: float = 10.58
    radius_cm: float = 100.0


class SinglePhoton:
    """BaBar's single photon at one mass, for any epsilon: it holds where chi2 leaves the detector unseen.

    `limit` is that on A' -> invisible, which becomes q^2 epsilon^2 P_unseen(epsilon) = limit^2, q the charge
    of the electron.

    Raises:
        ConfigError: an unphysical model, or a mass above the energy of the collision.
    """

    def __init__(
        self, mass_GeV: float, parameters: Parameters, limit: float, experiment: BaBar | None = None
    ) -> None:
        experiment = experiment or BaBar()
        if not mass_GeV < experiment.energy_GeV:
            raise ConfigError(
                f"BaBar does not make an A' of {mass_GeV:g} GeV (its beams have {experiment.energy_GeV:g} "
                "GeV): give a smaller mass"
            )
        model = parameters.model(mass_GeV, 1.0)
        self.limit = limit / abs(parameters.mediator.electron)
        self._ctau = chi2_ctau(model)
        self._to_chi = aprime_width_to_chi(model)
        self._to_leptons = aprime_width(model) - self._to_chi
        energy = (experiment.energy_GeV**2 + mass_GeV**2) / (2.0 * experiment.energy_GeV)
        m1, m2 = model.chi1_mass, model.chi2_mass
        chi2_energy = (mass_GeV**2 + m2**2 - m1**2) / (2.0 * mass_GeV)
        momentum = math.sqrt((chi2_energy - m2) * (chi2_energy + m2))
        cosine, weight = np.polynomial.legendre.leggauss(64)
        boost = math.sqrt((energy - mass_GeV) * (energy + mass_GeV))
        boosted = (energy * chi2_energy + boost * momentum * cosine) / mass_GeV / m2
        self._gamma_beta = np.sqrt(np.clip((boosted - 1.0) * (boosted + 1.0), 1e-30, None))
        self._weight = 0.5 * weight
        self._radius = experiment.radius_cm

    def unseen(self, epsilon: ArrayLike) -> Array:
        """P(chi2 decays beyond the radius), A' -> chi1 chi2 isotropic; shape (n_epsilon,)."""
        square = np.square(np.atleast_1d(np.asarray(epsilon, dtype=float)))
        length = self._gamma_beta * self._ctau / square[:, None]
        return np.asarray(np.exp(-self._radius / length) @ self._weight)

    def strength(self, epsilon: ArrayLike) -> Array:
        """Invisible events over those that the published limit allows; shape (n_epsilon,)."""
        square = np.square(np.atleast_1d(np.asarray(epsilon, dtype=float)))
        aprimes = square * self._to_chi / (self._to_chi + square * self._to_leptons)
        return np.asarray(aprimes * self.unseen(epsilon) / self.limit**2)

    def edges(self) -> Edges:
        """epsilon between which it excludes; None, None where nowhere."""
        return excluded_range(self.strength)
