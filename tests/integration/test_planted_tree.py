"""The selection on events planted on both sides of every cut, whose counts are known by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from na64root import ntuple, selection
from na64root.config import load_card
from na64root.errors import ConfigError, DataError
from na64root.selection import SelectionOptions
from na64root.work import Work
from support import numpy_selection
from support.planted import NAN, OUTSIDE, PLANTED, all_events, expected_flow, flow_of, period_of
from support.tree_a import TRACK_BRANCHES, event, s1_event, write_tree


@pytest.fixture(scope="module")
def card():
    return load_card()


@pytest.fixture(scope="module")
def result(planted_tree, card) -> selection.SelectionResult:
    return selection.select([planted_tree], card)


def test_the_plants_stand_on_both_sides_of_every_cut():
    for i, signature in enumerate(("S1", "S2")):
        fates = {row[1 + i] for row in PLANTED}
        assert fates == {"pass", *numpy_selection.CUTS[signature]}, signature


def test_cut_flow_is_the_planted_one(result):
    assert flow_of(result) == expected_flow()
    assert all(row.weighted == row.events for row in result.cutflow)


def test_each_flow_begins_with_initial_and_has_the_cuts_in_order(result):
    for signature, cuts in numpy_selection.CUTS.items():
        for period in numpy_selection.PERIODS:
            rows = [r.cut for r in result.cutflow if (r.period, r.signature) == (period, signature)]
            assert rows == ["initial", *cuts]


def test_counts_are_the_planted_ones(result):
    flow = expected_flow()
    for count in result.counts:
        assert count.observed == flow[count.period, count.signature, "shower_chi2"]
        assert count.cuts_not_applied == []
    assert {(c.period, c.signature): c.observed for c in result.counts} == {
        ("2016", "S1"): 0, ("2016", "S2"): 2,
        ("2017", "S1"): 2, ("2017", "S2"): 0,
        ("2018", "S1"): 9, ("2018", "S2"): 14,
    }  # fmt: skip


def test_events_outside_the_periods_are_counted_under_their_reason(result):
    for reason, events in OUTSIDE.items():
        rows = [r for r in result.cutflow if r.period == reason]
        assert [(r.signature, r.cut, r.events) for r in rows] == [
            ("S1", "initial", len(events)),
            ("S2", "initial", len(events)),
        ]
        assert any(reason in note and str(len(events)) in note for note in result.notes)
    initial = [r.events for r in result.cutflow if r.cut == "initial" and r.signature == "S1"]
    assert sum(initial) == len(all_events())


def test_one_event_loop(result):
    assert result.event_loops == 1


def test_candidates_are_the_planted_ones_in_order(result):
    events = all_events()
    wanted = sorted(
        (row[0]["run"], number + 1, signature)
        for number, row in enumerate(PLANTED)
        for signature, fate in (("S1", row[1]), ("S2", row[2]))
        if fate == "pass"
    )
    assert [(c.run, c.spillevent, c.signature) for c in result.candidates] == wanted
    for candidate in result.candidates:
        planted = events[candidate.spillevent - 1]
        assert candidate.period == period_of(planted["run"])
        assert candidate.ecal_GeV == planted["ecalTotal"]
        assert candidate.hcal2_GeV == planted["hcal1"]
        assert candidate.momentum_GeV == planted["trackMomentum"]
        assert candidate.shower_chi2 == planted["showerChi2"]
        assert candidate.srd_GeV == tuple(planted["SRD_ene"][:3])
        assert candidate.out_of_time_GeV == planted["ecalTotalNoTimecut"] - planted["ecalTotal"]
        assert candidate.beam_cell == (3, 3)
        assert (candidate.straw_hits_x, candidate.straw_hits_y) == (planted["straw3X"], planted["straw3Y"])


def test_equals_an_independent_numpy_selection(planted_tree, result):
    assert flow_of(result) == numpy_selection.cutflow(numpy_selection.read(planted_tree))


def test_without_cells_and_tracks_s1_is_null_and_s2_says_what_it_skipped(tmp_path, card):
    path = write_tree(tmp_path / "no_tracks.root", all_events(), omit=["HCAL_ene", *TRACK_BRANCHES])
    result = selection.select([path], card)
    skipped = {"straw", "momentum"}
    for i, signature in enumerate(("S1", "S2")):
        for count in (c for c in result.counts if c.signature == signature):
            if signature == "S1":
                assert count.observed is None
                assert count.cuts_not_applied == ["straw", "momentum", "r"]
                continue
            fates = [row[1 + i] for row in PLANTED if period_of(row[0]["run"]) == count.period]
            assert count.observed == sum(fate in {"pass", *skipped} for fate in fates)
            assert count.cuts_not_applied == ["straw", "momentum"]
    # The flow of S1 stops before the cut that cannot be made, so that its end is not taken for a count.
    assert [r.cut for r in result.cutflow if (r.period, r.signature) == ("2018", "S1")][-1] == "hcal"
    assert {c.signature for c in result.candidates} == {"S2"}
    assert all(c.momentum_GeV is None and c.r is None for c in result.candidates)
    assert any("S1 cannot be evaluated (no branch HCAL_ene)" in note for note in result.notes)
    assert any("momentum is not applied (no branch trackMomentum)" in note for note in result.notes)
    inspection = ntuple.inspect([path], card)
    assert not inspection.can_evaluate.S1
    assert inspection.can_evaluate.S2
    assert inspection.can_evaluate.cuts_not_applied == ["straw", "momentum", "r"]


@pytest.mark.parametrize(
    ("missing", "cut"),
    [
        ("SRD_ene", "srd"),
        ("ecal0", "preshower"),
        ("showerChi2", "shower_chi2"),
        ("isOnSpill", "trigger"),
        ("ECAL_ene", "beam_cell"),
        ("ecalTotalNoTimecut", "pile_up"),
    ],
)
def test_any_other_missing_branch_skips_its_cut(tmp_path, card, missing, cut):
    path = write_tree(tmp_path / "file.root", all_events(), omit=[missing])
    result = selection.select([path], card)
    for count in result.counts:
        assert count.observed is not None
        assert count.cuts_not_applied == [cut]
    assert not any(row.cut == cut for row in result.cutflow)


def test_single_core_is_a_switch_of_the_card(planted_tree, result):
    single = selection.select([planted_tree], load_card(overrides=["selection.r.core=single"]))
    fewer = flow_of(single)
    # Only the event in cells (1,1) and (2,1) of HCAL3 in 2018 needs the wide core.
    assert fewer["2018", "S1", "r"] == flow_of(result)["2018", "S1", "r"] - 1
    assert fewer["2017", "S1", "r"] == flow_of(result)["2017", "S1", "r"]


def test_thresholds_come_from_the_card(planted_tree, result):
    loose = selection.select([planted_tree], load_card(overrides=["selection.shower_chi2.chi2_max=10.5"]))
    # One S2 event in 2018 has chi2 = 10.
    assert flow_of(loose)["2018", "S2", "shower_chi2"] == flow_of(result)["2018", "S2", "shower_chi2"] + 1


def test_threads_change_nothing(planted_tree, result, card):
    assert selection.select([planted_tree], card, work=Work(threads=2)) == result


def test_a_chain_is_the_sum_of_its_files(tmp_path, card, result):
    events = all_events()
    for number, event_ in enumerate(events):
        event_["spillevent"] = number + 1
    paths = [write_tree(tmp_path / f"{i}.root", events[i::3]) for i in range(3)]
    chain = selection.select(paths, card)
    assert flow_of(chain) == flow_of(result)
    assert sum(file.entries for file in chain.files) == len(events)
    assert [f.path for f in chain.files] == paths
    assert chain.event_loops == 1


def test_single_precision_and_other_integers_are_read_alike(tmp_path, card, result):
    types = dict.fromkeys(
        ["ecalTotal", "ecalTotalNoTimecut", "hcal3", "VETO_ene", "HCAL_ene", "ECAL_ene"], "F"
    )
    types |= {"straw3X": "D", "straw3Y": "F", "run": "I", "isPhysics": "I"}
    # Single precision moves the planted values on an edge: only events away from edges are used.
    events = [event(), s1_event(), event(hcal0=NAN), s1_event(run=2600), event(run=1, straw3X=9)]
    path = write_tree(tmp_path / "float.root", events, types=types)
    counts = {(c.period, c.signature): c.observed for c in selection.select([path], card).counts}
    assert counts == {
        ("2016", "S1"): 0, ("2016", "S2"): 0,
        ("2017", "S1"): 1, ("2017", "S2"): 0,
        ("2018", "S1"): 1, ("2018", "S2"): 1,
    }  # fmt: skip


def test_weights_make_expected_and_not_observed_counts(tmp_path, card):
    path = write_tree(tmp_path / "mc.root", all_events(), extra={"mcWeight": 0.25})
    result = selection.select([path], card)
    flow = expected_flow()
    assert result.weighted
    assert all(count.observed is None for count in result.counts)
    for row in result.expected:
        events = flow[row.period, row.signature, "shower_chi2"]
        assert row.expected == 0.25 * events
        assert row.error == pytest.approx(0.25 * events**0.5, rel=1e-12)
    assert len(result.expected) == 6
    assert all(row.weighted == 0.25 * row.events for row in result.cutflow)
    assert flow_of(result) == flow
    assert any("mcWeight" in note for note in result.notes)
    plane = result.histograms["ecal_hcal_S2"]
    assert np.sum(plane.contents) + plane.outside == 0.25 * len(
        [c for c in result.candidates if c.signature == "S2"]
    )
    assert np.sum(plane.variances) == 0.25 * np.sum(plane.contents)
    assert all(c.weight == 0.25 for c in result.candidates)
    ones = selection.select([write_tree(tmp_path / "one.root", all_events(), extra={"mcWeight": 1.0})], card)
    assert not ones.weighted
    assert [c.observed for c in ones.counts] == [
        flow[c.period, c.signature, "shower_chi2"] for c in ones.counts
    ]


def test_one_weight_that_is_not_1_makes_it_simulation_also_where_nothing_is_selected(tmp_path, card):
    events = [event(isPhysics=False), event(isPhysics=False)]
    path = write_tree(tmp_path / "ones.root", events, extra={"mcWeight": 1.0})
    assert not selection.select([path], card).weighted
    other = write_tree(tmp_path / "other.root", events[:1], extra={"mcWeight": 1.0 + 1e-12})
    result = selection.select([path, other], card)
    assert result.weighted
    assert np.sum(result.histograms["ecal_hcal_S1"].variances) == 0.0
    nan = write_tree(tmp_path / "nan.root", events, extra={"mcWeight": NAN})
    with pytest.raises(DataError, match="mcWeight in .* is NaN"):
        selection.select([nan], card)


def test_exposure_is_zero_without_a_physics_trigger(tmp_path, card):
    events = [event(), event(run=2600, isTriggerPhysics=False, isTriggerBeam=True)]
    path = write_tree(tmp_path / "one_period.root", events)
    result = selection.select([path], card)
    assert result.exposure == {"2016": 0.0, "2017": 0.0, "2018": 1.87e11}
    for count in result.counts:
        share = 1.87e11 / 2.84e11 if count.period == "2018" else 0.0
        assert count.background == pytest.approx({"S1": 0.19, "S2": 0.53}[count.signature] * share, rel=1e-12)
        error = {"S1": 0.07, "S2": 0.17}[count.signature] * share
        assert count.background_uncertainty == pytest.approx(error, rel=1e-12)
    assert sum("exposure 0" in note for note in result.notes) == 2


def test_backgrounds_scale_with_the_exposure_given(planted_tree, card):
    result = selection.select([planted_tree], card, SelectionOptions(eot={"2018": 3.74e11}))
    assert result.exposure == {"2016": 4.3e10, "2017": 5.4e10, "2018": 3.74e11}
    s2 = next(c for c in result.counts if (c.period, c.signature) == ("2018", "S2"))
    assert s2.background == pytest.approx(0.53 * 3.74e11 / 2.84e11, rel=1e-12)
    with pytest.raises(ConfigError, match="no period 2019"):
        selection.select([planted_tree], card, SelectionOptions(eot={"2019": 1e11}))
    with pytest.raises(ConfigError, match="electrons on target"):
        selection.select([planted_tree], card, SelectionOptions(eot={"2018": -1.0}))


def test_histograms_hold_the_planted_events(result, tmp_path):
    flow = expected_flow()

    def total(name: str) -> float:
        return float(np.sum(result.histograms[name].contents)) + result.histograms[name].outside

    everything = sum(flow[p, "S1", "initial"] for p in numpy_selection.PERIODS)
    assert total("ecal_hcal_initial") == everything
    assert total("ecal_hcal_trigger") == sum(flow[p, "S1", "trigger"] for p in numpy_selection.PERIODS)
    assert total("ecal_hcal_S2") == sum(flow[p, "S2", "shower_chi2"] for p in numpy_selection.PERIODS)
    assert total("ecal_hcal_S1") == sum(flow[p, "S1", "shower_chi2"] for p in numpy_selection.PERIODS)
    assert total("r") == sum(flow[p, "S1", "hcal"] for p in numpy_selection.PERIODS)
    assert total("srd0") == sum(flow[p, "S1", "beam_cell"] for p in numpy_selection.PERIODS)
    assert total("momentum") == sum(flow[p, "S1", "srd"] for p in numpy_selection.PERIODS)
    for period in numpy_selection.PERIODS:
        assert total(f"ecal_{period}") == flow[period, "S1", "trigger"]
    plane = result.histograms["ecal_hcal_S1"]
    x, y = (np.asarray(axis.edges) for axis in plane.axes)
    # The first S1 event: 20 GeV in the ECAL, 0.1 + 30 + 0.2 GeV in the HCAL.
    assert (
        np.asarray(plane.contents)[np.searchsorted(x, 20.0, "right") - 1, np.searchsorted(y, 30.3) - 1] >= 1
    )
    assert plane.axes[0].title == "ECAL energy [GeV]"

    out = tmp_path / "selection.root"
    selection.write_root(result, out)
    from na64root.cling import root

    file = root().TFile.Open(str(out))
    s2 = file.Get("cutflow_2018_S2")
    bins = [(s2.GetXaxis().GetBinLabel(i + 1), s2.GetBinContent(i + 1)) for i in range(s2.GetNbinsX())]
    assert bins == [(cut, flow["2018", "S2", cut]) for cut in ["initial", *numpy_selection.CUTS["S2"]]]
    stored = file.Get("ecal_hcal_S1")
    assert stored.Integral() == np.sum(plane.contents)
    assert stored.GetBinContent(stored.FindBin(20.0, 30.3)) >= 1
    file.Close()


def test_inspection_of_the_planted_file(planted_tree, card):
    record = json.loads(ntuple.inspect([planted_tree], card).model_dump_json())
    runs = sorted({e["run"] for e in all_events()})
    assert record["schema"] == "A"
    assert record["entries"] == len(all_events())
    assert record["runs"] == runs
    assert record["spills"] == len(runs)
    assert record["can_evaluate"] == {"S1": True, "S2": True, "cuts_not_applied": []}
    for period in numpy_selection.PERIODS:
        events = [row[0] for row in PLANTED if period_of(row[0]["run"]) == period]
        assert record["periods"][period]["entries"] == len(events)
        assert record["periods"][period]["physics_triggers"] == sum(
            e["isPhysics"] and e["isTriggerPhysics"] and e["isOnSpill"] and not e["isCalibration"]
            for e in events
        )
    for reason, events in OUTSIDE.items():
        assert record["periods"][reason]["entries"] == len(events)
    assert "HCAL_t0" in record["branches_missing"]
    assert "HCAL_ene" not in record["branches_missing"]
