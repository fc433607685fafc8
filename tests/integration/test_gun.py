"""`simulate gun`: the file holds what the core makes, with truth, and nothing is left of a failure."""

from __future__ import annotations

import json

import numpy as np
import pytest

from na64root import _core, ntuple
from na64root.cling import root
from na64root.config import load_card
from na64root.errors import ConfigError, Na64Error
from na64root.signal.experiment import detector_config
from na64root.simulation.options import GunOptions
from na64root.simulation.simulate import GunResult, gun
from na64root.simulation.writer import EventFile, Output, _EventFile, writers
from na64root.work import Work


@pytest.fixture(scope="module")
def card():
    return load_card("geant4_reference")


def shoot(card, path, *, seed=1, threads=1, force=False, **options) -> GunResult:
    wanted = {"particle": "pair", "energy_GeV": 20.0, "mass_GeV": 0.03, "volume": "hcal2", "events": 50}
    file, work = EventFile(path, force=force), Work(seed=seed, threads=threads)
    return gun(card, file, GunOptions(**(wanted | options)), work=work)


def test_the_file_holds_the_events_of_the_core(tmp_path):
    """Both faces give the same bits."""
    path = tmp_path / "gun.root"
    card = load_card("paper2021", ["detector.hcal_centres.hcal3.x_cm=-9.7"])
    result = shoot(card, path, offset_mm=(75.0, 10.0), seed=5)
    config = _core.GunConfig()
    config.detector = detector_config(_core, card)
    config.particle, config.volume = _core.GunParticle.pair, _core.GunVolume.hcal2
    config.energy, config.pair_mass, config.offset_x, config.offset_y = 20.0, 0.03, 7.5, 1.0
    expected = _core.simulate_gun(config, 5, 0, 50)
    names = ["hcal0", "hcal1", "hcal2", "ecalTotal", "mc_depth_X0", "mc_r90_mm", "mc_start_x_mm"]
    found = root().RDataFrame("tree", str(path)).AsNumpy(names)
    for name in names:
        np.testing.assert_array_equal(found[name], expected[name])
    assert result.events == result.weights_sum == 50


def test_it_is_an_ntuple_of_the_layout_with_described_truth(tmp_path, card):
    path = tmp_path / "gun.root"
    result = shoot(card, path, particle="e-", mass_GeV=None, volume="ecal", noise=False)
    record = ntuple.inspect([str(path)], card)
    assert record.branches_missing == []
    assert record.periods["no period"].entries == record.entries == 50  # never taken for data
    file = root().TFile.Open(str(path))
    branches = {str(branch.GetName()) for branch in file.Get("tree").GetListOfBranches()}
    about = json.loads(str(file.Get("na64root").GetTitle()))
    file.Close()
    assert set(result.truth) == {name for name in branches if name.startswith("mc_")}
    assert about["energy_GeV"] == 20.0
    assert about["provenance"]["card"] == "geant4_reference"


def test_what_cannot_be_shot_leaves_no_file(tmp_path, card):
    path = tmp_path / "gun.root"
    for wrong, message in (
        ({"volume": "hcal9"}, "no volume hcal9"),
        ({"particle": "photon", "mass_GeV": None}, "no particle photon"),
        ({"events": 0}, "0 events"),
        ({"energy_GeV": 0.0}, "energy of the gun"),
        ({"mass_GeV": 30.0}, "mass of the pair"),
        ({"mass_GeV": None}, "--mass-GeV"),
        ({"offset_mm": (float("nan"), 0.0)}, "offset"),
        ({"seed": -1}, "--seed"),
    ):
        with pytest.raises(ConfigError, match=message):
            shoot(card, path, **wrong)
    assert list(tmp_path.iterdir()) == []
    path.write_text("precious")
    with pytest.raises(Na64Error, match="--force"):
        shoot(card, path)
    assert path.read_text() == "precious"
    shoot(card, path, force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["gun.root"]


@pytest.mark.parametrize("format", ["ttree", "rntuple"])
def test_a_writer_counts_the_events_that_it_wrote(tmp_path, card, format):
    writers()  # makes the types below known
    config = root().na64root.GunConfig()
    config.detector = detector_config(root().na64root, card)
    config.particle, config.volume = root().na64root.gun_particle("pair"), root().na64root.gun_volume("hcal2")
    config.energy, config.pair_mass = 20.0, 0.03
    output = Output(EventFile(tmp_path / "gun.root", format), "particle gun", Work(threads=1))
    file = _EventFile(output.file.path, "Gun", writers().gun(config, 1), output)
    assert file.fill(0, 5, None) == 5.0
    # As where less is written than is asked for: these are not the first 3.
    with pytest.raises(RuntimeError, match="8 of 3 events were written"):
        file.fill(5, 3, None)
    file._writer.abandon()
