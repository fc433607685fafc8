"""Samples reweighted and made again: against samples at the point itself (self), 3 standard errors.

False alarm 3e-3 for each comparison; seeds are fixed.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from na64root import _core, load_card
from na64root.errors import ConfigError, ConvergenceError
from na64root.exclusion.explain import explain
from na64root.exclusion.planes import scan
from na64root.signal import Parameters, SignalModel, expected_signal
from na64root.simulation.core_config import Signal
from na64root.simulation.sample import (
    COVERED_MIN,
    RANGE_SHARES,
    Reweighted,
    SignalSample,
    _PairSpectrum,
    decay_ranges,
)
from na64root.simulation.samples import SignalSamples
from na64root.work import Work

CARD = load_card()
SIMULATED = load_card(overrides=["signal.acceptance=simulation"])
OWN = Parameters.of(CARD)


def make(point: Signal, *, seed: int = 1, events: int = 40_000) -> SignalSample:
    ranges = decay_ranges(CARD)
    return SignalSample.make(
        CARD, point, events=events, forced=ranges, shares=RANGE_SHARES, work=Work(seed=seed, threads=2)
    )


def direct(epsilon: float, splitting: float = OWN.relative_splitting) -> Reweighted:
    parameters = dataclasses.replace(OWN, relative_splitting=splitting)
    return make(Signal(0.39, epsilon, parameters=parameters), seed=2).expected([epsilon])


def agree(found: Reweighted, reference: Reweighted) -> None:
    error = np.hypot(found.error, reference.error)
    assert (np.abs(found.expected - reference.expected) < 3.0 * error).all()


@pytest.fixture(scope="module")
def sample() -> SignalSample:
    return make(Signal(0.39, 6e-3))


def test_ranges_of_decays_together_are_all_decays(sample):
    unforced = SignalSample.make(CARD, Signal(0.39, 6e-3), events=40_000, work=Work(seed=2, threads=2))
    agree(sample.expected([6e-3]), unforced.expected([6e-3]))


@pytest.mark.slow
@pytest.mark.parametrize(("splitting", "epsilon"), [(0.39, 4e-3), (0.42, 6e-3), (0.42, 4e-3)])
def test_a_sample_serves_other_splittings(sample, splitting, epsilon):
    found = sample.expected([epsilon], relative_splitting=splitting)
    assert found.covered > COVERED_MIN
    assert found.effective.min() > 400
    reference = direct(epsilon, splitting)
    agree(found, reference)
    if epsilon == 4e-3:  # where the lifetime matters: without the reweighting many errors off
        same = sample.expected([epsilon])
        assert np.abs((same.expected - reference.expected) / reference.error).max() > 4.0


def test_decays_that_a_sample_cannot_have_are_told(sample):
    """chi2 of a smaller splitting reaches energies that the sample's masses forbid; so do larger pairs."""
    assert sample.expected([6e-3]).covered == 1.0
    covered = [sample.expected([6e-3], relative_splitting=f).covered for f in (0.36, 0.38, 0.42, 0.45)]
    assert covered[0] < covered[1] < 1.0
    assert covered[3] < covered[2] < 1.0
    # analytic: of the chi2 energies, flat between (E -+ p)/M, the part at a splitting of 0.36 outside 0.40's
    ends = []
    for f in (0.36, 0.40):
        m1, m2 = 1.0 / 3.0, (1.0 + f) / 3.0
        energy = (1.0 + m2**2 - m1**2) / 2.0
        momentum = math.sqrt(energy**2 - m2**2)
        ends.append((energy - momentum, energy + momentum))
    (low, high), (sample_low, sample_high) = ends
    inside = (min(high, sample_high) - max(low, sample_low)) / (high - low)
    assert covered[0] == pytest.approx(inside, rel=1e-9)  # pairs are softer there


def test_pairs_that_nothing_sees_keep_their_weight(sample):
    ratio, _ = sample._kinematics(dataclasses.replace(OWN, relative_splitting=0.42))
    seen = sample._seen
    # Of chi2 alone: a ratio of two widths, or 0 outside; a pair that is seen has a ratio of its own.
    assert len(np.unique(ratio[~seen])) <= 2
    assert len(np.unique(ratio[seen])) > 0.5 * np.count_nonzero(seen)


def test_samples_are_made_where_those_there_are_too_small():
    samples = SignalSamples(SIMULATED, 0.39, work=Work(threads=2))
    minimum = SIMULATED.signal.effective_events_min.value
    here = samples.at(6e-3)
    agree(here, direct(6e-3))
    for epsilon in (3e-4, 2e-3, 8e-3):  # one sample is enough for a factor of 25
        assert samples.at(epsilon).effective.min() >= minimum
    assert len(samples.samples) == 1
    far = samples.at(6e-2)  # the flight is 100 times shorter
    assert len(samples.samples) == 2
    assert far.effective[0, 1] >= minimum
    per_electron = samples.per_electron([6e-3, 0.0])
    # the card counts decays behind the detector; its residual efficiency stands for the electron's cuts too
    electrons = sum(p.eot.value * p.residual_efficiency.value for p in CARD.periods)
    kept = SignalModel(CARD).at_mass(0.39).electrons_kept
    counted = np.array([here.expected[0, 0], here.s2_beyond[0]])
    assert per_electron[0] * electrons * kept == pytest.approx(counted)
    assert (per_electron[1] == 0.0).all()
    assert samples.s2_inclusive([6e-3])[0] * electrons * kept == pytest.approx(here.expected[0, 1])
    assert here.expected[0, 1] > 2.0 * here.s2_beyond[0]
    other = dataclasses.replace(OWN, relative_splitting=0.5)
    assert samples.at(4e-3, other).covered == 1.0
    assert len(samples.samples) > 2


@pytest.mark.parametrize("splitting", [0.39, 0.42])
def test_the_spectrum_of_pairs_is_reweighted(splitting):
    """Decays of the core at the sample's splitting, weighted, against decays at the new one (self)."""
    spectra, shares = [], []
    for f in (OWN.relative_splitting, splitting):
        model = dataclasses.replace(OWN, relative_splitting=f).model(0.39, 6e-3)
        decay = _core.Chi2Decayer(model)
        energy = 1e3 * model.chi2_mass
        _, minus, plus = decay.sample(energy, 1, 0, 200_000)
        spectra.append(_PairSpectrum(decay, model))
        shares.append((minus[:, 0] + plus[:, 0]) / energy)
    old, new = shares
    weight = spectra[1].density(old) / spectra[0].density(old)
    assert weight.mean() == pytest.approx(1.0 - spectra[1].above(spectra[0].end), abs=3e-3)
    for cut in (0.1, 0.3, 0.42):
        found, expected = (weight * (old > cut)).mean(), (new > cut).mean()
        error = math.hypot(*(np.std(x) / math.sqrt(len(x)) for x in (weight * (old > cut), new > cut)))
        # 5 standard errors, false alarm 6e-7, and what is not covered
        assert abs(found - expected) < 5.0 * error + 2e-3
    without, change = (old > 0.42).mean(), (new > 0.42).mean()
    assert abs(without - change) > 5e-3


@pytest.mark.slow
def test_a_sample_that_has_lost_a_signature_is_not_asked_for_it():
    """At 6e-2 all chi2 decay in the ECAL: nothing of S1 is left to be reweighted to 6e-3."""
    samples = SignalSamples(SIMULATED, 0.39, work=Work(threads=2))
    samples.at(6e-2)
    assert (samples.samples[0].expected([6e-3]).effective == 0.0).all()
    agree(samples.at(6e-3), direct(6e-3))
    assert len(samples.samples) == 2


def test_a_signature_counts_by_the_chain_too():
    def found(s1: float, effective: float) -> Reweighted:
        return Reweighted(
            np.array([[s1, 5.0]]),
            np.zeros((1, 2)),
            np.array([[effective, 1000.0]]),
            s2_beyond=np.array([5.0]),
            s2_beyond_effective=np.array([1000.0]),
        )

    assert SignalSamples._weakest(found(0.0, 0.0), 2.0) == 0.0  # S1 is there, and the sample has lost it
    assert SignalSamples._weakest(found(0.0, 0.0), 0.01) == 1000.0
    assert SignalSamples._weakest(found(2.0, 30.0), 0.01) == 30.0


def test_chain_and_samples_read_the_residual_efficiency_alike():
    """Where nearly all chi2 decay behind the detector; 1 % for what only the simulation has (its beam)."""
    samples = SignalSamples(SIMULATED, 0.1, work=Work(threads=2))
    found = samples.at(1e-3)
    rest = load_card(overrides=["signal.residual=rest", "signal.acceptance=simulation"])
    for card in (CARD, rest):
        samples = SignalSamples(card, 0.1)
        simulated = float(samples._counted(found)[1]) / samples._electrons
        chain = float(SignalModel(card).at_mass(0.1).per_electron([1e-3])[0, 1])
        assert abs(simulated / chain - 1.0) < 3.0 / math.sqrt(float(found.s2_beyond_effective[0])) + 0.01


def test_where_nothing_is_counted_there_is_no_signal_and_no_error():
    """At 1 GeV and 0.1 every chi2 decays in the ECAL: the paper's S2 is empty, the inclusive one is not."""
    samples = SignalSamples(SIMULATED, 1.0, work=Work(threads=2))
    assert (samples.per_electron([0.1]) == 0.0).all()
    chain = SignalModel(CARD).at_mass(1.0)
    # 3 standard errors of 10 000 events, of which a third passes; false alarm 3e-3
    assert samples.s2_inclusive([0.1])[0] == pytest.approx(chain.s2_inclusive([0.1])[0], rel=0.06)
    assert SignalSamples(SIMULATED, 1.0, mode="invisible").s2_inclusive([0.1]) is None


def test_too_few_events_are_an_error_and_never_a_number():
    few = load_card(overrides=["signal.simulated_events=100", "signal.effective_events_min=1e5"])
    with pytest.raises(ConvergenceError, match=r"too few effective events at m_A' = 0.39 GeV"):
        SignalSamples(few, 0.39).at(6e-3)
    with pytest.raises(ConfigError, match="unphysical"):
        SignalSamples(SIMULATED, -1.0).at(6e-3)


def test_invisible_decays_scale_with_epsilon(sample):
    invisible = SignalSamples(SIMULATED, 0.39, mode="invisible", work=Work(threads=2))
    one, two = invisible.at(1e-4), invisible.at(2e-4)
    assert two.expected == pytest.approx(4.0 * one.expected, rel=1e-6)
    assert len(invisible.samples) == 1
    assert one.expected[0, 0] == 0.0
    # Where chi2 decays far behind the detector the semi-visible signal is the same, but for a few S1.
    far = sample.expected([1e-4])
    error = math.hypot(one.error[0, 1], far.error[0, 1])
    assert abs(far.expected[0, 1] - one.expected[0, 1]) < 3.0 * error
    assert far.expected[0, 0] < 1e-3 * far.expected[0, 1]


def test_explain_takes_the_acceptance_that_the_card_says():
    chain = explain(CARD, mass_GeV=0.39, epsilon=6e-3)
    assert chain.acceptance == "chain"
    simulated = explain(SIMULATED, mass_GeV=0.39, epsilon=6e-3, work=Work(threads=2))
    assert simulated.acceptance == "simulation"
    expected = direct(6e-3)
    kept = SignalModel(CARD).at_mass(0.39).electrons_kept
    reference = np.array([expected.expected[0, 0], expected.s2_beyond[0], expected.expected[0, 1]]) / kept
    error = np.hypot(0.05 * reference, 0.05 * reference)  # of both samples, at most
    events = simulated.n_signal
    found = np.array([events.s1, events.s2, events.s2_inclusive])
    assert (np.abs(found - reference) < 3.0 * error).all()
    assert expected_signal(CARD, [0.39], [6e-3])[0, 0] == pytest.approx(
        [chain.n_signal.s1, chain.n_signal.s2], rel=1e-9
    )


@pytest.mark.slow
def test_a_plane_of_the_simulation():
    """self: at small epsilon nearly all signal is S2 behind the detector, and the residual efficiency means
    the same in both. A yield is known to 1 %, and moved as much by the spread of the beam; epsilon, whose
    square counts, is known to half of that: 2 % are some four standard errors.
    """
    grid = ["plane.mass_points=2", "plane.epsilon_points=12", "plane.mass_min_GeV=0.02"]
    grid += ["plane.mass_max_GeV=0.1"]
    chain = scan(load_card(overrides=grid), expected=False)
    simulated = scan(
        load_card(overrides=[*grid, "signal.acceptance=simulation"]), expected=False, work=Work(threads=2)
    )
    for low, reference in zip(simulated.epsilon_low, chain.epsilon_low, strict=True):
        assert low == pytest.approx(reference, rel=0.02)


def test_annihilation_is_not_reweighted_to_another_width():
    """Its line has the width of the A', which follows alpha_D: a new sample is needed."""
    card = load_card(overrides=["model.annihilation=on"])
    made = SignalSample.make(card, Signal(0.2, 1e-3), events=300, work=Work(seed=1))
    assert made.expected([2e-3]).expected.sum() > 0.0
    with pytest.raises(ConfigError, match="annihilation"):
        made.expected([1e-3], alpha_dark=0.05)
