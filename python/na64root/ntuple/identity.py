"""What identifies events, looked at before any of them is counted: their numbers, friends in the same order,
and whether they are simulation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..cling import declare_header, implicit_threads, root
from ..errors import DataError
from ..event_loop.compiled import define
from .baskets import check_baskets, check_baskets_of_tree
from .columns import leaves_of
from .facts import says_simulation
from .files import object_in, opened_file, quiet_root
from .frame import Ntuple, reading
from .layouts import TREE_A

NUMBERS = TREE_A.required


# Of an event, as the sets of numbers and the list of good runs keep them.
_LARGEST = 2**32 - 1


# Types that hold nothing but such numbers.
_FIT = frozenset(
    ["UInt_t", "UShort_t", "UChar_t", "unsigned int", "unsigned short", "unsigned char"]
    + [f"std::uint{bits}_t" for bits in (8, 16, 32)]
)


def identified(ntuple: Ntuple) -> Ntuple:
    """The input with `simulated` decided, once for all of it; its run, spill and event numbers fit.

    Raises:
        DataError: a number that is negative or has more than 32 bits; a branch cannot be unpacked.
    """
    said = list(ntuple.made_by_na64root.values())
    simulated = says_simulation(said)
    weights = "mcWeight" in ntuple.present and not simulated
    made = {one.name for one in ntuple.definitions}
    with reading(ntuple):
        types = _types(ntuple)
        wide = {name: text for name, text in types.items() if text not in _FIT}
        by_frame = weights and (ntuple.tree_class != "TTree" or "mcWeight" in made)
        if not ntuple.unpacked and (wide or weights):
            read = {*wide, *(["mcWeight"] if weights else [])}
            for path in ntuple.paths:
                check_baskets(path, ntuple.schema, read)
        if wide or by_frame:
            with implicit_threads(1):
                differs = _looked_at(ntuple.data_frame(), ntuple, wide, weights=by_frame)
            simulated = simulated or differs
    if weights and not by_frame:
        simulated = any(_weighted(path, ntuple.tree) for path in ntuple.paths)
    return replace(ntuple, simulated=simulated)


def _types(ntuple: Ntuple) -> dict[str, str]:
    """Types of the numbers of events, by ROOT's names."""
    names = [name for name in NUMBERS if name in ntuple.present]
    if ntuple.tree_class != "TTree" or ntuple.definitions or ntuple.friends:
        frame = ntuple.data_frame()
        return {name: str(frame.GetColumnType(name)) for name in names}
    # Without an RDataFrame, which takes longer to make than such a file to be selected.
    with opened_file(ntuple.paths[0]) as file:
        columns = leaves_of(object_in(file, ntuple.tree), names)
    return {name: column.type for name, column in columns.items()}


def _looked_at(frame: Any, ntuple: Ntuple, wide: Mapping[str, str], *, weights: bool) -> bool:
    """Whether some weight differs from 1; raises DataError where a number does not fit."""
    ends = {}
    for name, text in wide.items():
        unsigned = text.startswith(("U", "unsigned", "std::uint", "size_t", "std::size_t"))
        whole = "unsigned long long" if unsigned else "long long"
        frame = define(frame, f"na64_whole_{name}", f"static_cast<{whole}>({name})")
        ends[name] = frame.Min(f"na64_whole_{name}"), frame.Max(f"na64_whole_{name}")
    if weights:
        frame = define(frame, "na64_not_one", "static_cast<double>(mcWeight) != 1.0 ? 1.0 : 0.0")
        differs = frame.Max("na64_not_one")
    for name, (least, most) in ends.items():
        for value in (int(least.GetValue()), int(most.GetValue())):
            if not 0 <= value <= _LARGEST:
                raise DataError(
                    f"branch {name} in {ntuple.paths[0]}{' and others' * (len(ntuple.paths) > 1)} has the "
                    f"value {value} (numbers of runs, spills and events are 0 to {_LARGEST}): make it "
                    "smaller by an expression in [layout.branches], or correct the ntuple"
                )
    return bool(differs.GetValue()) if weights else False


def _weighted(path: str, name: str) -> bool:
    declare_header("event_identity.hpp")
    with opened_file(path) as file, quiet_root():
        tree = object_in(file, name)
        return bool(root().na64root_ntuple.differs_from_one(tree, "mcWeight"))


def require_same_order(
    tree: Any, path: str, friend: Any, friend_path: str, numbers: Mapping[str, Sequence[str]]
) -> None:
    """Raise DataError where a friend tree has not the events of its tree, row by row.

    Args:
        numbers: for each of :data:`NUMBERS` the names that its branch may have.
    """
    ROOT = root()
    what = f"friend tree '{friend.GetName()}' in {friend_path}"
    entries = int(tree.GetEntries())
    if int(friend.GetEntries()) != entries:
        raise DataError(
            f"{what} has {int(friend.GetEntries())} entries, {path} has {entries} (the same events are "
            "expected): give its friend"
        )
    compared = []
    for number in NUMBERS:
        one, other = (_own(of, numbers[number]) for of in (tree, friend))
        if one is None or other is None:
            continue
        check_baskets_of_tree(tree, entries, [one], path)
        check_baskets_of_tree(friend, entries, [other], friend_path)
        declare_header("event_identity.hpp")
        row = int(ROOT.na64root_ntuple.first_difference(tree, one, friend, other))
        if row >= 0:
            raise DataError(
                f"{what} has another {number} than {path} in entry {row} (the same events in the same order "
                "are expected): write the friend in the order of its tree, in one thread"
            )
        compared.append(number)
    shuffled = any(one.TestBit(ROOT.TTree.EStatusBits.kEntriesReshuffled) for one in (tree, friend))
    if len(compared) < len(NUMBERS) and (shuffled or friend.GetTreeIndex()):
        lacking = next(number for number in NUMBERS if number not in compared)
        why = "its entries are marked as reshuffled" if shuffled else "it has an index of its own"
        raise DataError(
            f"{what} may have the events of {path} in another order ({why}, and {lacking} is not in both to "
            "compare): write it in one thread, or with run, spill and spillevent"
        )


def _own(tree: Any, names: Sequence[str]) -> str | None:
    """The first of these branches that is the tree's own, a whole number, and in every entry."""
    for name in names:
        branch = tree.GetListOfBranches().FindObject(name)
        if branch and branch.GetListOfLeaves().GetEntries() == 1 and branch.GetEntries() == tree.GetEntries():
            return name
    return None


def check_stored_friends(tree: Any, path: str, numbers: Mapping[str, Sequence[str]]) -> None:
    """The friends that a tree was written with, which ROOT opens along with it: there, whole, in its order.

    Raises:
        DataError: one is not there; it has other entries than the tree.
    """
    friends = tree.GetListOfFriends()
    for element in list(friends) if friends else []:
        name, where = str(element.GetTreeName()), str(element.GetTitle())
        with quiet_root():
            try:
                friend = element.GetTree()
            except (OSError, TypeError, ReferenceError):
                friend = None
        if not friend:
            raise DataError(
                f"{path} was written with a friend tree '{name}' in {where or path}, which cannot be opened: "
                "put it there, or write the tree without it"
            )
        require_same_order(tree, path, friend, where or path, numbers)
        check_stored_friends(friend, where or path, numbers)


def require_whole(tree: Any, path: str, names: Collection[str]) -> None:
    """Raise DataError where one of these branches has fewer entries than its tree: ROOT reads 0 there."""
    for name in names:
        branch = tree.GetBranch(name)
        if not branch or int(branch.GetEntries()) == int(tree.GetEntries()):
            continue
        raise DataError(
            f"branch {name} in {path} has {int(branch.GetEntries())} entries, its tree "
            f"{int(tree.GetEntries())} (it was added later, and its missing values would be read as others): "
            "fill it in every event"
        )
