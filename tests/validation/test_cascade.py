"""Track lengths against Geant4 (independent), exact moments (analytic), and Monte Carlo (self)."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate

from na64root import _core

LEAD = _core.material("Pb")
REFERENCE = Path(__file__).parent / "reference" / "geant4_track_length_100GeV.csv"


def above(track, threshold):
    """e- and e+ track lengths above a threshold, which lies on an edge of the bins."""
    inside = track.edges[1:] > threshold * (1 - 1e-9)
    positron = 0.5 * (track.all - track.primary)[inside].sum()
    return track.all[inside].sum() - positron, positron


def geant4():
    with REFERENCE.open() as stream:
        rows = csv.DictReader(line for line in stream if not line.startswith("#"))
        return {float(row["E_gt_GeV"]): {k: float(v) for k, v in row.items()} for row in rows}


@pytest.mark.parametrize("threshold", [10.0, 30.0, 50.0])
def test_geant4_track_length(threshold):
    """Within 3 % (e+ above 50 GeV 10 %): LPM and ionisation, which are left out, are of that order."""
    electron, positron = above(_core.track_length(LEAD, 100.0, threshold), threshold)
    row = geant4()[threshold]
    assert electron == pytest.approx(row["eminus"], rel=0.03, abs=2 * row["eminus_err"])
    assert positron == pytest.approx(
        row["eplus"], rel=0.10 if threshold == 50.0 else 0.03, abs=2 * row["eplus_err"]
    )


@pytest.mark.parametrize("power", [3, 4, 6, 8])
def test_moments_of_the_transport_equation(power):
    # analytic: Mellin transform of approximation A, sum of (E/E0)^s dL = 1/A(s) for the primary and
    # 1/(A(s) - B(s) C(s)/mu) for all; 0.1 % is what 2000 bins give
    linear = _core.radiation_coefficient(LEAD)
    rate = 1 - linear / 6

    def photon(y):
        return linear * (1 - y) + y**2

    loss = integrate.quad(lambda y: photon(y) * (1 - (1 - y) ** power) / y, 0, 1)[0]
    made = integrate.quad(lambda y: photon(y) * y ** (power - 1), 0, 1)[0]
    pairs = 2 * integrate.quad(lambda x: (1 - linear * x * (1 - x)) * x**power, 0, 1)[0]
    track = _core.track_length(LEAD, 100.0, 1.0, 2000)
    weight = (np.sqrt(track.edges[1:] * track.edges[:-1]) / 100.0) ** power
    assert (track.primary * weight).sum() == pytest.approx(1 / loss, rel=1e-3)
    assert (track.all * weight).sum() == pytest.approx(1 / (loss - made * pairs / rate), rel=1e-3)


def test_monte_carlo_agrees_with_the_equation():
    # self: two solutions of the same rates; 5 standard errors, false alarm 6e-7 each
    threshold, showers = 15.0, 20_000
    track = _core.track_length(LEAD, 100.0, threshold, 1000)
    steps = _core.sample_cascade(LEAD, 100.0, threshold, seed=1, first_entry=0, showers=showers)
    per_shower = np.zeros((3, showers))
    shower = steps["shower"].astype(int)
    middle = steps["depth"] + 0.5 * steps["length"]
    np.add.at(per_shower[0], shower, steps["length"] * steps["primary"])
    np.add.at(per_shower[1], shower, steps["length"])
    np.add.at(per_shower[2], shower, steps["length"] * middle)
    expected = (track.primary.sum(), track.all.sum(), track.depth_moment.sum())
    for values, total in zip(per_shower, expected, strict=True):
        assert values.mean() == pytest.approx(total, abs=5 * values.std() / np.sqrt(showers))
    assert set(np.unique(steps["charge"])) == {-1, 1}
    assert (steps["energy"] > threshold * 0.99).all()


def test_showers_depend_on_seed_and_entry_only():
    whole = _core.sample_cascade(LEAD, 100.0, 20.0, seed=3, first_entry=0, showers=20)
    part = _core.sample_cascade(LEAD, 100.0, 20.0, seed=3, first_entry=10, showers=1)
    np.testing.assert_array_equal(whole["energy"][whole["shower"] == 10], part["energy"])


@pytest.mark.parametrize(("energy", "threshold"), [(10.0, 10.0), (10.0, 0.0), (10.0, float("nan"))])
def test_bad_thresholds_raise(energy, threshold):
    with pytest.raises(ValueError, match="threshold"):
        _core.track_length(LEAD, energy, threshold)
