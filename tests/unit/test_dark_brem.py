"""Dark bremsstrahlung: scaling, limits, errors, samplers."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from na64root import _core

LEAD = _core.element("Pb")


def test_scales_with_epsilon_squared():
    one = _core.DarkBremsstrahlung(0.1, LEAD).total(100.0).value
    assert _core.DarkBremsstrahlung(0.1, LEAD, epsilon=1e-3).total(100.0).value == pytest.approx(
        1e-6 * one, rel=1e-12
    )
    assert _core.DarkBremsstrahlung(0.1, LEAD, epsilon=0.0).total(100.0).value == 0.0


@pytest.mark.parametrize(("mass", "energy"), [(3.0, 1.0), (0.3, 0.3), (1.0, 1.0004)])
def test_closed_channel_is_zero(mass, energy):
    cross_section = _core.DarkBremsstrahlung(mass, LEAD)
    assert cross_section.total(energy).value == 0.0
    assert cross_section.dsigma_dx(energy, 0.5) == 0.0
    with pytest.raises(ValueError, match="closed"):
        _core.DarkBremSampler(cross_section, energy)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_unphysical_input_raises(bad):
    with pytest.raises(ValueError, match="mass"):
        _core.DarkBremsstrahlung(bad, LEAD)
    with pytest.raises(ValueError, match="energy"):
        _core.DarkBremsstrahlung(0.1, LEAD).total(bad)


def test_vectorised_equals_single():
    masses, energies = np.array([0.01, 0.1]), np.array([20.0, 50.0, 100.0])
    value, error = _core.total_cross_section(masses, energies, LEAD)
    assert value.shape == error.shape == (2, 3)
    for i, mass in enumerate(masses):
        for j, energy in enumerate(energies):
            single = _core.DarkBremsstrahlung(mass, LEAD).total(energy)
            assert (value[i, j], error[i, j]) == (single.value, single.error)
    x = np.linspace(0.1, 0.9, 4).reshape(2, 2)
    cross_section = _core.DarkBremsstrahlung(0.1, LEAD)
    assert cross_section.dsigma_dx(100.0, x).shape == (2, 2)


def test_impossible_tolerance_raises():
    with pytest.raises(RuntimeError, match="did not converge"):
        _core.DarkBremsstrahlung(0.1, LEAD).total(100.0, relative_tolerance=1e-17)


@pytest.mark.parametrize("approximation", [_core.Approximation.etl, _core.Approximation.ww])
@pytest.mark.parametrize(("mass", "energy"), [(0.001, 100.0), (0.1, 100.0), (0.3, 50.0), (1.0, 20.0)])
def test_sampler_follows_the_density(mass, energy, approximation):
    """Kolmogorov-Smirnov on x and theta, 40000 samples; false alarm 1e-4 for each of the 16 tests."""
    cross_section = _core.DarkBremsstrahlung(mass, LEAD, approximation)
    sampler = _core.DarkBremSampler(cross_section, energy)
    x, theta = sampler.sample(seed=11, first_entry=0, n=40_000)
    assert sampler.cross_section == pytest.approx(cross_section.total(energy).value, rel=3e-3)

    # the distribution of y = -log(1-x) from the integrated density, independent of the sampler's table
    low, high = cross_section.x_range(energy)
    y = np.linspace(-math.log1p(-low), -math.log1p(-high), 1201)
    density = np.exp(-y) * cross_section.dsigma_dx(energy, -np.expm1(-y))
    cumulative = integrate.cumulative_simpson(density, x=y, initial=0.0)
    cumulative /= cumulative[-1]
    assert stats.kstest(-np.log1p(-x), lambda v: np.interp(v, y, cumulative)).pvalue > 1e-4

    # theta given x: its conditional distribution function at the sampled value is uniform
    chosen = slice(0, 400)
    probability = []
    for x_i, theta_i in zip(x[chosen], theta[chosen], strict=True):
        u_low, u_high = cross_section.u_range(energy, x_i)
        r = np.linspace(math.sqrt(u_low / u_high), 1.0, 161)
        u = np.clip(u_low / r**2, u_low, u_high)
        f = np.array([cross_section.density(energy, x_i, v) for v in u]) * u**1.5
        angle = np.array([cross_section.angle(energy, x_i, v) for v in u])
        steps = integrate.cumulative_trapezoid(f, r, initial=0.0)
        probability.append(np.interp(-theta_i, -angle, steps / steps[-1]))
    assert stats.kstest(probability, "uniform").pvalue > 1e-4


@pytest.mark.parametrize(("mass", "energy"), [(0.01, 100.0), (0.1, 100.0), (0.39, 60.0), (1.0, 100.0)])
def test_mean_x_of_samples(mass, energy):
    """Within 1e-3 of the quadrature, at least 4 standard errors of 2 million samples: false alarm 1e-4."""
    cross_section = _core.DarkBremsstrahlung(mass, LEAD)
    x, _ = _core.DarkBremSampler(cross_section, energy).sample(seed=12, first_entry=0, n=2_000_000)
    assert 4 * x.std() / math.sqrt(len(x)) < 1e-3
    assert x.mean() == pytest.approx(cross_section.mean_x(energy, 1e-4).value, abs=1e-3)


def test_samples_depend_on_seed_and_entry_only():
    sampler = _core.DarkBremSampler(_core.DarkBremsstrahlung(0.1, LEAD), 100.0)
    whole = sampler.sample(seed=5, first_entry=0, n=100)
    part = sampler.sample(seed=5, first_entry=40, n=10)
    np.testing.assert_array_equal(whole[0][40:50], part[0])
    np.testing.assert_array_equal(whole[1][40:50], part[1])
    assert not np.array_equal(whole[0], sampler.sample(seed=6, first_entry=0, n=100)[0])


def test_stages_do_not_share_random_numbers():
    """The same seed and entries in every stage: rank correlations below 5 sigma (false alarm 6e-7)."""
    n = 4000
    model = _core.InelasticModel(0.2, 1e-3, alpha_dark=0.1, mass_ratio=3.0, relative_splitting=0.4)
    x, _ = _core.DarkBremSampler(_core.DarkBremsstrahlung(0.2, LEAD), 100.0).sample(1, 0, n)
    _, chi2 = _core.decay_aprime(model, 80.0, 1, 0, n)
    _, minus, plus = _core.Chi2Decayer(model).sample(40.0, 1, 0, n)
    stages = [x, chi2[:, 0], (minus + plus)[:, 0]]
    for i in range(3):
        for j in range(i):
            assert abs(stats.spearmanr(stages[i], stages[j]).statistic) < 5 / math.sqrt(n)
