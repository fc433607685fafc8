"""What it costs to decay A' of bremsstrahlung as if they were not polarised.

They are transverse to 92 to 95 % (a separate implementation of the amplitude, independent), where an A'
without polarisation is to 2/3. For a vector current, e the polarisation, |M|^2 is proportional to
E1 E2 + m1 m2 + p^2 - 2 (p.e)^2 (analytic), which the core uses for annihilation, where all A' are transverse.
"""

import math

import numpy as np
import pytest

from na64root import _core, load_card
from na64root.signal import SignalModel

CARD = load_card()
TRANSVERSE = 0.935


@pytest.fixture(scope="module")
def signal() -> SignalModel:
    return SignalModel(CARD)


def shape(mass: float, m1: float, m2: float, cosine: np.ndarray, transverse: float) -> np.ndarray:
    """Weight of a direction of chi2 in the frame of the A', 1 on average over all."""
    p2 = ((mass**2 - (m1 + m2) ** 2) * (mass**2 - (m1 - m2) ** 2)) / (4.0 * mass**2)
    flat = math.sqrt((p2 + m1**2) * (p2 + m2**2)) + m1 * m2
    across = flat + p2 * cosine**2
    along = flat + p2 - 2.0 * p2 * cosine**2
    return (transverse * across + (1.0 - transverse) * along) / (flat + p2 / 3.0)


def changes(signal: SignalModel, mass: float, epsilon: float) -> np.ndarray:
    """Relative change of (S1, S2) by the polarisation."""
    at_mass = signal.at_mass(mass)
    flux, model = at_mass._bremsstrahlung, at_mass._model
    m1, m2 = model.chi1_mass, model.chi2_mass
    p2 = ((mass**2 - (m1 + m2) ** 2) * (mass**2 - (m1 - m2) ** 2)) / (4.0 * mass**2)
    gamma = flux.chi2.aprime_energy / mass
    cosine = (flux.chi2.chi2_energy - gamma * math.hypot(math.sqrt(p2), m2)) / (
        np.sqrt(gamma**2 - 1.0) * math.sqrt(p2)
    )
    weight = shape(mass, m1, m2, cosine, TRANSVERSE)
    ctau, geometry = at_mass.ctau_cm([epsilon]), CARD.geometry
    front, end = geometry.hcal2_start_cm.value, geometry.hcal3_end_cm.value
    found = []
    for signature, near, far in (("S1", front, end), ("S2", end, math.inf)):
        accepted = flux.accepted[signature]
        plain = _core.decays_between(flux.chi2, accepted, ctau, near, far)[0]
        found.append(_core.decays_between(flux.chi2, accepted * weight, ctau, near, far)[0] / plain - 1.0)
    return np.array(found)


def test_the_shapes_are_normalised_and_flat_where_nothing_is_polarised():
    cosine, weight = np.polynomial.legendre.leggauss(20)
    for transverse in (0.0, 0.5, 1.0):
        mean = 0.5 * np.sum(weight * shape(0.39, 0.13, 0.182, cosine, transverse))
        assert mean == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(shape(0.39, 0.13, 0.182, cosine, 2.0 / 3.0), 1.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("mass", "epsilon", "most"),
    [(0.1, 1e-3, 0.005), (0.39, 6e-3, 0.012), (0.2, 3.1e-2, 0.07), (0.3, 1.5e-2, 0.07)],
)
def test_the_size_of_the_neglect(signal, mass, epsilon, most):
    """On the lower edge, at the end point, on the upper edge: the sizes of docs/physics.md (independent)."""
    found = np.abs(changes(signal, mass, epsilon))
    assert (found < most).all()
    assert found.max() > 0.1 * most or mass == 0.1


def test_what_flies_longest_is_most_affected(signal):
    """chi2 along or against the A' are favoured, and the fastest alone live to the end of the detector."""
    assert changes(signal, 0.3, 1.5e-2)[1] > changes(signal, 0.39, 6e-3)[1] > 0.0
