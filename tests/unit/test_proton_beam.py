"""A' of proton dumps: spectra of mesons, decays, bremsstrahlung, and a detector off the beam."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate

from na64root import _core
from na64root.signal import Parameters
from na64root.theory import experiments, proton_beam, recasts
from na64root.theory.proton_beam import CHARM, NUCAL

BENCHMARK = Parameters(alpha_dark=0.1, mass_ratio=3.0, relative_splitting=0.4)


def generator(seed=1):
    return np.random.Generator(np.random.Philox(seed))


@pytest.mark.parametrize("dump", [NUCAL, CHARM])
def test_mesons(dump):
    """Pions of such beams have a mean pT of 0.30 to 0.36 GeV (published data); energy is conserved."""
    mass = proton_beam.MESONS["pi0"][0]
    vectors, weight = proton_beam.mesons(dump, mass, 2.0, 40_000, generator())
    assert weight.sum() == pytest.approx(2.0)
    energy, x, y, z = vectors.T
    np.testing.assert_allclose(energy**2 - x**2 - y**2 - z**2, mass**2, rtol=1e-5, atol=1e-8)
    assert energy[weight > 0].max() < dump.beam_energy_GeV
    assert np.sum(weight * np.hypot(x, y)) / 2.0 == pytest.approx(0.33, abs=0.03)
    # pi0 of the shower carry a tenth to a third of the energy
    carried = np.sum(weight * energy) / 2.0 * dump.multiplicity["pi0"] / dump.beam_energy_GeV
    assert 0.1 < carried < 0.33
    assert weight.max() < 0.01


def test_spectrum_of_the_fit():
    """Ratio and transverse slope as in hep-ph/0101163 (published): pi+/pi- = 1.05 (1 + x)^2.65."""
    x = np.array([0.1, 0.5])
    low, high = proton_beam.invariant_cross_section(x, x, np.array([0.3, 0.3]), 9.0)
    # by hand
    by_hand = []
    for value in x:
        a, b = 6.1 * value**-0.153, 18.605 * value**-0.478
        shape = (1 - value) ** 3.45 * (1 + 1.57 * value) * value**-0.517
        shape *= (1 + 0.3 * a + 0.09 * b) * math.exp(-0.3 * a)
        by_hand.append(shape * 0.5 * (1 + 1 / (1.05 * (1 + value) ** 2.65)))
    np.testing.assert_allclose([low, high], by_hand, rtol=1e-12)
    lead = proton_beam.invariant_cross_section(x, x, np.array([0.3, 0.3]), 207.0)
    assert lead[0] / low > lead[1] / high > 1.0


def test_meson_decays():
    """analytic: the A' takes (1 + M^2/m^2)/2 of the energy; Br = 2 (1 - M^2/m^2)^3 Br(gamma gamma)."""
    n = 40_000
    assert len(proton_beam.from_mesons(NUCAL, 0.6, n, generator()).weight) == 0
    only_eta = proton_beam.from_mesons(NUCAL, 0.3, n, generator())
    eta = 0.547862
    expected = 0.26 * 2 * (1 - (0.3 / eta) ** 2) ** 3 * 0.3941
    assert only_eta.weight.sum() == pytest.approx(expected, rel=1e-9)
    parents, weight = proton_beam.mesons(NUCAL, eta, 1.0, n, generator())
    mean = np.average(only_eta.momentum[:, 0], weights=only_eta.weight)
    mean_parent = np.sum(weight * parents[:, 0])
    assert mean / mean_parent == pytest.approx(0.5 * (1 + (0.3 / eta) ** 2), rel=0.02)
    e, x, y, z = only_eta.momentum.T
    np.testing.assert_allclose(e**2 - x**2 - y**2 - z**2, 0.09, rtol=1e-4, atol=1e-5)
    both = proton_beam.from_mesons(NUCAL, 0.1, n, generator())
    assert len(both.weight) == 2 * n


def test_form_factor():
    """analytic: charge 1 at q^2 = 0, to 1 % with widths that are constant; poles of the rho and omega."""
    assert abs(proton_beam.form_factor(0.0)) == pytest.approx(1.0, abs=0.02)
    assert abs(proton_beam.form_factor(0.77**2)) > 50.0
    assert abs(proton_beam.form_factor(4.0)) < 1.0


def test_splitting():
    """analytic: far above all masses alpha/(2 pi pT^2) (1 + (1-z)^2)/z, Weizsaecker and Williams."""
    z = np.array([0.2, 0.7])
    transverse2 = np.array([1e6, 1e6])
    expected = _core.units.alpha / (2 * math.pi * 1e6) * (1 + (1 - z) ** 2) / z
    np.testing.assert_allclose(proton_beam.splitting(z, transverse2, 0.1), expected, rtol=1e-4)
    # the sampled weights against SciPy's quadrature (self), 5 standard errors
    mass, n = 0.3, 40_000
    sample = proton_beam.from_bremsstrahlung(CHARM, mass, n, generator())
    total, _ = integrate.dblquad(
        lambda t, z: float(proton_beam.splitting(np.array(z), np.array(t), mass)), 0.1, 0.9, 0.0, 1.0
    )
    total *= abs(proton_beam.form_factor(mass**2)) ** 2
    error = math.sqrt(np.var(sample.weight * n) / n)
    assert sample.weight.sum() == pytest.approx(total, abs=5 * error)
    assert error < 0.02 * total


def test_a_detector_off_the_beam():
    """analytic: off the beam or turned by its angle, a detector sees the same if the A' are turned too."""
    angle = 0.01
    sample = recasts.e137_aprimes(0.2, recasts.E137(), events=4000, seed=1)
    straight = recasts.Detector(17_900.0, 38_300.0, 150.0, 150.0, 1.0)
    turned = replace(straight, center_cm=38_300.0 * math.tan(angle))
    momentum = sample.momentum.copy()
    x, z = momentum[:, 1].copy(), momentum[:, 3].copy()
    momentum[:, 1] = math.cos(angle) * x + math.sin(angle) * z
    momentum[:, 3] = math.cos(angle) * z - math.sin(angle) * x
    events = []
    for aprimes, detector in ((sample, straight), (sample._replace(momentum=momentum), turned)):
        decays = recasts.accepted_decays(aprimes, 0.2, BENCHMARK, detector, seed=3)
        events.append(recasts.BeamDump(decays, 0.2, BENCHMARK, 1e20).expected([1e-5])[0])
    # half of the directions are drawn in the frame of the beam, and differ: 2 % for statistics
    assert events[1] == pytest.approx(events[0], rel=0.02)
    # untilted A' at a detector off the beam are fewer
    decays = recasts.accepted_decays(sample, 0.2, BENCHMARK, turned, seed=3)
    off = recasts.BeamDump(decays, 0.2, BENCHMARK, 1e20).expected([1e-5])[0]
    assert 0.0 < off < 0.8 * events[0]


def test_region():
    region = experiments.proton_dump([0.1, 0.4, 9.0], BENCHMARK, NUCAL, events=1000)
    assert region.name == "NuCal"
    assert "illustrative" in region.caveat
    assert region.epsilon_low[2] is None
    assert region.epsilon_low[0] < region.epsilon_high[0]
    assert set(region.bands) == {"pair above 1 GeV", "pair above 10 GeV"}
    assert region.bands["pair above 1 GeV"][0][0] < region.epsilon_low[0]
    assert region.bands["pair above 10 GeV"][0][0] > region.epsilon_low[0]
    assert region == experiments.proton_dump([0.1, 0.4, 9.0], BENCHMARK, NUCAL, events=1000, threads=2)
