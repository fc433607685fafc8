"""Nonsense in each option of limit, fit, coupling, export and explain: one line, and nothing written."""

import json

import pytest

from support import commands

NUMBERS = ("nan", "inf", "-inf", "-1", "1e400", "abc", "")
COUNTS = ("--observed", "1,0", "--background", "0.2,0.5")
VERBS_OF_COUNTS = {"limit": COUNTS, "fit": (*COUNTS, "--do", "fit"), "export": COUNTS}
VERBS_OF_POINTS = {
    "coupling": ("--mass-GeV", "0.2"),
    "explain": ("--mass-GeV", "0.2", "--epsilon", "1e-3"),
}

OF_COUNTS = {
    "--observed": ("nan,0", "-1,0", "1e400,0", "1.5,0", "1", "1,0,0", ""),
    "--background": (*(f"{x},0.5" for x in NUMBERS), "1", "1,2,3"),
    "--background-uncertainty": (*(f"{x},0.1" for x in NUMBERS), "0.1", "0.1,0.1,0.1"),
    "--signal-fraction": (*(f"{x},0.1" for x in NUMBERS), "1", "0,0"),
    "--signal-uncertainty": (*NUMBERS, "20"),
}

OF_POINTS = {
    **dict.fromkeys(("--cl", "--eot", "--alpha-dark", "--mass-ratio", "--relative-splitting"), NUMBERS),
    "--beam-energy-GeV": NUMBERS,
    "--mass-GeV": (*NUMBERS, "0"),
}

OF_FIT = {"--toys": ("goodness", ("0", "1.5")), "--inject": ("injection", ()), "--mu": ("point", ())}

AXES = (
    *("alpha=1", "alpha=2:1", "alpha=nan:1", "alpha=0:1", "alpha=-1:1", "epsilon=1e-5:inf", "what=1:2", ""),
    *("alpha=1e-3:1:0", "alpha=1e-3:1:1", "alpha=1e-3:1:-5", "alpha=1e-3:1:1e9", "alpha=1:1"),
)

FILES = {"empty": "", "other.json": '{"a": 1}', "list.json": "[1, 2]", "number.json": "3", "binary": "\0\1"}


def one_line(capsys, tmp_path, *arguments):
    to = ("-o", str(tmp_path / "to"))
    assert commands.run(*arguments, *to) == (2, ""), arguments
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("na64root: "), arguments
    assert not list((tmp_path / "to").rglob("*")), arguments


@pytest.mark.parametrize("option", OF_COUNTS)
@pytest.mark.parametrize("verb", VERBS_OF_COUNTS)
def test_counts(verb, option, capsys, tmp_path):
    for value in OF_COUNTS[option]:
        one_line(capsys, tmp_path, verb, *VERBS_OF_COUNTS[verb], f"{option}={value}")


@pytest.mark.parametrize("verb", [*VERBS_OF_COUNTS, *VERBS_OF_POINTS])
def test_levels_and_exposures(verb, capsys, tmp_path):
    given = VERBS_OF_POINTS.get(verb, ())
    for value in (*NUMBERS, *(f"2018={x}" for x in NUMBERS)):
        one_line(capsys, tmp_path, verb, *given, f"--eot={value}")
    for value in (*NUMBERS, "0", "1", "90"):
        if verb != "export":
            one_line(capsys, tmp_path, verb, *given, f"--cl={value}")


@pytest.mark.parametrize("option", OF_POINTS)
@pytest.mark.parametrize("verb", VERBS_OF_POINTS)
def test_points(verb, option, capsys, tmp_path):
    for value in OF_POINTS[option]:
        one_line(capsys, tmp_path, verb, *VERBS_OF_POINTS[verb], f"{option}={value}")


@pytest.mark.parametrize("option", OF_FIT)
def test_parts_of_a_fit(option, capsys, tmp_path):
    part, more = OF_FIT[option]
    for value in (*NUMBERS, *more):
        one_line(capsys, tmp_path, "fit", *COUNTS, "--do", part, f"{option}={value}")


def test_axes(capsys, tmp_path):
    for axis in AXES:
        one_line(capsys, tmp_path, "coupling", "--mass-GeV", "0.2", f"--over={axis}")


@pytest.mark.parametrize("verb", VERBS_OF_COUNTS)
def test_files(verb, capsys, tmp_path):
    paths = [tmp_path / name for name in FILES]
    for path in paths:
        path.write_text(FILES[path.name])
    (tmp_path / "record.json").write_text(json.dumps({"counts": 3, "constraint": None}))
    for path in (*paths, tmp_path / "record.json", tmp_path, tmp_path / "none"):
        one_line(capsys, tmp_path, verb, "--from", str(path))


def test_per_cent_is_asked_about(capsys, tmp_path):
    for verb, given in VERBS_OF_COUNTS.items():
        assert commands.run(verb, *given, "--signal-uncertainty", "20", "-o", str(tmp_path / "to")) == (2, "")
        assert "(per cent meant?): write 0.2 for 20 %" in capsys.readouterr().err
