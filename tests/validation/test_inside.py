"""S2 of decays inside the detector: the chain against the simulation, which is the judge, and limits of both.

False alarm 3e-3 for each comparison with a sample; seeds are fixed.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from na64root import _core, load_card
from na64root.errors import ConfigError
from na64root.ntuple import period_index
from na64root.selection import cut_table
from na64root.signal import SignalAtMass, SignalModel
from na64root.signal.experiment import detector_config
from na64root.simulation.core_config import Signal, event_config, event_generator
from na64root.simulation.sample import decay_ranges

CARD = load_card()
BENCHMARK = (0.39, 6e-3)
CUTS = ("trigger", "beam_cell", "preshower", "ecal", "veto", "hcal", "shower_chi2")
COLUMNS = {
    "run", "mc_weight_per_electron", "isPhysics", "isTriggerPhysics", "isOnSpill", "isCalibration",
    "ECAL_ene", "ecal0", "ecalTotal", "VETO_ene", "hcal0", "hcal1", "hcal2", "showerChi2",
}  # fmt: skip
# Relative, of the tables of the chain and of its grids (self: larger tables move the yields by less).
TABLES = 0.005


@pytest.fixture(scope="module")
def signal() -> SignalModel:
    return SignalModel(CARD)


@pytest.fixture(scope="module")
def benchmark_point(signal) -> SignalAtMass:
    return signal.at_mass(0.39)


def simulated(mass: float, epsilon: float, events: int, seed: int) -> tuple[float, float]:
    """Selected S2 per electron on target and its statistical error; decays forced in four ranges of z."""
    total = square = 0.0
    point = Signal(mass, epsilon)
    for i, (place, share) in enumerate(zip(decay_ranges(CARD), (0.5, 0.1, 0.1, 0.3), strict=True)):
        n = round(share * events)
        config = event_config(_core, CARD, point, forced=place)
        data = event_generator(config, point).generate(seed, i * events, n, 2, COLUMNS)
        period = period_index(CARD, data["run"], np.zeros_like(data["run"]), good=False)
        derived = cut_table.definitions(CARD.for_simulation, data.keys())
        cuts = cut_table.predicates(CARD, "S2")
        columns = dict(data)
        for name in ("na64_leading_cell", "na64_veto"):
            columns[name] = derived[name].of(data, period)
        passed = np.logical_and.reduce([cuts[name].of(columns, period) for name in CUTS])
        weight = data["mc_weight_per_electron"][passed] / n
        total, square = total + weight.sum(), square + (weight**2).sum()
    return total, math.sqrt(square)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mass", "epsilon"),
    [
        (0.05, 1e-5), (0.05, 1e-2), (0.05, 1e-1), (0.1, 3e-2), (0.2, 1e-2),
        (0.39, 6e-3), (0.39, 2e-2), (0.7, 1e-2), (1.0, 1e-1), (1.5, 3e-2),
    ],
)  # fmt: skip
def test_chain_and_simulation_agree(signal, mass, epsilon):
    at_mass = signal.at_mass(mass)
    value, error = simulated(mass, epsilon, 80_000, seed=12)
    chain = float(at_mass.s2_inclusive([epsilon])[0]) * at_mass.electrons_kept
    assert abs(chain - value) < 3.0 * math.hypot(error, TABLES * value)


def test_chain_and_simulation_agree_where_the_inside_decides(benchmark_point):
    """The same at one point with fewer events, and that decays inside make most of it there."""
    epsilon = 1e-2
    value, error = simulated(0.39, epsilon, 12_000, seed=13)
    inclusive = float(benchmark_point.s2_inclusive([epsilon])[0])
    assert abs(inclusive * benchmark_point.electrons_kept - value) < 3.0 * math.hypot(error, TABLES * value)
    assert inclusive > 5.0 * benchmark_point.per_electron([epsilon])[0, 1]


@pytest.mark.parametrize(("mass", "epsilon"), [(0.005, 1e-1), (0.39, 1e-5), (0.05, 1e-4)])
def test_a_long_lived_chi2_gives_what_decays_behind(signal, mass, epsilon):
    """Analytic: stable, or with a decay length of kilometres, nothing decays inside; 1e-4 of the flight."""
    at_mass = signal.at_mass(mass)
    inclusive, beyond = at_mass.s2_inclusive([epsilon])[0], at_mass.per_electron([epsilon])[0, 1]
    assert inclusive == pytest.approx(beyond, rel=2e-4)
    assert inclusive >= beyond * (1.0 - 1e-12)


def test_a_prompt_chi2_gives_pairs_in_the_ecal_alone(signal):
    """Analytic: c tau -> 0 leaves A' with E_A' - E_pair above the cut, but for what the preshower decides.

    The chain's own spectrum of A', folded here with the pair's; 3 %: the ECAL's resolution and the preshower.
    """
    at_mass = signal.at_mass(1.0)
    flux, decay = at_mass._bremsstrahlung.chi2, at_mass._decay
    above = flux.aprime_energy > 50.0
    energy, spare = flux.chi2_energy[above], flux.aprime_energy[above] - 50.0
    below = np.array(
        [1.0 - decay.fraction_above(s, np.array([e]))[0] for s, e in zip(spare, energy, strict=True)]
    )
    # A pair in the preshower keeps what soft recoils lose: beam cell and shower chi2 alone are left.
    others = float(signal.s2_tables.electrons.kept(60.0, 40.0))
    expected = float((flux.weight[above] * below).sum()) * others / at_mass.electrons_kept
    branching = at_mass.produced(1.0) / at_mass.produced_to_anything(1.0)
    assert at_mass.s2_inclusive([1.0])[0] == pytest.approx(
        expected * branching * at_mass._branching_ee, rel=0.03
    )


def test_losses_of_pairs_at_their_ends(signal):
    pairs = signal.s2_tables.pairs
    # Absorbed where it starts; 38 radiation lengths of lead hold a pair of 10 GeV
    assert pairs(10.0, 2.0) > 0.99
    # at the very end of the ECAL or inside an HCAL module all of it is seen, at the end of the last nothing
    assert pairs(10.0, 44.9) < 0.01
    assert pairs(10.0, 300.0) == 0.0
    assert pairs(10.0, 530.0) == 1.0
    # below the HCAL cut, no VETO before it; in front of the VETO a pair fires it
    assert pairs(0.3, 300.0) > 0.95
    assert pairs(2.0, 47.0) < 0.05
    places = np.linspace(0.0, 44.0, 45)
    for energy in (1.0, 5.0, 20.0):
        assert (np.diff(pairs(energy, places)) < 0.05).all()  # later starts leak more
    with pytest.raises(ValueError, match="a pair needs an energy above zero"):
        pairs(0.0, 2.0)


def test_losses_of_electrons(signal):
    electrons = signal.s2_tables.electrons
    recoils = np.array([0.05, 0.3, 2.0, 10.0, 30.0])
    kept = electrons.kept(97.0, recoils)
    # Hard recoils shower in the preshower; then beam cell (analytic: a Gaussian spot in a square cell) and
    # shower chi2 (analytic: log-normal) are left, but for A' made behind the preshower; 1 % for statistics.
    cell, spot = CARD.detector.ecal_cell_cm.value, CARD.detector.beam_spot_cm.value
    in_cell = math.erf(0.5 * cell / spot / math.sqrt(2.0)) ** 2
    chi2 = 0.5 * (1.0 + math.erf(math.log(10.0 / 2.5) / 0.6 / math.sqrt(2.0)))
    assert 0.96 * in_cell * chi2 < kept[-1] < 1.01 * in_cell * chi2
    assert kept[0] < 0.9 * kept[-1]
    # A pair next to the place of production adds to the preshower, one far behind it does not
    near, far = electrons.kept_with_pair(97.0, 0.3, 20.0, np.array([0.0, 10.0]))
    assert near > far == pytest.approx(electrons.kept(97.0, 0.3), rel=1e-12)


@pytest.mark.parametrize("change", ["geometry.veto_cm=56", "geometry.hcal1_start_cm=54"])
def test_calorimeters_that_overlap_have_no_inclusive_reading(change):
    card = load_card(overrides=[change])
    at_mass = SignalModel(card).at_mass(0.39)
    assert at_mass.s2_inclusive([6e-3]) is None
    assert (at_mass.per_electron([6e-3]) > 0.0).all()
    for reading in ("signal.s2=inclusive", "signal.residual=rest"):
        other = SignalModel(load_card(overrides=[change, reading])).at_mass(0.39)
        with pytest.raises(ConfigError, match="decays inside the detector cannot be selected here"):
            other.per_electron([6e-3])


def test_readings_of_the_card(benchmark_point):
    epsilon = np.array([1e-3, 6e-3, 1e-2])
    paper = benchmark_point.per_electron(epsilon)
    card = load_card(overrides=["signal.s2=inclusive"])
    inclusive = SignalModel(card).at_mass(0.39)
    found = inclusive.per_electron(epsilon)
    np.testing.assert_allclose(found[:, 0], paper[:, 0], rtol=1e-12)
    np.testing.assert_allclose(found[:, 1], benchmark_point.s2_inclusive(epsilon), rtol=1e-12)
    # the steps of the chain end where the chain does
    steps = inclusive.efficiencies(6e-3)["S2"]
    assert inclusive.produced(6e-3) * math.prod(steps.values()) == pytest.approx(found[1, 1], rel=1e-9)
    # the residual efficiency without the cuts on the electron: they are computed
    rest = SignalModel(load_card(overrides=["signal.residual=rest"])).at_mass(0.39)
    kept = benchmark_point.electrons_kept
    assert 0.7 < kept < 0.95
    np.testing.assert_allclose(rest.per_electron(epsilon), kept * paper, rtol=1e-12)
    np.testing.assert_allclose(
        rest.s2_inclusive(epsilon), kept * benchmark_point.s2_inclusive(epsilon), rtol=1e-12
    )


def test_tables_say_what_they_cannot_do():
    detector, cuts = detector_config(_core, CARD), _core.S2Cuts()
    with pytest.raises(ValueError, match="largest energy of a pair"):
        _core.PairLosses(detector, cuts, 0.01)
    with pytest.raises(ValueError, match="losses of electrons need samples"):
        _core.ElectronLosses([], cuts, [50.0, 100.0], 10)
