"""Columns of layout A made from the branches of another tree, as the card or layout B says."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..config import LayoutConfig, MappedBranch
from ..errors import ConfigError, DataError
from .layouts import ACCEPTED, TREE_A, Branch, Column

# What a value is divided by to be in GeV: a quotient is the nearest double of the decimal number, a product
# with 0.001 is not.
UNITS = {"GeV": 1.0, "MeV": 1e3, "keV": 1e6}


@dataclass(frozen=True)
class Definition:
    """A column to define: `source` names a branch that is not a C++ name, or is empty."""

    name: str
    expression: str
    source: str = ""


def source_names(mapped: MappedBranch, known: Collection[str]) -> list[str]:
    """Columns of the file that a mapped branch reads; of an expression those it names."""
    if mapped.branch is not None:
        return [element_of(mapped.branch, known)[0]]
    assert mapped.expression is not None
    words = set(re.findall(r"[A-Za-z_][\w.]*", mapped.expression))
    # `hits.size()` names hits and not hits.size
    parts = {word.rsplit(".", i)[0] for word in words for i in range(word.count(".") + 1)}
    return sorted(parts & set(known))


def element_of(branch: str, known: Collection[str]) -> tuple[str, int | None]:
    """The column and the element that `name[3]` names; a column of just that name comes first."""
    found = re.fullmatch(r"(.+)\[(\d+)\]", branch)
    if branch in known or not found:
        return branch, None
    return found[1], int(found[2])


def check_mapping(layout: LayoutConfig) -> None:
    """Names, units and arrays of a mapping that are wrong for any file.

    Raises:
        ConfigError: a branch that layout A has not (the nearest name is suggested); a unit of energy for what
            is none; axes, shape or index that do not make the array of layout A.
    """
    known = {branch.name: branch for branch in TREE_A.branches}
    for name, mapped in layout.branches.items():
        where = f"layout.branches.{name}"
        if name not in known:
            raise ConfigError(f"unknown branch {where} ({nearest(name, known)}): use a name of layout A")
        branch = known[name]
        if isinstance(mapped.unit, str) and mapped.unit != "GeV" and not branch.energy:
            raise ConfigError(f"{where} has the unit {mapped.unit} ({name} is no energy): leave it out")
        if branch.kind != "floating" and mapped.unit != "GeV":
            raise ConfigError(f"{where} has a factor ({name} is no measured quantity): leave it out")
        _stored_index(branch, mapped)
    missing = [name for name in TREE_A.required if name not in layout.branches and layout.base == "none"]
    if missing:
        raise ConfigError(
            f"[layout.branches] has no {missing[0]} (events are known by run, spill and spillevent): add it, "
            "as a branch or as an expression"
        )


def _stored_index(branch: Branch, mapped: MappedBranch) -> list[int]:
    """Place in the stored array of each element of layout A, -1 for one that is not stored."""
    where = f"layout.branches.{branch.name}"
    if not branch.shape:
        if mapped.axes or mapped.shape or mapped.index:
            raise ConfigError(
                f"{where} has axes, shape or index ({branch.name} is one number): leave them out"
            )
        return [0]
    if mapped.index is not None:
        if len(mapped.index) != branch.length:
            raise ConfigError(
                f"{where}.index has {len(mapped.index)} numbers ({branch.length} are needed, one for each "
                f"element of layout A): correct it"
            )
        return list(mapped.index)
    axes = mapped.axes or list(branch.axes)
    if sorted(axes) != sorted(branch.axes):
        raise ConfigError(
            f"{where}.axes is {', '.join(axes)} ({', '.join(branch.axes)} are needed, in the order as stored)"
            ": correct it"
        )
    order = [branch.axes.index(axis) for axis in axes]
    shape = mapped.shape or [branch.shape[axis] for axis in order]
    for axis, size in zip(order, shape, strict=False):
        if axis > 0 and size != branch.shape[axis]:
            raise ConfigError(
                f"{where}.shape has {size} cells along {branch.axes[axis]} ({branch.shape[axis]} in layout A)"
                ": cells that are divided otherwise need an expression"
            )
    if len(shape) != len(order):
        raise ConfigError(f"{where}.shape has {len(shape)} numbers ({len(order)} are needed): correct it")
    places = []
    for place in np.ndindex(branch.shape):
        stored = [place[axis] for axis in order]
        inside = all(i < n for i, n in zip(stored, shape, strict=True))
        places.append(int(np.ravel_multi_index(stored, shape)) if inside else -1)
    return places


def _stored_length(branch: Branch, mapped: MappedBranch) -> int | None:
    """Numbers per event that the file must have; with `index` any number that holds all places."""
    if mapped.index is not None:
        return None
    return int(np.prod(mapped.shape or branch.shape, dtype=int))


def definition(branch: Branch, mapped: MappedBranch, source: str, element: int | None, column: Column) -> str:
    """The C++ expression of a column of layout A from a column of the file.

    Raises:
        DataError: another type or number of elements than the mapping says.
    """
    where = f"layout.branches.{branch.name}"
    read = mapped.branch if mapped.branch is not None else "the expression"
    accepted = ACCEPTED[branch.kind] if branch.kind in ("flag", "integer") else ACCEPTED["count"]
    wants_array = bool(branch.shape)
    fits = column.array == (wants_array or element is not None)
    if column.type not in accepted or not fits:
        wanted = (
            "an array of numbers"
            if wants_array
            else {"flag": "a Bool_t or an integer"}.get(
                branch.kind, "an integer" if branch.kind == "integer" else "a number"
            )
        )
        raise DataError(f"{where}: {read} is {column} ({wanted} is expected): correct the mapping")
    cast = {"flag": "bool", "integer": ""}.get(branch.kind, "double")
    if isinstance(mapped.unit, str):
        scale = f" / {UNITS[mapped.unit]!r}" if UNITS[mapped.unit] != 1.0 else ""
    else:
        scale = f" * {float(mapped.unit).hex()}"
    if not wants_array:
        value = source if element is None else f"{source}[{element}]"
        value = f"static_cast<{cast}>({value}){scale}" if cast else value
        check = "" if element is None else _require_length(source, element + 1, column, where, read)
        return f"{check}return {value};" if check else value
    axes = mapped.axes or branch.axes
    stored = mapped.shape or [branch.shape[branch.axes.index(axis)] for axis in axes]
    if column.shape and mapped.index is None and tuple(stored) != column.shape:
        raise DataError(
            f"{where}: {read} is {column} ({''.join(f'[{n}]' for n in stored)} is expected): correct its "
            "axes and shape"
        )
    if column.nested:
        raise DataError(
            f"{where}: {read} is {column}, an array of arrays (one row of numbers is expected): make it flat "
            "by an expression"
        )
    index = _stored_index(branch, mapped)
    exact = _stored_length(branch, mapped)
    check = _require_length(source, exact or max(index) + 1, column, where, read, exact is not None)
    # Names of the file may be any: those of this code begin with na64_.
    loop = f"for (std::size_t na64_i = 0; na64_i < {branch.length}; ++na64_i)"
    if index == list(range(branch.length)):
        return (
            f"{check}ROOT::RVecD na64_cells({branch.length}); {loop} "
            f"na64_cells[na64_i] = static_cast<double>({source}[na64_i]){scale}; return na64_cells;"
        )
    places = ", ".join(map(str, index))
    return (
        f"{check}constexpr int na64_place[{branch.length}] = {{{places}}}; "
        f"ROOT::RVecD na64_cells({branch.length}, std::numeric_limits<double>::quiet_NaN()); "
        f"{loop} if (na64_place[na64_i] >= 0) "
        f"na64_cells[na64_i] = static_cast<double>({source}[na64_place[na64_i]]){scale}; return na64_cells;"
    )


def _require_length(
    source: str, length: int, column: Column, where: str, read: str, exact: bool = False
) -> str:
    """C++ that checks the number of elements of an event; nothing where the file fixes it."""
    words = f"{length}" if exact else f"at least {length}"
    if column.length > 0:
        if column.length == length or (not exact and column.length > length):
            return ""
        raise DataError(f"{where}: {read} is {column} ({words} numbers are expected): correct the mapping")
    test = "!=" if exact else "<"
    # A length_error is how the reader knows that the mapping, and not the file, is wrong.
    literal = _literal(where)
    return (
        f"if ({source}.size() {test} {length}) throw std::length_error({literal} "
        f'": " + std::to_string({source}.size()) + " numbers in an event, {words} are expected"); '
    )


def flat(branch: Branch, column: Column) -> str | None:
    """The C++ expression that makes one row of numbers of an array in another container, as an RNTuple may
    hold it; None where it is one already.
    """
    if not branch.shape or not column.array or not (column.nested or column.length == 0):
        return None
    sizes = branch.shape if column.nested else (branch.length,)
    if column.nested and (
        len(column.shape) != len(sizes)
        or any(n not in (0, m) for n, m in zip(column.shape, sizes, strict=True))
    ):
        return None
    # Each axis is held to its length: another shape with as many numbers would mix up the cells.
    name, loops = branch.name, ""
    for axis, size in enumerate(sizes):
        loops += (
            f"if ({name}.size() != {size}) throw std::length_error({_literal(branch.name)} "
            f'" has another shape in an event"); for (const auto &na64_axis{axis} : {name}) {{ '
        )
        name = f"na64_axis{axis}"
    fill = f"na64_cells.push_back(static_cast<double>({name})); " + "}" * len(sizes)
    return f"ROOT::RVecD na64_cells; na64_cells.reserve({branch.length}); {loops}{fill} return na64_cells;"


def check_sentinels(sentinels: Mapping[str, Sequence[float]]) -> None:
    """Raise ConfigError where `input.sentinels` names what is no measured quantity of layout A."""
    known = {branch.name: branch for branch in TREE_A.branches}
    for name in sentinels:
        if name not in known:
            raise ConfigError(
                f"unknown branch input.sentinels.{name} ({nearest(name, known)}): use a name of layout A"
            )
        if known[name].kind not in ("floating", "count") or not known[name].used or name == "mcWeight":
            raise ConfigError(
                f"input.sentinels.{name} is not possible (no cut looks at a measured value of it): "
                "leave it out"
            )


def without_sentinels(branch: Branch, values: Sequence[float]) -> tuple[Definition, Definition]:
    """Whether an event has such a value in a branch; and the branch with NaN in its place, which fails every
    cut.
    """
    listed = " || ".join(
        "std::isnan(na64_x)" if math.isnan(value) else f"na64_x == {_cpp(value)}" for value in values
    )
    test = f"const auto na64_is = [](double na64_x) {{ return {listed}; }}; "
    nan = "std::numeric_limits<double>::quiet_NaN()"
    name = branch.name
    if branch.shape:
        has = f"{test} for (const auto na64_one : {name}) if (na64_is(na64_one)) return true; return false;"
        kept = (
            f"{test} ROOT::RVecD na64_cells({name}.begin(), {name}.end()); "
            f"for (double &na64_one : na64_cells) if (na64_is(na64_one)) na64_one = {nan}; return na64_cells;"
        )
    else:
        has = f"{test} return na64_is({name});"
        kept = f"{test} return na64_is({name}) ? {nan} : static_cast<double>({name});"
    return Definition(f"{SENTINEL}{name}", has), Definition(name, kept)


# Begins the name of the column that says whether an event has such a value.
SENTINEL = "na64_no_value_"


def _cpp(value: float) -> str:
    # A float in the file is compared as a float: 1e30 has other digits as a double.
    if math.isinf(value):
        return f"{'-' if value < 0 else ''}std::numeric_limits<double>::infinity()"
    return f"{float(value).hex()} || na64_x == static_cast<double>(static_cast<float>({float(value).hex()}))"


def _literal(text: str) -> str:
    """A C++ literal in pieces, so that a name of a column is not replaced by RDataFrame's variable of it."""
    return " ".join(json.dumps(text[i : i + 3]) for i in range(0, len(text), 3))


def nearest(name: str, known: Iterable[str]) -> str:
    """Why a name is not there: the nearest one that is, or some of them."""
    names = list(known)
    folded = {other.lower(): other for other in names}
    match = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    if match:
        return f"did you mean {folded[match[0]]}?"
    return f"known are {', '.join(names[:8])}" + (", ..." if len(names) > 8 else "")
