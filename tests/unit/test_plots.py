"""Figures: they show what they were given, need no display, leave no global state, and are reproducible."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from na64root import figures, load_card
from na64root.records import CutFlowRow, InclusiveReading, Overlay, PlaneResult, provenance
from na64root.reports.plane_files import labelled

MASS = np.geomspace(1e-3, 1.0, 31)
EPSILON = np.geomspace(1e-6, 1e-1, 41)


def rows(weight: float = 1.0) -> list[CutFlowRow]:
    return [
        CutFlowRow(period=period, signature=signature, cut=cut, events=events, weighted=weight * events)
        for period in ("2017", "2018")
        for signature in ("S1", "S2")
        for cut, events in (("initial", 1000), ("trigger", 700), ("hcal", 3), ("shower_chi2", 0))
    ]


def texts(figure) -> list[str]:
    return [t.get_text() for axes in figure.axes for t in axes.texts]


def test_cut_flow_has_a_panel_per_period_and_every_count():
    figure = figures.cut_flow(rows())
    assert [axes.get_title() for axes in figure.axes] == ["2017", "2018"]
    assert texts(figure) == 4 * ["1000", "700", "3", "0"]
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert heights == 2 * [1000, 700, 3, 0]
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["initial", "trigger", "hcal", "shower_chi2"]


def test_cut_flow_of_weighted_events_shows_the_weights():
    figure = figures.cut_flow(rows(weight=0.25))
    assert [patch.get_height() for patch in figure.axes[0].patches][:3] == [250.0, 175.0, 0.75]
    assert "weighted" in figure.axes[0].get_ylabel()


def test_cut_flow_leaves_events_outside_periods_to_the_table():
    outside = CutFlowRow(period="", signature="", cut="excluded: SRD displaced", events=7, weighted=7)
    assert texts(figures.cut_flow([*rows(), outside])) == texts(figures.cut_flow(rows()))


def test_energy_plane_draws_the_signature_boxes_and_every_event():
    edges = np.linspace(0.0, 150.0, 31)
    contents = np.zeros((30, 30))
    contents[3, 20], contents[28, 0] = 2.0, 40.0
    boxes = {"S1": (0.0, 85.0, 15.0, 150.0), "S2": (0.0, 50.0, 0.0, 1.0)}
    figure = figures.energy_plane(edges, edges, contents, boxes)
    axes = figure.axes[0]
    drawn = {
        (p.get_x(), p.get_x() + p.get_width(), p.get_y(), p.get_y() + p.get_height()) for p in axes.patches
    }
    assert drawn == set(boxes.values())
    (mesh,) = [c for c in axes.collections if c.get_array() is not None]
    shown = np.ma.filled(np.ma.masked_invalid(mesh.get_array()), 0.0).reshape(30, 30)
    # pcolormesh has rows along y: ECAL along x, HCAL along y
    assert shown[20, 3] == 2.0
    assert shown[0, 28] == 40.0
    assert shown.sum() == 42.0


def test_an_empty_file_still_gives_figures(tmp_path):
    edges = np.linspace(0.0, 150.0, 31)
    figures.cut_flow([])
    figures.save(
        figures.cut_flow([row.model_copy(update={"events": 0, "weighted": 0.0}) for row in rows()]),
        tmp_path,
        "x",
    )
    figures.energy_plane(edges, edges, np.zeros((30, 30)), {})
    figures.r_distribution(edges, np.zeros(30), 0.06)


def plane(mu, contours=(), **overlays):
    """A (mass, epsilon) plane with g-2 bands, and nothing that a computation would be needed for."""
    central = 3e-3 * (MASS / 0.1)
    lines = {
        f"{name} {line}": Overlay(
            kind="line",
            source="a measurement",
            caveat="none",
            contour=np.stack([MASS, factor * central], axis=1).tolist(),
        )
        for name in ("g-2", "g-2 before Fermilab")
        for line, factor in (("minus2", 0.7), ("central", 1.0), ("plus2", 1.2))
    }
    return PlaneResult(
        plane="mass-epsilon",
        mode="semivisible",
        epsilon_is="an axis",
        x=MASS.tolist(),
        y=EPSILON.tolist(),
        upper_limit_mu=mu,
        contours=list(contours),
        expected_contours={},
        overlays=lines | overlays,
        epsilon_low=[],
        epsilon_high=[],
        g2_excluded_up_to_GeV=0.39,
        scorecard={},
        counts=[],
        exposure={},
        provenance=provenance(load_card(), seed=1),
    )


def drawn(record, **options):
    return figures.exclusion_plane(record, title="benchmark", **options)


def test_the_inclusive_reading_is_a_dashed_line_that_says_what_it_is():
    """Its points are those of the record; without it nothing is drawn and nothing said."""
    line = [[0.01, 1e-4], [0.1, 3e-4], [1.0, 2e-3]]
    mu = [[None] * len(MASS)] * len(EPSILON)
    for end, frame, said in ((1.0, True, "has no end in this range"), (0.8, False, "up to 0.8 GeV")):
        reading = InclusiveReading(
            contours=[line], g2_excluded_up_to_GeV=end, g2_end_is_frame=frame, remark="not published"
        )
        figure = drawn(plane(mu).model_copy(update={"inclusive": reading}))
        (curve,) = [c for c in figure.axes[0].lines if c.get_label() == "same data, inclusive signal"]
        assert curve.get_xydata().tolist() == line
        assert curve.is_dashed()
        text = figure._supxlabel.get_text()
        assert said in text.replace("\n", " ")
        assert "not published" in text
    assert "inclusive" not in str([c.get_label() for c in drawn(plane(mu)).axes[0].lines])


def test_the_excluded_region_is_where_the_limit_is_below_one():
    """Reference: analytic. mu = (1e-3/epsilon)^2 is excluded above epsilon = 1e-3 at every mass."""
    mu = np.repeat(((1e-3 / EPSILON) ** 2)[:, None], len(MASS), axis=1).tolist()
    axes = drawn(plane(mu)).axes[0]
    (filled,) = [c for c in axes.collections if type(c).__name__ == "TriContourSet"]
    vertices = np.concatenate([path.vertices for path in filled.get_paths()])
    # linear interpolation of log(mu) between grid points 33 % apart, done by matplotlib in epsilon
    assert vertices[:, 1].min() == pytest.approx(1e-3, rel=0.05)
    assert vertices[:, 1].max() == pytest.approx(EPSILON[-1])
    assert (vertices[:, 0].min(), vertices[:, 0].max()) == pytest.approx((MASS[0], MASS[-1]))


def test_the_filling_ends_at_the_contour_however_few_points_a_plane_has():
    """Reference: analytic. Excluded inside a circle in the logarithms, of which the plane sees its middle."""
    angle = np.linspace(0.0, 2.0 * np.pi, 200)
    circle = np.column_stack([0.03 * 5.0 ** np.cos(angle), 3e-4 * 5.0 ** np.sin(angle)])
    few = {"x": [1e-3, 0.03, 1.0], "y": [1e-6, 3e-4, 0.1]}
    mu = [[9.0, 9.0, 9.0], [9.0, 0.1, 9.0], [9.0, 9.0, 9.0]]
    record = plane(mu, contours=[circle.tolist()]).model_copy(update=few)
    (filled,) = [c for c in drawn(record).axes[0].collections if type(c).__name__ == "TriContourSet"]
    vertices = np.concatenate([path.vertices for path in filled.get_paths()])
    radius = np.hypot(*(np.log(vertices / [0.03, 3e-4]) / np.log(5.0)).T)
    assert radius.max() == pytest.approx(1.0, abs=1e-3)
    assert np.median(radius) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("value", [1e30, None, 0.0])
def test_a_plane_without_exclusion_or_without_models_is_drawn(value, tmp_path):
    figures.save(drawn(plane([[value] * len(MASS)] * len(EPSILON))), tmp_path, "plane")


def test_a_plane_says_whose_its_curves_are():
    region = [[0.03, 1e-3], [0.3, 1e-3], [0.3, 1e-2], [0.03, 1e-3]]
    others = {
        "BaBar": Overlay(kind="excluded", source="recast", caveat="f = 0.1, chi2 unseen", contour=region),
        "BaBar (2)": Overlay(kind="excluded", source="recast", caveat="f = 0.1, chi2 unseen", contour=region),
    }
    record = plane([[2.0] * len(MASS)] * len(EPSILON), contours=[region], **others)
    figure = drawn(record, projections={"more electrons": record})
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels.count("BaBar") == 1
    assert "more electrons" in labels
    assert "BaBar: recast; f = 0.1, $\\chi_2$ unseen." in figure.get_supxlabel()
    assert any("0.39" in text for text in texts(figure))


def test_projections_are_told_apart():
    """By what differs from the plane, and by their files where nothing else does: none is lost."""
    record = plane([[2.0] * len(MASS)] * len(EPSILON)).model_copy(update={"confidence_level": 0.9})
    other = record.model_copy(update={"confidence_level": 0.95})
    found = labelled(record, [(Path("a"), record), (Path("b"), other), (Path("c"), other)])
    known = f"paper2021: {sum(record.exposure.values()):.3g} EOT"
    assert list(found) == [known, f"{known}, 95 % CL (b)", f"{known}, 95 % CL (c)"]
    invisible = record.model_copy(update={"mode": "invisible"})
    assert list(labelled(record, [(Path("a"), invisible)])) == [f"{known}, invisible"]


@pytest.mark.parametrize("x_scale", ["log", "linear"])
@pytest.mark.parametrize("y_scale", ["log", "linear"])
def test_an_axis_is_drawn_as_its_points_are_spaced(x_scale, y_scale):
    record = plane([[2.0] * len(MASS)] * len(EPSILON)).model_copy(
        update={"x_logarithmic": x_scale == "log", "y_logarithmic": y_scale == "log"}
    )
    axes = drawn(record).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == (x_scale, y_scale)
    assert (axes.get_xlim(), axes.get_ylim()) == ((MASS[0], MASS[-1]), (EPSILON[0], EPSILON[-1]))


def test_limits_side_by_side_with_their_values():
    limits = [("RooStats, frequentist", 2.11, 0.04), ("exact, none", 2.3026, 0.0)]
    figure = figures.limit_comparison(limits, 0.9)
    assert texts(figure) == ["2.11 ± 0.04", "2.303"]
    assert "90 %" in figure.axes[0].get_xlabel()


def test_saving_twice_gives_the_same_bytes(tmp_path):
    first = figures.save(figures.cut_flow(rows()), tmp_path, "first")
    second = figures.save(figures.cut_flow(rows()), tmp_path, "second")
    assert [path.suffix for path in first] == [".pdf", ".png"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert one.stat().st_size > 5000


def test_drawing_leaves_no_global_state(tmp_path):
    before = dict(matplotlib.rcParams)
    figures.save(figures.cut_flow(rows()), tmp_path, "figure")
    assert dict(matplotlib.rcParams) == before


def test_figures_need_no_display(tmp_path):
    code = (
        "from pathlib import Path; import numpy as np; from na64root import figures;"
        "figures.save(figures.r_distribution(np.linspace(0, 1, 11), np.ones(10), 0.06), Path('.'), 'r')"
    )
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "MPLBACKEND": "TkAgg"}
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "r.png").exists()
