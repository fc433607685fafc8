"""The only door to ROOT: everything that needs it calls :func:`root` inside a function.

ROOT is imported once, in batch mode, with the compiler's headers checked first (without them the first use of
Cling ends in a segmentation fault), and with the core's headers and shared library known to Cling.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import util
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
    # Cling finds headers in the folder where the user is before those of an include path: quoted ones are
    # found here first, whatever is called na64root there.
    include = f"-iquote {_plain_prefix() / 'include'}"
    # Calls from Python are compiled when they are first made: optimising them takes a third of a second and
    # gains nothing. What is worth it asks for it, see `optimise`; what the user has set stays.
    arguments = os.environ.get("EXTRA_CLING_ARGS", "-O0")
    with (
        _environment(EXTRA_CLING_ARGS=f"{arguments} {include}", ROOTENV_NO_HOME="1"),
        _in_an_empty_folder(),
        _without_jupyroot(),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="(?s).*This distribution of ROOT is in alpha stage")
        try:
            import ROOT
        except ImportError as error:
            raise Na64Error(f"cannot import ROOT ({error}): pip install root==0.1a12") from None
        # Neither .rootrc nor a rootlogon of the user or of this folder decides what is computed.
        ROOT.PyConfig.DisableRootLogon = True
        ROOT.PyConfig.IgnoreCommandLineOptions = True
        ROOT.gROOT.SetBatch(True)  # the first thing asked of it starts Cling
    ROOT.gInterpreter.AddIncludePath(str(_plain_prefix() / "include"))
    if ROOT.gSystem.Load(literal(LIBRARY)) < 0:
        raise Na64Error(f"cannot load {LIBRARY} (incomplete installation): install na64root again")
    return ROOT


def _plain_prefix() -> Path:
    return Path(literal(PREFIX))


@functools.cache
def optimise() -> None:
    """From now on Cling optimises what it compiles, as loops over events need it.

    Where EXTRA_CLING_ARGS is set, it says what Cling does.
    """
    ROOT = root()
    if "EXTRA_CLING_ARGS" not in os.environ:
        ROOT.gROOT.ProcessLine(".O 2")


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Variables that are set for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _without_jupyroot() -> Iterator[None]:
    """ROOT as anywhere else in the kernel of a notebook, too.

    What it sets up there for magics and interactive canvases loses a symbol (`__clang_call_terminate`) that
    code compiled later needs: simulations failed. Who imports ROOT first still has it all.
    """
    name = "ROOT._jupyroot"
    if "ROOT" in sys.modules:
        yield
        return
    sys.modules[name] = types.ModuleType(name)
    try:
        yield
    finally:
        sys.modules.pop(name, None)


@contextlib.contextmanager
def _in_an_empty_folder() -> Iterator[None]:
    """Elsewhere than the user, for what looks around where it starts."""
    here = os.open(".", getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY)  # it may not be readable
    with tempfile.TemporaryDirectory(prefix="na64root-") as empty:
        os.chdir(empty)
        try:
            yield
        finally:
            os.fchdir(here)
            os.close(here)


# A path of these characters, with .root at its end only, means the same to everything in ROOT; a .zip is
# opened as an archive.
_PLAIN = re.compile(r"(?!.*\.root.)(?!.*\.zip)[A-Za-z0-9_./+=-]+", re.DOTALL)

# By absolute path of a file, the plain name that stands for it.
_links: dict[str, str] = {}
# The process that made the folder of them; forks of it use it, and leave it.
_made_links: list[int] = []


# By absolute path of a file, another one that ROOT is given in its place.
_stand_ins: dict[str, str] = {}


def stand_in(path: str | Path, made: str | None) -> None:
    """Give ROOT `made` wherever it would be given a file; None: the file itself again."""
    _stand_ins.pop(os.path.abspath(path), None)
    if made is not None:
        _stand_ins[os.path.abspath(path)] = made


def literal(path: str | Path) -> str:
    """A path of an input as ROOT is to be given it: that file, whatever characters its name has.

    ROOT takes brackets and * for patterns, # and ? for parts of an address, $ and ~ for what they stand for
    in a shell, and .root/ for the end of a file. A path that is not plain gets a link with a plain name in a
    folder of this process. An address is left as it is.
    """
    text = str(path)
    if _stand_ins and "://" not in text and (made := _stand_ins.get(os.path.abspath(text))):
        return made
    if "://" in text or _PLAIN.fullmatch(text):
        return text
    target = os.path.abspath(text)
    if target not in _links:
        suffix = os.path.splitext(target)[1]
        for number in itertools.count(len(_links)):
            name = f"{number}{suffix if suffix in ('.root', '.so') else ''}"
            link = os.path.join(_links_folder(), name)
            with contextlib.suppress(FileExistsError):  # of a fork of this process, or of which this is one
                os.symlink(target, link)
                _links[target] = link
                break
    return _links[target]


def in_literal_folder(path: str | Path) -> str:
    """As :func:`literal`, of a file that is to be written: its folder gets the link, its name is plain."""
    folder, name = os.path.split(str(path))
    return os.path.join(literal(folder), name) if folder else name


@contextlib.contextmanager
def literal_output(path: str | Path) -> Iterator[str]:
    """A name for ROOT to write to, for any file: where its own name is not plain it is renamed at the end."""
    folder, name = os.path.split(str(path))
    if _PLAIN.fullmatch(name):
        yield in_literal_folder(path)
        return
    beside = tempfile.mkdtemp(prefix=".writing-", dir=folder or ".")
    try:
        made = os.path.join(beside, "file" + (".root" if name.endswith(".root") else ".json"))
        yield in_literal_folder(made)
        os.replace(made, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def named(message: str) -> str:
    """A message of ROOT with the paths that the user gave, in place of the links that ROOT was given."""
    for target, link in sorted((_links | _stand_ins).items(), key=lambda item: -len(item[1])):
        message = message.replace(link, target)
    return message


def links() -> dict[str, str]:
    """The links of this process, for :func:`have_links` in another one."""
    return _links | _stand_ins


def have_links(made: Mapping[str, str]) -> None:
    """Make links of another process, perhaps on another machine, where they are not."""
    _stand_ins.update(made)
    for target, link in made.items():
        if not os.path.lexists(link):
            folder = os.path.dirname(link)
            if not os.path.isdir(folder):
                os.makedirs(folder, mode=0o700, exist_ok=True)
                atexit.register(shutil.rmtree, folder, ignore_errors=True)
            with contextlib.suppress(FileExistsError):  # by another worker
                os.symlink(target, link)


@functools.cache
def _links_folder() -> str:
    """A new folder whose own path is plain; removed at the end of the process that made it."""
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        if _PLAIN.fullmatch(place):
            with contextlib.suppress(OSError):
                folder = tempfile.mkdtemp(prefix="na64root-", dir=place)
                # Not atexit, which worker processes leave out; a fork of this process does nothing.
                util.Finalize(None, shutil.rmtree, (folder, True), exitpriority=0)
                _made_links.append(os.getpid())
                return folder
    raise Na64Error(
        "no temporary folder can be written (one with a plain name is needed): set TMPDIR to one"
    ) from None


def scratch_file(name: str) -> str:
    """A new name for a file of this process beside its links, which ends with it; `name` begins it."""
    handle, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".root", dir=_links_folder())
    os.close(handle)
    return path


def litter(*folders: str | Path) -> list[str]:
    """What is to be removed where this process ends without Python: these folders, and that of its links."""
    own = [_links_folder()] if _made_links == [os.getpid()] else []
    return [*map(str, folders), *own]


@contextlib.contextmanager
def new_file(path: str | Path) -> Iterator[Any]:
    """A new ROOT file, closed at the end.

    Raises:
        OSError: it cannot be made, or the file system took not all of it.
    """
    ROOT = root()
    level = ROOT.gErrorIgnoreLevel
    ROOT.gErrorIgnoreLevel = ROOT.kFatal  # one line of ours in place of many
    file = None
    try:
        with literal_output(path) as name, histograms_as_ours():
            with contextlib.suppress(OSError):
                file = ROOT.TFile.Open(name, "RECREATE")
            if not file or file.IsZombie():
                raise no_room()
            yield file
            file.Close()
            if file.TestBit(ROOT.TFile.kWriteError):
                raise no_room()
    finally:
        if file and file.IsOpen():
            file.Close()
        ROOT.gErrorIgnoreLevel = level


def no_room() -> OSError:
    """What ROOT does not say by an error of its own."""
    return OSError(errno.EIO, "the file system took no more data")


@contextlib.contextmanager
def histograms_as_ours() -> Iterator[None]:
    """Histograms made within are as this package expects them, whatever the user's ROOT says of new ones."""
    ROOT = root()
    TH1 = ROOT.TH1
    sums, attached = TH1.GetDefaultSumw2(), TH1.AddDirectoryStatus()
    TH1.SetDefaultSumw2(False)
    TH1.AddDirectory(False)
    probe = ROOT.TH1C("", "", 1, 0.0, 1.0)
    probe.Fill(2.0)
    overflows = probe.GetEffectiveEntries() > 0.0  # nothing else tells
    TH1.StatOverflows(False)
    TH1.AddDirectory(True)
    try:
        yield
    finally:
        TH1.SetDefaultSumw2(sums)
        TH1.StatOverflows(overflows)
        TH1.AddDirectory(attached)


@functools.cache
def include(header: str) -> None:
    """Make a header of the core (`selection.hpp`) known to Cling, once."""
    declare(f'#include "{_plain_prefix() / "include" / "na64root" / header}"')


@functools.cache
def declare_header(header: str) -> None:
    """Make a header of `cpp/cling`, which needs ROOT, known to Cling, once."""
    declare(f'#include "{_plain_prefix() / "cling" / header}"')


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
        *("-iquote", INCLUDE_PATH, "-iquote", os.getcwd()),  # as Cling: ours before the user's
        f"-I{INCLUDE_PATH}",
        "-isystem",
        include,
        "-",
    ]
    checked = subprocess.run(
        [str(part) for part in command],
        input=text,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        cwd=_links_folder(),
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


# What is to be left out before brackets are counted, or is one.
_TOKEN = re.compile(
    r"""
    //[^\n]*\n | /\*.*?\*/
    | (?P<comment> // | /\* )
    | R"(?P<mark>[^()\\\s]{0,16})\( .*? \)(?P=mark)"
    | "(?:[^"\\\n]|\\.)*"
    | (?<![0-9A-Fa-f])'(?:[^'\\\n]|\\.)*'
    | (?P<quote> " | (?<![0-9A-Fa-f])' )
    | (?P<bracket> [][(){}] )
    """,
    re.DOTALL | re.VERBOSE,
)


def why_not_whole(code: str) -> str:
    """Why an expression would change what is written around it; empty where it would not.

    What has a bracket too few or too many sends Cling into a loop that ends when memory does, or is taken as
    something else than it stands for.
    """
    open_ones: list[str] = []
    for token in _TOKEN.finditer(code):
        if token["comment"]:
            return "a comment has no end"
        if token["quote"]:
            return f"a {token['quote']} has no end"
        bracket = token["bracket"]
        if bracket in ("(", "[", "{"):
            open_ones.append(bracket)
        elif bracket and (not open_ones or open_ones.pop() + bracket not in ("()", "[]", "{}")):
            return f"a {bracket} closes nothing"
    return f"a {open_ones[-1]} has no end" if open_ones else ""


_ADVICE = "install g++ with its standard library headers (Debian: apt install g++)"


@functools.cache
def compiler() -> str:
    """Path of the C++ compiler; raises Na64Error where there is none."""
    path = shutil.which("c++") or shutil.which("g++")
    if path is None:
        raise Na64Error(f"no C++ compiler found (ROOT needs its headers at run time): {_ADVICE}")
    return path


def apart(work: Callable[[], str]) -> str:
    """What `work` says, done in a fork of this process; "crash" where that ends otherwise.

    What Cling could not compile can make it refuse what it compiles next, though that is good: what may be
    wrong is tried where nothing comes after.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, which the child leaves
        child = os.fork()
    if child == 0:
        try:
            for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGBUS):
                signal.signal(number, signal.SIG_DFL)
            os.write(writing, work().encode("utf-8", "replace")[:60_000])  # a pipe takes as much at once
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with open(reading, "rb") as stream:
        said = stream.read().decode("utf-8", "replace")
    return said if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 else "crash"


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
