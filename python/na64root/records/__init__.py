"""Frozen result records, their JSON, and how they get into folders.

The keys of records are the contract that scripts rely on: every number that a verb prints or a figure draws
comes from one. Records that one package makes are in that package; here are the base (`record`) and those
that are handed on: `origin` of a result, `counts`, `limits`, `planes`, `r_cut`. `files` and `folder` write
results: beside and renamed, never replaced unasked, an input never at all.
"""

from .counts import Count, CutFlowRow, cuts_in_order
from .files import (
    at_once,
    one_file,
    refuse_to_replace,
    renamed_into,
    require_replaceable,
    require_writable,
    sha256_of,
    together,
    write_atomically,
)
from .folder import BlindingEntry, ResultsFolder
from .limits import (
    AssumedUncertainty,
    ClsScan,
    Discovery,
    Expected,
    Interval,
    LimitReport,
    LimitResult,
    StatisticDistribution,
    ToyPoint,
)
from .origin import GoodRunList, InputDetails, InputFile, Provenance, SkippedFile, provenance
from .planes import InclusiveReading, Line, Overlay, PlaneResult, Region, Score
from .r_cut import BestRCut, RCutPoint
from .record import AnyRecord, Record, read_record, to_json

__all__ = [
    "AnyRecord",
    "AssumedUncertainty",
    "BestRCut",
    "BlindingEntry",
    "ClsScan",
    "Count",
    "CutFlowRow",
    "Discovery",
    "Expected",
    "GoodRunList",
    "InclusiveReading",
    "InputDetails",
    "InputFile",
    "Interval",
    "LimitReport",
    "LimitResult",
    "Line",
    "Overlay",
    "PlaneResult",
    "Provenance",
    "RCutPoint",
    "Record",
    "Region",
    "ResultsFolder",
    "Score",
    "SkippedFile",
    "StatisticDistribution",
    "ToyPoint",
    "at_once",
    "cuts_in_order",
    "one_file",
    "provenance",
    "read_record",
    "refuse_to_replace",
    "renamed_into",
    "require_replaceable",
    "require_writable",
    "sha256_of",
    "to_json",
    "together",
    "write_atomically",
]
