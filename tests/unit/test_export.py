import dataclasses
import json
import math
import warnings
from pathlib import Path

import pytest

from na64root.cling import root
from na64root.errors import ConfigError, Na64Error
from na64root.limits import Bin, CountingModel, export, upper_limit
from na64root.records import ResultsFolder
from support import commands, roostats_asymptotic
from support.tree_a import event, s1_event, write_tree

MODEL = CountingModel(
    (
        Bin("S1_2017", "S1", "2017", 1, 0.07, 0.03, 0.2),
        Bin("S1_2018", "S1", "2018", 0, 0.12, 0.04, 0.3),
        Bin("S2_2018", "S2", "2018", 2, 0.53, 0.17, 0.5),
    ),
    signal_uncertainty=0.2,
)


class Datacard:
    """A reader of the part of Combine's language that a counting experiment needs, written for this test."""

    def __init__(self, text):
        lines = [line.split() for line in text.splitlines() if line and line[0] not in "#-"]
        self.bins = next(line[1:] for line in lines if line[0] == "bin")
        self.observed = next([int(x) for x in line[1:]] for line in lines if line[0] == "observation")
        columns = [line[1:] for line in lines if line[0] == "bin"][1]
        processes = next(line[1:] for line in lines if line[0] == "process")
        self.rates = dict(
            zip(
                zip(columns, processes, strict=True),
                map(float, next(line[1:] for line in lines if line[0] == "rate")),
                strict=True,
            )
        )
        keys = list(self.rates)
        self.lognormal, self.formulas, self.parameters = {}, [], {}
        for line in lines:
            if len(line) > 1 and line[1] == "lnN":
                self.lognormal[line[0]] = {
                    k: float(x) for k, x in zip(keys, line[2:], strict=True) if x != "-"
                }
            elif len(line) > 1 and line[1] == "rateParam":
                self.formulas.append((line[2], line[3], line[4], line[5]))
            elif len(line) > 1 and line[1] == "param":
                self.parameters[line[0]] = tuple(json.loads(line[4]))
        assert next(int(line[1]) for line in lines if line[0] == "imax") == len(self.bins)

    def expected(self, r, **pulls):
        total = dict.fromkeys(self.bins, 0.0)
        for (name, process), rate in self.rates.items():
            value = rate * (r if process == "signal" else 1.0)
            for nuisance, scales in self.lognormal.items():
                value *= scales.get((name, process), 1.0) ** pulls.get(nuisance, 0.0)
            for where, what, formula, nuisance in self.formulas:
                if where in ("*", name) and what == process:
                    value *= eval(formula.replace("@0", repr(pulls.get(nuisance, 0.0))))
            total[name] += value
        return [total[name] for name in self.bins]


def expected(model, mu, theta, eta):
    scale = (
        (1 + model.signal_uncertainty) ** theta
        if model.constraint == "lognormal"
        else 1 + model.signal_uncertainty * theta
    )
    rates = []
    for b, share in zip(model.bins, model.shares, strict=True):
        pull = eta[b.signature]
        if model.background_constraint == "gaussian":
            background = b.background + b.background_uncertainty * pull
        else:
            background = b.background * (1 + b.background_uncertainty / b.background) ** pull
        rates.append(mu * share * scale + background)
    return rates


@pytest.mark.parametrize("constraint", ["lognormal", "gaussian"])
@pytest.mark.parametrize("background_constraint", ["lognormal", "gaussian"])
def test_datacard_holds_the_model(constraint, background_constraint):
    model = dataclasses.replace(MODEL, constraint=constraint, background_constraint=background_constraint)
    card = Datacard(export.datacard(model))
    assert card.observed == [1, 0, 2]
    for mu, theta, eta in ((0.0, 0.0, (0.0, 0.0)), (2.5, 0.7, (-1.1, 0.4)), (4.0, -1.5, (0.8, -0.9))):
        pulls = {"theta_signal": theta, "eta_S1": eta[0], "eta_S2": eta[1]}
        reference = expected(model, mu, theta, {"S1": eta[0], "S2": eta[1]})
        assert card.expected(mu, **pulls) == pytest.approx(reference, rel=1e-9)
    if background_constraint == "gaussian":
        assert card.parameters["eta_S2"][0] == pytest.approx(-0.53 / 0.17)


def test_datacard_gamma_needs_whole_counts():
    bins = (Bin("b", "b", "", 0, 0.5, 0.25, 1.0),)
    text = export.datacard(CountingModel(bins, background_constraint="gamma"))
    assert "eta_b gmN 4 - 0.125" in text
    with pytest.raises(ConfigError, match="whole ones"):
        export.datacard(
            CountingModel(
                (dataclasses.replace(bins[0], background_uncertainty=0.2),), background_constraint="gamma"
            )
        )


def test_pyhf_cannot_share_gamma():
    with pytest.raises(ConfigError, match="gamma"):
        export.pyhf_specification(dataclasses.replace(MODEL, background_constraint="gamma"))


def test_export_writes_and_keeps(tmp_path):
    files = export.export(MODEL, ResultsFolder(tmp_path), formats=["pyhf", "datacard"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["datacard.txt", "pyhf.json"]
    assert json.loads(files["pyhf"].read_text())["version"] == "1.0.0"
    with pytest.raises(Na64Error, match="exists"):
        export.export(MODEL, ResultsFolder(tmp_path), formats=["datacard"])
    export.export(MODEL, ResultsFolder(tmp_path, force=True), formats=["datacard"])
    with pytest.raises(ConfigError, match="unknown format yaml"):
        export.export(MODEL, ResultsFolder(tmp_path), formats=["yaml"])


def test_force_leaves_no_file_of_the_former_model(tmp_path):
    """A datacard of other counts beside the new export would be taken for it; a file of the user stays."""
    described = ("--observed", "1,0", "--background", "0.1,0.2")
    assert commands.run("export", *described, "-o", str(tmp_path))[0] == 0
    (tmp_path / "mine.txt").write_text("mine", "utf-8")
    assert {"datacard.txt", "hs3.json", "workspace.root"} < {p.name for p in tmp_path.iterdir()}
    other = ("--observed", "3,0", "--background", "0.1,0.2", "--format", "pyhf", "--force")
    assert commands.run("export", *other, "-o", str(tmp_path))[0] == 0
    assert {p.name for p in tmp_path.iterdir()} == {"export.json", "pyhf.json", "mine.txt"}


def test_gaussian_bounds_keep_yields_positive():
    specification = export.pyhf_specification(dataclasses.replace(MODEL, constraint="gaussian"))
    bounds = {p["name"]: p["bounds"][0] for p in specification["measurements"][0]["config"]["parameters"]}
    # Shared by two bins: the one whose background vanishes first.
    assert bounds["eta_S1"][0] == pytest.approx(-0.07 / 0.03)
    assert math.isclose(bounds["theta_signal"][0], -5.0)


# The verb: what it writes is read back by whoever it is for.


def run(*arguments):
    return commands.run("export", *arguments)


FLAGS = ["--observed", "1,2", "--background", "0.19,0.53", "--background-uncertainty", "0.07,0.17"]
FLAGS += ["--signal-uncertainty", "0.2", "--signal-fraction", "0.4,0.6"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    code, text = run(*FLAGS, "-o", str(folder), "--json")
    assert code == 0
    return json.loads(text), folder


def flags_model():
    return CountingModel.from_lists(
        observed=[1, 2],
        background=[0.19, 0.53],
        background_uncertainty=[0.07, 0.17],
        signal_fraction=[0.4, 0.6],
        signal_uncertainty=0.2,
    )


def asymptotic_limit():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return upper_limit(flags_model(), method="asymptotic", expected=False).upper_limit


def test_the_verb_names_files_and_counts(exported):
    result, folder = exported
    assert result.keys() == {
        "files", "counts", "signal_uncertainty", "constraint", "background_constraint",
        "background_correlation", "signal_sources", "named_sources", "notes", "blind", "provenance",
    }  # fmt: skip
    assert list(result["files"]) == ["workspace", "hs3", "pyhf", "datacard", "export.json"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        Path(path).name for path in result["files"].values()
    )
    assert [(b["observed"], b["background"], b["signal_fraction"]) for b in result["counts"]] == [
        (1, 0.19, 0.4),
        (2, 0.53, 0.6),
    ]
    assert (result["signal_uncertainty"], result["constraint"]) == (0.2, "lognormal")


def test_the_workspace_gives_the_same_limit(exported):
    file = root().TFile.Open(exported[0]["files"]["workspace"])
    limit = roostats_asymptotic.asymptotic_limit(file.Get("na64root"), cl=0.9)
    file.Close()
    assert limit == pytest.approx(asymptotic_limit(), rel=1e-2)


def test_hs3_is_imported(exported):
    limit = roostats_asymptotic.asymptotic_limit_of_hs3(exported[0]["files"]["hs3"], cl=0.9)
    assert limit == pytest.approx(asymptotic_limit(), rel=1e-2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pyhf_reads_its_file(exported):
    """Expected yields at mu = 2 with every nuisance parameter at zero, and the counts."""
    pyhf = pytest.importorskip("pyhf")
    workspace = pyhf.Workspace(json.loads(Path(exported[0]["files"]["pyhf"]).read_text()))
    model = workspace.model()
    parameters = model.config.suggested_init()
    parameters[model.config.poi_index] = 2.0
    assert list(model.expected_actualdata(parameters)) == pytest.approx([0.8 + 0.19, 1.2 + 0.53])
    assert workspace.data(model, include_auxdata=False) == [1.0, 2.0]


def test_the_datacard_is_parsed_again(exported):
    card = Datacard(Path(exported[0]["files"]["datacard"]).read_text())
    assert card.observed == [1, 2]
    pulls = {"theta_signal": 0.5, "eta_bin1": -1.0, "eta_bin2": 0.3}
    reference = [2.0 * 0.4 * 1.2**0.5 + 0.19 - 0.07, 2.0 * 0.6 * 1.2**0.5 + 0.53 + 0.3 * 0.17]
    assert card.expected(2.0, **pulls) == pytest.approx(reference, rel=1e-9)


def test_one_file_in_the_way_keeps_all_others_from_being_written(tmp_path, capsys):
    (tmp_path / "pyhf.json").write_text("precious")
    assert run(*FLAGS, "-o", str(tmp_path)) == (2, "")
    assert "pyhf.json exists (results are kept): use --force" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["pyhf.json"]
    code, text = run(*FLAGS, "--format", "pyhf", "-o", str(tmp_path), "--force")
    assert code == 0
    assert str(tmp_path / "pyhf.json") in text
    assert json.loads((tmp_path / "pyhf.json").read_text())["version"] == "1.0.0"


GRID = ["--set", "plane.mass_points=12", "--set", "plane.epsilon_points=16"]


def test_without_files_it_is_the_model_of_the_card(tmp_path):
    code, text = run("--format", "datacard", "-o", str(tmp_path), "--json", *GRID)
    assert code == 0
    result = json.loads(text)
    assert [(b["signature"], b["observed"], b["background"]) for b in result["counts"]] == [
        ("S1", 0, 0.19),
        ("S2", 0, 0.53),
    ]
    assert result["signal_uncertainty"] == pytest.approx(0.2, abs=1e-4)
    assert sum(b["signal_fraction"] for b in result["counts"]) == pytest.approx(1.0)


def test_of_files_it_is_their_counts(tmp_path):
    path = write_tree(tmp_path / "planted.root", [s1_event()])
    flags = ["--eot", "2018=1e11", *GRID]
    code, text = run(path, *flags, "--format", "pyhf", "-o", str(tmp_path / "out"), "--json")
    assert code == 0
    result = json.loads(text)
    assert {b["name"]: b["observed"] for b in result["counts"]} == {"S1 2018": 1, "S2 2018": 0}
    assert result["counts"][0]["background"] == pytest.approx(0.19 * 1e11 / 2.84e11)
    assert result["provenance"]["input_files"][0]["path"] == path


def test_files_without_a_count_are_one_line(tmp_path, capsys):
    path = write_tree(tmp_path / "beam.root", [event(isTriggerPhysics=False)])
    assert run(path, "-o", str(tmp_path / "out"), *GRID) == (2, "")
    assert "no bin has both a count and exposure" in capsys.readouterr().err.splitlines()[-1]
    assert list((tmp_path / "out").iterdir()) == []
