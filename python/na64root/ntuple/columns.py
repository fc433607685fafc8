"""The trees of a file, their columns, and of which layout they are."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

from ..cling import declare, root
from ..config import LayoutConfig
from ..errors import DataError
from .files import UnknownLayoutError, object_in
from .layouts import LAYOUT_B, TREE_A, TREE_B_NEEDED, Column, column_of

TTREE, RNTUPLE = "a TTree", "an RNTuple"


_TREE_CLASSES = ("TTree", "TNtuple", "TNtupleD", "TChain", "ROOT::RNTuple")


def text_of(characters: Any) -> str:
    """A name in a file, of which a damaged one can hold anything."""
    try:
        return "".join(c if c.isprintable() else "?" for c in str(characters))
    except UnicodeDecodeError:
        return "?"


def trees_in(directory: Any, prefix: str = "") -> dict[str, str]:
    """The class of each tree in a file by its name, those in folders as folder/name."""
    trees = {}
    for key in directory.GetListOfKeys():
        name, kind = prefix + text_of(key.GetName()), text_of(key.GetClassName())
        if kind in _TREE_CLASSES:
            trees[name] = kind
        elif kind == "TDirectoryFile" and prefix.count("/") < 3:
            below = object_in(directory, text_of(key.GetName()))
            if below:
                trees |= trees_in(below, name + "/")
    return trees


def layout_of(file: Any, path: str, mapping: LayoutConfig | None) -> tuple[str, LayoutConfig | None]:
    """A, B or card, with the mapping where there is one. What na64root wrote itself is of layout A."""
    names = sorted({text_of(key.GetName()) for key in file.GetListOfKeys()})
    if mapping is not None and "na64root" not in names:
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


def leaves_of(tree: Any, names: Sequence[str]) -> dict[str, Column]:
    """Type and length of the branches of a TTree that are among `names`."""
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


def fields_of(path: str, name: str) -> tuple[int, dict[str, Column]]:
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
def declare_rntuple_check() -> None:
    """Make the check of RNTuples known to Cling."""
    declare(_RNTUPLE_CHECK)
