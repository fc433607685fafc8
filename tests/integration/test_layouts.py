"""The planted tree in other layouts, read through a mapping: the same counts as layout A for every one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integration.test_planted_tree import all_events, expected_flow, flow_of
from na64root import ntuple, selection
from na64root.cling import root
from na64root.config import Card, load_card
from tree_a import BRANCHES, TYPES, write_tree

ENERGIES = [
    *("ecalTotal", "ecalTotalNoTimecut", "ecal0", "ECAL_ene", "hcal0", "hcal1", "hcal2"),
    *("HCAL_ene", "SRD_ene", "VETO_ene", "trackMomentum"),
]
READ = [
    *("run", "spill", "spillevent", "isPhysics", "isTriggerPhysics", "isOnSpill", "isCalibration"),
    *ENERGIES,
    *("showerChi2", "straw3X", "straw3Y"),
]


def events() -> list[dict[str, Any]]:
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
    for values in planted or events():
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


@pytest.fixture(scope="module")
def of_a(tmp_path_factory) -> selection.SelectionResult:
    path = write_tree(tmp_path_factory.mktemp("a") / "a.root", events())
    return selection.select([path], load_card())


def assert_same(found: selection.SelectionResult, expected: selection.SelectionResult) -> None:
    """Everything but the name of the file: cut flow, counts, candidates with all values, histograms."""
    assert flow_of(found) == expected_flow()
    left, right = found.model_dump(exclude={"files"}), expected.model_dump(exclude={"files"})
    assert left == right


MEV = {name: f'{{ branch = "{name}_MeV", unit = "MeV" }}' for name in ENERGIES}


def test_renamed_branches_in_MeV(tmp_path, of_a):
    columns = {f"{name}_MeV" if name in ENERGIES else f"my_{name}": as_in_a(name) for name in READ}
    columns |= {f"{name}_MeV": in_MeV(name) for name in ENERGIES}
    path = write_other(tmp_path / "mev.root", columns, tree_name="events")
    card = card_of(tmp_path, table("events", {name: f'"my_{name}"' for name in READ} | MEV))
    assert_same(selection.select([path], card), of_a)
    assert_same(selection.select([path], card, threads=2), of_a)
    inspection = ntuple.inspect([path], card)
    assert inspection.layout == "card"
    assert inspection.can_evaluate.model_dump() == {"S1": True, "S2": True, "cuts_not_applied": []}


def test_names_of_layout_a_with_another_meaning_are_replaced(tmp_path, of_a):
    """Energies in MeV under the names of layout A, hcal0 and hcal1 exchanged."""
    columns = {name: in_MeV(name) if name in ENERGIES else as_in_a(name) for name in READ}
    columns["hcal0"], columns["hcal1"] = columns["hcal1"], columns["hcal0"]
    path = write_other(tmp_path / "same_names.root", columns, tree_name="tree")
    mapped = {name: f'{{ branch = "{name}", unit = "MeV" }}' for name in ENERGIES}
    mapped["hcal0"], mapped["hcal1"] = mapped["hcal1"], mapped["hcal0"]
    card = card_of(tmp_path, table("tree", mapped).replace("[layout.b", 'base = "A"\n[layout.b'))
    assert_same(selection.select([path], card), of_a)
    # Without `base` only what is mapped counts: nothing of the same name is taken silently.
    card = card_of(tmp_path, table("tree", {n: f'"{n}"' for n in ("run", "spill", "spillevent")} | mapped))
    assert "isPhysics" in ntuple.inspect([path], card).branches_missing
