"""A checked input and the RDataFrame over it."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..cling import (
    declare_header,
    histograms_as_ours,
    implicit_threads,
    is_distributed,
    literal,
    named,
    optimise,
    root,
)
from ..errors import DataError
from ..event_loop import compiled
from ..event_loop.last_words import ends_when_asked, last_words
from ..event_loop.words import for_rdataframe
from ..inputs import note
from ..records import GoodRunList, InputDetails, InputFile, SkippedFile
from .files import expand, quiet_root
from .layouts import TREE_A, Schema
from .mapping import Definition


@dataclass(frozen=True)
class Friend:
    """A tree with more branches of the same events, over all files.

    `paths`: of files with these in the order of the events; a file of the user, or a copy of its tree.
    """

    tree: str
    alias: str
    files: tuple[InputFile, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Ntuple:
    """Checked input: all files hold `present`, of the same types.

    `schema` and `present` are of the columns that :meth:`data_frame` gives, those of layout A; `layout` says
    what the files hold: A, B or `card` for the mapping of the card. `definitions` make the columns of layout
    A, in this order; they are empty for files of layout A. `made_by_na64root` is what :func:`about` says, by
    path, of the files of which it says something. `simulated`: some mcWeight is not 1, or the files say so;
    it holds for all events together. `sentinels` are branches in which the card's values for "no value" are
    NaN.
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
    tree_class: str = "TTree"
    simulated: bool = False
    sentinels: tuple[str, ...] = ()

    @property
    def paths(self) -> list[str]:
        """The paths of the files."""
        return [file.path for file in self.files]

    @property
    def entries(self) -> int:
        """Events in all files."""
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
        friends = [(friend.tree, friend.alias, list(friend.paths)) for friend in self.friends]
        if not distributed:
            frame = source_frame(self.tree, self.paths, friends)
        elif not friends:
            frame = root().RDataFrame(self.tree, list(map(literal, self.paths)), **distributed)
        else:
            frame = _distributed_with_friends(self.tree, self.paths, friends, distributed)
        return self.with_columns_of_layout_a(frame)

    def compiled_frame(self) -> compiled.Node:
        """The events in the compiled library.

        Raises:
            NotCompiledError: there is none, or it does not know the columns.
        """
        if self.definitions or self.friends:
            raise compiled.NotCompiledError("columns of another layout")
        return compiled.frame(self.tree, self.paths, self.present)

    def with_columns_of_layout_a(self, frame: Any) -> Any:
        """A frame over the files, of any engine, with the columns of layout A defined."""
        columns = names_in_use(frame, [friend.alias for friend in self.friends])
        for made in self.definitions:
            if made.source:
                frame = under_name(frame, made.name, made.source)
                columns.add(made.name)
                continue
            expression = for_rdataframe(frame, made.expression)
            if made.name in columns:
                frame = frame.Redefine(made.name, expression)
            else:
                frame = frame.Define(made.name, expression)
            columns.add(made.name)
        return frame


# Files by name, or an input that is opened already.
Input: TypeAlias = Sequence[str] | Ntuple


def note_files(inputs: Input) -> None:
    """Say before anything is computed which files are read: no result takes the place of one.

    Raises:
        DataError: as :func:`expand`.
    """
    for path in inputs.paths if isinstance(inputs, Ntuple) else expand(inputs):
        note(path)


def under_name(frame: Any, name: str, column: str) -> Any:
    """A frame with a column of any name under one that a C++ text can hold."""
    if is_distributed(frame):
        return frame.Alias(name, column)
    declare_header("plain_names.hpp")
    ROOT = root()
    made = ROOT.na64root_ntuple.under_name[frame.GetColumnType(column)]
    return made(ROOT.RDF.AsRNode(frame), name, column)


def can_be_read(frame: Any, column: str) -> bool:
    """Whether RDataFrame reads a column of any name, of which it may look for a part elsewhere."""
    declare_header("plain_names.hpp")
    ROOT = root()
    with implicit_threads(1), quiet_root():
        read = ROOT.na64root_ntuple.can_be_read[frame.GetColumnType(column)]
        return bool(read(ROOT.RDF.AsRNode(frame), column))


def names_in_use(frame: Any, aliases: Sequence[str]) -> set[str]:
    """Names that can only be redefined: of the columns, and of those of friends also without their alias."""
    names = {str(name) for name in frame.GetColumnNames()}
    return names | {name.removeprefix(f"{alias}.") for name in names for alias in aliases}


def source_frame(tree: str, paths: Sequence[str], friends: Sequence[tuple[str, str, list[str]]]) -> Any:
    """The columns as the files have them; `friends` are tree, alias and files of each friend tree."""
    optimise()  # what is booked on it
    ROOT = root()
    if not friends:
        return ROOT.RDataFrame(tree, list(map(literal, paths)))
    dataset = ROOT.RDF.Experimental.RDatasetSpec()
    dataset.AddSample(ROOT.RDF.Experimental.RSample("input", tree, list(map(literal, paths))))
    for name, alias, files in friends:
        dataset.WithGlobalFriends(name, list(map(literal, files)), alias)
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
        chain.AddFile(literal(path))
    return chain


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
def reading(ntuple: Ntuple, *, declared: bool = False) -> Iterator[None]:
    """Turns ROOT's errors while events are read into a DataError that names the files.

    Where code of the card runs, that of a mapping or `declared`, one line says so too if it ends the process.
    """
    ROOT = root()
    names = ", ".join(ntuple.paths[:3]) + (" ..." if len(ntuple.paths) > 3 else "")
    problem = f"cannot read all events of {names}"
    code_of_card = declared or bool(ntuple.definitions)
    try:
        with (
            quiet_root(),
            histograms_as_ours(),
            ends_when_asked(),
            last_words(problem, _CORRECT) if code_of_card else contextlib.nullcontext(),
        ):
            yield
    except ROOT.std.exception as error:
        cause = str(error.what()).strip().splitlines()[-1] if hasattr(error, "what") else str(error)
        cause = named(cause)
        if branch := re.search(r"branch \S+ in .+ cannot be read$", cause):
            raise DataError(f"{branch[0]} (the file is damaged): copy it again") from None
        if isinstance(error, ROOT.std.length_error):  # what a definition of a mapping throws
            raise DataError(f"{problem}, {cause}: correct the mapping") from None
        # A checksum of an RNTuple, and what ROOT's reader of a TTree says of itself; anything else is thrown
        # by what is computed of the events.
        damaged = isinstance(error, ROOT.RException) or "TTreeReader" in cause
        way_out = "the file is damaged, make or copy it again" if damaged else _CORRECT
        raise DataError(f"{problem} ({cause}): {way_out}") from None
    except Exception as error:
        # What is thrown and is no exception of the standard library; PyROOT knows no more of it.
        if not code_of_card or "unknown C++ exception" not in str(error):
            raise
        raise DataError(f"{problem} (something was thrown that is no std::exception): {_CORRECT}") from None


_CORRECT = "correct what the card computes of them (cuts, columns, mapping)"
