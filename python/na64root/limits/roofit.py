"""The RooFit workspace of a counting model."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

from .. import cling
from ..config import Treatment
from .counting import CountingModel
from .likelihood import Channel, Factor, Likelihood, Nuisance, Yield, likelihood

# A relative uncertainty that changes no limit.
NEGLIGIBLE_UNCERTAINTY = 1e-4


# The range of a count as an observable: toys beyond would be made again.
MOST_IN_A_BIN = 1e9


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
        return built_workspace(model, treatment, configurations)


def built_workspace(
    model: CountingModel, treatment: Treatment, configurations: Sequence[str], *, counted: bool = False
) -> Any:
    """The RooWorkspace of a model, its ModelConfigs as :func:`workspace` describes them.

    Args:
        counted: the counts themselves are the observables, of a product of Poisson probabilities, one row the
            data. It is the same likelihood, of which RooFit makes toys twenty times as fast.

    Raises:
        ConfigError: two bins whose names RooFit would take for one.
    """
    build = _Builder(likelihood(model, treatment), counted)
    root = cling.root()
    w = root.RooWorkspace("na64root", "counting experiment")
    w.Import(build.pdf())
    w.Import(build.data())
    for name in configurations:
        config = root.RooStats.ModelConfig(name, w)
        config.SetPdf("model")
        config.SetObservables(",".join(build.observables))
        config.SetParametersOfInterest("mu")
        if names := [n.name for n in build.likelihood.nuisances]:
            config.SetNuisanceParameters(",".join(names))
            config.SetGlobalObservables(",".join(f"nominal_{n}" for n in names))
        w.var("mu").setVal(0.0 if name == "background_only" else 1.0)
        config.SetSnapshot(root.RooArgSet(w.var("mu")))
        w.Import(config)
    w.var("mu").setVal(1.0)
    return w


class _Builder:
    """Makes a pdf of a likelihood by constructors of RooFit's own classes.

    The factory and formulas start the compiler each time, which would take longer than a batch of toys.
    """

    def __init__(self, likelihood: Likelihood, counted: bool) -> None:
        self.likelihood, self.counted = likelihood, counted
        self._alive: list[Any] = []
        self._parameters: dict[str, Any] = {}
        self._constraints: dict[str, Any] = {}
        self._factors: dict[str, Any] = {}
        self._mu = self._new("RooRealVar", "mu", 1.0, 0.0, likelihood.highest_mu)
        for nuisance in likelihood.nuisances:
            self._add(nuisance)
        self._counts = [self._count(channel) for channel in likelihood.channels]
        self._index = None if counted else cling.root().RooCategory("channel", "channel")

    @property
    def observables(self) -> list[str]:
        """The names of the observables."""
        counts = [count.GetName() for count in self._counts]
        return counts if self.counted else ["channel", *counts]

    def pdf(self) -> Any:
        """The pdf ``model``."""
        root = cling.root()
        channels = list(zip(self.likelihood.channels, self._counts, strict=True))
        if self._index is None:
            terms = [self._new("RooPoisson", f"of_{c.name}", n, self._rate(c)) for c, n in channels]
            return self._new("RooProdPdf", "model", self._list(*terms, *self._constraints.values()))
        for channel, _ in channels:
            self._index.defineType(channel.name)
        pdf = self._new("RooSimultaneous", "model", self._index)
        for channel, count in channels:
            shape = self._new("RooUniform", f"shape_{channel.name}", root.RooArgSet(count))
            terms = [self._new("RooExtendPdf", f"yield_{channel.name}", shape, self._rate(channel))]
            terms += [self._constraints[name] for name in channel.parameters]
            pdf.addPdf(self._new("RooProdPdf", f"model_{channel.name}", self._list(*terms)), channel.name)
        return pdf

    def data(self) -> Any:
        """The observed counts; as a RooSimultaneous has them, an empty channel is a row of weight zero."""
        root = cling.root()
        row = root.RooArgSet()
        if self._index is None:
            for channel, count in zip(self.likelihood.channels, self._counts, strict=True):
                count.setVal(float(channel.observed))
                row.add(count)
            data = root.RooDataSet("observed", "observed counts", row)
            data.add(row)
            return data
        weight = root.RooRealVar("weight", "events", 1.0, 0.0, 1e9)
        for observable in (self._index, *self._counts):
            row.add(observable)
        columns = root.RooArgSet(row)
        columns.add(weight)
        data = root.RooDataSet("observed", "observed counts", columns, root.RooFit.WeightVar(weight))
        for channel in self.likelihood.channels:
            self._index.setLabel(channel.name)
            data.add(row, float(channel.observed))
        return data

    def _new(self, cls: str, name: str, *arguments: Any) -> Any:
        self._alive.append(getattr(cling.root(), cls)(name, name, *arguments))
        return self._alive[-1]

    @staticmethod
    def _list(*items: Any) -> Any:
        collection = cling.root().RooArgList()
        for item in items:
            collection.add(item)
        return collection

    def _constant(self, name: str, value: float) -> Any:
        variable = self._new("RooRealVar", name, value)
        variable.setConstant(True)
        return variable

    def _add(self, nuisance: Nuisance) -> None:
        name, count = nuisance.name, nuisance.count
        parameter = self._new("RooRealVar", name, nuisance.start, nuisance.lowest, nuisance.highest)
        if count:
            ends = 0.0, count + 20.0 * math.sqrt(count) + 50.0
            nominal = self._new("RooRealVar", f"nominal_{name}", nuisance.nominal, *ends)
            factors = self._list(self._constant(f"count_{name}", count), parameter)
            mean = self._new("RooProduct", f"mean_{name}", factors)
            constraint = self._new("RooPoisson", f"constraint_{name}", nominal, mean, True)
        else:
            nominal = self._new("RooRealVar", f"nominal_{name}", 0.0, -20.0, 20.0)
            width = self._constant(f"width_{name}", 1.0)
            constraint = self._new("RooGaussian", f"constraint_{name}", nominal, parameter, width)
        nominal.setConstant(True)
        self._parameters[name], self._constraints[name] = parameter, constraint

    def _count(self, channel: Channel) -> Any:
        if self.counted:
            return self._new("RooRealVar", f"count_{channel.name}", 0.0, 0.0, MOST_IN_A_BIN)
        count = self._new("RooRealVar", f"count_{channel.name}", 0.5, 0.0, 1.0)
        count.setBins(1)
        return count

    def _rate(self, channel: Channel) -> Any:
        signals = [
            self._product(
                _numbered("signal", i, channel),
                [self._mu, self._constant(_numbered("share", i, channel), process.constant)],
                process,
            )
            for i, process in enumerate(channel.signals)
        ]
        backgrounds = [
            self._background(_numbered("background", i, channel), process)
            for i, process in enumerate(channel.backgrounds)
        ]
        return self._new("RooAddition", f"rate_{channel.name}", self._list(*signals, *backgrounds))

    def _product(self, name: str, terms: list[Any], process: Yield) -> Any:
        return self._new("RooProduct", name, self._list(*terms, *(self._factor(f) for f in process.factors)))

    def _background(self, name: str, background: Yield) -> Any:
        if not background.factors:
            return self._constant(name, background.constant)
        if [f.name for f in background.factors] == [name]:
            return self._factor(background.factors[0])
        return self._product(name, [self._constant(f"nominal_{name}", background.constant)], background)

    def _factor(self, factor: Factor) -> Any:
        if factor.name not in self._factors:
            parameter = self._parameters[factor.parameter]
            make = {"power": self._power, "linear": self._linear}.get(factor.kind, self._joined)
            self._factors[factor.name] = make(factor, parameter)
        return self._factors[factor.name]

    def _power(self, factor: Factor, parameter: Any) -> Any:
        """exp(slope x): the exponential interpolation (code 1) between 1/base and base."""
        base = math.exp(factor.slope)
        return self._interpolation(factor.name, parameter, 1.0 / base, base, 1)

    def _interpolation(self, name: str, parameter: Any, low: float, high: float, code: int) -> Any:
        root = cling.root()
        doubles, integers = root.std.vector["double"], root.std.vector["int"]
        self._alive.append(
            root.RooStats.HistFactory.FlexibleInterpVar(
                name,
                name,
                self._list(parameter),
                1.0,
                doubles([low]),
                doubles([high]),
                integers([code]),
            )
        )
        return self._alive[-1]

    def _joined(self, factor: Factor, parameter: Any) -> Any:
        """Two slopes: HistFactory's codes 4 and 4p are RooFit's, that of Combine is a formula of its own."""
        if factor.kind == "histfactory":
            return self._interpolation(
                factor.name, parameter, math.exp(-factor.down), math.exp(factor.slope), 4
            )
        mean, half = 0.5 * (factor.slope + factor.down), 0.5 * (factor.slope - factor.down)
        formula = joined_formula(factor.kind, "@0", *map(repr, (mean, half, factor.slope, factor.down)))
        self._alive.append(cling.root().RooFormulaVar(factor.name, formula, self._list(parameter)))
        return self._alive[-1]

    def _linear(self, factor: Factor, parameter: Any) -> Any:
        if factor.offset == 0.0 and factor.slope == 1.0:
            return parameter
        offset = self._constant(f"{factor.name}_offset", factor.offset)
        slope = self._constant(f"{factor.name}_slope", factor.slope)
        return self._new("RooPolyVar", factor.name, parameter, self._list(offset, slope))


def _numbered(name: str, i: int, channel: Channel) -> str:
    # The number comes first: channels may be called a and a_2.
    return f"{name}{i + 1 if i else ''}_{channel.name}"


def joined_formula(kind: str, x: str, mean: str, half: str, up: str, down: str) -> str:
    """The formula of a factor of :class:`.likelihood.Factor` as RooFit reads it.

    Args:
        kind: ``additive`` or ``combine``.
        x, mean, half, up, down: the parameter, mean and half the difference of the slopes, and the slopes.
    """
    reach = "1.0" if kind == "additive" else "0.5"
    y = f"({x}/{reach})"
    inside = f"{x}*({mean}+({half})*{y}*(15-10*{y}*{y}+3*{y}*{y}*{y}*{y})/8)"
    sides = f"(abs({x})<{reach}?{inside}:({x}>0?({up})*{x}:({down})*{x}))"
    return f"1+{sides}" if kind == "additive" else f"exp({sides})"


def prior_of(w: Any, config: Any) -> Any:
    """The product of the constraint terms, as a prior of the nuisance parameters."""
    if not w.pdf("prior"):
        names = ",".join(f"constraint_{p.GetName()}" for p in config.GetNuisanceParameters())
        w.factory(f"PROD::prior({names})")
    return w.pdf("prior")
