"""The counting model in the formats that others read: one function per format.

==============  ==================================================================================
format          what it is
==============  ==================================================================================
``workspace``   ROOT file with the RooWorkspace ``na64root`` (pdf, data, ModelConfigs)
``hs3``         HS3 JSON (HEP Statistics Serialization Standard), written by RooFit
``pyhf``        HistFactory JSON for pyhf; its default interpolations are exactly this model
``datacard``    text datacard of CMS Combine
==============  ==================================================================================
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .. import cling
from ..errors import ConfigError, Na64Error
from ..records import Provenance, ResultsFolder
from .counting import Bin, CountingModel
from .likelihood import identifier, likelihood
from .model_record import ModelRecord
from .named_sources import Effect, NamedSource
from .roofit import MOST_IN_A_BIN, quiet, workspace


def write_workspace(model: CountingModel, path: Path, comment: str = "") -> None:
    """A ROOT file with the workspace `na64root`; read it with TFile::Open(...)->Get("na64root").

    Its title is the comment.
    """
    with quiet():
        w = workspace(model)
        if comment:
            w.SetTitle(comment)
        with cling.new_file(path) as file:
            file.WriteObject(w, w.GetName())


def write_hs3(model: CountingModel, path: Path, comment: str = "") -> None:
    """HS3 JSON by RooJSONFactoryWSTool; the comment in `metadata.description`.

    What only RooFit has (extended pdfs of uniform shapes, its interpolations and polynomials) is replaced by
    Poisson distributions and formulas of the standard, which RooFit reads too.
    """
    with quiet():
        # Of several ModelConfigs of one pdf the tool would keep the last only.
        w = workspace(model, configurations=("signal_plus_background",))
        with cling.literal_output(path) as name:
            if not cling.root().RooJSONFactoryWSTool(w).exportJSON(name):
                raise Na64Error(f"cannot write {path} (RooFit refused it): choose another output")
    try:
        record = json.loads(path.read_text("utf-8"))
    except ValueError:  # RooFit does not say that it was cut off
        raise cling.no_room() from None
    if comment:
        record.setdefault("metadata", {})["description"] = comment
    path.write_text(json.dumps(_of_the_standard(record), indent=1) + "\n", "utf-8")


def _of_the_standard(record: dict[str, Any]) -> dict[str, Any]:
    """What RooFit wrote, with distributions and functions of the standard; names stay."""

    def function(of: dict[str, Any]) -> dict[str, Any]:
        if of["type"] == "polynomial":
            offset, slope = of["coefficients"]
            expression = f"{offset}+{slope}*{of['x']}"
        elif of["type"] == "interpolation0d" and of["interpolationCodes"] == [1]:
            expression = f"exp({math.log(of['high'][0])!r}*{of['vars'][0]})"
        else:
            return of
        return {"name": of["name"], "type": "generic_function", "expression": expression}

    def distribution(of: dict[str, Any]) -> dict[str, Any]:
        if of["type"] != "extend_pdf":
            return of
        count = shapes[of["pdf"]]["x"][0]
        return {
            "name": of["name"], "type": "poisson_dist", "mean": of["norm"], "x": count, "integer": False
        }  # fmt: skip

    shapes = {of["name"]: of for of in record["distributions"] if of["type"] == "uniform_dist"}
    counts = {of["x"][0] for of in shapes.values()}
    record["functions"] = [function(of) for of in record["functions"]]
    record["distributions"] = [distribution(of) for of in record["distributions"] if of["name"] not in shapes]
    for data in record["data"]:
        data |= {"type": "unbinned", "entries": [data.pop("contents")]}
        for axis in data["axes"]:
            del axis["nbins"]
    ranges = [axis for data in record["data"] for axis in data["axes"]]
    ranges += [axis for domain in record["domains"] for axis in domain["axes"]]
    ranges += [value for point in record["parameter_points"] for value in point["parameters"]]
    for of in ranges:
        if of["name"] in counts:
            of["max"] = MOST_IN_A_BIN
    return record


def pyhf_specification(model: CountingModel) -> dict[str, Any]:
    """The model as a pyhf workspace; the parameter of interest `mu` is the total expected signal.

    A gaussian uncertainty is a `histosys` (linear in its pull), a lognormal one a `normsys` (exponential), a
    gamma one a `shapesys` (auxiliary count). Bounds keep yields from falling below zero.

    Raises:
        ConfigError: a gamma source of several processes, of a signal or of no event, or two gaussian
            uncertainties of one process, which would add and not multiply: pyhf has none of them.
    """
    largest = 10.0 * (3.0 + sum(b.observed + b.background for b in model.bins))
    bounds = {"mu": [0.0, largest]}
    _require_single_counts(model)
    named = _effects_by_process(model)
    channels = []
    for b, share, group, own in zip(
        model.bins, model.shares, model.background_groups, model.bin_signal_uncertainties, strict=True
    ):
        samples = []
        for process, part in b.signals.items():
            nominal = share * part / b.signal_fraction if share else 0.0
            modifiers: list[dict[str, Any]] = [{"name": "mu", "type": "normfactor", "data": None}]
            for theta, delta in (
                ("theta_signal", model.signal_uncertainty),
                (f"theta_signal_{b.name}", own),
            ):
                if delta > 0.0:
                    modifiers.append(_pyhf_modifier(theta, model.constraint, nominal, delta * nominal))
                    if model.constraint == "gaussian":
                        bounds[theta] = [-min(5.0, 1.0 / delta), 5.0]
            samples.append((process, nominal, modifiers))
        for process, part in b.backgrounds.items():
            modifiers = []
            name, sigma = f"eta_{group}", b.background_uncertainty
            if sigma > 0.0 and model.background_constraint == "gamma":
                modifiers.append({"name": name, "type": "shapesys", "data": [sigma]})
            elif sigma > 0.0:
                modifiers.append(_pyhf_modifier(name, model.background_constraint, part, sigma))
                if model.background_constraint == "gaussian":
                    lowest = max(-part / sigma, bounds.get(name, [-5.0])[0])
                    bounds[name] = [lowest, 5.0]
            samples.append((process, part, modifiers))
        for process, nominal, modifiers in samples:
            for source, effect in named.get((b.name, process), ()):
                modifiers.append(_pyhf_source(source, effect, nominal, bounds))
            if sum(m["type"] == "histosys" for m in modifiers) > 1:
                raise ConfigError(
                    f"two gaussian uncertainties of {process} in {b.name} (pyhf would add them): export hs3 "
                    "or workspace"
                )
        channels.append(
            {
                "name": b.name,
                "samples": [
                    {"name": process, "data": [nominal], "modifiers": modifiers}
                    for process, nominal, modifiers in samples
                ],
            }
        )
    parameters = [{"name": name, "bounds": [values]} for name, values in bounds.items()]
    return {
        "channels": channels,
        "observations": [{"name": b.name, "data": [float(b.observed)]} for b in model.bins],
        "measurements": [{"name": "na64root", "config": {"poi": "mu", "parameters": parameters}}],
        "version": "1.0.0",
    }


def _effects_by_process(model: CountingModel) -> dict[tuple[str, str], list[tuple[NamedSource, Effect]]]:
    found: dict[tuple[str, str], list[tuple[NamedSource, Effect]]] = {}
    for source in model.named_sources:
        for effect in source.effects:
            found.setdefault((effect.bin, effect.process), []).append((source, effect))
    return found


def _require_single_counts(model: CountingModel) -> None:
    """Raise ConfigError where pyhf has no such count."""
    groups = model.background_groups
    for b, group in zip(model.bins, groups, strict=True):
        if model.background_constraint == "gamma" and b.background_uncertainty and groups.count(group) > 1:
            raise ConfigError(
                f"bins share the gamma background {group} (pyhf cannot share it): export hs3 or workspace"
            )
    for source in model.named_sources:
        if source.shape == "gamma" and (source.count == 0.0 or len(source.effects) > 1):
            raise ConfigError(
                f"the count of source {source.name} is of no event or several processes (pyhf has no such "
                "count): export hs3 or workspace"
            )


def _pyhf_modifier(name: str, constraint: str, nominal: float, sigma: float) -> dict[str, Any]:
    if constraint == "gaussian":
        ends: dict[str, Any] = {"hi_data": [nominal + sigma], "lo_data": [nominal - sigma]}
        return {"name": name, "type": "histosys", "data": ends}
    scale = 1.0 + sigma / nominal if nominal > 0.0 else 1.0
    return {"name": name, "type": "normsys", "data": {"hi": scale, "lo": 1.0 / scale}}


def _pyhf_source(
    source: NamedSource, effect: Effect, nominal: float, bounds: dict[str, list[float]]
) -> dict[str, Any]:
    if source.shape == "gamma":
        return {"name": source.name, "type": "shapesys", "data": [nominal / math.sqrt(source.count)]}
    if source.shape == "lognormal":
        low = 1.0 / effect.up if effect.down is None else effect.down
        return {"name": source.name, "type": "normsys", "data": {"hi": effect.up, "lo": low}}
    up, down = source.slopes(effect)
    lowest, highest = bounds.get(source.name, [-5.0, 5.0])
    bounds[source.name] = [
        max(lowest, -1.0 / down) if down > 0.0 else lowest,
        min(highest, -1.0 / up) if up < 0.0 else highest,
    ]
    ends = {"hi_data": [nominal * (1.0 + up)], "lo_data": [nominal * (1.0 - down)]}
    return {"name": source.name, "type": "histosys", "data": ends}


def write_pyhf(model: CountingModel, path: Path, comment: str = "") -> None:
    """pyhf JSON, see `pyhf_specification`. The comment is the name of its measurement."""
    specification = pyhf_specification(model)
    if name := " ".join(filter(None, [comment, *approximations(model, "pyhf")])):
        specification["measurements"][0]["name"] = name
    path.write_text(json.dumps(specification, indent=1) + "\n", "utf-8")


# In a datacard, for a background of zero.
SMALLEST_OF_COMBINE = 1e-6


class _Card:
    """A datacard while it is written: columns, and the lines under them."""

    def __init__(self, model: CountingModel) -> None:
        self.model = model
        likelihood(model, "frequentist")  # it refuses names that would be one
        self.names = {b.name: identifier(b.name) for b in model.bins}
        self.rates: dict[tuple[str, str], float] = {}
        self.is_signal: dict[str, bool] = {}
        self.lines: list[str] = []
        self.formulas: list[str] = []
        self.parameters: dict[str, list[float]] = {}
        for b, share in zip(model.bins, model.shares, strict=True):
            for process, part in b.signals.items():
                self._add(b, process, share * part / b.signal_fraction if share else 0.0, True)
            for process, part in b.backgrounds.items():
                self._add(b, process, part, False)
            # Combine accepts no bin without background.
            if b.background == 0.0:
                self.rates[b.name, next(iter(b.backgrounds))] = SMALLEST_OF_COMBINE

    def _add(self, b: Bin, process: str, rate: float, is_signal: bool) -> None:
        if self.is_signal.setdefault(process, is_signal) != is_signal:
            raise ConfigError(
                f"{process} is signal in one bin and background in another (Combine numbers a process once): "
                "rename one"
            )
        self.rates[b.name, process] = rate

    def row(self, name: str, kind: str, entries: dict[tuple[str, str], str]) -> None:
        self.lines.append(" ".join([name, kind, *(entries.get(place, "-") for place in self.rates)]))

    def linear(
        self, name: str, place: tuple[str, str], formula: str, parameter: str, lowest: float, highest: float
    ) -> None:
        """A rate times a formula of a normal parameter within a range, which is that of all its formulas."""
        where, process = place
        bin_name = where if where == "*" else self.names[where]
        self.formulas.append(f"{name} rateParam {bin_name} {identifier(process)} {formula} {parameter}")
        ends = self.parameters.setdefault(parameter, [-8.0, 8.0])
        ends[:] = [max(ends[0], lowest), min(ends[1], highest)]

    def source(self, source: NamedSource) -> None:
        """The lines of a named source.

        Raises:
            ConfigError: what Combine cannot hold.
        """
        word = identifier(source.name)
        if source.shape == "gamma":
            if source.count != round(source.count):
                raise _no_whole_count(source.name, source.count)
            self.row(
                word,
                f"gmN {round(source.count)}",
                {(e.bin, e.process): f"{e.up:.17g}" for e in source.effects},
            )
        elif source.shape == "lognormal":
            entries = {
                (e.bin, e.process): f"{e.up:.10g}" if e.down is None else f"{e.down:.10g}/{e.up:.10g}"
                for e in source.effects
            }
            self.row(word, "lnN", entries)
        else:
            for e in source.effects:
                up, down = source.slopes(e)
                if up != down:
                    raise ConfigError(
                        f"source {source.name} is gaussian with two sides (Combine has none for counts): "
                        "export hs3 or workspace"
                    )
                ends = sorted((-1.0 / up, math.inf)) if up > 0.0 else (-math.inf, -1.0 / up)
                formula = f"(1.0+{up:.10g}*@0)" if up >= 0.0 else f"(1.0{up:.10g}*@0)"
                name = f"scale_{word}_{self.names[e.bin]}_{identifier(e.process)}"
                self.linear(name, (e.bin, e.process), formula, word, *ends)

    def text(self) -> str:
        """All lines."""
        signals = [p for p, is_signal in self.is_signal.items() if is_signal]
        backgrounds = [p for p, is_signal in self.is_signal.items() if not is_signal]
        numbers = {p: -i for i, p in enumerate(signals)} | {p: i for i, p in enumerate(backgrounds, 1)}
        head = [
            "# Counting experiment written by na64root; r is the total expected number of signal events.",
            *(
                f"# The background of {self.names[b.name]} is zero; as Combine needs one, it is "
                f"{SMALLEST_OF_COMBINE:g} events."
                for b in self.model.bins
                if b.background == 0.0 and b.background_uncertainty == 0.0
            ),
            *(f"# {line}" for line in approximations(self.model, "datacard")),
            f"imax {len(self.names)}",
            f"jmax {len(self.is_signal) - 1}",
            "kmax *",
            "-" * 40,
            "bin " + " ".join(self.names.values()),
            "observation " + " ".join(str(int(b.observed)) for b in self.model.bins),
            "-" * 40,
            "bin " + " ".join(self.names[name] for name, _ in self.rates),
            "process " + " ".join(identifier(process) for _, process in self.rates),
            "process " + " ".join(str(numbers[process]) for _, process in self.rates),
            "rate " + " ".join(f"{rate:.10g}" for rate in self.rates.values()),
            "-" * 40,
        ]
        parameters = [
            f"{name} param 0 1 [{low + 0.0:.10g},{high:.10g}]"
            for name, (low, high) in self.parameters.items()
        ]
        return "\n".join([*head, *self.lines, *parameters, *self.formulas]) + "\n"


def datacard(model: CountingModel) -> str:
    """The model as a Combine datacard; the parameter of interest `r` is the total expected signal.

    A lognormal uncertainty is a `lnN` line, a gaussian one a `rateParam` with its `param`, a gamma one `gmN`.
    Combine accepts no bin without background: there it is a millionth of an event, which a comment says.

    Raises:
        ConfigError: a gamma uncertainty whose auxiliary count is not a whole number, which Combine requires;
            a gaussian one with two sides; a process that is signal here and background there.
    """
    card = _Card(model)
    sources: list[tuple[str, list[Bin], float]] = [
        ("theta_signal", list(model.bins), model.signal_uncertainty)
    ]
    for b, own in zip(model.bins, model.bin_signal_uncertainties, strict=True):
        sources.append((f"theta_signal_{card.names[b.name]}", [b], own))
    for theta, members, delta in sources:
        if delta == 0.0:
            continue
        places = [(b.name, process) for b in members for process in b.signals]
        if model.constraint == "lognormal":
            card.row(theta, "lnN", dict.fromkeys(places, f"{1.0 + delta:.10g}"))
            continue
        processes = list(dict.fromkeys(process for _, process in places))
        for process in processes:
            where = "*" if len(members) == len(model.bins) else members[0].name
            name = f"scale_{theta}" + (f"_{identifier(process)}" if len(processes) > 1 else "")
            card.linear(name, (where, process), f"(1.0+{delta:.10g}*@0)", theta, -1.0 / delta, math.inf)
    for group in dict.fromkeys(model.background_groups):
        uncertain = [
            b
            for b, g in zip(model.bins, model.background_groups, strict=True)
            if g == group and b.background_uncertainty > 0.0
        ]
        if uncertain:
            _datacard_group(f"eta_{identifier(group)}", uncertain, card)
    for source in model.named_sources:
        card.source(source)
    return card.text()


def _datacard_group(eta: str, members: list[Bin], card: _Card) -> None:
    constraint = card.model.background_constraint
    places = {b.name: (b.name, next(iter(b.backgrounds))) for b in members}
    if constraint == "lognormal":
        factors = {places[b.name]: f"{1.0 + b.background_uncertainty / b.background:.10g}" for b in members}
        card.row(eta, "lnN", factors)
    elif constraint == "gamma":
        count = (members[0].background / members[0].background_uncertainty) ** 2
        if abs(count - round(count)) > 1e-6:
            raise _no_whole_count(eta, count)
        events = {places[b.name]: f"{b.background / round(count):.17g}" for b in members}
        card.row(eta, f"gmN {round(count)}", events)
    else:
        for b in members:
            # The rate is one, and the formula holds the yield.
            card.rates[places[b.name]] = 1.0
            formula = f"({b.background:.10g}+{b.background_uncertainty:.10g}*@0)"
            lowest = -b.background / b.background_uncertainty
            card.linear(f"background_{card.names[b.name]}", places[b.name], formula, eta, lowest, math.inf)


def _no_whole_count(name: str, count: float) -> ConfigError:
    return ConfigError(
        f"the gamma background {name} has auxiliary count {count:.6g} (Combine needs whole ones): export "
        "hs3 or workspace"
    )


def approximations(model: CountingModel, form: str) -> list[str]:
    """What a format holds in another way than the model, one line for each source."""
    found = []
    for source in model.named_sources:
        if source.shape != "lognormal" or source.is_symmetric:
            continue
        if form == "datacard" and source.interpolation == "histfactory":
            found.append(
                f"Approximation: the two sides of {source.name} are joined within half a standard deviation, "
                "as Combine does; in the model within one."
            )
        elif form == "pyhf" and source.interpolation == "combine":
            found.append(
                f"Approximation: the two sides of {source.name} are joined within one standard deviation, as "
                "pyhf does; in the model within half of one."
            )
    return found


def write_datacard(model: CountingModel, path: Path, comment: str = "") -> None:
    """Combine datacard, see `datacard`."""
    path.write_text((f"# {comment}\n" if comment else "") + datacard(model), "utf-8")


# The record of the export itself, in the folder of the formats.
RECORD = "export.json"


FORMATS: dict[str, tuple[str, Callable[[CountingModel, Path, str], None]]] = {
    "workspace": ("workspace.root", write_workspace),
    "hs3": ("hs3.json", write_hs3),
    "pyhf": ("pyhf.json", write_pyhf),
    "datacard": ("datacard.txt", write_datacard),
}


def export(
    model: CountingModel,
    results: ResultsFolder,
    *,
    formats: Iterable[str] = tuple(FORMATS),
    comment: str = "",
) -> dict[str, Path]:
    """Write the model in these formats; returns the file of each. Files appear only when they are complete.

    With `force` the files of the former export in other formats go: they hold another model.

    Args:
        comment: a line of text to have in each of them.

    Raises:
        ConfigError: an unknown format, or a model that a format cannot hold.
        Na64Error: a file exists and is not to be replaced, or cannot be written.
    """
    formats = list(formats)
    for name in formats:
        if name not in FORMATS:
            raise ConfigError(f"unknown format {name} (known: {', '.join(FORMATS)}): choose one of them")
    # Nothing is written where one of several is in the way.
    names = [*(FORMATS[name][0] for name in formats), *_of_former_export(results)]
    results.require(names)
    with results.replacing(dict.fromkeys(names)) as folder:
        for name in formats:
            file_name, write = FORMATS[name]
            write(model, folder / file_name, comment)
    return {name: results.path / FORMATS[name][0] for name in formats}


def _of_former_export(results: ResultsFolder) -> list[str]:
    """Files here that the record of the export which is here names, where they may be replaced."""
    if not results.force:
        return []
    try:
        named = json.loads((results.path / RECORD).read_text("utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    known = {name for name, _ in FORMATS.values()}
    files = named.values() if isinstance(named, dict) else ()
    written = [Path(file).name for file in files if isinstance(file, str)]
    return [name for name in written if name in known and (results.path / name).is_file()]


class Exported(ModelRecord):
    """The result of `na64root export`: the file of each format, and the model that they hold.

    `counts` are the bins with yields in events; `signal_fraction` is a bin's share of the total expected
    signal, `signal_uncertainty` is relative. `blind` and `notes` are of the selection of input
    files. Where nothing is observed (blinded, weighted simulation) a note and the files say what stands in.
    """

    files: dict[str, str]
    notes: list[str]
    blind: bool = False
    provenance: Provenance
