"""A' of other generators as input of the simulation.

References: the simulation's own A', written as Les Houches events and read again (self), kinematics
(analytic).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from na64root import _core, load_card
from na64root.cling import root
from na64root.errors import ConfigError, DataError
from na64root.simulation.core_config import Signal, event_config
from na64root.simulation.options import SignalOptions
from na64root.simulation.simulate import signal
from na64root.work import Work
from support.commands import run

pytest.importorskip("pylhe")

CARD = load_card()
POINT = Signal(0.39, 6e-3)
NAMES = ["mcWeight", "mc_aprime_GeV", "mc_production_weight", "mc_beam_momentum_GeV", "mc_beam_slope",
         "mc_decay_volume", "mc_depth_X0", "mc_ecal_GeV", "mc_missing_energy_GeV", "ecalTotal"]  # fmt: skip
OWN = 3000
# Of the ECAL cut of S1: what is below makes no signal, and is not in a sample of given A'.
THRESHOLD_GEV = 15.0


def les_houches(momenta, weights, mass=POINT.mass_GeV) -> str:
    text = '<LesHouchesEvents version="3.0">\n<init>\n11 82 100.0 0.0 0 0 0 0 3 1\n1.0 0.1 1.0 1\n</init>\n'
    for (energy, x, y, z), weight in zip(momenta, weights, strict=True):
        text += f"<event>\n1 1 {weight:.12e} 1.0 0.0078 0.1\n"
        text += f"55 1 0 0 0 0 {x:.14e} {y:.14e} {z:.14e} {energy:.14e} {mass} 0. 9.\n</event>\n"
    return text + "</LesHouchesEvents>\n"


def along_beam(*energies: float) -> list[tuple[float, float, float, float]]:
    return [(energy, 0.0, 0.0, np.sqrt(energy**2 - POINT.mass_GeV**2)) for energy in energies]


@pytest.fixture(scope="module")
def own() -> dict[str, np.ndarray]:
    """Events of the program's own A', of a beam without spread and divergence."""
    config = event_config(_core, CARD, POINT, events=OWN)
    config.beam_momentum_spread = config.beam_divergence = 0.0
    return _core.EventGenerator(config).generate(3, 0, OWN, 1, set(NAMES))


@pytest.fixture(scope="module")
def sample(tmp_path_factory, own) -> tuple[Path, Path]:
    """A file of those A', and a sample made of it for the whole beam."""
    folder = tmp_path_factory.mktemp("lhe")
    file, made = folder / "aprime.lhe", folder / "signal.root"
    file.write_text(les_houches(own["mc_aprime_GeV"], own["mc_production_weight"]))
    above = np.count_nonzero(own["mc_aprime_GeV"][:, 0] > THRESHOLD_GEV)
    options = ("-n", str(above), "--seed", "4", "-j", "1")
    point = ("--mass-GeV", str(POINT.mass_GeV), "--epsilon", str(POINT.epsilon))
    assert run("simulate", "signal", *point, *options, "--lhe", str(file), "-o", str(made))[0] == 0
    return file, made


def columns(path: Path) -> dict[str, np.ndarray]:
    data = root().RDataFrame("tree", str(path)).AsNumpy(NAMES)
    return {name: np.array([np.asarray(value) for value in data[name]]) for name in NAMES}


def test_aprimes_are_those_of_the_file_and_grow_with_the_beam(own, sample):
    found = columns(sample[1])
    given = own["mc_aprime_GeV"][own["mc_aprime_GeV"][:, 0] > THRESHOLD_GEV]
    energy = found["mc_aprime_GeV"][:, 0]
    np.testing.assert_allclose(energy, given[:, 0] * found["mc_beam_momentum_GeV"] / 100.0, rtol=1e-9)
    momentum = np.linalg.norm(found["mc_aprime_GeV"][:, 1:], axis=1)
    np.testing.assert_allclose(energy**2 - momentum**2, POINT.mass_GeV**2, rtol=1e-6)
    # The angle to the beam electron is kept.
    slope = found["mc_beam_slope"]
    axis = np.column_stack([slope, np.ones(len(slope))]) / np.sqrt(1.0 + (slope**2).sum(axis=1))[:, None]
    cosine = (found["mc_aprime_GeV"][:, 1:] * axis).sum(axis=1) / momentum
    before = given[:, 3] / np.linalg.norm(given[:, 1:], axis=1)
    np.testing.assert_allclose(cosine, before, rtol=0.0, atol=1e-12)


def test_the_sample_is_worth_what_the_own_aprimes_are(own, sample):
    """Yields and energy in the ECAL, within 4 standard errors: chance does otherwise in 2e-4 of seeds.

    The chain says how many A' there are, to 0.5 % of the simulation. Own A' come from electrons of little
    more energy, given ones from any above: less deep by less than a radiation length, 0.8 cm beside metres of
    flight.
    """
    found = columns(sample[1])
    above = own["mc_aprime_GeV"][:, 0] > THRESHOLD_GEV
    own = {name: values[above] for name, values in own.items()}

    def mean(values, weights=None):
        weights = np.ones(len(values)) if weights is None else weights
        average = np.average(values, weights=weights)
        error = np.sqrt((weights**2 * (values - average) ** 2).sum()) / weights.sum()
        return average, error

    for select in (lambda v: v >= -1, lambda v: (v == 3) | (v == 4), lambda v: v == 5):
        sums = []
        for events in (own, found):
            kept = events["mcWeight"] * select(events["mc_decay_volume"])
            sums.append((kept.sum(), np.sqrt((kept**2).sum())))
        (one, error), (other, other_error) = sums
        assert abs(one - other) < 4.0 * np.hypot(error, other_error) + 0.005 * one
    for name in ("mc_ecal_GeV", "mc_missing_energy_GeV", "ecalTotal"):
        (one, error), (other, other_error) = (mean(e[name], e["mc_production_weight"]) for e in (own, found))
        assert abs(one - other) < 4.0 * np.hypot(error, other_error) + 0.002 * abs(one), name
    depths = [mean(e["mc_depth_X0"], e["mc_production_weight"])[0] for e in (own, found)]
    assert 0.0 < depths[0] - depths[1] < 1.0


def test_the_file_says_where_its_aprimes_are_from(sample):
    file, made = sample
    opened = root().TFile.Open(str(made))
    said = json.loads(str(opened.Get("na64root").GetTitle()))
    opened.Close()
    assert (said["lhe"]["path"], said["lhe"]["entries"]) == (str(file), OWN)


def test_as_many_as_are_said_to_be_produced(tmp_path):
    """The weights of a part of the file, and A' below the threshold, which count among those produced."""
    file = tmp_path / "a.lhe"
    file.write_text(les_houches(along_beam(5.0, 40.0, 60.0, 80.0), [1.0, 1.0, 2.0, 0.0]))
    stable = Signal(POINT.mass_GeV, POINT.epsilon, "invisible")
    for events, first in ((3, 0), (1, 0), (2, 1)):
        options = SignalOptions(events, lhe=file, produced=1e4, first_event=first)
        made = signal(CARD, tmp_path / f"{events}.root", stable, options, work=Work(seed=1))
        kept = sum(made.electrons.values()) / sum(CARD.exposure().values())
        branching = stable_branching()
        assert made.weights_sum == pytest.approx(1e4 * 0.75 * kept * branching, rel=1e-9)


def stable_branching() -> float:
    """Of the A' to chi1 chi2, by its widths."""
    config = event_config(_core, CARD, Signal(POINT.mass_GeV, POINT.epsilon, "invisible"))
    event = _core.EventGenerator(config).generate(
        1, 0, 1, 1, {"mc_weight_per_electron", "mc_production_weight"}
    )
    return float(event["mc_weight_per_electron"][0] / event["mc_production_weight"][0] / POINT.epsilon**2)


@pytest.mark.parametrize(
    ("momenta", "weights", "mass", "error", "message"),
    [
        (along_beam(60.0), [1.0], 0.5, DataError, "contradict each other"),
        ([(60.0, 0.0, 0.0, np.sqrt(3600.0 - 0.04))], [1.0], 0.2, ConfigError, "the model has one of 0.39"),
        ([(60.0, 0.0, 0.0, -np.sqrt(3600.0 - 0.39**2))], [1.0], 0.39, DataError, "against the beam"),
        (along_beam(120.0), [1.0], 0.39, ConfigError, r"has 120 GeV \(the beam has 100 GeV\)"),
        (along_beam(60.0, 70.0), [1.0, -1.0], 0.39, DataError, "event 2 of .* has the weight -1"),
        (along_beam(5.0), [1.0], 0.39, ConfigError, "no A' in .* is above 15 GeV"),
        (along_beam(60.0, 70.0), [0.0, 1.0], 0.39, DataError, "the first 1 A' of .* have no weight"),
        ([], [], 0.39, ConfigError, "no A' in .* is above 15 GeV"),
    ],
)
def test_what_cannot_be_taken_is_one_line(tmp_path, momenta, weights, mass, error, message):
    file, made = tmp_path / "a.lhe", tmp_path / "signal.root"
    file.write_text(les_houches(momenta, weights, mass))
    with pytest.raises(error, match=message) as caught:
        signal(CARD, made, POINT, SignalOptions(1, lhe=file))
    assert "\n" not in str(caught.value)
    assert not made.exists()


def test_each_aprime_makes_one_event_and_annihilation_none(tmp_path, caplog):
    """Events that share an A' are not independent; annihilation is not in a file of bremsstrahlung."""
    file = tmp_path / "a.lhe"
    file.write_text(les_houches(along_beam(5.0, 60.0), [1.0, 1.0]))
    with pytest.raises(ConfigError, match=r"events 0 to 1 of 1 A' above .*: give -n 1, or a larger file"):
        signal(CARD, tmp_path / "two.root", POINT, SignalOptions(2, lhe=file))
    sums = []
    for name in ("off", "on"):
        card = load_card(overrides=[f"model.annihilation={name}"])
        made = signal(card, tmp_path / f"{name}.root", POINT, SignalOptions(1, lhe=file), work=Work(seed=1))
        sums.append(made.weights_sum)
    assert sums[0] == sums[1]
    assert "annihilation, which the card has on, is not added to the A' of" in caplog.text


def test_produced_is_of_a_file():
    with pytest.raises(ConfigError, match="--produced without --lhe"):
        SignalOptions(1, produced=1.0)
    with pytest.raises(ConfigError, match="must be positive"):
        SignalOptions(1, produced=0.0, lhe=Path("a.lhe"))
