"""Checking an input before it is read: every problem is one line that names file, branch and expectation.

All files of a chain must be of one kind; with `input.skip_bad_files` a bad file is left out and listed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..cling import apart, compiler_messages, root, stand_in, why_not_whole
from ..config import Card, FriendTree, LayoutConfig
from ..errors import DataError
from ..event_loop.compiled import define
from ..event_loop.words import is_plain
from ..records import InputFile, SkippedFile
from .baskets import check_anchor, check_baskets, check_baskets_of_tree, check_pages
from .columns import (
    OLD_RNTUPLE,
    PROPOSED,
    RNTUPLE,
    TTREE,
    arrays_by_leaf,
    fields_of,
    layout_of,
    leaves_of,
    trees_in,
)
from .facts import facts_in, require_entries
from .files import (
    UnknownLayoutError,
    expand,
    input_file_of,
    object_in,
    opened_file,
    paths_of_friends,
    quiet_root,
    text_of,
)
from .frame import Friend, Input, Ntuple, can_be_read, names_in_use, source_frame, under_name
from .good_runs import good_runs_of
from .identity import (
    NUMBERS,
    check_stored_friends,
    identified,
    in_order_of,
    require_whole,
    same_order,
    without_friends,
)
from .layouts import ACCEPTED, EXPECTED, TREE_A, Branch, Column, column_of
from .mapping import (
    Definition,
    check_mapping,
    check_sentinels,
    definition,
    element_of,
    flat,
    nearest,
    source_names,
    without_sentinels,
)

log = logging.getLogger(__name__)


def open_ntuple(inputs: Input, card: Card | None = None, *, unpack: bool = True) -> Ntuple:
    """Find and check the files of an input: readable, with the tree, with entries, of the same branches.

    Args:
        inputs: paths, globs, text files of paths, root:// addresses; or an input that was opened with this
            card, of which only what `unpack` asks for is checked.
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
    if isinstance(inputs, Ntuple):
        return _unpacked(inputs) if unpack else inputs
    mapping = card.layout if card is not None else None
    if mapping is not None:
        check_mapping(mapping)
    if card is not None:
        check_sentinels(card.input.sentinels)
    good_runs = good_runs_of(card) if card is not None else None
    skip = card is not None and card.input.skip_bad_files == "on"
    also = _named_in(card) if card is not None else frozenset()
    paths = expand(inputs)
    found: list[_Found] = []
    skipped: list[SkippedFile] = []
    unknown: UnknownLayoutError | None = None
    friends_of = paths_of_friends(mapping, paths) if mapping else [[] for _ in paths]
    for path, friend_paths in zip(paths, friends_of, strict=True):
        try:
            one = _check_file(path, mapping, friend_paths, also, unpack=unpack or skip, every_page=skip)
            _check_alike(found, one)
        except DataError as error:
            if not skip:
                raise
            if isinstance(error, UnknownLayoutError) and unknown is None:
                unknown = error
            skipped.append(SkippedFile(path=path, cause=str(error)))
            log.warning("left out: %s", error)
            continue
        found.append(one)
    if not found:
        bad = f"all {len(paths)} files are bad (nothing is left of the input), the first"
        if unknown is not None:
            same = skipped[0].path == unknown.path
            why = (
                f"{bad}: {unknown.problem}" if same else f"{bad}: {skipped[0].cause}; also {unknown.problem}"
            )
            raise UnknownLayoutError(why, unknown.way_out, unknown.path, skipped)
        raise DataError(f"{bad}: {skipped[0].cause}")
    first = found[0]
    friends = tuple(
        Friend(
            friend.tree,
            friend.alias,
            tuple(one.friends[i] for one in found),
            tuple(one.friends_read[i] for one in found),
        )
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
        definitions=first.flats,
        tree_class="TTree" if first.kind == TTREE else "ROOT::RNTuple",
    )
    if first.mapping is None:
        ntuple = identified(ntuple, {name: first.types[name] for name in NUMBERS})
    else:
        ntuple = identified(_mapped(ntuple, first))
    return _without_sentinels(ntuple, card.input.sentinels if card is not None else {})


def _without_sentinels(ntuple: Ntuple, sentinels: Mapping[str, Sequence[float]]) -> Ntuple:
    """The input with NaN where a branch has what the card says is no value."""
    present = [name for name in sentinels if name in ntuple.present]
    made = [d for name in present for d in without_sentinels(TREE_A.branch(name), sentinels[name])]
    return replace(ntuple, definitions=(*ntuple.definitions, *made), sentinels=tuple(present))


def _named_in(card: Card) -> frozenset[str]:
    """Words of the card's own expressions, which may name any branch."""
    text = "".join(cut.model_dump_json() for cut in card.selection.declared)
    text += card.systematics.model_dump_json()
    return frozenset(re.findall(r"[A-Za-z_][\w.]*", text))


def _unpacked(ntuple: Ntuple) -> Ntuple:
    if ntuple.unpacked:
        return ntuple
    for path in ntuple.paths:
        check_baskets(path, ntuple.schema, ntuple.present)
    return replace(ntuple, unpacked=True)


@dataclass(frozen=True)
class _Found:
    """What a checked file is.

    `types` are those of the columns that are read, by their names in the file where there is a mapping.
    `friends_read`: where the events of `friends` are read, in the order of the file. `by_leaf`: how arrays
    are read whose leaf has another name than their branch.
    """

    file: InputFile
    kind: str
    layout: str
    tree: str
    types: dict[str, str]
    mapping: LayoutConfig | None = None
    columns: dict[str, Column] = field(default_factory=dict)
    friends: tuple[InputFile, ...] = ()
    friends_read: tuple[str, ...] = ()
    facts: dict[str, Any] | None = None
    by_leaf: dict[str, str] = field(default_factory=dict)
    flats: tuple[Definition, ...] = ()


def _check_file(
    path: str,
    mapping: LayoutConfig | None,
    friend_paths: Sequence[str],
    also: Collection[str],
    *,
    unpack: bool,
    every_page: bool,
) -> _Found:
    """Check one file.

    `also`: names that may be of branches that are read beside those of the layout. `unpack`: also the baskets
    of a TTree of layout A. `every_page`: also all of an RNTuple, which otherwise checks itself where it is
    read.
    """
    stand_in(path, None)
    with opened_file(path) as file:
        facts = facts_in(file, path)
        layout, mapping = layout_of(file, path, mapping, facts)
        if mapping is None:
            friend_paths = ()
        elif facts is not None and "skim_cut" in facts:
            friend_paths = [path] * len(friend_paths)  # a skim holds its friends
        found = replace(_check_tree(file, path, layout, mapping, friend_paths, also, unpack), facts=facts)
        require_entries(facts, found.file.entries, path)
    if every_page and found.kind == RNTUPLE:
        names = list(found.types)
        check_pages(found.tree, path, names)
    return found


def _check_tree(
    file: Any,
    path: str,
    layout: str,
    mapping: LayoutConfig | None,
    friend_paths: Sequence[str],
    also: Collection[str],
    unpack: bool,
) -> _Found:
    name = mapping.tree if mapping else TREE_A.tree
    folder, _, last = name.rpartition("/")
    directory = object_in(file, folder) if folder else file
    key = directory.GetKey(last) if directory else None
    what = text_of(key.GetClassName) if key else "?"
    if what == OLD_RNTUPLE:
        raise UnknownLayoutError(
            f"'{name}' in {path} is an RNTuple of a format before 1.0 (no ROOT of today reads it)",
            "write it anew, as a TTree with the ROOT that wrote it, or with ROOT 6.34 or later",
            path,
        )
    if key:
        _require_last_cycle(directory, key, last, path)
    with quiet_root():  # friends that it was written with are looked at below
        tree = object_in(file, name) if what != "ROOT::RNTuple" else None
    if what == "ROOT::RNTuple":
        check_anchor(file, key, name, path)
        kind, tree = RNTUPLE, None
        entries, columns = fields_of(path, name, _read_of(mapping, also))
    else:
        if key and what == "?":
            raise DataError(f"'{name}' in {path} cannot be read (the file is damaged): copy it again")
        if not tree or not isinstance(tree, root().TTree):
            raise UnknownLayoutError(
                f"'{name}' in {path} is a {what} (a TTree or RNTuple is expected)",
                "give an NA64 ntuple",
                path,
            )
        kind, entries, columns = TTREE, int(tree.GetEntries()), {}
    if entries == 0:
        raise DataError(f"tree '{name}' in {path} has no entries (events are expected): leave it out")
    if tree is not None:
        read = _read_of(mapping, also)
        if check_stored_friends(tree, path, _names_of_numbers(mapping), read, _of_layout(mapping)):
            stand_in(path, without_friends(tree, name, path))
        require_whole(tree, path, read)
    if mapping is not None:
        return _check_mapped(tree, columns, path, kind, entries, layout, mapping, friend_paths)
    if tree is not None:
        columns = leaves_of(tree, [branch.name for branch in TREE_A.branches])
    missing = [required for required in TREE_A.required if required not in columns]
    if missing:
        expected = EXPECTED[TREE_A.branch(missing[0]).kind]
        message = f"{path} has no branch {missing[0]} ({expected} per event is expected)"
        if len(missing) > 1:  # another tree of that name
            way_out = f"add it to the ntuple, or say in [layout] how to read it{PROPOSED}"
            raise UnknownLayoutError(message, way_out, path)
        raise DataError(f"{message}: add it to the ntuple, or say in [layout] how to read it")
    types = {}
    flats: list[Definition] = []
    for branch in TREE_A.branches:
        if branch.name in columns:
            column = columns[branch.name]
            flattened = flat(branch, column) if kind == RNTUPLE and branch.used else None
            if flattened is not None:
                flats.append(Definition(branch.name, flattened))
                column = Column(column.type, branch.length, array=True)
            _check_column(branch, column, path)
            types[branch.name] = str(columns[branch.name]) if kind == RNTUPLE else column.type
    if tree is not None and unpack:
        check_baskets_of_tree(
            tree, entries, [b.name for b in TREE_A.branches if b.used and b.name in types], path
        )
    return _Found(input_file_of(path, entries), kind, layout, name, types, flats=tuple(flats))


def _of_layout(mapping: LayoutConfig | None) -> set[str]:
    """The branches of layout A that are read under their names where they are there."""
    if mapping is not None and mapping.base != "A":
        return set()
    mapped = mapping.branches.keys() if mapping is not None else set()
    return {branch.name for branch in TREE_A.branches if branch.used} - {"mcWeight", *mapped}


def _require_last_cycle(directory: Any, key: Any, name: str, path: str) -> None:
    """Raise DataError where ROOT, which takes the first key of a name, would not take what was written last:
    ROOT itself puts that first, other writers do not.
    """
    latest = max(int(k.GetCycle()) for k in directory.GetListOfKeys() if text_of(k.GetName) == name)
    if key.GetCycle() != latest:
        raise DataError(
            f"{path} holds '{name}' several times (ROOT would read cycle {key.GetCycle()}, the last one is "
            f"{latest}): write that to a file of its own"
        )


def _names_of_numbers(mapping: LayoutConfig | None) -> dict[str, list[str]]:
    """The names that the branches with the numbers of an event may have in a file and in its friends."""
    names = {}
    for number in NUMBERS:
        mapped = mapping.branches.get(number) if mapping is not None else None
        branch = mapped.branch if mapped is not None and mapped.branch is not None else number
        names[number] = list(dict.fromkeys([branch, branch.rpartition(".")[2], number]))
    return names


def _read_of(mapping: LayoutConfig | None, also: Collection[str]) -> set[str]:
    """Names that may be of branches that are read of a file."""
    names = set(also)
    if mapping is None or mapping.base == "A":
        names |= {branch.name for branch in TREE_A.branches if branch.used}
    if mapping is not None:
        names -= mapping.branches.keys()  # a branch of that name is not what is read
    for mapped in mapping.branches.values() if mapping is not None else ():
        text = mapped.branch or mapped.expression or ""
        names |= {text, text.partition("[")[0]} | set(re.findall(r"[A-Za-z_][\w.]*", text))
    return names


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
    if mapping.friends and kind == RNTUPLE:
        raise DataError(f"{path} holds an RNTuple (only a TTree has friends): leave out layout.friends")
    checked = [
        _check_friend(friend, friend_path, tree, path, mapping)
        for friend, friend_path in zip(mapping.friends, friend_paths, strict=True)
    ]
    friends, read = tuple(file for file, _ in checked), tuple(path for _, path in checked)
    try:
        frame = source_frame(
            mapping.tree,
            [path],
            [
                (friend.tree, friend.alias, [friend_path])
                for friend, friend_path in zip(mapping.friends, read, strict=True)
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
    by_leaf = arrays_by_leaf(tree) if tree is not None else {}
    _check_sources(mapping, known, by_leaf)
    own = [name for name in needed if not any(name.startswith(f"{f.alias}.") for f in mapping.friends)]
    if tree is not None:
        lengths = leaves_of(tree, own)
        check_baskets_of_tree(tree, entries, own, path)
        for friend, file, where in zip(mapping.friends, friends, read, strict=True):
            prefix = f"{friend.alias}."
            names = [name.removeprefix(prefix) for name in needed if name.startswith(prefix)]
            with opened_file(where) as opened:
                other = opened.Get(friend.tree)
                lengths |= {prefix + name: column for name, column in leaves_of(other, names).items()}
                check_baskets_of_tree(other, entries, names, file.path)
    else:
        lengths = fields
    for name, column in columns.items():
        if column.array and name in lengths:
            of_file = lengths[name]
            columns[name] = replace(
                column, length=of_file.length if of_file.array else 0, shape=of_file.shape
            )
    if mapping.base == "A":
        for branch in TREE_A.branches:
            if branch.name in lengths and branch.name not in mapping.branches:
                _check_column(branch, lengths[branch.name], path)
    return _Found(
        input_file_of(path, entries),
        kind,
        layout,
        mapping.tree,
        types,
        mapping,
        columns,
        friends,
        read,
        by_leaf=by_leaf,
    )


def _needed(mapping: LayoutConfig, known: Sequence[str], path: str, *, optional: bool) -> list[str]:
    """Columns of the file that the mapping reads, and with `base` those of layout A taken as they are."""
    names: dict[str, None] = {}
    for name, mapped in mapping.branches.items():
        for source in source_names(mapped, known):
            if source in known:
                names[source] = None
            elif (array := re.match(r"(.+?)(\[\d+\]){2,}$", mapped.branch or "")) and array[1] in known:
                raise DataError(
                    f"layout.branches.{name} reads {mapped.branch} (an element of {array[1]} has one number, "
                    "counted row by row): give that"
                )
            elif not optional:
                raise DataError(
                    f"layout.branches.{name} reads {source}, which {path} has not "
                    f"({nearest(source, known)}): correct the mapping"
                )
    if mapping.base == "A":
        own = [b.name for b in TREE_A.branches if b.used and b.name not in mapping.branches]
        names |= dict.fromkeys(name for name in own if name in known)
        for name in TREE_A.required:
            if name not in names and name not in mapping.branches:
                raise DataError(f"{path} has no branch {name} (layout A has it): map it in [layout.branches]")
    return list(names)


def _check_sources(mapping: LayoutConfig, known: Sequence[str], by_leaf: Mapping[str, str]) -> None:
    """Raise DataError where RDataFrame would read something else than what a mapping names."""
    for name, mapped in mapping.branches.items():
        for source in source_names(mapped, known):
            if source in known and source in ("rdfentry_", "rdfslot_"):
                raise DataError(
                    f"layout.branches.{name} reads the branch {source} (to RDataFrame that is a number of "
                    "its own): rename it in the ntuple"
                )
            if source in by_leaf and mapped.expression is not None:
                raise DataError(
                    f"layout.branches.{name} reads {source} in an expression (it is an array whose leaf has "
                    f"another name, {by_leaf[source]}): map it as a branch"
                )


def _check_friend(
    friend: FriendTree, path: str, tree: Any, of: str, mapping: LayoutConfig
) -> tuple[InputFile, str]:
    """The file with the friend tree of one input file, which has its events; where they are in its order."""
    with opened_file(path) as file:
        other = object_in(file, friend.tree)
        if not other or not isinstance(other, root().TTree):
            held = ", ".join(list(trees_in(file))[:5]) or "none"
            raise DataError(
                f"{path} has no TTree '{friend.tree}' (its trees: {held}): correct layout.friends"
            )
        order = same_order(tree, of, other, path, _names_of_numbers(mapping))
        prefix = f"{friend.alias}."
        read = {name.removeprefix(prefix) for name in _read_of(mapping, ()) if name.startswith(prefix)}
        require_whole(other, path, read)
        found = input_file_of(path, int(other.GetEntries()))
    return found, path if order is None else in_order_of(of, friend.tree, path, order)


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
        (friend.tree, friend.alias, [path])
        for friend, path in zip(mapping.friends, first.friends_read, strict=True)
    ]
    frame = source_frame(first.tree, [first.file.path], friends)
    known = [str(name) for name in frame.GetColumnNames()]
    prepared: list[Definition] = []
    made: dict[str, str] = {}
    for name, mapped in mapping.branches.items():
        if mapped.expression is not None:
            source, element = _free(f"na64_expression_{name}", known), None
            frame = _compiled(frame, Definition(source, mapped.expression), f"layout.branches.{name}", known)
            columns[source] = column_of(str(frame.GetColumnType(source)))
            prepared.append(Definition(source, mapped.expression))
        else:
            assert mapped.branch is not None
            source, element = element_of(mapped.branch, known)
            if source not in columns:
                continue  # tree B: not in every file
            if not is_plain(source) or source in first.by_leaf:
                plain, in_file = _free(f"na64_branch_{name}", known), first.by_leaf.get(source, source)
                if not can_be_read(source_frame(first.tree, [first.file.path], friends), in_file):
                    raise DataError(
                        f"layout.branches.{name}: {source} cannot be read (ROOT finds no branch of such "
                        "a name): rename it in the ntuple"
                    )
                columns[plain] = columns[source]
                prepared.append(Definition(plain, "", in_file))
                frame = under_name(frame, plain, in_file)
                source = plain
        made[name] = definition(TREE_A.branch(name), mapped, source, element, columns[source])
    # A column that is replaced may be read by another definition: all are made before any takes its place.
    in_use = names_in_use(frame, [friend.alias for friend in mapping.friends])
    first_names = {name: _free(f"na64_{name}", known) if name in in_use else name for name in made}
    first_made = [Definition(first_names[name], made[name]) for name in made]
    last = [Definition(name, first_names[name]) for name in made if name in in_use]
    definitions = (*prepared, *first_made, *last)
    for name, one in zip(made, first_made, strict=True):
        frame = _compiled(frame, one, f"layout.branches.{name}", known)
    present = set(made)
    if mapping.base == "A":
        present |= {b.name for b in TREE_A.branches if b.name in known}
    return replace(ntuple, present=frozenset(present), definitions=definitions)


def _free(name: str, known: Collection[str]) -> str:
    """A name for a column that no branch has."""
    while name in known:
        name += "_"
    return name


def _compiled(frame: Any, made: Definition, where: str, known: Sequence[str]) -> Any:
    """The frame with a column more; what the compiler says of a wrong expression becomes one line."""
    if why := why_not_whole(made.expression):
        raise DataError(f"{where} does not compile: {made.expression!r} ({why}): correct the expression")

    def tried() -> str:
        with compiler_messages() as text:
            try:
                define(frame, made.name, made.expression)
            except root().std.exception as error:
                return f"{text()}\n{error}"
        return ""

    if not (said := apart(tried)):
        return define(frame, made.name, made.expression)
    match = re.search(r"error: (.+)", said)
    cause = match[1] if match else said.strip().splitlines()[-1].strip()
    unknown = re.search(r"undeclared identifier '(\w+)'", cause)
    hint = f"; {nearest(unknown[1], known)}" if unknown else ""
    raise DataError(f"{where} does not compile: {made.expression!r} ({cause}{hint}): correct the expression")


def _check_column(branch: Branch, column: Column, path: str) -> None:
    if branch.used and (column.type not in ACCEPTED[branch.kind] or not column.fits(branch.shape)):
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
