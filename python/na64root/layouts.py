"""Layouts of NA64 trees: their branches, and how branches of another tree become those of layout A.

The selection knows the columns of layout A only: names, GeV, order of arrays. Any other tree is read through
a mapping, which is a table of the card, or comes with the package for a tree that is known.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .config import LayoutConfig, MappedBranch, Signature
from .errors import ConfigError, DataError

Kind = Literal["flag", "integer", "floating", "count"]

_INTEGERS = frozenset(
    [
        "Bool_t",
        "Char_t",
        "UChar_t",
        "Short_t",
        "UShort_t",
        "Int_t",
        "UInt_t",
        "Long_t",
        "ULong_t",
        "Long64_t",
        "ULong64_t",
    ]
)
_FLOATING = frozenset(["Double_t", "Float_t"])
# Types of the fields of an RNTuple, by the names that the leaves of a TTree have.
FIELD_TYPES = {
    "bool": "Bool_t",
    "char": "Char_t",
    "std::int8_t": "Char_t",
    "std::uint8_t": "UChar_t",
    "std::int16_t": "Short_t",
    "std::uint16_t": "UShort_t",
    "std::int32_t": "Int_t",
    "std::uint32_t": "UInt_t",
    "std::int64_t": "Long64_t",
    "std::uint64_t": "ULong64_t",
    "float": "Float_t",
    "double": "Double_t",
}
ACCEPTED: dict[Kind, frozenset[str]] = {
    "flag": _INTEGERS,
    "integer": _INTEGERS - {"Bool_t"},
    "floating": _FLOATING,
    "count": (_INTEGERS - {"Bool_t"}) | _FLOATING,
}
EXPECTED: dict[Kind, str] = {
    "flag": "Bool_t",
    "integer": "an integer",
    "floating": "Double_t or Float_t",
    "count": "a number",
}
# The cuts that define a signature: without their branches there is no count. Any other cut can be left out.
DEFINING_CUTS: dict[Signature, tuple[str, ...]] = {
    "S1": ("ecal", "veto", "hcal", "r"),
    "S2": ("ecal", "veto", "hcal"),
}


@dataclass(frozen=True)
class Branch:
    """A branch of a layout.

    `always`: in every file; `used`: read by the selection, type checked; `energy`: in GeV, also a momentum.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...] = ()
    axes: tuple[str, ...] = ()
    always: bool = True
    used: bool = True
    energy: bool = False

    @property
    def length(self) -> int:
        return int(np.prod(self.shape, dtype=int))


@dataclass(frozen=True)
class Schema:
    """A layout: its tree, its branches, those that every file must hold, and those that each cut reads."""

    name: str
    tree: str
    required: tuple[str, ...]
    branches: tuple[Branch, ...]
    cut_inputs: Mapping[str, tuple[str, ...]]

    def branch(self, name: str) -> Branch:
        return next(branch for branch in self.branches if branch.name == name)

    def missing_for(self, cut: str, present: Collection[str]) -> list[str]:
        """Branches that a cut reads and that are not there."""
        return [name for name in self.cut_inputs[cut] if name not in present]

    def missing_for_signature(self, signature: Signature, present: Collection[str]) -> list[str]:
        """Branches without which the signature is not defined, and that are not there."""
        return [name for cut in DEFINING_CUTS[signature] for name in self.missing_for(cut, present)]

    def cuts_without_branches(self, present: Collection[str]) -> list[str]:
        """Cuts that read a branch that is not there, in the order of the cuts."""
        return [cut for cut in self.cut_inputs if self.missing_for(cut, present)]


def _unused(kind: Kind, *names: str, shape: tuple[int, ...] = ()) -> tuple[Branch, ...]:
    return tuple(Branch(name, kind, shape, used=False) for name in names)


# The reconstruction dump of 2016-2018: GeV, ns, mm. Hodoscope branches may be there and are not looked at.
TREE_A = Schema(
    name="A",
    tree="tree",
    required=("run", "spill", "spillevent"),
    branches=(
        Branch("run", "integer"),
        Branch("spill", "integer"),
        Branch("spillevent", "integer"),
        *_unused("integer", "runevent"),
        Branch("isPhysics", "flag"),
        Branch("isCalibration", "flag"),
        Branch("isOnSpill", "flag"),
        Branch("isTriggerPhysics", "flag"),
        *_unused("flag", "isTriggerBeam", "isTriggerRandom", "isTriggerECAL", "isTriggerMuonInv"),
        *_unused("floating", "masterTime", "S0_amp", "S1_amp", "S2_amp", "S0_t0", "S1_t0", "S2_t0"),
        Branch("ecalTotal", "floating", energy=True),
        Branch("ecal0", "floating", energy=True),
        *_unused("floating", "ecal1"),
        Branch("ECAL_ene", "floating", (2, 6, 6), ("part", "x", "y"), energy=True),
        *_unused("floating", "ECAL_t0", shape=(2, 6, 6)),
        Branch("hcal0", "floating", energy=True),
        Branch("hcal1", "floating", energy=True),
        Branch("hcal2", "floating", energy=True),
        *_unused("floating", "hcal3", "srdTotal"),
        Branch("SRD_ene", "floating", (4,), ("module",), energy=True),
        *_unused("floating", "SRD_t0", shape=(4,)),
        Branch("VETO_ene", "floating", (6,), ("photomultiplier",), energy=True),
        *_unused("floating", "VETO_t0", shape=(6,)),
        Branch("showerChi2", "floating"),
        Branch("HCAL_ene", "floating", (4, 3, 3), ("module", "x", "y"), always=False, energy=True),
        Branch("HCAL_t0", "floating", (4, 3, 3), always=False, used=False),
        Branch("trackMomentum", "floating", always=False, energy=True),
        Branch("trackChi2", "floating", always=False, used=False),
        Branch("nTracks", "count", always=False, used=False),
        Branch("straw3X", "count", always=False),
        Branch("straw3Y", "count", always=False),
        Branch("ecalTotalNoTimecut", "floating", always=False, energy=True),
        Branch("mcWeight", "floating", always=False),
    ),
    cut_inputs={
        "trigger": ("isPhysics", "isTriggerPhysics", "isOnSpill", "isCalibration"),
        "pile_up": ("ecalTotalNoTimecut", "ecalTotal"),
        "straw": ("straw3X", "straw3Y"),
        "beam_cell": ("ECAL_ene",),
        "srd": ("SRD_ene",),
        "momentum": ("trackMomentum",),
        "preshower": ("ecal0",),
        "ecal": ("ecalTotal",),
        "veto": ("VETO_ene",),
        "hcal": ("hcal0", "hcal1", "hcal2"),
        "r": ("HCAL_ene",),
        "shower_chi2": ("showerChi2",),
    },
)


@dataclass(frozen=True)
class Column:
    """A column of a file: type of an element, number of elements (0: it varies), whether it is an array."""

    type: str
    length: int = 1
    array: bool = False

    def __str__(self) -> str:
        size = "[n]" if self.length == 0 else f"[{self.length}]" if self.array or self.length > 1 else ""
        return f"{self.type}{size}"


def column_of(type_name: str) -> Column:
    """The column of an RDataFrame type: a number, or an array of numbers; anything else keeps its name."""
    array = re.fullmatch(r"(?:ROOT::VecOps::RVec|ROOT::RVec|(?:std::)?vector)<([\w: ]+)(?:,.*)?>", type_name)
    fixed = re.fullmatch(r"std::array<([\w: ]+),(\d+)>", type_name.replace(" ", ""))
    if fixed:
        return Column(_element(fixed[1]), int(fixed[2]), array=True)
    if array:
        return Column(_element(array[1]), 0, array=True)
    return Column(_element(type_name))


def _element(name: str) -> str:
    name = name.strip()
    return FIELD_TYPES.get(name) or _PLAIN_TYPES.get(name) or name


_PLAIN_TYPES = {
    "int": "Int_t",
    "unsigned int": "UInt_t",
    "short": "Short_t",
    "unsigned short": "UShort_t",
    "long": "Long64_t",
    "unsigned long": "ULong64_t",
    "long long": "Long64_t",
    "unsigned long long": "ULong64_t",
    "signed char": "Char_t",
    "unsigned char": "UChar_t",
}
# What a value is divided by to be in GeV: a quotient is the nearest double of the decimal number, a product
# with 0.001 is not.
_UNITS = {"GeV": 1.0, "MeV": 1e3, "keV": 1e6}


@dataclass(frozen=True)
class Definition:
    """A column to define: `source` names a branch that is not a C++ name, or is empty."""

    name: str
    expression: str
    source: str = ""


# The flat tree of 2022 and later, from public analysis code. That BeamEnergy0 is the momentum of the beam
# track is assumed. Its calorimeters are divided otherwise, so cells of layout A cannot be made of its cells.
LAYOUT_B = LayoutConfig.model_validate(
    {
        "tree": "ana_tree",
        "branches": {
            "ecalTotal": "ECALtot",
            "hcal0": "HCAL0tot",
            "hcal1": "HCAL1tot",
            "trackMomentum": "BeamEnergy0",
        },
    }
)
# What else a tree B holds: shape of an event, and why no cut of this search can use it.
TREE_B_UNUSED: dict[str, tuple[tuple[int, ...], str]] = {
    "ECALenergy": ((30,), "5 x 6 cells, k = i + 5 j, without a preshower; the beam cell is one of 6 x 6"),
    "HCALenergy": (
        (36,),
        "2 modules of 6 x 3 cells, k = i + 6 j + 18 module; R needs cells of HCAL2 and HCAL3",
    ),
    "VHCALenergy": ((16,), "4 x 4 cells of a veto calorimeter that layout A has not"),
    "VHCALtot": ((), "a veto calorimeter that layout A has not"),
    "Triggers": ((5,), "S0, S1, S4, Smu, V0 as numbers, no flags of physics triggers"),
}
TREE_B_NEEDED = ("ECALtot",)


def source_names(mapped: MappedBranch, known: Collection[str]) -> list[str]:
    """Columns of the file that a mapped branch reads; of an expression those it names."""
    if mapped.branch is not None:
        return [element_of(mapped.branch, known)[0]]
    assert mapped.expression is not None
    words = set(re.findall(r"[A-Za-z_][\w.]*", mapped.expression))
    # `hits.size()` names hits and not hits.size
    parts = {word.rsplit(".", i)[0] for word in words for i in range(word.count(".") + 1)}
    return sorted(parts & set(known))


def element_of(branch: str, known: Collection[str]) -> tuple[str, int | None]:
    """The column and the element that `name[3]` names; a column of just that name comes first."""
    found = re.fullmatch(r"(.+)\[(\d+)\]", branch)
    if branch in known or not found:
        return branch, None
    return found[1], int(found[2])


def check_mapping(layout: LayoutConfig) -> None:
    """Names, units and arrays of a mapping that are wrong for any file.

    Raises:
        ConfigError: a branch that layout A has not (the nearest name is suggested); a unit of energy for what
            is none; axes, shape or index that do not make the array of layout A.
    """
    known = {branch.name: branch for branch in TREE_A.branches}
    for name, mapped in layout.branches.items():
        where = f"layout.branches.{name}"
        if name not in known:
            raise ConfigError(f"unknown branch {where} ({nearest(name, known)}): use a name of layout A")
        branch = known[name]
        if isinstance(mapped.unit, str) and mapped.unit != "GeV" and not branch.energy:
            raise ConfigError(f"{where} has the unit {mapped.unit} ({name} is no energy): leave it out")
        if branch.kind != "floating" and mapped.unit != "GeV":
            raise ConfigError(f"{where} has a factor ({name} is no measured quantity): leave it out")
        _stored_index(branch, mapped)
    missing = [name for name in TREE_A.required if name not in layout.branches and layout.base == "none"]
    if missing:
        raise ConfigError(
            f"[layout.branches] has no {missing[0]} (events are known by run, spill and spillevent): add it, "
            "as a branch or as an expression"
        )


def _stored_index(branch: Branch, mapped: MappedBranch) -> list[int]:
    """Place in the stored array of each element of layout A, -1 for one that is not stored."""
    where = f"layout.branches.{branch.name}"
    if not branch.shape:
        if mapped.axes or mapped.shape or mapped.index:
            raise ConfigError(
                f"{where} has axes, shape or index ({branch.name} is one number): leave them out"
            )
        return [0]
    if mapped.index is not None:
        if len(mapped.index) != branch.length:
            raise ConfigError(
                f"{where}.index has {len(mapped.index)} numbers ({branch.length} are needed, one for each "
                f"element of layout A): correct it"
            )
        return list(mapped.index)
    axes = mapped.axes or list(branch.axes)
    if sorted(axes) != sorted(branch.axes):
        raise ConfigError(
            f"{where}.axes is {', '.join(axes)} ({', '.join(branch.axes)} are needed, in the order as stored)"
            ": correct it"
        )
    order = [branch.axes.index(axis) for axis in axes]
    shape = mapped.shape or [branch.shape[axis] for axis in order]
    for axis, size in zip(order, shape, strict=False):
        if axis > 0 and size != branch.shape[axis]:
            raise ConfigError(
                f"{where}.shape has {size} cells along {branch.axes[axis]} ({branch.shape[axis]} in layout A)"
                ": cells that are divided otherwise need an expression"
            )
    if len(shape) != len(order):
        raise ConfigError(f"{where}.shape has {len(shape)} numbers ({len(order)} are needed): correct it")
    places = []
    for place in np.ndindex(branch.shape):
        stored = [place[axis] for axis in order]
        inside = all(i < n for i, n in zip(stored, shape, strict=True))
        places.append(int(np.ravel_multi_index(stored, shape)) if inside else -1)
    return places


def _stored_length(branch: Branch, mapped: MappedBranch) -> int | None:
    """Numbers per event that the file must have; with `index` any number that holds all places."""
    if mapped.index is not None:
        return None
    return int(np.prod(mapped.shape or branch.shape, dtype=int))


def definition(branch: Branch, mapped: MappedBranch, source: str, element: int | None, column: Column) -> str:
    """The C++ expression of a column of layout A from a column of the file.

    Raises:
        DataError: another type or number of elements than the mapping says.
    """
    where = f"layout.branches.{branch.name}"
    read = mapped.branch if mapped.branch is not None else "the expression"
    accepted = ACCEPTED[branch.kind] if branch.kind in ("flag", "integer") else ACCEPTED["count"]
    wants_array = bool(branch.shape)
    fits = column.array == (wants_array or element is not None)
    if column.type not in accepted or not fits:
        wanted = (
            "an array of numbers"
            if wants_array
            else {"flag": "a Bool_t or an integer"}.get(
                branch.kind, "an integer" if branch.kind == "integer" else "a number"
            )
        )
        raise DataError(f"{where}: {read} is {column} ({wanted} is expected): correct the mapping")
    cast = {"flag": "bool", "integer": ""}.get(branch.kind, "double")
    if isinstance(mapped.unit, str):
        scale = f" / {_UNITS[mapped.unit]!r}" if _UNITS[mapped.unit] != 1.0 else ""
    else:
        scale = f" * {float(mapped.unit).hex()}"
    if not wants_array:
        value = source if element is None else f"{source}[{element}]"
        value = f"static_cast<{cast}>({value}){scale}" if cast else value
        check = "" if element is None else _require_length(source, element + 1, column, where, read)
        return f"{check}return {value};" if check else value
    index = _stored_index(branch, mapped)
    exact = _stored_length(branch, mapped)
    check = _require_length(source, exact or max(index) + 1, column, where, read, exact is not None)
    # Names of the file may be any: those of this code begin with na64_.
    loop = f"for (std::size_t na64_i = 0; na64_i < {branch.length}; ++na64_i)"
    if index == list(range(branch.length)):
        return (
            f"{check}ROOT::RVecD na64_cells({branch.length}); {loop} "
            f"na64_cells[na64_i] = static_cast<double>({source}[na64_i]){scale}; return na64_cells;"
        )
    places = ", ".join(map(str, index))
    return (
        f"{check}constexpr int na64_place[{branch.length}] = {{{places}}}; "
        f"ROOT::RVecD na64_cells({branch.length}, std::numeric_limits<double>::quiet_NaN()); "
        f"{loop} if (na64_place[na64_i] >= 0) "
        f"na64_cells[na64_i] = static_cast<double>({source}[na64_place[na64_i]]){scale}; return na64_cells;"
    )


def _require_length(
    source: str, length: int, column: Column, where: str, read: str, exact: bool = False
) -> str:
    """C++ that checks the number of elements of an event; nothing where the file fixes it."""
    words = f"{length}" if exact else f"at least {length}"
    if column.length > 0:
        if column.length == length or (not exact and column.length > length):
            return ""
        raise DataError(f"{where}: {read} is {column} ({words} numbers are expected): correct the mapping")
    test = "!=" if exact else "<"
    # In pieces, so that a name of a column is not replaced by the variable that RDataFrame makes of it. A
    # length_error is how the reader knows that the mapping, and not the file, is wrong.
    literal = " ".join(json.dumps(where[i : i + 3]) for i in range(0, len(where), 3))
    return (
        f"if ({source}.size() {test} {length}) throw std::length_error({literal} "
        f'": " + std::to_string({source}.size()) + " numbers in an event, {words} are expected"); '
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """Why a name is not there: the nearest one that is, or some of them."""
    names = list(known)
    folded = {other.lower(): other for other in names}
    match = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    if match:
        return f"did you mean {folded[match[0]]}?"
    return f"known are {', '.join(names[:8])}" + (", ..." if len(names) > 8 else "")


# A proposal for an unknown tree. Names that a quantity has elsewhere; compared without case and punctuation.
_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "run": ("runNo", "runNumber", "run_id"),
    "spill": ("spillNo", "spillNumber", "burst"),
    "spillevent": ("eventInSpill", "event", "eventNo", "eventNumber", "spill_event"),
    "ecalTotal": ("ECALtot", "ecal_total", "ecal_energy", "ecal_eDep", "eECAL", "ecalSum"),
    "ecalTotalNoTimecut": ("ecal_total_no_time_cut", "ecal_all"),
    "ecal0": ("preshower", "ecal_preshower", "PRStot", "eps"),
    "ECAL_ene": ("ecal_cells", "ECALenergy", "ecalCells", "ecal_hits"),
    "HCAL_ene": ("hcal_cells", "HCALenergy", "hcalCells"),
    "SRD_ene": ("srd", "SRDenergy", "srd_modules", "srd_cells"),
    "VETO_ene": ("veto", "VETOenergy", "veto_amplitudes", "veto_cells"),
    "hcal0": ("hcal1_total", "HCAL1tot", "hcal_module0"),
    "hcal1": ("hcal2_total", "HCAL2tot", "hcal_module1"),
    "hcal2": ("hcal3_total", "HCAL3tot", "hcal_module2"),
    "trackMomentum": ("momentum", "track_momentum", "p", "BeamEnergy0", "beam_momentum"),
    "showerChi2": ("shower_chi2", "ecal_chi2", "chi2"),
    "straw3X": ("straw_x_hits", "nStrawX"),
    "straw3Y": ("straw_y_hits", "nStrawY"),
    "isPhysics": ("physics", "physicsEvent"),
    "isTriggerPhysics": ("triggerPhysics", "physicsTrigger"),
    "isOnSpill": ("onSpill", "inSpill"),
    "isCalibration": ("calibration", "isCalib"),
    "mcWeight": ("weight", "mc_weight"),
}
_SIMILAR_ENOUGH = 0.75


@dataclass(frozen=True)
class Proposal:
    """A mapping that is guessed from names, types, lengths and the scale of energies."""

    tree: str
    branches: dict[str, dict[str, str]]
    unmapped: list[str]

    @property
    def record(self) -> dict[str, Any]:
        """As the table [layout] of a card."""
        return {"tree": self.tree, "branches": self.branches}

    @property
    def toml(self) -> str:
        """As text that can be pasted into a card."""
        lines = [
            "# A proposal from names, types and scales: check each line, and the order of the arrays.",
            "[layout]",
            f"tree = {json.dumps(self.tree)}",
            "",
            "[layout.branches]",
        ]
        for name, mapped in self.branches.items():
            values = ", ".join(f"{key} = {json.dumps(value)}" for key, value in mapped.items())
            lines.append(f"{name} = {{ {values} }}")
        if self.unmapped:
            lines.append(f"# nothing like it in the tree: {', '.join(self.unmapped)}")
        return "\n".join(lines) + "\n"


def propose(
    tree: str,
    columns: Mapping[str, Column],
    largest: Callable[[Sequence[str]], dict[str, float]],
    beam: float,
) -> Proposal:
    """A mapping of the columns of a tree to layout A.

    Args:
        largest: the largest finite values of some columns in the first events of the file.
        beam: energy of the beam in GeV: calorimeters and track see about that; in MeV it is a thousand times
            as much.
    """
    candidates = sorted(
        (
            (-_similarity(branch, name), branch.name, name)
            for branch in TREE_A.branches
            if branch.used
            for name, column in columns.items()
            if _may_be(branch, column)
        ),
    )
    taken: dict[str, str] = {}
    for score, name, column_name in candidates:
        if -score >= _SIMILAR_ENOUGH and name not in taken and column_name not in taken.values():
            taken[name] = column_name
    energies = [branch.name for branch in TREE_A.branches if branch.energy and branch.name in taken]
    scale = largest([taken[name] for name in energies])
    calorimeters = [scale[taken[name]] for name in energies if name != "trackMomentum"]
    branches: dict[str, dict[str, str]] = {}
    for branch in TREE_A.branches:
        if branch.name in taken:
            source = taken[branch.name]
            branches[branch.name] = {"branch": source}
            if branch.energy:
                top = scale[source] if branch.name == "trackMomentum" else max(calorimeters)
                branches[branch.name]["unit"] = _unit_of(top, beam)
    missing = [branch.name for branch in TREE_A.branches if branch.used and branch.name not in taken]
    return Proposal(tree, branches, [name for name in missing if name != "mcWeight"])


def _may_be(branch: Branch, column: Column) -> bool:
    kinds = ACCEPTED[branch.kind] if branch.kind in ("flag", "integer") else ACCEPTED["count"]
    if column.type not in kinds or column.array != bool(branch.shape):
        return False
    return not column.array or column.length in (0, branch.length)


def _similarity(branch: Branch, name: str) -> float:
    """0 to 1, of the best of the names of the quantity; a last word that says only energy counts little."""

    def folded(text: str) -> str:
        return re.sub(r"[^a-z0-9]", "", text.lower())

    def ratio(one: str, other: str) -> float:
        return difflib.SequenceMatcher(None, one, other).ratio()

    def stem(text: str) -> str:
        return re.sub(r"(?<=.)(edep|energy|ene|total|tot|sum|gev|mev)$", "", folded(text))

    names = (branch.name, *_OTHER_NAMES.get(branch.name, ()))
    return max(max(ratio(folded(name), folded(o)), 0.95 * ratio(stem(name), stem(o))) for o in names)


def _unit_of(largest: float, beam: float) -> str:
    """The unit in which the largest value is nearest to the energy of the beam."""
    if not largest > 0.0:
        return "GeV"
    return min(_UNITS, key=lambda unit: abs(math.log10(largest / (beam * _UNITS[unit]))))
