"""Where a number comes from: inputs with checksums, the card, versions, the seed."""

import contextlib
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from importlib import metadata

from ..config import Card, card_names, load_card
from ..errors import ConfigError
from ..version import version
from .record import Record


class InputFile(Record):
    """An input file; size 0 and no checksum where it is remote."""

    path: str
    size: int
    sha256: str
    entries: int


class SkippedFile(Record):
    """An input file that was left out, and why."""

    path: str
    cause: str


class GoodRunList(Record):
    """A list of good runs that was applied: its file, and how many ranges of runs or spills it has.

    `eot` are the electrons on target of all of them, null where the list does not say.
    """

    path: str
    sha256: str
    ranges: int
    eot: float | None = None


class InputDetails(Record):
    """How the input files were read, beside their names.

    `layout` is A, B, or `card` for a mapping of the card. `friend_files` hold more branches of the events.
    """

    layout: str
    friend_files: list[InputFile] = []
    files_skipped: list[SkippedFile] = []
    good_runs: GoodRunList | None = None


class Provenance(Record):
    """What is needed to make the result again.

    `version` of na64root names the commit; `na64root` is its older name, and the only one in results of 0.1.
    `command`: what was typed behind `na64root`, without what no result depends on (threads, where it goes);
    null for what a function of Python made.
    """

    na64root: str
    root: str | None
    python: str
    numpy: str
    card: str
    card_sha256: str
    card_changed: dict[str, float]
    seed: int | None
    approximation: str
    limit_method: str | None
    input_files: list[InputFile]
    input: InputDetails | None = None
    version: str | None = None
    command: list[str] | None = None
    mediator: str = "kinetic_mixing"
    coupling: str = "vector"


_command: ContextVar[list[str] | None] = ContextVar("command of this run", default=None)

# Options that no result depends on, alone and with a value.
_IDLE_FLAGS = ("--json", "--force")
_IDLE_OPTIONS = ("-o", "--output-dir", "-j", "--threads", "--engine", "--scheduler")


@contextlib.contextmanager
def made_by_command(arguments: Sequence[str]) -> Iterator[None]:
    """Results that are made within say that `na64root ARGUMENTS` made them."""
    token = _command.set(_that_matter(arguments))
    try:
        yield
    finally:
        _command.reset(token)


def _that_matter(arguments: Sequence[str]) -> list[str]:
    kept, value_follows = [], False
    for argument in arguments:
        if value_follows:
            value_follows = False
        elif argument in _IDLE_OPTIONS:
            value_follows = True
        elif argument not in _IDLE_FLAGS and not _idle_with_value(argument):
            kept.append(argument)
    return kept


def _idle_with_value(argument: str) -> bool:
    """As -j2, -oFOLDER, --threads=2."""
    if argument.startswith("--"):
        return argument.partition("=")[0] in _IDLE_OPTIONS and "=" in argument
    return argument[:2] in _IDLE_OPTIONS and len(argument) > 2


def provenance(
    card: Card,
    *,
    seed: int | None = None,
    limit_method: str | None = None,
    input_files: Iterable[InputFile] = (),
    input_details: InputDetails | None = None,
) -> Provenance:
    """The provenance of a result made with this card, and with seed, method and files where it has them."""
    return Provenance(
        na64root=version(),
        root=_installed("root"),
        python=platform.python_version(),
        numpy=metadata.version("numpy"),
        card=card.card.name,
        card_sha256=card.sha256,
        card_changed=card.changed(),
        seed=seed,
        approximation=card.model.approximation,
        limit_method=limit_method,
        input_files=list(input_files),
        input=input_details,
        version=version(),
        command=_command.get(),
        mediator=card.model.mediator,
        coupling=card.model.coupling,
    )


def card_of(made: Provenance) -> Card | None:
    """The card of a result, known by its checksum: one of the package, with the numbers that were changed.

    None for the card of a user, and where more than numbers was changed.
    """
    if made.card not in card_names():
        return None
    # The checksum has what was typed after --set: people write whole numbers without a point, Python with it.
    for written in (_as_people_write, repr):
        try:
            card = load_card(made.card, [f"{n}={written(value)}" for n, value in made.card_changed.items()])
        except ConfigError:
            return None
        if card.sha256 == made.card_sha256:
            return card
    return None


def _as_people_write(value: float) -> str:
    return repr(int(value)) if value.is_integer() else repr(value)


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
