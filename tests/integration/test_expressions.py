"""A cut is the same in the compiled library, in Cling and on arrays, at its thresholds and beside them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from na64root import load_card
from na64root.cling import implicit_threads, root
from na64root.config import SIGNATURES
from na64root.event_loop import compiled
from na64root.event_loop.compiled import defined, filtered
from na64root.event_loop.expressions import Call, Code, Constant, Number, Rows, Sum
from na64root.ntuple import Ntuple, open_ntuple
from na64root.selection import cut_table
from support.tree_a import event, write_tree

CARD = load_card()
# Branches that stand for the columns of a cut, derived ones too: doubles that may hold any number, and one
# of whole numbers.
PLAIN = ("ecal0", "trackMomentum", "hcal0")
WHOLE = "spill"
CUTS = {
    f"{signature} {name}": call
    for signature in SIGNATURES
    for name, call in cut_table.predicates(CARD, signature).items()
    if call.parameters and (signature == "S1" or name in ("ecal", "hcal"))  # the others are the same
} | {
    "dimuon": cut_table.dimuon(CARD),
    "neutral hadrons": cut_table.neutral_hadron_tag(CARD),
    "other edge of ecal": cut_table.ecal_below(CARD, 66.1),
}
CALLS = {
    name: replace(
        call, columns=(WHOLE,) if call.function == "passes_beam_cell" else PLAIN[: len(call.columns)]
    )
    for name, call in CUTS.items()
}
# What the library has; control regions are booked for Cling alone.
IN_LIBRARY = [name for name in CALLS if name not in ("dimuon", "neutral hadrons")]


def around(values) -> list[float]:
    """Each value, and its neighbours among the doubles."""
    return sorted({x for v in values for x in (np.nextafter(v, -np.inf), v, np.nextafter(v, np.inf))})


def values_of(call: Call) -> list[tuple[float, ...]]:
    """Values of the columns at, just below and just above each threshold of a call."""
    thresholds = [p.values[0] for p in call.parameters]
    if call.function == "passes_beam_cell":
        x, y = thresholds
        return [(6.0 * x + y + step,) for step in (-1, 0, 1)]
    if call.function == "passes_momentum":
        nominal, window = thresholds
        thresholds = [nominal - window, nominal + window]
    if call.function in ("passes_hcal_s1", "passes_hcal_s2", "showers_in_hcal1"):
        thresholds.append(0.0)  # the other modules, so that the sum is at the threshold
    return list(itertools.product(around(thresholds), repeat=len(call.columns)))


# Values of the columns that pass a cut, each of which it needs.
PASSING = {
    "S1 pile_up": (0.0,), "S1 straw": (1.0, 1.0), "S1 srd": (0.02,) * 3, "S1 momentum": (100.0,),
    "S1 preshower": (5.0,), "S1 ecal": (10.0,), "S1 veto": (0.001,), "S1 hcal": (0.1, 30.0, 0.1),
    "S1 r": (0.01,), "S1 shower_chi2": (1.0,), "S2 ecal": (10.0,), "S2 hcal": (0.1, 0.1, 0.1),
    "dimuon": (1.6, 5.0, 5.0), "neutral hadrons": (30.0, 30.0), "other edge of ecal": (10.0,),
}  # fmt: skip


def with_a_value_missing(values: tuple[float, ...]) -> list[tuple[float, ...]]:
    """Values, and the same with NaN in the place of each."""
    missing = range(len(values))
    return [values, *(tuple(np.nan if k == i else v for k, v in enumerate(values)) for i in missing)]


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Values of PLAIN and WHOLE, shape (events, 4), for all cuts."""
    rows = [(np.nan, 1.0, 1.0, 0.0), (1.0, np.inf, 1.0, 0.0), (1.0, 1.0, -np.inf, 0.0)]
    for call in CALLS.values():
        for values in values_of(call):
            at = dict(zip(call.columns, values, strict=True))
            rows.append(tuple(at.get(name, 0.0) for name in (*PLAIN, WHOLE)))
    for values in PASSING.values():
        rows += [(*row, 0.0, 0.0, 0.0)[:4] for row in with_a_value_missing(values)]
    return np.unique(rows, axis=0)


@pytest.fixture(scope="module")
def tree(rows, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("expressions") / "events.root"
    columns = [dict(zip((*PLAIN, WHOLE), row, strict=True)) for row in rows]
    return write_tree(path, [event(**values, spillevent=i + 2) for i, values in enumerate(columns)])


def library_frame(ntuple: Ntuple) -> compiled.Node:
    return compiled.frame(ntuple.tree, ntuple.paths, ntuple.present)


def chosen(passed: np.ndarray, n: int) -> np.ndarray:
    """Of shape (n,): whether an event is among those of these numbers, which begin at 2."""
    return np.isin(np.arange(n) + 2, passed.astype(int))


def test_a_cut_is_the_same_in_the_library_in_cling_and_on_arrays(rows, tree):
    """Reference: self, three faces of one predicate; each cut has thresholds that events lie beside."""
    columns = dict(zip(PLAIN, rows.T[:3], strict=True)) | {WHOLE: rows.T[3].astype(int)}
    n = len(rows)
    on_arrays = {name: call.of(columns, np.zeros(n, dtype=int)) for name, call in CALLS.items()}
    cut_table.declare_functions(CARD)
    frame = root().RDataFrame("tree", tree)
    text = {
        name: filtered(frame, call, name).Take["unsigned int"]("spillevent") for name, call in CALLS.items()
    }
    with implicit_threads(1):
        ntuple = open_ntuple([tree])
        node = defined(library_frame(ntuple), cut_table.definitions(CARD, ntuple.present))
        library = {name: filtered(node, CALLS[name], name).table(["spillevent"]) for name in IN_LIBRARY}
        in_library = {name: taken.GetValue()[:, 0] for name, taken in library.items()}
    for name, expected in on_arrays.items():
        assert 0 < expected.sum() < n, f"{name} is on one side everywhere"
        in_cling = np.array(list(text[name].GetValue()))
        assert np.array_equal(chosen(in_cling, n), expected), name
        if name in in_library:
            assert np.array_equal(chosen(in_library[name], n), expected), name


def test_thresholds_of_run_periods_are_the_same_in_cling_and_on_arrays(tree, rows):
    by_period = Number((0.4, np.nextafter(0.4, 0.0), 85.0))
    call = Call("passes_preshower", ("ecal0",), (by_period,))
    frame = root().RDataFrame("tree", tree)
    n = len(rows)
    for period in range(3):
        node = defined(frame, {"na64_period": Constant(period)})
        taken = filtered(node, call, "cut").Take["unsigned int"]("spillevent")
        expected = call.of({"ecal0": rows[:, 0]}, np.full(n, period))
        assert 0 < expected.sum() < n
        assert np.array_equal(chosen(np.array(list(taken.GetValue())), n), expected), period


def test_derived_columns_are_the_same_in_the_library_and_in_cling(tmp_path):
    """Reference: self. Energies without a short binary form, in runs of all periods and of none."""
    random = np.random.default_rng(3)
    events = [
        event(
            run=int(random.choice([2000, 3000, 4000, 4300])),
            spillevent=i + 2,
            VETO_ene=random.lognormal(-5.0, 1.0, 6),
            SRD_ene=random.lognormal(-4.0, 1.0, 4),
            HCAL_ene=random.normal(0.3, 1.0, (4, 3, 3)),
            ECAL_ene=random.normal(0.3, 1.0, (2, 6, 6)),
            **{f"hcal{k}": random.normal(0.1, 1.0) for k in range(3)},
        )
        for i in range(300)
    ]
    path = write_tree(tmp_path / "events.root", events)
    with implicit_threads(1):
        ntuple = open_ntuple([path])
        derived = cut_table.definitions(CARD, ntuple.present)
        names = sorted(derived)
        found = defined(library_frame(ntuple), derived).table(names).GetValue()
        cut_table.declare_functions(CARD)
        in_cling = defined(ntuple.data_frame(), derived).AsNumpy(names)
    assert len(names) == 11
    for i, name in enumerate(names):
        assert np.array_equal(found[:, i], in_cling[name].astype(float), equal_nan=True), name
    assert len(set(in_cling["na64_period"])) == 4
    assert np.isnan(in_cling["na64_r"]).sum() < 200


@pytest.mark.parametrize(
    ("column", "expression"),
    [
        ("na64_one", Constant(2.0)),
        ("na64_veto", Call("veto_energy", ("SRD_ene",), (Number((0.3,)),))),
        ("na64_veto", Call("veto_energy", ("VETO_ene",))),
        ("na64_srd0", Sum(("SRD_ene[1]",))),
        ("na64_r", Call("hcal_r_in_period", ("HCAL_ene", "na64_period"), (Rows("RunRange", ((1, 2),)),))),
        ("na64_period", Code("na64root::run_period(run, ranges)")),
        ("na64_new", Constant(1.0)),
    ],
)
def test_the_library_takes_no_other_definition_of_a_column(tree, column, expression):
    node = library_frame(open_ntuple([tree]))
    with pytest.raises(compiled.NotCompiledError, match=column):
        defined(node, {column: expression})


@pytest.mark.parametrize(
    "condition",
    [
        Call("passes_r", ("na64_r",)),
        Call("passes_momentum", ("trackMomentum",), (Number((100.0,)),)),
        Call("passes_r", ("no_such_column",), (Number((0.06,)),)),
        Call("no_such_predicate", ("na64_r",), (Number((0.06,)),)),
        Code("na64_r < 0.06"),
    ],
)
def test_the_library_takes_no_cut_that_it_has_not(tree, condition):
    node = library_frame(open_ntuple([tree]))
    with pytest.raises(compiled.NotCompiledError, match="tight"):
        filtered(node, condition, "tight")


def test_a_value_that_is_no_number_fails_each_cut():
    """Reference: analytic; that the engines agree on these rows is shown above."""
    for name, values in PASSING.items():
        rows = with_a_value_missing(values)
        columns = dict(zip(PLAIN, np.transpose([(*row, 0.0, 0.0)[:3] for row in rows]), strict=True))
        passed = CALLS[name].of(columns, np.zeros(len(rows), dtype=int))
        assert passed.tolist() == [True] + [False] * len(values), name
