"""Cling as users have it, where the rest of the tests compile without optimisation."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from na64root.cling import root


@contextmanager
def optimised() -> Iterator[None]:
    """What is compiled inside is optimised, here and in processes started from here."""
    chosen = os.environ.pop("EXTRA_CLING_ARGS", None)
    root().gROOT.ProcessLine(".O 2")
    try:
        yield
    finally:
        if chosen is not None:
            os.environ["EXTRA_CLING_ARGS"] = chosen
            root().gROOT.ProcessLine(".O 0")
