"""na64root: the NA64 search for semi-visible dark photons, from an ntuple to an exclusion plane.

Importing the package is quick and never imports ROOT; public names are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from ._core import __version__
from .errors import ConfigError, ConvergenceError, DataError, Na64Error

_LAZY = {
    "load_card": "config",
}

__all__ = ["ConfigError", "ConvergenceError", "DataError", "Na64Error", "__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
