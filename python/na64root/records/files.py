"""Results in folders: nothing is replaced unasked, no input ever, nothing half written stays."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ..errors import Na64Error
from ..inputs import belongs_to_run, note, require_utf8

# Of a temporary folder beside what it becomes.
_PREFIX = ".writing-"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def write_atomically(path: Path, write: Callable[[Path], None], *, force: bool = False) -> None:
    """Have `write` make a file, as in :func:`one_file`.

    Raises:
        Na64Error: as :func:`one_file`.
    """
    with one_file(path, force=force) as made:
        write(made)


@contextlib.contextmanager
def one_file(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Where to make a file, beside `path`; then it is renamed: an interrupted run leaves no half file.

    Its name there is plain and short, whatever that of `path`; it has the same suffix where that is plain.

    Raises:
        Na64Error: `path` exists and `force` is not set, is read by this run, or cannot be written.
    """
    require_replaceable(path, force=force)
    suffix = path.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,12}", path.suffix) else ""
    with _reported(str(path)), _beside(path.parent) as folder:
        made = folder / f"file{suffix}"
        yield made
        _put([(made, path)], path.parent, force)


def refuse_to_replace(folder: Path, names: Iterable[str], force: bool) -> None:
    """Raise Na64Error where a file of these names exists and `force` is not set, or this run reads it."""
    for name in names:
        require_replaceable(folder / name, force=force)


def require_replaceable(path: Path, *, force: bool) -> None:
    """What a file of results may be: new, or with `force` in the place of a file that this run does not read.

    Raises:
        Na64Error: it is neither.
    """
    require_utf8(path)
    try:
        os.lstat(path)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        where = f"into {path.parent}" if isinstance(error, NotADirectoryError | PermissionError) else path
        raise Na64Error(f"cannot write {where} ({why}): choose another output") from None
    if os.path.isdir(path):
        raise Na64Error(f"{path} is a folder (one file is written): give the name of a file")
    if belongs_to_run(path):
        raise Na64Error(
            f"{path} is a file that this run reads or has written (it would be lost): choose another output"
        )
    if not force:
        raise Na64Error(f"{path} exists (results are kept): use --force or another output")
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        raise Na64Error(f"{path} is a device or a pipe (only a file is replaced): choose another output")


def require_writable(folder: Path) -> None:
    """Fail before minutes of computing, not after them."""
    with renamed_into(folder, ()):
        pass


@contextlib.contextmanager
def renamed_into(folder: Path, names: Iterable[str], *, force: bool = True) -> Iterator[Path]:
    """A temporary folder; at the end its files take the place of `names` in `folder`, all or none.

    Without `force` none may have come there meanwhile, as from another run.

    Raises:
        Na64Error: as :func:`require_replaceable`, or the folder cannot be written.
    """
    require_utf8(folder)
    with _reported(f"into {folder}"), _beside(folder) as made:
        yield made
        _put([(made / name, folder / name) for name in names], folder, force)


@contextlib.contextmanager
def _reported(where: str) -> Iterator[None]:
    """What the file system refuses, as one line."""
    try:
        yield
    except OSError as error:
        raise Na64Error(f"cannot write {where} ({error.strerror or error}): choose another output") from None


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A new folder within a temporary one in another, which is made; it is removed whatever happens."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix=_PREFIX))
    try:
        made = temporary / "made"
        made.mkdir()
        yield made
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put(places: Sequence[tuple[Path, Path]], folder: Path, force: bool) -> None:
    """Files that were made, each into its place in a folder, all or none.

    The place of one that was not made is left empty. What was there before comes back where anything fails.
    """
    if not places:
        return
    before = places[0][0].parent.with_name("before")
    before.mkdir()
    undo: list[Callable[[], object]] = []
    with _locked(folder):
        for _, place in places:
            require_replaceable(place, force=force)
        try:
            for i, (made, place) in enumerate(places):
                if os.path.lexists(place):
                    undo.append(functools.partial(os.replace, before / str(i), place))
                    _keep(place, before / str(i))
                if made.exists():
                    undo.append(functools.partial(_remove, place, made.stat().st_ino))
                    made.chmod(0o666 & ~_umask())
                    _place(made, place, force)
                else:
                    place.unlink(missing_ok=True)
        except BaseException:  # an interrupt too
            for step in reversed(undo):
                with contextlib.suppress(OSError):
                    step()
            raise
        for _, place in places:
            note(place)


def _keep(place: Path, kept: Path) -> None:
    """A second name for a file, so that it is never away; where there are no links it is moved."""
    try:
        os.link(place, kept, follow_symlinks=False)
    except OSError:
        os.rename(place, kept)


def _remove(place: Path, inode: int) -> None:
    if place.stat().st_ino == inode:
        place.unlink()


def _place(made: Path, place: Path, force: bool) -> None:
    """Rename; without `force` by a link, which never replaces what came there in the meantime."""
    if not force:
        try:
            os.link(made, place)
        except FileExistsError:
            require_replaceable(place, force=False)
        except OSError:  # a file system without links
            require_replaceable(place, force=False)
        else:
            made.unlink()
            return
    os.replace(made, place)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two runs that write into one folder do so one after the other, where the file system can lock it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _umask() -> int:
    """The mask of new files; asking the system for it would set it."""
    with contextlib.suppress(OSError):
        found = re.search(
            r"^Umask:\s+([0-7]+)", Path("/proc/self/status").read_text("ascii", "replace"), re.M
        )
        return int(found[1], 8) if found else _umask_by_setting_it()
    return _umask_by_setting_it()


def _umask_by_setting_it() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
