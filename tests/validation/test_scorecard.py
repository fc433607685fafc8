"""The scorecard: what is within the tolerance fixed beforehand, and what is known to miss."""

import math

import pytest

from na64root import load_card
from na64root.records import Score
from na64root.theory import scorecard

# Known to miss, each explained in docs/physics.md; a miss that heals is to be taken off this list.
MISSES = {
    "efficiency of R < 0.06",
    "NuCal at f = 0.1, lower edge, 0.06 to 1 GeV",
}
# Misses by 1 %, which is what its statistics are good to: either way.
AT_ITS_LIMIT = "CHARM at f = 0.1, lower edge, 0.06 to 1 GeV"


def test_scorecard():
    """Our end point and R efficiency are those of their own tests (0.387 GeV, 1.00)."""
    scores = scorecard.scorecard(load_card(), end_point_GeV=0.3866, r_cut_efficiency=1.0)
    assert {score.name for score in scores if not score.within} - {AT_ITS_LIMIT} == MISSES
    assert len({score.name for score in scores}) == len(scores) == 10
    for score in scores:
        assert score.source
        assert score.tolerance
        assert score.within or score.reason
        assert Score.model_validate_json(score.model_dump_json()) == score
    medians = {score.name.split()[0]: score.median_dex for score in scores if score.points}
    assert medians["NuCal"] < 0.07  # the median is well within, single points are not
    assert medians["CHARM"] < 0.08


def test_numbers_and_their_tolerance():
    assert scorecard.end_point(0.40).within
    assert not scorecard.end_point(0.4101).within
    nothing = scorecard.end_point(None)
    assert not nothing.within
    assert nothing.ratio is None
    assert scorecard.r_efficiency(0.46).within
    assert not scorecard.r_efficiency(0.60).within


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
