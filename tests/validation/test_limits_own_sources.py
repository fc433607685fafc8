"""Signal uncertainties of single bins, uncorrelated: against integrals written here (independent: SciPy)."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.stats import norm

from na64root import limits
from na64root.errors import ConfigError
from na64root.limits import Bin, CountingModel, SignalSource, discovery, experiment, roostats, upper_limit

DELTA = 0.2


def two_empty_bins(constraint="lognormal", share=0.5, background=0.3, **options):
    bins = (Bin("a", "a", "", 0, background, 0.0, share), Bin("b", "b", "", 0, background, 0.0, 1.0 - share))
    sources = {"statistics": SignalSource(DELTA, "none")}
    return CountingModel(bins, signal_sources=sources, constraint=constraint, **options)


def scale(constraint, theta):
    return (1.0 + DELTA) ** theta if constraint == "lognormal" else max(0.0, 1.0 + DELTA * theta)


@pytest.mark.parametrize("constraint", ["lognormal", "gaussian"])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_hybrid(constraint, share):
    """No event: the mean of exp(-mu (f1 k1 + f2 k2)) is a product of two integrals."""
    low = -9.0 if constraint == "lognormal" else -1.0 / DELTA

    def mean(mu):
        return quad(lambda z: math.exp(-mu * scale(constraint, z)) * norm.pdf(z), low, 9.0)[0] / norm.sf(low)

    expected = brentq(lambda mu: mean(mu * share) * mean(mu * (1.0 - share)) - 0.1, 1.0, 5.0)
    limit = upper_limit(two_empty_bins(constraint, share), treatment="hybrid", expected=False).upper_limit
    assert limit == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize("constraint", ["lognormal", "gaussian"])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_frequentist(constraint, share):
    """No event: q is a sum of one term per bin; its distribution over two auxiliary measurements, integrated.

    Counts that are less likely than the data are left out; the backgrounds are small enough for that.
    """
    shares = (share, 1.0 - share)

    def term(mu, t):
        """min over theta of 2 mu k(theta) + (theta - t)^2."""
        low = min(t, 0.0) - 12.0 if constraint == "lognormal" else -1.0 / DELTA
        found = minimize_scalar(
            lambda theta: 2.0 * mu * scale(constraint, theta) + (theta - t) ** 2,
            bounds=(low, max(t, low + 1e-6)),
            method="bounded",
            options={"xatol": 1e-10},
        )
        return found.fun, found.x

    grid = np.linspace(-6.0, 6.0, 241)

    def cls(mu):
        tables = [np.array([term(mu * f, t)[0] for t in grid]) for f in shares]
        observed = sum(term(mu * f, 0.0)[0] for f in shares)
        conditional = [term(mu * f, 0.0)[1] for f in shares]

        def tail(means):
            """P(q >= observed): for each t of the first bin, the boundary in the second."""
            boundary = np.interp(observed - tables[0], tables[1], grid, left=-9.0, right=9.0)
            density = norm.pdf(grid - means[0]) * norm.cdf(means[1] - boundary)
            return np.trapezoid(density, grid)

        empty = math.exp(
            -sum(mu * f * scale(constraint, x) for f, x in zip(shares, conditional, strict=True))
        )
        return empty * tail(conditional) / tail((0.0, 0.0))

    expected = brentq(lambda mu: cls(mu) - 0.1, 1.5, 3.0, xtol=1e-4)
    limit = upper_limit(
        two_empty_bins(constraint, share, background=0.05), treatment="frequentist", expected=False
    ).upper_limit
    assert limit == pytest.approx(expected, rel=5e-3)


def test_one_bin_alone_cannot_tell_its_own_source_from_a_common_one():
    for observed in (0, 1, 3):
        for treatment in ("frequentist", "hybrid"):
            bins = (Bin("a", "a", "", observed, 0.6, 0.2, 1.0),)
            common = CountingModel(bins, signal_uncertainty=0.3)
            own = CountingModel(bins, signal_sources={"statistics": SignalSource(0.3, "none")})
            ours, theirs = (
                upper_limit(m, treatment=treatment, expected=False).upper_limit for m in (own, common)
            )
            assert ours == pytest.approx(theirs, rel=5e-3 if treatment == "frequentist" else 2e-4)


@pytest.mark.parametrize("observed", [(1, 0), (2, 1), (0, 3)])
@pytest.mark.parametrize("correlated", [0.0, 0.15])
@pytest.mark.parametrize("own_delta", [0.0, DELTA])
@pytest.mark.parametrize("constraint", ["lognormal", "gaussian"])
def test_the_statistic(observed, correlated, own_delta, constraint):
    """q(mu) of two bins by a general minimiser; also with shared, uncertain backgrounds.

    Without own sources the engine fits all parameters together, with them one inside the other.
    """
    background, uncertainty, shares = (0.4, 0.7), (0.1, 0.3), (0.7, 0.3)
    bins = tuple(
        Bin(f"b{i}", "shared", "", n, b, u, f)
        for i, (n, b, u, f) in enumerate(zip(observed, background, uncertainty, shares, strict=True))
    )
    sources = {"common": SignalSource(correlated), "statistics": SignalSource(own_delta, "none")}
    model = CountingModel(bins, signal_sources=sources, constraint=constraint)

    def kappa(delta, theta):
        return (1.0 + delta) ** theta if constraint == "lognormal" else max(1e-9, 1.0 + delta * theta)

    def minus_log_likelihood(mu, nuisances):
        theta, eta, *own = nuisances
        value = 0.5 * (theta**2 + eta**2 + own[0] ** 2 + own[1] ** 2)
        for i in range(2):
            rate = mu * shares[i] * kappa(correlated, theta) * kappa(own_delta, own[i])
            rate += max(1e-9, background[i] + uncertainty[i] * eta)
            value += rate - observed[i] * math.log(rate)  # without the factorials, which cancel in q
        return value

    def minimum(mu=None):
        options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 20000, "maxfev": 20000, "adaptive": True}
        if mu is None:
            return min(
                minimize(
                    lambda x: minus_log_likelihood(abs(x[0]), x[1:]),
                    [start, 0.0, 0.0, 0.0, 0.0],
                    method="Nelder-Mead",
                    options=options,
                ).fun
                for start in (0.1, 2.0)
            )
        return minimize(
            lambda x: minus_log_likelihood(mu, x), [0.0] * 4, method="Nelder-Mead", options=options
        ).fun

    least = minimum()
    for mu in (4.0, 8.0):
        expected = 2.0 * (minimum(mu) - least)
        assert experiment(model).statistic(mu) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("treatment", ["frequentist", "hybrid"])
@pytest.mark.parametrize("constraint", ["lognormal", "gaussian"])
@pytest.mark.parametrize("observed", [(0, 0, 0), (1, 0, 2), (3, 1, 0)])
def test_a_negligible_source_changes_nothing(observed, constraint, treatment):
    """With one the engine fits one parameter inside the other, without it all together: CLs is the same."""
    bins = tuple(
        Bin(f"b{i}", group, "", n, b, u, f)
        for i, (group, n, b, u, f) in enumerate(
            zip("aab", observed, (0.2, 0.5, 0.3), (0.1, 0.2, 0.15), (0.3, 0.3, 0.4), strict=True)
        )
    )
    common = {"common": SignalSource(0.3)}
    negligible = common | {"statistics": SignalSource(1e-7, "none")}
    for mu in (3.0, 7.0):
        (together, error), (nested, other) = (
            experiment(CountingModel(bins, signal_sources=sources, constraint=constraint), treatment).cls(mu)
            for sources in (common, negligible)
        )
        # Frequentist: the one more auxiliary measurement changes the rule of integration.
        assert together == pytest.approx(nested, rel=1e-9, abs=1.5 * (error + other))


def test_uncorrelated_sources_average_out():
    """hybrid: two bins with independent errors are nearer to the certain signal than with a common one."""
    common = CountingModel(two_empty_bins().bins, signal_uncertainty=DELTA)
    none, own, together = (
        upper_limit(m, treatment=t, expected=False).upper_limit
        for m, t in ((common, "none"), (two_empty_bins(), "hybrid"), (common, "hybrid"))
    )
    assert none < own < together


BOTH_KINDS = CountingModel(
    (Bin("a", "a", "", 1, 0.3, 0.1, 0.5), Bin("b", "b", "", 0, 0.5, 0.1, 0.5)),
    signal_sources={"common": SignalSource(0.1), "statistics": SignalSource(0.3, "none")},
)


@pytest.mark.parametrize("mu", [4.0, 8.0])
def test_the_statistic_of_roostats(mu):
    """Of the data, by Minuit on the workspace, to which each toy is compared."""
    toys = roostats.toys(BOTH_KINDS, "frequentist", mu, with_signal=1, without_signal=1, seed=1)
    assert 2.0 * toys.observed == pytest.approx(experiment(BOTH_KINDS).statistic(mu), abs=2e-4)


# Within 3.5 of its own errors: false alarm 0.05 % each, the seed being fixed.
@pytest.mark.slow
@pytest.mark.parametrize("treatment", ["frequentist", "hybrid"])
def test_limits_of_roostats(treatment):
    exact = upper_limit(BOTH_KINDS, treatment=treatment, expected=False)
    toys = upper_limit(BOTH_KINDS, method="roostats", treatment=treatment, precision=0.1, expected=False)
    assert exact.upper_limit_error < 0.005 * exact.upper_limit
    assert abs(toys.upper_limit - exact.upper_limit) < 3.5 * toys.upper_limit_error


def test_the_workspace_has_a_parameter_for_each_bin():
    w = limits.workspace(two_empty_bins())
    names = {p.GetName() for p in w.obj("signal_plus_background").GetNuisanceParameters()}
    assert names == {"theta_signal_a", "theta_signal_b"}


def test_what_is_not_made_is_one_clear_line():
    with pytest.raises(ConfigError, match="no p-value .*none or hybrid"):
        discovery(two_empty_bins(), treatment="frequentist")
    with pytest.raises(ConfigError, match="gaussian or lognormal backgrounds"):
        upper_limit(
            CountingModel(
                (Bin("a", "a", "", 0, 1.0, 0.3, 1.0, signal_uncertainty=0.1),), background_constraint="gamma"
            )
        )
    with pytest.raises(ConfigError, match="correlation of signal uncertainty x"):
        CountingModel(two_empty_bins().bins, signal_sources={"x": SignalSource(0.1, "some")})
