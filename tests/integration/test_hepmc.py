"""HepMC3 read back by pyhepmc: particles and weights of the ntuple, momentum conserved, masses on shell."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from na64root import _core, load_card
from na64root.cling import root
from na64root.errors import ConfigError, Na64Error
from na64root.simulation import hepmc
from na64root.simulation.core_config import Signal, event_config
from na64root.simulation.options import SignalOptions
from na64root.simulation.simulate import signal
from na64root.simulation.writer import EventFile
from na64root.work import Work

pyhepmc = pytest.importorskip("pyhepmc")

CARD = load_card()
EVENTS = 60
BEAM, FINAL, DECAYED = 4, 1, 2


def made(folder, mode="semivisible", name="signal.hepmc3.gz", work=Work(seed=3), **options):
    """Record, ntuple as columns of rows, and the events of the HepMC3 file."""
    path = folder / "signal.root"
    # At epsilon = 1e-6 a visible A' flies some way.
    point = Signal(0.39, 6e-3, mode) if mode != "visible" else Signal(0.02, 3e-6, mode)
    wanted = SignalOptions(**({"events": EVENTS} | options))
    record = signal(CARD, EventFile(path, hepmc=folder / name), point, wanted, work=work)
    columns = root().RDataFrame("tree", str(path)).AsNumpy(sorted(hepmc.COLUMNS))
    with pyhepmc.open(folder / name) as file:
        events = list(file)
    return record, columns, events


@pytest.fixture(scope="module")
def semivisible(tmp_path_factory):
    return made(tmp_path_factory.mktemp("hepmc"))


def vector(particle) -> np.ndarray:
    p = particle.momentum
    return np.array([p.e, p.px, p.py, p.pz])


def place(vertex) -> np.ndarray:
    return np.array([vertex.position.x, vertex.position.y, vertex.position.z])


def check_graph(event):
    """Momentum conserved to 1e-12 of the beam, masses to rounding of E^2, 1e-15 of it with a margin of 30."""
    for vertex in event.vertices:
        balance = sum(vector(p) for p in vertex.particles_in) - sum(vector(p) for p in vertex.particles_out)
        np.testing.assert_allclose(balance, 0.0, atol=1e-10)
    masses = {11: 0.51099895e-3, -11: 0.51099895e-3}
    for particle in event.particles:
        if particle.pid == hepmc.EVERYTHING_ELSE:
            assert particle.status == 11
            continue
        mass = masses.get(particle.pid, particle.generated_mass)
        energy, *momentum = vector(particle)
        shell = energy**2 - np.dot(momentum, momentum) - mass**2
        assert abs(shell) < 3e-14 * energy**2 + 1e-12
        assert particle.generated_mass == mass
        assert (particle.end_vertex is None) == (particle.status == FINAL)


def test_events_weights_and_particles_are_those_of_the_ntuple(semivisible):
    record, columns, events = semivisible
    assert record.hepmc.endswith("signal.hepmc3.gz")
    assert [event.event_number for event in events] == list(range(EVENTS))
    for row, event in enumerate(events):
        assert (event.momentum_unit, event.length_unit) == (pyhepmc.Units.GEV, pyhepmc.Units.MM)
        for name in hepmc.WEIGHTS:
            assert event.weight(name) == columns[name][row]
        for number, name in (
            (hepmc.APRIME, "mc_aprime_GeV"),
            (hepmc.CHI2, "mc_chi2_GeV"),
            (hepmc.POSITRON, "mc_positron_GeV"),
        ):
            (particle,) = (p for p in event.particles if p.pid == number)
            np.testing.assert_allclose(vector(particle), columns[name][row], rtol=1e-15)
    assert sum(event.weight("mcWeight") for event in events) == pytest.approx(record.weights_sum, rel=1e-12)


def test_the_graph_of_a_semivisible_event(semivisible):
    """Beam -> A' -> chi1 chi2 -> chi1 e e, at the places of the ntuple, with the time of flight of chi2."""
    _, columns, events = semivisible
    for row, event in enumerate(events):
        check_graph(event)
        (beam,) = (p for p in event.particles if p.status == BEAM)
        assert beam.pid == 11
        assert beam.momentum.e == columns["mc_beam_momentum_GeV"][row]
        slopes = beam.momentum.px / beam.momentum.pz, beam.momentum.py / beam.momentum.pz
        np.testing.assert_allclose(slopes, columns["mc_beam_slope"][row], rtol=1e-12)
        assert sorted(p.pid for p in event.particles if p.status == FINAL) == [-11, 11, 52, 52]
        (chi2,) = (p for p in event.particles if p.pid == hepmc.CHI2)
        start, end = chi2.production_vertex, chi2.end_vertex
        np.testing.assert_allclose(place(start), 10.0 * np.asarray(columns["mc_production_cm"][row]))
        np.testing.assert_allclose(place(end), 10.0 * np.asarray(columns["mc_decay_cm"][row]))
        flight = np.linalg.norm(place(end) - place(start))
        beta = np.linalg.norm(vector(chi2)[1:]) / vector(chi2)[0]
        assert (end.position.t - start.position.t) * beta == pytest.approx(flight, rel=1e-9)
        # Along its momentum; the place is turned with the beam to first order, 2e-4 x 1e-2 rad.
        unit = (place(end) - place(start)) / flight
        np.testing.assert_allclose(unit, vector(chi2)[1:] / np.linalg.norm(vector(chi2)[1:]), atol=1e-5)


def test_the_run_says_what_made_it(semivisible):
    record, _, events = semivisible
    run = events[0].run_info
    about = {name: value for name, value in run.attributes.items()}
    text = {name: str(getattr(value, "__str__", str)()) for name, value in about.items()}
    assert [tool.name for tool in run.tools] == ["na64root"]
    assert run.tools[0].version == _core.__version__
    assert record.provenance.card_sha256 in text["provenance.card_sha256"]
    for name, value in (("mass_GeV", 0.39), ("epsilon", 6e-3), ("seed", 3), ("mass_ratio", 3.0)):
        assert run.attributes[name].astype(float) == value
    assert "front of the ECAL" in text["origin"]
    # Tree level, per atom of lead at the energy of the beam, from the formula itself.
    total = _core.DarkBremsstrahlung(0.39, _core.element("Pb"), epsilon=6e-3).total(100.0).value
    assert events[0].cross_section.xsec("mcWeight") == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize(("mode", "final"), [("invisible", {52, 58}), ("visible", {11, -11})])
def test_other_modes(tmp_path, mode, final):
    record, columns, events = made(tmp_path, mode, "plain.hepmc3", Work(seed=3, threads=2))
    assert (tmp_path / "plain.hepmc3").read_bytes().startswith(b"HepMC::Version 3")
    assert len(events) == record.events
    for row, event in enumerate(events):
        check_graph(event)
        assert {p.pid for p in event.particles if p.status == FINAL} == final
        (aprime,) = (p for p in event.particles if p.pid == hepmc.APRIME)
        if mode == "visible":
            np.testing.assert_allclose(
                place(aprime.end_vertex), 10.0 * np.asarray(columns["mc_decay_cm"][row])
            )
    if mode == "visible":
        assert record.ctau_cm > 1.0


def test_a_second_range_of_events_goes_on(tmp_path, semivisible):
    _, _, events = semivisible
    _, _, later = made(tmp_path, first_event=40, events=20)
    assert [event.event_number for event in later] == list(range(40, 60))
    for one, other in zip(later, events[40:], strict=True):
        assert [vector(p).tolist() for p in one.particles] == [vector(p).tolist() for p in other.particles]


def test_what_cannot_be_written_leaves_no_file(tmp_path, monkeypatch):
    path, file = tmp_path / "signal.root", tmp_path / "signal.hepmc3"
    point, both = Signal(0.39, 6e-3), EventFile(path, hepmc=file)
    with pytest.raises(ConfigError, match="32 bits"):
        signal(CARD, both, point, SignalOptions(events=5, first_event=2**31))
    with pytest.raises(Na64Error, match="nowhere"):
        signal(CARD, EventFile(path, hepmc=Path("/proc/nowhere/x.hepmc3")), point, SignalOptions(events=5))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(sys.modules, "pyhepmc", None)
    with pytest.raises(Na64Error, match=r"pip install 'na64root\[hepmc\]'") as caught:
        signal(CARD, both, point, SignalOptions(events=5))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    file.write_text("precious")
    with pytest.raises(Na64Error, match="--force"):  # before hours of work
        signal(CARD, both, point, SignalOptions(events=10**9))
    assert file.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["signal.hepmc3"]
    signal(CARD, replace(both, force=True), point, SignalOptions(events=5))
    assert file.read_text() != "precious"


def test_a_full_file_system_is_one_line(tmp_path):
    """The ntuple of 1100 events fits below the limit on the size of files, HepMC3 does not."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, 900_000));"
        "from na64root import cli; sys.exit(cli.main())"
    )
    arguments = ["simulate", "signal", "--mass-GeV", "0.39", "--epsilon", "6e-3", "-n", "1100", "-j", "1"]
    arguments += ["-o", str(tmp_path / "x.root"), "--hepmc", str(tmp_path / "full.hepmc3")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"cannot write {tmp_path / 'full.hepmc3'}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_full_file_system_does_not_pass_unseen_when_compressed(tmp_path):
    """gzip keeps little back: its errors come when it is closed."""
    path = tmp_path / "full.hepmc3.gz"
    path.symlink_to("/dev/full")
    generator = _core.EventGenerator(event_config(_core, CARD, Signal(0.39, 6e-3)))
    events = hepmc.Events(
        first=0,
        number=3,
        columns=lambda first, n: generator.generate(1, first, n, 1, set(hepmc.COLUMNS)),
        masses_GeV={"aprime": 0.39, "chi1": 0.13, "chi2": 0.182},
        cross_section_pb=(1.0, 0.1),
    )
    with pytest.raises(OSError, match="No space left"):
        hepmc._write(path, events, CARD.model)
