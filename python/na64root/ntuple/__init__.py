"""NA64 ntuples: files found and checked before they are read, the frame that reads them.

`files` finds and opens, `facts` reads what a file says of itself, `columns` sees trees and layouts,
`contents` what any file holds, `baskets` unpacks, `identity` looks at numbers of events, friends and weights,
`checks` does all of it for an input; `layouts`, `mapping` and `proposal` are about branches of this and of
other layouts; `frame` is the checked input, `periods` and `good_runs` say where its events belong,
`inspection` what they are. Nothing here loops over events but the inspection, and the look at their numbers
where a type does not fix what they can be.
"""

from .baskets import check_baskets
from .checks import open_ntuple
from .columns import fields_of
from .contents import ColumnContent, TreeContent
from .facts import about, electrons_of_simulation, simulations
from .files import (
    UnknownLayoutError,
    expand,
    notes_on_files,
    object_in,
    opened_file,
    quiet_root,
    repeated_files,
)
from .frame import Friend, Input, Ntuple, note_files, reading, require_all_read
from .good_runs import GoodRuns, good_runs_of, read_good_runs
from .identity import require_whole
from .inspection import Inspection, inspect
from .layouts import DEFINING_CUTS, LAYOUT_B, TREE_A, Schema
from .mapping import SENTINEL
from .periods import period_index, period_names, run_ranges

__all__ = [
    "DEFINING_CUTS",
    "LAYOUT_B",
    "SENTINEL",
    "TREE_A",
    "ColumnContent",
    "Friend",
    "GoodRuns",
    "Input",
    "Inspection",
    "Ntuple",
    "Schema",
    "TreeContent",
    "UnknownLayoutError",
    "about",
    "check_baskets",
    "electrons_of_simulation",
    "expand",
    "fields_of",
    "good_runs_of",
    "inspect",
    "note_files",
    "notes_on_files",
    "object_in",
    "open_ntuple",
    "opened_file",
    "period_index",
    "period_names",
    "quiet_root",
    "read_good_runs",
    "reading",
    "repeated_files",
    "require_all_read",
    "require_whole",
    "run_ranges",
    "simulations",
]
