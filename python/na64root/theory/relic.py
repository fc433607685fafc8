"""The thermal relic line: epsilon at which chi1 chi2 -> A'* -> SM leaves the observed dark matter.

Boltzmann equation for n = n(chi1) + n(chi2), both in equilibrium with each other, with the relativistic
thermal average of Gondolo and Gelmini, Nucl. Phys. B 360, 145 (1991), for coannihilation (Edsjo and Gondolo,
hep-ph/9704361):

    dY/dx = -sqrt(pi/45) m_Pl m1 g_*^(1/2)/x^2 <sigma v> (Y^2 - Y_eq^2),   x = m1/T
    <sigma v> = 2 gamma_12/n_eq^2                                      (chi1 chi2 and chi2 chi1)
    gamma_12 = g1 g2 T/(8 pi^4) int ds p^2 sigma sqrt(s) K1(sqrt(s)/T)
    p^2 sigma = 3 pi s Gamma_chi(sqrt s) Gamma_SM(sqrt s)/((s - M^2)^2 + M^2 Gamma^2)

(for identical particles 2 gamma_11/n_eq^2 too: twice the resonance, half of the width in it)
with the widths of the A' at mass sqrt(s), and p the momentum in the centre of mass. The Breit-Wigner form
holds the resonance m_A' = 2 m_chi1 without narrow-width or threshold expansions.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import integrate, interpolate, optimize, special

from .._core import units
from ..annotations import Array
from ..config.mediator import KINETIC_MIXING, Mediator
from ..errors import ConfigError, ConvergenceError
from ..signal import Parameters

Hadrons = Literal["vector_dominance", "none"]


# What annihilates: chi1 with chi2, or one particle of the mass of chi1 with its antiparticle or itself.
DarkMatter = Literal["inelastic", "dirac", "majorana", "scalar"]


# Share of the rho(1450) in the form factor (assumed: fits to e+ e- and tau data find -0.08 to -0.15).
RHO_1450_SHARE = -0.12


# Above it quarks, with the order alpha_s: R of data is flat from here to charm (assumed; 10 % on R).
CONTINUUM_START = 1.5


ALPHA_S = 0.35


# Relative uncertainty of epsilon: of the line below 0.4 GeV, and above, where hadrons matter (derived: the
# largest differences from the public pseudo-Dirac target for f -> 0; docs/physics.md).
UNCERTAINTY, UNCERTAINTY_WITH_HADRONS, HADRONS_FROM = 0.15, 0.40, 0.4


# Up to 3 GeV the pair stays below charm, which R leaves out.
MASS_RANGE_GEV = (1e-3, 3.0)


# Lighter dark matter annihilates after neutrinos decouple (T = 1 MeV, x = 5 on).
LIGHTEST_CHI1_GEV = 5e-3


# x at which the equation is started, and from which annihilation has ended.
X_START, X_END, X_POINTS = 8.0, 1e4, 121


# Annihilations per expansion, over the fall of the equilibrium, above which the density follows it.
STIFF = 1e3


def r_ratio(energy_GeV: ArrayLike, mediator: Mediator = KINETIC_MIXING) -> Array:
    """R = sigma(e+ e- -> hadrons)/sigma(e+ e- -> mu+ mu-), massless muons, at sqrt(s) below charm.

    By a mediator of other charges, over the cross section of a muon of charge 1: the rho couples by
    q_u - q_d, the omega by 3 (q_u + q_d), the phi by -3 q_s of their couplings to the photon (Ilten et al.,
    arXiv:1801.04847).

    Vector-meson dominance: pi+ pi- by the form factor of Gounaris and Sakurai (Phys. Rev. Lett. 21, 244
    (1968)), omega and phi as Breit-Wigner peaks of their widths to e+ e-; from 1.5 GeV on three quarks,
    2 (1 + alpha_s/pi), reached linearly from 1.1 GeV. Within 8 % of the data up to 0.72 GeV, 0 below 2 m_pi.
    Shape of energy_GeV.
    """
    energy = np.asarray(energy_GeV, dtype=float)
    s = np.square(energy)
    velocity = np.sqrt(np.clip(1.0 - 4.0 * units.pion_mass**2 / np.maximum(s, 1e-30), 0.0, None))
    form_factor = (
        _gounaris_sakurai(s, units.rho_mass, units.rho_width)
        + RHO_1450_SHARE * _gounaris_sakurai(s, units.rho_1450_mass, units.rho_1450_width)
    ) / (1.0 + RHO_1450_SHARE)
    up, down, strange = mediator.up, mediator.down, mediator.strange
    pions = (up - down) ** 2 * 0.25 * velocity**3 * np.abs(form_factor) ** 2
    peaks = np.zeros_like(s)
    for mass, width, branching, share in (
        (units.omega_mass, units.omega_width, units.omega_to_electrons, 3.0 * (up + down)),
        (units.phi_mass, units.phi_width, units.phi_to_electrons, -3.0 * strange),
    ):
        # sigma = 12 pi B_ee (1 - B_ee) M^2 Gamma^2/(s D), over 4 pi alpha^2/(3 s)
        line = 9.0 / units.alpha**2 * branching * mass**2 * width**2 * share**2
        peaks += line / ((s - mass**2) ** 2 + mass**2 * width**2)
    peaks = np.where(energy > 3.0 * units.pion_mass, peaks, 0.0)
    rise = np.clip((energy - 1.1) / (CONTINUUM_START - 1.1), 0.0, 1.0)
    # Below 1.1 GeV mesons, above 1.5 GeV quarks.
    quarks = 3.0 * (up**2 + down**2 + strange**2) * (1.0 + ALPHA_S / math.pi)
    return np.asarray((pions + peaks) * (1.0 - rise) + quarks * rise)


def _gounaris_sakurai(s: Array, mass: float, width: float) -> NDArray[np.complex128]:
    """A resonance of pi+ pi- with the dispersive correction of its mass, 1 at s = 0; 0 below threshold."""
    mass2, pion2 = mass**2, units.pion_mass**2
    k_peak = 0.5 * math.sqrt(mass2 - 4.0 * pion2)
    safe = np.where(s > 4.0 * pion2, s, mass2)
    root = np.sqrt(safe)
    k = 0.5 * np.sqrt(safe - 4.0 * pion2)

    h = 2.0 / math.pi * k / root * np.log((root + 2.0 * k) / (2.0 * units.pion_mass))
    log_peak = math.log((mass + 2.0 * k_peak) / (2.0 * units.pion_mass))
    h_peak = 2.0 / math.pi * k_peak / mass * log_peak
    h_slope = h_peak * (1.0 / (8.0 * k_peak**2) - 1.0 / (2.0 * mass2)) + 1.0 / (2.0 * math.pi * mass2)
    f = width * mass2 / k_peak**3 * (k**2 * (h - h_peak) + (mass2 - safe) * k_peak**2 * h_slope)
    d = (
        3.0 / math.pi * pion2 / k_peak**2 * log_peak
        + mass / (2.0 * math.pi * k_peak)
        - pion2 * mass / (math.pi * k_peak**3)
    )
    running = width * (k / k_peak) ** 3 * mass / root
    amplitude = (mass2 + d * mass * width) / (mass2 - safe + f - 1j * mass * running)
    return np.asarray(np.where(s > 4.0 * pion2, amplitude, 0.0))


def effective_degrees_of_freedom(temperature_GeV: ArrayLike) -> tuple[Array, Array]:
    """g_eff and h_eff of the Standard Model: photons, leptons, pions as ideal gases, valid below 0.15 GeV.

    Neutrinos keep the entropy that they had when e+ e- became heavy: T_nu/T = (h_e gamma/(11/2))^(1/3).
    Shape of temperature_GeV.
    """
    temperature = np.asarray(temperature_GeV, dtype=float)
    electrons = _ideal_gas(units.electron_mass / temperature, 4.0, fermions=True)
    g = 2.0 + electrons[0]
    h = 2.0 + electrons[1]
    neutrino = np.cbrt(h / 5.5)
    g = g + 5.25 * neutrino**4
    h = h + 5.25 * neutrino**3
    for mass, states, fermions in (
        (units.muon_mass, 4.0, True),
        (units.pion_mass, 2.0, False),
        (units.neutral_pion_mass, 1.0, False),
    ):
        energy, entropy = _ideal_gas(mass / temperature, states, fermions=fermions)
        g, h = g + energy, h + entropy
    return g, h


def _ideal_gas(ratio: Array, states: float, *, fermions: bool) -> tuple[Array, Array]:
    """g_eff and h_eff of one species of mass over temperature `ratio`: sums of Bessel functions over n."""
    z = np.asarray(ratio, dtype=float)
    energy, pressure = np.zeros_like(z), np.zeros_like(z)
    for n in range(1, 26):
        sign = (-1.0) ** (n + 1) if fermions else 1.0
        k1, k2 = special.kn(1, n * z), special.kn(2, n * z)
        pressure += sign * z**2 / n**2 * k2
        energy += sign * (3.0 * z**2 / n**2 * k2 + z**3 / n * k1)
    norm = states / (2.0 * math.pi**2)
    g = 30.0 / math.pi**2 * norm * energy
    h = 45.0 / (2.0 * math.pi**2) * norm * (energy + pressure)
    return g, h


class RelicDensity:
    """Omega h^2 of dark matter against epsilon at one mass.

    Other kinds than `inelastic` have the mass of chi1 and no splitting. With beta = (1 - 4 m^2/s)^(1/2) their
    Gamma_chi at mass sqrt(s) is, over alpha_D sqrt(s): `dirac` (1 + 2 m^2/s) beta/3, complex `scalar`
    beta^3/12, `majorana` (g_D/2 chi gamma_mu gamma_5 chi) beta^3/6.

    Raises:
        ConfigError: an unphysical model, or a mass outside 1 MeV to 3 GeV.
    """

    def __init__(
        self,
        mass_GeV: float,
        parameters: Parameters,
        *,
        kind: DarkMatter = "inelastic",
        hadrons: Hadrons = "vector_dominance",
    ) -> None:
        low, high = MASS_RANGE_GEV
        if not low <= mass_GeV <= high:
            raise ConfigError(
                f"no relic density at m_A' = {mass_GeV:g} GeV (computed from {low:g} to {high:g} GeV): "
                "give a mass in that range"
            )
        self.mass_GeV, self.kind = mass_GeV, kind
        self.alpha_dark = parameters.alpha_dark
        if kind == "inelastic":
            model = parameters.model(mass_GeV, 1.0)
            self.m1, self.m2 = model.chi1_mass, model.chi2_mass
        elif parameters.mass_ratio > 2.0:
            self.m1 = self.m2 = mass_GeV / parameters.mass_ratio
        else:
            raise ConfigError(
                f"A' -> chi chi is closed at m_A'/m_chi1 = {parameters.mass_ratio:g} (from 2 on it is open): "
                "give a larger ratio"
            )
        self._width_to_chi = float(self._width_chi(np.array([float(mass_GeV)]))[0])
        self._hadrons, self._mediator = hadrons, parameters.mediator
        self._width_to_sm = float(self._width_sm(np.array([float(mass_GeV)]))[0])
        x = np.geomspace(X_START, X_END, X_POINTS)
        self._log_x = np.log(x)
        temperature = self.m1 / x
        g, h = effective_degrees_of_freedom(temperature)
        slope = np.gradient(np.log(h), np.log(temperature))
        self._root_g = h / np.sqrt(g) * (1.0 + slope / 3.0)
        entropy = 2.0 * math.pi**2 / 45.0 * h * temperature**3
        # exp(-x) and exp(-(m1 + m2)/T) are taken out: they leave the range of doubles.
        n1 = self.m1**2 * temperature / math.pi**2 * special.kve(2, x)
        n2 = self.m2**2 * temperature / math.pi**2 * special.kve(2, self.m2 / temperature)
        if kind == "scalar":  # one state each
            n1, n2 = 0.5 * n1, 0.5 * n2
        elif kind == "majorana":  # its own antiparticle
            n2 = np.zeros_like(n1)
        self._gap = (self.m2 - self.m1) / temperature
        self._scaled_density = n1 + n2 * np.exp(-self._gap)
        self._log_equilibrium = np.log(self._scaled_density / entropy) - x
        self._temperature, self._x = temperature, x

    def _width_sm(self, energy: Array) -> Array:
        """Width of an A' of mass `energy` to Standard Model particles, GeV, at epsilon = 1."""
        charges = self._mediator
        neutrinos = (charges.electron_neutrino, charges.muon_neutrino, charges.tau_neutrino)
        sum_r = np.full_like(energy, 0.5 * sum(charge**2 for charge in neutrinos))  # left-handed
        for mass, charge in (
            (units.electron_mass, charges.electron),
            (units.muon_mass, charges.muon),
            (units.tau_mass, charges.tau),
        ):
            ratio = mass**2 / energy**2
            open_part = np.sqrt(np.clip(1.0 - 4.0 * ratio, 0.0, None))
            sum_r += charge**2 * (1.0 + 2.0 * ratio) * open_part
        if self._hadrons == "vector_dominance":
            sum_r += r_ratio(energy, charges)
        return units.alpha * energy / 3.0 * sum_r

    def _width_chi(self, energy: Array) -> Array:
        s, total, splitting = energy**2, self.m1 + self.m2, self.m2 - self.m1
        if self.kind in ("scalar", "majorana"):
            beta3 = np.clip(1.0 - total**2 / s, 0.0, None) ** 1.5
            return np.asarray(self.alpha_dark * energy * beta3 / (12.0 if self.kind == "scalar" else 6.0))
        return np.asarray(
            self.alpha_dark
            * energy
            / 3.0
            * np.sqrt(np.clip(1.0 - total**2 / s, 0.0, None))
            * np.clip(1.0 - splitting**2 / s, 0.0, None) ** 1.5
            * (1.0 + 0.5 * total**2 / s)
        )

    def cross_section_times_v(self, epsilon: float) -> Array:
        """<sigma v> in GeV^-2 at the x of the table, from X_START to X_END."""
        total = self.m1 + self.m2
        width = self._width_to_chi + epsilon**2 * self._width_to_sm
        nodes, weights = self._energies(width)
        kernel = self._kernel(nodes, epsilon, width) * weights
        t = self._temperature[:, None]
        bessel = special.k1e(nodes / t) * np.exp((total - nodes) / t)
        gamma = 4.0 * self._temperature / (8.0 * math.pi**4) * (bessel @ kernel)
        # gamma carries exp(-(m1 + m2)/T), the square of the density exp(-2 x)
        return np.asarray(2.0 * gamma * np.exp(-self._gap) / self._scaled_density**2)

    def resonance_share(self, epsilon: float, x: float = 20.0) -> float:
        """The part of <sigma v> at m1/T = x from within five widths of sqrt(s) = m_A'.

        Near 1, where m_A' is close to m_chi1 + m_chi2, the line depends on the width and hardly on the rest.
        """
        width = self._width_to_chi + epsilon**2 * self._width_to_sm
        nodes, weights = self._energies(width)
        kernel = self._kernel(nodes, epsilon, width) * weights
        temperature = self.m1 / x
        kernel = kernel * special.k1e(nodes / temperature) * np.exp((nodes[0] - nodes) / temperature)
        near = np.abs(nodes - self.mass_GeV) < 5.0 * width
        return float(kernel[near].sum() / kernel.sum())

    def _kernel(self, nodes: Array, epsilon: float, width: float) -> Array:
        """p^2 sigma sqrt(s) ds/dsqrt(s) against sqrt(s)."""
        s = nodes**2
        resonance = (s - self.mass_GeV**2) ** 2 + (self.mass_GeV * width) ** 2
        current = self._width_chi(nodes) * epsilon**2 * self._width_sm(nodes)
        return np.asarray(3.0 * math.pi * s * current / resonance * 2.0 * s)

    def _energies(self, width: float) -> tuple[Array, Array]:
        """Gauss-Legendre nodes in sqrt(s): dense at the threshold and around each peak."""
        low = self.m1 + self.m2
        high = max(low + 40.0 * self.m1 / X_START, 1.2 * self.mass_GeV)
        edges = {low, high}
        span = high - low
        edges |= set(low + span * np.geomspace(1e-7, 1.0, 24)[:-1])
        peaks = [(self.mass_GeV, width)]
        if self._hadrons == "vector_dominance":
            peaks += [
                (units.omega_mass, units.omega_width),
                (units.phi_mass, units.phi_width),
                (units.rho_mass, units.rho_width),
            ]
        for center, half in peaks:
            distance = half * np.geomspace(0.25, max(2.0, span / half), 16)
            edges |= {center, *(center - distance), *(center + distance)}
        edges |= {2.0 * m for m in (units.muon_mass, units.pion_mass, units.tau_mass)}
        inside = np.array(sorted(edge for edge in edges if low <= edge <= high))
        node, weight = np.polynomial.legendre.leggauss(8)
        half_width = 0.5 * np.diff(inside)[:, None]
        center_of = 0.5 * (inside[1:] + inside[:-1])[:, None]
        return (center_of + half_width * node).ravel(), (half_width * weight).ravel()

    def __call__(self, epsilon: float) -> float:
        """Omega h^2. Raises ConvergenceError when the equation cannot be solved."""
        strength = (
            math.sqrt(math.pi / 45.0) * units.planck_mass * self.m1 * self._root_g
        ) * self.cross_section_times_v(epsilon)
        with np.errstate(divide="ignore"):
            log_strength = np.maximum(np.log(strength / self._x), -700.0)  # of dY/dln x
        # W = ln Y in ln x: W' = -2 r sinh(W - W_eq), r = strength Y_eq. Where r is large Y follows Y_eq.
        log_rate = log_strength + self._log_equilibrium
        fall = -np.gradient(self._log_equilibrium, self._log_x)
        follows = np.flatnonzero(log_rate > np.log(STIFF * fall))
        start = int(follows[-1]) if len(follows) else 0
        rate_at = interpolate.CubicSpline(self._log_x, log_rate)
        equilibrium_at = interpolate.CubicSpline(self._log_x, self._log_equilibrium)

        def slope(log_x: float, w: Array) -> Array:
            above = np.clip(w - equilibrium_at(log_x), -600.0, 600.0)
            rate = rate_at(log_x)
            return np.asarray(np.exp(rate - above) - np.exp(rate + above))

        solution = integrate.solve_ivp(
            slope,
            (self._log_x[start], self._log_x[-1]),
            [float(self._log_equilibrium[start])],
            method="LSODA",
            rtol=1e-5,
            atol=1e-6,
        )
        if not solution.success:
            raise ConvergenceError(
                f"no relic density at m_A' = {self.mass_GeV:g} GeV, epsilon = {epsilon:g} "
                f"({solution.message}): report this"
            )
        relic = math.exp(float(solution.y[0, -1]))
        return relic * self.m1 * units.entropy_today / units.critical_density

    def epsilon(self, density: float = units.dark_matter_density, *, guess: float = 1e-3) -> float | None:
        """The epsilon that leaves `density`, None where none between 1e-9 and 1 does; more leaves less.

        Good to 1e-3, as the solution of the equation is. `guess` is where the search begins, such as the line
        at a neighbouring mass.
        """

        def excess(log_epsilon: float) -> float:
            return math.log(self(math.exp(log_epsilon)) / density)

        # The density falls with epsilon, by less than 1/epsilon^2: secants, and that slope to begin with.
        lowest, highest = math.log(1e-9), 0.0
        at, slope = math.log(guess), -2.0
        value = excess(at)
        for _ in range(12):
            after = min(max(at - value / slope, lowest), highest)
            if after == at:
                return None
            if abs(after - at) < 1e-3:
                return math.exp(after)
            before, value_before = at, value
            at = after
            value = excess(at)
            if abs(at - before) > 0.02:  # nearer ones differ by the precision of the equation
                slope = min(max((value - value_before) / (at - before), -2.5), -0.2)
        # Secants go to and fro: by the precision of the equation, or where its slope turns.
        around = at - 0.3, at + 0.3
        if not excess(around[0]) > 0.0 > excess(around[1]):
            return None
        return math.exp(optimize.brentq(excess, *around, xtol=1e-4))
