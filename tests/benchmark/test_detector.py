"""Speed of the detector, truth of the gun included. Read the ratios in brackets, not the times."""

import pytest

from na64root import _core

EVENTS = 2000


@pytest.mark.parametrize(("particle", "volume"), [("e-", "ecal"), ("e-", "hcal2"), ("pair", "hcal2")])
@pytest.mark.benchmark(group="particle gun, 20 GeV, 2000 events each")
def test_gun(benchmark, particle, volume):
    config = _core.GunConfig()
    config.particle, config.volume = _core.gun_particle(particle), _core.gun_volume(volume)
    config.energy, config.pair_mass = 20.0, 0.03
    benchmark(_core.simulate_gun, config, 1, 0, EVENTS)
