"""The paper's method: RooStats toys with the profile likelihood ratio, made right for few events.

At zero or a few events toys with the same counts as the data have the same value of the statistic, up to the
minimiser's noise, which decides at random whether they count as "at least as extreme". `TieSafeStatistic`
sets a value nearer to the observed one than a tolerance far above the noise to exactly that value. How the
limit is read from the toys is in :mod:`na64root.limits.toy_scan`.

Toys come in batches, each with its own seed, model and process-independent result, so that the number of
processes changes the time only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import cling
from ..config import Criterion, Treatment
from ..errors import ConvergenceError
from ..work import Work, end_with_parent
from .counting import CountingModel
from .likelihood import Likelihood, filled, likelihood
from .roofit import NEGLIGIBLE_UNCERTAINTY, built_workspace, prior_of, quiet
from .toy_scan import Scan, ToyProgress, Toys, find_limit, first_guess

# Minuit's tolerance; with it the statistic repeats to 1e-6 (to 1e-3 with the default).
MINIMISER_TOLERANCE = 1e-3


# Differences of -ln(likelihood ratio) below this are noise, two orders of magnitude above what is measured.
TIE_TOLERANCE = 1e-4


# So many values of each batch, the observed one among them, are compared with RooStats' own.
JUDGED = 10


# Processes take some seconds to start; until toys have taken as long, they are made in this one. What they
# are does not depend on it.
SECONDS_OF_PROCESSES = 5.0


# Of the limit, relative, where no other is asked for: a second or some.
PRECISION = 0.01


# Steps outwards of the search for the end of an interval, relative.
STEP_OF_BRACKET = 1.4


def toys(
    model: CountingModel, treatment: Treatment, mu: float, *, with_signal: int, without_signal: int, seed: int
) -> Toys:
    """Toys at one mu; the result depends on the arguments only."""
    return _run_batch(_Batch(model, treatment, mu, with_signal, without_signal, seed))


@dataclass(frozen=True)
class _Batch:
    model: CountingModel
    treatment: Treatment
    mu: float
    with_signal: int
    without_signal: int
    seed: int


def _run_batch(batch: _Batch) -> Toys:
    """Toys at one mu by HypoTestInverter; depends on the batch only."""
    with quiet():
        w = built_workspace(
            batch.model, batch.treatment, ("signal_plus_background", "background_only"), counted=True
        )
        return _run_inverter(
            w,
            batch.treatment,
            batch.mu,
            batch.with_signal,
            batch.without_signal,
            batch.seed,
            likelihood(batch.model, batch.treatment),
        )


def toys_of_workspace(
    w: Any, treatment: Treatment, mu: float, *, with_signal: int, without_signal: int, seed: int
) -> Toys:
    """Toys of a workspace with the names of `workspace`, for instance one read from a file.

    Fitted by RooStats' own statistic: what the workspace's likelihood is, only RooFit knows.
    """
    with quiet():
        return _run_inverter(w, treatment, mu, with_signal, without_signal, seed, None)


def _run_inverter(
    w: Any,
    treatment: Treatment,
    tested: float,
    number_with: int,
    number_without: int,
    seed: int,
    known: Likelihood | None,
) -> Toys:
    """Toys by HypoTestInverter, fitted by the core where the likelihood is ``known`` (of counts)."""
    root = cling.root()
    mu = w.var("mu")
    mu.setMax(max(mu.getMax(), 5.0 * tested))
    data = w.data("observed")
    with_signal, background_only = w.obj("signal_plus_background"), w.obj("background_only")
    mu.setVal(tested)
    with_signal.SetSnapshot(root.RooArgSet(mu))
    statistic, _tries = _tie_safe_statistic(w, with_signal, known, one_sided=True)

    # Own by nobody but this function; without, the calculator makes one of its own.
    sampler = None if known is None else _counted_toys(w, known, statistic, number_with + number_without)
    models = (data, background_only, with_signal, *(() if sampler is None else (sampler,)))
    if treatment == "hybrid" and with_signal.GetNuisanceParameters():
        prior = prior_of(w, with_signal)
        calculator = root.RooStats.HybridCalculator(*models)
        calculator.ForcePriorNuisanceNull(prior)
        calculator.ForcePriorNuisanceAlt(prior)
    else:
        calculator = root.RooStats.FrequentistCalculator(*models)
    calculator.SetToys(number_with, number_without)
    sampler = calculator.GetTestStatSampler()
    sampler.SetTestStatistic(statistic)
    if known is None:
        sampler.SetGenerateBinned(True)
    else:
        sampler.SetNEventsPerToy(1)
        sampler.SetUseMultiGen(True)
    root.RooRandom.randomGenerator().SetSeed(seed)
    inverter = root.RooStats.HypoTestInverter(calculator)
    inverter.UseCLs(True)
    inverter.SetVerbose(0)
    if not inverter.RunOnePoint(tested) or statistic.failures:
        raise ConvergenceError(
            f"{statistic.failures} fits failed in {number_with + number_without} toys at mu = {tested:g}: "
            "check the model"
        )
    if statistic.disagreements:
        raise ConvergenceError(
            f"the fit of the toys is not that of RooStats in {statistic.disagreements} of {JUDGED} toys at "
            f"mu = {tested:g} (a likelihood with two maxima, or a bug): report this model"
        )
    result = inverter.GetInterval().GetResult(0)
    return Toys(
        tested,
        float(statistic.observed_value),
        np.array(result.GetNullDistribution().GetSamplingDistribution()),
        np.array(result.GetAltDistribution().GetSamplingDistribution()),
    )


def bayesian_limit(model: CountingModel, *, cl: float) -> float:
    """The upper limit of RooStats' BayesianCalculator with a flat prior in mu; a cross-check.

    Nuisance parameters are integrated numerically over their constraints.
    """
    if not model.signal_uncertainty and not any(b.background_uncertainty for b in model.bins):
        # Without nuisance parameters the calculator takes another way, on which it returns the prior's
        # quantile whatever the data (ROOT 6.40).
        model = dataclasses.replace(model, signal_uncertainty=NEGLIGIBLE_UNCERTAINTY)
    with quiet():
        root = cling.root()
        w = built_workspace(model, "frequentist", ("signal_plus_background",))
        mu = w.var("mu")
        observed = sum(b.observed for b in model.bins)
        # Far enough for the posterior to vanish; a whole number, which the scan holds without rounding.
        mu.setMax(math.ceil(observed + 6.0 * math.sqrt(observed + 1.0) - 4.0 * math.log1p(-cl)))
        prior = root.RooUniform("prior_mu", "flat prior", root.RooArgSet(mu))
        config = w.obj("signal_plus_background")
        config.SetPriorPdf(prior)
        calculator = root.RooStats.BayesianCalculator(w.data("observed"), config)
        calculator.SetConfidenceLevel(cl)
        calculator.SetLeftSideTailFraction(0.0)
        calculator.SetScanOfPosterior(200)
        found = calculator.GetInterval()
        if not found:
            raise ConvergenceError(
                "the posterior could not be integrated (RooStats gave none): check the model"
            )
        return float(found.UpperLimit())


def _tie_safe_statistic(
    w: Any, config: Any, known: Likelihood | None, *, one_sided: bool
) -> tuple[Any, list[Any]]:
    """The statistic, and its tries, which it does not own: keep them as long.

    Of a known likelihood the core's fit is asked first, and RooStats' own are its judges. Where their free
    fit ends above the conditional one (one toy in a thousand, in flat valleys), other minimisations take
    other ways down.
    """
    root = cling.root()
    cling.declare_header("test_statistics.hpp")
    auxiliary = config.GetGlobalObservables()
    statistics = []
    for minimiser, strategy in (("Minuit2", 0), ("Minuit", 2), ("Minuit2", 2)):
        statistic = root.RooStats.ProfileLikelihoodTestStat(w.pdf("model"))
        statistic.SetOneSided(one_sided)
        statistic.SetPrintLevel(-1)
        statistic.SetMinimizer(minimiser)
        statistic.SetStrategy(strategy)
        statistic.SetTolerance(MINIMISER_TOLERANCE)
        if auxiliary:
            statistic.SetGlobalObservables(auxiliary)
        statistics.append(statistic)
    statistics.append(
        root.na64root.ContinuedFit(
            w.pdf("model"), auxiliary or root.RooArgSet(), MINIMISER_TOLERANCE, one_sided
        )
    )
    tries = root.std.vector["RooStats::TestStatistic *"]()
    for statistic in statistics:
        tries.push_back(statistic)
    statistic = root.na64root.TieSafeStatistic(tries, w.pdf("model"), w.data("observed"), TIE_TOLERANCE)
    if known is not None:
        counts, _, measured, _ = _variables(w, known)
        of_core = filled(root.na64root.ProfileLikelihood(), known)
        statistics.append(root.na64root.CountedFit(of_core, counts, measured, one_sided))
        statistic.ask_first(statistics[-1], JUDGED)
    return statistic, statistics


def _variables(w: Any, known: Likelihood) -> tuple[Any, Any, Any, Any]:
    """Counts, rates, auxiliary measurements and their parameters: of the pdf, in the likelihood's order."""
    counts, rates, measured, parameters = (cling.root().RooArgList() for _ in range(4))
    for channel in known.channels:
        counts.add(w.var(f"count_{channel.name}"))
        rates.add(w.function(f"rate_{channel.name}"))
    for nuisance in known.nuisances:
        measured.add(w.var(f"nominal_{nuisance.name}"))
        parameters.add(w.var(nuisance.name))
    return counts, rates, measured, parameters


def _counted_toys(w: Any, known: Likelihood, statistic: Any, number: int) -> Any:
    root = cling.root()
    means = root.std.vector["double"]([nuisance.count for nuisance in known.nuisances])
    return root.na64root.CountedToys(statistic, number, *_variables(w, known), means)


class _Runner:
    """Runs batches, here, in processes started anew or in those of others, as of a cluster.

    The seeds follow from the order of the batches.
    """

    def __init__(self, model: CountingModel, treatment: Treatment, work: Work) -> None:
        self.model, self.treatment, self.seed = model, treatment, work.seed
        self._next = 0
        self._pool, self._own = work.executor, work.executor is None
        self._threads, self._spent = work.threads, 0.0
        self.progress = ToyProgress(work.reporting("RooStats toys"))

    def run(self, points: Sequence[tuple[float, int, int]]) -> list[Toys]:
        """Toys for each (mu, number with signal, number without)."""
        batches = []
        for mu, with_signal, without_signal in points:
            state = np.random.SeedSequence([self.seed, self._next]).generate_state(1)
            # RooFit takes zero for "random seed".
            batches.append(
                _Batch(
                    self.model,
                    self.treatment,
                    mu,
                    with_signal,
                    without_signal,
                    1 + int(state[0]) % (2**31 - 2),
                )
            )
            self._next += 1
        if self._own and self._pool is None and self._threads > 1 and self._spent >= SECONDS_OF_PROCESSES:
            self._start()
        started, made = time.monotonic(), []
        for toys in (self._pool.map if self._pool and len(batches) > 1 else map)(_run_batch, batches):
            made.append(toys)
            self.progress.add(toys.size)
        self._spent += time.monotonic() - started
        return made

    def _start(self) -> None:
        self._pool = ProcessPoolExecutor(
            self._threads,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=end_with_parent,
            initargs=(os.getpid(),),
        )
        # They load ROOT together.
        for _ in range(self._threads):
            self._pool.submit(cling.declare_header, "test_statistics.hpp")

    def close(self) -> None:
        self.progress.close()
        if self._pool and self._own:
            self._pool.shutdown(cancel_futures=True)


def scan_toys(
    model: CountingModel,
    *,
    cl: float,
    treatment: Treatment,
    work: Work,
    precision: float,
    expected: bool,
    criterion: Criterion = "cls",
) -> Scan:
    """Toys at the mu that matter until the limit is known to the relative ``precision``.

    Raises:
        ConvergenceError: no bracket, precision not reached, or failed fits.
    """
    start, band = first_guess(model, cl)
    result = Scan(cl, treatment, criterion)
    with work.connected() as connected, contextlib.closing(_Runner(model, treatment, connected)) as runner:
        find_limit(
            runner.run,
            result,
            start=start,
            precision=precision,
            expected=band if expected else None,
            progress=runner.progress,
        )
    return result


def feldman_cousins_interval(
    model: CountingModel, *, cl: float, seed: int = 1, toys: int = 2000, precision: float = 0.02
) -> tuple[float, float]:
    """The two-sided interval (low, high) of RooStats' NeymanConstruction on the total signal; a cross-check.

    Ordered by the likelihood ratio: Feldman and Cousins, PRD 57, 3873 (1998). RooStats::FeldmanCousins makes
    the same construction, on a grid over the range of mu only. Nuisance parameters stay at their values
    fitted for each mu. Both ends are found by bisection to ``precision``, relative to the upper one; with
    2000 ``toys`` at a point they fluctuate by a few per cent.

    Raises:
        ConvergenceError: no interval found, or failed fits.
    """
    with quiet():
        known = likelihood(model, "frequentist")
        w = built_workspace(model, "frequentist", ("signal_plus_background",), counted=True)
        cling.root().RooRandom.randomGenerator().SetSeed(seed)
        observed = sum(b.observed for b in model.bins)
        best = max(0.0, observed - sum(b.background for b in model.bins))
        high = best + math.sqrt(observed) - math.log1p(-cl)
        inside = best
        for _ in range(20):
            if not _feldman_cousins_holds(w, known, high, cl, toys):
                break
            inside, high = high, STEP_OF_BRACKET * high
        else:
            raise ConvergenceError(f"no end of the interval below mu = {high:g}: check the model")
        tolerance = precision * high
        while high - inside > tolerance:
            middle = 0.5 * (inside + high)
            inside, high = (
                (middle, high) if _feldman_cousins_holds(w, known, middle, cl, toys) else (inside, middle)
            )
        upper = 0.5 * (inside + high)
        if best == 0.0 or _feldman_cousins_holds(w, known, 0.0, cl, toys):
            return 0.0, upper
        low, inside = 0.0, best
        while inside - low > tolerance:
            middle = 0.5 * (low + inside)
            low, inside = (
                (low, middle) if _feldman_cousins_holds(w, known, middle, cl, toys) else (middle, inside)
            )
        return 0.5 * (low + inside), upper


def _feldman_cousins_holds(w: Any, known: Likelihood, tested: float, cl: float, toys: int) -> bool:
    """Whether the interval at this level holds mu = tested."""
    root = cling.root()
    mu, data, config = w.var("mu"), w.data("observed"), w.obj("signal_plus_background")
    mu.setMax(max(mu.getMax(), 5.0 * tested))
    mu.setVal(tested)
    nuisances, auxiliary = config.GetNuisanceParameters(), config.GetGlobalObservables()
    parameters = root.RooArgSet(mu)
    if nuisances:
        parameters.add(nuisances)
        mu.setConstant(True)
        w.pdf("model").fitTo(data, GlobalObservables=auxiliary, PrintLevel=-1)
        mu.setConstant(False)
    points = root.RooDataSet("point", "parameters to test", parameters)
    points.add(parameters)
    tie_safe, _tries = _tie_safe_statistic(w, config, known, one_sided=False)
    sampler = root.RooStats.ToyMCSampler(tie_safe, toys)
    sampler.SetPdf(w.pdf("model"))
    sampler.SetObservables(config.GetObservables())
    sampler.SetParametersForTestStat(root.RooArgSet(mu))
    sampler.SetNEventsPerToy(1)
    sampler.SetUseMultiGen(True)
    if auxiliary:
        sampler.SetGlobalObservables(auxiliary)
    construction = root.RooStats.NeymanConstruction(data, config)
    construction.SetTestStatSampler(sampler)
    construction.SetParameterPointsToTest(points)
    construction.SetConfidenceLevel(cl)
    construction.SetLeftSideTailFraction(0.0)
    found = construction.GetInterval()
    if not found or tie_safe.failures:
        raise ConvergenceError(f"{tie_safe.failures} fits failed at mu = {tested:g}: check the model")
    return int(found.GetParameterPoints().numEntries()) > 0
