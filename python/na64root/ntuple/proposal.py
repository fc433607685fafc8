"""A guess of how an unknown tree is to be read, from names, types and scales."""

from __future__ import annotations

import difflib
import json
import math
import re
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


_SIMILAR_ENOUGH = 0.75


@dataclass(frozen=True)
class Proposal:
    """A mapping that is guessed from names, types, lengths and the scale of energies."""

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
            lines.append(f"{name} = {{ {values} }}")
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
    scale = {taken[name]: largest(taken[name]) for name in energies}
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
    return Proposal(tree, branches, [name for name in missing if name != "mcWeight"], {})


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
    return min(UNITS, key=lambda unit: abs(math.log10(largest / (beam * UNITS[unit]))))
