"""Skims: the selected events with all branches of the input, found in one loop and copied after it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..cling import declare_header, implicit_threads, in_literal_folder, literal, named, no_room, root
from ..config import SIGNATURES, Card, Signature
from ..errors import ConfigError, DataError, Na64Error
from ..event_loop.compiled import defined, filtered
from ..event_loop.last_words import last_words
from ..ntuple import (
    TREE_A,
    Ntuple,
    fields_of,
    object_in,
    opened_file,
    quiet_root,
    reading,
    require_whole,
    simulations,
)
from ..records import Provenance, Record, provenance
from .blinding import refuse_hidden_cuts
from .cut_table import cuts, declare_functions, definitions, in_run_period, outside_signal_boxes
from .left_out import LeftOut
from .n_minus_one import FailedCuts
from .skim_cuts import SkimCuts, cuts_of_skim

# ZSTD, at the level that ROOT itself advises.
_COMPRESSION_LEVEL = 5


# Gives what a function finds in each file, where a cluster looks; None where this machine does.
OnEachFile: TypeAlias = Callable[
    [Callable[[Ntuple], NDArray[np.int64]], Ntuple], Sequence[NDArray[np.int64]] | None
]


@dataclass(frozen=True)
class Skim:
    """What to write where: the events that pass all cuts up to `cut`, or S1 or S2 where it is None.

    An existing file is replaced only with `force`.
    """

    path: Path
    cut: str | None = None
    rntuple: bool = False
    force: bool = False


class Skimmed(Record):
    """The skim that was made; `file` is null where no event passed. `cut` is null for the selected events."""

    file: str | None
    events: int
    cut: str | None


def required_cuts(
    card: Card, cut: str | None, signatures: Sequence[Signature], *, blind: bool
) -> dict[Signature, list[str]]:
    """The cuts that a skim asks for, by signature.

    Raises:
        ConfigError: no such cut; a blinded skim of events in the signal boxes.
    """
    order = card.selection.order
    if cut is not None and cut not in order:
        raise ConfigError(f"cannot skim after cut {cut} (known are {', '.join(order)}): correct --skim-cut")
    wanted = order if cut is None else order[: order.index(cut) + 1]
    if blind:
        refuse_hidden_cuts(order, wanted)
    return {signature: wanted for signature in signatures}


# First and last number of spills of a run, by run.
SpillRanges = dict[int, list[tuple[int, int]]]


class SkimExposure(Record):
    """What the exposure of a skim rests on, since its events do not show which spills its input had.

    `spills` of the input were used, `spills_left_out` were not (list of good runs, outliers). `electrons` on
    target of the used spills of a run period, where they were given by hand or by the list of good runs; of
    other periods the card's number counts.
    """

    spills: SpillRanges
    spills_left_out: SpillRanges
    electrons: dict[str, float]


class SkimFacts(Record):
    """How a skim was made, which its file holds as JSON in `na64root`.

    `skim_cut` and `events` are as in :class:`Skimmed`. `layout`: of the trees, as in the provenance. `blind`:
    without the events in the signal boxes. `cuts`: those up to
    `skim_cut`, and those of a skim that this one was made of. `simulation` is what simulated input files say
    of themselves.
    """

    skim_cut: str | None
    events: int
    layout: str = "A"
    blind: bool
    simulation: list[dict[str, Any]]
    exposure: SkimExposure
    cuts: tuple[SkimCuts, ...] = ()
    provenance: Provenance


class SkimWriter:
    """A skim, booked on the events of a node: the loop says which pass, then they are copied as they are.

    A tree keeps its own layout and a file of several trees (friends of a mapping) all of them, so that the
    card that reads the input reads the skim.
    """

    def __init__(
        self,
        entries: Callable[[], Any],
        ntuple: Ntuple,
        path: Path,
        made: Provenance,
        *,
        cut: str | None,
        blind: bool,
        exposure: SkimExposure,
        cuts: tuple[SkimCuts, ...],
        rntuple: bool,
    ) -> None:
        """`entries` gives those that pass, of all files together in their order, once the loop has run.

        `path`: what is written. `made`, `cut`, `blind`, `exposure`, `cuts`: for the file, how it was made.

        Raises:
            ConfigError: an RNTuple is to become a TTree; a tree of another layout an RNTuple.
            DataError: a branch that a skim cannot keep.
        """
        self.path, self.ntuple, self.rntuple = path, ntuple, rntuple
        self.how = made, cut, blind, exposure, cuts
        from_rntuple = ntuple.tree_class != "TTree"
        if from_rntuple and not rntuple:
            raise ConfigError(
                f"{ntuple.paths[0]} is an RNTuple (its columns have no form in a TTree): skim it by "
                "--format rntuple"
            )
        self.converted = rntuple and not from_rntuple
        if self.converted and ntuple.layout != "A":
            raise ConfigError(
                f"{ntuple.paths[0]} is a TTree that is read through a mapping (an RNTuple of it would not be "
                "read by the same): leave out --format rntuple"
            )
        if from_rntuple:
            _require_alike_fields(ntuple)
        else:
            _require_alike(ntuple, as_fields=self.converted)
        self.entries = entries

    def checked(self, skim: Skim) -> Skimmed:
        """The skim, written and compared with its input; nothing where no event passed.

        Raises:
            Na64Error: the file is not whole, or holds something else than the input.
        """
        ROOT = root()
        entries = self.entries()
        events = int(entries.size())
        if events == 0:
            return Skimmed(file=None, events=0, cut=skim.cut)
        copying = ROOT.na64root_copying
        as_ntuple = self.rntuple and not self.converted
        copied = self.path.with_name(f"{self.path.name}.ttree") if self.converted else self.path
        try:
            with quiet_root():
                file = _opened(copied, "RECREATE")
                for name, paths in self.trees:
                    (copying.copy_ntuple if as_ntuple else copying.copy_tree)(name, paths, entries, file)
                file.Close()
                compare = copying.first_different_ntuple if as_ntuple else copying.first_different
                for name, paths in self.trees:
                    if different := str(compare(name, paths, entries, in_literal_folder(copied))):
                        raise Na64Error(
                            f"branch {different} of '{name}' is not in the skim {skim.path} as in "
                            f"{self.ntuple.paths[0]} (it cannot be copied): leave out --skim"
                        )
                if self.converted:
                    _as_rntuple(self.ntuple.tree, copied, self.path, skim.path)
        except (OSError, ROOT.std.exception) as error:
            cause = named(str(error.what() if hasattr(error, "what") else error).strip().splitlines()[-1])
            raise Na64Error(f"cannot write {skim.path} ({cause}): choose another place for --skim") from None
        finally:
            if self.converted:
                copied.unlink(missing_ok=True)
        if file.TestBit(ROOT.TFile.kWriteError):
            raise Na64Error(_FULL.format(skim.path))
        if _events_in(str(self.path), self.ntuple.tree) != events:
            raise Na64Error(_FULL.format(skim.path))
        _keep_facts(self.path, self._facts(events))
        return Skimmed(file=str(skim.path), events=events, cut=skim.cut)

    @property
    def trees(self) -> list[tuple[str, list[str]]]:
        """Names and files of the trees that are copied."""
        return _literally(_trees(self.ntuple))

    def _facts(self, events: int) -> SkimFacts:
        made, cut, blind, exposure, cuts_made = self.how
        # Of a skim of a skim, what the first was made of.
        simulation = simulations(list(self.ntuple.made_by_na64root.values()))
        return SkimFacts(
            skim_cut=cut,
            events=events,
            layout=self.ntuple.layout,
            blind=blind,
            simulation=simulation,
            exposure=exposure,
            cuts=cuts_made,
            provenance=made,
        )


def skim_of(
    skim: Skim,
    ntuple: Ntuple,
    card: Card,
    path: Path,
    exposure: SkimExposure,
    failed: FailedCuts,
    *,
    spills: Collection[tuple[int, int]],
    blind: bool,
    on_each_file: OnEachFile,
) -> SkimWriter:
    """The skim that is asked for, booked to be written at `path`; raises as :class:`SkimWriter`.

    Args:
        failed: what the loop knows of the cuts.
        spills: that are left out.
        on_each_file: of the event loop. A cluster looks at each file by itself, since no worker knows the
            entries of all files together.
    """
    names = required_cuts(card, skim.cut, list(failed.applied), blind=blind)
    there = functools.partial(_entries_of_file, card=card, names=names, spills=tuple(spills), blind=blind)
    in_files = on_each_file(there, ntuple)
    return SkimWriter(
        _entries_here(failed, names, ntuple) if in_files is None else _put_together(in_files, ntuple),
        ntuple,
        path,
        provenance(card, input_files=ntuple.files, input_details=ntuple.details),
        cut=skim.cut,
        blind=blind,
        exposure=exposure,
        cuts=cuts_of_skim(card, ntuple, names),
        rntuple=skim.rntuple,
    )


def _entries_here(
    failed: FailedCuts, names: Mapping[Signature, Sequence[str]], ntuple: Ntuple
) -> Callable[[], Any]:
    declare_header("copying.hpp")
    ROOT = root()
    taken = ROOT.na64root_copying.take_entries(ROOT.RDF.AsRNode(failed.node.Filter(failed.passed(names))))
    return lambda: taken.GetValue().sorted(_first_entries(ntuple))


def _put_together(in_files: Sequence[NDArray[np.int64]], ntuple: Ntuple) -> Callable[[], Any]:
    declare_header("copying.hpp")
    first = np.cumsum([0, *(file.entries for file in ntuple.files)])
    entries = np.concatenate([start + found for start, found in zip(first, in_files, strict=False)])
    return lambda: root().std.vector["long"](entries.tolist())


def _first_entries(ntuple: Ntuple) -> Any:
    """The entry of all files together with which each begins, by the names that ROOT gives them."""
    ROOT = root()
    first, starts = 0, ROOT.std.map["std::string", "long"]()
    for file in ntuple.files:
        with opened_file(file.path) as opened:
            starts[str(opened.GetName())] = starts[file.path] = first
        first += file.entries
    return starts


def _entries_of_file(
    ntuple: Ntuple,
    card: Card,
    names: Mapping[Signature, Sequence[str]],
    spills: Sequence[tuple[int, int]],
    blind: bool,
) -> NDArray[np.int64]:
    """The entries of one file that pass, in their order; on a worker."""
    declare_functions(card)
    with implicit_threads(1), reading(ntuple, declared=bool(card.selection.declared)):
        left_out = LeftOut(ntuple, card, spills)  # what it applies lives with it
        frame = left_out.applied_to(ntuple.data_frame())
        frame = defined(frame, definitions(card, ntuple.present))
        table = {signature: cuts(card, signature, ntuple) for signature in SIGNATURES}
        if blind:
            frame = outside_signal_boxes(frame, table)
        frame = filtered(frame, in_run_period(card), "period")
        failed = FailedCuts(frame, {signature: table[signature] for signature in names})
        passed = failed.node.Filter(failed.passed(names))
        return np.sort(passed.AsNumpy(["rdfentry_"])["rdfentry_"].astype(np.int64))


_FULL = "cannot write {} (the file system took no more data): choose another place for --skim"


def _opened(path: Path, mode: str) -> Any:
    """A file of ROOT to write to; raises OSError where there is no room."""
    try:
        file = root().TFile.Open(in_literal_folder(path), mode, "", _compression())
    except OSError:
        file = None
    if not file or file.IsZombie():
        raise no_room()
    return file


def _compression() -> int:
    return 100 * int(root().RCompressionSetting.EAlgorithm.kZSTD) + _COMPRESSION_LEVEL


def _require_alike_fields(ntuple: Ntuple) -> None:
    """Raise DataError where a field of RNTuples is not in every file, in every entry, and of one type."""
    first: dict[str, str] | None = None
    for path in ntuple.paths:
        columns = fields_of(path, ntuple.tree, every=True)[1]
        texts = {name: str(column) for name, column in columns.items()}
        if first is not None and texts != first:
            other = sorted(name for name in texts.keys() | first.keys() if texts.get(name) != first.get(name))
            raise DataError(
                f"{path} has other branches than {ntuple.paths[0]} ({other[0]}; a skim would mix them): skim "
                "files of one kind"
            )
        first = texts


def _require_alike(ntuple: Ntuple, *, as_fields: bool) -> None:
    """Raise DataError where a branch is not in every file, in every entry, and of one type; `as_fields`: also
    where an RNTuple has no such field.
    """
    describe = root().na64root_copying.described
    trees = _trees(ntuple)
    if len({name for name, _ in trees}) < len(trees):
        raise DataError(
            f"{ntuple.paths[0]} has a friend tree of its own name '{ntuple.tree}' (a skim keeps both in one "
            "file): leave out --skim"
        )
    for name, paths in trees:
        first: list[str] | None = None
        for path in paths:
            with opened_file(path) as file:
                tree = object_in(file, name)
                require_whole(tree, path, [str(branch.GetName()) for branch in tree.GetListOfBranches()])
                if tree.GetListOfFriends() and tree.GetListOfFriends().GetSize():
                    used = {b.name for b in TREE_A.branches if b.used and b.name in ntuple.present}
                    other = sorted(used - {str(branch.GetName()) for branch in tree.GetListOfBranches()})
                    if other:
                        raise DataError(
                            f"branch {other[0]} of {path} is not its own (it is of a friend tree that it was "
                            "written with, which a skim does not keep): leave out --skim"
                        )
                for branch in tree.GetListOfBranches() if as_fields else ():
                    if why := str(root().na64root_copying.no_field(branch)):
                        raise DataError(
                            f"branch {branch.GetName()} in {path} cannot be in an RNTuple as it is ({why}): "
                            "leave out --format rntuple"
                        )
                texts = [str(text) for text in describe(tree)]
            if first is not None and texts != first:
                other = sorted(set(texts) ^ set(first)) or ["their order"]
                raise DataError(
                    f"{path} has other branches than {paths[0]} ({other[0]}; a skim would mix them): skim "
                    "files of one kind"
                )
            first = texts


def _trees(ntuple: Ntuple) -> list[tuple[str, list[str]]]:
    friends = [(friend.tree, list(friend.paths)) for friend in ntuple.friends]
    return [(ntuple.tree, ntuple.paths), *friends]


def _literally(trees: Sequence[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Names and files of trees, as ROOT is to be given them."""
    return [(tree, [literal(path) for path in paths]) for tree, paths in trees]


def _as_rntuple(tree: str, source: Path, target: Path, skim: Path) -> None:
    """Write a whole TTree of layout A as an RNTuple: arrays of one length become std::array.

    It is closed where no exception can pass: on a full disk the process ends, with a line on the `skim`.
    """
    ROOT = root()
    no_more = "the file system took no more data"
    with (
        implicit_threads(1),
        last_words(f"cannot write {skim}", "choose another place for --skim", thrown=no_more),
    ):
        frame = ROOT.RDataFrame(tree, in_literal_folder(source))
        for name, shape in _array_shapes(str(source), tree).items():
            values = str(frame.GetColumnType(name))
            array = f"{values}::value_type"
            for size in reversed(shape):
                array = f"std::array<{array}, {size}>"
            made = ROOT.na64root_copying.as_array[values, array]
            frame = made(ROOT.RDF.AsRNode(frame), name)
        options = ROOT.RDF.RSnapshotOptions()
        options.fVector2RVec = False  # what is a vector stays one
        options.fCompressionAlgorithm = ROOT.RCompressionSetting.EAlgorithm.kZSTD
        options.fCompressionLevel = _COMPRESSION_LEVEL
        options.fOutputFormat = ROOT.RDF.ESnapshotOutputFormat.kRNTuple
        frame.Snapshot(tree, in_literal_folder(target), "", options)


def skims_among(ntuple: Ntuple) -> dict[str, list[SkimExposure]]:
    """What the files that are skims say of their exposure, by path; merged ones of that of each part.

    Raises:
        DataError: one says so in another form.
    """
    found = {}
    for path, facts in ntuple.made_by_na64root.items():
        parts = facts.get("exposures", [facts["exposure"]] if "exposure" in facts else [])
        if "skim_cut" in facts and parts:
            try:
                found[path] = [SkimExposure.model_validate(part) for part in parts]
            except ValueError:
                raise DataError(
                    f"{path} is a skim whose exposure cannot be read (another version of na64root wrote it): "
                    "make the skim again"
                ) from None
    return found


def _keep_facts(path: Path, facts: SkimFacts) -> None:
    file = _opened(path, "UPDATE")
    stored = file.WriteTObject(root().TNamed("na64root", facts.model_dump_json()))
    file.Close()
    if stored <= 0 or file.TestBit(root().TFile.kWriteError):
        raise Na64Error(_FULL.format(path.name))


def _events_in(path: str, tree: str) -> int:
    """How many events a skim holds that was just written; 0 where it cannot be read."""
    try:
        with opened_file(path) as file:
            folder, _, name = tree.rpartition("/")
            key = (object_in(file, folder) if folder else file).GetKey(name)
            if key and str(key.GetClassName()) == "ROOT::RNTuple":
                return fields_of(path, tree)[0]
            written = object_in(file, tree)
            return int(written.GetEntries()) if written else 0
    except DataError:
        return 0


def _array_shapes(path: str, tree: str) -> dict[str, list[int]]:
    """The shape of each array of a TTree that has the same in every event. What layout A has is one row of
    numbers, as the simulation writes it.
    """
    of_layout = {branch.name for branch in TREE_A.branches}
    shapes = {}
    with opened_file(path) as file:
        for branch in file.Get(tree).GetListOfBranches():
            leaf = branch.GetListOfLeaves()[0] if branch.GetNleaves() == 1 else None
            if leaf and not leaf.GetLeafCount() and leaf.GetLenStatic() > 1:
                name, length = str(branch.GetName()), int(leaf.GetLenStatic())
                sizes = [int(size) for size in re.findall(r"\[(\d+)\]", str(leaf.GetTitle()))]
                shapes[name] = [length] if name in of_layout else sizes
    return shapes
