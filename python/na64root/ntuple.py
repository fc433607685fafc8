"""NA64 ntuples: finding the input files, checking them before they are read, the frame that reads them.

Nothing here loops over events except :func:`inspect`. Every problem is found before the event loop starts and
becomes one line that names the file, the branch and what was expected; with `input.skip_bad_files` a bad file
is left out and listed.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import json
import logging
import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import SerializerFunctionWrapHandler, model_serializer

from .cling import compiler_messages, declare, implicit_threads, include, optimise, root
from .config import Card, FriendTree, LayoutConfig
from .errors import DataError
from .good_runs import GoodRuns, read_good_runs
from .layouts import (
    ACCEPTED,
    EXPECTED,
    LAYOUT_B,
    TREE_A,
    TREE_B_NEEDED,
    TREE_B_UNUSED,
    Branch,
    Column,
    Definition,
    Schema,
    check_mapping,
    column_of,
    definition,
    element_of,
    nearest,
    propose,
    source_names,
)
from .layouts import (
    DEFINING_CUTS as DEFINING_CUTS,
)
from .library import SOURCES
from .results import (
    GoodRunList,
    InputDetails,
    InputFile,
    Provenance,
    Record,
    SkippedFile,
    provenance,
    sha256_of,
)

log = logging.getLogger(__name__)

_LIST_SUFFIXES = (".txt", ".list", ".lst")


@dataclass(frozen=True)
class Friend:
    """A tree with more branches of the same events, over all files."""

    tree: str
    alias: str
    files: tuple[InputFile, ...]


@dataclass(frozen=True)
class Ntuple:
    """Checked input: all files hold `present`, of the same types.

    `schema` and `present` are of the columns that :meth:`data_frame` gives, those of layout A; `layout` says
    what the files hold: A, B or `card` for the mapping of the card. `definitions` make the columns of layout
    A, in this order; they are empty for files of layout A. `made_by_na64root` is what :func:`about` says, by
    path, of the files of which it says something.
    """

    schema: Schema
    files: tuple[InputFile, ...]
    present: frozenset[str]
    layout: str = "A"
    tree: str = TREE_A.tree
    definitions: tuple[Definition, ...] = ()
    friends: tuple[Friend, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()
    good_runs: GoodRunList | None = None
    unpacked: bool = False
    made_by_na64root: Mapping[str, dict[str, Any]] = field(default_factory=dict)

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

    @property
    def details(self) -> InputDetails:
        """For the provenance: how the files were read, and which were not."""
        return InputDetails(
            layout=self.layout,
            friend_files=[file for friend in self.friends for file in friend.files],
            files_skipped=list(self.skipped),
            good_runs=self.good_runs,
        )

    def data_frame(self, **distributed: Any) -> Any:
        """An RDataFrame over all files with the columns of layout A.

        Args:
            distributed: `executor` and `npartitions` of a distributed one.
        """
        friends = [(friend.tree, friend.alias, [f.path for f in friend.files]) for friend in self.friends]
        if not distributed:
            frame = _source_frame(self.tree, self.paths, friends)
        elif not friends:
            frame = root().RDataFrame(self.tree, self.paths, **distributed)
        else:
            frame = _distributed_with_friends(self.tree, self.paths, friends, distributed)
        return self.with_columns_of_layout_a(frame)

    def with_columns_of_layout_a(self, frame: Any) -> Any:
        """A frame over the files, of any engine, with the columns of layout A defined."""
        columns = _names_in_use(frame, [friend.alias for friend in self.friends])
        for made in self.definitions:
            if made.source:
                frame = frame.Alias(made.name, made.source)
            elif made.name in columns:
                frame = frame.Redefine(made.name, made.expression)
            else:
                frame = frame.Define(made.name, made.expression)
        return frame


def _names_in_use(frame: Any, aliases: Sequence[str]) -> set[str]:
    """Names that can only be redefined: of the columns, and of those of friends also without their alias."""
    names = {str(name) for name in frame.GetColumnNames()}
    return names | {name.removeprefix(f"{alias}.") for name in names for alias in aliases}


def _source_frame(tree: str, paths: Sequence[str], friends: Sequence[tuple[str, str, list[str]]]) -> Any:
    """The columns as the files have them; `friends` are tree, alias and files of each friend tree."""
    optimise()  # what is booked on it
    ROOT = root()
    if not friends:
        return ROOT.RDataFrame(tree, list(paths))
    dataset = ROOT.RDF.Experimental.RDatasetSpec()
    dataset.AddSample(ROOT.RDF.Experimental.RSample("input", tree, list(paths)))
    for name, alias, files in friends:
        dataset.WithGlobalFriends(name, files, alias)
    return ROOT.RDataFrame(dataset)


def _distributed_with_friends(
    tree: str,
    paths: Sequence[str],
    friends: Sequence[tuple[str, str, list[str]]],
    distributed: Mapping[str, Any],
) -> Any:
    """As :func:`_source_frame`: a distributed frame has friends from a chain, which its head keeps alive."""
    chains = [_chain(tree, paths)]
    for name, alias, files in friends:
        chains.append(_chain(name, files))
        chains[0].AddFriend(chains[-1], alias)
    frame = root().RDataFrame(chains[0], **distributed)
    frame._headnode.chains = chains
    return frame


def _chain(tree: str, paths: Sequence[str]) -> Any:
    chain = root().TChain(tree)
    for path in paths:
        chain.AddFile(path)
    return chain


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
    files_skipped: list[SkippedFile]
    proposed_layout: ProposedLayout | None
    notes: list[str]
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


def open_ntuple(inputs: Sequence[str], card: Card | None = None, *, unpack: bool = True) -> Ntuple:
    """Find and check the files of an input: readable, with the tree, with entries, of the same branches.

    Args:
        card: says how a tree of another layout is read, and whether bad files are left out; without it files
            are of layout A or B, and each must be good.
        unpack: unpack each branch once to see that it can be; without, :func:`check_baskets` does so later
            where `unpacked` is not set. Other layouts, and where bad files are left out, are always unpacked.

    Raises:
        ConfigError: a mapping of the card that is wrong for any file.
        DataError: see :func:`expand`; a file that is damaged or not ROOT, a missing or empty tree, a required
            branch missing, a branch of another type or length than expected, files that differ in branches.
            With `input.skip_bad_files` such files are in `skipped`, and it is an error if all are.
    """
    mapping = card.layout if card is not None else None
    if mapping is not None:
        check_mapping(mapping)
    good_runs = good_runs_of(card) if card is not None else None
    skip = card is not None and card.input.skip_bad_files == "on"
    paths = expand(inputs)
    found: list[_Found] = []
    skipped: list[SkippedFile] = []
    unknown: UnknownLayoutError | None = None
    friends_of = _friend_paths(mapping, paths) if mapping else [[] for _ in paths]
    for path, friend_paths in zip(paths, friends_of, strict=True):
        try:
            one = _check_file(path, mapping, friend_paths, unpack=unpack or skip, every_page=skip)
            _check_alike(found, one)
        except DataError as error:
            if not skip:
                raise
            if isinstance(error, UnknownLayoutError) and error.trees and unknown is None:
                unknown = error
            skipped.append(SkippedFile(path=path, cause=str(error)))
            log.warning("left out: %s", error)
            continue
        found.append(one)
    if not found:
        message = f"all {len(paths)} files are bad (nothing is left of the input), the first: "
        if unknown is not None:
            raise UnknownLayoutError(f"{message}{skipped[0].cause}", unknown.path, unknown.trees, skipped)
        raise DataError(f"{message}{skipped[0].cause}")
    first = found[0]
    friends = tuple(
        Friend(friend.tree, friend.alias, tuple(one.friends[i] for one in found))
        for i, friend in enumerate(first.mapping.friends if first.mapping else ())
    )
    ntuple = Ntuple(
        TREE_A,
        tuple(one.file for one in found),
        frozenset(first.types),
        first.layout,
        first.tree,
        friends=friends,
        skipped=tuple(skipped),
        good_runs=good_runs.file if good_runs else None,
        unpacked=unpack or skip or first.mapping is not None,
        made_by_na64root={one.file.path: one.facts for one in found if one.facts is not None},
    )
    return ntuple if first.mapping is None else _mapped(ntuple, first)


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


@dataclass(frozen=True)
class _Found:
    """What a checked file is.

    `types` are those of the columns that are read, by their names in the file where there is a mapping.
    """

    file: InputFile
    kind: str
    layout: str
    tree: str
    types: dict[str, str]
    mapping: LayoutConfig | None = None
    columns: dict[str, Column] = field(default_factory=dict)
    friends: tuple[InputFile, ...] = ()
    facts: dict[str, Any] | None = None


class UnknownLayoutError(DataError):
    """A readable ROOT file whose trees are of no known layout; `trees` are their names.

    `skipped` are the other files of the input, where they were left out.
    """

    def __init__(
        self, message: str, path: str, trees: Sequence[str], skipped: Sequence[SkippedFile] = ()
    ) -> None:
        super().__init__(message)
        self.path, self.trees = path, list(trees)
        self.skipped = [file for file in skipped if file.path != path]


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Any]:
    """A ROOT file that is closed again.

    Raises:
        DataError: it cannot be opened, is empty, not ROOT, truncated, or was not closed by its writer.
    """
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
    else:
        # An address is read through its server also on the server's own machine: RDataFrame would take its
        # path for that of a local file there, TFile does not.
        ROOT.gEnv.SetValue("TFile.ForceRemote", 1)
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
            yield file
        finally:
            file.Close()


def _check_file(
    path: str, mapping: LayoutConfig | None, friend_paths: Sequence[str], *, unpack: bool, every_page: bool
) -> _Found:
    """Check one file.

    `unpack`: also the baskets of a TTree of layout A. `every_page`: also all of an RNTuple, which otherwise
    checks itself where it is read.
    """
    with _opened(path) as file:
        layout, mapping = _layout_of(file, path, mapping)
        found = _check_tree(file, path, layout, mapping, friend_paths if mapping else (), unpack)
        found = replace(found, facts=_facts(file))
    if every_page and found.kind == _RNTUPLE:
        names = list(found.types)
        _check_pages(found.tree, path, names)
    return found


def about(path: str) -> dict[str, Any] | None:
    """What a file that na64root wrote says of how it was made; None of any other file."""
    with _opened(path) as file:
        return _facts(file)


def _facts(file: Any) -> dict[str, Any] | None:
    text = _get(file, "na64root")
    try:
        facts = json.loads(str(text.GetTitle())) if text else None
    except ValueError:
        return None
    return facts if isinstance(facts, dict) else None


def require_blind(ntuple: Ntuple, blind: bool) -> None:
    """Refuse to show what a blinded skim, which has lost its signal boxes, would have as observed.

    Raises:
        DataError: a file is such a skim, and `blind` is not set.
    """
    for path, facts in ntuple.made_by_na64root.items():
        if facts.get("blind") and not blind:
            raise DataError(
                f"{path} is a blinded skim (without the events in the signal boxes, so that nothing in it is "
                "observed): use --blind, or a skim that was made without it"
            )


def _input_file(path: str, entries: int) -> InputFile:
    remote = "://" in path
    return InputFile(
        path=path,
        size=0 if remote else Path(path).stat().st_size,
        sha256="" if remote else sha256_of(Path(path)),
        entries=entries,
    )


_TTREE, _RNTUPLE = "a TTree", "an RNTuple"
_TREE_CLASSES = ("TTree", "TNtuple", "TNtupleD", "TChain", "ROOT::RNTuple")


def _text(characters: Any) -> str:
    """A name in a file, of which a damaged one can hold anything."""
    try:
        return "".join(c if c.isprintable() else "?" for c in str(characters))
    except UnicodeDecodeError:
        return "?"


def _get(directory: Any, name: str) -> Any:
    """An object of a file; None where it is not there or its class is unknown, as in a damaged file."""
    try:
        return directory.Get(name)
    except TypeError:
        return None


def _trees(directory: Any, prefix: str = "") -> dict[str, str]:
    """The class of each tree in a file by its name, those in folders as folder/name."""
    trees = {}
    for key in directory.GetListOfKeys():
        name, kind = prefix + _text(key.GetName()), _text(key.GetClassName())
        if kind in _TREE_CLASSES:
            trees[name] = kind
        elif kind == "TDirectoryFile" and prefix.count("/") < 3:
            below = _get(directory, _text(key.GetName()))
            if below:
                trees |= _trees(below, name + "/")
    return trees


def _layout_of(file: Any, path: str, mapping: LayoutConfig | None) -> tuple[str, LayoutConfig | None]:
    """A, B or card, with the mapping where there is one. What na64root wrote itself is of layout A."""
    names = sorted({_text(key.GetName()) for key in file.GetListOfKeys()})
    if mapping is not None and "na64root" not in names:
        if mapping.tree not in names and not _get(file, mapping.tree):
            held = ", ".join(list(_trees(file))[:5]) or "none"
            raise DataError(f"{path} has no tree '{mapping.tree}' (its trees: {held}): correct layout.tree")
        return "card", mapping
    if TREE_A.tree in names:
        return "A", None
    trees = _trees(file)
    if LAYOUT_B.tree in trees:
        columns = _column_names(file, path, LAYOUT_B.tree)
        if all(name in columns for name in TREE_B_NEEDED):
            return "B", LAYOUT_B
    found = ", ".join(names[:5]) or "nothing"
    raise UnknownLayoutError(
        f"{path} has no tree '{TREE_A.tree}' (it holds {found}): give an NA64 ntuple, or say in "
        "[layout] how to read it (na64root inspect proposes that)",
        path,
        list(trees),
    )


def _column_names(file: Any, path: str, tree: str) -> set[str]:
    """Names of the columns of a tree, without its friends."""
    try:
        return {str(name) for name in root().RDataFrame(tree, path).GetColumnNames()}
    except root().std.exception:
        raise DataError(f"'{tree}' in {path} cannot be read (the file is damaged): copy it again") from None


def _check_tree(
    file: Any,
    path: str,
    layout: str,
    mapping: LayoutConfig | None,
    friend_paths: Sequence[str],
    unpack: bool,
) -> _Found:
    name = mapping.tree if mapping else TREE_A.tree
    folder, _, last = name.rpartition("/")
    directory = _get(file, folder) if folder else file
    key = directory.GetKey(last) if directory else None
    what = _text(key.GetClassName()) if key else "?"
    tree = _get(file, name) if what != "ROOT::RNTuple" else None
    if what == "ROOT::RNTuple":
        _check_anchor(file, key, name, path)
        kind, tree = _RNTUPLE, None
        entries, columns = _fields(path, name)
    else:
        if not tree or not tree.InheritsFrom("TTree"):
            raise DataError(
                f"'{name}' in {path} is a {what} (a TTree or RNTuple is expected): give an NA64 ntuple"
            )
        kind, entries, columns = _TTREE, int(tree.GetEntries()), {}
    if entries == 0:
        raise DataError(f"tree '{name}' in {path} has no entries (events are expected): leave it out")
    if mapping is not None:
        return _check_mapped(tree, columns, path, kind, entries, layout, mapping, friend_paths)
    if tree is not None:
        columns = _leaves(tree, [branch.name for branch in TREE_A.branches])
    types = {}
    for branch in TREE_A.branches:
        if branch.name in columns:
            _check_column(branch, columns[branch.name], path)
            types[branch.name] = columns[branch.name].type
    if tree is not None and unpack:
        _check_baskets(tree, entries, [b.name for b in TREE_A.branches if b.used and b.name in types], path)
    missing = [required for required in TREE_A.required if required not in types]
    if missing:
        expected = EXPECTED[TREE_A.branch(missing[0]).kind]
        message = (
            f"{path} has no branch {missing[0]} ({expected} per event is expected): add it to the ntuple"
        )
        if len(missing) == len(TREE_A.required):
            raise UnknownLayoutError(
                f"{message}, or say in [layout] how to read it", path, list(_trees(file))
            )
        raise DataError(message)
    return _Found(_input_file(path, entries), kind, layout, name, types)


def _check_mapped(
    tree: Any,
    fields: dict[str, Column],
    path: str,
    kind: str,
    entries: int,
    layout: str,
    mapping: LayoutConfig,
    friend_paths: Sequence[str],
) -> _Found:
    """The columns that a mapping reads are there; their types; the friend trees have the same events."""
    if mapping.friends and kind == _RNTUPLE:
        raise DataError(f"{path} holds an RNTuple (only a TTree has friends): leave out layout.friends")
    friends = [
        _check_friend(friend, friend_path, path, entries)
        for friend, friend_path in zip(mapping.friends, friend_paths, strict=True)
    ]
    try:
        frame = _source_frame(
            mapping.tree,
            [path],
            [
                (friend.tree, friend.alias, [found.path])
                for friend, found in zip(mapping.friends, friends, strict=True)
            ],
        )
        known = [str(name) for name in frame.GetColumnNames()]
        needed = _needed(mapping, known, path, optional=layout == "B")
        types = {name: str(frame.GetColumnType(name)) for name in needed}
    except root().std.exception:
        raise DataError(
            f"'{mapping.tree}' in {path} cannot be read (the file is damaged): copy it again"
        ) from None
    columns = {name: column_of(text) for name, text in types.items()}
    own = [name for name in needed if not any(name.startswith(f"{f.alias}.") for f in mapping.friends)]
    if tree is not None:
        lengths = _leaves(tree, own)
        _check_baskets(tree, entries, own, path)
        for friend, file in zip(mapping.friends, friends, strict=True):
            prefix = f"{friend.alias}."
            names = [name.removeprefix(prefix) for name in needed if name.startswith(prefix)]
            with _opened(file.path) as opened:
                other = opened.Get(friend.tree)
                lengths |= {prefix + name: column for name, column in _leaves(other, names).items()}
                _check_baskets(other, entries, names, file.path)
    else:
        lengths = fields
    for name, column in columns.items():
        if column.array and name in lengths:
            columns[name] = replace(column, length=lengths[name].length if lengths[name].array else 0)
    if mapping.base == "A":
        for branch in TREE_A.branches:
            if branch.name in lengths and branch.name not in mapping.branches:
                _check_column(branch, lengths[branch.name], path)
    return _Found(
        _input_file(path, entries), kind, layout, mapping.tree, types, mapping, columns, tuple(friends)
    )


def _needed(mapping: LayoutConfig, known: Sequence[str], path: str, *, optional: bool) -> list[str]:
    """Columns of the file that the mapping reads, and with `base` those of layout A taken as they are."""
    names: dict[str, None] = {}
    for name, mapped in mapping.branches.items():
        for source in source_names(mapped, known):
            if source in known:
                names[source] = None
            elif not optional:
                raise DataError(
                    f"layout.branches.{name} reads {source}, which {path} has not "
                    f"({nearest(source, known)}): correct the mapping"
                )
    if mapping.base == "A":
        names |= dict.fromkeys(b.name for b in TREE_A.branches if b.used and b.name in known)
        for name in TREE_A.required:
            if name not in names and name not in mapping.branches:
                raise DataError(f"{path} has no branch {name} (layout A has it): map it in [layout.branches]")
    return list(names)


def _friend_paths(mapping: LayoutConfig, paths: Sequence[str]) -> list[list[str]]:
    """For each input file the files of its friends, in the order of the mapping.

    Raises:
        DataError: not one file of a friend for each input file.
    """
    found: list[list[str]] = [[] for _ in paths]
    for friend in mapping.friends:
        if not friend.files:
            files = list(paths)
        elif any("{stem}" in text or "{folder}" in text for text in friend.files):
            if len(friend.files) > 1:
                raise DataError(
                    f"layout.friends {friend.alias} has {len(friend.files)} files ({{stem}} makes one for "
                    "each input file): give one template"
                )
            files = [_from_template(friend.files[0], path) for path in paths]
        else:
            files = [file for text in friend.files for file in _expand_one(text, Path(), lists=True)]
        if len(files) != len(paths):
            raise DataError(
                f"layout.friends {friend.alias} has {len(files)} files for {len(paths)} input files "
                "(one for each is needed, in their order): give them, or a template with {stem}"
            )
        for names, file in zip(found, files, strict=True):
            names.append(file)
    return found


def _from_template(template: str, path: str) -> str:
    folder, _, name = path.rpartition("/")
    return template.replace("{folder}", folder or ".").replace("{stem}", name.removesuffix(".root"))


def _check_friend(friend: FriendTree, path: str, of: str, entries: int) -> InputFile:
    """The file with the friend tree of one input file: as many entries."""
    with _opened(path) as file:
        tree = _get(file, friend.tree)
        if not tree or not tree.InheritsFrom("TTree"):
            held = ", ".join(list(_trees(file))[:5]) or "none"
            raise DataError(
                f"{path} has no TTree '{friend.tree}' (its trees: {held}): correct layout.friends"
            )
        if int(tree.GetEntries()) != entries:
            raise DataError(
                f"friend tree '{friend.tree}' in {path} has {int(tree.GetEntries())} entries, {of} has "
                f"{entries} (the same events are expected): give its friend"
            )
    return _input_file(path, entries)


def _check_alike(found: Sequence[_Found], one: _Found) -> None:
    """All files of a chain are of one kind and layout and have the same columns of the same types."""
    if not found:
        return
    first, path = found[0], one.file.path
    if one.kind != first.kind:
        raise DataError(
            f"{path} holds {one.kind}, {first.file.path} {first.kind} (one chain, two kinds): {_ONE_KIND}"
        )
    if (one.layout, one.tree) != (first.layout, first.tree):
        raise DataError(
            f"{path} is of layout {one.layout}, {first.file.path} of {first.layout} "
            f"(one chain, two layouts): {_ONE_KIND}"
        )
    _check_same(first.file.path, first.types, path, one.types)
    for name, column in one.columns.items():
        if column != first.columns[name]:
            raise DataError(
                f"branch {name} is {column} in {path}, {first.columns[name]} in {first.file.path} "
                f"(one chain, two layouts): {_ONE_KIND}"
            )


def _mapped(ntuple: Ntuple, first: _Found) -> Ntuple:
    """The definitions of the columns of layout A, compiled once against the first file.

    Raises:
        DataError: an expression that does not compile, or gives what the branch cannot be.
    """
    assert first.mapping is not None
    mapping, columns = first.mapping, dict(first.columns)
    friends = [
        (friend.tree, friend.alias, [found.path])
        for friend, found in zip(mapping.friends, first.friends, strict=True)
    ]
    frame = _source_frame(first.tree, [first.file.path], friends)
    known = [str(name) for name in frame.GetColumnNames()]
    prepared: list[Definition] = []
    made: dict[str, str] = {}
    for name, mapped in mapping.branches.items():
        if mapped.expression is not None:
            source, element = f"na64_expression_{name}", None
            frame = _compiled(frame, Definition(source, mapped.expression), f"layout.branches.{name}", known)
            columns[source] = column_of(str(frame.GetColumnType(source)))
            prepared.append(Definition(source, mapped.expression))
        else:
            assert mapped.branch is not None
            source, element = element_of(mapped.branch, known)
            if source not in columns:
                continue  # tree B: not in every file
            if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", source):
                columns[f"na64_branch_{name}"] = columns[source]
                prepared.append(Definition(f"na64_branch_{name}", "", source))
                frame = frame.Alias(f"na64_branch_{name}", source)
                source = f"na64_branch_{name}"
        made[name] = definition(TREE_A.branch(name), mapped, source, element, columns[source])
    # A column that is replaced may be read by another definition: all are made before any takes its place.
    in_use = _names_in_use(frame, [friend.alias for friend in mapping.friends])
    replaced = [name for name in made if name in in_use]
    first_made = [Definition(f"na64_{name}" if name in replaced else name, made[name]) for name in made]
    last = [Definition(name, f"na64_{name}") for name in replaced]
    definitions = (*prepared, *first_made, *last)
    for one in first_made:
        frame = _compiled(frame, one, f"layout.branches.{one.name.removeprefix('na64_')}", known)
    present = set(made)
    if mapping.base == "A":
        present |= {b.name for b in TREE_A.branches if b.name in known}
    return replace(ntuple, present=frozenset(present), definitions=definitions)


def _compiled(frame: Any, made: Definition, where: str, known: Sequence[str]) -> Any:
    """The frame with a column more; what the compiler says of a wrong expression becomes one line."""
    with compiler_messages() as text:
        try:
            return frame.Define(made.name, made.expression)
        except root().std.exception as error:
            cause = str(error).splitlines()[-1].strip()
        said = text()
    match = re.search(r"error: (.+)", said)
    cause = match[1] if match else cause
    unknown = re.search(r"undeclared identifier '(\w+)'", cause)
    hint = f"; {nearest(unknown[1], known)}" if unknown else ""
    raise DataError(f"{where} does not compile: {made.expression!r} ({cause}{hint}): correct the expression")


def _leaves(tree: Any, names: Sequence[str]) -> dict[str, Column]:
    columns = {}
    for name in names:
        found = tree.GetBranch(name)
        if not found:
            continue
        leaf = found.GetListOfLeaves()[0] if found.GetNleaves() == 1 else None
        if leaf:
            fixed = not leaf.GetLeafCount() and "<" not in str(leaf.GetTypeName())
            length = int(leaf.GetLenStatic()) if fixed or "<" in str(leaf.GetTypeName()) else 0
            array = fixed and "[" in str(leaf.GetTitle())
            columns[name] = Column(str(leaf.GetTypeName()), length, array)
        else:
            columns[name] = Column(str(found.GetClassName()))
    return columns


def _fields(path: str, name: str) -> tuple[int, dict[str, Column]]:
    """Entries of an RNTuple and its top-level fields."""
    ROOT = root()
    try:
        reader = ROOT.RNTupleReader.Open(name, path)
        descriptor = reader.GetDescriptor()
        types = {str(f.GetFieldName()): str(f.GetTypeName()) for f in descriptor.GetTopLevelFields()}
        entries = int(reader.GetNEntries())
    except ROOT.std.exception:
        raise DataError(
            f"the RNTuple '{name}' in {path} cannot be read (the file is damaged): copy it again"
        ) from None
    columns = {}
    for field_name, text in types.items():
        array = re.fullmatch(r"std::array<([\w:]+),(\d+)>", text)
        columns[field_name] = column_of(text) if array or "<" not in text else Column(text)
    return entries, columns


@functools.cache
def _declare_basket_check() -> None:
    declare(f'#include "{SOURCES / "baskets.hpp"}"')


# The key of an RNTuple is there twice, in the list of keys and before the anchor, and both must agree: ROOT
# reads as many bytes of the anchor as the second one says into a buffer that may be smaller.
# Of the pages every event of every column is read once, which holds each page to its checksum.
_RNTUPLE_CHECK = """
#include "Bytes.h"
#include "ROOT/RNTupleReader.hxx"
#include "TFile.h"
#include "TKey.h"
namespace na64root_ntuple {
bool anchor_is_sound(TFile &file, TKey &key) {
    char header[26], *at = header;
    if (file.ReadBuffer(header, key.GetSeekKey(), sizeof header))
        return false;
    Int_t size, length;
    UInt_t date;
    Short_t version, key_length, cycle;
    frombuf(at, &size), frombuf(at, &version), frombuf(at, &length), frombuf(at, &date);
    frombuf(at, &key_length), frombuf(at, &cycle);
    Long64_t place;
    Int_t short_place;
    version > 1000 ? frombuf(at, &place) : (frombuf(at, &short_place), place = short_place, void());
    return size == key.GetNbytes() && length == key.GetObjlen() && key_length == key.GetKeylen() &&
           place == key.GetSeekKey() && size > key_length && size - key_length <= length;
}

bool pages_are_sound(const char *tree, const char *path, const std::vector<std::string> &names) {
    try {
        const auto reader = ROOT::RNTupleReader::Open(tree, path);
        std::vector<std::unique_ptr<ROOT::RNTupleView<void>>> views;
        for (const auto &name : names)
            views.push_back(std::make_unique<ROOT::RNTupleView<void>>(reader->GetView<void>(name)));
        for (auto &view : views)
            for (const auto entry : reader->GetEntryRange())
                (*view)(entry);
    } catch (const std::exception &) {
        return false;
    }
    return true;
}
}
"""


@functools.cache
def _declare_rntuple_check() -> None:
    declare(_RNTUPLE_CHECK)


def _check_anchor(file: Any, key: Any, name: str, path: str) -> None:
    _declare_rntuple_check()
    if not root().na64root_ntuple.anchor_is_sound(file, key):
        raise DataError(f"the RNTuple '{name}' in {path} cannot be read (the file is damaged): copy it again")


def _check_pages(tree: str, path: str, names: Sequence[str]) -> None:
    _declare_rntuple_check()
    with _quiet():
        if not root().na64root_ntuple.pages_are_sound(tree, path, list(names)):
            raise DataError(f"events of {path} cannot be read (the file is damaged): copy it again")


def _check_baskets(tree: Any, entries: int, names: Sequence[str], path: str) -> None:
    _declare_basket_check()
    sizes = _leaves(tree, names)
    for name in names:
        branch = tree.GetBranch(name)
        if not branch or not branch.GetListOfLeaves().GetEntries():
            continue  # a column within an object
        fixed = sizes[name].length > 0 and "<" not in sizes[name].type
        if not root().na64root.rdf.baskets_are_sound(branch, entries, fixed):
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


def _check_column(branch: Branch, column: Column, path: str) -> None:
    if branch.used and (column.type not in ACCEPTED[branch.kind] or column.length != branch.length):
        shape = "".join(f"[{n}]" for n in branch.shape)
        raise DataError(
            f"branch {branch.name} in {path} is {column} "
            f"({EXPECTED[branch.kind]}{shape and ', ' + shape} is expected): correct the ntuple"
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


_NOT_GOOD = "not in the list of good runs"


def good_runs_of(card: Card) -> GoodRuns | None:
    """The list of good runs of the card; None where all runs are used.

    Raises:
        DataError: as :func:`na64root.good_runs.read_good_runs`.
    """
    return read_good_runs(Path(card.input.good_runs)) if card.input.good_runs else None


def period_names(card: Card) -> list[str]:
    """What an event can belong to: the periods and excluded runs, in the order of :func:`run_ranges`, then
    all other runs, then runs of periods that are not in the list of good runs, where there is one.
    """
    excluded = [f"excluded: {runs.reason}" for runs in card.excluded_runs]
    names = [period.name for period in card.periods] + excluded + ["no period"]
    return [*names, _NOT_GOOD] if card.input.good_runs else names


def run_ranges(card: Card) -> list[tuple[int, int]]:
    """First and last run of each period of the card, then of each range of excluded runs."""
    return [(r.first_run, r.last_run) for r in (*card.periods, *card.excluded_runs)]


def period_index(
    card: Card, runs: NDArray[np.int64], spills: NDArray[np.int64], *, good: bool = True
) -> NDArray[np.intp]:
    """Index of each run and spill, of shape (n,), in :func:`period_names`; the cut table has the same in C++.

    Args:
        good: as the list of good runs of the card says; otherwise by run alone.

    Raises:
        DataError: as :func:`na64root.good_runs.read_good_runs`.
    """
    index = np.full(len(runs), len(run_ranges(card)))
    for i, (first, last) in reversed(list(enumerate(run_ranges(card)))):
        index[(runs >= first) & (runs <= last)] = i
    good_runs = good_runs_of(card) if good else None
    if good_runs is not None:
        index[(index < len(card.periods)) & ~good_runs.contains(runs, spills)] = len(run_ranges(card)) + 1
    return index


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
    content = _content(ntuple, card) if "run" in ntuple.present else _Content([], {}, 0, 0)
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
        files_skipped=list(ntuple.skipped),
        proposed_layout=None,
        notes=notes_on_files(content.duplicates, repeated, f"here each time, {selected}")
        + (_notes_on_b(ntuple) if ntuple.layout == "B" else []),
        provenance=provenance(card, input_files=ntuple.files, input_details=ntuple.details),
    )


@dataclass(frozen=True)
class _Content:
    runs: list[int]
    periods: dict[str, PeriodContent]
    spills: int
    duplicates: int


def _content(ntuple: Ntuple, card: Card) -> _Content:
    """Runs, spills and periods, from one loop over the events."""
    flags = ntuple.schema.cut_inputs["trigger"]
    known = not ntuple.schema.missing_for("trigger", ntuple.present)
    include("event_numbers.hpp")
    numbers = root().na64root.EventNumbers()
    # As the selection counts them: simulation may use a number twice.
    weight = "mcWeight" if "mcWeight" in ntuple.present else "1.0"
    add = f"reinterpret_cast<na64root::EventNumbers *>({root().addressof(numbers)}ul)->add"
    is_new = f"{weight} != 1.0 || {add}(run, spill, spillevent)"
    with implicit_threads(1), reading(ntuple):
        frame = ntuple.data_frame().Define("na64_is_new", is_new)
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
    return _Content([int(run) for run in np.unique(runs)], periods, _distinct(runs, spills), duplicates)


def repeated_files(files: Sequence[InputFile]) -> list[list[str]]:
    """Groups of files with the same checksum; a remote file has none."""
    by_content: dict[str, list[str]] = {}
    for file in files:
        if file.sha256:
            by_content.setdefault(file.sha256, []).append(file.path)
    return [paths for paths in by_content.values() if len(paths) > 1]


def notes_on_files(duplicates: int, repeated: Sequence[Sequence[str]], counted: str = "once") -> list[str]:
    """What to say of duplicates, which are `counted` so, and repeated files."""
    notes = [f"{', '.join(paths)} have the same content (one checksum)" for paths in repeated]
    if duplicates:
        notes.append(f"{duplicates} events have a run, spill and number that came before: counted {counted}")
    return notes


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
    with _opened(path) as file:
        for tree in error.trees:
            frame = _source_frame(tree, [path], [])
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
    files = [_input_file(path, entries[best.tree])]
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
        lengths = _fields(path, tree)[1]
    else:
        lengths = _leaves(_get(file, tree), names)
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


def require_all_read(ntuple: Ntuple, events: int, sums_of_weights: Iterable[float]) -> None:
    """What an event loop has to show before its counts are believed.

    Args:
        events: that the loop saw, whatever it did with them.
        sums_of_weights: that every event is in one of.

    Raises:
        DataError: fewer events than the files have; a weight that is NaN or infinite.
    """
    if events != ntuple.entries:
        raise DataError(
            f"{events} of {ntuple.entries} events of {ntuple.paths[0]} were read (the file is damaged): make "
            "or copy it again"
        )
    if not all(map(math.isfinite, sums_of_weights)):
        raise DataError(
            f"branch mcWeight in {ntuple.paths[0]} is NaN or infinite in some event (finite weights are "
            "expected): correct the ntuple"
        )


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
        if isinstance(error, ROOT.std.length_error):  # what a definition of a mapping throws
            raise DataError(f"cannot read all events of {names}, {cause}: correct the mapping") from None
        raise DataError(
            f"cannot read all events of {names} ({cause}): the file is damaged, make or copy it again"
        ) from None
