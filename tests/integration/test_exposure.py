"""Electrons on target follow what is used of an input; numbers by hand are taken as they are.

References: fractions of the planted spills, counted by hand (analytic).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from na64root import backgrounds, selection
from na64root.analyze import AnalysisOptions, DataOptions, chain
from na64root.analyze.counts import counts_of_likelihood, data_of
from na64root.cling import root
from na64root.config import Card, load_card
from na64root.errors import ConfigError, DataError
from na64root.event_loop import compiled
from na64root.ntuple import baskets, read_good_runs
from na64root.records import ResultsFolder
from na64root.selection import SelectionOptions, exposure
from na64root.selection.skim import Skim
from na64root.work import Work
from support.commands import run
from support.tree_a import event, write_tree

CARD = load_card()
# Four spills in each of three runs of 2018, two in one of 2016, one in a run of no period.
SPILLS = [
    *((run, spill) for run in (4000, 4001, 4002) for spill in (1, 2, 3, 4)),
    (2000, 1),
    (2000, 2),
    (9000, 1),
]
FEW = "4000\n4001\n2000\n"  # two thirds of 2018, all of 2016
OUTLIERS = [(4000, 2), (4002, 1)]  # the second is in a run that the list has not: it counts once


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("data")
    return write_tree(
        folder / "data.root", [event(run=r, spill=s, spillevent=n) for r, s in SPILLS for n in (2, 3)]
    )


@pytest.fixture
def listed(tmp_path):
    def with_list(text: str) -> Card:
        path = tmp_path / "good.txt"
        path.write_text(text)
        return load_card(overrides=[f'input.good_runs="{path}"'])

    return with_list


def eot(period: str) -> float:
    return CARD.exposure()[period]


def test_the_share_of_good_spills_scales_the_card(data, listed):
    result = selection.select([data], listed(FEW), SelectionOptions(without_spills=OUTLIERS))
    assert result.kept_share == {"2016": 1.0, "2017": 1.0, "2018": pytest.approx(7 / 12, rel=1e-15)}
    assert result.exposure == pytest.approx({"2016": eot("2016"), "2017": 0.0, "2018": eot("2018") * 7 / 12})
    assert any("period 2018: 7 of 12 spills are used" in note for note in result.notes)
    share = sum(result.exposure[p] for p in ("2018",)) / CARD.eot
    (s2,) = [c for c in result.counts if (c.period, c.signature) == ("2018", "S2")]
    assert (s2.observed, s2.background) == (14, pytest.approx(CARD.limit.S2.background.value * share))


@pytest.mark.parametrize(
    "by_hand", [{"all": 1e11}, {"2016": 1e10, "2017": 2e10, "2018": 3e10}, {"2018": 3e10}, {"2016": 3e10}]
)
def test_what_is_given_by_hand_is_not_scaled(data, listed, by_hand, monkeypatch):
    calls, count = [], exposure.spills
    monkeypatch.setattr(exposure, "spills", lambda *a, **k: calls.append(True) or count(*a, **k))
    result = selection.select([data], listed(FEW), SelectionOptions(without_spills=OUTLIERS, eot=by_hand))
    expected = CARD.exposure(by_hand) | {"2017": 0.0}
    if by_hand.keys() == {"2016"}:
        expected["2018"] *= 7 / 12
    assert result.exposure == pytest.approx(expected, rel=1e-12)
    # Where nothing asks for them, spills are not counted.
    counted = set(by_hand) in ({"2016"}, {"2018"})
    assert calls == [True] * counted
    assert result.kept_share["2018"] == (pytest.approx(7 / 12) if counted else None)


@pytest.mark.parametrize(
    "text",
    [
        "4000: 1.5e9, 4002 : 2e9 # both\n4100: 7e9\n2000: 1e8\n",
        '{"4000": [[1, 2, 1e9], [3, 9, 0.5e9]], "4002": [[1, 4, 2e9], [5, 9, 7e9]], "2000": [[1, 2, 1e8]]}',
    ],
)
def test_electrons_of_the_list_count_where_the_input_holds_them(data, listed, text):
    """Run 4100, and spills 5 to 9 of run 4002, are not in the input."""
    card = listed(text)
    result = selection.select([data], card)
    assert result.exposure == pytest.approx({"2016": 1e8, "2017": 0.0, "2018": 3.5e9}, rel=1e-12)
    assert result.kept_share["2018"] == pytest.approx(8 / 12)
    assert result.input.good_runs.eot == pytest.approx(10.6e9)
    without = selection.select([data], card, SelectionOptions(without_spills=[(4000, 1)]))
    lost = 0.5e9 if "{" in text else 1.5e9 / 4  # half of the spills of an entry, or one of four
    assert without.exposure["2018"] == pytest.approx(3.5e9 - lost, rel=1e-12)
    assert selection.select([data], card, SelectionOptions(eot={"2018": 1e9})).exposure["2018"] == 1e9
    assert backgrounds.estimate([data], card).exposure == result.exposure


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4000: 1e9\n4001\n", "has electrons on target for 1 of 2 entries"),
        (
            "4000-4002: 1e9\n",
            "line 1 of the list of good runs FILE has electrons on target of runs 4000 to 4002",
        ),
        ("4000: 1e9\n4000: 1e9\n", "has spills of run 4000 in two entries"),
        ("4000: many\n", "line 1 of the list of good runs FILE has 'many' electrons on target"),
        ("4000: -1\n", "has '-1' electrons on target"),
        ("4000 4001\n", "is '4000 4001'"),
        ('{"4000": [[1, 50, "x"]]}', "run 4000 in the list of good runs FILE has 'x' electrons on target"),
        ('{"4000": [[1, 50, 1e9], [50, 60, 1e9]]}', "has spills of run 4000 in two entries"),
        ('{"4000": [[1, 50, 1e9, 2]]}', "run 4000 in the list of good runs FILE is"),
    ],
)
def test_wrong_electrons_are_one_line(tmp_path, text, message):
    path: Path = tmp_path / "good.txt"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_good_runs(path)
    assert message.replace("FILE", str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_without_electrons_and_cut_reads_nothing_more(data, listed, monkeypatch):
    """The loop over runs and spills is for those who need it."""
    calls = []
    monkeypatch.setattr(exposure, "spills", lambda *a, **k: calls.append(a))
    assert selection.select([data], CARD).kept_share == {"2016": 1.0, "2017": 1.0, "2018": 1.0}
    assert calls == []


def test_files_that_are_left_out_are_missed_in_the_exposure(data, tmp_path):
    bad = tmp_path / "bad.root"
    bad.write_bytes(b"root no more")
    card = load_card(overrides=["input.skip_bad_files=on"])
    said = "1 files were left out, and the exposure still has their electrons"
    assert any(said in note for note in selection.select([data, str(bad)], card).notes)
    assert not any(said in note for note in selection.select([data], card).notes)
    by_hand = selection.select([data, str(bad)], card, SelectionOptions(eot={"all": 1e11}))
    assert not any(said in note for note in by_hand.notes)


def test_hidden_events_make_no_spill(tmp_path, listed):
    """Blinded, a spill of events in the boxes alone is in no share."""
    seen = [event(spill=s, spillevent=n, ecalTotal=60.0) for s in (1, 2) for n in (2, 3)]
    hidden = [event(spill=3, spillevent=2), event(run=4001, spill=1, spillevent=2)]
    one = write_tree(tmp_path / "one.root", seen)
    other = write_tree(tmp_path / "other.root", seen + hidden)
    card = listed('{"4000": [[1, 1], [3, 3]]}')
    results = [selection.select([path], card, SelectionOptions(blind=True)) for path in (one, other)]
    assert results[0].kept_share["2018"] == results[1].kept_share["2018"] == 1 / 2
    # Not hidden, spill 3 of run 4000 is one more that is kept, that of 4001 one that is not.
    assert selection.select([other], card).kept_share["2018"] == 2 / 4


FAST = ["--set", "plane.mass_points=4", "--set", "plane.epsilon_points=4"]


@pytest.mark.parametrize(
    ("arguments", "has_exposure", "has_notes_on_it"),
    [
        (["inspect"], False, False),
        (["quality"], False, False),
        (["background"], True, True),
        (["scan", "mass-epsilon", *FAST], True, True),
        (["export", *FAST, "--format", "pyhf"], False, True),
    ],
    ids=["inspect", "quality", "background", "scan", "export"],
)
@pytest.mark.parametrize("electrons", [": 2e9", ""], ids=["of_list", "of_card"])
def test_every_verb_that_reads_files_takes_the_options_of_the_input(
    data, tmp_path, arguments, has_exposure, has_notes_on_it, electrons, without_other_experiments
):
    """One bad file left out, one run of three used: the exposure, where the verb has one, follows."""
    bad, good = tmp_path / "bad.root", tmp_path / "good.txt"
    bad.write_bytes(b"root no more")
    good.write_text(f"4000{electrons}")
    folder = ["-o", str(tmp_path / "out")] if arguments[0] == "export" else []
    options = ["--good-runs", str(good), "--skip-bad-files", "--json", *folder]
    code, text = run(*arguments, data, str(bad), *options)
    assert code == 0
    record = json.loads(text)
    assert [file["path"] for file in record["provenance"]["input"]["files_skipped"]] == [str(bad)]
    assert record["provenance"]["input"]["good_runs"]["path"] == str(good)
    assert ("exposure" in record) == has_exposure
    if has_exposure:
        of_2018 = 2e9 if electrons else eot("2018") / 3
        assert record["exposure"] == pytest.approx({"2016": 0.0, "2017": 0.0, "2018": of_2018})
    # Of the list's electrons a file that was left out takes those of its own runs along.
    said = [note for note in record["notes"] if "1 files were left out" in note]
    assert len(said) == has_notes_on_it
    for note in said:
        assert ("the exposure still has their electrons" in note) == (not electrons)
        assert (f"an entry of {good} has all its electrons" in note) == bool(electrons)


def test_options_on_events_are_refused_where_there_are_none(capsys, tmp_path, listed):
    for verb in (["scan", "mass-epsilon"], ["export"]):
        for option in ("--skip-bad-files", "--blind", "--exclude-outlier-spills"):
            assert run(*verb, option, "-o", str(tmp_path / "out"))[0] == 2
            assert f"{option} without FILES" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="list of good runs with --pseudodata"):
        chain.analyze([], listed("4000"), ResultsFolder(tmp_path / "out"), AnalysisOptions(pseudodata=True))
    assert not (tmp_path / "out").exists()


def test_scan_and_export_take_the_counts_and_exposure_of_analyze(data, listed):
    card = listed(FEW)
    read = data_of([data], card, DataOptions(), Work())
    selected = selection.select([data], card)
    assert read.quality.kept_share == selected.kept_share == {"2016": 1.0, "2017": 1.0, "2018": 2 / 3}
    assert (read.counts, read.exposure) == (counts_of_likelihood(selected), selected.exposure)
    assert read.exposure["2018"] == pytest.approx(eot("2018") * 2 / 3)


# Of each run, spill 1 has no track: after the cut `momentum` it is empty.
@pytest.fixture(scope="module")
def tracks(tmp_path_factory) -> str:
    events = [
        event(run=r, spill=s, spillevent=n, trackMomentum=50.0 if s == 1 else 100.0)
        for r, s in SPILLS
        for n in (2, 3)
    ]
    return write_tree(tmp_path_factory.mktemp("tracks") / "tracks.root", events)


@pytest.mark.parametrize("electrons", [False, True])
def test_a_skim_has_the_exposure_of_its_selection(tracks, listed, tmp_path, electrons):
    """Read again with the list and without, and as a skim of a skim; numbers counted by hand."""
    text = "4000: 1e9\n4001: 2e9\n2000: 1e8\n" if electrons else FEW
    card, path, more = listed(text), tmp_path / "skim.root", tmp_path / "more.root"
    made = selection.select(
        [tracks], card, SelectionOptions(without_spills=OUTLIERS, skim=Skim(path, "trigger"))
    )
    again = selection.select([str(path)], CARD, SelectionOptions(skim=Skim(more, "momentum")))
    expected = 1e9 * 3 / 4 + 2e9 if electrons else eot("2018") * 7 / 12
    assert made.exposure["2018"] == pytest.approx(expected, rel=1e-12)
    for result in (
        again,
        selection.select([str(path)], card),
        selection.select([str(more)], CARD),
        selection.select([str(more)], card, SelectionOptions(without_spills=OUTLIERS)),
    ):
        assert result.exposure == pytest.approx(made.exposure, rel=1e-12)
        assert result.kept_share == pytest.approx(made.kept_share)
        said = f"by the skim {tmp_path}" if electrons else "7 of 12 spills are used (of the input of"
        assert any(said in note for note in result.notes)
    # Of the seven spills one more is left out, which the skim has no event of.
    fewer = selection.select([str(more)], CARD, SelectionOptions(without_spills=[(4001, 1)]))
    assert fewer.kept_share["2018"] == pytest.approx(6 / 12)
    assert fewer.exposure["2018"] == pytest.approx(expected * 6 / 7, rel=1e-12)
    assert selection.select([str(more)], CARD, SelectionOptions(eot={"2018": 5e9})).exposure["2018"] == 5e9


def test_skims_are_read_with_other_files(tracks, listed, tmp_path):
    """Their spills are those of the inputs together, where no number of its own stands in the way."""
    path, later = tmp_path / "skim.root", tmp_path / "later.root"
    selection.select([tracks], listed(FEW), SelectionOptions(skim=Skim(path, "momentum")))
    write_tree(later, [event(run=4010, spill=s, spillevent=2) for s in range(1, 9)])
    together = selection.select([str(path), str(later)], CARD)
    assert together.kept_share["2018"] == pytest.approx((8 + 8) / (12 + 8))
    selection.select(
        [tracks], CARD, SelectionOptions(eot={"2018": 3e9}, skim=Skim(path, "momentum", force=True))
    )
    assert selection.select([str(path)], CARD).exposure["2018"] == 3e9
    with pytest.raises(DataError, match=r"skim.root is a skim .*period 2018.*give --eot 2018=N"):
        selection.select([str(path), str(later)], CARD)
    by_hand = selection.select([str(path), str(later)], CARD, SelectionOptions(eot={"2018": 4e9}))
    assert by_hand.exposure["2018"] == 4e9


@pytest.mark.parametrize(
    ("blind", "box"),
    [(False, set()), (True, {"ecalTotal", "hcal0", "hcal1", "hcal2"})],
    ids=["open", "blind"],
)
def test_only_what_says_the_spills_is_unpacked_for_them(data, listed, monkeypatch, blind, box):
    """All else is unpacked once, where the event loop runs; where strings read, which look at no basket."""
    monkeypatch.setattr(compiled, "booking", lambda: None)
    unpacked, check = [], baskets.check_baskets_of_tree

    def seen(tree, entries, names, path):
        unpacked.append(set(names))
        check(tree, entries, names, path)

    monkeypatch.setattr(baskets, "check_baskets_of_tree", seen)
    selection.select([data], listed(FEW), SelectionOptions(blind=blind))
    assert len(unpacked) == 2
    assert unpacked[0] == {"run", "spill"} | box
    assert unpacked[1] > unpacked[0]


@pytest.mark.parametrize("branch", ["run", "ecalTotal"])
def test_a_damaged_branch_is_one_line_with_a_list(tmp_path, listed, branch):
    """Whether the spills are read from it or the selection."""
    path = Path(write_tree(tmp_path / "file.root", [event(spillevent=n) for n in range(2, 2000)]))
    file = root().TFile.Open(str(path))
    basket = file.Get("tree").GetBranch(branch)
    place, size = basket.GetBasketSeek(0), basket.GetBasketBytes()[0]
    file.Close()
    content = bytearray(path.read_bytes())
    content[place + size // 2 : place + size] = bytes(size - size // 2)
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"branch {branch} in .* cannot be read"):
        selection.select([str(path)], listed("4000"))
