"""Expected limits with an uncertain signal, and where they end: toys fitted here (independent: NumPy)."""

import math

import numpy as np
import pytest
from scipy.special import xlogy
from scipy.stats import norm

from na64root.errors import ConvergenceError
from na64root.limits import Bin, CountingModel, experiment, upper_limit

ALPHA = 0.1


class Toys:
    """Pseudo-experiments of bins with Gaussian backgrounds and one signal uncertainty, fitted in NumPy.

    n_i ~ Poisson(mu f_i kappa(theta) + b_i + sigma_i eta_i). Every one-dimensional minimum is found by
    bisection of its slope, but for that over eta, which is a quadratic equation.
    """

    def __init__(self, observed, background, uncertainty, share, delta, constraint):
        self.observed = np.array(observed, dtype=float)
        self.b, self.sigma = np.array(background), np.array(uncertainty)
        self.share, self.delta, self.gaussian = np.array(share), delta, constraint == "gaussian"
        self.lowest = -1.0 / delta if self.gaussian else -60.0

    def scale(self, theta):
        """kappa(theta) and its slope."""
        if self.gaussian:
            return 1.0 + self.delta * theta, np.full_like(theta, self.delta)
        bend = math.log1p(self.delta)
        return np.exp(bend * theta), bend * np.exp(bend * theta)

    def eta(self, signal, n, a):
        """The best eta of each bin at given signal events, shape of n."""
        sigma = np.where(self.sigma > 0.0, self.sigma, 1.0)
        rest = signal[:, None] * self.share + self.b + sigma * a - sigma**2
        rate = 0.5 * (rest + np.sqrt(rest**2 + 4.0 * n * sigma**2))
        eta = np.maximum((rate - signal[:, None] * self.share - self.b) / sigma, -self.b / sigma)
        return np.where(self.sigma > 0.0, eta, 0.0)

    def minus_log_likelihood(self, signal, n, a):
        """Without the term of theta, at the best eta: its value and its slope in the signal events."""
        eta = self.eta(signal, n, a)
        rate = np.maximum(signal[:, None] * self.share + self.b + self.sigma * eta, 1e-300)
        value = (rate - xlogy(n, rate) + 0.5 * np.where(self.sigma > 0.0, (eta - a) ** 2, 0.0)).sum(axis=1)
        return value, (self.share * (1.0 - n / rate)).sum(axis=1)

    def free_signal(self, n, a):
        low, high = np.zeros(len(n)), n.sum(axis=1) / self.share.min() + 1.0
        for _ in range(46):
            middle = 0.5 * (low + high)
            rising = self.minus_log_likelihood(middle, n, a)[1] > 0.0
            low, high = np.where(rising, low, middle), np.where(rising, middle, high)
        return np.where(high < 1e-9, 0.0, 0.5 * (low + high))

    def conditional_theta(self, mu, n, t, a):
        """Where -ln L at mu is least; between t and the theta of the best signal, where it is convex."""
        best = np.maximum(self.free_signal(n, a), 1e-12) / mu
        like = (best - 1.0) / self.delta if self.gaussian else np.log(best) / math.log1p(self.delta)
        start = np.maximum(t, self.lowest)
        low, high = np.maximum(np.minimum(start, like), self.lowest), np.maximum(start, like)
        for _ in range(40):
            middle = 0.5 * (low + high)
            kappa, slope = self.scale(middle)
            rising = self.minus_log_likelihood(mu * kappa, n, a)[1] * mu * slope + middle - t > 0.0
            low, high = np.where(rising, low, middle), np.where(rising, middle, high)
        return 0.5 * (low + high)

    def q(self, mu, n, t, a):
        best, start = self.free_signal(n, a), np.maximum(t, self.lowest)
        theta = self.conditional_theta(mu, n, t, a)
        change = (
            self.minus_log_likelihood(mu * self.scale(theta)[0], n, a)[0]
            - self.minus_log_likelihood(best, n, a)[0]
        )
        q = 2.0 * change + (theta - t) ** 2 - (start - t) ** 2
        return np.where(mu * self.scale(start)[0] <= best, 0.0, np.maximum(q, 0.0))

    def ensemble(self, mu, treatment, random, toys):
        """q at mu of experiments with signal mu and with none."""
        for signal in (mu, 0.0):
            data = self.observed[None, :]
            zero = np.zeros((1, len(self.b)))
            if treatment == "frequentist":
                theta = self.conditional_theta(mu, data, np.zeros(1), zero) if signal else np.zeros(1)
                eta = self.eta(signal * self.scale(theta)[0], data, zero)
                rate = signal * self.scale(theta)[0][:, None] * self.share + self.b + self.sigma * eta
                t = random.normal(theta, 1.0, toys)
                a = random.normal(eta, 1.0, (toys, len(self.b)))
                n = random.poisson(np.broadcast_to(rate, a.shape)).astype(float)
            else:
                theta = random.normal(0.0, 1.0, 2 * toys)
                theta = theta[theta > self.lowest][:toys]
                eta = random.normal(0.0, 1.0, (2 * toys, len(self.b)))
                eta = eta[(self.b + self.sigma * eta > 0.0).all(axis=1)][:toys]
                rate = signal * self.scale(theta)[0][:, None] * self.share + self.b + self.sigma * eta
                t, a = np.zeros(toys), np.zeros((toys, len(self.b)))
                n = random.poisson(rate).astype(float)
            yield self.q(mu, n, t, a)

    def excluded_fraction(self, mu, treatment, random, toys):
        """Share of experiments without signal whose CLs is 0.1 or less."""
        with_signal, without = (np.sort(q) for q in self.ensemble(mu, treatment, random, toys))
        thresholds = np.quantile(without, np.linspace(0.0, 0.995, 800), method="lower") - 1e-7
        tails = [1.0 - np.searchsorted(q, thresholds) / toys for q in (with_signal, without)]
        excluded = np.flatnonzero((tails[0] <= ALPHA * tails[1]) & (thresholds > 0.0))
        return tails[1][excluded[0]] if len(excluded) else 0.0

    def model(self, constraint):
        bins = zip(self.observed, self.b, self.sigma, self.share, strict=True)
        return CountingModel(
            tuple(Bin(str(i), str(i), "", *map(float, values)) for i, values in enumerate(bins)),
            signal_uncertainty=self.delta,
            constraint=constraint,
        )


SLOW = pytest.mark.slow


# Each limit is good to the part named, the outer ones to twice that; the errors of toys are five standard
# deviations (the tail that CLs divides by is the smaller, the lower the band), the seed is fixed.
@pytest.mark.parametrize(
    ("observed", "background", "uncertainty", "share", "delta", "constraint", "treatment", "bands"),
    [
        # Where two large uncertainties meet, the lower bands were once 13 % and 4 % too low.
        ([24], [20.0], [6.0], [1.0], 0.3, "gaussian", "frequentist", [-2]),
        # The signal nearly vanishes: the limit of the upper band is large, and right.
        ([0], [0.7], [0.21], [1.0], 0.3, "gaussian", "frequentist", [2]),
        pytest.param([20], [20.0], [6.0], [1.0], 0.3, "gaussian", "frequentist", range(-2, 3), marks=SLOW),
        pytest.param([20], [20.0], [6.0], [1.0], 0.3, "lognormal", "frequentist", range(-2, 3), marks=SLOW),
        pytest.param([5], [5.0], [1.5], [1.0], 0.2, "gaussian", "frequentist", range(-2, 3), marks=SLOW),
        pytest.param(
            [2, 1],
            [0.4, 5.0],
            [0.2, 1.0],
            [0.5, 0.5],
            0.3,
            "gaussian",
            "frequentist",
            range(-2, 3),
            marks=SLOW,
        ),
        pytest.param([20], [20.0], [6.0], [1.0], 0.3, "gaussian", "hybrid", range(-2, 3), marks=SLOW),
    ],
)
def test_expected_limits_against_toys(
    observed, background, uncertainty, share, delta, constraint, treatment, bands
):
    reference = Toys(observed, background, uncertainty, share, delta, constraint)
    expected = upper_limit(reference.model(constraint), treatment=treatment).expected.model_dump().values()
    limits, toys = dict(zip((-2, -1, 0, 1, 2), expected, strict=True)), 150_000
    random = np.random.default_rng(11)
    for sigma in bands:
        target, part = norm.cdf(sigma), 0.05 if abs(sigma) == 2 else 0.025
        error = 5.0 * min(math.sqrt(10.0 * target / toys), norm.pdf(sigma) * math.sqrt(10.0 / target / toys))
        below, above = (
            reference.excluded_fraction(factor * limits[sigma], treatment, random, toys)
            for factor in (1.0 - part, 1.0 + part)
        )
        assert below < target + error
        assert above > target - error


@pytest.mark.parametrize(("cl", "sigma"), [(0.9, 2), (0.9, 1), (0.99, 0)])
@pytest.mark.parametrize(
    ("observed", "background", "uncertainty", "share"),
    [
        ([0], [0.7], [0.0], [1.0]),
        ([5], [5.0], [1.5], [1.0]),
        ([0, 1], [0.19, 0.53], [0.07, 0.17], [0.4, 0.6]),
    ],
)
def test_no_expected_limit_where_the_signal_can_vanish(cl, sigma, observed, background, uncertainty, share):
    """Reference: analytic. However large mu is, a fit without signal costs (t + 1/delta)^2, and no more.

    With such a signal t is measured around -1/delta, without signal around 0. The data exclude every large
    mu if P(t' >= t) of the first is at most 1 - cl of that of the second. Once the engine gave 2.5e14 events.
    """
    end = 1.0 / (sigma + norm.isf((1.0 - cl) * norm.cdf(sigma)))
    largest = 1e3 * (1.0 + sum(background))
    for delta, exists in ((0.97 * end, True), (1.03 * end, False)):
        gaussian, lognormal = (
            experiment(Toys(observed, background, uncertainty, share, delta, name).model(name))
            for name in ("gaussian", "lognormal")
        )
        found = gaussian.expected_limits(cl)[2 + sigma]
        assert found < largest if exists else found == math.inf
        assert lognormal.expected_limits(cl)[2 + sigma] < largest


def test_an_expected_limit_that_does_not_exist_is_null():
    model = Toys([0], [0.7], [0.0], [1.0], 0.35, "gaussian").model("gaussian")
    with pytest.warns(UserWarning, match="some expected limits do not exist"):
        expected = upper_limit(model).expected
    assert expected.plus1 is not None
    assert expected.plus2 is None


def test_no_limit_at_all_says_why():
    """Seen nothing, t = 0: CLs falls to 2 P(t > 1/delta), above 0.1 for delta > 0.608 (analytic)."""
    for delta, exists in ((0.6, True), (0.65, False)):
        model = Toys([0], [0.7], [0.0], [1.0], delta, "gaussian").model("gaussian")
        if exists:
            assert upper_limit(model, expected=False).upper_limit > 2.0
        else:
            with pytest.raises(ConvergenceError, match="lets the signal vanish"):
                upper_limit(model, expected=False)
