"""The branches of layout A, of the years 2016 to 2018, and of layout B, of 2022 and later."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..config import LayoutConfig, Signature

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


# The last two are doubles and floats with fewer bits in the file.
_FLOATING = frozenset(["Double_t", "Float_t", "Double32_t", "Float16_t"])


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
        """Numbers per event."""
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
        """The branch of a name, which is there."""
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
    """A column of a file: type of an element, number of elements (0: it varies), whether it is an array.

    `shape`: of an array of more than one dimension, as the file has it; 0 where it varies. `nested`: such an
    array is one of arrays in memory, and not one row of numbers.
    """

    type: str
    length: int = 1
    array: bool = False
    shape: tuple[int, ...] = ()
    nested: bool = False

    def __str__(self) -> str:
        if self.shape:
            return self.type + "".join(f"[{n or 'n'}]" for n in self.shape)
        size = "[n]" if self.length == 0 else f"[{self.length}]" if self.array or self.length > 1 else ""
        return f"{self.type}{size}"

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether an array is of this shape, or one row of as many numbers."""
        return self.length == math.prod(shape) and self.shape in ((), tuple(shape))


def column_of(type_name: str) -> Column:
    """The column of an RDataFrame type: a number, or an array of numbers, also of arrays; anything else keeps
    its name.
    """
    element, shape = type_name.strip(), []
    while True:
        fixed = re.fullmatch(r"std::array<(.+),\s*(\d+)\s*>", element)
        varies = re.fullmatch(_VARIES + r"<(.+?)(?:,\s*(?:ROOT::|std::)\w*[Aa]lloc\w*<.*>\s*)?>", element)
        found = fixed or varies
        if not found:
            break
        element = found[1].strip()
        shape.append(int(fixed[2]) if fixed else 0)
    if not shape:
        return Column(_element(type_name))
    if not re.fullmatch(r"[\w: ]+", element):
        return Column(type_name)
    if len(shape) == 1:
        return Column(_element(element), shape[0], array=True)
    return Column(_element(element), math.prod(shape), True, tuple(shape), nested=True)


_VARIES = r"(?:ROOT::VecOps::RVec|ROOT::RVec|(?:std::)?vector)"


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
