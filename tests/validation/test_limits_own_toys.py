"""Limits away from the paper's: many events, large uncertainties, data far from what was expected.

References are quadratures over the nuisance parameter with SciPy, where one bin is enough (there the
statistic falls with the count, so that both probabilities are sums of Poisson terms), and closed forms.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from na64root._core import ToyEnsemble
from na64root.errors import ConvergenceError
from na64root.limits import Bin, CountingModel, discovery, exact, experiment, own_toys, upper_limit
from na64root.work import Work


def one_bin(observed, background, uncertainty, **options):
    return CountingModel((Bin("b", "b", "", observed, background, uncertainty, 1.0),), **options)


def hybrid_limit(observed, background, uncertainty, cl, prior):
    """CLs of one bin with a background averaged over its prior (analytic and quadrature, independent)."""
    if uncertainty == 0.0:
        points, weights = np.array([background]), np.array([1.0])
    else:
        nodes, weights = np.polynomial.legendre.leggauss(400)
        lowest = max(-8.0, -background / uncertainty) if prior == "gaussian" else -8.0
        eta = lowest + 0.5 * (nodes + 1.0) * (8.0 - lowest)
        weights = weights * stats.norm.pdf(eta)
        points = (
            background + uncertainty * eta
            if prior == "gaussian"
            else background * (1.0 + uncertainty / background) ** eta
        )
        weights = weights / weights.sum()

    def tail(mu):
        return float(weights @ stats.poisson.cdf(observed, mu + points))

    return optimize.brentq(
        lambda mu: tail(mu) / tail(0.0) - (1.0 - cl), 1e-3, 10.0 * (observed + background + 10)
    )


MODELS = [
    pytest.param(100, 100.0, 30.0, 0.9, "lognormal", id="log-normal background"),
    pytest.param(100, 100.0, 30.0, 0.9, "gaussian", id="gaussian background"),
    pytest.param(14, 0.0, 0.0, 0.95, "gaussian", id="no background, fourteen events"),
    pytest.param(30, 0.19, 0.07, 0.9, "gaussian", id="thirty events"),
    pytest.param(3, 10.0, 5.0, 0.9, "lognormal", id="a deficit"),
    pytest.param(2000, 1900.0, 100.0, 0.9, "gaussian", id="two thousand events"),
]


@pytest.mark.parametrize(("observed", "background", "uncertainty", "cl", "prior"), MODELS)
def test_hybrid_limits_of_one_bin(observed, background, uncertainty, cl, prior):
    """Within three stated errors, and never more than 1 % off."""
    model = one_bin(observed, background, uncertainty, background_constraint=prior)
    found = upper_limit(model, cl=cl, treatment="hybrid", expected=False)
    right = hybrid_limit(observed, background, uncertainty, cl, prior)
    assert abs(found.upper_limit - right) < 3.0 * found.upper_limit_error + 1e-4 * right
    assert found.upper_limit == pytest.approx(right, rel=0.01)


# Two bins whose uncertain backgrounds follow one parameter.
SHARED = CountingModel(
    (Bin("a", "s", "", 2, 1.0, 0.5, 0.6), Bin("b", "s", "", 3, 2.0, 1.5, 0.4)),
)


def tails_by_numpy(mu, number=4000, seed=8):
    """CLs+b and CLb of SHARED and their errors: frequentist toys, fitted on a grid (independent)."""
    generator = np.random.default_rng(seed)
    background, sigma, share = np.array([1.0, 2.0]), np.array([0.5, 1.5]), np.array([0.6, 0.4])
    eta = np.arange(-2.0 / 1.5, 8.0, 0.04) + 1e-9
    rates = background + sigma * eta[:, None]

    def minus_log(signal, counts, measured):
        """Shape (toys, eta), at signal events of the same shape, or one number."""
        expected = np.asarray(signal)[..., None] * share + rates
        terms = expected - counts[:, None, :] * np.log(expected)
        return terms.sum(axis=-1) + 0.5 * (eta - measured[:, None]) ** 2

    def statistic(counts, measured):
        """q/2, zero where the best signal exceeds mu; and the best parameter at mu."""
        low = np.zeros((len(counts), len(eta)))
        high = np.full_like(low, 80.0)
        for _ in range(40):  # the slope in the signal rises
            middle = 0.5 * (low + high)
            expected = middle[..., None] * share + rates
            rising = (share * (1.0 - counts[:, None, :] / expected)).sum(axis=-1) > 0.0
            low, high = np.where(rising, low, middle), np.where(rising, middle, high)
        free = minus_log(low, counts, measured)
        best = free.argmin(axis=1)
        rows = np.arange(len(counts))
        at_mu = minus_log(np.full_like(low, mu), counts, measured)
        q = np.where(low[rows, best] > mu, 0.0, at_mu.min(axis=1) - free[rows, best])
        return q, eta[at_mu.argmin(axis=1)]

    data = np.array([[2.0, 3.0]])
    observed, at_mu = statistic(data, np.zeros(1))
    without = minus_log(np.zeros((1, len(eta))), data, np.zeros(1)).argmin(axis=1)
    tails = []
    for signal, truth in ((mu, at_mu[0]), (0.0, eta[without][0])):
        counts = generator.poisson(signal * share + background + sigma * truth, (number, 2)).astype(float)
        measured = truth + generator.normal(size=number)
        parts = [statistic(counts[i : i + 500], measured[i : i + 500])[0] for i in range(0, number, 500)]
        # The grid leaves 4e-4 of q.
        tails.append((np.concatenate(parts) >= observed[0] - 2e-3).mean())
    return [(p, np.sqrt(p * (1.0 - p) / number)) for p in tails]


def test_a_shared_background_far_from_its_expectation():
    """The fit of such a background begins near a pole: NumPy's toys agree with the enumeration."""
    found = upper_limit(SHARED, expected=False)
    assert found.method == "exact"
    levels = experiment(SHARED).confidence_levels(found.upper_limit)
    for ours, (theirs, error) in zip(levels, tails_by_numpy(found.upper_limit), strict=False):
        assert abs(ours - theirs) < 4.0 * error  # false alarm 6e-5
    assert levels[2] == pytest.approx(0.1, rel=1e-3)


TWELVE = one_bin(12, 9.0, 3.0)


def test_a_wrong_enumeration_is_replaced(monkeypatch):
    """An engine of a background that is a tenth larger: toys find it, and set the limit."""
    right = upper_limit(TWELVE, treatment="hybrid", expected=False)
    assert right.method == "exact"
    wrong = experiment(one_bin(12, 9.9, 3.0), "hybrid")
    assert abs(wrong.upper_limit(0.9)[0] - right.upper_limit) > 0.5
    monkeypatch.setattr(exact, "experiment", lambda model, treatment: wrong)
    found = upper_limit(TWELVE, treatment="hybrid", expected=False)
    assert found.method == "toys"
    assert abs(found.upper_limit - right.upper_limit) < found.upper_limit_error + 0.01


def test_a_limit_states_what_its_check_does_not_exclude(monkeypatch):
    """An engine that is wrong by less than the check can tell must not claim its own error."""
    right = upper_limit(TWELVE, treatment="hybrid", expected=False)
    wrong = experiment(one_bin(12, 9.1, 3.0), "hybrid")
    monkeypatch.setattr(exact, "experiment", lambda model, treatment: wrong)
    found = upper_limit(TWELVE, treatment="hybrid", expected=False)
    assert found.method == "exact"
    difference = abs(found.upper_limit - right.upper_limit)
    unchecked = upper_limit(TWELVE, treatment="hybrid", expected=False, checked=False)
    assert unchecked.upper_limit_error < difference < found.upper_limit_error < 0.02 * right.upper_limit


@pytest.mark.parametrize(("failed", "ends"), [(1, False), (200, True)])
def test_fits_that_fail_in_a_check_are_counted(failed, ends, monkeypatch):
    class Failing:
        def __init__(self, *arguments):
            self.ensemble = ToyEnsemble(*arguments)

        def observed(self, mu):
            return self.ensemble.observed(mu)

        def statistics(self, *arguments):
            values, _ = self.ensemble.statistics(*arguments)
            return values[failed:], failed

    monkeypatch.setattr(own_toys, "ToyEnsemble", Failing)
    if ends:
        with pytest.raises(ConvergenceError, match=r"fits of \d+ toys did not converge"):
            upper_limit(TWELVE, treatment="hybrid", expected=False)
    else:
        assert upper_limit(TWELVE, treatment="hybrid", expected=False).method == "exact"


def test_data_beyond_sense_have_no_limit_but_a_line():
    """Nothing seen of 60 +- 5: e^-60 e^(25/2) = 2e-21 without signal (analytic)."""
    for treatment in ("none", "hybrid"):
        with pytest.raises(ConvergenceError, match="would mean nothing"):
            upper_limit(one_bin(0, 60.0, 5.0), treatment=treatment, expected=False)
    assert upper_limit(one_bin(0, 15.0, 5.0), treatment="hybrid", expected=False).upper_limit > 2.0


def test_a_model_without_uncertainties_has_one_treatment():
    for model in (one_bin(14, 0.0, 0.0), one_bin(3, 1.5, 0.0)):
        found = [upper_limit(model, cl=0.95, treatment=t) for t in ("none", "frequentist", "hybrid")]
        assert found[0] == found[1] == found[2]
        assert found[0].treatment == "none"
    assert upper_limit(SHARED, treatment="hybrid", expected=False).treatment == "hybrid"


@pytest.mark.parametrize(
    "treatment", ["none", *(pytest.param(name, marks=pytest.mark.slow) for name in ("frequentist", "hybrid"))]
)
def test_forty_bins_of_thousands_of_events(treatment):
    """Many events, where CLs is that of the asymptotic formulae: reference independent of the toys, 3 %."""
    bins = tuple(
        Bin(f"b{i}", f"b{i}", "", 200 + 5 * (i % 3), 200.0, 20.0 if treatment != "hybrid" else 1.0, 0.025)
        for i in range(40)
    )
    model = CountingModel(bins)
    found = upper_limit(model, treatment=treatment, expected=False)
    asymptotic = upper_limit(model, treatment=treatment, method="asymptotic", expected=False)
    assert found.method == "toys"
    assert found.upper_limit == pytest.approx(asymptotic.upper_limit, rel=0.03)


def test_threads_change_nothing():
    one = upper_limit(SHARED, expected=False)
    assert upper_limit(SHARED, expected=False, work=Work(threads=2)) == one


def test_a_bin_without_signal_does_not_move_the_others():
    """An idle bin with a background of its own drops out of limits and of p-values (analytic)."""
    alone = CountingModel((Bin("a", "a", "", 2, 0.5, 0.1, 1.0),))
    idle = CountingModel((*alone.bins, Bin("b", "b", "", 0, 0.2, 0.1, 0.0)))
    for treatment in ("none", "frequentist", "hybrid"):
        assert discovery(idle, treatment=treatment) == discovery(alone, treatment=treatment)
        found, expected = (upper_limit(m, treatment=treatment, expected=False) for m in (idle, alone))
        assert found.upper_limit == expected.upper_limit


def test_asymptotics_look_at_the_bin_that_decides():
    clean = CountingModel((Bin("a", "a", "", 0, 0.1, 0.02, 0.9), Bin("b", "b", "", 10, 10.0, 1.0, 0.1)))
    with pytest.warns(UserWarning, match="in the bins that decide"):
        upper_limit(clean, method="asymptotic", expected=False)
    equal = CountingModel(tuple(Bin(f"{i}", f"{i}", "", 1, 1.0, 0.0, 1.0) for i in range(8)))
    upper_limit(equal, method="asymptotic", treatment="none", expected=False)  # as one bin of eight events


def test_numbers_of_numpy_are_counts():
    model = one_bin(np.int64(2), np.float64(0.5), 0.0)
    assert upper_limit(model, treatment="none", expected=False).upper_limit > 3.0
