"""The whole chain: a run on planted events with real RooStats toys, its files, and runs that fail."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from na64root import limits, publication
from na64root.analyze import FILES, Analysis
from na64root.analyze import chain as analyze_chain
from na64root.analyze.counts import Data
from na64root.cli import tables
from na64root.cling import root
from na64root.config import load_card
from na64root.errors import Na64Error
from na64root.limits import side_by_side
from na64root.records import ResultsFolder
from na64root.signal import card_counts
from na64root.work import Work
from support import commands
from support.tree_a import event, s1_event, write_tree

KEYS = [
    "cutflow",
    "counts",
    "exposure",
    "limit",
    "exclusion",
    "g2_excluded_up_to_GeV",
    "candidates",
    "files",
    "provenance",
]
GRID = ["--set", "plane.mass_points=12", "--set", "plane.epsilon_points=16"]
SMALL_GRID = ["--set", "plane.mass_points=4", "--set", "plane.epsilon_points=6"]
FIXED = ["--set", "limit.treatment=none"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "na64root.analyze", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("analyze")


@pytest.fixture(scope="module")
def done(folder) -> subprocess.CompletedProcess[str]:
    """2018 only, one candidate of S1; an event of S2 in a run that is excluded.

    Nuisance parameters are fixed, a quarter of the toys' time; slow tests below leave the card's treatment.
    """
    planted = [
        s1_event(spill=3, spillevent=21),
        event(ecalTotal=99.0, spillevent=22),
        event(run=2490, spillevent=23),
    ]
    path = write_tree(folder / "planted.root", planted)
    return run(path, "--json", "-o", str(folder / "out"), "-j", "2", "--eot", "2018=1e11", *FIXED, *GRID)


@pytest.fixture(scope="module")
def result(done) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # one JSON object and nothing else, with RooFit and Minuit at work


def test_the_keys_are_those_of_the_contract(result):
    assert list(result)[: len(KEYS)] == KEYS
    assert list(result)[len(KEYS) :] == [
        "expected",
        "discovery",
        "interval",
        "acceptance",
        "signal",
        "files_skipped",
        "systematics",
        "data_quality",
        "background_estimates",
        "signal_uncertainties",
        "counting_model",
        "blind",
        "notes",
        "g2_end_is_frame",
    ]
    assert list(result["cutflow"][0]) == ["period", "signature", "cut", "events", "weighted"]
    assert result["cutflow"][0]["cut"] == "initial"
    assert list(result["counts"][0]) == [
        "period",
        "signature",
        "observed",
        "background",
        "background_uncertainty",
        "cuts_not_applied",
    ]
    assert list(result["limit"]) == ["roostats", "exact", "kind", "quoted"]
    assert list(result["limit"]["exact"]) == ["none", "frequentist", "hybrid"]
    assert list(result["exclusion"]) == [
        "mass_GeV",
        "epsilon_low",
        "epsilon_high",
        "mode",
        "contours",
        "expected_contours",
        "overlays",
        "inclusive",
    ]


def test_counts_and_candidates_are_the_planted_ones(result):
    observed = {(c["period"], c["signature"]): c["observed"] for c in result["counts"]}
    assert observed == {
        (p, s): int((p, s) == ("2018", "S1")) for p in ("2016", "2017", "2018") for s in ("S1", "S2")
    }
    (candidate,) = result["candidates"]
    assert (candidate["run"], candidate["spill"], candidate["spillevent"]) == (4000, 3, 21)
    assert candidate["signature"] == "S1"


def test_a_person_reads_cut_flow_counts_limits_and_where_the_figures_are(result):
    """The same record shown as text, without running the chain again."""
    from rich.console import Console

    text = io.StringIO()
    tables.show_analysis(Analysis.model_validate(result), Console(file=text, width=200))
    words = " ".join(text.getvalue().split())
    assert "shower_chi2" in words
    assert "excluded: SRD displaced: 1 events, in no bin" in words
    assert "candidate S1 2018: run 4000 spill 3 event 21" in words
    assert "against background alone: p-value" in words
    assert "two-sided interval: " in words
    for engine in ("exact, none, quoted", "exact, frequentist", "exact, hybrid", "RooStats, none"):
        assert engine in words
    assert "g-2 line" in words
    assert result["files"]["exclusion.png"] in words


def test_exposure_and_background_follow_the_option(result, done):
    assert result["exposure"] == {"2016": 0.0, "2017": 0.0, "2018": 1e11}
    assert "period 2016: no physics trigger in the input, exposure 0" in done.stderr
    (s1,) = [c for c in result["counts"] if (c["period"], c["signature"]) == ("2018", "S1")]
    # reference: analytic, the paper's 0.19 +- 0.07 for 2.84e11 electrons
    assert s1["background"] == pytest.approx(0.19 * 1e11 / 2.84e11)
    assert s1["background_uncertainty"] == pytest.approx(0.07 * 1e11 / 2.84e11)


def test_one_event_over_little_background_is_told_with_its_p_value(result):
    assert 0.01 < result["discovery"]["p_value"] < 0.3
    assert result["discovery"]["significance"] > 0.5
    assert result["interval"]["treatment"] == "none"
    assert 0.0 <= result["interval"]["low"] < 1.0 < result["interval"]["high"] < 8.0


def test_the_exact_limit_is_quoted_and_roostats_agrees_with_it(result):
    """The run itself fails beyond 3 toy errors: false-alarm rate 0.3 %, and the seed is fixed."""
    check_quoted_limit(result, "none")


def check_quoted_limit(result: dict[str, Any], treatment: str) -> None:
    judge, exact = result["limit"]["roostats"], result["limit"]["exact"][treatment]
    quoted = result["limit"]["quoted"]
    assert (quoted["method"], quoted["treatment"]) == ("exact", treatment)
    assert quoted["upper_limit"] == exact["upper_limit"]
    assert (judge["method"], judge["treatment"]) == ("roostats", treatment)
    assert judge["toys"] > 1000
    assert 0.0 < judge["upper_limit_error"] < 0.05 * judge["upper_limit"]
    assert abs(judge["upper_limit"] - exact["upper_limit"]) < 3.0 * judge["upper_limit_error"]


def test_the_plane_has_a_range_per_mass(result):
    plane = result["exclusion"]
    assert len(plane["mass_GeV"]) == len(plane["epsilon_low"]) == len(plane["epsilon_high"]) == 12
    excluded = [
        (low, high) for low, high in zip(plane["epsilon_low"], plane["epsilon_high"], strict=True) if low
    ]
    assert len(excluded) > 6
    assert all(low < high for low, high in excluded)
    assert result["exclusion"]["epsilon_low"][-1] is None  # 1 GeV


def test_every_file_is_there_and_whole(result, folder):
    files = {name: Path(path) for name, path in result["files"].items()}
    assert {path.parent for path in files.values()} == {folder / "out"}
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(files)
    assert set(files) == set(FILES)
    for path in files.values():
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
        if path.suffix == ".pdf":
            assert path.read_bytes().rstrip().endswith(b"%%EOF")
    assert json.loads(files["results.json"].read_text()) == result


def test_the_root_file_holds_histograms_cut_flow_workspace_and_plane(result):
    ROOT = root()
    file = ROOT.TFile.Open(result["files"]["results.root"])
    try:
        flow = file.Get("cutflow_2018_S1")
        events = [
            row["events"] for row in result["cutflow"] if (row["period"], row["signature"]) == ("2018", "S1")
        ]
        assert [flow.GetBinContent(i + 1) for i in range(flow.GetNbinsX())] == events
        assert file.Get("ecal_hcal_preselection").Integral() == 2.0
        assert file.Get("workspace").ClassName() == "RooWorkspace"
        plane = file.Get("upper_limit_mu")
        assert (plane.GetNbinsX(), plane.GetNbinsY()) == (12, 16)
        # the bin around a point of the grid holds its value: excluded between the ends of the range
        for mass, low, high in zip(*list(result["exclusion"].values())[:3], strict=True):
            column = plane.GetXaxis().FindBin(mass)
            for j in range(1, 17):
                epsilon = np.sqrt(plane.GetYaxis().GetBinLowEdge(j) * plane.GetYaxis().GetBinUpEdge(j))
                inside = low is not None and low * 0.999 <= epsilon <= high * 1.001
                assert (plane.GetBinContent(column, j) <= 1.0) == inside
        contour = file.Get("contour_0")
        assert contour.GetN() > 3
        assert file.Get("g-2_central").GetN() == 240
        # this process has what tests in this one leave out
        assert all(file.Get(name) for name in ("E137", "BaBar", "NuCal", "CHARM", "thermal_relic"))
    finally:
        file.Close()


def test_provenance_names_the_input_the_card_and_the_seed(result, folder):
    provenance = result["provenance"]
    (source,) = provenance["input_files"]
    assert source["path"] == str(folder / "planted.root")
    assert source["entries"] == 3
    assert len(source["sha256"]) == 64
    card = load_card(overrides=[FIXED[1], GRID[1], GRID[3]])
    assert provenance["card_sha256"] == card.sha256
    assert provenance["seed"] == 1


# What follows needs no toys: an input without exposure has no limit, and the rest of the chain is the same.


@pytest.fixture
def no_exposure(tmp_path) -> str:
    return write_tree(tmp_path / "beam.root", [event(isTriggerPhysics=False)])


def chain(path: str, output: Path, *, force: bool = False) -> Analysis:
    return analyze_chain.analyze([path], load_card(), ResultsFolder(output, force))


def test_without_exposure_there_is_no_limit_and_no_plane(no_exposure, tmp_path, unrendered):
    result = chain(no_exposure, tmp_path / "out")
    assert result.limit is None
    assert result.discovery is None
    assert result.interval is None
    assert result.g2_excluded_up_to_GeV is None
    assert result.exclusion.mass_GeV == []
    assert set(result.exposure.values()) == {0.0}
    assert not (tmp_path / "out" / "exclusion.png").exists()


def test_existing_results_are_kept_and_nothing_is_computed(no_exposure, tmp_path, monkeypatch):
    output = tmp_path / "out"
    output.mkdir()
    (output / "results.root").write_text("precious")
    monkeypatch.setattr("na64root.selection.select", None)
    with pytest.raises(Na64Error, match=r"results\.root exists .*--force"):
        chain(no_exposure, output)
    assert [path.name for path in output.iterdir()] == ["results.root"]


def test_force_replaces_everything_and_leaves_no_stale_figure(no_exposure, tmp_path, unrendered):
    output = tmp_path / "out"
    output.mkdir()
    for name in ("results.json", "exclusion.png", "notes.txt"):
        (output / name).write_text("old")
    result = chain(no_exposure, output, force=True)
    assert (output / "results.json").read_text() != "old"
    assert not (output / "exclusion.png").exists(), "this run has no plane: the old figure would be stale"
    assert (output / "notes.txt").read_text() == "old"
    assert sorted(path.name for path in output.iterdir()) == sorted([*result.files, "notes.txt"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_interrupted_run_leaves_the_old_results_and_no_half_file(
    no_exposure, tmp_path, monkeypatch, error, unrendered
):
    output = tmp_path / "out"
    output.mkdir()
    (output / "results.json").write_text("old")

    def interrupted(*_: Any) -> None:
        raise error

    monkeypatch.setattr("na64root.analyze.chain._write_root", interrupted)
    with pytest.raises(error):
        chain(no_exposure, output, force=True)
    assert [path.name for path in output.iterdir()] == ["results.json"]
    assert (output / "results.json").read_text() == "old"


def test_an_output_that_cannot_be_made_is_one_line_before_anything_is_computed(
    no_exposure, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("na64root.selection.select", None)
    with pytest.raises(Na64Error, match="cannot write into .*file/out"):
        chain(no_exposure, tmp_path / "file" / "out")


def test_engines_that_disagree_stop_the_run(monkeypatch, caplog):
    """Fault injection: RooStats' limit is the exact one moved by a number of its errors of 0.05."""
    model = limits.CountingModel.from_lists(
        observed=[0], background=[0.19], background_uncertainty=[0.07], signal_fraction=[1.0]
    )
    compute, card = limits.upper_limit, load_card()
    exact = compute(model, method="exact", treatment=card.limit.treatment).upper_limit

    def compare(*pulls: float) -> tuple[Any, int]:
        left = list(pulls)

        def upper_limit(model: Any, *, method: str, **options: Any) -> Any:
            if method == "exact":
                return compute(model, method="exact", **options)
            moved = {"upper_limit": exact + left.pop(0) * 0.05, "upper_limit_error": 0.05, "toys": 1000}
            return compute(model, method="exact", treatment=options["treatment"]).model_copy(update=moved)

        monkeypatch.setattr(side_by_side, "upper_limit", upper_limit)
        found = side_by_side.limits_side_by_side(model, card, work=Work(seed=1, threads=1))
        side_by_side.require_agreement(found)
        return found.roostats, len(left)

    assert not issubclass(side_by_side.EnginesDisagreeError, Na64Error), "a bug exits with 1, not with 2"
    # within three errors: one set of toys
    judge, unused = compare(2.9, 99.0)
    assert (judge.upper_limit_error, judge.toys, unused) == (0.05, 1000, 1)
    # by chance once: both sets are taken, none is dropped
    judge, _ = compare(-3.3, 0.5)
    assert judge.upper_limit == pytest.approx(exact - 1.4 * 0.05)
    assert judge.upper_limit_error == pytest.approx(0.05 / 2**0.5)
    assert judge.toys == 2000
    assert "a second set decides" in caplog.text
    # a bias stays: the two sets together are more than three of their smaller errors away
    for pulls in [(3.1, 3.1), (10.0, 10.0), (-3.2, -2.0), (9.0, 0.0)]:
        with pytest.raises(side_by_side.EnginesDisagreeError, match=r"by RooStats, .* by the exact engine"):
            compare(*pulls)


@pytest.mark.slow
def test_a_file_without_cells_and_tracks_gives_s2_alone(tmp_path):
    """The 2016-2018 dump as it often is: no HCAL_ene, no straws, no momentum."""
    omit = ["HCAL_ene", "trackMomentum", "straw3X", "straw3Y", "ecalTotalNoTimecut"]
    path = write_tree(tmp_path / "dump.root", [event(ecalTotal=99.0)], omit=omit)
    done = run(path, "--json", "-o", str(tmp_path / "out"), "-j", "2", *SMALL_GRID)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    check_quoted_limit(result, "frequentist")
    for count in result["counts"]:
        assert (count["observed"] is None) == (count["signature"] == "S1")
        assert {"straw", "momentum", "pile_up"} <= set(count["cuts_not_applied"])
    assert result["limit"]["exact"]["none"]["upper_limit"] == pytest.approx(2.302585, abs=1e-3)
    assert "r.png" not in result["files"]


@pytest.mark.slow
def test_a_weighted_simulation_gives_expected_limits(tmp_path):
    path = write_tree(tmp_path / "mc.root", [event(), s1_event()], extra={"mcWeight": 0.25})
    done = run(path, "--json", "-o", str(tmp_path / "out"), *FIXED, *SMALL_GRID)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {count["observed"] for count in result["counts"]} == {None}
    last = [row for row in result["cutflow"] if (row["period"], row["cut"]) == ("2018", "shower_chi2")]
    assert [row["weighted"] for row in last] == [0.25, 0.25]
    assert result["limit"]["exact"]["none"]["expected"]["median"] > 2.3


PLANE_KEYS = [
    "plane",
    "x",
    "y",
    "upper_limit_mu",
    "contours",
    "overlays",
    "g2_excluded_up_to_GeV",
    "scorecard",
]


def scan(*arguments: str) -> tuple[int, dict[str, Any]]:
    code, text = commands.run("scan", "mass-epsilon", "--json", *GRID, *arguments)
    return code, json.loads(text) if code == 0 else {}


def test_scan_without_files_is_the_plane_of_the_card(tmp_path, capsys):
    """The only one with the relic line, other experiments, and figures that are rendered."""
    code, plane = scan("-o", str(tmp_path), *SMALL_GRID)
    assert code == 0
    assert set(PLANE_KEYS) <= set(plane)
    assert plane["plane"] == "mass-epsilon"
    assert (len(plane["upper_limit_mu"]), len(plane["upper_limit_mu"][0])) == (
        len(plane["y"]),
        len(plane["x"]),
    )
    assert {"source", "contour"} <= set(plane["overlays"]["NA64 invisible 2019"])
    names = [*(f"mass-epsilon.{kind}" for kind in ("csv", "pdf", "png", "root")), "scan.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    lines = (tmp_path / "mass-epsilon.csv").read_text().splitlines()
    assert any(line.startswith("# BaBar: ") for line in lines)
    rows = [line.split(",") for line in lines if line.startswith("observed,excluded,0,")]
    assert [[float(x), float(y)] for *_, x, y in rows] == plane["contours"][0]

    drawn = tmp_path / "drawn"
    arguments = ["plot", str(tmp_path / "scan.json"), str(tmp_path / "scan.json"), "-o", str(drawn)]
    assert commands.run(*arguments)[0] == 0
    assert sorted(path.name for path in drawn.iterdir()) == names[:-1]
    (tmp_path / "scan.json").unlink()
    assert scan("-o", str(tmp_path))[0] == 2
    assert "mass-epsilon.pdf exists (results are kept): use --force" in capsys.readouterr().err


def same_as_the_plane(exclusion: dict[str, Any], plane: dict[str, Any]) -> None:
    """What an analysis says of its plane is what `scan` says of it."""
    assert exclusion["mass_GeV"] == plane["x"]
    for key in ("mode", "epsilon_low", "epsilon_high", "contours", "expected_contours", "inclusive"):
        assert exclusion[key] == plane[key], key
    assert {name: exclusion["overlays"][name] for name in plane["overlays"]} == plane["overlays"]
    assert exclusion["contours"]
    assert set(exclusion["expected_contours"]) >= {"minus1", "median", "plus1"}


def test_the_analysis_has_what_scan_has(result, folder, without_other_experiments, capsys):
    """The scan without other experiments, which take long; the analysis has them all the same."""
    code, plane = scan(str(folder / "planted.root"), "--eot", "2018=1e11", *FIXED)
    assert code == 0, capsys.readouterr().err
    same_as_the_plane(result["exclusion"], plane)
    assert result["exclusion"]["inclusive"]["contours"]
    assert {"thermal relic", "E137", "BaBar", "NuCal", "CHARM"} <= set(result["exclusion"]["overlays"])


def test_invisible_scalars_are_analysed_as_they_are_scanned(folder, done, tmp_path, unrendered, capsys):
    """S2 alone, without what holds for decays of chi2 or for vectors."""
    del done  # it planted the file
    chosen = ["--mode", "invisible", "--set", "model.coupling=scalar", "--set", "model.mediator=electrons"]
    arguments = [str(folder / "planted.root"), "--eot", "2018=1e11", *FIXED, *chosen]
    code, text = commands.run("analyze", *arguments, *SMALL_GRID, "-o", str(tmp_path), "--json")
    assert code == 0, capsys.readouterr().err
    analysis = json.loads(text)
    assert {count["signature"] for count in analysis["counts"]} == {"S1", "S2"}
    assert {count["signature"] for count in analysis["counting_model"]["counts"]} == {"S2"}
    code, plane = scan(*arguments, *SMALL_GRID)
    assert code == 0
    same_as_the_plane(analysis["exclusion"], plane)
    assert set(analysis["exclusion"]["overlays"]) == {"electron g-2 (rubidium)"}
    assert plane["inclusive"] is None
    code, _ = commands.run("analyze", *arguments[:-6], *chosen[2:], "-o", str(tmp_path / "other"))
    assert code == 2
    assert "semi-visible decays with model.coupling" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    # Published again: the same bins, and nothing of S1.
    made = hepdata(tmp_path, tmp_path / "published", [*FIXED, *chosen[2:]])
    assert made["bins"] == {f"S2 {period}" for period, eot in analysis["exposure"].items() if eot}
    assert made["modes"] == {"invisible"}


def hepdata(results: Path, folder: Path, changes: list[str]) -> dict[str, set[str]]:
    """Bins of the published likelihood, and modes that the tables of an analysis say."""
    card = load_card(overrides=[*changes, *SMALL_GRID][1::2])
    publication.submit([results], card, ResultsFolder(folder))
    channels = json.loads((folder / "hepdata" / "pyhf.json").read_text("utf-8"))["channels"]
    table = publication.read(folder / "hepdata").table("Excluded range of epsilon")
    modes = {q.value for column in table.dependent for q in column.qualifiers if q.name == "Mode"}
    return {"bins": {channel["name"] for channel in channels}, "modes": modes}


def test_a_sample_of_decays_is_no_signal_of_invisible_ones(folder, done, tmp_path, capsys):
    del done
    sample = tmp_path / "signal.root"
    point = ("--mass-GeV", "0.39", "--epsilon", "6e-3", "-n", "400")
    assert commands.run("simulate", "signal", *point, "-o", str(sample))[0] == 0
    data = str(folder / "planted.root")
    given = ("--mode", "invisible", "--signal", str(sample), "-o", str(tmp_path / "out"))
    assert commands.run("analyze", data, *given)[0] == 2
    assert "a signal sample of mode semivisible in an analysis of mode invisible" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def test_analyze_draws_what_scan_draws(monkeypatch):
    """Other experiments and expected limits are asked for; that they are drawn is the subject of scan."""
    asked = {}

    class AskedError(Exception):
        pass

    def plane_of(point, plane, **options):
        asked.update(options, plane=plane, expected=point.expected_limits)
        raise AskedError

    monkeypatch.setattr(analyze_chain, "plane_of", plane_of)
    card = load_card()
    data = Data(card_counts(card, card.exposure()), card.exposure())
    with pytest.raises(AskedError):
        analyze_chain._exclude(card, data, None, Work())
    assert (asked["plane"], asked["others"], asked["expected"]) == ("mass-epsilon", True, True)


def test_a_linear_axis_has_bins_of_one_width(tmp_path, without_other_experiments):
    axes = ("--x", "mass=0.1:0.3:3:lin", "--y", "ratio=2.5:10:3")
    code, text = commands.run("scan", *axes, "-o", str(tmp_path), "--json")
    assert code == 0
    record = json.loads(text)
    assert (record["x_logarithmic"], record["y_logarithmic"]) == (False, True)
    file = root().TFile.Open(str(tmp_path / "mass-ratio.root"))
    try:
        plane = file.Get("upper_limit_mu")
        edges = [plane.GetXaxis().GetBinUpEdge(i) for i in range(4)]
        assert edges == pytest.approx([0.05, 0.15, 0.25, 0.35])
        edges = [plane.GetYaxis().GetBinUpEdge(j) for j in range(4)]
        assert edges == pytest.approx((2.5 * 2.0 ** np.array([-0.5, 0.5, 1.5, 2.5])).tolist())
    finally:
        file.Close()


def test_scan_of_a_file_uses_its_counts_and_exposure(tmp_path, without_other_experiments):
    path = write_tree(tmp_path / "planted.root", [s1_event()])
    _, with_event = scan(path, "--eot", "2018=1e11")
    _, without = scan("--eot", "2018=1e11", "--eot", "2017=0", "--eot", "2016=0")
    ours = np.array(with_event["upper_limit_mu"], dtype=float)
    reference = np.array(without["upper_limit_mu"], dtype=float)
    ratio = ours / reference  # NaN where there is no signal at all, in both
    assert np.array_equal(np.isnan(ours), np.isnan(reference))
    assert np.nanmin(ratio) > 0.999, "an event seen makes no limit stronger"
    assert np.nanmax(ratio) > 1.3, "and those where S1 rules weaker"


def test_a_bare_exposure_scales_the_whole_plane(without_other_experiments):
    """Reference: analytic. Where S2 rules, ten times the electrons give a tenth of the limit."""
    one_mass = ("--set", "plane.mass_points=2")
    _, plane = scan(*one_mass)
    backgrounds = ("--set", "limit.S1.background=0.019", "--set", "limit.S2.background=0.053")
    _, more = scan(*one_mass, *backgrounds, "--eot", "2.84e12")
    ratio = plane["upper_limit_mu"][3][0] / more["upper_limit_mu"][3][0]
    assert ratio == pytest.approx(10.0, rel=0.02)


def test_counts_of_the_card_at_another_exposure_are_pointed_out(capsys, caplog, without_other_experiments):
    few = ("--set", "plane.mass_points=2", "--set", "plane.epsilon_points=3")
    assert scan(*few)[0] == 0
    assert "observed counts" not in caplog.text
    assert scan(*few, "--eot", "7e12")[0] == 0
    assert "the card's observed counts (0, 0) are kept where 4.68 + 13.1 background" in caplog.text
