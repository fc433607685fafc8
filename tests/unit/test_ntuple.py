"""Finding and checking input files: a problem is one line that names file, branch and what was expected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from na64root import ntuple, selection
from na64root.cling import root
from na64root.config import load_card
from na64root.errors import DataError
from support.tree_a import event, s1_event, write_tree


@pytest.fixture(scope="module")
def card():
    return load_card()


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> str:
    return write_tree(tmp_path_factory.mktemp("good") / "good.root", [event(), s1_event()] * 50)


def error_of(inputs: list[str], card) -> str:
    """The message of the DataError that select() and inspect() raise alike; it is one line."""
    with pytest.raises(DataError) as selected:
        selection.select(inputs, card)
    with pytest.raises(DataError) as inspected:
        ntuple.inspect(inputs, card)
    assert str(inspected.value) == str(selected.value)
    assert "\n" not in str(selected.value)
    return str(selected.value)


# Finding files


def touch(folder: Path, *names: str) -> list[str]:
    paths = []
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"root")
        paths.append(str(path))
    return paths


def test_paths_and_globs_keep_their_order(tmp_path):
    a, b, c = touch(tmp_path, "a.root", "b.root", "c.root")
    assert ntuple.expand([c, a]) == [c, a]
    assert ntuple.expand([f"{tmp_path}/*.root"]) == [a, b, c]
    assert ntuple.expand([c, f"{tmp_path}/[ab].root"]) == [c, a, b]


def test_a_path_with_glob_characters_is_that_file(tmp_path):
    (odd,) = touch(tmp_path, "run[1].root")
    assert ntuple.expand([odd]) == [odd]


def test_text_files_of_paths(tmp_path):
    paths = touch(tmp_path, "data/a.root", "data/b.root", "c.root")
    listing = tmp_path / "files.txt"
    listing.write_text(f"# runs of 2018\n\ndata/*.root\n{paths[2]}\nroot://server//store/d.root\n")
    assert ntuple.expand([str(listing)]) == [*paths, "root://server//store/d.root"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "no input files given"),
        (["nowhere.root"], "no such file"),
        (["nowhere*.root"], "no file matches"),
        (["."], "is a folder"),
        (["a.root", "a.root"], "given twice"),
        (["a.root", "*.root"], "given twice"),
        (["empty.txt"], "names no file"),
        (["broken.txt"], "no such file"),
    ],
)
def test_nothing_found_is_one_line(tmp_path, monkeypatch, inputs, message):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "a.root")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "broken.txt").write_text("lost.root\n")
    with pytest.raises(DataError, match=message) as caught:
        ntuple.expand(inputs)
    assert "\n" not in str(caught.value)


# Bad files


def test_an_empty_file(tmp_path, card):
    path = tmp_path / "empty.root"
    path.touch()
    assert f"{path} is empty" in error_of([str(path)], card)


def test_a_file_that_is_not_root(tmp_path, card):
    path = tmp_path / "notes.root"
    path.write_text("these are my notes\n" * 100)
    assert f"{path} is not a ROOT file" in error_of([str(path)], card)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.97, 0.999])
def test_a_truncated_file(tmp_path, card, good, share):
    content = Path(good).read_bytes()
    path = tmp_path / "short.root"
    path.write_bytes(content[: int(len(content) * share)])
    assert f"{path} is damaged" in error_of([str(path)], card)


@pytest.fixture(scope="module")
def spread(tmp_path_factory) -> str:
    """Many different events, so that the branches fill compressed baskets."""
    rng = np.random.default_rng(5)
    events = [
        event(ecalTotal=rng.uniform(0, 100), hcal1=rng.exponential(), spillevent=2) for _ in range(2000)
    ]
    return write_tree(tmp_path_factory.mktemp("spread") / "spread.root", events)


@pytest.mark.parametrize("name", ["ecalTotal", "ECAL_ene", "run"])
def test_a_damaged_basket(tmp_path, card, spread, name):
    """Compressed bytes of a branch that is read are overwritten: an error before any event is read."""
    file = root().TFile.Open(spread)
    basket = file.Get("tree").GetBranch(name).GetBasketSeek(0)
    file.Close()
    content = bytearray(Path(spread).read_bytes())
    content[basket + 90 : basket + 110] = bytes(20)
    path = tmp_path / "damaged.root"
    path.write_bytes(content)
    assert f"branch {name} in {path} cannot be read" in error_of([str(path)], card)


def test_flipped_bits_never_crash(tmp_path, card, spread):
    """One or two bits, 40 files: one line, or a result with as many events as the file has.

    Most are refused. ROOT has no checksum over what it stores, so a bit that makes another energy of one can
    pass unseen: the SHA-256 of the file in the provenance is what tells.
    """
    content = Path(spread).read_bytes()
    rng = np.random.default_rng(6)
    refused: dict[Path, str] = {}
    for number in range(40):
        damaged = bytearray(content)
        for position in rng.integers(4, len(content), rng.integers(1, 3)):
            damaged[position] ^= 1 << rng.integers(0, 8)
        path = tmp_path / f"{number}.root"
        path.write_bytes(damaged)
        try:
            selected = selection.select([str(path)], card)
            initial = [row for row in selected.cutflow if (row.signature, row.cut) == ("S1", "initial")]
            assert sum(row.events for row in initial) == 2000
        except DataError as error:
            refused[path] = str(error)
    assert all(str(path) in message and "\n" not in message for path, message in refused.items())
    assert len(refused) > 20


def test_a_missing_tree(tmp_path, card):
    path = tmp_path / "histogram.root"
    file = root().TFile.Open(str(path), "RECREATE")
    file.WriteObject(root().TNamed("something", "not a tree"), "something")
    file.Close()
    message = error_of([str(path)], card)
    assert f"{path} has no tree 'tree' (it holds something)" in message
    assert "[layout]" in message


def test_a_tree_that_is_something_else(tmp_path, card):
    path = tmp_path / "histogram.root"
    file = root().TFile.Open(str(path), "RECREATE")
    file.WriteObject(root().TNamed("tree", "not a tree"), "tree")
    file.Close()
    assert "is a TNamed (a TTree or RNTuple is expected)" in error_of([str(path)], card)


def test_no_entries(tmp_path, card, good):
    path = write_tree(tmp_path / "none.root", [])
    assert f"{path} has no entries" in error_of([path], card)
    assert f"{path} has no entries" in error_of([good, path], card)


@pytest.mark.parametrize("name", ["run", "spill", "spillevent"])
def test_a_missing_required_branch(tmp_path, card, name):
    path = write_tree(tmp_path / "file.root", [event()], omit=[name])
    assert f"{path} has no branch {name} (an integer per event is expected)" in error_of([path], card)


def test_no_signature_possible(tmp_path, card):
    path = write_tree(tmp_path / "file.root", [event()], omit=["VETO_ene"])
    with pytest.raises(DataError, match="neither S1 nor S2") as caught:
        selection.select([path], card)
    assert "VETO_ene" in str(caught.value)
    inspection = ntuple.inspect([path], card)
    assert not inspection.can_evaluate.S1
    assert not inspection.can_evaluate.S2


@pytest.mark.parametrize(
    ("types", "shapes", "found"),
    [
        ({"ecalTotal": "I"}, {}, "ecalTotal|Int_t (Double_t or Float_t is expected)"),
        ({"run": "D"}, {}, "run|Double_t (an integer is expected)"),
        ({"isPhysics": "D"}, {}, "isPhysics|Double_t (Bool_t is expected)"),
        ({}, {"ECAL_ene": (6, 6)}, "ECAL_ene|Double_t[6][6] (Double_t or Float_t, [2][6][6] is expected)"),
        ({}, {"VETO_ene": (3,)}, "VETO_ene|Double_t[3] (Double_t or Float_t, [6] is expected)"),
        ({}, {"HCAL_ene": ()}, "HCAL_ene|Double_t (Double_t or Float_t, [4][3][3] is expected)"),
        ({}, {"hcal0": (2,)}, "hcal0|Double_t[2] (Double_t or Float_t is expected)"),
    ],
)
def test_other_types_and_lengths(tmp_path, card, types, shapes, found):
    path = write_tree(tmp_path / "file.root", [event()], types=types, shapes=shapes)
    branch, rest = found.split("|")
    assert f"branch {branch} in {path} is {rest}" in error_of([path], card)


def test_a_vector_where_an_array_is_expected(tmp_path, card):
    path = tmp_path / "vector.root"
    ROOT = root()
    file = ROOT.TFile.Open(str(path), "RECREATE")
    tree = ROOT.TTree("tree", "")
    numbers = {name: np.zeros(1, np.uint32) for name in ("run", "spill", "spillevent")}
    for name, buffer in numbers.items():
        tree.Branch(name, buffer, f"{name}/i")
    cells = ROOT.std.vector["double"](6)
    tree.Branch("VETO_ene", cells)
    tree.Fill()
    tree.Write()
    file.Close()
    assert "branch VETO_ene" in error_of([str(path)], card)
    assert "vector<double>" in error_of([str(path)], card)


def test_unused_branches_disturb_nothing(tmp_path, card):
    """A hodoscope branch of any type, a branch of an unused name: they are not looked at."""
    path = write_tree(tmp_path / "file.root", [event()], extra={"HOD2_anything": 3.0, "trackChi2": 1.0})
    counts = {(c.period, c.signature): c.observed for c in selection.select([path], card).counts}
    assert counts["2018", "S2"] == 1


def test_an_address_without_a_server(card, monkeypatch):
    monkeypatch.setenv("XRD_CONNECTIONWINDOW", "2")
    address = "root://localhost:1//nothing.root"
    with pytest.raises(DataError, match="no answer from the server") as caught:
        selection.select([address], card)
    assert address in str(caught.value)
    assert "\n" not in str(caught.value)


# Chains


def test_files_that_differ_in_branches(tmp_path, card, good):
    path = write_tree(tmp_path / "less.root", [event()], omit=["HCAL_ene"])
    assert f"{path} has no branch HCAL_ene, {good} has it" in error_of([good, path], card)
    assert f"{path} has no branch HCAL_ene, {good} has it" in error_of([path, good], card)


def test_files_that_differ_in_types(tmp_path, card, good):
    path = write_tree(tmp_path / "float.root", [event()], types={"ecalTotal": "F"})
    message = error_of([good, path], card)
    assert f"branch ecalTotal is Float_t in {path}, Double_t in {good}" in message


def test_a_loop_that_did_not_see_every_event_is_not_believed(card, good):
    opened = ntuple.open_ntuple([good], card)
    ntuple.require_all_read(opened, opened.entries, [1.0, 0.0])
    with pytest.raises(DataError, match=f"{opened.entries - 1} of {opened.entries} events of .* were read"):
        ntuple.require_all_read(opened, opened.entries - 1, [1.0])
    with pytest.raises(DataError, match="NaN or infinite"):
        ntuple.require_all_read(opened, opened.entries, [1.0, np.inf])


def test_an_inspection_counts_runs_and_spills(tmp_path, card):
    events = [event(run=4000, spill=s) for s in (1, 1, 2)] + [
        event(run=4001, spill=1),
        event(run=9000, spill=5),
    ]
    record = ntuple.inspect([write_tree(tmp_path / "file.root", events)], card)
    assert record.runs == [4000, 4001, 9000]
    assert record.spills == 4
    assert record.periods["2018"].spills == 3
    assert record.periods["2018"].runs == [4000, 4001]
    assert record.periods["no period"].entries == 1
    assert record.periods["2016"].entries == 0
    assert "excluded: SRD displaced" not in record.periods
    assert record.files[0].entries == 5
    assert len(record.files[0].sha256) == 64
