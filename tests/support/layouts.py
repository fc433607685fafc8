"""The planted tree with other names, units, types and containers, and the cards that map them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from na64root.cling import root
from na64root.config import Card, load_card
from support.planted import all_events
from support.tree_a import BRANCHES, TYPES, event

ENERGIES = [
    *("ecalTotal", "ecalTotalNoTimecut", "ecal0", "ECAL_ene", "hcal0", "hcal1", "hcal2"),
    *("HCAL_ene", "SRD_ene", "VETO_ene", "trackMomentum"),
]
READ = [
    *("run", "spill", "spillevent", "isPhysics", "isTriggerPhysics", "isOnSpill", "isCalibration"),
    *ENERGIES,
    *("showerChi2", "straw3X", "straw3Y"),
]


def numbered_events() -> list[dict[str, Any]]:
    planted = all_events()
    for number, one in enumerate(planted):
        one["spillevent"] = number + 1
    return planted


# A column of another tree: name, leaf code, shape, and its value in an event of layout A.
Columns = dict[str, tuple[str, tuple[int, ...], Callable[[Mapping[str, Any]], Any]]]


def write_other(path: Path, columns: Columns, *, tree_name: str, planted: list[dict] | None = None) -> str:
    """A TTree with these columns; shape (-1,) is a std::vector, shape (-2,) an array with a counter."""
    ROOT = root()
    file = ROOT.TFile.Open(str(path), "RECREATE")
    tree = ROOT.TTree(tree_name, "planted")
    buffers = {}
    count = np.zeros(1, np.int32)
    if any(shape == (-2,) for _, shape, _ in columns.values()):
        tree.Branch("nCells", count, "nCells/I")
    for name, (code, shape, _) in columns.items():
        if shape == (-1,):
            buffers[name] = ROOT.std.vector["float" if code == "F" else "double"]()
            tree.Branch(name, buffers[name])
            continue
        size = "[nCells]" if shape == (-2,) else "".join(f"[{n}]" for n in shape)
        buffers[name] = np.zeros(100 if shape == (-2,) else shape or (1,), dtype=TYPES[code])
        tree.Branch(name, buffers[name], f"{name}{size}/{code}")
    for values in planted or numbered_events():
        for name, (_, shape, value) in columns.items():
            if shape == (-1,):
                buffers[name].clear()
                for number in np.asarray(value(values)).ravel():
                    buffers[name].push_back(float(number))
            elif shape == (-2,):
                numbers = np.asarray(value(values)).ravel()
                count[0] = len(numbers)
                buffers[name][: len(numbers)] = numbers
            else:
                buffers[name][...] = np.asarray(value(values)).reshape(buffers[name].shape)
        tree.Fill()
    tree.Write()
    file.Close()
    return str(path)


def as_in_a(name: str) -> tuple[str, tuple[int, ...], Callable[[Mapping[str, Any]], Any]]:
    code, shape = BRANCHES[name]
    return code, shape, lambda values: values[name]


def in_MeV(name: str) -> tuple[str, tuple[int, ...], Callable[[Mapping[str, Any]], Any]]:
    code, shape = BRANCHES[name]
    return code, shape, lambda values: 1000.0 * np.asarray(values[name])


def card_of(tmp_path: Path, layout: str) -> Card:
    path = tmp_path / "card.toml"
    path.write_text(f'extends = "paper2021"\n{layout}')
    return load_card(path)


def table(tree: str, branches: Mapping[str, str]) -> str:
    lines = [f"{name} = {text}" for name, text in branches.items()]
    return f'[layout]\ntree = "{tree}"\n[layout.branches]\n' + "\n".join(lines) + "\n"


def rntuple_of_a(folder: Path, flat: str) -> str:
    """A TTree of layout A as RNTuple, its arrays of fixed length."""
    options = root().RDF.RSnapshotOptions()
    options.fOutputFormat = root().RDF.ESnapshotOutputFormat.kRNTuple
    frame, path = root().RDataFrame("tree", flat), str(folder / "rntuple.root")
    for name, size in {"HCAL_ene": 36, "ECAL_ene": 72, "SRD_ene": 4, "VETO_ene": 6}.items():
        text = f"std::array<double, {size}> a; std::copy({name}.begin(), {name}.end(), a.begin()); return a;"
        frame = frame.Redefine(name, text)
    frame.Snapshot("tree", path, READ, options)
    return path


def tree_b(path: Path) -> str:
    """A file as public code writes it in 2022 and later; three events, all zero but what is read."""
    columns: Columns = {
        name: ("D", (), lambda _, value=value: value)
        for name, value in {
            "BeamEnergy0": 99.5, "ECALtot": 20.0, "VHCALtot": 0.0, "HCAL0tot": 0.2, "HCAL1tot": 0.1
        }.items()
    }  # fmt: skip
    for name, size in {"Triggers": 5, "ECALenergy": 30, "VHCALenergy": 16, "HCALenergy": 36}.items():
        columns[name] = ("D", (-1,), lambda _, size=size: np.zeros(size))
    columns["MM1x"] = ("D", (-1,), lambda _: [1.0, 2.0])
    return write_other(path, columns, tree_name="ana_tree", planted=[event()] * 3)


MAPPING_OF_B = {
    "run": '{ expression = "4000" }',
    "spill": '{ expression = "1" }',
    "spillevent": '{ expression = "int(rdfentry_)" }',
    "ecalTotal": '"ECALtot"',
    "hcal0": '"HCAL0tot"',
    "hcal1": '"HCAL1tot"',
    "hcal2": '{ expression = "0.0" }',
    "VETO_ene": '{ expression = "ROOT::RVecD(6, 0.0)" }',
}
