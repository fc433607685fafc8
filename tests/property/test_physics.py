"""Properties of every model, beam and element, searched by Hypothesis (derandomised: no false alarms)."""

import math

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from na64root import _core

settings.register_profile("physics", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("physics")

MASS = st.floats(1e-3, 3.0)
ENERGY = st.floats(1.0, 300.0)
EPSILON = st.floats(1e-6, 0.1)
ELEMENT = st.sampled_from(["H", "C", "Al", "Fe", "Cu", "W", "Pb"]).map(_core.element)


@st.composite
def models(draw):
    ratio = draw(st.floats(2.1, 20.0))
    # strictly inside 0 < Delta < M - 2 m1, that is 0 < f < R - 2
    splitting = draw(st.floats(1e-3, 0.999)) * (ratio - 2.0)
    return _core.InelasticModel(
        draw(MASS),
        draw(EPSILON),
        alpha_dark=draw(st.floats(1e-3, 1.0)),
        mass_ratio=ratio,
        relative_splitting=splitting,
    )


@given(MASS, ENERGY, ELEMENT)
def test_cross_sections_converge_with_an_honest_error(mass, energy, element):
    formula = _core.DarkBremsstrahlung(mass, element)
    total = formula.total(energy)
    low, high = formula.x_range(energy)
    if low < high:
        assert total.value >= 0.0
        assert total.error <= 1e-3 * total.value
        if total.value > 0.0:
            assert low < formula.mean_x(energy).value < high
    else:
        assert total.value == 0.0


@given(MASS, ENERGY, st.floats(0.0, 1.0), st.floats(0.0, math.pi))
def test_densities_are_finite_and_not_negative(mass, energy, fraction, theta):
    formula = _core.DarkBremsstrahlung(mass, _core.element("Pb"))
    low, high = formula.x_range(energy)
    x = low + fraction * (high - low)
    for value in (formula.dsigma_dx(energy, x), formula.differential(energy, x, theta)):
        assert math.isfinite(value)
        assert value >= 0.0


@given(models())
def test_widths_scale_and_fractions_are_fractions(model):
    double = _core.InelasticModel(
        model.mass,
        2 * model.epsilon,
        alpha_dark=model.alpha_dark,
        mass_ratio=model.mass_ratio,
        relative_splitting=model.relative_splitting,
    )
    width = _core.chi2_width(model)
    assert math.isclose(_core.chi2_width(double), 4 * width, rel_tol=1e-12)
    assert (width > 0.0) == model.chi2_decays
    branching = _core.chi2_branching_to_electrons(model)
    assert 0.0 <= branching <= 1.0
    assert (branching > 0.0) == model.chi2_decays
    assert _core.aprime_width(model) >= _core.aprime_width_to_chi(model) > 0.0


@given(models(), st.floats(1.0, 200.0), st.sampled_from(list(_core.DecayModel.__members__.values())))
def test_decays_conserve_energy_and_momentum(model, boost, decay):
    assume(model.splitting > 2.001 * _core.units.electron_mass)
    energy = boost * model.chi2_mass
    parts = _core.Chi2Decayer(model, decay).sample(energy, seed=1, first_entry=0, n=50)
    total = sum(parts)
    momentum = math.sqrt(max(0.0, energy**2 - model.chi2_mass**2))
    np.testing.assert_allclose(total[:, 0], energy, rtol=1e-9)
    np.testing.assert_allclose(total[:, 1:3], 0.0, atol=1e-9 * energy)
    np.testing.assert_allclose(total[:, 3], momentum, atol=1e-9 * energy)
    assert all((part[:, 0] > 0.0).all() for part in parts)


@given(models(), st.floats(1.0, 200.0), st.floats(1e-6, 300.0), st.floats(1.0, 2.0))
def test_the_survival_of_a_threshold_falls_with_the_threshold(model, boost, threshold, factor):
    assume(model.splitting > 2.001 * _core.units.electron_mass)
    decayer, energy = _core.Chi2Decayer(model), boost * model.chi2_mass
    above, further = (float(decayer.fraction_above(t, energy)) for t in (threshold, threshold * factor))
    assert 0.0 <= further <= above <= 1.0


@given(st.floats(0.05, 0.95), st.floats(2.0, 300.0), st.sampled_from(_core.material_names()))
def test_track_lengths_grow_downwards_and_charge_is_conserved(fraction, energy, name):
    track = _core.track_length(_core.material(name), energy, fraction * energy, 60)
    assert (track.primary > 0.0).all()
    # every secondary electron above threshold comes with a positron or with more energy lost
    assert (track.all >= track.primary * (1 - 1e-12)).all()
    assert (np.diff(track.edges) < 0.0).all()
    assert (track.depth_moment > 0.0).all()


@given(MASS, st.floats(1e-12, 1e-8))
def test_magnetic_moment_and_its_inverse(mass, moment):
    for lepton in (_core.units.electron_mass, _core.units.muon_mass):
        epsilon = float(_core.epsilon_of_magnetic_moment(lepton, mass, moment))
        assert math.isclose(_core.magnetic_moment(lepton, mass, epsilon), moment, rel_tol=1e-9)
