"""The best cut on R: its parts against independent sums, the whole as found (self)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import poisson

from na64root import best_r_cut, figures, load_card
from na64root.errors import ConfigError
from na64root.exclusion import r_cut
from na64root.simulation import acceptance
from na64root.simulation.core_config import Signal
from na64root.work import Work

CARD = load_card()
POINT = Signal(0.39, 6e-3)


@pytest.fixture(scope="module")
def small():
    return best_r_cut(CARD, POINT, events=20_000, background_exposures=2.0)


def test_the_card_is_the_unit(small):
    at = {cut.r_max: cut for cut in small.cuts}
    card = at[small.r_max]
    assert (small.r_max, small.core) == (0.06, "period")
    assert (card.sensitivity, card.sensitivity_error) == (1.0, 0.0)
    assert card.background_error < 1e-12
    assert card.background == pytest.approx(CARD.limit.S1.background.value)
    assert at[small.best].sensitivity == 1.0 + small.gain == max(cut.sensitivity for cut in small.cuts)
    assert small.flat[0] <= small.best <= small.flat[1]
    # Everything passes R < 1.
    assert at[1.0].signal_efficiency == pytest.approx(1.0, abs=1e-12)
    for name in ("signal", "background", "mean_limit"):
        assert (np.diff([getattr(cut, name) for cut in small.cuts]) >= 0.0).all()


def test_the_signal_is_that_of_the_acceptance(small):
    """self, another seed and the other code path: 4 standard errors, false alarm 6e-5 each."""
    found = acceptance.r_efficiency(CARD, POINT, events=20_000, work=Work(seed=7))
    card = next(cut for cut in small.cuts if cut.r_max == small.r_max)
    assert card.signal_efficiency == pytest.approx(found.efficiency, abs=4e-3)
    # Two samples; weights differ by as much as their mean at most.
    error = 2.0 * found.before / np.sqrt(small.candidates["signal"])
    assert small.cuts[-1].signal == pytest.approx(found.before, abs=4 * error)


@pytest.mark.parametrize("background", [0.0, 0.19, 1.3])
def test_mean_limit(background):
    """Known background: CLs of one bin from Poisson sums of SciPy (independent)."""
    card = load_card(overrides=["limit.treatment=none"])

    def limit(n):
        def cls(mu):
            return poisson.cdf(n, mu + background) / poisson.cdf(n, background) - 0.1

        return brentq(cls, 1e-3, 60.0)

    expected = sum(poisson.pmf(n, background) * limit(n) for n in range(12))
    assert r_cut._mean_limit(card, background) == pytest.approx(expected, rel=1e-3)


def test_errors_of_a_sample():
    """Of unweighted events they are binomial (analytic); the jackknife of 20 parts knows them to 16 %."""
    ratios = []
    for seed in range(20):
        r = np.random.default_rng(seed).uniform(size=4000)
        parts = r_cut._below(r, np.ones_like(r), np.array([0.3, 1.0]))
        assert parts.sum(axis=0) == pytest.approx([(r < 0.3).sum(), 4000])
        total = parts.sum(axis=0)
        error = r_cut.jackknife([(total - part)[0] / (total - part)[1] for part in parts])
        ratios.append(float(error) / np.sqrt(0.3 * 0.7 / 4000))
    # four standard errors of the mean, false alarm 6e-5
    assert np.mean(ratios) == pytest.approx(1.0, abs=4 * 0.16 / np.sqrt(20))


@pytest.mark.slow
def test_the_best_cut():
    """As found (self), four standard errors; both gains are below the paper's "up to around 10 %"."""
    for core, best, gain, error in (("period", 0.035, 0.057, 0.002), ("single", 0.04, 0.028, 0.0025)):
        card = load_card(overrides=[f"selection.r.core={core}"])
        found = best_r_cut(card, POINT, events=100_000, background_exposures=5.0, work=Work(seed=2))
        combined = np.hypot(found.gain_error, error)
        assert found.gain == pytest.approx(gain, abs=4 * combined)
        assert found.flat[0] <= best <= found.flat[1]
        assert 0.0 < found.gain < 0.10


def test_too_few_events_are_one_line():
    with pytest.raises(ConfigError, match="too few: simulate more"):
        best_r_cut(CARD, POINT, events=50, background_exposures=0.01)
    with pytest.raises(ConfigError, match="background of 0 exposures"):
        best_r_cut(CARD, POINT, background_exposures=0.0)


def test_the_figure_shows_each_core(small):
    figure = figures.r_cut([small, small.model_copy(update={"core": "single"})])
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["core cells of each period", "one core cell in every module"]
    drawn = figure.axes[2].containers[0].lines[0].get_ydata()
    assert drawn == pytest.approx([c.sensitivity for c in small.cuts if c.r_max <= 0.12])
