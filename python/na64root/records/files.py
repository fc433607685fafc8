"""Results in folders: nothing is replaced unasked, nothing half written stays."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..errors import Na64Error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def write_atomically(path: Path, write: Callable[[Path], None], *, force: bool = False) -> None:
    """Have `write` make a file beside `path`, then rename it: an interrupted run leaves no half file.

    Raises:
        Na64Error: `path` exists and `force` is not set, or the folder cannot be written.
    """
    if path.is_dir():
        raise Na64Error(f"{path} is a folder (one file is written): give the name of a file")
    if path.exists() and not force:
        raise Na64Error(f"{path} exists (results are kept): use --force or another output")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as error:
        raise Na64Error(f"cannot write {path} ({error.strerror}): choose another output") from None
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise Na64Error(f"cannot write {path} ({error.strerror or error}): choose another output") from None
    finally:
        temporary.unlink(missing_ok=True)


def refuse_to_replace(folder: Path, names: Iterable[str], force: bool) -> None:
    """Raise Na64Error where a file of these names exists and `force` is not set."""
    existing = [str(folder / name) for name in names if (folder / name).exists()]
    if existing and not force:
        raise Na64Error(f"{existing[0]} exists (results are kept): use --force or another output")


def require_writable(folder: Path) -> None:
    """Fail before minutes of computing, not after them."""
    with renamed_into(folder, ()):
        pass


@contextlib.contextmanager
def renamed_into(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """A temporary folder; at the end its files take the place of `names` in `folder`, all or none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
            yield Path(temporary)
            for name in names:
                made = Path(temporary) / name
                if made.exists():
                    made.replace(folder / name)
                else:
                    (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise Na64Error(
            f"cannot write into {folder} ({error.strerror or error}): choose another output"
        ) from None
