"""Speed of the detector and of signal events, truth included. Read the ratios in brackets, not the times."""

import time

import pytest

from na64root import _core, load_card
from na64root.simulation.core_config import Signal, event_config
from na64root.simulation.options import PseudodataOptions, SignalOptions
from na64root.simulation.simulate import pseudodata, signal
from na64root.simulation.writer import EventFile
from na64root.work import Work

EVENTS = 2000


@pytest.mark.parametrize(("particle", "volume"), [("e-", "ecal"), ("e-", "hcal2"), ("pair", "hcal2")])
@pytest.mark.benchmark(group="particle gun, 20 GeV, 2000 events each")
def test_gun(benchmark, particle, volume):
    config = _core.GunConfig()
    config.particle, config.volume = _core.gun_particle(particle), _core.gun_volume(volume)
    config.energy, config.pair_mass = 20.0, 0.03
    benchmark(_core.simulate_gun, config, 1, 0, EVENTS)


POINT = Signal(0.39, 6e-3)
SIGNAL_EVENTS = 20_000


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.benchmark(group="signal events, complete, all columns in memory, 20 000 each")
def test_signal_in_memory(benchmark, threads):
    generator = _core.EventGenerator(event_config(_core, load_card(), POINT))
    benchmark(generator.generate, 1, 0, SIGNAL_EVENTS, threads)


@pytest.mark.parametrize(("format", "threads"), [("ttree", 1), ("ttree", 2), ("rntuple", 1), ("rntuple", 2)])
@pytest.mark.parametrize("events", [SIGNAL_EVENTS, 5 * SIGNAL_EVENTS])
@pytest.mark.benchmark(group="signal events, complete, written to a file")
def test_signal_in_a_file(benchmark, tmp_path, events, format, threads):
    """With the tables of the generator (0.1 s), without the start of ROOT and of its compiler."""
    card, point = load_card(), Signal(0.39, 6e-3)
    path, work = tmp_path / "signal.root", Work(threads=threads)
    file = EventFile(path, format, force=True)
    signal(card, file, point, SignalOptions(events=1), work=work)

    def cpu_seconds():
        start = time.process_time()
        signal(card, file, point, SignalOptions(events=events), work=work)
        return time.process_time() - start

    spent = benchmark.pedantic(cpu_seconds, rounds=3)
    benchmark.extra_info["events_per_second_of_cpu"] = round(events / spent)
    benchmark.extra_info["bytes_per_event"] = round(path.stat().st_size / events)


@pytest.mark.benchmark(group="signal events as HepMC3, 2000")
def test_hepmc(benchmark, tmp_path):
    pytest.importorskip("pyhepmc")
    card, point = load_card(), Signal(0.39, 6e-3)
    file = EventFile(tmp_path / "signal.root", force=True, hepmc=tmp_path / "signal.hepmc3")
    benchmark(signal, card, file, point, SignalOptions(events=2000))


@pytest.mark.benchmark(group="pseudo-data written to a file, 5e9 electrons on target")
def test_pseudodata_in_a_file(benchmark, tmp_path):
    card, eot = load_card(), {"2016": 1e9, "2017": 1e9, "2018": 3e9}
    pseudodata(card, tmp_path / "first.root", PseudodataOptions(eot=eot))
    file = EventFile(tmp_path / "pseudodata.root", force=True)
    result = benchmark(pseudodata, card, file, PseudodataOptions(eot=eot))
    benchmark.extra_info["events"] = result.events
