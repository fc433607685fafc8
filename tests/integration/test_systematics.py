"""Systematic variations against an independent NumPy selection of shifted inputs, and planted events."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from scipy import optimize, stats

from na64root import _core, analyze, exclusion, limits, selection
from na64root.cling import root
from na64root.config import Card, load_card
from na64root.errors import ConfigError, DataError
from na64root.event_loop import compiled
from na64root.exclusion.explain import explain
from na64root.ntuple import open_ntuple
from na64root.records import Count, ResultsFolder
from na64root.selection import SelectionOptions
from na64root.selection.booked import Booked
from na64root.selection.engines import EventLoop
from na64root.selection.systematics import Variations, source_number
from na64root.signal import card_counts
from na64root.simulation import simulate as simulation_simulate
from na64root.simulation.core_config import Signal
from na64root.simulation.options import SignalOptions
from na64root.simulation.signal_files import SimulatedSignal, read_signal
from na64root.simulation.writer import EventFile
from na64root.work import Engine, Work
from support import numpy_selection
from support.commands import run
from support.planted import near_thresholds
from support.tree_a import event, s1_event, write_tree

CARD = load_card()
BOTH = ("up", "down")
SEED = 7
EXPOSURE = {"2016": 0.0, "2017": 0.0, "2018": 1e11}


def card_with(**sources: tuple[str, list[str], float]) -> Card:
    """The default card with these sources (kind, columns, size) in place of its own."""
    data = CARD.model_dump()
    data["systematics"]["sources"] = {
        name: {
            "kind": kind,
            "columns": columns,
            "size": {"value": size, "provenance": "user", "source": "a test"},
        }
        for name, (kind, columns, size) in sources.items()
    }
    return Card.model_validate(data)


def varied(result: selection.SelectionResult) -> dict[tuple[str, str], dict[str, float]]:
    """Sums over periods by (source, direction), of each signature."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for e in result.systematics:
        for direction, value in (("nominal", e.nominal), ("up", e.up), ("down", e.down)):
            if value is not None:
                of_both = found.setdefault((e.source, direction), {"S1": 0.0, "S2": 0.0})
                of_both[e.signature] += value
    return found


# Of each source: events, and which pass (up, nominal, down), worked out by hand from thresholds and sizes.
PLANTED = {
    "ecal_scale": [
        (event(ecalTotal=49.8, ecalTotalNoTimecut=50.0), "S2", (False, True, True)),
        (event(ecalTotal=49.4, ecalTotalNoTimecut=50.0), "S2", (True, True, True)),
        (event(ecalTotal=50.3, ecalTotalNoTimecut=51.0), "S2", (False, False, True)),
        (event(ecalTotal=50.6, ecalTotalNoTimecut=51.0), "S2", (False, False, False)),
        (s1_event(ecalTotal=84.5, ecalTotalNoTimecut=85.0), "S1", (False, True, True)),
        (s1_event(ecalTotal=85.5, ecalTotalNoTimecut=86.0), "S1", (False, False, True)),
        (event(ecal0=0.403), "S2", (True, True, False)),
        (event(ecal0=0.397), "S2", (True, False, False)),
        (event(ecalTotalNoTimecut=49.8), "S2", (False, True, True)),  # 29.8 GeV out of time
        (event(ecalTotalNoTimecut=50.2), "S2", (False, False, True)),
    ],
    "hcal_scale": [
        (event(hcal0=0.1, hcal1=0.77, hcal2=0.1), "S2", (False, True, True)),
        (event(hcal0=0.1, hcal1=0.83, hcal2=0.1), "S2", (False, False, True)),
        (event(hcal0=0.1, hcal1=0.90, hcal2=0.1), "S2", (False, False, False)),
        (event(hcal0=math.nan, hcal1=0.1, hcal2=0.1), "S2", (False, False, False)),
        (s1_event(hcal1=15.3, hcal2=0.2), "S1", (True, True, False)),
        (s1_event(hcal1=14.3, hcal2=0.2), "S1", (True, False, False)),
        (s1_event(hcal0=0.97), "S1", (False, True, True)),
        (s1_event(hcal0=1.03), "S1", (False, False, True)),
    ],
    "srd_scale": [
        (event(SRD_ene=[0.00105, 0.02, 0.02, 0.0]), "S2", (True, True, False)),
        (event(SRD_ene=[0.00095, 0.02, 0.02, 0.0]), "S2", (True, False, False)),
        (s1_event(SRD_ene=[0.02, 0.075, 0.09, 0.0]), "S1", (False, True, True)),
        (s1_event(SRD_ene=[0.02, 0.085, 0.09, 0.0]), "S1", (False, False, True)),
    ],
    "momentum_scale": [
        (event(trackMomentum=102.8), "S2", (False, True, True)),
        (event(trackMomentum=103.2), "S2", (False, False, True)),
        (s1_event(trackMomentum=97.2), "S1", (True, True, False)),
        (s1_event(trackMomentum=96.8), "S1", (True, False, False)),
    ],
    "veto_threshold": [  # up: 12 MeV, down: 8 MeV
        (event(VETO_ene=[0.009, 0.009, 0.002, 0.002, 0, 0]), "S2", (True, False, False)),
        (event(VETO_ene=[0.007, 0.007, 0.002, 0.002, 0, 0]), "S2", (True, True, False)),
        (s1_event(VETO_ene=[0.011, 0.011, 0.002, 0.002, 0, 0]), "S1", (False, False, False)),
    ],
    "out_of_time": [
        (event(ecalTotalNoTimecut=46.0), "S2", (False, True, True)),
        (event(ecalTotalNoTimecut=55.0), "S2", (False, False, True)),
        (s1_event(ecalTotalNoTimecut=60.0), "S1", (False, False, False)),
    ],
}


@pytest.mark.parametrize("name", list(PLANTED))
def test_planted_events_migrate_as_worked_out_by_hand(name, tmp_path):
    rows = PLANTED[name]
    data = CARD.model_dump()
    data["systematics"]["sources"] = {name: data["systematics"]["sources"][name]}
    path = write_tree(tmp_path / "planted.root", [row[0] for row in rows])
    result = selection.select([path], Card.model_validate(data), SelectionOptions(systematics=True))
    found = varied(result)
    for column, direction in enumerate(("up", "nominal", "down")):
        expected = {s: sum(row[2][column] for row in rows if row[1] == s) for s in ("S1", "S2")}
        assert found[name, direction] == expected, direction
    for e in result.systematics:
        here = [row[2] for row in rows if row[1] == e.signature and e.period == "2018"]
        assert e.up_shift_error == pytest.approx(math.sqrt(sum(up != n for up, n, _ in here)))
        assert e.down_shift_error == pytest.approx(math.sqrt(sum(down != n for _, n, down in here)))
    assert result.event_loops == 1


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> list[str]:
    """A sample in four files, weighted."""
    folder = tmp_path_factory.mktemp("systematics")
    events = near_thresholds(4000, 3)
    paths = []
    for i in range(4):
        plain = write_tree(folder / f"plain{i}.root", events[i::4])
        weighted = str(folder / f"part{i}.root")
        # a weight that differs from event to event
        frame = root().RDataFrame("tree", plain).Define("mcWeight", "0.5 + 0.01 * (spillevent % 97)")
        frame.Snapshot("tree", weighted)
        paths.append(weighted)
    return paths


@pytest.fixture(scope="module")
def result(parts):
    return selection.select(parts, CARD, SelectionOptions(systematics=True), work=Work(seed=SEED))


@pytest.fixture(scope="module")
def columns(parts) -> dict[str, np.ndarray]:
    read = [numpy_selection.read(path) for path in parts]
    numbers = ["spill", "spillevent", "mcWeight"]
    more = [root().RDataFrame("tree", path).AsNumpy(numbers) for path in parts]
    joined = {name: np.concatenate([one[name] for one in read]) for name in read[0]}
    return joined | {name: np.concatenate([np.asarray(one[name]) for one in more]) for name in numbers}


def passing(events: dict[str, np.ndarray], signature: str, out_of_time: float = 1.0) -> np.ndarray:
    """All cuts of the independent selection; the time outside the window may be scaled."""
    events = dict(events)
    outside = events["ecalTotalNoTimecut"] - events["ecalTotal"]
    events["ecalTotalNoTimecut"] = events["ecalTotal"] + outside * out_of_time
    passes = numpy_selection.masks(events, signature)
    return np.logical_and.reduce([passes[name] for name in numpy_selection.CUTS[signature]])


def shifted(events: dict[str, np.ndarray], name: str, direction: str) -> tuple[dict[str, np.ndarray], float]:
    """The sample under one source: columns changed by its definition, and the factor on the time outside."""
    source = CARD.systematics.sources[name]
    size = source.size.value * (1.0 if direction == "up" else -1.0)
    if source.columns == ["out_of_time"]:
        return events, 1.0 + size
    normal = normals(events, name)
    changed = {}
    for column in source.columns:
        x = events[column]
        z = normal.reshape(-1, *[1] * (x.ndim - 1))
        changed[column] = {
            "scale": x * (1.0 + size),
            "threshold": x / (1.0 + size),
            "resolution": x * (1.0 + size * z),
            "stochastic": x + size * np.sqrt(np.abs(x)) * z,
        }[source.kind]
    return events | changed, 1.0


def normals(events: dict[str, np.ndarray], name: str, seed: int = SEED) -> np.ndarray:
    """The core's random numbers."""
    return _core.event_normal(seed, events["run"], events["spill"], events["spillevent"], source_number(name))


def test_varied_counts_are_those_of_numpy_on_shifted_inputs(result, columns):
    """Reference: independent. The random numbers of smearing are the core's, the rest is NumPy's."""
    assert len(result.systematics) == len(CARD.systematics.sources) * 3 * 2
    weight, moved = columns["mcWeight"], set()
    for effect in result.systematics:
        first, last = numpy_selection.PERIODS[effect.period]
        here = (columns["run"] >= first) & (columns["run"] <= last)
        nominal = here & passing(columns, effect.signature)
        assert effect.nominal == pytest.approx(weight[nominal].sum(), rel=1e-10)
        for direction in BOTH:
            value, error = getattr(effect, direction), getattr(effect, f"{direction}_shift_error")
            if value is None:
                assert CARD.systematics.sources[effect.source].kind in ("resolution", "stochastic")
                continue
            passes = here & passing(*_arguments(columns, effect, direction))
            assert value == pytest.approx(weight[passes].sum(), rel=1e-10), (effect.source, direction)
            migrating = passes ^ nominal
            assert error == pytest.approx(math.sqrt((weight[migrating] ** 2).sum()), rel=1e-6, abs=1e-9)
            moved |= {(effect.source, direction)} if migrating.any() else set()
        shifts = [abs(v - effect.nominal) for v in (effect.up, effect.down) if v is not None]
        assert effect.relative == pytest.approx(np.mean(shifts) / effect.nominal, rel=1e-6, abs=1e-12)
    directions = {n: BOTH if s.kind in ("scale", "threshold") else ("up",)
                  for n, s in CARD.systematics.sources.items()}  # fmt: skip
    assert moved == {(n, d) for n, both in directions.items() for d in both}, "the sample tests every source"


def _arguments(columns, effect, direction):
    events, factor = shifted(columns, effect.source, direction)
    return events, effect.signature, factor


def test_varied_histograms_are_those_of_numpy_on_shifted_inputs(result, columns):
    """Reference: independent. Those of a source that cannot move them are the nominal ones."""
    cuts = numpy_selection.CUTS["S1"]
    varied = {name for name in result.histograms if name.endswith(("_up", "_down"))}
    moved = set()
    for source, kind in ((n, s.kind) for n, s in CARD.systematics.sources.items()):
        for direction in BOTH if kind in ("scale", "threshold") else ("up",):
            events, factor = shifted(columns, source, direction)
            outside = events["ecalTotalNoTimecut"] - events["ecalTotal"]
            events = events | {"ecalTotalNoTimecut": events["ecalTotal"] + outside * factor}
            passes = numpy_selection.masks(events, "S1")
            hcal = events["hcal0"] + events["hcal1"] + events["hcal2"]
            for name, cut, values in (
                ("momentum", "momentum", [events["trackMomentum"]]),
                ("r", "r", [numpy_selection.variables(events, "S1")["r", "r"]]),
                ("ecal_hcal_preselection", "ecal", [events["ecalTotal"], hcal]),
            ):
                found = result.histograms.get(f"{name}_{source}_{direction}")
                if found is None:  # the source reaches no cut before, nor the quantity itself
                    found = result.histograms[name]
                before = [passes[c] for c in cuts[: cuts.index(cut)]]
                here = np.logical_and.reduce([numpy_selection.in_periods(events), *before])
                edges = [np.asarray(axis.edges) for axis in found.axes]
                expected, _ = np.histogramdd(
                    np.stack(values, axis=1)[here], bins=edges, weights=columns["mcWeight"][here]
                )
                contents = np.asarray(found.contents)
                assert np.abs(contents - expected).sum() <= 1e-9 * expected.sum()
                nominal = np.asarray(result.histograms[name].contents)
                if np.abs(nominal - expected).sum() > 0.02 * expected.sum():
                    moved.add(f"{name}_{source}_{direction}")
    assert len(moved) > 15
    assert moved <= varied


def test_one_event_loop_and_the_nominal_result_is_untouched(result, parts):
    plain = selection.select(parts, CARD)
    assert (result.event_loops, plain.event_loops) == (1, 1)
    assert plain.systematics == []
    nominal = {name: h for name, h in result.histograms.items() if not name.endswith(("_up", "_down"))}
    assert result.model_copy(update={"systematics": [], "histograms": nominal}) == plain


def test_neither_threads_nor_the_order_of_files_matter(result, parts):
    threaded = selection.select(
        parts, CARD, SelectionOptions(systematics=True), work=Work(seed=SEED, threads=2)
    )
    assert threaded.systematics == result.systematics
    backwards = selection.select(parts[::-1], CARD, SelectionOptions(systematics=True), work=Work(seed=SEED))
    assert backwards.systematics == result.systematics
    other = selection.select(parts, CARD, SelectionOptions(systematics=True), work=Work(seed=SEED + 1))
    smeared = [e.up for e in result.systematics if e.source == "momentum_resolution"]
    assert smeared != [e.up for e in other.systematics if e.source == "momentum_resolution"]


def test_columns_of_several_types_vary_together(parts, columns, tmp_path):
    """Arrays and numbers in one source, and single precision; the cells alone move R."""
    card = card_with(
        mixed=("scale", ["VETO_ene", "SRD_ene", "ecalTotal", "ecalTotalNoTimecut", "hcal1"], 0.1),
        cells=("stochastic", ["ECAL_ene", "HCAL_ene"], 0.3),
    )
    result = selection.select(parts, card, SelectionOptions(systematics=True), work=Work(seed=SEED))
    weight = columns["mcWeight"]
    normal = normals(columns, "cells")
    inputs = {
        ("mixed", "up"): {c: columns[c] * 1.1 for c in card.systematics.sources["mixed"].columns},
        ("mixed", "down"): {c: columns[c] * 0.9 for c in card.systematics.sources["mixed"].columns},
        ("cells", "up"): {
            c: columns[c] + 0.3 * np.sqrt(np.abs(columns[c])) * normal[:, None, None, None]
            for c in ("ECAL_ene", "HCAL_ene")
        },
    }
    inside = columns["run"] <= 4223
    for (source, direction), changed in inputs.items():
        for signature in ("S1", "S2"):
            passes = inside & passing(columns | changed, signature)
            found = varied(result)[source, direction][signature]
            assert found == pytest.approx(weight[passes].sum(), rel=1e-10)
            # cells with the larger energy remain the larger ones, and S2 has no cut on R
            moves = (source, signature) != ("cells", "S2")
            assert (found != varied(result)[source, "nominal"][signature]) == moves
    single = write_tree(
        tmp_path / "single.root",
        [event(trackMomentum=102.8, SRD_ene=[0.00105, 0.02, 0.02, 0]), event(trackMomentum=103.2)],
        types={"trackMomentum": "F", "SRD_ene": "F", "ecalTotal": "F", "VETO_ene": "F"},
    )
    found = varied(selection.select([single], CARD, SelectionOptions(systematics=True)))
    assert [found["momentum_scale", d]["S2"] for d in ("up", "nominal", "down")] == [0, 1, 2]
    assert [found["srd_scale", d]["S2"] for d in ("up", "nominal", "down")] == [1, 1, 0]


@pytest.mark.parametrize("code", ["D", "F"], ids=["double", "single"])
def test_the_compiled_library_gives_what_strings_give(code, tmp_path):
    """Every number of a selection with each kind of source, branches in double and in single precision."""
    names = ["ecalTotal", "ecalTotalNoTimecut", "hcal0", "hcal1", "hcal2", "VETO_ene", "HCAL_ene"]
    path = write_tree(
        tmp_path / "file.root", near_thresholds(2000, 5), types=dict.fromkeys([*names, "ECAL_ene"], code)
    )
    card = card_with(
        energies=("stochastic", ["ecalTotal", "ecalTotalNoTimecut", "hcal0", "hcal1", "hcal2"], 0.1),
        arrays=("scale", ["VETO_ene", "ECAL_ene", "HCAL_ene", "SRD_ene"], 0.2),
        veto=("threshold", ["VETO_ene"], 0.3),
        track=("resolution", ["trackMomentum"], 0.01),
        timing=("scale", ["out_of_time"], 0.4),
    )
    wanted = SelectionOptions(systematics=True)
    opened = open_ntuple([path])
    event_loop = EventLoop(Work())
    with event_loop.running(1):
        booked = Booked(opened, card, event_loop, wanted, Variations(card, opened, SEED))
        assert isinstance(booked.frame, compiled.Node)
    of_strings = Work(engine=Engine(just_in_time=True), seed=SEED)
    expected = selection.select([path], card, wanted, work=of_strings).model_dump()
    assert len({e["source"] for e in expected["systematics"] if e["up"] != e["nominal"]}) == 5
    assert len([name for name in expected["histograms"] if name.startswith("r_")]) > 2
    for threads in (1, 2):
        work = Work(threads=threads, seed=SEED)
        assert selection.select([path], card, wanted, work=work).model_dump() == expected


def test_a_source_of_what_no_cut_looks_at_changes_nothing(tmp_path):
    """R is a cut of S1 alone: in S2 there is the nominal count and no shift, compiled and as strings."""
    path = write_tree(tmp_path / "file.root", [event(), event(), s1_event()])
    card = card_with(cells=("scale", ["HCAL_ene"], 0.1))
    wanted = SelectionOptions(systematics=True)
    for just_in_time in (False, True):
        work = Work(engine=Engine(just_in_time=just_in_time))
        effects = selection.select([path], card, wanted, work=work).systematics
        (found,) = (e for e in effects if e.signature == "S2" and e.nominal)
        assert (found.up, found.nominal, found.down) == (2.0, 2.0, 2.0)
        assert found.up_shift_error == found.down_shift_error == 0.0


def test_a_column_of_a_source_and_what_it_is_made_of_are_booked_as_strings(tmp_path):
    """The order of the two changes is RDataFrame's, which the library does not follow."""
    path = write_tree(tmp_path / "file.root", [event()])
    card = card_with(both=("scale", ["ecalTotal", "out_of_time"], 0.1))
    opened = open_ntuple([path])
    event_loop = EventLoop(Work())
    with event_loop.running(1):
        variations = Variations(card, opened, SEED)
        booked = Booked(opened, card, event_loop, SelectionOptions(systematics=True), variations)
        assert not isinstance(booked.frame, compiled.Node)
        booked.run()
        assert {e.source for e in variations.effects()} == {"both"}


def test_smearing_is_normal(tmp_path):
    """Fractions within 5 standard deviations (false alarm 6e-7), and the numbers by Kolmogorov-Smirnov."""
    n = 4000
    at = {"trackMomentum": 100.0, "ecalTotal": 49.0, "ecalTotalNoTimecut": 51.0}
    rows = [event(**at, spill=i % 7, spillevent=i + 2) for i in range(n)]
    path = write_tree(tmp_path / "peak.root", rows)
    # one standard deviation to a window on both sides, and to a threshold: 3 % of 100 GeV, sqrt(49)/7 = 1 GeV
    card = card_with(
        window=("resolution", ["trackMomentum"], 0.03), side=("stochastic", ["ecalTotal"], 1.0 / 7.0)
    )
    found = varied(selection.select([path], card, SelectionOptions(systematics=True)))
    for source, share in (("window", 1.0 - 2.0 * stats.norm.sf(1.0)), ("side", stats.norm.cdf(1.0))):
        error = math.sqrt(n * share * (1.0 - share))
        assert found[source, "up"]["S2"] == pytest.approx(n * share, abs=5.0 * error)
    number = np.arange(200_000)
    events = {"run": np.full(len(number), 4000), "spill": number // 5000, "spillevent": number % 5000}
    one = normals(events, "ecal_resolution")
    assert stats.kstest(one, "norm").pvalue > 1e-6
    for other in (
        normals(events, "ecal_resolution", seed=SEED + 1),
        normals(events, "hcal_resolution"),
        normals(events | {"run": events["run"] + 1}, "ecal_resolution"),
        normals(events | {"spill": events["spill"] + 40}, "ecal_resolution"),
    ):
        assert abs(np.corrcoef(one, other)[0, 1]) < 5.0 / math.sqrt(len(number))


def test_what_the_file_lacks_is_not_varied(tmp_path):
    path = write_tree(tmp_path / "old.root", [event()], omit=["trackMomentum", "ecalTotalNoTimecut"])
    result = selection.select([path], CARD, SelectionOptions(systematics=True))
    sources = {e.source for e in result.systematics}
    assert sources == CARD.systematics.sources.keys() - {
        "momentum_scale",
        "momentum_resolution",
        "out_of_time",
    }
    notes = [note for note in result.notes if "is not varied" in note]
    assert len(notes) == 3
    assert any("momentum_scale is not varied (no branch trackMomentum)" in note for note in notes)


def test_a_file_that_lacks_all_that_is_varied_is_selected_as_it_is(tmp_path):
    path = write_tree(tmp_path / "old.root", [event()], omit=["trackMomentum"])
    result = selection.select(
        [path],
        card_with(momentum_scale=("scale", ["trackMomentum"], 0.01)),
        SelectionOptions(systematics=True),
    )
    assert result.systematics == []
    assert any("momentum_scale is not varied (no branch trackMomentum)" in note for note in result.notes)


def test_unknown_columns_and_missing_sources_are_one_line(tmp_path):
    path = write_tree(tmp_path / "one.root", [event()])
    with pytest.raises(ConfigError, match=r"unknown column ecaltotal in systematics\.sources\.x \("):
        selection.select(
            [path], card_with(x=("scale", ["ecaltotal"], 0.1)), SelectionOptions(systematics=True)
        )
    with pytest.raises(ConfigError, match=r"no systematics\.sources"):
        selection.select([path], card_with(), SelectionOptions(systematics=True))


# Into the limit


@pytest.fixture(scope="module")
def sample(parts):
    """The files as a signal sample of another simulation, in one run period."""
    return read_signal(parts, CARD, EXPOSURE, mass_GeV=0.1, epsilon=1e-3, vary=True, work=Work(seed=SEED))


def counts(*signatures: str) -> list[Count]:
    return [
        Count(
            period="2018",
            signature=signature,
            observed=0,
            background=0.1,
            background_uncertainty=0.03,
            cuts_not_applied=[],
        )
        for signature in signatures
    ]


def test_the_effect_on_the_expected_signal_is_that_of_numpy(sample, result, columns):
    """Reference: independent. One source on the sum of S1 and S2, up and down symmetrised."""
    for alone, of_sample in zip(
        [e for e in result.systematics if e.period == "2018"], sample.systematics, strict=True
    ):
        assert (alone.source, alone.signature) == (of_sample.source, of_sample.signature)
        assert (alone.nominal, alone.up, alone.down) == (of_sample.nominal, of_sample.up, of_sample.down)
    first, last = numpy_selection.PERIODS["2018"]
    here, weight = (columns["run"] >= first) & (columns["run"] <= last), columns["mcWeight"]
    nominal = {s: here & passing(columns, s) for s in ("S1", "S2")}
    total = sum(weight[passes].sum() for passes in nominal.values())
    found = exclusion.varied_sources([("2018", "S1"), ("2018", "S2")], sample.systematics)
    assert found.keys() == CARD.systematics.sources.keys()
    for name, source in CARD.systematics.sources.items():
        shifts, square = [], 0.0
        for direction in BOTH if source.kind in ("scale", "threshold") else ("up",):
            events, factor = shifted(columns, name, direction)
            passes = {s: here & passing(events, s, factor) for s in nominal}
            shifts.append(sum(weight[passes[s]].sum() - weight[nominal[s]].sum() for s in nominal))
            square += sum((weight[passes[s] ^ nominal[s]] ** 2).sum() for s in nominal)
        assert found[name][0] == pytest.approx(np.mean(np.abs(shifts)) / total, rel=1e-6, abs=1e-12)
        assert found[name][1] == pytest.approx(math.sqrt(square) / len(shifts) / total, rel=1e-6)
        # S1 alone has other numbers
        alone = exclusion.varied_sources([("2018", "S1")], sample.systematics)[name]
        assert alone != found[name]


def test_published_sources_stay_and_varied_ones_take_the_place_of_some(sample):
    model = exclusion.counting_model_of_sample(CARD, counts("S1", "S2"), EXPOSURE, sample)
    published = {name: q.value for name, q in CARD.limit.signal_uncertainties.items()}
    assert {name: s.uncertainty for name, s in model.sources.items()} == published
    card = load_card(overrides=["systematics.in_limit=varied"])
    model = exclusion.counting_model_of_sample(card, counts("S1", "S2"), EXPOSURE, sample)
    found = exclusion.varied_sources([("2018", "S1"), ("2018", "S2")], sample.systematics)
    del published["other"]
    expected = published | {name: relative for name, (relative, _) in found.items()}
    assert {name: s.uncertainty for name, s in model.sources.items()} == expected
    assert all(source.correlation == "all" for source in model.sources.values())
    without_one = [e for e in sample.systematics if e.source != "srd_scale"]
    for effects, named in (([], "ecal_scale, ecal_resolution"), (without_one, "srd_scale")):
        unvaried = sample.model_copy(update={"systematics": effects})
        with pytest.raises(ConfigError, match=f"was not varied by {named}.* in place of other"):
            exclusion.counting_model_of_sample(card, counts("S1", "S2"), EXPOSURE, unvaried)


def test_a_sample_that_lacks_what_a_source_varies_is_no_sample_for_varied_limits(tmp_path):
    """The published part holds that source too, and is not to be taken out for the others alone."""
    path = write_tree(tmp_path / "no_srd.root", [event()], omit=["SRD_ene"], extra={"mcWeight": 1.0})
    point = {"mass_GeV": 0.1, "epsilon": 1e-3, "vary": True}
    # Not refused where the published sources stay; that one event is in 2018 alone.
    with pytest.raises(DataError, match="no events in period"):
        read_signal([path], CARD, CARD.exposure(), **point)
    card = load_card(overrides=["systematics.in_limit=varied"])
    with pytest.raises(ConfigError, match=r"not varied by srd_scale \(.*a sample with SRD_ene, a card"):
        read_signal([path], card, CARD.exposure(), **point)


def closed_form(delta: float) -> float:
    """90 % limit without observed events, one log-normal signal uncertainty, frequentist.

    Reference: analytic. CLs = 2 exp(-mu kappa^t) Phi(t), t = -mu kappa^t ln kappa, kappa = 1 + delta.
    """

    def cls(mu: float) -> float:
        bend = math.log1p(delta)
        t = optimize.brentq(lambda t: t + mu * math.exp(t * bend) * bend, -20.0, 0.0)
        return 2.0 * math.exp(-mu * math.exp(t * bend)) * stats.norm.cdf(t)

    return optimize.brentq(lambda mu: cls(mu) - 0.1, 0.5, 5.0)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> dict[str, SimulatedSignal]:
    """A sample of `simulate signal`: in one file, in two parts, and as an RNTuple."""
    folder, point = tmp_path_factory.mktemp("simulated"), Signal(0.39, 6e-3)
    whole = simulation_simulate.signal(CARD, folder / "whole.root", point, SignalOptions(events=1500)).file
    rntuple = simulation_simulate.signal(
        CARD, EventFile(folder / "rntuple.root", format="rntuple"), point, SignalOptions(events=1500)
    ).file
    a = simulation_simulate.signal(CARD, folder / "a.root", point, SignalOptions(events=500)).file
    b = simulation_simulate.signal(
        CARD, folder / "b.root", point, SignalOptions(events=1000, first_event=500)
    ).file
    return {
        name: read_signal(files, CARD, CARD.exposure(), vary=True)
        for name, files in (("one", [whole]), ("two", [a, b]), ("rntuple", [rntuple]))
    }


def test_parts_of_a_sample_add(simulated):
    """Files of `simulate signal` are averaged by their events: effects as those of one file."""
    moved = 0
    for one, two in zip(simulated["one"].systematics, simulated["two"].systematics, strict=True):
        assert (one.source, one.period, one.signature) == (two.source, two.period, two.signature)
        for field in ("nominal", "up", "up_shift_error", "down", "down_shift_error", "relative"):
            a, b = getattr(one, field), getattr(two, field)
            assert (a is None and b is None) or a == pytest.approx(b, rel=1e-9, abs=1e-12)
        moved += one.up != one.nominal
    assert moved > 5  # of S2 none: what decays behind the detector is not seen by what varies


def test_an_rntuple_has_the_same_effects(simulated):
    """Its arrays are of another type to RDataFrame."""
    assert simulated["rntuple"].systematics == simulated["one"].systematics


def test_a_doubled_source_moves_the_limit_as_the_closed_form_says(simulated):
    """A realistic signal, the published sources set to 2 % so that the varied ones can be seen."""
    others = [f"limit.signal_uncertainties.{name}=0.02" for name in CARD.limit.signal_uncertainties]
    card = load_card(overrides=["systematics.in_limit=varied", *others])
    model = exclusion.counting_model_of_sample(card, counts("S1", "S2"), EXPOSURE, simulated["one"])
    # without the statistical errors of the bins, which are nuisance parameters of their own
    bins = tuple(dataclasses.replace(b, signal_uncertainty=0.0) for b in model.bins)
    model = dataclasses.replace(model, bins=bins, signal_uncertainty=0.0)
    sizes = {name: source.uncertainty for name, source in model.sources.items()}

    def limit(changes: dict[str, float]) -> float:
        return closed_form(math.hypot(*(sizes | changes).values()))

    exact = limits.upper_limit(model, expected=False)
    # 0.5 %: the closed form neglects the backgrounds
    assert exact.upper_limit == pytest.approx(limit({}), rel=5e-3)
    impacts = {impact.source: impact for impact in limits.impacts(model)}
    assert impacts.keys() >= {name for name, size in sizes.items() if size > 0.0}
    largest = max(CARD.systematics.sources, key=lambda name: sizes[name])
    for factor, found in (
        (0.0, impacts[largest].upper_limit_without),
        (2.0, impacts[largest].upper_limit_doubled),
    ):
        expected = limit({largest: factor * sizes[largest]}) - limit({})
        assert abs(expected) > 0.01
        assert found - exact.upper_limit == pytest.approx(expected, rel=0.05)


def test_varied_without_a_sample_is_one_line(parts, tmp_path):
    card = load_card(overrides=["systematics.in_limit=varied"])
    ways = "give --signal, set signal.acceptance to simulation"
    with pytest.raises(ConfigError, match=ways) as raised:
        analyze.analyze(parts, card, ResultsFolder(tmp_path / "out"))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_samples_of_the_own_simulation_have_the_effects_of_files_at_their_point(tmp_path):
    """Forced decays in shares against the plain sample of `simulate signal`, with another seed.

    The two share no event; each size within 4 errors of both, false alarm of nine sources below 6e-4.
    """
    few = ["signal.simulated_events=6000", "signal.effective_events_min=50"]
    card = load_card(overrides=["systematics.in_limit=varied", "signal.acceptance=simulation", *few])
    exposure = card.exposure()
    area = exclusion.Exclusion(card, card_counts(card, exposure), exposure)
    found = area.varied_sources(area.at_mass(0.39), 6e-3)
    path = simulation_simulate.signal(
        card, tmp_path / "plain.root", Signal(0.39, 6e-3), SignalOptions(events=6000), work=Work(seed=5)
    )
    sample = read_signal([path.file], card, exposure, vary=True)
    plain = exclusion.varied_sources([("all", "S1"), ("all", "S2")], sample.systematics)
    assert found.keys() == plain.keys() == card.systematics.sources.keys()
    for name, (size, error) in found.items():
        # An event that a source does not move in one sample may be moved in the other: about one event each.
        one = 1.0 / 2000.0
        assert abs(size - plain[name][0]) < 4.0 * math.hypot(error, plain[name][1], one)
    assert found["hcal_scale"][0] > 4.0 * found["hcal_scale"][1]  # a shift that is there
    explained = explain(card, mass_GeV=0.39, epsilon=6e-3)
    own = limits.upper_limit(area.model(area.at_mass(0.39), 6e-3), expected=False).upper_limit
    assert explained.upper_limit == pytest.approx(own, rel=1e-6)
    published = explain(
        load_card(overrides=["signal.acceptance=simulation", *few]), mass_GeV=0.39, epsilon=6e-3
    )
    assert published.n_signal == explained.n_signal
    assert published.upper_limit != pytest.approx(own, rel=5e-3)


@pytest.mark.slow
def test_the_verb_shows_the_sources(parts, tmp_path):
    few = ["plane.mass_points=4", "plane.epsilon_points=6", "systematics.in_limit=varied"]
    files = [write_tree(tmp_path / "data.root", [s1_event(trackMomentum=102.8), event()])]
    arguments = [
        "analyze",
        *files,
        "--systematics",
        "--eot",
        "2018=1e11",
        "-o",
        str(tmp_path / "out"),
        "--json",
    ]
    arguments += [word for path in parts for word in ("--signal", path)]
    arguments += ["--signal-mass-GeV", "0.1", "--signal-epsilon", "1e-3", "-j", "2"]
    arguments += [word for override in few for word in ("--set", override)]
    code, text = run(*arguments)
    assert code == 0
    record = json.loads(text)
    row = next(
        e
        for e in record["systematics"]
        if (e["source"], e["period"], e["signature"]) == ("momentum_scale", "2018", "S1")
    )
    assert (row["nominal"], row["up"], row["down"], row["up_shift_error"]) == (1.0, 0.0, 1.0, 1.0)
    sources = {u["source"]: u for u in record["signal"]["uncertainties"]}
    assert sources.keys() == {"form_factor", "dimuon_yield", "width", *CARD.systematics.sources}
    assert sources["hcal_scale"]["origin"] == "varied"
    assert sources["hcal_scale"]["error"] > 0.0
    assert sources["form_factor"] == {
        "source": "form_factor",
        "uncertainty": 0.1,
        "error": None,
        "correlation": "all",
        "origin": "published",
    }
    assert len(record["signal"]["sample"]["systematics"]) == 2 * len(CARD.systematics.sources)
