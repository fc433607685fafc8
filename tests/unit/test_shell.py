"""What a shell sees: completions, help without a verb, colours, cards side by side, bars on a terminal."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from na64root.cli import tables
from na64root.config import card_names, load_card
from na64root.exclusion.grids import PLANES
from na64root.records import CutFlowRow
from support.commands import run

PROGRAM = Path(sys.executable).parent / "na64root"
PAGE = Path(__file__).parents[2] / "docs" / "shell.md"


def completed(typed: str) -> list[str]:
    """What bash is offered for the last word of a line."""
    words = typed.split(" ")
    environment = os.environ | {
        "_NA64ROOT_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, check=True)
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_verbs_and_options_are_completed():
    assert completed("na64root sc") == ["scan", "scorecard"]
    assert completed("na64root simulate ps") == ["pseudodata"]
    assert completed("na64root limit --obs") == ["--observed"]


def test_cards_planes_and_keys_of_a_card_are_completed():
    assert completed("na64root scan --config ") == card_names()
    assert completed("na64root scan ") == list(PLANES)
    assert completed("na64root scan mass-epsilon --set selection.r") == ["selection.r."]
    assert completed("na64root scan mass-epsilon --set selection.r.") == [
        "selection.r.r_max=", "selection.r.core="
    ]  # fmt: skip
    assert completed("na64root card d")[0] == "diff"  # then files
    assert completed("na64root scan --config no_such_card --set se") == []


def test_every_key_that_is_offered_can_be_set():
    settings = load_card().settings()
    assert len(settings) > 150
    values = {name: getattr(value, "value", value) for name, value in settings.items()}
    again = load_card(overrides=[f"{name}={json.dumps(value)}" for name, value in values.items()]).settings()
    assert {name: getattr(value, "value", value) for name, value in again.items()} == values


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_of_the_page_makes_a_script(shell):
    (variable,) = set(re.findall(rf"(_\w+)={shell}_source", PAGE.read_text("utf-8")))
    environment = os.environ | {variable: f"{shell}_source"}
    done = subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert f"{shell}_complete" in done.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.stdout, text=True, check=True)


def test_a_shell_that_is_not_known_is_one_line():
    environment = os.environ | {"_NA64ROOT_COMPLETE": "tcsh_source"}
    done = subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines() == [
        "na64root: no completion for tcsh_source: set _NA64ROOT_COMPLETE to bash_source, zsh_source or "
        "fish_source"
    ]


def test_help_without_a_verb():
    code, said = run()
    assert code == 0
    assert said == run("--help")[1] == run("help")[1]
    assert [line for line in said.splitlines() if line.endswith(":") and line[0] != " "][1:] == [
        "Data:", "Signal and simulation:", "Limits and planes:", "Figures and publication:", "Cards:"
    ]  # fmt: skip
    assert run("help", "simulate", "gun") == run("simulate", "gun", "--help")
    assert run("help", "no_such_verb")[0] == 2


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("1", False)])
def test_colours_respect_no_color(monkeypatch, no_color, coloured):
    from na64root.cli import program

    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    stream = Terminal()
    assert program.run(["--help"], stream) == 0
    assert ("\x1b[" in stream.getvalue()) == coloured
    assert "\x1b[" not in run("--help")[1]  # no terminal


def test_a_card_is_shown_with_where_its_numbers_are_from():
    code, text = run("card", "compact_hcal", "--set", "selection.r.r_max=0.08", "--json")
    assert code == 0
    record = json.loads(text)
    values = {one["name"]: one for one in record["values"]}
    assert values["selection.r.r_max"]["value"] == 0.08
    assert values["selection.r.r_max"]["provenance"] == "user"
    card = load_card("compact_hcal", ["selection.r.r_max=0.08"])
    assert record["sha256"] == card.sha256
    assert record["provenances"]["assumed"] == len(card.assumed())
    assert "selection.r.r_max" in run("card")[1]


def test_what_differs_between_two_cards():
    code, text = run("card", "diff", "paper2021", "compact_hcal", "--json")
    assert code == 0
    record = json.loads(text)
    first, second = (load_card(name).settings() for name in ("paper2021", "compact_hcal"))
    differing = {
        name
        for name in first.keys() | second.keys()
        if getattr(first.get(name), "value", first.get(name))
        != getattr(second.get(name), "value", second.get(name))
        and not name.startswith("card.")
    }
    assert {change["name"] for change in record["changes"]} == differing != set()
    assert json.loads(run("card", "diff", "best", "best", "--json")[1])["changes"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("card", "diff", "best"), "1 cards to compare (two are needed): write card diff A B"),
        (
            ("card", "best", "paper2021"),
            "more than one card (one is shown): name one, or write card diff A B",
        ),
        (("card", "no_such"), "no card no_such"),
    ],
)
def test_what_is_no_card_is_one_line(words, message, capsys):
    assert run(*words)[0] == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_the_cut_flow_is_bars_on_a_terminal_alone():
    rows = [
        CutFlowRow(period="2018", signature=s, cut=cut, events=n, weighted=n)
        for s in ("S1", "S2")
        for cut, n in (("initial", 999), ("ecal", 99), ("hcal", 0))
    ]
    for terminal in (True, False):
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=terminal, width=100, no_color=True, highlight=False)
        tables._draw_cut_flow(rows, console)
        bars = re.findall(r"S1 (█*▌?) +(\d+)", stream.getvalue())
        if not terminal:
            assert stream.getvalue() == ""
            continue
        assert [number for _, number in bars] == ["999", "99", "0"]
        full, part, none = (len(bar) for bar, _ in bars)
        assert none == 0
        assert part == pytest.approx(full * 2 / 3, abs=1.0)  # log(100) over log(1000)
        assert max(len(line) for line in stream.getvalue().splitlines()) <= 100
