"""Data quality of files: what is seen, and what is counted once or left out of the selection."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from na64root import selection
from na64root.cling import implicit_threads, root
from na64root.config import load_card
from na64root.event_loop import compiled
from na64root.ntuple import frame, inspect
from na64root.selection import SelectionOptions
from na64root.selection.left_out import LeftOut
from na64root.selection.quality import assess
from na64root.work import Work
from support import commands
from support.tree_a import event, s1_event, write_tree

CARD = load_card()


@pytest.fixture(scope="module")
def bad_spill(tmp_path_factory):
    """Three runs of 2018 with ten spills of 40 triggers each; in spill 4 of run 4001 the ECAL is dead."""
    random = np.random.default_rng(3)
    events = []
    for run in (4000, 4001, 4002):
        for spill in range(1, 11):
            dead = (run, spill) == (4001, 4)
            for number in range(2, 42):
                energy = 0.3 if dead else float(random.uniform(20.0, 90.0))
                changes = {"run": run, "spill": spill, "spillevent": number, "ecalTotal": energy}
                events.append(event(**changes, ecalTotalNoTimecut=energy))
    return write_tree(tmp_path_factory.mktemp("quality") / "spills.root", events)


@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("lacking", [[], ["isPhysics"], ["ecalTotal", "hcal1"]])
def test_the_library_and_strings_record_the_same(tmp_path, monkeypatch, blind, lacking):
    random = np.random.default_rng(5)
    numbers = random.integers(2, 300, 400)
    events = [
        event(
            run=int(random.choice([2000, 4000])),
            spill=int(random.integers(1, 4)),
            spillevent=int(number),
            isPhysics=bool(random.random() < 0.8),
            ecalTotal=float(random.choice([random.uniform(0.0, 100.0), np.nan, 1e9, -3.0])),
            hcal1=float(random.choice([random.exponential(5.0), np.inf])),
        )
        for number in numbers
    ]
    path = write_tree(tmp_path / "events.root", events, omit=lacking)
    in_library = assess([path], CARD, blind=blind)
    assert in_library.duplicates > 0
    assert in_library.out_of_order > 0
    assert in_library.duplicate_examples
    monkeypatch.setattr(compiled, "booking", lambda: None)
    assert assess([path], CARD, blind=blind) == in_library
    assert in_library.entries == 400


def test_a_dead_calorimeter_is_flagged_and_left_out_by_choice(bad_spill):
    assessed = assess([bad_spill], CARD)
    assert assessed.outlier_spills == [(4001, 4)]
    assert "mean ECAL energy: 0.30 GeV, typically 5" in assessed.outliers[0].reason
    assert (assessed.duplicates, assessed.out_of_order, assessed.event_loops) == (0, 0, 1)
    assert [run.flagged_spills for run in assessed.runs] == [0, 1, 0]
    everything = selection.select([bad_spill], CARD)
    for threads in (1, 2):
        kept = selection.select(
            [bad_spill],
            CARD,
            SelectionOptions(without_spills=assessed.outlier_spills),
            work=Work(threads=threads),
        )
        assert kept.event_loops == 1
        assert kept.kept_share == {"2016": 1.0, "2017": 1.0, "2018": 29 / 30}
        rows = {row.period: row.events for row in kept.cutflow if row.cut == "initial"}
        assert rows[LeftOut.SPILL] == 40
        assert rows["2018"] == 1160
        assert any("40 events left out" in note for note in kept.notes)
        observed = {(c.period, c.signature): c.observed for c in kept.counts}
        before = {(c.period, c.signature): c.observed for c in everything.counts}
        assert before["2018", "S2"] - observed["2018", "S2"] == 40
        assert all((c.run, c.spill) != (4001, 4) for c in kept.candidates)


def test_one_thread_reads_whatever_the_caller_has(bad_spill, monkeypatch):
    seen, reading = [], frame.reading

    def observed(*arguments, **options):
        seen.append(root().IsImplicitMTEnabled())
        return reading(*arguments, **options)

    monkeypatch.setattr("na64root.selection.quality.reading", observed)
    with implicit_threads(2):
        assert assess([bad_spill], CARD).out_of_order == 0
        assert root().IsImplicitMTEnabled()
    assert seen == [False]


def numbered(*numbers, **changes):
    return [event(spillevent=number, **changes) for number in numbers]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_first_of_events_with_one_number_is_counted(tmp_path, threads):
    """The second differs: it would pass S1 as well, so that the counts say which one was taken."""
    first = write_tree(tmp_path / "first.root", numbered(*range(2, 3000)))
    second = write_tree(
        tmp_path / "second.root",
        [s1_event(spillevent=number) for number in (5, 17, 2999, 3000)] + numbered(3001, 3001, spill=8),
    )
    result = selection.select([first, second], CARD, work=Work(threads=threads))
    assert {c.signature: c.observed for c in result.counts if c.period == "2018"} == {"S1": 1, "S2": 2999}
    left = [row for row in result.cutflow if row.period == LeftOut.DUPLICATE]
    assert [(row.signature, row.cut, row.events, row.weighted) for row in left] == [
        ("S1", "initial", 4, 4.0), ("S2", "initial", 4, 4.0)
    ]  # fmt: skip
    assert any("4 events have a run, spill and number that came before" in note for note in result.notes)
    other_way = selection.select([second, first], CARD, work=Work(threads=threads))
    assert {c.signature: c.observed for c in other_way.counts if c.period == "2018"} == {"S1": 4, "S2": 2996}
    kept = selection.select(
        [first, second], load_card(overrides=["quality.duplicates=keep"]), work=Work(threads=threads)
    )
    assert {c.signature: c.observed for c in kept.counts if c.period == "2018"} == {"S1": 4, "S2": 3000}


def test_duplicates_order_and_repeated_files_are_noticed(tmp_path):
    path = write_tree(tmp_path / "a.root", numbered(2, 3, 5, 4, 3, 6))
    copy = shutil.copy(path, tmp_path / "b.root")
    assessed = assess([path], CARD)
    assert (assessed.duplicates, assessed.out_of_order, assessed.repeated_files) == (1, 2, [])
    assert [(e.run, e.spill, e.spillevent) for e in assessed.duplicate_examples] == [(4000, 7, 3)]
    assert sum(spill.events for spill in assessed.spills) == 5
    both = assess([path, copy], CARD)
    assert both.repeated_files == [[path, str(copy)]]
    assert both.duplicates == 7
    seen = inspect([path, copy], CARD)
    assert (seen.duplicates, seen.repeated_files) == (7, [[path, str(copy)]])
    assert seen.periods["2018"].entries == seen.entries == 12
    assert seen.notes == [
        f"{path}, {copy} have the same content (one checksum)",
        "7 events have a run, spill and number that came before: counted here each time, once in a selection",
    ]
    keep = inspect([path, copy], load_card(overrides=["quality.duplicates=keep"]))
    assert keep.notes[1].endswith("counted here each time, in a selection too")
    assert any("same content" in note for note in both.notes)
    assert any("same content" in note for note in selection.select([path, copy], CARD).notes)


def test_simulation_may_use_a_number_twice(tmp_path):
    path = write_tree(tmp_path / "mc.root", numbered(2, 2, 3), extra={"mcWeight": 0.5})
    assert assess([path], CARD).duplicates == inspect([path], CARD).duplicates == 0
    result = selection.select([path], CARD)
    assert [row.events for row in result.cutflow if row.period == "2018" and row.cut == "initial"] == [3, 3]


def test_a_file_without_flags_and_hcal_is_assessed_as_far_as_it_goes(tmp_path):
    path = write_tree(tmp_path / "few.root", numbered(*range(2, 9)), omit=["isPhysics", "hcal1"])
    assessed = assess([path], CARD)
    assert assessed.spills[0].triggers == 7
    assert assessed.spills[0].hcal_mean_GeV is None
    assert assessed.spills[0].ecal_mean_GeV == 20.0
    assert any("every event counts as a physics trigger" in note for note in assessed.notes)


def test_the_verb_prints_and_draws(bad_spill, tmp_path):
    code, text = commands.run("quality", bad_spill, "-o", str(tmp_path / "out"), "--json")
    assert code == 0
    record = json.loads(text)
    assert [o["run"] for o in record["outliers"]] == [4001]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "quality.json", "quality.pdf", "quality.png"
    ]  # fmt: skip
    assert commands.run("quality", bad_spill, "-o", str(tmp_path / "out"))[0] == 2
