"""One limit for the points of a plane: against toys fitted by NumPy (independent), and its own check."""

import math

import numpy as np
import pytest

from na64root import load_card
from na64root.exclusion.strength import LimitByShare
from na64root.limits import own_toys
from na64root.signal import card_counts
from support.counting_reference import Reference

# More events than an enumeration is trusted with unchecked, and a deficit in one bin.
SOME_EVENTS = [
    "limit.S1.observed=9",
    "limit.S2.observed=2",
    "limit.S1.background=4.0",
    "limit.S1.background_uncertainty=1.5",
    "limit.S2.background=6.0",
    "limit.S2.background_uncertainty=2.0",
]


def by_share(points):
    card = load_card(overrides=SOME_EVENTS)
    return card, LimitByShare(card, card_counts(card, card.exposure()), card.exposure(), points=points)


def test_the_limit_between_shares_is_that_of_toys():
    """At shares that no limit was computed for; ln CLs within four errors, false alarms 2e-4 for three."""
    card, limit = by_share(21)
    for seed, share in enumerate((0.13, 0.5, 0.88)):
        model, mu = limit.model(share), float(limit(share))
        reference = Reference(model, card.limit.treatment)
        cls, error, _ = reference.cls_by_toys(mu, 6000, seed)
        # Half a per cent of the limit by interpolation, at a slope of ln CLs of one in ln mu or less.
        assert math.log(cls) == pytest.approx(
            math.log1p(-card.limit.confidence_level.value), abs=4.0 * error + 0.01
        )


@pytest.mark.slow
def test_a_limit_that_fails_its_check_is_none_of_the_plane(monkeypatch):
    """An enumeration that is ten per cent off is found by the toys, and toys set each limit."""
    _, right = by_share(3)
    real = own_toys.check

    def of_a_wrong_one(model, mu, **options):
        return real(model, 1.3 * mu, **options)

    monkeypatch.setattr(own_toys, "check", of_a_wrong_one)
    _, found = by_share(3)
    shares = np.array([0.0, 0.5, 1.0])
    assert not np.array_equal(found(shares), right(shares))
    assert found(shares) == pytest.approx(right(shares), rel=0.03)
