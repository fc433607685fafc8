"""Planes: edges, contours, shares, end point, modes."""

import itertools
import math

import numpy as np
import pytest

from na64root import ConfigError, limits, load_card, theory
from na64root.analyze.models import model_on_g2_line
from na64root.config import Card
from na64root.exclusion import (
    FAR_FROM_DATA,
    Exclusion,
    LimitByShare,
    counting_model,
    epsilon_intervals,
    planes,
    warn_of_published_sources,
)
from na64root.exclusion.counting_models import bins_of_counts
from na64root.exclusion.explain import explain
from na64root.records import Count
from na64root.selection.systematics import SystematicEffect
from na64root.signal import SignalModel, card_counts
from na64root.simulation.core_config import Signal
from na64root.simulation.sample import SignalSample
from na64root.simulation.samples import SignalSamples
from na64root.work import Work

SMALL = ["plane.mass_points=12", "plane.epsilon_points=40"]


@pytest.fixture(scope="module")
def card():
    return load_card(overrides=SMALL)


@pytest.fixture(scope="module")
def plane(card):
    return planes.scan(card)


def test_the_quoted_model_takes_the_signal_that_the_plane_computed(monkeypatch):
    """That of samples takes seconds, and was made where the plane looked for the end point."""
    card = load_card(overrides=["plane.mass_points=8", "plane.epsilon_points=12"])
    area = Exclusion(card, card_counts(card, card.exposure()), card.exposure())
    plane = planes.plane_of(area, "mass-epsilon")
    assert plane.g2_excluded_up_to_GeV is not None
    alone = Exclusion(card, card_counts(card, card.exposure()), card.exposure())
    expected, _ = model_on_g2_line(alone, plane.g2_excluded_up_to_GeV)

    def again(*_):
        raise AssertionError("the signal at the end point is computed again")

    monkeypatch.setattr(area.signal, "at_mass", again)
    model, _ = model_on_g2_line(area, plane.g2_excluded_up_to_GeV)
    assert model == expected


def test_shape_and_edges(card, plane):
    mu = np.array(plane.upper_limit_mu, dtype=float)
    assert mu.shape == (len(plane.y), len(plane.x)) == (40, 12)
    for i, (low, high) in enumerate(zip(plane.epsilon_low, plane.epsilon_high, strict=True)):
        excluded = np.flatnonzero(mu[:, i] <= 1.0)
        assert (low is None) == (high is None) == (len(excluded) == 0)
        if low is not None:
            assert plane.y[excluded[0] - 1] < low <= plane.y[excluded[0]]
            assert high >= plane.y[excluded[-1]]


def test_edges_are_on_the_limit(card, plane):
    exposure = card.exposure()
    area = Exclusion(card, card_counts(card, exposure), exposure)
    for i in (0, 5, 9):
        at_mass = area.signal.at_mass(plane.x[i])
        low, high = plane.epsilon_low[i], plane.epsilon_high[i]
        assert area.strength(at_mass, np.array([low]))[0] == pytest.approx(1.0, rel=1e-4)
        if high < plane.y[-1]:
            assert area.strength(at_mass, np.array([high]))[0] == pytest.approx(1.0, rel=1e-4)


def test_contours_pass_through_the_edges(plane):
    points = np.concatenate([np.array(line) for line in plane.contours])
    i = 6
    near = points[np.isclose(points[:, 0], plane.x[i], rtol=1e-6)]
    # between points of the finer grid the contour is linear in the logarithms: 0.5 % of epsilon here
    assert np.abs(np.log(near[:, 1] / plane.epsilon_low[i])).min() < 0.005


def test_the_contour_does_not_depend_on_the_grid(card, plane):
    finer = planes.scan(
        load_card(overrides=["plane.mass_points=23", "plane.epsilon_points=79"]), work=Work(threads=2)
    )
    for coarse, fine in ((plane.epsilon_low, finer.epsilon_low), (plane.epsilon_high, finer.epsilon_high)):
        for a, b in zip(coarse, fine[::2], strict=True):
            assert (a is None and b is None) or a == pytest.approx(b, rel=1e-5)
    assert plane.g2_excluded_up_to_GeV == pytest.approx(finer.g2_excluded_up_to_GeV, abs=2e-4)


def test_threads_do_not_change_the_result_and_progress_reaches_the_end(card, plane):
    seen = []
    work = Work(threads=2, progress=lambda _: lambda done, total: seen.append((done, total)))
    assert planes.scan(card, work=work) == plane
    assert seen[-1][0] == seen[-1][1] >= 12


def test_invisible_mode_has_no_upper_edge(card):
    plane = planes.scan(card, mode="invisible")
    assert all(high == plane.y[-1] for high in plane.epsilon_high)
    # 1/eps^2 scaling of the limit
    mu = np.array(plane.upper_limit_mu, dtype=float)
    np.testing.assert_allclose(mu[1] / mu[0], (plane.y[0] / plane.y[1]) ** 2, rtol=1e-4)


def test_more_exposure_excludes_more(card, plane):
    exposure = card.exposure({"all": 2.84e12})
    more = planes.scan(card, exposure=exposure)
    assert more.exposure == exposure
    assert [count.signature for count in more.counts] == ["S1", "S2"]
    assert more.counts[0].background == pytest.approx(1.9)
    assert more.g2_excluded_up_to_GeV > plane.g2_excluded_up_to_GeV
    # analytic: background scales too, zero events stay: the limit falls as 1/EOT up to the profile of b
    ratio = np.array(plane.upper_limit_mu)[0, 3] / np.array(more.upper_limit_mu)[0, 3]
    assert ratio == pytest.approx(10.0, rel=0.02)


def test_observed_events_weaken_the_limit_and_shares_matter(card):
    exposure = card.exposure()
    none, one = card_counts(card, exposure), card_counts(card, exposure)
    one[0] = one[0].model_copy(update={"observed": 1})
    empty, seen = (LimitByShare(card, counts, exposure, points=5) for counts in (none, one))
    shares = np.linspace(0, 1, 5)
    # analytic: without nuisances the limit at zero events is ln 10 whatever the shares
    none_treated = load_card(overrides=[*SMALL, "limit.treatment=none"])
    constant = LimitByShare(none_treated, none, exposure, points=5)
    np.testing.assert_allclose(constant(shares), math.log(10), rtol=1e-4)
    # with them, at b = 0.7, the closed form for small b (2.1065) holds within 1 %
    np.testing.assert_allclose(empty(shares), 2.1065, rtol=0.01)
    assert (seen(shares) > empty(shares) - 0.02).all()
    assert seen(1.0) > seen(0.0) + 0.5


def test_an_allowed_gap_is_not_reported_as_excluded(card):
    """Events in S2 leave an allowed gap between the ranges that S2 and S1 exclude."""
    exposure = card.exposure()
    counts = card_counts(card, exposure)
    counts[1] = counts[1].model_copy(update={"observed": 20})
    area = Exclusion(card, counts, exposure)
    at_mass = area.signal.at_mass(0.246)
    epsilon = np.geomspace(1e-3, 1e-1, 400)
    excluded = area.strength(at_mass, epsilon) >= 1.0
    first, last = np.flatnonzero(excluded)[[0, -1]]
    assert not excluded[first:last].all(), "the case has no gap any more: find another"
    low, high = area.epsilon_range(at_mass, epsilon)
    inside = (epsilon > low) & (epsilon < high)
    assert excluded[inside].all()
    assert inside.sum() > 3


def seen_model(card, s1, s2):
    exposure = card.exposure()
    counts = [
        count.model_copy(update={"observed": n})
        for count, n in zip(card_counts(card, exposure), (s1, s2), strict=True)
    ]
    return LimitByShare(card, counts, exposure, points=2).model


@pytest.mark.parametrize("treatment", ["none", "hybrid"])
def test_an_interval_in_epsilon_is_that_in_the_signal(card, treatment):
    """Where the signal is 1e6 epsilon^2 (analytic), and twice where it also falls."""
    model = seen_model(card, 1, 3)
    low, high = (math.sqrt(mu / 1e6) for mu in limits.interval(model(0.3), treatment=treatment))

    def rising(epsilon):
        return 1e6 * np.outer(epsilon**2, [0.3, 0.7])

    grid = np.geomspace(1e-4, 1e-2, 21)
    ((first, last),) = epsilon_intervals(rising, model, grid, treatment=treatment)
    # 1e-4 of epsilon here, 2^-14 of a step of 0.1 events there
    assert (first, last) == pytest.approx((low, high), rel=2e-4)

    def rising_and_falling(epsilon):
        return rising(np.where(epsilon < 5e-3, epsilon, 25e-6 / epsilon))

    parts = epsilon_intervals(rising_and_falling, model, np.geomspace(1e-4, 0.25, 35), treatment=treatment)
    assert np.ravel(parts) == pytest.approx([low, high, 25e-6 / high, 25e-6 / low], rel=2e-4)


def test_intervals_in_epsilon_end_at_the_grid_or_are_none(card):
    area = Exclusion(card, card_counts(card, card.exposure()), card.exposure())
    chain = area.signal.at_mass(0.2)
    grid = np.geomspace(1e-5, 1e-1, 33)
    (small, large) = area.epsilon_intervals(chain, grid)  # nothing seen: small signals agree
    assert small[0] == grid[0]
    assert large[1] == grid[-1]
    # The ends are where the signal leaves the interval of the model with its share.
    for edge, outward in ((small[1], 1.001), (large[0], 0.999)):
        for epsilon, agrees in ((edge, True), (edge * outward, False)):
            s1, s2 = area.expected(chain, np.array([epsilon]))[0]
            model = seen_model(card, 0, 0)(s1 / (s1 + s2))
            assert (limits.two_sided_p_value(model, s1 + s2) > 0.1) == agrees
    model = seen_model(card, 4, 10)
    weak = epsilon_intervals(lambda e: np.outer(np.ones_like(e), [0.1, 0.2]), model, grid)
    assert weak == []
    # Thousands of expected events are far from four, and are not enumerated.
    assert epsilon_intervals(lambda e: np.outer(1e9 * e, [0.4, 0.6]), model, grid) == []


@pytest.mark.parametrize("constraint", ["lognormal", "gaussian"])
@pytest.mark.parametrize("counts", [(0, 0), (1, 2)])
def test_what_is_far_from_the_data_has_a_small_p_value(constraint, counts):
    model = seen_model(load_card(overrides=[f"limit.constraint={constraint}"]), *counts)(0.3)
    for treatment in ("none", "hybrid"):
        engine = limits.experiment(model, treatment)
        mu = next(mu for mu in range(5, 200) if engine.statistic(mu) > FAR_FROM_DATA)
        assert 0.0 < engine.two_sided_p_value(mu) < 1e-4  # of no interval at a level in use


@pytest.mark.parametrize("grid", [[], [0.0, 1.0], [2.0, 1.0], [1.0, math.inf], [math.nan]])
def test_a_grid_of_epsilon_that_cannot_be(card, grid):
    with pytest.raises(ConfigError, match="grid of epsilon"):
        epsilon_intervals(lambda e: np.zeros((len(e), 2)), seen_model(card, 1, 1), grid)


def test_intervals_in_epsilon_refuse_levels_and_treatments(card):
    def expected(epsilon):
        return np.ones((len(epsilon), 2))

    with pytest.raises(ConfigError, match="confidence level"):
        epsilon_intervals(expected, seen_model(card, 1, 1), [1e-3], cl=1.0)
    with pytest.raises(ConfigError, match="treatment"):
        epsilon_intervals(expected, seen_model(card, 1, 1), [1e-3], treatment="frequentist")


def test_explain_is_consistent_on_the_contour(card, plane):
    """CLs and verdict come from one limit, also where the contour is nearly S1 alone."""
    for i in (8, 9):
        assert plane.epsilon_high[i] < plane.y[-1]
        for factor in (0.9995, 1.0005):
            point = explain(card, mass_GeV=plane.x[i], epsilon=plane.epsilon_high[i] * factor)
            assert point.excluded == (point.cls < 0.1)


def test_bins_without_count_or_exposure_leave(card):
    counts = [
        Count(
            period=p,
            signature=s,
            observed=n,
            background=b,
            background_uncertainty=0.3 * b,
            cuts_not_applied=[],
        )
        for p, s, n, b in [("2017", "S1", 0, 0.04), ("2018", "S1", None, 0.12), ("2018", "S2", 0, 0.35)]
    ]
    exposure = {"2016": 0.0, "2017": 5.4e10, "2018": 1.87e11}
    bins = bins_of_counts(card, counts, exposure)
    assert [(c.period, s) for c, s, _ in bins] == [("2017", "S1"), ("2018", "S2")]
    model = counting_model(card, bins, 0.3)
    assert [b.signal_fraction for b in model.bins] == pytest.approx([0.3, 0.7])
    with pytest.raises(ConfigError, match="no bin"):
        LimitByShare(card, counts[1:2], exposure)


def test_epsilon_g2():
    mass = np.array([0.01, 0.1, 0.39])
    band = theory.muon_g2_band(load_card(), mass)
    assert band.central[1] == pytest.approx(3.1246e-3, rel=1e-3)  # independent: a second implementation
    for lower, upper in itertools.pairwise(band):
        assert (lower < upper).all()
    assert np.isnan(theory.epsilon_g2(mass, -1e-11)).all()
    before = theory.muon_g2_band_before_fermilab(load_card(), mass)
    assert (before.central > band.central).all()


def test_explain_agrees_with_the_plane(card, plane):
    i = 8
    for factor, excluded in ((1.01, True), (0.99, False)):
        point = explain(card, mass_GeV=plane.x[i], epsilon=plane.epsilon_low[i] * factor)
        assert point.excluded is excluded
        assert (point.cls < 0.1) is excluded
        assert sum(point.decay_probability.model_dump().values()) == pytest.approx(1.0, abs=1e-12)
    assert point.n_signal.total == pytest.approx(point.n_signal.s1 + point.n_signal.s2)


@pytest.mark.parametrize("overrides", [[], ["model.annihilation=on"], ["model.alpha_dark=1e-6"]])
def test_efficiencies_lead_from_production_to_events(overrides):
    """The product of all steps is the expected signal of the chain, to rounding."""
    card = load_card(overrides=overrides)
    point = explain(card, mass_GeV=0.25, epsilon=3e-3)
    for steps, events in (
        (point.efficiency.s1, point.n_signal.s1),
        (point.efficiency.s2, point.n_signal.s2),
    ):
        assert point.n_aprime * math.prod(s.efficiency for s in steps) == pytest.approx(events, rel=1e-9)
        assert steps[-1].events == pytest.approx(events, rel=1e-9)
        assert all(0.0 <= s.efficiency <= 1.0 for s in steps)
    assert [s.step for s in point.efficiency.s1] == [
        "aprime_to_chi1_chi2", "ecal", "decay", "chi2_to_ee", "hcal", "r", "residual_efficiency"
    ]  # fmt: skip
    assert point.efficiency.s1[5].efficiency == card.signal.r_efficiency.value


def test_aprimes_go_as_epsilon_squared_and_the_flight_as_its_inverse(card):
    """Analytic; the mean energy of chi2 is E1 E2 kinematics: E_A' (M^2 + m2^2 - m1^2)/(2 M^2) on average."""
    one, two = (explain(card, mass_GeV=0.1, epsilon=epsilon) for epsilon in (1e-3, 2e-3))
    assert two.n_aprime == pytest.approx(4.0 * one.n_aprime, rel=1e-9)
    assert two.mean_chi2_energy_GeV == pytest.approx(one.mean_chi2_energy_GeV, rel=1e-12)
    assert two.mean_decay_length_cm == pytest.approx(one.mean_decay_length_cm / 4.0, rel=1e-9)
    made = SignalModel(card).production(0.1)
    mean = sum(p.energy * p.weight for p in made) / sum(p.weight for p in made)
    share = (0.1**2 + one.chi2_mass_GeV**2 - one.chi1_mass_GeV**2) / (2.0 * 0.1**2)
    assert one.mean_chi2_energy_GeV == pytest.approx(share * mean, rel=1e-6)
    assert one.mean_decay_length_cm > one.chi2_ctau_cm
    assert explain(card, mass_GeV=0.005, epsilon=1e-3).mean_decay_length_cm is None


def test_the_deciding_factor(card):
    few = explain(card, mass_GeV=0.5, epsilon=1e-5)
    assert few.deciding_factor == "production"
    assert few.n_aprime < few.upper_limit
    # far above the upper edge chi2 decays too early
    early = explain(card, mass_GeV=0.5, epsilon=3e-2)
    assert early.n_aprime > 100.0 * early.upper_limit
    assert early.deciding_factor == "decay"
    assert early.verdict.startswith("not excluded")
    assert "enough" in early.verdict
    long_lived = explain(card, mass_GeV=0.02, epsilon=1e-3)
    assert long_lived.deciding_factor == "ecal"
    assert long_lived.verdict.startswith("excluded")


def test_what_decides_turns_the_verdict(card):
    """An excluded point becomes allowed when its deciding factor is smaller by more than is said."""
    point = explain(card, mass_GeV=0.2, epsilon=2e-3)
    assert point.excluded
    assert point.deciding_factor == "ecal"
    margin = float(point.verdict.split("could be ")[1].split(" times")[0])
    other, this = point.n_signal.s1, point.n_signal.s2
    assert other + this / (0.98 * margin) > point.upper_limit > other + this / (1.02 * margin)


def test_explain_changes_and_errors(card, caplog):
    tungsten = explain(card, mass_GeV=0.1, epsilon=1e-3, material="W", beam_energy_GeV=150.0)
    assert tungsten.cross_section_pb.etl != explain(card, mass_GeV=0.1, epsilon=1e-3).cross_section_pb.etl
    stable = explain(card, mass_GeV=0.005, epsilon=1e-3)
    assert stable.chi2_ctau_cm is None
    assert stable.branching_ee == 0.0
    assert "Landau" not in caplog.text
    explain(card, mass_GeV=0.1, epsilon=1e-3, alpha_dark=0.5)
    assert "Landau" in caplog.text
    for bad in (
        {"epsilon": 0.0},
        {"epsilon": math.nan},
        {"epsilon": 1e200},
        {"mass_GeV": -0.1},
        {"mass_GeV": math.nan},
        {"relative_splitting": 1.2},
        {"relative_splitting": math.nan},
        {"alpha_dark": math.inf},
        {"beam_energy_GeV": math.nan},
        {"beam_energy_GeV": 0.5},
    ):
        with pytest.raises(ConfigError):
            explain(card, **({"mass_GeV": 0.1, "epsilon": 1e-3} | bad))
    caplog.clear()
    explain(card, mass_GeV=5.0, epsilon=1e-3)
    assert "outside the validated" in caplog.text
    assert "100 GeV beam for one of" not in caplog.text
    # the cuts on the ECAL lie above this beam energy: every A' passes them
    assert explain(card, mass_GeV=0.1, epsilon=1e-3, beam_energy_GeV=40.0).n_signal.total > 0.0
    assert "background and cuts of the 100 GeV beam for one of 40 GeV" in caplog.text
    with pytest.raises(ConfigError, match="cannot be produced"):
        explain(card, mass_GeV=2000.0, epsilon=1e-3)


def test_a_signal_too_small_for_doubles_is_none(monkeypatch, card):
    """A strength of 1e-310 has an inverse that is infinite: no signal, and no warning."""
    monkeypatch.setattr(Exclusion, "strength", lambda self, mass, eps: np.full(len(eps), 1e-310))
    monkeypatch.setattr(
        Exclusion,
        "strengths",
        lambda self, events, varied, **_: {"observed": np.full(len(events), 1e-310)},
    )
    plane = planes.scan(card)
    assert {mu for row in plane.upper_limit_mu for mu in row} == {None}
    assert plane.contours == []


# Varied sources of a simulated signal


def varied_exclusion() -> tuple[Exclusion, SignalSamples]:
    """Two sources on a sample of one event in each signature, 3 expected in S1 and 7 in S2, at 0.39 GeV."""
    data = load_card(
        overrides=[
            "signal.acceptance=simulation",
            "signal.effective_events_min=0.5",
            "signal.residual=rest",  # the expected numbers are those of the sample
            "systematics.in_limit=varied",
        ]
    ).model_dump()
    size = {"value": 0.1, "provenance": "user", "source": "a test"}
    source = {"kind": "scale", "columns": ["ecalTotal"], "size": size}
    data["systematics"]["sources"] = {"one": source, "two": source}
    card = Card.model_validate(data)

    def effect(source: str, signature: str, nominal: float, up: float, down: float) -> SystematicEffect:
        return SystematicEffect(
            source=source, kind="scale", size=0.1, period="2018", signature=signature, nominal=nominal, up=up,
            up_shift_error=0.1, down=down, down_shift_error=0.1, relative=None, relative_error=None,
        )  # fmt: skip

    effects = [
        effect("one", "S1", 3.0, 3.6, 2.7),
        effect("one", "S2", 7.0, 6.3, 7.7),
        effect("two", "S1", 3.0, 3.0, 3.0),
        effect("two", "S2", 7.0, 11.2, 6.3),
    ]
    truth = {
        "mc_flight_length_cm": 250.0,
        "mc_gamma_beta": 300.0,
        "mc_production_cm[2]": 5.0,
        "mc_chi2_GeV[0]": 54.6,
        "mc_chi2_GeV[3]": 54.6,
        "mc_aprime_GeV[0]": 80.0,
        "mc_electron_GeV[0]": 10.0,
        "mc_positron_GeV[0]": 10.0,
    }
    selected = {
        signature: {name: [value] for name, value in truth.items()}
        | {"weight": [weight], "period": [2.0], "mc_decay_volume": [volume]}
        for signature, weight, volume in (("S1", 3.0, 3.0), ("S2", 7.0, 5.0))
    }
    exposure = card.exposure()
    area = Exclusion(card, card_counts(card, exposure), exposure)
    samples = area.at_mass(0.39)
    samples.samples.append(SignalSample(card, Signal(0.39, 6e-3), selected, effects=effects))
    return area, samples


@pytest.mark.parametrize("epsilon", [6e-3, 7e-3])
def test_varied_sources_of_a_sample_enter_the_limit_with_their_signs(epsilon):
    """Reference: the numbers of the two events by hand. Where S1 and S2 move apart, their shifts cancel."""
    area, samples = varied_exclusion()
    s1, s2 = area.expected(samples, [epsilon])[0]
    assert len(samples.samples) == 1
    if epsilon == 6e-3:
        assert (s1, s2) == pytest.approx((3.0, 7.0))
    else:
        assert s1 / s2 != pytest.approx(3.0 / 7.0, rel=0.05)
    r1, r2 = s1 / 3.0, s2 / 7.0
    one = (abs(0.6 * r1 - 0.7 * r2) + abs(-0.3 * r1 + 0.7 * r2)) / (2.0 * (s1 + s2))
    two = (4.2 * r2 + 0.7 * r2) / (2.0 * (s1 + s2))
    found = area.varied_sources(samples, epsilon)
    assert {name: relative for name, (relative, _) in found.items()} == pytest.approx(
        {"one": one, "two": two}
    )
    assert found["two"][1] == pytest.approx(math.hypot(*[0.1 * r1, 0.1 * r2] * 2) / (2.0 * (s1 + s2)))
    model = area.model(samples, epsilon)
    published = {"form_factor": 0.1, "dimuon_yield": 0.1, "width": 0.01}  # not `other`
    sizes = {name: source.uncertainty for name, source in model.sources.items()}
    assert sizes == pytest.approx(published | {"one": one, "two": two})
    # The plane interpolates between sizes and shares; with the uncertainty of the card it is 0.6 % off.
    exact = limits.upper_limit(model, expected=False).upper_limit
    assert area.strength(samples, np.array([epsilon]))[0] == pytest.approx((s1 + s2) / exact, rel=5e-4)
    own = area.limit.exact(s1 / (s1 + s2))
    assert own != pytest.approx(exact, rel=2e-3)


def test_a_sample_without_a_source_is_refused_and_the_chain_warns(caplog):
    area, samples = varied_exclusion()
    card = load_card(overrides=["signal.acceptance=simulation", "systematics.in_limit=varied"])
    area.card = card  # its nine sources were not varied
    with pytest.raises(ConfigError, match="was not varied by ecal_scale"):
        area.varied_sources(samples, 6e-3)
    warn_of_published_sources(card)
    assert not caplog.records
    warn_of_published_sources(load_card(overrides=["systematics.in_limit=varied"]))
    assert "published uncertainties are taken" in caplog.text
