"""Scalar, pseudoscalar and axial mediators: widths, g-2, annihilation, yields, planes, what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from na64root import ConfigError, _core, load_card, theory
from na64root._core import units
from na64root.config.mediator import MEDIATORS
from na64root.exclusion import drawn_over
from na64root.exclusion.grids import Axis, Plane
from na64root.publication import tables
from na64root.signal import Parameters, SignalModel
from na64root.simulation.core_config import Signal, event_config
from support.commands import run

COUPLINGS = ("vector", "axial", "scalar", "pseudoscalar")
SPINLESS = ("scalar", "pseudoscalar")
ONE, METRIC = np.eye(4), np.diag([1.0, -1.0, -1.0, -1.0])


def dirac_matrices() -> tuple[np.ndarray, np.ndarray]:
    """gamma^mu of Weyl's representation, shape (4, 4, 4), and gamma^5."""
    pauli = np.array([np.eye(2), [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    zero = np.zeros((2, 2))
    gamma = [np.block([[zero, s], [s if i == 0 else -s, zero]]) for i, s in enumerate(pauli)]
    return np.array(gamma), 1j * gamma[0] @ gamma[1] @ gamma[2] @ gamma[3]


GAMMA, GAMMA5 = dirac_matrices()


def card_of(coupling: str, *more: str, mediator: str = "charged_leptons"):
    return load_card(overrides=[f"model.coupling={coupling}", f"model.mediator={mediator}", *more])


def model_of(coupling: str, mass: float = 0.3, epsilon: float = 1e-3, ratio=3.0, splitting=0.4):
    parameters = Parameters(0.1, ratio, splitting, MEDIATORS["charged_leptons"], coupling)
    return parameters.model(mass, epsilon)


def vertices(coupling: str) -> list[np.ndarray]:
    if coupling in SPINLESS:
        return [ONE if coupling == "scalar" else 1j * GAMMA5]
    return [g @ GAMMA5 if coupling == "axial" else g for g in GAMMA]


def tensor(coupling: str, p1, m1: float, p2, m2: float) -> np.ndarray:
    """Sum over spins of (ubar(p1) Gamma_i v(p2)) (the same with j)^*, shape (n, n)."""
    slash = [np.einsum("i,ii,ijk->jk", p, METRIC, GAMMA) for p in (p1, p2)]
    gammas = vertices(coupling)
    bars = [GAMMA[0] @ g.conj().T @ GAMMA[0] for g in gammas]
    return np.array(
        [[np.trace((slash[0] + m1 * ONE) @ g @ (slash[1] - m2 * ONE) @ h) for h in bars] for g in gammas]
    )


def decaying(mass: float, m1: float, m2: float) -> tuple[float, np.ndarray, np.ndarray]:
    momentum = math.sqrt((mass**2 - (m1 + m2) ** 2) * (mass**2 - (m1 - m2) ** 2)) / (2.0 * mass)
    return (
        momentum,
        np.array([math.hypot(momentum, m1), 0.0, 0.0, momentum]),
        np.array([math.hypot(momentum, m2), 0.0, 0.0, -momentum]),
    )


def width_by_traces(coupling: str, mass: float, m1: float, m2: float) -> float:
    """Gamma over 4 pi alpha: |p|/(8 pi M^2) times the mean over polarisations of the squared amplitude."""
    momentum, p1, p2 = decaying(mass, m1, m2)
    found = tensor(coupling, p1, m1, p2, m2)
    # With polarisations only spatial indices, at rest.
    squared = [found[0, 0].real] if coupling in SPINLESS else [found[i, i].real for i in (1, 2, 3)]
    return momentum / (8.0 * math.pi * mass**2) * float(np.mean(squared))


@pytest.mark.parametrize("coupling", COUPLINGS)
@pytest.mark.parametrize(("mass", "ratio", "splitting"), [(0.3, 3.0, 0.4), (0.3, 2.2, 0.15), (0.3, 6.0, 3.0)])
def test_widths_are_those_of_traces(coupling, mass, ratio, splitting):
    """self, another way: traces of explicit matrices, of two different and of two equal masses."""
    model = model_of(coupling, mass, 1e-3, ratio, splitting)
    dark = 4.0 * math.pi * 0.1 * width_by_traces(coupling, mass, model.chi1_mass, model.chi2_mass)
    assert _core.aprime_width_to_chi(model) == pytest.approx(dark, rel=1e-10)
    light = 4.0 * math.pi * units.alpha * 1e-6
    muons = light * width_by_traces(coupling, mass, units.muon_mass, units.muon_mass)
    assert _core.aprime_width_to_leptons(model, units.muon_mass) == pytest.approx(muons, rel=1e-10)


def test_a_scalar_of_125_gev_has_the_width_of_the_higgs_to_muons():
    """independent: Gamma(H -> mu mu) = 2.176e-4 of 4.088 MeV at 125 GeV, CERN Yellow Report 4 (LHC
    Higgs working group), with electroweak corrections of 2 %; coupling m_mu/v, v = 246.22 GeV."""
    epsilon = units.muon_mass / 246.22 / math.sqrt(4.0 * math.pi * units.alpha)
    width = _core.aprime_width_to_leptons(model_of("scalar", 125.0, epsilon), units.muon_mass)
    assert width == pytest.approx(2.176e-4 * 4.088e-3, rel=0.03)


@pytest.mark.parametrize(
    ("coupling", "heavy", "light"),
    [
        ("scalar", lambda log: log - 7.0 / 6.0, 3.0 / 2.0),
        ("pseudoscalar", lambda log: -(log - 11.0 / 6.0), -1.0 / 2.0),
        ("vector", lambda log: 2.0 / 3.0, 1.0),
        ("axial", lambda log: -10.0 / 3.0, None),
    ],
)
def test_magnetic_moments_have_their_limits(coupling, heavy, light):
    """analytic: heavy mediators m^2/M^2 times a constant or ln(M^2/m^2) of it, light ones a constant."""
    muon, kind = units.muon_mass, _core.Coupling.__members__[coupling]
    unit = units.alpha / (2.0 * math.pi)
    ratio2 = (20.0 / muon) ** 2
    far = float(_core.magnetic_moment(muon, 20.0, 1.0, kind)) * ratio2 / unit
    assert far == pytest.approx(heavy(math.log(ratio2)), rel=2e-3)
    mass = 1e-5 * muon
    near = float(_core.magnetic_moment(muon, mass, 1.0, kind)) / unit
    if light is None:  # the longitudinal part, a pseudoscalar with the coupling 2 m/M
        light = -0.5 * (2.0 * muon / mass) ** 2
    assert near == pytest.approx(light, rel=1e-3)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_epsilon_of_a_moment_is_its_inverse_and_has_its_sign(coupling):
    sign = theory.SIGN_OF_MOMENT[coupling]
    for mass in (0.01, 0.1, 1.0):
        epsilon = float(theory.epsilon_g2(mass, sign * 2.5e-9, coupling=coupling))
        kind = _core.Coupling.__members__[coupling]
        assert float(_core.magnetic_moment(units.muon_mass, mass, epsilon, kind)) == pytest.approx(
            sign * 2.5e-9
        )
        assert math.isnan(float(theory.epsilon_g2(mass, -sign * 2.5e-9, coupling=coupling)))


def test_the_electron_bounds_each_on_its_side():
    """analytic: a shift to 2 sigma from the measured value, above or below as the coupling has it."""
    central, sigma, _ = theory.ELECTRON_G2["rubidium"]
    for coupling, allowed in (("scalar", central + 2 * sigma), ("axial", central - 2 * sigma)):
        epsilon = float(theory.electron_g2_bound([0.1], coupling=coupling)[0])
        kind = _core.Coupling.__members__[coupling]
        moment = float(_core.magnetic_moment(units.electron_mass, 0.1, epsilon, kind))
        assert moment == pytest.approx(allowed)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_annihilation_of_each_coupling(coupling):
    """self, another way: e+ e- -> mediator -> chi1 chi2 by traces, at the energy where it resonates."""
    model = model_of(coupling, 0.1, 1.0)
    formula = _core.ResonantAnnihilation(model, 1.0)
    energy = formula.resonance_energy
    s = 2.0 * units.electron_mass * (units.electron_mass + energy)
    root = math.sqrt(s)
    m1, m2, me = model.chi1_mass, model.chi2_mass, units.electron_mass
    momentum, p1, p2 = decaying(root, m1, m2)
    _, k1, k2 = decaying(root, me, me)
    out = tensor(coupling, p1, m1, p2, m2)
    into = tensor(coupling, k1, me, k2, me)
    if coupling in SPINLESS:
        squared = (out[0, 0] * into[0, 0]).real
    else:  # the mean over directions: spatial tensors are isotropic on one side
        squared = sum(out[i, i].real for i in (1, 2, 3)) / 3.0 * sum(into[i, i].real for i in (1, 2, 3))
    squared *= 0.25 * 4.0 * math.pi * units.alpha * 4.0 * math.pi * 0.1
    velocity = math.sqrt(1.0 - 4.0 * me**2 / s)
    width = _core.aprime_width(model)
    propagator = (s - 0.1**2) ** 2 + (0.1 * width) ** 2
    sigma = squared / propagator * momentum / (4.0 * math.pi * root) / (2.0 * s * velocity)
    assert formula.cross_section(energy) == pytest.approx(sigma * units.inverse_GeV2_in_pb, rel=1e-6)


def produced(coupling: str, mass: float) -> list:
    return SignalModel(card_of(coupling), mode="invisible").production(mass)


def test_yields_follow_from_the_shares_of_the_energy():
    """analytic: in the WW limit a scalar has (2/3) x^2/(4 - 4x + (4/3) x^2) of the vector's spectrum, to 4 %
    as in tests/validation/test_couplings.py. Axial vectors are made as vectors, pseudoscalars as scalars."""
    total = {coupling: sum(p.weight for p in produced(coupling, 0.1)) for coupling in COUPLINGS}
    flux = _core.chi2_flux(model_of("vector", 0.1), produced("vector", 0.1), 1.0, 0.0)
    x = flux.aprime_energy / flux.parent_energy
    expected = np.sum(flux.weight * (2 / 3) * x**2 / (4 - 4 * x + 4 * x**2 / 3))
    assert total["scalar"] == pytest.approx(expected, rel=0.04)
    assert total["axial"] == pytest.approx(total["vector"], rel=1e-3)
    assert total["pseudoscalar"] == pytest.approx(total["scalar"], rel=1e-3)
    assert total["scalar"] < 0.5 * total["vector"]


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_what_decays_to_leptons_is_not_invisible(coupling):
    """analytic: events times Gamma_chi/(Gamma_chi + Gamma_leptons), which alpha_D rules."""
    weak = SignalModel(card_of(coupling, "model.alpha_dark=1e-6"), mode="invisible")
    strong = SignalModel(card_of(coupling), mode="invisible")
    events = [model.at_mass(0.1).per_electron([1e-2])[0, 1] for model in (weak, strong)]
    parameters = Parameters.of(weak.card).model(0.1, 1e-2)
    branching = _core.aprime_width_to_chi(parameters) / _core.aprime_width(parameters)
    assert branching < 0.8
    assert events[0] / events[1] == pytest.approx(branching, rel=1e-4)


def test_neutrinos_are_invisible():
    """analytic: of B-L without dark matter to speak of, 3/2 of 3/2 + 1 far above 2 m_e and below 2 m_mu."""
    card = load_card(overrides=["model.mediator=b_minus_l", "model.alpha_dark=1e-12"])
    dark = load_card(overrides=["model.mediator=b_minus_l"])
    alone, all_of_it = (
        SignalModel(c, mode="invisible").at_mass(0.1).per_electron([1e-2])[0, 1] for c in (card, dark)
    )
    assert alone / all_of_it == pytest.approx(0.6, rel=1e-4)


@pytest.mark.parametrize("coupling", ["axial", "scalar", "pseudoscalar"])
def test_a_plane_has_what_holds_for_it(coupling, monkeypatch):
    monkeypatch.setattr(drawn_over, "RELIC_POINTS", 3)
    card = card_of(coupling)
    plane = Plane.of_axes(card, Axis("mass", 0.01, 0.3, 3), Axis("epsilon", 1e-5, 1e-1, 3))
    names = set(drawn_over.overlays_of(card, plane, mode="invisible"))
    assert ("g-2 central" in names) == (coupling == "scalar")
    assert "electron g-2 (rubidium)" in names
    assert ("BaBar invisible 2017" in names) == (coupling == "axial")
    assert ("NA64 invisible 2019" in names) == (coupling == "axial")
    assert not [name for name in names if "relic" in name]


def test_publications_say_what_it_is():
    assert tables._mediator(card_of("scalar", mediator="electrons")) == "scalar, electrons"
    assert tables._mediator(load_card(overrides=["model.mediator=b_minus_l"])) == "b_minus_l"


def test_a_card_of_a_vector_keeps_its_checksum():
    assert "coupling" not in load_card().model.model_dump()
    assert card_of("scalar").model.model_dump()["coupling"] == "scalar"
    assert card_of("scalar").sha256 != card_of("axial").sha256


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["model.coupling=tensor"], "model.coupling"),
        (["model.coupling=scalar"], "coupling = scalar with mediator kinetic_mixing"),
        (["model.coupling=axial", "model.mediator=b_minus_l"], "its charges are of a vector"),
        (
            ["model.coupling=axial", "model.mediator=electrons", "model.approximation=ww"],
            "approximation = ww with coupling = axial",
        ),
        (["model.coupling=scalar", "model.mediator=electrons", "model.width=paper"], "width = paper"),
    ],
)
def test_cards_that_make_no_sense(overrides, problem):
    with pytest.raises(ConfigError, match=problem):
        load_card(overrides=overrides)


def test_a_scalar_has_no_neutrinos(tmp_path):
    charges = MEDIATORS["charged_leptons"].charges | {"muon_neutrino": 1.0}
    lines = [f'{k} = {{ value = {v}, provenance = "assumed", source = "test" }}' for k, v in charges.items()]
    text = 'extends = "paper2021"\n[model]\nmediator = "mine"\ncoupling = "{}"\n[model.charges]\n'
    path = tmp_path / "card.toml"
    path.write_text(text.format("axial") + "\n".join(lines) + "\n")
    assert load_card(path).model.vector.muon_neutrino == 1.0
    path.write_text(text.format("scalar") + "\n".join(lines) + "\n")
    with pytest.raises(ConfigError, match="coupling = scalar with charges of neutrinos"):
        load_card(path)
    neutrinos = _core.MediatorCharges(**charges)
    with pytest.raises(ValueError, match="no charges of left-handed neutrinos"):
        _core.InelasticModel(
            0.1,
            1e-3,
            alpha_dark=0.1,
            mass_ratio=3.0,
            relative_splitting=0.4,
            charges=neutrinos,
            coupling=_core.Coupling.scalar,
        )


def test_what_is_not_built_is_refused():
    card = card_of("scalar")
    with pytest.raises(ConfigError, match=r"semi-visible decays with model.coupling = scalar"):
        SignalModel(card)
    with pytest.raises(ConfigError, match=r"no simulated signal of model.coupling = axial"):
        event_config(_core, card_of("axial", mediator="electrons"), Signal(0.1, 1e-3, "invisible"))
    model = model_of("axial")
    for function in (_core.chi2_width, _core.chi2_width_to_neutrinos):
        with pytest.raises(ValueError, match="decays of chi2 are those of a vector"):
            function(model)
    with pytest.raises(ValueError, match="decays of chi2 are those of a vector"):
        _core.Chi2Decayer(model)
    with pytest.raises(ConfigError, match="makes g-2 smaller"):
        Plane.named("mass-alpha", card_of("pseudoscalar"))


def test_scan_on_the_command_line(capsys):
    axes = ["--x", "mass=0.05:0.2:3", "--y", "epsilon=1e-5:1e-3:5"]
    chosen = ["--set", "model.coupling=pseudoscalar", "--set", "model.mediator=electrons"]
    code, text = run("scan", *axes, "--mode", "invisible", *chosen, "--json")
    assert code == 0, capsys.readouterr().err
    plane = json.loads(text)
    assert plane["provenance"]["coupling"] == "pseudoscalar"
    assert plane["provenance"]["mediator"] == "electrons"
    assert plane["contours"]
    code, text = run("scan", *axes, "--mode", "invisible", *chosen)
    assert "no central g-2 line" in text
    capsys.readouterr()
    code, text = run("scan", *axes, *chosen)
    assert (code, text) == (2, "")
    assert capsys.readouterr().err.startswith("na64root: semi-visible decays")
