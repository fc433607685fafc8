"""Lists of good runs: counts, reasons, provenance, and what is wrong with a list in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from na64root import load_card, ntuple, selection
from na64root.cling import implicit_threads
from na64root.config import Card
from na64root.errors import DataError
from na64root.event_loop import compiled
from na64root.ntuple import good_runs, read_good_runs
from na64root.selection import cut_table, quality
from na64root.work import Work
from support import commands
from support.tree_a import event, s1_event, write_tree

NOT_GOOD = "not in the list of good runs"


def card_with(path: Path) -> Card:
    return load_card(overrides=[f'input.good_runs="{path}"'])


def events() -> list[dict]:
    """Three spills of runs of two periods, an excluded run and one without a period."""
    runs = [2000, 2001, 4000, 4001, 4002, 2490, 9000]
    return [make(run=run, spill=s) for run in runs for s in (1, 2, 3) for make in (event, s1_event)]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return write_tree(tmp_path_factory.mktemp("data") / "data.root", events())


def counts(result: selection.SelectionResult) -> dict[tuple[str, str], int | None]:
    return {(c.period, c.signature): c.observed for c in result.counts if c.period != "2017"}


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("# best of 2018\n4000\n\n4001 - 4002  # both\n2001, 2490, 9000\n", {4000, 4001, 4002, 2001}),
        ("2000-4000", {2000, 2001, 4000}),
        (
            '{"4000": [[1, 1], [3, 3]], "2001": [[2, 9]], "4002": []}',
            {(4000, 1), (4000, 3), (2001, 2), (2001, 3)},
        ),
    ],
)
def test_other_runs_are_counted_under_their_reason(tmp_path, data, text, good):
    path = tmp_path / "good.txt"
    path.write_text(text)
    card = card_with(path)
    in_periods = [(e["run"], e["spill"]) for e in events() if e["run"] < 2484 or 3855 <= e["run"] <= 4223]
    kept = [(run, spill) for run, spill in in_periods if run in good or (run, spill) in good]
    result = selection.select([data], card)
    expected = {}
    for period, low, high in (("2016", 0, 2466), ("2018", 3855, 4223)):
        # Of each run and spill one event is of S1 and one of S2.
        both = sum(low <= run <= high for run, _ in kept)
        expected |= {(period, "S1"): both // 2, (period, "S2"): both // 2}
    assert counts(result) == expected
    assert selection.select([data], card, work=Work(threads=2)) == result
    left_out = {
        row.cut: row.events for row in result.cutflow if (row.period, row.signature) == (NOT_GOOD, "S1")
    }
    assert left_out == {"initial": len(in_periods) - len(kept)}
    assert any(f"{len(in_periods) - len(kept)} events left out ({NOT_GOOD})" in note for note in result.notes)
    initial = [row.events for row in result.cutflow if (row.cut, row.signature) == ("initial", "S1")]
    assert sum(initial) == len(events())
    record = ntuple.inspect([data], card)
    assert record.periods[NOT_GOOD].entries == len(in_periods) - len(kept)
    assert record.periods["2018"].entries == 2 * expected["2018", "S1"]
    used = record.provenance.input.good_runs
    assert (used.path, len(used.sha256)) == (str(path), 64)
    assert result.input.good_runs == used


def test_a_list_is_read_into_ranges_once(tmp_path, data, monkeypatch):
    """Input, exposure, cut table and periods ask for it; what was written since is read again."""
    parsed = []
    of_text = good_runs._of_text
    monkeypatch.setattr(good_runs, "_of_text", lambda *list_: parsed.append(list_) or of_text(*list_))
    path = tmp_path / "good.txt"
    path.write_text("4000")
    card = card_with(path)
    first = selection.select([data], card)
    quality.assess([data], card)
    assert len(parsed) == 1
    path.write_text("4001-4002")
    assert selection.select([data], card).input.good_runs != first.input.good_runs
    assert len(parsed) == 2


def test_a_list_with_all_runs_changes_nothing(tmp_path, data):
    path = tmp_path / "good.txt"
    path.write_text("0-99999")
    plain, listed = selection.select([data], load_card()), selection.select([data], card_with(path))
    assert listed.model_dump(exclude={"input"}) == plain.model_dump(exclude={"input"})


def test_ranges_are_merged(tmp_path):
    path = tmp_path / "good.txt"
    path.write_text("5-9\n1-3\n8-12\n4\n20")
    ranges = read_good_runs(path).ranges
    assert [(first >> 32, last >> 32) for first, last in ranges] == [(1, 12), (20, 20)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4000\nall\n", "line 2 of the list of good runs FILE is 'all'"),
        ("4010-4000", "line 1 of the list of good runs FILE goes from 4010 to 4000"),
        ("# none\n", "FILE has no run"),
        ("", "FILE has no run"),
        ('{"4000": [[1, 2]', "FILE is not valid JSON"),
        ('{"4000": [[1, 2]], "4000": [[3, 4]]}', "FILE has run 4000 twice"),
        ('{"4000": [1, 2]}', "run 4000 in the list of good runs FILE is [1, 2]"),
        ('{"x": [[1, 2]]}', "run x in the list"),
        ('{"4000": [[5, 2]]}', "run 4000 in the list of good runs FILE goes from 5 to 2"),
        # What int() takes and no run is, or does not take.
        ('{"²": [[1, 2]]}', "run ² in the list of good runs FILE is [[1, 2]]"),
        ("4" * 5000, "line 1 of the list of good runs FILE is '4444"),
        (f'{{"4000": [[1, 2, {"9" * 400}]]}}', "run 4000 in the list of good runs FILE has 9999"),
        ('{"4000": ' + "[" * 100_000, "FILE is not valid JSON"),
        (None, "cannot read the list of good runs FILE (No such file or directory)"),
    ],
)
def test_a_wrong_list_is_one_line(tmp_path, data, text, message):
    path = tmp_path / "good.txt"
    if text is not None:
        path.write_text(text)
    for read in (selection.select, ntuple.inspect):
        with pytest.raises(DataError) as caught:
            read([data], card_with(path))
        assert message.replace("FILE", str(path)) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_option_of_the_command_line(tmp_path, data, capsys):

    path = tmp_path / "good.txt"
    path.write_text("4000")
    code, text = commands.run("inspect", data, "--json", "--good-runs", str(path))
    assert code == 0
    record = json.loads(text)
    assert record["periods"]["2018"]["runs"] == [4000]
    assert record["provenance"]["input"]["good_runs"]["path"] == str(path)
    assert commands.run("inspect", data, "--good-runs", str(tmp_path / "no.txt"))[0] == 2
    assert "cannot read the list of good runs" in capsys.readouterr().err


def test_quality_judges_the_runs_of_the_list_only(tmp_path):
    """A dead calorimeter in a run that is not good is no spill of the period, neither sound nor flagged."""
    random = np.random.default_rng(5)
    made = []
    for run in (4000, 4001, 4002):
        for spill in range(1, 9):
            for number in range(2, 32):
                energy = 0.3 if (run, spill % 4) == (4002, 0) else float(random.uniform(20.0, 90.0))
                numbers = {"run": run, "spill": spill, "spillevent": number}
                made.append(event(**numbers, ecalTotal=energy, ecalTotalNoTimecut=energy))
    data = write_tree(tmp_path / "spills.root", made)
    assert quality.assess([data], load_card()).outlier_spills == [(4002, 4), (4002, 8)]
    path = tmp_path / "good.json"
    path.write_text('{"4000": [[1, 8]], "4001": [[1, 8]], "4002": [[1, 5]]}')
    assessed = quality.assess([data], card_with(path))
    assert assessed.outlier_spills == [(4002, 4)]
    assert {(run.run, run.period, run.spills, run.flagged_spills) for run in assessed.runs} == {
        (4000, "2018", 8, 0), (4001, "2018", 8, 0), (4002, "2018", 5, 1), (4002, NOT_GOOD, 3, 0)
    }  # fmt: skip


def test_the_period_of_a_spill_is_the_same_in_the_library_in_cling_and_on_arrays(tmp_path):
    """Reference: self, three faces; random lists, runs and spills at and beside the ends of their ranges."""
    random = np.random.default_rng(5)
    good, spills = {}, []
    for run in (2000, 2466, 3855, 4000, 4223):
        ends = np.sort(random.choice(np.arange(1, 40), 6, replace=False)).reshape(3, 2)
        good[str(run)] = [[int(a), int(b)] for a, b in ends[::2]]
        spills += [(run, int(s) + step) for s in ends.flat for step in (-1, 0, 1)]
    spills += [(run + step, 5) for run in (2000, 2490, 4223, 9000) for step in (-1, 0, 1)]
    path = tmp_path / "good.json"
    path.write_text(json.dumps(good))
    card = card_with(path)
    rows = [event(run=run, spill=spill, spillevent=i + 2) for i, (run, spill) in enumerate(spills)]
    opened = ntuple.open_ntuple([write_tree(tmp_path / "spills.root", rows)], card)
    derived = {"na64_period": cut_table.definitions(card, opened.present)["na64_period"]}
    cut_table.declare_functions(card)
    with implicit_threads(1):
        in_library = (
            compiled.defined(opened.compiled_frame(), derived).table(["na64_period"]).GetValue()[:, 0]
        )
        in_cling = compiled.defined(opened.data_frame(), derived).AsNumpy(["na64_period"])["na64_period"]
    run, spill = np.array(spills).T
    expected = ntuple.period_index(card, run, spill)
    assert len(set(expected)) >= 4
    assert np.array_equal(in_library, expected)
    assert np.array_equal(in_cling, expected)
