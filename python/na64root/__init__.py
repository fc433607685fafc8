"""na64root: the NA64 search for semi-visible dark photons, from an ntuple to an exclusion plane.

Importing the package is quick and never imports ROOT; public names are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._core import DarkBremsstrahlung, InelasticModel, element, material
from .errors import ConfigError, ConvergenceError, DataError, Na64Error

if TYPE_CHECKING:
    from .analyze import analyze, score
    from .config import Card, load_card
    from .exclusion.best_cuts import best_cuts
    from .exclusion.explain import explain
    from .exclusion.grids import Plane
    from .exclusion.ledger import ledger
    from .exclusion.planes import scan
    from .exclusion.r_cut import best_r_cut
    from .html_report import report
    from .limits import Bin, CountingModel, upper_limit
    from .limits.export import export as export_model
    from .ntuple import inspect
    from .publication import submit
    from .records import ResultsFolder
    from .reports.figured import assess_quality, estimate_backgrounds, plan
    from .reports.plane_files import plot
    from .selection import SelectionOptions, select
    from .signal import SignalModel, expected_signal
    from .simulation.acceptance import efficiency, r_efficiency
    from .simulation.core_config import Signal
    from .simulation.efficiency_map import EfficiencyMap
    from .simulation.simulate import gun as simulate_gun
    from .simulation.simulate import pseudodata
    from .simulation.simulate import signal as simulate_signal
    from .theory.lines import epsilon_g2, muon_g2_band
    from .verdicts import Point, verdict
    from .views import to_hist, to_numpy, to_pandas, to_root
    from .work import Work

    __version__: str

# The place of each public name, as MODULE, or MODULE:NAME where it has another name there.
_LAZY = {
    "Bin": "limits",
    "Card": "config",
    "CountingModel": "limits",
    "EfficiencyMap": "simulation.efficiency_map",
    "Plane": "exclusion.grids",
    "Point": "verdicts",
    "ResultsFolder": "records",
    "SelectionOptions": "selection",
    "Signal": "simulation.core_config",
    "SignalModel": "signal",
    "Work": "work",
    "analyze": "analyze",
    "assess_quality": "reports.figured",
    "best_cuts": "exclusion.best_cuts",
    "best_r_cut": "exclusion.r_cut",
    "card_values": "reports.cards:listing",
    "coupling_limit": "exclusion.coupling",
    "efficiency": "simulation.acceptance",
    "epsilon_g2": "theory.lines",
    "estimate_backgrounds": "reports.figured",
    "expected_signal": "signal",
    "explain": "exclusion.explain",
    "export_model": "limits.export:export",
    "fit": "limits.fit",
    "inspect": "ntuple",
    "ledger": "exclusion.ledger",
    "load_card": "config",
    "muon_g2_band": "theory.lines",
    "plan": "reports.figured",
    "plot": "reports.plane_files",
    "pseudodata": "simulation.simulate",
    "r_efficiency": "simulation.acceptance",
    "report": "html_report",
    "scan": "exclusion.planes",
    "score": "analyze",
    "select": "selection",
    "simulate_gun": "simulation.simulate:gun",
    "simulate_signal": "simulation.simulate:signal",
    "submit": "publication",
    "to_hist": "views",
    "to_numpy": "views",
    "to_pandas": "views",
    "to_root": "views",
    "upper_limit": "limits",
    "verdict": "verdicts",
}

# What does in Python what a verb of the command line does; `export --format hepdata` is `submit`.
VERBS = {
    "analyze": "analyze",
    "select": "select",
    "inspect": "inspect",
    "background": "estimate_backgrounds",
    "quality": "assess_quality",
    "explain": "explain",
    "verdict": "verdict",
    "acceptance": "efficiency",
    "limit": "upper_limit",
    "fit": "fit",
    "coupling": "coupling_limit",
    "scan": "scan",
    "scorecard": "score",
    "plot": "plot",
    "ledger": "ledger",
    "plan": "plan",
    "export": "export_model",
    "report": "report",
    "card": "card_values",
    "simulate signal": "simulate_signal",
    "simulate background": "pseudodata",
    "simulate pseudodata": "pseudodata",
    "simulate gun": "simulate_gun",
}

__all__ = [
    "VERBS",
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
    "analyze",
    "assess_quality",
    "best_cuts",
    "best_r_cut",
    "card_values",
    "coupling_limit",
    "efficiency",
    "element",
    "epsilon_g2",
    "estimate_backgrounds",
    "expected_signal",
    "explain",
    "export_model",
    "fit",
    "inspect",
    "ledger",
    "load_card",
    "material",
    "muon_g2_band",
    "plan",
    "plot",
    "pseudodata",
    "r_efficiency",
    "report",
    "scan",
    "score",
    "select",
    "simulate_gun",
    "simulate_signal",
    "submit",
    "to_hist",
    "to_numpy",
    "to_pandas",
    "to_root",
    "upper_limit",
    "verdict",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from .version import version

        return version()
    if name in _LAZY:
        module, _, attribute = _LAZY[name].partition(":")
        found = getattr(importlib.import_module(f".{module}", __name__), attribute or name)
        # A package of this name, which stands here from now on, is called like the function.
        return globals().get(name, found)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
