"""The ledger of assumptions: completeness, what enters and what does not, presets."""

import csv
import dataclasses
import io

import pytest

from na64root import ConfigError, exclusion, load_card
from na64root.config import Quantity, changed_card
from na64root.exclusion import ledger
from na64root.signal import card_counts
from na64root.work import Work

# All other numbers are taken as published: a short ledger of every kind of row.
KEPT = {
    "selection.hcal.s1_signal_min_GeV",
    "geometry.hcal2_start_cm",
    "geometry.veto_cm",
    "periods.2016.residual_efficiency",
    "periods.2017.residual_efficiency",
    "periods.2017.eot",
    "periods.2018.eot",
    "selection.straw.hits_min",
}


def few_assumed():
    data = load_card().model_dump()

    def publish(node, prefix=""):
        if isinstance(node, dict) and set(node) >= set(Quantity.model_fields):
            if node["provenance"] == "assumed" and prefix not in KEPT:
                node["provenance"] = "published"
        elif isinstance(node, dict):
            for key, child in node.items():
                publish(child, f"{prefix}.{key}" if prefix else key)
        elif isinstance(node, list):
            for i, child in enumerate(node):
                name = child.get("name", str(i)) if isinstance(child, dict) else str(i)
                publish(child, f"{prefix}.{name}")

    publish(data)
    card = type(load_card()).model_validate(data)
    assert set(card.assumed()) == KEPT
    return card


@pytest.fixture(scope="module")
def record():
    return ledger.ledger(few_assumed(), work=Work(threads=2))


def row(record, name, varied_to):
    (found,) = [r for r in record.rows if r.name == name and r.varied_to == pytest.approx(varied_to)]
    return found


def test_every_assumed_number_has_its_place(record):
    named = {r.name for r in record.rows if r.kind == "number"} | set(record.does_not_enter)
    assert named >= KEPT
    assert not {r.name for r in record.rows} & set(record.does_not_enter)


def test_what_does_not_enter_by_computation(record):
    """Periods of one efficiency share one exposure; VETO is entered by decays inside, read inclusively."""
    assert set(record.does_not_enter) == {
        "selection.straw.hits_min",
        "periods.2017.eot",
        "periods.2018.eot",
    }


def test_exposures_enter_where_efficiencies_differ(record):
    card = changed_card(few_assumed(), {"periods.2018.residual_efficiency": 0.3})
    shares = [v for v in ledger.variations(card) if v.name.endswith(".eot")]
    rows = ledger.vary(card, shares, record.answers)
    assert set(rows) == {"periods.2017.eot", "periods.2018.eot"}
    assert None not in [r for both in rows.values() for r in both]
    for variation in shares:  # the sum is published
        assert changed_card(card, variation.values).eot == pytest.approx(card.eot, rel=1e-12)


def test_shifts_are_those_of_the_end_point(record):
    """The end point by the bisection of a fine grid of masses (self)."""
    card = changed_card(load_card(), {"selection.hcal.s1_signal_min_GeV": 25.0})
    exposure = card.exposure()
    area = exclusion.Exclusion(card, card_counts(card, exposure), exposure)
    low, high = 0.3, 0.4
    while high - low > 1e-5:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if area.on_central_g2_line(middle) >= 1.0 else (low, middle)
    found = row(record, "selection.hcal.s1_signal_min_GeV", 25.0)
    assert found.end_point_GeV == pytest.approx(low, abs=3e-5)
    assert found.end_point_shift_GeV == found.end_point_GeV - record.answers.end_point_GeV
    assert found.end_point_shift_GeV < -0.01


def test_efficiency_moves_the_lower_edge_as_its_root(record):
    """Long-lived chi2, no event: epsilon^2 times efficiency is fixed (analytic)."""
    assert record.answers.lower_edge_10MeV is not None
    # 2018 has 0.658 of the exposure; only 2016 and 2017 vary.
    share = (4.3e10 + 5.4e10) / 2.84e11
    for varied, factor in ((0.4, 0.8), (0.6, 1.2)):
        found = row(record, "residual_efficiency of all periods", varied)
        expected = (1.0 + (factor - 1.0) * share) ** -0.5 - 1.0
        assert found.lower_edge_10MeV_shift == pytest.approx(expected, abs=2e-4)


def test_every_choice_is_there(record):
    choices = {(r.name, r.varied_to) for r in record.rows if r.kind == "choice"}
    assert {("model.approximation", "ww"), ("model.approximation", "iww"), ("model.width", "paper"),
            ("model.decay", "phase_space"), ("model.annihilation", "on"),
            ("limit.treatment", "none"), ("limit.treatment", "hybrid")} <= choices  # fmt: skip


def test_no_signal_uncertainty_moves_the_limit_by_the_closed_form(record):
    """2.3026 for 2.107 events (analytic): epsilon as the root of the ratio, 2e-3 for the share of S2."""
    found = row_of_choice(record, "limit.treatment", "none")
    assert found.lower_edge_10MeV_shift == pytest.approx((2.3026 / 2.107) ** 0.5 - 1.0, abs=4e-3)


def row_of_choice(record, name, choice):
    (found,) = [r for r in record.rows if (r.name, r.varied_to) == (name, choice)]
    return found


def test_what_the_card_refuses_is_said(record):
    across = ledger.Variation("front", "number", 220.0, 400.0, "", {"geometry.hcal2_start_cm": 400.0})
    ((found,),) = ledger.vary(load_card(), [across], record.answers).values()
    assert found.end_point_GeV is None
    assert "hcal2_start_cm" in found.refused


def test_threads_do_not_matter(record):
    card = few_assumed()
    some = [v for v in ledger.variations(card) if v.name.startswith("selection")]
    one, two = (ledger.vary(card, some, record.answers, work=Work(threads=n)) for n in (1, 2))
    assert one == two
    assert all(row in record.rows for row in one["selection.hcal.s1_signal_min_GeV"])


def test_presets_differ_in_their_choices_alone():
    frozen = load_card()
    for name in ("paper_choices", "best"):
        card = load_card(name)
        for part in ("beam", "geometry", "target", "selection", "muon_g2"):
            assert getattr(card, part) == getattr(frozen, part), part
        assert card.limit.S1 == frozen.limit.S1
        assert [p.eot.value for p in card.periods] == [p.eot.value for p in frozen.periods]
    assert load_card("paper_choices").signal == frozen.signal
    best = load_card("best")
    assert (best.signal.s2, best.signal.r_efficiency.value) == ("inclusive", 1.0)
    # the core cells of the data in all runs, and in the simulated geometry of the paper's numbers
    for card in (best, load_card("paper_mc")):
        assert {str(p.hcal_core[2]) for p in card.periods} == {"[(1, 1), (2, 1)]"}
    assert load_card("paper_mc").selection.r.core == "single"
    assert load_card("paper_choices").model.width == "paper"
    assert load_card("best").model.annihilation == "on"


def test_annihilation_strengthens_the_best_preset(record):
    paper, choices, best = record.presets
    assert [p.card for p in record.presets] == ["paper2021", "paper_choices", "best"]
    assert paper.end_point_GeV == pytest.approx(record.answers.end_point_GeV, abs=1e-9)
    i = best.mass_GeV.index(0.2)  # E_res = 39 GeV
    assert best.epsilon_low[i] < 0.95 * paper.epsilon_low[i]
    assert choices.epsilon_low[i] == pytest.approx(paper.epsilon_low[i], rel=2e-3)


def test_the_inclusive_end_point_has_its_column_and_its_band(record):
    nominal = record.answers.inclusive_end_point_GeV
    # far beyond the paper's end point, before the last mass that is asked
    assert 1.5 < nominal < ledger.LARGEST_MASS_GEV
    for name in ("residual_efficiency of all periods", "signal.residual"):
        rows = [r for r in record.rows if r.name == name]
        assert rows
        for r in rows:  # fewer electrons, less excluded, in both readings
            assert r.inclusive_end_point_shift_GeV * r.end_point_shift_GeV > 0.0
    # R and the HCAL scale are of S1, which makes none of the inclusive end point
    for value, sign in ((0.45, -1.0), (1.0, 1.0)):
        found = row(record, "signal.r_efficiency", value)
        assert sign * found.end_point_shift_GeV > 0.0
        assert found.inclusive_end_point_shift_GeV == pytest.approx(0.0, abs=1e-3)
    scales = {r.varied_to: r for r in record.rows if r.name == "energy scale of the HCAL"}
    assert scales["hadrons, e/h = 1.2"].end_point_shift_GeV > 0.0
    assert scales["muons, e/mu = 0.85"].end_point_shift_GeV < 0.0
    known = [r.inclusive_end_point_GeV for r in record.rows if r.inclusive_end_point_GeV is not None]
    assert record.inclusive_band.low_GeV == min(*known, nominal)
    assert record.inclusive_band.high_GeV == max(*known, nominal)


def test_a_lost_end_point_opens_the_band_and_is_named():
    band = ledger._band(0.4, {"a = 1": 0.3, "b = 2": None})
    assert (band.low_GeV, band.high_GeV, band.without) == (0.3, 0.4, ["b = 2"])
    assert "open: none with b = 2" in ledger.band_text(band)
    assert ledger._band(None, {"a = 1": None}).low_GeV is None


def test_rows_without_an_inclusive_reading_do_not_open_its_band(record):
    """By computation: the VETO within HCAL1 has no reading, HCAL2 behind its own end is refused."""
    without = [
        ledger.Variation("a", "number", 50.0, 56.0, "", {"geometry.veto_cm": 56.0}),
        ledger.Variation("a", "number", 220.0, 400.0, "", {"geometry.hcal2_start_cm": 400.0}),
    ]
    rows = ledger.vary(load_card(), without, record.answers)["a"]
    assert [(row.has_inclusive, row.refused is None) for row in rows] == [(False, True), (True, False)]
    band = ledger._inclusive_band(1.9, rows)
    assert band == ledger.Band(low_GeV=1.9, high_GeV=1.9, without=[])


def test_the_statement_has_its_numbers_and_says_who_has_not_published_it(monkeypatch):
    known = ledger.Answers(
        end_point_GeV=0.387, lower_edge_10MeV=None, lower_edge_100MeV=None, inclusive_end_point_GeV=1.92
    )
    rows = {
        name: [ledger.LedgerRow(name=name, kind="number", card_value=0.0, varied_to=1.0, reason="", **found)]
        for name, found in (
            ("signal.residual", {"inclusive_end_point_GeV": 1.8}),
            ("selection.ecal.s2_max_GeV", {}),
        )
    }
    monkeypatch.setattr(ledger, "answers", lambda card: known)
    monkeypatch.setattr(ledger, "vary", lambda *arguments, **options: rows)
    text = ledger.inclusive_statement(load_card())
    assert len(text) == 3
    assert "up to 1.92 GeV (1.8 to 1.92 GeV, open: none with selection.ecal.s2_max_GeV = 1) at" in text[1]
    assert text[1].endswith("the range is what the choice of signal.residual and the ECAL cut allow.")
    beyond = known.model_copy(update={"inclusive_end_point_GeV": ledger.LARGEST_MASS_GEV})
    monkeypatch.setattr(ledger, "answers", lambda card: beyond)
    text = ledger.inclusive_statement(load_card())
    assert "and beyond, where the search ends" in text[1]
    assert "range" not in text[1]  # none is printed
    assert "not published" in text[2]
    monkeypatch.setattr(
        ledger, "answers", lambda card: known.model_copy(update={"inclusive_end_point_GeV": None})
    )
    assert ledger.inclusive_statement(load_card()) == []


def test_the_statement_varies_the_efficiency_of_one_period(monkeypatch):
    """It is no row of all periods together, and still what the range rests on."""
    nominal = ledger.Answers(
        end_point_GeV=None, lower_edge_10MeV=None, lower_edge_100MeV=None, inclusive_end_point_GeV=1.0
    )
    asked = []

    def none_moves(card, variations, nominal, *, work):
        asked.extend(v.name for v in variations)
        return {v.name: [None] for v in variations}

    monkeypatch.setattr(ledger, "answers", lambda card: nominal)
    monkeypatch.setattr(ledger, "vary", none_moves)
    text = ledger.inclusive_statement(load_card("positrons_100"))
    assert asked.count("periods.positrons.residual_efficiency") == 2
    assert "what the residual efficiency, the choice of signal.residual, the ECAL cut and late" in text[1]
    asked.clear()
    ledger.inclusive_statement(load_card())
    assert asked.count(ledger.ALL_EFFICIENCIES) == 2
    assert not any(name.startswith("periods.") for name in asked)


def test_calorimeters_that_overlap_lose_the_inclusive_end_point_alone():
    card = few_assumed()
    (later,) = [v for v in ledger.variations(card) if v.name == "geometry.veto_cm" and v.varied_to == 55.0]
    moved = dataclasses.replace(later, values={"geometry.veto_cm": 56.0}, varied_to=56.0)
    nominal = ledger.answers(card)
    (found,) = ledger.vary(card, [moved], nominal)["geometry.veto_cm"]
    assert found.end_point_GeV == pytest.approx(nominal.end_point_GeV, abs=1e-6)
    assert found.inclusive_end_point_GeV is None
    assert not found.has_inclusive
    assert ledger.answers(changed_card(card, moved.values)).inclusive_end_point_GeV is None


@pytest.mark.parametrize("choice", [{"signal.s2": "inclusive"}, {"signal.residual": "rest"}], ids=str)
def test_overlaps_are_refused_where_the_signal_needs_calorimeters_in_order(choice):
    card = changed_card(load_card(), choice)
    nowhere = ledger.Answers(end_point_GeV=None, lower_edge_10MeV=None, lower_edge_100MeV=None)
    across = ledger.Variation("front", "number", 60.0, 54.0, "", {"geometry.hcal1_start_cm": 54.0})
    ((found,),) = ledger.vary(card, [across], nowhere).values()
    assert "calorimeters overlap" in found.refused
    assert found.end_point_GeV is None


def test_the_first_module_is_varied_behind_the_veto():
    """5 cm, which is where the VETO ends: all of it has an inclusive reading."""
    for name in ("paper2021", "best"):
        card = load_card(name)
        rows = [v for v in ledger.variations(card) if v.name == "geometry.hcal1_start_cm"]
        assert len(rows) == 2
        for variation in rows:
            assert ledger._exclusion(changed_card(card, variation.values)).has_inclusive


def test_csv_has_a_row_for_each(record):
    rows = list(csv.DictReader(io.StringIO(ledger.as_csv(record))))
    assert len(rows) == len(record.rows) + len(record.does_not_enter)
    assert float(rows[0]["end_point_GeV"]) == record.rows[0].end_point_GeV


def test_markdown_puts_the_largest_first(record):
    text = ledger.as_markdown(record)
    first = next(line for line in text.splitlines() if line.startswith("| `"))
    assert "iww" in first
    assert "`geometry.veto_cm`" in text


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match="hcal2_start_cm"):
        changed_card(load_card(), {"geometry.hcal2_stat_cm": 1.0})
