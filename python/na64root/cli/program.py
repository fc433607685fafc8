"""The program: its verbs, its streams, its exit codes.

This is the only place where an error of the package becomes one line on stderr and exit code 2; any other
exception is a bug: a traceback and exit code 1.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

import click

from ..errors import Na64Error
from ..inputs import one_run, require_utf8
from . import (  # noqa: F401  (they add their verbs)
    cards,
    completion,
    data,
    fits,
    limits,
    planes,
    results,
    simulation,
    verdicts,
)
from .verb import GROUPS, TYPED, application, simulate


def main() -> int:
    """Run the command line of the process and return its exit code."""
    _open_closed_streams()
    if completion.answered(application):
        return 0
    _take_names_for_utf8()
    os.environ["MPLBACKEND"] = "agg"  # figures are files; what is set for windows may not even be installed
    _warnings_are_no_errors()
    logging.basicConfig(format="na64root: %(message)s")
    logging.getLogger("na64root").setLevel(logging.INFO)
    # As Ctrl-C: what is half written is removed. What the user ignores (nohup) stays ignored.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that grows too large is an error of its writer
    with _standard_output_for_results_only() as stdout:
        return run(sys.argv[1:], stdout)


class _Stopped(BaseException):
    """A signal that ends the process; its number."""


def _stop(number: int, _: object) -> None:
    for other in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)  # a second one would cut short what the first one started
    raise _Stopped(number)


def _open_closed_streams() -> None:
    """What the process was started without becomes /dev/null: else a file of ours would become it."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="replace"))  # noqa: SIM115


def _take_names_for_utf8() -> None:
    """Names of files and text are UTF-8, whatever the locale: else Python starts anew."""
    if sys.getfilesystemencoding() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"  # for processes started from here
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _warnings_are_no_errors() -> None:
    """Those of other packages do not end a run, whatever PYTHONWARNINGS says."""
    if any(action == "error" for action, *_ in warnings.filters):
        warnings.simplefilter("default")
        for unseen in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", unseen)


def run(arguments: Iterable[str], stdout: TextIO) -> int:
    """Run one verb, its result on `stdout`, everything else on stderr; return the exit code."""
    try:
        with contextlib.redirect_stdout(stdout), warnings.catch_warnings(), one_run():
            warnings.showwarning = _show_warning
            arguments = list(arguments)
            _require_usable(arguments)
            if arguments[:1] in ([], ["help"]):
                arguments = [*arguments[1:], "--help"]
            typed = list(arguments)  # click takes them out of the list
            with application.make_context("na64root", arguments, obj=stdout) as context:
                context.meta[TYPED] = typed
                application.invoke(context)
            stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has seen enough: not an error, and nothing more can be said to it.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        return 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _complain("interrupted", code=130)
    except _Stopped as stop:
        number = signal.Signals(stop.args[0])
        return _complain(f"ended by {number.name}", code=128 + number)
    except click.ClickException as error:
        return _complain(_usage_message(error))
    except Na64Error as error:
        return _complain(str(error))
    except OSError as error:
        if error.errno is None or (error.filename is not None and isinstance(error, FileNotFoundError)):
            traceback.print_exc()
            return 1
        # The machine says no: a name too long, no permission, no room. That is no bug.
        if error.filename is None:
            return _complain(f"cannot write the result ({error.strerror}): check where the output goes")
        return _complain(f"cannot use {error.filename} ({error.strerror}): check the path")
    except Exception:
        traceback.print_exc()
        return 1
    return 0


@contextlib.contextmanager
def _standard_output_for_results_only() -> Iterator[TextIO]:
    """A stream to the process's standard output, while file descriptor 1 itself goes to stderr.

    RooFit and Minuit print from C++ straight to file descriptor 1, and the C library may keep that text until
    the process ends: so the descriptor stays redirected for good.
    """
    saved = None
    with contextlib.suppress(OSError):  # the process was started with standard output closed
        saved = os.dup(1)
    with contextlib.suppress(OSError):
        os.dup2(2, 1)
    if saved is None:
        saved = os.open(os.devnull, os.O_WRONLY)
    stream = open(saved, "w", encoding="utf-8", errors="replace")  # noqa: SIM115
    try:
        yield stream
    finally:
        with contextlib.suppress(OSError):
            stream.close()


def _require_usable(arguments: Iterable[str]) -> None:
    """Arguments as text, and a folder to be in.

    Raises:
        Na64Error: bytes that are not UTF-8; a current folder that was removed.
    """
    for argument in arguments:
        require_utf8(argument)
    try:
        os.getcwd()
    except OSError as error:
        raise Na64Error(f"the current folder is gone ({error.strerror}): change into another one") from None


def _complain(message: str, code: int = 2) -> int:
    with contextlib.suppress(OSError):
        print("na64root:", " ".join(message.split()), file=sys.stderr, flush=True)
    return code


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _complain(f"warning: {message}")


def _usage_message(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{message}: see {context.command_path} --help" if context is not None else message


application.add_command(simulate)
_order = list(GROUPS)
application.commands = dict(sorted(application.commands.items(), key=lambda named: _order.index(named[0])))
