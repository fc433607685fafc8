"""The scorecard: what is within the tolerance fixed beforehand, and what is known to miss."""

import math

import numpy as np
import pytest

from na64root import ConfigError, load_card
from na64root.analyze import plane as of_files
from na64root.config import card_names
from na64root.exclusion import Exclusion
from na64root.records import Score
from na64root.signal import card_counts
from na64root.theory import scorecard

# Known to miss, each explained in docs/physics.md; a miss that heals is to be taken off this list.
MISSES = {
    "efficiency of R < 0.06",
    "upper end of the excluded epsilon",
}
# Misses by 2 %, which is what its statistics are good to: either way.
AT_ITS_LIMIT = "CHARM at f = 0.1, lower edge, 0.06 to 1 GeV"


def test_scorecard():
    """Our end point and R efficiency are those of their own tests (0.387 GeV, 1.00)."""
    scores = scorecard.scorecard(
        load_card(),
        end_point_GeV=0.3866,
        r_cut_efficiency=1.0,
        lower_edge=2.99e-5,
        upper_edge=[(0.2, 3.1e-2), (0.3, 1.5e-2)],
    )
    assert {score.name for score in scores if not score.within} - {AT_ITS_LIMIT} == MISSES
    assert len({score.name for score in scores}) == len(scores) == 13
    for score in scores:
        assert score.source
        assert score.tolerance
        assert score.within or score.reason
        assert Score.model_validate_json(score.model_dump_json()) == score
    medians = {score.name.split()[0]: score.median_dex for score in scores if score.points}
    assert medians["NuCal"] < 0.07  # the median is well within, single points are not
    assert medians["CHARM"] < 0.08


def test_b_minus_l_is_flat():
    """The B-L curve (independent): within 6 % at each of sixteen masses; that of 2019 has a slope."""
    score = scorecard.b_minus_l(load_card())
    ratio = np.array([computed / published for _, published, computed in score.points])
    assert score.within
    assert (np.abs(ratio - 1.0) < 0.06).all()
    assert score == scorecard.b_minus_l(load_card(overrides=["beam.particle=e+"]))  # it is of electrons


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.mediator=l_e_minus_l_tau"],
        ["beam.particle=e+"],
        ["muon_g2.central=-1e-10"],
        ["beam.energy_GeV=20", "selection.ecal.s2_max_GeV=5"],
        ["beam.energy_GeV=2", "selection.ecal.s1_max_GeV=1.5", "selection.ecal.s2_max_GeV=1"],
    ],
    ids=str,
)
def test_other_cards_have_scores_and_no_traceback(overrides):
    card = scorecard.with_mediator(load_card(overrides=overrides), "kinetic_mixing")
    for score in (
        scorecard.end_point(None),
        scorecard.invisible_2019(card, points=3),
        scorecard.b_minus_l(card, points=3),
        scorecard.babar_meets_g2(card),
    ):
        assert Score.model_validate_json(score.model_dump_json()) == score


@pytest.mark.parametrize("card", card_names())
def test_every_card_has_a_score_of_b_minus_l(card):
    """The row is A' -> invisible, so the width of chi2 does not enter (paper_choices: Eq. 2)."""
    assert scorecard.b_minus_l(load_card(card), points=2).points


@pytest.mark.parametrize("changes", [["beam.particle=e+"], ["model.mediator=b_minus_l"]], ids=str)
def test_plane_and_statement_are_of_the_card(monkeypatch, changes):
    """What costs minutes is stopped at and asked for its card."""
    card, asked = load_card(overrides=changes), {}

    class Plane:
        g2_excluded_up_to_GeV, g2_end_is_frame, x, epsilon_high = 0.2, False, (), ()

    class Efficiency:
        efficiency = 1.0

    def scores(given, **numbers):
        asked["scores"] = given
        return []

    monkeypatch.setattr(of_files.planes, "scan", lambda given, *_, **__: asked.update(plane=given) or Plane)
    monkeypatch.setattr(
        of_files.acceptance, "r_efficiency", lambda given, *_, **__: asked.update(r=given) or Efficiency
    )
    monkeypatch.setattr(
        of_files, "inclusive_statement", lambda given, **_: asked.update(statement=given) or []
    )
    monkeypatch.setattr(of_files.scorecard, "scorecard", scores)
    of_files.score(card)
    assert asked == {
        "plane": card,
        "statement": card,
        "scores": card,
        "r": scorecard.with_mediator(card, "kinetic_mixing"),
    }


def test_overlaps_are_refused_before_the_plane(monkeypatch):
    asked = []
    monkeypatch.setattr(of_files.planes, "scan", lambda *arguments, **options: asked.append(arguments))
    with pytest.raises(ConfigError, match="not in the order of the beam"):
        of_files.score(load_card(overrides=["geometry.hcal1_start_cm=54"]))
    assert not asked


def test_rows_of_another_beam_or_mediator_say_so():
    score = scorecard.r_efficiency(0.46)
    assert scorecard.substituted(load_card(), score) == score
    positrons, baryons = (
        load_card(overrides=[change]) for change in ("beam.particle=e+", "model.mediator=b_minus_l")
    )
    assert scorecard.substituted(positrons, score).reason.endswith(
        "; of a beam of electrons, not of this card's own"
    )
    assert "of kinetic mixing, not" in scorecard.substituted(baryons, score).reason
    assert scorecard.substituted(baryons, score, mediator=False) == score


def test_numbers_and_their_tolerance():
    assert scorecard.end_point(0.40).within
    assert not scorecard.end_point(0.4101).within
    framed = scorecard.end_point(0.40, at_least=True)
    assert not framed.within
    assert framed.reason.startswith("at least 0.4 GeV")
    nothing = scorecard.end_point(None)
    assert not nothing.within
    assert nothing.ratio is None
    assert scorecard.r_efficiency(0.46).within
    assert not scorecard.r_efficiency(0.60).within


def test_the_ends_of_epsilon_in_the_abstract():
    """Delta = 2 m_e (analytic): 2 x 0.511 MeV x 3/0.4 = 7.66 MeV. The edge there by the chain, one digit."""
    card = load_card()
    mass = scorecard.first_decaying_mass(card)
    assert mass == pytest.approx(7.665e-3, rel=1e-3)
    exposure = card.exposure()
    area = Exclusion(card, card_counts(card, exposure), exposure)
    edge = area.epsilon_range(area.at_mass(mass), np.geomspace(1e-6, 1e-1, 40))[0]
    # a separate implementation of the same formulas gives 2.99e-5 (independent)
    assert edge == pytest.approx(2.99e-5, rel=0.01)
    assert scorecard.lower_end(card, edge).within
    assert not scorecard.lower_end(card, 3.6e-5).within
    upper = scorecard.upper_end([(0.2, 3e-2), (0.25, 2.1e-2), (0.3, 1.5e-2), (0.5, None)])
    assert not upper.within
    assert "at about 0.25 GeV" in upper.reason
    assert "nowhere" in scorecard.upper_end([(0.5, None)]).reason


@pytest.mark.parametrize(
    ("computed", "median", "maximum", "relative", "within"),
    [
        ([1.0, 2.0, 3.0], 0.01, 0.01, None, True),
        ([1.0, 2.0, 6.0], 0.01, 0.31, None, True),
        ([1.0, 2.0, 6.0], 0.01, 0.30, None, False),
        ([2.0, 4.0, 3.0], 0.29, 0.40, None, False),
        ([0.5, 3.0, 3.0], None, None, 0.5, True),
        ([0.5, 3.0, 4.6], None, None, 0.5, False),
        ([1.0, None, 3.0], 0.5, 9.0, None, False),
    ],
)
def test_curves_and_their_tolerance(computed, median, maximum, relative, within):
    """By hand: log10 of 2 is 0.301. What is not excluded at all is a miss."""
    score = scorecard._curve(
        "a",
        "b",
        [1.0, 2.0, 3.0],
        [1.0, 2.0, 3.0],
        computed,
        median=median,
        maximum=maximum,
        relative=relative,
        reason="c",
    )
    assert score.within is within
    if None not in computed:
        assert score.max_dex == pytest.approx(
            max(abs(math.log10(c / p)) for c, p in zip(computed, [1, 2, 3], strict=True))
        )
