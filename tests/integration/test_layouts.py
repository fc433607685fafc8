"""The planted tree in other layouts, read through a mapping: the same counts as layout A for every one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from na64root import ntuple, selection
from na64root.cling import root
from na64root.config import Card, load_card
from na64root.errors import ConfigError, DataError
from na64root.simulation import simulate
from na64root.simulation.options import GunOptions
from na64root.work import Work
from support.layouts import (
    ENERGIES,
    MAPPING_OF_B,
    READ,
    Columns,
    as_in_a,
    card_of,
    in_MeV,
    numbered_events,
    rntuple_of_a,
    table,
    tree_b,
    write_other,
)
from support.planted import expected_flow, flow_of
from support.tree_a import BRANCHES, event, s1_event, write_tree


@pytest.fixture(scope="module")
def of_a(tmp_path_factory) -> selection.SelectionResult:
    path = write_tree(tmp_path_factory.mktemp("a") / "a.root", numbered_events())
    return selection.select([path], load_card())


def assert_same(found: selection.SelectionResult, expected: selection.SelectionResult) -> None:
    """Everything but the files and their layout: cut flow, counts, candidates with all values, histograms."""
    assert flow_of(found) == expected_flow()
    left, right = (
        found.model_dump(exclude={"files", "input"}),
        expected.model_dump(exclude={"files", "input"}),
    )
    assert left == right


MEV = {name: f'{{ branch = "{name}_MeV", unit = "MeV" }}' for name in ENERGIES}


def test_renamed_branches_in_MeV(tmp_path, of_a):
    columns = {f"{name}_MeV" if name in ENERGIES else f"my_{name}": as_in_a(name) for name in READ}
    columns |= {f"{name}_MeV": in_MeV(name) for name in ENERGIES}
    path = write_other(tmp_path / "mev.root", columns, tree_name="events")
    card = card_of(tmp_path, table("events", {name: f'"my_{name}"' for name in READ} | MEV))
    assert_same(selection.select([path], card), of_a)
    assert_same(selection.select([path], card, work=Work(threads=2)), of_a)
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


def stored(name: str, axes: tuple[int, ...], *, first: slice = slice(None)) -> Callable[[Mapping], Any]:
    """Cells with their axes in another order, of some modules or parts only."""
    return lambda values: np.asarray(values[name])[first].transpose(axes)


OTHERS = {name: f'"{name}"' for name in READ}


def test_transposed_flat_and_short_arrays(tmp_path, of_a):
    """Each array in one flat branch: ECAL as y, x, part; HCAL as x, module, y without the last module."""
    columns = {name: as_in_a(name) for name in READ}
    columns["ECAL_ene"] = ("D", (72,), stored("ECAL_ene", (2, 1, 0)))
    columns["HCAL_ene"] = ("D", (3, 3, 3), stored("HCAL_ene", (1, 0, 2), first=slice(3)))
    columns["SRD_ene"] = ("D", (3,), lambda values: np.asarray(values["SRD_ene"])[:3])
    columns["VETO_ene"] = ("D", (8,), lambda values: [0, 0, *np.asarray(values["VETO_ene"])[::-1]])
    path = write_other(tmp_path / "cells.root", columns, tree_name="events")
    mapped = OTHERS | {
        "ECAL_ene": '{ branch = "ECAL_ene", axes = ["y", "x", "part"] }',
        "HCAL_ene": '{ branch = "HCAL_ene", axes = ["x", "module", "y"], shape = [3, 3, 3] }',
        "SRD_ene": '{ branch = "SRD_ene", shape = [3] }',
        "VETO_ene": '{ branch = "VETO_ene", index = [7, 6, 5, 4, 3, 2] }',
    }
    assert_same(selection.select([path], card_of(tmp_path, table("events", mapped))), of_a)
    # The order matters to the planted events: another one gives other counts.
    wrong = mapped | {"ECAL_ene": '"ECAL_ene"'}
    found = selection.select([path], card_of(tmp_path, table("events", wrong)))
    assert flow_of(found) != expected_flow()


@pytest.mark.parametrize("shape", [(-1,), (-2,)], ids=["vector", "counted"])
def test_arrays_of_a_length_that_varies(tmp_path, of_a, shape):
    columns = {name: as_in_a(name) for name in READ}
    for name in ("ECAL_ene", "HCAL_ene", "SRD_ene", "VETO_ene"):
        columns[name] = ("D", shape, as_in_a(name)[2])
        if shape == (-2,):  # one counter for all: as many numbers in each
            columns[name] = ("D", shape, lambda v, n=name: np.resize(np.ravel(v[n]), 72))
    path = write_other(tmp_path / "vectors.root", columns, tree_name="events")
    mapped = dict(OTHERS)
    if shape == (-2,):
        for name in ("HCAL_ene", "SRD_ene", "VETO_ene"):
            index = list(range(int(np.prod(BRANCHES[name][1]))))
            mapped[name] = f'{{ branch = "{name}", index = {index} }}'
    card = card_of(tmp_path, table("events", mapped))
    assert_same(selection.select([path], card), of_a)
    assert_same(selection.select([path], card, work=Work(threads=2)), of_a)


def test_elements_and_expressions(tmp_path, of_a):
    """Totals as elements of one array, flags as bits of one word, ECAL in two branches, a momentum in keV."""
    columns = {name: as_in_a(name) for name in READ if not name.startswith(("is", "hcal", "ECAL"))}
    columns["HCAL"] = ("D", (3,), lambda v: [v["hcal0"], v["hcal1"], v["hcal2"]])
    flags = ("isPhysics", "isTriggerPhysics", "isOnSpill", "isCalibration")
    columns["word"] = ("I", (), lambda v: sum(bool(v[flag]) << i for i, flag in enumerate(flags)))
    columns["preshower-cells"] = ("D", (36,), lambda v: np.asarray(v["ECAL_ene"])[0])
    columns["main"] = ("D", (-1,), lambda v: 1e3 * np.asarray(v["ECAL_ene"])[1])
    columns["preshower"] = ("D", (36,), lambda v: 1e3 * np.asarray(v["ECAL_ene"])[0])
    columns["p.in"] = ("D", (), lambda v: v["trackMomentum"] * 1e6)
    columns["halved"] = ("D", (), lambda v: v["showerChi2"] / 2.0)
    path = write_other(tmp_path / "expressions.root", columns, tree_name="folderless")
    mapped = {name: text for name, text in OTHERS.items() if name in columns}
    mapped |= {f"hcal{i}": f'"HCAL[{i}]"' for i in range(3)}
    mapped |= {flag: f'{{ expression = "word >> {i} & 1" }}' for i, flag in enumerate(flags)}
    join = "ROOT::VecOps::Concatenate(preshower, main)"
    mapped["ECAL_ene"] = f'{{ expression = "{join}", unit = "MeV" }}'
    mapped["trackMomentum"] = '{ branch = "p.in", unit = "keV" }'
    mapped["showerChi2"] = '{ branch = "halved", unit = 2.0 }'
    card = card_of(tmp_path, table("folderless", mapped))
    assert_same(selection.select([path], card), of_a)
    mapped["ECAL_ene"] = f'{{ expression = "return {join};", unit = 1e-3 }}'
    mapped["ecal0"] = '{ expression = "ecal0 * scale", unit = "GeV" }'
    with pytest.raises(DataError, match=r"layout.branches.ecal0 does not compile: .*'scale'"):
        selection.select([path], card_of(tmp_path, table("folderless", mapped)))


def test_a_name_that_is_no_word_of_cpp(tmp_path, of_a):
    columns = {f"a-{name} x": as_in_a(name) for name in READ}
    path = write_other(tmp_path / "odd.root", columns, tree_name="events")
    mapped = {name: f'"a-{name} x"' for name in READ}
    assert_same(selection.select([path], card_of(tmp_path, table("events", mapped))), of_a)


def test_a_tree_in_a_folder_of_the_file(tmp_path, of_a):
    flat = write_tree(tmp_path / "flat.root", numbered_events())
    ROOT = root()
    source = ROOT.TFile.Open(flat)
    path = str(tmp_path / "folder.root")
    file = ROOT.TFile.Open(path, "RECREATE")
    file.mkdir("reco/2018").cd()
    source.Get("tree").CloneTree(-1).Write("hits")
    file.Close()
    source.Close()
    card = card_of(tmp_path, table("reco/2018/hits", OTHERS))
    assert_same(selection.select([path], card), of_a)


def test_friend_trees(tmp_path, of_a):
    """Calorimeters of two input files in files of their own, the momentum in a second tree of the input."""
    calorimeters = [n for n in READ if n in ENERGIES and n != "trackMomentum"]
    rest = [n for n in READ if n not in ENERGIES]
    halves = numbered_events()[::2], numbered_events()[1::2]
    paths = []
    for i, half in enumerate(halves):
        path = write_other(
            tmp_path / f"run{i}.root", {n: as_in_a(n) for n in rest}, tree_name="events", planted=half
        )
        cells = {n: in_MeV(n) for n in calorimeters}
        write_other(tmp_path / f"run{i}_calo.root", cells, tree_name="calo", planted=half)
        track = {"momentum": as_in_a("trackMomentum")}
        other = write_other(tmp_path / f"track{i}.root", track, tree_name="tracks", planted=half)
        ROOT = root()
        target, source = ROOT.TFile.Open(path, "UPDATE"), ROOT.TFile.Open(other)
        target.cd()
        source.Get("tracks").CloneTree(-1).Write()
        target.Close()
        source.Close()
        paths.append(path)
    mapped = {n: OTHERS[n] for n in rest}
    mapped |= {n: f'{{ branch = "calo.{n}", unit = "MeV" }}' for n in calorimeters}
    mapped["trackMomentum"] = '"t.momentum"'
    friends = (
        '[[layout.friends]]\ntree = "calo"\nalias = "calo"\nfiles = ["{folder}/{stem}_calo.root"]\n'
        '[[layout.friends]]\ntree = "tracks"\nalias = "t"\n'
    )
    card = card_of(tmp_path, table("events", mapped) + friends)
    for threads in (1, 2):
        found = selection.select(paths, card, work=Work(threads=threads))
        assert flow_of(found) == expected_flow()
        assert found.candidates == of_a.candidates
        assert [file.path for file in found.files] == paths
    listed = friends.replace('"{folder}/{stem}_calo.root"', f'"{tmp_path}/run?_calo.root"')
    assert flow_of(selection.select(paths, card_of(tmp_path, table("events", mapped) + listed)))
    with pytest.raises(DataError, match="calo has 2 files for 1 input files"):
        selection.select(paths[:1], card_of(tmp_path, table("events", mapped) + listed))
    write_other(tmp_path / "run0_calo.root", {n: in_MeV(n) for n in calorimeters}, tree_name="calo")
    with pytest.raises(DataError, match=r"'calo' in .*run0_calo.root has \d+ entries"):
        selection.select(paths, card)
    (tmp_path / "run0_calo.root").unlink()
    with pytest.raises(DataError, match=r"cannot read .*run0_calo.root \(No such file"):
        selection.select(paths, card)


@pytest.mark.parametrize("prefix", ["", "my_"])
def test_an_rntuple(tmp_path, of_a, prefix):
    """Of layout A, and with other names, in MeV and single vectors."""
    flat = write_tree(tmp_path / "flat.root", numbered_events())
    path = str(tmp_path / "ntuple.root")
    options = root().RDF.RSnapshotOptions()
    options.fOutputFormat = root().RDF.ESnapshotOutputFormat.kRNTuple
    frame = root().RDataFrame("tree", flat)
    if prefix:
        for name in READ:
            scaled = f"{name} * 1000.0" if name in ENERGIES else name
            frame = frame.Define(prefix + name, scaled)
        frame.Snapshot("events", path, [prefix + name for name in READ], options)
        mapped = {name: f'"my_{name}"' for name in READ}
        mapped |= {name: f'{{ branch = "my_{name}", unit = "MeV" }}' for name in ENERGIES}
        card = card_of(tmp_path, table("events", mapped))
    else:
        path = rntuple_of_a(tmp_path, flat)
        card = load_card()
    assert_same(selection.select([path], card), of_a)
    assert ntuple.inspect([path], card).layout == ("card" if prefix else "A")


# What is found in a file


def test_a_proposal_for_an_unknown_tree_can_be_pasted(tmp_path, of_a):
    """Other names, energies in MeV, momentum in GeV: pasted as it is, the counts are those of layout A."""
    names = {
        "run": "runNumber", "spill": "spillNo", "spillevent": "eventInSpill", "ecalTotal": "ecal_total",
        "ecalTotalNoTimecut": "ecal_total_noTimeCut", "ecal0": "preshower", "ECAL_ene": "ecal_cells",
        "HCAL_ene": "hcal_cells", "SRD_ene": "srd", "VETO_ene": "veto", "hcal0": "hcal0_eDep",
        "hcal1": "hcal1_eDep", "hcal2": "hcal2_eDep", "trackMomentum": "track_momentum",
        "showerChi2": "shower_chi2", "straw3X": "straw3_x", "straw3Y": "straw3_y",
        "isPhysics": "is_physics", "isTriggerPhysics": "is_trigger_physics",
        "isOnSpill": "on_spill", "isCalibration": "is_calib",
    }  # fmt: skip
    assert names.keys() == set(READ)
    columns = {
        new: in_MeV(old) if old in ENERGIES and old != "trackMomentum" else as_in_a(old)
        for old, new in names.items()
    }
    columns |= {"HOD_time": ("D", (16,), lambda _: np.zeros(16)), "gas_pressure": ("D", (), lambda _: 1013.0)}
    path = write_other(tmp_path / "unknown.root", columns, tree_name="events")
    write_other(
        tmp_path / "other.root", {"temperature": ("D", (), lambda _: 300.0)}, tree_name="slow_control"
    )
    ROOT = root()
    target, source = ROOT.TFile.Open(path, "UPDATE"), ROOT.TFile.Open(str(tmp_path / "other.root"))
    target.cd()
    source.Get("slow_control").CloneTree(-1).Write()
    target.Close()
    source.Close()
    with pytest.raises(DataError, match=r"has no tree 'tree' .*na64root inspect proposes"):
        selection.select([path], load_card())
    record = ntuple.inspect([path], load_card())
    assert record.layout == "unknown"
    assert record.can_evaluate.S2 is False
    proposal = record.proposed_layout
    assert "proposal" in proposal.note
    assert "proposal" in proposal.toml.splitlines()[0]
    assert {name: mapped["branch"] for name, mapped in proposal.mapping["branches"].items()} == names
    units = {
        name: mapped["unit"] for name, mapped in proposal.mapping["branches"].items() if "unit" in mapped
    }
    assert units == {name: "GeV" if name == "trackMomentum" else "MeV" for name in ENERGIES}
    card = card_of(tmp_path, proposal.toml)
    assert card.layout == type(card.layout).model_validate(proposal.mapping)
    assert_same(selection.select([path], card), of_a)


def test_a_proposal_for_an_rntuple_says_what_it_did_not_find(tmp_path):
    flat = write_tree(tmp_path / "flat.root", numbered_events())
    options = root().RDF.RSnapshotOptions()
    options.fOutputFormat = root().RDF.ESnapshotOutputFormat.kRNTuple
    path = str(tmp_path / "ntuple.root")
    columns = [name for name in READ if name != "VETO_ene"]
    root().RDataFrame("tree", flat).Snapshot("hits", path, columns, options)
    proposal = ntuple.inspect([path], load_card()).proposed_layout
    assert proposal.mapping["tree"] == "hits"
    assert proposal.unmapped == ["VETO_ene"]
    assert all(mapped["branch"] == name for name, mapped in proposal.mapping["branches"].items())
    with pytest.raises(DataError, match="allows neither S1 nor S2 .no branch VETO_ene"):
        selection.select([path], card_of(tmp_path, proposal.toml))


def test_bad_files_do_not_hide_the_proposal(tmp_path):
    """Neither where bad files are left out, nor behind a file that is no ROOT file."""
    path = write_tree(tmp_path / "hits.root", numbered_events(), tree_name="hits")
    broken = tmp_path / "broken.root"
    broken.write_bytes(b"root no more")
    card = load_card(overrides=["input.skip_bad_files=on"])
    for inputs in ([path], [str(broken), path]):
        record = ntuple.inspect(inputs, card)
        assert record.proposed_layout.mapping["tree"] == "hits"
        assert [file.path for file in record.files] == [path]
        assert [file.path for file in record.files_skipped] == inputs[:-1]
    known = write_tree(tmp_path / "known.root", numbered_events())
    assert ntuple.inspect([path, known], card).proposed_layout is None
    with pytest.raises(DataError, match="all 2 files are bad"):
        selection.select([str(broken), path], card)
    # Of a chain, the file that is not known is looked at, and not the first.
    assert ntuple.inspect([known, path], load_card()).proposed_layout.mapping["tree"] == "hits"


def test_tree_b_is_detected_and_says_what_cannot_be_evaluated(tmp_path):
    path = tree_b(tmp_path / "b.root")
    record = ntuple.inspect([path], load_card())
    assert record.layout == "B"
    assert record.entries == 3
    assert not record.can_evaluate.S1
    assert not record.can_evaluate.S2
    assert not {"ecalTotal", "hcal0", "hcal1", "trackMomentum"} & set(record.branches_missing)
    assert {"hcal2", "VETO_ene", "HCAL_ene", "ECAL_ene", "run"} <= set(record.branches_missing)
    assert "ecal" not in record.can_evaluate.cuts_not_applied
    assert any("5 x 6 cells" in note for note in record.notes)
    assert any("neither S1 nor S2" in note for note in record.notes)
    opened = ntuple.open_ntuple([path])
    values = opened.data_frame().AsNumpy(["ecalTotal", "hcal0", "hcal1", "trackMomentum"])
    assert [float(v[0]) for v in values.values()] == [20.0, 0.2, 0.1, 99.5]
    with pytest.raises(DataError) as caught:
        selection.select([path], load_card())
    assert f"{path} allows neither S1 nor S2 (no branch VETO_ene, hcal2, HCAL_ene)" in str(caught.value)
    assert "\n" not in str(caught.value)
    a = write_tree(tmp_path / "a.root", [event()])
    with pytest.raises(DataError, match="b.root is of layout B, .*a.root of A"):
        selection.select([a, path], load_card())


def test_tree_b_with_a_mapping_of_ones_own(tmp_path):
    """What an analyst of 2022 knows of her detector goes into expressions; the rest is not cut on."""
    path = tree_b(tmp_path / "b.root")
    result = selection.select([path], card_of(tmp_path, table("ana_tree", MAPPING_OF_B)))
    counts = {(c.period, c.signature): c.observed for c in result.counts}
    assert counts["2018", "S2"] == 3
    assert counts["2018", "S1"] is None
    assert "beam_cell" in next(c for c in result.counts if c.signature == "S2").cuts_not_applied


# Misuse: one line


SMALL = {name: as_in_a(name) for name in READ}


def error_of(path: str, card: Card) -> str:
    """The line that select() and inspect() give alike."""
    with pytest.raises((DataError, ConfigError)) as selected:
        selection.select([path], card)
    with pytest.raises((DataError, ConfigError)) as inspected:
        ntuple.inspect([path], card)
    assert str(selected.value) == str(inspected.value)
    assert "\n" not in str(selected.value)
    return str(selected.value)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> str:
    columns = SMALL | {"ecal_energy": as_in_a("ecalTotal"), "cells": ("D", (-1,), as_in_a("SRD_ene")[2])}
    path = tmp_path_factory.mktemp("small") / "small.root"
    return write_other(path, columns, tree_name="events", planted=[event(), s1_event()])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ecalTotal": '"ecal_enrgy"'}, "which FILE has not (did you mean ecal_energy?)"),
        ({"ecalTotl": '"ecalTotal"'}, "unknown branch layout.branches.ecalTotl (did you mean ecalTotal?)"),
        ({"ECAL_ene": '"HCAL_ene"'}, "HCAL_ene is Double_t[4][3][3] ([2][6][6] is expected)"),
        ({"ECAL_ene": '"ecalTotal"'}, "ecalTotal is Double_t (an array of numbers is expected)"),
        ({"ecalTotal": '"ECAL_ene"'}, "ECAL_ene is Double_t[2][6][6] (a number is expected)"),
        ({"hcal0": '"ECAL_ene[72]"'}, "ECAL_ene[72] is Double_t[2][6][6] (at least 73 numbers are expected)"),
        ({"isPhysics": '"ecalTotal"'}, "ecalTotal is Double_t (a Bool_t or an integer is expected)"),
        ({"run": '"ecalTotal"'}, "ecalTotal is Double_t (an integer is expected)"),
        (
            {"ecal0": '{ expression = "nix + 1" }'},
            "does not compile: 'nix + 1' (use of undeclared identifier",
        ),
        ({"ecal0": '{ expression = "ecal0 +" }'}, "layout.branches.ecal0 does not compile"),
        ({"ecal0": '{ expression = "std::string()" }'}, "the expression is string (a number is expected)"),
        ({"ecal0": '{ branch = "ecal0", unit = "GV" }'}, "layout.branches.ecal0.unit"),
        ({"ecal0": '{ branch = "ecal0", unti = "GeV" }'}, "did you mean unit?"),
        ({"ecal0": "{ unit = 1.0 }"}, "either branch or expression is needed"),
        ({"straw3X": '{ branch = "straw3X", unit = "MeV" }'}, "straw3X is no energy"),
        ({"straw3X": '{ branch = "straw3X", unit = 2.0 }'}, "straw3X is no measured quantity"),
        ({"ecal0": '{ branch = "ecal0", axes = ["x"] }'}, "ecal0 is one number"),
        ({"ECAL_ene": '{ branch = "ECAL_ene", axes = ["x", "y"] }'}, "part, x, y are needed"),
        ({"ECAL_ene": '{ branch = "ECAL_ene", shape = [2, 5, 6] }'}, "5 cells along x (6 in layout A)"),
        ({"ECAL_ene": '{ branch = "ECAL_ene", shape = [2, 6] }'}, "shape has 2 numbers (3 are needed)"),
        ({"SRD_ene": '{ branch = "SRD_ene", index = [0, 1] }'}, "index has 2 numbers (4 are needed"),
        ({"SRD_ene": '{ branch = "SRD_ene", index = [0, 1, 2, 9] }'}, "(at least 10 numbers are expected)"),
        ({"ECAL_ene": '"cells"'}, "layout.branches.ECAL_ene: 4 numbers in an event, 72 are expected"),
        ({"hcal0": '"cells[5]"'}, "layout.branches.hcal0: 4 numbers in an event, at least 6 are expected"),
        ({"run": None}, "[layout.branches] has no run"),
    ],
)
def test_a_wrong_mapping_is_one_line(tmp_path, small, changes, message):
    mapped = {name: text for name, text in (OTHERS | changes).items() if text is not None}
    with pytest.raises((DataError, ConfigError)) as caught:
        selection.select([small], card_of(tmp_path, table("events", mapped)))
    assert "\n" not in str(caught.value)
    assert message.replace("FILE", small) in str(caught.value)


def test_a_wrong_tree_and_chains_of_two_layouts(tmp_path, small):
    card = card_of(tmp_path, table("event", OTHERS))
    assert f"{small} has no tree 'event' (its trees: events): correct layout.tree" in error_of(small, card)
    card = card_of(tmp_path, table("events", OTHERS))
    single = {name: ("F" if v[0] == "D" else v[0], v[1], v[2]) for name, v in SMALL.items()}
    other = write_other(tmp_path / "f.root", single, tree_name="events", planted=[event()])
    with pytest.raises(DataError, match=r"branch \w+ is .* in .*small.root \(one chain, two layouts\)"):
        selection.select([small, other], card)
    vectors = SMALL | {"SRD_ene": ("D", (3,), lambda v: np.asarray(v["SRD_ene"])[:3])}
    other = write_other(tmp_path / "v.root", vectors, tree_name="events", planted=[event()])
    mapped = OTHERS | {"SRD_ene": '{ branch = "SRD_ene", index = [0, 1, 2, -1] }'}
    with pytest.raises(DataError, match=r"branch SRD_ene is Double_t\[3\] in .*v.root, Double_t\[4\] in"):
        selection.select([small, other], card_of(tmp_path, table("events", mapped)))


def test_the_card_of_the_documentation_reads_what_it_says(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "layouts.md").read_text("utf-8")
    blocks = [part.partition("```")[0] for part in text.split("```toml\n")[1:]]
    assert len(blocks) == 2
    assert load_card_text(tmp_path, blocks[0] + blocks[1]).layout.friends[0].alias == "calo"
    card = load_card_text(tmp_path, blocks[0])
    numbers = np.random.default_rng(4)
    planted = [
        event(
            ECAL_ene=numbers.uniform(0, 9, (2, 6, 6)),
            HCAL_ene=numbers.uniform(0, 9, (4, 3, 3)),
            VETO_ene=numbers.uniform(0, 0.1, 6),
            isPhysics=bool(i % 2),
            isTriggerPhysics=bool(i % 3),
        )
        for i in range(6)
    ]
    columns: Columns = {
        "runNo": as_in_a("run"),
        "spillNo": as_in_a("spill"),
        "eventInSpill": as_in_a("spillevent"),
        "ecal.eDep": in_MeV("ecalTotal"),
        "p": in_MeV("trackMomentum"),
        "ecalCells": ("D", (6, 6, 2), lambda v: 1e3 * v["ECAL_ene"].transpose(2, 1, 0)),
        "hcalCells": ("D", (27,), lambda v: 1e3 * v["HCAL_ene"][:3]),
        "veto": ("D", (8,), lambda v: [0.0, 0.0, *(1e3 * v["VETO_ene"][::-1])]),
        "hcalSum": ("D", (3,), lambda v: [1e3 * v["hcal0"], 0.0, 0.0]),
        **{f"srd{i + 1}": ("D", (), lambda v, i=i: 1e3 * v["SRD_ene"][i]) for i in range(3)},
        "triggerWord": ("I", (), lambda v: v["isPhysics"] + 8 * v["isTriggerPhysics"]),
    }
    path = write_other(tmp_path / "hits.root", columns, tree_name="hits", planted=planted)
    opened = ntuple.open_ntuple([path], card)
    data = opened.data_frame().AsNumpy(sorted(opened.present))
    assert len(opened.present) == 14
    for name, values in data.items():
        for found, one in zip(values, planted, strict=True):
            expected = np.ravel(one[name]).astype(float)
            if name == "HCAL_ene":
                expected[27:] = np.nan
            np.testing.assert_allclose(np.ravel(np.asarray(found)), expected, rtol=1e-15, err_msg=name)


def load_card_text(tmp_path: Path, text: str) -> Card:
    path = tmp_path / "documented.toml"
    path.write_text(text)
    return load_card(path)


def test_own_files_are_read_as_what_they_are(tmp_path):
    """A card with a mapping for data also reads what na64root has simulated."""

    card = card_of(tmp_path, table("events", OTHERS))
    path = str(tmp_path / "gun.root")
    simulate.gun(card, Path(path), GunOptions(particle="e-", energy_GeV=20.0, volume="hcal2", events=10))
    assert ntuple.inspect([path], card).layout == "A"
