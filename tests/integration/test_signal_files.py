"""A simulated sample in place of the chain's signal: parts, exposures, files of other programs, bad input."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from na64root import load_card, selection
from na64root.analyze import AnalysisOptions, DataOptions, SignalFiles, chain
from na64root.cling import root
from na64root.errors import ConfigError, DataError
from na64root.exclusion import counting_models
from na64root.ntuple import files
from na64root.records import Count, ResultsFolder
from na64root.selection import SelectionOptions
from na64root.signal import SignalModel
from na64root.simulation import simulate
from na64root.simulation.core_config import Signal
from na64root.simulation.options import PseudodataOptions, SignalOptions
from na64root.simulation.signal_files import read_signal
from na64root.work import Work
from support.tree_a import event, s1_event, write_tree

CARD = load_card()
POINT = Signal(0.39, 6e-3)
EXPOSURE = CARD.exposure()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("signal")


@pytest.fixture(scope="module")
def whole(folder) -> str:
    return simulate.signal(CARD, folder / "whole.root", POINT, SignalOptions(events=6000)).file


@pytest.fixture(scope="module")
def parts(folder) -> list[str]:
    first = simulate.signal(CARD, folder / "first.root", POINT, SignalOptions(events=2000)).file
    second = simulate.signal(
        CARD, folder / "second.root", POINT, SignalOptions(events=4000, first_event=2000)
    ).file
    return [first, second]


@pytest.fixture(scope="module")
def sample(whole):
    return read_signal([whole], CARD, EXPOSURE)


def foreign(source: str, path, weight: str = "mcWeight", cut: str = "true") -> str:
    """The events as another program would write them: without what ours say of themselves."""
    frame = root().RDataFrame("tree", source).Filter(cut)
    columns = [str(name) for name in frame.GetColumnNames() if not str(name).startswith("mc")]
    if weight:
        frame, columns = frame.Define("weight_here", weight), [*columns, "mcWeight"]
        frame = frame.Redefine("mcWeight", "weight_here")
    frame.Snapshot("tree", str(path), columns)
    return str(path)


def test_the_expected_signal_is_the_sum_of_the_weights_that_pass(sample, whole):
    """Reference: self, the selection of the same file as if it were data."""
    selected = selection.select([whole], CARD, SelectionOptions(columns=["mc_decay_volume"]))
    kept = SignalModel(CARD).at_mass(0.39).electrons_kept
    for found in selected.expected:
        column = selected.columns[found.signature]
        # S2 that decay in the detector are not what the card counts
        place = np.array(column["mc_decay_volume"])
        number = [p.name for p in CARD.periods].index(found.period)
        counted = (np.array(column["period"]) == number) & ((found.signature == "S1") | (place == 5))
        weight = np.array(column["weight"])[counted]
        bin_ = sample.of(found.period, found.signature)
        assert bin_.events == len(weight)
        assert bin_.expected == pytest.approx(weight.sum() / kept, rel=1e-9)
        assert bin_.error == pytest.approx(math.sqrt((weight**2).sum()) / kept, rel=1e-9)
    inclusive = read_signal([whole], load_card(overrides=["signal.s2=inclusive"]), EXPOSURE)
    for found in selected.expected:
        bin_ = inclusive.of(found.period, found.signature)
        assert bin_.expected == pytest.approx(found.expected / kept, rel=1e-9)
    assert inclusive.total("S2") > 1.5 * sample.total("S2")
    assert (sample.origin, sample.mass_GeV, sample.epsilon) == ("na64root", 0.39, 6e-3)
    # The sample also holds A' below the threshold of the chain, which no cut keeps.
    assert sample.produced_by_chain < sample.produced < 1.1 * sample.produced_by_chain
    one = sample.of("2018", "S2")
    assert one.effective_events == pytest.approx((one.expected / one.error) ** 2)


def test_parts_are_one_sample(sample, parts):
    joined = read_signal(parts, CARD, EXPOSURE)
    assert joined.produced == pytest.approx(sample.produced, rel=1e-9)
    for bin_ in sample.bins:
        other = joined.of(bin_.period, bin_.signature)
        assert other.expected == pytest.approx(bin_.expected, rel=1e-9)
        assert other.error == pytest.approx(bin_.error, rel=1e-9)
        assert other.events == bin_.events


def test_the_exposure_of_the_analysis_counts(sample, whole):
    exposure = {"2016": 0.0, "2017": 0.0, "2018": 0.5 * EXPOSURE["2018"]}
    half = read_signal([whole], CARD, exposure)
    assert {b.period for b in half.bins} == {"2018"}
    for bin_ in half.bins:
        assert bin_.expected == pytest.approx(0.5 * sample.of("2018", bin_.signature).expected, rel=1e-9)
        assert bin_.effective_events == pytest.approx(
            sample.of("2018", bin_.signature).effective_events, rel=1e-9
        )


def test_a_sample_of_another_program_with_the_same_branches(sample, whole, folder, caplog):
    path = foreign(whole, folder / "foreign.root")
    other = read_signal([path], CARD, EXPOSURE, mass_GeV=0.39, epsilon=6e-3)
    assert other.origin == "other"
    # Without the truth nobody knows where chi2 decays; its weights are taken as they are.
    assert "does not say where chi2 decays (no branch mc_decay_volume)" in caplog.text
    all_of_it = {(e.period, e.signature): e.expected for e in selection.select([whole], CARD).expected}
    assert [b.expected for b in other.bins] == pytest.approx(
        [all_of_it[b.period, b.signature] for b in other.bins], rel=1e-9
    )
    assert other.produced_by_chain == sample.produced_by_chain


def test_a_file_is_hashed_once_and_read_in_one_loop(monkeypatch, whole, parts, folder):
    hashed: list[str] = []
    monkeypatch.setattr(files, "sha256_of", lambda path: hashed.append(str(path)) or "0" * 64)
    loops = []

    def select(*arguments, **options):
        found = selection.event_selection.select(*arguments, **options)
        loops.append(found.event_loops)
        return found

    monkeypatch.setattr(selection, "select", select)
    read_signal(parts, CARD, EXPOSURE)
    assert (hashed, loops) == (parts, [1, 1])
    hashed.clear()
    strangers = [foreign(whole, folder / f"stranger{i}.root", f"0.5 * {i} * mcWeight") for i in (1, 2)]
    read_signal(strangers, CARD, EXPOSURE, mass_GeV=0.39, epsilon=6e-3)
    assert (hashed, loops[2:]) == (strangers, [1])


def test_bad_samples_are_one_line(whole, parts, folder):
    point = {"mass_GeV": 0.39, "epsilon": 6e-3}
    cases = [
        ([foreign(whole, folder / "no_point.root")], {}, ConfigError, "--signal-mass-GeV"),
        ([foreign(whole, folder / "no_weight.root", weight="")], point, DataError, "no branch mcWeight"),
        ([foreign(whole, folder / "nan.root", "spillevent % 100 ? mcWeight : NAN")], point, DataError, "NaN"),
        ([foreign(whole, folder / "negative.root", "-mcWeight")], point, DataError, "negative in 6000"),
        ([foreign(whole, folder / "zero.root", "0. * mcWeight")], point, DataError, "no events in period"),
        ([foreign(whole, folder / "fails.root", cut="ecalTotal > 95")], point, DataError, "passes the sel"),
        ([foreign(whole, folder / "2018.root", cut="run > 3500")], point, DataError, "no events in period"),
        (
            [foreign(whole, folder / "shares.root", "run > 3500 ? mcWeight : 2. * mcWeight")],
            point,
            DataError,
            "exposure mismatch",
        ),
        ([whole], {"mass_GeV": 0.3}, ConfigError, "0.3 was given"),
        ([whole, parts[0]], {}, ConfigError, "same events"),
        ([whole, folder / "no_point.root"], {}, ConfigError, f"{whole} is one: give files of one kind"),
        ([folder / "no_point.root", whole], {}, ConfigError, f"{whole} is one: give files of one kind"),
    ]
    for inputs, options, error, message in cases:
        with pytest.raises(error, match=message) as raised:
            read_signal([str(f) for f in inputs], CARD, EXPOSURE, **options)
        assert "\n" not in str(raised.value)
    with pytest.raises(ConfigError, match="use --set model"):
        read_signal([whole], load_card(overrides=["model.alpha_dark=0.2"]), EXPOSURE)
    forced = simulate.signal(
        CARD, folder / "forced.root", POINT, SignalOptions(events=50, forced="signal")
    ).file
    with pytest.raises(ConfigError, match="without --forced"):
        read_signal([forced], CARD, EXPOSURE)
    data = simulate.pseudodata(CARD, folder / "data.root", PseudodataOptions(eot={"all": 1e8})).file
    with pytest.raises(ConfigError, match="of no signal"):
        read_signal([data], CARD, EXPOSURE)


def test_the_statistical_error_of_the_sample_enters_the_limit_once(sample):
    """Each bin has the error of its own events; a source of the card for it is left out."""
    counts = [
        Count(
            period=period.name,
            signature=signature,
            observed=0,
            background=0.1,
            background_uncertainty=0.02,
            cuts_not_applied=[],
        )
        for period in CARD.periods
        for signature in ("S1", "S2")
    ]
    model = counting_models.counting_model_of_sample(CARD, counts, EXPOSURE, sample)
    for bin_ in model.bins:
        found = sample.of(bin_.period, bin_.signature)
        assert bin_.signal_uncertainty == pytest.approx(found.error / found.expected)
    assert sum(b.signal_fraction for b in model.bins) == pytest.approx(1.0)
    name = counting_models.MONTE_CARLO_STATISTICS
    source = {"value": 0.1, "provenance": "user", "source": "a test", "correlation": "none"}
    uncertainties = {**CARD.model_dump()["limit"]["signal_uncertainties"], name: source}
    data = CARD.model_dump()
    data["limit"]["signal_uncertainties"] = uncertainties
    with_source = type(CARD).model_validate(data)
    again = counting_models.counting_model_of_sample(with_source, counts, EXPOSURE, sample)
    assert again.bin_signal_uncertainties == model.bin_signal_uncertainties
    # In the chain, which has no sample, the card's source is as good as any.
    bins = counting_models.counting_model(
        with_source, counting_models.bins_of_counts(with_source, counts, EXPOSURE), 0.3
    )
    assert bins.bin_signal_uncertainties == pytest.approx([0.1] * 6)


@pytest.mark.slow
def test_analyze_sets_its_limit_with_the_sample(folder, whole):
    path = write_tree(folder / "data.root.planted.root", [s1_event(spillevent=3), event(ecalTotal=99.0)])
    card = load_card(overrides=["plane.mass_points=4", "plane.epsilon_points=6"])
    result = chain.analyze(
        [path],
        card,
        ResultsFolder(folder / "out"),
        AnalysisOptions(data=DataOptions(eot={"2018": 1e11}), signal=SignalFiles([whole])),
        work=Work(threads=2),
    )
    signal = result.signal
    assert signal is not None
    assert signal.sample.files[0].path == whole
    assert signal.expected == pytest.approx(sum(b.expected for b in signal.sample.bins))
    assert {b.period for b in signal.sample.bins} == {"2018"}
    # reference: self, the chain: with the R efficiency S1 is half of the simulated one (docs/physics.md)
    assert 1.0 < signal.expected / sum(signal.chain.values()) < 1.5
    assert signal.upper_limit == pytest.approx(result.limit.exact["frequentist"].upper_limit)
    assert signal.upper_limit_mu == pytest.approx(signal.upper_limit / signal.expected)
    assert signal.excluded == (signal.upper_limit_mu <= 1.0)
    written = json.loads((folder / "out" / "results.json").read_text())
    assert written["signal"]["sample"]["origin"] == "na64root"
    assert written["acceptance"] == "chain"
    assert math.isfinite(result.limit.roostats.upper_limit)
    assert np.isfinite(signal.error)
