"""A path is taken as it is: whatever its characters mean to ROOT, it is that file and no other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from na64root import cling, load_card, ntuple, selection
from na64root.cling import literal, root
from na64root.errors import DataError, Na64Error
from na64root.event_loop import compiled
from na64root.limits import CountingModel
from na64root.limits.export import write_hs3, write_workspace
from na64root.records import ResultsFolder
from na64root.reports.selection_report import report
from na64root.selection import SelectionOptions
from na64root.selection.skim import Skim
from na64root.simulation import simulate
from na64root.simulation.options import GunOptions
from na64root.simulation.writer import EventFile
from na64root.work import Work
from support.tree_a import event, s1_event, write_tree

CARD = load_card()

ODD = [
    "run[1].root",
    "run#1.root",
    "run?1.root",
    "run*.root",
    "$HOME.root",
    "~.root",
    "~root.root",
    "a:b.root",
    "file:c.root",
    "100%41.root",
    "a b.root",
    "a\nb.root",
    "donnée.root",
    "a|b.root",
    "a,b;c&d.root",
    "'\"`\\.root",
    "{a,b}.root",
    "x" * 250 + ".root",
    "é" * 125 + ".root",
    "no suffix",
    "data.root.1",
    "data.dat",
    "a.zip",
    "-.root",
]
FOLDERS = ["run[1]", "a.root", "a.zip", "a:", "$X #?", "x" * 255]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return Path(write_tree(tmp_path_factory.mktemp("data") / "data.root", [event(), s1_event(), event()]))


@pytest.fixture(scope="module")
def rntuple(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("rntuple") / "gun.root"
    simulate.gun(CARD, EventFile(path, "rntuple"), GunOptions("e-", 20.0, "ecal", 7), work=Work())
    return path


def assert_read(path: str, entries: int) -> None:
    """By everything that reads: the checks, the frame, the compiled loop, a chain."""
    found = ntuple.open_ntuple([path], CARD)
    assert found.paths == [path]
    assert found.entries == entries
    assert int(found.data_frame().Count().GetValue()) == entries
    loop = compiled.frame(found.tree, found.paths, found.present)
    assert len(loop.table(["hcal1"]).GetValue()) == entries


@pytest.mark.parametrize("name", ODD)
def test_a_file_of_any_name_is_read(tmp_path, data, name):
    shutil.copy(data, tmp_path / name)
    # What a pattern, or a name cut short, would find instead.
    for other in ("run1.root", "runs.root", "a", "b.root", "c.root", "data.root", "a.root", "100A.root"):
        if other != name:
            (tmp_path / other).write_bytes(b"root")
    assert_read(str(tmp_path / name), 3)


@pytest.mark.parametrize("name", ["run[1]#?.root", "data.root.1", "no suffix", "a:\n$b.root"])
def test_an_rntuple_of_any_name_is_read(tmp_path, rntuple, name):
    shutil.copy(rntuple, tmp_path / name)
    assert_read(str(tmp_path / name), 7)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_in_a_folder_of_any_name_is_read(tmp_path, data, monkeypatch, name):
    (tmp_path / name).mkdir()
    shutil.copy(data, tmp_path / name / "data.root")
    shutil.copy(data, tmp_path / name / "no suffix")
    assert_read(str(tmp_path / name / "data.root"), 3)
    monkeypatch.chdir(tmp_path)
    assert_read(f"{name}/no suffix", 3)
    monkeypatch.chdir(tmp_path / name)
    assert_read("data.root", 3)


def test_a_relative_path_is_that_of_the_folder_at_the_time(tmp_path, data, monkeypatch):
    for folder, events in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        write_tree(tmp_path / folder / "x.root", [event()] * events)
        (tmp_path / folder / "x.root").rename(tmp_path / folder / "[x].root")
        monkeypatch.chdir(tmp_path / folder)
        assert_read("[x].root", events)


def test_a_pattern_finds_files_in_a_folder_with_brackets(tmp_path, data, monkeypatch):
    folder = tmp_path / "run[1]"
    folder.mkdir()
    for name in ("a1.root", "a2.root", "a[1].root"):
        shutil.copy(data, folder / name)
    (folder / "files.txt").write_text("a?.root\r\na[1].root\n", "utf-8-sig")
    expected = [str(folder / name) for name in ("a1.root", "a2.root", "a[1].root")]
    assert ntuple.expand([str(folder / "files.txt")]) == expected
    monkeypatch.chdir(folder)
    assert ntuple.expand(["a?.root", "a[1].root"]) == ["a1.root", "a2.root", "a[1].root"]


def test_a_line_of_a_list_ends_where_an_editor_ends_it(tmp_path):
    names = ["a\u2028b.root", "a\x0bb.root", "end .root", " begin.root", "c\x85.root"]
    for name in names:
        (tmp_path / name).write_bytes(b"root")
    (tmp_path / "files.list").write_text("\n".join(["# of the day", "", *names]) + "\n", "utf-8")
    assert ntuple.expand([str(tmp_path / "files.list")]) == [str(tmp_path / name) for name in names]


def test_what_looks_like_an_address_and_exists_is_a_file(tmp_path, data, monkeypatch):
    (tmp_path / "root:").mkdir()
    shutil.copy(data, tmp_path / "root:" / "x.root")
    monkeypatch.chdir(tmp_path)
    assert_read(ntuple.expand(["root://x.root"])[0], 3)
    assert literal("root://host//x[1].root") == "root://host//x[1].root"


def test_a_name_that_is_not_utf8_is_one_line(tmp_path, data):
    odd = os.fsencode(tmp_path) + b"/donn\xe9es.root"
    shutil.copy(data, odd)
    for given in (os.fsdecode(odd), f"{tmp_path}/*.root"):
        with pytest.raises(Na64Error, match=r"not UTF-8.*rename it"):
            ntuple.expand([given])


def test_a_message_names_the_path_that_was_given(tmp_path, data):
    path = tmp_path / "run[1] #.root"
    content = bytearray(data.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 200] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        selection.select([str(path)], CARD)
    assert str(path) in str(error.value)
    assert "na64root-" not in str(error.value)
    assert cling.named(f"error in {literal(path)}") == f"error in {path}"


@pytest.mark.usefixtures("unrendered")
def test_results_go_to_a_folder_of_any_name(tmp_path, data):
    folder = tmp_path / "a[1] #?*\n$HOME"
    skim = folder / "skim:~[1].root"
    options = SelectionOptions(skim=Skim(skim))
    made = report([str(data)], CARD, ResultsFolder(folder), options)
    assert made.skim is not None
    assert made.skim.file == str(skim)
    assert_read(str(skim), 3)
    kept = root().TFile.Open(literal(folder / "select.root"))
    assert kept.GetListOfKeys().GetSize() > 3
    kept.Close()
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


@pytest.mark.parametrize("format", ["ttree", "rntuple"])
def test_simulated_events_go_to_a_file_of_any_name(tmp_path, format):
    path = tmp_path / "[g] #1" / ("é" * 100 + "?.root")
    simulate.gun(CARD, EventFile(path, format), GunOptions("e-", 20.0, "ecal", 5), work=Work())
    assert_read(str(path), 5)
    assert os.listdir(path.parent) == [path.name]


def test_a_workspace_goes_to_a_file_of_any_name(tmp_path):
    model = CountingModel.from_lists(
        observed=[0],
        background=[0.2],
        background_uncertainty=[0.1],
        signal_fraction=[1.0],
        signal_uncertainty=0.1,
        constraint="lognormal",
    )
    (tmp_path / "[1]").mkdir()
    for name in ("plain.root", "a b#1.root"):
        write_workspace(model, tmp_path / "[1]" / name)
        file = root().TFile.Open(literal(tmp_path / "[1]" / name))
        assert file.Get("na64root").pdf("model")
        file.Close()
    for name in ("plain.json", "a b#1"):
        write_hs3(model, tmp_path / "[1]" / name)
        assert (tmp_path / "[1]" / name).read_text("utf-8").startswith("{")
    assert len(os.listdir(tmp_path / "[1]")) == 4


def test_links_are_made_again_in_another_process(tmp_path, data):
    links = {str(data): str(tmp_path / "links" / "0.root")}
    cling.have_links(links)
    cling.have_links(links)
    assert os.path.samefile(tmp_path / "links" / "0.root", data)


def test_forks_of_one_process_have_links_of_their_own(tmp_path):
    """They share its folder of links, and none may be given the file of another."""
    literal(tmp_path / "of the parent.root")
    for name in ("of a fork.root", "of another fork.root"):
        if (child := os.fork()) == 0:
            found = 1
            try:
                found = int(os.readlink(literal(tmp_path / name)) != str(tmp_path / name))
            finally:
                os._exit(found)
        assert os.waitpid(child, 0)[1] == 0, name
    target = str(tmp_path / "of the parent, later.root")
    assert os.readlink(literal(target)) == target


def test_no_plain_temporary_folder_is_needed_in_tmpdir(tmp_path, monkeypatch):
    (tmp_path / "a b").mkdir()
    monkeypatch.setattr(cling.tempfile, "tempdir", str(tmp_path / "a b"))
    cling._links_folder.cache_clear()
    try:
        assert " " not in cling._links_folder()
    finally:
        cling._links_folder.cache_clear()
