"""Reading cards: built-in ones and files (TOML), one laid over another, single values replaced.

The first problem of a card becomes one line that names the section, the key and what was expected.
"""

import os
import re
import sys
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import ConfigError
from ..inputs import note, read_text
from .card import OPTIONAL_SECTIONS, Card
from .quantity import nearest

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib


DEFAULT_CARD = "paper2021"


def card_names() -> list[str]:
    """Names of the cards that come with the package."""
    folder = resources.files("na64root") / "cards"
    return sorted(entry.name[: -len(".toml")] for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_card(name_or_path: str | Path = DEFAULT_CARD, overrides: Iterable[str] = ()) -> Card:
    """Read a card by the name of a built-in one or by path, with `section.key=value` overrides applied.

    A card that begins with `extends = "NAME"` gives only what differs from another card.

    Raises:
        ConfigError: no such card, broken TOML, an unknown key (the nearest name is suggested), a value of the
            wrong type, signatures or run ranges that overlap.
    """
    data, origin = _card_data(name_or_path)
    for section in OPTIONAL_SECTIONS:
        if section not in data:
            data[section] = _card_data(DEFAULT_CARD)[0][section]
    return _with_overrides(data, origin, overrides)


def changed_card(card: Card, values: Mapping[str, float | str]) -> Card:
    """The card with other numbers and choices, by their dotted names; numbers are marked as the user's.

    Raises:
        ConfigError: an unknown name, or a card that is not acceptable with them.
    """
    overrides = [f"{name}={value}" for name, value in values.items()]
    return _with_overrides(card.model_dump(), f"card {card.card.name}", overrides)


def _with_overrides(data: dict[str, Any], origin: str, overrides: Iterable[str]) -> Card:
    for override in overrides:
        _apply_override(data, override)
    try:
        return Card.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_first_error(error, data, origin)) from None


def _card_data(name_or_path: str | Path, extended: tuple[str, ...] = ()) -> tuple[dict[str, Any], str]:
    """The tables of a card, laid over those of the card that it extends."""
    text, origin = _read_card(name_or_path)
    if origin in extended:
        raise ConfigError(f"{origin} extends itself ({' -> '.join(extended)}): correct `extends`")
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits
        raise ConfigError(f"{origin} is not valid TOML ({error}): correct that line") from None
    base = data.pop("extends", None)
    _read_headers(data, Path(name_or_path).parent, origin)
    if base is not None:
        if not isinstance(base, str):
            raise ConfigError(f"`extends` in {origin} is no name of a card (given {base!r}): correct it")
        beside = Path(name_or_path).parent / base
        if base not in card_names() and os.path.isfile(beside):
            base = str(beside)  # as headers; else from where the user is
        data = _laid_over(_card_data(base, (*extended, origin))[0], data)
    return data, origin


def _read_headers(data: Mapping[str, Any], folder: Path, origin: str) -> None:
    """Put the text of the headers of declared cuts into the card; their paths are relative to its file."""
    selection = data.get("selection")
    declared = selection.get("declared") if isinstance(selection, dict) else None
    for cut in declared if isinstance(declared, list) else ():
        if not isinstance(cut, dict) or not isinstance(cut.get("header"), str):
            continue
        try:
            code = read_text(folder / cut["header"])
            note(folder / cut["header"])
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"cannot read {folder / cut['header']}, the header of cut {cut.get('name')} in {origin} "
                f"({reason}): correct selection.declared.{cut.get('name')}.header"
            ) from None
        if cut.setdefault("code", code) != code:
            raise ConfigError(
                f"cut {cut.get('name')} in {origin} has other code than its header {cut['header']}: "
                "give one of them"
            )


def _laid_over(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; numbers with their provenance and lists are replaced as a whole."""
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict) and "value" not in below:
            merged[key] = _laid_over(below, value)
        else:
            merged[key] = value
    return merged


def _read_card(name_or_path: str | Path) -> tuple[str, str]:
    name = str(name_or_path)
    if name in card_names():
        return (resources.files("na64root") / "cards" / f"{name}.toml").read_text("utf-8"), f"card {name}"
    path = Path(name_or_path)
    if not os.path.isfile(path):
        known = ", ".join(card_names())
        raise ConfigError(f"no card {name} (neither a file nor one of {known}): give a name or a path")
    note(path)
    try:
        return read_text(path), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read card {path} ({error}): give a readable TOML file") from None


def _apply_override(data: dict[str, Any], override: str) -> None:
    key, separator, raw = override.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"cannot use the override {override} (no '='): write section.key=value")
    key, raw = key.strip(), raw.strip()
    if re.fullmatch(r"selection\.declared\.\w+\.(header|code)", key):
        raise ConfigError(
            f"cannot use the override {key} (code is part of a card): name the header in a card"
        )
    try:
        value: Any = tomllib.loads(f"x = {raw}")["x"]
    except (ValueError, RecursionError):
        value = raw  # a bare word is a string
    node: Any = data
    *parents, last = key.split(".")
    for part in parents:
        node = _child(node, part, key)
    if isinstance(node, dict) and "value" in node:
        raise ConfigError(
            f"cannot use the override {override} (a part of a number): set {'.'.join(parents)} itself"
        )
    current = _child(node, last, key)
    if isinstance(current, dict) and "value" in current:
        current.update(value=value, provenance="user", source=f"--set {override}")
    elif isinstance(current, dict):
        raise ConfigError(f"cannot use the override {override} ({key} is a section): name one key in it")
    else:
        node[last] = value


def _child(node: Any, part: str, key: str) -> Any:
    """The entry of a table, or of a list of tables by its name."""
    if isinstance(node, list):
        node = {str(entry.get("name", i)): entry for i, entry in enumerate(node) if isinstance(entry, dict)}
    if not isinstance(node, Mapping) or part not in node:
        known = list(node) if isinstance(node, Mapping) else []
        why = nearest(part, known) or f"{part} is not in the card"
        raise ConfigError(f"unknown key {key} ({why}): correct the override")
    return node[part]


def _first_error(error: ValidationError, data: dict[str, Any], origin: str) -> str:
    errors = error.errors()
    # A misspelt key is also a missing one: the misspelling is the one to report.
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        parent = Card
        known: Iterable[str] = parent.model_fields
        for part in first["loc"][:-1]:
            annotation = _annotation(parent, part)
            if annotation is not None:
                parent, known = annotation, annotation.model_fields
        why = nearest(str(first["loc"][-1]), known) or f"known are {', '.join(known)}"
        return f"unknown key {where} in {origin} ({why}): remove or correct it"
    if first["type"] == "missing":
        return f"{where} is missing in {origin} (required): add it, as in the card {DEFAULT_CARD}"
    message = first["msg"].removeprefix("Value error, ")
    given = "" if isinstance(first["input"], dict | list) else f", given {first['input']!r}"
    return f"{where or 'the card'} is not acceptable in {origin} ({message}{given}): correct it"


def _annotation(model: type[BaseModel], part: str | int) -> type[Any] | None:
    """The model class behind a field, looking through lists; an index stays in the class it is in."""
    if isinstance(part, int):
        return model
    field = model.model_fields.get(part)
    if field is None:
        return None
    annotation: Any = field.annotation
    for argument in (annotation, *getattr(annotation, "__args__", ())):
        candidate = getattr(argument, "__origin__", argument)  # through Annotated
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
