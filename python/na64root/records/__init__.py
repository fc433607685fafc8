"""Frozen result records, their JSON, and how they get into folders.

The keys of records are the contract that scripts rely on: every number that a verb prints or a figure draws
comes from one. Records that one package makes are in that package; here are the base (`record`) and those
that are handed on: `origin` of a result, `counts`, `limits`, `fits`, `planes`, `r_cut`, `best_cuts`. `files`
and `folder` write results: beside and renamed, never replaced unasked, an input never at all.
"""

from .best_cuts import BestCuts, CutsTogether
from .counts import Count, CutFlowRow, cuts_in_order
from .files import (
    at_once,
    one_file,
    refuse_to_replace,
    renamed_into,
    require_replaceable,
    require_writable,
    sha256_of,
    temporary_folders,
    together,
    write_atomically,
)
from .fits import (
    BestFit,
    FitReport,
    FittedParameter,
    Goodness,
    Injected,
    LikelihoodScan,
    LimitImpact,
    PointTest,
    Posterior,
    StrengthImpact,
)
from .folder import BLINDING, BlindingEntry, ResultsFolder
from .limits import (
    AssumedUncertainty,
    ClsScan,
    Discovery,
    Expected,
    Interval,
    LimitReport,
    LimitResult,
    ModelOfFile,
    Quoted,
    StatisticDistribution,
    ToyPoint,
)
from .origin import (
    GoodRunList,
    InputDetails,
    InputFile,
    Provenance,
    SkippedFile,
    card_of,
    made_by_command,
    provenance,
)
from .planes import InclusiveReading, Line, Overlay, PlaneResult, Region, Score
from .r_cut import BestRCut, RCutPoint
from .record import AnyRecord, Record, read_record, to_json

__all__ = [
    "BLINDING",
    "AnyRecord",
    "AssumedUncertainty",
    "BestCuts",
    "BestFit",
    "BestRCut",
    "BlindingEntry",
    "ClsScan",
    "Count",
    "CutFlowRow",
    "CutsTogether",
    "Discovery",
    "Expected",
    "FitReport",
    "FittedParameter",
    "GoodRunList",
    "Goodness",
    "InclusiveReading",
    "Injected",
    "InputDetails",
    "InputFile",
    "Interval",
    "LikelihoodScan",
    "LimitImpact",
    "LimitReport",
    "LimitResult",
    "Line",
    "ModelOfFile",
    "Overlay",
    "PlaneResult",
    "PointTest",
    "Posterior",
    "Provenance",
    "Quoted",
    "RCutPoint",
    "Record",
    "Region",
    "ResultsFolder",
    "Score",
    "SkippedFile",
    "StatisticDistribution",
    "StrengthImpact",
    "ToyPoint",
    "at_once",
    "card_of",
    "cuts_in_order",
    "made_by_command",
    "one_file",
    "provenance",
    "read_record",
    "refuse_to_replace",
    "renamed_into",
    "require_replaceable",
    "require_writable",
    "sha256_of",
    "temporary_folders",
    "to_json",
    "together",
    "write_atomically",
]
