"""Widths, the g-2 integral, and the decay samplers."""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats

from na64root import _core

ELECTRON = _core.units.electron_mass


def benchmark(mass=0.39, epsilon=1e-3, alpha_dark=0.1, mass_ratio=3.0, relative_splitting=0.4):
    return _core.InelasticModel(
        mass, epsilon, alpha_dark=alpha_dark, mass_ratio=mass_ratio, relative_splitting=relative_splitting
    )


@pytest.mark.parametrize(
    ("mass", "splitting", "expected", "tolerance"),
    [
        # independent (separate implementation); the last digit printed
        (0.39, 0.4, 0.6429, 1e-4),
        (0.10, 0.4, 0.630, 1e-3),
        (0.01, 0.4, 0.04, 0.005),
        (0.30, 0.1, 0.84, 0.005),
        (0.30, 0.9, 0.49, 0.005),
    ],
)
def test_k_factor(mass, splitting, expected, tolerance):
    assert _core.chi2_k_factor(benchmark(mass, relative_splitting=splitting)) == pytest.approx(
        expected, abs=tolerance
    )


def test_paper_k_holds_above_150_mev():
    # independent: the paper, K = 0.640 +- 0.004, Eq. 2
    for mass in (0.15, 0.2, 0.3, 0.39):
        assert _core.chi2_k_factor(benchmark(mass)) == pytest.approx(0.640, abs=0.004)


def test_ctau_at_the_benchmark():
    # independent (separate implementation): 30.15 cm
    assert _core.chi2_ctau(benchmark()) == pytest.approx(30.15, abs=0.005)
    assert _core.chi2_ctau(benchmark(epsilon=2e-3, alpha_dark=0.05)) == pytest.approx(30.15 / 2, rel=1e-3)
    assert _core.chi2_ctau(benchmark(epsilon=0.0)) == math.inf


def test_stable_below_two_electrons():
    # analytic: Delta = 2 m_e at M = 7.66 MeV
    threshold = 2 * ELECTRON * 3 / 0.4
    assert threshold == pytest.approx(7.66e-3, abs=1e-5)
    for formula in (_core.WidthFormula.exact, _core.WidthFormula.paper):
        assert _core.chi2_ctau(benchmark(threshold * 0.999), formula) == math.inf
        assert _core.chi2_width(benchmark(threshold * 1.01), formula) > 0
        assert _core.chi2_branching_to_electrons(benchmark(threshold * 0.999), formula) == 0
    with pytest.raises(ValueError, match="closed"):
        _core.Chi2Decayer(benchmark(threshold * 0.999))


@pytest.mark.parametrize("excess", [1e-15, 1e-13, 1e-11, 1e-9, 1e-6, 1e-3])
@pytest.mark.parametrize("lepton", [ELECTRON, _core.units.muon_mass])
def test_widths_converge_just_above_a_threshold(excess, lepton):
    mass = 2 * lepton * (1 + excess) * 3 / 0.4
    assert _core.chi2_width(benchmark(mass)) >= 0.0


def test_muons_open_at_their_threshold():
    below, above = benchmark(1.5), benchmark(1.9)
    assert below.splitting < 2 * _core.units.muon_mass < above.splitting
    assert _core.chi2_branching_to_electrons(below) == 1.0
    assert 0.5 < _core.chi2_branching_to_electrons(above) < 1.0
    assert _core.chi2_branching_to_electrons(benchmark(1.9, epsilon=0.0)) == pytest.approx(
        _core.chi2_branching_to_electrons(above), rel=1e-9
    )


def test_aprime_widths():
    # independent (separate implementation): 0.256991 alpha_D M
    assert _core.aprime_width_to_chi(benchmark()) / (0.1 * 0.39) == pytest.approx(0.256991, abs=1e-6)
    # analytic: massless leptons; that of the electron enters by its fourth power
    assert _core.aprime_width_to_leptons(benchmark(), _core.units.electron_mass) == pytest.approx(
        _core.units.alpha * 1e-6 * 0.39 / 3, rel=1e-9
    )
    assert _core.aprime_width_to_leptons(benchmark(0.2), _core.units.muon_mass) == 0.0


@pytest.mark.parametrize(
    "change",
    [
        {"relative_splitting": 1.0},
        {"relative_splitting": 0.0},
        {"mass": -1.0},
        {"mass_ratio": 2.0},
        {"alpha_dark": math.nan},
        {"epsilon": math.inf},
    ],
)
def test_unphysical_models_raise(change):
    with pytest.raises(ValueError, match="closed|positive"):
        benchmark(**change)


def test_landau_pole():
    # independent (separate implementation): 0.205 at 10 MeV, 0.300 at 0.39 GeV
    np.testing.assert_allclose(_core.landau_pole_bound(np.array([0.01, 0.39])), [0.205, 0.300], atol=5e-4)


def test_magnetic_moment():
    muon = _core.units.muon_mass
    # independent (separate implementation): 3.1246e-3, tolerance 0.1 %
    assert float(_core.epsilon_of_magnetic_moment(muon, 0.1, 251e-11)) == pytest.approx(3.1246e-3, rel=1e-3)
    # analytic: light and heavy vector; corrections of order M/m and m^2/M^2 log
    alpha = _core.units.alpha
    assert float(_core.magnetic_moment(muon, 1e-7, 1e-3)) == pytest.approx(
        alpha * 1e-6 / (2 * math.pi), rel=1e-3
    )
    heavy = alpha * 1e-6 * muon**2 / (3 * math.pi * 100.0**2)
    assert float(_core.magnetic_moment(muon, 100.0, 1e-3)) == pytest.approx(heavy, rel=1e-4)
    with pytest.raises(ValueError, match="of zero or of this sign"):
        _core.epsilon_of_magnetic_moment(muon, 0.1, 0.0)


@pytest.mark.parametrize(
    ("model", "energy", "q2"),
    [
        # independent (separate implementation), in units of Delta
        (_core.DecayModel.matrix_element, 0.89851, 0.28960),
        (_core.DecayModel.phase_space, 0.9143, 0.4000),
    ],
)
def test_three_body_shape_at_the_benchmark(model, energy, q2):
    decayer, delta = _core.Chi2Decayer(benchmark(), model), benchmark().splitting
    assert decayer.mean_pair_energy() / delta == pytest.approx(energy, abs=1e-4)
    assert decayer.mean_q2() / delta**2 == pytest.approx(q2, abs=5e-4)
    _, minus, plus = decayer.sample(benchmark().chi2_mass, seed=2, first_entry=0, n=50_000)
    pair_energy = (minus + plus)[:, 0] / delta
    # 5 standard errors: false alarm 6e-7
    assert pair_energy.mean() == pytest.approx(energy, abs=5 * pair_energy.std() / math.sqrt(50_000))


MASSES = (0.008, 0.012, 0.03, 0.1, 0.39, 1.0)
SPLITTINGS = (0.05, 0.1, 0.4, 0.7, 0.99)


@pytest.mark.parametrize("decay", [_core.DecayModel.matrix_element, _core.DecayModel.phase_space])
def test_q2_density_over_all_masses_and_splittings(decay):
    """The table's mean against Simpson's rule on 2001 points of the density (self); KS of samples.

    False alarm 1e-5 each."""
    for mass, splitting in itertools.product(MASSES, SPLITTINGS):
        model = benchmark(mass, relative_splitting=splitting)
        delta = model.splitting
        if delta <= 2 * ELECTRON * 1.0001:
            continue
        low = 4 * ELECTRON**2

        def density(q2, model=model, low=low):
            if decay == _core.DecayModel.matrix_element:
                return float(_core.chi2_width_density(model, ELECTRON, q2))
            m1, m2 = model.chi1_mass, model.chi2_mass
            kallen = (m2**2 - (m1 + q2**0.5) ** 2) * (m2**2 - (m1 - q2**0.5) ** 2)
            return math.sqrt(max(0.0, kallen) * (1 - low / q2))

        # q = 2 m cosh(eta)
        top = math.acosh(delta / (2 * ELECTRON))
        points = np.linspace(0, top, 2001)
        q = 2 * ELECTRON * np.cosh(points)
        values = np.array([density(v) for v in q**2]) * 2 * q * 2 * ELECTRON * np.sinh(points)
        norm = integrate.simpson(values, x=points)
        mean = integrate.simpson(values * q**2, x=points) / norm
        decayer = _core.Chi2Decayer(model, decay)
        assert decayer.mean_q2() == pytest.approx(mean, rel=2e-3), (mass, splitting)

        _, minus, plus = decayer.sample(10 * model.chi2_mass, seed=4, first_entry=0, n=3000)
        pair = minus + plus
        q2 = pair[:, 0] ** 2 - (pair[:, 1:] ** 2).sum(axis=1)
        eta = np.arccosh(np.sqrt(np.maximum(q2, low)) / (2 * ELECTRON))
        cumulative = integrate.cumulative_simpson(values, x=points, initial=0.0) / norm
        assert stats.kstest(eta, lambda v, c=cumulative, p=points: np.interp(v, p, c)).pvalue > 1e-5, (
            mass,
            splitting,
        )


def test_four_vectors_are_on_shell_and_conserved():
    model = benchmark(0.05)
    chi1, chi2 = _core.decay_aprime(model, 80.0, seed=1, first_entry=0, n=1000)
    total = chi1 + chi2
    np.testing.assert_allclose(total[:, 0], 80.0, rtol=1e-12)
    np.testing.assert_allclose(total[:, 1:3], 0.0, atol=1e-9)

    def mass(p):
        return np.sqrt(np.maximum(0, p[:, 0] ** 2 - (p[:, 1:] ** 2).sum(axis=1)))

    # E^2 - p^2 loses digits as (E/m)^2
    np.testing.assert_allclose(mass(chi2), model.chi2_mass, rtol=1e-7)
    decayer = _core.Chi2Decayer(model)
    chi1, minus, plus = decayer.sample(30.0, seed=1, first_entry=0, n=1000)
    np.testing.assert_allclose((chi1 + minus + plus)[:, 0], 30.0, rtol=1e-12)
    np.testing.assert_allclose((chi1 + minus + plus)[:, 1:3], 0.0, atol=1e-9)
    np.testing.assert_allclose(mass(chi1), model.chi1_mass, rtol=1e-6)


def test_fraction_above_threshold_equals_samples():
    model = benchmark(0.2)
    decayer = _core.Chi2Decayer(model)
    n = 40_000
    for threshold, energy in [(5.0, 40.0), (10.0, 40.0), (20.0, 80.0)]:
        expected = float(decayer.fraction_above(threshold, energy))
        _, minus, plus = decayer.sample(energy, seed=9, first_entry=0, n=n)
        seen = ((minus + plus)[:, 0] > threshold).mean()
        # 5 standard errors: false alarm 6e-7 each
        assert seen == pytest.approx(expected, abs=5 * math.sqrt(expected * (1 - expected) / n) + 2e-4)
    assert decayer.fraction_above(100.0, 40.0) == 0.0
    assert decayer.fraction_above(1e-9, 40.0) == 1.0
    with pytest.raises(ValueError, match="energy of its mass"):
        decayer.fraction_above(1.0, 0.5 * model.chi2_mass)


def test_matrix_element_from_explicit_gamma_matrices():
    """Flat phase space weighted by traces of numerical Dirac matrices (independent of the closed formulas)
    gives the sampler's q^2 and lepton angle: means within 5 standard errors, false alarm 6e-7 each."""
    sigma = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    zero, one = np.zeros((2, 2)), np.eye(2)
    gamma = np.array(
        [np.block([[one, zero], [zero, -one]])] + [np.block([[zero, s], [-s, zero]]) for s in sigma]
    )
    lower = gamma * np.array([1.0, -1.0, -1.0, -1.0])[:, None, None]

    def slash(p):
        return np.einsum("...a,aij->...ij", p, lower)

    model, n = benchmark(0.39, relative_splitting=0.7), 4000
    m1, m2, identity = model.chi1_mass, model.chi2_mass, np.eye(4)
    p2 = np.array([m2, 0, 0, 0])

    def observables(minus, plus):
        """Of events, shape (n, 4) each: q^2 and the squared cosine, shape (n, 2)."""
        pair = minus + plus
        momentum2 = (pair[:, 1:] ** 2).sum(axis=1)
        q2 = pair[:, 0] ** 2 - momentum2
        # cosine of the lepton in the pair's frame: from the difference of energies in the chi2 frame
        beta2 = 1 - 4 * ELECTRON**2 / q2
        return np.stack([q2, (minus[:, 0] - plus[:, 0]) ** 2 / (beta2 * momentum2)], axis=1)

    flat = _core.Chi2Decayer(model, _core.DecayModel.phase_space).sample(m2, seed=3, first_entry=0, n=n)
    p1, minus, plus = flat
    # traces over the spinor indices i, j, k, l for each event n and pair of Lorentz indices a, b
    dark = np.einsum(
        "nij,ajk,kl,bli->nab",
        slash(p1) + m1 * identity,
        gamma,
        slash(p2) + m2 * identity,
        gamma,
        optimize=True,
    )
    light = np.einsum(
        "nij,ajk,nkl,bli->nab",
        slash(minus) + ELECTRON * identity,
        lower,
        slash(plus) - ELECTRON * identity,
        lower,
        optimize=True,
    )
    seen = observables(minus, plus)
    weights = (dark * light).sum(axis=(1, 2)).real / (seen[:, 0] - model.mass**2) ** 2
    assert (weights > 0).all()
    weighted = (weights[:, None] * seen).sum(axis=0) / weights.sum()
    error = np.sqrt((weights[:, None] ** 2 * (seen - weighted) ** 2).sum(axis=0)) / weights.sum()

    sampled = _core.Chi2Decayer(model).sample(m2, seed=8, first_entry=0, n=200_000)
    values = observables(sampled[1][:40_000], sampled[2][:40_000])
    total_error = np.hypot(error, values.std(axis=0) / math.sqrt(len(values)))
    assert (np.abs(values.mean(axis=0) - weighted) < 5 * total_error).all()
    # and the test can tell: an isotropic lepton would give 1/3
    assert abs(weighted[1] - 1 / 3) > 5 * total_error[1]
