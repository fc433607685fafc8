"""Closure: pseudo-experiments with a known signal, counted as data, must give that signal back.

200 experiments at each of three points (mass, epsilon). Their events are simulated in three steps:

1. Nuisance parameters of each experiment are drawn from the card's priors: a factor on the signal
   (log-normal, 20 %) and one on each background (Gaussian, not below zero).
2. The events of all experiments are simulated at once, for the exposure times the sum of the factors, and
   selected by the selection of data. Signal: `simulate.pseudodata` with an injected signal. Background: the
   two classes of pseudo-data that reach the boxes (the others never do, see test_pseudodata); of those events
   only the ones that pass the last cut, shower_chi2, are written, one in 240.
3. Each selected event goes to one experiment, by chance, in proportion to the factors.

A Poisson number of events that are shared out by chance, each for itself, gives independent Poisson numbers
(the colouring theorem), so that this is the same as a file per experiment, without its prescaled classes. The
background is the same at the three points.

The expected signal at an epsilon is the simulated acceptance of another seed, reweighted (self). References
for how often: the nominal level, and sums over all counts with probabilities by SciPy (independent).
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from na64root import _core, cling, limits, load_card, selection
from na64root.cling import root
from na64root.config import SIGNATURES
from na64root.exclusion import counting_model, epsilon_intervals
from na64root.exclusion.counting_models import bins_of_counts
from na64root.signal import card_counts
from na64root.simulation import writer
from na64root.simulation.core_config import Signal, generator_config
from na64root.simulation.options import PseudodataOptions
from na64root.simulation.sample import SignalSample
from na64root.simulation.simulate import pseudodata
from na64root.work import Work

CARD = load_card()
EXPOSURE = CARD.exposure()
LEVEL = CARD.limit.confidence_level.value
# Decays behind HCAL3; the end of the excluded g-2 line; a short flight, half of the decays in the ECAL.
POINTS = [(0.2, 1e-3), (0.39, 6e-3), (0.5, 6e-3)]
EXPERIMENTS = 200
# A binomial number has a probability below this to be so far off where all is right.
FALSE_ALARM = 1e-3
SOURCES = {"S1": "neutral_leakage", "S2": "large_missing_energy"}
SIGNAL_UNCERTAINTY = math.sqrt(sum(q.value**2 for q in CARD.limit.signal_uncertainties.values()))
BACKGROUND = np.array([CARD.limit.counts(s).background.value for s in SIGNATURES])
SPREAD = np.array([CARD.limit.counts(s).background_uncertainty.value for s in SIGNATURES]) / BACKGROUND

_SKIM = """
namespace na64root_closure {
unsigned long write(const na64root::PseudodataConfig &config, double chi2_max, TTree &tree) {
    const na64root::PseudodataGenerator generator(config);
    na64root::TreeAEvent event{};
    na64root::for_each_branch(event, na64root_writer::BranchMaker{tree});
    for (unsigned long entry = 0; entry < generator.size(); ++entry) {
        generator.generate(entry, event);
        if (na64root::passes_shower_chi2(event.showerChi2, chi2_max))
            tree.Fill();
    }
    tree.ResetBranchAddresses();
    return generator.size();
}
}
"""


@functools.cache
def _declare() -> None:
    writer.writers()
    cling.include("selection.hpp")
    cling.declare(_SKIM)


def shared_out(number: int, factors: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Selected events by experiment."""
    return generator.multinomial(number, factors / factors.sum())


def selected(path: Path, card) -> dict[str, int]:
    found = selection.select([str(path)], card)
    assert not found.weighted
    return {s: sum(c.observed for c in found.counts if c.signature == s) for s in SIGNATURES}


@functools.cache
def backgrounds(experiments: int, seed: int) -> np.ndarray:
    """Background counts, shape (experiments, 2)."""
    generator = np.random.default_rng(seed)
    factors = np.maximum(0.0, 1.0 + SPREAD * generator.normal(size=(experiments, 2)))
    _declare()
    means = {
        name: {
            period: sum(
                rate.rate_per_eot.value * electrons * factors[:, i].sum()
                for i, signature in enumerate(SIGNATURES)
                if name == SOURCES[signature]
            )
            for period, electrons in EXPOSURE.items()
        }
        for name, rate in CARD.pseudodata.classes.items()
    }
    config = generator_config(root(), CARD, seed, means)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "background.root"
        file = root().TFile.Open(str(path), "RECREATE")
        tree = root().TTree("tree", "background of many experiments, of those events that pass shower_chi2")
        simulated = root().na64root_closure.write(config, CARD.selection.shower_chi2.chi2_max.value, tree)
        assert simulated > 15_000 * experiments
        tree.Write()
        file.Close()
        found = selected(path, CARD)
    return np.stack(
        [shared_out(found[s], factors[:, i], generator) for i, s in enumerate(SIGNATURES)], axis=1
    )


def signals(point: tuple[float, float], experiments: int, seed: int) -> np.ndarray:
    """Signal counts, shape (experiments, 2)."""
    generator = np.random.default_rng(seed)
    factors = (1.0 + SIGNAL_UNCERTAINTY) ** generator.normal(size=experiments)
    alone = load_card(overrides=[f"pseudodata.{name}.rate_per_eot=0" for name in CARD.pseudodata.classes])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signal.root"
        eot = {"all": CARD.eot * float(factors.sum())}
        result = pseudodata(
            alone, path, PseudodataOptions(eot=eot, inject=Signal(*point)), work=Work(seed=seed)
        )
        assert result.injected.events == result.events > experiments
        found = selected(path, alone)
    return np.stack([shared_out(found[s], factors, generator) for s in SIGNATURES], axis=1)


def model_of(counts: tuple[int, int]):
    """The counting model as a function of the share of S1; periods are pooled, which is exact here."""
    found = [
        count.model_copy(update={"observed": int(n)})
        for count, n in zip(card_counts(CARD, EXPOSURE), counts, strict=True)
    ]
    bins = bins_of_counts(CARD, found, EXPOSURE)
    return functools.partial(counting_model, CARD, bins)


def probabilities(signal: np.ndarray, largest: tuple[int, int]) -> np.ndarray:
    """P(n1, n2), nuisance parameters averaged over their priors: Poisson by SciPy, Gauss-Hermite."""
    node, weight = np.polynomial.hermite_e.hermegauss(61)
    weight /= weight.sum()
    scale = (1.0 + SIGNAL_UNCERTAINTY) ** node
    of_each = []
    for i in range(2):
        background = BACKGROUND[i] * np.maximum(0.0, 1.0 + SPREAD[i] * node)
        mean = signal[i] * scale[:, None] + background
        counts = np.arange(largest[i] + 1)[:, None, None]
        of_each.append(stats.poisson.pmf(counts, mean) @ weight)
    return np.einsum("it,jt,t->ij", of_each[0], of_each[1], weight)


@functools.cache
def agrees(n1: int, n2: int, share: float, total: float) -> bool:
    return limits.two_sided_p_value(model_of((n1, n2))(share), total) > 1.0 - LEVEL


@dataclasses.dataclass
class Closure:
    """Counts of the experiments, and which counts have an interval in epsilon that holds the true one."""

    point: tuple[float, float]
    counts: np.ndarray
    expected: np.ndarray
    error: np.ndarray
    sample: SignalSample

    @property
    def share(self) -> float:
        return float(self.expected[0] / self.expected.sum())

    def holds(self, n1: int, n2: int) -> bool:
        """What `epsilon_intervals` asks at the true epsilon."""
        return agrees(n1, n2, self.share, float(self.expected.sum()))

    def intervals(self, n1: int, n2: int, points: int) -> list[tuple[float, float]]:
        grid = self.point[1] * np.geomspace(0.5, 2.0, points)
        return epsilon_intervals(
            lambda epsilon: self.sample.expected(epsilon).expected, model_of((n1, n2)), grid, cl=LEVEL
        )

    def exact_coverage(self) -> float:
        # 2.5 is five standard deviations of the log-normal factor.
        largest = tuple(int(n) for n in stats.poisson.isf(1e-7, 2.5 * self.expected + 2.0 * BACKGROUND))
        table = probabilities(self.expected, largest)
        assert table.sum() > 1.0 - 1e-4
        # Counts of less than one in a million are left out.
        return float(sum(p for (n1, n2), p in np.ndenumerate(table) if p > 1e-6 and self.holds(n1, n2)))


@functools.cache
def acceptance_at(point: tuple[float, float], events: int, seed: int) -> SignalSample:
    return SignalSample.make(CARD, Signal(*point), events=events, work=Work(seed=seed))


def closure(point, experiments: int, seed: int, events: int) -> Closure:
    sample = acceptance_at(point, events, seed + 1)
    here = sample.expected([point[1]])
    counts = signals(point, experiments, seed) + backgrounds(experiments, 1000 + seed)
    return Closure(point, counts, here.expected[0], here.error[0], sample)


def check_counts(result: Closure) -> None:
    """Selected signal and background are the expected ones: four standard errors, false alarm 6e-5 each."""
    experiments = len(result.counts)
    for i in range(2):
        mean = result.expected[i] * np.exp(0.5 * math.log1p(SIGNAL_UNCERTAINTY) ** 2) + BACKGROUND[i]
        # Poisson, spread of the nuisance parameters, error of the simulated acceptance
        variance = (
            mean + (SIGNAL_UNCERTAINTY * result.expected[i]) ** 2 + (SPREAD[i] * BACKGROUND[i]) ** 2
        ) / experiments + result.error[i] ** 2
        assert abs(result.counts[:, i].mean() - mean) < 4.0 * math.sqrt(variance)


def check_coverage(result: Closure, points: int) -> None:
    """The intervals of all experiments; binomial error 0.02 for 200 experiments."""
    experiments = len(result.counts)
    held = 0
    for (n1, n2), number in zip(*np.unique(result.counts, axis=0, return_counts=True), strict=True):
        parts = result.intervals(int(n1), int(n2), points)
        inside = any(low <= result.point[1] <= high for low, high in parts)
        assert inside == result.holds(int(n1), int(n2))
        held += int(number) * inside
    exact = result.exact_coverage()
    print(f"{result.point}: {result.expected} expected, {held} of {experiments} hold, exact {exact:.4f}")
    assert exact > LEVEL - 1e-3  # of the enumeration
    assert stats.binom.cdf(held, experiments, LEVEL) > FALSE_ALARM
    assert stats.binomtest(held, experiments, exact).pvalue > FALSE_ALARM


def check_limits(background: np.ndarray, share: float, treatment) -> None:
    """Observed limits in the expected band, without signal.

    Counts are discrete: at 0.72 events half of the experiments see none and have the lowest limit, so that
    the -2 and -1 sigma ends are this limit, and the band, its ends included, holds more than 68 and 95 %.
    How much is a sum over all counts; the band is the engine's. Limits within 2 % of an end, the accuracy of
    the expected limits, belong to the band.
    """
    table = probabilities(np.zeros(2), (6, 9))
    band = limits.upper_limit(model_of((0, 0))(share), cl=LEVEL, treatment=treatment).expected

    @functools.cache
    def limit(n1: int, n2: int) -> float:
        model = model_of((n1, n2))(share)
        return limits.upper_limit(model, cl=LEVEL, treatment=treatment, expected=False).upper_limit

    for low, high, nominal in (
        (band.minus1, band.plus1, 0.6827),
        (band.minus2, band.plus2, 0.9545),
    ):

        def inside(n1: int, n2: int, low: float = low, high: float = high) -> bool:
            return 0.98 * low <= limit(n1, n2) <= 1.02 * high

        should = sum(p for (n1, n2), p in np.ndenumerate(table) if p > 1e-5 and inside(n1, n2))
        found = sum(inside(int(n1), int(n2)) for n1, n2 in background)
        print(f"{treatment}, share {share:.2f}: {found} in [{low:.3f}, {high:.3f}], should be {should:.4f}")
        assert should > nominal - 1e-3
        assert stats.binomtest(found, len(background), min(1.0, should)).pvalue > FALSE_ALARM


@pytest.mark.slow
def test_one_experiment_from_the_command_line(tmp_path):
    """`simulate pseudodata` with a signal, all classes of background, `analyze`, and the interval in epsilon.

    One period: the toys of RooStats for six bins take a minute. The seed is fixed; of all seeds, one in ten
    has an interval that does not hold the injected epsilon.
    """
    path, output = tmp_path / "data.root", tmp_path / "results"
    eot = ["--eot", "2016=0", "--eot", "2017=0", "--eot", f"2018={CARD.eot!r}"]

    def run(*arguments: str) -> dict:
        command = [sys.executable, "-m", "na64root", *arguments, *eot, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    mass, epsilon = POINTS[1]
    point = ["--inject-mass-GeV", str(mass), "--inject-epsilon", str(epsilon)]
    simulated = run("simulate", "pseudodata", *point, "-o", str(path))
    assert simulated["injected"]["events"] > 30
    small = ["--set", "plane.mass_points=2", "--set", "plane.epsilon_points=8"]
    # Fixed nuisance parameters: a quarter of the toys' time.
    found = run("analyze", str(path), "-o", str(output), "--set", "limit.treatment=none", *small)
    counts = {c["signature"]: c["observed"] for c in found["counts"] if c["period"] == "2018"}
    injected = [c for c in found["candidates"] if c["spillevent"] >= _core.first_signal_number]
    assert 0 < len(injected) <= sum(counts.values()) == len(found["candidates"])
    assert found["interval"]["low"] > 0.0
    sample = acceptance_at(POINTS[1], 20_000, 2)
    result = Closure(POINTS[1], np.empty(0), np.empty(2), np.empty(2), sample)
    ((low, high),) = result.intervals(counts["S1"], counts["S2"], 9)
    assert 0.5 * epsilon <= low < epsilon < high < 2.0 * epsilon


def test_twenty_experiments():
    """The small version; binomial error 0.07."""
    result = closure(POINTS[1], 20, 1, 20_000)
    check_counts(result)
    check_coverage(result, 3)
    check_limits(backgrounds(20, 1001), result.share, "none")


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_intervals_hold_the_injected_epsilon(point):
    result = closure(point, EXPERIMENTS, 2, 100_000)
    check_counts(result)
    check_coverage(result, 9)


@pytest.mark.slow
@pytest.mark.parametrize("treatment", ["none", "hybrid"])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_limits_without_signal_lie_in_the_expected_band(share, treatment):
    check_limits(backgrounds(EXPERIMENTS, 1002), share, treatment)
