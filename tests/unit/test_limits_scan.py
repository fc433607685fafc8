"""The scan of RooStats limits: its bracketing, fit, error and stopping.

The numbers of toys in the tail are drawn from the binomial distributions of the exact engine (self) in place
of minutes of toys, which tests/validation/test_limits_roostats.py makes.
"""

import numpy as np
import pytest

from na64root import limits, limits_roostats
from na64root.limits import Bin, CountingModel

PAPER = CountingModel(
    (Bin("S1", "S1", "all", 0, 0.19, 0.07, 0.5), Bin("S2", "S2", "all", 0, 0.53, 0.17, 0.5)),
    signal_uncertainty=0.2,
)


class BinomialRunner:
    """Runs points as limits_roostats does, with counts in the tail as many toys would have them."""

    def __init__(self, model, seed):
        self.model, self.treatment = model, "frequentist"
        self.random = np.random.default_rng(seed)
        self.mu = np.linspace(0.1, 12.0, 120)
        engine = limits.experiment(model)
        levels = np.array([engine.confidence_levels(float(mu))[:2] for mu in self.mu])
        self.with_signal, self.without_signal = levels.T

    def run(self, points):
        return [
            limits_roostats.Toys(
                mu,
                1.0,
                np.repeat([1.0, 0.0], self.split(number, np.interp(mu, self.mu, self.with_signal))),
                np.repeat([1.0, 0.0], self.split(without, np.interp(mu, self.mu, self.without_signal))),
            )
            for mu, number, without in points
        ]

    def split(self, number, probability):
        passed = self.random.binomial(number, probability)
        return [passed, number - passed]


@pytest.mark.parametrize(("precision", "scans"), [(0.03, 300), (0.05, 300)])
def test_the_error_of_the_limit_is_honest(precision, scans):
    """Seeded, so no false alarms.

    A mean pull of 0.15 is a bias of 0.4 % of the limit; a width of 1.2 an error told a fifth too small.
    """
    exact = limits.upper_limit(PAPER, expected=False).upper_limit
    runner = BinomialRunner(PAPER, seed=1)
    found = [limits_roostats._scan(runner, 0.9, precision, False).crossing() for _ in range(scans)]
    limit, error = np.array(found).T
    pulls = (limit - exact) / error
    assert (error <= precision * limit).all()
    assert abs(pulls.mean()) < 0.15
    assert 0.85 < pulls.std() < 1.2
    assert (np.abs(pulls) > 3).mean() < 0.03


def test_many_observed_events_are_bracketed_too():
    model = CountingModel((Bin("b", "b", "all", 6, 1.0, 0.3, 1.0),))
    exact = limits.upper_limit(model, expected=False).upper_limit
    runner = BinomialRunner(model, seed=2)
    runner.mu = np.linspace(0.5, 40.0, 120)
    engine = limits.experiment(model)
    runner.with_signal, runner.without_signal = np.array(
        [engine.confidence_levels(float(mu))[:2] for mu in runner.mu]
    ).T
    limit, error = limits_roostats._scan(runner, 0.9, 0.03, False).crossing()
    assert limit == pytest.approx(exact, abs=4 * error)
