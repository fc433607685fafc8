"""Mediators with tables of charges: couplings, widths, production, relic density, g-2, what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate

from na64root import ConfigError, _core, load_card, theory
from na64root._core import units
from na64root.config.mediator import KINETIC_MIXING, MEDIATORS, Mediator
from na64root.exclusion import drawn_over
from na64root.exclusion.grids import Axis, Plane
from na64root.signal import Parameters, SignalModel
from na64root.simulation.core_config import Signal, event_config
from na64root.theory import experiments, relic
from na64root.theory.proton_beam import NUCAL
from na64root.theory.published import TABLE_PARAMETERS, public_table

BENCHMARK = Parameters(alpha_dark=0.1, mass_ratio=3.0, relative_splitting=0.4)
B_MINUS_L = replace(BENCHMARK, mediator=MEDIATORS["b_minus_l"])
OWN = """
extends = "paper2021"
[model]
mediator = "mine"
[model.charges]
"""


def own_card(tmp_path, change="", **charges: float):
    path = tmp_path / "card.toml"
    values = KINETIC_MIXING.charges | charges
    lines = [f'{k} = {{ value = {v}, provenance = "assumed", source = "test" }}' for k, v in values.items()]
    path.write_text(OWN.replace("mine", change or "mine") + "\n".join(lines) + "\n")
    return str(path)


def test_charges_of_the_known_ones():
    """analytic: sums that make these symmetries what they are."""
    for mediator in MEDIATORS.values():
        proton = 2.0 * mediator.up + mediator.down
        neutron = mediator.up + 2.0 * mediator.down
        expected = {"protophobic": (0.0, 1.0), "b_minus_l": (1.0, 1.0), "kinetic_mixing": (1.0, 0.0)}
        assert (proton, neutron) == pytest.approx(expected.get(mediator.name, (0.0, 0.0)))
        if mediator.name not in ("kinetic_mixing", "protophobic", "electrons", "charged_leptons"):
            # gauge invariance: a neutrino has the charge of its lepton
            for lepton in ("electron", "muon", "tau"):
                assert getattr(mediator, lepton) == getattr(mediator, f"{lepton}_neutrino")
    for name in ("l_e_minus_l_mu", "l_e_minus_l_tau"):
        charges = MEDIATORS[name].charges
        assert sum(charges[lepton] for lepton in ("electron", "muon", "tau")) == 0.0
    assert len(KINETIC_MIXING.charges) == 9


def test_widths_go_with_the_squares_of_charges():
    """analytic: leptons by q^2, left-handed neutrinos by half of a massless lepton each."""
    photon, boson = (p.model(0.3, 1e-3) for p in (BENCHMARK, B_MINUS_L))
    per_neutrino = 0.5 * units.alpha * 1e-6 * 0.3 / 3.0
    assert _core.aprime_width_to_neutrinos(boson) == pytest.approx(3.0 * per_neutrino, rel=1e-12)
    assert _core.aprime_width_to_neutrinos(photon) == 0.0
    assert _core.aprime_width(boson) - _core.aprime_width(photon) == pytest.approx(
        3.0 * per_neutrino, rel=1e-6
    )
    half = replace(BENCHMARK, mediator=Mediator("half", "half", "test", electron=0.5, muon=0.0)).model(
        0.3, 1e-3
    )
    for width, lepton in ((0.25, units.electron_mass), (0.0, units.muon_mass)):
        ratio = _core.aprime_width_to_leptons(half, lepton) / _core.aprime_width_to_leptons(photon, lepton)
        assert ratio == pytest.approx(width)
    with pytest.raises(ValueError, match="no charged lepton has that mass"):
        _core.aprime_width_to_leptons(photon, 0.2)


def test_chi2_to_neutrinos_by_scipy():
    """Reference: SciPy's quadrature of the width of docs/physics.md, written again (independent)."""
    point = B_MINUS_L.model(0.3, 1e-3)
    m1, m2, delta, mass = point.chi1_mass, point.chi2_mass, point.splitting, point.mass
    coupling = 4.0 * math.pi * 0.1 * 4.0 * math.pi * units.alpha * 1e-6

    def density(q2):
        total = (m1 + m2) ** 2
        momentum = math.sqrt((delta**2 - q2) * (total - q2)) / (2.0 * m2)
        current = 2.0 * (delta**2 - q2) * (total + 2.0 * q2)  # q2 H
        one_flavour = coupling / (4.0 * m2) / (2.0 * math.pi) * momentum / (4.0 * math.pi * m2)
        return 3.0 * one_flavour * current / (12.0 * math.pi) / (q2 - mass**2) ** 2

    expected, _ = integrate.quad(density, 0.0, delta**2, epsrel=1e-10)
    assert _core.chi2_width_to_neutrinos(point) == pytest.approx(expected, rel=1e-6)
    # 1.5 massless leptons against one of 0.5 MeV and a muon that is closed: 0.6 goes to neutrinos, nearly
    branching = _core.chi2_branching_to_electrons(point)
    assert 0.39 < branching < 0.4


def test_the_signal_of_b_minus_l():
    """analytic: production by the electron's charge; decays to neutrinos are unseen anywhere."""
    card, boson = load_card(), load_card(overrides=["model.mediator=b_minus_l"])
    plain, other = SignalModel(card).at_mass(0.2), SignalModel(boson).at_mass(0.2)
    # chi2 lives long: both are the invisible signal, by the same charge of the electron
    assert other.per_electron([1e-5])[0, 1] == pytest.approx(plain.per_electron([1e-5])[0, 1], rel=1e-3)
    # it decays at once: kinetic mixing has no signal left, B-L the share of neutrinos of all of it
    epsilon = [0.05]
    invisible = SignalModel(boson, mode="invisible").at_mass(0.2).per_electron(epsilon)[0, 1]
    share = _core.chi2_width_to_neutrinos(B_MINUS_L.model(0.2, 1.0)) / _core.chi2_width(
        B_MINUS_L.model(0.2, 1.0)
    )
    boson_width = B_MINUS_L.model(0.2, 0.05)
    branching = _core.aprime_width_to_chi(boson_width) / _core.aprime_width(boson_width)
    assert 0.5 < share < 0.7
    assert plain.per_electron(epsilon)[0, 1] < 1e-2 * invisible
    assert other.per_electron(epsilon)[0, 1] == pytest.approx(share * branching * invisible, rel=1e-2)


def test_efficiencies_lead_to_the_events_of_b_minus_l():
    """Self: what each step keeps, from the A' made to S1 and S2, with chi2 -> chi1 nu nubar among them."""
    signal = SignalModel(load_card(overrides=["model.mediator=b_minus_l"])).at_mass(0.2)
    for epsilon in (1e-4, 1e-2):
        events = dict(zip(("S1", "S2"), signal.per_electron([epsilon])[0], strict=True))
        for signature, steps in signal.efficiencies(epsilon).items():
            product = signal.produced(epsilon) * math.prod(steps.values())
            assert product == pytest.approx(events[signature], rel=1e-9)


def test_charges_scale_what_electrons_make(tmp_path):
    twice = load_card(own_card(tmp_path, electron=-2.0))
    for mass in (0.01, 0.3):
        ours, theirs = (SignalModel(c, mode="invisible").at_mass(mass) for c in (twice, load_card()))
        assert ours.per_electron([1e-4])[0, 1] == pytest.approx(4.0 * theirs.per_electron([1e-4])[0, 1])


def test_relic_density_follows_the_charges():
    """analytic: the width to matter, which the line follows as epsilon^-2, where nothing else changes."""
    # at 30 MeV: e e alone against e e and three neutrinos, 1 + 1.5 (m_e neglected to 0.1 %)
    lines = [relic.RelicDensity(0.03, p).epsilon() for p in (BENCHMARK, B_MINUS_L)]
    assert lines[0] / lines[1] == pytest.approx(math.sqrt(2.5), rel=5e-3)
    # R: the rho does not couple to B-L, the omega does by 2, the phi by 1; three quarks of charge 1/3
    boson = MEDIATORS["b_minus_l"]
    assert relic.r_ratio(0.6, boson) < 0.1 * relic.r_ratio(0.6)
    assert relic.r_ratio(units.omega_mass, boson) > 2.0 * relic.r_ratio(units.omega_mass)
    assert relic.r_ratio(units.phi_mass, boson) == pytest.approx(relic.r_ratio(units.phi_mass), rel=0.05)
    assert relic.r_ratio(2.0, boson) == pytest.approx(0.5 * relic.r_ratio(2.0))
    assert (relic.r_ratio(np.array([0.5, 1.0, 2.0]), MEDIATORS["l_e_minus_l_mu"]) == 0.0).all()


def test_the_muon_sets_its_line():
    half = load_card(overrides=["model.mediator=l_e_minus_l_tau"])
    assert np.isnan(theory.muon_g2_band(half, [0.1]).central).all()
    assert theory.muon_g2_band(load_card(overrides=["model.mediator=l_e_minus_l_mu"]), [0.1]).central == (
        pytest.approx(theory.muon_g2_band(load_card(), [0.1]).central)
    )
    with pytest.raises(ConfigError, match="plane mass-alpha is on the g-2 line"):
        Plane.named("mass-alpha", half)
    assert theory.epsilon_g2(0.1, 251e-11, charge=-2.0) == pytest.approx(
        0.5 * theory.epsilon_g2(0.1, 251e-11)
    )


def test_overlays_hold_for_the_mediator(monkeypatch):
    for points in ("EXPERIMENT_POINTS", "RELIC_POINTS"):
        monkeypatch.setattr(drawn_over, points, 3)
    card = load_card(overrides=["model.mediator=l_e_minus_l_tau"])
    plane = Plane.of_axes(card, Axis("mass", 0.1, 0.2, 2), Axis("g", 1e-5, 1e-2, 2))
    names = {
        mode: set(drawn_over.overlays_of(card, plane, mode=mode)) for mode in ("semivisible", "invisible")
    }
    assert {"thermal relic", "E137", "BaBar"} <= names["semivisible"]
    assert not {name for name in names["semivisible"] if name.startswith(("g-2", "NuCal", "CHARM"))}
    assert "NA64 B-L 2022" not in names["invisible"]
    boson = load_card(overrides=["model.mediator=b_minus_l"])
    plane = Plane.of_axes(boson, Axis("mass", 0.1, 0.2, 2), Axis("g", 1e-5, 1e-2, 2))
    found = drawn_over.overlays_of(boson, plane, mode="invisible", others=False)
    # as published: g_B-L, read off the file of the curve at 0.148 GeV
    at = np.array(found["NA64 B-L 2022"].contour)
    assert np.exp(np.interp(np.log(0.148), *np.log(at.T))) == pytest.approx(1.549e-4, rel=1e-3)
    assert "for b_minus_l by the charge of the electron" in found["NA64 invisible 2019"].caveat


def test_babar_and_e137_scale_with_the_electron():
    """analytic: what electrons make, and lifetimes, go with q epsilon: half of q, twice epsilon."""
    half = replace(BENCHMARK, mediator=Mediator("half", "half", "test", electron=-0.5, muon=-0.5))
    for region in (
        lambda p: experiments.babar([0.05], p, bands=False),
        lambda p: experiments.e137([0.05], p, bands=False, events=500),
    ):
        ours, theirs = region(half), region(BENCHMARK)
        assert ours.epsilon_low[0] == pytest.approx(2.0 * theirs.epsilon_low[0], rel=1e-3)
        assert ours.epsilon_high[0] == pytest.approx(2.0 * theirs.epsilon_high[0], rel=1e-3)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("model.mediator=b_minus_m", "no mediator b_minus_m: did you mean b_minus_l"),
        ("model.mediator=xyzzy", "others have their charges in"),
        ("model.mediator=", "no mediator"),
    ],
)
def test_unknown_mediators(override, problem):
    with pytest.raises(ConfigError, match=problem) as refused:
        load_card(overrides=[override])
    assert "\n" not in str(refused.value)


def test_charges_that_make_no_sense(tmp_path):
    assert load_card(own_card(tmp_path)).model.vector.is_kinetic_mixing
    for name, charges, problem in (
        ("", {"electron": 0.0}, "mine does not couple to electrons: nothing is produced"),
        ("", {"muon": math.nan}, "model.charges.muon"),
        ("", {"up": math.inf}, "model.charges.up"),
        ("b_minus_l", {}, "whose charges are known: give it another name"),
        (" ", {}, "needs a name"),
    ):
        with pytest.raises(ConfigError, match=problem) as refused:
            load_card(own_card(tmp_path, name, **charges))
        assert "\n" not in str(refused.value)


def test_what_is_not_built_is_refused_by_name():
    with pytest.raises(ConfigError, match="width = paper with mediator b_minus_l"):
        load_card(overrides=["model.mediator=b_minus_l", "model.width=paper"])
    with pytest.raises(ValueError, match="the paper's width of chi2 is that of kinetic mixing"):
        _core.chi2_width(B_MINUS_L.model(0.1, 1e-3), _core.WidthFormula.paper)
    with pytest.raises(ConfigError, match="NuCal for mediator b_minus_l"):
        experiments.proton_dump([0.1], B_MINUS_L, NUCAL)
    with pytest.raises(ConfigError, match="holds at f = 0.1"):
        public_table("e137", replace(TABLE_PARAMETERS, mediator=MEDIATORS["b_minus_l"]))
    for override, problem in (
        ("model.mediator=b_minus_l", "no simulated signal of mediator b_minus_l"),
        ("beam.particle=e+", "no simulated signal of a beam of e+"),
    ):
        with pytest.raises(ConfigError, match=problem.replace("+", r"\+")):
            event_config(_core, load_card(overrides=[override]), Signal(0.1, 1e-3))
