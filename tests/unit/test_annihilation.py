"""Resonant annihilation: resonance, Breit-Wigner, integrals over the track."""

import math

import numpy as np
import pytest
from scipy import integrate

from na64root import _core, load_card
from na64root.signal import Parameters, SignalModel

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


@pytest.mark.parametrize(
    ("mass", "alpha_dark"),
    [(0.3, 0.1), (0.3, 1e-3), (0.3, 1e-9), (0.2, 0.1), (0.39, 0.1), (0.31, 0.5), (0.1, 0.1), (0.15, 1.0)],
)
def test_points_add_up_to_the_track_integral(mass, alpha_dark):
    """The adaptive integral of the same formula (self), tested above against SciPy, within 1e-3.

    They are worst where just the highest energies are open, at M = 0.39."""
    point = model(mass, epsilon=1e-9, alpha_dark=alpha_dark)
    annihilation = _core.ResonantAnnihilation(point, Z)
    track = _core.track_length(LEAD, 100.0, 15.0)
    points = _core.annihilation_spectrum(annihilation, track, 1.0, [15.0, 50.0])
    total = sum(p.weight for p in points) / _core.units.pb_in_cm2
    # Positrons between 15 GeV - m_e and 15 GeV are the difference.
    assert total == pytest.approx(annihilation.track_integral(track).value / 1e-18, rel=1e-3)


@pytest.mark.parametrize("alpha_dark", [0.1, 1e-4])
def test_edges_divide_the_spectrum(alpha_dark):
    """A' of more than 50 GeV, with the resonance at 50.5 GeV: those of a track that ends at 50 GeV."""
    mass = math.sqrt(2.0 * ME * (50.5 + ME))
    annihilation = _core.ResonantAnnihilation(model(mass, epsilon=1e-9, alpha_dark=alpha_dark), Z)
    long, short = (_core.track_length(LEAD, 100.0, low) for low in (15.0, 50.0))
    above = [
        p.weight
        for p in _core.annihilation_spectrum(annihilation, long, 1.0, [15.0, 50.0])
        if p.energy > 50.0
    ]
    # Bins of 1 % in energy, differently placed in the two tracks, in which the track is flat and should
    # fall by 2 %: at most that for a narrow line.
    expected = annihilation.track_integral(short).value / 1e-18
    assert sum(above) / _core.units.pb_in_cm2 == pytest.approx(expected, rel=0.02)


def test_masses_and_energies_of_the_points():
    """s = 2 m_e E_A', analytic: an A' that takes all of the positron and of an electron at rest."""
    annihilation = _core.ResonantAnnihilation(model(), Z)
    points = _core.annihilation_spectrum(annihilation, _core.track_length(LEAD, 100.0, 15.0), 1.0, [15.0])
    for point in points:
        assert point.mass**2 == pytest.approx(2.0 * ME * point.energy, rel=1e-12)
        assert point.mass > 0.24  # (m_chi1 + m_chi2) at M = 0.3


def test_positrons_are_deeper_than_the_beam_electron():
    """Mean depths by the Monte Carlo of the same cascade (self), up to 0.2 X0 deeper: physics.md."""
    track = _core.track_length(LEAD, 100.0, 15.0)
    steps = _core.sample_cascade(LEAD, 100.0, 15.0, 1, 0, 40_000)
    middle = steps["depth"] + 0.5 * steps["length"]
    primary, positron = steps["primary"].astype(bool), steps["charge"] > 0

    def sampled(chosen):
        return float(np.average(middle[chosen], weights=steps["length"][chosen]))

    primary_depth = track.primary_depth_moment.sum() / track.primary.sum()
    # Of e- and e+ of the shower, of which there are as many.
    moment = (track.depth_moment - track.primary_depth_moment).sum()
    positron_depth = moment / (track.all - track.primary).sum()
    assert positron_depth > primary_depth + 1.0
    assert primary_depth == pytest.approx(sampled(primary), abs=0.05)
    assert positron_depth == pytest.approx(sampled(positron), abs=0.2)


ON = ["model.annihilation=on"]


def test_the_chain_agrees_with_the_simulation():
    """Share of annihilation in A' and in S2 at M = 0.25 GeV, where E_res = 61 GeV (self: the generator)."""
    card = load_card(overrides=ON)
    signal = SignalModel(card)
    mass, epsilon = 0.25, 4e-3
    on, off = (SignalModel(c).at_mass(mass) for c in (card, load_card()))
    end = card.geometry.hcal3_end_cm.value
    generator = _core.SignalGenerator(
        Parameters.of(card).model(mass, epsilon),
        material=LEAD,
        beam_energy=100.0,
        threshold=min(signal.aprime_threshold.values()),
        atoms_per_radiation_length=signal.atoms_per_radiation_length,
        depth_scale=signal.depth_scale_cm,
        annihilation=_core.Annihilation.on,
        decay_start=end,
    )
    events = generator.generate(1, 0, 200_000, 2)
    resonant = events["process"] == 1
    assert resonant.any()
    energy = events["aprime"][:, 0]

    def share(weight):
        """And its statistical error."""
        total, part = weight.sum(), weight[resonant].sum()
        spread = weight * (resonant - part / total)
        return part / total, math.sqrt((spread**2).sum()) / total

    made = signal.annihilation(mass, Parameters.of(card))
    annihilated = sum(p.weight for p in made if p.energy > 50.0)
    radiated = sum(p.weight for p in signal.production(mass) if p.energy > 50.0)
    found, error = share(events["production_weight"] * (energy > 50.0))
    # The generator's positrons above 50 GeV are 1 % more than those of the transport equation.
    expected = annihilated / (annihilated + radiated)
    assert found == pytest.approx(expected, abs=4 * error + 0.01 * expected)
    # Times the branching ratio of chi2 -> chi1 e e, which S2 does not ask for.
    found, error = share(events["weight"] / events["branching_to_electrons"] * (energy > 50.0))
    s2 = [at_mass.per_electron([epsilon])[0, 1] for at_mass in (on, off)]
    expected = (s2[0] - s2[1]) / s2[0]
    assert found == pytest.approx(expected, abs=4 * error + 0.02 * expected)


def test_another_alpha_dark_makes_another_line():
    """Annihilation depends on alpha_D by the width of the A'; the rest of the signal as ever."""
    signal = SignalModel(load_card(overrides=ON))
    changed = signal.at_mass(0.33).with_alpha_dark(0.02).per_electron([1e-3, 5e-3])
    made = signal.at_mass(0.33, Parameters(0.02, 3.0, 0.4)).per_electron([1e-3, 5e-3])
    np.testing.assert_allclose(changed, made, rtol=1e-12)
    without = SignalModel(load_card()).at_mass(0.33, Parameters(0.02, 3.0, 0.4)).per_electron([1e-3, 5e-3])
    assert (made > 1.0005 * without).all()


def test_annihilation_is_off_by_default():
    assert load_card().model.annihilation == "off"
    assert SignalModel(load_card()).annihilation(0.3, Parameters(0.1, 3.0, 0.4)) == []


def test_regions_of_decay_with_annihilation():
    regions = SignalModel(load_card(overrides=ON)).at_mass(0.25).decay_probability(3e-3)
    assert sum(regions.values()) == pytest.approx(1.0, abs=1e-12)


def primary_track(length, bins=3000):
    """Track of a beam particle per unit of l = ln(E0/E), in radiation lengths, at the middles of bins.

    Reference: independent. int g(l') W(l - l') dl' = 1 with g flat in bins, and W the integral of the photon
    spectrum from 1 - exp(-u) on, in closed form, integrated over a bin by SciPy.
    """
    slope = _core.radiation_coefficient(LEAD)
    step = length / bins

    def integral_of_w(u):
        return integrate.quad(
            lambda v: (
                slope * (-math.log1p(-math.exp(-v)) - math.exp(-v)) + 0.5 * (1.0 - (1.0 - math.exp(-v)) ** 2)
            ),
            0.0 if u < 1e-12 else u,
            u + step,
        )[0]

    kernel = np.array([integral_of_w(i * step) for i in range(bins)])
    track = np.zeros(bins)
    for i in range(bins):
        track[i] = (1.0 - track[:i] @ kernel[i:0:-1]) / kernel[0]
    return (np.arange(bins) + 0.5) * step, track


def test_positrons_of_a_beam_annihilate_as_they_come():
    """Reference: independent (own track, cross section and quadrature); 1 % for the track in bins."""
    energy, threshold = 100.0, 40.0
    point = model(mass=0.3, alpha_dark=0.1)
    formula = _core.ResonantAnnihilation(point, Z)
    electrons, positrons = (
        formula.track_integral(_core.track_length(LEAD, energy, threshold, beam_charge=charge)).value
        for charge in (-1, 1)
    )
    length, bins = math.log(energy / threshold), 600
    places, track = primary_track(length, bins)
    at = np.array([sigma(point, energy * math.exp(-place)) for place in places])
    expected = np.sum(track * at) * length / bins
    assert positrons - electrons == pytest.approx(expected, rel=0.01)
    assert positrons > 5.0 * electrons
    # the beam sits on the resonance at m_A' = sqrt(2 m_e E): there it makes most
    made = {}
    for particle in ("e-", "e+"):
        card = load_card("positrons_100", overrides=[f"beam.particle={particle}"])
        chain = SignalModel(card, mode="invisible")
        made[particle] = [chain.at_mass(m).per_electron([1e-4])[0, 1] for m in (0.05, 0.30)]
    assert made["e+"][0] == pytest.approx(
        made["e-"][0], rel=0.01
    )  # the resonance is at 2.4 GeV, below the cut
    assert made["e+"][1] > 10.0 * made["e-"][1]
    with pytest.raises(ValueError, match="has charge -1 or 1"):
        _core.track_length(LEAD, energy, threshold, beam_charge=0)
