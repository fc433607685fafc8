"""The limit on a parameter itself. References: analytic where a law is written, else other verbs (self)."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest

from na64root import cli
from na64root.config import load_card
from na64root.errors import ConfigError
from na64root.exclusion import Exclusion
from na64root.exclusion.coupling import ExcludedValues, coupling_limit, excluded_ranges, verdict
from na64root.exclusion.explain import explain
from na64root.exclusion.grids import Axis
from na64root.signal import card_counts


@pytest.fixture(scope="module")
def card():
    return load_card()


def test_ranges_have_the_edges_of_a_known_function():
    """Analytic: sin(ln x) >= 0.6 between 1 and exp(4 pi), twice, edges at asin 0.6 and pi - asin 0.6."""

    def strength(x: float) -> float:
        return math.sin(math.log(x)) / 0.6

    values = np.exp(np.linspace(0.0, 4.0 * math.pi, 60))
    found = excluded_ranges(values, np.array([strength(x) for x in values]), strength)
    first = math.asin(0.6)
    expected = [first, math.pi - first, 2.0 * math.pi + first, 3.0 * math.pi - first]
    edges = [edge for one in found for edge in (math.log(one.low), math.log(one.high))]
    assert edges == pytest.approx(expected, abs=1e-6)
    assert not any(one.low_is_open or one.high_is_open for one in found)


def test_where_there_is_no_model_nothing_is_excluded():
    values = np.array([1.0, 2.0, 4.0, 8.0])

    def strength(x: float) -> float:
        return 3.0 if x < 3.0 else math.nan

    (one,) = excluded_ranges(values, np.array([strength(x) for x in values]), strength)
    assert (one.low, one.low_is_open, one.high_is_open) == (1.0, True, False)
    assert one.high == pytest.approx(3.0, rel=1e-6)
    assert excluded_ranges(values, np.full(4, math.nan), strength) == []


def test_an_invisible_decay_has_an_upper_limit_that_scales(card):
    """Analytic: the signal is that at one epsilon times the square of their ratio, the limit a constant."""
    found = coupling_limit(card, 0.2, Axis("epsilon", 1e-5, 1e-2, 13), mode="invisible")
    assert found.n_signal[6] is not None
    limit = found.upper_limit_events[6]
    expected = found.values[6] * math.sqrt(limit / found.n_signal[6])
    assert found.upper_limit == pytest.approx(expected, rel=1e-5)
    assert found.lower_limit is None
    assert found.verdict.startswith(f"epsilon above {expected:.4g} is excluded")


def test_edges_are_those_of_explain_and_of_planes(card):
    found = coupling_limit(card, 0.2, Axis("epsilon", 1e-5, 1e-1, 30))
    (one,) = found.excluded
    assert found.upper_limit is None
    for edge in (one.low, one.high):
        point = explain(card, mass_GeV=0.2, epsilon=edge)
        # limits between shares are interpolated
        assert point.n_signal.total == pytest.approx(point.upper_limit, rel=5e-3)
    area = Exclusion(card, card_counts(card, card.exposure()), card.exposure())
    low, high = area.epsilon_range(area.at_mass(0.2), np.geomspace(1e-5, 1e-1, 30))
    assert (one.low, one.high) == pytest.approx((low, high), rel=1e-5)
    assert "no upper limit" in found.verdict
    # weaker limits are expected than observed where nothing was seen
    assert found.excluded_expected["median"][0].low > one.low


def test_another_parameter_and_its_fixed_epsilon(card):
    alone = coupling_limit(card, 0.3, Axis("alpha", 1e-2, 1.0, 9), epsilon=6e-3)
    assert (alone.parameter, alone.epsilon_is) == ("alpha", "epsilon = 0.006")
    edge = alone.excluded[0].high
    point = explain(card, mass_GeV=0.3, epsilon=6e-3, alpha_dark=edge)
    assert point.n_signal.total == pytest.approx(point.upper_limit, rel=5e-3)
    assert alone.lower_limit == edge


@pytest.mark.parametrize(
    ("excluded", "words"),
    [
        ([], "no epsilon from 1e-06 to 0.1 is excluded: the signal is 0.3 of its limit at most, at 0.01"),
        ([(1e-5, 1e-3, False, False), (1e-2, 5e-2, False, False)], "2 ranges of epsilon are excluded"),
        ([(1e-6, 1e-1, True, True)], "every epsilon from 1e-06 to 0.1 is excluded"),
        ([(1e-6, 1e-3, True, False)], "epsilon below 0.001 is excluded"),
        ([(1e-4, 1e-3, False, False)], "epsilon from 0.0001 to 0.001 is excluded; less and more is allowed"),
    ],
)
def test_what_is_excluded_is_said(excluded, words):
    ranges = [ExcludedValues(low=a, high=b, low_is_open=c, high_is_open=d) for a, b, c, d in excluded]
    assert words in verdict(Axis("epsilon", 1e-6, 1e-1, 20), ranges, 0.3, 0.01)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"over": Axis("mass", 0.1, 0.2, 3)}, "--over mass .a limit is at one mass"),
        ({"mass_GeV": -0.2}, "--mass-GeV -0.2"),
        ({"over": Axis("epsilon", 1e-5, 1e-3, 3), "epsilon": 1e-3}, "--epsilon beside an axis epsilon"),
        ({"over": Axis("ratio", 1.5, 2.1, 3)}, "no model for any ratio in this range"),
    ],
)
def test_nonsense_is_one_line(card, arguments, problem):
    with pytest.raises(ConfigError, match=problem):
        coupling_limit(card, **({"mass_GeV": 0.2} | arguments))


def test_the_verb(tmp_path, unrendered):
    stdout = io.StringIO()
    arguments = [
        "coupling",
        "--mass-GeV",
        "0.2",
        "--over",
        "epsilon=1e-5:1e-1:12",
        "-o",
        str(tmp_path),
        "--json",
    ]
    assert cli.run(arguments, stdout) == 0
    record = json.loads(stdout.getvalue())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "coupling.json",
        "coupling.pdf",
        "coupling.png",
    ]
    assert len(record["values"]) == len(record["n_signal"]) == len(record["upper_limit_events"]) == 12
    assert record["quoted"]["treatment"] == "frequentist"
