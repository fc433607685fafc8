"""The efficiency map: closure with a direct simulation, refusals, and its file.

self: both are ours, of different seeds; 3 standard errors, false alarm 3e-3 for each comparison.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from na64root import EfficiencyMap, load_card
from na64root.errors import ConfigError, DataError, Na64Error
from na64root.signal import SignalModel
from na64root.simulation.core_config import Signal
from na64root.simulation.efficiency_map import make_map
from na64root.simulation.sample import RANGE_SHARES, SignalSample, decay_ranges
from na64root.work import Work

CARD = load_card()
AT_MASS = SignalModel(CARD).at_mass(0.39)
ELECTRONS = sum(p.eot.value * p.residual_efficiency.value for p in CARD.periods)


@pytest.fixture(scope="module")
def made() -> EfficiencyMap:
    return make_map(CARD, 0.39, ctau_cm=(0.3, 30.0), events=30_000, work=Work(threads=2))


@pytest.mark.parametrize("epsilon", [1.2e-3, 6e-3])
def test_folded_with_the_spectrum_it_is_the_direct_simulation(made, epsilon):
    """The spectrum is the chain's, known to 0.5 % of its own (docs/physics.md)."""
    direct = SignalSample.make(
        CARD,
        Signal(0.39, epsilon),
        events=30_000,
        forced=decay_ranges(CARD),
        shares=RANGE_SHARES,
        work=Work(seed=7, threads=2),
    ).expected([epsilon])
    energy, weight = AT_MASS.chi2_spectrum()
    aprime = AT_MASS.produced(epsilon) * ELECTRONS
    ctau = float(AT_MASS.ctau_cm([epsilon])[0])
    assert ctau not in made.ctau_cm
    changed = []
    for j, signature in enumerate(("S1", "S2")):
        expected = direct.expected[0, j]
        value, error = made.fold(signature, energy, weight, ctau)
        allowed = 3.0 * math.hypot(aprime * error, direct.error[0, j]) + 0.005 * expected
        assert aprime * value == pytest.approx(expected, abs=allowed)
        assert error < 0.1 * value
        changed.append(abs(made.fold(signature, energy, weight, ctau / 2.5)[0] * aprime - expected) > allowed)
    assert any(changed)  # the statement means something: another lifetime is far off


def test_a_call_interpolates_between_cells(made):
    edges = np.array(made.chi2_energy_edges_GeV)
    middles = 0.5 * (edges[1:] + edges[:-1])
    cells = made.signatures["S2"]
    for j in (0, 5, len(made.ctau_cm) - 1):
        value, error = made("S2", middles[3:8], made.ctau_cm[j])
        assert value == pytest.approx([cells.efficiency[i][j] for i in range(3, 8)])
        assert error == pytest.approx([cells.error[i][j] for i in range(3, 8)])
    between, _ = made("S2", [0.5 * (middles[9] + middles[10])], made.ctau_cm[2])
    low, high = (cells.efficiency[i][2] for i in (9, 10))
    assert between[0] == pytest.approx(0.5 * (low + high))
    # S1 needs a pair above 15 GeV, half of the energy of chi2 at most: below, no more than one event.
    value, error = made("S1", [15.0], 3.0)
    assert value[0] <= 2.0 * error[0]


def test_it_does_not_extrapolate(made):
    edges = made.chi2_energy_edges_GeV
    for energy, ctau, message in (
        (edges[-1] + 1.0, 1.0, "chi2 energies"),
        (edges[0] - 1.0, 1.0, "chi2 energies"),
        (40.0, 0.29, "outside the map"),
        (40.0, 31.0, "outside the map"),
    ):
        with pytest.raises(ConfigError, match=message):
            made("S1", [energy], ctau)
    with pytest.raises(ConfigError, match="no signature S3"):
        made("S3", [40.0], 1.0)
    cells = made.signatures["S2"]
    holed = [[None if i == 7 else x for x in row] for i, row in enumerate(cells.efficiency)]
    unknown = made.model_copy(update={"signatures": {"S2": cells.model_copy(update={"efficiency": holed})}})
    energy = 0.5 * (edges[7] + edges[8])
    with pytest.raises(ConfigError, match="not known"):
        unknown("S2", [energy], 1.0)
    assert np.isfinite(unknown("S2", [0.5 * (edges[5] + edges[6])], 1.0)[0]).all()


def test_the_file_says_what_it_is(made, tmp_path):
    path = tmp_path / "map.json"
    made.save(path)
    assert EfficiencyMap.load(path) == made
    text = json.loads(path.read_text())
    assert text["provenance"]["card_sha256"] == CARD.sha256
    assert text["provenance"]["seed"] == 1
    assert (text["mass_GeV"], text["relative_splitting"]) == (0.39, 0.4)
    with pytest.raises(Na64Error, match="--force"):
        made.save(path)
    path.write_text("{}")
    with pytest.raises(DataError, match="no efficiency map"):
        EfficiencyMap.load(path)
    with pytest.raises(DataError, match="cannot read"):
        EfficiencyMap.load(tmp_path / "nothing.json")


def test_a_map_that_cannot_be_is_refused():
    for options, message in (
        ({"ctau_cm": (1.0, 1.0)}, "no range of c tau"),
        ({"energy_bins": 1}, "two bins"),
    ):
        with pytest.raises(ConfigError, match=message):
            make_map(CARD, 0.39, **options)
    with pytest.raises(ConfigError, match="stable"):
        make_map(CARD, 0.001)
