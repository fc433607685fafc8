"""What an event is, and what a file says it holds: kept through friends, merges and weights, or refused.

References: planted events counted by hand (analytic).
"""

from __future__ import annotations

import resource
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from na64root import backgrounds, ntuple, selection
from na64root.cling import declare, root
from na64root.config import load_card
from na64root.errors import DataError, Na64Error
from na64root.ntuple.identity import in_order_of
from na64root.selection import SelectionOptions, quality
from na64root.selection.skim import Skim
from na64root.simulation import simulate
from na64root.simulation.options import PseudodataOptions
from na64root.work import Engine, Work
from support.forks import in_fork
from support.layouts import card_of
from support.tree_a import event, s1_event, write_tree

CARD = load_card()
N = 12


def events(**changes) -> list[dict]:
    return [event(**({"spill": 1 + n // 4, "spillevent": n + 2} | changes)) for n in range(N)]


def observed(result) -> int | None:
    (count,) = [c for c in result.counts if (c.period, c.signature) == ("2018", "S2")]
    return count.observed


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> str:
    return write_tree(tmp_path_factory.mktemp("plain") / "plain.root", events())


# Simulation or data


@pytest.mark.parametrize("weights", [[0.5, 1.0], [-1.0, 1.0, 1.0, 1.0], [1.0] * (N - 1) + [2.0]])
@pytest.mark.parametrize("n_minus_one", [False, True], ids=["compiled", "strings"])
def test_a_sample_is_simulation_as_a_whole(tmp_path, weights, n_minus_one):
    """Two files with the same numbers: nothing is a duplicate, whatever the weight of one event is."""
    weight = np.resize(weights, N)
    made = [e | {"mcWeight": w} for e, w in zip(events(), weight, strict=True)]
    paths = [write_tree(tmp_path / f"{i}.root", made, extra={"mcWeight": 1.0}) for i in range(2)]
    result = selection.select(
        paths, CARD, SelectionOptions(n_minus_one=n_minus_one), work=Work(threads=1 + n_minus_one)
    )
    (expected,) = [e for e in result.expected if (e.period, e.signature) == ("2018", "S2")]
    assert (expected.expected, observed(result)) == (pytest.approx(2 * weight.sum(), rel=1e-12), None)
    assert expected.error == pytest.approx(np.sqrt(2 * (weight**2).sum()), rel=1e-12)
    if n_minus_one:
        assert quality.assess(paths, CARD).duplicates == ntuple.inspect(paths, CARD).duplicates == 0
        assert backgrounds.estimate(paths, CARD).weighted


def test_a_mapped_weight_makes_simulation(tmp_path):
    made = [e | {"w": 0.5 if n == 7 else 1.0} for n, e in enumerate(events())]
    path = write_tree(tmp_path / "mapped.root", made * 2, extra={"w": 1.0})
    mapped = '[layout]\ntree = "tree"\nbase = "A"\n[layout.branches]\nmcWeight = "w"\n'
    result = selection.select([path], card_of(tmp_path, mapped))
    (expected,) = [e for e in result.expected if (e.period, e.signature) == ("2018", "S2")]
    assert (result.weighted, expected.expected) == (True, 2 * N - 1.0)


@pytest.mark.parametrize("n_minus_one", [False, True], ids=["compiled", "strings"])
def test_settings_of_the_process_do_not_make_data_simulation(tmp_path, n_minus_one):
    path = write_tree(tmp_path / "data.root", events(), extra={"mcWeight": 1.0})
    ROOT, options = root(), SelectionOptions(n_minus_one=n_minus_one)
    before = ROOT.TH1.GetDefaultSumw2()
    ROOT.TH1.SetDefaultSumw2(True)
    try:
        result = selection.select([path], CARD, options)
        estimated = backgrounds.estimate([path], CARD)
    finally:
        ROOT.TH1.SetDefaultSumw2(before)
    assert (observed(result), result.weighted, estimated.weighted) == (N, False, False)
    assert result.cutflow_errors == selection.select([path], CARD, options).cutflow_errors


# Numbers


@pytest.mark.parametrize("name", ["run", "spill", "spillevent"])
@pytest.mark.parametrize(("code", "value"), [("L", 2**32), ("L", -1), ("I", -1), ("l", 2**63 + 2**40)])
def test_numbers_that_do_not_fit_are_named(tmp_path, name, code, value):
    made = events()
    made[5][name] = value
    path = write_tree(tmp_path / "wide.root", made, types={name: code})
    with pytest.raises(DataError, match=rf"branch {name} in .*wide.root has the value {value} "):
        ntuple.open_ntuple([path], CARD, unpack=False)


def test_wide_numbers_that_fit_are_read(tmp_path):
    made = events(run=4000)
    made[3]["spillevent"] = 2**32 - 1
    path = write_tree(tmp_path / "wide.root", made, types=dict.fromkeys(["run", "spill", "spillevent"], "L"))
    result = selection.select([path], CARD)
    assert observed(result) == N
    assert max(c.spillevent for c in result.candidates) == 2**32 - 1


def test_numbers_of_an_expression_are_held_to_the_same(tmp_path, plain):
    text = '[layout]\ntree = "tree"\nbase = "A"\n[layout.branches]\n'
    wide = card_of(tmp_path, text + 'spillevent = { expression = "spillevent * 4294967296LL" }\n')
    with pytest.raises(DataError, match="spillevent in .* has the value 8589934592"):
        selection.select([plain], wide)
    fits = card_of(tmp_path, text + 'spillevent = { expression = "spillevent * 1000LL" }\n')
    assert observed(selection.select([plain], fits)) == N


# Friends


FRIEND = """[layout]
tree = "tree"
base = "A"
[layout.branches]
hcal1 = "f.hcal1"
[[layout.friends]]
tree = "f"
alias = "f"
files = ["{folder}/friend.root"]
"""


def marked(path: str, tree: str, index: bool = False) -> None:
    """Mark a tree as ROOT does after a Snapshot of several threads, or give it an index."""
    file = root().TFile.Open(path, "UPDATE")
    opened = file.Get(tree)
    if index:
        opened.BuildIndex("spill", "spillevent")
    else:
        opened.SetBit(root().TTree.EStatusBits.kEntriesReshuffled)
    opened.Write("", root().TObject.kOverwrite)
    file.Close()


@pytest.mark.parametrize(
    ("order", "omit", "mark", "message"),
    [
        ([*range(N)], [], None, None),
        ([*range(N)], [], "shuffled", None),
        ([1, 0, *range(2, N)], ["run"], None, r"friend tree 'f' in .* has another spillevent .* in entry 0"),
        (
            [*range(N - 1)],
            [],
            None,
            r"friend tree 'f' in .* lacks 1 of the 12 .*values are not known",
        ),
        ([*range(N - 1)], ["run"], None, r"friend tree 'f' in .* has 11 entries, .* has 12"),
        ([0, *range(N)], [], None, r"friend tree 'f' in .* has 1 events whose numbers came before"),
        ([*range(N)], ["spillevent"], "shuffled", r"another order \(its entries are marked as reshuffled"),
        ([*range(N)], ["run"], "index", r"another order \(it has an index"),
        ([*range(N)], ["run", "spill", "spillevent"], None, None),
    ],
)
def test_a_friend_has_the_events_of_its_tree(tmp_path, order, omit, mark, message):
    path = write_tree(tmp_path / "main.root", events(), omit=["hcal1"])
    made = [events()[i] for i in order]
    friend = write_tree(tmp_path / "friend.root", made, tree_name="f", omit=omit)
    if mark:
        marked(friend, "f", mark == "index")
    card = card_of(tmp_path, FRIEND)
    if message is None:
        assert observed(selection.select([path], card)) == N
        return
    with pytest.raises(DataError, match=message):
        selection.select([path], card)


@pytest.mark.parametrize("more", [0, 5])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_friend_in_another_order_is_matched_by_the_numbers_of_events(tmp_path, more, threads):
    """Reference: analytic, the energy of each event is its number. Also of a skim, and with events more."""
    path = write_tree(tmp_path / "main.root", events(), omit=["hcal1"])
    made = [event(spill=1 + i // 4, spillevent=i + 2, hcal1=0.01 * (i + 2)) for i in range(N + more)]
    order = np.random.default_rng(1).permutation(N + more)
    friend = write_tree(tmp_path / "friend.root", [made[i] for i in order], tree_name="f")
    marked(friend, "f")
    card = card_of(tmp_path, FRIEND)
    skim = tmp_path / "skim.root"
    work = Work(threads=threads)
    for inputs in ([path], [str(skim)]):
        options = SelectionOptions(skim=None if skim.exists() else Skim(skim))
        result = selection.select(inputs, card, options, work=work)
        assert observed(result) == N
        assert all(c.hcal2_GeV == 0.01 * c.spillevent for c in result.candidates)
    assert result.input.friend_files[0].path == str(skim)


def stored_friend(path: str, friend: str, name: str = "tree") -> None:
    file = root().TFile.Open(path, "UPDATE")
    tree = file.Get(name)
    with ntuple.quiet_root():  # which warns of fewer entries
        tree.AddFriend("f", friend)
    tree.Write("", root().TObject.kOverwrite)
    file.Close()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (events(), None),
        (events()[:4], "friend tree 'f' in .* lacks 8 of the 12 events"),
        (events()[::-1], "has its events in another order .*trackMomentum would be of other events"),
        (None, "friend tree 'f' in .*friend.root, which cannot be opened and may have trackMomentum"),
    ],
)
def test_a_friend_that_a_tree_was_written_with(tmp_path, made, message):
    path = write_tree(tmp_path / "main.root", events(), omit=["trackMomentum"])
    friend = write_tree(tmp_path / "friend.root", made or events(), tree_name="f")
    stored_friend(path, friend)
    if made is None:
        Path(friend).unlink()
    if message is None:
        result = selection.select([path], CARD)
        assert observed(result) == N
        assert all(candidate.momentum_GeV == 100.5 for candidate in result.candidates)
        return
    with pytest.raises(DataError, match=message):
        selection.select([path], CARD)


@pytest.mark.parametrize("engine", ["compiled", "strings", "mapped"])
def test_a_friend_that_is_not_there_and_not_needed_is_left_aside(tmp_path, engine):
    """ROOT's RDataFrame ends in a segmentation fault where it opens such a tree."""
    path = write_tree(tmp_path / "main.root", events())
    friend = Path(write_tree(tmp_path / "friend.root", events(), tree_name="f"))
    stored_friend(path, str(friend))
    friend.rename(tmp_path / "away.root")
    work = Work(engine=Engine(just_in_time=engine == "strings"), threads=2)
    card = card_of(tmp_path, MAPPED) if engine == "mapped" else CARD
    skim = tmp_path / "skim.root"
    result = selection.select([path], card, SelectionOptions(skim=Skim(skim)), work=work)
    assert observed(result) == result.skim.events == N
    assert observed(selection.select([path], card, work=work)) == N
    assert observed(selection.select([str(skim)], card, work=work)) == N
    # It is looked for again each time.
    friend.write_bytes(b"")
    (tmp_path / "away.root").replace(friend)
    assert observed(selection.select([path], card, work=work)) == N


MAPPED = """[layout]
tree = "tree"
base = "A"
[layout.branches]
hcal1 = "hcal1"
"""


def test_a_friend_of_a_needed_friend_that_is_not_there_is_one_line(tmp_path):
    path = write_tree(tmp_path / "main.root", events(), omit=["trackMomentum"])
    friend = write_tree(tmp_path / "friend.root", events(), tree_name="f")
    away = write_tree(tmp_path / "away.root", events(), tree_name="f")
    stored_friend(path, friend)
    stored_friend(friend, away, "f")
    Path(away).unlink()
    with pytest.raises(DataError, match="was written with friends of its own, and one cannot be opened"):
        ntuple.open_ntuple([path], CARD)


def test_no_room_to_leave_a_friend_aside_is_one_line(tmp_path):
    path = write_tree(tmp_path / "main.root", events())
    friend = write_tree(tmp_path / "friend.root", events(), tree_name="f")
    stored_friend(path, friend)
    Path(friend).unlink()

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))
        ntuple.open_ntuple([path], CARD)

    assert in_fork(tmp_path, work) == (
        3,
        f"DataError: cannot leave aside the friend tree with which {path} was written (no room in the "
        "temporary folder): set TMPDIR to another\n",
    )


def test_the_order_of_a_friend_of_which_nothing_is_read_is_left_aside(tmp_path):
    path = write_tree(tmp_path / "main.root", events())
    stored_friend(path, write_tree(tmp_path / "friend.root", events()[::-1], tree_name="f"))
    assert observed(selection.select([path], CARD)) == N


def test_a_branch_that_was_added_later_is_never_read_as_zero(tmp_path):
    path = write_tree(tmp_path / "late.root", events(), omit=["hcal0"])
    file = root().TFile.Open(path, "UPDATE")
    tree, value = file.Get("tree"), np.zeros(1)
    late, other = tree.Branch("hcal0", value, "hcal0/D"), tree.Branch("mine", value, "mine/D")
    for _ in range(4):
        late.Fill(), other.Fill()
    tree.Write("", root().TObject.kOverwrite)
    file.Close()
    with pytest.raises(DataError, match="branch hcal0 in .* has 4 entries, its tree 12"):
        selection.select([path], CARD)
    declared = (
        '[[selection.declared]]\nname = "own"\nexpression = "mine < 1."\nsignatures = ["S2"]\nafter = "srd"\n'
    )
    mapped = '[layout]\ntree = "tree"\nbase = "A"\n[layout.branches]\nhcal0 = "hcal1"\n'
    assert observed(selection.select([path], card_of(tmp_path, mapped))) == N
    with pytest.raises(DataError, match="branch mine in .* has 4 entries"):
        selection.select([path], card_of(tmp_path, mapped + declared))


LATE_FIELD = """
void na64root_test_late(const char *path) {
   auto model = ROOT::RNTupleModel::Create();
   auto run = model->MakeField<std::uint32_t>("run"), spill = model->MakeField<std::uint32_t>("spill");
   auto number = model->MakeField<std::uint32_t>("spillevent");
   auto writer = ROOT::RNTupleWriter::Recreate(std::move(model), "tree", path);
   *run = 4000;
   for (int i = 0; i < 4; ++i) { *number = i; writer->Fill(); }
   auto updater = writer->CreateModelUpdater();
   updater->BeginUpdate();
   auto late = updater->MakeField<double>("ecalTotal");
   updater->CommitUpdate();
   for (int i = 4; i < 8; ++i) { *number = i; *late = 60.; writer->Fill(); }
}
"""


def test_a_field_that_was_added_later_is_never_read_as_zero(tmp_path):
    declare("#include <ROOT/RNTupleModel.hxx>\n#include <ROOT/RNTupleWriter.hxx>\n" + LATE_FIELD)
    root().na64root_test_late(str(tmp_path / "late.root"))
    with pytest.raises(DataError, match="branch ecalTotal in .* was added after the first entries"):
        ntuple.open_ntuple([str(tmp_path / "late.root")])


# What files say of themselves


def merged(target: Path, *sources: str) -> str:
    hadd = Path(root().__file__).parent / "bin" / "hadd"
    subprocess.run([hadd, "-f", target, *sources], check=True, capture_output=True)
    return str(target)


@pytest.fixture(scope="module")
def skims(tmp_path_factory) -> dict[str, str]:
    """Skims of two runs, one with half of its spills, one blinded, one with electrons of its own."""
    folder = tmp_path_factory.mktemp("skims")
    (folder / "half.txt").write_text('{"4000": [[1, 1]]}')
    half = load_card(overrides=[f'input.good_runs="{folder}/half.txt"'])
    a = write_tree(folder / "a.root", events(run=4000))
    b = write_tree(folder / "b.root", events(run=4001))
    outside = write_tree(folder / "c.root", events(run=4001, ecalTotal=95.0, ecalTotalNoTimecut=96.0))
    made = {}
    for name, source, card, more in (
        ("a", a, half, {}),
        ("b", b, CARD, {}),
        ("blind", outside, CARD, {"blind": True}),
        ("a_eot", a, CARD, {"eot": {"2018": 1e9}}),
        ("b_eot", b, CARD, {"eot": {"2018": 2e9}}),
    ):
        path = folder / f"skim_{name}.root"
        selection.select([source], card, SelectionOptions(skim=Skim(path, "trigger"), **more))
        made[name] = str(path)
    return made


def test_merged_skims_are_the_sum_of_their_parts(tmp_path, skims):
    apart = selection.select([skims["a"], skims["b"]], CARD)
    assert apart.exposure["2018"] == pytest.approx(CARD.exposure()["2018"] * 4 / 6)
    for order in (("a", "b"), ("b", "a")):
        one = merged(tmp_path / "merged.root", *(skims[name] for name in order))
        result = selection.select([one], CARD)
        assert result.exposure == apart.exposure
        assert observed(result) == observed(apart)
        again = tmp_path / "again.root"
        selection.select([one], CARD, SelectionOptions(skim=Skim(again, "trigger", force=True)))
        assert selection.select([str(again)], CARD).exposure == apart.exposure


def test_electrons_of_merged_skims_add_up(tmp_path, skims):
    one = merged(tmp_path / "merged.root", skims["a_eot"], skims["b_eot"])
    for paths in ([one], [skims["a_eot"], skims["b_eot"]]):
        assert selection.select(paths, CARD).exposure["2018"] == pytest.approx(3e9)
    unknown = merged(tmp_path / "unknown.root", skims["a_eot"], skims["b"])
    with pytest.raises(DataError, match="give --eot 2018=N"):
        selection.select([unknown], CARD)


def test_a_merged_file_is_blinded_where_a_part_is(tmp_path, skims):
    for order in (("a", "blind"), ("blind", "a")):
        one = merged(tmp_path / "merged.root", *(skims[name] for name in order))
        with pytest.raises(DataError, match="is a blinded skim"):
            selection.select([one], CARD)


def test_a_file_with_other_events_than_it_says_is_refused(tmp_path, skims, plain):
    ROOT = root()
    cut = tmp_path / "cut.root"
    source, target = ROOT.TFile.Open(skims["b"]), ROOT.TFile.Open(str(cut), "RECREATE")
    source.Get("tree").CopyTree("spillevent > 5").Write()
    target.WriteTObject(source.Get("na64root"))
    target.Close()
    source.Close()
    with pytest.raises(DataError, match="has 8 events, 12 by what it says of itself"):
        selection.select([str(cut)], CARD)
    mixed = merged(tmp_path / "mixed.root", skims["b"], plain)
    with pytest.raises(DataError, match="has 24 events, 12 by what it says of itself"):
        selection.select([mixed], CARD)


def test_simulated_background_counts_for_the_exposure_that_its_file_holds(tmp_path, few_pseudodata):
    eot = {"2016": 1e9, "2017": 0.0, "2018": 2e9}
    path = str(tmp_path / "mc.root")
    simulate.pseudodata(CARD, path, PseudodataOptions(eot=eot, weighted=True), work=Work(seed=3))
    found = backgrounds.estimate([few_pseudodata], CARD, simulation=[path])
    by_hand = backgrounds.estimate([few_pseudodata], CARD, simulation=[path], simulation_eot=eot)
    assert found.dimuon == by_hand.dimuon
    assert found.dimuon.simulation.eot == 3e9
    assert any("by its own files" in note and "2018=2e+09" in note for note in found.notes)
    both = merged(tmp_path / "both.root", path, _other(tmp_path, eot))
    assert backgrounds.estimate([few_pseudodata], CARD, simulation=[both]).dimuon.simulation.eot == 6e9


def test_pseudodata_say_that_they_are_of_another_exposure(few_pseudodata):
    said = "simulated for another one: give --eot 2016=2e+09 --eot 2017=2e+09 --eot 2018=4e+09"
    assert any(said in note for note in selection.select([few_pseudodata], CARD).notes)
    by_hand = SelectionOptions(eot={"2016": 2e9, "2017": 2e9})
    notes = selection.select([few_pseudodata], CARD, by_hand).notes
    assert any(note.endswith("another one: give --eot 2018=4e+09") for note in notes)


def _other(folder: Path, eot: dict[str, float]) -> str:
    path = str(folder / "other.root")
    simulate.pseudodata(CARD, path, PseudodataOptions(eot=eot, weighted=True), work=Work(seed=5))
    return path


# Values for "no value"


@pytest.mark.parametrize(
    ("name", "value", "signature"),
    [
        ("showerChi2", -1.0, "S1"),
        ("hcal0", -999.0, "S2"),
        ("VETO_ene", -999.0, "S2"),
        ("ecalTotalNoTimecut", -999.0, "S2"),
        ("hcal2", -1e30, "S2"),
        ("straw3X", 3.0, "S2"),
    ],
)
def test_an_event_without_a_value_fails_the_cuts_on_it(tmp_path, name, value, signature):
    make = s1_event if signature == "S1" else event
    made = [make(spillevent=n + 2, **({name: value} if n % 3 == 0 else {})) for n in range(N)]
    path = write_tree(tmp_path / "data.root", made)
    card = card_of(tmp_path, f"[input.sentinels]\n{name} = [{value!r}]\n")
    result = selection.select([path], card)
    (count,) = [c for c in result.counts if (c.period, c.signature) == ("2018", signature)]
    assert count.observed == N - N // 3
    assert any(note.startswith(f"{N // 3} events have no value of {name} ") for note in result.notes)
    if name == "straw3X":
        return
    # Undeclared it is counted, and said.
    plain = selection.select([path], CARD)
    assert any(f"selected events have {name} " in note for note in plain.notes)
    assert ntuple.inspect([path], CARD).like_no_value == {name: {f"{value:g}": pytest.approx(1 / 3)}}


def test_what_cannot_be_declared_is_one_line(tmp_path, plain):
    for text, message in (("hcal9 = [-1]", "did you mean hcal"), ("run = [0]", "input.sentinels.run is not")):
        with pytest.raises(Na64Error, match=message):
            selection.select([plain], card_of(tmp_path, f"[input.sentinels]\n{text}\n"))
    assert load_card().sha256 == CARD.sha256


def test_a_friend_that_cannot_be_brought_into_order_is_one_line(tmp_path, plain):
    with pytest.raises(
        DataError, match=r"cannot bring friend tree 'tree' in .* into the order of .*set TMPDIR"
    ):
        in_order_of(plain, "tree", plain, [10**6])


def test_a_skim_of_a_tree_and_a_friend_of_its_name_is_refused(tmp_path):
    path = write_tree(tmp_path / "main.root", events(), omit=["hcal1"])
    write_tree(tmp_path / "friend.root", events())
    card = card_of(tmp_path, FRIEND.replace('tree = "f"', 'tree = "tree"'))
    assert observed(selection.select([path], card)) == N
    with pytest.raises(DataError, match=r"has a friend tree of its own name 'tree' \(a skim keeps both"):
        selection.select([path], card, SelectionOptions(skim=Skim(tmp_path / "skim.root")))
