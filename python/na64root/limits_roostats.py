"""The paper's method: RooStats toys with the profile likelihood ratio, made right for few events.

Three things go wrong when RooStats is used as it comes at zero or a few events, and are mended here:

* **Ties.** Toys with the same counts as the data have the same value of the statistic, up to the minimiser's
  noise, which decides at random whether they count as "at least as extreme". `TieSafeStatistic` sets a value
  nearer to the observed one than a tolerance far above the noise to exactly that value.
* **Interpolation.** The limit is read from a straight line through ln CLs near the crossing, not from CLs
itself.
* **Brackets.** The scan widens itself until the limit lies inside it.

Toys come in batches, each with its own seed, model and process-independent result, so that the number of
processes changes the time only.
"""

from __future__ import annotations

import contextlib
import functools
import math
import multiprocessing
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import cling
from .config import Treatment
from .errors import ConvergenceError
from .limits import CountingModel
from .results import Expected, LimitResult

# Minuit's tolerance; with it the statistic repeats to 1e-6 (to 1e-3 with the default).
MINIMISER_TOLERANCE = 1e-3
# Differences of -ln(likelihood ratio) below this are noise, two orders of magnitude above what is measured.
TIE_TOLERANCE = 1e-4
# A background of zero is given this many events: RooFit has no logarithm of zero.
SMALLEST_BACKGROUND = 1e-10
# Toys in a batch with signal, and without: CLb, the larger of the two probabilities, needs fewer.
BATCH, BATCH_WITHOUT = 500, 200
# The straight line in ln CLs is fitted to points this near the limit (relative).
WINDOW = 0.25
MOST_ROUNDS = 60

_STATISTIC = """
#include "RooAbsData.h"
#include "RooAbsReal.h"
#include "RooStats/ProfileLikelihoodTestStat.h"
#include <cmath>
#include <stdexcept>

namespace na64root {

// A statistic whose values nearer to the observed one than a tolerance are equal to it. The observed value
// is what the same code gave for the observed data, at the same parameter of interest, before the toys.
class TieSafeStatistic : public RooStats::TestStatistic {
  public:
    TieSafeStatistic(RooStats::TestStatistic &statistic, RooStats::TestStatistic &second_try,
                     const RooAbsData &observed, double tolerance)
        : statistic_(&statistic), second_try_(&second_try), observed_(&observed), tolerance_(tolerance) {}

    double Evaluate(RooAbsData &data, RooArgSet &parameters_of_interest) override {
        const double mu = static_cast<RooAbsReal *>(parameters_of_interest.first())->getVal();
        double value = statistic_->Evaluate(data, parameters_of_interest);
        if (!valid(value)) {
            value = second_try_->Evaluate(data, parameters_of_interest);
            if (!valid(value)) {
                ++failures;
                return 0.0;
            }
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

    RooStats::TestStatistic *statistic_, *second_try_;
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
def _quiet() -> Iterator[None]:
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


def _identifier(name: str) -> str:
    """A name that RooFit's factory accepts."""
    return re.sub(r"\W", "_", name)


def workspace(model: CountingModel, *, treatment: Treatment = "frequentist") -> Any:
    """The model as a RooWorkspace ``na64root``.

    It holds the pdf ``model`` (a RooSimultaneous of one-bin extended channels with their constraints), the
    data
    ``observed``, and the ModelConfigs ``signal_plus_background`` and ``background_only``. The parameter of
    interest
    ``mu`` is the total expected signal. With treatment ``none`` there are no nuisance parameters.
    """
    with _quiet():
        return _build_workspace(model, treatment)


def _build_workspace(model: CountingModel, treatment: Treatment) -> Any:
    root = cling.root()
    w = root.RooWorkspace("na64root", "counting experiment")
    observed = sum(b.observed for b in model.bins)
    background = sum(b.background for b in model.bins)
    w.factory(f"mu[1, 0, {10.0 * (3.0 + observed + background)!r}]")

    nuisances: list[str] = []

    def nuisance(name: str, lowest: float = -8.0) -> str:
        if name not in nuisances:
            w.factory(f"{name}[0, {max(lowest, -8.0)!r}, 8]")
            w.factory(f"nominal_{name}[0, -20, 20]")
            w.var(f"nominal_{name}").setConstant(True)
            w.factory(f"Gaussian::constraint_{name}(nominal_{name}, {name}, 1)")
            nuisances.append(name)
        return name

    channels, observables = [], []
    fixed = treatment == "none"
    for b, share, group in zip(model.bins, model.shares, model.background_groups, strict=True):
        channel = _identifier(b.name)
        parameters, used = ["mu"], []
        signal = f"mu*{share!r}"
        if model.signal_uncertainty > 0.0 and not fixed:
            width = model.signal_uncertainty
            if model.constraint == "lognormal":
                theta = nuisance("theta_signal")
                signal += f"*pow({1.0 + width!r}, {theta})"
            else:
                theta = nuisance("theta_signal", -1.0 / width)
                signal += f"*(1 + {width!r}*{theta})"
            used.append(theta)
        yield_ = repr(max(b.background, SMALLEST_BACKGROUND))
        if b.background_uncertainty > 0.0 and not fixed:
            eta = f"eta_{_identifier(group)}"
            if model.background_constraint == "gaussian":
                # Strictly above zero, where RooFit has no logarithm.
                members = [m for m, g in zip(model.bins, model.background_groups, strict=True) if g == group]
                lowest = max(
                    -m.background / m.background_uncertainty for m in members if m.background_uncertainty
                )
                nuisance(eta, lowest * (1.0 - 1e-9))
                yield_ = f"max({yield_} + {b.background_uncertainty!r}*{eta}, {SMALLEST_BACKGROUND!r})"
            elif model.background_constraint == "lognormal":
                nuisance(eta)
                yield_ = f"{b.background!r}*pow({1.0 + b.background_uncertainty / b.background!r}, {eta})"
            else:
                count = (b.background / b.background_uncertainty) ** 2
                if eta not in nuisances:
                    w.factory(f"{eta}[1, 0, {1.0 + 10.0 / math.sqrt(count)!r}]")
                    w.factory(f"nominal_{eta}[{count!r}, 0, {count + 20.0 * math.sqrt(count) + 50.0!r}]")
                    w.var(f"nominal_{eta}").setConstant(True)
                    w.factory(f"prod::mean_{eta}({count!r}, {eta})")
                    w.factory(f"Poisson::constraint_{eta}(nominal_{eta}, mean_{eta}, 1)")
                    nuisances.append(eta)
                yield_ = f"{b.background!r}*{eta}"
            used.append(eta)
        w.factory(f"expr::rate_{channel}('{signal} + {yield_}', {', '.join(parameters + used)})")
        w.factory(f"Uniform::shape_{channel}(count_{channel}[0, 1])")
        w.var(f"count_{channel}").setBins(1)
        w.factory(f"ExtendPdf::yield_{channel}(shape_{channel}, rate_{channel})")
        constraints = "".join(f", constraint_{name}" for name in used)
        w.factory(f"PROD::model_{channel}(yield_{channel}{constraints})")
        channels.append(channel)
        observables.append(f"count_{channel}")
    w.factory(f"channel[{', '.join(channels)}]")
    w.factory(f"SIMUL::model(channel, {', '.join(f'{c}=model_{c}' for c in channels)})")
    w.Import(_observed_data(w, model, channels), root.RooFit.Rename("observed"))

    names = ",".join(nuisances)
    for name, mu in (("signal_plus_background", 1.0), ("background_only", 0.0)):
        config = root.RooStats.ModelConfig(name, w)
        config.SetPdf("model")
        config.SetObservables(",".join(["channel", *observables]))
        config.SetParametersOfInterest("mu")
        if nuisances:
            config.SetNuisanceParameters(names)
            config.SetGlobalObservables(",".join(f"nominal_{n}" for n in nuisances))
        w.var("mu").setVal(mu)
        config.SetSnapshot(root.RooArgSet(w.var("mu")))
        w.Import(config)
    return w


def _observed_data(w: Any, model: CountingModel, channels: list[str]) -> Any:
    root = cling.root()
    weight = root.RooRealVar("weight", "events", 1.0, 0.0, 1e9)
    index = w.cat("channel")
    row = root.RooArgSet(index)
    for channel in channels:
        row.add(w.var(f"count_{channel}"))
    columns = root.RooArgSet(row)
    columns.add(weight)
    data = root.RooDataSet("observed", "observed counts", columns, root.RooFit.WeightVar(weight))
    for channel, b in zip(channels, model.bins, strict=True):
        index.setLabel(channel)
        for other in channels:
            w.var(f"count_{other}").setVal(0.5)
        data.add(row, float(b.observed))
    return data


@dataclass(frozen=True)
class Toys:
    """The statistic -ln(likelihood ratio) at one mu: of the data, and of toys with and without signal."""

    mu: float
    observed: float
    with_signal: NDArray[np.float64]
    without_signal: NDArray[np.float64]

    def __add__(self, other: Toys) -> Toys:
        # Ties with the observed value stay exact when two batches differ in its last bits.
        def aligned(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.where(values == other.observed, self.observed, values)

        return Toys(
            self.mu,
            self.observed,
            np.concatenate([self.with_signal, aligned(other.with_signal)]),
            np.concatenate([self.without_signal, aligned(other.without_signal)]),
        )

    @property
    def size(self) -> int:
        return len(self.with_signal) + len(self.without_signal)

    def tail(self, threshold: float) -> tuple[int, int]:
        """How many toys with and without signal are at or above a threshold."""
        return int((self.with_signal >= threshold).sum()), int((self.without_signal >= threshold).sum())

    def log_cls(self, threshold: float | None = None) -> tuple[float, float]:
        """ln CLs and its statistical error; (-inf, inf) where no toy with signal is in the tail."""
        with_signal, without_signal = self.tail(self.observed if threshold is None else threshold)
        if with_signal == 0 or without_signal == 0:
            return -math.inf, math.inf
        p, b = with_signal / len(self.with_signal), without_signal / len(self.without_signal)
        variance = (1.0 - p) / with_signal + (1.0 - b) / without_signal
        # One toy more or less is the least that can be told.
        return math.log(p / b), max(math.sqrt(variance), 1.0 / len(self.with_signal))


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
    with _quiet():
        return _run_inverter(batch)


def _run_inverter(batch: _Batch) -> Toys:
    root = cling.root()
    _declare_statistic()
    w = _build_workspace(batch.model, batch.treatment)
    mu = w.var("mu")
    mu.setMax(max(mu.getMax(), 5.0 * batch.mu))
    data = w.data("observed")
    with_signal, background_only = w.obj("signal_plus_background"), w.obj("background_only")
    mu.setVal(batch.mu)
    with_signal.SetSnapshot(root.RooArgSet(mu))
    statistics = [_profile_likelihood(w, with_signal, strategy) for strategy in (0, 2)]
    statistic = root.na64root.TieSafeStatistic(*statistics, data, TIE_TOLERANCE)

    if batch.treatment == "hybrid" and with_signal.GetNuisanceParameters():
        prior = _prior(w, with_signal)
        calculator = root.RooStats.HybridCalculator(data, background_only, with_signal)
        calculator.ForcePriorNuisanceNull(prior)
        calculator.ForcePriorNuisanceAlt(prior)
    else:
        calculator = root.RooStats.FrequentistCalculator(data, background_only, with_signal)
    calculator.SetToys(batch.with_signal, batch.without_signal)
    sampler = calculator.GetTestStatSampler()
    sampler.SetTestStatistic(statistic)
    sampler.SetGenerateBinned(True)
    root.RooRandom.randomGenerator().SetSeed(batch.seed)
    inverter = root.RooStats.HypoTestInverter(calculator)
    inverter.UseCLs(True)
    inverter.SetVerbose(0)
    if not inverter.RunOnePoint(batch.mu) or statistic.failures:
        raise ConvergenceError(
            f"{statistic.failures} fits failed in {batch.with_signal + batch.without_signal} toys at "
            f"mu = {batch.mu:g}: check the model"
        )
    result = inverter.GetInterval().GetResult(0)
    return Toys(
        batch.mu,
        float(statistic.observed_value),
        np.array(result.GetNullDistribution().GetSamplingDistribution()),
        np.array(result.GetAltDistribution().GetSamplingDistribution()),
    )


def _profile_likelihood(w: Any, config: Any, strategy: int) -> Any:
    statistic = cling.root().RooStats.ProfileLikelihoodTestStat(w.pdf("model"))
    statistic.SetOneSided(True)
    statistic.SetPrintLevel(-1)
    statistic.SetStrategy(strategy)
    statistic.SetTolerance(MINIMISER_TOLERANCE)
    if config.GetGlobalObservables():
        statistic.SetGlobalObservables(config.GetGlobalObservables())
    return statistic


def _prior(w: Any, config: Any) -> Any:
    """The product of the constraint terms, as a prior of the nuisance parameters."""
    if not w.pdf("prior"):
        names = ",".join(f"constraint_{p.GetName()}" for p in config.GetNuisanceParameters())
        w.factory(f"PROD::prior({names})")
    return w.pdf("prior")


class _Runner:
    """Runs batches, here or in processes started anew; the seeds follow from the order of the batches."""

    def __init__(self, model: CountingModel, treatment: Treatment, seed: int, processes: int) -> None:
        self.model, self.treatment, self.seed = model, treatment, seed
        self._next = 0
        self._pool: ProcessPoolExecutor | None = None
        if processes > 1:
            self._pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))

    def run(self, points: list[tuple[float, int, int]]) -> list[Toys]:
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
        return list((self._pool.map if self._pool else map)(_run_batch, batches))

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)


@dataclass
class Scan:
    """CLs from toys at several mu, and the limit that follows."""

    cl: float
    treatment: Treatment
    points: dict[float, Toys] = field(default_factory=dict)

    def add(self, toys: Toys) -> None:
        self.points[toys.mu] = self.points[toys.mu] + toys if toys.mu in self.points else toys

    @property
    def toys(self) -> int:
        return sum(point.size for point in self.points.values())

    def crossing(self, threshold: Any = None) -> tuple[float, float] | None:
        """Where ln CLs crosses ln(1 - cl), with its error; None when the scan does not bracket it.

        ``threshold`` maps a Toys to the value of the statistic to be judged; by default the observed one.
        """
        target = math.log1p(-self.cl)
        values = []
        for mu in sorted(self.points):
            point = self.points[mu]
            log_cls, error = point.log_cls(None if threshold is None else threshold(point))
            values.append((mu, log_cls - target, error))
        if not (any(v[1] > 0.0 for v in values) and any(v[1] <= 0.0 for v in values)):
            return None
        known = [v for v in values if abs(v[1]) < 2.0 and math.isfinite(v[2])]
        found = _line_crossing(known)
        if found is None:
            return None
        # ln CLs is nearly straight: far points find the place, near ones, when there are enough, the value.
        near = [v for v in known if abs(v[0] / found[0] - 1.0) < WINDOW]
        refined = _line_crossing(near) if len(near) > 2 else None
        return found if refined is None else refined

    def expected(self) -> Expected:
        """Quantiles over the toys without signal, as in HypoTestInverterResult; None beyond the scan."""
        bands: dict[str, float | None] = {}
        for sigma, name in zip((-2, -1, 0, 1, 2), Expected.model_fields, strict=True):
            fraction = 0.5 * math.erfc(sigma / math.sqrt(2.0))

            def threshold(point: Toys, fraction: float = fraction) -> float:
                return float(np.quantile(point.without_signal, fraction, method="lower"))

            found = self.crossing(threshold)
            bands[name] = None if found is None else found[0]
        return Expected(**bands)

    def result(self) -> LimitResult:
        found = self.crossing()
        if found is None:
            raise ConvergenceError("the scan does not reach the limit (too few toys): raise the precision")
        return LimitResult(
            upper_limit=found[0],
            upper_limit_error=found[1],
            expected=self.expected() if self._wide else Expected(**dict.fromkeys(Expected.model_fields)),
            cl=self.cl,
            method="roostats",
            treatment=self.treatment,
            toys=self.toys,
        )

    _wide: bool = False


def _line_crossing(points: list[tuple[float, float, float]]) -> tuple[float, float] | None:
    """Where a line fitted to (x, y, error) falls through zero, and its error; None when it does not."""
    if len(points) < 2:
        return None
    x, y, error = (np.array(column) for column in zip(*points, strict=True))
    centre = x.mean()
    x = x - centre
    weight = 1.0 / error**2
    s, sx, sxx = weight.sum(), (weight * x).sum(), (weight * x * x).sum()
    sy, sxy = (weight * y).sum(), (weight * x * y).sum()
    determinant = s * sxx - sx * sx
    offset, slope = (sxx * sy - sx * sxy) / determinant, (s * sxy - sx * sy) / determinant
    if slope >= 0.0 or not x.min() <= -offset / slope <= x.max():
        return None
    root = -offset / slope
    variance = (sxx - 2.0 * root * sx + root * root * s) / determinant / slope**2
    return float(centre + root), float(math.sqrt(variance))


def scan(
    model: CountingModel,
    *,
    cl: float,
    treatment: Treatment,
    seed: int,
    processes: int,
    precision: float,
    expected: bool,
) -> Scan:
    """Toys at the mu that matter until the limit is known to the relative ``precision``.

    Raises:
        ConvergenceError: no bracket, precision not reached, or failed fits.
    """
    runner = _Runner(model, treatment, seed, processes)
    try:
        return _scan(runner, cl, precision, expected)
    finally:
        runner.close()


def _scan(runner: _Runner, cl: float, precision: float, expected: bool) -> Scan:
    result = Scan(cl, runner.treatment)
    observed = sum(b.observed for b in runner.model.bins)
    background = sum(b.background for b in runner.model.bins)
    start = max(0.0, observed - background) - math.log1p(-cl) + math.sqrt(observed)
    # A coarse bracket, sure at two standard deviations, as wide as it must be.
    coarse = max(200, round(20.0 / (1.0 - cl)))
    low = high = start
    result.add(runner.run([(start, coarse, coarse)])[0])
    target = math.log1p(-cl)
    for _ in range(MOST_ROUNDS):
        value, error = result.points[low].log_cls()
        if not value - target > 2.0 * error:
            low /= 1.4
            result.add(runner.run([(low, coarse, coarse)])[0])
            continue
        value, error = result.points[high].log_cls()
        if math.isfinite(value) and not value - target < -2.0 * error:
            high *= 1.4
            result.add(runner.run([(high, coarse, coarse)])[0])
            continue
        break
    else:
        raise ConvergenceError(f"no bracket of the limit found in {MOST_ROUNDS} steps: check the model")

    # Batches around the crossing; the three mu stay unless the crossing moves away from them.
    centre, limit = 0.0, math.sqrt(low * high)
    for _ in range(MOST_ROUNDS):
        found = result.crossing()
        if found is not None:
            limit, error = found
            if centre > 0.0 and error <= precision * limit and abs(limit / centre - 1.0) < 0.6 * WINDOW:
                break
        if abs(limit / max(centre, 1e-300) - 1.0) > 0.6 * WINDOW:
            centre = limit
        for toys in runner.run([(factor * centre, BATCH, BATCH_WITHOUT) for factor in (0.85, 1.0, 1.15)]):
            result.add(toys)
    else:
        raise ConvergenceError(
            f"the limit is not known to {precision:g} (too few toys): ask for less precision"
        )
    if expected:
        wide = [limit * factor for factor in (0.6, 0.8, 1.3, 1.6, 2.0, 2.6)]
        for toys in runner.run([(mu, BATCH, 2 * BATCH) for mu in wide]):
            result.add(toys)
        result._wide = True
    return result
