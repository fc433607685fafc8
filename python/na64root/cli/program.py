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
from . import data, limits, planes, simulation  # noqa: F401  (they add their verbs)
from .verb import application, simulate


def main() -> int:
    """Run the command line of the process and return its exit code."""
    logging.basicConfig(format="na64root: %(message)s")
    logging.getLogger("na64root").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: what is half written is removed
    with _standard_output_for_results_only() as stdout:
        return run(sys.argv[1:], stdout)


def run(arguments: Iterable[str], stdout: TextIO) -> int:
    """Run one verb, its result on `stdout`, everything else on stderr; return the exit code."""
    try:
        with contextlib.redirect_stdout(stdout), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            with application.make_context("na64root", list(arguments), obj=stdout) as context:
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
    except click.ClickException as error:
        return _complain(_usage_message(error))
    except Na64Error as error:
        return _complain(str(error))
    except OSError as error:
        if error.filename is None and stdout.closed is False and error.errno is not None:
            return _complain(f"cannot write the result ({error.strerror}): check where the output goes")
        traceback.print_exc()
        return 1
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


# In the order of the work, as `--help` lists them.
_ORDER = (
    "analyze",
    "select",
    "inspect",
    "background",
    "quality",
    "explain",
    "acceptance",
    "limit",
    "scan",
    "scorecard",
    "plot",
    "ledger",
    "plan",
    "export",
    "simulate",
)
application.add_command(simulate)
application.commands = dict(sorted(application.commands.items(), key=lambda named: _ORDER.index(named[0])))
