"""RooStats toys: the failure that the tie-safe statistic mends, and the agreement with the exact engine.

Closed forms at zero events are in test_limits_closed_form.py.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from na64root.cling import root
from na64root.errors import ConvergenceError
from na64root.limits import Bin, CountingModel, experiment, roostats, upper_limit, workspace
from na64root.limits.likelihood import filled
from na64root.limits.roofit import quiet
from na64root.limits.roostats import TIE_TOLERANCE
from na64root.work import Work


def empty_bins(n, background=0.265, uncertainty=0.085):
    return CountingModel(
        tuple(Bin(f"b{i}", f"b{i}", "", 0, background, uncertainty, 1.0 / n) for i in range(n))
    )


def plain_statistic(model, mu, toys):
    """CLb and CLs as a RooStats tutorial would find them: nothing of ours but the workspace."""
    ROOT = root()
    with quiet():
        w = workspace(model)
        config, background_only = w.obj("signal_plus_background"), w.obj("background_only")
        w.var("mu").setVal(mu)
        config.SetSnapshot(ROOT.RooArgSet(w.var("mu")))
        statistic = ROOT.RooStats.ProfileLikelihoodTestStat(config.GetPdf())
        statistic.SetOneSided(True)
        calculator = ROOT.RooStats.FrequentistCalculator(w.data("observed"), background_only, config)
        calculator.SetToys(toys, toys)
        calculator.GetTestStatSampler().SetTestStatistic(statistic)
        calculator.GetTestStatSampler().SetGenerateBinned(True)
        ROOT.RooRandom.randomGenerator().SetSeed(1)
        inverter = ROOT.RooStats.HypoTestInverter(calculator)
        inverter.UseCLs(True)
        inverter.SetVerbose(0)
        inverter.RunOnePoint(mu)
        result = inverter.GetInterval().GetResult(0)
        observed = result.GetTestStatisticData()
        with_signal = np.array(result.GetNullDistribution().GetSamplingDistribution())
        without = np.array(result.GetAltDistribution().GetSamplingDistribution())
    return (without >= observed).mean(), (with_signal >= observed).mean()


SIX_BINS = pytest.param(6, marks=pytest.mark.slow)


@pytest.mark.parametrize("n", [2, SIX_BINS])
def test_plain_statistic_breaks_ties_at_random(n):
    """CLb is the probability of no event. The plain statistic misses it by over 5 standard deviations."""
    toys, expected = 500, math.exp(-0.265 * n)
    tail, _ = plain_statistic(empty_bins(n), 3.0, toys)
    deviation = math.sqrt(expected * (1.0 - expected) / toys)
    assert tail < expected - 5.0 * deviation, (
        "ProfileLikelihoodTestStat counts ties right: this version of ROOT no longer needs TieSafeStatistic"
    )


# The second mu lies on the edge that rounding to multiples of the tolerance would have. Bounds at 4 standard
# deviations: false alarm 6e-5 each, the seed being fixed.
@pytest.mark.parametrize("n", [2, SIX_BINS])
@pytest.mark.parametrize("mu", [3.0, 3.0 + 0.5 * TIE_TOLERANCE])
def test_tie_safe_statistic(n, mu):
    toys = roostats.toys(empty_bins(n), "frequentist", mu, with_signal=100, without_signal=500, seed=1)
    tail = toys.tail(toys.observed)[1] / 500
    expected = experiment(empty_bins(n)).confidence_levels(mu)[1]
    assert abs(tail - expected) < 4.0 * math.sqrt(expected * (1.0 - expected) / 500)
    # Far from the observed value in units of the tolerance, or equal to it.
    distance = np.abs(toys.without_signal - toys.observed)
    assert not ((distance > 0.0) & (distance < 20.0 * TIE_TOLERANCE)).any()


def random_models(number, seed):
    generator = np.random.default_rng(seed)
    for _ in range(number):
        n = int(generator.integers(1, 7))
        background = generator.uniform(0.05, 3.0, n) / math.sqrt(n)
        bins = tuple(
            Bin(f"b{i}", f"b{i}", "", int(generator.poisson(b)), float(b), float(b * r), float(f))
            for i, (b, r, f) in enumerate(
                zip(
                    background,
                    generator.uniform(0.0, 0.5, n),
                    generator.dirichlet(np.full(n, 3.0)),
                    strict=True,
                )
            )
        )
        delta = float(generator.choice([0.0, 0.1, 0.2, 0.5]))
        yield CountingModel(
            bins, signal_uncertainty=delta, constraint=str(generator.choice(["lognormal", "gaussian"]))
        )


def pulls(number, seed, precision):
    values = []
    for index, model in enumerate(random_models(number, seed)):
        treatment = ("frequentist", "hybrid", "none")[index % 3]
        exact = upper_limit(model, treatment=treatment, expected=False)
        toys = upper_limit(
            model,
            method="roostats",
            treatment=treatment,
            precision=precision,
            expected=False,
            work=Work(seed=index + 1),
        )
        values.append((toys.upper_limit - exact.upper_limit) / toys.upper_limit_error)
    return np.array(values)


def test_pulls_of_random_models():
    """Two of each treatment: none off by 3.7 (false alarm 0.13 %), sum of squares below 22.5 (0.1 %)."""
    values = pulls(6, 20, 0.15)
    assert np.abs(values).max() < 3.7, values
    assert (values**2).sum() < 22.5, values


@pytest.mark.slow
def test_pulls_of_many_random_models():
    """Thirty models: mean within 3.3/sqrt(30) (false alarm 0.1 %), width between 0.65 and 1.45 (0.1 %)."""
    values = pulls(30, 21, 0.1)
    assert abs(values.mean()) < 0.6, values
    assert 0.65 < values.std(ddof=1) < 1.45, values


def test_processes_change_nothing(monkeypatch):
    """They start once toys take long, and then make the same."""
    started, start = [], roostats._Runner._start
    monkeypatch.setattr(roostats._Runner, "_start", lambda self: started.append(start(self)))
    model = empty_bins(2)
    options = {"method": "roostats", "precision": 0.2, "expected": False, "treatment": "none"}
    here = upper_limit(model, **options, work=Work(threads=2))
    assert not started
    monkeypatch.setattr(roostats, "SECONDS_OF_PROCESSES", 0.0)
    assert upper_limit(model, **options, work=Work(threads=2)) == here
    assert len(started) == 1


def test_scan_widens_itself():
    """Twenty events where none is expected: the first guess is far from the limit, no edge is returned."""
    model = CountingModel((Bin("b", "b", "", 20, 0.5, 0.0, 1.0),))
    result = upper_limit(model, method="roostats", treatment="none", precision=0.08, expected=False)
    exact = upper_limit(model, treatment="none", expected=False)
    assert abs(result.upper_limit - exact.upper_limit) < 4.0 * result.upper_limit_error


@pytest.mark.slow
@pytest.mark.parametrize("observed", [(0, 0), (1, 2)])
def test_expected_limits_of_toys(observed):
    """Seeded. Within 10 % of the exact engine (self, good to 2 %); null where toys are too few."""
    bins = (
        Bin("S1", "S1", "", observed[0], 0.19, 0.07, 0.5),
        Bin("S2", "S2", "", observed[1], 0.53, 0.17, 0.5),
    )
    model = CountingModel(bins, signal_uncertainty=0.2)
    exact = upper_limit(model).expected.model_dump()
    toys = upper_limit(model, method="roostats", precision=0.1, work=Work(threads=2)).expected.model_dump()
    told = {name: value for name, value in toys.items() if value is not None}
    assert {"median", "plus2"} <= told.keys()
    for name, value in told.items():
        assert value == pytest.approx(exact[name], rel=0.1)


def toys_fitted_by(model, treatment, mu, fit, monkeypatch):
    """The statistic of the same toys by one fit alone: the core's (-1), or RooStats' own or its stand-in."""
    original = roostats._tie_safe_statistic

    def one_fit_only(w, config, known, *, one_sided):
        _, fits = original(w, config, known, one_sided=one_sided)
        chosen = root().std.vector["RooStats::TestStatistic *"]()
        chosen.push_back(fits[fit])
        statistic = root().na64root.TieSafeStatistic(
            chosen, w.pdf("model"), w.data("observed"), TIE_TOLERANCE
        )
        return statistic, [*fits, chosen]

    with monkeypatch.context() as patched:
        patched.setattr(roostats, "_tie_safe_statistic", one_fit_only)
        return roostats.toys(model, treatment, mu, with_signal=50, without_signal=50, seed=3)


CONSTRAINTS = [("lognormal", "gaussian"), ("gaussian", "lognormal"), ("gaussian", "gamma")]


@pytest.mark.parametrize(("signal", "background"), CONSTRAINTS)
def test_the_fits_agree(signal, background, monkeypatch):
    """ProfileLikelihoodTestStat, the fit that stands in for it, and the core's, on the same toys.

    Three bins, two of one group of backgrounds, one with a signal uncertainty of its own. Tolerance: what
    Minuit leaves of -ln L, a tenth of what counts as a tie.
    """
    model = CountingModel(
        (
            Bin("a", "S1", "", 1, 0.2, 0.1, 0.4, 0.3),
            Bin("b", "S1", "", 0, 0.6, 0.3, 0.2),
            Bin("c", "S2", "", 4, 2.5, 1.2, 0.4),
        ),
        signal_uncertainty=0.2,
        constraint=signal,
        background_constraint=background,
    )
    usual, stand_in, core = (
        toys_fitted_by(model, "frequentist", 3.0, fit, monkeypatch) for fit in (0, 3, -1)
    )
    for other in (stand_in, core):
        assert other.observed == pytest.approx(usual.observed, abs=1e-5)
        assert other.with_signal == pytest.approx(usual.with_signal, abs=1e-5)
        assert other.without_signal == pytest.approx(usual.without_signal, abs=1e-5)


def signal_too_large(known):
    first, *others = known.channels
    larger = tuple(replace(y, constant=1.02 * y.constant) for y in first.signals)
    return replace(known, channels=(replace(first, signals=larger), *others))


def nuisances_at_rest(known):
    return replace(known, nuisances=tuple(replace(n, lowest=-0.01, highest=0.01) for n in known.nuisances))


def no_mistake(known):
    return known


@pytest.mark.parametrize("mistake", [signal_too_large, nuisances_at_rest, no_mistake])
def test_a_wrong_fit_of_the_core_is_found(mistake, monkeypatch):
    """Four fits of a batch, judged by RooStats' own, are enough to end a run by one that is a little off."""
    model = CountingModel(
        (Bin("a", "a", "", 2, 1.0, 0.4, 0.7), Bin("b", "b", "", 1, 0.6, 0.3, 0.3)), signal_uncertainty=0.2
    )
    monkeypatch.setattr(roostats, "filled", lambda core, known: filled(core, mistake(known)))
    make = roostats._Runner(model, "frequentist", Work()).run
    if mistake is no_mistake:
        (toys,) = make([(5.0, 20, 5)])
        assert toys.size == 25
    else:
        with pytest.raises(ConvergenceError, match=rf"not that of RooStats in \d+ of {roostats.JUDGED} toys"):
            make([(5.0, 20, 5)])


@pytest.mark.parametrize("treatment", ["none", "frequentist", "hybrid"])
def test_toys_of_counts_are_distributed_as_their_rates(treatment):
    """Of the workspace whose observables are the counts: how often each number of events comes.

    The background is known to a permille, so that every treatment has the same toys. Five standard deviations
    of the most frequent number (false alarm below 1e-5 of six); the statistic tells the number.
    """
    background, mu, number = 1.5, 2.0, 4000
    model = CountingModel((Bin("a", "a", "", 0, background, 1e-3 * background, 1.0),))
    toys = roostats.toys(model, treatment, mu, with_signal=number, without_signal=number, seed=4)
    rate = mu + background
    for values, true_rate in ((toys.with_signal, rate), (toys.without_signal, background)):
        for n in range(3):
            best = max(n, background)
            statistic = rate - best - n * math.log(rate / best)  # reference: analytic
            share = (np.abs(values - statistic) < 0.02).mean()
            expected = math.exp(-true_rate) * true_rate**n / math.factorial(n)
            assert abs(share - expected) < 5.0 * math.sqrt(0.25 / number), (n, share, expected)


def test_a_step_over_the_end_of_a_range_is_a_failed_fit_only():
    """In one of these toys the first minimiser ends 1e-15 above the range of eta_b1, and RooFit throws."""
    bins = tuple(
        Bin(f"b{i}", f"b{i}", "", n, b, u, f)
        for i, (n, b, u, f) in enumerate(
            [
                (1, 0.39887724619051623, 0.12783607012491838, 0.03505085760723232),
                (1, 1.1745870578279092, 0.5567707996641167, 0.12856231761105058),
                (0, 0.8120510238223861, 0.2314021820098656, 0.11588886579308041),
                (0, 0.6592221987437462, 0.10852634004428621, 0.24041275623725325),
                (0, 0.2043813446865623, 0.06395886426681913, 0.13575003847630154),
                (0, 0.9009841273290672, 0.0668740194035798, 0.34433516427508176),
            ]
        )
    )
    model = CountingModel(bins, signal_uncertainty=0.2, constraint="gaussian")
    toys = roostats.toys_of_workspace(
        workspace(model),
        "frequentist",
        2.055363354679675,
        with_signal=248,
        without_signal=99,
        seed=446441980,
    )
    assert toys.size == 347
