"""na64root: the NA64 search for semi-visible dark photons, from an ntuple to an exclusion plane.

Importing the package is quick and never imports ROOT; public names are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._core import DarkBremsstrahlung, InelasticModel, element, material
from .errors import ConfigError, ConvergenceError, DataError, Na64Error

if TYPE_CHECKING:
    from .config import Card, load_card
    from .exclusion.grids import Plane
    from .exclusion.planes import scan
    from .exclusion.r_cut import best_r_cut
    from .html_report import report
    from .limits import Bin, CountingModel, upper_limit
    from .records import ResultsFolder
    from .selection import SelectionOptions, select
    from .signal import SignalModel, expected_signal
    from .simulation.acceptance import efficiency, r_efficiency
    from .simulation.core_config import Signal
    from .simulation.efficiency_map import EfficiencyMap
    from .simulation.simulate import pseudodata
    from .theory.lines import epsilon_g2, muon_g2_band
    from .verdicts import Point, verdict
    from .work import Work

    __version__: str

_LAZY = {
    "Bin": "limits",
    "Card": "config",
    "CountingModel": "limits",
    "Plane": "exclusion.grids",
    "Point": "verdicts",
    "EfficiencyMap": "simulation.efficiency_map",
    "ResultsFolder": "records",
    "SelectionOptions": "selection",
    "Signal": "simulation.core_config",
    "SignalModel": "signal",
    "Work": "work",
    "best_r_cut": "exclusion.r_cut",
    "efficiency": "simulation.acceptance",
    "epsilon_g2": "theory.lines",
    "expected_signal": "signal",
    "load_card": "config",
    "muon_g2_band": "theory.lines",
    "pseudodata": "simulation.simulate",
    "r_efficiency": "simulation.acceptance",
    "report": "html_report",
    "scan": "exclusion.planes",
    "select": "selection",
    "upper_limit": "limits",
    "verdict": "verdicts",
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
    "Point",
    "ResultsFolder",
    "SelectionOptions",
    "Signal",
    "SignalModel",
    "Work",
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
    "report",
    "scan",
    "select",
    "upper_limit",
    "verdict",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from .version import version

        return version()
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
