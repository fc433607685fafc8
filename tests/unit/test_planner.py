"""The exposure planner: consistency with the end point, scaling laws, what is moved and what is kept."""

import math

import numpy as np
import pytest

from na64root import ConfigError, load_card
from na64root.config import changed_card
from na64root.exclusion import ledger, planner
from na64root.signal import SignalModel
from na64root.work import Work


@pytest.fixture(scope="module")
def card():
    return load_card()


@pytest.fixture(scope="module")
def end_point(card):
    return ledger.answers(card).end_point_GeV


@pytest.fixture(scope="module")
def small(card, end_point):
    return planner.plan(
        card,
        mass_GeV=[0.02, 0.1, end_point, 0.45],
        hcal1_lengths_cm=[50.0, 150.0],
        beam_energies_GeV=[100.0, 150.0],
        work=Work(threads=2),
    )


def test_the_end_point_needs_the_exposure_of_the_card(card, small):
    """Without an event the exposure of the card excludes the line up to there, where it is all needed."""
    assert small.by_hcal1_length[1].eot_zero_events[2] == pytest.approx(card.eot, rel=1e-3)


def test_two_ways_to_the_default_setup(small):
    same, other = small.by_hcal1_length[1], small.by_beam_energy[0]
    assert same.eot_zero_events == pytest.approx(other.eot_zero_events, rel=1e-9)
    assert same.eot_median[:3] == pytest.approx(other.eot_median[:3], rel=1e-9)


def test_exposure_is_the_limit_over_the_signal_per_electron(card, small):
    """A stable chi2 but for a share: epsilon^2 EOT is fixed by the limit (analytic, without nuisances)."""
    plain = changed_card(card, {"limit.treatment": "none"})
    made = planner.plan(plain, mass_GeV=[0.02], hcal1_lengths_cm=[150.0], beam_energies_GeV=[100.0])
    epsilon = made.epsilon[0][0]
    s1, s2 = SignalModel(plain).at_mass(0.02).per_electron([epsilon])[0]
    expected = math.log(10.0) / (0.5 * (s1 + s2))
    assert made.by_hcal1_length[0].eot_zero_events[0] == pytest.approx(expected, rel=1e-3)


def test_a_shorter_hcal1_and_a_higher_beam_need_less(small):
    short, long = (np.array(c.eot_zero_events, dtype=float) for c in small.by_hcal1_length)
    assert (short <= long).all()
    assert short[3] < 0.5 * long[3]
    usual, high = (np.array(c.eot_zero_events, dtype=float) for c in small.by_beam_energy)
    assert (high < usual).all()
    assert small.sensitivity[1].answers.end_point_GeV > small.sensitivity[0].answers.end_point_GeV + 0.03


def test_more_background_needs_more_exposure(card, small, end_point):
    """Backgrounds that grow with the exposure are larger beyond the card's, and smaller below it."""
    kept = planner.plan(
        card,
        mass_GeV=[0.02, 0.45],
        hcal1_lengths_cm=[150.0],
        beam_energies_GeV=[100.0],
        background="kept",
    ).by_hcal1_length[0]
    scaled = small.by_hcal1_length[1]
    assert kept.eot_zero_events == pytest.approx([scaled.eot_zero_events[0], scaled.eot_zero_events[3]])
    assert scaled.eot_zero_events[3] > card.eot
    assert scaled.eot_median[3] > 1.05 * kept.eot_median[1]
    assert scaled.eot_median[0] <= kept.eot_median[0]
    assert scaled.eot_median[3] > scaled.eot_zero_events[3]


def test_null_where_no_exposure_reaches(card):
    made = planner.plan(
        card, mass_GeV=[0.1, 0.9], hcal1_lengths_cm=[150.0], beam_energies_GeV=[100.0], largest_eot=1e12
    )
    curve = made.by_hcal1_length[0]
    assert curve.eot_zero_events[1] is None
    assert curve.eot_median[1] is None
    assert curve.eot_zero_events[0] is not None


def test_the_band_is_as_hard_as_its_hardest_edge(card):
    common = {"mass_GeV": [0.1, 0.3], "hcal1_lengths_cm": [150.0], "beam_energies_GeV": [100.0]}
    band = planner.plan(card, "g2-band", **common)
    central = planner.plan(card, "g2", **common)
    assert len(band.epsilon) == 3
    needed, line = (p.by_hcal1_length[0].eot_zero_events for p in (band, central))
    assert all(a > b for a, b in zip(needed, line, strict=True))
    # At 0.1 GeV chi2 lives long enough, and the lower edge, with less production, is the hardest.
    low = band.epsilon[0][0] / band.epsilon[1][0]
    assert needed[0] / line[0] == pytest.approx(low**-2, rel=0.05)


def test_no_line_no_exposure():
    card = load_card(overrides=["muon_g2.central=-1e-10"])
    made = planner.plan(card, mass_GeV=[0.1], hcal1_lengths_cm=[150.0], beam_energies_GeV=[100.0])
    assert made.epsilon == [[None]]
    assert made.by_hcal1_length[0].eot_median == [None]


def test_the_compact_geometry_is_that_of_its_card(card):
    compact, moved = load_card("compact_hcal").geometry, planner.with_hcal1_length(card, 50.0).geometry
    for name in type(compact).model_fields:
        assert getattr(moved, name).value == pytest.approx(getattr(compact, name).value), name


def test_another_beam_keeps_the_share_of_the_missing_energy(card):
    other = planner.with_beam_energy(card, 150.0)
    assert other.selection.ecal.s2_max_GeV.value == pytest.approx(75.0)
    assert other.selection.ecal.s1_max_GeV.value == pytest.approx(127.5)
    assert other.selection.hcal == card.selection.hcal
    assert other.geometry == card.geometry


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "moon"}, "no target moon"),
        ({"background": "none"}, "no background none"),
        ({"largest_eot": 0.0}, "largest exposure"),
        ({"mass_GeV": [0.2, 0.1]}, "rise"),
        ({"hcal1_lengths_cm": [-1.0]}, "HCAL1 of -1"),
        ({"beam_energies_GeV": [math.nan]}, "beam of nan"),
    ],
)
def test_bad_input_is_one_line(card, options, message):
    with pytest.raises(ConfigError, match=message):
        planner.plan(card, **options)
