"""All cuts chosen at once: the parts against other sums, limits that are known, the whole (self)."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
from scipy import stats

from na64root import best_cuts, load_card
from na64root.errors import ConfigError
from na64root.exclusion import best_cuts as module
from na64root.exclusion import r_cut
from na64root.signal import SignalModel, card_counts
from na64root.simulation.core_config import Signal
from na64root.work import Work
from support.commands import run

POINT = Signal(0.39, 6e-3)
NAMES = list(module.TRIED)
FREE = [f"limit.{s}.{name}=0" for s in ("S1", "S2") for name in ("background", "background_uncertainty")]


@pytest.fixture(scope="module")
def small():
    card = load_card(overrides=["limit.treatment=none"])
    return module._Choice(card, POINT, 8000, 3.0, Work(threads=2))


def test_tables_count_what_passes(small):
    """self, another way: each choice counted event by event."""
    random = np.random.default_rng(5)
    events = r_cut.S1Events(
        random.uniform(20, 85, 400),
        random.uniform(15, 60, 400),
        random.exponential(0.05, 400),
        random.random(400),
    )
    table = small._tables(events).sum(axis=0)
    ecal, hcal, r = (small.values[name] for name in NAMES[:3])
    for i, j, k in [(0, 0, 0), (3, 2, 4), (7, 4, 10), (7, 0, 10), (1, 3, 7)]:
        passes = (events.ecal < ecal[i]) & (events.hcal > hcal[j]) & (events.r < r[k])
        assert table[i, j, k] == pytest.approx(events.weight[passes].sum())


def test_mean_limits_of_both(small):
    """analytic: -ln 0.1 without background, whatever the share; a signature without signal says nothing."""
    for share in (0.0, 0.3, 1.0):
        assert small.mean_limit(0.0, 0.0, share) == pytest.approx(-math.log(0.1), rel=1e-4)
    alone = r_cut._mean_limit(small.card, 0.19)  # itself against Poisson sums of SciPy, in test_r_cut.py
    # Counts below LEAST_PROBABILITY are left out of both sums.
    assert small.mean_limit(0.19, 0.53, 1.0) == pytest.approx(alone, rel=5e-3)


def test_the_card_is_where_it_is(small):
    """analytic: at the card's cuts events are the card's; S2 loses background as the exponential says."""
    whole = small.expected(small.signal_parts.sum(axis=0), small.background_parts.sum(axis=0))
    s1, b1, s2, b2 = (float(values[small.place]) for values in whole)
    assert (b1, b2) == pytest.approx((0.19, 0.53))
    weight = small.card.eot * 0.5
    chain = SignalModel(small.card).at_mass(0.39).per_electron([6e-3])[0] * weight
    assert (s1, s2) == pytest.approx(tuple(chain), rel=1e-9)
    values = small.values["selection.ecal.s2_max_GeV"]
    spectrum = stats.expon(scale=12.0)
    expected = 0.53 * spectrum.sf(100.0 - values - 10.0) / spectrum.sf(40.0)
    assert small.background_s2 == pytest.approx(expected)


def test_without_background_the_loosest_cuts_are_best(small):
    """analytic: the limit is the same everywhere, and a looser cut never loses signal."""
    free = copy.copy(small)
    free.card = load_card(overrides=["limit.treatment=none", *FREE])
    free.counts = {count.signature: count for count in card_counts(free.card, free.card.exposure())}
    free._expect_s2()
    found = free.result(Work())
    s1, _, s2, _ = free.expected(free.signal_parts.sum(axis=0), free.background_parts.sum(axis=0))
    # The events: several cuts may keep all of them.
    assert found.best.signal["S1"] == pytest.approx(s1[-1, 0, -1, -1])
    assert found.best.signal["S2"] == s2.max()
    assert found.best.cuts["selection.ecal.s2_max_GeV"] == 60.0
    card, best = (sum(x.signal.values()) for x in (found.card, found.best))
    assert best > card
    assert found.best.mean_limit == pytest.approx(found.card.mean_limit)
    assert 0.0 < found.gain <= best / card - 1.0 + 1e-3


def test_the_option_tells_it(small, monkeypatch, capsys):
    known = small.result(Work())

    def quick(card, point, *, events, work):
        assert (card.card.name, point.mass_GeV, events) == ("paper2021", 0.39, 1000)
        assert work.threads >= 1
        return known

    monkeypatch.setattr(module, "best_cuts", quick)
    point = ["--mass-GeV", "0.39", "--epsilon", "6e-3", "-n", "1000", "--best-cuts"]
    code, text = run("acceptance", *point, "--json")
    assert code == 0, capsys.readouterr().err
    found = json.loads(text)["best_cuts"]
    assert list(found["best"]["cuts"]) == NAMES
    assert set(found["alone"]) == set(NAMES)
    assert found["best"]["background"]["S1"] < found["card"]["background"]["S1"]
    code, text = run("acceptance", *point)
    assert "Best cuts together" in text
    # Chosen with one half and measured with the other, so that it may fall short of the best of all events.
    whole = sum(found["best"]["signal"].values()) / found["best"]["mean_limit"]
    card = sum(found["card"]["signal"].values()) / found["card"]["mean_limit"]
    assert found["gain"] <= whole / card - 1.0 + 0.02


@pytest.mark.slow
def test_what_all_cuts_gain_together():
    """As found (self), four standard errors: a little above the paper's "up to around 10 %"."""
    found = best_cuts(load_card(), POINT, events=40_000, background_exposures=4.0, work=Work(seed=3))
    assert found.gain == pytest.approx(GAIN, abs=4 * math.hypot(found.gain_error, GAIN_ERROR))
    assert max(gain for _, gain in found.alone.values()) < found.gain


# docs/physics.md, section 9
GAIN, GAIN_ERROR = 0.127, 0.0013


def test_what_makes_no_sense_is_one_line():
    with pytest.raises(ConfigError, match="too few to choose cuts: simulate more"):
        best_cuts(load_card(), POINT, events=50, background_exposures=0.01)
    with pytest.raises(ConfigError, match="background of 0 exposures"):
        best_cuts(load_card(), POINT, background_exposures=0.0)
    card = load_card()
    own = card.selection.model_copy(update={"period": {"2018": {"r.r_max": 0.05}}})
    with pytest.raises(ConfigError, match=r"thresholds of single periods"):
        best_cuts(card.model_copy(update={"selection": own}), POINT)
