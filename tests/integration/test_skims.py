"""A skim holds what its input holds: every branch, name, type, shape and value, or one line before the loop.

Reference: uproot reads input and skim (independent).
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from na64root import selection
from na64root.cling import declare, root
from na64root.config import load_card
from na64root.errors import DataError, Na64Error
from na64root.ntuple import open_ntuple
from na64root.selection import SelectionOptions
from na64root.selection.skim import Skim
from na64root.selection.skim_cuts import notes_on_skims
from na64root.work import Work
from support.layouts import card_of
from support.tree_a import event, write_tree

CARD = load_card()
N = 40

KINDS = r"""
#include <string>
#include <vector>
#include "TFile.h"
#include "TTree.h"
#include "TLorentzVector.h"
struct Na64Two { double a; int b; };
void na64root_test_kinds(const char *in, const char *out) {
   TFile fi(in); auto t = (TTree *)fi.Get("tree"); TFile fo(out, "RECREATE"); auto o = t->CloneTree(-1);
   std::vector<bool> flags; std::vector<std::vector<float>> nested;
   std::string text; std::vector<double> row;
   std::vector<std::string> words; TLorentzVector p;
   int n = 0; float jagged[5][3] = {}; Na64Two two{}; double dotted = 0, other[2] = {}; Float16_t half = 0;
   Double32_t packed = 0; char characters[20] = ""; Long64_t wide = 0; unsigned char small = 0;
   TBranch *b[] = {
      o->Branch("flags", &flags), o->Branch("nested", &nested),
      o->Branch("text", &text), o->Branch("row", &row),
      o->Branch("words", &words), o->Branch("p.", &p), o->Branch("n", &n, "n/I"),
      o->Branch("jagged", jagged, "jagged[n][3]/F"), o->Branch("two", &two, "a/D:b/I"),
      o->Branch("ev.x", &dotted, "ev.x/D"), o->Branch("bname", other, "lname[2]/D"),
      o->Branch("half", &half, "half/f"), o->Branch("packed", &packed, "packed/d[0,100,20]"),
      o->Branch("characters", characters, "characters/C"), o->Branch("wide", &wide, "wide/L"),
      o->Branch("small", &small, "small/b"), o->Branch("na64_period", &dotted, "na64_period/D")};
   for (int i = 0; i < t->GetEntries(); ++i) {
      flags.assign(i % 3, i % 2); nested.assign(i % 4, std::vector<float>(i % 2 + 1, i));
      text = std::string(i % 5, 'x'); row.assign(i % 7, i); words.assign(i % 3, "w" + std::to_string(i));
      p.SetPxPyPzE(i, 2, 3, 100 + i); n = i % 5;
      for (int k = 0; k < 15; ++k) jagged[0][k] = i + k;
      two = {1.0 * i, i}; dotted = i; other[0] = i; other[1] = -i; half = i; packed = i;
      snprintf(characters, 20, "c%d", i); wide = (1ll << 60) + i; small = i;
      for (auto one : b) one->Fill();
   }
   o->Write("", TObject::kOverwrite); fo.Close();
}
"""


def numbered(n: int = N, first: int = 2) -> list[dict]:
    """Every third event passes the cuts up to ecal."""
    energies = [20.0 if i % 3 == 0 else 95.0 for i in range(n)]
    return [
        event(spillevent=first + i, ecalTotal=energy, ecalTotalNoTimecut=energy + 1.0)
        for i, energy in enumerate(energies)
    ]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory) -> str:
    declare(KINDS, optimised=False)
    folder = tmp_path_factory.mktemp("kinds")
    source = str(folder / "kinds.root")
    root().na64root_test_kinds(write_tree(folder / "base.root", numbered()), source)
    return source


def skimmed(
    sources: list[str], path: Path, card=CARD, threads: int = 1, rntuple: bool = False, cut: str = "ecal"
):
    options = SelectionOptions(skim=Skim(path, cut, rntuple=rntuple))
    return selection.select(sources, card, options, work=Work(threads=threads))


@pytest.mark.parametrize("threads", [1, 2])
def test_every_branch_is_as_in_the_input(tmp_path, kinds, threads):
    result = skimmed([kinds], tmp_path / "skim.root", threads=threads)
    assert result.skim.events == (N + 2) // 3
    with uproot.open(kinds) as before, uproot.open(tmp_path / "skim.root") as after:
        tree, copy = before["tree"], after["tree"]
        assert {b.name: (b.title, b.typename) for b in copy.branches} == {
            b.name: (b.title, b.typename) for b in tree.branches
        }
        for name in tree.keys(recursive=True):
            if name.endswith("."):
                continue  # an object: its members are next
            values, copied = tree[name].array()[::3], copy[name].array()
            assert ak.to_list(copied) == ak.to_list(values), name


def test_the_skim_of_a_chain_is_in_the_order_of_its_files(tmp_path):
    paths = [write_tree(tmp_path / f"{i}.root", numbered(first=2 + 100 * i)) for i in (2, 0, 1)]
    for threads in (1, 2):
        skimmed(paths, tmp_path / f"skim{threads}.root", threads=threads)
        with uproot.open(tmp_path / f"skim{threads}.root") as file:
            found = file["tree"]["spillevent"].array(library="np")
        assert found.tolist() == [2 + 100 * i + k for i in (2, 0, 1) for k in range(0, N, 3)]


def test_what_a_skim_would_mix_or_lack_is_refused_by_name(tmp_path):
    first = write_tree(tmp_path / "first.root", numbered(), extra={"mine": 1.0})
    second = write_tree(tmp_path / "second.root", numbered(first=200))
    skim = tmp_path / "skim.root"
    with pytest.raises(DataError, match=r"second.root has other branches than .*first.root \(mine"):
        skimmed([first, second], skim)
    file = root().TFile.Open(second, "UPDATE")
    tree, value = file.Get("tree"), np.zeros(1)
    late = tree.Branch("late", value, "late/D")
    late.Fill()
    tree.Write("", root().TObject.kOverwrite)
    file.Close()
    with pytest.raises(DataError, match="branch late in .* has 1 entries, its tree 40"):
        skimmed([second], skim)
    assert not skim.exists()


LATE = """
void na64root_test_late_skim(const char *from, const char *path) {
   auto reader = ROOT::RNTupleReader::Open("tree", from);
   auto writer = ROOT::RNTupleWriter::Recreate(reader->GetModel().Clone(), "tree", path);
   auto in = reader->CreateEntry();
   for (auto i : reader->GetEntryRange()) {
      if (i == 5) {
         auto updater = writer->CreateModelUpdater();
         updater->BeginUpdate();
         updater->MakeField<double>("late");
         updater->CommitUpdate();
      }
      reader->LoadEntry(i, *in);
      auto out = writer->GetModel().CreateBareEntry();
      double late = 7;
      for (const auto &value : *in)
         out->BindRawPtr<void>(value.GetField().GetFieldName(), value.GetPtr<void>().get());
      if (i >= 5)
         out->BindRawPtr("late", &late);
      writer->Fill(*out);
   }
}
"""


def test_a_field_that_was_added_later_is_not_copied_as_zero(tmp_path):
    ROOT = root()
    plain, source = write_tree(tmp_path / "plain.root", numbered()), str(tmp_path / "source.root")
    options = ROOT.RDF.RSnapshotOptions()
    options.fOutputFormat = ROOT.RDF.ESnapshotOutputFormat.kRNTuple
    ROOT.RDataFrame("tree", plain).Snapshot("tree", source, "", options)
    declare("#include <ROOT/RNTupleReader.hxx>\n#include <ROOT/RNTupleWriter.hxx>\n" + LATE, optimised=False)
    ROOT.na64root_test_late_skim(source, str(tmp_path / "late.root"))
    # No branch of it is read: the selection goes on without.
    assert selection.select([str(tmp_path / "late.root")], CARD).counts
    with pytest.raises(DataError, match="branch late in .* was added after the first entries"):
        skimmed([str(tmp_path / "late.root")], tmp_path / "skim.root", rntuple=True)


def test_what_an_rntuple_cannot_hold_is_refused_by_name(tmp_path, kinds):
    """`flags` is the first branch of the planted ones that has no same form there."""
    with pytest.raises(
        DataError, match=r"branch flags in .* cannot be in an RNTuple as it is .*vector<bool>"
    ):
        skimmed([kinds], tmp_path / "skim.root", rntuple=True)
    assert not (tmp_path / "skim.root").exists()


SHAPES = r"""
void na64root_test_shapes(const char *in, const char *out) {
   TFile fi(in); auto t = (TTree *)fi.Get("tree"); TFile fo(out, "RECREATE"); auto o = t->CloneTree(-1);
   double cells[2][3][2] = {}; bool flags[3] = {}; short odd[4] = {};
   TBranch *b[] = {o->Branch("cells", cells, "cells[2][3][2]/D"), o->Branch("flags", flags, "flags[3]/O"),
                   o->Branch("double", odd, "double[4]/S")};
   for (int i = 0; i < t->GetEntries(); ++i) {
      for (int k = 0; k < 12; ++k) cells[0][0][k] = i + k;
      flags[i % 3] = i % 2; odd[i % 4] = i;
      for (auto one : b) one->Fill();
   }
   o->Write("", TObject::kOverwrite); fo.Close();
}
"""


def test_arrays_keep_their_shape_in_an_rntuple(tmp_path):
    """But those of layout A, which are rows of numbers there, as the simulation writes them."""
    declare(SHAPES, optimised=False)
    source = str(tmp_path / "shapes.root")
    root().na64root_test_shapes(write_tree(tmp_path / "base.root", numbered()), source)
    skimmed([source], tmp_path / "skim.root", rntuple=True)
    with uproot.open(source) as before, uproot.open(tmp_path / "skim.root") as after:
        for name in ("cells", "flags", "double"):
            values = before["tree"][name].array(library="np")[::3]
            copied = np.asarray(ak.to_numpy(after["tree"].arrays([name])[name]))
            assert copied.dtype == values.dtype
            np.testing.assert_array_equal(copied, values, strict=True)


NO_FIELD = {
    "a character in its name": ("a\\b", "D", ()),
    "an array whose name is no word of C[+][+]": ("a-b", "D", (3,)),
    "numbers in fewer bits": ("half", "f", ()),
}


@pytest.mark.parametrize("why", NO_FIELD)
def test_what_an_rntuple_cannot_name_is_refused(tmp_path, why):
    name, code, shape = NO_FIELD[why]
    source = write_tree(tmp_path / "odd.root", numbered(4), extra={name: 1.0}, types={name: code},
                        shapes={name: shape})  # fmt: skip
    with pytest.raises(DataError, match=rf"branch .* cannot be in an RNTuple as it is \({why}\)"):
        skimmed([source], tmp_path / "skim.root", rntuple=True)
    assert not (tmp_path / "skim.root").exists()


def test_a_mapped_tree_and_its_friend_are_skimmed_together(tmp_path):
    path = write_tree(tmp_path / "main.root", numbered(), omit=["hcal1"], tree_name="hits")
    write_tree(tmp_path / "friend.root", numbered(), tree_name="f")
    card = card_of(
        tmp_path,
        '[layout]\ntree = "hits"\nbase = "A"\n[layout.branches]\nhcal1 = "f.hcal1"\n[[layout.friends]]\n'
        'tree = "f"\nalias = "f"\nfiles = ["{folder}/friend.root"]\n',
    )
    skim = tmp_path / "skims" / "skim.root"
    result = skimmed([path], skim, card, threads=2)
    again = selection.select([str(skim)], card)
    assert [c.observed for c in again.counts] == [c.observed for c in result.counts]
    assert again.candidates == result.candidates
    assert result.candidates


def test_a_tree_in_a_folder_under_another_name_is_skimmed_there(tmp_path):
    ROOT = root()
    source = ROOT.TFile.Open(write_tree(tmp_path / "plain.root", numbered()))
    target = ROOT.TFile.Open(str(tmp_path / "reco.root"), "RECREATE")
    target.mkdir("reco").cd()
    source.Get("tree").CloneTree(-1).Write("hits")  # the tree still calls itself `tree`
    target.Close()
    source.Close()
    card = card_of(tmp_path, '[layout]\ntree = "reco/hits"\nbase = "A"\n')
    result = skimmed([str(tmp_path / "reco.root")], tmp_path / "skim.root", card)
    again = selection.select([str(tmp_path / "skim.root")], card)
    assert again.candidates == result.candidates
    assert len(result.candidates) == result.skim.events == (N + 2) // 3


def test_a_skim_is_one_file_whatever_the_process_has_set(tmp_path):
    ROOT = root()
    path, before = write_tree(tmp_path / "plain.root", numbered()), ROOT.TTree.GetMaxTreeSize()
    ROOT.TTree.SetMaxTreeSize(1000)
    try:
        assert skimmed([path], tmp_path / "skim.root").skim.events == (N + 2) // 3
        assert ROOT.TTree.GetMaxTreeSize() == 1000
    finally:
        ROOT.TTree.SetMaxTreeSize(before)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plain.root", "skim.root"]


JAGGED = r"""
#include "TFile.h"
#include "TTree.h"
void na64root_test_jagged(const char *in, const char *out, int most) {
   TFile fi(in); auto t = (TTree *)fi.Get("tree"); TFile fo(out, "RECREATE"); auto o = t->CloneTree(-1);
   int n = 0; float x[50][3] = {};
   auto bn = o->Branch("n", &n, "n/I"), b = o->Branch("extra", x, "extra[n][3]/F");
   for (int i = 0; i < t->GetEntries(); ++i) {
      n = i % most; bn->Fill(); for (int k = 0; k < 150; ++k) x[0][k] = i + k; b->Fill();
   }
   o->Write("", TObject::kOverwrite); fo.Close();
}
"""


def test_arrays_that_grow_from_file_to_file_are_whole(tmp_path):
    declare(JAGGED, optimised=False)
    paths = []
    for i, most in enumerate((2, 30, 5)):
        plain = write_tree(tmp_path / f"plain{i}.root", numbered(first=2 + 100 * i))
        paths.append(str(tmp_path / f"jagged{i}.root"))
        root().na64root_test_jagged(plain, paths[-1], most)
    skimmed(paths, tmp_path / "skim.root")
    expected = [row for path in paths for row in rows(path)[::3]]
    assert rows(tmp_path / "skim.root") == expected


def rows(path: str | Path) -> list:
    with uproot.open(path) as file:
        return ak.to_list(file["tree"]["extra"].array())


def test_a_skim_that_differs_from_its_input_does_not_take_its_name(tmp_path, kinds, monkeypatch):
    skimmed([kinds], tmp_path / "known.root")  # declares what follows changes
    copying = root().na64root_copying

    class Changed:
        def __getattr__(self, name):
            return getattr(copying, name)

        def copy_tree(self, name, paths, entries, file):
            copying.copy_tree(name, paths, [int(n) ^ 1 for n in entries], file)

    class Root:
        na64root_copying = Changed()

        def __getattr__(self, name):
            return getattr(root(), name)

    monkeypatch.setattr(selection.skim, "root", Root)
    with pytest.raises(Na64Error, match="branch .* of 'tree' is not in the skim"):
        skimmed([kinds], tmp_path / "skim.root")
    assert not (tmp_path / "skim.root").exists()


def test_rntuples_are_copied_as_they_are(tmp_path):
    ROOT = root()
    plain, source = write_tree(tmp_path / "plain.root", numbered()), str(tmp_path / "source.root")
    options = ROOT.RDF.RSnapshotOptions()
    options.fOutputFormat = ROOT.RDF.ESnapshotOutputFormat.kRNTuple
    frame = ROOT.RDataFrame("tree", plain).Define("words", 'std::vector<std::string>(spillevent % 3, "w")')
    frame.Define("flags", "std::vector<bool>(spillevent % 4, true)").Snapshot("tree", source, "", options)
    for threads in (1, 2):
        skim = tmp_path / f"skim{threads}.root"
        skimmed([source], skim, threads=threads, rntuple=True)
        before = ROOT.RDataFrame("tree", source)
        after = ROOT.RDataFrame("tree", str(skim))
        names = [str(name) for name in before.GetColumnNames()]
        assert [str(name) for name in after.GetColumnNames()] == names
        values, copied = (
            before.AsNumpy(["spillevent", "ECAL_ene", "words"]),
            after.AsNumpy(["spillevent", "ECAL_ene", "words"]),
        )
        assert copied["spillevent"].tolist() == values["spillevent"][::3].tolist()
        for name in ("ECAL_ene", "words"):
            assert [list(v) for v in copied[name]] == [list(v) for v in values[name][::3]]


def loosened(tmp_path: Path, text: str):
    """A card with other cuts than `CARD`."""
    card = tmp_path / "other.toml"
    card.write_text('extends = "paper2021"\n' + text)
    return load_card(card)


def value(number: float) -> str:
    return f'{{ value = {number}, provenance = "user", source = "a test" }}'


CUTS = {
    "the same": ("", []),
    "tighter": (f"[selection.ecal]\ns1_max_GeV = {value(50.0)}\ns2_max_GeV = {value(50.0)}\n", []),
    "looser": (f"[selection.ecal]\ns2_max_GeV = {value(99.0)}\n", ["S2 ecal"]),
    "looser in one period": (f"[selection.period.2017]\nmomentum.window_GeV = {value(9.0)}\n",
                             ["S1 momentum", "S2 momentum"]),
    "another quantity, not up to ecal": (f"[selection.veto]\nphotomultiplier_balance = {value(0.1)}\n", []),
    "beyond those of the skim": (f"[selection.veto]\nenergy_max_GeV = {value(9.0)}\n", []),
}  # fmt: skip


@pytest.mark.parametrize("name", CUTS)
def test_cuts_that_a_skim_was_not_made_with_are_a_note(tmp_path, skim_of_ecal, name):
    """Of a skim, of merged ones, and of a skim of a skim."""
    text, loose = CUTS[name]
    card = loosened(tmp_path, text)
    for path in skim_of_ecal:
        said = notes_on_skims(open_ntuple([path], card), card)
        assert len(said) == bool(loose)
        for note in said:
            assert note.startswith(
                f"{path} is a skim made with tighter or other cuts than those of the card ("
            )
            assert f"({', '.join(loose)})" in note


@pytest.fixture(scope="module")
def skim_of_ecal(tmp_path_factory) -> list[str]:
    """A skim after ecal, a merged one, and a skim of the first after an earlier cut."""
    folder = tmp_path_factory.mktemp("skims")
    for i in range(2):
        skimmed([write_tree(folder / f"{i}.root", numbered(first=2 + 100 * i))], folder / f"skim{i}.root")
    hadd = Path(root().__file__).parent / "bin" / "hadd"
    sources = [str(folder / f"skim{i}.root") for i in range(2)]
    subprocess.run([hadd, "-f", folder / "merged.root", *sources], check=True, capture_output=True)
    skimmed(sources[:1], folder / "again.root", cut="trigger")
    return [sources[0], str(folder / "merged.root"), str(folder / "again.root")]


def test_the_note_is_in_the_result(tmp_path, skim_of_ecal):
    card = loosened(tmp_path, CUTS["looser"][0])
    result = selection.select(skim_of_ecal[:1], card)
    assert [note for note in result.notes if "S2 ecal" in note] == notes_on_skims(
        open_ntuple(skim_of_ecal[:1], card), card
    )


def test_a_skim_whose_cuts_cannot_be_read_is_one_line(tmp_path, skim_of_ecal):
    ntuple = open_ntuple(skim_of_ecal[:1])
    edited = {path: facts | {"cuts": [{"cuts": 3}]} for path, facts in ntuple.made_by_na64root.items()}
    with pytest.raises(DataError, match="whose cuts cannot be read"):
        notes_on_skims(replace(ntuple, made_by_na64root=edited), CARD)
