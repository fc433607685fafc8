"""A HEPData submission: accepted by HEPData's own validator, read back the same, nothing hidden in it.

References: the JSON of the results themselves (self), HEPData's schema by hepdata-validator (independent).
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tarfile
import warnings
from pathlib import Path

import pytest
import yaml

from na64root import publication
from na64root.config import load_card
from na64root.errors import ConfigError, DataError, Na64Error
from na64root.limits import side_by_side
from na64root.publication.sources import find
from na64root.publication.tables import named_apart, tables_of
from na64root.records import ResultsFolder, provenance
from na64root.simulation.efficiency_map import EfficiencyMap, MapOfSignature
from support.commands import run
from support.figures import not_rendered
from support.tree_a import event, s1_event, write_tree

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of what it imports
    from hepdata_validator.full_submission_validator import FullSubmissionValidator

GRID = ("--set", "plane.mass_points=3", "--set", "plane.epsilon_points=4")
POINT = ("--mass-GeV", "0.39", "--epsilon", "6e-3")


@pytest.fixture(scope="module")
def card():
    return load_card(overrides=GRID[1::2])


@pytest.fixture(scope="module")
def results(tmp_path_factory, card) -> Path:
    """One result of each kind, in folders of their verbs; `blind` is a blinded analysis."""
    folder = tmp_path_factory.mktemp("results")
    exact, made = side_by_side.upper_limit, folder

    def without_toys(*arguments, method, **options):
        return exact(*arguments, method="exact", **options)

    data = write_tree(folder / "data.root", [event(), event(hcal0=5.0), s1_event(hcal0=3.0)])
    with pytest.MonkeyPatch.context() as patch, not_rendered():
        patch.setattr(side_by_side, "upper_limit", without_toys)
        for command in (
            ("analyze", data, *GRID),
            ("analyze", data, "--blind", *GRID),
            ("select", data, *GRID),
            ("background", data, *GRID),
            ("scan", "mass-epsilon", *GRID),
            ("limit", "--observed", "3", "--background", "0.5", "--background-uncertainty", "0.1", *GRID),
            ("export", data, *GRID),
        ):
            name = "blind" if "--blind" in command else command[0]
            assert run(*command, "-j", "1", "-o", str(made / name))[0] == 0, command
    EfficiencyMap(
        definition="as made by make_map",
        mass_GeV=0.39,
        mass_ratio=3.0,
        relative_splitting=0.4,
        chi2_energy_edges_GeV=[40.0, 60.0, 90.0],
        ctau_cm=[1.0, 100.0],
        signatures={
            "S1": MapOfSignature(
                efficiency=[[0.1, 0.25], [None, 0.0]],
                error=[[0.01, 0.02], [None, 0.003]],
                effective_events=[[100.0, 30.0], [0.0, 0.0]],
            )
        },
        events_per_sample=1000,
        provenance=provenance(card, seed=1),
    ).save(folder / "map.json")
    return folder


OPEN = ("analyze", "select", "background", "scan", "limit", "export", "map.json")


@pytest.fixture(scope="module")
def submitted(tmp_path_factory, results, card) -> Path:
    """All that is not blinded, in one submission."""
    folder = tmp_path_factory.mktemp("submitted")
    publication.submit([results / name for name in OPEN], card, ResultsFolder(folder))
    return folder


def files_of(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened}


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")  # of the validator
def test_hepdata_accepts_it(submitted):
    for what in ({"directory": str(submitted / "hepdata")}, {"archive": str(submitted / "hepdata.tar.gz")}):
        judge = FullSubmissionValidator()
        assert judge.validate(**what), judge.get_messages()


def test_the_archive_is_the_folder(submitted):
    folder = {path.name: path.read_bytes() for path in (submitted / "hepdata").iterdir()}
    assert files_of(submitted / "hepdata.tar.gz") == folder


def test_it_is_read_back_the_same(submitted, results, card):
    written = [
        table for source in find([results / name for name in OPEN], card) for table in tables_of(source)
    ]
    for place in ("hepdata", "hepdata.tar.gz", "hepdata/submission.yaml"):
        found = publication.read(submitted / place)
        assert [table.model_copy(update={"name": ""}) for table in found.tables] == [
            table.model_copy(update={"name": ""}) for table in written
        ]
    assert len({table.name for table in found.tables}) == len(found.tables)


def test_a_damaged_archive_is_read_the_same_or_not_at_all(tmp_path, submitted):
    """One bit in fifty places: the checksum at the end of gzip is looked at before anything is taken."""
    whole = (submitted / "hepdata.tar.gz").read_bytes()
    expected = publication.read(submitted / "hepdata.tar.gz").tables
    path, refused = tmp_path / "hepdata.tar.gz", 0
    for place in range(0, len(whole), max(1, len(whole) // 50)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(damaged))
        try:
            found = publication.read(path).tables
        except DataError:
            refused += 1
        else:
            assert found == expected, place  # a bit of the header: a name, a time
    assert refused > 45


def test_other_mediators_are_no_dark_photons(results):
    card = load_card(overrides=["model.mediator=b_minus_l"])
    (source,) = find([results / "limit"], load_card())
    for known, words in ((load_card(), "DARKPHOTON"), (card, "b_minus_l")):
        (table,) = tables_of(dataclasses.replace(source, card=known))
        said = str(table.keywords)
        assert words in said
        assert ("dark photon" in said) == (words == "DARKPHOTON")


def test_numbers_are_those_of_the_results(submitted, results):
    found = publication.read(submitted / "hepdata")
    analysis = json.loads((results / "analyze" / "results.json").read_text())
    events = found.table("Events")
    assert events.column("Observed events").values == [c["observed"] for c in analysis["counts"]]
    background = events.column("Background events")
    assert background.values == [c["background"] for c in analysis["counts"]]
    # An uncertainty of zero is left out.
    sizes = [size or 0.0 for size in background.uncertainties[0].values]
    assert sizes == [c["background_uncertainty"] for c in analysis["counts"]]
    limit = found.table("Upper limit")
    exact = analysis["limit"]["exact"]["frequentist"]
    row = limit.column("Method").values.index("exact, frequentist, quoted")
    assert limit.column("Observed upper limit").values[row] == exact["upper_limit"]
    minus, plus = limit.column("Expected upper limit").uncertainties[0].values[row]
    assert (minus, plus) == (
        exact["expected"]["minus1"] - exact["expected"]["median"],
        exact["expected"]["plus1"] - exact["expected"]["median"],
    )
    flow = found.table("Cut flow S1")
    column = next(c for c in flow.dependent if any(q.value == "2018" for q in c.qualifiers))
    rows = [r for r in analysis["cutflow"] if (r["period"], r["signature"]) == ("2018", "S1")]
    assert dict(zip(flow.column("Cut").values, column.values, strict=True)) == {
        r["cut"]: r["events"] for r in rows
    }
    plane = json.loads((results / "scan" / "scan.json").read_text())
    grid = found.table("Upper limit on the signal strength, mass-epsilon")
    expected = {
        (x, y): plane["upper_limit_mu"][j][i]
        for i, x in enumerate(plane["x"])
        for j, y in enumerate(plane["y"])
    }
    points = zip(grid.independent[0].values, grid.independent[1].values, strict=True)
    assert dict(zip(points, grid.dependent[0].values, strict=True)) == expected
    inclusive = found.table("Contour, mass-epsilon, S2 inclusive, observed")
    points = zip(inclusive.independent[1].values, inclusive.dependent[0].values, strict=True)
    assert [list(point) for point in points] == [p for line in plane["inclusive"]["contours"] for p in line]
    (reading,) = [q for q in inclusive.dependent[0].qualifiers if q.name == "S2 counts decays"]
    assert reading.value == "wherever the selection leaves them"
    estimated = json.loads((results / "background" / "background.json").read_text())
    rows = found.table("Backgrounds")
    columns = [*(column.values for column in rows.independent), rows.dependent[0].values]
    expected_rows = [(name, "published", value) for name, (value, _) in estimated["published"].items()]
    expected_rows += [(e["signature"], e["method"], e["value"]) for e in estimated["estimates"]]
    assert list(zip(*columns, strict=True)) == expected_rows
    efficiency = found.table("Efficiency map, S1").dependent[0]
    assert efficiency.values == [0.1, 0.25, None, 0.0]
    assert efficiency.uncertainties[0].values == [0.01, 0.02, None, 0.003]
    assert found.table("Efficiency map, S1").independent[0].values[0] == (40.0, 60.0)


def test_columns_say_what_they_hold_for(submitted):
    found = publication.read(submitted / "hepdata")
    grid = found.table("Upper limit on the signal strength, mass-epsilon")
    qualifiers = {q.name: q.value for q in grid.dependent[0].qualifiers}
    assert qualifiers["Beam energy"] == 100.0
    assert qualifiers["Confidence level"] == 0.9
    assert qualifiers[r"$\alpha_D$"] == 0.1
    assert qualifiers["S2 counts decays"] == "behind HCAL3"
    assert r"$\epsilon$" not in qualifiers
    assert grid.independent[0].units == "GeV"
    # Numbers that anybody may have given have no dark sector.
    assert [q.name for q in found.table("Upper limit (2)").dependent[0].qualifiers] == ["Confidence level"]
    assert {"reactions", "observables", "phrases"} <= set(grid.keywords)


def test_the_likelihood_is_that_of_export(tmp_path, submitted, results, card):
    made = {r.location: r for r in publication.read(submitted / "hepdata").resources}
    assert made["pyhf.json"].type == "HistFactory"
    assert made["hs3.json"].type == "HS3"
    assert {"workspace.root", "datacard.txt", "efficiency_map.json"} <= set(made)
    exported = results / "export" / "pyhf.json"
    assert (submitted / "hepdata" / "pyhf.json").read_bytes() == exported.read_bytes()
    # Without an export beside it, it is made again of the analysis: the same model.
    publication.submit([results / "analyze"], card, ResultsFolder(tmp_path))
    again = json.loads((tmp_path / "hepdata" / "pyhf.json").read_text())
    assert again == json.loads(exported.read_text())


def test_nothing_hidden_is_published(tmp_path, results, card):
    """Numbers planted where hidden ones would be, as of a program that fails to hide them."""
    result = json.loads((results / "blind" / "results.json").read_text())
    assert result["blind"]
    for count in result["counts"]:
        count["observed"] = 77777
    for limit in (result["limit"]["roostats"], *result["limit"]["exact"].values()):
        limit["upper_limit"] = 77777.0
    folder = tmp_path / "blind"
    shutil.copytree(results / "blind", folder)
    (folder / "results.json").write_text(json.dumps(result))
    made = publication.submit([folder], card, ResultsFolder(tmp_path / "out"))
    assert made.blind
    found = publication.read(tmp_path / "out" / "hepdata")
    names = [column.name for table in found.tables for column in table.dependent]
    assert "Expected upper limit" in names
    assert not [name for name in names if "bserved" in name]
    for name, content in files_of(tmp_path / "out" / "hepdata.tar.gz").items():
        assert b"77777" not in content, name
    assert "Blinded: events in the signal boxes" in found.comment
    memory = (tmp_path / "out" / "blinding.jsonl").read_text().splitlines()
    assert [json.loads(line)["blind"] for line in memory] == [True]


@pytest.mark.parametrize("other", ["analyze", "scan", "limit", "export"])
def test_blinded_results_are_published_alone(tmp_path, results, card, other):
    with pytest.raises(ConfigError, match=r"is blinded, .*: publish them apart"):
        publication.submit([results / "blind", results / other], card, ResultsFolder(tmp_path))
    assert not (tmp_path / "hepdata").exists()


@pytest.mark.parametrize("field", ["blind", "weighted"])
def test_a_plane_without_observed_events_has_no_observed_contour(tmp_path, results, card, field):
    plane = json.loads((results / "scan" / "scan.json").read_text())
    (tmp_path / "scan.json").write_text(json.dumps(plane | {field: True}))
    publication.submit([tmp_path / "scan.json"], card, ResultsFolder(tmp_path))
    found = publication.read(tmp_path / "hepdata")
    assert "Contour, mass-epsilon, expected, median" in [table.name for table in found.tables]
    told = [table.name + table.description for table in found.tables]
    assert not [text for text in told if "observed" in text]
    assert "for the most probable counts without signal" in told[0]


def test_names_are_short_and_one_of_each(results, card):
    tables = [table for source in find([results / "scan"], card) for table in tables_of(source)]
    long = [table.model_copy(update={"name": "x" * 80 + str(i)}) for i, table in enumerate(tables)]
    names = [table.name for table in named_apart([*long, *tables, *tables])]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 64


def test_a_blinded_export_says_that_other_counts_stand_in(tmp_path, results, card):
    shutil.copytree(results / "export", tmp_path / "export")
    result = json.loads((tmp_path / "export" / "export.json").read_text())
    result["blind"] = True
    for one in result["counts"]:
        one["observed"] = 77777
    (tmp_path / "export" / "export.json").write_text(json.dumps(result))
    publication.submit([tmp_path / "export"], card, ResultsFolder(tmp_path))
    found = publication.read(tmp_path / "hepdata")
    assert [c.name for c in found.tables[0].dependent] == ["Background events", "Share of the signal"]
    assert all("Nothing is observed" in r.description for r in found.resources)
    assert b"77777" not in (tmp_path / "hepdata.tar.gz").read_bytes()
    for content in files_of(tmp_path / "hepdata.tar.gz").values():
        assert b"77777" not in content


def test_a_result_that_does_not_say_is_not_published_from_a_blinded_folder(tmp_path, results, card):
    shutil.copytree(results / "limit", tmp_path / "both")
    result = json.loads((tmp_path / "both" / "limit.json").read_text())
    result.pop("blind", None)  # as of a version that did not know it
    (tmp_path / "both" / "limit.json").write_text(json.dumps(result))
    shutil.copy(results / "blind" / "blinding.jsonl", tmp_path / "both")
    with pytest.raises(ConfigError, match="does not say whether its counts are blinded"):
        publication.submit([tmp_path / "both"], card, ResultsFolder(tmp_path))
    # A simulated efficiency hides nothing.
    shutil.copy(results / "map.json", tmp_path / "blind.json")
    sources = find([results / "blind", tmp_path / "blind.json"], card)
    assert [source.blind for source in sources] == [True, None]


def test_force_removes_what_the_former_submission_names_and_no_more(tmp_path, results, card):
    folder = tmp_path / "hepdata"
    publication.submit([results / "limit", results / "map.json"], card, ResultsFolder(tmp_path))
    (folder / "mine.yaml").write_text("mine")
    with pytest.raises(Na64Error, match="exists"):
        publication.submit([results / "limit"], card, ResultsFolder(tmp_path))
    publication.submit([results / "limit"], card, ResultsFolder(tmp_path, force=True))
    assert sorted(path.name for path in folder.iterdir()) == [
        "mine.yaml",
        "submission.yaml",
        "table01_upper_limit.yaml",
    ]
    # A file of the user in the way of a new one is not replaced, and nothing else is.
    (folder / "efficiency_map.json").write_text("mine")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(Na64Error, match="is not of the submission that was there"):
        publication.submit([results / "map.json"], card, ResultsFolder(tmp_path, force=True))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    # A submission that names files elsewhere has no power over them.
    outside = tmp_path / "outside.yaml"
    outside.write_text("mine")
    head = yaml.safe_dump({"comment": "", "additional_resources": [{"location": "../outside.yaml"}]})
    (folder / "submission.yaml").write_text(head)
    (folder / "table01_upper_limit.yaml").unlink()
    publication.submit([results / "limit"], card, ResultsFolder(tmp_path, force=True))
    assert outside.read_text() == "mine"


def test_other_cards_and_axes_are_refused(tmp_path, results, card):
    # Of a card of the package the changed numbers are in the result: it is found without being given.
    assert find([results / "scan"], load_card())[0].card == card
    result = json.loads((results / "limit" / "limit.json").read_text())
    result["provenance"]["card"] = "mine"
    (tmp_path / "limit.json").write_text(json.dumps(result))
    with pytest.raises(ConfigError, match=r"is not the one given .*: give --config and --set"):
        find([tmp_path / "limit.json"], load_card())
    plane = json.loads((results / "scan" / "scan.json").read_text())
    plane["plane"] = "mass-colour"
    (tmp_path / "scan.json").write_text(json.dumps(plane))
    with pytest.raises(ConfigError, match=r"has an axis colour that HEPData has no name for"):
        publication.submit([tmp_path / "scan.json"], card, ResultsFolder(tmp_path / "out"))
    assert not (tmp_path / "out" / "hepdata" / "submission.yaml").exists()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.json", None, "cannot read"),
        ("broken.json", '{"cutflow": [', "is no JSON"),
        ("other.json", '{"answer": 42}', "is no result that is published"),
        ("scan.json", '{"upper_limit_mu": [], "contours": [], "of_next_year": 1}', "is not readable"),
    ],
)
def test_what_is_no_result_is_one_line(tmp_path, card, name, text, message):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=message):
        find([path], card)
    with pytest.raises(DataError, match=r"holds no result|is no JSON|is not readable"):
        find([tmp_path], card)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no table of YAML"),
        ("a: [", "is no HEPData submission"),
        ("- 1\n- 2", "no table of YAML"),
        ("{}", "lacks 'comment'"),
        ("comment: x\n---\n{name: t, description: d, data_file: ../t.yaml}", "is no file beside"),
        ("comment: x\n---\n{name: t, description: d, data_file: t.yaml}", "cannot read"),
    ],
)
def test_damaged_submissions_are_one_line(tmp_path, text, message):
    (tmp_path / "submission.yaml").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        publication.read(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / "cut.tar.gz").write_bytes(b"\x1f\x8b\x08\x00\x00")
    with pytest.raises(DataError, match="submission"):
        publication.read(tmp_path / "cut.tar.gz")


def test_the_command_says_what_it_made(tmp_path, results, capsys):
    out = str(tmp_path / "out")
    code, shown = run("export", "--format", "hepdata", str(results / "limit"), *GRID, "-o", out)
    assert code == 0
    assert "Upper limit" in shown
    assert str(tmp_path / "out" / "hepdata.tar.gz") in shown
    assert run("export", "--format", "hepdata", str(results / "limit"), "--blind", "-o", out)[0] == 2
    assert "--blind with --format hepdata (results are published as they are)" in capsys.readouterr().err


def test_without_results_it_is_the_card(tmp_path, card):
    made = publication.submit([], card, ResultsFolder(tmp_path))
    found = publication.read(tmp_path / "hepdata")
    assert made.tables == [table.name for table in found.tables]
    assert {"Upper limit", "Contour, mass-epsilon, observed"} <= set(made.tables)
    assert {"pyhf.json", "hs3.json", "workspace.root"} == {r.location for r in found.resources}
    with pytest.raises(DataError, match="no table Nothing in the submission"):
        found.table("Nothing")
    with pytest.raises(ConfigError, match="no column nothing in table"):
        found.tables[0].column("nothing")


@pytest.mark.slow
def test_the_acceptance_is_published(tmp_path, card):
    """Slow for the simulation."""
    folder = tmp_path / "acceptance"
    assert run("acceptance", *POINT, "--forced", "-n", "400", *GRID, "-j", "1", "-o", str(folder))[0] == 0
    publication.submit([folder], card, ResultsFolder(tmp_path))
    found = publication.read(tmp_path / "hepdata")
    result = json.loads((folder / "acceptance.json").read_text())["signatures"]
    column = found.table("Acceptance of the signal").column("Acceptance times efficiency")
    assert column.values == [s["acceptance"] for s in result]
    assert column.uncertainties[0].values == [s["acceptance_error"] for s in result]
    flow = found.table("Cut flow of the signal, S1").column("Expected events")
    assert flow.values == [row["expected"] for row in result[0]["cut_flow"]]
    assert "signal" in [q.value for q in column.qualifiers]
