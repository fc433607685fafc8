"""Finding the files of an input, and opening them."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ..cling import declare_header, literal, named, root
from ..config import LayoutConfig
from ..errors import DataError
from ..inputs import note, read_bytes, require_utf8
from ..records import InputFile, SkippedFile, sha256_of

_LIST_SUFFIXES = (".txt", ".list", ".lst")


def expand(inputs: Sequence[str]) -> list[str]:
    """Paths of the files behind paths, globs, text files of paths (.txt, .list, .lst) and root:// addresses.

    A glob gives its matches in order of name; what exists under a name is that file, whatever its characters.
    In a text file each line is a path, a glob or an address; empty lines and those that begin with # are left
    out; relative paths start from the folder of the text file.

    Raises:
        DataError: nothing given, nothing matches, no such file, or a file is named twice.
    """
    paths = [path for text in inputs for path in _expand_one(str(text), Path(), lists=True)]
    if not paths:
        raise DataError("no input files given: name at least one ROOT file")
    seen: set[str] = set()
    for path in paths:
        require_utf8(path)
        same = path if "://" in path else os.path.realpath(path)
        note(path)
        if same in seen:
            raise DataError(f"{path} is given twice (its events would count twice): name it once")
        seen.add(same)
    return paths


def _expand_one(text: str, folder: Path, *, lists: bool) -> list[str]:
    path = folder / text
    if "://" in text and not os.path.exists(path):
        return [text]
    if os.path.isdir(path):
        raise DataError(f"{path} is a folder (files are needed): give '{path}/*.root'")
    if os.path.isfile(path):
        return _read_list(path) if lists and path.suffix in _LIST_SUFFIXES else [str(path)]
    if glob.has_magic(text):
        # Only the text is a pattern: the folder may have brackets in its name.
        matches = sorted(glob.glob(text, root_dir=folder))
        found = [str(folder / match) for match in matches if os.path.isfile(folder / match)]
        if not found:
            raise DataError(f"no file matches {path} (empty glob): check the path")
        return found
    raise DataError(f"cannot read {path} ({_why(path)}): check the path")


def _why(path: Path) -> str:
    try:
        os.stat(path)
    except FileNotFoundError:
        return "no such file"
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return "no regular file"


def _read_list(path: Path) -> list[str]:
    note(path)
    try:
        # A line ends where a shell or an editor ends it: a name may hold other separators of Unicode.
        lines = [line.removesuffix("\r") for line in read_bytes(path).decode("utf-8-sig").split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the list of files {path} ({error}): give one path per line") from None
    lines = [line if os.path.isfile(path.parent / line) else line.strip() for line in lines]
    entries = [line for line in lines if line and not line.startswith("#")]
    if not entries:
        raise DataError(f"{path} names no file (one path per line is expected): add paths")
    return [found for line in entries for found in _expand_one(line, path.parent, lists=False)]


@contextlib.contextmanager
def quiet_root() -> Iterator[None]:
    """ROOT's messages about a bad file are replaced by one line of ours, and its `Fatal` does not abort."""
    ROOT = root()
    levels = ROOT.gErrorIgnoreLevel, ROOT.gErrorAbortLevel
    ROOT.gErrorIgnoreLevel, ROOT.gErrorAbortLevel = ROOT.kFatal + 1, ROOT.kFatal + 1
    try:
        yield
    finally:
        ROOT.gErrorIgnoreLevel, ROOT.gErrorAbortLevel = levels


class UnknownLayoutError(DataError):
    """A readable ROOT file that is of no known layout: `problem` says why, `way_out` what can be done.

    `skipped` are the other files of the input, where they were left out.
    """

    def __init__(self, problem: str, way_out: str, path: str, skipped: Sequence[SkippedFile] = ()) -> None:
        super().__init__(f"{problem}: {way_out}")
        self.problem, self.way_out, self.path = problem, way_out, path
        self.skipped = [file for file in skipped if file.path != path]


_DAMAGED = "{} is damaged (truncated or not closed by its writer): make or copy it again"


def _streamers_are_there(stream: BinaryIO) -> bool:
    """Whether the descriptions of classes are where the header of a file says, if it says so.

    ROOT reads what is there as a list when it opens the file, whatever it is.
    """
    header = stream.read(53).ljust(53, b"\0")
    large = int.from_bytes(header[:4], "big") >= 1_000_000
    place, size = struct.unpack(">qi" if large else ">ii", header[41:53] if large else header[33:41])
    if place == 0:
        return True
    stream.seek(max(place, 0))
    key = stream.read(64).ljust(64, b"\0")
    name = 34 if int.from_bytes(key[4:6], "big") > 1000 else 26
    return place > 0 and int.from_bytes(key[:4], "big") == size and key[name : name + 6] == b"\5TList"


def _keys_are_sound(stream: BinaryIO) -> bool:
    """Whether each list of keys, of a file and of the folders in it, has room for as many as it says.

    ROOT reads them when it opens the file or the folder, past the end of the list.
    """
    stream.seek(0)
    header = stream.read(40).ljust(40, b"\0")
    begin, large = int.from_bytes(header[8:12], "big"), int.from_bytes(header[4:8], "big") >= 1_000_000
    folders, seen = [begin + int.from_bytes(header[36:40] if large else header[28:32], "big")], set[int]()
    while folders:
        at = folders.pop()
        if at in seen:
            continue
        seen.add(at)
        stream.seek(at)
        folder = stream.read(42).ljust(42, b"\0")
        large = int.from_bytes(folder[:2], "big") > 1000
        size = int.from_bytes(folder[10:14], "big", signed=True)
        place = int.from_bytes(folder[34:42] if large else folder[26:30], "big", signed=True)
        if size <= 0 or place <= 0:
            continue  # as in a file that was not closed, which ROOT says
        stream.seek(place)
        held = stream.read(size)
        key = _key_in(held, 0)
        if key is None or key[0] + 4 > len(held):
            return False
        end, number = key[0] + 4, int.from_bytes(held[key[0] : key[0] + 4], "big", signed=True)
        for _ in range(number):
            key = _key_in(held, end)
            if key is None:
                return False
            end, kind, within = key
            if kind in (b"TDirectory", b"TDirectoryFile"):
                folders.append(within)
    return True


def _key_in(held: bytes, at: int) -> tuple[int, bytes, int] | None:
    """Where a key in a list ends, the class of its object, where that is in the file; None beyond the end."""
    try:
        _, version, _, _, length, _ = struct.unpack_from(">ihiIhh", held, at)
        (place,) = struct.unpack_from(">q" if version > 1000 else ">i", held, at + 18)
        at += 34 if version > 1000 else 26
        texts = []
        for _ in range(3):
            size = held[at]
            at += 1
            if size == 255:
                (size,) = struct.unpack_from(">I", held, at)
                at += 4
            texts.append(held[at : at + size])
            at += size
    except (struct.error, IndexError):
        return None
    return (at, texts[0], max(place + length, 0)) if at <= len(held) else None


@contextlib.contextmanager
def opened_file(path: str) -> Iterator[Any]:
    """A ROOT file that is closed again.

    Raises:
        DataError: it cannot be opened, is empty, not ROOT, truncated, or was not closed by its writer.
    """
    # An address without a server is given up after seconds, not ten minutes; what the user has set stays.
    os.environ.setdefault("XRD_CONNECTIONWINDOW", "15")
    os.environ.setdefault("XRD_CONNECTIONRETRY", "1")
    ROOT = root()
    if "://" not in path:
        try:
            magic = read_bytes(path, 4)
            with open(path, "rb") as stream:
                stream.seek(4)
                sound = magic != b"root" or (_streamers_are_there(stream) and _keys_are_sound(stream))
        except OSError as error:
            raise DataError(f"cannot read {path} ({error.strerror}): check the file") from None
        if not magic:
            raise DataError(f"{path} is empty (0 bytes; a ROOT file is expected): make or copy it again")
        if magic != b"root":
            raise DataError(f"{path} is not a ROOT file (it does not begin with 'root'): give a ROOT file")
        if not sound:
            raise DataError(_DAMAGED.format(path))
    else:
        # An address is read through its server also on the server's own machine: RDataFrame would take its
        # path for that of a local file there, TFile does not.
        ROOT.gEnv.SetValue("TFile.ForceRemote", 1)
    with quiet_root():
        known = ROOT.gROOT.GetListOfFiles()
        before = known.GetSize()
        try:
            file = ROOT.TFile.Open(literal(path), "READ")
        except OSError:
            file = None
        except ROOT.std.exception:
            declare_header("keys.hpp")
            ROOT.na64root_keys.keep_first(known, before)
            raise DataError(_DAMAGED.format(path)) from None
        if not file or file.IsZombie():
            if "://" in path:
                raise DataError(
                    f"cannot open {path} (no answer from the server, or no such file): check the address"
                )
            raise DataError(_DAMAGED.format(path))
        try:
            if file.TestBit(ROOT.TFile.kRecovered):
                raise DataError(_DAMAGED.format(path))
            yield file
        finally:
            file.Close()


def input_file_of(path: str, entries: int) -> InputFile:
    """The record of an input file; a remote one is not hashed."""
    remote = "://" in path
    require_utf8(path)
    note(path)
    return InputFile(
        path=path,
        size=0 if remote else Path(path).stat().st_size,
        sha256="" if remote else sha256_of(Path(path)),
        entries=entries,
    )


def text_of(name: Callable[[], Any]) -> str:
    """What a function of ROOT says, which in a damaged file can be anything."""
    try:
        return "".join(c if c.isprintable() else "?" for c in str(name()))
    except (UnicodeDecodeError, TypeError):  # how ROOT passes on that it is no UTF-8
        return "?"


def object_in(directory: Any, name: str) -> Any:
    """An object of a file; None where it is not there or its class is unknown, as in a damaged file.

    Raises:
        DataError: its key is damaged.
    """
    try:
        folder, _, last = name.rpartition("/")
        within = directory.Get(folder) if folder else directory
        key = within.GetKey(last) if within else None
        if key and not key_is_sound(directory.GetFile(), key):
            where = named(str(directory.GetFile().GetName()))
            raise DataError(f"'{name}' in {where} cannot be read (the file is damaged): copy it again")
        return directory.Get(name)
    except TypeError:
        return None


def key_is_sound(file: Any, key: Any) -> bool:
    """Whether a key in the list of keys agrees with what it stands for; of a folder that is not asked."""
    declare_header("keys.hpp")
    return str(key.GetClassName()).startswith("TDirectory") or bool(root().na64root_keys.is_sound(file, key))


def paths_of_friends(mapping: LayoutConfig, paths: Sequence[str]) -> list[list[str]]:
    """For each input file the files of its friends, in the order of the mapping.

    Raises:
        DataError: not one file of a friend for each input file.
    """
    found: list[list[str]] = [[] for _ in paths]
    for friend in mapping.friends:
        if not friend.files:
            files = list(paths)
        elif any("{stem}" in text or "{folder}" in text for text in friend.files):
            if len(friend.files) > 1:
                raise DataError(
                    f"layout.friends {friend.alias} has {len(friend.files)} files ({{stem}} makes one for "
                    "each input file): give one template"
                )
            files = [_from_template(friend.files[0], path) for path in paths]
        else:
            files = [file for text in friend.files for file in _expand_one(text, Path(), lists=True)]
        if len(files) != len(paths):
            raise DataError(
                f"layout.friends {friend.alias} has {len(files)} files for {len(paths)} input files "
                "(one for each is needed, in their order): give them, or a template with {stem}"
            )
        for names, file in zip(found, files, strict=True):
            names.append(file)
    return found


def _from_template(template: str, path: str) -> str:
    folder, _, name = path.rpartition("/")
    values = {"folder": folder or ".", "stem": name.removesuffix(".root")}
    return re.sub(
        r"\{(folder|stem)\}", lambda match: values[match[1]], template
    )  # once: a name may have braces


def repeated_files(files: Sequence[InputFile]) -> list[list[str]]:
    """Groups of files with the same checksum; a remote file has none."""
    by_content: dict[str, list[str]] = {}
    for file in files:
        if file.sha256:
            by_content.setdefault(file.sha256, []).append(file.path)
    return [paths for paths in by_content.values() if len(paths) > 1]


def notes_on_files(duplicates: int, repeated: Sequence[Sequence[str]], counted: str = "once") -> list[str]:
    """What to say of duplicates, which are `counted` so, and repeated files."""
    notes = [f"{', '.join(paths)} have the same content (one checksum)" for paths in repeated]
    if duplicates:
        notes.append(f"{duplicates} events have a run, spill and number that came before: counted {counted}")
    return notes
