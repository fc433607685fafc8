"""pybind11 and Cling serve the same numbers, bit for bit: one library, headers compiled by two compilers."""

import numpy as np
import pytest

from na64root import _core, cling
from support.optimisation import optimised

HEADERS = (
    "dark_brem.hpp",
    "widths.hpp",
    "decay.hpp",
    "magnetic_moment.hpp",
    "cascade.hpp",
    "random.hpp",
    "annihilation.hpp",
    "signal_generator.hpp",
)


@pytest.fixture(scope="module")
def faces():
    with optimised():
        for header in HEADERS:
            cling.include(header)
        yield cling.root().na64root


def models(faces):
    for mass, epsilon, splitting in [(0.39, 1e-3, 0.4), (0.01, 3e-4, 0.7), (1.9, 2e-2, 0.4)]:
        yield (
            _core.InelasticModel(mass, epsilon, alpha_dark=0.1, mass_ratio=3.0, relative_splitting=splitting),
            faces.InelasticModel(mass, epsilon, 0.1, 3.0, splitting),
        )


def test_widths(faces):
    for ours, theirs in models(faces):
        assert ours.chi2_mass == theirs.chi2_mass()
        for formula in ("exact", "paper"):
            python = _core.WidthFormula.__members__[formula]
            root = getattr(faces.WidthFormula, formula)
            assert _core.chi2_width(ours, python) == faces.chi2_width(theirs, root)
        assert _core.aprime_width(ours) == faces.aprime_width(theirs)
        assert _core.chi2_k_factor(ours) == faces.chi2_k_factor(theirs)
    assert float(_core.landau_pole_bound(0.39)) == faces.landau_pole_bound(0.39)
    muon = _core.units.muon_mass
    assert float(_core.magnetic_moment(muon, 0.1, 1e-3)) == faces.magnetic_moment(muon, 0.1, 1e-3)


def test_inline_form_factor(faces):
    ours = _core.FormFactor.of(_core.element("Pb"))
    theirs = faces.FormFactor.of(faces.element("Pb"))
    t = np.geomspace(1e-14, 1e4, 500)
    assert list(ours(t)) == [theirs(float(value)) for value in t]


@pytest.mark.parametrize("approximation", ["etl", "ww", "iww"])
def test_cross_sections(faces, approximation):
    ours = _core.DarkBremsstrahlung(0.1, _core.element("Pb"), _core.Approximation.__members__[approximation])
    theirs = faces.DarkBremsstrahlung(0.1, faces.element("Pb"), getattr(faces.Approximation, approximation))
    assert ours.total(100.0).value == theirs.total(100.0).value
    for x in (0.3, 0.9, 0.9999):
        assert float(ours.dsigma_dx(100.0, x)) == theirs.dsigma_dx(100.0, x).value
        assert float(ours.differential(100.0, x, 1e-3)) == theirs.differential(100.0, x, 1e-3).value


def test_inline_random_numbers_and_samplers(faces):
    ours = _core.DarkBremSampler(_core.DarkBremsstrahlung(0.1, _core.element("Pb")), 100.0, 32, 16)
    theirs = faces.DarkBremSampler(faces.DarkBremsstrahlung(0.1, faces.element("Pb")), 100.0, 32, 16)
    x, theta = ours.sample(seed=3, first_entry=7, n=20)
    for i in range(20):
        sample = theirs(faces.Random(3, 7 + i, faces.Stream.dark_bremsstrahlung))
        assert (x[i], theta[i]) == (sample.x, sample.theta)


def test_decays(faces):
    for ours, theirs in models(faces):
        chi1, minus, plus = _core.Chi2Decayer(ours).sample(20.0, seed=5, first_entry=0, n=20)
        decayer = faces.Chi2Decayer(theirs)
        mass, energy = ours.chi2_mass, 20.0
        chi2 = faces.FourVector(energy, 0.0, 0.0, np.sqrt((energy - mass) * (energy + mass)))
        for i in range(20):
            decay = decayer(chi2, faces.Random(5, i, faces.Stream.chi2_decay))
            for row, vector in zip(
                (chi1, minus, plus), (decay.chi1, decay.lepton_minus, decay.lepton_plus), strict=True
            ):
                assert tuple(row[i]) == (vector.energy, vector.x, vector.y, vector.z)


def test_track_length(faces):
    ours = _core.track_length(_core.material("Pb"), 100.0, 15.0)
    theirs = faces.track_length(faces.material("Pb"), 100.0, 15.0)
    assert list(ours.all) == list(theirs.all)


def test_annihilation_and_signal_events(faces):
    # In C++: `config.material = material("Pb")` from Python moves the material out of the core's own table.
    cling.root().gInterpreter.Declare("""
namespace na64root {
SignalGeneratorConfig lead_config(const InelasticModel &model) {
    SignalGeneratorConfig config{model, material("Pb"), 100.0, 15.0, 1.8e22, 1.1};
    config.annihilation = Annihilation::on;
    config.decay_start = 220.0;
    return config;
}
}""")
    for ours, theirs in list(models(faces))[:2]:
        energies = np.geomspace(0.2, 100.0, 20)
        annihilation = faces.ResonantAnnihilation(theirs, 82.0)
        expected = [annihilation.cross_section(float(energy)) for energy in energies]
        assert list(_core.ResonantAnnihilation(ours, 82.0).cross_section(energies)) == expected
        source = _core.SignalGenerator(
            ours,
            material=_core.material("Pb"),
            beam_energy=100.0,
            threshold=15.0,
            atoms_per_radiation_length=1.8e22,
            depth_scale=1.1,
            annihilation=_core.Annihilation.on,
            decay_start=220.0,
        )
        config = faces.lead_config(theirs)
        other = faces.SignalGenerator(config)
        events = source.generate(3, 0, 20)
        for i in range(20):
            event = other(3, i)
            assert (events["weight"][i], events["depth"][i]) == (event.weight, event.depth)
            for name in ("aprime", "chi2", "positron"):
                vector = getattr(event, name)
                assert tuple(events[name][i]) == (vector.energy, vector.x, vector.y, vector.z)
            assert events["decay"][i, 2] == event.decay.z


def test_errors_become_exceptions_on_both_sides(faces):
    with pytest.raises(ValueError, match="positive"):
        _core.DarkBremsstrahlung(-1.0, _core.element("Pb"))
    with pytest.raises(Exception, match="positive"):
        faces.DarkBremsstrahlung(-1.0, faces.element("Pb"))
