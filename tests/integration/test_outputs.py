"""No output takes the place of a file that the run reads; of two runs into one folder one wins."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from na64root.config import load_card
from support.commands import run
from support.tree_a import event, s1_event, write_tree

CARD = 'extends = "paper2021"\n'


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return Path(write_tree(tmp_path_factory.mktemp("data") / "data.root", [event(), s1_event()]))


FORCED = ("-j", "1", "--force", "-o", "{out}")

# What a command reads as {victim}, by the name that it would write: data, a card, a list of files or of runs.
VERBS = [
    ("select.root", "data", ["select", "{victim}"]),
    ("hcal_r.png", "data", ["select", "{victim}"]),
    ("passed", "data", ["select", "{victim}", "--skim", "{out}/passed"]),
    ("passed", "list", ["select", "{victim}.txt", "--skim", "{out}/passed.txt"]),
    ("results.root", "data", ["analyze", "{victim}"]),
    ("exclusion.pdf", "data", ["analyze", "{data}", "--signal", "{victim}"]),
    ("quality.png", "data", ["quality", "{victim}"]),
    ("backgrounds.pdf", "data", ["background", "{victim}"]),
    ("backgrounds.pdf", "data", ["background", "{data}", "--mc", "{victim}"]),
    ("mass-epsilon.root", "data", ["scan", "mass-epsilon", "{victim}"]),
    (".mass-epsilon.unfinished", "data", ["scan", "mass-epsilon", "{victim}"]),
    ("workspace.root", "data", ["export", "{victim}"]),
    ("export.json", "card", ["export", "--config", "{victim}"]),
    ("limit.json", "card", ["limit", "--config", "{victim}"]),
    ("hs3.json", "card", ["export", "--config", "{victim}", "--format", "hs3"]),
    ("explain.json", "card", ["explain", "--mass-GeV", "0.1", "--epsilon", "1e-4", "--config", "{victim}"]),
    ("inspect.json", "data", ["inspect", "{victim}"]),
    ("inspect.json", "runs", ["inspect", "{data}", "--good-runs", "{victim}"]),
]


def fill(path: Path, kind: str, data: Path) -> None:
    if kind == "data":
        shutil.copy(data, path)
    elif kind == "list":
        path.with_suffix(".txt").write_text(f"{data}\n")
    else:
        path.write_text({"card": CARD, "runs": "4000\n"}[kind])


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize(("name", "kind", "command"), VERBS)
def test_no_verb_replaces_what_it_reads(tmp_path, capsys, data, name, kind, command, link):
    out = tmp_path / "out"
    out.mkdir()
    fill(out / name, kind, data)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    read_as = out / name
    if link and kind != "list":
        read_as = tmp_path / "link"
        read_as.symlink_to(out / name)
    values = {"victim": str(read_as), "out": str(out), "data": str(data)}
    assert run(*(part.format(**values) for part in (*command, *FORCED))) == (2, "")
    assert "this run reads" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_simulation_does_not_replace_its_card(tmp_path, capsys):
    card = tmp_path / "card.toml"
    base = tmp_path / "base.toml"
    base.write_text(CARD)
    card.write_text(f'extends = "{base}"\n')
    gun = [
        "simulate",
        "gun",
        "--particle",
        "e-",
        "--energy-GeV",
        "9",
        "--volume",
        "ecal",
        "-n",
        "3",
        "--force",
    ]
    for output in (card, base):
        assert run(*gun, "--config", str(card), "-o", str(output)) == (2, "")
        assert "this run reads" in capsys.readouterr().err
    assert base.read_text() == CARD


def test_a_skim_is_no_other_file_of_the_results(tmp_path, capsys, data):
    out = tmp_path / "out"
    found = run("select", str(data), "-o", str(out), "--skim", str(out / "select.root"), "--force", "-j", "1")
    assert found == (2, "")
    assert "two files, one name" in capsys.readouterr().err


def test_of_two_runs_into_one_folder_one_wins(tmp_path):
    """Both begin before either has written: what each finds at the end decides."""
    command = [sys.executable, "-m", "na64root", "export", "--format", "pyhf", "-o", str(tmp_path / "out")]
    runs = [
        subprocess.Popen(
            [*command, "--observed", str(observed), "--background", "0.5"], stderr=subprocess.PIPE, text=True
        )
        for observed in (0, 1)
    ]
    said = [one.communicate()[1] for one in runs]
    codes = [one.returncode for one in runs]
    assert sorted(codes) == [0, 2]
    assert "exists (results are kept)" in said[codes.index(2)]
    kept = json.loads((tmp_path / "out" / "pyhf.json").read_text())
    assert kept["observations"][0]["data"] == [codes.index(0)]


@pytest.mark.parametrize("name", ["run[/b].root", "run[bold].root", "a:b:c.root"])
def test_a_person_is_shown_the_path_as_it_is(tmp_path, data, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    shutil.copy(data, path)
    code, shown = run("inspect", str(path), "-j", "1")
    assert code == 0
    assert str(path) in shown.replace("\n", "")
    folder = tmp_path / f"out{name}"
    code, shown = run("quality", str(path), "-j", "1", "-o", str(folder))
    assert code == 0
    assert str(folder / "quality.pdf") in shown.replace("\n", "")


@pytest.mark.slow
def test_results_that_find_no_room_leave_the_old_ones(tmp_path):
    """A limit on the size of files, as a full disk: the datacard has room, the workspace has not."""
    export = [sys.executable, "-m", "na64root", "export", "-o", str(tmp_path)]
    subprocess.run(export, check=True, capture_output=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = subprocess.run(
        [*export, "--observed", "1", "--background", "0.2", "--force"],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10 << 10, 10 << 10)),
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"na64root: cannot write into {tmp_path} (")
    assert len(done.stderr.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["files.txt", "card.toml", "runs.txt", "runs.json"])
def test_text_of_the_user_may_begin_with_a_byte_order_mark(tmp_path, data, name):
    path = tmp_path / name
    text = {
        "files.txt": f"{data}\r\n",
        "card.toml": CARD,
        "runs.txt": "4000\r\n",
        "runs.json": '{"4000": [[1, 9]]}',
    }
    path.write_text(text[name], "utf-8-sig")
    if name == "card.toml":
        assert load_card(path) == load_card("paper2021").model_copy(update={"card": load_card(path).card})
        return
    given = [str(path)] if name == "files.txt" else [str(data), "--good-runs", str(path)]
    code, shown = run("inspect", *given, "--json", "-j", "1")
    assert code == 0
    assert f'"path": "{data}"' in shown


@pytest.mark.parametrize("output", ["{long}", "{file}/below", "{file}"])
def test_an_output_that_cannot_be_is_one_line(tmp_path, capsys, output):
    (tmp_path / "file").write_text("text")
    values = {"long": str(tmp_path / ("x" * 300)), "file": str(tmp_path / "file")}
    for verb in (
        ["limit"],
        ["export"],
        ["simulate", "gun", "--particle", "e-", "--energy-GeV", "9", "--volume", "ecal"],
    ):
        if verb[0] == "simulate" and output == "{file}":
            continue  # a file that exists, which is another matter
        assert run(*verb, "-j", "1", "-o", output.format(**values)) == (2, "")
        error = capsys.readouterr().err
        assert error.startswith("na64root: cannot write")
        assert len(error.splitlines()) == 1
    assert os.listdir(tmp_path) == ["file"]
