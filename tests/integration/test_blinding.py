"""Blinding: nothing that is written depends on events in the signal boxes, and unblinding is remembered.

Reference: two inputs that differ only by such events, chosen by NumPy (independent).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from na64root import records, selection
from na64root.analyze import AnalysisOptions, DataOptions, chain
from na64root.analyze.counts import counts_of_likelihood, data_of
from na64root.cling import root
from na64root.config import load_card
from na64root.errors import ConfigError
from na64root.ntuple import DEFINING_CUTS
from na64root.records import ResultsFolder
from na64root.reports import selection_report
from na64root.selection import SelectionOptions, quality
from na64root.selection.skim import Skim
from na64root.work import Work
from support import numpy_selection
from support.commands import run
from support.figures import not_rendered
from support.planted import all_events
from support.tree_a import event, s1_event, write_tree

# Outside both boxes in every way an event can be: ECAL, HCAL1, HCAL2 + 3, and no trigger.
SIDEBANDS = [
    event(ecalTotal=60.0, ecalTotalNoTimecut=60.0),
    event(ecalTotal=95.0, ecalTotalNoTimecut=95.0),
    event(hcal0=5.0),
    event(hcal1=5.0),
    s1_event(hcal0=3.0),
    s1_event(ecalTotal=90.0, ecalTotalNoTimecut=90.0),
    s1_event(run=2600, hcal1=9.0),
    event(run=1000, hcal2=3.0, isOnSpill=False),
    event(run=1000, hcal2=3.0),
]


def in_the_boxes(path: str, *, selected: bool) -> np.ndarray:
    """Events of the periods that pass `ecal` and `hcal` of a signature, or (`selected`) all of its cuts."""
    events = numpy_selection.read(path)
    boxes = []
    for signature, cuts in numpy_selection.CUTS.items():
        passes = numpy_selection.masks(events, signature)
        boxes.append(np.logical_and.reduce([passes[c] for c in (cuts if selected else ["ecal", "hcal"])]))
    return np.logical_or.reduce(boxes) & numpy_selection.in_periods(events)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, str]:
    """The same events outside the boxes, each at the same place in its run; inside more, fewer, none."""
    folder = tmp_path_factory.mktemp("inputs")
    events = [dict(e) for e in [*all_events(), *SIDEBANDS * 3]]
    for number, e in enumerate(events):
        e["spillevent"] = number + 2
    full = write_tree(folder / "full.root", events)
    others = {}
    for name, hidden in (
        ("no_candidates", in_the_boxes(full, selected=True)),
        ("empty_boxes", in_the_boxes(full, selected=False)),
    ):
        assert 10 < hidden.sum() < len(events) - 30
        kept = [e for e, inside in zip(events, hidden, strict=True) if not inside]
        others[name] = write_tree(folder / f"{name}.root", kept)
    more = [dict(s1_event(ecalTotal=40.0 + i, hcal1=20.0 + i), spillevent=1000 + i) for i in range(7)]
    return {"full": full, **others, "more": write_tree(folder / "more.root", [*events, *more])}


def contents(path: Path) -> dict[str, Any]:
    """What each object of a ROOT file shows: bins and errors, points, or its class."""
    ROOT, found = root(), {}
    file = ROOT.TFile.Open(str(path))
    for key in file.GetListOfKeys():
        item, name = file.Get(key.GetName()), str(key.GetName())
        if item.InheritsFrom("TH1"):
            bins = range(item.GetNcells())
            labels = [str(item.GetXaxis().GetBinLabel(i + 1)) for i in range(item.GetNbinsX())]
            found[name] = [item.GetBinContent(i) for i in bins], [item.GetBinError(i) for i in bins], labels
        elif item.InheritsFrom("TGraph"):
            found[name] = [(item.GetPointX(i), item.GetPointY(i)) for i in range(item.GetN())]
        else:
            found[name] = str(key.GetClassName())
    file.Close()
    return found


def shown(folder: Path) -> dict[str, Any]:
    """Everything in a folder of results but what names the input files."""
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".json":
            result = json.loads(path.read_text("utf-8"))
            del result["provenance"]["input_files"], result["provenance"]["command"]
            result["files"] = sorted(result["files"])
            found[path.name] = result
        elif path.suffix == ".root":
            found[path.name] = contents(path)
        elif path.name != "blinding.jsonl":
            found[path.name] = path.read_bytes()
    return found


def test_no_number_of_a_blinded_selection_depends_on_the_signal_boxes(inputs):
    made, counts = {}, {}
    for name, path in inputs.items():
        blinded = selection.select(
            [path], load_card(), SelectionOptions(blind=True, n_minus_one=True), work=Work(threads=2)
        )
        made[name] = blinded.model_copy(update={"files": []})
        # Each sees the boxes when it is not blinded: the comparison is of something that differs.
        counts[name] = sum(c.observed for c in selection.select([path], load_card()).counts)
    assert counts["more"] > counts["full"] > counts["no_candidates"] == counts["empty_boxes"] == 0
    for result in made.values():
        assert result == made["empty_boxes"]
        assert result.candidates == []
        assert all(count.observed is None for count in result.counts)


@dataclass(frozen=True)
class Unblinding:
    """A folder with a blinded report that was replaced by an open one: what was said and shown."""

    folder: Path
    source: str
    said: str
    blinded: dict[str, Any]
    result: dict[str, Any]
    opened: dict[str, Any]


@pytest.fixture(scope="module")
def unblinding(tmp_path_factory, inputs) -> Unblinding:
    out, path = tmp_path_factory.mktemp("out"), inputs["more"]
    options = ["select", path, "-o", str(out), "-j", "1"]
    with not_rendered():
        code, said = run(*options, "--blind")
        assert code == 0
        blinded = shown(out)
        assert run(*options)[0] == 2  # exists
        code, text = run(*options, "--force", "--json", "--set", "selection.r.r_max=0.07")
        assert code == 0
    return Unblinding(out, path, said, blinded, json.loads(text), shown(out))


def test_no_file_of_a_blinded_selection_depends_on_the_signal_boxes(tmp_path, inputs, unblinding, unrendered):
    """Figures by what they show; rendered, in the slow tests below."""
    selection_report.report(
        [inputs["empty_boxes"]],
        load_card(),
        ResultsFolder(tmp_path),
        SelectionOptions(n_minus_one=True, blind=True),
    )
    empty = shown(tmp_path)
    more = unblinding.blinded
    assert empty.keys() == more.keys() >= {"select.json", "select.root", "cutflow.tex", "n_minus_one_S1.png"}
    for file, content in more.items():
        assert content == empty[file], file
    # The comparison can fail.
    different = {file for file, content in unblinding.opened.items() if content != more.get(file)}
    assert {"select.json", "select.root", "cutflow.tex", "cutflow.png", "ecal_hcal_after.png"} <= different
    assert "n_minus_one_S1.png" in different


def test_what_is_left_are_the_sidebands(inputs):
    """Reference: the same selection on the events outside the boxes, by NumPy (independent)."""
    result = selection.select([inputs["more"]], load_card(), SelectionOptions(blind=True, n_minus_one=True))
    events = numpy_selection.read(inputs["empty_boxes"])
    flow = numpy_selection.cutflow(events)
    rows = [(r.period, r.signature, r.cut) for r in result.cutflow if r.period in numpy_selection.PERIODS]
    for row in result.cutflow:
        if row.period in numpy_selection.PERIODS:
            assert row.events == flow[row.period, row.signature, row.cut]
    for signature, cuts in numpy_selection.CUTS.items():
        flow_of_2018 = [cut for period, s, cut in rows if (period, s) == ("2018", signature)]
        assert flow_of_2018 == ["initial", *cuts[: cuts.index("hcal")]]
    assert {n.cut for n in result.n_minus_one} == {"ecal", "hcal"}
    for found in result.n_minus_one:
        left = numpy_selection.n_minus_one(events, found.signature, found.cut)
        values = numpy_selection.variables(events, found.signature)[found.cut, found.variable][left]
        edges = np.array(found.histogram.axes[0].edges)
        expected, outside = numpy_selection.binned(values, np.ones(len(values)), edges)
        assert found.histogram.contents == expected.tolist()
        assert found.histogram.outside == outside
    assert sum(np.sum(n.histogram.contents) for n in result.n_minus_one) > 10
    assert not {"r", "ecal_hcal_S1", "ecal_hcal_S2"} & result.histograms.keys()
    assert result.exposure == load_card().exposure()


def test_a_blinded_skim_holds_no_event_of_the_boxes(tmp_path, inputs, capsys):
    path = tmp_path / "skim.root"
    skim = Skim(path, "momentum")
    blinded = selection.select(
        [inputs["more"]], load_card(), SelectionOptions(blind=True, skim=skim, n_minus_one=True)
    )
    assert not in_the_boxes(str(path), selected=False).any()
    events = numpy_selection.read(inputs["empty_boxes"])
    passes = numpy_selection.masks(events, "S2")
    wanted = np.logical_and.reduce(
        [numpy_selection.in_periods(events), *(passes[c] for c in numpy_selection.COMMON[:6])]
    )
    assert blinded.skim.events == wanted.sum() > 0
    # What reads it knows that nothing in it is observed; so does a skim of it.
    more, grid = tmp_path / "more.root", ["--set", "plane.mass_points=4", "--set", "plane.epsilon_points=4"]
    again = selection.select([str(path)], load_card(), SelectionOptions(blind=True, skim=Skim(more, "srd")))
    assert {count.observed for count in again.counts} == {None}
    open_skim = tmp_path / "open.root"
    selection.select([inputs["more"]], load_card(), SelectionOptions(skim=Skim(open_skim, "momentum")))
    assert selection.select([str(open_skim)], load_card()).counts[0].observed is not None
    for verb in ("select", "analyze", "quality", "background", "export", "scan"):
        plane = ["mass-epsilon"] if verb == "scan" else []
        for file in (path, more):
            out = ["-o", str(tmp_path / "out")]
            assert run(verb, *plane, str(open_skim), str(file), *grid, *out)[0] == 2
            assert f"{file} is a blinded skim" in capsys.readouterr().err
    assert list((tmp_path / "out").glob("*")) == []


def test_thresholds_and_exposure_of_hidden_events_do_not_leak(tmp_path):
    """A period with a physics trigger in the boxes only looks as one without any."""
    path = write_tree(tmp_path / "file.root", [event(run=2600), event(hcal0=4.0)])
    blinded = selection.select([path], load_card(), SelectionOptions(blind=True))
    assert blinded.exposure == {"2016": 0.0, "2017": 0.0, "2018": 1.87e11}
    assert selection.select([path], load_card()).exposure["2017"] > 0.0


def test_effects_of_systematics_on_hidden_counts_are_refused(inputs):
    with pytest.raises(ConfigError, match="--systematics with --blind"):
        selection.select([inputs["full"]], load_card(), SelectionOptions(blind=True, systematics=True))


def test_limits_of_blinded_data_are_for_the_most_probable_counts(inputs):
    blinded = selection.select(
        [inputs["more"]], load_card(), SelectionOptions(blind=True, eot={"2018": 2e12})
    )
    counts = counts_of_likelihood(blinded)
    assert {(c.period, c.signature): c.observed for c in counts} == {
        (p, s): {("2018", "S1"): 1, ("2018", "S2"): 3}.get((p, s), 0)
        for p in numpy_selection.PERIODS
        for s in DEFINING_CUTS
    }  # 0.19 and 0.53 events for 2.84e11 electrons


def test_a_blinded_result_says_so(unblinding):
    assert "Cut flow, 2018: events left, blinded: the signal boxes are hidden" in unblinding.said
    assert "blinding.jsonl" in unblinding.said
    table = unblinding.blinded["cutflow.tex"].decode()
    assert r"hcal & blinded & blinded & blinded & blinded & blinded & blinded \\" in table
    assert r"r & blinded & -- & blinded & -- & blinded & -- \\" in table
    assert unblinding.blinded["select.json"]["blind"] is True


def test_unblinding_a_folder_is_remembered(unblinding):
    result = unblinding.result
    assert result["blind"] is False
    assert list(result)[:3] == ["cutflow", "counts", "exposure"]
    record = (unblinding.folder / "blinding.jsonl").read_text("utf-8")
    lines = [json.loads(line) for line in record.splitlines()]
    assert [line["blind"] for line in lines] == [True, False]
    assert lines[0]["card_sha256"] == load_card().sha256 != lines[1]["card_sha256"]
    sha256 = result["provenance"]["input_files"][0]["sha256"]
    assert lines[1]["inputs_sha256"] == {unblinding.source: sha256}
    assert lines[0]["time"] <= lines[1]["time"]
    assert sorted(result["files"]) == sorted(p.name for p in unblinding.folder.iterdir())


def test_where_nothing_was_blind_there_is_nothing_to_remember(tmp_path):
    provenance = records.provenance(load_card())
    assert ResultsFolder(tmp_path).remember("select", blind=False, provenance=provenance) is None
    assert list(tmp_path.iterdir()) == []
    assert ResultsFolder(tmp_path).remember("select", blind=True, provenance=provenance) is not None


def test_no_number_of_a_blinded_quality_depends_on_the_signal_boxes(inputs):
    """In the boxes are whole spills, a duplicate, and an event out of order."""
    made = {}
    for name in ("full", "more", "empty_boxes"):
        blinded = quality.assess([inputs[name]], load_card(), blind=True)
        shown = quality.assess([inputs[name]], load_card())
        assert sum(spill.events for spill in blinded.spills) < sum(
            spill.events for spill in shown.spills
        ) or (name == "empty_boxes")
        made[name] = blinded.model_copy(update={"entries": 0, "provenance": shown.provenance})
        made[name] = made[name].model_dump(exclude={"provenance"})
    assert made["full"] == made["more"] == made["empty_boxes"]
    assert made["full"]["blind"]


def test_a_blinded_quality_shows_no_hidden_duplicate(tmp_path):
    hidden, seen = event(spillevent=5), event(spillevent=6, **{"ecalTotal": 60.0, "ecalTotalNoTimecut": 60.0})
    path = write_tree(tmp_path / "file.root", [hidden, hidden, seen, seen])
    blinded = quality.assess([path], load_card(), blind=True)
    assert [number.spillevent for number in blinded.duplicate_examples] == [6]
    assert blinded.duplicates == 1
    assert quality.assess([path], load_card()).duplicates == 2
    for blind, told in ((True, None), (False, 2)):
        data = data_of([path], load_card(), DataOptions(blind=blind), Work())
        assert data.quality.duplicates == told


def test_a_blinded_scan_is_that_of_the_expected_counts(
    inputs, tmp_path, unrendered, without_other_experiments
):
    """In the folder of a blinded result, each verb that shows events or limits leaves a line."""
    grid = ["--set", "plane.mass_points=4", "--set", "plane.epsilon_points=4"]
    folder = ["-o", str(tmp_path)]
    made = {}
    for name, plane in (("full", [*grid, *folder]), ("empty_boxes", grid)):
        code, text = run("scan", "mass-epsilon", inputs[name], "--blind", "--json", *plane)
        assert code == 0
        made[name] = json.loads(text)
        del made[name]["provenance"]
    assert made["full"] == made["empty_boxes"]
    assert made["full"]["blind"]
    assert {count["observed"] for count in made["full"]["counts"]} == {0}
    assert "blinded" in (tmp_path / "mass-epsilon.csv").read_text("utf-8")
    export = ["export", inputs["full"], "--format", "pyhf", "--json", *grid, *folder]
    code, text = run(*export, "--blind")
    assert code == 0
    exported = json.loads(text)
    assert {bin_["observed"] for bin_ in exported["counts"]} == {0}
    assert exported["blind"]
    # The folder says so too, and each file that can.
    assert json.loads((tmp_path / "export.json").read_text("utf-8")) == exported
    said = "Nothing is observed (blinded): the most probable counts without signal stand in."
    assert said in exported["notes"]
    assert run("export", inputs["full"], "--blind", *grid, "-o", str(tmp_path / "all"))[0] == 0
    assert (tmp_path / "all" / "datacard.txt").read_text("utf-8").startswith(f"# {said}\n")
    hs3 = tmp_path / "all" / "hs3.json"
    assert json.loads(hs3.read_text("utf-8"))["metadata"]["description"] == said
    assert root().RooJSONFactoryWSTool(read := root().RooWorkspace("read")).importJSON(str(hs3))
    assert read.allData().size() > 0
    file = root().TFile.Open(str(tmp_path / "all" / "workspace.root"))
    assert str(file.Get("na64root").GetTitle()) == said
    file.Close()
    assert run(*export, "--force")[0] == 0
    assert run("quality", inputs["full"], "-o", str(tmp_path))[0] == 0
    assert run("limit", "--observed", "1", "--background", "0.5", "-o", str(tmp_path))[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "blinding.jsonl").read_text("utf-8").splitlines()]
    assert [(line["verb"], line["blind"]) for line in lines] == [
        ("scan", True), ("export", True),
        ("export", False), ("quality", False), ("limit", False),
    ]  # fmt: skip


@pytest.mark.slow
def test_rendered_figures_of_a_blinded_selection_do_not_depend_on_the_signal_boxes(tmp_path, inputs):
    for name in ("more", "empty_boxes"):
        options = SelectionOptions(n_minus_one=True, blind=True)
        selection_report.report([inputs[name]], load_card(), ResultsFolder(tmp_path / name), options)
    more, empty = (shown(tmp_path / name) for name in ("more", "empty_boxes"))
    assert more.keys() == empty.keys()
    assert more.keys() >= {"n_minus_one_S1.png", "n_minus_one_S2.pdf", "ecal_hcal_preselection.png"}
    assert "ecal_hcal_after.png" not in more  # the plane of selected events is hidden, not drawn empty
    for file, content in more.items():
        assert content == empty[file], file


@pytest.mark.slow
def test_no_file_of_a_blinded_analysis_depends_on_the_signal_boxes(tmp_path):
    """Of one period and with fixed nuisance parameters, which leaves the toys little to fit."""
    sidebands = [e for e in SIDEBANDS if e["run"] == 4000]
    inside = [event(), s1_event(), s1_event(ecalTotal=70.0, ecalTotalNoTimecut=70.0)]
    few = ["plane.mass_points=8", "plane.epsilon_points=10", "limit.treatment=none"]
    card = load_card(overrides=few)
    made = {}
    for name, events in (("empty", sidebands), ("full", [*sidebands, *inside])):
        path = write_tree(tmp_path / f"{name}.root", events)
        result = chain.analyze(
            [path],
            card,
            ResultsFolder(tmp_path / name),
            AnalysisOptions(data=DataOptions(eot={"2018": 1e11}, blind=True)),
            work=Work(threads=2),
        )
        assert result.blind
        assert result.limit.kind == "expected"
        assert result.discovery is None
        assert result.interval is None
        made[name] = shown(tmp_path / name)
    assert sum(c.observed for c in selection.select([path], card).counts) == 3
    assert made["empty"].keys() == made["full"].keys() >= {"results.json", "results.root", "limits.png"}
    for file, content in made["full"].items():
        assert content == made["empty"][file], file
