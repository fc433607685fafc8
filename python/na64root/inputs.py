"""Files that a run reads: they are never replaced by what it writes.

Whoever reads a file of the user says so by :func:`note`, as does who has written one; whoever writes asks
:func:`belongs_to_run`. A run is what :func:`one_run` encloses: a command of the command line, or a function
that reads and writes. Files are known by what they are, not by their names: links of both kinds lead to the
same one.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from contextvars import ContextVar
from typing import BinaryIO

from .errors import Na64Error

Identity = tuple[int, int]

_files: ContextVar[set[Identity] | None] = ContextVar("files of this run", default=None)


@contextlib.contextmanager
def one_run() -> Iterator[None]:
    """What is read within is not replaced within; also a decorator. Within another run it is part of that."""
    if _files.get() is not None:
        yield
        return
    token = _files.set(set())
    try:
        yield
    finally:
        _files.reset(token)


def note(path: str | os.PathLike[str]) -> None:
    """Remember a file of this run; an address or a file that is not there is none."""
    known = _files.get()
    if known is not None and (identity := _identity(path)) is not None:
        known.add(identity)


def opened(path: str | os.PathLike[str]) -> BinaryIO:
    """A file of the user, opened for reading.

    Raises:
        OSError: it cannot be read, or is no file: a pipe that nobody writes to would never end.
    """
    # Without waiting: opening a pipe for reading waits for somebody who writes.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    stream = open(handle, "rb")  # noqa: SIM115
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return stream
    stream.close()
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    raise OSError(errno.EINVAL, "no regular file", os.fspath(path))


def read_bytes(path: str | os.PathLike[str], size: int = -1) -> bytes:
    """What a file of the user holds, or its first bytes.

    Raises:
        OSError: as :func:`opened`.
    """
    with opened(path) as stream:
        return stream.read(size)


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file of the user: UTF-8 with or without byte-order mark, its lines end as those of any
    system do.

    Raises:
        OSError: as :func:`read_bytes`.
        UnicodeDecodeError: it is no UTF-8.
    """
    return io.StringIO(read_bytes(path).decode("utf-8-sig"), newline=None).read()


def belongs_to_run(path: str | os.PathLike[str]) -> bool:
    """Whether this run reads the file or has written it, under whatever name."""
    return _identity(path) in (_files.get() or ())


def require_utf8(name: str | os.PathLike[str]) -> None:
    """What the name of any file of a run has to be.

    Raises:
        Na64Error: bytes that are not UTF-8.
    """
    try:
        str(name).encode("utf-8")
    except UnicodeEncodeError:
        raise Na64Error(
            f"the name {str(name)!a} is not UTF-8 (records are JSON, which cannot hold it): rename it"
        ) from None


def _identity(path: str | os.PathLike[str]) -> Identity | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
