"""The detector and the particle gun: energy is kept, cells are in their place, entries are independent."""

from __future__ import annotations

import numpy as np
import pytest

from na64root import _core
from na64root.config import load_card
from na64root.signal.experiment import detector_config


def config_of(particle="e-", energy=50.0, volume="ecal", card="geant4_reference", overrides=(), **options):
    config = _core.GunConfig()
    config.detector = detector_config(_core, load_card(card, overrides))
    config.particle, config.volume = _core.gun_particle(particle), _core.gun_volume(volume)
    config.energy, config.pair_mass = energy, 0.03 if particle == "pair" else 0.0
    for name, value in options.items():
        setattr(config, name, value)
    return config


def gun(*arguments, events=500, seed=1, **options):
    return _core.simulate_gun(config_of(*arguments, **options), seed, 0, events)


def visible(sample):
    return sample["mc_ecal_GeV"] + sample["mc_hcal_GeV"].sum(axis=1)


@pytest.mark.parametrize(
    ("particle", "volume"), [("e-", "ecal"), ("pair", "ecal"), ("pair", "hcal1"), ("pair", "hcal2")]
)
def test_energy_is_kept(particle, volume):
    """analytic: all that is visible is the energy, but for what passes the sides and the end of HCAL3."""
    seen = visible(gun(particle, 50.0, volume))
    assert seen.max() < 50.0 * 1.01
    assert seen.mean() == pytest.approx(50.0, rel=0.005 if particle == "e-" else 0.03)


def test_a_pair_near_the_end_of_the_last_module_leaks():
    sample = gun("pair", 50.0, "hcal3", events=2000)
    late = sample["mc_depth_X0"] > 67.0
    assert late.sum() > 10
    assert visible(sample)[late].mean() < 25.0
    assert visible(sample)[sample["mc_depth_X0"] < 40.0].mean() == pytest.approx(50.0, rel=0.01)


def test_a_shower_never_reaches_what_stands_before_it():
    sample = gun("pair", 50.0, "hcal2")
    assert sample["mc_ecal_GeV"].max() == sample["mc_veto_GeV"].max() == 0.0
    assert sample["hcal0"].max() == 0.0
    assert (sample["mc_hcal_GeV"][:, 2] > 0.0).any()


def test_a_pair_late_in_the_ecal_fires_the_veto():
    sample = gun("pair", 50.0, "ecal", events=1000)
    late = sample["mc_depth_X0"] > 36.0
    assert (sample["VETO_ene"][late, 2] > 0.01).all()
    assert (sample["hcal0"][late] > 1.0).all()


def test_cells_follow_the_offset():
    pitch = 3.82
    for i, j in ((3, 3), (2, 3), (3, 4), (1, 2)):
        cells = gun(offset_x=(i - 3) * pitch, offset_y=(j - 3) * pitch)["ECAL_ene"].sum(axis=(0, 1))
        assert np.unravel_index(cells.argmax(), cells.shape) == (i, j)
    for i, j in ((1, 1), (0, 1), (1, 2), (2, 0)):
        sample = gun("pair", volume="hcal2", offset_x=(i - 1) * 19.4, offset_y=(j - 1) * 19.2)
        cells = sample["HCAL_ene"][:, 1].sum(axis=0)
        assert np.unravel_index(cells.argmax(), cells.shape) == (i, j)


def test_totals_are_sums_of_cells():
    sample = gun("pair", volume="hcal2", card="paper2021")
    np.testing.assert_allclose(sample["ecal0"], sample["ECAL_ene"][:, 0].sum(axis=(1, 2)), rtol=1e-12)
    np.testing.assert_allclose(sample["ecalTotal"], sample["ecal0"] + sample["ecal1"], rtol=1e-12)
    for module in range(4):
        cells = sample["HCAL_ene"][:, module].sum(axis=(1, 2))
        np.testing.assert_allclose(sample[f"hcal{module}"], cells, rtol=1e-12, atol=1e-12)


def test_a_module_off_the_beam_sees_the_shower_of_its_neighbour_elsewhere():
    """A pair from HCAL2 that reaches HCAL3, half a cell off, shares its energy between two cells there."""
    moved = ["detector.hcal_centres.hcal3.x_cm=-9.7"]
    cells = gun("pair", volume="hcal2", overrides=moved, events=3000)["HCAL_ene"][:, 2].sum(axis=0)
    assert cells[1, 1] == pytest.approx(cells[2, 1], rel=0.1)
    assert cells[1, 1] > 10 * cells[0, 1]
    # In a gun at the middle of HCAL3 the offset goes with the module.
    cells = gun("pair", volume="hcal3", overrides=moved)["HCAL_ene"][:, 2].sum(axis=0)
    assert cells[1, 1] > 0.9 * cells.sum()


def test_without_lateral_profile_all_energy_is_on_the_axis():
    cells = gun("pair", volume="hcal2", offset_x=9.6, overrides=["detector.lateral_profile=off"])["HCAL_ene"]
    assert (cells[:, 1, 1, 1] > 0.0).any()
    assert cells.sum() == pytest.approx(cells[:, :, 1, 1].sum(), rel=1e-3)  # the opening angle is small


def test_noise_and_thresholds_have_their_switch():
    card = load_card("paper2021")
    quiet = detector_config(_core, card, noise=False)
    assert quiet.noise == _core.Noise.off
    assert quiet.ecal_stochastic == card.detector.ecal_sampling.value
    noisy = gun("pair", volume="hcal2", card="paper2021", events=2000)
    pedestals = noisy["HCAL_ene"][:, 0]
    threshold, width = card.detector.hcal_threshold_GeV.value, card.detector.hcal_noise_GeV.value
    assert ((pedestals == 0.0) | (pedestals >= threshold)).all()
    # Gaussian noise above two standard deviations: 2.28 %, 5 standard errors of 18 000 cells (6e-7)
    assert width * 2 == threshold
    assert (pedestals > 0.0).mean() == pytest.approx(0.02275, abs=5 * np.sqrt(0.0228 / pedestals.size))


def test_events_depend_on_seed_and_entry_only():
    config = config_of("pair", volume="hcal2", card="paper2021")
    whole = _core.simulate_gun(config, 3, 0, 20)
    part = _core.simulate_gun(config, 3, 12, 4)
    for name, column in part.items():
        np.testing.assert_array_equal(whole[name][12:16], column)
    other = _core.simulate_gun(config, 4, 0, 20)
    assert not np.array_equal(whole["hcal1"], other["hcal1"])


def test_truth_says_where_it_started():
    config = config_of("pair", volume="hcal2", offset_x=7.5)
    sample = _core.simulate_gun(config, 1, 0, 2000)
    start, end = config.detector.hcal_start[1] * 10, config.detector.hcal_end[1] * 10
    z = sample["mc_start_z_mm"]
    assert start < z.min() < start + 20 < end - 20 < z.max() < end
    assert z.mean() == pytest.approx(0.5 * (start + end), abs=5 * (end - start) / np.sqrt(12 * len(z)))
    np.testing.assert_allclose(sample["mc_start_x_mm"], 75.0)
    # 48 layers of 25 mm Fe and 4 mm polystyrene: 68.75 radiation lengths
    np.testing.assert_allclose(sample["mc_depth_X0"], 68.75 * (z - start) / (end - start), rtol=2e-3)


@pytest.mark.parametrize("energy", [-1.0, 0.0, float("nan"), float("inf"), 1e6])
def test_an_unphysical_energy_raises(energy):
    with pytest.raises(ValueError, match="energy of the gun"):
        gun(energy=energy)


def test_a_wrong_geometry_raises():
    config = config_of()
    config.detector.hcal_start = [70.0, 100.0, 368.4]
    with pytest.raises(ValueError, match="order of the beam"):
        _core.simulate_gun(config, 1, 0, 1)
