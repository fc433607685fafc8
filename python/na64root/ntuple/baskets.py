"""Whether what a file holds can be unpacked: baskets of a TTree, pages of an RNTuple."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Any

from ..cling import declare, declare_header, literal, root
from ..errors import DataError
from ..event_loop.library import SOURCES
from .columns import leaves_of
from .files import quiet_root
from .layouts import Schema


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
    sizes = leaves_of(tree, names)
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
