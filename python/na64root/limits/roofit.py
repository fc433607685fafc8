"""The RooFit workspace of a counting model."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from .. import cling
from ..config import Treatment
from ..errors import ConfigError
from .counting import CountingModel

# A relative uncertainty that changes no limit.
NEGLIGIBLE_UNCERTAINTY = 1e-4


# A background of zero is given this many events: RooFit has no logarithm of zero.
SMALLEST_BACKGROUND = 1e-10


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
        return built_workspace(model, treatment, configurations)


def built_workspace(model: CountingModel, treatment: Treatment, configurations: Sequence[str]) -> Any:
    """The RooWorkspace of a model, its ModelConfigs as :func:`workspace` describes them.

    Raises:
        ConfigError: two bins whose names RooFit would take for one.
    """
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


def prior_of(w: Any, config: Any) -> Any:
    """The product of the constraint terms, as a prior of the nuisance parameters."""
    if not w.pdf("prior"):
        names = ",".join(f"constraint_{p.GetName()}" for p in config.GetNuisanceParameters())
        w.factory(f"PROD::prior({names})")
    return w.pdf("prior")
