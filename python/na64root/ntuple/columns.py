"""The trees of a file, their columns, and of which layout they are."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..cling import declare_header, literal, root
from ..config import LayoutConfig
from ..errors import DataError
from ..event_loop.library import surveying
from .files import UnknownLayoutError, object_in, text_of
from .layouts import LAYOUT_B, TREE_A, TREE_B_NEEDED, Column, column_of

TTREE, RNTUPLE = "a TTree", "an RNTuple"


# The class of an RNTuple of a format before 1.0.
OLD_RNTUPLE = "ROOT::Experimental::RNTuple"


# Where there is a tree to make a proposal of.
PROPOSED = " (na64root inspect proposes that)"


_TREE_CLASSES = ("TTree", "TNtuple", "TNtupleD", "TChain", "ROOT::RNTuple")


def trees_in(directory: Any, prefix: str = "", seen: set[int] | None = None) -> dict[str, str]:
    """The class of each tree in a file by its name, those in folders as folder/name.

    `seen`: where folders are in the file. A damaged one may say that it is in itself: each is entered once.
    """
    trees = {}
    seen = set() if seen is None else seen
    for key in directory.GetListOfKeys():
        own, kind = text_of(key.GetName), text_of(key.GetClassName)
        name = prefix + own
        if not directory.GetKey(own):
            continue  # a damaged name
        if kind in _TREE_CLASSES:
            trees[name] = kind
        elif kind == "TDirectoryFile" and (place := int(key.GetSeekKey())) not in seen:
            seen.add(place)
            below = object_in(directory, own)
            if below:
                trees |= trees_in(below, name + "/", seen)
    return trees


def layout_of(
    file: Any, path: str, mapping: LayoutConfig | None, facts: Mapping[str, Any] | None
) -> tuple[str, LayoutConfig | None]:
    """A, B or card, with the mapping where there is one. What na64root simulated is of layout A; a skim is of
    that of its input, as its `facts` say.
    """
    names = sorted({text_of(key.GetName) for key in file.GetListOfKeys()})
    if mapping is not None and ("na64root" not in names or (facts or {}).get("layout") == "card"):
        if mapping.tree not in names and not object_in(file, mapping.tree):
            held = ", ".join(list(trees_in(file))[:5]) or "none"
            raise DataError(f"{path} has no tree '{mapping.tree}' (its trees: {held}): correct layout.tree")
        return "card", mapping
    if TREE_A.tree in names:
        return "A", None
    trees = trees_in(file)
    if LAYOUT_B.tree in trees:
        columns = _column_names(file, path, LAYOUT_B.tree)
        if all(name in columns for name in TREE_B_NEEDED):
            return "B", LAYOUT_B
    found = ", ".join(names[:5]) or "nothing"
    raise UnknownLayoutError(
        f"{path} has no tree '{TREE_A.tree}' (it holds {found})",
        "give an NA64 ntuple, or say in [layout] how to read it" + PROPOSED * bool(trees),
        path,
    )


def _column_names(file: Any, path: str, tree: str) -> set[str]:
    """Names of the columns of a tree, without its friends."""
    try:
        return {str(name) for name in root().RDataFrame(tree, literal(path)).GetColumnNames()}
    except root().std.exception:
        raise DataError(f"'{tree}' in {path} cannot be read (the file is damaged): copy it again") from None


def leaves_of(tree: Any, names: Sequence[str]) -> dict[str, Column]:
    """Type and length of the branches of a TTree that are among `names`."""
    columns = {}
    for name, leaf in zip(names, json.loads(str(surveying().leaves(tree, list(names)))), strict=True):
        if leaf is None:
            continue
        if "type" not in leaf:
            columns[name] = Column(leaf["class"])
            continue
        kind, length = leaf["type"], leaf["length"]
        fixed = not leaf["counted"] and "<" not in kind
        sizes = re.findall(r"\[(\d+)\]", leaf["title"])  # not the range of a Double32_t
        array = fixed and bool(sizes)
        shape = tuple(map(int, sizes)) if array and len(sizes) > 1 else ()
        columns[name] = Column(kind, length if fixed or "<" in kind else 0, array, shape)
    return columns


def arrays_by_leaf(tree: Any) -> dict[str, str]:
    """By name of the branch, how RDataFrame can read an array whose only leaf has another name."""
    names = {}
    for branch in tree.GetListOfBranches():
        leaves = branch.GetListOfLeaves()
        if branch.IsA() != root().TBranch.Class() or leaves.GetEntriesFast() != 1:
            continue
        name, leaf = text_of(branch.GetName), leaves[0]
        if text_of(leaf.GetName) != name and (leaf.GetLenStatic() > 1 or leaf.GetLeafCount()):
            names[name] = f"{name}.{text_of(leaf.GetName)}"
    return names


def fields_of(
    path: str, name: str, whole: Collection[str] = (), *, every: bool = False
) -> tuple[int, dict[str, Column]]:
    """Entries of an RNTuple and its top-level fields; those in `whole`, or `every` one, have all entries.

    Raises:
        DataError: it cannot be read; one of these fields was added after the first entry.
    """
    ROOT = root()
    declare_header("rntuple_check.hpp")
    try:
        reader = ROOT.RNTupleReader.Open(name, literal(path))
        descriptor = reader.GetDescriptor()
        types = {str(f.GetFieldName()): str(f.GetTypeName()) for f in descriptor.GetTopLevelFields()}
        entries = int(reader.GetNEntries())
        late = [str(field) for field in ROOT.na64root_ntuple.fields_added_later(descriptor)]
    except ROOT.std.exception:
        raise DataError(
            f"the RNTuple '{name}' in {path} cannot be read (the file is damaged): copy it again"
        ) from None
    for field_name in late:
        if every or field_name in whole:
            raise DataError(
                f"branch {field_name} in {path} was added after the first entries of the RNTuple (its "
                "missing values would be read as 0): fill it in every event"
            )
    columns: dict[str, Column] = {}
    for field_name, text in types.items():
        columns[field_name] = column_of(text)
    return entries, columns
