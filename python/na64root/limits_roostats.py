"""The paper's method: RooStats toys with the profile likelihood ratio, made right for few events.

At zero or a few events toys with the same counts as the data have the same value of the statistic, up to the
minimiser's noise, which decides at random whether they count as "at least as extreme". `TieSafeStatistic`
sets a value nearer to the observed one than a tolerance far above the noise to exactly that value. How the
limit is read from the toys is in :mod:`na64root.toy_scan`.

Toys come in batches, each with its own seed, model and process-independent result, so that the number of
processes changes the time only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import multiprocessing
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import cling
from .config import Criterion, Treatment
from .counting import CountingModel
from .errors import ConfigError, ConvergenceError
from .toy_scan import Scan, Toys, find_limit

# Minuit's tolerance; with it the statistic repeats to 1e-6 (to 1e-3 with the default).
MINIMISER_TOLERANCE = 1e-3
# Differences of -ln(likelihood ratio) below this are noise, two orders of magnitude above what is measured.
TIE_TOLERANCE = 1e-4
# A relative uncertainty that changes no limit.
NEGLIGIBLE_UNCERTAINTY = 1e-4
# Steps outwards of the search for the end of an interval, relative.
STEP_OF_BRACKET = 1.4
# A background of zero is given this many events: RooFit has no logarithm of zero.
SMALLEST_BACKGROUND = 1e-10

_STATISTIC = """
#include "RooAbsData.h"
#include "RooAbsPdf.h"
#include "RooGlobalFunc.h"
#include "RooMinimizer.h"
#include "RooRealVar.h"
#include "RooStats/ProfileLikelihoodTestStat.h"
#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <vector>

namespace na64root {

// The profile likelihood ratio with the free fit begun where the conditional one ended. It takes
// other ways through flat valleys than ProfileLikelihoodTestStat, whose free fit is the first.
class ContinuedFit : public RooStats::TestStatistic {
  public:
    ContinuedFit(RooAbsPdf &pdf, const RooArgSet &auxiliary, double tolerance, bool one_sided)
        : pdf_(pdf), auxiliary_(auxiliary), tolerance_(tolerance), one_sided_(one_sided) {}

    double Evaluate(RooAbsData &data, RooArgSet &parameters_of_interest) override {
        const auto *tested = static_cast<RooAbsReal *>(parameters_of_interest.first());
        std::unique_ptr<RooArgSet> parameters{pdf_.getParameters(data)};
        RooArgSet before;
        parameters->snapshot(before);
        auto &mu = static_cast<RooRealVar &>((*parameters)[tested->GetName()]);
        RooArgSet constrained{*parameters};
        constrained.remove(auxiliary_, true, true);
        std::unique_ptr<RooAbsReal> nll{
            pdf_.createNLL(data, RooFit::CloneData(false), RooFit::Constrain(constrained),
                           RooFit::GlobalObservables(auxiliary_))};
        const auto minimum = [&] {
            RooMinimizer minimiser(*nll);
            minimiser.setPrintLevel(-1);
            minimiser.setEps(tolerance_);
            minimiser.setStrategy(2);
            minimiser.minimize("Minuit2", "Migrad");
            return nll->getVal();
        };
        mu.setVal(tested->getVal());
        mu.setConstant(true);
        const double conditional = minimum();
        mu.setConstant(false);
        const double free = minimum();
        const double fitted = mu.getVal();
        parameters->assign(before);
        const double ratio = conditional - free;
        return one_sided_ && fitted > tested->getVal() ? std::min(0.0, ratio) : ratio;
    }

    const TString GetVarName() const override { return "-ln(likelihood ratio)"; }

  private:
    RooAbsPdf &pdf_;
    RooArgSet auxiliary_;
    double tolerance_;
    bool one_sided_;
};

// A statistic whose values nearer to the observed one than a tolerance are equal to it. The observed value
// is what the same code gave for the observed data, at the same parameter of interest, before the toys.
class TieSafeStatistic : public RooStats::TestStatistic {
  public:
    // `tries` are the same statistic by different minimisations: the next is asked where one failed, which is
    // where a free fit ended above the conditional one, or stepped over the end of a parameter's range by the
    // last bit, of which RooFit makes an exception.
    TieSafeStatistic(const std::vector<RooStats::TestStatistic *> &tries, const RooAbsPdf &pdf,
                     const RooAbsData &observed, double tolerance)
        : tries_(tries), variables_(pdf.getVariables()), observed_(&observed), tolerance_(tolerance) {}

    double Evaluate(RooAbsData &data, RooArgSet &parameters_of_interest) override {
        const double mu = static_cast<RooAbsReal *>(parameters_of_interest.first())->getVal();
        double value = std::nan("");
        RooArgSet before;
        variables_->snapshot(before);
        for (RooStats::TestStatistic *statistic : tries_) {
            if (valid(value))
                break;
            try {
                value = statistic->Evaluate(data, parameters_of_interest);
            } catch (const std::invalid_argument &) {
                variables_->assign(before);
            }
        }
        if (!valid(value)) {
            ++failures;
            return 0.0;
        }
        value = value > 0.0 ? value : 0.0;
        if (&data == observed_) {
            observed_value = value;
            observed_mu_ = mu;
            return value;
        }
        if (mu != observed_mu_)
            throw std::logic_error("a toy was evaluated before the observed data");
        return std::abs(value - observed_value) < tolerance_ ? observed_value : value;
    }

    const TString GetVarName() const override { return "-ln(likelihood ratio)"; }

    double observed_value = std::nan("");
    int failures = 0;

  private:
    bool valid(double value) const { return value > -10.0 * tolerance_ && std::isfinite(value); }

    std::vector<RooStats::TestStatistic *> tries_;
    std::unique_ptr<RooArgSet> variables_;
    const RooAbsData *observed_;
    double tolerance_;
    double observed_mu_ = std::nan("");
};

} // namespace na64root
"""


@functools.cache
def _declare_statistic() -> None:
    cling.declare(_STATISTIC)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """RooFit, RooStats and Minuit say nothing inside; what was set before is restored."""
    root = cling.root()
    service = root.RooMsgService.instance()
    level, ignore = service.globalKillBelow(), root.gErrorIgnoreLevel
    silent, printing = service.silentMode(), root.Math.MinimizerOptions.DefaultPrintLevel()
    service.setGlobalKillBelow(root.RooFit.FATAL)
    service.setSilentMode(True)
    root.gErrorIgnoreLevel = root.kFatal
    root.Math.MinimizerOptions.SetDefaultPrintLevel(-1)
    try:
        yield
    finally:
        service.setGlobalKillBelow(level)
        service.setSilentMode(silent)
        root.gErrorIgnoreLevel = ignore
        root.Math.MinimizerOptions.SetDefaultPrintLevel(printing)


def identifier(name: str) -> str:
    """A name that RooFit's factory and Combine accept."""
    word = re.sub(r"\W", "_", name)
    return word if word[:1].isalpha() else f"bin_{word}"


def workspace(
    model: CountingModel,
    *,
    treatment: Treatment = "frequentist",
    configurations: Sequence[str] = ("signal_plus_background", "background_only"),
) -> Any:
    """The model as a RooWorkspace ``na64root``.

    It holds the pdf ``model`` (a RooSimultaneous of one-bin extended channels with their constraints), the
    data ``observed``, and the ModelConfigs ``signal_plus_background`` and ``background_only``. The parameter
    of interest ``mu`` is the total expected signal. With treatment ``none`` there are no nuisance parameters.

    Raises:
        ConfigError: two bins whose names are the same to RooFit.
    """
    with quiet():
        return _build_workspace(model, treatment, configurations)


def _build_workspace(model: CountingModel, treatment: Treatment, configurations: Sequence[str]) -> Any:
    if len({identifier(b.name) for b in model.bins}) < len(model.bins):
        raise ConfigError(
            "two bins have the same name but for punctuation (RooFit has letters only): rename one"
        )
    root = cling.root()
    # Built by constructors of RooFit's own classes: the factory and formulas start the compiler each time,
    # which would take longer than a batch of toys.
    alive: list[Any] = []

    def new(cls: str, name: str, *arguments: Any) -> Any:
        alive.append(getattr(root, cls)(name, name, *arguments))
        return alive[-1]

    def arguments(*items: Any) -> Any:
        collection = root.RooArgList()
        for item in items:
            collection.add(item)
        return collection

    def constant(name: str, value: float) -> Any:
        variable = new("RooRealVar", name, value)
        variable.setConstant(True)
        return variable

    nuisances: dict[str, tuple[Any, Any]] = {}

    def nuisance(name: str, lowest: float = -8.0) -> Any:
        if name not in nuisances:
            parameter = new("RooRealVar", name, 0.0, max(lowest, -8.0), 8.0)
            nominal = new("RooRealVar", f"nominal_{name}", 0.0, -20.0, 20.0)
            nominal.setConstant(True)
            width = constant(f"width_{name}", 1.0)
            constraint = new("RooGaussian", f"constraint_{name}", nominal, parameter, width)
            nuisances[name] = parameter, constraint
        return nuisances[name][0]

    def counted_nuisance(name: str, count: float) -> Any:
        if name not in nuisances:
            parameter = new("RooRealVar", name, 1.0, 0.0, 1.0 + 10.0 / math.sqrt(count))
            nominal = new("RooRealVar", f"nominal_{name}", count, 0.0, count + 20.0 * math.sqrt(count) + 50.0)
            nominal.setConstant(True)
            mean = new("RooProduct", f"mean_{name}", arguments(constant(f"count_{name}", count), parameter))
            nuisances[name] = parameter, new("RooPoisson", f"constraint_{name}", nominal, mean, True)
        return nuisances[name][0]

    def power(name: str, base: float, exponent: Any) -> Any:
        """base^exponent: the exponential interpolation (code 1) between 1/base and base."""
        doubles, integers = root.std.vector["double"], root.std.vector["int"]
        factor = root.RooStats.HistFactory.FlexibleInterpVar(
            name, name, arguments(exponent), 1.0, doubles([1.0 / base]), doubles([base]), integers([1])
        )
        alive.append(factor)
        return factor

    def linear(name: str, offset: float, slope: float, variable: Any) -> Any:
        coefficients = arguments(constant(f"{name}_offset", offset), constant(f"{name}_slope", slope))
        return new("RooPolyVar", name, variable, coefficients)

    fixed = treatment == "none"
    events = sum(b.observed + b.background for b in model.bins)
    mu = new("RooRealVar", "mu", 1.0, 0.0, 10.0 * (3.0 + events))
    delta = 0.0 if fixed else model.signal_uncertainty

    def signal_scale(name: str, delta: float) -> Any:
        if model.constraint == "lognormal":
            return power(f"scale_{name}", 1.0 + delta, nuisance(f"theta_{name}"))
        return linear(f"scale_{name}", 1.0, delta, nuisance(f"theta_{name}", -1.0 / delta))

    scale = signal_scale("signal", delta) if delta > 0.0 else None

    index = root.RooCategory("channel", "channel")
    for b in model.bins:
        index.defineType(identifier(b.name))
    pdf = new("RooSimultaneous", "model", index)
    counts = []
    for b, share, group, own in zip(
        model.bins, model.shares, model.background_groups, model.bin_signal_uncertainties, strict=True
    ):
        channel, eta = identifier(b.name), f"eta_{identifier(group)}"
        name, used = f"background_{channel}", []
        factors = [mu, constant(f"share_{channel}", share)]
        if scale is not None:
            factors.append(scale)
            used.append("theta_signal")
        if own > 0.0 and share > 0.0 and not fixed:
            factors.append(signal_scale(f"signal_{channel}", own))
            used.append(f"theta_signal_{channel}")
        signal = new("RooProduct", f"signal_{channel}", arguments(*factors))
        if b.background_uncertainty == 0.0 or fixed:
            background = constant(name, max(b.background, SMALLEST_BACKGROUND))
        else:
            used.append(eta)
            relative = b.background_uncertainty / max(b.background, SMALLEST_BACKGROUND)
            if model.background_constraint == "gaussian":
                members = [m for m, g in zip(model.bins, model.background_groups, strict=True) if g == group]
                # Strictly above zero, where RooFit has no logarithm.
                lowest = max(
                    -m.background / m.background_uncertainty for m in members if m.background_uncertainty
                )
                parameter = nuisance(eta, lowest + SMALLEST_BACKGROUND)
                background = linear(name, b.background, b.background_uncertainty, parameter)
            else:
                if model.background_constraint == "lognormal":
                    factor = power(f"scale_{name}", 1.0 + relative, nuisance(eta))
                else:
                    factor = counted_nuisance(eta, relative**-2)
                background = new(
                    "RooProduct", name, arguments(constant(f"nominal_{name}", b.background), factor)
                )
        rate = new("RooAddition", f"rate_{channel}", arguments(signal, background))
        count = new("RooRealVar", f"count_{channel}", 0.5, 0.0, 1.0)
        count.setBins(1)
        counts.append(count)
        shape = new("RooUniform", f"shape_{channel}", root.RooArgSet(count))
        terms = [new("RooExtendPdf", f"yield_{channel}", shape, rate)]
        terms += [nuisances[parameter][1] for parameter in used]
        pdf.addPdf(new("RooProdPdf", f"model_{channel}", arguments(*terms)), channel)

    w = root.RooWorkspace("na64root", "counting experiment")
    w.Import(pdf)
    w.Import(_observed_data(model, index, counts))
    names = ",".join(nuisances)
    for name in configurations:
        config = root.RooStats.ModelConfig(name, w)
        config.SetPdf("model")
        config.SetObservables(",".join(["channel", *(c.GetName() for c in counts)]))
        config.SetParametersOfInterest("mu")
        if nuisances:
            config.SetNuisanceParameters(names)
            config.SetGlobalObservables(",".join(f"nominal_{n}" for n in nuisances))
        w.var("mu").setVal(0.0 if name == "background_only" else 1.0)
        config.SetSnapshot(root.RooArgSet(w.var("mu")))
        w.Import(config)
    w.var("mu").setVal(1.0)
    return w


def _observed_data(model: CountingModel, index: Any, counts: list[Any]) -> Any:
    """One row per bin, with the count as its weight: an empty bin is a row of weight zero."""
    root = cling.root()
    weight = root.RooRealVar("weight", "events", 1.0, 0.0, 1e9)
    row = root.RooArgSet(index)
    for count in counts:
        row.add(count)
    columns = root.RooArgSet(row)
    columns.add(weight)
    data = root.RooDataSet("observed", "observed counts", columns, root.RooFit.WeightVar(weight))
    for b in model.bins:
        index.setLabel(identifier(b.name))
        data.add(row, float(b.observed))
    return data


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
    w = workspace(batch.model, treatment=batch.treatment)
    return toys_of_workspace(
        w,
        batch.treatment,
        batch.mu,
        with_signal=batch.with_signal,
        without_signal=batch.without_signal,
        seed=batch.seed,
    )


def toys_of_workspace(
    w: Any, treatment: Treatment, mu: float, *, with_signal: int, without_signal: int, seed: int
) -> Toys:
    """Toys of a workspace with the names of `workspace`, for instance one read from a file."""
    with quiet():
        return _run_inverter(w, treatment, mu, with_signal, without_signal, seed)


def _run_inverter(
    w: Any, treatment: Treatment, tested: float, number_with: int, number_without: int, seed: int
) -> Toys:
    root = cling.root()
    mu = w.var("mu")
    mu.setMax(max(mu.getMax(), 5.0 * tested))
    data = w.data("observed")
    with_signal, background_only = w.obj("signal_plus_background"), w.obj("background_only")
    mu.setVal(tested)
    with_signal.SetSnapshot(root.RooArgSet(mu))
    statistic, _tries = _tie_safe_statistic(w, with_signal, one_sided=True)

    if treatment == "hybrid" and with_signal.GetNuisanceParameters():
        prior = _prior(w, with_signal)
        calculator = root.RooStats.HybridCalculator(data, background_only, with_signal)
        calculator.ForcePriorNuisanceNull(prior)
        calculator.ForcePriorNuisanceAlt(prior)
    else:
        calculator = root.RooStats.FrequentistCalculator(data, background_only, with_signal)
    calculator.SetToys(number_with, number_without)
    sampler = calculator.GetTestStatSampler()
    sampler.SetTestStatistic(statistic)
    sampler.SetGenerateBinned(True)
    root.RooRandom.randomGenerator().SetSeed(seed)
    inverter = root.RooStats.HypoTestInverter(calculator)
    inverter.UseCLs(True)
    inverter.SetVerbose(0)
    if not inverter.RunOnePoint(tested) or statistic.failures:
        raise ConvergenceError(
            f"{statistic.failures} fits failed in {number_with + number_without} toys at mu = {tested:g}: "
            "check the model"
        )
    result = inverter.GetInterval().GetResult(0)
    return Toys(
        tested,
        float(statistic.observed_value),
        np.array(result.GetNullDistribution().GetSamplingDistribution()),
        np.array(result.GetAltDistribution().GetSamplingDistribution()),
    )


def asymptotic_limit(w: Any, *, cl: float) -> float:
    """The observed CLs limit of RooStats' AsymptoticCalculator; a cross-check at many events.

    Raises:
        ConvergenceError: no bracket found.
    """
    with quiet():
        return _asymptotic_limit(w, cl)


def _asymptotic_limit(w: Any, cl: float) -> float:
    root = cling.root()
    config = w.obj("signal_plus_background")
    mu = w.var("mu")
    background_only = w.obj("background_only")
    if not background_only:
        background_only = config.Clone("background_only")
        mu.setVal(0.0)
        background_only.SetSnapshot(root.RooArgSet(mu))
    root.RooStats.AsymptoticCalculator.SetPrintLevel(-1)
    calculator = root.RooStats.AsymptoticCalculator(w.data("observed"), background_only, config)
    calculator.SetOneSided(True)
    inverter = root.RooStats.HypoTestInverter(calculator)
    inverter.UseCLs(True)
    inverter.SetVerbose(0)

    def excess(tested: float) -> float:
        inverter.Clear()
        if not inverter.RunOnePoint(tested):
            raise ConvergenceError(f"the fit at mu = {tested:g} failed: check the model")
        return float(inverter.GetInterval().GetResult(0).CLs()) - (1.0 - cl)

    low, high = 0.05, 1.0
    while excess(high) > 0.0:
        low, high = high, 1.5 * high
        if high > mu.getMax():
            raise ConvergenceError(f"no limit below mu = {mu.getMax():g}: widen the range of mu")
    while high / low - 1.0 > 1e-4:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if excess(middle) > 0.0 else (low, middle)
    return math.sqrt(low * high)


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
        w = _build_workspace(model, "frequentist", ("signal_plus_background",))
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


def _tie_safe_statistic(w: Any, config: Any, *, one_sided: bool) -> tuple[Any, list[Any]]:
    """The statistic, and its tries, which it does not own: keep them as long.

    Where the free fit ends above the conditional one (one toy in a thousand, in flat valleys), other
    minimisations take other ways down.
    """
    root = cling.root()
    _declare_statistic()
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
    return statistic, statistics


def _prior(w: Any, config: Any) -> Any:
    """The product of the constraint terms, as a prior of the nuisance parameters."""
    if not w.pdf("prior"):
        names = ",".join(f"constraint_{p.GetName()}" for p in config.GetNuisanceParameters())
        w.factory(f"PROD::prior({names})")
    return w.pdf("prior")


class _Runner:
    """Runs batches, here, in processes started anew or in those of others, as of a cluster.

    The seeds follow from the order of the batches.
    """

    def __init__(
        self, model: CountingModel, treatment: Treatment, seed: int, processes: int, others: Executor | None
    ) -> None:
        self.model, self.treatment, self.seed = model, treatment, seed
        self._next = 0
        self._pool, self._own = others, others is None
        if others is None and processes > 1:
            self._pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
            # They load ROOT while the first batches, which come one at a time, run here.
            for _ in range(processes):
                self._pool.submit(_declare_statistic)

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
        return list((self._pool.map if self._pool and len(batches) > 1 else map)(_run_batch, batches))

    def close(self) -> None:
        if self._pool and self._own:
            self._pool.shutdown(cancel_futures=True)


def scan(
    model: CountingModel,
    *,
    cl: float,
    treatment: Treatment,
    seed: int,
    processes: int,
    precision: float,
    expected: bool,
    criterion: Criterion = "cls",
    executor: Executor | None = None,
) -> Scan:
    """Toys at the mu that matter until the limit is known to the relative ``precision``.

    Raises:
        ConvergenceError: no bracket, precision not reached, or failed fits.
    """
    observed = sum(b.observed for b in model.bins)
    background = sum(b.background for b in model.bins)
    start = max(0.0, observed - background) - math.log1p(-cl) + math.sqrt(observed)
    # From below the limit of no event seen to above that of an upward fluctuation by two standard deviations.
    least = -math.log1p(-cl)
    band = 0.5 * least, 1.4 * (background + 2.5 * math.sqrt(background) + 1.5 * least)
    result = Scan(cl, treatment, criterion)
    runner = _Runner(model, treatment, seed, processes, executor)
    try:
        find_limit(runner.run, result, start=start, precision=precision, expected=band if expected else None)
    finally:
        runner.close()
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
        w = _build_workspace(model, "frequentist", ("signal_plus_background",))
        cling.root().RooRandom.randomGenerator().SetSeed(seed)
        observed = sum(b.observed for b in model.bins)
        best = max(0.0, observed - sum(b.background for b in model.bins))
        high = best + math.sqrt(observed) - math.log1p(-cl)
        inside = best
        for _ in range(20):
            if not _feldman_cousins_holds(w, high, cl, toys):
                break
            inside, high = high, STEP_OF_BRACKET * high
        else:
            raise ConvergenceError(f"no end of the interval below mu = {high:g}: check the model")
        tolerance = precision * high
        while high - inside > tolerance:
            middle = 0.5 * (inside + high)
            inside, high = (middle, high) if _feldman_cousins_holds(w, middle, cl, toys) else (inside, middle)
        upper = 0.5 * (inside + high)
        if best == 0.0 or _feldman_cousins_holds(w, 0.0, cl, toys):
            return 0.0, upper
        low, inside = 0.0, best
        while inside - low > tolerance:
            middle = 0.5 * (low + inside)
            low, inside = (low, middle) if _feldman_cousins_holds(w, middle, cl, toys) else (middle, inside)
        return 0.5 * (low + inside), upper


def _feldman_cousins_holds(w: Any, tested: float, cl: float, toys: int) -> bool:
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
    tie_safe, _tries = _tie_safe_statistic(w, config, one_sided=False)
    sampler = root.RooStats.ToyMCSampler(tie_safe, toys)
    sampler.SetPdf(w.pdf("model"))
    sampler.SetObservables(config.GetObservables())
    sampler.SetParametersForTestStat(root.RooArgSet(mu))
    sampler.SetGenerateBinned(True)
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
