"""Resonant annihilation: resonance, Breit-Wigner, integrals over the track."""

import math

import numpy as np
import pytest
from scipy import integrate

from na64root import _core

ME = _core.units.electron_mass
LEAD = _core.material("Pb")
Z = 82.0


def model(mass=0.3, epsilon=1e-3, alpha_dark=0.1, mass_ratio=3.0, relative_splitting=0.4):
    return _core.InelasticModel(
        mass, epsilon, alpha_dark=alpha_dark, mass_ratio=mass_ratio, relative_splitting=relative_splitting
    )


def chi_width(point, root):
    """Gamma(A' -> chi1 chi2) at a mass sqrt(s) with chi masses fixed, written out again (independent)."""
    total, delta = point.chi1_mass + point.chi2_mass, point.splitting
    if root <= total:
        return 0.0
    return (
        point.alpha_dark
        * root
        / 3
        * math.sqrt(1 - total**2 / root**2)
        * (1 - delta**2 / root**2) ** 1.5
        * (1 + total**2 / (2 * root**2))
    )


def sigma(point, energy):
    """The cross section written out again, pb per lead atom (independent)."""
    s = 2 * ME**2 + 2 * ME * energy
    root, mass = math.sqrt(s), point.mass
    beta2 = 1 - 4 * ME**2 / s
    electrons = (
        _core.units.alpha * point.epsilon**2 * root / 3 * (1 + 2 * ME**2 / s) * math.sqrt(1 - 4 * ME**2 / s)
    )
    width = _core.aprime_width(point)
    value = (
        12 * math.pi / beta2 * electrons * chi_width(point, root) / ((s - mass**2) ** 2 + (mass * width) ** 2)
    )
    return Z * value * _core.units.inverse_GeV2_in_pb


def test_resonance_energy():
    # independent (separate implementation): 88.06 GeV at M = 0.3
    assert _core.ResonantAnnihilation(model(), Z).resonance_energy == pytest.approx(88.06, abs=0.005)


def test_cross_section_over_energies():
    annihilation = _core.ResonantAnnihilation(model(), Z)
    energies = np.array([[35.0, 50.0, 80.0], [88.06, 95.0, 150.0]])
    expected = np.vectorize(lambda e: sigma(model(), e))(energies)
    np.testing.assert_allclose(annihilation.cross_section(energies), expected, rtol=1e-9)
    # analytic: below s = (m1 + m2)^2 it is closed, at M = 0.3 below 56.4 GeV
    closed = ((0.1 + 0.14) ** 2 - 2 * ME**2) / (2 * ME)
    assert annihilation.cross_section(closed * 0.999) == 0.0
    assert annihilation.cross_section(closed * 1.001) > 0.0
    assert annihilation.cross_section(ME) == 0.0


def test_cross_section_at_the_peak():
    # analytic: sigma(s = M^2) = 12 pi/M^2 Gamma_ee Gamma_chi/Gamma^2 per electron, m_e neglected in beta
    point = model(epsilon=0.1)
    peak = float(_core.ResonantAnnihilation(point, 1.0).cross_section(88.0599))
    width = _core.aprime_width(point)
    expected = (
        12 * math.pi / point.mass**2 * _core.aprime_width_to_leptons(point, ME)
        * _core.aprime_width_to_chi(point) / width**2 * _core.units.inverse_GeV2_in_pb
    )  # fmt: skip
    assert peak == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("alpha_dark", [1e-4, 1e-6, 1e-9, 1e-12])
def test_narrow_width_limit(alpha_dark):
    """analytic: int sigma dE -> 12 pi^2 Gamma_ee Gamma_chi/(2 m_e M Gamma beta^2), times dL/dE at E_res.

    The wings beyond the limit are of order Gamma/M; dL/dE is the table's own in the bin of the resonance."""
    point = model(alpha_dark=alpha_dark, epsilon=1e-9)
    annihilation = _core.ResonantAnnihilation(point, Z)
    track = _core.track_length(LEAD, 100.0, 20.0)
    energy = annihilation.resonance_energy
    bin = int(np.searchsorted(-track.edges, -energy)) - 1
    assert track.edges[bin + 1] < energy < track.edges[bin]
    positron = 0.5 * (track.all - track.primary)[bin]
    per_energy = positron / math.log(track.edges[bin] / track.edges[bin + 1]) / energy
    expected = (
        12 * math.pi**2 * _core.aprime_width_to_leptons(point, ME) * _core.aprime_width_to_chi(point)
        / (2 * ME * point.mass * _core.aprime_width(point)) * _core.units.inverse_GeV2_in_pb * Z * per_energy
    )  # fmt: skip
    tolerance = max(1e-5, 300 * alpha_dark)
    assert annihilation.track_integral(track).value == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize(
    ("mass", "alpha_dark"), [(0.3, 0.1), (0.2, 0.1), (0.2, 1e-3), (0.39, 0.1), (0.31, 0.5)]
)
def test_track_integral_by_scipy(mass, alpha_dark):
    """SciPy's adaptive quadrature in energy of the formula written out above (independent), within 1e-5."""
    point = model(mass, alpha_dark=alpha_dark)
    annihilation = _core.ResonantAnnihilation(point, Z)
    track = _core.track_length(LEAD, 100.0, 15.0, 40)
    closed = ((point.chi1_mass + point.chi2_mass) ** 2 - 2 * ME**2) / (2 * ME)
    total = 0.0
    for i, (high, low) in enumerate(zip(track.edges[:-1], track.edges[1:], strict=True)):
        per_log = 0.5 * (track.all - track.primary)[i] / math.log(high / low)
        low = max(low, closed)
        if high <= low:
            continue
        middle = [annihilation.resonance_energy] if low < annihilation.resonance_energy < high else None
        total += per_log * integrate.quad(
            lambda e: sigma(point, e) / e, low, high, points=middle, epsrel=1e-9, limit=500
        )[0]  # fmt: skip
    result = annihilation.track_integral(track)
    assert result.value == pytest.approx(total, rel=1e-5)
    assert result.error < 1e-5 * result.value


def test_bad_input_raises():
    annihilation = _core.ResonantAnnihilation(model(), Z)
    for energy in (0.0, -1.0, 0.5 * ME, math.nan, math.inf):
        with pytest.raises(ValueError, match="positron"):
            annihilation.cross_section(energy)
    for number in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="atomic number"):
            _core.ResonantAnnihilation(model(), number)
    with pytest.raises(RuntimeError, match="did not converge"):
        annihilation.track_integral(_core.track_length(LEAD, 100.0, 20.0), 1e-18)
