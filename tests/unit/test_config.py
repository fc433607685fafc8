"""Cards: validation, nearest names, overrides, provenance, the frozen default."""

from __future__ import annotations

import hashlib
import math
from importlib import resources

import pytest

from na64root import _core
from na64root.config import Card, Quantity, card_names, load_card
from na64root.config.card import _quantities
from na64root.errors import ConfigError
from na64root.signal import SignalModel
from na64root.theory.published import published_curve

# Reference: self. The default card was frozen before the first end point of the g-2 line was computed.
# A change of any of its numbers must be a decision (docs/decisions), never a side effect.
FROZEN_PAPER2021 = "a3362b750553feb45d50bc1969f41e625d6f7a5e06ba3869c030561ca657f968"


@pytest.fixture(scope="module")
def card() -> Card:
    return load_card()


def text_of(name: str = "paper2021") -> str:
    return (resources.files("na64root") / "cards" / f"{name}.toml").read_text("utf-8")


def changed(tmp_path, old: str, new: str) -> str:
    text = text_of()
    assert text.count(old) >= 1, "the test must change something"
    path = tmp_path / "card.toml"
    path.write_text(text.replace(old, new, 1))
    return str(path)


def test_the_default_card_is_frozen(card):
    # the analysis; pseudo-data rates and the cells of the simulation are not part of it, and what came after
    # the freeze is not: ranges of more planes, how files are read, systematic variations, a name for what was
    # always so, data quality, estimates of backgrounds, cuts of the user's, other mediators and beams, other
    # readings of S2 and of the residual efficiency
    assert (card.signal.s2, card.signal.residual) == ("beyond", "total")
    assert (card.model.annihilation, card.model.mediator) == ("off", "kinetic_mixing")
    assert card.model.coupling == "vector"
    assert card.beam.particle == "e-"
    assert card.selection.declared == []
    assert card.selection.period == {}
    ranges = {
        f"{axis}_{end}" for axis in ("alpha", "splitting", "mass1") for end in ("min", "max", "points")
    } | {"mass1_min_GeV", "mass1_max_GeV"}
    later = ("pseudodata", "detector", "input", "layout", "systematics", "quality", "backgrounds")
    analysis = card.model_dump_json(
        exclude={
            **dict.fromkeys(later, True),
            "model": {"annihilation", "mediator", "charges"},
            "beam": {"particle"},
            "signal": {"s2", "residual", "late_shower_shift_X0"},
            "plane": ranges,
            "selection": {"declared", "period"},
        }
    )
    assert hashlib.sha256(analysis.encode()).hexdigest() == FROZEN_PAPER2021


def test_ranges_of_planes_follow_from_what_they_say(card):
    """analytic: the derivations behind the sources of [plane], from the model of the card."""
    plane, ratio = card.plane, card.model.mass_ratio.value
    electron = _core.units.electron_mass
    # epsilon_min: below the published A' -> invisible at the left edge, which holds where chi2 is stable.
    masses, limits = zip(*published_curve("na64_invisible_2019"), strict=True)
    first = min(masses)
    assert first == pytest.approx(plane.mass_min_GeV.value, rel=0.1)
    assert plane.epsilon_min.value < limits[masses.index(first)]
    # epsilon_max: the excluded region goes beyond the top where chi2 is stable.
    light = SignalModel(card).at_mass(plane.mass_min_GeV.value).per_electron([plane.epsilon_max.value])
    assert light.sum() * card.eot * 0.5 > 10.0
    # alpha_min: c tau goes with 1/alpha_D.
    assert card.model.alpha_dark.value / plane.alpha_min.value == pytest.approx(1000.0)
    # alpha_max: above the Landau pole at every mass of the plane.
    assert plane.alpha_max.value > _core.landau_pole_bound(plane.mass_max_GeV.value)
    assert plane.mass1_max_GeV.value == pytest.approx(plane.mass_max_GeV.value / ratio, rel=0.11)
    # splitting_min: Delta = 2 m_e at m_chi1 = 50 MeV, to two digits; splitting_max: below R - 2.
    assert plane.splitting_min.value == pytest.approx(2.0 * electron / 0.05, rel=0.03)
    assert 0.99 < plane.splitting_max.value < ratio - 2.0


@pytest.mark.parametrize("name", card_names())
def test_every_number_has_a_source(name):
    quantities = list(_quantities(load_card(name), ""))
    assert len(quantities) > 50
    for key, quantity in quantities:
        assert quantity.source.strip(), key
        assert quantity.provenance in {"published", "derived", "assumed"}, key


@pytest.mark.parametrize("name", card_names())
def test_no_bare_number_hides_beside_the_quantities(name):
    """Only run numbers and cell indices may be plain: these are identifiers."""
    plain = {
        "periods.first_run",
        "periods.last_run",
        "periods.hcal_core",
        "excluded_runs.first_run",
        "excluded_runs.last_run",
    }

    def bare(node, prefix):
        if isinstance(node, dict):
            if set(Quantity.model_fields) <= set(node):
                return
            for key, child in node.items():
                yield from bare(child, f"{prefix}.{key}" if prefix else key)
        elif isinstance(node, list):
            for child in node:
                yield from bare(child, prefix)
        elif isinstance(node, int | float) and not isinstance(node, bool):
            yield prefix

    assert set(bare(load_card(name).model_dump(), "")) <= plain


def test_the_published_numbers_of_the_paper(card):
    """Reference: independent, the text of EPJC 81, 959 (2021) and, for the exposure, arXiv:1906.00176."""
    assert (card.limit.S1.background.value, card.limit.S1.background_uncertainty.value) == (0.19, 0.07)
    assert (card.limit.S2.background.value, card.limit.S2.background_uncertainty.value) == (0.53, 0.17)
    assert card.selection.r.r_max.value == 0.06
    assert card.limit.confidence_level.value == 0.9
    assert card.muon_g2.central.value == pytest.approx(251e-11)
    assert card.eot == pytest.approx(2.84e11)
    assert math.hypot(*(q.value for q in card.limit.signal_uncertainties.values())) == pytest.approx(
        0.20, abs=1e-4
    )
    length = card.geometry.hcal1_end_cm.value - card.geometry.hcal1_start_cm.value
    assert length == pytest.approx(150.0)


def test_a_systematic_source_has_a_name_of_its_own(card):
    data = card.model_dump()
    data["systematics"]["sources"] = {"form_factor": data["systematics"]["sources"]["ecal_scale"]}
    with pytest.raises(ValueError, match="form_factor is a source in systematics and in limit"):
        Card.model_validate(data)
    data["systematics"]["sources"] = {"ecal:up": data["systematics"]["sources"]["form_factor"]}
    with pytest.raises(ValueError, match="ecal:up"):
        Card.model_validate(data)
    del data["systematics"]
    assert Card.model_validate(data).systematics.in_limit == "published"


def test_assumed_numbers_are_listed_by_name(card):
    assumed = card.assumed()
    assert "selection.ecal.s1_max_GeV" in assumed
    assert "periods.2018.eot" in assumed
    assert "limit.S1.background" not in assumed


def test_an_override_changes_value_provenance_and_hash(card):
    other = load_card(overrides=["limit.S1.background=0.25", "periods.2018.eot=2e11", "model.width=paper"])
    assert other.limit.S1.background.value == 0.25
    assert other.limit.S1.background.provenance == "user"
    assert "limit.S1.background=0.25" in other.limit.S1.background.source
    assert [p.eot.value for p in other.periods if p.name == "2018"] == [2e11]
    assert other.model.width == "paper"
    assert other.sha256 != card.sha256
    assert load_card().sha256 == card.sha256


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("model.aproximation=ww", ["model.aproximation", "did you mean approximation?"]),
        ("selektion.ecal.s1_max_GeV=80", ["did you mean selection?"]),
        ("periods.2019.eot=1e11", ["periods.2019.eot", "did you mean 2018?"]),
        ("model.approximation=exact", ["model.approximation", "etl", "ww", "iww"]),
        ("limit.S1.background=many", ["limit.S1.background", "many"]),
        ("limit.S1.background", ["section.key=value"]),
        ("=3", ["section.key=value"]),
        ("limit.S1=3", ["limit.S1 is a section"]),
        ("limit.S1.background=nan", ["limit.S1.background"]),
        ("limit.S1.background=-0.1", ["limit.S1.background"]),
        ("limit.S1.observed=0.5", ["limit.S1.observed"]),
        ("limit.confidence_level=90", ["limit.confidence_level"]),
        ("plane.mass_points=1", ["plane.mass_points"]),
        ("plane.mass_points=20.5", ["plane.mass_points"]),
        ("plane.mass_min_GeV=2.0", ["mass_max_GeV", "mass_min_GeV"]),
        ("plane.epsilon_min=0", ["epsilon_min"]),
        ("selection.hcal.s1_signal_min_GeV=0.5", ["overlap"]),
        ("geometry.hcal1_end_cm=300", ["hcal2_start_cm", "hcal1_end_cm"]),
        ("periods.2017.first_run=2400", ["period 2016", "period 2017", "2400"]),
        ("periods.2016.eot=-1", ["eot"]),
        ("periods.2016.residual_efficiency=1.5", ["residual_efficiency"]),
        ("beam.energy_GeV=0", ["beam.energy_GeV"]),
        ("systematics.in_limit=none", ["systematics.in_limit", "published", "varied"]),
        ('systematics.replaces=["rest"]', ["replaces names rest", "form_factor"]),
        ("systematics.sources.ecal_scale.size=1.0", ["systematics.sources.ecal_scale.size"]),
        ("systematics.sources.ecal_scale.kind=shift", ["systematics.sources.ecal_scale.kind", "scale"]),
        ("systematics.sources.ecal_scale.columns=[]", ["systematics.sources.ecal_scale.columns"]),
        ('systematics.sources.ecal_scale.columns=["ecal0", "ecal0"]', ["column is named twice"]),
        ("systematics.sources.ecalscale.size=0.1", ["did you mean ecal_scale?"]),
        ("plane.mass_points=" + "4" * 5000, ["plane.mass_points"]),
        ("plane.mass_points=" + "[" * 100_000, ["plane.mass_points"]),
    ],
)
def test_a_bad_override_is_one_line_that_names_it(override, parts):
    with pytest.raises(ConfigError) as caught:
        load_card(overrides=[override])
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (
            "r_max =",
            "r_maxx =",
            ["unknown key selection.r.r_maxx", "(did you mean r_max?): remove or correct it"],
        ),
        ("[selection.veto]", "[selection.vetto]", ["selection.vetto", "did you mean veto?"]),
        ("[beam]", "[qqqqqq]\nx = 1\n[beam]", ["unknown key qqqqqq", "known are card, model"]),
        ('name = "2017"', 'nmae = "2017"', ["nmae", "did you mean name?"]),
        ('provenance = "published", source = "arXiv:1710.00971"', 'source = "x"', ["provenance", "missing"]),
        ('provenance = "published"', 'provenance = "guessed"', ["provenance", "guessed"]),
        ("[model]", "[model", ["not valid TOML", "line"]),
        ("energy_GeV = {", "energy_GeV = 100.0 #", ["beam.energy_GeV"]),
        ("[model]", f"x = {'4' * 5000}\n[model]", ["not valid TOML"]),
        ("[model]", f"x = {'[' * 100_000}\n[model]", ["not valid TOML"]),
        (
            "[model]",
            '[[selection.declared]]\nname = "mine"\nheader = "a\\u0000"\n[model]',
            ["the header of cut mine", "embedded null byte"],
        ),
    ],
)
def test_a_bad_card_is_one_line_that_names_file_and_key(tmp_path, old, new, parts):
    path = changed(tmp_path, old, new)
    with pytest.raises(ConfigError) as caught:
        load_card(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path in message
    for part in parts:
        assert part in message


def test_an_unknown_card_lists_the_known_ones():
    with pytest.raises(ConfigError, match="paper2021"):
        load_card("paper2012")


def test_a_card_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "card.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"card\.toml"):
        load_card(path)


def test_the_signal_uncertainty_is_the_quadratic_sum():
    card = load_card(overrides=["limit.signal_uncertainties.other=0.0"])
    assert {name: q.value for name, q in card.limit.signal_uncertainties.items() if q.value > 0.0} == {
        "form_factor": 0.1,
        "dimuon_yield": 0.1,
        "width": 0.01,
    }


def test_a_part_of_a_number_cannot_be_set_and_keep_its_provenance():
    with pytest.raises(ConfigError, match="set limit.S1.background itself"):
        load_card(overrides=["limit.S1.background.value=3"])
    changed_card = load_card(overrides=["limit.S1.background=3"])
    assert changed_card.limit.S1.background.provenance == "user"
    assert changed_card.changed() == {"limit.S1.background": 3.0}


def test_a_card_without_exposure_is_refused():
    with pytest.raises(ConfigError, match="no electrons on target"):
        load_card(overrides=[f"periods.{year}.eot=0" for year in (2016, 2017, 2018)])


def test_a_card_may_give_only_what_differs(card, tmp_path):
    other = load_card("geant4_reference")
    assert other.card.name == "geant4_reference"
    assert other.geometry.hcal2_start_cm.value == 219.2
    assert other.geometry.ecal_end_cm == card.geometry.ecal_end_cm
    assert other.detector.noise == "off"
    assert other.selection == card.selection
    path = tmp_path / "mine.toml"
    path.write_text('extends = "geant4_reference"\n[detector]\nlateral_profile = "off"\n')
    mine = load_card(path)
    assert mine.detector.lateral_profile == "off"
    assert mine.geometry == other.geometry


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('extends = "no_such_card"', ["no_such_card", "paper2021"]),
        ("extends = 3", ["`extends`", "3"]),
        ('extends = "paper2021"\n[detector]\nnoize = "off"', ["detector.noize", "did you mean noise?"]),
    ],
)
def test_a_card_that_extends_wrongly_is_one_clear_error(tmp_path, text, parts):
    path = tmp_path / "card.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_card(path)
    for part in parts:
        assert part in str(error.value)


def test_a_card_that_extends_itself_is_an_error(tmp_path):
    path = tmp_path / "card.toml"
    path.write_text(f'extends = "{path}"')
    with pytest.raises(ConfigError, match="extends itself"):
        load_card(path)
