"""What counts say beside a limit, against closed forms, sums over counts and integrals by SciPy.

References: analytic where a formula is written, else sums and integrals in this file (independent). Tests
with toys compare to exact values within four of their statistical errors: 6e-5 false alarms each.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from na64root.config import load_card
from na64root.errors import ConfigError, ConvergenceError
from na64root.limits import Bin, CountingModel, Effect, NamedSource, upper_limit
from na64root.limits.bayesian import posterior
from na64root.limits.best_fit import FittedModel, best_fit, goodness_of_fit, injection, strength_impacts
from na64root.limits.fit import FitOptions, fit
from na64root.limits.limit_impacts import limit_impacts
from na64root.records import provenance
from na64root.work import Work

TOYS = 2000


def counts(observed, background, uncertainty=None, share=None, **options) -> CountingModel:
    return CountingModel.from_lists(
        observed=observed,
        background=background,
        background_uncertainty=uncertainty or [0.0] * len(observed),
        signal_fraction=share or [1.0] * len(observed),
        **options,
    )


def test_best_fit_of_a_counted_background():
    """Reference: analytic. n = mu + b x, a = tau x: variances add; the fit of x is its measurement."""
    n, b, sigma = 40, 20.0, 5.0
    model = CountingModel((Bin("A", "A", "", n, b, sigma, 1.0),), background_constraint="gamma")
    fitted = FittedModel(model, "frequentist")
    found = best_fit(fitted)
    assert found.mu == pytest.approx(n - b, rel=1e-6)
    error = math.hypot(math.sqrt(n), sigma)
    assert found.mu_error == pytest.approx(error, rel=1e-4)
    (parameter,) = found.parameters
    assert (parameter.pull, parameter.constraint) == pytest.approx((0.0, 1.0), abs=1e-4)
    assert found.correlated[0] == "mu"
    assert found.correlation[0][1] == pytest.approx(-sigma / error, rel=1e-4)
    (impact,) = strength_impacts(fitted, found)
    # one of its errors is 5 events of background
    assert (impact.down, impact.up) == pytest.approx((n - b + sigma, n - b - sigma), rel=1e-4)


def test_a_background_that_the_data_pull():
    """Reference: analytic. Without signal (share 0) a bin of 100 +- 10 with 130 seen: the weighted mean."""
    bins = (Bin("A", "A", "", 130, 100.0, 10.0, 0.0), Bin("B", "B", "", 0, 0.5, 0.0, 1.0))
    (parameter,) = best_fit(FittedModel(CountingModel(bins), "frequentist")).parameters
    # of 130 ln(100 + 10 x) - (100 + 10 x) - x^2 / 2 the derivative is zero
    root = optimize.brentq(lambda x: 1300.0 / (100.0 + 10.0 * x) - 10.0 - x, 0.0, 3.0)
    assert parameter.pull == pytest.approx(root, abs=1e-5)
    curvature = 13000.0 / (100.0 + 10.0 * root) ** 2 + 1.0
    assert parameter.constraint == pytest.approx(curvature**-0.5, rel=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:jsonschema", "ignore::DeprecationWarning:pyhf")
def test_best_fit_of_pyhf():
    """Reference: pyhf (independent). Its minimiser is good to some 1e-3 of an error."""
    pyhf = pytest.importorskip("pyhf")
    from na64root.limits.export import pyhf_specification

    model = counts([9, 3], [4.0, 2.0], [1.5, 0.8], [0.6, 0.4], signal_uncertainty=0.3)
    workspace = pyhf.Workspace(pyhf_specification(model))
    theirs = workspace.model()
    values = pyhf.infer.mle.fit(workspace.data(theirs), theirs)
    named = {name: float(values[theirs.config.par_slice(name)][0]) for name in theirs.config.par_order}
    found = best_fit(FittedModel(model, "frequentist"))
    assert found.mu == pytest.approx(named["mu"], rel=2e-3)
    for parameter in found.parameters:
        if parameter.name in named:
            assert parameter.value == pytest.approx(named[parameter.name], abs=5e-3)
    assert {p.name for p in found.parameters} & named.keys()


def test_injected_signals():
    """Reference: sums over counts. One bin without uncertainties fits max(0, n - b)."""
    b = 3.0
    fitted = FittedModel(counts([5], [b]), "none")
    for found in injection(fitted, [0.0, 4.0], toys=TOYS, work=Work(seed=11)):
        n = np.arange(60)
        weight = stats.poisson.pmf(n, b + found.injected)
        value = np.maximum(n - b, 0.0)
        mean = float(weight @ value)
        assert abs(found.mean - mean) < 4.0 * found.mean_error
        assert found.bias == pytest.approx(found.mean - found.injected)
        at_zero = float(weight[value == 0.0].sum())
        assert abs(found.at_zero - at_zero) < 4.0 * math.sqrt(at_zero * (1.0 - at_zero) / TOYS)
        ratio = stats.poisson.logpmf(n, b + value) - stats.poisson.logpmf(n, b + found.injected)
        pull = np.sign(value - found.injected) * np.sqrt(2.0 * np.maximum(ratio, 0.0))
        assert abs(found.pull_mean - float(weight @ pull)) < 4.0 * found.pull_mean_error


def test_goodness_of_fit():
    """Reference: sums over counts. Two bins without background share N events: mu = N, the rates N/2 each."""
    observed = (9, 2)
    fitted = FittedModel(counts(observed, [0.0, 0.0]), "none")
    grid = np.arange(50)

    def statistic(one, two):
        half = 0.5 * (one + two)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = [np.where(n > 0, n * np.log(np.where(n > 0, n, 1) / half), 0.0) for n in (one, two)]
        return 2.0 * (terms[0] + terms[1])

    seen = float(statistic(*map(np.array, observed)))
    weight = np.outer(*(stats.poisson.pmf(grid, 5.5),) * 2)
    values = statistic(*np.meshgrid(grid, grid, indexing="ij"))
    expected = float(weight[values >= seen - 1e-9].sum())
    found, without = goodness_of_fit(fitted, toys=TOYS, work=Work(seed=5))
    assert found.statistic == pytest.approx(seen, rel=1e-6)
    assert abs(found.p_value - expected) < 4.0 * math.sqrt(expected * (1.0 - expected) / TOYS)
    assert sum(found.fractions) == pytest.approx(1.0)
    # eleven events where there is no background at all
    assert (without.hypothesis, without.p_value) == ("background_only", 0.0)


def test_goodness_of_fit_with_an_auxiliary_measurement():
    """Reference: an integral. Background 4 +- 1 alone, 9 seen: x is fitted, a fluctuates with it."""
    model = counts([9], [4.0], [1.0], background_constraint="gaussian")
    fitted = FittedModel(model, "frequentist")

    def minimum(n, a):
        rate = 0.5 * ((4.0 + a - 1.0) + np.sqrt((4.0 + a - 1.0) ** 2 + 4.0 * n))  # b + x solves a quadratic
        x = rate - 4.0
        with np.errstate(divide="ignore", invalid="ignore"):
            logarithm = np.where(n > 0, n * np.log(np.where(n > 0, n, 1) / rate), 0.0)
        return 2.0 * (rate - n + logarithm) + (x - a) ** 2, x

    seen, fitted_x = minimum(np.array(9), 0.0)
    n, a = np.arange(60)[:, None], np.linspace(fitted_x - 6.0, fitted_x + 6.0, 4001)[None, :]
    probability = stats.poisson.pmf(n, 4.0 + fitted_x) * stats.norm.pdf(a, fitted_x) * (a[0, 1] - a[0, 0])
    expected = float(probability[minimum(n, np.maximum(a, -2.9))[0] >= seen].sum())
    _, found = goodness_of_fit(fitted, toys=TOYS, work=Work(seed=7))
    assert found.statistic == pytest.approx(float(seen), rel=1e-6)
    assert abs(found.p_value - expected) < 4.0 * math.sqrt(expected / TOYS)


@pytest.mark.parametrize(("observed", "background"), [(0, 0.7), (3, 1.0), (30, 22.0)])
def test_bayesian_limit_with_a_flat_prior(observed, background):
    """Reference: analytic (Helene 1983), the same ratio of Poisson sums as CLs without uncertainties."""

    def above(s: float) -> float:
        return float(stats.poisson.cdf(observed, s + background) / stats.poisson.cdf(observed, background))

    expected = optimize.brentq(lambda s: above(s) - 0.1, 0.0, 60.0)
    found = posterior(counts([observed], [background]))
    assert found.upper_limit == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("prior", ["sqrt", "jeffreys"])
def test_bayesian_limit_without_background(prior):
    """Reference: analytic. Both are 1/sqrt(mu) there, and the posterior a gamma distribution of n + 1/2."""
    for n in (0, 4):
        found = posterior(counts([n], [0.0]), prior=prior)
        assert found.upper_limit == pytest.approx(stats.gamma.ppf(0.9, n + 0.5), rel=1e-3)
        assert found.median == pytest.approx(stats.gamma.ppf(0.5, n + 0.5), rel=2e-3)


def test_bayesian_limit_with_uncertainties():
    """Reference: an integral by SciPy over the log-normal signal and the truncated Gaussian background."""
    n, b, sigma, delta = 6, 2.0, 1.2, 0.4
    nodes, weights = np.polynomial.legendre.leggauss(60)
    theta, low = 7.0 * nodes, -b / sigma
    x = low + 0.5 * (7.0 - low) * (nodes + 1.0)
    weight = np.outer(weights * stats.norm.pdf(theta), weights * stats.norm.pdf(x))
    background = (b + sigma * x)[None, :]
    mu = np.linspace(0.0, 80.0, 401)
    density = [
        float(np.sum(weight * stats.poisson.pmf(n, s * (1.0 + delta) ** theta[:, None] + background)))
        for s in mu
    ]
    total = integrate.cumulative_simpson(density, x=mu, initial=0.0)
    expected = float(np.interp(0.9, total / total[-1], mu))
    found = posterior(counts([n], [b], [sigma], signal_uncertainty=delta))
    assert abs(found.upper_limit - expected) < max(4.0 * found.upper_limit_error, 2e-3 * expected)
    assert found.upper_limit_error < 2e-3 * expected


def test_bayesian_limit_of_an_empty_control_region():
    """Reference: integrals by SciPy. Nothing was counted in the sideband: the prior of its yield is e^-b."""
    n = 3
    source = NamedSource("sideband", "gamma", (Effect("bin1", "background", 1.0),))
    found = posterior(counts([n], [0.0], named_sources=(source,)))

    def likelihood(mu: float) -> float:
        return integrate.quad(lambda b: math.exp(-b) * stats.poisson.pmf(n, mu + b), 0.0, 30.0)[0]

    mu = np.linspace(0.0, 60.0, 301)
    total = integrate.cumulative_simpson([likelihood(s) for s in mu], x=mu, initial=0.0)
    expected = float(np.interp(0.9, total / total[-1], mu))
    assert abs(found.upper_limit - expected) < max(4.0 * found.upper_limit_error, 2e-3 * expected)


def test_a_broken_tie_is_no_impact():
    """Reference: sums over counts. A vanishing uncertainty lets half of the ties count.

    Two bins with known backgrounds, one event in the first: counts with the same statistic as those seen are
    these counts alone. Its auxiliary measurement fluctuates to either side with a probability of one half.
    """
    observed, background = (1, 0), np.array([0.19, 0.53])
    grid = list(itertools.product(range(30), repeat=2))

    def best(n) -> float:
        def slope(mu: float) -> float:
            return sum(0.5 * k / (0.5 * mu + b) for k, b in zip(n, background, strict=True)) - 1.0

        return 0.0 if slope(0.0) <= 0.0 else optimize.brentq(slope, 0.0, 200.0, xtol=1e-12)

    best_of = {n: best(n) for n in grid}

    def log_l(n, mu: float) -> float:
        rate = 0.5 * mu + background
        return float(np.sum(np.array(n) * np.log(rate) - rate))

    def level(mu: float, share_of_tie: float) -> float:
        q = {n: log_l(n, best_of[n]) - log_l(n, mu) if best_of[n] < mu else 0.0 for n in grid}
        tails = []
        for true in (mu, 0.0):
            pmf = [stats.poisson.pmf(range(30), 0.5 * true + b) for b in background]
            tail = sum(pmf[0][n[0]] * pmf[1][n[1]] for n in grid if q[n] > q[observed] + 1e-9)
            tail += share_of_tie * pmf[0][1] * pmf[1][0]
            tails.append(tail)
        return math.log(tails[0] / tails[1] / 0.1)

    with_ties, broken = (optimize.brentq(level, 2.0, 6.0, args=(share,), xtol=1e-4) for share in (1.0, 0.5))
    model = counts(observed, background.tolist(), [0.07, 0.0])
    (impact,) = limit_impacts(model)
    assert impact.without == pytest.approx(with_ties, rel=1e-3)
    assert impact.vanishing == pytest.approx(broken, rel=2e-3)
    assert impact.tie_breaking
    assert impact.jump == pytest.approx(broken - with_ties, rel=0.05)
    # the uncertainty itself hardly matters, where limit - without says 5 %
    assert abs(impact.impact) < 0.01 * with_ties < abs(impact.jump)


def test_an_impact_without_ties_has_no_jump():
    impacts = limit_impacts(counts([0, 0], [0.19, 0.53], [0.07, 0.17], signal_uncertainty=0.2))
    assert [i.source for i in impacts] == ["signal", "background bin1", "background bin2"]
    assert not any(i.tie_breaking for i in impacts[1:])


def test_parts_of_a_report_and_what_they_leave_out():
    card = load_card()
    made = provenance(card)
    model = counts([3, 1], [0.2, 0.5])
    report = fit(model, card, FitOptions(("scan", "point", "interval"), mu=9.0), provenance=made)
    assert report.scan is not None
    assert report.scan.cls is not None
    assert report.point is not None
    assert report.treatment == "none"  # nothing is uncertain
    assert report.scan.two_delta_nll[0] > min(report.scan.two_delta_nll) == pytest.approx(0.0, abs=1e-3)
    # the limit is where CLs crosses, and the point beyond it is excluded
    assert np.interp(report.limit.upper_limit, report.scan.mu, report.scan.cls) == pytest.approx(
        0.1, rel=0.01
    )
    assert report.point.excluded
    assert report.point.cls < 0.1
    assert report.interval is not None
    assert report.discovery is not None
    assert (report.fit, report.bayesian, report.goodness) == (None, None, [])
    six = counts([1, 0, 2, 0, 1, 3], [0.5, 0.2, 1.0, 0.7, 0.3, 2.0], [0.2, 0.1, 0.3, 0.2, 0.1, 1.0])
    bounded = fit(six, card, FitOptions(("interval",)), provenance=made)
    assert (bounded.discovery, bounded.interval) == (None, None)
    assert "no p-value without signal" in bounded.notes[0]
    many = fit(counts([900, 800], [880.0, 810.0]), card, FitOptions(("scan",)), provenance=made)
    assert many.scan is not None
    assert many.scan.cls is None
    assert "no CLs scan for" in many.notes[0]


def test_impacts_of_named_sources_are_there_or_left_out_by_name():
    """Nothing seen and nothing counted: the yield of the sideband is fitted at zero, and has no error.

    CLs is e^-mu whatever the background (analytic), so that the source has no impact on the limit.
    """
    card = load_card(overrides=["limit.treatment=hybrid"])
    source = NamedSource("sideband", "gamma", (Effect("bin1", "background", 0.7),))
    model = counts([0], [0.0], named_sources=(source,))
    report = fit(model, card, FitOptions(("impacts",)), provenance=provenance(card))
    (impact,) = report.limit_impacts
    assert impact.source == "sideband"
    error = 4.0 * report.limit.upper_limit_error
    for limit in (impact.without, impact.vanishing, impact.doubled):
        assert limit == pytest.approx(math.log(10.0), abs=error)
    assert report.strength_impacts == []
    chance, left_out = report.notes
    assert "impacts on the limit below a per cent or so are chance" in chance
    assert "no impact on mu of alpha_sideband" in left_out


def test_what_is_not_enumerated_is_left_out_and_the_rest_is_kept():
    """A source on signal and background: toys set its limit, and no p-value is enumerated."""
    card = load_card()
    both = tuple(Effect("bin1", process, 1.2) for process in ("signal", "background"))
    model = counts([1], [0.5], named_sources=(NamedSource("scale", "lognormal", both),))
    report = fit(model, card, FitOptions(("fit", "interval")), provenance=provenance(card))
    assert report.limit.method == "toys"
    assert report.fit is not None
    assert (report.discovery, report.interval) == (None, None)
    assert "no p-value without signal and no Feldman-Cousins interval" in report.notes[0]
    with pytest.raises(ConfigError, match="no p-values of a point .source scale acts on signal and backg"):
        fit(model, card, FitOptions(("point",), mu=2.0), provenance=provenance(card))
    with pytest.raises(ConfigError, match="no p-values for 1700 events .at most 1000 are enumerated"):
        fit(counts([900], [800.0]), card, FitOptions(("point",), mu=2.0), provenance=provenance(card))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"parts": ("pulls",)}, "no part pulls of a fit"),
        ({"parts": ("point",)}, "a test of a point without its strength"),
        ({"toys": 10}, "10 toys .100 to 1,000,000"),
        ({"strengths": (-1.0,)}, "injected strength = -1.0"),
        ({"mu": math.nan}, "mu = nan"),
    ],
)
def test_nonsense_is_one_line(options, problem):
    with pytest.raises(ConfigError, match=problem):
        FitOptions(**options)


def test_a_posterior_that_does_not_fall():
    with pytest.raises(ConvergenceError, match="the posterior does not fall with the signal"):
        posterior(counts([0], [0.5], signal_uncertainty=0.8, constraint="gaussian"))
    with pytest.raises(ConfigError, match="prior = 'wide' is not known"):
        posterior(counts([0], [0.5]), prior="wide")


def test_limit_of_the_report_is_the_limit():
    model = counts([1, 0], [0.19, 0.53], [0.07, 0.17], signal_uncertainty=0.2)
    card = load_card()
    report = fit(model, card, FitOptions(("fit",)), provenance=provenance(card))
    assert report.limit == upper_limit(model)
