"""Control samples and background estimates of files: planted events, and pseudo-data of the core."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest

from na64root import selection
from na64root.analyze import DataOptions
from na64root.analyze.counts import data_of
from na64root.backgrounds import estimate
from na64root.backgrounds.events import COLUMNS, read
from na64root.backgrounds.regions import check_regions
from na64root.backgrounds.sideband import sideband
from na64root.config import load_card
from na64root.errors import ConfigError, DataError
from na64root.event_loop import compiled
from na64root.ntuple import baskets, checks, files
from na64root.selection.blinding import in_signal_box
from na64root.simulation import simulate
from na64root.simulation.options import PseudodataOptions
from na64root.work import Work
from support.commands import run
from support.tree_a import event, hcal_cells, write_tree

CARD = load_card()
MUON = {"VETO_ene": np.full(6, 0.0095)}


def planted(tmp_path, name="data.root", **options):
    """Events of each region, their numbers in the name of the list."""
    two_b = [event(ecalTotal=energy, ecalTotalNoTimecut=energy) for energy in (52.0, 60.0)]
    four_c = [event(ecalTotal=energy, showerChi2=20.0) for energy in (5.0, 20.0, 30.0, 49.0)]
    eight_d = [event(ecalTotal=51.0 + i, ecalTotalNoTimecut=60.0, showerChi2=50.0) for i in range(8)]
    core = {(0, 1, 1): 30.0, (1, 1, 1): 9.5, (1, 0, 0): 1.0}  # R of HCAL2 and HCAL3 would be 0.095
    three_tagged = [
        event(ecalTotal=50.0, ecalTotalNoTimecut=55.0, hcal0=30.0, hcal1=10.5, HCAL_ene=hcal_cells(core))
    ] * 3
    wide = {(0, 1, 1): 30.0, (1, 0, 0): 10.0}
    not_tagged = [event(hcal0=30.0, hcal1=10.0, HCAL_ene=hcal_cells(wide))]
    five_dimuons = [event(hcal2=2.1, **MUON)] * 3 + [
        event(hcal2=1.4, HCAL_ene=hcal_cells({(0, 1, 1): 1.6, (1, 1, 1): 1.6}), **MUON),
        event(hcal2=2.1, run=2600, **MUON),
    ]
    no_dimuons = [
        event(hcal2=1.4, HCAL_ene=hcal_cells({(0, 1, 1): 1.6, (1, 1, 1): 1.4}), **MUON),
        event(hcal2=2.5, isPhysics=False, **MUON),
        event(hcal2=2.5, trackMomentum=90.0, **MUON),
        event(hcal2=2.5, run=1, straw3X=9, **MUON),
    ]
    events = [*two_b, *four_c, *eight_d, *three_tagged, *not_tagged, *five_dimuons, *no_dimuons]
    return write_tree(tmp_path / name, events, **options)


@pytest.mark.parametrize("threads", [1, 2])
def test_every_region_counts_its_planted_events(tmp_path, threads):
    path = planted(tmp_path)
    mc = planted(tmp_path, "mc.root", extra={"mcWeight": 0.5})
    found = estimate([path], CARD, simulation=[mc], work=Work(threads=threads))
    assert found.of("S2", "abcd").events == {"B": 2.0, "C": 4.0, "D": 8.0}
    assert found.of("S2", "abcd").value == 1.0
    assert found.of("S1", "neutral_hadron").events == {"tagged in HCAL1": 3.0}
    assert found.of("S1", "neutral_hadron").value == pytest.approx(3.0 * math.exp(-150.0 / 20.3))
    assert "2 events between 50 and 62 GeV" in found.not_estimated["sideband"]
    # Each of the three periods has a physics trigger.
    assert (found.dimuon.data.events, found.dimuon.data.eot) == (5.0, CARD.eot)
    assert found.dimuon.simulation.events == 2.5
    assert found.dimuon.correction == pytest.approx(2.0)
    assert found.dimuon.statistical == pytest.approx(2.0 * math.sqrt(2.0 / 5.0))
    assert found.dimuon.uncertainty == pytest.approx(2.0 * math.hypot(math.sqrt(2.0 / 5.0), 0.1))
    simulated = estimate([mc], CARD, work=Work(threads=threads))
    assert simulated.of("S2", "abcd").value == 0.5
    assert simulated.weighted


@pytest.mark.parametrize("blind", [False, True])
def test_the_library_and_strings_take_the_same_events(tmp_path, monkeypatch, blind):
    mc = planted(tmp_path, "mc.root", extra={"mcWeight": 0.5})
    inputs = [planted(tmp_path), mc]
    card = load_card(overrides=["quality.duplicates=keep"])
    in_library = [read([path], card, blind=blind) for path in inputs]
    monkeypatch.setattr(compiled, "booking", lambda: None)
    for path, found in zip(inputs, in_library, strict=True):
        other = read([path], card, blind=blind)
        for name in COLUMNS:
            assert np.array_equal(getattr(other.events, name), getattr(found.events, name), equal_nan=True)
        assert (other.dimuons, other.triggers, other.notes) == (found.dimuons, found.triggers, found.notes)
        assert len(found.events.weight) > 5


def test_an_event_that_comes_twice_is_in_a_region_once(tmp_path):
    path = planted(tmp_path)
    twice = [path, planted(tmp_path, "again.root")]
    for threads in (1, 2):
        found = estimate(twice, CARD, work=Work(threads=threads))
        assert found.of("S2", "abcd").events == {"B": 2.0, "C": 4.0, "D": 8.0}
    assert estimate([path], CARD, without_spills=[(4000, 7)]).dimuon.data.events == 1.0


def test_the_likelihood_takes_the_estimate_that_the_card_chooses(tmp_path):
    path = planted(tmp_path)
    card = load_card(overrides=["backgrounds.S2=abcd"])
    published = data_of([path], CARD, DataOptions(), Work())
    counts, exposure = data_of([path], card, DataOptions(), Work()).counts, published.exposure
    share = exposure["2018"] / sum(exposure.values())
    for count, other in zip(counts, published.counts, strict=True):
        if count.signature == "S1":
            assert count == other
        elif count.period == "2018":
            assert count.background == pytest.approx(1.0 * share)
            assert other.background == pytest.approx(0.53 * share)
    refused = load_card(overrides=["backgrounds.S2=sideband"])
    with pytest.raises(DataError, match="no background of S2 by method sideband"):
        data_of([path], refused, DataOptions(), Work())


def number(value: float) -> str:
    return f'{{ value = {value}, provenance = "user", source = "a test" }}'


OWN_CUTS = f"""
extends = "paper2021"
[selection.period.2017]
ecal.s2_max_GeV = {number(45.0)}
shower_chi2.chi2_max = {number(30.0)}
hcal.s2_total_max_GeV = {number(2.0)}
hcal.s1_hcal1_max_GeV = {number(2.0)}
r.r_max = {number(0.02)}
[[selection.declared]]
name = "of_s2"
expression = "hcal3 > 45"
after = "momentum"
signatures = ["S2"]
[[selection.declared]]
name = "of_s1"
expression = "ecal1 > 10"
after = "of_s2"
signatures = ["S1"]
[[selection.declared]]
name = "of_both"
expression = "backgrounds_test::small(ecal0)"
header = "small.hpp"
after = "of_s1"
"""


def test_the_steps_of_an_analysis_share_one_input(tmp_path, monkeypatch):
    """Quality, selection and estimate read it; it is hashed, and its branches are unpacked, once."""
    path = planted(tmp_path)
    card = load_card(overrides=["backgrounds.S2=abcd"])
    apart = selection.select([path], card)
    hashed: list[str] = []
    unpacked: list[str] = []
    check = baskets.check_baskets_of_tree
    monkeypatch.setattr(files, "sha256_of", lambda name: hashed.append(str(name)) or apart.files[0].sha256)
    for module in (baskets, checks):
        monkeypatch.setattr(
            module, "check_baskets_of_tree", lambda *tree: unpacked.append(tree[-1]) or check(*tree)
        )
    found = data_of([path], card, DataOptions(exclude_outlier_spills=True), Work())
    assert (hashed, unpacked) == ([path], [path])
    assert (found.exposure, found.selected.cutflow) == (apart.exposure, apart.cutflow)
    assert found.estimates["S2"].value == estimate([path], card).of("S2", "abcd").value


@pytest.mark.parametrize("threads", [1, 2])
def test_regions_have_the_thresholds_of_each_period_and_the_declared_cuts_of_their_signature(
    tmp_path, threads
):
    (tmp_path / "card.toml").write_text(OWN_CUTS, "utf-8")
    header = "#pragma once\nnamespace backgrounds_test { inline bool small(double e) { return e < 20.0; } }\n"
    (tmp_path / "small.hpp").write_text(header, "utf-8")
    card = load_card(tmp_path / "card.toml")

    def with_ecal(energy, chi2, **changes):
        return event(ecalTotal=energy, ecalTotalNoTimecut=60.0, showerChi2=chi2, **changes)

    # In 2017 (run 2600) the box ends at 45 GeV, a chi2 of 20 passes, 1.5 GeV in the HCAL are quiet.
    two_b = [with_ecal(47.0, 20.0, run=2600), with_ecal(55.0, 5.0, ecal1=5.0)]
    two_c = [with_ecal(47.0, 20.0), with_ecal(44.0, 40.0, run=2600)]
    three_d = [
        with_ecal(47.0, 40.0, run=2600),
        with_ecal(55.0, 20.0),
        with_ecal(55.0, 40.0, hcal0=1.2, run=2600),
    ]
    none = [
        with_ecal(55.0, 20.0, hcal0=1.2),
        with_ecal(55.0, 20.0, hcal3=40.0),
        with_ecal(55.0, 5.0, ecal0=25.0),
    ]

    def tagged(hcal0=30.0, outside=1.0, **changes):
        """R over HCAL1 and HCAL2 is 1/40.5, or 0."""
        cells = hcal_cells({(0, 1, 1): 30.0, (1, 1, 1): 9.5, (1, 0, 0): outside})
        return with_ecal(52.0, 3.0, hcal0=hcal0, hcal1=30.0, HCAL_ene=cells, **changes)

    five_tagged = [
        tagged(),
        tagged(hcal0=1.5),
        tagged(hcal3=40.0),
        tagged(outside=0.0, run=2600),
        tagged(run=100),
    ]
    not_tagged = [
        tagged(run=2600),
        tagged(hcal0=1.5, outside=0.0, run=2600),
        tagged(ecal1=5.0),
        tagged(ecal0=25.0),
    ]
    muons = [event(hcal2=2.1, **MUON, **changes) for changes in ({}, {"hcal3": 40.0}, {"ecal0": 25.0})]
    events = [*two_b, *two_c, *three_d, *none, *five_tagged, *not_tagged, *muons]
    path = write_tree(tmp_path / "data.root", events)
    found = estimate([path], card, work=Work(threads=threads))
    assert found.of("S2", "abcd").events == {"B": 2.0, "C": 2.0, "D": 3.0}
    assert found.of("S1", "neutral_hadron").events == {"tagged in HCAL1": 5.0}
    assert found.dimuon.data.events == 2.0
    assert "ecal.s2_max_GeV of 50, 45, 50 GeV" in found.not_estimated["sideband"]
    # The general thresholds, without declared cuts, count others.
    general = estimate([path], CARD, work=Work(threads=threads))
    assert general.of("S2", "abcd").events != found.of("S2", "abcd").events
    assert general.of("S1", "neutral_hadron").events != found.of("S1", "neutral_hadron").events


def test_regions_of_a_period_stay_out_of_its_box(tmp_path):
    text = f'extends = "paper2021"\n[selection.period.2016]\necal.s2_max_GeV = {number(61.0)}\n'
    (tmp_path / "card.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"validation_ecal_GeV = 56 is not above .* = 61"):
        check_regions(load_card(tmp_path / "card.toml"))


def test_blinded_estimates_do_not_depend_on_hidden_events(tmp_path):
    """Hidden: all with the energies of a signal box, which are region C of `shower_chi2` and some dimuons."""
    seen = [event(ecalTotal=energy, ecalTotalNoTimecut=60.0) for energy in (51.0, 53.0, 55.0, 57.0, 60.0)]
    seen += [event(ecalTotal=55.0, ecalTotalNoTimecut=60.0, hcal0=3.0)]  # D of hcal
    seen += [event(ecalTotal=20.0, hcal0=3.0), event(hcal0=1.5, hcal2=2.1, **MUON)]  # C; a dimuon
    hidden = [event(showerChi2=20.0), event(), event(hcal1=20.0, hcal2=2.1, **MUON)]
    one = write_tree(tmp_path / "one.root", seen)
    other = write_tree(tmp_path / "other.root", [*seen, *hidden])
    overrides = ["backgrounds.sideband.events_min=5", "backgrounds.abcd.second=hcal"]
    card = load_card(overrides=overrides)
    found = [estimate([path], card, blind=True) for path in (one, other)]
    assert found[0].estimates == found[1].estimates
    assert found[0].dimuon == found[1].dimuon
    assert found[0].plane == found[1].plane
    assert {e.method for e in found[0].estimates} == {"sideband", "abcd"}
    assert found[0].of("S2", "abcd").events == {"B": 5.0, "C": 1.0, "D": 1.0}
    assert estimate([other], card).dimuon.data.events == 2.0  # 1 blinded
    assert found[0].dimuon.data.events == 1.0
    # Nor does what comes of spills and runs: hidden events in a spill of their own, outside of the list.
    good = tmp_path / "good.json"
    good.write_text('{"4000": [[0, 3]]}', "utf-8")
    third = write_tree(tmp_path / "third.root", [*seen, *hidden, event(spill=9)])
    listed = load_card(overrides=[*overrides, f"input.good_runs={good}"])
    records = [estimate([path], listed, blind=True).model_dump() for path in (one, third)]
    for record in records:
        del record["provenance"]
    assert records[0] == records[1]
    refused = estimate([other], load_card(overrides=overrides[:1]), blind=True)
    assert "blinded: its region C" in refused.not_estimated["abcd"]
    assert any("blind" in note for note in refused.notes)


def test_regions_that_reach_into_the_box_of_s1_are_not_blinded():
    """The box of S1 begins at 15 GeV behind HCAL1."""
    overrides = ["backgrounds.abcd.second=hcal", "backgrounds.abcd.hcal_max_GeV=15"]
    assert in_signal_box(load_card(overrides=overrides), "abcd") is None
    overrides[1] = "backgrounds.abcd.hcal_max_GeV=15.1"
    card = load_card(overrides=overrides)
    assert "box of S1" in (in_signal_box(card, "abcd") or "")
    assert in_signal_box(card, "neutral_hadron") is None


def test_weights_and_the_number_of_events_are_checked(tmp_path):
    path = write_tree(tmp_path / "nan.root", [event(), event()], extra={"mcWeight": math.nan})
    with pytest.raises(DataError, match="mcWeight in .* is NaN or infinite"):
        estimate([path], CARD)
    twice = [planted(tmp_path), shutil.copy(tmp_path / "data.root", tmp_path / "again.root")]
    notes = estimate(twice, CARD).notes
    assert any("same content" in note for note in notes)
    assert any("counted once" in note for note in notes)


def test_what_an_input_must_have(tmp_path):
    path = write_tree(tmp_path / "no.root", [event()], omit=["HCAL_ene"])
    with pytest.raises(DataError, match="no branch HCAL_ene"):
        estimate([path], CARD)


def test_the_verb_prints_and_draws(tmp_path, unrendered):
    path = planted(tmp_path)
    arguments = ["background", path, "--mc", path, "--eot", "2018=1e11", "-o", str(tmp_path / "out")]
    code, text = run(*arguments, "--json", "--set", "backgrounds.sideband.events_min=2")
    assert code == 0
    record = json.loads(text)
    assert {(e["signature"], e["method"]) for e in record["estimates"]} == {
        ("S1", "neutral_hadron"), ("S2", "sideband"), ("S2", "abcd")
    }  # fmt: skip
    assert record["exposure"]["2018"] == 1e11
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "background.json", "backgrounds.pdf", "backgrounds.png"
    }  # fmt: skip
    assert run(*arguments)[0] == 2  # results are kept
    blind = tmp_path / "blind"
    assert run("background", path, "--blind", "-o", str(blind))[0] == 0
    assert json.loads((blind / "blinding.jsonl").read_text("utf-8"))["verb"] == "background"
    assert run("background", path, "--set", "backgrounds.abcd.ecal_max_GeV=40")[0] == 2


def only(*rates: str) -> list[str]:
    """A card whose pseudo-data has these classes alone."""
    off = [f"pseudodata.{name}.rate_per_eot=0" for name in CARD.pseudodata.classes]
    return [*off, *rates, *(f"{r.split('.rate')[0]}.prescale=1" for r in rates)]


EOT = dict.fromkeys(["2016", "2017", "2018"], 4e10)


@pytest.mark.slow
def test_neutral_hadrons_of_the_pseudodata_close(tmp_path):
    """Of 1.2e5 neutral hadrons, those in HCAL1 predict S1 among those that pass it, made 100 times as often.

    Reference: self, but the two samples share no event. Showers that begin at the very end of HCAL1 leave
    less than 1 GeV there, so that the truth is 10 to 15 % above; this is inside the stated uncertainty.
    """
    lengths = 150.0 / 20.3
    passing = 1e-4 * math.exp(-(lengths - 1.5)) / (1.0 - math.exp(-(lengths - 1.5)))
    loose = "selection.shower_chi2.chi2_max=100"
    tagged = load_card(overrides=[*only("pseudodata.neutral_hadron.rate_per_eot=1e-6"), loose])
    leaking = load_card(overrides=[*only(f"pseudodata.neutral_leakage.rate_per_eot={passing}"), loose])
    simulate.pseudodata(tagged, tmp_path / "tagged.root", PseudodataOptions(eot=EOT), work=Work(seed=1))
    simulate.pseudodata(leaking, tmp_path / "leaking.root", PseudodataOptions(eot=EOT), work=Work(seed=2))
    found = estimate([str(tmp_path / "tagged.root")], tagged).of("S1", "neutral_hadron")
    counts = selection.select([str(tmp_path / "leaking.root")], leaking).counts
    observed = sum(c.observed for c in counts if c.signature == "S1")
    assert observed > 60
    assert abs(100.0 * found.value - observed) < 100.0 * found.uncertainty + 4.0 * math.sqrt(observed)
    assert 0.6 < 100.0 * found.value / observed < 1.15


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    """Upstream interactions alone, 40 times their rate: 7e4 events before the cuts of the signatures."""
    path = str(tmp_path_factory.mktemp("upstream") / "upstream.root")
    simulate.pseudodata(load_card(overrides=UPSTREAM), path, PseudodataOptions(eot=EOT), work=Work(seed=1))
    return path


UPSTREAM = only("pseudodata.large_missing_energy.rate_per_eot=1.7e-6")


@pytest.mark.slow
def test_abcd_of_the_pseudodata_closes(upstream):
    """About 400 in the box of S2, with a shower_chi2 below 25 in place of 10, which 23 events would pass.

    Reference: self, but the regions share no event with the box. The tolerance is 4 statistical errors of
    both, false alarm 6e-5: 28 % of the truth.
    """
    card = load_card(overrides=[*UPSTREAM, "selection.shower_chi2.chi2_max=25"])
    found = estimate([upstream], card).of("S2", "abcd")
    counts = selection.select([upstream], card).counts
    observed = sum(c.observed for c in counts if c.signature == "S2")
    error = math.hypot(found.components["statistical"], math.sqrt(observed))
    assert 4.0 * error < 0.3 * observed  # or the test says nothing
    assert abs(found.value - observed) < 4.0 * error


@pytest.mark.slow
def test_the_sideband_of_the_pseudodata_closes(upstream):
    """About 2800 in the box of S2 without the cut shower_chi2. False alarm 6e-5, tolerance 40 % of the truth.

    Reference: self, but the sideband shares no event with the box. The spectrum is exponential at its origin
    and smeared by the ECAL.
    """
    card = load_card(overrides=[*UPSTREAM, "selection.shower_chi2.chi2_max=1e9"])
    events = read([upstream], card).events
    box = (events.ecal < 50.0) & (events.hcal < 1.0)
    found = sideband(events.where(~box), card)
    observed = int(box.sum())
    error = math.hypot(found.components["statistical"], math.sqrt(observed))
    assert 4.0 * error < 0.45 * observed
    assert abs(found.value - observed) < 4.0 * error
