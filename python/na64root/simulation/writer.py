"""Simulated events into a ROOT file, as a TTree or as an RNTuple of the same columns."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from .. import cling
from ..annotations import Progress
from ..cling import implicit_threads, in_literal_folder, root
from ..errors import ConfigError
from ..records import Record, at_once, write_atomically
from ..work import Work

Format = Literal["ttree", "rntuple"]


FORMATS: tuple[Format, ...] = ("ttree", "rntuple")


Kind = Literal["Signal", "Gun", "Pseudodata"]


R = TypeVar("R", bound=Record)


# Between two pieces of this many events Ctrl-C is seen.
_PIECE = 10_000


def writers() -> Any:
    """The C++ namespace that makes generators: `signal`, `gun` and `Pseudodata`."""
    cling.declare_header("writer.hpp")
    return root().na64root_writer


def check_format(format: str) -> None:
    """Raise ConfigError for a format that is not known."""
    if format not in FORMATS:
        raise ConfigError(f"no format {format} (known: {', '.join(FORMATS)}): correct --format")


@contextlib.contextmanager
def _writing(threads: int) -> Iterator[None]:
    """ROOT while it writes: with threads, and silent, since a failure ends in one line of our own."""
    ROOT = root()
    level = ROOT.gErrorIgnoreLevel
    with implicit_threads(threads):
        ROOT.gErrorIgnoreLevel = ROOT.kFatal
        try:
            yield
        finally:
            ROOT.gErrorIgnoreLevel = level


@dataclass(frozen=True)
class EventFile:
    """A file of simulated events; an existing one is replaced only with `force`.

    Attributes:
        format: what the events are written as, in the same columns: a TTree or an RNTuple.
        hepmc: also a file of the generated particles as HepMC3, see :mod:`na64root.simulation.hepmc`.

    Raises:
        ConfigError: no such format.
    """

    path: Path
    format: Format = "ttree"
    force: bool = False
    hepmc: Path | None = None

    def __post_init__(self) -> None:
        check_format(self.format)

    @classmethod
    def of(cls, file: EventFile | str | Path) -> EventFile:
        """The file itself, or a new one at a path."""
        return file if isinstance(file, cls) else cls(Path(str(file)))


@dataclass(frozen=True)
class Output:
    """Where simulated events go, and how they are written.

    The threads of `work` make the events and compress the file, which holds the same events in the same order
    for any number of them.
    """

    file: EventFile
    title: str
    work: Work

    def write(
        self,
        kind: Kind,
        make_generator: Callable[[], Any],
        record_of: Callable[[Any, int, float], R],
        *,
        first: int = 0,
        events: int | None = None,
        beside: Callable[[R], None] | None = None,
    ) -> R:
        """Write the events `first` ... of a generator, all that it has unless `events` says how many.

        Args:
            make_generator: makes a generator of `kind` from :func:`writers`.
            record_of: from generator, number of events and sum of weights the record of how they were made,
                which the file holds as JSON in `na64root`.
            beside: writes more; where it raises, nothing is left.

        Raises:
            Na64Error: the file exists and `force` is not set, or cannot be written.
        """
        done: list[R] = []

        def write(temporary: Path) -> None:
            generator = make_generator()
            number = int(generator.size()) if events is None else events
            file = _EventFile(temporary, kind, generator, self)
            weights = file.fill(first, number, self.work.reporting("events"))
            record = record_of(generator, number, weights)
            file.close(json.dumps(json.loads(record.model_dump_json(exclude={"file"}))))
            if beside is not None:
                beside(record)
            done.append(record)

        with _writing(self.work.threads), at_once():
            write_atomically(self.file.path, write, force=self.file.force)
        return done[0]


class _EventFile:
    """A new ROOT file compressed by ZSTD, with the events of one generator in a TTree or RNTuple `tree`."""

    def __init__(self, path: Path, kind: Kind, generator: Any, output: Output) -> None:
        self._writer: Any = None
        make = getattr(writers(), f"{kind}Writer")
        title = f"na64root {output.title}, layout A"
        with self._abandoned_when_full():
            self._writer = make(
                generator,
                in_literal_folder(path),
                title,
                output.file.format == "rntuple",
                output.work.threads,
            )

    def fill(self, first: int, events: int, progress: Progress | None) -> float:
        """Write the events `first` ... `first + events - 1`; the sum of their weights.

        Raises:
            OSError: the file system took no more data.
        """
        total = 0.0
        for done in range(0, events, _PIECE):
            last = min(done + _PIECE, events)
            with self._abandoned_when_full():
                total += float(self._writer.fill(first + done, first + last))
            if progress is not None:
                progress(last, events)
        # What Cling could not compile may return as if it had done its work.
        if (written := int(self._writer.written())) != events:
            raise RuntimeError(f"{written} of {events} events were written")
        return total

    def close(self, about: str) -> None:
        """Write what is left and, beside it as `na64root`, how it was made.

        Raises:
            OSError: the file system took no more data.
        """
        with self._abandoned_when_full():
            self._writer.close(about)

    @contextlib.contextmanager
    def _abandoned_when_full(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            full = str(writers().full)
            if full not in str(error):
                raise
            if self._writer is not None:
                self._writer.abandon()
            raise OSError(full) from None
