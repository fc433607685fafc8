"""`inspect` on files of any kind: what is in them, column by column, compared with what was written."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from na64root import ntuple
from na64root.cling import declare, literal, root
from na64root.config import load_card
from na64root.errors import DataError
from na64root.ntuple.contents import Survey, contents_of, trees_of
from support.commands import run
from support.tree_a import event, write_tree

CARD = load_card()
PROPERTY = settings(deadline=None, derandomize=True, max_examples=20)


def columns_of(path: str, tree: str) -> dict[str, Any]:
    return {column.name: column for column in Survey([path], tree, []).contents()}


# Whatever uproot writes: names, types, shapes and orders at random, compared with NumPy.

TYPES = ["f8", "f4", "i8", "u8", "i4", "u4", "i2", "u2", "i1", "u1", "bool"]
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)
ODD = [np.nan, np.inf, -np.inf, -1.0, -999.0, 999.0, 1e30, 0.0, 0.25]
SUSPECTS = (-1.0, -999.0, 999.0, 1e30)


@st.composite
def numbers(draw) -> np.ndarray[Any, Any]:
    kind = np.dtype(draw(st.sampled_from(TYPES)))
    shape = (draw(st.integers(1, 9)), *draw(st.lists(st.integers(1, 3), max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if kind.kind == "f":
        odd = rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 1.0]))
        return np.where(odd, rng.choice(ODD, shape), rng.uniform(-500, 500, shape)).astype(kind)
    if kind.kind == "b":
        return rng.random(shape) < 0.5
    ends = np.iinfo(kind)
    some = np.array([ends.min, ends.max, 0, *rng.integers(ends.min, ends.max, 5, kind)], kind)
    return rng.choice(some, shape)


@st.composite
def tables(draw) -> dict[str, np.ndarray[Any, Any]]:
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique_by=str.lower))
    table = {name: draw(numbers()) for name in names}
    events = min(len(values) for values in table.values())
    return {name: values[:events] for name, values in table.items()}


def check(column: Any, values: np.ndarray[Any, Any]) -> None:
    assert column.not_read is None
    assert tuple(column.shape) == values.shape[1:]
    assert column.events == len(values)
    is_finite = np.isfinite(values)
    finite = values[is_finite]
    assert column.nan == np.count_nonzero(np.isnan(values)) / values.size
    assert column.infinite == np.count_nonzero(np.isinf(values)) / values.size
    assert column.minimum == (finite.min() if finite.size else None)
    assert column.maximum == (finite.max() if finite.size else None)
    if values.dtype.kind == "f":
        shares = {f"{x:g}": np.count_nonzero(values == values.dtype.type(x)) / values.size for x in SUSPECTS}
        assert {name: share for name, share in column.like_no_value.items() if name in shares} == {
            name: share for name, share in shares.items() if share
        }
    example = np.ravel(column.example).astype(float)
    rows = values.reshape(len(values), -1)[:, : len(example)]
    with np.errstate(invalid="ignore"):
        shown = np.where(np.isfinite(rows.astype(float)), rows.astype(float), np.nan)
    assert any(np.array_equal(row, example, equal_nan=True) for row in shown)


@PROPERTY
@given(table=tables(), rntuple=st.booleans())
def test_columns_are_what_uproot_wrote(tmp_path_factory, table, rntuple):
    uproot = pytest.importorskip("uproot")
    path = str(tmp_path_factory.mktemp("columns") / "file.root")
    with uproot.recreate(path) as file:
        if rntuple:
            file.mkrntuple("events", table)
        else:
            file.mktree("events", {name: (v.dtype, v.shape[1:]) for name, v in table.items()})
            file["events"].extend(table)
    (survey,) = trees_of(path, contents_of(path)).values()
    assert survey.entries == [len(next(iter(table.values())))]
    found = {column.name: column for column in survey.contents()}
    assert found.keys() == table.keys()
    for name, values in table.items():
        check(found[name], values)
    if not rntuple:  # a proposal names what a mapping can read
        known = {str(name) for name in root().RDataFrame("events", literal(path)).GetColumnNames()}
        assert set(survey.read) <= known


@PROPERTY
@given(
    rows=st.lists(st.lists(st.floats(-500, 500), max_size=5), min_size=1, max_size=9), rntuple=st.booleans()
)
def test_arrays_of_different_lengths(tmp_path_factory, rows, rntuple):
    uproot, awkward = pytest.importorskip("uproot"), pytest.importorskip("awkward")
    path = str(tmp_path_factory.mktemp("jagged") / "file.root")
    flat = np.array([x for row in rows for x in row], dtype=np.float64)
    array = awkward.unflatten(flat, [len(row) for row in rows])
    with uproot.recreate(path) as file:
        if rntuple:
            file.mkrntuple("events", {"x": array})
        else:
            file.mktree("events", {"x": "var * float64"})
            file["events"].extend({"x": array})
    column = columns_of(path, "events")["x"]
    values = [x for row in rows for x in row]
    assert column.shape == [0]
    assert column.events == len(rows)
    if values:
        assert column.lengths == [min(map(len, rows)), max(map(len, rows))]
        assert (column.minimum, column.maximum) == (min(values), max(values))
        assert column.example in [row[:3] for row in rows]


# What else ROOT writes

KINDS = r"""
#include <TClonesArray.h>
#include <TError.h>
#include <TFile.h>
#include <TH2D.h>
#include <TParticle.h>
#include <TTree.h>
#include <TVector2.h>
#include <TVector3.h>
#include <complex>
#include <deque>
#include <set>

void na64root_test_kinds_seen(const char *path) {
    const int level = std::exchange(gErrorIgnoreLevel, kError); // it warns of what it does not split
    TFile file(path, "RECREATE");
    TH1D spectrum("spectrum", "", 10, 0, 1);
    spectrum.Write();
    file.mkdir("folder")->cd();
    TH2D plane("plane", "", 2, 0, 1, 2, 0, 1);
    plane.Write();
    double packed;
    TTree inner("inner", "");
    inner.Branch("x", &packed, "x/D");
    packed = 7.0;
    inner.Fill();
    inner.Write();
    file.cd();
    TTree tree("events", "");
    std::string word;
    TString other_word("other");
    char text[20];
    std::vector<double> row;
    std::vector<std::vector<float>> rows;
    std::vector<std::string> words;
    std::vector<bool> flags;
    std::set<int> set;
    std::deque<int> queue;
    std::array<double, 4> four;
    ROOT::RVec<float> rvec;
    TVector2 plain;
    TVector3 space;
    TParticle particle;
    std::vector<TVector3> spaces;
    TClonesArray particles("TParticle");
    int n;
    double jagged[10], cells[10][3], whole[2][3]{};
    float small;
    struct { double b; int a; float c[2]; } leaves{2.5, 1, {3, 4}};
    Long64_t large;
    ULong64_t largest;
    tree.Branch("word", &word);
    tree.Branch("other_word", &other_word);
    tree.Branch("text", text, "text/C");
    tree.Branch("row", &row);
    tree.Branch("rows", &rows);
    tree.Branch("words", &words);
    tree.Branch("flags", &flags);
    tree.Branch("set", &set);
    tree.Branch("queue", &queue);
    tree.Branch("four", &four);
    tree.Branch("rvec", &rvec);
    tree.Branch("plain", &plain);
    tree.Branch("space", &space);
    tree.Branch("particle.", &particle);
    tree.Branch("spaces", &spaces);
    tree.Branch("particles", &particles);
    tree.Branch("n", &n, "n/I");
    tree.Branch("jagged", jagged, "jagged[n]/D");
    tree.Branch("cells", cells, "cells[n][3]/D");
    tree.Branch("whole", whole, "whole[2][3]/D");
    tree.Branch("packed", &packed, "packed/d[0,10,12]");
    tree.Branch("small", &small, "small/f");
    tree.Branch("leaves", &leaves, "b/D:a/I:c[2]/F");
    tree.Branch("large", &large, "large/L");
    tree.Branch("largest", &largest, "largest/l");
    tree.Branch("another", &large, "leaf/L");
    for (int i = 0; i < 5; ++i) {
        word = i == 3 ? std::string(300, 'x') : "run " + std::to_string(i);
        std::snprintf(text, sizeof text, "\"%d\"", i);
        row.assign(i, 1.5 * i);
        rows = {{1, 2}, {}, {float(i)}};
        words = {"a", std::string(400, 'b')};
        flags = {true, false};
        set = {1, 2, 10 * i};
        queue = {1, 2, i};
        four = {1, 2, 3, double(i)};
        rvec = {float(-i)};
        spaces.assign(i, space);
        particles.Clear();
        for (int k = 0; k < i; ++k)
            new (particles[k]) TParticle(11, 1, 0, 0, 0, 0, k, 2, 3, 4, 5, 6, 7, 8);
        n = i;
        for (int k = 0; k < 10; ++k)
            jagged[k] = cells[k][0] = cells[k][1] = cells[k][2] = k;
        whole[1][2] = packed = small = i;
        large = (1ll << 60) + i;
        largest = ~0ull - i;
        tree.Fill();
    }
    tree.Write();
    tree.Write();
    gErrorIgnoreLevel = level;
}
"""


@pytest.fixture(scope="module")
def kinds(tmp_path_factory) -> str:
    declare(KINDS, optimised=False)
    path = str(tmp_path_factory.mktemp("kinds") / "kinds.root")
    root().na64root_test_kinds_seen(path)
    return path


@pytest.mark.parametrize(
    ("name", "kind", "shape", "least", "most", "lengths"),
    [
        ("row", "vector<double>", [0], 1.5, 6.0, [0, 4]),
        ("rows", "vector<vector<float> >", [0, 0], 0.0, 4.0, [3, 3]),
        ("flags", "vector<bool>", [0], 0, 1, [2, 2]),
        ("set", "set<int>", [0], 0, 40, [3, 3]),
        ("queue", "deque<int>", [0], 0, 4, [3, 3]),
        ("four", "Double_t", [4], 0.0, 4.0, None),
        ("rvec", "ROOT::VecOps::RVec<float>", [0], -4.0, 0.0, [1, 1]),
        ("particles.fPx", "Double_t", [0], 0.0, 3.0, [0, 4]),
        ("particles.fPdgCode", "Int_t", [0], 11, 11, [0, 4]),
        ("particles.fMother[2]", "Int_t", [0, 2], 0, 0, [0, 8]),
        ("n", "Int_t", [], 0, 4, None),
        ("jagged", "Double_t", [0], 0.0, 3.0, [0, 4]),
        ("cells", "Double_t", [0, 3], 0.0, 3.0, [0, 12]),
        ("whole", "Double_t", [2, 3], 0.0, 4.0, None),
        ("packed", "Double32_t", [], 0.0, 3.9990234375, None),
        ("small", "Float16_t", [], 0.0, 4.0, None),
        ("leaves.b", "Double_t", [], 2.5, 2.5, None),
        ("leaves.a", "Int_t", [], 1, 1, None),
        ("leaves.c", "Float_t", [2], 3.0, 4.0, None),
        ("large", "Long64_t", [], 2**60, 2**60 + 4, None),
        ("largest", "ULong64_t", [], 2**64 - 5, 2**64 - 1, None),
        ("another", "Long64_t", [], 2**60, 2**60 + 4, None),
    ],
)
def test_numbers_of_all_kinds(kinds, name, kind, shape, least, most, lengths):
    column = columns_of(kinds, "events")[name]
    assert (column.type, column.shape, column.lengths, column.events) == (kind, shape, lengths, 5)
    assert (column.minimum, column.maximum) == (least, most)
    assert column.not_read is None


@pytest.mark.parametrize(
    ("name", "example"),
    [("word", "run 0"), ("text", '"0"'), ("words", "a")],
)
def test_text_is_read(kinds, name, example):
    column = columns_of(kinds, "events")[name]
    assert (column.example, column.events, column.not_read) == (example, 5, None)
    assert column.minimum is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("other_word", "TString"),
        ("plain", "TVector2"),
        ("space", "TVector3"),
        ("spaces", "vector<TVector3>"),
        ("particles", "TClonesArray of TParticle"),
    ],
)
def test_objects_are_named_and_not_read(kinds, name, kind):
    column = columns_of(kinds, "events")[name]
    assert column.type == kind
    assert "an object" in column.not_read
    assert (column.example, column.minimum, column.events) == (None, None, 0)


def test_columns_go_by_the_names_of_rdataframe(kinds):
    survey = Survey([kinds], "events", [])
    known = {str(name) for name in root().RDataFrame("events", kinds).GetColumnNames()}
    assert set(survey.read) <= known
    assert len(survey.read) > 30


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("word", "string"),
        ("other_word", "TString"),
        ("text", "Char_t[n]"),
        ("words", "string[n]"),
        ("rows", "Float_t[n]"),
        ("set", "set<int>"),
        ("plain", "TVector2"),
        ("particle.", "TParticle"),
        ("particles", "TClonesArray"),
        ("leaves.b", None),
        ("small", None),
    ],
)
def test_no_sound_column_is_called_damaged(kinds, tmp_path, name, what):
    """Whatever a mapping names: it is read, or said to be of another type."""
    card = tmp_path / "card.toml"
    card.write_text(
        'extends = "paper2021"\n[layout]\ntree = "events"\n[layout.branches]\nrun = "n"\nspill = "n"\n'
        f'spillevent = "n"\necalTotal = {json.dumps(name)}\n',
        "utf-8",
    )
    if what is None:
        assert "ecalTotal" in ntuple.open_ntuple([kinds], load_card(card)).present
        return
    with pytest.raises(DataError) as caught:
        ntuple.open_ntuple([kinds], load_card(card))
    assert f"ecalTotal: {name} is {what} (a number is expected)" in str(caught.value)


FIELDS = r"""
#include <ROOT/RNTupleModel.hxx>
#include <ROOT/RNTupleWriter.hxx>
#include <TFile.h>
void na64root_test_fields(const char *path) {
    auto model = ROOT::RNTupleModel::Create();
    auto nested = model->MakeField<std::vector<std::vector<float>>>("nested");
    auto rows = model->MakeField<std::array<std::vector<float>, 2>>("rows");
    auto pairs = model->MakeField<std::vector<std::pair<int, float>>>("pairs");
    auto pair = model->MakeField<std::pair<int, float>>("pair");
    auto word = model->MakeField<std::string>("word");
    auto words = model->MakeField<std::vector<std::string>>("words");
    auto flags = model->MakeField<std::vector<bool>>("flags");
    auto letter = model->MakeField<char>("letter");
    for (const char *type : {"std::optional<double>", "std::variant<std::int32_t,double>", "std::bitset<8>"})
        model->AddField(ROOT::RFieldBase::Create(std::string("as_") + type[5], type).Unwrap());
    TFile file(path, "RECREATE");
    {
        auto writer = ROOT::RNTupleWriter::Append(std::move(model), "fields", *file.mkdir("folder"));
        for (int i = 0; i < 6; ++i) {
            *nested = {{1, 2}, {}, {float(i)}};
            *rows = {std::vector<float>{}, std::vector<float>{-999}};
            *pairs = {{i, 2}};
            *pair = {-1, -999};
            *word = "word " + std::to_string(i);
            *words = {"q"};
            *flags = {true};
            *letter = 'a';
            writer->Fill();
        }
    }
}
"""


def test_fields_of_an_rntuple_in_a_folder(tmp_path):
    declare(FIELDS, optimised=False)
    path = str(tmp_path / "fields.root")
    root().na64root_test_fields(path)
    assert contents_of(path).folders == ["folder"]
    found = columns_of(path, "folder/fields")
    nested = found["nested"]
    assert (nested.shape, nested.minimum, nested.maximum, nested.lengths) == ([0, 0], 0.0, 5.0, None)
    assert (found["rows"].shape, found["rows"].like_no_value) == ([2, 0], {"-999": 1.0})
    assert (found["pairs._0"].shape, found["pairs._0"].maximum) == ([0], 5)
    assert (found["pair._1"].shape, found["pair._1"].maximum) == ([], -999.0)
    assert (found["word"].example, found["words"].example) == ("word 0", "q")
    assert (found["flags"].minimum, found["letter"].minimum) == (1, 97)
    for name in ("pair", "pairs", "as_v", "as_b"):
        assert "an object" in found[name].not_read
        assert found[name].example is None


def test_trees_folders_and_histograms_are_told_apart(kinds):
    record = ntuple.inspect([kinds], CARD)
    assert {(tree.name, tree.kind, tree.entries) for tree in record.trees} == {
        ("events", "TTree", 5),
        ("folder/inner", "TTree", 1),
    }
    assert record.objects == {"TH1D": ["spectrum"], "TH2D": ["folder/plane"]}
    assert record.folders == ["folder"]
    assert contents_of(kinds).older_cycles == {"events": 1}
    assert record.layout == "unknown"
    assert record.proposed_layout is None
    code, shown = run("inspect", kinds)
    assert code == 0
    for words in ("folder/inner: TTree, 1 events", "TH2D: folder/plane", "'run 0'", "plain (TVector2)"):
        assert words in shown
    assert "there is no proposal" in shown
    assert "na64root inspect" not in shown


UNUSUAL = r"""
void na64root_test_unusual(const char *path) {
   TFile file(path, "RECREATE");
   int x = 1;
   double y = 2;
   const auto tree = [&](const char *name, int events) {
      TTree one(name, "");
      one.Branch("x", &x);
      for (int i = 0; i < events; ++i) one.Fill();
      one.Write();
   };
   tree("twice", 1);
   { TTree second("twice", ""); second.Branch("y", &y); second.Fill(); second.Fill(); second.Write(); }
   tree("with/slash", 1);
   tree("with space", 3);
   tree("nobody", 0);
   TTree nothing("nothing", "");
   nothing.SetEntries(4);
   nothing.Write();
   file.mkdir("a/b/c/d/e/f", "", true)->cd();
   tree("deep", 5);
}
"""


def test_unusual_trees_are_named_and_explained(tmp_path):
    """Two of one name, a name with a slash, deep folders, no events, no branches."""
    declare(UNUSUAL, optimised=False)
    path = str(tmp_path / "unusual.root")
    root().na64root_test_unusual(path)
    record = ntuple.inspect([path], CARD)
    trees = {
        tree.name: (tree.entries, [c.name for c in tree.columns], tree.not_read) for tree in record.trees
    }
    assert trees.pop("with/slash") == (
        None, [], 'its own name has a "/", where ROOT looks for a folder: write it under another name'
    )  # fmt: skip
    assert trees == {
        "twice": (2, ["y"], None),
        "with space": (3, ["x"], None),
        "nobody": (0, ["x"], None),
        "nothing": (4, [], None),
        "a/b/c/d/e/f/deep": (5, ["x"], None),
    }
    assert "'twice' is in the file 2 times, as earlier cycles: the last one is shown" in record.notes


def test_a_file_without_trees_is_listed(tmp_path):
    path = tmp_path / "histograms.root"
    file = root().TFile.Open(str(path), "RECREATE")
    for name in ("a", "b"):
        file.WriteObject(root().TH1D(name, "", 2, 0, 1), name)
    file.Close()
    record = ntuple.inspect([str(path)], CARD)
    assert (record.trees, record.objects, record.entries) == ([], {"TH1D": ["a", "b"]}, 0)
    with pytest.raises(DataError) as caught:
        ntuple.open_ntuple([str(path)], CARD)
    assert "inspect" not in str(caught.value)  # there is nothing to propose


def test_what_no_tree_is_in_its_place_is_listed_too(tmp_path):
    path = tmp_path / "folder.root"
    file = root().TFile.Open(str(path), "RECREATE")
    file.mkdir("tree").cd()
    tree = root().TTree("hits", "")
    tree.Branch("x", np.zeros(1), "x/D")
    tree.Fill()
    tree.Write()
    file.WriteObject(root().std.vector["double"](3), "vector")
    file.Close()
    record = ntuple.inspect([str(path)], CARD)
    assert [tree.name for tree in record.trees] == ["tree/hits"]
    assert record.objects == {"vector<double>": ["vector"]}
    assert "is a TDirectoryFile (a TTree or RNTuple is expected)" in record.notes[0]


def old_rntuple(path: Path, name: str) -> str:
    """A file with a key of the class of RNTuples before format 1.0."""
    old = "ROOT::Experimental::RNTuple"
    as_long = "unordered_map<string,float>"
    assert len(as_long) == len(old)
    file = root().TFile.Open(str(path), "RECREATE", "", 0)
    file.WriteObject(root().std.unordered_map["std::string", "float"](), name)
    file.Close()
    content = path.read_bytes()
    assert as_long.encode() in content
    path.write_bytes(content.replace(as_long.encode(), old.encode()))
    return str(path)


@pytest.mark.parametrize("name", ["tree", "hits"])
def test_an_old_rntuple_is_named(tmp_path, name, capsys):
    path = old_rntuple(tmp_path / "old.root", name)
    (tree,) = ntuple.inspect([path], CARD).trees
    assert tree.name == name
    assert "before 1.0" in tree.not_read
    code, shown = run("inspect", path)
    assert code == 0
    assert "before 1.0" in shown
    with pytest.raises(DataError, match=r"before 1.0|has no tree 'tree'"):
        ntuple.open_ntuple([path], CARD)


def test_a_damaged_branch_that_nothing_reads_is_named(tmp_path):
    rng = np.random.default_rng(1)
    events = [event(ecal1=rng.uniform(), hcal1=rng.uniform(), spillevent=i + 2) for i in range(3000)]
    path = Path(write_tree(tmp_path / "data.root", events))
    file = root().TFile.Open(str(path))
    positions = {name: file.Get("tree").GetBranch(name).GetBasketSeek(0) for name in ("ecal1", "hcal1")}
    file.Close()
    content = path.read_bytes()
    for name, position in positions.items():
        damaged = bytearray(content)
        damaged[position + 80 : position + 120] = bytes(40)
        path.write_bytes(damaged)
        if name == "hcal1":
            with pytest.raises(DataError, match=f"^branch hcal1 in {path} cannot be read"):
                ntuple.inspect([str(path)], CARD)
        else:
            (tree,) = ntuple.inspect([str(path)], CARD).trees
            (column,) = [column for column in tree.columns if column.name == name]
            assert "cannot be unpacked" in column.not_read
            assert sum(column.not_read is not None for column in tree.columns) == 1


def test_of_a_large_branch_that_nothing_reads_the_beginning_is_looked_at(tmp_path):
    uproot = pytest.importorskip("uproot")
    path = str(tmp_path / "large.root")
    values = np.arange(400_000.0)
    with uproot.recreate(path) as file:
        file.mktree("tree", {"x": "f8", "small": "u1"})
        for part in np.split(values, 8):
            file["tree"].extend({"x": part, "small": np.ones(len(part), "u1")})
    found = columns_of(path, "tree")
    assert found["small"].events == len(values)
    assert 2e6 <= 8 * found["x"].events < 3e6
    assert found["x"].maximum == found["x"].events - 1
    whole = Survey([path], "tree", ["x"]).contents()[0]
    assert (whole.events, whole.maximum) == (len(values), len(values) - 1)


@pytest.mark.parametrize("skip", ["off", "on"])
def test_what_is_read_is_looked_at_in_every_event(tmp_path, skip):
    uproot = pytest.importorskip("uproot")
    path = str(tmp_path / "data.root")
    number = np.arange(320_000)
    columns = {
        "run": np.full(len(number), 4000, "u4"),
        "spill": (number // 1000).astype("u4"),
        "spillevent": (number % 1000 + 1).astype("u4"),
        "showerChi2": np.where(number < 240_000, 2.0, -999.0),
    }
    with uproot.recreate(path) as file:
        file.mktree("tree", {name: values.dtype for name, values in columns.items()})
        for part in np.split(number, 8):
            file["tree"].extend({name: values[part] for name, values in columns.items()})
    record = ntuple.inspect([path], load_card(overrides=[f"input.skip_bad_files={skip}"]))
    assert record.like_no_value == {"showerChi2": {"-999": 0.25}}
    assert (record.spills, record.periods["2018"].entries, record.duplicates) == (320, 320_000, 0)
    (tree,) = record.trees
    assert {column.events for column in tree.columns} == {320_000}


def test_columns_are_counted_over_all_files(tmp_path):
    paths = [
        write_tree(tmp_path / f"{i}.root", [event(run=4000 + i, showerChi2=-999.0 if i else 2.0)] * 3)
        for i in range(2)
    ]
    (tree,) = ntuple.inspect(paths, CARD).trees
    found = {column.name: column for column in tree.columns}
    assert tree.entries == 6
    assert (found["run"].minimum, found["run"].maximum, found["run"].events) == (4000, 4001, 6)
    assert found["showerChi2"].like_no_value == {"-999": 0.5}


# RNTuples of others


def as_written_by(writer: str, plain: str, path: str) -> str:
    if writer == "uproot":
        uproot = pytest.importorskip("uproot")
        with uproot.open(plain) as source, uproot.recreate(path) as target:
            target.mkrntuple("tree", source["tree"].arrays(library="np"))
    elif writer == "snapshot":
        options = root().RDF.RSnapshotOptions()
        options.fOutputFormat = root().RDF.ESnapshotOutputFormat.kRNTuple
        root().RDataFrame("tree", plain).Snapshot("tree", path, "", options)
    else:
        root().ROOT.Experimental.RNTupleImporter.Create(plain, "tree", path).Import()
    return path


@pytest.mark.parametrize("writer", ["uproot", "snapshot", "importer"])
def test_rntuples_of_others_hold_what_their_tree_holds(tmp_path, planted_tree, writer):
    """The same events, by the library from a TTree and by ROOT's loop where arrays are nested."""
    wanted = ntuple.inspect([planted_tree], CARD).model_dump()
    found = ntuple.inspect([as_written_by(writer, planted_tree, str(tmp_path / "o.root"))], CARD).model_dump()
    assert found["schema"] == "A"
    for key in ("entries", "runs", "spills", "periods", "duplicates", "can_evaluate", "like_no_value"):
        assert found[key] == wanted[key]
    assert found["trees"][0]["kind"] == "RNTuple"
    ranges = [
        {c["name"]: (c["minimum"], c["maximum"], c["nan"]) for c in record["trees"][0]["columns"]}
        for record in (found, wanted)
    ]
    assert ranges[0] == ranges[1]


# Proposals


def proposed(tmp_path: Path, columns: dict[str, Any]) -> Any:
    uproot = pytest.importorskip("uproot")
    path = str(tmp_path / "unknown.root")
    with uproot.recreate(path) as file:
        file.mktree("events", {name: (v.dtype, v.shape[1:]) for name, v in columns.items()})
        file["events"].extend(columns)
    return ntuple.inspect([path], CARD).proposed_layout


def test_each_guess_has_a_reason(tmp_path):
    energies = np.array([100e3, 40e3, 250.0])
    proposal = proposed(
        tmp_path,
        {"runNumber": np.arange(3), "ecal_eDep": energies, "p": energies / 1e3, "hcal2": np.zeros(3)},
    )
    branches = proposal.mapping["branches"]
    assert branches["run"] == {"branch": "runNumber"}
    assert branches["ecalTotal"] == {"branch": "ecal_eDep", "unit": "MeV"}
    assert branches["trackMomentum"] == {"branch": "p", "unit": "GeV"}
    assert branches["hcal2"] == {"branch": "hcal2", "unit": "MeV"}
    assert proposal.reasons.keys() == branches.keys()
    assert proposal.reasons["run"] == "runNumber is another name of it, Long64_t"
    assert "ecal_eDep goes up to 1e+05, the beam has 100000 MeV" in proposal.reasons["ecalTotal"]
    assert proposal.reasons["hcal2"].startswith("the same name, Double_t")
    for name, reason in proposal.reasons.items():
        (line,) = [line for line in proposal.toml.splitlines() if line.startswith(f"{name} = ")]
        assert line.endswith(f"# {reason}")


@pytest.mark.parametrize(
    "columns",
    [
        {"run": np.arange(3), "event": np.arange(3), "phi2": np.ones(3), "weight": np.ones(3)},
        {"run": np.arange(3), "p": np.ones(3), "chi2": np.ones(3)},
        {"x": np.arange(3.0)},
    ],
)
def test_where_nothing_is_alike_there_is_no_proposal(tmp_path, columns):
    assert proposed(tmp_path, columns) is None


def test_short_names_are_not_alike_by_chance(tmp_path):
    columns = {
        "ecalTotal": np.full(3, 100.0),
        "phi2": np.ones(3),
        "bursts": np.arange(3),
        "rum": np.arange(3),
    }
    branches = proposed(tmp_path, columns).mapping["branches"]
    assert {name: mapped["branch"] for name, mapped in branches.items()} == {
        "ecalTotal": "ecalTotal",
        "spill": "bursts",
    }


@PROPERTY
@given(table=tables(), shape=st.sampled_from([(2, 6, 6), (6, 6), (72,), (6, 2, 6), ()]))
def test_a_proposal_is_read_or_lacks_something(tmp_path_factory, table, shape):
    """Whatever it guesses, the card takes it, and each array has the shape that the mapping asks for."""
    folder = tmp_path_factory.mktemp("proposal")
    events = len(next(iter(table.values())))
    columns = {**table, "ecalTotal": np.ones(events), "ECAL_energy": np.ones((events, *shape))}
    proposal = proposed(folder, columns)
    branches = proposal.mapping["branches"]
    assert branches["ecalTotal"]["branch"] == "ecalTotal"
    assert ("ECAL_ene" in branches) == (shape in ((2, 6, 6), (72,)))
    assert proposal.reasons.keys() == branches.keys()
    assert not {*branches} & {*proposal.unmapped}


def test_the_json_is_whole(kinds):
    code, shown = run("inspect", kinds, "--json")
    assert code == 0
    record = json.loads(shown)
    (tree,) = [tree for tree in record["trees"] if tree["name"] == "events"]
    (column,) = [column for column in tree["columns"] if column["name"] == "large"]
    assert column["maximum"] == 2**60 + 4
    assert functools.reduce(lambda n, t: n + len(t["columns"]), record["trees"], 0) > 40


# Damage, and no library

INSPECTS = """
import sys
from na64root import ntuple
from na64root.config import load_card
from na64root.errors import DataError
card, refused = load_card(), 0
for path in sys.argv[1:]:
    try:
        ntuple.inspect([path], card)
    except DataError as error:
        refused += 1
        assert "\\n" not in str(error), error
print(refused)
"""


@pytest.mark.slow
def test_damaged_files_of_any_kind_never_crash(tmp_path, kinds):
    """Bits, zeros, cuts and pieces in other places, in whatever is in a file; in a process of their own."""
    content = Path(kinds).read_bytes()
    paths = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        damaged = bytearray(content)
        place, other = (int(x) for x in rng.integers(4, len(content), 2))
        length = int(rng.integers(4, 300))
        if seed % 4 == 0:
            for position in rng.integers(4, len(content), 3):
                damaged[position] ^= 1 << rng.integers(0, 8)
        elif seed % 4 == 1:
            damaged[place : place + length] = bytes(len(damaged[place : place + length]))
        elif seed % 4 == 2:
            damaged[place : place + length] = damaged[other : other + length]
        else:
            damaged = damaged[:place]
        paths.append(tmp_path / f"{seed}.root")
        paths[-1].write_bytes(damaged)
    done = subprocess.run(
        [sys.executable, "-c", INSPECTS, *map(str, paths)], capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert 50 < int(done.stdout.split()[-1]) < 200  # refused; a branch that nothing reads is named


@pytest.mark.slow
def test_without_a_library_cling_compiles_what_looks_at_columns(tmp_path, planted_tree):
    code, expected = run("inspect", planted_tree, "--json")
    assert code == 0
    done = subprocess.run(
        [sys.executable, "-m", "na64root", "inspect", planted_tree, "--json"],
        capture_output=True,
        env={**os.environ, "XDG_CACHE_HOME": "/proc/nowhere"},
        timeout=300,
    )
    assert done.returncode == 0
    assert b"cannot compile the event loop" in done.stderr
    assert json.loads(done.stdout) == json.loads(expected)
