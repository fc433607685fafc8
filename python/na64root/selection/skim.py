"""Skims: the selected events with all branches of the input, written in the loop that selects them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import cling
from ..cling import literal, no_room, root
from ..config import Card, Signature
from ..errors import ConfigError, DataError, Na64Error
from ..ntuple import Ntuple
from ..ntuple.columns import fields_of
from ..ntuple.files import object_in, opened_file
from ..records import Provenance, Record
from .blinding import refuse_hidden_cuts
from .n_minus_one import FailedCuts

_ARRAY = re.compile(r"std::array<[\w:]+,(\d+)>")


# ZSTD, at the level that ROOT itself advises.
_COMPRESSION_LEVEL = 5


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

    `skim_cut` is as in :class:`Skimmed`. `blind`: without the events in the signal boxes. `simulation` is
    what simulated input files say of themselves.
    """

    skim_cut: str | None
    blind: bool
    simulation: list[dict[str, Any]]
    exposure: SkimExposure
    provenance: Provenance


class SkimWriter:
    """A skim, booked on the events of a node and written by the event loop."""

    def __init__(
        self,
        failed: FailedCuts,
        names: Mapping[Signature, Sequence[str]],
        ntuple: Ntuple,
        path: Path,
        made: Provenance,
        *,
        cut: str | None,
        blind: bool,
        exposure: SkimExposure,
        rntuple: bool,
    ) -> None:
        """`path`: where the loop writes. `made`, `cut`, `blind`, `exposure`: for the file, how it was made.

        Raises:
            ConfigError: an RNTuple is to become a TTree; the input is of another layout.
        """
        if ntuple.layout != "A":
            raise ConfigError(
                f"{ntuple.paths[0]} cannot be skimmed (it is read through a mapping, which a skim lacks): "
                "leave out --skim"
            )
        ROOT = root()
        self.path, self.tree = path, ntuple.schema.tree
        node = failed.node.Filter(failed.passed(names))
        frame = ntuple.data_frame()
        defined = {str(name) for name in frame.GetDefinedColumnNames()}
        branches = [str(name) for name in frame.GetColumnNames() if str(name) not in defined]
        from_rntuple, lengths = _array_lengths(ntuple.paths[0], ntuple.schema.tree)
        if from_rntuple and not rntuple and lengths:
            raise ConfigError(
                f"{ntuple.paths[0]} is an RNTuple (its arrays have no form in a TTree): skim it by "
                "--format rntuple"
            )
        if rntuple:
            for name, length in lengths.items():
                # As the simulation writes them: what has a length in the input keeps it.
                node = node.Redefine(
                    name,
                    f"std::array<std::decay_t<decltype({name}[0])>, {length}> copy{{}}; "
                    f"std::copy({name}.begin(), {name}.end(), copy.begin()); return copy;",
                )
        options = ROOT.RDF.RSnapshotOptions()
        options.fLazy = True
        options.fVector2RVec = False  # what is a vector stays one
        options.fCompressionAlgorithm = ROOT.RCompressionSetting.EAlgorithm.kZSTD
        options.fCompressionLevel = _COMPRESSION_LEVEL
        formats = ROOT.RDF.ESnapshotOutputFormat
        options.fOutputFormat = formats.kRNTuple if rntuple else formats.kTTree
        # Of a skim of a skim, what the first was made of.
        said = ntuple.made_by_na64root.values()
        simulation = [simulated for other in said for simulated in other.get("simulation", [other])]
        facts = SkimFacts(
            skim_cut=cut, blind=blind, simulation=simulation, exposure=exposure, provenance=made
        )
        # The file of an RNTuple stays open as long as the booked nodes: what else it holds is there before.
        # Several threads would write that again and again into the file of a TTree: there it comes after.
        self.tree_facts = None if rntuple else facts
        if rntuple:
            _keep_facts(path, "RECREATE", facts)
            options.fMode = "UPDATE"
        self.count = node.Count()
        self.snapshot = node.Snapshot(self.tree, str(path), branches, options)

    def checked(self, skim: Skim) -> Skimmed:
        """What the loop has written; nothing where no event passed.

        Raises:
            Na64Error: the file is not whole.
        """
        events = int(self.count.GetValue())
        if events == 0:
            self.path.unlink()
            return Skimmed(file=None, events=0, cut=skim.cut)
        if _events_in(str(self.path), self.tree) != events:
            raise Na64Error(_no_room_for(skim.path))
        if self.tree_facts is not None:
            _keep_facts(self.path, "UPDATE", self.tree_facts)
        return Skimmed(file=str(skim.path), events=events, cut=skim.cut)


def skims_among(ntuple: Ntuple) -> dict[str, SkimExposure]:
    """What the files that are skims say of their exposure, by path.

    Raises:
        DataError: one says so in another form.
    """
    found = {}
    for path, facts in ntuple.made_by_na64root.items():
        if "skim_cut" in facts and "exposure" in facts:
            try:
                found[path] = SkimExposure.model_validate(facts["exposure"])
            except ValueError:
                raise DataError(
                    f"{path} is a skim whose exposure cannot be read (another version of na64root wrote it): "
                    "make the skim again"
                ) from None
    return found


def _keep_facts(path: Path, mode: str, facts: SkimFacts) -> None:
    ROOT = root()
    compression = 100 * int(ROOT.RCompressionSetting.EAlgorithm.kZSTD) + _COMPRESSION_LEVEL
    try:
        file = ROOT.TFile.Open(str(path), mode, "", compression)
    except OSError:
        raise no_room() from None
    stored = file.WriteTObject(ROOT.TNamed("na64root", facts.model_dump_json()))
    file.Close()
    if stored <= 0 or file.TestBit(ROOT.TFile.kWriteError):
        raise Na64Error(
            f"cannot write how the skim {path.name} was made (the file system took no more data): choose "
            "another place for --skim"
        )


@contextlib.contextmanager
def no_room_is_told(skim: Skim | None, made: Path | None) -> Iterator[None]:
    """A loop that writes a skim ends in one line where ROOT finds no way to say that its file is cut off."""
    if skim is None or made is None:
        yield
        return
    cling.declare_header("last_words.hpp")
    known, folder = root().na64root_skim, made.resolve().parent.parent
    known.prepare(f"na64root: {' '.join(_no_room_for(skim.path).split())}\n", cling.litter(folder))
    try:
        yield
    finally:
        known.forget()


def _no_room_for(path: Path) -> str:
    return f"cannot write {path} (the file system took no more data): choose another place for --skim"


def _events_in(path: str, tree: str) -> int:
    """How many events a skim holds that was just written; 0 where it cannot be read."""
    try:
        with opened_file(path) as file:
            key = file.GetKey(tree)
            if key and str(key.GetClassName()) == "ROOT::RNTuple":
                return fields_of(path, tree)[0]
            written = object_in(file, tree)
            return int(written.GetEntries()) if written else 0
    except DataError:
        return 0


def _array_lengths(path: str, tree: str) -> tuple[bool, dict[str, int]]:
    """Whether a file holds an RNTuple, and the length of each array that has the same in every event."""
    ROOT = root()
    file = ROOT.TFile.Open(literal(path), "READ")
    try:
        if str(file.GetKey(tree).GetClassName()) == "ROOT::RNTuple":
            reader = ROOT.RNTupleReader.Open(tree, literal(path))  # keeps what it describes
            fields = reader.GetDescriptor().GetTopLevelFields()
            arrays = {str(f.GetFieldName()): _ARRAY.fullmatch(str(f.GetTypeName())) for f in fields}
            return True, {name: int(match[1]) for name, match in arrays.items() if match}
        lengths = {}
        for branch in file.Get(tree).GetListOfBranches():
            leaf = branch.GetListOfLeaves()[0] if branch.GetNleaves() == 1 else None
            if leaf and not leaf.GetLeafCount() and leaf.GetLenStatic() > 1:
                lengths[str(branch.GetName())] = int(leaf.GetLenStatic())
        return False, lengths
    finally:
        file.Close()
