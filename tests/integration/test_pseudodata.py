"""Pseudo-data: every branch and class, both sides of every cut, the card's backgrounds in the boxes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from na64root import ntuple, selection
from na64root.cling import root
from na64root.config import load_card
from na64root.errors import ConfigError, Na64Error
from na64root.simulation import simulate
from na64root.simulation.options import PseudodataOptions
from na64root.simulation.writer import EventFile
from na64root.work import Work
from support import numpy_selection

PERIODS = list(numpy_selection.PERIODS)
# Name and leaf type of every branch of the layout, from its description (independent of tree_a.hpp).
DOUBLES = (
    "masterTime S0_amp S1_amp S2_amp S0_t0 S1_t0 S2_t0 ecalTotal ecal0 ecal1 hcal0 hcal1 hcal2 hcal3 "
    "srdTotal showerChi2 trackMomentum trackChi2 ecalTotalNoTimecut mcWeight"
)
FLAGS = (
    "isPhysics isCalibration isOnSpill isTriggerPhysics isTriggerBeam isTriggerRandom isTriggerECAL "
    "isTriggerMuonInv"
)
BRANCHES = {
    **dict.fromkeys(["run", "spill", "spillevent", "runevent"], ("UInt_t", "")),
    **dict.fromkeys(FLAGS.split(), ("Bool_t", "")),
    **dict.fromkeys(DOUBLES.split(), ("Double_t", "")),
    **dict.fromkeys(["nTracks", "straw3X", "straw3Y"], ("Int_t", "")),
    **dict.fromkeys(["ECAL_ene", "ECAL_t0"], ("Double_t", "[2][6][6]")),
    **dict.fromkeys(["HCAL_ene", "HCAL_t0"], ("Double_t", "[4][3][3]")),
    **dict.fromkeys(["SRD_ene", "SRD_t0"], ("Double_t", "[4]")),
    **dict.fromkeys(["VETO_ene", "VETO_t0"], ("Double_t", "[6]")),
}


@pytest.fixture(scope="module")
def card():
    return load_card()


@pytest.fixture(scope="module")
def default(tmp_path_factory, card) -> simulate.SimulationResult:
    """The sample that the user gets: default size, default seed."""
    return simulate.pseudodata(card, tmp_path_factory.mktemp("pseudodata") / "pseudodata.root")


@pytest.fixture(scope="module")
def selected(default, card) -> selection.SelectionResult:
    return selection.select([default.file], card)


def flow_of(result: selection.SelectionResult) -> dict[tuple[str, str, str], int]:
    return {(r.period, r.signature, r.cut): r.events for r in result.cutflow}


def columns(path: str, *names: str) -> dict[str, np.ndarray]:
    data = root().RDataFrame("tree", path).AsNumpy(list(names))
    return {name: np.asarray(data[name]) for name in names}


def only(name: str, factor: float, *more: str) -> list[str]:
    """Overrides that leave one class, with `factor` times its rate."""
    classes = load_card().pseudodata.classes
    rates = {other: 0.0 for other in classes} | {name: classes[name].rate_per_eot.value * factor}
    return [f"pseudodata.{n}.rate_per_eot={rate!r}" for n, rate in rates.items()] + list(more)


def test_every_branch_of_the_layout_with_its_type(default):
    file = root().TFile.Open(default.file)
    tree = file.Get("tree")
    found = {}
    for branch in tree.GetListOfBranches():
        leaf = branch.GetListOfLeaves()[0]
        dimensions = str(leaf.GetTitle())[len(str(branch.GetName())) :]
        found[str(branch.GetName())] = (str(leaf.GetTypeName()), dimensions)
    file.Close()
    assert {name: found.get(name) for name in BRANCHES} == BRANCHES
    assert found["hod2_xhits_reco"][0] == "vector<int>"
    assert set(default.truth) == {name for name in found if name.startswith("mc_")}


def test_an_inspection_misses_nothing(default, card):
    record = ntuple.inspect([default.file], card)
    assert record.branches_missing == []
    assert record.entries == default.events
    assert record.can_evaluate.S1
    assert record.can_evaluate.S2
    assert record.can_evaluate.cuts_not_applied == []
    for period in card.periods:
        content = record.periods[period.name]
        assert content.physics_triggers
        assert len(content.runs) > 5
        assert content.spills > 50
        assert period.first_run <= min(content.runs)
        assert max(content.runs) <= period.last_run
    assert sum(content.entries for content in record.periods.values()) == record.entries


def test_each_class_is_drawn_from_its_rate(default, card):
    truth = columns(default.file, "mc_class", "mcWeight")
    assert default.weights_sum == default.events == len(truth["mc_class"])
    assert (truth["mcWeight"] == 1.0).all()
    drawn = np.bincount(truth["mc_class"], minlength=len(default.classes))
    for number, (name, facts) in enumerate(default.classes.items()):
        rate = card.pseudodata.classes[name]
        expected = rate.rate_per_eot.value * card.eot / rate.prescale.value
        assert facts.expected == pytest.approx(expected, rel=1e-12)
        assert facts.prescale == rate.prescale.value
        assert facts.events == drawn[number]
        # Poisson: 5 standard deviations, false alarm 6e-7 for each of 11 classes.
        assert abs(facts.events - expected) < 5.0 * math.sqrt(expected)
    assert default.classes["beam_electron"].prescale > 1
    assert default.classes["neutral_leakage"].prescale == 1
    assert default.classes["large_missing_energy"].prescale == 1


def test_the_file_says_how_it_was_made(default):
    file = root().TFile.Open(default.file)
    about = json.loads(str(file.Get("na64root").GetTitle()))
    assert file.GetCompressionAlgorithm() == 5  # ZSTD
    file.Close()
    stored = about["classes"]["beam_electron"]
    assert stored["prescale"] == default.classes["beam_electron"].prescale
    assert about["seed"] == 1
    assert about["provenance"]["card"] == "paper2021"


def test_every_cut_rejects_something_in_every_period(selected):
    """A selection that lets all pass at one cut would be noticed in the default sample."""
    flow = flow_of(selected)
    for signature, cuts in numpy_selection.CUTS.items():
        for period in PERIODS:
            steps = [flow[period, signature, cut] for cut in ["initial", *cuts]]
            assert (np.diff(steps) < 0).all(), (period, signature, steps)
            # The last cut still has events to reject, and all before it events to keep.
            assert steps[-2] > 0


@pytest.fixture(scope="module")
def events(default) -> dict[str, np.ndarray]:
    return numpy_selection.read(default.file)


def test_equals_an_independent_numpy_selection(events, selected):
    assert flow_of(selected) == numpy_selection.cutflow(events)


def test_one_event_loop_and_the_same_on_two_threads(default, selected, card):
    assert selected.event_loops == 1
    assert selection.select([default.file], card, work=Work(threads=2)) == selected


def test_observed_counts_are_the_candidates(selected):
    for count in selected.counts:
        found = [c for c in selected.candidates if (c.period, c.signature) == (count.period, count.signature)]
        assert count.observed == len(found)
    assert not selected.weighted
    assert selected.exposure == {"2016": 4.3e10, "2017": 5.4e10, "2018": 1.87e11}


def test_it_looks_like_the_experiment(default):
    """Features of each class that the analysis relies on; references are the card's numbers (self).

    Statistical bounds are 5 standard deviations, false alarm 6e-7 each.
    """
    names = ["mc_class", "ecalTotal", "hcal0", "hcal1", "hcal2", "isTriggerPhysics", "isCalibration"]
    data = columns(default.file, *names)
    number = {name: i for i, name in enumerate(default.classes)}

    def of(name: str, column: str) -> np.ndarray:
        return data[column][data["mc_class"] == number[name]]

    beam = of("beam_electron", "ecalTotal")
    # 10 %/sqrt(E) and the momentum spread of 1 % in quadrature; cells round to 16 MeV and lose what is below.
    width = math.hypot(0.10 * math.sqrt(100.0), 1.0)
    assert abs(beam.mean() - 100.0) < 5 * width / math.sqrt(len(beam)) + 0.3
    assert beam.std() == pytest.approx(width, rel=5 / math.sqrt(2 * len(beam)) + 0.02)
    for module in ("hcal0", "hcal1", "hcal2"):
        ridge = np.median(of("dimuon", module))
        assert 2.0 < ridge < 5.0
    # Hadron production keeps the energy: ECAL + HCAL is the beam energy, within the HCAL's resolution.
    total = of("neutral_hadron", "ecalTotal") + sum(of("neutral_hadron", f"hcal{i}") for i in range(3))
    assert 90.0 < np.median(total) < 102.0
    calibration = of("calibration", "hcal0")
    assert len(calibration) > 100
    assert np.isnan(calibration).all()
    assert of("calibration", "isCalibration").all()
    assert not np.isnan(data["hcal0"][data["mc_class"] != number["calibration"]]).any()
    assert not of("random_trigger", "isTriggerPhysics").any()


def test_prescaled_classes_never_reach_a_signal_box(default, events):
    """They stand for many more events, so that one of them in a box would spoil the card's background."""
    kind = columns(default.file, "mc_class")["mc_class"]
    names = list(default.classes)
    for signature, source in (("S1", "neutral_leakage"), ("S2", "large_missing_energy")):
        passes = numpy_selection.masks(events, signature)
        # Without shower_chi2, the last cut, hundreds of times more events are near the box.
        near = np.logical_and.reduce([passes[cut] for cut in numpy_selection.CUTS[signature][:-1]])
        assert {names[i] for i in np.unique(kind[near])} == {source}


@pytest.mark.parametrize(("name", "signature"), [("neutral_leakage", "S1"), ("large_missing_energy", "S2")])
def test_the_boxes_hold_the_backgrounds_of_the_card(tmp_path, name, signature):
    """Expected counts of the whole exposure: all cuts but shower_chi2, times its efficiency by hand from the
    log-normal distributions in pseudodata.cpp.

    Tolerance: the uncertainty that the paper gives the background, more than 30 %; the statistical error is
    6 %, so that a false alarm is beyond 5 standard deviations (6e-7).
    """
    factor = 5.0
    median, sigma = {"S1": (45.0, 0.55), "S2": (50.0, 0.66)}[signature]
    efficiency = 0.5 * math.erfc(math.log(median / 10.0) / sigma / math.sqrt(2.0))
    path = tmp_path / "box.root"
    simulate.pseudodata(load_card(overrides=only(name, factor)), path, work=Work(seed=3))
    result = selection.select([str(path)], load_card(overrides=["selection.shower_chi2.chi2_max=1e9"]))
    events = sum(c.observed for c in result.counts if c.signature == signature)
    limit = load_card().limit.counts(signature)
    assert events > 200
    assert abs(events * efficiency / factor - limit.background.value) < limit.background_uncertainty.value
    other = {"S1": "S2", "S2": "S1"}[signature]
    assert sum(c.observed for c in result.counts if c.signature == other) == 0


def small(card, path: Path, *, force=False, scale=1.0, **work) -> simulate.SimulationResult:
    options = PseudodataOptions(eot={"2016": 1e9, "2017": 1e9, "2018": 2e9}, scale=scale)
    return simulate.pseudodata(card, EventFile(path, force=force), options, work=Work(**work))


def content(path: Path) -> list[np.ndarray]:
    names = ["run", "spill", "spillevent", "ecalTotal", "hcal1", "showerChi2", "mc_class", "trackMomentum"]
    return [*columns(str(path), *names).values()]


def test_events_depend_on_the_seed_and_not_on_threads(tmp_path, card):
    paths = [tmp_path / f"{i}.root" for i in range(3)]
    first = small(card, paths[0], seed=5)
    second = small(card, paths[1], seed=5, threads=2)
    other = small(card, paths[2], seed=6)
    assert first.events == second.events
    for one, two in zip(content(paths[0]), content(paths[1]), strict=True):
        assert np.array_equal(one, two, equal_nan=True)
    assert first.classes == second.classes != other.classes
    identity = np.stack(content(paths[0])[:3])
    assert np.unique(identity, axis=1).shape[1] == first.events  # run, spill, spillevent name one event


def test_scale_changes_the_prescaled_classes_only(tmp_path, card):
    full, half = small(card, tmp_path / "full.root"), small(card, tmp_path / "half.root", scale=0.5)
    for name, facts in half.classes.items():
        factor = 1.0 if full.classes[name].prescale == 1.0 else 0.5
        assert facts.expected == pytest.approx(full.classes[name].expected * factor, rel=1e-12)
        assert facts.prescale == pytest.approx(full.classes[name].prescale / factor, rel=1e-12)


def test_what_cannot_be_simulated_is_one_line(tmp_path, card):
    path = tmp_path / "file.root"
    with pytest.raises(ConfigError, match="no period 2019"):
        simulate.pseudodata(card, path, PseudodataOptions(eot={"2019": 1.0}))
    with pytest.raises(ConfigError, match="scale"):
        simulate.pseudodata(card, path, PseudodataOptions(scale=0.0))
    with pytest.raises(ConfigError, match="seed -1"):
        simulate.pseudodata(card, path, work=Work(seed=-1))
    with pytest.raises(ConfigError, match="no event is expected"):
        simulate.pseudodata(card, path, PseudodataOptions(eot=dict.fromkeys(PERIODS, 0.0)))
    assert list(tmp_path.iterdir()) == []
    path.write_text("precious")
    with pytest.raises(Na64Error, match="--force"):
        small(card, path)
    assert path.read_text() == "precious"
    small(card, path, force=True)
    assert ntuple.inspect([str(path)], card).entries > 0
    assert [p.name for p in tmp_path.iterdir()] == ["file.root"]


def test_a_folder_is_no_file(tmp_path):
    for force in (False, True):
        with pytest.raises(Na64Error, match="is a folder"):
            simulate.pseudodata(load_card(), EventFile(tmp_path, force=force))
