"""Damaged files, TTree and RNTuple: no crash, and no count that the undamaged files would not give.

Each batch is one process that reads all its files as one chain with `skip_bad_files`: a crash ends it, a file
that passed unseen changes its cut flow. ROOT keeps no checksum of what a TTree stores: a bit in a basket that
still unpacks makes another energy, which nobody can see; of such files only the number of events is known. An
RNTuple has checksums. test_thousand_damaged_files.py has more of them, each read on its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from na64root import load_card, ntuple, selection
from na64root.cling import root
from na64root.errors import DataError
from support.planted import around_the_cuts
from support.tree_a import event, write_tree

READER = """
import json, sys
from na64root import load_card, selection
from na64root.errors import DataError
# Copies of one file hold each event again.
card = load_card(overrides=['input.skip_bad_files="on"', "quality.duplicates=keep"])
result = selection.select(sys.argv[1:], card)
print(json.dumps({
    "kept": [file.path for file in result.files],
    "skipped": {file.path: file.cause for file in result.input.files_skipped},
    "cutflow": [[r.period, r.signature, r.cut, r.events] for r in result.cutflow],
}))
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("sound")
    tree = write_tree(folder / "tree.root", around_the_cuts(400))
    options = root().RDF.RSnapshotOptions()
    options.fOutputFormat = root().RDF.ESnapshotOutputFormat.kRNTuple
    frame = root().RDataFrame("tree", tree)
    for name, size in {"HCAL_ene": 36, "ECAL_ene": 72, "SRD_ene": 4, "VETO_ene": 6}.items():
        text = f"std::array<double, {size}> a; std::copy({name}.begin(), {name}.end(), a.begin()); return a;"
        frame = frame.Redefine(name, text)
    columns = [str(name) for name in frame.GetColumnNames()]
    frame.Snapshot("tree", str(folder / "rntuple.root"), columns, options)
    return {"ttree": tree, "rntuple": str(folder / "rntuple.root")}


def regions(path: str) -> dict[str, list[tuple[int, int]]]:
    """Byte ranges of a file by what they hold."""
    size = Path(path).stat().st_size
    file = root().TFile.Open(path)
    keys = [(int(k.GetSeekKey()), int(k.GetSeekKey() + k.GetNbytes())) for k in file.GetListOfKeys()]
    start = int(file.GetSeekKeys())
    info = int(file.GetSeekInfo())
    found = {
        "header": [(4, 100)],
        "keys": [(start, start + int(file.GetNbytesInfo()) % 200 + 100), *((a, a + 60) for a, _ in keys)],
        "streamer info": [(info, info + int(file.GetNbytesInfo()))],
        "tree": keys,
        "events": [(200, min(first for first, _ in keys))],
    }
    file.Close()
    return {name: [(a, min(b, size)) for a, b in ranges] for name, ranges in found.items()}


def damaged(path: str, folder: Path, count: int, seed: int) -> dict[str, str]:
    """`count` copies: cut short, or with one to three bits flipped in one region; the region of each."""
    rng = np.random.default_rng(seed)
    content = Path(path).read_bytes()
    places = regions(path)
    kinds = ["cut", *places]
    made = {}
    for number in range(count):
        kind = kinds[number % len(kinds)]
        changed = bytearray(content)
        if kind == "cut":
            changed = changed[: int(rng.integers(1, len(content)))]
        else:
            ranges = places[kind]
            for _ in range(int(rng.integers(1, 4))):
                first, last = ranges[int(rng.integers(len(ranges)))]
                changed[int(rng.integers(first, last))] ^= 1 << int(rng.integers(8))
        name = folder / f"{number:03d}.root"
        name.write_bytes(changed)
        made[str(name)] = kind
    return made


def read_batch(paths: list[str]) -> dict:
    done = subprocess.run([sys.executable, "-c", READER, *paths], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    # ROOT, too, prints to standard output.
    return json.loads(done.stdout.splitlines()[-1])


def check(sound: dict[str, str], folder: Path, format: str, count: int, seed: int) -> dict[str, int]:
    good = sound[format]
    files = damaged(good, folder, count, seed)
    one = selection.select([good], load_card()).cutflow
    expected = {(r.period, r.signature, r.cut): r.events for r in one}
    unsure = [path for path, kind in files.items() if format == "ttree" and kind in ("events", "tree")]
    sure = [path for path in files if path not in unsure]
    passed = 0
    for batch in (sure, unsure):
        if not batch:
            continue
        found = read_batch([good, *batch])
        assert found["kept"][0] == good
        assert sorted(found["kept"] + list(found["skipped"])) == sorted([good, *batch])
        assert all(path in cause and "\n" not in cause for path, cause in found["skipped"].items())
        flow = {(p, s, c): n for p, s, c, n in found["cutflow"]}
        assert flow.keys() == expected.keys()
        kept = len(found["kept"])
        passed += kept - 1
        for row, events in flow.items():
            if batch is sure or row[2] == "initial":
                assert events == kept * expected[row], row
    return {"files": len(files), "read": passed}


@pytest.mark.parametrize("format", ["ttree", "rntuple"])
def test_damaged_files(tmp_path, sound, format):
    found = check(sound, tmp_path, format, count=18, seed=20)
    assert found["read"] < found["files"] / 2


def test_skipped_files_are_listed_and_all_bad_is_an_error(tmp_path, sound, caplog):
    card = load_card(overrides=['input.skip_bad_files="on"'])
    bad = tmp_path / "bad.root"
    bad.write_bytes(Path(sound["ttree"]).read_bytes()[:1000])
    notes = tmp_path / "notes.root"
    notes.write_text("no ROOT file")
    with pytest.raises(DataError, match="bad.root is damaged"):
        selection.select([sound["ttree"], str(bad)], load_card())
    inputs = [str(bad), sound["ttree"], sound["rntuple"], str(notes)]
    result = selection.select(inputs, card)
    assert [file.path for file in result.files] == [sound["ttree"]]
    causes = {file.path: file.cause for file in result.input.files_skipped}
    assert "damaged" in causes[str(bad)]
    assert "is not a ROOT file" in causes[str(notes)]
    assert "one chain, two kinds" in causes[sound["rntuple"]]
    for path in causes:
        assert any(path in record.getMessage() for record in caplog.records)
    plain = selection.select([sound["ttree"]], load_card())
    assert result.cutflow == plain.cutflow
    record = ntuple.inspect(inputs, card)
    assert [file.path for file in record.files_skipped] == [str(bad), sound["rntuple"], str(notes)]
    assert record.provenance.input is not None
    assert record.provenance.input.files_skipped == record.files_skipped
    with pytest.raises(DataError, match="all 2 files are bad") as caught:
        selection.select([str(bad), str(notes)], card)
    assert "\n" not in str(caught.value)


def places_in(path: str) -> dict[str, int]:
    """Where some numbers of a file are: of its header, its list of keys, the key of its events, a basket."""
    file = root().TFile.Open(path)
    key, keys = file.GetKey("tree"), int(file.GetSeekKeys())
    content = Path(path).read_bytes()
    first = keys + int.from_bytes(content[keys + 14 : keys + 16], "big")
    found = {
        "streamers": 37,
        "list's key length": keys + 14,
        "size in list": first + 4,
        "name in list": content.index(b"\x04tree", first) + 1,
        "length": int(key.GetSeekKey()) + 6,
        "bytes": int(key.GetSeekKey() + key.GetKeylen()),
        "events": int(key.GetSeekKey()),
    }
    if key.GetClassName() == "TTree":
        basket = int(file.Get("tree").GetBranch("ECAL_ene").GetBasketSeek(0))
        found |= {"basket size": basket, "basket length": basket + 6}
    file.Close()
    return found


@pytest.mark.parametrize(
    ("format", "place", "bytes_there"),
    [
        ("ttree", "streamers", "events"),
        ("rntuple", "streamers", "events"),
        ("ttree", "size in list", b"\x7f"),
        ("ttree", "length", b"\0\0\0\x01"),
        ("ttree", "name in list", b"\xff"),
        ("ttree", "basket size", b"\0\x08"),
        ("ttree", "basket length", b"\0\0\0\0"),
        ("rntuple", "size in list", b"\x7f"),
        ("rntuple", "bytes", b"\0\0\0\0"),
        ("rntuple", "list's key length", b"\0\x64"),
    ],
)
def test_numbers_that_root_believes(tmp_path, sound, format, place, bytes_there):
    """ROOT crashes where it is told so, never ends, or takes packed numbers for plain ones."""
    places = places_in(sound[format])
    changed = bytearray(Path(sound[format]).read_bytes())
    if isinstance(bytes_there, str):
        bytes_there = places[bytes_there].to_bytes(4, "big")
    assert changed[places[place] : places[place] + len(bytes_there)] != bytes_there
    changed[places[place] : places[place] + len(bytes_there)] = bytes_there
    path = tmp_path / "file.root"
    path.write_bytes(changed)
    for read in (selection.select, ntuple.inspect):
        if place == "name in list" and read is ntuple.inspect:
            assert {tree.entries for tree in ntuple.inspect([str(path)], load_card()).trees} == {None}
            continue
        with pytest.raises(DataError) as caught:
            read([str(path)], load_card())
        assert str(path) in str(caught.value)
        assert "damaged" in str(caught.value) or place == "name in list"


@pytest.mark.parametrize("within", ["", "folder"])
@pytest.mark.parametrize("keys", [3, 0x7FFFFFFF])
def test_a_list_of_more_keys_than_it_has_room_for(tmp_path, within, keys):
    """ROOT reads past its end, of the file and of a folder in it."""
    path = write_tree(tmp_path / "file.root", [event()])
    file = root().TFile.Open(path, "UPDATE")
    folder = file.mkdir("folder")
    folder.WriteObject(root().TNamed("one", ""), "one")
    file.Close()
    file = root().TFile.Open(path)
    place = int((file.Get(within) if within else file).GetSeekKeys())
    file.Close()
    assert ntuple.inspect([path], load_card()).entries == 1
    content = bytearray(Path(path).read_bytes())
    at = place + int.from_bytes(content[place + 14 : place + 16], "big")
    assert int.from_bytes(content[at : at + 4], "big") == (1 if within else 2)
    content[at : at + 4] = keys.to_bytes(4, "big")
    Path(path).write_bytes(content)
    for read in (selection.select, ntuple.inspect):
        with pytest.raises(DataError, match="is damaged"):
            read([path], load_card())
