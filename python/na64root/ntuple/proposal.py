"""A guess of how an unknown tree is to be read, from names, types and scales."""

from __future__ import annotations

import difflib
import functools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .layouts import ACCEPTED, TREE_A, Branch, Column
from .mapping import UNITS

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


_SIMILAR_ENOUGH = 0.8


# Shorter names are alike by chance, as chi2 and phi2: they must be the same.
_SHORTEST_SIMILAR = 5


@dataclass(frozen=True)
class Proposal:
    """A mapping that is guessed from names, types, lengths and the scale of energies, with the reason of each
    guess; empty where no branch is like an energy of a calorimeter.
    """

    tree: str
    branches: dict[str, dict[str, str]]
    unmapped: list[str]
    reasons: dict[str, str]

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
            lines.append(f"{name} = {{ {values} }}  # {self.reasons[name]}")
        if self.unmapped:
            lines.append(f"# nothing like it in the tree: {', '.join(self.unmapped)}")
        return "\n".join(lines) + "\n"


def propose(
    tree: str,
    columns: Mapping[str, Column],
    largest: Callable[[str], float],
    beam: float,
) -> Proposal:
    """A mapping of the columns of a tree to layout A.

    Args:
        largest: the largest finite number of a column in the events that were looked at.
        beam: energy of the beam in GeV: calorimeters and track see about that; in MeV it is a thousand times
            as much.
    """
    candidates = sorted(
        (-similarity, branch.name, name, why)
        for branch in TREE_A.branches
        if branch.used
        for name, column in columns.items()
        if _may_be(branch, column)
        for similarity, why in [_similarity(branch, name)]
        if similarity >= _SIMILAR_ENOUGH
    )
    taken: dict[str, tuple[str, str]] = {}
    for _, name, column_name, why in candidates:
        if name not in taken and all(column_name != other for other, _ in taken.values()):
            taken[name] = column_name, why
    energies = [branch.name for branch in TREE_A.branches if branch.energy and branch.name in taken]
    scale = {taken[name][0]: largest(taken[name][0]) for name in energies}
    calorimeters = {taken[name][0]: scale[taken[name][0]] for name in energies if name != "trackMomentum"}
    if not calorimeters:  # of a run and an event there are trees of every kind
        taken = {}
    branches: dict[str, dict[str, str]] = {}
    reasons: dict[str, str] = {}
    for branch in TREE_A.branches:
        if branch.name in taken:
            source, why = taken[branch.name]
            branches[branch.name] = {"branch": source}
            reasons[branch.name] = f"{why}, {columns[source]}"
            if branch.energy:
                top = source if branch.name == "trackMomentum" else max(calorimeters, key=lambda n: scale[n])
                unit, because = _unit_of(scale[top], beam)
                branches[branch.name]["unit"] = unit
                reasons[branch.name] += f"; {unit}: {_shown(top)} {because}"
    missing = [branch.name for branch in TREE_A.branches if branch.used and branch.name not in taken]
    return Proposal(tree, branches, [name for name in missing if name != "mcWeight"], reasons)


def _may_be(branch: Branch, column: Column) -> bool:
    """Whether a mapping could read the column as the branch is."""
    kinds = ACCEPTED[branch.kind] if branch.kind in ("flag", "integer") else ACCEPTED["count"]
    if column.type not in kinds or column.array != bool(branch.shape) or column.nested:
        return False
    return not column.array or (column.length == 0 and not column.shape) or column.fits(branch.shape)


def _similarity(branch: Branch, name: str) -> tuple[float, str]:
    """0 to 1, of the best of the names of the quantity, 2 of its own, and in words; a last word that says
    only energy counts little.
    """

    if name == branch.name:
        return 2.0, "the same name"
    best, by = max(
        (max(_ratio(_folded(name), _folded(o)), 0.95 * _ratio(_stem(name), _stem(o))), o)
        for o in (branch.name, *_OTHER_NAMES.get(branch.name, ()))
    )
    return best, f"{_shown(name)} is {'another name of it' if best == 1.0 else f'like {by}'}"


@functools.lru_cache(1 << 16)
def _folded(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


@functools.lru_cache(1 << 16)
def _stem(text: str) -> str:
    return re.sub(r"(?<=.)(edep|energy|ene|total|tot|sum|gev|mev)$", "", _folded(text))


def _ratio(one: str, other: str) -> float:
    """How alike two names are, or 0 where they are certainly too little so."""
    if one == other or min(len(one), len(other)) < _SHORTEST_SIMILAR:
        return float(one == other)
    common = (_letters(one) & _letters(other)).total()
    if 2.0 * common / (len(one) + len(other)) < _SIMILAR_ENOUGH:  # which the ratio is at most
        return 0.0
    return difflib.SequenceMatcher(None, one, other).ratio()


@functools.lru_cache(1 << 16)
def _letters(text: str) -> Counter[str]:
    return Counter(text)


def _shown(name: str) -> str:
    """A name in a comment, on one line."""
    return "".join(c if c.isprintable() else "?" for c in name)


def _unit_of(largest: float, beam: float) -> tuple[str, str]:
    """The unit in which the largest value is nearest to the energy of the beam, and why."""
    if not largest > 0.0:
        return "GeV", "has no energy to tell the unit by"
    unit = min(UNITS, key=lambda unit: abs(math.log10(largest / (beam * UNITS[unit]))))
    return unit, f"goes up to {largest:.3g}, the beam has {beam * UNITS[unit]:g} {unit}"
