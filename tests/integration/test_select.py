"""N-1, declared cuts, thresholds of periods and skims, in one event loop with the cut flow.

References: NumPy (independent) and events planted by hand.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from na64root import ntuple, records, selection
from na64root.cli import tables
from na64root.cling import root
from na64root.config import Card, load_card
from na64root.errors import ConfigError, Na64Error
from na64root.reports import selection_report
from na64root.selection import SelectionOptions, cut_table
from na64root.selection.skim import Skim
from na64root.simulation import signal_files, simulate
from na64root.simulation.options import PseudodataOptions
from na64root.simulation.writer import EventFile
from na64root.work import Work
from support import numpy_selection
from support.commands import run
from support.planted import all_events, flow_of
from support.tree_a import ecal_cell, event, s1_event, write_tree

# Good events that fail one cut only, so that no N-1 distribution of a planted file is empty.
ONE_FAILS = [
    changes
    for make in (event, s1_event)
    for changes in (
        make(isOnSpill=False),
        make(ecalTotalNoTimecut=60.0),
        make(straw3X=9),
        make(straw3Y=0),
        make(ECAL_ene=ecal_cell(3, 2)),
        make(SRD_ene=[0.09, 0.085, 0.02, 0.0]),
        make(trackMomentum=90.0),
        make(ecal0=0.1),
        make(ecalTotal=95.0, ecalTotalNoTimecut=95.0),
        make(VETO_ene=[0.02, 0.02, 0.001, 0.001, 0.001, 0.001]),
        make(hcal0=5.0),
        make(showerChi2=25.0),
    )
]


@pytest.fixture(scope="module")
def card() -> Card:
    return load_card()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("select")


def planted_events() -> list[dict[str, Any]]:
    events = [dict(e) for e in (*all_events(), *ONE_FAILS)]
    for number, e in enumerate(events):
        e["spillevent"] = number + 1
    return events


@pytest.fixture(scope="module")
def planted(folder) -> str:
    return write_tree(folder / "planted.root", planted_events())


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    return np.random.default_rng(1).uniform(0.1, 3.0, len(planted_events()))


@pytest.fixture(scope="module")
def weighted(folder, weights) -> str:
    events = [e | {"mcWeight": w} for e, w in zip(planted_events(), weights, strict=True)]
    return write_tree(folder / "weighted.root", events, extra={"mcWeight": 1.0})


def require_numpy_distributions(
    result: selection.SelectionResult, path: str, weights: np.ndarray | None = None
) -> int:
    """N-1 against NumPy, bin by bin; returns the number of events in all of them."""
    events = numpy_selection.read(path)
    w = np.ones(len(events["run"])) if weights is None else weights
    shown = {(n.signature, n.cut, n.variable): n for n in result.n_minus_one}
    wanted = {(s, *key) for s in numpy_selection.CUTS for key in numpy_selection.variables(events, s)}
    assert shown.keys() == wanted
    for (signature, cut, variable), found in shown.items():
        left = numpy_selection.n_minus_one(events, signature, cut)
        values = numpy_selection.variables(events, signature)[cut, variable][left].astype(float)
        edges = np.array(found.histogram.axes[0].edges)
        contents, outside = numpy_selection.binned(values, w[left], edges)
        assert found.histogram.contents == pytest.approx(contents, rel=1e-11), (signature, cut, variable)
        assert found.histogram.outside == pytest.approx(outside, rel=1e-11, abs=1e-9)
        if weights is not None:
            squares, _ = numpy_selection.binned(values, w[left] ** 2, edges)
            assert found.histogram.variances == pytest.approx(squares, rel=1e-11)
    return sum(int(numpy_selection.n_minus_one(events, s, cut).sum()) for s, cut, _ in shown)


@pytest.mark.parametrize("threads", [1, 2])
def test_n_minus_one_of_planted_events_is_numpys(planted, card, threads):
    result = selection.select([planted], card, SelectionOptions(n_minus_one=True), work=Work(threads=threads))
    assert require_numpy_distributions(result, planted) > 300
    assert flow_of(result) == numpy_selection.cutflow(numpy_selection.read(planted))
    assert result.event_loops == 1
    # Every cut has an event that it alone rejects: taking the cut away must show it.
    for found in result.n_minus_one:
        total = np.sum(found.histogram.contents) + found.histogram.outside
        passed = sum(c.signature == found.signature for c in result.candidates)
        assert total > passed, (found.signature, found.cut)


def test_n_minus_one_and_flow_of_weighted_events_are_numpys(weighted, weights, card):
    result = selection.select([weighted], card, SelectionOptions(n_minus_one=True), work=Work(threads=2))
    assert result.weighted
    require_numpy_distributions(result, weighted, weights)
    flow = numpy_selection.weighted_cutflow(numpy_selection.read(weighted), weights)
    squares = numpy_selection.weighted_cutflow(numpy_selection.read(weighted), weights**2)
    for row, error in zip(result.cutflow, result.cutflow_errors, strict=True):
        if (key := (row.period, row.signature, row.cut)) in flow:
            assert row.weighted == pytest.approx(flow[key], rel=1e-11)
            assert error == pytest.approx(squares[key] ** 0.5, rel=1e-11)


@pytest.mark.parametrize("threads", [1, 2])
def test_n_minus_one_of_pseudodata_is_numpys(few_pseudodata, card, threads):
    result = selection.select(
        [few_pseudodata], card, SelectionOptions(n_minus_one=True), work=Work(threads=threads)
    )
    assert require_numpy_distributions(result, few_pseudodata) > 100
    assert flow_of(result) == numpy_selection.cutflow(numpy_selection.read(few_pseudodata))


def test_the_full_selection_is_the_plain_one_and_more(planted, card):
    plain, full = (
        selection.select([planted], card),
        selection.select([planted], card, SelectionOptions(n_minus_one=True)),
    )
    assert plain.n_minus_one == ()
    assert full.model_copy(update={"n_minus_one": ()}) == plain


def test_thresholds_are_told_with_unit_provenance_and_accepted_range(planted, card):
    result = selection.select([planted], card)
    (momentum,) = [c for c in result.cuts if (c.name, c.signature) == ("momentum", "S1")]
    assert [t.name for t in momentum.thresholds] == [
        "selection.momentum.nominal_GeV",
        "selection.momentum.window_GeV",
    ]
    assert momentum.thresholds[0].unit == "GeV"
    assert momentum.thresholds[0].provenance == "published"
    assert momentum.thresholds[1].values == dict.fromkeys(numpy_selection.PERIODS, 3.0)
    assert momentum.variables[0].accepted["2018"] == (97.0, 103.0)
    assert momentum.inputs == ("trackMomentum",)
    s1, s2 = (c for c in result.cuts if c.name == "ecal")
    assert s1.variables[0].accepted["2016"] == (None, 85.0)
    assert s2.variables[0].accepted["2016"] == (None, 50.0)
    assert [t.name for t in s2.thresholds] == ["selection.ecal.s2_max_GeV"]


# Declared cuts


def card_with(tmp_path: Path, text: str) -> Card:
    path = tmp_path / "card.toml"
    path.write_text('extends = "paper2021"\n' + text, "utf-8")
    return load_card(path)


def number(value: float, unit: str = "") -> str:
    more = f', unit = "{unit}"' if unit else ""
    return f'{{ value = {value}, provenance = "user", source = "a test"{more} }}'


DECLARED = f"""
[[selection.declared]]
name = "quiet_zero_degree"
expression = "hcal3 < hcal3_max"
after = "momentum"
signatures = ["S2"]
periods = ["2016", "2018"]
thresholds.hcal3_max = {number(40.0, "GeV")}
[selection.declared.quantity]
expression = "hcal3"
title = "Zero-degree HCAL energy [GeV]"
low = 0.0
high = 100.0
below = "hcal3_max"

[[selection.declared]]
name = "main_over_preshower"
expression = "ecal1 > ratio * ecal0 && std::isfinite(ECAL_ene[36 + 21])"
after = "quiet_zero_degree"
thresholds.ratio = {number(2.0)}
"""


def declared_events() -> list[dict[str, Any]]:
    """The zero-degree module has 50 GeV in `event()`, ecal1 is 17 GeV and ecal0 3 GeV."""
    return [
        event(hcal3=30.0),
        event(hcal3=30.0, ecal1=5.9),
        event(),
        event(hcal3=40.0),
        event(run=2600),  # 2017: not cut on
        event(run=2600, ecal1=1.0),
        event(run=100, hcal3=39.0),
        s1_event(),
        s1_event(ecal1=6.1),
        s1_event(ecal1=6.0),
        event(isOnSpill=False, hcal3=30.0),
    ]


def test_declared_cuts_stand_where_they_are_told(tmp_path):
    path = write_tree(tmp_path / "file.root", declared_events())
    result = selection.select(
        [path], card_with(tmp_path, DECLARED), SelectionOptions(n_minus_one=True), work=Work(threads=2)
    )
    flow = {(r.period, r.signature, r.cut): r.events for r in result.cutflow}
    s2 = [r.cut for r in result.cutflow if (r.period, r.signature) == ("2018", "S2")]
    at = s2.index("momentum")
    assert s2[at : at + 4] == ["momentum", "quiet_zero_degree", "main_over_preshower", "preshower"]
    s1 = [r.cut for r in result.cutflow if (r.period, r.signature) == ("2018", "S1")]
    assert s1[at : at + 3] == ["momentum", "main_over_preshower", "preshower"]
    # By hand: of 7 events with a trigger in 2018 two have hcal3 < 40 GeV, one of these too little ecal1.
    assert [flow["2018", "S2", cut] for cut in s2[at : at + 3]] == [7, 2, 1]
    assert [flow["2017", "S2", cut] for cut in s2[at : at + 3]] == [2, 2, 1]
    assert [flow["2016", "S2", cut] for cut in s2[at : at + 3]] == [1, 1, 1]
    assert [flow["2018", "S1", cut] for cut in s1[at : at + 2]] == [7, 5]
    assert {(c.period, c.signature): c.observed for c in result.counts} == {
        ("2016", "S1"): 0, ("2016", "S2"): 1,
        ("2017", "S1"): 0, ("2017", "S2"): 1,
        ("2018", "S1"): 2, ("2018", "S2"): 1,
    }  # fmt: skip
    shown = {(n.signature, n.cut): n for n in result.n_minus_one}
    assert ("S1", "quiet_zero_degree") not in shown
    zero_degree = shown["S2", "quiet_zero_degree"].histogram
    assert zero_degree.axes[0].title == "Zero-degree HCAL energy [GeV]"
    edges = np.array(zero_degree.axes[0].edges)
    assert zero_degree.contents == np.histogram([30.0, 50.0, 40.0, 50.0, 39.0], edges)[0].tolist()
    assert shown["S2", "quiet_zero_degree"].accepted["2018"] == (None, 40.0)
    # Without a quantity, whether it passes.
    assert shown["S1", "main_over_preshower"].histogram.contents == [1.0, 2.0]
    (told,) = [c for c in result.cuts if c.name == "quiet_zero_degree"]
    assert told.declared
    assert told.thresholds[0].unit == "GeV"


# Each passes the events with ecal1 above 5 GeV; VETO_ene[5] is 0.001 GeV.
ON_NAN = {
    "plain": "ecal1 > 5",
    "negated": "!(ecal1 <= 5)",
    "either": "ecal1 > 5 || ecal1 != ecal1",
    "ternary": "ecal1 <= 5 ? false : true",
    "element": "ecal1 > 5 && !(VETO_ene[2 + 3] > 1)",
    "function": "!std::signbit(ecal1 - 5)",
    "finite": "std::isfinite(ecal1) && ecal1 > 5",
    "kept": "std::isnan(ecal1) || ecal1 > 5",
}


def test_a_declared_cut_fails_where_its_value_is_nan_whatever_its_form(tmp_path):
    """Reference: analytic."""
    veto = np.full(6, 0.001)
    veto[5] = np.nan
    rows = [event(), event(ecal1=4.0), event(ecal1=np.nan), event(ecal1=17.0, VETO_ene=veto)]
    path = write_tree(tmp_path / "file.root", rows)
    text = ""
    for name, expression in ON_NAN.items():
        text += f'[[selection.declared]]\nname = "{name}"\nexpression = "{expression}"\nafter = "trigger"\n'
    card = card_with(tmp_path, text)
    opened = ntuple.open_ntuple([path], card)
    cut_table.declare_functions(card)
    frame = opened.data_frame()
    table = [cut for cut in cut_table.cuts(card, "S2", opened) if cut.declared]
    passed = {cut.name: frame.Filter(cut.expression).Take["double"]("ecal1") for cut in table}
    found = {name: [str(float(value)) for value in taken.GetValue()] for name, taken in passed.items()}
    assert found == {name: ["17.0", "17.0"] for name in ON_NAN} | {
        "element": ["17.0"],
        "kept": ["17.0", "nan", "17.0"],
    }


def with_header(tmp_path: Path, code: str, expression: str):
    """A card in a folder of its own, beside a header."""
    (tmp_path / "cards").mkdir(exist_ok=True)
    (tmp_path / "cards" / "cuts.hpp").write_text(code, "utf-8")
    card = tmp_path / "cards" / "own.toml"
    card.write_text(
        'extends = "paper2021"\n[[selection.declared]]\nname = "own"\nafter = "preshower"\n'
        f'expression = "{expression}"\nheader = "cuts.hpp"\n'
        f"thresholds.share_min = {number(0.5)}\n",
        "utf-8",
    )
    return card


# Functions of the user's, with arrays, ROOT's own types and the core's header.
HEADER = """
#include "na64root/selection.hpp"
#include <ROOT/RVec.hxx>
namespace my {
template <class Range> double share_of_module(const Range& module_energies, double total) {
  return total > 0.0 ? ROOT::VecOps::Sum(module_energies)/total : 0.0;
}
inline bool passes_share(double share, double share_min) { return share >= share_min; }
}
"""
SHARE = "my::passes_share(my::share_of_module(ROOT::VecOps::Take(HCAL_ene, 9), hcal0), share_min)"


def test_a_declared_cut_calls_functions_of_a_header_beside_the_card(tmp_path):
    cells = np.zeros((4, 3, 3))
    cells[0, 1, 1] = 0.24
    path = write_tree(tmp_path / "events.root", [
        event(hcal0=0.3, HCAL_ene=cells),  # 0.8 of the module
        event(hcal0=0.5, HCAL_ene=cells),  # 0.48
        event(hcal0=0.0, HCAL_ene=cells),
    ])  # fmt: skip
    card_file = with_header(tmp_path, HEADER, SHARE)
    card = load_card(card_file)
    result = selection.select([path], card, SelectionOptions(n_minus_one=True))
    flow = {r.cut: r.events for r in result.cutflow if (r.period, r.signature) == ("2018", "S2")}
    assert (flow["preshower"], flow["own"]) == (3, 1)
    (told,) = {c.header for c in result.cuts if c.name == "own"}
    assert told == "cuts.hpp"
    # The text is part of the card: the file is not read again, and another text is another card.
    (tmp_path / "cards" / "cuts.hpp").write_text("nothing that compiles", "utf-8")
    assert selection.select([path], card).counts == result.counts
    assert load_card(card_file).sha256 != card.sha256


@pytest.mark.parametrize(
    ("code", "expression", "said"),
    [
        (
            "inline bool first(double x) { return x > share_min; }",
            "first(ecal0)",
            "line 1: 'share_min' was not declared",
        ),
        ("#include <no_such_header>\n", "true", "line 1: no_such_header: No such file"),
        ("\n\nnamespace second { bool f( }", "second::f(ecal0)", "line 3: "),
        ("namespace third { }", "third::f(ecal0, share_min)", "no member named 'f' in namespace 'third'"),
    ],
)
def test_a_header_that_does_not_compile_is_one_line(tmp_path, code, expression, said):
    path = write_tree(tmp_path / "events.root", [event()])
    expression += "" if "share_min" in expression else " || ecal0 > share_min"
    with pytest.raises(ConfigError) as raised:
        selection.select([path], load_card(with_header(tmp_path, code, expression)))
    assert said in str(raised.value)
    assert ("cuts.hpp" if said.startswith("line") else "cut own") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_header_and_code_are_one(tmp_path):
    """As in a card that was written from one that had been read."""
    card = with_header(tmp_path, "namespace one { }", "ecal0 > share_min")
    read = load_card(card)
    text = card.read_text("utf-8")
    card.write_text(text + 'code = "namespace one { }"\n', "utf-8")
    assert load_card(card).selection == read.selection
    card.write_text(text + 'code = "namespace two { }"\n', "utf-8")
    with pytest.raises(ConfigError, match="other code than its header cuts"):
        load_card(card)
    # One text under two names is compiled once.
    twice = read.selection.declared[0].model_copy(update={"header": "./cuts.hpp"})
    both = read.model_copy(
        update={
            "selection": read.selection.model_copy(update={"declared": [*read.selection.declared, twice]})
        }
    )
    assert cut_table.functions(both) == (("cuts.hpp", "namespace one { }"),)


def test_an_expression_is_no_function_body(tmp_path):
    with pytest.raises(ConfigError, match="function of a header"):
        load_card(with_header(tmp_path, "", "[](double x) { return x; }(ecal0) > share_min"))


def test_a_header_that_is_not_there_is_one_line(tmp_path):
    card = with_header(tmp_path, "", "ecal0 > share_min")
    (tmp_path / "cards" / "cuts.hpp").unlink()
    with pytest.raises(ConfigError, match=r"cannot read .*cuts\.hpp, the header of cut own"):
        load_card(card)
    with pytest.raises(ConfigError, match="code is part of a card"):
        load_card(overrides=["selection.declared.own.header=other.hpp"])


def test_thresholds_of_a_period_hold_in_that_period(tmp_path):
    text = f"""
    [selection.period.2017]
    shower_chi2.chi2_max = {number(2.0)}
    momentum.nominal_GeV = {number(110.0)}
    [selection.period.2018]
    beam_cell.x = {number(2)}
    veto.photomultiplier_balance = {number(0.0)}
    """
    cell = np.zeros((2, 6, 6))
    cell[1, 2, 3] = 20.0
    one_failed = [0.0, 0.02, 0.0, 0.0, 0.0, 0.0]  # 20 MeV with balance 0.3, 0 with balance 0
    events = [
        event(run=2000),
        event(run=2000, ECAL_ene=cell),
        event(run=2000, VETO_ene=one_failed),
        event(run=2600),
        event(run=2600, trackMomentum=110.0),
        event(run=2600, trackMomentum=110.0, showerChi2=1.9),
        event(ECAL_ene=cell),
        event(ECAL_ene=cell, VETO_ene=one_failed),
        event(),
    ]
    path = write_tree(tmp_path / "file.root", events)
    result = selection.select([path], card_with(tmp_path, text), SelectionOptions(n_minus_one=True))
    counts = {c.period: c.observed for c in result.counts if c.signature == "S2"}
    assert counts == {"2016": 1, "2017": 1, "2018": 2}
    (momentum,) = [n for n in result.n_minus_one if (n.signature, n.cut) == ("S2", "momentum")]
    assert momentum.accepted == {"2016": (97.0, 103.0), "2017": (107.0, 113.0), "2018": (97.0, 103.0)}
    (told,) = [c for c in result.cuts if (c.name, c.signature) == ("shower_chi2", "S2")]
    assert told.thresholds[0].values == {"2016": 10.0, "2017": 2.0, "2018": 10.0}


def one_cut(**changes: str) -> str:
    keys = {"name": '"mine"', "expression": '"ecalTotal > 1"', "after": '"srd"'} | changes
    return "[[selection.declared]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (one_cut(after='"momentun"'), ["cut mine", "momentun", "did you mean momentum?"]),
        (one_cut(name='"ecal"'), ["two cuts have the name ecal"]),
        (one_cut(name='"my cut"'), ["selection.declared.0.name", "my cut"]),
        (one_cut(signatures='["S3"]'), ["signatures", "S3"]),
        (one_cut(periods='["2019"]'), ["cut mine", "2019", "did you mean 2018?"]),
        (one_cut(epression='"1"'), ["epression", "did you mean expression?"]),
        (one_cut() + f"thresholds.low = {number(1)}", ["cut mine", "does not use its threshold low"]),
        (
            one_cut() + 'quantity = { expression = "ecalTotal", title = "E", low = 1, high = 0 }',
            ["axis ends at 0"],
        ),
        (
            one_cut(expression='"ecalTotal > low"')
            + f"thresholds.low = {number(1)}\n"
            + 'quantity = { expression = "1", title = "E", low = 0, high = 1, above = "lo" }',
            ["cut mine has no threshold lo", "did you mean low?"],
        ),
        (f"selection.period.2019.ecal.s1_max_GeV = {number(80)}", ["2019", "did you mean 2018?"]),
        (f"selection.period.2018.ecl.s1_max_GeV = {number(80)}", ["no cut ecl", "did you mean ecal?"]),
        (f"selection.period.2018.ecal.s1_max = {number(80)}", ["no threshold s1_max", "s1_max_GeV?"]),
        (f"selection.period.2018.ecal.s1_max_GeV = {number(-1)}", ["2018.ecal.s1_max_GeV", "positive"]),
        (f"selection.period.2018.hcal.s1_signal_min_GeV = {number(0.5)}", ["period.2018.hcal", "overlap"]),
    ],
)  # fmt: skip
def test_what_a_card_cannot_declare_is_one_line(tmp_path, text, parts):
    with pytest.raises(ConfigError) as caught:
        card_with(tmp_path, text)
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"expression": '"trackMomentun > 1"'}, ["no branch trackMomentun", "did you mean trackMomentum?"]),
        ({"expression": '"ecalTotal > "'}, ["expected expression"]),
        ({"expression": '"SRD_ene > 1"'}, ["bool"]),
        ({"expression": '"~run > 1"'}, ["no such operator"]),
        (
            {"quantity": '{ expression = "ecalTotl", title = "E", low = 0, high = 1 }'},
            ["the quantity of cut mine", "did you mean ecalTotal?"],
        ),
    ],
)
def test_a_cut_that_does_not_compile_is_named(tmp_path, planted, capfd, changes, parts):
    with pytest.raises(ConfigError) as caught:
        selection.select([planted], card_with(tmp_path, one_cut(**changes)))
    assert "\n" not in str(caught.value)
    for part in ["cut mine does not compile", *parts]:
        assert part in str(caught.value)
    assert "error:" not in capfd.readouterr().err  # one line, not the compiler's pages


def test_hit_times_within_four_sigma_can_be_declared(tmp_path, few_pseudodata):
    """The example of docs/selection.md; reference: NumPy on the same branches (independent)."""
    text = (Path(__file__).parents[2] / "docs" / "selection.md").read_text("utf-8")
    example = next(block for block in text.split("```")[1::2] if "in_time" in block)
    declared = card_with(tmp_path, example.partition('extends = "paper2021"')[2])
    result = selection.select([few_pseudodata], declared)
    events = numpy_selection.read(few_pseudodata)
    data = root().RDataFrame("tree", few_pseudodata).AsNumpy(["masterTime", "ECAL_t0"])
    time = np.array([cells[57] for cells in data["ECAL_t0"]]) - data["masterTime"]
    passes = numpy_selection.masks(events, "S1")
    left = passes["trigger"] & passes["pile_up"] & numpy_selection.in_periods(events)
    (in_time,) = declared.selection.declared
    window = 4.0 * in_time.thresholds["sigma_ns"].value
    left &= np.abs(time - in_time.thresholds["delay_ns"].value) < window
    kept = sum(r.events for r in result.cutflow if (r.signature, r.cut) == ("S1", "in_time"))
    assert kept == left.sum()
    assert 0 < kept < numpy_selection.in_periods(events).sum()


# Skims


def rows_of(path: str) -> list[tuple[int, ...]]:
    data = root().RDataFrame("tree", path).AsNumpy(["run", "spill", "spillevent"])
    return sorted(zip(*(data[name].tolist() for name in ("run", "spill", "spillevent")), strict=True))


@pytest.mark.parametrize(("rntuple", "threads"), [(False, 1), (False, 2), (True, 1), (True, 2)])
def test_a_skim_is_read_again_with_the_same_counts(tmp_path, planted, card, rntuple, threads):
    path = tmp_path / "skim.root"
    skim = Skim(path, rntuple=rntuple)
    result = selection.select(
        [planted], card, SelectionOptions(skim=skim, n_minus_one=True), work=Work(threads=threads)
    )
    assert result.event_loops == 1
    assert result.skim.file == str(path)
    assert [p.name for p in tmp_path.iterdir()] == ["skim.root"]
    again = selection.select([str(path)], card, SelectionOptions(n_minus_one=True))
    observed = {(c.period, c.signature): c.observed for c in result.counts}
    assert {(c.period, c.signature): c.observed for c in again.counts} == observed
    assert again.candidates == result.candidates
    assert result.skim.events == sum(observed.values()) == len(result.candidates)
    assert rows_of(str(path)) == sorted((c.run, c.spill, c.spillevent) for c in result.candidates)
    file = root().TFile.Open(str(path))
    assert file.GetKey("tree").GetClassName() == ("ROOT::RNTuple" if rntuple else "TTree")
    file.Close()
    (facts,) = ntuple.inspect([str(path)], card).made_by_na64root.values()
    made = facts["provenance"]
    assert (facts["skim_cut"], facts["simulation"]) == (None, [])
    assert (made["card"], made["card_sha256"]) == (card.card.name, card.sha256)
    assert made["na64root"] == ntuple.inspect([planted], card).provenance.na64root
    assert [file["sha256"] for file in made["input_files"]] == [records.sha256_of(Path(planted))]
    assert ntuple.inspect([planted], card).made_by_na64root == {}


@pytest.mark.parametrize("rntuple", [False, True])
def test_a_skim_from_a_loop_that_is_repeated_is_whole(tmp_path, card, rntuple):
    """Two threads find a duplicate: the second loop writes the file again."""
    source = write_tree(tmp_path / "file.root", [event(spillevent=n) for n in (2, 3, 3, 4)])
    skim = Skim(tmp_path / "skim.root", rntuple=rntuple)
    result = selection.select([source], card, SelectionOptions(skim=skim), work=Work(threads=2))
    assert (result.event_loops, result.skim.events) == (2, 3)
    assert [number for *_, number in rows_of(str(skim.path))] == [2, 3, 4]
    assert ntuple.about(str(skim.path))["skim_cut"] is None


def test_a_skim_after_a_cut_keeps_what_passed_it_and_every_branch(tmp_path, few_pseudodata, card):
    path = tmp_path / "skim.root"
    options = SelectionOptions(skim=Skim(path, "srd"), n_minus_one=True)
    result = selection.select([few_pseudodata], card, options)
    events = numpy_selection.read(few_pseudodata)
    passes = numpy_selection.masks(events, "S1")
    wanted = np.logical_and.reduce(
        [numpy_selection.in_periods(events), *(passes[c] for c in numpy_selection.COMMON[:5])]
    )
    assert result.skim.events == wanted.sum() > 0

    def branches(source: str) -> dict[str, tuple[str, str]]:
        file = root().TFile.Open(source)
        found = {
            str(b.GetName()): (str(b.GetTitle()), str(b.GetClassName()))
            for b in file.Get("tree").GetListOfBranches()
        }
        file.Close()
        return found

    assert branches(str(path)) == branches(few_pseudodata)
    other = numpy_selection.read(str(path))
    for name in ("ECAL_ene", "HCAL_ene", "VETO_ene", "ecalTotal", "showerChi2"):
        assert np.array_equal(other[name], events[name][wanted], equal_nan=True), name
    again = selection.select([str(path)], card)
    rows, before = flow_of(again), flow_of(result)
    for key, number_ in before.items():
        assert rows[key] == (
            before[key[0], key[1], "srd"] if number_ > before[key[0], key[1], "srd"] else number_
        )


def test_an_rntuple_is_skimmed_into_an_rntuple(tmp_path, card):
    eot = {"2016": 5e8, "2017": 5e8, "2018": 5e8}
    source = simulate.pseudodata(
        card, EventFile(tmp_path / "source.root", format="rntuple"), PseudodataOptions(eot=eot)
    ).file
    path = tmp_path / "skim.root"
    with pytest.raises(ConfigError, match="--format rntuple"):
        selection.select([source], card, SelectionOptions(skim=Skim(path, "momentum"), n_minus_one=True))
    result = selection.select(
        [source], card, SelectionOptions(skim=Skim(path, "momentum", rntuple=True), n_minus_one=True)
    )
    # What the simulation says of itself stays, also through a second skim.
    more = tmp_path / "more.root"
    selection.select(
        [str(path)], card, SelectionOptions(skim=Skim(more, "srd", rntuple=True), n_minus_one=True)
    )
    for skimmed in (path, more):
        (facts,) = ntuple.about(str(skimmed))["simulation"]
        assert facts == ntuple.about(source)
    with pytest.raises(ConfigError, match="but of no signal"):
        signal_files.read_signal([str(path)], card, card.exposure())
    again = selection.select([str(path)], card)
    for signature in ("S1", "S2"):
        for period in numpy_selection.PERIODS:
            key = (period, signature, "momentum")
            assert flow_of(again)[key] == flow_of(result)[key]


def test_what_cannot_be_skimmed_is_one_line(tmp_path, planted, card):
    path = tmp_path / "skim.root"
    with pytest.raises(ConfigError, match="known are trigger, .*correct --skim-cut"):
        selection.select([planted], card, SelectionOptions(skim=Skim(path, "sdr"), n_minus_one=True))
    path.write_text("precious")
    with pytest.raises(Na64Error, match="--force"):
        selection.select([planted], card, SelectionOptions(skim=Skim(path), n_minus_one=True))
    assert path.read_text() == "precious"
    with pytest.raises(ConfigError, match="blinded skim"):
        selection.select(
            [planted], card, SelectionOptions(skim=Skim(path, force=True), blind=True, n_minus_one=True)
        )
    assert path.read_text() == "precious"
    nothing = write_tree(tmp_path / "nothing.root", [event(isOnSpill=False)])
    result = selection.select(
        [nothing], card, SelectionOptions(skim=Skim(path, force=True), n_minus_one=True)
    )
    assert result.skim.file is None
    assert any("no event passed the cuts of the skim" in note for note in result.notes)
    # What is there no longer belongs to these events.
    assert sorted(p.name for p in tmp_path.iterdir()) == ["nothing.root"]


# The verb


def test_the_verb_writes_what_it_says(tmp_path, weighted, weights, unrendered):
    card, out, skim = tmp_path / "card.toml", tmp_path / "out", tmp_path / "skims" / "skim.root"
    card.write_text('extends = "paper2021"\n' + DECLARED, "utf-8")
    options = ["--config", str(card), "-o", str(out), "-j", "2", "--eot", "2018=1e11"]
    options += ["--set", "selection.declared.quiet_zero_degree.thresholds.hcal3_max=1e3"]
    code, text = run("select", weighted, "--json", "--skim", str(skim), "--skim-cut", "srd", *options)
    assert code == 0
    result = json.loads(text)
    assert result == json.loads((out / "select.json").read_text("utf-8"))
    assert sorted(result["files"]) == sorted(path.name for path in out.iterdir())
    assert result["event_loops"] == 1
    assert result["exposure"]["2018"] == 1e11
    assert result["skim"] == {"file": str(skim), "events": result["skim"]["events"], "cut": "srd"}
    assert (
        result["provenance"]["card_changed"]["selection.declared.quiet_zero_degree.thresholds.hcal3_max"]
        == 1e3
    )

    # ROOT: counts, weights and their errors; by NumPy (independent).
    file = root().TFile.Open(str(out / "select.root"))
    events = numpy_selection.read(weighted)
    flows = {
        "cutflow_events_2018_S1": (numpy_selection.cutflow(events), numpy_selection.cutflow(events)),
        "cutflow_2018_S1": tuple(numpy_selection.weighted_cutflow(events, weights**n) for n in (1, 2)),
    }
    for name, (sums, squares) in flows.items():
        flow = file.Get(name)
        labels = [str(flow.GetXaxis().GetBinLabel(i + 1)) for i in range(flow.GetNbinsX())]
        declared = labels.index("main_over_preshower")
        assert labels[declared - 1] == "momentum"
        for i, cut in enumerate(labels[:declared], start=1):
            key = "2018", "S1", cut
            assert flow.GetBinContent(i) == pytest.approx(sums[key], rel=1e-11)
            assert flow.GetBinError(i) == pytest.approx(squares[key] ** 0.5, rel=1e-11)
    assert file.Get("n_minus_one_S1_r").GetXaxis().GetTitle() == "R"
    assert file.Get("n_minus_one_S2_srd_srd1").GetNbinsX() == 100
    assert file.Get("n_minus_one_S2_quiet_zero_degree").Integral() > 0.0
    file.Close()

    # LaTeX: two lines of heading, a row for each cut of either signature, every row with all columns.
    lines = (out / "cutflow.tex").read_text("utf-8").splitlines()
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    cuts = [row.partition(" & ")[0].replace("\\_", "_") for row in body]
    assert cuts == ["initial", *load_card(card).selection.order]
    assert {row.count("&") for row in body} == {6}
    assert all(row.endswith(r" \\") for row in body)
    total = numpy_selection.weighted_cutflow(events, weights)["2018", "S2", "initial"]
    assert rf"${total:.4g} \pm" in body[0]

    # What a person reads is the same record.
    record = selection_report.SelectionReport.model_validate(result)
    shown = io.StringIO()
    tables.show_selection(record, Console(file=shown, width=200))
    words = " ".join(shown.getvalue().split())
    assert "Cut flow, 2018: events left" in words
    assert "S2, weighted" in words
    (row,) = [r for r in record.cutflow if (r.period, r.signature, r.cut) == ("2018", "S2", "momentum")]
    assert f"{row.events} {row.weighted:.6g} ±" in words
    assert "declared cut quiet_zero_degree (S2): (na64_period != 0 &&" in words
    assert "excluded: SRD displaced: 2 events, in no bin" in words
    assert str(skim) in words

    # What exists is kept.
    before = (out / "select.json").read_bytes()
    assert run("select", weighted, *options)[0] == 2
    assert (out / "select.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--skim-cut", "srd"], "--skim-cut without --skim"),
        (["--skim", "SKIM", "--skim-cut", "sdr"], "cannot skim after cut sdr"),
        (["--skim", "SKIM", "--blind"], "a blinded skim cannot hold"),
        (["--config", "CARD"], "cut mine does not compile (the files have no branch trackMomentun"),
    ],
)
def test_bad_requests_are_one_line_and_leave_nothing(tmp_path, planted, capfd, arguments, part):
    card = tmp_path / "card.toml"
    card.write_text('extends = "paper2021"\n' + one_cut(expression='"trackMomentun > 1"'), "utf-8")
    places = {"SKIM": str(tmp_path / "skim.root"), "CARD": str(card)}
    out = tmp_path / "out"
    code, text = run("select", planted, "-o", str(out), *(places.get(a, a) for a in arguments))
    assert (code, text) == (2, "")
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert part in said
    assert not out.exists() or list(out.iterdir()) == []
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".root"] == []


def test_files_are_needed():
    assert run("select")[0] == 2
