"""What the diagnostics of a limit hold, and that their figures show it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from na64root import figures, limits
from na64root.limits import Bin, CountingModel
from na64root.limits.diagnostics import Diagnostics, _cls_scan, diagnose
from na64root.records import LimitImpact
from na64root.reports.diagnostics import FILES
from support import commands

MODEL = CountingModel(
    (Bin("S1", "S1", "", 0, 0.19, 0.07, 0.4), Bin("S2", "S2", "", 1, 0.53, 0.17, 0.6)),
    signal_sources={"form_factor": 0.1, "dimuon_yield": 0.2},
)


@pytest.fixture(scope="module")
def found() -> Diagnostics:
    return diagnose(MODEL)


def test_the_curve_of_cls_crosses_at_the_limit_and_the_bands_at_the_expected_ones(found):
    scan = found.cls_scan
    above = [mu for mu, cls in zip(scan.mu, scan.cls, strict=True) if cls > 0.1]
    step = scan.mu[1] - scan.mu[0]
    assert max(above) <= found.limit.upper_limit <= max(above) + step
    assert scan.upper_limit == found.limit.upper_limit
    place = scan.expected_cls.index(0.1)
    assert {name: mu[place] for name, mu in scan.expected.items()} == found.limit.expected.model_dump()
    for mu in scan.expected.values():
        assert mu == pytest.approx(sorted(mu), rel=1e-3)
    assert scan.toys == []


def test_bands_of_a_known_background_are_those_of_its_outcomes():
    """Reference: analytic. Without background every experiment is empty, and its CLs is exp(-mu)."""
    nothing = CountingModel((Bin("one", "one", "", 0, 0.0, 0.0, 1.0),))
    engine = limits.upper_limit(nothing)
    scan = _cls_scan(nothing, engine, "frequentist", [])
    for mu in scan.expected.values():
        assert [math.exp(-x) for x in mu] == pytest.approx(scan.expected_cls, rel=1e-3)
    assert scan.cls == pytest.approx([math.exp(-x) for x in scan.mu], rel=1e-6)


def test_the_distributions_give_cls_at_the_limit(found):
    """CLs+b and CLb of 1000 toys each within 4 standard deviations of the exact ones (false alarm 6e-5)."""
    shown = found.test_statistic
    assert shown.mu == found.limit.upper_limit
    levels = limits.experiment(MODEL).confidence_levels(shown.mu)
    for tail, exact in zip((shown.tail_with_signal, shown.tail_without_signal), levels, strict=False):
        assert abs(tail - exact) < 4.0 * math.sqrt(exact * (1.0 - exact) / shown.toys)
    assert sum(shown.with_signal) == pytest.approx(1.0)
    assert sum(shown.without_signal) == pytest.approx(1.0)
    assert shown.observed == pytest.approx(limits.experiment(MODEL).statistic(shown.mu), abs=1e-3)
    inside = [low < shown.observed < high for low, high in zip(shown.edges, shown.edges[1:], strict=False)]
    assert sum(inside) == 1


def test_the_limit_against_each_assumed_uncertainty_passes_through_the_limit(found):
    sweeps = {sweep.source: sweep for sweep in found.assumed_uncertainties}
    assert list(sweeps) == ["signal", "background S1", "background S2"]
    assert sweeps["signal"].assumed == pytest.approx(math.hypot(0.1, 0.2))
    assert (sweeps["signal"].values[0], sweeps["signal"].values[-1]) == (0.0, 0.5)
    for name in ("background S1", "background S2"):
        assert (sweeps[name].values[0], sweeps[name].values[-1]) == (0.0, 3.0)
        for treatment, values in sweeps[name].upper_limit.items():
            nominal = limits.upper_limit(MODEL, treatment=treatment, expected=False).upper_limit
            assert values[sweeps[name].values.index(1.0)] == nominal
    for sweep in sweeps.values():
        assert len(set(sweep.upper_limit["none"])) == 1, "none fixes every nuisance parameter"
        assert list(sweep.upper_limit) == ["none", "frequentist", "hybrid"]
    assert sweeps["signal"].upper_limit["hybrid"][-1] > 1.1 * sweeps["signal"].upper_limit["hybrid"][0]
    assert [impact.source for impact in found.impacts] == [
        "form_factor",
        "dimuon_yield",
        "background S1",
        "background S2",
    ]


def test_figures_show_the_numbers(found):
    figure = figures.cls_scan(found.cls_scan)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels[-1] == "observed, exact (frequentist)"
    assert f"{found.limit.upper_limit:.4g} events at 90 % CL" in figure.axes[0].texts[0].get_text()
    (observed,) = [line for line in figure.axes[0].lines if "observed" in str(line.get_label())]
    assert list(observed.get_ydata()) == found.cls_scan.cls
    figure = figures.test_statistic(found.test_statistic)
    assert found.test_statistic.observed in [line.get_xdata()[0] for line in figure.axes[0].lines]
    figure = figures.assumed_uncertainties(found.assumed_uncertainties, 0.9)
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "signal uncertainty [%]",
        "times the assumed uncertainty",
        "times the assumed uncertainty",
    ]
    figure = figures.impacts(
        [
            LimitImpact(
                source="form_factor",
                without=2.9,
                vanishing=3.0,
                doubled=3.4,
                impact=0.1,
                jump=0.1,
                tie_breaking=True,
            )
        ],
        3.1,
        0.9,
        "frequentist",
    )
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["form factor"]


def limit(*arguments: str) -> tuple[int, str]:
    return commands.run("limit", *arguments)


def test_limit_with_diagnostics_writes_figures_and_their_numbers(tmp_path, capsys):
    """With nothing uncertain there is no impact, and no figure of it."""
    code, text = limit(
        "--observed", "0", "--background", "0.3", "--diagnostics", "-o", str(tmp_path), "--json"
    )
    assert code == 0, capsys.readouterr().err
    result = json.loads(text)
    expected = set(FILES) - {"impacts.pdf", "impacts.png"}
    assert set(result["files"]) == expected
    assert {path.name for path in tmp_path.iterdir()} == {*expected, "limit.json"}
    assert all(Path(path).is_file() for path in result["files"].values())
    kept = json.loads((tmp_path / "diagnostics.json").read_text())
    assert kept["limit"]["upper_limit"] == result["upper_limit"] == pytest.approx(math.log(10.0), rel=1e-4)
    assert kept["provenance"] == result["provenance"]
    assert kept["cross_checks"] is None
    (tmp_path / "limit.json").unlink()
    arguments = ["--observed", "0", "--background", "0.3", "--diagnostics", "-o", str(tmp_path)]
    assert limit(*arguments)[0] == 2
    assert "exists (results are kept): use --force" in capsys.readouterr().err


@pytest.mark.slow
def test_diagnostics_of_roostats_hold_its_toys_and_cross_checks():
    """Toys within 4 errors of the exact curve (false alarm 0.1 % for all)."""
    model = CountingModel((Bin("one", "one", "", 1, 0.5, 0.0, 1.0),))
    found = diagnose(model, method="roostats", treatment="none")
    assert found.limit.method == "roostats"
    engine = limits.experiment(model, "none")
    assert len(found.cls_scan.toys) > 5
    for point in found.cls_scan.toys:
        assert abs(point.cls - engine.cls(point.mu)[0]) < 4.0 * point.error
    low, high = found.cross_checks.feldman_cousins
    # Feldman and Cousins, Table IV: 1 event over 0.5
    assert low == 0.0
    assert high == pytest.approx(3.86, abs=0.35)
    assert 3.3 < found.cross_checks.bayesian_upper_limit < 3.6
