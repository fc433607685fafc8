"""Records of lines and regions: what they hold, what they say of themselves, what they refuse."""

import math

import numpy as np
import pytest

from na64root import ConfigError, _core, load_card, theory
from na64root.records import Line, Region
from na64root.signal import Parameters
from na64root.theory.experiments import babar, e137
from na64root.theory.overlays import (
    chi2_stable,
    decay_closed,
    electron_g2,
    landau_pole,
    masses_of_curves,
    muon_g2,
    relic_alpha_dark,
    relic_line,
    relic_splitting,
)
from na64root.theory.published import TABLE_PARAMETERS, public_table

CARD = load_card()
BENCHMARK = Parameters(alpha_dark=0.1, mass_ratio=3.0, relative_splitting=0.4)
MASSES = [0.01, 0.1, 0.39]


def test_g2_lines():
    red = muon_g2(CARD, MASSES)
    blue = muon_g2(CARD, MASSES, before_fermilab=True)
    assert red.y[1] == pytest.approx(3.1246e-3, rel=1e-3)  # independent, a separate implementation
    # analytic: epsilon goes with the root of the shift
    assert blue.y[2] / red.y[2] == pytest.approx(math.sqrt(279 / 251), rel=1e-9)
    for line, central, sigma in ((red, 251, 59), (blue, 279, 76)):
        assert line.band_low[0] / line.y[0] == pytest.approx(math.sqrt(1 - 2 * sigma / central), rel=1e-9)
        assert line.band_high[0] / line.y[0] == pytest.approx(math.sqrt(1 + 2 * sigma / central), rel=1e-9)
    # a shift that is compatible with none at 2 sigma has no lower edge; a negative one no line
    shrunk = load_card(overrides=["muon_g2.central=50e-11"])
    assert muon_g2(shrunk, MASSES).band_low == [None] * 3
    negative = load_card(overrides=["muon_g2.central=-1e-11"])
    assert muon_g2(negative, MASSES).y == [None] * 3


def test_electron_g2():
    line = electron_g2([1.0])
    # analytic, heavy A': a = alpha eps^2 m^2/(3 pi M^2)
    moment = (4.8 + 2 * 3.0) * 1e-13
    heavy = math.sqrt(3 * math.pi * moment / _core.units.alpha) / _core.units.electron_mass
    assert line.y[0] == pytest.approx(heavy, rel=1e-3)
    assert line.excluded_side == "above"
    caesium = electron_g2(MASSES, alpha="caesium")
    assert caesium.y == [None] * 3
    assert "no bound" in caesium.caveat
    at_three = electron_g2(MASSES, alpha="caesium", pull=3.0)
    assert at_three.y[0] < electron_g2(MASSES, pull=3.0).y[0]
    with pytest.raises(ConfigError, match="rubidium, caesium"):
        electron_g2(MASSES, alpha="quartz")


def test_electron_shifts_follow_from_alpha():
    """a_e ~ alpha/2 pi, so the shift is a_e (1/alpha_measured - 1/alpha_a_e) alpha (analytic, 2 %).

    1/alpha: rubidium 137.035999206(11), caesium 137.035999046(27); from a_e 137.035999166(15) with the a_e of
    2023, 1.15965218059e-3 (arXiv:2209.13084), which lies 1.4e-13 below the one of 2008 used here.
    """
    a_e = 1.15965218059e-3
    for alpha, inverse in (("rubidium", 137.035999206), ("caesium", 137.035999046)):
        shift_2023 = a_e * (inverse - 137.035999166) / 137.036
        assert theory.ELECTRON_G2[alpha].central == pytest.approx(shift_2023 + 1.4e-13, rel=0.02)


def test_relic_line():
    line = relic_line([5e-4, 0.1, 0.6], BENCHMARK)
    assert line.y[0] is None
    assert line.band_high[1] / line.y[1] == pytest.approx(1.15)
    assert line.band_high[2] / line.y[2] == pytest.approx(1.4)
    assert line.band_low[2] * line.band_high[2] == pytest.approx(line.y[2] ** 2)
    assert line.uncertain == [False, False, False]
    assert "neutrinos" in line.caveat
    resonant = relic_line([0.1], Parameters(0.1, 2.5, 0.4))
    assert resonant.uncertain == [True]
    assert "resonant" in resonant.caveat
    assert "neutrinos" not in resonant.caveat


def test_relic_lines_of_other_planes():
    """analytic: at the epsilon of the relic line they give back its alpha_D and f, and its band."""
    masses = np.array([0.1, 0.3])
    line = relic_line(masses, BENCHMARK)
    alpha = relic_alpha_dark(masses, line.y, Parameters(0.7, 3.0, 0.4))
    np.testing.assert_allclose(alpha.y, 0.1, rtol=2e-3)
    assert alpha.y_quantity == "alpha_dark"
    splitting = relic_splitting(masses / 3.0, line.y, Parameters(0.1, 3.0, 0.2))
    np.testing.assert_allclose(splitting.y, 0.4, atol=2e-3)
    for other in (alpha, splitting):
        assert all(
            low < y < high for low, y, high in zip(other.band_low, other.y, other.band_high, strict=True)
        )
    # the band is that of epsilon
    edge = relic_alpha_dark(masses, line.band_high, BENCHMARK)
    np.testing.assert_allclose(edge.y, alpha.band_low, rtol=2e-3)
    # too little mixing for any coupling, and a mass without relic density
    nowhere = relic_alpha_dark([0.1, 5.0], [1e-6, 1e-3], BENCHMARK)
    assert nowhere.y == nowhere.band_low == nowhere.band_high == [None, None]


def test_landau_pole():
    line = landau_pole([0.01, 0.39])
    # independent, a separate evaluation
    np.testing.assert_allclose(line.y, [0.205, 0.300], atol=5e-4)
    assert line.y_quantity == "alpha_dark"


def test_the_model_changes_on_the_kinematic_lines():
    """analytic: chi2 is stable below m_A' = 2 m_e R/f = 7.66 MeV, A' -> chi1 chi2 closes at f = R - 2."""
    just = 7.665e-3
    stable = chi2_stable([just / 3.0])
    assert stable.y == [pytest.approx(0.4, rel=1e-4)]
    assert not BENCHMARK.model(just * 0.999, 1e-3).chi2_decays
    assert BENCHMARK.model(just * 1.001, 1e-3).chi2_decays
    closed = decay_closed([0.01, 0.1], 3.0)
    assert closed.y == [1.0, 1.0]
    assert Parameters(0.1, 3.0, 1.0 - 1e-6).model(0.1, 1e-3).splitting > 0
    with pytest.raises(ConfigError):
        Parameters(0.1, 3.0, 1.0).model(0.1, 1e-3)
    with pytest.raises(ConfigError):
        Parameters(0.1, 2.4, 0.4).model(0.1, 1e-3)
    assert closed.excluded_side == "above"


def test_every_record_says_whose_it_is():
    lines = [
        muon_g2(CARD, MASSES),
        electron_g2(MASSES),
        relic_line([0.1], BENCHMARK),
        landau_pole(MASSES),
        chi2_stable(MASSES),
        decay_closed(MASSES, 3.0),
    ]
    assert len({line.name for line in lines}) == len(lines)
    for line in lines:
        assert line.source
        assert line.caveat
        assert "\n" not in line.source + line.caveat
        assert len(line.x) == len(line.y)
        assert type(line).model_validate_json(line.model_dump_json()) == line


def test_regions():
    region = e137([0.005, 0.1, 0.2], BENCHMARK, bands=False, events=500)
    assert region.epsilon_low[0] is None
    assert region.epsilon_high[0] is None
    assert region.epsilon_low[1] < region.epsilon_high[1]
    assert region.bands == {}
    assert region == e137([0.005, 0.1, 0.2], BENCHMARK, bands=False, events=500, threads=2)
    wide = babar([5e-4, 0.005, 0.3, 9.0], BENCHMARK)
    assert wide.epsilon_low[0] is None
    assert wide.epsilon_low[3] is None
    # chi2 stable: excluded up to the end of the scan, which is no measurement
    assert wide.high_is_frame == [False, True, False, False]
    near, far = wide.bands["radius 0.5 m"], wide.bands["radius 1.5 m"]
    assert near[0][2] < wide.epsilon_low[2] < far[0][2]
    assert near[1][2] > wide.epsilon_high[2] > far[1][2]
    for one in (region, wide):
        assert one.source
        assert one.caveat
        assert type(one).model_validate_json(one.model_dump_json()) == one


def test_regions_have_their_ends():
    """analytic: dumps see chi2 from Delta = 2 m_e on, m_A' = 7.665 MeV; BaBar's ends meet where it closes."""
    begin = 2.0 * _core.units.electron_mass * 3.0 / 0.4
    dump = e137([0.006, 0.012], BENCHMARK, bands=False, events=500, ends=True)
    known = [mass for mass, low in zip(dump.mass_GeV, dump.epsilon_low, strict=True) if low is not None]
    assert begin < known[0] < 1.005 * begin
    assert dump.mass_GeV == sorted(dump.mass_GeV)
    closing = babar([0.3, 0.7], BENCHMARK, bands=False, ends=True)
    last = max(i for i, low in enumerate(closing.epsilon_low) if low is not None)
    assert closing.mass_GeV[last + 1] / closing.mass_GeV[last] < 1.0011
    assert closing.epsilon_high[last] / closing.epsilon_low[last] < 1.2
    assert closing.mass_GeV[last] == pytest.approx(0.532, abs=2e-3)  # independent, a separate evaluation


def test_masses_of_curves():
    masses = masses_of_curves(1e-3, 3.0, 200, BENCHMARK, of_pairs=True)
    assert (np.diff(masses) > 0.0).all()
    assert (masses[0], masses[-1]) == pytest.approx((1e-3, 3.0))
    # the omega at m_chi1 + m_chi2 = 0.8 m_A', and the step of the grid is 4 % elsewhere
    assert np.abs(masses - 0.78266 / 0.8).min() < 1e-6
    line = relic_line([0.955], BENCHMARK)
    assert line.y[0] == pytest.approx(relic_line([0.95, 0.955], BENCHMARK).y[1], rel=2e-3)


@pytest.mark.parametrize(
    ("experiment", "mass", "low"),
    # read off the tables beforehand, lowest epsilon within 3 % of the mass
    [
        ("nucal", 0.1, 1.26e-4),
        ("nucal", 0.39, 6.5e-5),
        ("charm", 0.39, 8.1e-5),
        ("charm", 5.0, 1.9e-4),
        ("e137", 0.39, 1.00e-4),
        ("babar", 0.39, 9.18e-4),
    ],
)
def test_public_tables(experiment, mass, low):
    region = public_table(experiment, TABLE_PARAMETERS)
    at = np.interp(np.log(mass), np.log(region.mass_GeV), np.log(region.epsilon_low))
    assert math.exp(at) == pytest.approx(low, rel=0.03)
    assert "frame" in region.caveat
    # the flat top is marked as the frame that it is, and only it
    flat = np.isclose(region.epsilon_high, {"nucal": 0.1, "charm": 0.1}.get(experiment, 0.15))
    assert region.high_is_frame == flat.tolist()
    assert region.high_is_frame[10]
    assert None not in region.epsilon_low


def test_tables_are_refused_where_they_do_not_hold():
    for other in (
        BENCHMARK,
        Parameters(0.5, 3.0, 0.1),
        Parameters(0.1, 2.5, 0.1),
    ):
        with pytest.raises(ConfigError, match="holds at f = 0.1") as refused:
            public_table("charm", other)
        assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="nucal, charm"):
        public_table("lsnd", TABLE_PARAMETERS)


def test_columns_have_one_length():
    line = landau_pole(MASSES).model_dump()
    region = babar(MASSES, BENCHMARK).model_dump()
    for record, kind, column in (
        (line, Line, "y"),
        (line, Line, "uncertain"),
        (region, Region, "high_is_frame"),
    ):
        with pytest.raises(ValueError, match="different lengths"):
            kind.model_validate({**record, column: [True]})
