"""From NA64 ntuples to counts, limits, the exclusion plane and figures.

`chain` is the analysis on one screen; `counts`, `models` and `plane` are steps that other verbs start from
too; `options` is what is wanted, `records` what comes out. `python -m na64root.analyze` is `na64root
analyze`.
"""

import sys
from types import ModuleType
from typing import Any

from .chain import FIGURES, FILES, analyze
from .models import counting_model
from .options import AnalysisOptions, DataOptions, SignalFiles
from .plane import scan_of_files, score
from .records import Analysis, ExcludedRange, Scorecard, SignalOfSample, SignalUncertaintyOfSample

__all__ = [
    "FIGURES",
    "FILES",
    "Analysis",
    "AnalysisOptions",
    "DataOptions",
    "ExcludedRange",
    "Scorecard",
    "SignalFiles",
    "SignalOfSample",
    "SignalUncertaintyOfSample",
    "analyze",
    "counting_model",
    "scan_of_files",
    "score",
]


class _Called(ModuleType):
    """This package, called as the function that it is named after."""

    def __call__(self, *arguments: Any, **options: Any) -> Analysis:
        return analyze(*arguments, **options)


# `na64root.analyze` is this package once something has imported it, and the function for who calls it.
sys.modules[__name__].__class__ = _Called
