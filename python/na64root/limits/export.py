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
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .. import cling
from ..errors import ConfigError, Na64Error
from ..records import Provenance, ResultsFolder
from .counting import Bin, CountingModel
from .likelihood import identifier
from .model_record import ModelRecord
from .roofit import quiet, workspace


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
    """HS3 JSON by RooJSONFactoryWSTool, for its importJSON; the comment in `metadata.description`."""
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
        path.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def pyhf_specification(model: CountingModel) -> dict[str, Any]:
    """The model as a pyhf workspace; the parameter of interest `mu` is the total expected signal.

    A gaussian uncertainty is a `histosys` (linear in its pull), a lognormal one a `normsys` (exponential), a
    gamma one a `shapesys` (auxiliary count). Bounds keep yields from falling below zero.

    Raises:
        ConfigError: a gamma background shared by several bins, or two gaussian uncertainties of one signal,
            which would add and not multiply: pyhf has neither.
    """
    if (
        model.constraint == "gaussian"
        and model.signal_uncertainty > 0.0
        and any(model.bin_signal_uncertainties)
    ):
        raise ConfigError(
            "two gaussian uncertainties of one signal (pyhf would add them): export hs3 or workspace"
        )
    largest = 10.0 * (3.0 + sum(b.observed + b.background for b in model.bins))
    channels, bounds = [], {"mu": [0.0, largest]}
    for b, share, group, own in zip(
        model.bins, model.shares, model.background_groups, model.bin_signal_uncertainties, strict=True
    ):
        signal: list[dict[str, Any]] = [{"name": "mu", "type": "normfactor", "data": None}]
        for theta, delta in (("theta_signal", model.signal_uncertainty), (f"theta_signal_{b.name}", own)):
            if delta > 0.0:
                signal.append(_pyhf_modifier(theta, model.constraint, share, delta * share))
                if model.constraint == "gaussian":
                    bounds[theta] = [-min(5.0, 1.0 / delta), 5.0]
        background: list[dict[str, Any]] = []
        name, sigma = f"eta_{group}", b.background_uncertainty
        if sigma > 0.0 and model.background_constraint == "gamma":
            if model.background_groups.count(group) > 1:
                raise ConfigError(
                    f"bins share the gamma background {group} (pyhf cannot share it): export hs3 or workspace"
                )
            background.append({"name": name, "type": "shapesys", "data": [sigma]})
        elif sigma > 0.0:
            background.append(_pyhf_modifier(name, model.background_constraint, b.background, sigma))
            if model.background_constraint == "gaussian":
                lowest = max(-b.background / sigma, bounds.get(name, [-5.0])[0])
                bounds[name] = [lowest, 5.0]
        channels.append(
            {
                "name": b.name,
                "samples": [
                    {"name": "signal", "data": [share], "modifiers": signal},
                    {"name": "background", "data": [b.background], "modifiers": background},
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


def _pyhf_modifier(name: str, constraint: str, nominal: float, sigma: float) -> dict[str, Any]:
    if constraint == "gaussian":
        ends: dict[str, Any] = {"hi_data": [nominal + sigma], "lo_data": [nominal - sigma]}
        return {"name": name, "type": "histosys", "data": ends}
    scale = 1.0 + sigma / nominal if nominal > 0.0 else 1.0
    return {"name": name, "type": "normsys", "data": {"hi": scale, "lo": 1.0 / scale}}


def write_pyhf(model: CountingModel, path: Path, comment: str = "") -> None:
    """pyhf JSON, see `pyhf_specification`. The comment is the name of its measurement."""
    specification = pyhf_specification(model)
    if comment:
        specification["measurements"][0]["name"] = comment
    path.write_text(json.dumps(specification, indent=1) + "\n", "utf-8")


# In a datacard, for a background of zero.
SMALLEST_OF_COMBINE = 1e-6


def datacard(model: CountingModel) -> str:
    """The model as a Combine datacard; the parameter of interest `r` is the total expected signal.

    A lognormal uncertainty is a `lnN` line, a gaussian one a `rateParam` with its `param`, a gamma one `gmN`.
    Combine accepts no bin without background: there it is a millionth of an event, which a comment says.

    Raises:
        ConfigError: a gamma uncertainty whose auxiliary count is not a whole number, which Combine requires.
    """
    names = [identifier(b.name) for b in model.bins]
    columns = [(name, process) for name in names for process in ("signal", "background")]
    rates = [
        f"{x:.10g}"
        for b, f in zip(model.bins, model.shares, strict=True)
        for x in (f, max(b.background, SMALLEST_OF_COMBINE))
    ]
    # What a rateParam scales has the rate 1, and the formula holds the yield.
    formulas: list[str] = []
    lines: list[str] = []
    sources = [("theta_signal", range(len(names)), model.signal_uncertainty)]
    for i, own in enumerate(model.bin_signal_uncertainties):
        sources.append((f"theta_signal_{names[i]}", range(i, i + 1), own))
    for theta, members_of, delta in sources:
        if delta == 0.0:
            continue
        if model.constraint == "lognormal":
            entries = ["-"] * (2 * len(names))
            for i in members_of:
                entries[2 * i] = f"{1.0 + delta:.10g}"
            lines.append(_row(theta, "lnN", entries))
        else:
            channel = "*" if len(members_of) == len(names) else names[members_of[0]]
            formulas.append(f"scale_{theta} rateParam {channel} signal (1.0+{delta:.10g}*@0) {theta}")
            lines.append(f"{theta} param 0 1 [{-min(8.0, 1.0 / delta):.10g},8]")
    for group in dict.fromkeys(model.background_groups):
        members = [
            (i, b)
            for i, (b, g) in enumerate(zip(model.bins, model.background_groups, strict=True))
            if g == group and b.background_uncertainty > 0.0
        ]
        if members:
            _datacard_group(f"eta_{identifier(group)}", members, model, names, rates, formulas, lines)
    head = [
        "# Counting experiment written by na64root; r is the total expected number of signal events.",
        *(
            f"# The background of {name} is zero; as Combine needs one, it is {SMALLEST_OF_COMBINE:g} events."
            for name, b in zip(names, model.bins, strict=True)
            if b.background == 0.0 and b.background_uncertainty == 0.0
        ),
        f"imax {len(names)}",
        "jmax 1",
        "kmax *",
        "-" * 40,
        "bin " + " ".join(names),
        "observation " + " ".join(str(int(b.observed)) for b in model.bins),
        "-" * 40,
        "bin " + " ".join(name for name, _ in columns),
        "process " + " ".join(process for _, process in columns),
        "process " + " ".join("0" if process == "signal" else "1" for _, process in columns),
        "rate " + " ".join(rates),
        "-" * 40,
    ]
    return "\n".join([*head, *lines, *formulas]) + "\n"


def _row(name: str, kind: str, entries: Iterable[str]) -> str:
    return " ".join([name, kind, *entries])


def _datacard_group(
    eta: str,
    members: list[tuple[int, Bin]],
    model: CountingModel,
    names: list[str],
    rates: list[str],
    formulas: list[str],
    lines: list[str],
) -> None:
    entries = ["-"] * (2 * len(names))
    if model.background_constraint == "lognormal":
        for i, b in members:
            entries[2 * i + 1] = f"{1.0 + b.background_uncertainty / b.background:.10g}"
        lines.append(_row(eta, "lnN", entries))
    elif model.background_constraint == "gamma":
        count = (members[0][1].background / members[0][1].background_uncertainty) ** 2
        if abs(count - round(count)) > 1e-6:
            raise ConfigError(
                f"the gamma background {eta} has auxiliary count {count:.6g} (Combine needs whole ones): "
                "export hs3 or workspace"
            )
        for i, b in members:
            entries[2 * i + 1] = f"{b.background / round(count):.17g}"
        lines.append(_row(eta, f"gmN {round(count)}", entries))
    else:
        lowest = max(-b.background / b.background_uncertainty for _, b in members)
        for i, b in members:
            rates[2 * i + 1] = "1"
            yield_ = f"({b.background:.10g}+{b.background_uncertainty:.10g}*@0)"
            formulas.append(f"background_{names[i]} rateParam {names[i]} background {yield_} {eta}")
        lines.append(f"{eta} param 0 1 [{max(lowest, -8.0):.10g},8]")


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
    names = [FORMATS[name][0] for name in formats]
    results.require(names)
    with results.replacing(names) as folder:
        for name in formats:
            file_name, write = FORMATS[name]
            write(model, folder / file_name, comment)
    return {name: results.path / FORMATS[name][0] for name in formats}


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
