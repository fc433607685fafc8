"""Results in folders: nothing is replaced unasked, no input ever, nothing half written stays.

A run that is killed leaves a hidden folder, which the next run that writes there removes; where it was killed
between two renames, that run first does the others.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path

from ..errors import Na64Error
from ..inputs import belongs_to_run, note, require_utf8

# Of a temporary folder beside what it becomes.
_PREFIX = ".writing-"
# In it: what is made, and a list of what goes where, from before the first rename until after the last.
_MADE, _PLACING = "made", "placing"


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
    with _reported(str(path)), _beside(path.parent, force) as made_there:
        made = made_there.temporary / _MADE / f"file{suffix}"
        made_there.places = [(made, path)]
        yield made


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
    with _reported(f"into {folder}"), _beside(folder, force) as made_there:
        made = made_there.temporary / _MADE
        made_there.places = [(made / name, folder / name) for name in names]
        yield made


@contextlib.contextmanager
def _reported(where: str) -> Iterator[None]:
    """What the file system refuses, as one line."""
    try:
        yield
    except OSError as error:
        raise Na64Error(f"cannot write {where} ({error.strerror or error}): choose another output") from None


@dataclasses.dataclass
class _Set:
    """Files that are made in a temporary folder, beside the places that they take together."""

    temporary: Path
    held: int | None
    folder: Path
    force: bool
    places: list[tuple[Path, Path]] = dataclasses.field(default_factory=list)
    needed: bool = False  # what could not be undone

    def remove(self) -> None:
        _temporary.pop(os.path.abspath(self.temporary), None)
        if not self.needed:
            shutil.rmtree(self.temporary, ignore_errors=True)
        if self.held is not None:
            os.close(self.held)


# Temporary folders that are there, and the process that made each; a fork of it leaves them.
_temporary: dict[str, int] = {}


def temporary_folders() -> list[str]:
    """What is to be removed where this process ends without Python, as absolute paths."""
    return sorted(folder for folder, process in _temporary.items() if process == os.getpid())


# Sets that are made and wait for others.
_waiting: ContextVar[list[_Set] | None] = ContextVar("sets of files that wait for others", default=None)


@contextlib.contextmanager
def together() -> Iterator[None]:
    """What is written within takes its places at the end, all or none; also a decorator. Within another it is
    part of that.

    Raises:
        Na64Error: as :func:`require_replaceable`, or a folder cannot be written.
    """
    if _waiting.get() is not None:
        yield
        return
    sets: list[_Set] = []
    token = _waiting.set(sets)
    try:
        yield
        with _reported(f"into {sets[-1].folder if sets else ''}"):
            _put(sets)
    finally:
        _waiting.reset(token)
        for one in sets:
            one.remove()


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """What is written within takes its place at once, as what this run goes on to read."""
    token = _waiting.set(None)
    try:
        yield
    finally:
        _waiting.reset(token)


@contextlib.contextmanager
def _beside(folder: Path, force: bool) -> Iterator[_Set]:
    """A set of files whose temporary folder is in another, which is made; it is removed whatever happens."""
    folder.mkdir(parents=True, exist_ok=True)
    with _locked([folder]):
        _finish_what_was_killed(folder)
        temporary = Path(tempfile.mkdtemp(dir=folder, prefix=_PREFIX))
        one = _Set(temporary, _held(temporary), folder, force)
        _temporary[os.path.abspath(temporary)] = os.getpid()
    waits = False
    try:
        (temporary / _MADE).mkdir()
        yield one
        waiting = _waiting.get()
        part_of_another = any(part.startswith(_PREFIX) for part in folder.parts)
        if waiting is None or part_of_another:
            _put([one])
        else:
            waits = True
            waiting.append(one)
    finally:
        if not waits:
            one.remove()


def _held(temporary: Path) -> int | None:
    """A lock on a temporary folder, which ends with the process that has it; None where it is another's."""
    handle = None
    try:
        handle = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        if handle is not None:
            os.close(handle)
        return None
    return handle


def _finish_what_was_killed(folder: Path) -> None:
    """Remove the temporary folders of runs that are no more; what was half placed is placed whole."""
    left = [path for path in folder.glob(f"{_PREFIX}*") if path.is_dir()]
    for temporary in sorted(left, key=lambda path: not (path / _PLACING).exists()):
        if (held := _held(temporary)) is None:
            continue
        try:
            with contextlib.suppress(OSError, ValueError):
                placing = json.loads((temporary / _PLACING).read_text("utf-8"))
                for made, place, force in placing["made"]:
                    if os.path.exists(made):
                        with contextlib.suppress(OSError, Na64Error):  # it is there, or another's came there
                            _place(Path(made), Path(place), force)
                for place in placing["left_out"]:
                    Path(place).unlink(missing_ok=True)
            shutil.rmtree(temporary, ignore_errors=True)
        finally:
            os.close(held)


def _put(sets: Sequence[_Set]) -> None:
    """Files that were made, each into its place, all or none.

    The place of one that was not made is left empty. What was there before comes back where anything fails.
    """
    sets = [one for one in sets if one.places]
    if not sets:
        return
    made_places = [(made, place, one.force) for one in sets for made, place in one.places if made.exists()]
    left_out = [place for one in sets for made, place in one.places if not made.exists()]
    undo: list[Callable[[], object]] = []
    with _locked([one.folder for one in sets]):
        for one in sets:
            (one.temporary / "before").mkdir()
            for made, place in one.places:
                require_replaceable(place, force=one.force)
                if made.exists():
                    made.chmod(0o666 & ~_umask())
        note_of_all = sets[0].temporary / _PLACING
        _write_placing(note_of_all, made_places, left_out)
        try:
            for one in sets:
                for i, (_, place) in enumerate(one.places):
                    if os.path.lexists(place):
                        kept = one.temporary / "before" / str(i)
                        undo.append(functools.partial(_bring_back, kept, place))
                        _keep(place, kept)
            for made, place, force in made_places:
                undo.append(functools.partial(_remove, place, made.stat().st_ino))
                _place(made, place, force)
            for place in left_out:
                place.unlink(missing_ok=True)
        except BaseException:  # an interrupt too
            undone = True
            for step in reversed(undo):
                try:
                    step()
                except FileNotFoundError:
                    pass
                except OSError:
                    undone = False
            if undone:
                note_of_all.unlink()
            for one in sets:
                one.needed = not undone
            raise
        note_of_all.unlink()
        for one in sets:
            for _, place in one.places:
                note(place)


def _write_placing(path: Path, made: Sequence[tuple[Path, Path, bool]], left_out: Sequence[Path]) -> None:
    """What is to be done, for who finds that it was not; whole or not at all."""
    absolute = os.path.abspath
    placing = {
        "made": [(absolute(one), absolute(place), force) for one, place, force in made],
        "left_out": [absolute(place) for place in left_out],
    }
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(placing), "utf-8")
    os.replace(unfinished, path)


def _bring_back(kept: Path, place: Path) -> None:
    """What was there before, by another way where renaming fails, too."""
    try:
        os.replace(kept, place)
    except FileNotFoundError:
        raise
    except OSError:
        with contextlib.suppress(shutil.SameFileError):  # it was not away yet
            shutil.copy2(kept, place, follow_symlinks=False)


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
def _locked(folders: Iterable[Path]) -> Iterator[None]:
    """Two runs that write into one folder do so one after the other, where the file system can lock it."""
    handles: dict[tuple[int, int], int] = {}
    try:
        for folder in folders:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            found = os.fstat(handle)
            if handles.setdefault((found.st_dev, found.st_ino), handle) != handle:
                os.close(handle)
        for _, handle in sorted(handles.items()):
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        for handle in handles.values():
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
