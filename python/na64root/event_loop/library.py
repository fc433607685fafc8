"""The second library: the compiled event loop, built by the C++ compiler against the ROOT that is used.

It is built on first use, or by `make build`, and kept in the user's cache by ROOT version, sources and
compiler.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ..cling import INCLUDE_PATH, PREFIX, compiler, declare, literal, root

log = logging.getLogger(__name__)

SOURCES = PREFIX / "rdf"


HEADER = SOURCES / "booking.hpp"


# What is compiled, apart from headers.
TRANSLATION_UNITS = ("booking.cpp", "last_words.cpp", "survey.cpp")


# As the core: no contraction to fused multiply-add, so that every engine gives the same bits.
FLAGS = ("-std=c++17", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-pthread")


# Of the core, that the sources include.
CORE_HEADERS = ("selection.hpp", "event_numbers.hpp", "systematics.hpp", "random.hpp", "units.hpp")


# Likewise of those for Cling.
CLING_HEADERS = ("rntuple_check.hpp", "suspects.hpp")


ROOT_LIBRARIES = ("ROOTDataFrame", "ROOTVecOps", "ROOTNTuple", "TreePlayer", "Tree", "Hist", "RIO", "Core")


@functools.cache
def booking() -> Any | None:
    """The functions of `booking.hpp`, loaded; None where the library cannot be built, with a warning."""
    if not _loaded():
        return None
    declare(f'#include "{literal(SOURCES)}/{HEADER.name}"', optimised=False)  # declarations only
    return root().na64root.rdf


@functools.cache
def surveying() -> Any:
    """The functions of `survey.hpp`; where the library cannot be built Cling compiles them."""
    return _of_header("survey")


@functools.cache
def ending() -> Any:
    """The functions of `last_words.hpp`; where the library cannot be built Cling compiles them."""
    return _of_header("last_words")


def _of_header(name: str) -> Any:
    loaded = _loaded()
    declare(f'#include "{literal(SOURCES)}/{name}.{"hpp" if loaded else "cpp"}"', optimised=not loaded)
    return root().na64root.rdf


@functools.cache
def _loaded() -> bool:
    path = build()
    if path is None:
        return False
    if root().gSystem.Load(literal(path)) < 0:
        log.warning("cannot load %s: events are selected by code compiled just in time, slower", path)
        return False
    return True


def build() -> Path | None:
    """The path of the library, built where the cache does not have it; None where it cannot be built."""
    try:
        made = cache_folder() / f"libna64root_rdf-{_key()}.so"
    except RuntimeError as error:
        return _no_library(f"no cache: {error}; set XDG_CACHE_HOME")
    if made.is_file():
        return made
    log.info("compiling the event loop, once for this ROOT and compiler")
    try:
        made.parent.mkdir(parents=True, exist_ok=True)
        # Beside and renamed: whoever builds at the same time puts the same file there.
        handle, name = tempfile.mkstemp(dir=made.parent, suffix=".so")
        os.close(handle)
    except OSError as error:
        return _no_library(f"{made.parent} cannot be written ({error.strerror})")
    try:
        subprocess.run(
            _command(Path(name)), check=True, capture_output=True, encoding="utf-8", errors="replace"
        )
        os.chmod(name, 0o755)
        os.replace(name, made)
    except subprocess.CalledProcessError as error:
        return _no_library((error.stderr.strip().splitlines() or ["no message"])[0])
    except OSError as error:
        return _no_library(str(error))
    finally:
        Path(name).unlink(missing_ok=True)
    return made


def cache_folder() -> Path:
    """`na64root` in $XDG_CACHE_HOME where that is absolute, or in ~/.cache.

    Raises:
        RuntimeError: neither.
    """
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (chosen if chosen.is_absolute() else Path.home() / ".cache") / "na64root"


def _no_library(why: str) -> Path | None:
    log.warning(
        "cannot compile the event loop (%s): events are selected by code compiled just in time, slower", why
    )
    return None


def _command(output: Path) -> list[str]:
    ROOT = root()
    libraries = str(ROOT.TROOT.GetSharedLibDir())
    return [
        compiler(),
        *FLAGS,
        f"-I{INCLUDE_PATH}",
        "-isystem",
        str(ROOT.TROOT.GetIncludeDir()),
        *(str(SOURCES / name) for name in TRANSLATION_UNITS),
        "-o",
        str(output),
        f"-L{libraries}",
        *("-Xlinker", "-rpath", "-Xlinker", libraries),  # a comma in it separates nothing
        *(f"-l{name}" for name in ROOT_LIBRARIES),
    ]


def _key() -> str:
    """Of everything that goes into the library."""
    digest = hashlib.sha256()
    program = Path(compiler()).resolve()
    known = program.stat()  # asking it for its version would take longer
    for text in (
        *FLAGS,
        program,
        known.st_size,
        known.st_mtime_ns,
        root().gROOT.GetVersion(),
        root().TROOT.GetSharedLibDir(),
    ):
        digest.update(str(text).encode() + b"\0")
    core = INCLUDE_PATH / "na64root"
    cling = PREFIX / "cling"
    included = (*(core / name for name in CORE_HEADERS), *(cling / name for name in CLING_HEADERS))
    for source in (*sorted(SOURCES.iterdir()), *included):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":  # of `make build`, so that no first analysis waits for it
    build()
