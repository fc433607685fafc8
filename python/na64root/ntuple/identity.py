"""What identifies events, looked at before any of them is counted: their numbers, friends in the same order,
and whether they are simulation."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..cling import declare_header, implicit_threads, literal, named, no_room, root, scratch_file
from ..errors import DataError
from ..event_loop.compiled import define
from .baskets import check_baskets, check_baskets_of_tree
from .contents import Survey
from .facts import says_simulation
from .files import quiet_root
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


def identified(ntuple: Ntuple, types: Mapping[str, str] | None = None) -> Ntuple:
    """The input with `simulated` decided, once for all of it; its run, spill and event numbers fit.

    Args:
        types: of its numbers, where these are columns of the files themselves.

    Raises:
        DataError: a number that is negative or has more than 32 bits; a branch cannot be unpacked.
    """
    simulated = says_simulation(list(ntuple.made_by_na64root.values()))
    weights = "mcWeight" in ntuple.present and not simulated
    if types is not None:
        asked = [name for name, text in types.items() if text not in _FIT]
        asked += ["mcWeight"] * weights
        if not asked:
            return replace(ntuple, simulated=simulated)
        survey = Survey(ntuple.paths, ntuple.tree, asked, others=False)
        if set(asked) <= set(survey.read):
            for name in asked:
                if name != "mcWeight":
                    _require_fitting(name, survey.extremes(name), ntuple)
            return replace(ntuple, simulated=simulated or (weights and survey.extremes("mcWeight") != (1, 1)))
    with reading(ntuple):
        frame = ntuple.data_frame()
        types = {name: str(frame.GetColumnType(name)) for name in NUMBERS if name in ntuple.present}
        wide = {name: text for name, text in types.items() if text not in _FIT}
        if not ntuple.unpacked and (wide or weights):
            read = {*wide, *(["mcWeight"] if weights else [])}
            for path in ntuple.paths:
                check_baskets(path, ntuple.schema, read)
        if wide or weights:
            with implicit_threads(1):
                differs = _looked_at(frame, ntuple, wide, weights=weights)
            simulated = simulated or differs
    return replace(ntuple, simulated=simulated)


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
        _require_fitting(name, (int(least.GetValue()), int(most.GetValue())), ntuple)
    return bool(differs.GetValue()) if weights else False


def _require_fitting(name: str, extremes: tuple[float, float], ntuple: Ntuple) -> None:
    for value in extremes:
        if not 0 <= value <= _LARGEST:
            raise DataError(
                f"branch {name} in {ntuple.paths[0]}{' and others' * (len(ntuple.paths) > 1)} has the "
                f"value {value} (numbers of runs, spills and events are 0 to {_LARGEST}): make it "
                "smaller by an expression in [layout.branches], or correct the ntuple"
            )


def same_order(
    tree: Any, path: str, friend: Any, friend_path: str, numbers: Mapping[str, Sequence[str]]
) -> list[int] | None:
    """Which entry of a friend tree is of each event of its tree; None where both have them row by row.

    Args:
        numbers: for each of :data:`NUMBERS` the names that its branch may have.

    Raises:
        DataError: the friend has not all events of the tree, or may have them in another order that nothing
            tells.
    """
    ROOT = root()
    what = f"friend tree '{friend.GetName()}' in {friend_path}"
    entries = int(tree.GetEntries())
    same_number = int(friend.GetEntries()) == entries
    both = {}
    for number in NUMBERS:
        one, other = (_own(of, numbers[number]) for of in (tree, friend))
        if one is not None and other is not None:
            both[number] = one, other
            check_baskets_of_tree(tree, entries, [one], path)
            check_baskets_of_tree(friend, int(friend.GetEntries()), [other], friend_path)
    if not same_number and len(both) < len(NUMBERS):
        raise DataError(
            f"{what} has {int(friend.GetEntries())} entries, {path} has {entries} (the same events are "
            "expected): give its friend"
        )
    declare_header("event_identity.hpp")
    identity = ROOT.na64root_ntuple
    different = None
    for number, (one, other) in both.items():
        if same_number:
            row = int(identity.first_difference(tree, one, friend, other))
            different = different or ((number, row) if row >= 0 else None)
    if different is None and same_number:
        _require_no_other_order(tree, path, friend, what, both)
        return None
    if len(both) < len(NUMBERS):
        assert different is not None
        raise DataError(
            f"{what} has another {different[0]} than {path} in entry {different[1]} (the same events in the "
            "same order are expected, or run, spill and spillevent in both): write it with them"
        )
    names = [[pair[i] for pair in both.values()] for i in (0, 1)]
    found = identity.matched(tree, names[0], friend, names[1])
    if found.lacking:
        raise DataError(
            f"{what} lacks {int(found.lacking)} of the {entries} events of {path} (their values are not "
            "known): give a friend with all of them"
        )
    if found.twice:
        raise DataError(
            f"{what} has {int(found.twice)} events whose numbers came before in it (which belongs "
            f"to an event of {path} is not known): write it in the order of its tree, in one thread"
        )
    return [int(entry) for entry in found.entries]


def _require_no_other_order(tree: Any, path: str, friend: Any, what: str, both: Collection[str]) -> None:
    ROOT = root()
    shuffled = any(one.TestBit(ROOT.TTree.EStatusBits.kEntriesReshuffled) for one in (tree, friend))
    if len(both) < len(NUMBERS) and (shuffled or friend.GetTreeIndex()):
        lacking = next(number for number in NUMBERS if number not in both)
        why = "its entries are marked as reshuffled" if shuffled else "it has an index of its own"
        raise DataError(
            f"{what} may have the events of {path} in another order ({why}, and {lacking} is not in both to "
            "compare): write it in one thread, or with run, spill and spillevent"
        )


# Copies of friend trees in the order of their trees, by what both files are.
_in_order: dict[tuple[Any, ...], str] = {}


def in_order_of(path: str, tree: str, friend_path: str, entries: Sequence[int]) -> str:
    """A copy of a friend tree with these entries in their order, in a file that ends with this process.

    Raises:
        DataError: the temporary folder has no room for it, or the tree cannot be copied.
    """
    key = (tree, *(_content_of(one) for one in (path, friend_path)), hash(tuple(entries)))
    if key not in _in_order:
        declare_header("copying.hpp")
        ROOT = root()
        made = scratch_file("friend")
        try:
            with quiet_root():
                file = ROOT.TFile.Open(made, "RECREATE")
                ROOT.na64root_copying.copy_tree(tree, [literal(friend_path)], entries, file)
                file.Close()
                if file.TestBit(ROOT.TFile.kWriteError):
                    raise no_room()
        except (OSError, ROOT.std.exception) as error:
            cause = error.what() if hasattr(error, "what") else error
            raise DataError(
                f"cannot bring friend tree '{tree}' in {friend_path} into the order of {path} "
                f"({named(str(cause))}): set TMPDIR to a folder with more room, or write it in that order"
            ) from None
        _in_order[key] = made
    return _in_order[key]


def _content_of(path: str) -> tuple[Any, ...]:
    """What changes with the content of a file; of an address that is its text."""
    if "://" in path:
        return (path,)
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _own(tree: Any, names: Sequence[str]) -> str | None:
    """The first of these branches that is the tree's own, a whole number, and in every entry."""
    for name in names:
        branch = tree.GetListOfBranches().FindObject(name)
        if branch and branch.GetListOfLeaves().GetEntries() == 1 and branch.GetEntries() == tree.GetEntries():
            return name
    return None


def check_stored_friends(
    tree: Any, path: str, numbers: Mapping[str, Sequence[str]], read: Collection[str], needed: Collection[str]
) -> bool:
    """The friends that a tree was written with, which ROOT opens along with it: there, whole, in its order.

    Args:
        read: names of branches that may be read; the order of a friend that alone has none of them is left
            aside.
        needed: those of them that are looked for in a friend that is not there.

    Returns:
        Whether one is not there, and not needed.

    Raises:
        DataError: one is not there that may have a branch; it has other entries than the tree.
    """
    missing = False
    friends = tree.GetListOfFriends()
    for element in list(friends) if friends else []:
        name, where = str(element.GetTreeName()), str(element.GetTitle())
        with quiet_root():
            try:
                friend = element.GetTree()
            except (OSError, TypeError, ReferenceError):
                friend = None
        own = {str(branch.GetName()) for branch in tree.GetListOfBranches()}
        if not friend:
            if lacking := sorted(set(needed) - own):
                raise DataError(
                    f"{path} was written with a friend tree '{name}' in {where or path}, which cannot be "
                    f"opened and may have {lacking[0]}: put it there, or write the tree without it"
                )
            missing = True
            continue
        asked = [one for one in read if one.rpartition(".")[2] not in own and _has(friend, name, one)]
        if not asked and int(friend.GetEntries()) == int(tree.GetEntries()):
            continue
        if same_order(tree, path, friend, where or path, numbers) is not None:
            raise DataError(
                f"friend tree '{name}' in {where or path}, with which {path} was written, has its events in "
                f"another order ({asked[0] if asked else 'its number of entries'} would be of other events): "
                "name it in layout.friends, where events are matched by their numbers"
            )
        if check_stored_friends(friend, where or path, numbers, read, needed):
            raise DataError(
                f"the friend tree '{name}' of {path} was written with friends of its own, and one cannot be "
                "opened: put it there"
            )
    return missing


def without_friends(tree: Any, name: str, path: str) -> str:
    """A file in the place of one whose tree was written with a friend that is not there: ROOT ends in a
    segmentation fault where it opens such a tree. It has what is said of the tree, not its data.
    """
    declare_header("event_identity.hpp")
    made = scratch_file("alone")
    where = path if "://" in path else os.path.abspath(literal(path))
    if not root().na64root_ntuple.without_friends(tree, name, where, made):
        raise DataError(
            f"cannot leave aside the friend tree with which {path} was written (no room in the temporary "
            "folder): set TMPDIR to another"
        )
    return made


def _has(friend: Any, alias: str, name: str) -> bool:
    return bool(friend.GetListOfBranches().FindObject(name.removeprefix(f"{alias}.")))


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
