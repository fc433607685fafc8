"""Records in a notebook and in other libraries: what is shown is short and escaped, numbers are the same.

References: the records themselves (self).
"""

from __future__ import annotations

import base64
from html.parser import HTMLParser

import click
import numpy as np
import pytest

import na64root
from na64root import notebook
from na64root.cli import program  # noqa: F401  (it adds the verbs)
from na64root.cli.verb import application
from na64root.cling import root
from na64root.errors import ConfigError
from na64root.event_loop.histograms import Histogram, HistogramAxis
from na64root.records import CutFlowRow, Line
from support.commands import run
from support.tree_a import event, s1_event, write_tree

CARD = na64root.load_card(overrides=["plane.mass_points=3", "plane.epsilon_points=4"])


class Checked(HTMLParser):
    """HTML whose elements are closed in their order; its texts, and the attributes of images."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.elements: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        else:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.images.append(dict(attrs))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def plane():
    return na64root.scan(CARD, "mass-epsilon")


@pytest.fixture(scope="module")
def selected(tmp_path_factory):
    path = tmp_path_factory.mktemp("tree") / "data.root"
    return na64root.select([write_tree(path, [event(), event(hcal0=5.0), s1_event()])], CARD)


def histogram(dimensions: int = 1) -> Histogram:
    axes = [HistogramAxis(title="energy [GeV]", edges=[0.0, 1.0, 3.0, 10.0])]
    contents, variances = np.array([1.0, 0.0, 2.5]), np.array([1.0, 0.0, 0.5])
    if dimensions == 2:
        axes.append(HistogramAxis(title="R", edges=[0.0, 0.5, 1.0]))
        contents, variances = (np.stack([a, 2.0 * a], axis=1) for a in (contents, variances))
    return Histogram(
        title="of a test", axes=axes, contents=contents.tolist(), variances=variances.tolist(), outside=0.0
    )


def test_the_text_of_a_record_is_short(plane, selected):
    for record in (plane, selected, CARD, histogram()):
        assert len(repr(record)) < 1500
        assert len(str(record)) < 1500
        assert type(record).__name__ in repr(record)
    assert "x=<3 values>" not in repr(plane)  # a short list is shown
    assert repr(plane.x[0]) in repr(plane)
    assert "upper_limit_mu=<4 values>" in repr(plane)
    assert "provenance=Provenance(...)" in repr(plane)


def test_a_plane_shows_its_figure(plane):
    shown = Checked(plane._repr_html_())
    (image,) = shown.images
    kind, _, content = image["src"].partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content).startswith(b"\x89PNG")
    assert "Exclusion plane mass-epsilon" in image["alt"]
    assert "observed" in image["alt"]
    hidden = Checked(plane.model_copy(update={"blind": True})._repr_html_())
    assert "expected, blinded" in hidden.images[0]["alt"]


def test_a_cut_flow_is_a_table(selected):
    shown = Checked(selected._repr_html_())
    assert "S1, 2018" in shown.texts
    assert "shower_chi2" in shown.texts
    assert shown.images == []


def test_a_card_shows_numbers_with_their_provenance():
    text = " ".join(Checked(CARD._repr_html_()).texts)
    assert "model.alpha_dark" in text
    assert "(published: the paper, benchmark)" in text
    assert "(user: --set plane.mass_points=3)" in text


def test_what_records_hold_is_escaped_and_cut():
    line = Line(
        name="<script>alert(1)</script>",
        source='"quoted" & more',
        caveat="long " * 100,
        parameters={},
        x=list(range(1000)),
        y=[None] * 1000,
    )
    text = line._repr_html_()
    assert "<script" not in text
    shown = Checked(text)
    assert "<script>alert(1)</script>" in shown.texts
    assert "1000 values from 0 to 999" in shown.texts
    assert len(text) < 3000
    assert len(repr(line)) < 600


def test_long_tables_say_how_much_is_left_out():
    rows = [CutFlowRow(period="2018", signature="S1", cut="c", events=i, weighted=i) for i in range(100)]
    assert "and 70 more" in notebook._table("rows", rows)


def test_pandas(plane, selected):
    frame = na64root.to_pandas(plane)
    assert list(frame.columns) == ["mass", "epsilon", "upper_limit_mu"]
    assert len(frame) == 12
    row = frame.iloc[5]
    assert (row["mass"], row["epsilon"]) == (plane.x[2], plane.y[1])
    assert row["upper_limit_mu"] == plane.upper_limit_mu[1][2]
    flow = na64root.to_pandas(selected)
    assert flow["events"].tolist() == [r.events for r in selected.cutflow]
    assert len(na64root.to_pandas(selected, "counts")) == len(selected.counts)
    assert na64root.to_pandas(selected.counts)["period"].tolist() == [c.period for c in selected.counts]
    bins = na64root.to_pandas(histogram(2))
    assert bins["contents"].tolist() == [1.0, 2.0, 0.0, 0.0, 2.5, 5.0]
    assert bins["energy [GeV], high"].tolist() == [1.0, 1.0, 3.0, 3.0, 10.0, 10.0]
    with pytest.raises(
        ConfigError, match=r"no table colours in SelectionResult \(known: cutflow, .*name one"
    ):
        na64root.to_pandas(selected, "colours")
    with pytest.raises(ConfigError, match=r"no table in Provenance \(known: none\)"):
        na64root.to_pandas(plane.provenance)


def test_numpy(plane):
    arrays = na64root.to_numpy(plane)
    assert arrays["upper_limit_mu"].shape == (4, 3)
    expected = [[np.nan if v is None else v for v in row] for row in plane.upper_limit_mu]
    np.testing.assert_array_equal(arrays["upper_limit_mu"], expected)
    assert "counts" not in arrays
    with pytest.raises(ConfigError, match="has no numbers in lists"):
        na64root.to_numpy(plane.counts[0].model_copy(update={"cuts_not_applied": []}))


@pytest.mark.parametrize("dimensions", [1, 2])
def test_hist(dimensions):
    pytest.importorskip("hist")
    record = histogram(dimensions)
    made = na64root.to_hist(record)
    np.testing.assert_array_equal(made.values(), record.contents)
    np.testing.assert_array_equal(made.variances(), record.variances)
    np.testing.assert_array_equal(made.axes[0].edges, record.axes[0].edges)
    assert made.axes[0].label == "energy [GeV]"


def test_hist_of_a_plane_keeps_to_uhi(plane):
    pytest.importorskip("hist")
    from uhi.numpy_plottable import ensure_plottable_histogram

    made = ensure_plottable_histogram(na64root.to_hist(plane))
    np.testing.assert_array_equal(made.values(), na64root.to_numpy(plane)["upper_limit_mu"].T)
    for axis, points in zip(made.axes, (plane.x, plane.y), strict=True):
        edges = [edge for edge, _ in axis] + [axis[len(axis) - 1][1]]
        assert all(low < point < high for low, point, high in zip(edges, points, edges[1:], strict=False))


@pytest.mark.parametrize("dimensions", [1, 2])
def test_root(plane, tmp_path, dimensions):
    """In the current directory there is what was there: a histogram of the same name too."""
    ROOT, record = root(), histogram(dimensions)
    file = ROOT.TFile.Open(str(tmp_path / "mine.root"), "RECREATE")
    mine = ROOT.TH1D("na64root", "mine", 1, 0.0, 1.0)
    before = [key.GetName() for key in ROOT.gDirectory.GetList()]
    made, of_plane = na64root.to_root(record), na64root.to_root(plane)
    assert ROOT.gDirectory.GetPath() == file.GetPath()
    assert [key.GetName() for key in ROOT.gDirectory.GetList()] == before == ["na64root"]
    assert mine.GetDirectory() == file
    assert not made.GetDirectory()
    assert ROOT.TH1.AddDirectoryStatus()
    assert made.GetBinContent(*([3] + [2] * (dimensions - 1))) == 2.5 * dimensions
    assert made.GetBinError(*([3] + [1] * (dimensions - 1))) == pytest.approx(np.sqrt(0.5))
    assert of_plane.GetBinContent(3, 2) == plane.upper_limit_mu[1][2]
    file.Close()
    with pytest.raises(ConfigError, match="Provenance is no histogram and no plane"):
        na64root.to_root(plane.provenance)
    with pytest.raises(ConfigError, match="Provenance is no histogram and no plane"):
        na64root.to_hist(plane.provenance)


def leaves(group: click.Group, *names: str) -> list[str]:
    found = []
    for name, command in group.commands.items():
        inner = isinstance(command, click.Group)
        found += leaves(command, *names, name) if inner else [" ".join((*names, name))]
    return found


def test_every_verb_has_its_python():
    assert set(na64root.VERBS) == set(leaves(application))
    for verb, name in na64root.VERBS.items():
        assert name in na64root.__all__, verb
        assert callable(getattr(na64root, name)), verb


def test_analyze_is_package_and_function():
    """Whatever was imported before, `na64root.analyze` is called, and `from na64root.analyze import` "
    "works."""
    from na64root.analyze import AnalysisOptions

    assert callable(na64root.analyze)
    assert na64root.analyze.AnalysisOptions is AnalysisOptions
    with pytest.raises(TypeError, match="missing 3 required positional arguments"):
        na64root.analyze()


@pytest.mark.parametrize("override", ["model.alpha", "model.alpha=1", "model=1", "model.alpha_dark.value=1"])
def test_errors_in_python_name_no_option(override):
    with pytest.raises(ConfigError, match="override") as caught:
        na64root.load_card(overrides=[override])
    assert "--" not in str(caught.value)


def test_errors_of_the_command_name_its_option(capsys):
    assert run("explain", "--mass-GeV", "0.1", "--epsilon", "1e-3", "--set", "model.alpha=1") == (2, "")
    assert capsys.readouterr().err.strip().endswith("correct --set")
