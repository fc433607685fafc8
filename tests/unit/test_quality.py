"""The criterion for outlier spills: its false alarms, what it finds, what it forgives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from na64root.config import load_card
from na64root.selection import quality

QUALITY = load_card().quality
BINS = 150


def sums(
    random: np.random.Generator, triggers: np.ndarray, *, ecal_scale=1.0, missing=0.03
) -> quality.SpillSums:
    """Spills with these numbers of triggers: electrons and hadrons, `missing` of them without HCAL energy."""
    ecal_scale = np.broadcast_to(ecal_scale, triggers.shape)
    columns = {name: np.zeros(len(triggers)) for name in quality.SpillSums.__dataclass_fields__}
    columns |= {f"{name}_histogram": np.zeros((len(triggers), BINS)) for name in ("ecal", "hcal")}
    for i, n in enumerate(triggers):
        loses = random.random(n) < missing
        interacts = random.random(n) < 0.3
        ecal = np.where(loses, random.uniform(20, 69, n), np.where(interacts, random.uniform(5, 90, n), 85.0))
        ecal = ecal_scale[i] * (ecal + random.normal(0.0, 1.0, n))
        hcal = np.where(interacts & ~loses, np.maximum(100.0 - ecal, 2.0), 0.2 * random.random(n))
        for name, energy in (("ecal", ecal), ("hcal", hcal)):
            columns[f"{name}_sum"][i] = energy.sum()
            columns[f"{name}_known"][i] = n
            place = np.clip(energy.astype(int), 0, BINS - 1)
            columns[f"{name}_histogram"][i] = np.bincount(place, minlength=BINS)
        columns["triggers"][i] = columns["both_known"][i] = n
        columns["missing"][i] = ((ecal < 70.0) & (hcal < 1.0)).sum()
    return quality.SpillSums(**columns)


def found(spills: quality.SpillSums) -> set[tuple[int, str]]:
    return {(place, name) for place, name, *_ in quality.flagged(spills, QUALITY)}


@pytest.mark.parametrize("mean", [4, 60])
def test_a_sound_period_has_no_flag_however_small_its_spills(mean):
    """False alarm of this test 1e-5: 250 periods of 40 spills, each flagged with a probability below 0.01."""
    random = np.random.default_rng(mean)
    flagged = sum(bool(found(sums(random, random.poisson(mean, 40)))) for _ in range(250))
    assert flagged <= stats.binom.isf(1e-5, 250, QUALITY.false_alarm_probability.value)


@pytest.mark.parametrize(
    ("changes", "quantity"),
    [
        ({"ecal_scale": 0.85}, "ecal_mean_GeV"),
        ({"missing": 0.25}, "missing_energy_fraction"),
        ({"triggers": 300}, "triggers"),
        ({"triggers": 20}, "triggers"),
    ],
)
def test_a_bad_spill_is_found_and_no_other(changes, quantity):
    random = np.random.default_rng(5)
    triggers = random.poisson(120, 30)
    triggers[11] = changes.get("triggers", triggers[11])
    scale = np.ones(30)
    scale[11] = changes.get("ecal_scale", 1.0)
    spills = sums(random, triggers, ecal_scale=scale)
    if "missing" in changes:
        bad = sums(random, triggers, missing=changes["missing"])
        for column in quality.SpillSums.__dataclass_fields__:
            getattr(spills, column)[11] = getattr(bad, column)[11]
    assert (11, quantity) in found(spills)
    assert {place for place, _ in found(spills)} == {11}


def test_one_bad_spill_of_five_does_not_hide_among_what_it_is_compared_with():
    random = np.random.default_rng(6)
    triggers = np.array([2000, 2010, 1980, 2000, 2000])
    scale = np.array([1.0, 1.0, 1.0, 0.6, 1.0])
    assert {place for place, _ in found(sums(random, triggers, ecal_scale=scale))} == {3}
    assert found(sums(random, triggers[:4], ecal_scale=scale[:4])) == set()  # too few to say which


def test_a_scatter_common_to_all_spills_is_forgiven():
    random = np.random.default_rng(7)
    triggers = random.poisson(3000, 60)
    drift = 1.0 + 0.03 * np.sin(np.arange(60.0))
    spills = sums(random, triggers, ecal_scale=drift)
    assert (0, "ecal_mean_GeV") not in found(spills)
    assert not {name for _, name in found(spills)} & {"ecal_mean_GeV"}
    drift[7] = 0.6
    assert (7, "ecal_mean_GeV") in found(sums(random, triggers, ecal_scale=drift))


def test_the_deviation_is_the_large_deviation_rate():
    """Reference: analytic. Means of n draws from two values are binomial; their rate function is known."""
    histogram = np.zeros(BINS)
    histogram[[10, 90]] = [300.0, 100.0]
    shift = np.array([-10.0, 5.0, 20.0])
    p = 0.25 + shift / 80.0
    rate = p * np.log(p / 0.25) + (1.0 - p) * np.log((1.0 - p) / 0.75)
    # The width of a bin, uniform in 1 GeV, adds 1/12 GeV^2 to a variance of 1200 GeV^2.
    np.testing.assert_allclose(
        quality._rate_function_root(histogram, shift), np.sign(shift) * np.sqrt(2.0 * rate), rtol=1e-3
    )
    beyond = quality._rate_function_root(histogram, np.array([300.0]))
    assert math.isfinite(beyond[0])
    assert beyond[0] > 10.0


def test_no_energy_at_all_is_no_outlier():
    triggers = np.full(10, 50)
    empty = sums(np.random.default_rng(8), triggers)
    for name in ("ecal_known", "ecal_sum", "ecal_histogram", "both_known", "missing"):
        getattr(empty, name)[...] = 0.0
    assert found(empty) == set()
