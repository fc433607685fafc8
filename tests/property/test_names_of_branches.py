"""Branches of any name: words of C++, of ROOT and of our own code, punctuation, other alphabets.

Reference: the selection in NumPy and uproot (independent).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from na64root import load_card, ntuple, selection
from na64root.cling import root
from na64root.errors import DataError
from na64root.selection import SelectionOptions
from na64root.selection.skim import Skim
from na64root.work import Work
from support import numpy_selection
from support.layouts import READ, card_of, table
from support.planted import around_the_cuts
from support.tree_a import BRANCHES, TYPES

COUNT = 60
FEW = settings(
    deadline=None, derandomize=True, max_examples=1, suppress_health_check=list(HealthCheck), database=None
)
MANY = settings(FEW, max_examples=40)

ODD = [
    *("for", "double", "return", "static_cast", "auto", "const", "this", "int"),
    *("std", "ROOT", "na64root", "RVecD", "size", "begin", "array", "run_period", "copy", "std.x"),
    *("na64_cells", "na64_i", "na64_is", "na64_r", "na64_copy", "na64_branch_run", "na64_column0"),
    *("Entry$", "Sum$(x)", "$", "rdfentry", "fEntry", "tree", "u", "x"),
    *("a-b", "a b", "a+b", "a,b", "a.b.c", "a/b", "a%b", "#", "@x", "x@", "x;1", "*", "?", "(x)", "x[3]"),
    *("a\\b", 'a"b', "a'b", "\t", "a\nb", "..", ".a", "1abc", "_", "é", "日本", "TMath::Pi"),
]  # fmt: skip
# ROOT takes the length in `x[6]` for a branch that is called `6`, and then reads memory that is not there.
NAMES = st.one_of(
    st.sampled_from(ODD),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=6),
).filter(
    lambda name: name not in {*BRANCHES, "rdfentry_", "rdfslot_"} and not name.isdecimal()
)  # fmt: skip


def planted() -> dict[str, np.ndarray]:
    listed = around_the_cuts(COUNT)
    return {
        name: np.array([one[name] for one in listed], TYPES[BRANCHES[name][0]]).reshape(
            -1, *BRANCHES[name][1]
        )
        for name in READ
    }


# What has a meaning in a list of leaves, or is blank.
NOT_OF_LEAVES = set("/:[] \t\n")
EVENTS = planted()
EXPECTED = numpy_selection.cutflow(
    {n: v.astype(bool) if n in numpy_selection.FLAGS else v for n, v in EVENTS.items()}
)


def write(path: Path, columns: Sequence[tuple[str, np.ndarray]], tree_name: str = "tree") -> str:
    """With ROOT; where a leaf cannot have the name of its branch it has another."""
    ROOT = root()
    file = ROOT.TFile.Open(str(path), "RECREATE")
    tree = ROOT.TTree(tree_name, "")
    codes = {np.dtype(kind): code for code, kind in TYPES.items() if code not in "df"}
    buffers = []
    for name, values in columns:
        buffer = np.zeros(values.shape[1:] or (1,), values.dtype)
        leaf = "leaf" if set(name) & NOT_OF_LEAVES else name
        shape = "".join(f"[{n}]" for n in values.shape[1:])
        tree.Branch(name, buffer, f"{leaf}{shape}/{codes[values.dtype]}")
        buffers.append((buffer, values))
    for i in range(COUNT):
        for buffer, values in buffers:
            buffer[...] = values[i]
        tree.Fill()
    tree.Write()
    file.Close()
    return str(path)


def in_toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", r"\u007F")


def is_as_planted(result: Any) -> bool:
    return {(row.period, row.signature, row.cut): row.events for row in result.cutflow} == EXPECTED


def check_mapping(folder: Path, names: Mapping[str, str]) -> None:
    """`names`: of the branches of layout A in the file."""
    path = write(folder / "odd.root", [(names.get(name, name), EVENTS[name]) for name in READ], "ev")
    mapped = {name: in_toml(other) for name, other in names.items()}
    card = card_of(folder, table("ev", mapped).replace("[layout]", '[layout]\nbase = "A"'))
    assert is_as_planted(selection.select([path], card))
    seen = {c.name: c for tree in ntuple.inspect([path], card).trees for c in tree.columns}
    for name, other in names.items():
        column, values = seen[other], EVENTS[name]
        assert (column.shape, column.events, column.not_read) == (list(values.shape[1:]), COUNT, None)
        assert (column.minimum, column.maximum) == (values.min(), values.max())


def check_skim(folder: Path, names: Sequence[str]) -> None:
    """Of a file that holds further branches of these names, numbers and arrays in turn."""
    numbers = np.arange(4.0 * COUNT).reshape(COUNT, 4)
    more = [(name, numbers if i % 2 else numbers[:, 0]) for i, name in enumerate(names)]
    path = write(folder / "more.root", [*((name, EVENTS[name]) for name in READ), *more])
    skim = folder / "skim.root"
    result = selection.select(
        [path], load_card(), SelectionOptions(skim=Skim(skim, "ecal", force=True)), work=Work(threads=1)
    )
    assert is_as_planted(result)
    with uproot.open(path) as before, uproot.open(skim) as after:
        tree, copy = before["tree"], after["tree"]
        assert {b.name: (b.title, b.typename) for b in copy.branches} == {
            b.name: (b.title, b.typename) for b in tree.branches
        }
        numbers_of = tree["spillevent"].array(library="np")
        kept = np.isin(numbers_of, copy["spillevent"].array(library="np"))
        assert 0 < result.skim.events == np.count_nonzero(kept) < COUNT
        for branch, copied in zip(tree.branches, copy.branches, strict=True):
            assert ak.to_list(copied.array()) == ak.to_list(branch.array()[kept]), branch.name


@pytest.mark.parametrize(
    "part",
    [
        {"SRD_ene": "na64_cells", "VETO_ene": "a b", "ecal0": "for", "hcal1": "é"},
        *(
            pytest.param(dict(zip(READ, ODD[first:], strict=False)), marks=pytest.mark.slow)
            for first in (0, len(READ), len(ODD) - len(READ))
        ),
    ],
)
def test_branches_of_odd_names_are_mapped(tmp_path, part):
    """All of them, each as a number or an array."""
    check_mapping(tmp_path, part)


def test_branches_of_odd_names_are_kept_and_harm_nothing(tmp_path):
    check_skim(tmp_path, ODD)


@contextlib.contextmanager
def refused(why: str) -> Iterator[None]:
    """Or not."""
    try:
        yield
    except DataError as error:
        if why not in str(error):
            raise


@pytest.mark.slow
@MANY
@given(names=st.lists(NAMES, min_size=1, max_size=len(READ), unique=True), order=st.permutations(READ))
def test_branches_of_any_name_are_mapped(tmp_path_factory, names, order):
    mapped = dict(zip(order, names, strict=False))
    # ROOT does not find some arrays whose leaf has another name: they are refused by name.
    other_leaf = any(set(branch) & NOT_OF_LEAVES and BRANCHES[name][1] for name, branch in mapped.items())
    not_found = "ROOT finds no branch of such a name"
    with refused(not_found) if other_leaf else contextlib.nullcontext():
        check_mapping(tmp_path_factory.mktemp("mapped"), mapped)


@pytest.mark.slow
@MANY
@given(names=st.lists(NAMES, min_size=1, max_size=20, unique=True))
def test_branches_of_any_name_are_kept_and_harm_nothing(tmp_path_factory, names):
    check_skim(tmp_path_factory.mktemp("kept"), names)


def test_words_of_a_call_are_its_columns_where_another_is_a_branch(tmp_path):
    """Code of ours says `x.begin()` of an array with sentinels, and `ROOT`, which is a branch here."""
    more = [("ROOT", EVENTS["ecal0"]), ("std", EVENTS["ecal0"]), ("RVecD", EVENTS["ecal0"])]
    path = write(tmp_path / "more.root", [*((name, EVENTS[name]) for name in READ), *more])
    card = card_of(tmp_path, "[input.sentinels]\nVETO_ene = [-9999.0]\n")
    assert is_as_planted(selection.select([path], card))


def test_a_branch_that_root_does_not_find_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"SRD_ene: /.* cannot be read \(ROOT finds no branch .* rename it"):
        check_mapping(tmp_path, {"SRD_ene": "/ª½\U0004e6cd¹\U000a11a7"})


def test_a_branch_that_rdataframe_has_itself_is_not_mapped(tmp_path):
    path = write(tmp_path / "odd.root", [(n, EVENTS[n]) for n in READ] + [("rdfentry_", EVENTS["ecal0"])])
    card = card_of(tmp_path, '[layout]\ntree = "tree"\nbase = "A"\n[layout.branches]\necal0 = "rdfentry_"\n')
    with pytest.raises(DataError, match=r"ecal0 reads the branch rdfentry_ \(to RDataFrame .* rename it"):
        selection.select([path], card)


def test_an_array_with_a_leaf_of_another_name_is_no_part_of_an_expression(tmp_path):
    path = write(tmp_path / "odd.root", [(n, EVENTS[n]) for n in READ])
    file = root().TFile.Open(path, "UPDATE")
    tree, values = file.Get("tree"), np.zeros(4)
    branch = tree.Branch("mine", values, "other[4]/D")
    for i in range(COUNT):
        values[...] = EVENTS["SRD_ene"][i]
        branch.Fill()
    tree.Write("", root().TObject.kOverwrite)
    file.Close()
    layout = '[layout]\ntree = "tree"\nbase = "A"\n[layout.branches]\nSRD_ene = '
    assert is_as_planted(selection.select([path], card_of(tmp_path, layout + '"mine"\n')))
    with pytest.raises(DataError, match="reads mine in an expression .*other.*: map it as a branch"):
        selection.select([path], card_of(tmp_path, layout + '{ expression = "mine" }\n'))


def test_an_element_of_several_indices_is_one_line(tmp_path):
    path = write(tmp_path / "plain.root", [(n, EVENTS[n]) for n in READ])
    layout = '[layout]\ntree = "tree"\nbase = "A"\n[layout.branches]\necal0 = '
    assert selection.select([path], card_of(tmp_path, layout + '"ECAL_ene[21]"\n')).counts
    with pytest.raises(DataError, match=r"ECAL_ene\[0\]\[3\]\[3\] .* counted row by row\): give that"):
        selection.select([path], card_of(tmp_path, layout + '"ECAL_ene[0][3][3]"\n'))
