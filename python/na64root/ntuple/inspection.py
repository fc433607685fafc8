"""What an input holds, from one loop over its events; for an unknown tree a proposal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import SerializerFunctionWrapHandler, model_serializer

from ..cling import declare_header, implicit_threads, include, literal, root
from ..config import Card
from ..event_loop.compiled import define
from ..event_loop.library import surveying
from ..records import InputDetails, InputFile, Provenance, Record, SkippedFile, provenance
from .checks import open_ntuple
from .contents import FileContent, Survey, TreeContent, contents_of, tree_content, trees_of
from .files import UnknownLayoutError, input_file_of, notes_on_files, quiet_root, repeated_files
from .frame import Ntuple, reading
from .layouts import LAYOUT_B, TREE_A, TREE_B_UNUSED
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
    """A guess of how an unknown tree is to be read; `toml` is the table for a card, `mapping` the same, and
    `reasons` say for each branch why it is guessed so.
    """

    note: str
    mapping: dict[str, Any]
    unmapped: list[str]
    toml: str
    reasons: dict[str, str]


class Inspection(Record):
    """What an input holds, before any selection.

    `duplicates` are events whose number (run, spill, place in it) came before, which the selection leaves
    out; `repeated_files` have one checksum. `made_by_na64root`: of files that were simulated or skimmed, how.
    `like_no_value`: by branch, values such as -999 that look like "no value", with the share of events.
    `trees` are all of the first file, the one that is read over all files; `objects` what else it holds, by
    class, and `folders` where.
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
    trees: list[TreeContent]
    objects: dict[str, list[str]]
    folders: list[str]

    @model_serializer(mode="wrap")
    def _with_contract_keys(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The contract's key is `schema`, a name that pydantic keeps for itself.
        return {"schema" if key == "layout" else key: value for key, value in serialize(self).items()}


def inspect(inputs: Sequence[str], card: Card) -> Inspection:
    """What the files hold: runs, spills, periods of the card, missing branches, what can be evaluated; every
    tree with its columns, and other objects.

    Of trees of an unknown layout it proposes a mapping, where one of them is like an ntuple.

    Raises:
        DataError: as :func:`open_ntuple`, or the events cannot be read. A file of an unknown layout is none,
            unless it holds nothing to look at.
    """
    try:
        ntuple = open_ntuple(inputs, card, unpack=False)
    except UnknownLayoutError as error:
        return _inspect_unknown(card, error)
    schema = ntuple.schema
    used = [b.name for b in schema.branches if b.used and b.name in ntuple.present]
    survey = Survey(ntuple.paths, ntuple.tree, used if ntuple.layout == "A" else [])
    content = _content(ntuple, card, survey) if "run" in ntuple.present else _Content([], {}, 0, 0, {})
    repeated = repeated_files(ntuple.files)
    selected = "once in a selection" if card.quality.duplicates == "count_once" else "in a selection too"
    held = contents_of(ntuple.paths[0])
    return Inspection(
        files=list(ntuple.files),
        made_by_na64root=dict(ntuple.made_by_na64root),
        layout=ntuple.layout,
        entries=ntuple.entries,
        branches_missing=ntuple.missing,
        runs=content.runs,
        periods=content.periods,
        spills=content.spills,
        can_evaluate=CanEvaluate(
            S1=not schema.missing_for_signature("S1", ntuple.present),
            S2=not schema.missing_for_signature("S2", ntuple.present),
            cuts_not_applied=schema.cuts_without_branches(ntuple.present),
        ),
        duplicates=content.duplicates,
        repeated_files=repeated,
        like_no_value=content.like_no_value,
        files_skipped=list(ntuple.skipped),
        proposed_layout=None,
        notes=notes_on_files(content.duplicates, repeated, f"here each time, {selected}")
        + (_notes_on_b(survey) if ntuple.layout == "B" else [])
        + [
            f"{name} is {value} in {share:.3g} of the events: if that stands for no value, say so in "
            "[input.sentinels]"
            for name, values in content.like_no_value.items()
            for value, share in values.items()
        ]
        + _notes_on_cycles(held),
        provenance=provenance(card, input_files=ntuple.files, input_details=ntuple.details),
        trees=_trees(ntuple.paths[0], held, {ntuple.tree: survey}),
        objects=_objects(held, ntuple.made_by_na64root),
        folders=held.folders,
    )


def _trees(path: str, held: FileContent, looked_at: Mapping[str, Survey]) -> list[TreeContent]:
    surveys = {**looked_at, **trees_of(path, held, leave_out=next(iter(looked_at), None))}
    return [
        found if isinstance(found, TreeContent) else tree_content(name, held.trees.get(name, ""), found)
        for name, found in surveys.items()
    ]


def _notes_on_cycles(held: FileContent) -> list[str]:
    """ROOT itself leaves an earlier state of a tree beside the last one; others write two trees so."""
    return [
        f"'{name}' is in the file {older + 1} times, as earlier cycles: the last one is shown"
        for name, older in held.older_cycles.items()
    ]


def _objects(held: FileContent, made_by_na64root: Mapping[str, Any]) -> dict[str, list[str]]:
    """Without what `made_by_na64root` tells."""
    own = {"na64root"} if made_by_na64root else set()
    objects = {kind: [n for n in names if n not in own] for kind, names in held.objects.items()}
    return {kind: names for kind, names in objects.items() if names}


@dataclass(frozen=True)
class _Content:
    runs: list[int]
    periods: dict[str, PeriodContent]
    spills: int
    duplicates: int
    like_no_value: dict[str, dict[str, float]]


def _content(ntuple: Ntuple, card: Card, survey: Survey) -> _Content:
    """Runs, spills and periods, from one look at the events."""
    flags = ntuple.schema.cut_inputs["trigger"]
    if ntuple.schema.missing_for("trigger", ntuple.present):
        flags = ()
    measured = [
        branch.name
        for branch in ntuple.schema.branches
        if branch.kind == "floating" and branch.used and branch.name in ntuple.present - {"mcWeight"}
    ]
    as_in_files = not ntuple.definitions and {*ntuple.schema.required, *flags, *measured} <= set(survey.read)
    # Simulation may use a number twice.
    once = not ntuple.simulated
    if as_in_files:
        counted = _spills_in_files(ntuple, flags, once=once)
        events_like_no_value = {name: survey.events_like_no_value(name) for name in measured}
    else:
        counted, events_like_no_value = _spills_in_frame(ntuple, flags, measured, once=once)
    runs, spills, events, triggers = counted.of_spills.T
    index = period_index(card, runs, spills)
    periods: dict[str, PeriodContent] = {}
    for name in dict.fromkeys(period_names(card)):
        member = np.isin(index, [i for i, other in enumerate(period_names(card)) if other == name])
        if not member.any() and name not in [period.name for period in card.periods]:
            continue
        periods[name] = PeriodContent(
            entries=int(events[member].sum()),
            physics_triggers=int(triggers[member].sum()) if flags else None,
            runs=[int(run) for run in np.unique(runs[member])],
            spills=int(member.sum()),
        )
    like_no_value = {
        name: {value: float(n) / ntuple.entries for value, n in found.items()}
        for name, found in events_like_no_value.items()
        if found
    }
    return _Content(
        [int(run) for run in np.unique(runs)], periods, len(runs), counted.duplicates, like_no_value
    )


@dataclass(frozen=True)
class _Spills:
    """Run, spill, events and physics triggers of each spill; a spill number starts again in every run."""

    of_spills: np.ndarray[Any, Any]
    duplicates: int


def _spills_in_files(ntuple: Ntuple, flags: Sequence[str], *, once: bool) -> _Spills:
    """Of files of which every column is as layout A has it, by the library."""
    paths, numbers = list(map(literal, ntuple.paths)), list(ntuple.schema.required)
    with quiet_root():
        found = json.loads(str(surveying().spills(paths, ntuple.tree, numbers, list(flags), once)))
    return _Spills(np.asarray(found["spills"], dtype=np.int64).reshape(-1, 4), found["duplicates"])


def _spills_in_frame(
    ntuple: Ntuple, flags: Sequence[str], measured: Sequence[str], *, once: bool
) -> tuple[_Spills, dict[str, dict[str, int]]]:
    """Of other files, by a loop of ROOT; also the events with values that look like none."""
    include("event_numbers.hpp")
    numbers = root().na64root.EventNumbers()
    add = f"reinterpret_cast<na64root::EventNumbers *>({root().addressof(numbers)}ul)->add"
    is_new = f"{add}(run, spill, spillevent)" if once else "true"
    declare_header("suspects.hpp")
    suspects = root().na64root_ntuple.Suspects(len(measured))
    see = f"reinterpret_cast<na64root_ntuple::Suspects *>({root().addressof(suspects)}ul)->add"
    seen = "".join(f"{see}({i}, {name}); " for i, name in enumerate(measured))
    with implicit_threads(1), reading(ntuple):
        frame = define(ntuple.data_frame(), "na64_is_new", f"{seen}return {is_new};")
        data = frame.AsNumpy(["run", "spill", "na64_is_new", *flags])
    trigger = np.zeros(len(data["run"]), dtype=bool)
    if flags:
        physics, trigger_physics, on_spill, calibration = (np.asarray(data[f], dtype=bool) for f in flags)
        trigger = physics & trigger_physics & on_spill & ~calibration
    events = np.stack([np.asarray(data[name], dtype=np.int64) for name in ("run", "spill")], axis=1)
    spills, of_event, count = np.unique(events, axis=0, return_inverse=True, return_counts=True)
    triggers = np.bincount(np.ravel(of_event), weights=trigger, minlength=len(spills)).astype(np.int64)
    like_no_value = {
        name: {
            f"{suspects.value(k):g}": int(suspects.events(i, k))
            for k in range(int(suspects.size()))
            if suspects.events(i, k)
        }
        for i, name in enumerate(measured)
    }
    duplicates = int(np.count_nonzero(~np.asarray(data["na64_is_new"], dtype=bool)))
    return _Spills(np.column_stack([spills, count, triggers]), duplicates), like_no_value


def _notes_on_b(survey: Survey) -> list[str]:
    """What the tree of 2022 and later holds, and what of it this search can use."""
    columns = set(survey.read)
    used = [
        f"{name} = {mapped.branch}" for name, mapped in LAYOUT_B.branches.items() if mapped.branch in columns
    ]
    return [
        f"tree {LAYOUT_B.tree} of 2022 and later (layout B): read as {', '.join(used)}",
        *(f"{name} is not used: {reason}" for name, (_, reason) in TREE_B_UNUSED.items() if name in columns),
        "run, spill, trigger flags, VETO and SRD have no branch in it: events have no period, and neither S1 "
        "nor S2 can be evaluated; [layout] in a card can say where they are",
    ]


# Classes whose objects say something of a file, and hold no data.
_WORDS = frozenset(["TNamed", "TObjString", "TTree"])


def _inspect_unknown(card: Card, error: UnknownLayoutError) -> Inspection:
    """What a file of an unknown layout holds, with a proposal for the tree that fits layout A best; nothing
    can be evaluated yet.
    """
    path = error.path
    held = contents_of(path)
    if not held.trees and not held.objects.keys() - _WORDS:
        raise error
    found = trees_of(path, held)
    surveys = {name: survey for name, survey in found.items() if isinstance(survey, Survey)}
    beam = card.beam.energy_GeV.value
    proposals = [propose(name, survey.types(), survey.largest, beam) for name, survey in surveys.items()]
    best = max(proposals, key=lambda p: (len(p.branches), surveys[p.tree].entries), default=None)
    entries = surveys[best.tree].entries[0] if best is not None else 0
    files = [input_file_of(path, entries)]
    proposed = None
    if best is not None and best.branches:
        proposed = ProposedLayout(
            note="a proposal from names, types and scales: check each line, then paste it into a card",
            mapping=best.record,
            unmapped=best.unmapped,
            toml=best.toml,
            reasons=best.reasons,
        )
    return Inspection(
        files=files,
        made_by_na64root={},
        layout="unknown",
        entries=entries,
        branches_missing=[branch.name for branch in TREE_A.branches if branch.name != "mcWeight"],
        runs=[],
        periods={},
        spills=0,
        can_evaluate=CanEvaluate(S1=False, S2=False, cuts_not_applied=list(TREE_A.cut_inputs)),
        files_skipped=error.skipped,
        duplicates=0,
        repeated_files=[],
        like_no_value={},
        proposed_layout=proposed,
        notes=[f"{error.problem}; only {path} was looked at"]
        + ["no branch in it is like one of layout A: there is no proposal"] * (proposed is None)
        + _notes_on_cycles(held),
        provenance=provenance(card, input_files=files, input_details=InputDetails(layout="unknown")),
        trees=[
            survey if isinstance(survey, TreeContent) else tree_content(name, held.trees[name], survey)
            for name, survey in found.items()
        ],
        objects=held.objects,
        folders=held.folders,
    )
