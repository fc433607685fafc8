"""Files as uproot and ROOT write them: inspected, mapped, selected, and held to uproot and NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from na64root import load_card, ntuple, selection
from na64root.cling import root
from na64root.errors import DataError
from support import numpy_selection
from support.layouts import ENERGIES, READ, card_of, table
from support.planted import around_the_cuts
from support.tree_a import BRANCHES, TYPES, write_tree

Events = dict[str, np.ndarray]
COUNT = 240


def planted() -> Events:
    """Columns of layout A; energies as float holds them, so that every writer keeps them."""
    listed = around_the_cuts(COUNT)
    events = {}
    for name in READ:
        code, shape = BRANCHES[name]
        values = np.array([one[name] for one in listed], TYPES[code]).reshape(-1, *shape)
        events[name] = values.astype(np.float32).astype(np.float64) if code == "D" else values
    return events


EVENTS = planted()
SOURCES = {name: name for name in READ}


class Written:
    """A file, the card's [layout] that reads it, and where uproot finds each branch of layout A."""

    def __init__(
        self,
        path: Path | list[Path],
        layout: str | None = None,
        tree: str = "tree",
        sources: Mapping[str, str | Callable[[Any], np.ndarray]] = SOURCES,
    ) -> None:
        self.paths = [str(p) for p in (path if isinstance(path, list) else [path])]
        self.layout, self.tree, self.sources = layout, tree, sources

    def by_uproot(self) -> Events:
        parts = []
        for path in self.paths:
            with uproot.open(path) as file:
                tree = file[self.tree]
                parts.append(
                    {
                        name: source(file) if callable(source) else tree[source].array()
                        for name, source in self.sources.items()
                    }
                )
        events = {}
        for name in READ:
            values = np.concatenate([np.asarray(ak.to_numpy(part[name])) for part in parts])
            events[name] = values.reshape(-1, *BRANCHES[name][1])
        for flag in numpy_selection.FLAGS:
            events[flag] = events[flag].astype(bool)
        return events


def uproot_tree(
    path: Path, events: Mapping[str, Any], compression: Any, name: str = "tree", parts: int = 1
) -> None:
    with uproot.recreate(path, compression=compression) as file:
        folder, _, last = name.rpartition("/")
        where = file.mkdir(folder) if folder else file
        types = {
            key: values.type if isinstance(values, ak.Array) else (values.dtype, values.shape[1:])
            for key, values in events.items()
        }
        types = {
            key: str(t.content) if isinstance(t, ak.types.ArrayType) else np.dtype(t)
            for key, t in types.items()
        }
        tree = where.mktree(last, types)
        for part in np.array_split(np.arange(COUNT), parts):
            tree.extend({key: values[part] for key, values in events.items()})


def compressed(compression: Any, parts: int = 1, number: type = np.float64) -> Callable[[Path], Written]:
    def write(folder: Path) -> Written:
        events = {
            name: values.astype(number) if name in ENERGIES else values for name, values in EVENTS.items()
        }
        uproot_tree(folder / "file.root", events, compression, parts=parts)
        return Written(folder / "file.root")

    return write


def integers(flag: type, number: type, momentum: type = np.float64) -> Callable[[Path], Written]:
    """Flags and numbers as other integers, through a mapping."""

    def write(folder: Path) -> Written:
        events = dict(EVENTS)
        for name in numpy_selection.FLAGS:
            events[name] = events[name].astype(flag)
        for name in ("run", "spill", "spillevent", "straw3X", "straw3Y"):
            events[name] = events[name].astype(number)
        events["trackMomentum"] = events["trackMomentum"].astype(momentum)
        uproot_tree(folder / "file.root", events, uproot.ZLIB(1), name="ev")
        mapped = {name: f'"{name}"' for name in READ}
        mapped |= {name: f'{{ expression = "{name} != 0" }}' for name in numpy_selection.FLAGS}
        return Written(folder / "file.root", table("ev", mapped), "ev")

    return write


def jagged(folder: Path) -> Written:
    events: dict[str, Any] = dict(EVENTS)
    for name in ("SRD_ene", "VETO_ene"):
        events[name] = ak.Array([list(row) for row in events[name]])
    uproot_tree(folder / "file.root", events, uproot.LZ4(4), name="ev")
    return Written(folder / "file.root", table("ev", {name: f'"{name}"' for name in READ}), "ev")


def subfolder(folder: Path) -> Written:
    uproot_tree(folder / "file.root", EVENTS, uproot.ZSTD(3), name="reco/v2/events")
    with uproot.update(folder / "file.root") as file:
        file.mktree("tree_of_slow_control", {"pressure": "f8"}).extend({"pressure": [1.0, 2.0]})
    layout = table("reco/v2/events", {name: f'"{name}"' for name in READ})
    return Written(folder / "file.root", layout, "reco/v2/events")


def among_others(folder: Path) -> Written:
    """Beside a histogram, an RNTuple, and a tree of almost the same name."""
    with uproot.recreate(folder / "file.root") as file:
        file["h"] = np.histogram([1.0, 2.0])
        file["numbers"] = {"x": np.arange(3.0)}
        tree = file.mktree("tree", {name: np.dtype((v.dtype, v.shape[1:])) for name, v in EVENTS.items()})
        tree.extend(EVENTS)
        file.mktree("trees", {"y": "i4"}).extend({"y": [1]})
    return Written(folder / "file.root")


def uproot_rntuple(folder: Path) -> Written:
    with uproot.recreate(folder / "file.root") as file:
        file.mkrntuple("tree", ak.Array(EVENTS))
    return Written(folder / "file.root")


# With ROOT


def as_layout_a(path: Path, **options: Any) -> str:
    listed = [{name: EVENTS[name][i] for name in READ} for i in range(COUNT)]
    rest = [name for name in BRANCHES if name not in READ]
    return write_tree(path, listed, omit=rest, **options)


def rewritten(option: int, basket: int = 32000) -> Callable[[Path], Written]:
    def write(folder: Path) -> Written:
        ROOT = root()
        old = ROOT.TFile.Open(as_layout_a(folder / "old.root"))
        file = ROOT.TFile.Open(str(folder / "file.root"), "RECREATE", "", option)
        tree = old.Get("tree").CloneTree(0)
        tree.SetBasketSize("*", basket)
        tree.SetAutoSave(50)  # cycles
        tree.CopyEntries(old.Get("tree"))
        tree.Write()
        file.Close()
        old.Close()
        return Written(folder / "file.root")

    return write


def leaf_lists(folder: Path) -> Written:
    """Several leaves to a branch, of several types, as was usual before classes."""
    ROOT = root()
    file = ROOT.TFile.Open(str(folder / "file.root"), "RECREATE")
    tree = ROOT.TTree("h1", "as of 1998")
    lists = {
        "id": (["run", "spill", "spillevent"], np.uint32, "i"),
        "hits": (["straw3X", "straw3Y"], np.int32, "I"),
        "flags": (numpy_selection.FLAGS, np.int32, "I"),
        "sums": (["ecalTotal", "ecalTotalNoTimecut", "ecal0", "hcal0", "hcal1", "hcal2"], np.float32, "F"),
        "track": (["trackMomentum", "showerChi2"], np.float64, "D"),
    }
    buffers = {}
    for branch, (names, type_, code) in lists.items():
        buffers[branch] = np.zeros(len(names), type_)
        tree.Branch(branch, buffers[branch], ":".join(f"{name}/{code}" for name in names))
    for name in ("ECAL_ene", "HCAL_ene", "SRD_ene", "VETO_ene"):
        buffers[name] = np.zeros(BRANCHES[name][1])
        tree.Branch(name, buffers[name], f"{name}{''.join(f'[{n}]' for n in BRANCHES[name][1])}/D")
    for i in range(COUNT):
        for branch, buffer in buffers.items():
            names = lists[branch][0] if branch in lists else None
            buffer[...] = [EVENTS[name][i] for name in names] if names else EVENTS[branch][i]
        tree.Fill()
    tree.Write()
    file.Close()
    of = {name: f"{branch}.{name}" for branch, (names, _, _) in lists.items() for name in names}
    mapped = {name: f'"{of.get(name, name)}"' for name in READ}
    mapped |= {name: f'{{ expression = "flags.{name} == 1" }}' for name in numpy_selection.FLAGS}
    sources: dict[str, Any] = {
        name: (lambda file, n=name: file["h1"][of[n].split(".")[0]].array(library="np")[n])
        if name in of
        else name
        for name in READ
    }
    return Written(folder / "file.root", table("h1", mapped), "h1", sources)


def ntuple_of_floats(folder: Path) -> Written:
    """A TNtuple has floats alone: numbers as floats, cells in a friend in the same file."""
    ROOT = root()
    scalars = [name for name in READ if not BRANCHES[name][1]]
    file = ROOT.TFile.Open(str(folder / "file.root"), "RECREATE")
    one = ROOT.TNtuple("nt", "all is float", ":".join(scalars))
    for i in range(COUNT):
        one.Fill(np.array([EVENTS[name][i] for name in scalars], np.float32))
    one.Write()
    cells = ROOT.TTree("cells", "")
    arrays = [name for name in READ if BRANCHES[name][1]]
    buffers = {name: np.zeros(BRANCHES[name][1]) for name in arrays}
    for name in arrays:
        cells.Branch(name, buffers[name], f"{name}{''.join(f'[{n}]' for n in BRANCHES[name][1])}/D")
    for i in range(COUNT):
        for name in arrays:
            buffers[name][...] = EVENTS[name][i]
        cells.Fill()
    cells.Write()
    file.Close()
    mapped = {name: f'"{name}"' for name in scalars} | {name: f'"c.{name}"' for name in arrays}
    whole = ("run", "spill", "spillevent", "straw3X", "straw3Y")
    mapped |= {name: f'{{ expression = "int({name})" }}' for name in whole}
    mapped |= {name: f'{{ expression = "{name} > 0.5f" }}' for name in numpy_selection.FLAGS}
    layout = table("nt", mapped) + '[[layout.friends]]\ntree = "cells"\nalias = "c"\n'
    sources: dict[str, Any] = dict.fromkeys(READ)
    for name in READ:
        sources[name] = (lambda file, n=name: file["cells"][n].array()) if name in arrays else name
    return Written(folder / "file.root", layout, "nt", sources)


def friends(folder: Path) -> Written:
    calorimeters = [name for name in ENERGIES if name != "trackMomentum"]
    uproot_tree(
        folder / "run1.root", {n: v for n, v in EVENTS.items() if n not in calorimeters}, None, name="ev"
    )
    uproot_tree(folder / "run1_calo.root", {n: EVENTS[n] for n in calorimeters}, uproot.LZMA(1), name="calo")
    mapped = {n: f'"calo.{n}"' if n in calorimeters else f'"{n}"' for n in READ}
    layout = table("ev", mapped) + (
        '[[layout.friends]]\ntree = "calo"\nalias = "calo"\nfiles = ["{folder}/{stem}_calo.root"]\n'
    )
    other = str(folder / "run1_calo.root")
    sources: dict[str, Any] = {
        n: (lambda _, n=n: uproot.open(f"{other}:calo")[n].array()) if n in calorimeters else n for n in READ
    }
    return Written(folder / "run1.root", layout, "ev", sources)


def in_two(folder: Path) -> list[Path]:
    halves = []
    for number, part in enumerate(np.array_split(np.arange(COUNT), 2)):
        halves.append(folder / f"part{number}.root")
        with uproot.recreate(halves[-1], compression=[uproot.ZLIB(9), uproot.LZ4(1)][number]) as file:
            tree = file.mktree("tree", {n: np.dtype((v.dtype, v.shape[1:])) for n, v in EVENTS.items()})
            tree.extend({name: values[part] for name, values in EVENTS.items()})
    return halves


def chained(folder: Path) -> Written:
    return Written(in_two(folder))


def merged(fast: bool) -> Callable[[Path], Written]:
    def write(folder: Path) -> Written:
        ROOT = root()
        merger = ROOT.TFileMerger(False)
        merger.SetFastMethod(fast)
        merger.OutputFile(str(folder / "file.root"), "RECREATE")
        for part in in_two(folder):
            merger.AddFile(str(part))
        assert merger.Merge()
        return Written(folder / "file.root")

    return write


def merged_chain(folder: Path) -> Written:
    chain = root().TChain("tree")
    for part in in_two(folder):
        chain.Add(str(part))
    chain.Merge(str(folder / "file.root"))
    return Written(folder / "file.root")


def snapshot(rntuple: bool) -> Callable[[Path], Written]:
    """What RDataFrame writes of arrays: RVec, in a TTree std::vector."""

    def write(folder: Path) -> Written:
        ROOT = root()
        options = ROOT.RDF.RSnapshotOptions()
        if rntuple:
            options.fOutputFormat = ROOT.RDF.ESnapshotOutputFormat.kRNTuple
        frame = ROOT.RDataFrame("tree", as_layout_a(folder / "flat.root"))
        frame = frame.Redefine("SRD_ene", "ROOT::RVecF(SRD_ene.begin(), SRD_ene.end())")
        frame.Snapshot("tree", str(folder / "file.root"), READ, options)
        layout = None if rntuple else table("tree", {name: f'"{name}"' for name in READ})
        return Written(folder / "file.root", layout)

    return write


WRITERS: dict[str, Callable[[Path], Written]] = {
    "zlib": compressed(uproot.ZLIB(6)),
    "lzma float": compressed(uproot.LZMA(1), number=np.float32),
    "lz4 baskets": compressed(uproot.LZ4(4), parts=40),
    "zstd float baskets": compressed(uproot.ZSTD(5), parts=7, number=np.float32),
    "not compressed": compressed(None),
    "flags int8, numbers int64": integers(np.int8, np.int64),
    "flags uint16, numbers uint64": integers(np.uint16, np.uint64, np.float32),
    "flags bool, numbers int32": integers(np.bool_, np.int32),
    "jagged": jagged,
    "subfolder, several trees": subfolder,
    "among others": among_others,
    "uproot RNTuple": uproot_rntuple,
    "ROOT zlib": rewritten(109),
    "ROOT lzma": rewritten(201, 2000),
    "ROOT lz4, an event a basket": rewritten(404, 600),
    "ROOT zstd": rewritten(505, 4000),
    "ROOT zlib without a level": rewritten(1, 8000),
    "leaf lists": leaf_lists,
    "TNtuple and friend": ntuple_of_floats,
    "friend files": friends,
    "chain of compressions": chained,
    "hadd fast": merged(True),
    "hadd": merged(False),
    "TChain::Merge": merged_chain,
    "Snapshot": snapshot(False),
    "Snapshot RNTuple": snapshot(True),
}


@pytest.fixture(scope="module")
def expected() -> dict[tuple[str, str, str], int]:
    flow = numpy_selection.cutflow(EVENTS)
    assert all(
        flow[period, signature, "shower_chi2"] > 0
        for period in ("2016", "2018")
        for signature in ("S1", "S2")
    )
    return flow


# Each of them has mappings of its own to compile.
SLOW = ("flags int8, numbers int64", "flags uint16, numbers uint64", "flags bool, numbers int32", "Snapshot")


@pytest.mark.parametrize(
    "writer", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in WRITERS]
)
def test_files_of_others_give_the_counts_of_uproot_and_numpy(tmp_path, expected, writer):
    written = WRITERS[writer](tmp_path)
    found = written.by_uproot()
    for name, values in EVENTS.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    card = card_of(tmp_path, written.layout) if written.layout else load_card()
    record = ntuple.inspect(written.paths, card)
    assert record.entries == COUNT
    assert record.can_evaluate.model_dump() == {"S1": True, "S2": True, "cuts_not_applied": []}
    result = selection.select(written.paths, card)
    assert {(row.period, row.signature, row.cut): row.events for row in result.cutflow} == expected


def test_of_two_trees_of_one_name_the_older_is_not_read_silently(tmp_path):
    """uproot puts the second behind the first, and reads it; ROOT reads the first."""
    path = tmp_path / "file.root"
    with uproot.recreate(path) as file:
        for part in (slice(100), slice(None)):
            tree = file.mktree("tree", {n: np.dtype((v.dtype, v.shape[1:])) for n, v in EVENTS.items()})
            tree.extend({name: values[part] for name, values in EVENTS.items()})
    for read in (selection.select, ntuple.inspect):
        with pytest.raises(DataError, match="would read cycle 1, the last one is 2"):
            read([str(path)], load_card())
