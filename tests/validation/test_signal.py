"""Expected signal against published limits, closed limits of the model, and scaling laws."""

import math

import numpy as np
import pytest

from na64root import ConfigError, load_card
from na64root.signal import Parameters, SignalModel, card_counts, effective_exposure, expected_signal
from na64root.theory.published import published_curve

CARD = load_card()


@pytest.mark.parametrize(
    ("mass", "ratio"),
    [(0.005, 1.21), (0.02, 1.09), (0.05, 1.01), (0.1, 0.97), (0.2, 0.90), (0.3, 0.85), (0.5, 0.79)],
)
def test_invisible_mode_against_the_published_limit(mass, ratio):
    """A flat efficiency of 0.5, E_A' > 50 GeV and 2.303 events, over NA64's limit of 2019 (independent).

    The ratios come from a separate implementation of the same formulas (independent), tolerance 5 %. They
    differ from 1 since the published limit used the simulation and efficiencies of 2019 (docs/physics.md).
    """
    per_electron = SignalModel(CARD, mode="invisible").at_mass(mass).per_electron([1e-5])[0, 1] * 1e10
    ours = math.sqrt(2.303 / (0.5 * 2.84e11 * per_electron))
    masses, limits = np.array(published_curve("na64_invisible_2019")).T
    published = math.exp(np.interp(math.log(mass), np.log(masses), np.log(limits)))
    assert ours / published == pytest.approx(ratio, rel=0.05)


def test_stable_chi2_is_the_invisible_mode():
    """analytic: below Delta = 2 m_e nothing decays, S1 is empty and S2 the invisible search."""
    mass, epsilon = 0.007, np.array([1e-4, 1e-2])
    seen = SignalModel(CARD).at_mass(mass).per_electron(epsilon)
    invisible = SignalModel(CARD, mode="invisible").at_mass(mass).per_electron(epsilon)
    assert (seen[:, 0] == 0).all()
    np.testing.assert_allclose(seen[:, 1], invisible[:, 1], rtol=1e-12)
    assert SignalModel(CARD).at_mass(mass).decay_probability(1e-3)["beyond"] == pytest.approx(1.0, abs=1e-12)


def test_short_lifetimes_kill_s2_first_then_s1():
    epsilon = np.geomspace(4e-3, 5e-2, 40)
    s1, s2 = SignalModel(CARD).at_mass(0.3).per_electron(epsilon).T
    ratio = s2 / s1
    assert (np.diff(ratio) < 0).all()
    assert s1[-1] < 1e-6 * s1.max()


def test_long_lifetimes_scale_with_epsilon():
    """analytic: where nothing decays inside, S2 ~ eps^2 and S1 ~ eps^4."""
    s1, s2 = SignalModel(CARD).at_mass(0.05).per_electron([1e-5, 2e-5]).T
    assert s2[1] / s2[0] == pytest.approx(4.0, rel=1e-3)
    assert s1[1] / s1[0] == pytest.approx(16.0, rel=1e-3)


def test_lifetime_depends_on_alpha_dark_times_epsilon_squared():
    """analytic: c tau ~ 1/(alpha_D eps^2), so S1 and S2 over eps^2 depend on that product alone."""
    signal = SignalModel(CARD)
    one = signal.at_mass(0.2).per_electron([2e-3])
    other = signal.at_mass(0.2, Parameters(0.4, 3.0, 0.4)).per_electron([1e-3])
    np.testing.assert_allclose(one / 4.0, other, rtol=1e-4)


def test_probabilities_sum_to_one():
    for mass in (0.005, 0.03, 0.39, 0.9):
        for epsilon in (1e-5, 1e-3, 5e-2):
            probability = SignalModel(CARD).at_mass(mass).decay_probability(epsilon)
            assert sum(probability.values()) == pytest.approx(1.0, abs=1e-12)
            assert min(probability.values()) >= 0.0


def test_finer_groups_of_the_track_do_not_change_the_yield():
    """self: the default number of energy groups against forty; 0.5 % moves the end point by 0.0003 GeV."""
    from na64root import _core

    signal = SignalModel(CARD)
    edges = sorted(signal.aprime_threshold.values())
    for mass in (0.01, 0.3):
        totals = []
        for groups in (12, 40):
            production = _core.production_spectrum(
                signal.cross_section(mass), signal.track, signal.atoms_per_radiation_length, edges, groups
            )
            totals.append([sum(p.weight for p in production if p.energy > edge) for edge in edges])
        np.testing.assert_allclose(totals[0], totals[1], rtol=5e-3)


def test_the_core_refuses_what_it_cannot_integrate():
    from na64root import _core

    signal = SignalModel(CARD)
    with pytest.raises(ValueError, match="below the threshold"):
        _core.production_spectrum(signal.cross_section(0.1), signal.track, 1.0, [5.0])
    flux = _core.chi2_flux(Parameters.of(CARD).model(0.1, 1.0), signal.production(0.1), 1.1, 0.0)
    with pytest.raises(ValueError, match="start <= end"):
        _core.decays_between(flux, np.ones_like(flux.weight), [1.0], 500.0, 200.0)


def test_exposure_and_periods():
    exposure = CARD.exposure({"2018": 1e10})
    assert exposure == {"2016": 4.3e10, "2017": 5.4e10, "2018": 1e10}
    counts = card_counts(CARD, exposure)
    assert counts[1].background == pytest.approx(0.53 * sum(exposure.values()) / 2.84e11)
    assert effective_exposure(CARD, exposure, counts)["S1"] == pytest.approx(0.5 * sum(exposure.values()))
    only_2018 = [c.model_copy(update={"period": "2018"}) for c in counts]
    assert effective_exposure(CARD, exposure, only_2018)["S2"] == pytest.approx(0.5e10)
    missing = [counts[0].model_copy(update={"observed": None}), counts[1]]
    assert effective_exposure(CARD, exposure, missing)["S1"] == 0.0
    assert sum(CARD.exposure({"all": 5e12}).values()) == pytest.approx(5e12)
    half = expected_signal(CARD, [0.1], [1e-3], CARD.exposure({"all": 1.42e11}))
    np.testing.assert_allclose(expected_signal(CARD, [0.1], [1e-3]), 2 * half, rtol=1e-12)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.relative_splitting=1.0", "unphysical model"),
        ("target.material=polystyrene", "compound"),
        ("target.material=Pd", "unknown material"),
        ("selection.ecal.s1_max_GeV=0", "positive"),
        ("beam.energy_GeV=0.5", "no shower"),
    ],
)
def test_bad_cards_are_one_clear_error(override, message):
    with pytest.raises(ConfigError, match=message):
        SignalModel(load_card(overrides=[override])).at_mass(0.1)
    for bad in ({"2019": 1e10}, {"2018": -1.0}, {"2018": math.nan}):
        with pytest.raises(ConfigError, match="eot"):
            CARD.exposure(bad)
