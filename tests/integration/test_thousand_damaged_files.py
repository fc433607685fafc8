"""1000 damaged files, TTree and RNTuple: no crash, no hang, no wrong count without a message.

Each file is selected on its own, many to a process; SIGALRM ends the process where one takes too long.
Its counts are those of the undamaged file; or there is an error; or uproot and NumPy (an independent reader)
find the same: ROOT keeps no checksum of what a TTree stores, and pages that changed places keep theirs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uproot

from na64root import load_card, selection
from na64root.cling import root
from support import numpy_selection
from support.planted import around_the_cuts
from support.tree_a import write_tree

# Of a process: files, and seconds that one file may take.
BATCH, PATIENCE = 125, 60
READER = f"""
import json, os, resource, signal, sys
# What a damaged number asks for must not take the machine's memory.
resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
from na64root import load_card, ntuple, selection
from na64root.cling import root
from na64root.errors import Na64Error
root()
for name in ("SIGALRM", "SIGABRT", "SIGSEGV", "SIGBUS"):  # ROOT's handlers can wait for ever
    signal.signal(getattr(signal, name), signal.SIG_DFL)
card = load_card(overrides=["quality.duplicates=keep"])
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # ROOT, too, prints to standard output
for number, path in enumerate(sys.argv[1:]):
    print(json.dumps({{"begun": path}}), file=out, flush=True)
    signal.alarm({PATIENCE})
    found = {{"path": path}}
    try:
        flow = selection.select([path], card).cutflow
        found["cutflow"] = [[r.period, r.signature, r.cut, r.events] for r in flow]
    except Na64Error as error:
        found["error"] = str(error)
    if number % 4 == 0:
        try:
            ntuple.inspect([path], card)
        except Na64Error as error:
            found["inspection"] = str(error)
    signal.alarm(0)
    print(json.dumps(found), file=out, flush=True)
"""
Flow = dict[tuple[str, str, str], int]


def written_again(source: str, path: Path, compression: int, basket: int) -> str:
    """A TTree with another compression and size of baskets, beside another tree of the same branches."""
    ROOT = root()
    old = ROOT.TFile.Open(source)
    file = ROOT.TFile.Open(str(path), "RECREATE", "", compression)
    for name, entries in (("tree", -1), ("other", 40)):
        tree = old.Get("tree").CloneTree(0)
        tree.SetName(name)
        tree.SetBasketSize("*", basket)
        tree.CopyEntries(old.Get("tree"), entries)
        tree.Write()
    file.Close()
    old.Close()
    return str(path)


def as_rntuple(source: str, path: Path, compression: int, page: int) -> str:
    ROOT = root()
    options = ROOT.RDF.RSnapshotOptions()
    options.fOutputFormat = ROOT.RDF.ESnapshotOutputFormat.kRNTuple
    options.fCompressionAlgorithm = ROOT.RCompressionSetting.EAlgorithm.EValues(compression // 100)
    options.fCompressionLevel = compression % 100
    options.fMaxUnzippedPageSize, options.fInitialUnzippedPageSize = page, 256
    frame = ROOT.RDataFrame("tree", source)
    for name, size in {"HCAL_ene": 36, "ECAL_ene": 72, "SRD_ene": 4, "VETO_ene": 6}.items():
        text = f"std::array<double, {size}> a; std::copy({name}.begin(), {name}.end(), a.begin()); return a;"
        frame = frame.Redefine(name, text)
    frame.Snapshot("tree", str(path), [str(name) for name in frame.GetColumnNames()], options)
    return str(path)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> dict[str, list[str]]:
    folder = tmp_path_factory.mktemp("sound")
    trees = [(101, 32000), (404, 4000), (0, 4000), (505, 1000)]
    ntuples = [(505, 1 << 20), (0, 1 << 16), (404, 1 << 12)]
    before = Path.cwd()
    os.chdir(folder)  # a file holds its own name: the same everywhere
    try:
        plain = write_tree(Path("plain.root"), around_the_cuts(400))
        made = {
            "ttree": [written_again(plain, Path(f"tree{c}.root"), c, size) for c, size in trees],
            "rntuple": [as_rntuple(plain, Path(f"ntuple{c}.root"), c, size) for c, size in ntuples],
        }
    finally:
        os.chdir(before)
    return {format: [str(folder / name) for name in names] for format, names in made.items()}


def records_of(content: bytes) -> list[tuple[int, int]]:
    """Where the records of a ROOT file begin and end: baskets, pages, the tree, the list of keys."""
    found, at = [], 100
    while at + 4 <= len(content):
        size = abs(int.from_bytes(content[at : at + 4], "big", signed=True))
        if size < 4:
            break
        found.append((at, at + size))
        at += size
    return found


def cut_short(content: bytearray, rng: np.random.Generator) -> bytearray:
    return content[: int(rng.integers(1, len(content)))]


def place_in(content: bytearray, rng: np.random.Generator) -> int:
    """Of a byte: anywhere, or in a record that is drawn first; one in four times in its key."""
    records = records_of(content)
    kind = rng.integers(4)
    if kind == 0:
        return int(rng.integers(4, len(content)))
    first, last = records[-int(rng.integers(1, 6))] if kind == 1 else records[rng.integers(len(records))]
    last = min(last, first + 60 if kind == 2 else last, len(content))
    return int(rng.integers(min(first, last - 1), last))


def flipped(content: bytearray, rng: np.random.Generator) -> bytearray:
    for _ in range(int(rng.integers(1, 4))):
        content[place_in(content, rng)] ^= 1 << int(rng.integers(8))
    return content


def zeroed(content: bytearray, rng: np.random.Generator) -> bytearray:
    at, size = place_in(content, rng), int(2 ** rng.uniform(0, 13))
    content[at : at + size] = bytes(len(content[at : at + size]))
    return content


def spliced(content: bytearray, rng: np.random.Generator) -> bytearray:
    """A piece over another, or put between, or left out."""
    at, from_, size = place_in(content, rng), place_in(content, rng), int(2 ** rng.uniform(0, 13))
    piece = content[from_ : from_ + size]
    kind = rng.integers(3)
    if kind == 0:
        content[at : at + len(piece)] = piece[: len(content) - at]
    elif kind == 1:
        content[at:at] = piece
    else:
        del content[at : at + size]
    return content


def exchanged(content: bytearray, rng: np.random.Generator) -> bytearray:
    """Two records, their keys, or two fields of the list of keys change places."""
    records = records_of(content)
    by_size: dict[int, list[tuple[int, int]]] = {}
    for first, last in records:
        by_size.setdefault(last - first, []).append((first, last))
    alike = [same for same in by_size.values() if len(same) > 1]
    kind = rng.integers(3)
    if kind == 0 and alike:
        same = alike[rng.integers(len(alike))]
        one, other = (same[i] for i in rng.choice(len(same), 2, replace=False))
    elif kind == 1:  # keys: size, lengths, time, cycle, places; sometimes the class, too
        size = int(rng.choice([18, 26, 40]))
        one, other = (
            (records[i][0], records[i][0] + size) for i in rng.choice(len(records), 2, replace=False)
        )
    else:
        # A place in the file (4 bytes), of a key or within the tree, for that of another record.
        chosen = rng.choice(len(records), 2, replace=False)
        texts = [records[i][0].to_bytes(4, "big") for i in chosen]
        found = [[at for at in occurrences(content, text)] for text in texts]
        pairs = [(a, b) for a in found[0] for b in found[1]]
        one, other = ((at, at + 4) for at in pairs[rng.integers(len(pairs))])
    content[slice(*one)], content[slice(*other)] = content[slice(*other)], content[slice(*one)]
    return content


def occurrences(content: bytearray, text: bytes) -> Iterator[int]:
    at = content.find(text)
    while at >= 0:
        yield at
        at = content.find(text, at + 1)


def read(paths: list[str]) -> dict[str, dict]:
    """What is found of each file; of one that ended its process, how."""
    found: dict[str, dict] = {}
    while left := [path for path in paths if path not in found]:
        done = subprocess.run([sys.executable, "-c", READER, *left[:BATCH]], capture_output=True)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        found |= {line["path"]: line for line in lines if "path" in line}
        begun = [line["begun"] for line in lines if "begun" in line]
        assert begun, done.stderr.decode(errors="replace")[-2000:]
        if done.returncode:
            said = done.stderr.decode(errors="replace").splitlines()
            found[begun[-1]] = {"end": f"exit code {done.returncode}", "said": "\n".join(said[-30:])}
    return found


def of_others(path: str) -> Flow | None:
    """The cut flow by uproot and NumPy; None where uproot cannot read the file."""
    names = [*numpy_selection.SCALARS, *numpy_selection.ARRAYS]
    try:
        with uproot.open(path) as file:
            arrays = file["tree"].arrays(names)
        events = {name: np.asarray(arrays[name]) for name in names}
    except Exception:
        return None
    for name, shape in numpy_selection.ARRAYS.items():
        events[name] = events[name].reshape(-1, *shape)
    return numpy_selection.cutflow(events)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut_short, flipped, zeroed, spliced, exchanged])
@pytest.mark.parametrize("format", ["ttree", "rntuple"])
def test_a_hundred_files_of_each_damage(tmp_path, sound, format, damage):
    seed = 100 * ["ttree", "rntuple"].index(format) + damage.__name__.encode()[0]
    paths = []
    for number in range(100):
        rng = np.random.default_rng([seed, number])
        source = Path(sound[format][number % len(sound[format])])
        path = tmp_path / f"{number:03d}-{source.name}"
        path.write_bytes(damage(bytearray(source.read_bytes()), rng))
        paths.append(str(path))
    one = selection.select([sound[format][0]], load_card()).cutflow
    expected = {(r.period, r.signature, r.cut): r.events for r in one}
    assert expected == of_others(sound[format][0])
    faults = []
    errors = 0
    for path, found in read(paths).items():
        if "error" in found:
            errors += 1
            if "\n" in found["error"] or path not in found["error"]:
                faults.append((path, found["error"]))
        elif "cutflow" in found:
            flow = {(p, s, c): n for p, s, c, n in found["cutflow"] if p != "no period"}
            if flow != expected and flow != (others := of_others(path)):
                faults.append(
                    (path, {k: (flow.get(k), n, others and others[k]) for k, n in expected.items()})
                )
        else:
            faults.append((path, found))
    assert not faults
    assert errors > 20
