"""Limits away from the paper's: many events, large uncertainties, data far from what was expected.

References are quadratures over the nuisance parameter with SciPy, where one bin is enough (there the
statistic falls with the count, so that both probabilities are sums of Poisson terms), and closed forms.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from na64root.limits import Bin, CountingModel, upper_limit


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
