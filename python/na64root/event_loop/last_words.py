"""What is said where a process ends in the middle of C++: of code of the card, of ROOT, or by a signal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..cling import litter
from ..records import temporary_folders
from .library import ending

# How long Python may take to end by itself once it was asked to.
_PATIENCE_SECONDS = 5


@contextlib.contextmanager
def last_words(problem: str, way_out: str, *, thrown: str = "") -> Iterator[None]:
    """Within, a crash is the line "problem (cause): way_out" and exit code 2, not the trace of a stack.

    A crash is a terminate(), abort(), exit(), or a signal such as that of a whole number divided by zero.
    What this process has half written is removed. `thrown` is the cause of a terminate() where the exception
    itself would say it in words of ROOT.
    """
    library = ending()
    before = f"na64root: {' '.join(problem.split())} ("
    library.prepare(before, f"): {' '.join(way_out.split())}", _half_written(), thrown)
    try:
        yield
    finally:
        library.forget()


@contextlib.contextmanager
def ends_when_asked() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP end the process after seconds, also where C++ does not return to Python.

    That is where Python handles them, as the command line does; otherwise nothing changes.
    """
    library = ending()
    library.wait_at_most(_PATIENCE_SECONDS, _half_written())
    try:
        yield
    finally:
        library.wait_no_more()


def _half_written() -> Any:
    return litter(*temporary_folders())
