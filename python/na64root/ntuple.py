"""NA64-format ntuples: the branches of a layout, finding the input files, checking them before they are read.

Nothing here loops over events except :func:`inspect`. Every problem is found before the event loop starts and
becomes one line that names the file, the branch and what was expected.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import SerializerFunctionWrapHandler, model_serializer

from .cling import declare, root
from .config import Card, Signature
from .errors import DataError
from .results import InputFile, Provenance, Record, provenance, sha256_of

Kind = Literal["flag", "integer", "floating", "count"]

_INTEGERS = frozenset(
    [
        "Bool_t",
        "Char_t",
        "UChar_t",
        "Short_t",
        "UShort_t",
        "Int_t",
        "UInt_t",
        "Long_t",
        "ULong_t",
        "Long64_t",
        "ULong64_t",
    ]
)
_FLOATING = frozenset(["Double_t", "Float_t"])
# Types of the fields of an RNTuple, by the names that the leaves of a TTree have.
_FIELD_TYPES = {
    "bool": "Bool_t",
    "char": "Char_t",
    "std::int8_t": "Char_t",
    "std::uint8_t": "UChar_t",
    "std::int16_t": "Short_t",
    "std::uint16_t": "UShort_t",
    "std::int32_t": "Int_t",
    "std::uint32_t": "UInt_t",
    "std::int64_t": "Long64_t",
    "std::uint64_t": "ULong64_t",
    "float": "Float_t",
    "double": "Double_t",
}
_ACCEPTED: dict[Kind, frozenset[str]] = {
    "flag": _INTEGERS,
    "integer": _INTEGERS - {"Bool_t"},
    "floating": _FLOATING,
    "count": (_INTEGERS - {"Bool_t"}) | _FLOATING,
}
_EXPECTED: dict[Kind, str] = {
    "flag": "Bool_t",
    "integer": "an integer",
    "floating": "Double_t or Float_t",
    "count": "a number",
}
# The cuts that define a signature: without their branches there is no count. Any other cut can be left out.
DEFINING_CUTS: dict[Signature, tuple[str, ...]] = {
    "S1": ("ecal", "veto", "hcal", "r"),
    "S2": ("ecal", "veto", "hcal"),
}
_LIST_SUFFIXES = (".txt", ".list", ".lst")


@dataclass(frozen=True)
class Branch:
    """A branch of a layout. `always`: in every file; `used`: read by the selection, type checked."""

    name: str
    kind: Kind
    shape: tuple[int, ...] = ()
    always: bool = True
    used: bool = True

    @property
    def length(self) -> int:
        return int(np.prod(self.shape, dtype=int))


@dataclass(frozen=True)
class Schema:
    """A layout: its tree, its branches, those that every file must hold, and those that each cut reads."""

    name: str
    tree: str
    required: tuple[str, ...]
    branches: tuple[Branch, ...]
    cut_inputs: Mapping[str, tuple[str, ...]]

    def branch(self, name: str) -> Branch:
        return next(branch for branch in self.branches if branch.name == name)

    def missing_for(self, cut: str, present: Collection[str]) -> list[str]:
        """Branches that a cut reads and that are not there."""
        return [name for name in self.cut_inputs[cut] if name not in present]

    def missing_for_signature(self, signature: Signature, present: Collection[str]) -> list[str]:
        """Branches without which the signature is not defined, and that are not there."""
        return [name for cut in DEFINING_CUTS[signature] for name in self.missing_for(cut, present)]

    def cuts_without_branches(self, present: Collection[str]) -> list[str]:
        """Cuts that read a branch that is not there, in the order of the cuts."""
        return [cut for cut in self.cut_inputs if self.missing_for(cut, present)]


def _unused(kind: Kind, *names: str, shape: tuple[int, ...] = ()) -> tuple[Branch, ...]:
    return tuple(Branch(name, kind, shape, used=False) for name in names)


# The reconstruction dump of 2016-2018: GeV, ns, mm. Hodoscope branches may be there and are not looked at.
TREE_A = Schema(
    name="A",
    tree="tree",
    required=("run", "spill", "spillevent"),
    branches=(
        Branch("run", "integer"),
        Branch("spill", "integer"),
        Branch("spillevent", "integer"),
        *_unused("integer", "runevent"),
        Branch("isPhysics", "flag"),
        Branch("isCalibration", "flag"),
        Branch("isOnSpill", "flag"),
        Branch("isTriggerPhysics", "flag"),
        *_unused("flag", "isTriggerBeam", "isTriggerRandom", "isTriggerECAL", "isTriggerMuonInv"),
        *_unused("floating", "masterTime", "S0_amp", "S1_amp", "S2_amp", "S0_t0", "S1_t0", "S2_t0"),
        Branch("ecalTotal", "floating"),
        Branch("ecal0", "floating"),
        *_unused("floating", "ecal1"),
        Branch("ECAL_ene", "floating", (2, 6, 6)),
        *_unused("floating", "ECAL_t0", shape=(2, 6, 6)),
        Branch("hcal0", "floating"),
        Branch("hcal1", "floating"),
        Branch("hcal2", "floating"),
        *_unused("floating", "hcal3", "srdTotal"),
        Branch("SRD_ene", "floating", (4,)),
        *_unused("floating", "SRD_t0", shape=(4,)),
        Branch("VETO_ene", "floating", (6,)),
        *_unused("floating", "VETO_t0", shape=(6,)),
        Branch("showerChi2", "floating"),
        Branch("HCAL_ene", "floating", (4, 3, 3), always=False),
        Branch("HCAL_t0", "floating", (4, 3, 3), always=False, used=False),
        Branch("trackMomentum", "floating", always=False),
        Branch("trackChi2", "floating", always=False, used=False),
        Branch("nTracks", "count", always=False, used=False),
        Branch("straw3X", "count", always=False),
        Branch("straw3Y", "count", always=False),
        Branch("ecalTotalNoTimecut", "floating", always=False),
        Branch("mcWeight", "floating", always=False),
    ),
    cut_inputs={
        "trigger": ("isPhysics", "isTriggerPhysics", "isOnSpill", "isCalibration"),
        "pile_up": ("ecalTotalNoTimecut", "ecalTotal"),
        "straw": ("straw3X", "straw3Y"),
        "beam_cell": ("ECAL_ene",),
        "srd": ("SRD_ene",),
        "momentum": ("trackMomentum",),
        "preshower": ("ecal0",),
        "ecal": ("ecalTotal",),
        "veto": ("VETO_ene",),
        "hcal": ("hcal0", "hcal1", "hcal2"),
        "r": ("HCAL_ene",),
        "shower_chi2": ("showerChi2",),
    },
)


@dataclass(frozen=True)
class Ntuple:
    """Checked input: all files hold `present`, of the same types."""

    schema: Schema
    files: tuple[InputFile, ...]
    present: frozenset[str]

    @property
    def paths(self) -> list[str]:
        return [file.path for file in self.files]

    @property
    def entries(self) -> int:
        return sum(file.entries for file in self.files)

    @property
    def missing(self) -> list[str]:
        """Branches of the layout that the files lack; `mcWeight` belongs to simulation and is not missed."""
        return [b.name for b in self.schema.branches if b.name not in self.present and b.name != "mcWeight"]

    def data_frame(self, **distributed: Any) -> Any:
        """An RDataFrame over all files; `executor` and `npartitions` make it a distributed one."""
        return root().RDataFrame(self.schema.tree, self.paths, **distributed)


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


class Inspection(Record):
    """What an input holds, before any selection."""

    files: list[InputFile]
    layout: str
    entries: int
    branches_missing: list[str]
    runs: list[int]
    periods: dict[str, PeriodContent]
    spills: int
    can_evaluate: CanEvaluate
    provenance: Provenance

    @model_serializer(mode="wrap")
    def _with_contract_keys(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The contract's key is `schema`, a name that pydantic keeps for itself.
        return {"schema" if key == "layout" else key: value for key, value in serialize(self).items()}


def expand(inputs: Sequence[str]) -> list[str]:
    """Paths of the files behind paths, globs, text files of paths (.txt, .list, .lst) and root:// addresses.

    A glob gives its matches in order of name. In a text file each line is a path, a glob or an address; empty
    lines and those that begin with # are left out; relative paths start from the folder of the text file.

    Raises:
        DataError: nothing given, nothing matches, no such file, or a file is named twice.
    """
    paths = [path for text in inputs for path in _expand_one(str(text), Path(), lists=True)]
    if not paths:
        raise DataError("no input files given: name at least one ROOT file")
    seen: set[str] = set()
    for path in paths:
        same = path if "://" in path else str(Path(path).resolve())
        if same in seen:
            raise DataError(f"{path} is given twice (its events would count twice): name it once")
        seen.add(same)
    return paths


def _expand_one(text: str, folder: Path, *, lists: bool) -> list[str]:
    if "://" in text:
        return [text]
    path = folder / text
    if path.is_dir():
        raise DataError(f"{path} is a folder (files are needed): give '{path}/*.root'")
    if path.is_file():
        return _read_list(path) if lists and path.suffix in _LIST_SUFFIXES else [str(path)]
    if glob.has_magic(text):
        matches = sorted(match for match in glob.glob(str(path)) if Path(match).is_file())
        if not matches:
            raise DataError(f"no file matches {path} (empty glob): check the path")
        return matches
    raise DataError(f"cannot read {path} (no such file): check the path")


def _read_list(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the list of files {path} ({error}): give one path per line") from None
    entries = [line for line in lines if line and not line.startswith("#")]
    if not entries:
        raise DataError(f"{path} names no file (one path per line is expected): add paths")
    return [found for line in entries for found in _expand_one(line, path.parent, lists=False)]


def open_ntuple(inputs: Sequence[str], schema: Schema = TREE_A, *, unpack: bool = True) -> Ntuple:
    """Find and check the files of an input: readable, with the tree, with entries, of the same branches.

    Args:
        unpack: unpack each branch once to see that it can be; without, :func:`check_baskets` does so later.

    Raises:
        DataError: see :func:`expand`; a file that is damaged or not ROOT, a missing or empty tree, a required
            branch missing, a branch of another type or length than expected, files that differ in branches.
    """
    files: list[InputFile] = []
    branches: list[dict[str, str]] = []
    kinds: list[str] = []
    for path in expand(inputs):
        kind, entries, types = _check_file(path, schema, unpack)
        remote = "://" in path
        files.append(
            InputFile(
                path=path,
                size=0 if remote else Path(path).stat().st_size,
                sha256="" if remote else sha256_of(Path(path)),
                entries=entries,
            )
        )
        branches.append(types)
        kinds.append(kind)
        if kind != kinds[0]:
            raise DataError(
                f"{path} holds {kind}, {files[0].path} {kinds[0]} (one chain, two kinds): {_ONE_KIND}"
            )
        _check_same(files[0].path, branches[0], path, types)
    return Ntuple(schema, tuple(files), frozenset(branches[0]))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """ROOT's messages about a bad file are replaced by one line of ours, and its `Fatal` does not abort."""
    ROOT = root()
    levels = ROOT.gErrorIgnoreLevel, ROOT.gErrorAbortLevel
    ROOT.gErrorIgnoreLevel, ROOT.gErrorAbortLevel = ROOT.kFatal + 1, ROOT.kFatal + 1
    try:
        yield
    finally:
        ROOT.gErrorIgnoreLevel, ROOT.gErrorAbortLevel = levels


def _check_file(path: str, schema: Schema, unpack: bool) -> tuple[str, int, dict[str, str]]:
    """TTree or RNTuple, its entries, and the type of each branch of the layout that it holds."""
    # An address without a server is given up after seconds, not ten minutes; what the user has set stays.
    os.environ.setdefault("XRD_CONNECTIONWINDOW", "15")
    os.environ.setdefault("XRD_CONNECTIONRETRY", "1")
    ROOT = root()
    if "://" not in path:
        try:
            with open(path, "rb") as stream:
                magic = stream.read(4)
        except OSError as error:
            raise DataError(f"cannot read {path} ({error.strerror}): check the file") from None
        if not magic:
            raise DataError(f"{path} is empty (0 bytes; a ROOT file is expected): make or copy it again")
        if magic != b"root":
            raise DataError(f"{path} is not a ROOT file (it does not begin with 'root'): give a ROOT file")
    damaged = f"{path} is damaged (truncated or not closed by its writer): make or copy it again"
    with _quiet():
        try:
            file = ROOT.TFile.Open(path, "READ")
        except OSError:
            file = None
        if not file or file.IsZombie():
            if "://" in path:
                raise DataError(
                    f"cannot open {path} (no answer from the server, or no such file): check the address"
                )
            raise DataError(damaged)
        try:
            if file.TestBit(ROOT.TFile.kRecovered):
                raise DataError(damaged)
            return _check_tree(file, path, schema, unpack)
        finally:
            file.Close()


def _check_tree(file: Any, path: str, schema: Schema, unpack: bool) -> tuple[str, int, dict[str, str]]:
    names = sorted({str(key.GetName()) for key in file.GetListOfKeys()})
    if schema.tree not in names:
        found = ", ".join(names[:5]) or "nothing"
        raise DataError(f"{path} has no tree '{schema.tree}' (it holds {found}): give an NA64 ntuple")
    what = str(file.GetKey(schema.tree).GetClassName())
    if what == "ROOT::RNTuple":
        entries, columns = _fields(path, schema)
    else:
        tree = file.Get(schema.tree)
        if not tree or not tree.InheritsFrom("TTree"):
            raise DataError(
                f"'{schema.tree}' in {path} is a {what} (a TTree or RNTuple is expected): give an NA64 ntuple"
            )
        entries, columns = int(tree.GetEntries()), _leaves(tree, schema)
    if entries == 0:
        raise DataError(f"tree '{schema.tree}' in {path} has no entries (events are expected): leave it out")
    types = {}
    for branch in schema.branches:
        if branch.name in columns:
            _check_column(branch, columns[branch.name], path)
            types[branch.name] = columns[branch.name].type
    if what != "ROOT::RNTuple" and unpack:
        _check_baskets(tree, entries, [b.name for b in schema.branches if b.used and b.name in types], path)
    for name in schema.required:
        if name not in types:
            expected = _EXPECTED[schema.branch(name).kind]
            raise DataError(
                f"{path} has no branch {name} ({expected} per event is expected): add it to the ntuple"
            )
    return "an RNTuple" if what == "ROOT::RNTuple" else "a TTree", entries, types


@dataclass(frozen=True)
class _Column:
    """Of a file: type of an element, how many there are, 0 where their number varies."""

    type: str
    length: int


def _leaves(tree: Any, schema: Schema) -> dict[str, _Column]:
    columns = {}
    for branch in schema.branches:
        found = tree.GetBranch(branch.name)
        if not found:
            continue
        leaf = found.GetListOfLeaves()[0] if found.GetNleaves() == 1 else None
        if leaf:
            length = 0 if leaf.GetLeafCount() else int(leaf.GetLenStatic())
            columns[branch.name] = _Column(str(leaf.GetTypeName()), length)
        else:
            columns[branch.name] = _Column(str(found.GetClassName()), 1)
    return columns


def _fields(path: str, schema: Schema) -> tuple[int, dict[str, _Column]]:
    ROOT = root()
    try:
        reader = ROOT.RNTupleReader.Open(schema.tree, path)
        descriptor = reader.GetDescriptor()
        types = {str(f.GetFieldName()): str(f.GetTypeName()) for f in descriptor.GetTopLevelFields()}
        entries = int(reader.GetNEntries())
    except ROOT.std.exception:
        raise DataError(
            f"the RNTuple '{schema.tree}' in {path} cannot be read (the file is damaged): copy it again"
        ) from None
    columns = {}
    for branch in schema.branches:
        if branch.name in types:
            array = re.fullmatch(r"std::array<([\w:]+),(\d+)>", types[branch.name])
            element, length = array.groups() if array else (types[branch.name], "1")
            columns[branch.name] = _Column(_FIELD_TYPES.get(element, element), int(length))
    return entries, columns


# RDataFrame reads through a null pointer where a basket cannot be unpacked, and past the end of one whose
# header is wrong, so each is unpacked before and held to its branch: entries of one size, without offsets.
_BASKET_CHECK = """
#include "TBasket.h"
#include "TBranch.h"
#include "TBuffer.h"
#include "TLeaf.h"
namespace na64root_ntuple {
bool baskets_are_sound(TBranch &branch, Long64_t entries) {
    const Int_t on_disk = branch.GetWriteBasket();
    const Int_t baskets = on_disk + (branch.GetListOfBaskets()->At(on_disk) ? 1 : 0);
    const Long64_t *first_entry = branch.GetBasketEntry();
    Int_t entry_bytes = 0;
    for (auto *leaf : TRangeDynCast<TLeaf>(branch.GetListOfLeaves()))
        entry_bytes += leaf->GetLen() * leaf->GetLenType();
    bool sound = branch.GetEntries() == entries && baskets > 0 && first_entry[0] == 0;
    try {
        for (Int_t i = 0; sound && i < baskets; ++i) {
            TBasket *basket = branch.GetBasket(i);
            const Long64_t next = i + 1 < baskets ? first_entry[i + 1] : entries;
            sound = basket && basket->GetNevBuf() == next - first_entry[i] && !basket->GetEntryOffset() &&
                    basket->GetNevBufSize() == entry_bytes && basket->GetBufferRef();
            const Long64_t end =
                sound ? basket->GetKeylen() + basket->GetNevBuf() * Long64_t{entry_bytes} : 0;
            sound = sound && basket->GetKeylen() > 0 && end <= basket->GetBufferRef()->BufferSize() &&
                    basket->GetLast() == end;
            branch.DropBaskets();
        }
    } catch (const std::exception &) { // a damaged size in the header of a basket
        return false;
    }
    return sound;
}
}
"""


@functools.cache
def _declare_basket_check() -> None:
    declare(_BASKET_CHECK)


def _check_baskets(tree: Any, entries: int, names: Sequence[str], path: str) -> None:
    _declare_basket_check()
    for name in names:
        if not root().na64root_ntuple.baskets_are_sound(tree.GetBranch(name), entries):
            raise DataError(f"branch {name} in {path} cannot be read (the file is damaged): copy it again")


def check_baskets(path: str, schema: Schema, present: Collection[str]) -> None:
    """Unpack each branch of a file that the selection reads, once; an RNTuple checks itself where it is read.

    Raises:
        DataError: a branch cannot be unpacked.
    """
    ROOT = root()
    with _quiet():
        try:
            file = ROOT.TFile.Open(path, "READ")
        except OSError:
            raise DataError(
                f"cannot read {path} where the event loop runs: give a path that every worker sees"
            ) from None
        if str(file.GetKey(schema.tree).GetClassName()) != "ROOT::RNTuple":
            tree = file.Get(schema.tree)
            names = [b.name for b in schema.branches if b.used and b.name in present]
            _check_baskets(tree, int(tree.GetEntries()), names, path)
        file.Close()


def _check_column(branch: Branch, column: _Column, path: str) -> None:
    if branch.used and (column.type not in _ACCEPTED[branch.kind] or column.length != branch.length):
        size = "[n]" if column.length == 0 else f"[{column.length}]" if column.length > 1 else ""
        shape = "".join(f"[{n}]" for n in branch.shape)
        raise DataError(
            f"branch {branch.name} in {path} is {column.type}{size} "
            f"({_EXPECTED[branch.kind]}{shape and ', ' + shape} is expected): correct the ntuple"
        )


_ONE_KIND = "give files of one kind"


def _check_same(first: str, expected: dict[str, str], path: str, types: dict[str, str]) -> None:
    """All files of a chain must be read alike: a branch in some files only would drop events unseen."""
    for name in expected.keys() | types.keys():
        if name not in types:
            raise DataError(
                f"{path} has no branch {name}, {first} has it (one chain, two layouts): {_ONE_KIND}"
            )
        if name not in expected:
            raise DataError(
                f"{first} has no branch {name}, {path} has it (one chain, two layouts): {_ONE_KIND}"
            )
        if types[name] != expected[name]:
            raise DataError(
                f"branch {name} is {types[name]} in {path}, {expected[name]} in {first} "
                f"(one chain, two layouts): {_ONE_KIND}"
            )


def period_names(card: Card) -> list[str]:
    """What a run can belong to, in the order of :func:`run_ranges`; the last is for all other runs."""
    excluded = [f"excluded: {runs.reason}" for runs in card.excluded_runs]
    return [period.name for period in card.periods] + excluded + ["no period"]


def run_ranges(card: Card) -> list[tuple[int, int]]:
    """First and last run of each period of the card, then of each range of excluded runs."""
    return [(r.first_run, r.last_run) for r in (*card.periods, *card.excluded_runs)]


def inspect(inputs: Sequence[str], card: Card) -> Inspection:
    """What the files hold: runs, spills, periods of the card, missing branches, what can be evaluated.

    Raises:
        DataError: as :func:`open_ntuple`, or the events cannot be read.
    """
    ntuple = open_ntuple(inputs)
    flags = ntuple.schema.cut_inputs["trigger"]
    known = not ntuple.schema.missing_for("trigger", ntuple.present)
    with reading(ntuple):
        data = ntuple.data_frame().AsNumpy(["run", "spill", *(flags if known else ())])
    runs = np.asarray(data["run"], dtype=np.int64)
    spills = np.asarray(data["spill"], dtype=np.int64)
    triggers = None
    if known:
        physics, trigger_physics, on_spill, calibration = (np.asarray(data[f], dtype=bool) for f in flags)
        triggers = physics & trigger_physics & on_spill & ~calibration
    index = np.full(len(runs), len(period_names(card)) - 1)
    for i, (first, last) in reversed(list(enumerate(run_ranges(card)))):
        index[(runs >= first) & (runs <= last)] = i
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
    return Inspection(
        files=list(ntuple.files),
        layout=ntuple.schema.name,
        entries=ntuple.entries,
        branches_missing=ntuple.missing,
        runs=[int(run) for run in np.unique(runs)],
        periods=periods,
        spills=_distinct(runs, spills),
        can_evaluate=CanEvaluate(
            S1=not ntuple.schema.missing_for_signature("S1", ntuple.present),
            S2=not ntuple.schema.missing_for_signature("S2", ntuple.present),
            cuts_not_applied=ntuple.schema.cuts_without_branches(ntuple.present),
        ),
        provenance=provenance(card, input_files=ntuple.files),
    )


def _distinct(runs: np.ndarray[Any, Any], spills: np.ndarray[Any, Any]) -> int:
    """Number of spills: a spill number starts again in every run."""
    return len(np.unique(np.stack([runs, spills]), axis=1).T)


@contextlib.contextmanager
def reading(ntuple: Ntuple) -> Iterator[None]:
    """Turns ROOT's errors while events are read into a DataError that names the files."""
    ROOT = root()
    try:
        with _quiet():
            yield
    except ROOT.std.exception as error:
        names = ", ".join(ntuple.paths[:3]) + (" ..." if len(ntuple.paths) > 3 else "")
        cause = str(error.what()).strip().splitlines()[-1] if hasattr(error, "what") else str(error)
        if branch := re.search(r"branch \S+ in .+ cannot be read$", cause):
            raise DataError(f"{branch[0]} (the file is damaged): copy it again") from None
        raise DataError(
            f"cannot read all events of {names} ({cause}): the file is damaged, make or copy it again"
        ) from None
