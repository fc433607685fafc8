"""Signal samples and injected pseudo-data as files: events of the core, weights, an analysis finds them."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from na64root import _core, analyze, load_card, ntuple, selection
from na64root.cling import root
from na64root.errors import ConfigError, Na64Error
from na64root.records import ResultsFolder
from na64root.simulation import acceptance
from na64root.simulation import simulate as simulation_simulate
from na64root.simulation.core_config import Signal, event_config
from na64root.simulation.options import PseudodataOptions, SignalOptions
from na64root.simulation.simulate import SignalResult, SimulationResult, pseudodata
from na64root.simulation.writer import EventFile
from na64root.work import Work

CARD = load_card()
BENCHMARK = Signal(0.39, 6e-3)
NAMES = [
    "run",
    "spillevent",
    "ecalTotal",
    "hcal1",
    "showerChi2",
    "mcWeight",
    "mc_decay_volume",
    "mc_depth_X0",
]


def write(path, point=BENCHMARK, *, seed=5, threads=1, force=False, **options) -> SignalResult:
    wanted = SignalOptions(**({"events": 300} | options))
    file, work = EventFile(path, force=force), Work(seed=seed, threads=threads)
    return simulation_simulate.signal(CARD, file, point, wanted, work=work)


def columns(path, names=NAMES) -> dict[str, np.ndarray]:
    data = root().RDataFrame("tree", str(path)).AsNumpy(list(names))
    return {name: np.asarray(data[name]) for name in names}


def test_the_file_holds_the_events_of_the_core(tmp_path):
    """Both faces give the same bits, arrays of cells and truth included."""
    path = tmp_path / "signal.root"
    result = write(path)
    config = event_config(_core, CARD, BENCHMARK, events=300)
    expected = _core.EventGenerator(config).generate(5, 0, 300)
    found = columns(path)
    for name in NAMES:
        np.testing.assert_array_equal(found[name], expected[name])
    assert result.events == 300
    assert result.weights_sum == pytest.approx(expected["mcWeight"].sum(), rel=1e-12)


def test_it_is_an_ntuple_of_the_layout_with_described_truth(tmp_path):
    path = tmp_path / "signal.root"
    result = write(path, forced="signal")
    record = ntuple.inspect([str(path)], CARD)
    assert record.branches_missing == []
    assert sum(record.periods[p.name].entries for p in CARD.periods) == 300
    file = root().TFile.Open(str(path))
    branches = {str(branch.GetName()) for branch in file.Get("tree").GetListOfBranches()}
    about = json.loads(str(file.Get("na64root").GetTitle()))
    assert file.GetCompressionAlgorithm() == 5  # ZSTD
    file.Close()
    assert set(result.truth) == {name for name in branches if name.startswith("mc_")}
    assert (about["mass_GeV"], about["epsilon"], about["forced"]) == (0.39, 6e-3, "signal")
    assert about["ctau_cm"] == pytest.approx(30.15 / 36, rel=0.01)  # analytic: eps^-2


def test_threads_parts_and_periods(tmp_path):
    whole, threads = tmp_path / "whole.root", tmp_path / "threads.root"
    write(whole)
    write(threads, threads=2)
    first, second = tmp_path / "first.root", tmp_path / "second.root"
    write(first, events=100)
    write(second, events=200, first_event=100)
    expected, parts = columns(whole), (columns(first), columns(second))
    for name in NAMES:
        np.testing.assert_array_equal(columns(threads)[name], expected[name])
        if name != "mcWeight":
            np.testing.assert_array_equal(np.concatenate([p[name] for p in parts]), expected[name])
    # Each part is normalised to its own number of events.
    scaled = np.concatenate([p["mcWeight"] * n / 300 for p, n in zip(parts, (100, 200), strict=True)])
    np.testing.assert_allclose(scaled, expected["mcWeight"], rtol=1e-14)
    one = tmp_path / "one.root"
    result = write(one, period="2017")
    assert result.electrons == {"2016": 0.0, "2017": 2.7e10, "2018": 0.0}
    run = columns(one, ["run"])["run"]
    assert ((run >= 2505) & (run <= 3465)).all()


def test_what_cannot_be_simulated_leaves_no_file(tmp_path):
    path = tmp_path / "signal.root"
    for point, options, message in (
        (BENCHMARK, {"events": 0}, "0 events"),
        (BENCHMARK, {"period": "2019"}, "no period 2019"),
        (BENCHMARK, {"first_event": -1}, "--first-event"),
        (BENCHMARK, {"eot": {"all": 0.0}}, "no electrons"),
        (Signal(-1.0, 1e-3), {}, "unphysical model"),
        (Signal(90.0, 1e-3), {}, "closed"),
    ):
        with pytest.raises(ConfigError, match=message):
            write(path, point, **options)
    with pytest.raises(ConfigError, match="more than a million signal events"):
        pseudodata(CARD, path, PseudodataOptions(inject=Signal(0.01, 0.1)))
    assert list(tmp_path.iterdir()) == []
    path.write_text("precious")
    with pytest.raises(Na64Error, match="--force"):
        write(path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize(("format", "threads"), [("ttree", "1"), ("rntuple", "2")])
def test_a_full_file_system_is_one_line(tmp_path, format, threads):
    """A limit on the size of files stands in for it: the same errors of the same calls."""
    path = tmp_path / "signal.root"
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000));"
        "from na64root import cli; sys.exit(cli.main())"
    )
    arguments = [
        "simulate",
        "signal",
        "--mass-GeV",
        "0.39",
        "--epsilon",
        "6e-3",
        "-n",
        "20000",
        "--format",
        format,
        "-j",
        threads,
        "-o",
        str(path),
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    assert "no more data" in lines[0]
    assert list(tmp_path.iterdir()) == []


SMALL = {"2016": 2e9, "2017": 2e9, "2018": 4e9}


def test_injected_signal_has_the_expected_number(tmp_path):
    """Poisson, mean of weights by an independent sample: 5 standard errors, false alarm 6e-7 each."""
    point = Signal(0.2, 0.02)
    weights = _core.EventGenerator(event_config(_core, CARD, point, exposure=SMALL)).generate(
        99, 0, 40_000, 2, {"mcWeight"}
    )["mcWeight"]
    expected, error = weights.mean(), weights.std() / math.sqrt(len(weights))
    assert expected > 30
    totals = []
    for seed in (1, 2, 3):
        result = pseudodata(
            CARD, tmp_path / f"{seed}.root", PseudodataOptions(eot=SMALL, inject=point), work=Work(seed=seed)
        )
        assert result.injected.expected == pytest.approx(
            expected, abs=5 * math.hypot(error, 0.005 * expected)
        )
        totals.append(result.injected.events)
    assert abs(sum(totals) - 3 * expected) < 5 * math.sqrt(3 * expected)
    assert len(set(totals)) > 1
    found = columns(tmp_path / "1.root", ["mc_class", "mcWeight", "run", "spillevent"])
    signal = found["mc_class"] == _core.signal_class
    assert signal.sum() == totals[0]
    assert (found["mcWeight"] == 1.0).all()
    # The background beside it is that without signal.
    alone = pseudodata(CARD, tmp_path / "alone.root", PseudodataOptions(eot=SMALL), work=Work(seed=1))
    assert alone.injected is None
    np.testing.assert_array_equal(
        found["spillevent"][~signal], columns(tmp_path / "alone.root", ["spillevent"])["spillevent"]
    )
    # Unweighting keeps the spectrum: mean ECAL energy against the weighted sample, 5 standard errors.
    again = pseudodata(
        CARD,
        tmp_path / "many.root",
        PseudodataOptions(eot=SMALL, inject=Signal(0.2, 0.2)),
        work=Work(seed=4, threads=2),
    )
    many = columns(tmp_path / "many.root", ["mc_class", "mc_missing_energy_GeV"])
    energy = many["mc_missing_energy_GeV"][many["mc_class"] == _core.signal_class]
    assert len(energy) == again.injected.events > 3000
    weighted = _core.EventGenerator(event_config(_core, CARD, Signal(0.2, 0.2))).generate(
        98, 0, 40_000, 2, {"mcWeight", "mc_missing_energy_GeV"}
    )
    mean = np.average(weighted["mc_missing_energy_GeV"], weights=weighted["mcWeight"])
    assert abs(energy.mean() - mean) < 5 * energy.std() * math.sqrt(1 / len(energy) + 1.3 / 40_000)


def test_weighted_background_stands_for_the_exposure(tmp_path):
    result = pseudodata(CARD, tmp_path / "b.root", PseudodataOptions(eot=SMALL, weighted=True))
    expected = sum(facts.expected * facts.prescale for facts in result.classes.values())
    variance = sum(facts.expected * facts.prescale**2 for facts in result.classes.values())
    # 5 standard deviations, false alarm 6e-7
    assert abs(result.weights_sum - expected) < 5 * math.sqrt(variance)
    assert expected == pytest.approx(8e9, rel=0.02)  # nearly all are beam electrons


@pytest.fixture(scope="module")
def injected(tmp_path_factory) -> SimulationResult:
    path = tmp_path_factory.mktemp("injected") / "injected.root"
    return pseudodata(CARD, path, PseudodataOptions(inject=Signal(0.3, 7e-3)), work=Work(seed=2))


def check_candidates(sample, candidates, counts):
    found = [c for c in candidates if c.spillevent >= _core.first_signal_number]
    assert sample.injected.events > 100
    assert {c.signature for c in found} == {"S1", "S2"}
    observed = sum(count.observed for count in counts)
    assert len(found) <= observed <= len(found) + 10  # 0.7 background events: P(> 10) = 1e-10
    return found


def test_the_selection_finds_the_injected_signal(injected):
    """As many candidates as the weighted sample expects: 5 standard deviations, false alarm 6e-7."""
    selected = selection.select([injected.file], CARD)
    assert not selected.weighted
    found = check_candidates(injected, selected.candidates, selected.counts)
    expected = acceptance.efficiency(CARD, Signal(0.3, 7e-3), events=30_000)
    for signature in ("S1", "S2"):
        number, result = sum(c.signature == signature for c in found), expected.of(signature)
        assert abs(number - result.expected) < 5 * math.sqrt(result.expected + result.error**2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:no two-sided interval")  # twenty events in two bins would take minutes
def test_an_analysis_finds_the_injected_candidates(tmp_path, injected):
    """The reduced plane; every signal event in a box is a candidate, and the limit weakens."""
    card = load_card(overrides=["plane.mass_points=6", "plane.epsilon_points=8"])
    result = analyze.analyze([injected.file], card, ResultsFolder(tmp_path / "out"), work=Work(threads=2))
    check_candidates(injected, result.candidates, result.counts)
    assert result.limit.exact["none"].upper_limit > 4.0
