"""Predicates and derived quantities of the core: properties, the same bits from pybind11 and from Cling.

References: NumPy expressions of the definitions (independent). Hypothesis tests state properties that hold
for every input, so that they raise no false alarm.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from na64root import _core, cling
from na64root.config import load_card
from na64root.errors import ConfigError
from na64root.selection.cut_table import hcal_core_bits

# Machines of continuous integration are slow at times; no time is tested here.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

SINGLE = [1 << 4] * 3
WIDE = [1 << 4, 1 << 4, 1 << 4 | 1 << 7]
BALANCE = 0.3

energies = st.floats(min_value=-1.0, max_value=200.0, allow_nan=False)
anything = st.floats(allow_nan=True, allow_infinity=True)
positive = st.floats(min_value=1e-6, max_value=200.0)


def arrays(strategy: st.SearchStrategy[float], size: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(strategy, min_size=size, max_size=size).map(np.array)


def veto_of(photomultipliers: np.ndarray) -> float:
    return float(_core.veto_energy(photomultipliers.reshape(1, 6), BALANCE)[0])


def r_of(cells: np.ndarray, core: list[int]) -> float:
    return float(_core.hcal_r(cells.reshape(1, 4, 3, 3), core)[0])


@given(arrays(positive, 6))
def test_veto_sum_lies_between_its_smallest_and_largest_reading(photomultipliers):
    pairs = photomultipliers.reshape(3, 2)
    low, high = pairs.min(axis=1).sum(), pairs.max(axis=1).sum()
    assert low * (1 - 1e-12) <= veto_of(photomultipliers) <= high * (1 + 1e-12)


@given(arrays(positive, 6))
def test_veto_sum_is_the_definition(photomultipliers):
    expected = 0.0
    for a, b in photomultipliers.reshape(3, 2):
        low, high = min(a, b), max(a, b)
        expected += high if low < BALANCE * high else math.sqrt(low * high)
    assert veto_of(photomultipliers) == expected


@given(arrays(positive, 6), st.permutations([0, 1, 2]))
def test_veto_sum_knows_no_order_of_photomultipliers_or_counters(photomultipliers, order):
    pairs = photomultipliers.reshape(3, 2)
    other = pairs[order][:, ::-1].reshape(6)
    assert veto_of(other) == pytest.approx(veto_of(photomultipliers), rel=1e-14)


@given(arrays(anything, 6))
def test_veto_of_anything_is_a_number_or_rejected(photomultipliers):
    value = veto_of(photomultipliers)
    if not np.isfinite(photomultipliers).all():
        assert math.isnan(value)
    assert not _core.passes_veto(value, 0.01) or value < 0.01


@given(arrays(st.floats(min_value=0.0, max_value=200.0), 36), st.sampled_from([SINGLE, WIDE]))
def test_r_of_energies_that_are_not_negative_is_between_0_and_1(cells, core):
    r = r_of(cells, core)
    behind = cells.reshape(4, 9)[1:3]
    if behind.sum() > 0.0:
        assert -1e-12 <= r <= 1.0
        in_core = sum(behind[m, i] for m in range(2) for i in range(9) if core[m + 1] >> i & 1)
        assert r == pytest.approx(1.0 - in_core / behind.sum(), abs=1e-12)
    else:
        assert math.isnan(r)


@given(arrays(st.floats(min_value=0.0, max_value=200.0), 36))
def test_a_wider_core_never_raises_r(cells):
    narrow, wide = r_of(cells, SINGLE), r_of(cells, WIDE)
    assert math.isnan(narrow) or wide <= narrow + 1e-12


@given(arrays(positive, 36), st.floats(min_value=0.1, max_value=10.0))
def test_r_has_no_scale_and_no_interest_in_hcal1_and_the_zero_degree_module(cells, factor):
    other = cells * factor
    other[:9], other[27:] = 7.0, math.nan
    assert r_of(other, WIDE) == pytest.approx(r_of(cells, WIDE), abs=1e-12)


@given(arrays(anything, 36))
def test_r_of_anything_passes_only_below_its_limit(cells):
    r = r_of(cells, WIDE)
    if not np.isfinite(cells[9:27]).all():
        assert math.isnan(r)
    assert not _core.passes_r(r, 0.06) or r < 0.06


@given(arrays(energies, 72))
def test_leading_cell_is_the_unique_largest(cells):
    sums = cells[:36] + cells[36:]
    largest = np.flatnonzero(sums == sums.max())
    expected = int(largest[0]) if len(largest) == 1 else -1
    assert _core.leading_ecal_cell(cells.reshape(1, 2, 6, 6))[0] == expected


@given(anything, anything, anything)
def test_a_value_that_is_not_finite_fails_every_cut(a, b, c):
    values = [a, b, c]
    if all(map(math.isfinite, values)):
        values[0] = math.nan
    bad = next(v for v in values if not math.isfinite(v))
    assert not _core.passes_hcal_s1(*values, 1.0, 15.0)
    assert not _core.passes_hcal_s2(*values, 1.0)
    assert not _core.passes_srd(*values, 0.001, 0.08, 2)
    assert not _core.passes_pile_up(bad, 30.0)
    assert not _core.passes_momentum(bad, 100.0, 3.0)
    assert not _core.passes_preshower(bad, 0.4)
    assert not _core.passes_ecal(bad, 85.0)
    assert not _core.passes_veto(bad, 0.01)
    assert not _core.passes_shower_chi2(bad, 10.0)
    assert not _core.passes_straw(bad, 2, 1, 5)


@given(energies, energies, energies)
def test_the_signatures_never_share_an_event(hcal1, hcal2, hcal3):
    s1 = _core.passes_hcal_s1(hcal1, hcal2, hcal3, 1.0, 15.0)
    s2 = _core.passes_hcal_s2(hcal1, hcal2, hcal3, 1.0)
    # Below zero by noise only: HCAL1 would have to be at -14 GeV for both.
    assert not (s1 and s2)


def test_arrays_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="VETO_ene needs shape"):
        _core.veto_energy(np.zeros((4, 5)), BALANCE)
    with pytest.raises(ValueError, match="HCAL_ene needs shape"):
        _core.hcal_r(np.zeros((4, 3, 3)), SINGLE)
    with pytest.raises(ValueError, match="ECAL_ene needs shape"):
        _core.leading_ecal_cell(np.zeros(72))
    assert _core.veto_energy(np.zeros((0, 6)), BALANCE).shape == (0,)


def test_core_cells_of_the_card():
    assert hcal_core_bits(load_card()) == [SINGLE, SINGLE, WIDE]
    assert hcal_core_bits(load_card(overrides=["selection.r.core=single"])) == [SINGLE] * 3
    corner = load_card(overrides=["periods.2017.hcal_core=[[[0, 0]], [[2, 0]], [[2, 2], [2, 2]]]"])
    assert hcal_core_bits(corner)[1] == [1, 1 << 6, 1 << 8]
    with pytest.raises(ConfigError, match="hcal_core"):
        load_card(overrides=["periods.2018.hcal_core=[[[1, 1]], [[1, 1]], [[3, 1]]]"])


CLING_CODE = """
#include "na64root/selection.hpp"
#include "ROOT/RVec.hxx"
namespace na64root_test {
template <class Function>
std::vector<double> rows(const std::vector<double> &values, std::size_t length, Function &&function) {
    std::vector<double> result;
    for (std::size_t i = 0; i + length <= values.size(); i += length)
        result.push_back(function(ROOT::RVecD(values.begin() + i, values.begin() + i + length)));
    return result;
}
std::vector<double> veto(const std::vector<double> &values) {
    return rows(values, 6, [](const ROOT::RVecD &row) { return na64root::veto_energy(row, 0.3); });
}
std::vector<double> r(const std::vector<double> &values) {
    return rows(values, 36, [](const ROOT::RVecD &row) { return na64root::hcal_r(row, {16, 16, 144}); });
}
std::vector<double> cell(const std::vector<double> &values) {
    return rows(values, 72, [](const ROOT::RVecD &row) { return 1.0 * na64root::leading_ecal_cell(row); });
}
std::vector<double> cuts(const std::vector<double> &values) {
    std::vector<double> result;
    for (std::size_t i = 0; i + 3 <= values.size(); i += 3) {
        const double a = values[i], b = values[i + 1], c = values[i + 2];
        unsigned bits = 0, n = 0;
        for (const bool pass :
             {na64root::passes_trigger(a > 0, b > 0, c > 0, a > b),
              na64root::passes_pile_up(na64root::out_of_time_energy(a, b), c),
              na64root::passes_straw(a, b, c, 5),
              na64root::passes_beam_cell(static_cast<int>(a), 0, static_cast<int>(b)),
              na64root::passes_srd(a, b, c, 0.5, 2.0, 2), na64root::passes_momentum(a, b, 0.3),
              na64root::passes_preshower(a, b), na64root::passes_ecal(a, b), na64root::passes_veto(a, b),
              na64root::passes_hcal_s1(a, b, c, 1.0, 2.0), na64root::passes_hcal_s2(a, b, c, 1.0),
              na64root::passes_r(a, b), na64root::passes_shower_chi2(a, b),
              na64root::showers_in_hcal1(a, b, 1.0, 2.0), na64root::passes_dimuon(a, b, c, 2.0, 1.0, 0.5)})
            bits |= unsigned{pass} << n++;
        result.push_back(bits);
    }
    return result;
}
}
"""


@pytest.fixture(scope="module")
def in_cling():
    cling.declare(CLING_CODE)
    space = cling.root().na64root_test

    def call(name: str, values: np.ndarray) -> np.ndarray:
        return np.array(list(getattr(space, name)(cling.root().std.vector["double"](values.ravel()))))

    return call


def sample(length: int, seed: int) -> np.ndarray:
    """Rows of energies over many scales and signs, ties and values that are not finite among them."""
    rng = np.random.default_rng(seed)
    rows = rng.lognormal(0.0, 3.0, (2000, length)) * rng.choice([1.0, 1.0, 1.0, -0.01], (2000, length))
    rows[::10] = np.round(rows[::10])
    rows[5::50, 0] = np.nan
    rows[6::50, length - 1] = np.inf
    rows[7::50] = 0.0
    return rows


def same_bits(left: np.ndarray, right: np.ndarray) -> bool:
    """Equal to the last bit; which NaN it is does not count."""
    both = np.isnan(left) & np.isnan(right)
    return bool(
        np.array_equal(left.view(np.int64)[~both], right.view(np.int64)[~both]) and both.sum() < len(both)
    )


def test_pybind11_and_cling_give_the_same_bits(in_cling):
    veto, hcal, ecal, triples = sample(6, 1), sample(36, 2), sample(72, 3), sample(3, 4)
    triples[np.isnan(triples[:, 0]) | ~np.isfinite(triples[:, 0]), 0] = 1.0  # used as an integer below
    triples[~np.isfinite(triples[:, 1]), 1] = 1.0
    triples[:, :2] = np.clip(triples[:, :2], -1e9, 1e9)
    assert same_bits(_core.veto_energy(veto, BALANCE), in_cling("veto", veto))
    assert same_bits(_core.hcal_r(hcal.reshape(-1, 4, 3, 3), WIDE), in_cling("r", hcal))
    cells = _core.leading_ecal_cell(ecal.reshape(-1, 2, 6, 6)).astype(float)
    assert same_bits(cells, in_cling("cell", ecal))
    a, b, c = triples.T
    columns = [
        _core.passes_trigger(a > 0, b > 0, c > 0, a > b),
        _core.passes_pile_up(_core.out_of_time_energy(a, b), c),
        _core.passes_straw(a, b, c, 5),
        _core.passes_beam_cell(a.astype(np.int32), 0, b.astype(np.int32)),
        _core.passes_srd(a, b, c, 0.5, 2.0, 2),
        _core.passes_momentum(a, b, 0.3),
        _core.passes_preshower(a, b),
        _core.passes_ecal(a, b),
        _core.passes_veto(a, b),
        _core.passes_hcal_s1(a, b, c, 1.0, 2.0),
        _core.passes_hcal_s2(a, b, c, 1.0),
        _core.passes_r(a, b),
        _core.passes_shower_chi2(a, b),
        _core.showers_in_hcal1(a, b, 1.0, 2.0),
        _core.passes_dimuon(a, b, c, 2.0, 1.0, 0.5),
    ]
    bits = sum(column.astype(float) * 2.0**n for n, column in enumerate(columns))
    assert same_bits(bits, in_cling("cuts", triples))
    for n, column in enumerate(columns):
        assert 0 < column.sum() < len(column), f"cut {n} is not on both sides in the sample"
