"""The only door to ROOT: everything that needs it calls :func:`root` inside a function.

ROOT is imported once, in batch mode, with the compiler's headers checked first (without them the first use of
Cling ends in a segmentation fault), and with the core's headers and shared library known to Cling.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ._core import __file__ as core_file
from .errors import Na64Error

# _core lies where the package was installed, also when the Python files are read from a checkout.
PREFIX = Path(core_file).parent
INCLUDE_PATH = PREFIX / "include"
LIBRARY = PREFIX / "lib" / "libna64root.so"


@functools.cache
def root() -> Any:
    """The ROOT module, ready to use.

    Raises:
        Na64Error: no C++ compiler with its standard headers, or no ROOT.
    """
    _check_compiler()
    # Calls from Python are compiled when they are first made: optimising them takes a third of a second and
    # gains nothing. What is worth it asks for it, see `optimise`; what the user has set stays.
    with _environment("EXTRA_CLING_ARGS", "-O0"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*This distribution of ROOT is in alpha stage")
        try:
            import ROOT
        except ImportError as error:
            raise Na64Error(f"cannot import ROOT ({error}): pip install root==0.1a12") from None
        ROOT.gROOT.SetBatch(True)  # the first thing asked of it starts Cling
    ROOT.PyConfig.IgnoreCommandLineOptions = True
    ROOT.gInterpreter.AddIncludePath(str(INCLUDE_PATH))
    if ROOT.gSystem.Load(str(LIBRARY)) < 0:
        raise Na64Error(f"cannot load {LIBRARY} (incomplete installation): install na64root again")
    return ROOT


@functools.cache
def optimise() -> None:
    """From now on Cling optimises what it compiles, as loops over events need it.

    Where EXTRA_CLING_ARGS is set, it says what Cling does.
    """
    ROOT = root()
    if "EXTRA_CLING_ARGS" not in os.environ:
        ROOT.gROOT.ProcessLine(".O 2")


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """A variable that is set for a while, where it is not set already."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


@functools.cache
def include(header: str) -> None:
    """Make a header of the core (`selection.hpp`) known to Cling, once."""
    declare(f'#include "na64root/{header}"')


@functools.cache
def declare_header(header: str) -> None:
    """Make a header of `cpp/cling`, which needs ROOT, known to Cling, once."""
    declare(f'#include "{PREFIX / "cling" / header}"')


def declare(code: str, *, optimised: bool = True) -> None:
    """Compile C++ code in Cling; raises Na64Error when it does not compile."""
    if optimised:
        optimise()
    if not root().gInterpreter.Declare(code):
        raise Na64Error(
            "Cling could not compile a declaration (the compiler's message is above): report this"
        )


def is_distributed(node: Any) -> bool:
    """Whether a frame or a node is that of a cluster; not for results, which run the loop when asked."""
    return hasattr(node, "proxied_node") or hasattr(node, "_headnode")


class CodeError(Na64Error):
    """Code of a user does not compile; the message is the compiler's first error, with the line."""


@functools.cache
def declare_code(name: str, code: str) -> None:
    """Compile a user's C++ code in Cling, once; `name` stands for it in the compiler's messages.

    Raises:
        CodeError: it does not compile, or what it defines is already defined otherwise in this process.
    """
    text = f'#line 1 "{name}"\n{code}\n'
    include = root().TROOT.GetIncludeDir()
    # Unbalanced brackets send Cling into a loop that ends when memory does: the compiler sees it first.
    command = [
        compiler(),
        "-xc++",
        "-std=c++17",
        "-fsyntax-only",
        f"-I{INCLUDE_PATH}",
        "-isystem",
        include,
        "-",
    ]
    checked = subprocess.run(
        [str(part) for part in command],
        input=text,
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
    )
    said = checked.stderr
    if checked.returncode == 0:
        with compiler_messages() as messages:
            if root().gInterpreter.Declare(text):
                return
            said = messages()
    error = re.search(r":(\d+):(?:\d+:)? (?:fatal )?error: (.*)", said)
    if error is None:
        raise CodeError("the compiler gives no reason")
    more = "; in one Python process a header cannot change" if "redefinition" in error[2] else ""
    raise CodeError(f"line {error[1]}: {error[2].strip()}{more}")


_ADVICE = "install g++ with its standard library headers (Debian: apt install g++)"


@functools.cache
def compiler() -> str:
    """Path of the C++ compiler; raises Na64Error where there is none."""
    path = shutil.which("c++") or shutil.which("g++")
    if path is None:
        raise Na64Error(f"no C++ compiler found (ROOT needs its headers at run time): {_ADVICE}")
    return path


@contextlib.contextmanager
def compiler_messages() -> Iterator[Callable[[], str]]:
    """Keeps what the compiler prints off stderr; the function that is yielded gives it."""
    root()
    with tempfile.TemporaryFile() as kept:
        saved = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:

            def read() -> str:
                kept.seek(0)
                return kept.read().decode("utf-8", "replace")

            yield read
        finally:
            os.dup2(saved, 2)
            os.close(saved)


@contextlib.contextmanager
def implicit_threads(threads: int) -> Iterator[None]:
    """ROOT's implicit multi-threading for one event loop; its state is put back afterwards."""
    ROOT = root()
    before = ROOT.GetThreadPoolSize() if ROOT.IsImplicitMTEnabled() else 0
    if before:
        ROOT.DisableImplicitMT()
    if threads > 1:
        ROOT.EnableImplicitMT(threads)
    try:
        yield
    finally:
        if threads > 1:
            ROOT.DisableImplicitMT()
        if before:
            ROOT.EnableImplicitMT(before)


def _check_compiler() -> None:
    try:
        subprocess.run(
            [compiler(), "-xc++", "-fsyntax-only", "-"],
            input=b"#include <cstddef>\n",
            check=True,
            capture_output=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        raise Na64Error(f"{compiler()} finds no C++ standard headers (ROOT needs them): {_ADVICE}") from None
