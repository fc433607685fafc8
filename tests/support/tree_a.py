"""Small files in the layout of tree A, written with plain ROOT: planted events for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from na64root.cling import root

# Leaf codes of TTree::Branch and their NumPy types.
TYPES = {
    **{"D": np.float64, "F": np.float32, "I": np.int32, "i": np.uint32, "O": np.bool_, "b": np.uint8},
    **{"L": np.int64, "l": np.uint64, "d": np.float64, "f": np.float32},
}

BRANCHES: dict[str, tuple[str, tuple[int, ...]]] = {
    **dict.fromkeys(["run", "spill", "spillevent", "runevent"], ("i", ())),
    **dict.fromkeys(["isPhysics", "isCalibration", "isOnSpill"], ("O", ())),
    **dict.fromkeys(["isTriggerPhysics", "isTriggerBeam", "isTriggerRandom"], ("O", ())),
    **dict.fromkeys(["ecalTotal", "ecal0", "ecal1", "ecalTotalNoTimecut"], ("D", ())),
    **dict.fromkeys(["hcal0", "hcal1", "hcal2", "hcal3", "showerChi2", "trackMomentum"], ("D", ())),
    "ECAL_ene": ("D", (2, 6, 6)),
    "HCAL_ene": ("D", (4, 3, 3)),
    "SRD_ene": ("D", (4,)),
    "VETO_ene": ("D", (6,)),
    "straw3X": ("I", ()),
    "straw3Y": ("I", ()),
}
TRACK_BRANCHES = ("trackMomentum", "straw3X", "straw3Y")


def event(**changes: Any) -> dict[str, Any]:
    """An event of 2018 that passes every cut of S2; `changes` replace branches."""
    ecal = np.zeros((2, 6, 6))
    ecal[0, 3, 3], ecal[1, 3, 3], ecal[1, 2, 3] = 3.0, 15.0, 2.0
    values: dict[str, Any] = {
        "run": 4000,
        "spill": 7,
        "spillevent": 1,
        "runevent": 1,
        "isPhysics": True,
        "isCalibration": False,
        "isOnSpill": True,
        "isTriggerPhysics": True,
        "isTriggerBeam": False,
        "isTriggerRandom": False,
        "ecalTotal": 20.0,
        "ecal0": 3.0,
        "ecal1": 17.0,
        "ecalTotalNoTimecut": 21.0,
        "hcal0": 0.1,
        "hcal1": 0.2,
        "hcal2": 0.1,
        "hcal3": 50.0,
        "showerChi2": 3.0,
        "trackMomentum": 100.5,
        "ECAL_ene": ecal,
        "HCAL_ene": np.zeros((4, 3, 3)),
        "SRD_ene": np.array([0.02, 0.03, 0.01, 0.0]),
        "VETO_ene": np.full(6, 0.001),
        "straw3X": 1,
        "straw3Y": 2,
    }
    unknown = changes.keys() - BRANCHES.keys()
    assert not unknown, unknown
    values.update(changes)
    return values


def s1_event(**changes: Any) -> dict[str, Any]:
    """An event of 2018 that passes every cut of S1: 30 GeV in the core of HCAL2."""
    return event(
        **{"hcal1": 30.0, "hcal2": 0.2, "HCAL_ene": hcal_cells({(1, 1, 1): 30.0, (1, 0, 1): 0.5}), **changes}
    )


def hcal_cells(cells: Mapping[tuple[int, int, int], float]) -> np.ndarray:
    """HCAL_ene with energies in some cells (module, x, y)."""
    energies = np.zeros((4, 3, 3))
    for cell, energy in cells.items():
        energies[cell] = energy
    return energies


def ecal_cell(x: int, y: int, energy: float = 50.0) -> np.ndarray:
    """ECAL_ene with one cell of the main part."""
    energies = np.zeros((2, 6, 6))
    energies[1, x, y] = energy
    return energies


def write_tree(
    path: Path,
    events: Iterable[Mapping[str, Any]],
    *,
    omit: Sequence[str] = (),
    types: Mapping[str, str] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    extra: Mapping[str, float] | None = None,
    tree_name: str = "tree",
) -> str:
    """Write the events; leave out branches, change types or shapes, add Double_t branches from `extra`."""
    ROOT = root()
    file = ROOT.TFile.Open(str(path), "RECREATE")
    tree = ROOT.TTree(tree_name, "planted")
    layout = {name: value for name, value in BRANCHES.items() if name not in omit}
    layout.update({name: ("D", ()) for name in extra or {}})
    buffers = {}
    for name, (code, shape) in layout.items():
        code = (types or {}).get(name, code)
        shape = (shapes or {}).get(name, shape)
        buffers[name] = np.zeros(shape or (1,), dtype=TYPES[code])
        tree.Branch(name, buffers[name], f"{name}{''.join(f'[{n}]' for n in shape)}/{code}")
    for number, values in enumerate(events):
        for name, buffer in buffers.items():
            value = np.asarray(values[name] if name in values else (extra or {})[name])
            buffer[...] = np.resize(value, buffer.shape)
        if "spillevent" in buffers and values["spillevent"] == 1:
            buffers["spillevent"][...] = number + 1
        tree.Fill()
    tree.Write()
    file.Close()
    return str(path)
