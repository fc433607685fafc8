"""Whether what a file holds can be unpacked: baskets of a TTree, pages of an RNTuple."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ..cling import declare, declare_header, literal, root
from ..errors import DataError
from ..event_loop.library import SOURCES
from .columns import leaves_of
from .files import quiet_root
from .layouts import ACCEPTED, Schema


@functools.cache
def _declare_basket_check() -> None:
    declare(f'#include "{literal(SOURCES)}/baskets.hpp"')


def check_anchor(file: Any, key: Any, name: str, path: str) -> None:
    """Raise DataError where the key of an RNTuple is damaged."""
    declare_header("rntuple_check.hpp")
    if not root().na64root_ntuple.anchor_is_sound(file, key):
        raise DataError(f"the RNTuple '{name}' in {path} cannot be read (the file is damaged): copy it again")


def check_pages(tree: str, path: str, names: Sequence[str]) -> None:
    """Raise DataError where a page of these columns of an RNTuple is damaged."""
    declare_header("rntuple_check.hpp")
    with quiet_root():
        if not root().na64root_ntuple.pages_are_sound(tree, literal(path), list(names)):
            raise DataError(f"events of {path} cannot be read (the file is damaged): copy it again")


def check_baskets_of_tree(tree: Any, entries: int, names: Sequence[str], path: str) -> None:
    """Raise DataError where a basket of these branches of a TTree cannot be unpacked."""
    _declare_basket_check()
    known = root().na64root.rdf.EntriesAre
    sizes = leaves_of(tree, names)
    for name in names:
        branch = tree.GetBranch(name)
        if not branch or not branch.GetListOfLeaves().GetEntries():
            continue  # a column within an object
        column, members = sizes[name], list(_members(branch))
        vector = column.type.startswith(("vector<", "ROOT::VecOps::RVec<"))
        are = known.of_different_sizes if vector or column.length == 0 else known.of_one_size
        if members or not (vector or (column.type in _NUMBERS and _of_numbers(branch))):
            are = known.unknown  # text, objects, other collections
        for one in members or [branch]:
            if not root().na64root.rdf.baskets_are_sound(one, entries, are):
                raise DataError(
                    f"branch {name} in {path} cannot be read (the file is damaged): copy it again"
                )


_NUMBERS = ACCEPTED["count"] | ACCEPTED["flag"]


def _members(branch: Any) -> Iterator[Any]:
    """The branches with the members of a split object."""
    for member in branch.GetListOfBranches():
        below = list(_members(member))
        yield from below or [member]


def _of_numbers(branch: Any) -> bool:
    """Whether its leaf has numbers, and not characters, which have the type of numbers too."""
    return str(branch.GetListOfLeaves()[0].ClassName()) != "TLeafC"


def check_baskets(path: str, schema: Schema, present: Collection[str]) -> None:
    """Unpack each branch of a file that the selection reads, once; an RNTuple checks itself where it is read.

    Raises:
        DataError: a branch cannot be unpacked.
    """
    ROOT = root()
    with quiet_root():
        try:
            file = ROOT.TFile.Open(literal(path), "READ")
        except OSError:
            raise DataError(
                f"cannot read {path} where the event loop runs: give a path that every worker sees"
            ) from None
        if str(file.GetKey(schema.tree).GetClassName()) != "ROOT::RNTuple":
            tree = file.Get(schema.tree)
            names = [b.name for b in schema.branches if b.used and b.name in present]
            check_baskets_of_tree(tree, int(tree.GetEntries()), names, path)
        file.Close()
