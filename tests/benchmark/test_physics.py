"""Speed of the physics. Each group is one run on one machine: read the ratios in brackets, not the times."""

import itertools

import numpy as np
import pytest

from na64root import _core, load_card
from na64root.signal import SignalModel

LEAD = _core.element("Pb")
MASSES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
ENERGIES = (5.0, 20.0, 50.0, 100.0, 300.0)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-4, 1e-6])
@pytest.mark.benchmark(group="total cross section, tree level, lead, 100 MeV, 100 GeV")
def test_total_cross_section(benchmark, tolerance):
    benchmark(_core.DarkBremsstrahlung(0.1, LEAD).total, 100.0, tolerance)


@pytest.mark.parametrize("coupling", ["vector", "axial", "scalar", "pseudoscalar"])
@pytest.mark.benchmark(group="total cross section by coupling, tree level, lead, 100 MeV, 100 GeV")
def test_total_cross_section_by_coupling(benchmark, coupling):
    kind = _core.Coupling.__members__[coupling]
    benchmark(_core.DarkBremsstrahlung(0.1, LEAD, coupling=kind).total, 100.0)


@pytest.mark.benchmark(group="total cross section, tree level, over masses and energies, to 1e-3")
def test_total_cross_section_over_the_range(benchmark):
    points = itertools.cycle(
        (_core.DarkBremsstrahlung(mass, LEAD), energy)
        for mass in MASSES
        for energy in ENERGIES
        if energy > 2 * mass
    )

    def setup():
        formula, energy = next(points)
        return (formula, energy), {}

    benchmark.pedantic(lambda formula, energy: formula.total(energy), setup=setup, rounds=200)


@pytest.mark.parametrize("approximation", ["etl", "ww", "iww"])
@pytest.mark.benchmark(group="60 masses x 20 energies")
def test_grid_of_cross_sections(benchmark, approximation):
    masses, energies = np.geomspace(0.001, 1.0, 60), np.geomspace(15.0, 100.0, 20)
    member = _core.Approximation.__members__[approximation]
    benchmark.pedantic(_core.total_cross_section, args=(masses, energies, LEAD, member), rounds=3)


@pytest.mark.benchmark(group="samples, 100 000 each")
def test_dark_brem_samples(benchmark):
    sampler = _core.DarkBremSampler(_core.DarkBremsstrahlung(0.1, LEAD), 100.0)
    benchmark(sampler.sample, 1, 0, 100_000)


@pytest.mark.parametrize("decay", ["matrix_element", "phase_space"])
@pytest.mark.benchmark(group="samples, 100 000 each")
def test_chi2_decays(benchmark, decay):
    model = _core.InelasticModel(0.39, 1e-3, alpha_dark=0.1, mass_ratio=3.0, relative_splitting=0.4)
    decayer = _core.Chi2Decayer(model, _core.DecayModel.__members__[decay])
    benchmark(decayer.sample, 40.0, 1, 0, 100_000)


@pytest.mark.benchmark(group="cascade above 15 GeV")
def test_transport_equation(benchmark):
    benchmark(_core.track_length, _core.material("Pb"), 100.0, 15.0)


@pytest.mark.benchmark(group="cascade above 15 GeV")
def test_monte_carlo_1000_showers(benchmark):
    benchmark(_core.sample_cascade, _core.material("Pb"), 100.0, 15.0, 1, 0, 1000)


@pytest.mark.benchmark(group="signal at one mass")
def test_production_at_one_mass(benchmark):
    signal = SignalModel(load_card())
    benchmark(signal.at_mass, 0.2)


@pytest.mark.benchmark(group="signal at one mass")
def test_hundred_epsilons_at_one_mass(benchmark):
    at_mass = SignalModel(load_card()).at_mass(0.2)
    benchmark(at_mass.per_electron, np.geomspace(1e-6, 1e-1, 100))


def signal_generator(**changes):
    signal = SignalModel(load_card())
    model = _core.InelasticModel(0.39, 6e-3, alpha_dark=0.1, mass_ratio=3.0, relative_splitting=0.4)
    return _core.SignalGenerator(
        model,
        material=signal.material,
        beam_energy=100.0,
        threshold=15.0,
        atoms_per_radiation_length=signal.atoms_per_radiation_length,
        depth_scale=signal.depth_scale_cm,
        **changes,
    )


@pytest.mark.benchmark(group="tables of samplers")
def test_signal_generator_tables(benchmark):
    benchmark.pedantic(signal_generator, rounds=3)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.benchmark(group="signal events, truth, 100 000 each")
def test_signal_truth(benchmark, threads):
    benchmark(signal_generator(decay_start=220.0, decay_end=530.0).generate, 1, 0, 100_000, threads)


@pytest.mark.benchmark(group="signal events, truth, 100 000 each")
def test_signal_truth_with_annihilation(benchmark):
    benchmark(signal_generator(annihilation=_core.Annihilation.on).generate, 1, 0, 100_000)


@pytest.mark.benchmark(group="resonant annihilation over a track")
def test_annihilation_over_the_track(benchmark):
    model = _core.InelasticModel(0.3, 1e-3, alpha_dark=0.1, mass_ratio=3.0, relative_splitting=0.4)
    track = _core.track_length(_core.material("Pb"), 100.0, 15.0)
    benchmark(_core.ResonantAnnihilation(model, 82.0).track_integral, track)
