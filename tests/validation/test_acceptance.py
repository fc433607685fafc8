"""Acceptance of the simulated signal against the semi-analytic chain at M = 0.39 GeV, epsilon = 6e-3.

self: both are ours. The chain has sharp cuts on the truth, decays in HCAL2 and HCAL3 (S1) or behind (S2), and
an R efficiency of 0.52; each step from there to the simulation is measured by the simulation's own truth, and
their product must give what the selection of a simulated file gives. Errors are statistical; a comparison at
3 standard errors has a false alarm of 3e-3, and seeds are fixed.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pytest

from na64root import _core, load_card
from na64root.errors import ConfigError
from na64root.signal import Parameters, expected_signal
from na64root.simulation import acceptance, core_config
from na64root.simulation.core_config import Signal
from na64root.simulation.sample import SignalSample
from na64root.work import Work

CARD = load_card()
POINT = Signal(0.39, 6e-3)
EVENTS = 200_000
SEMI_ANALYTIC = dict(zip(("S1", "S2"), expected_signal(CARD, [0.39], [6e-3])[0, 0], strict=True))


@pytest.fixture(scope="module")
def small() -> acceptance.Acceptance:
    return acceptance.efficiency(CARD, POINT, events=20_000, work=Work(threads=2))


@pytest.fixture(scope="module")
def simulated() -> acceptance.Acceptance:
    return acceptance.efficiency(CARD, POINT, events=100_000, work=Work(threads=2))


def forced(volume):
    config = core_config.event_config(_core, CARD, POINT, forced=volume, events=EVENTS)
    names = acceptance._R_COLUMNS | {"mc_aprime_GeV", "mc_electron_GeV", "mc_positron_GeV"}
    return _core.EventGenerator(config).generate(1, 0, EVENTS, 2, names)


def total(events, chosen):
    weight = events["mcWeight"][chosen]
    return float(weight.sum()), math.sqrt(float((weight**2).sum()))


def upstream_and_veto(events):
    veto = _core.veto_energy(events["VETO_ene"], 0.3)
    steps = {
        "preshower": np.asarray(events["isTriggerPhysics"], dtype=bool) & (events["ecal0"] > 0.4),
        "beam_cell": _core.leading_ecal_cell(events["ECAL_ene"]) == 21,
        "veto": veto < 0.01,
        "shower_chi2": events["showerChi2"] < 10.0,
    }
    return steps


@pytest.mark.parametrize(("signature", "ratio"), [("S1", 1.48), ("S2", 1.85)])
def test_the_selected_signal_beside_that_of_the_chain(small, signature, ratio):
    """As found (self); what makes the ratio is measured step by step in the slow tests below."""
    result, chain = small.of(signature), SEMI_ANALYTIC[signature]
    assert result.error < 0.1 * result.expected
    assert result.expected / chain == pytest.approx(ratio, abs=3 * result.error / chain + 0.02)


@pytest.mark.slow
def test_s1_is_the_semi_analytic_chain_with_each_difference_measured(simulated):
    events = forced("signal")
    pair = events["mc_electron_GeV"][:, 0] + events["mc_positron_GeV"][:, 0]
    truth = (events["mc_aprime_GeV"][:, 0] > 15.0) & (pair > 15.0)
    value, error = total(events, truth)
    # With the cuts of the chain on the truth, the chain: 0.5 % for grouped energies and the beam's spread.
    chain = SEMI_ANALYTIC["S1"] / CARD.signal.r_efficiency.value
    assert value == pytest.approx(chain, abs=3 * error + 0.005 * chain)
    steps = upstream_and_veto(events)
    steps["hcal"] = (events["hcal0"] < 1.0) & (events["hcal1"] + events["hcal2"] > 15.0)
    steps["ecal"] = events["ecalTotal"] < 85.0
    kept = {name: total(events, truth & passed)[0] / value for name, passed in steps.items()}
    # Losses that the chain does not have, as found (self): a tail of x near 1 leaves too little in the
    # preshower and no largest cell; the beam is wider than its cell; the HCAL leaks at its end.
    assert kept["preshower"] == pytest.approx(0.787, abs=0.02)
    assert kept["beam_cell"] == pytest.approx(0.918, abs=0.02)
    assert kept["hcal"] == pytest.approx(0.917, abs=0.02)
    assert min(kept["veto"], kept["shower_chi2"], kept["ecal"]) > 0.98
    passed = np.logical_and.reduce(list(steps.values()))
    inside, inside_error = total(events, passed)
    # Pairs just below 15 GeV that read above it: 5 % more.
    assert total(events, passed & ~truth)[0] / inside == pytest.approx(0.054, abs=0.02)
    s1 = simulated.of("S1")
    # The selection of the file: the same decays, and those in the gap before HCAL2 and the end of HCAL1.
    middle = s1.by_volume["hcal2"] + s1.by_volume["hcal3"]
    gap = s1.expected - inside
    assert 0.02 < gap / s1.expected < 0.12
    assert s1.by_volume["hcal1"] / s1.expected < 0.05
    assert sum(s1.by_volume.values()) == pytest.approx(s1.expected, rel=1e-9)
    assert middle > inside - 3 * math.hypot(s1.error, inside_error)
    # All together: the R efficiency of 0.52 is missing, a quarter of the rest is lost.
    assert s1.expected / SEMI_ANALYTIC["S1"] == pytest.approx(
        1.48, abs=3 * s1.error / SEMI_ANALYTIC["S1"] + 0.02
    )


@pytest.mark.slow
def test_s2_has_the_decays_in_the_ecal_besides(simulated):
    """A chi2 that decays in the ECAL leaves its pair there and both chi1 carry energy away: below 50 GeV in
    the ECAL that is S2 as well. The chain counts decays behind HCAL3 only."""
    events = forced("beyond")
    truth = events["mc_aprime_GeV"][:, 0] > 50.0
    value, error = total(events, truth)
    chain = SEMI_ANALYTIC["S2"]
    assert value == pytest.approx(chain, abs=3 * error + 0.005 * chain)
    steps = upstream_and_veto(events)
    steps["hcal"] = events["hcal0"] + events["hcal1"] + events["hcal2"] < 1.0
    steps["ecal"] = events["ecalTotal"] < 50.0
    passed = np.logical_and.reduce(list(steps.values()))
    inside, inside_error = total(events, passed)
    assert inside / value == pytest.approx(0.750, abs=0.02)
    s2 = simulated.of("S2")
    beyond = s2.by_volume["beyond"]
    # Within 3 standard errors of the unforced sample, of which these are two fifths.
    assert beyond == pytest.approx(inside, abs=3 * math.hypot(s2.error * math.sqrt(0.4), inside_error))
    assert s2.by_volume["ecal"] / s2.expected == pytest.approx(0.54, abs=0.05)
    assert (beyond + s2.by_volume["ecal"]) / s2.expected > 0.93


def test_errors_are_those_of_the_sample(small):
    for result in small.signatures:
        flow = {step.cut: step for step in result.cut_flow}
        expected = [step.expected for step in result.cut_flow]
        assert next(iter(flow)) == "initial"
        assert (np.diff(expected) <= 0).all()
        assert flow["initial"].expected == pytest.approx(small.produced, rel=1e-9)
        assert flow["initial"].events == small.events
        for cut in ("pile_up", "straw", "srd", "momentum"):  # the residual efficiency
            assert flow[cut].events == result.cut_flow[list(flow).index(cut) - 1].events
        last = result.cut_flow[-1]
        assert 0.5 * last.events < last.effective_events <= last.events
        assert last.error == pytest.approx(last.expected / math.sqrt(last.effective_events))
        assert result.acceptance == pytest.approx(last.expected / small.produced)
        # Between the binomial error and the Poisson one, both of effective events.
        assert 0.9 < result.acceptance_error / (result.acceptance * last.error / last.expected) <= 1.0


def test_errors_describe_repeated_samples():
    """Spread of 12 samples against the stated error: chi2 between its quantiles of 1e-3 and 1 - 1e-3.

    False alarm 2e-3, seeds fixed."""
    values, errors = [], []
    for seed in range(12):
        result = acceptance.r_efficiency(
            CARD, Signal(0.3, 5e-3), "single_core", events=5000, work=Work(seed=seed)
        )
        values.append(result.efficiency)
        errors.append(result.error)
    chi2 = np.sum(((np.array(values) - np.mean(values)) / errors) ** 2)
    assert 1.83 < chi2 < 31.3  # 11 degrees of freedom


@pytest.mark.slow
def test_what_the_r_cut_takes():
    """The paper: 52 % on average, 45 % at least. With the core of two cells in 2018 nearly nothing is lost;
    with one cell for the off-centre HCAL3 the 2018 number comes near the paper's. Reported, not tuned."""
    causes = (None, "hcal3", "single_core", "noise", "width", "spot", "angles", "all")
    found = {
        cause: acceptance.r_efficiency(CARD, POINT, cause, events=30_000, work=Work(threads=2))
        for cause in causes
    }
    for cause in causes:
        if cause != "single_core":
            assert found[cause].efficiency > 0.995
    assert found["all"].efficiency == 1.0
    single = found["single_core"]
    assert single.efficiency == pytest.approx(0.734, abs=0.04)
    assert single.by_period["2018"] == pytest.approx(0.598, abs=0.05)
    assert single.by_period["2016"] > 0.99
    lower = acceptance.r_efficiency(
        CARD, Signal(0.05, 1e-2), "single_core", events=30_000, work=Work(threads=2)
    )
    assert 0.38 < lower.by_period["2018"] < 0.47


@pytest.mark.slow
def test_the_papers_r_efficiency_from_geometry_alone():
    """The paper: 52 % on average, 45 % at least (independent, for models that it does not list).

    HCAL3 half a cell off and one core cell, nothing else: the average is that of the models chosen here, all
    of f = 0.4, and moves by 0.05 with them; each value has an error of 0.015. With the two core cells of the
    data the same events lose nothing.
    """
    grid = [(0.05, 1e-2), (0.1, 2e-2), (0.2, 2e-3), (0.2, 1e-2), (0.3, 3e-3), (0.39, 3e-3), (0.39, 6e-3)]

    def efficiencies(name: str) -> list[float]:
        card = load_card(name)
        return [
            acceptance.r_efficiency(card, Signal(*point), events=15_000, work=Work(threads=2)).efficiency
            for point in grid
        ]

    paper_mc = efficiencies("paper_mc")
    assert np.mean(paper_mc) == pytest.approx(0.52, abs=0.05)
    assert min(paper_mc) == pytest.approx(0.45, abs=0.05)
    assert min(efficiencies("best")) > 0.999


@functools.cache
def sample_at_the_point(events: int) -> SignalSample:
    return SignalSample.make(CARD, POINT, events=events, work=Work(threads=2))


def test_a_sample_at_its_own_point(small):
    sample = sample_at_the_point(20_000)
    here = sample.expected([6e-3])
    for j, signature in enumerate(("S1", "S2")):
        result = small.of(signature)
        assert here.expected[0, j] == pytest.approx(result.expected, rel=1e-9)
        assert here.error[0, j] == pytest.approx(result.error, rel=1e-9)
        assert here.effective[0, j] == pytest.approx(result.effective_events, rel=1e-9)
    # A far point is known by few events, and the effective number says so.
    far = sample.expected([1e-3, 3e-2])
    assert far.effective[0, 1] < 0.12 * here.effective[0, 1]
    assert far.effective[1, 0] < 0.05 * here.effective[0, 0]
    with pytest.raises(ConfigError, match="not reweighted"):
        SignalSample.make(CARD, Signal(0.39, 6e-3, "visible"))


@pytest.mark.parametrize(
    ("epsilon", "alpha_dark", "events"),
    [
        (5e-3, 0.15, 20_000),
        *(
            pytest.param(*point, 60_000, marks=pytest.mark.slow)
            for point in ((4.5e-3, 0.1), (8e-3, 0.1), (6e-3, 0.15))
        ),
    ],
)
def test_one_sample_serves_the_points_near_it(epsilon, alpha_dark, events):
    """Reweighted against simulated there (self), 3 standard errors: false alarm 3e-3 for each of 8."""
    reweighted = sample_at_the_point(events).expected([epsilon], alpha_dark=alpha_dark)
    there = Signal(0.39, epsilon, parameters=dataclasses.replace(Parameters.of(CARD), alpha_dark=alpha_dark))
    direct = acceptance.efficiency(CARD, there, events=events, work=Work(seed=2, threads=2))
    for j, signature in enumerate(("S1", "S2")):
        result = direct.of(signature)
        error = math.hypot(reweighted.error[0, j], result.error)
        assert reweighted.expected[0, j] == pytest.approx(result.expected, abs=3 * error)
        assert reweighted.effective[0, j] > events / 200
