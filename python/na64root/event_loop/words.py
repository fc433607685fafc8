"""Words of C++ code that are names of branches as well.

RDataFrame takes each word of a text for the column of that name where there is one: a branch `std` or
`double` would break every text that says `std::abs` or `double`. Such a text becomes a function that is
compiled beforehand, and RDataFrame is given a call of it with the columns that are meant.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from typing import Any

from ..cling import declare, is_distributed, root
from ..errors import DataError

# C++17, without what no expression holds.
_KEYWORDS = frozenset(
    """
    alignof and and_eq auto bitand bitor bool break case catch char char16_t char32_t class compl const
    const_cast constexpr continue decltype default delete do double dynamic_cast else enum explicit false
    float for goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq
    private protected public register reinterpret_cast return short signed sizeof static static_assert
    static_cast struct switch template this throw true try typedef typeid typename union unsigned using
    virtual void volatile wchar_t while xor xor_eq
    """.split()  # noqa: SIM905
)

# Variables of code of ours, and what begins the names of the ones that are made here.
_OWN = re.compile(
    r"na64_(axis\d+|bad|cells|column\d+|copy|down|good|i|index|is|is_good|k|key|left_out|next|normal|one|place|"
    r"range|up|value|x)"
)
_COLUMN = "na64_column"

_NAME = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_WORD = re.compile(rf"(?<![\w.]){_NAME}", re.ASCII)
_AFTER_SCOPE = re.compile(r"(::\s*|->\s*)$")
_BEFORE = re.compile(r"\s*(::|\()")  # of a scope, or of a call
_TEXTS = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)+\'')


def is_plain(name: str) -> bool:
    """Whether a column's name can stand in a C++ text, where nothing else goes by it."""
    words = name.split(".")
    return bool(re.fullmatch(_NAME, name, re.ASCII)) and not any(
        word in _KEYWORDS or word.startswith("na64_") for word in words
    )


def for_rdataframe(node: Any, text: str) -> str:
    """A C++ text as RDataFrame is to be given it, so that only words that can be columns are taken for them.

    None is a word of the language, one before or after `::`, a function that is called, and a variable of
    code of ours.

    Raises:
        DataError: such a word is a branch, and the node is that of a cluster, of which each worker has only
            the text.
    """
    words = _words(text)
    suspects = {word for word, column in words if column != word}
    known = {str(name) for name in node.GetColumnNames()} | {"rdfslot_", "rdfentry_"}
    mistaken = sorted(suspects & known)
    if not mistaken:
        return text
    if is_distributed(node):
        raise DataError(
            f"the input has a branch '{mistaken[0]}' (on a cluster that word in the selection's code would "
            "be taken for it): leave out --engine"
        )
    columns = list(dict.fromkeys(c for _, column in words if column for c in _columns(column, known)))
    return _call(text, tuple(columns))


def _words(text: str) -> list[tuple[str, str]]:
    """The words of a text outside of its literals, and what of each can be a column: of a call of `hits.size`
    it is `hits`; empty where nothing can.
    """
    bare = _TEXTS.sub(lambda found: " " * len(found[0]), text)
    words = []
    for found in _WORD.finditer(bare):
        before = _BEFORE.match(bare, found.end())
        column = found[0]
        if before:
            column = column.rpartition(".")[0] if before[1] == "(" else ""
        is_ours = column in _KEYWORDS or _OWN.fullmatch(column)
        words.append((found[0], "" if is_ours or _AFTER_SCOPE.search(bare[: found.start()]) else column))
    return words


def _columns(word: str, known: Collection[str]) -> list[str]:
    """The column that a word names: `hits.size` of a call is of `hits`, and `hits.x` may be a column."""
    parts = word.split(".")
    for count in range(len(parts), 0, -1):
        if (name := ".".join(parts[:count])) in known:
            return [name]
    return []


def _call(text: str, columns: tuple[str, ...]) -> str:
    """The call of a function that has `text` for body."""
    names = {column: f"{_COLUMN}{i}" for i, column in enumerate(columns)}
    body = _renamed(text, names)
    if not re.search(r"\breturn\b", _TEXTS.sub("", body)):
        body = f"return {body};"
    types = ", ".join(f"typename T{i}" for i in range(len(columns)))
    taken = ", ".join(f"const T{i} &{names[column]}" for i, column in enumerate(columns))
    function = "na64root_text_" + hashlib.sha256(f"{columns} {text}".encode()).hexdigest()[:20]
    if not hasattr(root(), function):
        declare(f"{f'template <{types}>' if columns else 'inline'} auto {function}({taken}) {{ {body} }}")
    return f"{function}({', '.join(columns)})"


def _renamed(text: str, names: dict[str, str]) -> str:
    literals = [(found.start(), found.end()) for found in _TEXTS.finditer(text)]
    bare = _TEXTS.sub(lambda found: " " * len(found[0]), text)
    made, last = [], 0
    for found in _WORD.finditer(bare):
        if any(a <= found.start() < b for a, b in literals) or _AFTER_SCOPE.search(bare[: found.start()]):
            continue
        column = next(iter(_columns(found[0], names)), None)
        if column is None or (found[0] == column and _BEFORE.match(bare, found.end())):
            continue
        made += [text[last : found.start()], names[column]]
        last = found.start() + len(column)
    return "".join([*made, text[last:]])
