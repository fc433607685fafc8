"""Limits, exact and by toys, side by side; ratios are what counts, the machine is not.

RooStats and pyhf toys are timed for a stated number of toys; the precision they reach is scaled to the exact
engine's by the number of toys that it would take.
"""

import dataclasses
import math
import os
import resource
import subprocess
import sys
import time

import pytest

from na64root.limits import Bin, CountingModel, experiment, upper_limit
from na64root.limits import roostats as limits_roostats
from na64root.work import Work


def two_bins(observed=(0, 0)):
    return CountingModel(
        (
            Bin("S1", "S1", "", observed[0], 0.19, 0.07, 0.4),
            Bin("S2", "S2", "", observed[1], 0.53, 0.17, 0.6),
        ),
        signal_uncertainty=0.2,
    )


def six_bins(observed=(0,) * 6, shares=(0.06, 0.08, 0.26, 0.09, 0.12, 0.39)):
    """Signatures x periods, backgrounds in proportion to the exposure."""
    exposure = (0.15, 0.19, 0.66)
    bins = [
        Bin(f"{s}_{p}", s, p, 0, e * b, e * db, 1.0)
        for s, b, db in (("S1", 0.19, 0.07), ("S2", 0.53, 0.17))
        for p, e in zip(("2016", "2017", "2018"), exposure, strict=True)
    ]
    bins = [
        Bin(b.name, b.signature, b.period, n, b.background, b.background_uncertainty, f)
        for b, n, f in zip(bins, observed, shares, strict=True)
    ]
    return CountingModel(tuple(bins), signal_uncertainty=0.2)


MODELS = {
    "2_bins_empty": two_bins(),
    "2_bins_1_event": two_bins((1, 0)),
    "2_bins_5_events": two_bins((2, 3)),
    "6_bins_empty": six_bins(),
    "6_bins_1_event": six_bins((0, 0, 1, 0, 0, 0)),
    "6_bins_5_events": six_bins((0, 0, 2, 0, 1, 2)),
}


@pytest.mark.benchmark(group="observed limit, exact")
@pytest.mark.parametrize("treatment", ["none", "frequentist", "hybrid"])
@pytest.mark.parametrize("name", MODELS)
def test_observed(benchmark, name, treatment):
    engine = experiment(MODELS[name], treatment)
    limit, error = benchmark(engine.upper_limit, 0.9)
    assert error < 0.005 * limit


@pytest.mark.benchmark(group="expected band, exact")
@pytest.mark.parametrize("treatment", ["none", "frequentist", "hybrid"])
@pytest.mark.parametrize("name", ["2_bins_empty", "6_bins_empty"])
def test_expected(benchmark, name, treatment):
    engine = experiment(MODELS[name], treatment)
    benchmark.pedantic(engine.expected_limits, (0.9,), rounds=2)


def seconds(function, *arguments, repeat=1):
    start = time.perf_counter()
    for _ in range(repeat):
        result = function(*arguments)
    return (time.perf_counter() - start) / repeat, result


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")  # pyhf's dependencies
@pytest.mark.benchmark(group="CLs at one mu: exact against toys")
def test_against_toys(benchmark):
    """Toys needed for 0.2 % on CLs at CLs = 0.1, n p = (1 - p)/0.002^2, times the time per toy."""
    model, mu = two_bins(), 2.1
    engine = experiment(model)
    exact, (with_signal, _, _) = seconds(engine.confidence_levels, mu, repeat=20)
    limits_roostats.toys(model, "frequentist", mu, with_signal=10, without_signal=10, seed=1)
    roostats, toys = seconds(
        lambda: limits_roostats.toys(
            model, "frequentist", mu, with_signal=10_000, without_signal=10_000, seed=1
        )
    )
    needed = (1.0 - with_signal) / with_signal / 0.002**2
    benchmark.extra_info["exact_seconds"] = exact
    benchmark.extra_info["roostats_toys_over_exact"] = roostats / toys.size * needed / exact
    benchmark.extra_info["pyhf_toys_over_exact"] = _pyhf_seconds_per_toy(model, mu) * needed / exact
    benchmark.pedantic(engine.confidence_levels, (mu,), rounds=5)
    assert benchmark.extra_info["roostats_toys_over_exact"] > 100.0


def _pyhf_seconds_per_toy(model, mu):
    pyhf = pytest.importorskip("pyhf")
    from na64root.limits.export import pyhf_specification

    workspace = pyhf.Workspace(pyhf_specification(model))
    pdf = workspace.model()
    calculator = pyhf.infer.calculators.ToyCalculator(
        workspace.data(pdf), pdf, ntoys=30, track_progress=False
    )
    spent, _ = seconds(calculator.distributions, mu)
    return spent / 60.0


@pytest.mark.benchmark(group="RooStats: a limit to 1 %")
@pytest.mark.parametrize("signal_uncertainty", [0.0, 0.2])
@pytest.mark.parametrize("name", ["6_bins_empty", "6_bins_5_events"])
def test_headline(benchmark, name, signal_uncertainty):
    """With its bands."""
    model = dataclasses.replace(MODELS[name], signal_uncertainty=signal_uncertainty)
    limits_roostats.toys(model, "frequentist", 3.0, with_signal=10, without_signal=10, seed=1)
    found = benchmark.pedantic(lambda: upper_limit(model, method="roostats"), rounds=2)
    assert found.upper_limit_error <= 0.01 * found.upper_limit


@pytest.mark.benchmark(group="RooStats: one process against two")
@pytest.mark.parametrize("processes", [1, 2])
def test_processes(benchmark, processes):
    """The whole limit; processes start with it and load ROOT."""
    benchmark.pedantic(
        lambda: upper_limit(
            two_bins(), method="roostats", precision=0.02, expected=False, work=Work(threads=processes)
        ),
        rounds=1,
    )
    assert math.isfinite(benchmark.stats.stats.median)


@pytest.mark.benchmark(group="analyze on pseudo-data")
def test_analyze(benchmark, few_pseudodata, tmp_path, capsys):
    """The verb, in a process of its own; its processors' seconds are printed."""
    # Compiled Python is kept, as where users install it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "na64root", "analyze", few_pseudodata, "-o", str(tmp_path), "--force"]

    def spent():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    benchmark.pedantic(
        lambda: subprocess.run(command, env=environment, check=True, capture_output=True), rounds=1
    )
    with capsys.disabled():
        print(f"\nanalyze: {spent() - before:.1f} s of processors")


@pytest.mark.benchmark(group="a limit in forty bins")
def test_forty_bins(benchmark, capsys):
    """The most that a limit takes: toys of all parameters set it, and its expected limits."""
    bins = tuple(Bin(f"b{i}", f"b{i}", "", 4 + i % 3, 5.0, 1.5, 1.0 + i % 7) for i in range(40))
    model = CountingModel(bins, signal_uncertainty=0.2)
    before = time.process_time()
    found = benchmark.pedantic(upper_limit, (model,), rounds=1)
    with capsys.disabled():
        print(f"\na limit in forty bins: {time.process_time() - before:.1f} s of processors")
    assert found.method == "toys"
