"""Closure of the background estimates over pseudo-experiments with a known truth.

Reference of the closures: analytic, the number in the box of the distribution that the events are drawn from.
Each test of a closure has a false alarm of 1e-4 or less.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from na64root.backgrounds import Backgrounds, DimuonControl, DimuonYield, Estimate, with_estimates
from na64root.backgrounds.events import Events
from na64root.backgrounds.regions import abcd, check_regions, neutral_hadrons
from na64root.backgrounds.sideband import sideband, sideband_curve
from na64root.config import load_card
from na64root.errors import ConfigError, DataError
from na64root.records import Count, provenance

CARD = load_card()
SLOPE = 12.0


def events(ecal, **columns) -> Events:
    """Events that pass the cuts of S2 but for what is given."""
    n = len(ecal)
    values = {
        "weight": 1.0,
        "period": 0.0,
        "hcal1": 0.0,
        "hcal2": 0.0,
        "hcal3": 0.1,
        "shower_chi2": 3.0,
        "r12": 1.0,
        "declared_s1": 1.0,
        "declared_s2": 1.0,
    } | columns
    return Events(
        ecal=np.asarray(ecal, dtype=float),
        **{name: np.broadcast_to(np.asarray(value, dtype=float), n).copy() for name, value in values.items()},
    )


def falling(random, n_box: float, *, end: float = 66.0) -> np.ndarray:
    """ECAL energies up to `end` from exp(E/SLOPE), with `n_box` expected between 0 and 50 GeV."""
    in_box = math.exp(50.0 / SLOPE) - 1.0
    n = random.poisson(n_box * (math.exp(end / SLOPE) - 1.0) / in_box)
    return SLOPE * np.log1p(random.random(n) * (math.exp(end / SLOPE) - 1.0))


def blind(ecal: np.ndarray) -> np.ndarray:
    return ecal[ecal >= 50.0]


def no_fewer(inside: int, n: int, probability: float) -> bool:
    """Whether `inside` of `n` is what a coverage of `probability` or more gives, false alarm 1e-4."""
    return bool(stats.binom.cdf(inside, n, probability) > 1e-4)


@pytest.mark.parametrize("n_box", [20, 200])
def test_the_sideband_covers_the_truth(n_box):
    random = np.random.default_rng(n_box)
    n, in_interval, in_total, ratio = 200, 0, 0, []
    for _ in range(n):
        found = sideband(events(blind(falling(random, n_box))), CARD)
        low, high = (float(x) for x in found.notes[0].split("interval ")[1].split(" to "))
        in_interval += low <= n_box <= high
        in_total += abs(found.value - n_box) <= found.uncertainty
        ratio.append(found.value / n_box)
    # The profile interval of one shape and range: 68.3 %, and not much more.
    assert stats.binomtest(in_interval, n, 0.683).pvalue > 1e-4
    assert no_fewer(in_total, n, 0.683)
    # Unbiased in the median; its standard error over n experiments is 1.25 times that of the mean.
    error = 1.2533 * np.std(ratio) / math.sqrt(n)
    assert abs(np.median(ratio) - 1.0) < 4.0 * error


def test_another_shape_is_covered_by_the_variations():
    """Truth: missing energy to the power -3, fitted by the exponential."""
    random = np.random.default_rng(3)
    low, high, n_box = 34.0, 100.0, 100.0
    in_box = (50.0**-2 - 100.0**-2) / (low**-2 - high**-2)
    inside, n = 0, 150
    for _ in range(n):
        u = random.random(random.poisson(n_box / in_box))
        missing = (low**-2 - u * (low**-2 - high**-2)) ** -0.5
        found = sideband(events(blind(100.0 - missing)), CARD)
        inside += abs(found.value - n_box) <= found.uncertainty
    assert no_fewer(inside, n, 0.683)


def test_a_sideband_of_another_origin_misleads():
    """What docs/backgrounds.md warns of: a second source near the end of the range, none in the box."""
    random = np.random.default_rng(4)
    pile_up = random.normal(62.0, 1.5, 400)
    found = sideband(events(np.concatenate([blind(falling(random, 50)), blind(pile_up)])), CARD)
    assert found.value < 0.5 * 50
    assert found.components["range and shape"] > found.value  # and the variations say so


def test_weights_scale_the_sideband():
    ecal = blind(falling(np.random.default_rng(5), 60))
    one, three = (sideband(events(ecal, weight=w), CARD) for w in (1.0, 3.0))
    assert three.value == pytest.approx(3.0 * one.value, rel=1e-5)
    assert three.uncertainty == pytest.approx(3.0 * one.uncertainty, rel=1e-4)


def test_the_curve_is_the_fit_and_its_band_holds_it():
    ecal = blind(falling(np.random.default_rng(6), 60))
    curve = sideband_curve(events(ecal), CARD)
    energy, height = np.array(curve.energy_GeV), np.array(curve.curve)
    fine = np.linspace(0.0, 50.0, 2001)
    assert np.trapezoid(np.exp(np.interp(fine, energy, np.log(height))), fine) == pytest.approx(
        sideband(events(ecal), CARD).value, rel=1e-3
    )
    assert (np.array(curve.low) <= height).all()
    assert (height <= np.array(curve.high)).all()
    assert sum(curve.events) == ((ecal >= 50) & (ecal < 62)).sum()


def abcd_events(random, *, second: str, n_box=20.0, pass_below=0.05, pass_above=0.05) -> Events:
    """Passes with these probabilities below and above 50 GeV, `n_box` expected in the box."""
    ecal = falling(random, n_box / pass_below)
    passes = random.random(len(ecal)) < np.where(ecal < 50.0, pass_below, pass_above)
    if second == "hcal":
        return events(ecal, hcal3=np.where(passes, 0.2, random.uniform(1.0, 6.0, len(ecal))))
    return events(ecal, shower_chi2=np.where(passes, 3.0, random.uniform(10.0, 90.0, len(ecal))))


@pytest.mark.parametrize("second", ["hcal", "shower_chi2"])
def test_abcd_closes_where_its_variables_are_independent(second):
    card = load_card(overrides=[f"backgrounds.abcd.second={second}"])
    random = np.random.default_rng(7)
    n, statistical, total = 300, [], 0
    for _ in range(n):
        found = abcd(abcd_events(random, second=second), card)
        statistical.append((found.value - 20.0) / found.components["statistical"])
        total += abs(found.value - 20.0) <= found.uncertainty
    # A quotient of counts of 35 is skewed by a tenth of its error; 4 standard errors beside.
    assert abs(np.mean(statistical)) < 0.15 + 4.0 / math.sqrt(n)
    assert np.std(statistical) == pytest.approx(1.0, abs=0.2)
    assert no_fewer(total, n, 0.683)


def test_abcd_with_dependent_variables_is_wrong():
    """What docs/backgrounds.md warns of: the pass rate changes at the edge of the box, unseen above it."""
    random = np.random.default_rng(8)
    samples = (abcd_events(random, second="shower_chi2", pass_above=0.2) for _ in range(50))
    values = [abcd(sample, CARD).value for sample in samples]
    assert np.mean(values) > 2.5 * 20.0


def test_the_validation_of_abcd_sees_a_pass_rate_that_changes_above_the_box():
    random = np.random.default_rng(9)
    ecal = falling(random, 4000.0)
    passes = random.random(len(ecal)) < np.where(ecal < 56.0, 0.05, 0.15)
    found = abcd(events(ecal, shower_chi2=np.where(passes, 3.0, 40.0)), CARD)
    assert found.components["non-closure"] == pytest.approx(found.value, rel=1e-12)  # 200 %, at most 100 %


def test_abcd_with_empty_regions():
    only_d = events([55.0, 58.0], shower_chi2=40.0)
    found = abcd(only_d, CARD)
    assert found.value == 0.0
    assert found.uncertainty == pytest.approx(0.5 * math.sqrt(1 + 1 + 0.5))
    with pytest.raises(DataError, match="no event in region D"):
        abcd(events([55.0]), CARD)


def test_neutral_hadrons_close_where_the_law_is_exponential():
    random = np.random.default_rng(10)
    lengths = 150.0 / 20.3
    truth = 5000.0 * math.exp(-lengths) / (1.0 - math.exp(-lengths))
    pulls = []
    for _ in range(300):
        n = random.poisson(5000.0)
        found = neutral_hadrons(events(np.full(n, 40.0), hcal1=20.0, hcal2=10.0, r12=0.02), CARD)
        pulls.append((found.value - truth) / found.components["statistical"])
        assert found.components["interaction length"] == pytest.approx(0.05 * lengths * found.value)
    assert abs(np.mean(pulls)) < 4.0 / math.sqrt(300)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.16)


def test_what_is_tagged_is_s1_one_module_further_up():
    tagged = {"ecal": [40.0], "hcal1": 20.0, "hcal2": 10.0, "r12": 0.02}
    assert neutral_hadrons(events(**tagged), CARD).events == {"tagged in HCAL1": 1.0}
    for change in (
        {"ecal": [90.0]},
        {"hcal1": 0.5, "hcal2": 29.5},
        {"hcal1": 4.0},
        {"hcal2": math.nan},
        {"r12": 0.07},
        {"r12": math.nan},
        {"shower_chi2": 11.0},
    ):
        with pytest.raises(DataError, match="no event"):
            neutral_hadrons(events(**tagged | change), CARD)


def test_too_few_events_are_no_fit():
    with pytest.raises(DataError, match="3 events between 50 and 62 GeV"):
        sideband(events([51.0, 53.0, 60.0, 63.0]), CARD)


@pytest.mark.parametrize(
    "override",
    [
        "backgrounds.sideband.ecal_max_GeV=53",
        "backgrounds.sideband.ecal_max_GeV=98",
        "backgrounds.abcd.validation_ecal_GeV=49",
        "backgrounds.abcd.ecal_max_GeV=55",
        "backgrounds.abcd.hcal_max_GeV=0.5",
    ],
)
def test_control_regions_stay_out_of_the_box(override):
    check_regions(CARD)
    with pytest.raises(ConfigError, match="control region"):
        check_regions(load_card(overrides=[override]))


def test_the_published_backgrounds_are_the_default_and_the_card_chooses():
    assert (CARD.backgrounds.S1, CARD.backgrounds.S2) == ("published", "published")
    with pytest.raises(ConfigError, match=r"backgrounds\.S1"):
        load_card(overrides=["backgrounds.S1=abcd"])
    chosen = load_card(overrides=["backgrounds.S2=abcd"])
    assert chosen.backgrounds.method("S2") == "abcd"


def test_a_card_may_leave_out_the_new_sections(tmp_path):
    from importlib import resources

    text = (resources.files("na64root") / "cards" / "paper2021.toml").read_text("utf-8")
    old = tmp_path / "old.toml"
    old.write_text(text[: text.index("# Data quality")])
    assert load_card(old) == CARD
    assert load_card(old, ["backgrounds.S2=sideband"]).backgrounds.S2 == "sideband"


def test_estimates_are_shared_by_exposure():
    count = Count(
        period="", signature="S1", observed=0, background=1.0, background_uncertainty=0.5, cuts_not_applied=[]
    )
    counts = [
        count.model_copy(update={"period": p, "signature": s}) for p in ("2017", "2018") for s in ("S1", "S2")
    ]
    found = Estimate(
        signature="S2", method="abcd", value=0.8, uncertainty=0.4, components={}, events={}, notes=[]
    )
    yields = DimuonYield(events=0, eot=0, per_electron=0, error=0)
    result = Backgrounds(
        estimates=[found], not_estimated={"sideband": "2 events"}, published={},
        chosen={"S1": "published", "S2": "abcd"}, sideband=None,
        ecal_edges_GeV=[], hcal_edges_GeV=[], plane=[],
        dimuon=DimuonControl(
            data=yields, simulation=None, correction=None, statistical=None, uncertainty=None
        ),
        weighted=False, exposure={"2016": 0.0, "2017": 1e11, "2018": 3e11}, files={}, notes=[],
        provenance=provenance(CARD),
    )  # fmt: skip
    changed, used = with_estimates(counts, result)
    values = {(c.period, c.signature): (c.background, c.background_uncertainty) for c in changed}
    assert values["2017", "S1"] == (1.0, 0.5)
    assert values["2017", "S2"] == pytest.approx((0.2, 0.1))
    assert values["2018", "S2"] == pytest.approx((0.6, 0.3))
    assert used["S2"].value == 0.8
    assert "S1" not in used
    refused = result.model_copy(update={"chosen": {"S1": "published", "S2": "sideband"}})
    with pytest.raises(DataError, match=r"no background of S2 by method sideband \(2 events\)"):
        with_estimates(counts, refused)
