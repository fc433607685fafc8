"""Cut flow and histograms as ROOT objects."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..cling import new_file, root
from ..event_loop.histograms import to_root
from ..records import CutFlowRow, write_atomically
from .records import SelectionResult


def write_root(result: SelectionResult, path: Path, *, force: bool = False) -> None:
    """Write cut flow and histograms into a ROOT file as TH1D and TH2D, beside and renamed.

    Raises:
        Na64Error: the file exists and `force` is not set, or cannot be written.
    """

    def write(temporary: Path) -> None:
        with new_file(temporary) as file:
            write_into(result, file)

    write_atomically(path, write, force=force)


def write_into(result: SelectionResult, directory: Any) -> None:
    """Write cut flow and histograms, N-1 among them, into an open TDirectory."""
    ROOT = root()
    flows: dict[tuple[str, str], list[tuple[CutFlowRow, float]]] = {}
    for row, error in zip(result.cutflow, result.cutflow_errors, strict=True):
        flows.setdefault((row.period, row.signature), []).append((row, error))
    for (period, signature), rows in flows.items():
        if period not in result.exposure:
            continue
        for name, title, weighted in (
            ("cutflow", "", True),
            ("cutflow_events", ", without weights", False),
        ):
            flow = ROOT.TH1D(
                f"{name}_{period}_{signature}",
                f"{signature}, {period}{title};;Events",
                len(rows),
                0,
                len(rows),
            )
            flow.SetDirectory(ROOT.nullptr)
            for i, (row, error) in enumerate(rows, start=1):
                flow.GetXaxis().SetBinLabel(i, row.cut)
                flow.SetBinContent(i, row.weighted if weighted else row.events)
                flow.SetBinError(i, error if weighted else math.sqrt(row.events))
            directory.WriteObject(flow, flow.GetName())
    named = dict(result.histograms)
    for found in result.n_minus_one:
        parts = dict.fromkeys(("n_minus_one", found.signature, found.cut, found.variable))
        named["_".join(parts)] = found.histogram
    for name, histogram in named.items():
        filled = to_root(ROOT, name, histogram)
        directory.WriteObject(filled, name)
