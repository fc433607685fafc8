"""When something is seen: intervals and p-values against published tables and closed forms (independent)."""

import math

import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import betainc
from scipy.stats import norm, poisson

from na64root.errors import ConfigError
from na64root.limits import (
    Bin,
    CountingModel,
    discovery,
    impacts,
    interval,
    roostats,
    two_sided_p_value,
    upper_limit,
)


def one_bin(observed, background=0.0, uncertainty=0.0, **options):
    return CountingModel((Bin("one", "one", "", observed, background, uncertainty, 1.0),), **options)


# Feldman and Cousins, PRD 57, 3873 (1998), Table IV: 90 % CL, printed to 0.01.
@pytest.mark.parametrize(
    ("observed", "background", "low", "high"),
    [
        (0, 0.0, 0.00, 2.44),
        (1, 0.0, 0.11, 4.36),
        (2, 0.0, 0.53, 5.91),
        (3, 0.0, 1.10, 7.42),
        (4, 0.0, 1.47, 8.60),
        (5, 0.0, 1.84, 9.99),
        (3, 0.5, 0.60, 6.92),
    ],
)
def test_feldman_cousins_table(observed, background, low, high):
    assert interval(one_bin(observed, background), treatment="none") == pytest.approx((low, high), abs=0.006)


@pytest.mark.parametrize(("observed", "background", "mu"), [(0, 0.72, 1.5), (3, 0.5, 0.59), (4, 0.2, 7.0)])
def test_two_sided_p_value_is_the_sum_over_counts(observed, background, mu):
    """Likelihood ratios and Poisson sums of SciPy (independent)."""

    def ratio(n):
        best = max(float(n), background)  # the mean at the best signal, not below zero
        return poisson.pmf(n, mu + background) / poisson.pmf(n, best)

    limit = ratio(observed) * (1.0 + 1e-9)
    expected = sum(poisson.pmf(n, mu + background) for n in range(60) if ratio(n) <= limit)
    found = two_sided_p_value(one_bin(observed, background), mu, treatment="none")
    assert found == pytest.approx(expected, rel=1e-6)


def test_two_sided_p_value_at_the_ends_of_the_interval():
    model = one_bin(3, 0.5, 0.2, signal_uncertainty=0.2)
    low, high = interval(model)
    for inside, outside in ((low + 1e-3, low - 0.02), (high - 1e-3, high + 0.02)):
        assert two_sided_p_value(model, inside) > 0.1 > two_sided_p_value(model, outside)
    with pytest.raises(ConfigError, match="mu = -1"):
        two_sided_p_value(model, -1.0)
    with pytest.raises(ConfigError, match="none or hybrid"):
        two_sided_p_value(model, 1.0, treatment="frequentist")


def test_interval_treatment():
    with pytest.raises(ConfigError, match="none or hybrid"):
        interval(one_bin(3, 1.0, 0.5), treatment="frequentist")


@pytest.mark.parametrize(("observed", "background"), [(3, 0.5), (6, 1.0), (12, 2.5)])
def test_p_value_of_a_known_background(observed, background):
    found = discovery(one_bin(observed, background), treatment="none")
    p_value = poisson.sf(observed - 1, background)
    assert found.p_value == pytest.approx(p_value, rel=1e-6)
    assert found.significance == pytest.approx(norm.isf(p_value), rel=1e-6)
    assert found.statistic == pytest.approx(
        2 * (observed * math.log(observed / background) - observed + background), rel=1e-9
    )


@pytest.mark.parametrize(("observed", "background", "uncertainty"), [(6, 1.0, 0.5), (4, 0.72, 0.18)])
def test_p_value_of_a_counted_background(observed, background, uncertainty):
    """Averaged over a gamma posterior it is the binomial one (Cousins et al., NIM A 595, 480 (2008))."""
    model = one_bin(observed, background, uncertainty, background_constraint="gamma")
    tau, count = background / uncertainty**2, (background / uncertainty) ** 2
    expected = betainc(observed, count + 1.0, 1.0 / (1.0 + tau))
    assert discovery(model, treatment="hybrid").p_value == pytest.approx(expected, rel=1e-4)


def test_no_excess_is_no_evidence():
    found = discovery(one_bin(0, 1.0, 0.3))
    assert (found.statistic, found.p_value, found.significance) == (0.0, 1.0, 0.0)


def test_bayesian_limit_of_roostats():
    """Nothing seen, flat prior: -ln(0.1) whatever the background; with an uncertain signal, an integral."""
    assert roostats.bayesian_limit(one_bin(0, 0.5, 0.2), cl=0.9) == pytest.approx(math.log(10.0), rel=5e-3)

    def mean(function):
        return quad(lambda z: function(1.2**z) * norm.pdf(z), -7.0, 7.0)[0]

    expected = brentq(
        lambda mu: mean(lambda kappa: math.exp(-mu * kappa) / kappa) / mean(lambda kappa: 1.0 / kappa) - 0.1,
        1.0,
        5.0,
    )
    found = roostats.bayesian_limit(one_bin(0, 0.5, signal_uncertainty=0.2), cl=0.9)
    assert found == pytest.approx(expected, rel=1e-2)


# Each end moves by the error of a probability of 0.9 over its slope in mu: 3 of these (false alarm 0.5 % per
# interval, the seed being fixed) and half the last step of the bisection.
@pytest.mark.parametrize(
    ("observed", "background", "low", "high"),
    [
        (0, 0.0, 0.00, 2.44),
        pytest.param(3, 0.5, 0.60, 6.92, marks=pytest.mark.slow),
        pytest.param(5, 0.0, 1.84, 9.99, marks=pytest.mark.slow),
    ],
)
def test_feldman_cousins_interval_of_roostats(observed, background, low, high):
    toys, precision = 2000, 0.02
    found = roostats.feldman_cousins_interval(
        one_bin(observed, background), cl=0.9, toys=toys, precision=precision
    )
    error = math.sqrt(0.9 * 0.1 / toys)
    step = 0.5 * precision * 1.4 * high
    assert abs(found[1] - high) < 3.0 * error / poisson.pmf(observed, high + background) + step
    if low == 0.0:
        assert found[0] == 0.0
    else:
        assert abs(found[0] - low) < 3.0 * error / poisson.pmf(observed - 1, low + background) + step


@pytest.mark.parametrize(("observed", "background"), [(0, 0.5), (1, 0.5), (3, 1.0)])
def test_bayesian_limit_of_roostats_with_a_known_background(observed, background):
    """Flat prior: the Poisson sums P(n <= observed) at mu + b and at b have the ratio 0.1 (analytic)."""
    expected = brentq(
        lambda mu: poisson.cdf(observed, mu + background) / poisson.cdf(observed, background) - 0.1, 1.0, 20.0
    )
    found = roostats.bayesian_limit(one_bin(observed, background), cl=0.9)
    assert found == pytest.approx(expected, rel=5e-3)


def test_impacts_name_every_source():
    model = CountingModel(
        (Bin("S1", "S1", "", 1, 0.19, 0.07, 0.4), Bin("S2", "S2", "", 0, 0.53, 0.17, 0.6)),
        signal_sources={"form_factor": 0.1, "dimuon_yield": 0.2},
    )
    found = {i.source: i for i in impacts(model, treatment="hybrid")}
    assert list(found) == ["form_factor", "dimuon_yield", "background S1", "background S2"]
    nominal = upper_limit(model, treatment="hybrid", expected=False).upper_limit
    # More ignorance of the signal loosens a hybrid limit; the larger source matters more.
    for name in ("form_factor", "dimuon_yield"):
        assert found[name].upper_limit_without < nominal < found[name].upper_limit_doubled
    assert found["dimuon_yield"].upper_limit_without < found["form_factor"].upper_limit_without
