"""na64root: the NA64 search for semi-visible dark photons, from an ntuple to an exclusion plane.

Importing the package is quick and never imports ROOT; public names are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._core import DarkBremsstrahlung, InelasticModel, __version__, element, material
from .errors import ConfigError, ConvergenceError, DataError, Na64Error

if TYPE_CHECKING:
    from .acceptance import efficiency, r_efficiency
    from .config import Card, load_card
    from .efficiency_map import EfficiencyMap
    from .limits import Bin, CountingModel, upper_limit
    from .planes import Plane, scan
    from .r_cut import best_r_cut
    from .selection import select
    from .signal import SignalModel, expected_signal
    from .simulate import Signal, pseudodata
    from .theory import epsilon_g2, muon_g2_band

_LAZY = {
    "Bin": "limits",
    "Card": "config",
    "CountingModel": "limits",
    "Plane": "planes",
    "EfficiencyMap": "efficiency_map",
    "Signal": "simulate",
    "SignalModel": "signal",
    "best_r_cut": "r_cut",
    "efficiency": "acceptance",
    "epsilon_g2": "theory",
    "expected_signal": "signal",
    "load_card": "config",
    "muon_g2_band": "theory",
    "pseudodata": "simulate",
    "r_efficiency": "acceptance",
    "scan": "planes",
    "select": "selection",
    "upper_limit": "limits",
}

__all__ = [
    "Bin",
    "Card",
    "ConfigError",
    "ConvergenceError",
    "CountingModel",
    "DarkBremsstrahlung",
    "DataError",
    "EfficiencyMap",
    "InelasticModel",
    "Na64Error",
    "Plane",
    "Signal",
    "SignalModel",
    "__version__",
    "best_r_cut",
    "efficiency",
    "element",
    "epsilon_g2",
    "expected_signal",
    "load_card",
    "material",
    "muon_g2_band",
    "pseudodata",
    "r_efficiency",
    "scan",
    "select",
    "upper_limit",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
