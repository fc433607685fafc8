"""Counting models that files hold: whatever the format, one function reads them."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .. import cling
from ..errors import ConfigError, DataError
from ..inputs import note, read_bytes
from .counting import CountingModel
from .datacards import read_datacard
from .histfactory import read_pyhf
from .hs3 import read_hs3
from .model_record import ModelRecord
from .model_texts import NOTHING_OBSERVED, Found, damaged, json_of, stand_in, text_of
from .roofit import quiet

__all__ = ["Found", "ModelFile", "model_from"]


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """A counting model read from a file; `format` is datacard, pyhf, hs3, workspace or na64root.

    `signal_events` is the expected signal where the file's parameter of interest is one. `blind`: nothing is
    observed, only expected limits mean anything. `notes` say what was read in another way than written, and
    are those of an export.
    """

    path: Path
    format: str
    model: CountingModel
    signal_events: float
    blind: bool
    notes: tuple[str, ...]


def model_from(path: str | Path) -> ModelFile:
    """The counting model of a datacard, a pyhf or HS3 workspace, a ROOT file of ours, or our own JSON.

    The format is that of the content, whatever the name.

    Raises:
        DataError: no such file, or one that is damaged or holds what is not computed here.
    """
    path = Path(path)
    note(path)
    form, found = _read(path)
    return ModelFile(path, form, found.model, found.signal_events, found.blind, found.notes)


def _read(path: Path) -> tuple[str, Found]:
    try:
        if _starts_as_root_file(path):
            return "workspace", _read_workspace(path)
        text = text_of(path)
        if not text.lstrip().startswith(("{", "[", '"')):
            return "datacard", read_datacard(path, text)
        content = json_of(path, text)
        for form, keys, read in (
            ("pyhf", ("channels", "measurements"), read_pyhf),
            ("hs3", ("distributions", "likelihoods"), read_hs3),
            ("na64root", ("counts", "constraint"), _read_own),
            ("na64root", ("counting_model", "cutflow"), _read_analysis),
        ):
            if all(key in content for key in keys):
                return form, read(path, content)
    except ConfigError as error:
        # What is wrong with the model, and where it is from.
        raise DataError(f"cannot use {path}: {error}") from None
    raise damaged(path, "JSON of no counting model", "give export.json, a workspace of pyhf, or HS3")


# How a file of ROOT begins.
OF_ROOT = b"root"


def _starts_as_root_file(path: Path) -> bool:
    try:
        return read_bytes(path, len(OF_ROOT)) == OF_ROOT
    except OSError:
        return False  # what is wrong is said where texts are read


def _read_workspace(path: Path) -> Found:
    """The workspace of a file of ROOT, by way of HS3."""
    root = cling.root()
    with quiet(), tempfile.TemporaryDirectory() as folder:
        try:
            file = root.TFile.Open(cling.literal(path))
        except OSError:
            raise damaged(path, "no file of ROOT, or one that was cut", "give the whole file") from None
        if file.IsZombie() or file.TestBit(root.TFile.kRecovered):
            raise damaged(path, "a file of ROOT that was cut", "give the whole file")
        workspace = file.Get("na64root")
        if not workspace or workspace.ClassName() != "RooWorkspace":
            raise damaged(
                path, "a file of ROOT without a workspace na64root", "give one of `na64root export`"
            )
        # RooFit ends the process where it writes another as HS3.
        for thing in workspace.allGenericObjects():
            if thing.InheritsFrom("RooStats::ModelConfig") and not (
                (pdf := thing.GetPdf()) and pdf.InheritsFrom("RooSimultaneous")
            ):
                raise damaged(
                    path,
                    f"a workspace whose model {thing.GetName()} is no RooSimultaneous of counting channels",
                    "give one of `na64root export`, or HS3",
                )
        as_json = Path(folder) / "hs3.json"
        blind = NOTHING_OBSERVED in str(workspace.GetTitle())
        written = root.RooJSONFactoryWSTool(workspace).exportJSON(str(as_json))
        file.Close()
        if not written:
            raise damaged(path, "a workspace that RooFit cannot write as HS3", "export it anew")
        content = json_of(path, text_of(as_json))
    if blind:
        content.setdefault("metadata", {})["description"] = NOTHING_OBSERVED
    return read_hs3(path, content)


def _read_analysis(path: Path, content: dict[str, Any]) -> Found:
    """The counting model in the results of an analysis."""
    model = content["counting_model"]
    if not isinstance(model, dict):
        raise damaged(path, "results without a counting model", "analyse files that have a count")
    # A weighted simulation has expected counts, and observes nothing.
    nothing = content.get("blind", False) is not False or bool(content.get("expected"))
    return _read_own(path, model | {"blind": nothing})


def _read_own(path: Path, content: dict[str, Any]) -> Found:
    """The record of an export."""
    try:
        known = ModelRecord.model_validate(
            {k: v for k, v in content.items() if k in ModelRecord.model_fields}
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise damaged(path, f"{where}: {first['msg']}") from None
    notes = content.get("notes")
    told = [str(note) for note in notes] if isinstance(notes, list) else []
    blind = content.get("blind", False) is not False or any(NOTHING_OBSERVED in text for text in told)
    if blind:
        counts = [dataclasses.replace(b, observed=stand_in(b.background)) for b in known.counts]
        known = known.model_copy(update={"counts": counts})
    return Found(known.model(), 1.0, blind=blind, notes=told)
