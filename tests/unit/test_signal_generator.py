"""The truth of signal events: production against the deterministic yield, decays, threads, reweighting.

Random tests at 5 standard errors have a false alarm of 6e-7 each, others say theirs."""

import math

import numpy as np
import pytest
from scipy import stats

from na64root import _core, load_card
from na64root.signal import SignalModel

SIGNAL = SignalModel(load_card())
LEAD = _core.material("Pb")
BEAM, THRESHOLD = 100.0, 15.0


def model(mass=0.39, epsilon=6e-3, alpha_dark=0.1, relative_splitting=0.4):
    return _core.InelasticModel(
        mass, epsilon, alpha_dark=alpha_dark, mass_ratio=3.0, relative_splitting=relative_splitting
    )


def generator(point=None, **changes):
    settings = {
        "material": LEAD,
        "beam_energy": BEAM,
        "threshold": THRESHOLD,
        "atoms_per_radiation_length": SIGNAL.atoms_per_radiation_length,
        "depth_scale": SIGNAL.depth_scale_cm,
    } | changes
    return _core.SignalGenerator(point or model(), **settings)


def yield_and_error(weights):
    return weights.mean(), weights.std() / math.sqrt(len(weights))


@pytest.mark.parametrize("mass", [0.01, 0.1, 0.39, 1.0])
def test_table_over_energies_against_the_integrals(mass):
    """self: quadrature at energies between the table's; mean x of 40000 samples besides."""
    formula = _core.DarkBremsstrahlung(mass, _core.element("Pb"))
    table = _core.DarkBremSamplerTable(formula, 15.0, 100.0)
    for energy in (15.0, 16.3, 41.0, 66.0, 91.0, 100.0):
        assert float(table.cross_section(energy)) == pytest.approx(formula.total(energy).value, rel=4e-3)
        x, theta = table.sample(energy, 3, 0, 40_000)
        error = x.std() / math.sqrt(len(x))
        assert x.mean() == pytest.approx(formula.mean_x(energy).value, abs=1e-3 + 5 * error)
        assert ((theta >= 0) & (theta <= math.pi)).all()
    assert table.cross_section(14.9) == 0.0
    with pytest.raises(ValueError, match="above the table"):
        table.cross_section(101.0)


@pytest.mark.parametrize("mass", [0.01, 0.39])
def test_production_is_the_deterministic_yield(mass):
    """self: sums of weights and the spectrum (Kolmogorov-Smirnov, false alarm 1e-4) against thick_target.hpp.

    0.5 % is for the grouping of the deterministic track and the table over energies."""
    edges = [15.0, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 84, 87, 90, 92, 94, 96, 97, 98, 99]
    points = _core.production_spectrum(
        SIGNAL.cross_section(mass), SIGNAL.track, SIGNAL.atoms_per_radiation_length, edges, 20
    )
    expected = np.histogram(
        [p.energy for p in points], bins=[*edges, BEAM], weights=[p.weight for p in points]
    )[0]
    events = generator(model(mass)).generate(1, 0, 100_000)
    energy, weight = events["aprime"][:, 0], events["production_weight"]
    for lowest in (15.0, 50.0, 90.0):
        seen, error = yield_and_error(weight * (energy > lowest))
        truth = expected[np.array(edges) >= lowest].sum()
        assert seen == pytest.approx(truth, abs=5 * error + 5e-3 * truth)
    inside = energy > edges[0]
    weight, energy = weight[inside], energy[inside]
    seen = np.histogram(energy, bins=[*edges, BEAM], weights=weight)[0]
    distance = np.abs(np.cumsum(seen) / seen.sum() - np.cumsum(expected) / expected.sum()).max()
    effective = weight.sum() ** 2 / (weight**2).sum()
    assert stats.kstwobign.sf(max(0.0, distance - 2e-3) * math.sqrt(effective)) > 1e-4
    assert effective > 0.3 * len(weight)
    # depth: the deterministic mean
    depth = sum(p.weight * p.depth for p in points) / expected.sum()
    mean = np.average(events["depth"][inside], weights=weight)
    spread = math.sqrt(np.average((events["depth"][inside] - mean) ** 2, weights=weight) / effective)
    assert mean == pytest.approx(depth, abs=5 * spread + 0.02 * depth)


def test_events_depend_on_seed_and_entry_only():
    source = generator()
    whole = source.generate(7, 0, 2000)
    parallel = source.generate(7, 0, 2000, threads=2)
    parts = [source.generate(7, first, n, threads=2) for first, n in ((0, 1), (1, 1233), (1234, 766))]
    again = generator().generate(7, 0, 2000)
    for name, column in whole.items():
        np.testing.assert_array_equal(column, parallel[name])
        np.testing.assert_array_equal(column, again[name])
        np.testing.assert_array_equal(column, np.concatenate([part[name] for part in parts]))
    assert not np.array_equal(whole["depth"], source.generate(8, 0, 2000)["depth"])
    assert len(source.generate(7, 0, 0)["weight"]) == 0


def test_four_vectors_and_energies():
    events = generator().generate(2, 0, 5000)
    point = model()
    assert all(np.isfinite(events[name]).all() for name in events)

    def mass2(p):
        return p[:, 0] ** 2 - (p[:, 1:] ** 2).sum(axis=1)

    np.testing.assert_allclose(events["chi1"] + events["chi2"], events["aprime"], atol=1e-10)
    np.testing.assert_allclose(
        events["chi1_of_chi2"] + events["electron"] + events["positron"], events["chi2"], atol=1e-10
    )
    for name, mass in (("aprime", point.mass), ("chi2", point.chi2_mass), ("chi1", point.chi1_mass)):
        np.testing.assert_allclose(mass2(events[name]), mass**2, atol=1e-10)
    np.testing.assert_allclose(mass2(events["electron"]), _core.units.electron_mass**2, atol=1e-10)
    np.testing.assert_allclose(events["ecal_energy"], BEAM - events["aprime"][:, 0])
    np.testing.assert_allclose(events["recoil_energy"], events["parent_energy"] - events["aprime"][:, 0])
    assert (events["recoil_energy"] > 0).all()
    assert (events["ecal_energy"] > 0).all()
    assert (events["production"][:, 2] == SIGNAL.depth_scale_cm * events["depth"]).all()
    # the vertex lies along chi2, flight_length from production
    step = events["decay"] - events["production"]
    momentum = events["chi2"][:, 1:]
    np.testing.assert_allclose(np.linalg.norm(step, axis=1), events["flight_length"], rtol=1e-9, atol=1e-11)
    along = momentum / np.linalg.norm(momentum, axis=1)[:, None] * events["flight_length"][:, None]
    np.testing.assert_allclose(step, along, atol=1e-9)
    assert set(np.unique(events["parent_charge"])) == {-1, 1}
    product = np.prod(
        [
            events[name]
            for name in (
                "production_weight",
                "epsilon2",
                "aprime_branching",
                "decay_weight",
                "branching_to_electrons",
            )
        ],
        axis=0,
    )
    np.testing.assert_allclose(events["weight"], product)


def test_the_rest_of_the_shower_has_the_rest_of_the_energy():
    source = generator(model(0.1))
    events = source.generate(3, 0, 300)
    for entry in range(300):
        energy, depth, charge = source.shower_particles(3, entry)
        assert energy.sum() == pytest.approx(events["ecal_energy"][entry], rel=1e-9)
        assert (energy > 0).all()
        assert (depth >= 0).all()
        assert energy[-1] == events["recoil_energy"][entry]
        assert charge[-1] == events["parent_charge"][entry]
        assert depth[-1] == events["depth"][entry]


def test_angle_and_energy_of_the_aprime_at_the_beam_energy():
    """First steps at nearly the beam energy against DarkBremSampler: Kolmogorov-Smirnov, false alarm 1e-4."""
    events = generator().generate(4, 0, 100_000)
    first = (events["parent_energy"] > 0.995 * BEAM).nonzero()[0]
    aprime = events["aprime"][first]
    # the choice of the step is by weight, so events count with theirs: resample to equal weights
    weight = events["production_weight"][first]
    chosen = np.random.default_rng(1).uniform(size=len(first)) < weight / weight.max()
    x = aprime[chosen, 0] / events["parent_energy"][first][chosen]
    theta = np.arctan2(np.hypot(aprime[chosen, 1], aprime[chosen, 2]), aprime[chosen, 3])
    sampler = _core.DarkBremSampler(SIGNAL.cross_section(0.39), BEAM)
    expected = sampler.sample(5, 0, 50_000)
    assert len(x) > 2000
    assert stats.ks_2samp(-np.log1p(-x), -np.log1p(-expected[0])).pvalue > 1e-4
    assert stats.ks_2samp(theta, expected[1]).pvalue > 1e-4
    azimuth = np.arctan2(aprime[:, 2], aprime[:, 1]) / (2 * math.pi) + 0.5
    assert stats.kstest(azimuth, "uniform").pvalue > 1e-4


@pytest.mark.parametrize("bounds", [(220.0, 530.0), (530.0, math.inf), (-math.inf, 45.0)])
def test_forced_decay_equals_unforced(bounds):
    """Within 3 standard errors, other seeds; false alarm 3e-3 each, so the seeds are fixed."""
    start, end = bounds
    point = model(epsilon=4e-3)
    forced = generator(point, decay_start=start, decay_end=end).generate(1, 0, 60_000)
    free = generator(point).generate(2, 0, 200_000)
    assert (free["decay_weight"] == 1).all()
    assert (free["decayed"] == 1).all()

    def moments(events, inside):
        pair = (events["electron"] + events["positron"])[:, 0]
        z = events["decay"][:, 2]
        weight = events["weight"] * inside
        scale = np.where(np.isfinite(z), np.clip(z, -1e3, 1e4), 0.0)
        return [yield_and_error(weight * q) for q in (np.ones_like(pair), pair, scale, pair > 15)]

    z = forced["decay"][:, 2]
    inside = forced["decayed"] == 1
    assert (z[inside] >= start - 1e-9).all()
    assert (z[inside] <= end + 1e-9).all()
    z = free["decay"][:, 2]
    for (a, a_error), (b, b_error) in zip(
        moments(forced, inside), moments(free, (z >= start) & (z < end)), strict=True
    ):
        assert abs(a - b) < 3 * math.hypot(a_error, b_error)
        assert a_error < 0.05 * a


def test_reweighting_to_another_coupling():
    """Weights from what is stored give the sample made there, 5 standard errors."""
    source = generator(model(epsilon=3e-3), decay_start=220.0, decay_end=530.0)
    old, new = source.ctau, generator(model(epsilon=5e-3)).ctau
    events = source.generate(1, 0, 60_000)

    def density(ctau):
        mean = events["gamma_beta"] * ctau
        return np.exp(-events["flight_length"] / mean) / mean

    inside = events["decayed"] == 1
    ratio = np.where(inside, density(new) / density(old), 0.0) * (5 / 3) ** 2
    seen, error = yield_and_error(events["weight"] * ratio)
    direct = generator(model(epsilon=5e-3), decay_start=220.0, decay_end=530.0).generate(2, 0, 60_000)
    expected, other = yield_and_error(direct["weight"])
    # the branching of A' -> chi1 chi2 differs by alpha eps^2/alpha_D
    assert seen == pytest.approx(expected, abs=5 * math.hypot(error, other) + 1e-5 * expected)
    assert ratio.max() > 1.2
    assert ratio[inside].min() < 0.8


def test_invisible_mode_and_stable_chi2():
    for source in (generator(mode=_core.SignalMode.invisible), generator(model(0.007))):
        events = source.generate(1, 0, 2000)
        assert source.ctau == math.inf
        assert (events["decayed"] == 0).all()
        assert (events["decay"][:, 2] == math.inf).all()
        assert (events["flight_length"] == math.inf).all()
        assert (events["electron"] == 0).all()
        assert (events["chi2"][:, 0] > 0).all()
        assert (events["decay_weight"] == 1).all()
    events = generator(model(0.007), decay_start=220.0, decay_end=530.0).generate(1, 0, 100)
    assert (events["weight"] == 0).all()


def test_visible_mode():
    """analytic: flight lengths over gamma beta are exponential with hbar c/Gamma(A' -> l l); KS, 1e-4."""
    point = model(0.0167, epsilon=3e-4)
    source = generator(point, mode=_core.SignalMode.visible)
    width = _core.aprime_width_to_leptons(point, _core.units.electron_mass)
    assert source.ctau == pytest.approx(_core.units.hbar_c / width)
    events = source.generate(1, 0, 20_000)
    np.testing.assert_allclose(events["electron"] + events["positron"], events["aprime"], atol=1e-10)
    assert (events["chi1"] == 0).all()
    assert (events["aprime_branching"] == 1).all()
    lifetimes = events["flight_length"] / events["gamma_beta"] / source.ctau
    assert stats.kstest(lifetimes, "expon").pvalue > 1e-4
    momentum = np.linalg.norm(events["aprime"][:, 1:], axis=1)
    np.testing.assert_allclose(events["gamma_beta"], momentum / 0.0167, rtol=1e-12)
    # with muons the electrons' share
    heavy = model(0.39)
    electrons = _core.aprime_width_to_leptons(heavy, _core.units.electron_mass)
    muons = _core.aprime_width_to_leptons(heavy, _core.units.muon_mass)
    share = generator(heavy, mode=_core.SignalMode.visible).generate(1, 0, 1)["aprime_branching"][0]
    assert share == pytest.approx(electrons / (electrons + muons))


def test_annihilation_is_off_by_default_and_has_its_integral():
    """self: what annihilation makes against the integral over the deterministic track, within 5 standard
    errors and 1 % for the bins of that track."""
    point = model(0.25, epsilon=1e-3)
    assert (generator(point).generate(1, 0, 2000)["process"] == 0).all()
    source = generator(point, annihilation=_core.Annihilation.on)
    events = source.generate(1, 0, 200_000)
    resonant = events["process"] == 1
    seen, error = yield_and_error(events["production_weight"] * resonant)
    annihilation = _core.ResonantAnnihilation(point, 82.0)
    expected = (
        annihilation.track_integral(SIGNAL.track).value / point.epsilon**2
        * SIGNAL.atoms_per_radiation_length * _core.units.pb_in_cm2
    )  # fmt: skip
    assert seen == pytest.approx(expected, abs=5 * error + 0.01 * expected)
    assert error < 0.05 * expected
    assert (events["parent_charge"][resonant] == 1).all()
    assert (events["recoil_energy"][resonant] == 0).all()
    np.testing.assert_allclose(
        (events["chi1"] + events["chi2"])[resonant], events["aprime"][resonant], atol=1e-9
    )
    # dark bremsstrahlung is what it is without
    rest, rest_error = yield_and_error(events["production_weight"] * ~resonant)
    alone, alone_error = yield_and_error(generator(point).generate(2, 0, 200_000)["production_weight"])
    assert rest == pytest.approx(alone, abs=5 * math.hypot(rest_error, alone_error))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"material": _core.material("polystyrene")}, "one element"),
        ({"threshold": 0.0}, "threshold"),
        ({"threshold": 100.0}, "threshold"),
        ({"beam_energy": math.inf}, "threshold"),
        ({"atoms_per_radiation_length": -1.0}, "positive"),
        ({"depth_scale": math.nan}, "positive"),
        ({"decay_start": 530.0, "decay_end": 220.0}, "start < end"),
        ({"decay_start": math.nan}, "start < end"),
        ({"mode": _core.SignalMode.visible, "annihilation": _core.Annihilation.on}, "visible"),
    ],
)
def test_bad_configurations_raise(changes, message):
    with pytest.raises(ValueError, match=message):
        generator(**changes)


def test_bad_requests_raise():
    with pytest.raises(ValueError, match="closed"):
        generator(model(150.0))
    with pytest.raises(ValueError, match="thread"):
        generator().generate(1, 0, 10, threads=0)
    with pytest.raises(ValueError, match="negative"):
        generator().generate(1, 0, -1)
