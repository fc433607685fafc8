"""The scan of limits from toys: its bracketing, fit, error and stopping.

The numbers of toys in the tail are drawn from the binomial distributions of the exact engine (self) in place
of minutes of toys, which tests/validation/test_limits_roostats.py makes.
"""

import math

import numpy as np
import pytest

from na64root import limits
from na64root.errors import ConvergenceError
from na64root.limits import Bin, CountingModel
from na64root.limits.toy_scan import Scan, Toys, find_limit

MODELS = {
    "paper": CountingModel(
        (Bin("S1", "S1", "all", 0, 0.19, 0.07, 0.5), Bin("S2", "S2", "all", 0, 0.53, 0.17, 0.5)),
        signal_uncertainty=0.2,
    ),
    "nothing at all": CountingModel((Bin("b", "b", "all", 0, 0.0, 0.0, 1.0),)),
    # CLs+b bends over the scan
    "three seen": CountingModel((Bin("b", "b", "all", 3, 0.1, 0.0, 1.0),)),
    "six seen": CountingModel((Bin("b", "b", "all", 6, 1.0, 0.3, 1.0),)),
    # every toy without signal is in the tail, and CLs falls so fast that wide steps see nothing
    "an excess": CountingModel((Bin("b", "b", "all", 20, 0.5, 0.0, 1.0),)),
    # and hardly any
    "a deficit": CountingModel((Bin("b", "b", "all", 0, 4.0, 1.0, 1.0),)),
}


class BinomialToys:
    """Counts in the tail as many toys would have them."""

    def __init__(self, model, seed):
        engine = limits.experiment(model)
        self.exact = limits.upper_limit(model, expected=False).upper_limit
        self.random = np.random.default_rng(seed)
        self.mu = np.linspace(0.01, 6.0, 200) * self.exact
        levels = np.array([engine.confidence_levels(float(mu))[:2] for mu in self.mu])
        self.with_signal, self.without_signal = levels.T

    def make(self, points):
        return [
            Toys(
                mu,
                1.0,
                self.split(number, np.interp(mu, self.mu, self.with_signal)),
                self.split(without, np.interp(mu, self.mu, self.without_signal)),
            )
            for mu, number, without in points
        ]

    def split(self, number, probability):
        passed = self.random.binomial(number, probability)
        return np.repeat([1.0, 0.0], [passed, number - passed])

    def limit(self, precision, start):
        scan = Scan(0.9, "frequentist")
        find_limit(self.make, scan, start=start, precision=precision)
        return scan.crossing()


@pytest.mark.parametrize("name", MODELS)
def test_the_error_of_the_limit_is_honest(name):
    """Seeded, so no false alarms. A mean pull of 0.25 is a bias of a quarter of the statistical error."""
    toys = BinomialToys(MODELS[name], seed=1)
    precision = 0.05
    found = [toys.limit(precision, start=toys.exact * factor) for factor in [0.3, 0.7, 1.0, 1.6, 3.0] * 40]
    limit, error = np.array([(crossing.mu, crossing.error) for crossing in found]).T
    pulls = (limit - toys.exact) / error
    assert (error <= precision * limit).all()
    assert abs(pulls.mean()) < 0.25
    assert 0.75 < pulls.std() < 1.15
    assert np.abs(pulls).max() < 4.0


def test_more_precision_takes_more_toys_and_gets_it():
    toys = BinomialToys(MODELS["paper"], seed=2)
    pulls = [(c.mu - toys.exact) / c.error for c in (toys.limit(0.015, start=2.3) for _ in range(60))]
    assert abs(np.mean(pulls)) < 0.4
    assert 0.75 < np.std(pulls) < 1.3


def test_cls_that_never_falls_has_no_limit():
    def make(points):
        return [Toys(mu, 1.0, np.ones(n), np.ones(m)) for mu, n, m in points]

    with pytest.raises(ConvergenceError, match="no bracket"):
        find_limit(make, Scan(0.9, "none"), start=2.0, precision=0.1)


def test_a_scan_without_the_limit_in_it_has_none():
    toys = BinomialToys(MODELS["paper"], seed=3)
    scan = Scan(0.9, "frequentist")
    for mu in (0.5, 0.7, 0.9):
        scan.add(toys.make([(mu, 4000, 4000)])[0])
    assert scan.crossing() is None
    assert scan.place() is None
    with pytest.raises(ConvergenceError, match="does not reach the limit"):
        scan.result()


def test_ties_survive_the_addition_of_batches():
    """The observed value may differ in its last bits between batches."""
    one = Toys(1.0, 0.3, np.array([0.3, 0.1]), np.array([0.3, 0.5]))
    other = Toys(1.0, math.nextafter(0.3, 0.0), np.full(3, math.nextafter(0.3, 0.0)), np.array([0.2]))
    assert (one + other).tail(one.observed) == (4, 2)
