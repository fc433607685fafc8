"""Files of the user that are no regular files are one line and no wait; text of other systems is read."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from na64root import html_report, load_card, publication, verdicts
from na64root.errors import Na64Error
from na64root.exclusion.curves_of_files import UserCurve
from na64root.inputs import read_bytes, read_text
from na64root.limits.model_files import model_from
from na64root.ntuple import expand, opened_file, read_good_runs
from na64root.records import PlaneResult, read_record
from na64root.simulation import lhe
from na64root.simulation.efficiency_map import EfficiencyMap

DECLARED = (
    "extends = 'paper2021'\n[[selection.declared]]\nname = 'a'\nexpression = 'f(run)'\nafter = 'trigger'\n"
)


def with_header(path: Path) -> None:
    card = path.with_name("card.toml")
    card.write_text(f"{DECLARED}header = '{path.name}'\n")
    load_card(card)


def opened(path: Path) -> None:
    with opened_file(str(path)):
        pass


READERS = {
    "data": lambda path: expand([str(path)]),
    "friend": opened,
    "list": lambda path: expand([str(path.with_suffix(".txt"))]),
    "good runs": read_good_runs,
    "card": load_card,
    "header": with_header,
    "map": EfficiencyMap.load,
    "plane": lambda path: read_record(path, PlaneResult, "a plane"),
    "report": lambda path: html_report.found.find([path]),
    "publication": lambda path: publication.sources.find([path], load_card()),
    "submission": publication.read,
    "counting model": model_from,
    "overlay": lambda path: UserCurve(path, "odd", ("mass", "epsilon"))._read(),
    "Les Houches events": lambda path: list(lhe.events(path)),
    "HepMC3": lambda path: verdicts.hepmc3.read(path, produced=False),
}


def odd_file(kind: str, folder: Path) -> Path:
    path = folder / "odd.root"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.fspath(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.touch()
    path.with_suffix(".txt").symlink_to(path)
    return path


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder", "empty"])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_one_line_and_no_wait(reader, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = odd_file(kind, Path(os.path.relpath(tmp_path)))
    if kind == "empty" and reader in ("data", "header"):
        READERS[reader](path)  # its content is another's question
        return
    signal.alarm(20)  # a pipe that is waited for would never end
    try:
        with pytest.raises(Na64Error, match=r"^[^\n]*odd\.(root|txt)[^\n]*: [^\n]*$"):
            READERS[reader](path)
    finally:
        signal.alarm(0)


def test_a_byte_order_mark_and_other_ends_of_lines_are_no_text(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert read_text(path) == "one\ntwo\nthree\n"
    assert read_bytes(path, 4) == b"\xef\xbb\xbfo"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_texts_of_other_systems_are_read(tmp_path, mark, end):
    def written(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_bytes(mark + text.replace("\n", end).encode())
        return path

    runs = read_good_runs(written("good.txt", "# of mine\n4000-4010\n4020\n"))
    assert [first >> 32 for first, _ in runs.ranges] == [4000, 4020]
    runs = read_good_runs(written("good.json", '{"4000":\n [[1, 50]]}\n'))
    assert runs.ranges == (((4000 << 32) + 1, (4000 << 32) + 50),)
    data = written("data.root", "")
    assert expand([str(written("files.txt", f"# of mine\n{data.name}\n"))]) == [str(data)]
    header = written("header.hpp", "// of mine\ninline bool f(int) { return true; }\n")
    card = load_card(written("card.toml", f"{DECLARED}header = '{header.name}'\n"))
    assert card.selection.declared[0].code == "// of mine\ninline bool f(int) { return true; }\n"


def test_a_card_finds_the_card_that_it_extends_beside_itself(tmp_path, monkeypatch):
    (tmp_path / "cards").mkdir()
    base, card = tmp_path / "cards" / "base.toml", tmp_path / "cards" / "mine.toml"
    base.write_text('extends = "paper2021"\ninput.skip_bad_files = "on"\n')
    card.write_text('extends = "base.toml"\n')
    assert load_card(card).input.skip_bad_files == "on"
    # From where the user is, where there is none beside it.
    base.rename(tmp_path / "base.toml")
    monkeypatch.chdir(tmp_path)
    assert load_card(card).input.skip_bad_files == "on"
