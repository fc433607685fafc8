"""Options that meet: what one hides, maps or leaves out, another does not show or take for something else."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from na64root import analyze, selection
from na64root.analyze import AnalysisOptions, DataOptions
from na64root.config import load_card
from na64root.errors import ConfigError
from na64root.event_loop import library
from na64root.records import ResultsFolder
from na64root.selection import SelectionOptions
from na64root.selection.skim import Skim
from support.tree_a import event, write_tree

DEFAULT_CARD = resources.files("na64root").joinpath("cards/paper2021.toml").read_text("utf-8")
SIDEBAND = {"ecalTotal": 60.0, "ecalTotalNoTimecut": 60.0}


def test_blinded_rows_do_not_depend_on_hidden_events_that_are_left_out(tmp_path):
    """Two inputs that differ by hidden events: one that comes twice, and one of a spill left out."""
    seen = [event(spillevent=n, **SIDEBAND) for n in range(2, 9)]
    hidden = [event(spillevent=20), event(spillevent=20), event(spillevent=21, spill=9)]
    one = write_tree(tmp_path / "one.root", seen)
    other = write_tree(tmp_path / "other.root", seen + hidden)
    results = [
        selection.select([path], load_card(), SelectionOptions(without_spills=[(4000, 9)], blind=True))
        for path in (one, other)
    ]
    assert results[0].cutflow == results[1].cutflow
    assert results[0].notes == results[1].notes
    shown = selection.select([other], load_card(), SelectionOptions(without_spills=[(4000, 9)]))
    assert {row.period for row in shown.cutflow} > {row.period for row in results[1].cutflow}


@pytest.mark.parametrize(
    ("options", "overrides", "problem"),
    [
        ({"exclude_outlier_spills": True}, [], "spills' means"),
        ({}, ["backgrounds.S2=abcd"], "its region C has the energies of the box of S2"),
    ],
)
def test_what_would_show_hidden_events_is_refused(tmp_path, options, overrides, problem):
    path = write_tree(tmp_path / "file.root", [event(**SIDEBAND)])
    with pytest.raises(ConfigError, match=problem):
        analyze.analyze(
            [path],
            load_card(overrides=overrides),
            ResultsFolder(tmp_path / "out"),
            AnalysisOptions(data=DataOptions(blind=True, **options)),
        )
    assert not (tmp_path / "out").exists()


def test_a_mapped_layout_is_skimmed_but_not_into_an_rntuple(tmp_path):
    path = write_tree(tmp_path / "hits.root", [event()], tree_name="hits")
    card_file = tmp_path / "card.toml"
    card_file.write_text(
        DEFAULT_CARD + '\n[layout]\ntree = "hits"\nbase = "A"\n',
        "utf-8",
    )
    card = load_card(card_file)
    assert sum(count.observed or 0 for count in selection.select([path], card).counts) == 1
    skim = tmp_path / "skim.root"
    with pytest.raises(ConfigError, match="mapping"):
        selection.select([path], card, SelectionOptions(skim=Skim(skim, rntuple=True), n_minus_one=True))
    assert not skim.exists()
    selection.select([path], card, SelectionOptions(skim=Skim(skim), n_minus_one=True))
    assert sum(count.observed or 0 for count in selection.select([str(skim)], card).counts) == 1


def test_the_compiled_library_is_named_by_every_header_it_includes():
    """Otherwise a library of other headers would be taken from the cache."""
    included: set[str] = set()
    sources = list(library.SOURCES.iterdir())
    while sources:
        found = set(re.findall(r'#include "na64root/(\w+\.hpp)"', sources.pop().read_text("utf-8")))
        sources += [library.INCLUDE_PATH / "na64root" / name for name in found - included]
        included |= found
    assert included == set(library.CORE_HEADERS)
