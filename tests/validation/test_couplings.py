"""Dark bremsstrahlung of vectors, axial vectors, scalars and pseudoscalars against traces of Dirac matrices.

Reference (self, another way): the two diagrams written with explicit 4 x 4 matrices, traces and sums over
polarisations by NumPy, the azimuth by the trapezium rule, the momentum transfer by Gauss-Legendre. Nothing
of it is shared with the core's formulas, which are averages over the azimuth in closed form.
"""

from __future__ import annotations

import numpy as np
import pytest

from na64root import _core

ELECTRON = _core.units.electron_mass
METRIC = np.diag([1.0, -1.0, -1.0, -1.0])
NUCLEAR_MASS = 1.5


def dirac_matrices() -> tuple[np.ndarray, np.ndarray]:
    """gamma^mu of Dirac's representation, shape (4, 4, 4), and gamma^5."""
    one, zero = np.eye(2), np.zeros((2, 2))
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    gamma = [np.block([[one, zero], [zero, -one]])] + [np.block([[zero, s], [-s, zero]]) for s in pauli]
    return np.array(gamma), 1j * gamma[0] @ gamma[1] @ gamma[2] @ gamma[3]


GAMMA, GAMMA5 = dirac_matrices()


def slash(momentum: np.ndarray) -> np.ndarray:
    return np.einsum("i,ii,ijk->jk", momentum, METRIC, GAMMA)


def dot(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ METRIC @ b)


def squared_amplitude(coupling: str, mass: float, p, p_final, k, total) -> float:
    """Half the sum over spins and polarisations; `total`: P_i + P_f."""
    one = np.eye(4)
    before = slash(total) @ (slash(p - k) + ELECTRON * one) / (dot(p - k, p - k) - ELECTRON**2)
    after = (slash(p_final + k) + ELECTRON * one) @ slash(total)
    after = after / (dot(p_final + k, p_final + k) - ELECTRON**2)
    if coupling in ("scalar", "pseudoscalar"):
        vertices = [one if coupling == "scalar" else 1j * GAMMA5]
        weights = np.ones((1, 1))
    else:
        vertices = [g @ GAMMA5 if coupling == "axial" else g for g in GAMMA]
        lower = METRIC @ k
        weights = -METRIC + np.outer(lower, lower) / mass**2
    amplitudes = [before @ vertex + vertex @ after for vertex in vertices]
    outer = slash(p_final) + ELECTRON * one, slash(p) + ELECTRON * one
    conjugate = [GAMMA[0] @ a.conj().T @ GAMMA[0] for a in amplitudes]
    return 0.5 * sum(
        weights[i, j] * np.trace(outer[0] @ amplitudes[i] @ outer[1] @ conjugate[j]).real
        for i in range(len(vertices))
        for j in range(len(vertices))
        if weights[i, j]
    )


def density(coupling: str, mass: float, form_factor, energy: float, x: float, theta: float) -> float:
    """d2 sigma/dx dtheta in pb per radian at epsilon = 1."""
    p = np.array([energy, 0.0, 0.0, np.sqrt(energy**2 - ELECTRON**2)])
    momentum = np.sqrt((x * energy) ** 2 - mass**2)
    k = np.array([x * energy, momentum * np.sin(theta), 0.0, momentum * np.cos(theta)])
    v = p - k
    v_length = np.linalg.norm(v[1:])
    u = dot(v, v) - ELECTRON**2
    along = v[1:] / v_length
    across = np.array([0.0, 1.0, 0.0])
    third = np.cross(along, across)
    a = (1.0 + v[0] / NUCLEAR_MASS) ** 2 - (v_length / NUCLEAR_MASS) ** 2
    b = 2.0 * u * (1.0 + v[0] / NUCLEAR_MASS) + 4.0 * v_length**2
    t_max = (b + np.sqrt(b * b - 4.0 * a * u * u)) / (2.0 * a)
    t_min = u * u / (a * t_max)
    nodes, weights = np.polynomial.legendre.leggauss(80)
    azimuths = 2.0 * np.pi * (np.arange(48) + 0.5) / 48
    half = 0.5 * np.log(t_max / t_min)
    found = 0.0
    for node, weight in zip(nodes, weights, strict=True):
        t = t_min * np.exp(half * (node + 1.0))
        q0 = -t / (2.0 * NUCLEAR_MASS)
        length = np.sqrt(t + q0 * q0)
        cosine = (2.0 * q0 * v[0] - t + u) / (2.0 * length * v_length)
        sine = np.sqrt(max(0.0, 1.0 - cosine**2))
        mean = 0.0
        for azimuth in azimuths:
            q = length * (cosine * along + sine * (np.cos(azimuth) * across + np.sin(azimuth) * third))
            transfer = np.array([q0, *q])
            start = np.array([NUCLEAR_MASS, 0.0, 0.0, 0.0])
            mean += squared_amplitude(coupling, mass, p, v + transfer, k, 2.0 * start - transfer)
        mean /= len(azimuths)
        found += half * weight * float(form_factor(t)) / t * mean / (8.0 * NUCLEAR_MASS**2)
    alpha = _core.units.alpha
    common = alpha**3 * momentum * energy / (p[3] * v_length) * np.sin(theta)
    return common * found * _core.units.inverse_GeV2_in_pb


# Beams so low, and a mass so near to the electron's, that the terms with m_e are large: for a vector of 3 MeV
# m_e^2/M^2 is 3 %. The tolerance is that of the quadratures: 80 and 48 points, and 1e-5 in the core.
@pytest.mark.parametrize("coupling", ["vector", "axial", "scalar", "pseudoscalar"])
@pytest.mark.parametrize(
    ("energy", "mass", "x", "theta"),
    [
        (0.05, 0.003, 0.2, 1.0),
        pytest.param(0.05, 0.003, 0.6, 0.1, marks=pytest.mark.slow),
        pytest.param(2.0, 0.3, 0.8, 0.2, marks=pytest.mark.slow),
    ],
)
def test_the_density_is_that_of_the_traces(coupling, energy, mass, x, theta):
    form_factor = _core.FormFactor.of(_core.element("C"))
    core = _core.DarkBremsstrahlung(
        mass, form_factor, NUCLEAR_MASS, epsilon=1.0, coupling=_core.Coupling.__members__[coupling]
    )
    expected = density(coupling, mass, form_factor, energy, x, theta)
    assert float(core.differential(energy, x, theta)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("one", "other"), [("vector", "axial"), ("scalar", "pseudoscalar")])
@pytest.mark.parametrize("mass", [0.1, 0.5])
def test_chirality_does_not_matter_far_above_the_electron_mass(one, other, mass):
    """Analytic: without m_e gamma^5 can be moved out of the trace. What is left is of order (m_e/M)^2 log."""
    lead = _core.element("Pb")
    totals = [
        _core.DarkBremsstrahlung(mass, lead, coupling=_core.Coupling.__members__[name]).total(100.0).value
        for name in (one, other)
    ]
    assert totals[0] == pytest.approx(totals[1], rel=100.0 * (ELECTRON / mass) ** 2 + 1e-3)


def test_a_light_axial_vector_is_made_as_a_pseudoscalar_of_its_longitudinal_part():
    """Analytic: for M far below m_e the longitudinal axial vector couples as a pseudoscalar with 2 m_e/M."""
    lead, mass = _core.element("Pb"), 1e-5
    axial, pseudoscalar = (
        _core.DarkBremsstrahlung(mass, lead, coupling=_core.Coupling.__members__[name]).dsigma_dx(1.0, 0.5)
        for name in ("axial", "pseudoscalar")
    )
    # The transverse part is smaller by (M/m_e)^2, with a logarithm.
    assert float(axial) == pytest.approx((2.0 * ELECTRON / mass) ** 2 * float(pseudoscalar), rel=0.02)


@pytest.mark.parametrize("mass", [0.01, 0.1])
@pytest.mark.parametrize("x", [0.3, 0.5, 0.7, 0.9])
def test_scalars_are_softer_than_vectors(mass, x):
    """Analytic: Weizsaecker-Williams far above m_e, integrated over the angle, arXiv:1609.06781, has

    x^2 2/3 for a scalar where a vector has 4 - 4x + x^2 4/3; the flux of photons, which cancels but for its
    dependence on the smallest momentum transfer, allows 4 %.
    """
    lead = _core.element("Pb")
    scalar, vector = (
        float(
            _core.DarkBremsstrahlung(mass, lead, coupling=_core.Coupling.__members__[name]).dsigma_dx(
                100.0, x
            )
        )
        for name in ("scalar", "vector")
    )
    assert scalar / vector == pytest.approx((2 / 3) * x**2 / (4 - 4 * x + 4 * x**2 / 3), rel=0.04)


@pytest.mark.parametrize("approximation", ["ww", "iww"])
def test_approximations_are_for_vectors(approximation):
    with pytest.raises(ValueError, match="are for vectors: other couplings need etl"):
        _core.DarkBremsstrahlung(
            0.1,
            _core.element("Pb"),
            _core.Approximation.__members__[approximation],
            1.0,
            _core.Coupling.scalar,
        )


@pytest.mark.parametrize("coupling", ["axial", "scalar", "pseudoscalar"])
def test_the_sampler_draws_from_the_density(coupling):
    """The mean of x of 1e5 samples; false alarms 1e-4 (four standard deviations), and 1e-3 for the table."""
    formula = _core.DarkBremsstrahlung(
        0.1, _core.element("Pb"), coupling=_core.Coupling.__members__[coupling]
    )
    sampler = _core.DarkBremSampler(formula, 100.0)
    x, _ = sampler.sample(1, 0, 100_000)
    assert abs(np.mean(x) - formula.mean_x(100.0).value) < 4.0 * np.std(x) / np.sqrt(len(x)) + 1e-3
    assert sampler.cross_section == pytest.approx(formula.total(100.0).value, rel=0.005)
