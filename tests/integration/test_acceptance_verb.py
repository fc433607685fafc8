"""The verb acceptance: its JSON, its table, the map beside it, and what it refuses."""

from __future__ import annotations

import functools
import json

import pytest

from na64root import load_card
from na64root.exclusion import r_cut
from na64root.simulation.core_config import Signal
from na64root.work import Work
from support import commands

POINT = ["acceptance", "--mass-GeV", "0.39", "--epsilon", "6e-3", "-j", "2"]


def run(*arguments: str) -> tuple[int, str]:
    return commands.run(*POINT, *arguments)


def test_numbers_with_errors_beside_those_of_the_chain():
    code, text = run("-n", "4000", "--json")
    assert code == 0
    result = json.loads(text)
    s1, s2 = result["signatures"]
    assert [s1["signature"], s2["signature"]] == ["S1", "S2"]
    assert s1["cut_flow"][0]["cut"] == "initial"
    for found in (s1, s2):
        assert found["expected"] == pytest.approx(found["cut_flow"][-1]["expected"])
        assert found["error"] > 0.0
        assert found["effective_events"] == pytest.approx((found["expected"] / found["error"]) ** 2)
        assert sum(found["by_volume"].values()) == pytest.approx(found["expected"])
        squares = sum(error**2 for error in found["by_volume_error"].values())
        assert squares**0.5 == pytest.approx(found["error"])
        assert found["semi_analytic"] > 0.0
        share = found["by_volume"]["hcal3"] / found["expected"]
        assert found["hcal3_share"] == pytest.approx(share)
    assert s1["hcal3_share_error"] == pytest.approx(
        (s1["hcal3_share"] * (1.0 - s1["hcal3_share"]) / s1["effective_events"]) ** 0.5, rel=0.2
    )
    assert sum(result["decays"].values()) == pytest.approx(1.0)
    assert sum(result["decays_semi_analytic"].values()) == pytest.approx(1.0)
    # self: 0.0371 of all A' and 0.0373 of those above the chain's threshold decay behind HCAL3
    assert result["decays"]["beyond"] == pytest.approx(result["decays_semi_analytic"]["beyond"], rel=0.25)
    assert result["map"] is None


def test_the_report_on_r_names_every_cause():
    code, text = run("-n", "500", "--r-report", "--json")
    assert code == 0
    report = json.loads(text)["r_report"]
    assert (report["paper_average"], report["paper_lowest"]) == (0.52, 0.45)
    assert report["causes"][0]["cause"] is None
    assert {cause["cause"] for cause in report["causes"][1:]} == {
        "hcal3",
        "single_core",
        "noise",
        "width",
        "spot",
        "angles",
        "all",
    }


def test_a_person_reads_cut_flow_and_volumes():
    code, text = run("-n", "1000")
    assert code == 0
    words = " ".join(text.split())
    for part in ("shower_chi2", "beyond", "acceptance", "semi-analytic", "share of decays in HCAL3"):
        assert part in words


def test_the_best_cut_on_r_is_printed(monkeypatch):
    """That of the point, size and seed asked for, and of no other; of a small background, for its time.

    What the cut is: tests/validation/test_r_cut.py.
    """
    small = functools.partial(r_cut.best_r_cut, background_exposures=2.0)
    monkeypatch.setattr(r_cut, "best_r_cut", small)
    code, text = run("-n", "8000", "--best-r-cut", "--seed", "2", "--json")
    assert code == 0
    best = json.loads(text)["best_r_cut"]
    in_python = small(load_card(), Signal(0.39, 6e-3), events=8000, work=Work(seed=2, threads=2))
    expected = json.loads(in_python.model_dump_json())
    assert best["provenance"].pop("command")[0] == "acceptance"
    assert expected["provenance"].pop("command") is None
    assert best == expected
    assert best["r_max"] == 0.06


def test_the_map_is_a_file_of_its_own(tmp_path):
    path = tmp_path / "map.json"
    code, text = run("-n", "100", "--map", str(path), "--json")
    assert code == 0
    assert json.loads(text)["map"] == str(path)
    made = json.loads(path.read_text())
    assert made["format"] == "na64root efficiency map 1"
    assert made["events_per_sample"] == 100
    assert sorted(tmp_path.iterdir()) == [path]


def test_what_makes_no_sense_is_one_line(tmp_path, capsys):
    path = tmp_path / "map.json"
    path.write_text("precious")
    for options, part in (
        (["--map", str(path)], "--force"),
        (["--mode", "invisible", "--r-report"], "need decays of chi2"),
        (["--mode", "visible", "--best-r-cut"], "need decays of chi2"),
        (["-n", "0"], "0 events"),
        (["--epsilon", "0"], "epsilon = 0"),
    ):
        assert run(*options)[0] == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert part in lines[0]
    assert path.read_text() == "precious"
