import dataclasses
import math

import pytest

from na64root.errors import ConfigError, ConvergenceError
from na64root.limits import Bin, CountingModel, evidence, experiment, upper_limit
from na64root.records import LimitResult

S1 = Bin("S1", "S1", "all", 0, 0.19, 0.07, 0.4)
S2 = Bin("S2", "S2", "all", 0, 0.53, 0.17, 0.6)


def test_result_is_complete():
    result = upper_limit(CountingModel((S1, S2), signal_uncertainty=0.2))
    assert isinstance(result, LimitResult)
    assert result.method == "exact"
    assert result.treatment == "frequentist"
    assert result.cl == 0.9
    bands = list(result.expected.model_dump().values())
    assert bands == sorted(bands)
    assert 0.0 < result.upper_limit_error < 1e-3 * result.upper_limit


def test_shares_are_relative():
    once = upper_limit(CountingModel((S1, S2)), expected=False).upper_limit
    doubled = tuple(dataclasses.replace(b, signal_fraction=2 * b.signal_fraction) for b in (S1, S2))
    assert upper_limit(CountingModel(doubled), expected=False).upper_limit == once


def test_named_sources_add_in_quadrature():
    sources = {"form_factor": 0.1, "dimuon_yield": 0.1, "width": 0.01}
    model = CountingModel((S1, S2), signal_sources=sources)
    assert model.signal_uncertainty == pytest.approx(math.sqrt(0.0201), rel=1e-12)
    with pytest.raises(ConfigError, match="quadrature"):
        CountingModel((S1, S2), signal_uncertainty=0.3, signal_sources=sources)


def test_correlation_of_backgrounds_over_periods():
    """Two periods that share their background fluctuate together: a looser limit than two that do not."""
    bins = tuple(Bin(f"S1_{p}", "S1", p, 2, 1.0, 0.5, f) for p, f in (("2017", 0.7), ("2018", 0.3)))
    together = upper_limit(CountingModel(bins), treatment="hybrid", expected=False).upper_limit
    apart = upper_limit(
        CountingModel(bins, background_correlation="none"), treatment="hybrid", expected=False
    ).upper_limit
    assert abs(together / apart - 1.0) > 0.005


def test_statistic_is_zero_below_the_best_signal():
    engine = experiment(CountingModel((dataclasses.replace(S1, observed=4), S2)), "none")
    assert engine.statistic(1.0) == 0.0
    assert engine.statistic(12.0) > 1.0


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"background": -0.1}, "background of S1"),
        ({"background": math.nan}, "background of S1"),
        ({"background_uncertainty": math.inf}, "background uncertainty of S1"),
        ({"observed": 1.5}, "not a whole number"),
        ({"observed": -1}, "observed count of S1"),
        ({"observed": "two"}, "observed count of S1"),
        ({"signal_fraction": 0.0}, "all signal fractions are zero"),
    ],
)
def test_bad_bin(changes, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        CountingModel((dataclasses.replace(S1, **changes),))
    assert "\n" not in str(caught.value)


def test_bad_model():
    with pytest.raises(ConfigError, match="no bins"):
        CountingModel(())
    with pytest.raises(ConfigError, match="two bins are called S1"):
        CountingModel((S1, S1))
    with pytest.raises(ConfigError, match="signal_uncertainty"):
        CountingModel((S1,), signal_uncertainty=math.nan)
    with pytest.raises(ConfigError, match="choose lognormal or gaussian"):
        CountingModel((S1,), constraint="gamma")
    with pytest.raises(ConfigError, match="observed 2, background 1"):
        CountingModel.from_lists(
            observed=[0, 0], background=[0.1], background_uncertainty=[0.0], signal_fraction=[1.0]
        )


@pytest.mark.parametrize("cl", [0.0, 1.0, -1.0, 90, math.nan])
def test_bad_level(cl):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        upper_limit(CountingModel((S1,)), cl=cl)


def test_unknown_method_and_treatment():
    with pytest.raises(ConfigError, match="exact, roostats or asymptotic"):
        upper_limit(CountingModel((S1,)), method="bayes")
    with pytest.raises(ConfigError, match="none, frequentist or hybrid"):
        upper_limit(CountingModel((S1,)), treatment="fixed")


def test_asymptotic_warns_at_few_events():
    with pytest.warns(UserWarning, match="too strong"):
        result = upper_limit(CountingModel((S1, S2)), method="asymptotic", treatment="none")
    # 26 to 34 per cent below ln 10 at these backgrounds.
    assert 1.5 < result.upper_limit < 1.75


def one_known_bin(observed, background):
    return CountingModel.from_lists(
        observed=[observed], background=[background], background_uncertainty=[0.0], signal_fraction=[1.0]
    )


def test_too_many_events_are_one_line():
    with pytest.raises(ConfigError, match="too many events.*asymptotic"):
        upper_limit(one_known_bin(10**23, 0.1), expected=False)


def test_data_too_improbable_for_a_limit_are_one_line():
    """No event where ten thousand are expected: every signal would be excluded."""
    with pytest.raises(ConvergenceError, match="toys without signal is like the data"):
        upper_limit(one_known_bin(0, 1e4), expected=False)


def test_many_events_over_little_background_have_a_limit():
    """Analytic: the normal approximation of Poisson numbers, good to 1e-4 here; the limit's error is 1 %."""
    found = upper_limit(one_known_bin(100_000, 0.1), expected=False)
    assert found.method == "toys"
    assert found.upper_limit == pytest.approx(100_000 + 1.2816 * math.sqrt(100_000), rel=2e-3)


def test_expected_limits_rise_and_are_that_of_no_event_where_nothing_is_expected():
    """analytic: without background every experiment is empty."""
    nothing = CountingModel.from_lists(
        observed=[0], background=[0.0], background_uncertainty=[0.0], signal_fraction=[1.0]
    )
    for value in upper_limit(nothing).expected.model_dump().values():
        assert value == pytest.approx(math.log(10.0), rel=1e-4)
    seen = CountingModel.from_lists(
        observed=[3, 2],
        background=[0.19, 0.53],
        background_uncertainty=[0.07, 0.17],
        signal_fraction=[1.0, 1.0],
        signal_uncertainty=0.2,
    )
    bands = list(upper_limit(seen).expected.model_dump().values())
    assert bands == sorted(bands)


def test_expected_limits_of_a_very_uncertain_signal_are_not_guessed():
    model = CountingModel((S1,), signal_uncertainty=0.8)
    with pytest.warns(UserWarning, match="uncertainties above 0.5 .*no expected limits"):
        result = upper_limit(model, treatment="frequentist")
    assert result.expected.median is None
    assert result.upper_limit > 1.0
    assert upper_limit(model, treatment="hybrid").expected.median > 2.0


def test_six_different_uncertain_bins_have_no_p_value_but_a_line():
    """To enumerate them takes hours; with pooled bins, or yields that are known, it takes no time."""
    background = [0.5, 1.0, 2.0, 0.3, 1.5, 0.8]
    unlike = {
        "observed": [2, 1, 3, 1, 2, 2],
        "background": background,
        "signal_fraction": [1.0, 2.0, 0.5, 1.0, 3.0, 1.0],
    }
    certain = CountingModel.from_lists(**unlike, background_uncertainty=[0.0] * 6)
    uncertain = CountingModel.from_lists(**unlike, background_uncertainty=[0.3 * b for b in background])
    with pytest.warns(UserWarning, match="6 different bins") as told:
        assert evidence(uncertain) == (None, None)
    assert "no p-value without signal for 6 different bins" in str(told[0].message)
    assert "no two-sided interval for 6 different bins" in str(told[1].message)
    with pytest.warns(UserWarning, match="no two-sided interval"):
        found, _ = evidence(certain)
    assert found is not None
    assert 0.0 < found.p_value < 1.0
