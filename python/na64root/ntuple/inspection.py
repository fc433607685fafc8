"""What an input holds, from one loop over its events; for an unknown tree a proposal."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import SerializerFunctionWrapHandler, model_serializer

from ..cling import declare_header, implicit_threads, include, root
from ..config import Card
from ..errors import DataError
from ..event_loop.compiled import define
from ..records import InputDetails, InputFile, Provenance, Record, SkippedFile, provenance
from .checks import open_ntuple
from .columns import fields_of, leaves_of
from .files import UnknownLayoutError, input_file_of, notes_on_files, object_in, opened_file, repeated_files
from .frame import Ntuple, reading, source_frame
from .layouts import LAYOUT_B, TREE_A, TREE_B_UNUSED, Column, column_of
from .periods import period_index, period_names
from .proposal import propose


class PeriodContent(Record):
    """What the input holds of one run period; `physics_triggers` pass the cut `trigger`."""

    entries: int
    physics_triggers: int | None
    runs: list[int]
    spills: int


class CanEvaluate(Record):
    """Which signatures the input allows, and the cuts it has no branch for."""

    S1: bool
    S2: bool
    cuts_not_applied: list[str]


class ProposedLayout(Record):
    """A guess of how an unknown tree is to be read; `toml` is the table for a card, `mapping` the same."""

    note: str
    mapping: dict[str, Any]
    unmapped: list[str]
    toml: str


class Inspection(Record):
    """What an input holds, before any selection.

    `duplicates` are events whose number (run, spill, place in it) came before, which the selection leaves
    out; `repeated_files` have one checksum. `made_by_na64root`: of files that were simulated or skimmed, how.
    `like_no_value`: by branch, values such as -999 that look like "no value", with the share of events.
    """

    files: list[InputFile]
    made_by_na64root: dict[str, dict[str, Any]]
    layout: str
    entries: int
    branches_missing: list[str]
    runs: list[int]
    periods: dict[str, PeriodContent]
    spills: int
    can_evaluate: CanEvaluate
    duplicates: int
    repeated_files: list[list[str]]
    like_no_value: dict[str, dict[str, float]]
    files_skipped: list[SkippedFile]
    proposed_layout: ProposedLayout | None
    notes: list[str]
    provenance: Provenance

    @model_serializer(mode="wrap")
    def _with_contract_keys(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The contract's key is `schema`, a name that pydantic keeps for itself.
        return {"schema" if key == "layout" else key: value for key, value in serialize(self).items()}


def inspect(inputs: Sequence[str], card: Card) -> Inspection:
    """What the files hold: runs, spills, periods of the card, missing branches, what can be evaluated.

    Of a tree of an unknown layout it proposes a mapping.

    Raises:
        DataError: as :func:`open_ntuple`, or the events cannot be read.
    """
    try:
        ntuple = open_ntuple(inputs, card)
    except UnknownLayoutError as error:
        if not error.trees:
            raise
        return _inspect_unknown(card, error)
    can_evaluate = CanEvaluate(
        S1=not ntuple.schema.missing_for_signature("S1", ntuple.present),
        S2=not ntuple.schema.missing_for_signature("S2", ntuple.present),
        cuts_not_applied=ntuple.schema.cuts_without_branches(ntuple.present),
    )
    content = _content(ntuple, card) if "run" in ntuple.present else _Content([], {}, 0, 0, {})
    repeated = repeated_files(ntuple.files)
    selected = "once in a selection" if card.quality.duplicates == "count_once" else "in a selection too"
    return Inspection(
        files=list(ntuple.files),
        made_by_na64root=dict(ntuple.made_by_na64root),
        layout=ntuple.layout,
        entries=ntuple.entries,
        branches_missing=ntuple.missing,
        runs=content.runs,
        periods=content.periods,
        spills=content.spills,
        can_evaluate=can_evaluate,
        duplicates=content.duplicates,
        repeated_files=repeated,
        like_no_value=content.like_no_value,
        files_skipped=list(ntuple.skipped),
        proposed_layout=None,
        notes=notes_on_files(content.duplicates, repeated, f"here each time, {selected}")
        + (_notes_on_b(ntuple) if ntuple.layout == "B" else [])
        + [
            f"{name} is {value} in {share:.3g} of the events: if that stands for no value, say so in "
            "[input.sentinels]"
            for name, values in content.like_no_value.items()
            for value, share in values.items()
        ],
        provenance=provenance(card, input_files=ntuple.files, input_details=ntuple.details),
    )


@dataclass(frozen=True)
class _Content:
    runs: list[int]
    periods: dict[str, PeriodContent]
    spills: int
    duplicates: int
    like_no_value: dict[str, dict[str, float]]


def _content(ntuple: Ntuple, card: Card) -> _Content:
    """Runs, spills and periods, from one loop over the events."""
    flags = ntuple.schema.cut_inputs["trigger"]
    known = not ntuple.schema.missing_for("trigger", ntuple.present)
    include("event_numbers.hpp")
    numbers = root().na64root.EventNumbers()
    # As the selection counts them: simulation may use a number twice.
    add = f"reinterpret_cast<na64root::EventNumbers *>({root().addressof(numbers)}ul)->add"
    is_new = "true" if ntuple.simulated else f"{add}(run, spill, spillevent)"
    declare_header("suspects.hpp")
    measured = [
        branch.name
        for branch in ntuple.schema.branches
        if branch.kind == "floating" and branch.used and branch.name in ntuple.present - {"mcWeight"}
    ]
    suspects = root().na64root_ntuple.Suspects(len(measured))
    see = f"reinterpret_cast<na64root_ntuple::Suspects *>({root().addressof(suspects)}ul)->add"
    seen = "".join(f"{see}({i}, {name}); " for i, name in enumerate(measured))
    with implicit_threads(1), reading(ntuple):
        frame = define(ntuple.data_frame(), "na64_is_new", f"{seen}return {is_new};")
        data = frame.AsNumpy(["run", "spill", "na64_is_new", *(flags if known else ())])
    runs = np.asarray(data["run"], dtype=np.int64)
    spills = np.asarray(data["spill"], dtype=np.int64)
    triggers = None
    if known:
        physics, trigger_physics, on_spill, calibration = (np.asarray(data[f], dtype=bool) for f in flags)
        triggers = physics & trigger_physics & on_spill & ~calibration
    index = period_index(card, runs, spills)
    periods: dict[str, PeriodContent] = {}
    for name in dict.fromkeys(period_names(card)):
        member = np.isin(index, [i for i, other in enumerate(period_names(card)) if other == name])
        if not member.any() and name not in [period.name for period in card.periods]:
            continue
        periods[name] = PeriodContent(
            entries=int(member.sum()),
            physics_triggers=None if triggers is None else int(triggers[member].sum()),
            runs=[int(run) for run in np.unique(runs[member])],
            spills=_distinct(runs[member], spills[member]),
        )
    duplicates = int(np.count_nonzero(~np.asarray(data["na64_is_new"], dtype=bool)))
    like_no_value = {
        name: {
            f"{suspects.value(k):g}": float(suspects.events(i, k)) / ntuple.entries
            for k in range(int(suspects.size()))
            if suspects.events(i, k)
        }
        for i, name in enumerate(measured)
    }
    return _Content(
        [int(run) for run in np.unique(runs)],
        periods,
        _distinct(runs, spills),
        duplicates,
        {name: values for name, values in like_no_value.items() if values},
    )


def _notes_on_b(ntuple: Ntuple) -> list[str]:
    """What the tree of 2022 and later holds, and what of it this search can use."""
    columns = {str(name) for name in ntuple.data_frame().GetColumnNames()}
    used = [
        f"{name} = {mapped.branch}" for name, mapped in LAYOUT_B.branches.items() if name in ntuple.present
    ]
    return [
        f"tree {LAYOUT_B.tree} of 2022 and later (layout B): read as {', '.join(used)}",
        *(f"{name} is not used: {reason}" for name, (_, reason) in TREE_B_UNUSED.items() if name in columns),
        "run, spill, trigger flags, VETO and SRD have no branch in it: events have no period, and neither S1 "
        "nor S2 can be evaluated; [layout] in a card can say where they are",
    ]


# Events that a proposal looks at for the scale of energies.
_EVENTS_FOR_SCALE = 1000


def _inspect_unknown(card: Card, error: UnknownLayoutError) -> Inspection:
    """The proposal for the tree of the file that fits layout A best; nothing can be evaluated yet."""
    path = error.path
    proposals, entries = [], {}
    with opened_file(path) as file:
        for tree in error.trees:
            frame = source_frame(tree, [path], [])
            try:
                entries[tree] = int(frame.Count().GetValue())
                columns = _all_columns(file, path, tree, frame)
                beam = card.beam.energy_GeV.value
                largest = functools.partial(_largest, frame)
                proposals.append(propose(tree, columns, largest, beam))
            except root().std.exception:
                raise DataError(
                    f"'{tree}' in {path} cannot be read (the file is damaged): copy it again"
                ) from None
    best = max(proposals, key=lambda proposal: (len(proposal.branches), entries[proposal.tree]))
    if not best.branches:
        raise error
    files = [input_file_of(path, entries[best.tree])]
    return Inspection(
        files=files,
        made_by_na64root={},
        layout="unknown",
        entries=entries[best.tree],
        branches_missing=[branch.name for branch in TREE_A.branches if branch.name != "mcWeight"],
        runs=[],
        periods={},
        spills=0,
        can_evaluate=CanEvaluate(S1=False, S2=False, cuts_not_applied=list(TREE_A.cut_inputs)),
        files_skipped=error.skipped,
        duplicates=0,
        repeated_files=[],
        like_no_value={},
        proposed_layout=ProposedLayout(
            note="a proposal from names, types and scales: check each line, then paste it into a card",
            mapping=best.record,
            unmapped=best.unmapped,
            toml=best.toml,
        ),
        notes=[f"{error}; only {path} was looked at"],
        provenance=provenance(card, input_files=files, input_details=InputDetails(layout="unknown")),
    )


def _all_columns(file: Any, path: str, tree: str, frame: Any) -> dict[str, Column]:
    """Columns of numbers of a tree, with the lengths of arrays where the file fixes them."""
    names = [str(name) for name in frame.GetColumnNames()]
    columns = {name: column_of(str(frame.GetColumnType(name))) for name in names}
    key = file.GetKey(tree)
    if key and str(key.GetClassName()) == "ROOT::RNTuple":
        lengths = fields_of(path, tree)[1]
    else:
        lengths = leaves_of(object_in(file, tree), names)
    for name, column in columns.items():
        if column.array and name in lengths and lengths[name].array:
            columns[name] = replace(column, length=lengths[name].length)
    return columns


def _largest(frame: Any, names: Sequence[str]) -> dict[str, float]:
    """The largest finite value of each column in the first events, 0 where there is none."""
    # Range would do, but not with implicit multi-threading, which the caller may have switched on.
    first = frame.Filter(f"rdfentry_ < {_EVENTS_FOR_SCALE}")
    data = first.AsNumpy(list(names)) if names else {}
    found = {}
    for name in names:
        values = np.concatenate([np.ravel(np.asarray(value, dtype=float)) for value in data[name]])
        finite = values[np.isfinite(values)]
        found[name] = float(finite.max()) if len(finite) else 0.0
    return found


def _distinct(runs: np.ndarray[Any, Any], spills: np.ndarray[Any, Any]) -> int:
    """Number of spills: a spill number starts again in every run."""
    return len(np.unique(np.stack([runs, spills]), axis=1).T)
