"""The HTML report: every kind of result is on it, with its own numbers, in a real browser; nothing hidden is.

The numbers on the page are compared with the JSON that they are of (self): the page computes none.
"""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from na64root import ResultsFolder, records
from na64root.analyze import Scorecard
from na64root.config import Card, changed_card, load_card
from na64root.errors import DataError, Na64Error
from na64root.exclusion.ledger import Answers, Band, Ledger, LedgerRow, Preset
from na64root.figures import exclusion_plane
from na64root.html_report import report
from na64root.html_report.blocks import Table
from na64root.records import Score
from na64root.signal import card_counts
from support.browser import chromium, watched
from support.commands import run
from support.figures import not_rendered
from support.planted import all_events
from support.tree_a import s1_event, write_tree

GRID = ("--set", "plane.mass_points=4", "--set", "plane.epsilon_points=5")
RUNS = {
    "results": ("analyze", "DATA", *GRID),
    "select": ("select", "DATA"),
    "scan": ("scan", "mass-epsilon", *GRID),
    "limit": ("limit", "--observed", "1,0", "--background", "0.19,0.53", "--signal-uncertainty", "0.2"),
    "fit": ("fit", "--observed", "1,0", "--background", "0.19,0.53", "--background-uncertainty", "0.07,0.2",
            "--mu", "4", "--toys", "200"),
    "coupling": ("coupling", "--mass-GeV", "0.2", "--over", "epsilon=1e-4:0.1:20"),
    "verdict": ("verdict", "--mass-GeV", "0.2", "--epsilon", "1e-3"),
    "background": ("background", "DATA"),
    "quality": ("quality", "DATA"),
    "acceptance": ("acceptance", "--mass-GeV", "0.39", "--epsilon", "6e-3", "-n", "300", "--forced"),
    "plan": ("plan", "--masses-GeV", "0.1,0.2", "--hcal1-length-cm", "150", "--energies-GeV", "100"),
}  # fmt: skip


def made_by_hand(folder: Path) -> None:
    """A scorecard and a ledger, which take a minute to compute, with numbers that nobody computed."""
    made = records.provenance(load_card())
    score = Score(name="a < b", source="s", published=2.0, computed=3.0, ratio=1.5, tolerance="2 %",
                  within=False, reason="why & how")  # fmt: skip
    row = LedgerRow(name="selection.veto.photomultiplier_balance", kind="number", card_value=0.5,
                    varied_to=0.55, reason="10 %", end_point_GeV=0.391, end_point_shift_GeV=0.0042,
                    lower_edge_10MeV_shift=0.01, lower_edge_100MeV_shift=-0.02)  # fmt: skip
    preset = Preset(card="paper2021", description="", choices={"signal.acceptance": "chain"},
                    end_point_GeV=0.387, mass_GeV=[0.01], epsilon_low=[1e-4], epsilon_high=[None],
                    epsilon_max=0.1)  # fmt: skip
    ledger = Ledger(
        answers=Answers(end_point_GeV=0.387, lower_edge_10MeV=1e-4, lower_edge_100MeV=1e-3), rows=[row],
        band=Band(low_GeV=0.37, high_GeV=0.41, without=[]),
        inclusive_band=Band(low_GeV=None, high_GeV=None, without=[]),
        does_not_enter=["pseudodata.x"], presets=[preset], files={}, provenance=made,
    )  # fmt: skip
    for name, record in (
        ("scorecard", Scorecard(scores=[score], provenance=made, inclusive=["The same data exclude more."])),
        ("ledger", ledger),
    ):
        (folder / name).mkdir()
        (folder / name / f"{name}.json").write_text(records.to_json(record), "utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, few_pseudodata) -> Path:
    """Results of every kind, each in a folder of its own."""
    folder = tmp_path_factory.mktemp("results")
    with not_rendered():
        for name, words in RUNS.items():
            words = [few_pseudodata if word == "DATA" else word for word in words]
            assert run(*words, "-o", str(folder / name), "-j", "1")[0] == 0, name
    made_by_hand(folder)
    return folder


@pytest.fixture(scope="module")
def everything(folder) -> Path:
    """The page of all of them."""
    report(sorted(p for p in folder.iterdir()), ResultsFolder(folder / "report"))
    return folder / "report" / "report.html"


def result(folder: Path, name: str) -> dict[str, Any]:
    """The JSON of a result."""
    values: dict[str, Any] = json.loads((folder / name / f"{name}.json").read_text("utf-8"))
    return values


def downloads(page: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of every CSV on a page, by its name."""
    found = re.findall(
        r'download="([^"]+)\.csv" href="data:text/csv;charset=utf-8;base64,([^"]+)"', page.read_text("utf-8")
    )
    return {name: list(csv.DictReader(io.StringIO(base64.b64decode(text).decode()))) for name, text in found}


def test_numbers_behind_the_page_are_those_of_the_results(folder, everything):
    tables = downloads(everything)
    rows = result(folder, "select")["cutflow"]
    for row in tables["selection-cut-flow"]:
        for one in (r for r in rows if r["cut"] == row["cut"] and r["period"] in ("2016", "2017", "2018")):
            assert float(row[f"{one['period']} {one['signature']}"]) == one["events"]
    plane = result(folder, "scan")
    grid = tables["plane-mass-epsilon"]
    values = [mu for row in plane["upper_limit_mu"] for mu in row]
    assert [float(r["limit / signal"]) if r["limit / signal"] else None for r in grid] == values
    (limit,) = tables["limit"]
    assert float(limit["upper limit [events]"]) == result(folder, "limit")["upper_limit"]
    assert [float(r["background [events]"]) for r in tables["backgrounds"]][2:] == [
        e["value"] for e in result(folder, "background")["estimates"]
    ]
    assert len(tables["spills"]) == len(result(folder, "quality")["spills"])
    flow = [c["expected"] for s in result(folder, "acceptance")["signatures"] for c in s["cut_flow"]]
    assert [float(r["expected events"]) for r in tables["acceptance-cut-flow"]] == flow
    needed = result(folder, "plan")["by_hcal1_length"][0]["eot_zero_events"]
    assert [float(r["with no event seen"]) for r in tables["exposures"]][: len(needed)] == needed
    fitted = result(folder, "fit")
    assert [float(r["pull"]) for r in tables["pulls"]] == [p["pull"] for p in fitted["fit"]["parameters"]]
    p_values = [good["p_value"] for good in fitted["goodness"]]
    assert [float(r["p-value"]) for r in tables["goodness_of_fit"]] == p_values
    assert [float(r["density"]) for r in tables["posterior"]] == fitted["bayesian"]["density"]
    impacts = [i["impact"] for i in fitted["limit_impacts"]]
    assert impacts
    assert [float(r["impact on the limit"]) for r in tables["fit_impacts"]] == impacts
    coupled = result(folder, "coupling")
    assert [float(r["expected signal [events]"]) for r in tables["coupling"]] == coupled["n_signal"]
    assert [float(r["from"]) for r in tables["excluded-values"] if r["limit"] == "observed"] == [
        one["low"] for one in coupled["excluded"]
    ]
    judged = result(folder, "verdict")
    assert [float(r["expected [events]"]) for r in tables["expected-events"]] == [
        judged[name]["expected"] for name in ("s1", "s2", "total")
    ]
    limits = json.loads((folder / "results" / "results.json").read_text("utf-8"))["limit"]
    (quoted,) = [r for r in tables["limits"] if r["engine"].endswith("quoted")]
    assert float(quoted["upper limit [events]"]) == limits["quoted"]["upper_limit"]
    candidates = json.loads((folder / "results" / "results.json").read_text("utf-8"))["candidates"]
    assert len(tables.get("analysis-candidates", [])) == len(candidates)


def test_assumptions_have_the_price_that_a_ledger_gives(folder, everything, tmp_path):
    row = downloads(everything)["assumptions-paper2021"][0]
    assert (row["number or choice"], row["end point moves by [GeV]"]) == (
        "selection.veto.photomultiplier_balance",
        "+0.0042",
    )
    report([folder / "scan"], ResultsFolder(tmp_path))
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "na64root ledger --config paper2021 -o ledger" not in text  # the card was changed
    report([folder / "limit"], ResultsFolder(tmp_path, force=True))
    assert "na64root ledger --config paper2021 -o ledger" in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    "typed", ["limit.S1.background=2", "limit.S1.background=2.0", "model.alpha_dark=0.3"]
)
def test_a_changed_card_is_known_however_its_numbers_were_typed(folder, tmp_path, typed):
    card = load_card(overrides=[typed])
    made = records.provenance(card)
    assert records.card_of(made) == card
    assert records.card_of(made.model_copy(update={"card": "mine"})) is None
    assert records.card_of(made.model_copy(update={"card_sha256": load_card().sha256})) is None
    values = result(folder, "limit") | {"provenance": made.model_dump()}
    (tmp_path / "limit.json").write_text(json.dumps(values), "utf-8")
    report([tmp_path], ResultsFolder(tmp_path / "report"))
    text = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert f"na64root ledger --config paper2021 --set {typed} -o ledger" in text


def test_text_of_results_is_no_markup(everything):
    text = everything.read_text("utf-8")
    assert "a &lt; b" in text
    assert "a < b" not in text
    assert "why &amp; how" in text


def test_every_result_says_the_command_that_makes_it_again(folder, tmp_path, few_pseudodata):
    report([folder / "select"], ResultsFolder(tmp_path))
    text = html.unescape((tmp_path / "report.html").read_text("utf-8"))
    (command,) = re.findall(r"<code>na64root (select [^<]*)</code>", text)
    words = shlex.split(command)
    assert words == ["select", few_pseudodata, "-o", str(folder / "select")]
    words[-1] = str(tmp_path / "again")
    with not_rendered():
        assert run(*words)[0] == 0
    again = json.loads((tmp_path / "again" / "select.json").read_text("utf-8"))
    first = result(folder, "select")
    del again["files"], first["files"]
    assert again == first


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("scan mass-epsilon --json -j 2 -o out --force", ["scan", "mass-epsilon"]),
        ("limit -j2 -oout --threads=3 --output-dir=out --observed 0", ["limit", "--observed", "0"]),
        ("select a.root --engine dask --scheduler tcp://x --seed 3", ["select", "a.root", "--seed", "3"]),
    ],
)
def test_the_command_of_a_result_lacks_what_no_result_depends_on(typed, kept):
    with records.made_by_command(typed.split()):
        assert records.provenance(load_card()).command == kept
    assert records.provenance(load_card()).command is None


def test_a_long_table_is_folded_and_whole_in_its_download():
    table = Table("long", "", ("n",), [(n,) for n in range(5000)])
    assert (len(table.shown), len(table.folded), table.left_out) == (40, 360, 4600)
    assert table.csv.splitlines()[-1] == "4999"
    assert table.numeric == [True]


# In the browser


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_in_a_browser(everything, browser, width, scheme):
    address = everything.as_uri()
    options = {
        "viewport": {"width": width, "height": 900},
        "color_scheme": scheme,
        "reduced_motion": "reduce",
    }
    with watched(browser, address, **options) as seen:
        page = seen.page
        assert page.title() == f"{len(RUNS) + 2} results of na64root"  # a scorecard, a ledger
        for text in (
            "Results side by side",
            "The central g−2 line is excluded",
            "Candidates:",
            "Quality of the data",
        ):
            assert page.get_by_text(text).first.is_visible(), text
        # Nothing is wider than the window: what is, scrolls in its own place.
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        names = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(names) == len(set(names))
        links = page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.hash.slice(1))")
        assert links
        assert set(links) <= set(names)
        for link in page.locator("nav a").all():
            link.click()
            assert page.evaluate("!!document.querySelector(':target')")
        # Of every figure: words for who does not see it, and values at its points.
        for drawing in page.locator("figure.drawing").all():
            assert len(drawing.locator("svg").get_attribute("aria-label")) > 20
            drawing.locator(".paper").focus()
            page.keyboard.press("n")
            assert re.search(r"\d", drawing.locator("output").inner_text())
        assert seen.complaints == []
        assert {request for request in seen.requests if not request.startswith("data:")} == {address}


def test_a_bar_tells_its_number_at_the_pointer_and_a_link_gives_them_all(
    folder, everything, browser, tmp_path
):
    with watched(browser, everything.as_uri()) as seen:
        drawing = seen.page.locator(
            "figure.drawing", has=seen.page.get_by_role("heading", name="Cut flow")
        ).nth(1)
        rows = result(folder, "select")["cutflow"]
        first = next(row for row in rows if row["cut"] == "initial" and row["period"] == "2016")
        drawing.locator("rect", has_text=f"initial, {first['signature']}: {first['events']}").first.hover(
            force=True
        )
        assert drawing.locator("output").inner_text() == f"initial, {first['signature']}: {first['events']}"
        with seen.page.expect_download() as waiting:
            drawing.locator("a.download").click()
        waiting.value.save_as(tmp_path / "numbers.csv")
        assert waiting.value.suggested_filename == "selection-cut-flow.csv"
        text = (tmp_path / "numbers.csv").read_text("utf-8")
        downloaded = list(csv.DictReader(io.StringIO(text)))
        assert downloaded == downloads(everything)["selection-cut-flow"]


def test_it_prints_with_what_is_folded(everything, browser):
    with watched(browser, everything.as_uri()) as seen:
        assert seen.page.pdf(format="A4").startswith(b"%PDF-")
        assert seen.page.evaluate("[...document.querySelectorAll('details.block')].every(d => d.open)")


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.1 of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_text_has_the_contrast_that_wcag_asks_for(everything):
    """4.5 to 1, level AA of WCAG 2.1, in light and dark."""
    blocks = re.findall(r":root \{([^}]*)\}", everything.read_text("utf-8"))
    assert len(blocks) == 3  # light, dark, print
    colours: dict[str, str] = {}
    for block in blocks:
        colours |= dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        for ink, paper in (
            ("ink", "paper"),
            ("soft", "paper"),
            ("link", "paper"),
            ("ink", "panel"),
            ("mark-ink", "mark"),
        ):
            bright, dark = sorted((luminance(colours[ink]), luminance(colours[paper])), reverse=True)
            assert (bright + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)


@pytest.mark.parametrize("named", ["mine", "paper2021"])
def test_a_plane_says_its_own_confidence_level_or_none(folder, tmp_path, named):
    """Of a user's card, of a changed one and in a notebook; the level of no card is a guess."""
    plane = records.PlaneResult.model_validate(result(folder, "scan"))
    assert plane.confidence_level == load_card().limit.confidence_level.value
    made = plane.provenance.model_copy(update={"card": named, "card_sha256": 64 * "0"})
    for level, said in ((0.95, "95 % CL"), (None, None)):
        one = plane.model_copy(update={"provenance": made, "confidence_level": level})
        (tmp_path / "scan.json").write_text(records.to_json(one), "utf-8")
        report([tmp_path], ResultsFolder(tmp_path / "report", force=True))
        text = (tmp_path / "report" / "report.html").read_text("utf-8")
        assert ("Counts that the limits are for (95 % CL)" in text) == (said is not None)
        assert "are for (90 %" not in text
        (legend,) = exclusion_plane(one, title="").legends
        labels = [label.get_text() for label in legend.get_texts()]
        assert "this analysis, excluded" + (f" at {said}" if said else "") in labels


# Blinding


@pytest.fixture(scope="module")
def boxes(tmp_path_factory) -> dict[str, Path]:
    """Blinded and open results of two inputs of one name, one of which has more events in the box of S1."""
    folder = tmp_path_factory.mktemp("blinding")
    events = [dict(e, spillevent=i + 2) for i, e in enumerate(all_events())]
    more = [dict(s1_event(ecalTotal=40.0 + i, hcal1=20.0 + i), spillevent=1000 + i) for i in range(7)]
    made = {}
    for name, written in (("few", events), ("many", [*events, *more])):
        (folder / name).mkdir()
        path = write_tree(folder / name / "data.root", written)
        with not_rendered():
            for flag in ("--blind", ""):
                out = folder / name / ("blinded" if flag else "open")
                assert run("select", path, *filter(None, [flag]), "-o", str(out), "-j", "1")[0] == 0
                assert run("background", path, *filter(None, [flag]), "-o", str(out), "-j", "1")[0] == 0
                made[f"{name} {out.name}"] = out
    return made


def shown(page: Path, source: Path) -> str:
    """A page without what identifies the input: its path, checksums, size, number of events in the file."""
    text = page.read_text("utf-8")
    inputs = r'<figure class="table" id="[^"]*-inputs-table">.*?</figure>'
    assert len(re.findall(inputs, text, re.DOTALL)) == 2
    text = re.sub(inputs, "", text, flags=re.DOTALL)

    def decoded(match: re.Match[str]) -> str:
        return without(base64.b64decode(match[1]).decode())

    def without(text: str) -> str:
        return re.sub(r"[0-9a-f]{64}", "SHA-256", text.replace(str(source), "SOURCE"))

    return without(re.sub(r'text/csv;charset=utf-8;base64,([^"]*)', decoded, text))


def test_nothing_on_a_blinded_page_depends_on_the_signal_boxes(boxes, tmp_path):
    pages = {}
    for name, place in boxes.items():
        made = report([place], ResultsFolder(tmp_path / name))
        assert made.blind == ("blinded" in name)
        pages[name] = tmp_path / name / "report.html"
    few, many = (shown(pages[f"{name} blinded"], boxes[f"{name} blinded"].parent) for name in ("few", "many"))
    assert few == many
    assert "Candidates: hidden." in few
    # They do differ where nothing is hidden.
    assert len(downloads(pages["many open"])["selection-candidates"]) == 7 + len(
        downloads(pages["few open"])["selection-candidates"]
    )


@pytest.fixture(scope="module")
def blinded_limits(boxes) -> list[Path]:
    """The limits of two blinded models, of inputs that differ in the box of S1."""
    made = []
    for name in ("few", "many"):
        place = boxes[f"{name} blinded"].parent
        words = ("export", str(place / "data.root"), "--blind", "--format", "pyhf")
        assert run(*words, "-o", str(place / "exported"))[0] == 0
        model = str(place / "exported" / "export.json")
        assert run("limit", "--from", model, "-o", str(place / "limit"))[0] == 0
        made.append(place / "limit")
    return made


def test_a_blinded_limit_is_shown_as_one(blinded_limits, boxes, tmp_path):
    page = tmp_path / "report.html"
    made = report(blinded_limits[:1], ResultsFolder(tmp_path))
    limit = json.loads((blinded_limits[0] / "limit.json").read_text("utf-8"))
    assert limit["upper_limit"] is None
    assert made.blind
    assert made.results[0].headline[0].startswith("This result is blinded")
    assert not any("are excluded" in said for said in made.results[0].headline)
    (row,) = downloads(page)["limit"]
    assert row["upper limit [events]"] == ""
    names = {"expected −2σ": "minus2", "−1σ": "minus1", "median": "median", "+1σ": "plus1", "+2σ": "plus2"}
    assert {name: float(row[shown]) for shown, name in names.items()} == limit["expected"]
    assert limit["notes"]
    for note in limit["notes"]:
        assert html.escape(note) in page.read_text("utf-8")
    # Beside others: no one of them is observed.
    report([*blinded_limits, boxes["few blinded"]], ResultsFolder(tmp_path, force=True))
    rows = downloads(page)["limits-compared"]
    assert [(r["kind"], r["upper limit [events]"]) for r in rows] == [("expected", "")] * 2
    assert [float(r["expected median"]) for r in rows] == [limit["expected"]["median"]] * 2


def test_hidden_beside_shown_is_refused(boxes, folder, tmp_path):
    out = ResultsFolder(tmp_path)
    with pytest.raises(
        DataError, match="is blinded and .* is not .together they would show what is hidden.: report"
    ):
        report([boxes["few blinded"], boxes["few open"]], out)
    for by_hand in ("limit", "fit"):
        with pytest.raises(DataError, match="beside blinded results .its counts were given by hand"):
            report([boxes["few blinded"], folder / by_hand], out)
    old = tmp_path / "old"
    shutil.copytree(boxes["few blinded"], old)
    values = json.loads((old / "background.json").read_text("utf-8"))
    del values["blind"]
    (old / "background.json").write_text(json.dumps(values), "utf-8")
    with pytest.raises(
        DataError, match="beside blinded results .an older version made it, which does not say"
    ):
        report([old], out)
    # A plane for the counts of the card shows none of the data.
    report([boxes["few blinded"], folder / "scan"], out)


def test_a_plane_of_typed_counts_is_refused_beside_hidden_ones(boxes, folder, tmp_path):
    """As a limit is: the counts of a changed card, of a user's, of a call may be those that are hidden."""
    known = load_card()
    observed = changed_card(known, {"limit.S1.observed": 3})
    same = changed_card(known, {"limit.S1.observed": known.limit.S1.observed.value})
    users = known.model_copy(update={"card": known.card.model_copy(update={"name": "mine"})})
    s1 = known.limit.S1
    s1 = s1.model_copy(update={"observed": s1.observed.model_copy(update={"value": 3.0})})
    named_alike = known.model_copy(update={"limit": known.limit.model_copy(update={"S1": s1})})
    more = changed_card(known, {"periods.2016.eot": 2 * known.periods[0].eot.value})
    values = result(folder, "scan")

    def beside_blinded(name: str, card: Card, counts_of: Card) -> None:
        place = tmp_path / name
        place.mkdir()
        exposure = card.exposure()
        counts = [count.model_dump() for count in card_counts(counts_of, exposure)]
        made = records.provenance(card).model_dump()
        (place / "scan.json").write_text(
            json.dumps(values | {"counts": counts, "exposure": exposure, "provenance": made}), "utf-8"
        )
        report([place], ResultsFolder(place / "alone"))
        report([boxes["few blinded"], place], ResultsFolder(place / "report"))

    for name, card, counts_of in (
        ("changed", observed, observed),
        ("changed to the same", same, same),
        ("of a user", users, users),
        ("named alike", named_alike, named_alike),
        ("of a call", known, observed),
    ):
        with pytest.raises(DataError, match="beside blinded results .its counts were given by hand"):
            beside_blinded(name, card, counts_of)
    beside_blinded("other exposure", more, more)


def test_what_rests_on_the_counts_of_a_changed_card_is_refused_beside_hidden_ones(boxes, folder, tmp_path):
    """What a ledger, a scorecard or a coupling says moves with the counts, which may be the hidden ones."""
    known = load_card()
    others = changed_card(known, {"limit.S1.observed": 3})
    for name in ("ledger", "scorecard", "coupling", "verdict", "plan"):
        report([boxes["few blinded"], folder / name], ResultsFolder(tmp_path / name))
        place = tmp_path / f"other {name}"
        place.mkdir()
        values = result(folder, name) | {"provenance": records.provenance(others).model_dump()}
        (place / f"{name}.json").write_text(json.dumps(values), "utf-8")
        with pytest.raises(DataError, match="beside blinded results .its counts were given by hand"):
            report([boxes["few blinded"], place], ResultsFolder(place / "report"))


# Bad input


def test_what_cannot_be_reported_is_one_line(folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    damaged, newer = tmp_path / "damaged", tmp_path / "newer"
    for place in (damaged, newer):
        place.mkdir()
    whole = (folder / "scan" / "scan.json").read_text("utf-8")
    (damaged / "scan.json").write_text(whole[: len(whole) // 2], "utf-8")
    values = json.loads(whole) | {"a_new_key": 1}
    (tmp_path / "unknown.json").write_text(json.dumps({"some": "thing"}), "utf-8")
    values["provenance"]["version"] = "99.1"
    (newer / "scan.json").write_text(json.dumps(values), "utf-8")
    for place, message in (
        (tmp_path / "empty", "holds no results (looked for results.json, select.json,"),
        (tmp_path / "none", "cannot read"),
        (damaged, "scan.json is damaged ("),
        (newer, "scan.json is of na64root 99.1 (newer than"),
        (tmp_path / "unknown.json", "is no result that a report shows ("),
    ):
        assert run("report", str(place), "-o", str(tmp_path / "out"))[0] == 2
        said = capsys.readouterr().err
        assert message in said
        assert len(said.splitlines()) == 1
    assert run("report", "-o", str(tmp_path / "out"))[0] == 2
    assert "missing RESULTS" in capsys.readouterr().err
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_page_is_replaced_only_when_asked(folder, tmp_path):
    report([folder / "limit"], ResultsFolder(tmp_path))
    with pytest.raises(Na64Error, match="exists"):
        report([folder / "limit"], ResultsFolder(tmp_path))
    code, text = run("report", str(folder / "limit"), "-o", str(tmp_path), "--force", "--json")
    assert code == 0
    made = json.loads(text)
    assert made["results"][0]["kind"] == "limit"
    assert made["files"] == {"report.html": str(tmp_path / "report.html")}
