"""Named sources of uncertainty, correlated by name: against toys fitted here by NumPy, and closed forms.

The reference (independent) shares no code with the package: yields are written out below, the profile
likelihood is found by Newton's method over all parameters with numerical derivatives, toys are NumPy's.
"""

import dataclasses
import math

import numpy as np
import pytest

from na64root.errors import ConfigError, ConvergenceError
from na64root.limits import (
    Bin,
    CountingModel,
    Effect,
    NamedSource,
    experiment,
    impacts,
    own_toys,
    roofit,
    upper_limit,
)
from na64root.limits.asymptotics import Asymptotics
from na64root.limits.limit_impacts import limit_impacts
from na64root.limits.reduction import IrreducibleError, reduced
from na64root.work import Work

AB = (Bin("a", "a", "", 3, 1.5, 0.0, 0.4), Bin("b", "b", "", 1, 0.8, 0.0, 0.6))


def on(names, process, up, down=None):
    return tuple(Effect(name, process, up, down) for name in names)


# One source on signal and background, a second on both backgrounds, a third on one of them.
SEVERAL = CountingModel(
    AB,
    named_sources=(
        NamedSource("scale", "lognormal", on("ab", "signal", 1.2) + on("a", "background", 1.3)),
        NamedSource("shape", "lognormal", (Effect("a", "background", 1.4), Effect("b", "background", 0.8))),
        NamedSource("veto", "lognormal", on("b", "background", 1.5)),
    ),
)


class Reference:
    """CLs of SEVERAL by toys of NumPy: rates as exp of linear functions of three pulls."""

    SIGNAL = np.array([0.4, 0.6])
    BACKGROUND = np.array([1.5, 0.8])
    OF_SIGNAL = np.log([[1.2, 1.0, 1.0], [1.2, 1.0, 1.0]])
    OF_BACKGROUND = np.log([[1.3, 1.4, 1.0], [1.0, 0.8, 1.5]])

    def value(self, mu, x, n, a):
        rate = mu[:, None] * self.SIGNAL * np.exp(x @ self.OF_SIGNAL.T)
        rate = rate + self.BACKGROUND * np.exp(x @ self.OF_BACKGROUND.T)
        return (rate - n * np.log(rate)).sum(axis=1) + 0.5 * ((x - a) ** 2).sum(axis=1)

    def minimised(self, n, a, mu=None):
        """-ln L and its place for many data at once; mu is ln-parametrised where it is free."""
        free = mu is None
        size = 4 if free else 3
        x = np.zeros((len(n), size))
        x[:, :3] = a
        if free:
            x[:, 3] = np.log(np.maximum(n.sum(axis=1) - self.BACKGROUND.sum(), 0.3))

        def value(x):
            signal = np.exp(np.clip(x[:, 3], -16.0, 6.0)) if free else np.full(len(n), mu)
            return self.value(signal, x[:, :3], n, a) + (1e-9 * x[:, 3] ** 2 if free else 0.0)

        steps, damping, best = 1e-3 * np.eye(size), np.full(len(n), 1e-3), value(x)
        for _ in range(60):
            up = np.stack([value(x + s) for s in steps])
            down = np.stack([value(x - s) for s in steps])
            slope = ((up - down) / 2e-3).T
            bend = np.empty((len(n), size, size))
            for i in range(size):
                bend[:, i, i] = (up[i] - 2.0 * best + down[i]) / 1e-6
                for j in range(i):
                    mixed = value(x + steps[i] + steps[j]) - value(x + steps[i] - steps[j])
                    mixed -= value(x - steps[i] + steps[j]) - value(x - steps[i] - steps[j])
                    bend[:, i, j] = bend[:, j, i] = mixed / 4e-6
            lowest, vectors = np.linalg.eigh(bend)
            lowest = np.maximum(np.abs(lowest), 1e-6) + damping[:, None]
            step = -np.einsum("nij,nj,nkj,nk->ni", vectors, 1.0 / lowest, vectors, slope)
            tried = x + np.clip(step, -2.0, 2.0)
            found = value(tried)
            better = found < best
            x, best = np.where(better[:, None], tried, x), np.where(better, found, best)
            damping = np.where(better, 0.3 * damping, 10.0 * damping + 1e-6)
            if np.all(np.abs(np.where(better[:, None], step, 0.0)) < 1e-6):
                break
        return best, x

    def statistic(self, mu, n, a):
        at, _ = self.minimised(n, a, mu)
        best, x = self.minimised(n, a)
        none, _ = self.minimised(n, a, 0.0)
        above = (np.exp(x[:, 3]) > mu) & (best < none)
        return np.where(above, 0.0, np.maximum(at - np.minimum(best, none), 0.0))

    def cls(self, mu, n, toys, seed):
        """ln CLs and its error."""
        random = np.random.default_rng(seed)
        n, a = np.array([n], dtype=float), np.zeros((1, 3))
        observed = self.statistic(mu, n, a)[0]
        tails = []
        for true in (mu, 0.0):
            _, x = self.minimised(n, a, true)
            rate = true * self.SIGNAL * np.exp(self.OF_SIGNAL @ x[0])
            rate = rate + self.BACKGROUND * np.exp(self.OF_BACKGROUND @ x[0])
            values = self.statistic(mu, random.poisson(rate, (toys, 2)), random.normal(x[0], 1.0, (toys, 3)))
            tails.append(np.mean(values > observed - 1e-4))
        error = math.sqrt(sum((1.0 - p) / p / toys for p in tails))
        return math.log(tails[0] / tails[1]), error


def test_sources_on_signal_and_background_against_toys_of_numpy():
    """Within 3.5 errors of CLs, of toys there and of the limit here: false alarm 0.05 %."""
    found = upper_limit(SEVERAL, expected=False)
    assert (found.method, found.treatment) == ("toys", "frequentist")
    log_cls, error = Reference().cls(found.upper_limit, (3, 1), toys=4000, seed=1)
    _, beside = (Reference().cls(f * found.upper_limit, (3, 1), toys=1000, seed=2)[0] for f in (0.8, 1.25))
    slope = abs(beside - log_cls) / (0.25 * found.upper_limit)
    tolerance = 3.5 * math.hypot(error, 0.5 * found.upper_limit_error * slope)
    assert log_cls == pytest.approx(math.log(0.1), abs=tolerance)
    assert tolerance < 0.25


def test_roostats_judges_the_same_model():
    """Within 4 errors of toys of either kind: false alarm 6e-5."""
    ours = upper_limit(SEVERAL, expected=False)
    toys = upper_limit(SEVERAL, method="roostats", precision=0.02, expected=False)
    error = math.hypot(0.5 * ours.upper_limit_error, toys.upper_limit_error)
    assert ours.upper_limit == pytest.approx(toys.upper_limit, abs=4.0 * error)


PROPORTIONAL = CountingModel(
    AB,
    named_sources=(
        NamedSource("efficiency", "lognormal", on("ab", "signal", 1.1)),
        NamedSource("luminosity", "lognormal", on("ab", "signal", 1.15)),
        NamedSource("punch-through", "lognormal", on("ab", "background", 1.3)),
    ),
)


def test_sources_in_one_ratio_are_one():
    """Analytic: exp(l1 x1 + l2 x2) is exp(l x), l the quadrature. The exact engine holds it."""
    delta = math.expm1(math.hypot(math.log(1.1), math.log(1.15)))
    bins = tuple(dataclasses.replace(b, signature="s", background_uncertainty=0.3 * b.background) for b in AB)
    plain = CountingModel(bins, signal_uncertainty=delta, background_constraint="lognormal")
    ours = upper_limit(PROPORTIONAL, expected=False, checked=False)
    assert ours.method == "exact"
    reference = upper_limit(plain, expected=False, checked=False)
    assert ours.upper_limit == pytest.approx(reference.upper_limit, rel=1e-9)


@pytest.mark.parametrize("treatment", ["frequentist", "hybrid"])
def test_reduced_model_has_the_limit_of_the_whole(treatment):
    """Toys with all parameters against the exact engine with fewer: 4 errors, false alarm 6e-5."""
    exact = upper_limit(PROPORTIONAL, treatment=treatment, expected=False, checked=False)
    toys = own_toys.scan_own_toys(
        PROPORTIONAL, cl=0.9, treatment=treatment, work=Work(), precision=0.01
    ).result()
    error = math.hypot(toys.upper_limit_error, exact.upper_limit_error)
    assert exact.upper_limit == pytest.approx(toys.upper_limit, abs=4.0 * error)


def test_sources_fixed_are_none():
    """With treatment none all sources rest: the model without them (analytic)."""
    certain = upper_limit(CountingModel(AB), expected=False)
    found = upper_limit(SEVERAL, treatment="none", expected=False)
    assert (found.method, found.treatment) == ("exact", "none")
    assert found.upper_limit == certain.upper_limit


def test_empty_control_region_closed_form():
    """A background of alpha times a count of nothing, nothing seen: hybrid p(0) = e^-mu / (1 + alpha), so
    that CLs = e^-mu whatever alpha (analytic)."""
    model = CountingModel(
        (Bin("a", "a", "", 0, 0.0, 0.0, 1.0),),
        named_sources=(NamedSource("sideband", "gamma", on("a", "background", 0.7)),),
    )
    found = upper_limit(model, treatment="hybrid", expected=False)
    assert found.method == "toys"
    assert found.upper_limit == pytest.approx(math.log(10.0), abs=2.0 * found.upper_limit_error)


@pytest.mark.parametrize(
    ("shape", "options", "ends"),
    [
        ("lognormal", {}, (1.5**2.0, 0.8**2.0)),
        ("lognormal", {"interpolation": "histfactory"}, (1.5**2.0, 0.8**2.0)),
        ("gaussian", {}, (2.0, 0.6)),
    ],
)
def test_two_sides_are_those_of_roofit(shape, options, ends):
    """Expected events two standard deviations to either side (analytic), inside those of RooFit."""
    source = NamedSource("sides", shape, on("a", "background", 1.5, 0.8), **options)
    model = CountingModel(AB, named_sources=(source,))
    w = roofit.workspace(model)
    core = own_toys.filled_core(model)
    w.var("mu").setVal(2.0)
    for x, end in ((2.0, ends[0]), (-2.0, ends[1]), (0.4, None), (-0.3, None), (-0.8, None)):
        w.var("alpha_sides").setVal(x)
        rate = w.function("rate_a").getVal()
        assert core.rate(0, 2.0, [x]) == pytest.approx(rate, rel=1e-12)
        if end is not None:
            assert rate == pytest.approx(0.8 + 1.5 * end, rel=1e-12)


IRREDUCIBLE = {
    "acts on signal and background": on("a", "signal", 1.2) + on("a", "background", 1.2),
    "is asymmetric": on("a", "background", 1.2, 0.9),
    "is neither common to all signal nor of one bin alone": (
        Effect("a", "signal", 1.2), Effect("b", "signal", 1.3)
    ),
    "raises one background where it lowers another": (
        Effect("a", "background", 1.2), Effect("b", "background", 0.9)
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", IRREDUCIBLE)
def test_what_the_exact_engine_cannot_hold_is_said(why):
    model = CountingModel(AB, named_sources=(NamedSource("s", "lognormal", IRREDUCIBLE[why]),))
    with pytest.raises(IrreducibleError, match=f"source s {why}.*whose toys set the limit"):
        reduced(model)
    with pytest.raises(ConfigError, match="the exact engine has no such source"):
        experiment(model)


def test_second_background_source_of_a_bin_is_not_held():
    two = tuple(
        NamedSource(name, "lognormal", effects)
        for name, effects in (("s", on("ab", "background", 1.2)), ("t", on("a", "background", 1.3)))
    )
    with pytest.raises(IrreducibleError, match="source t is the second on the background of a"):
        reduced(CountingModel(AB, named_sources=two))


def test_bands_of_toys_are_those_of_the_exact_engine():
    """Expected median of toys, 4 errors of a tenth of the limit at most (chance decides the bands too)."""
    exact = upper_limit(PROPORTIONAL, checked=False)
    toys = own_toys.scan_own_toys(
        PROPORTIONAL, cl=0.9, treatment="frequentist", work=Work(), precision=0.01, expected=True
    ).result()
    assert toys.expected.median == pytest.approx(exact.expected.median, rel=0.05)


@pytest.mark.parametrize("criterion", ["cls", "clsb"])
@pytest.mark.filterwarnings("ignore:asymptotic limit:UserWarning")
def test_asymptotic_formulae_are_those_of_the_engine(criterion):
    """The same formulae with the engine's own fits (self)."""
    engine = upper_limit(PROPORTIONAL, method="asymptotic", criterion=criterion, expected=criterion == "cls")
    of = Asymptotics(PROPORTIONAL, "frequentist")
    assert of.upper_limit(0.9, criterion) == pytest.approx(engine.upper_limit, rel=1e-6)
    if criterion == "cls":  # by CLs+b everything is excluded at -2 sigma
        bands = list(dict(engine.expected).values())
        assert of.expected_limits(0.9, criterion) == pytest.approx(bands, rel=1e-6)
    else:
        with pytest.raises(ConvergenceError, match="every signal is excluded: use --criterion cls"):
            of.expected_limits(0.9, criterion)


def test_impacts_name_each_source():
    """Without and doubled, against models made by hand (analytic: factors squared, a quarter of a count)."""
    bins = (Bin("a", "a", "", 1, 1.0, 0.0, 1.0),)
    scale, count = (
        NamedSource("scale", "lognormal", on("a", "signal", 1.2)),
        NamedSource("count", "gamma", on("a", "background", 0.25), count=4),
    )
    squared = NamedSource("scale", "lognormal", on("a", "signal", 1.44))
    quarter = NamedSource("count", "gamma", on("a", "background", 1.0), count=1)

    def limit(*sources):
        return upper_limit(CountingModel(bins, named_sources=sources), expected=False).upper_limit

    found = {i.source: i for i in impacts(CountingModel(bins, named_sources=(scale, count)))}
    assert list(found) == ["scale", "count"]
    assert found["scale"].upper_limit_without == pytest.approx(limit(count), rel=1e-9)
    assert found["scale"].upper_limit_doubled == pytest.approx(limit(squared, count), rel=1e-9)
    assert found["count"].upper_limit_without == pytest.approx(limit(scale), rel=1e-9)
    assert found["count"].upper_limit_doubled == pytest.approx(limit(scale, quarter), rel=1e-9)
    # beside a fit they are the same, with that of a thousandth of the source
    beside = {i.source: i for i in limit_impacts(CountingModel(bins, named_sources=(scale, count)))}
    assert {name: (i.without, i.doubled) for name, i in beside.items()} == {
        name: (i.upper_limit_without, i.upper_limit_doubled) for name, i in found.items()
    }
    small = CountingModel(bins, named_sources=(scale.scaled(1e-3), count))
    assert beside["scale"].vanishing == upper_limit(small, expected=False).upper_limit
    assert not beside["scale"].tie_breaking
    line = NamedSource("line", "gaussian", on("a", "background", 1.3, 0.2)).scaled(2.0)
    assert (line.effects[0].up, line.effects[0].down) == (pytest.approx(1.6), 0.0)
