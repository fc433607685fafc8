"""The command line: one line per error, the right exit code, standard output for the result only."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from na64root import __version__
from na64root.cli.options import exposure_option
from na64root.cli.verb import application, progress_lines
from na64root.config import load_card
from na64root.errors import ConfigError, DataError
from na64root.exclusion import ledger
from na64root.work import said_while
from support.commands import run

LIMIT_KEYS = [
    "upper_limit",
    "upper_limit_error",
    "expected",
    "cl",
    "method",
    "treatment",
    "toys",
    "criterion",
    "provenance",
    # what is not in the contract comes after it
    "discovery",
    "interval",
    "files",
    "model_file",
    "blind",
    "notes",
]
# A later option replaces an earlier one.
SIGNAL = ["simulate", "signal", "--mass-GeV", "0.39", "--epsilon", "6e-3"]
GUN = ["simulate", "gun", "--particle", "e-", "--energy-GeV", "20"]
COMMON = ["--json", "--output-dir", "--config", "--set", "--seed", "--threads", "--force", "--help"]


def shell(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "na64root", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def verbs(group: click.Group = application, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += verbs(command, (*prefix, name))
        else:
            found.append((*prefix, name))
    return found


def assert_one_line(capsys, *parts: str) -> None:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("na64root: ")
    for part in parts:
        assert part in lines[0]


def test_the_verbs_are_those_of_the_documentation():
    assert verbs() == [
        ("analyze",),
        ("select",),
        ("inspect",),
        ("background",),
        ("quality",),
        ("explain",),
        ("verdict",),
        ("acceptance",),
        ("simulate", "signal"),
        ("simulate", "background"),
        ("simulate", "pseudodata"),
        ("simulate", "gun"),
        ("limit",),
        ("fit",),
        ("coupling",),
        ("scan",),
        ("scorecard",),
        ("ledger",),
        ("plan",),
        ("plot",),
        ("export",),
        ("report",),
        ("card",),
    ]


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_every_verb_has_help_an_example_and_the_common_options(verb):
    code, text = run(*verb, "--help")
    assert code == 0
    assert f"na64root {' '.join(verb)} " in text.split("Example:")[1]
    for option in COMMON:
        assert option in text


def test_help_and_version_of_the_program():
    assert run("--version") == (0, f"na64root, version {__version__}\n")
    code, text = run("--help")
    assert code == 0
    assert "analyze" in text


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["limt"], ["no verb limt, did you mean limit?"]),
        (["xyzzy"], ["no verb xyzzy", "analyze"]),
        (["simulate"], ["Missing command", "na64root simulate --help"]),
        (["simulate", "pseudo"], ["no verb pseudo, did you mean pseudodata?"]),
        (["limit", "--obsreved", "0"], ["--obsreved", "--observed", "na64root limit --help"]),
        (["limit", "--observed", "0,x"], ["'0,x' is not a list of counts"]),
        (["limit", "--observed", "-1,0"], ["'-1,0' is not a list of counts"]),
        (["limit", "--background", "0.1;0.2"], ["is not a list of numbers"]),
        (["limit", "--observed", "0"], ["different lengths", "observed 1", "background 2"]),
        (["limit", "--background", "0.3"], ["--background without --observed"]),
        (["limit", "--method", "bayes"], ["bayes", "exact"]),
        (["limit", "--seed", "-1"], ["--seed"]),
        (["limit", "--threads", "0"], ["--threads"]),
        (["limit", "--set", "limit.S1.backgrund=1"], ["did you mean background?"]),
        (["limit", "--config", "no_such_card"], ["no_such_card", "paper2021"]),
        (["limit", "--diagnostics"], ["--diagnostics without -o", "give a folder"]),
        (
            ["limit", "--observed", "900,900", "--background", "1,1", "--diagnostics", "-o", "out"],
            ["no diagnostics for 1802 events", "leave out --diagnostics"],
        ),
        (["coupling"], ["--mass-GeV"]),
        (["coupling", "--mass-GeV", "0.1", "--over", "alpha"], ["axis alpha is not readable"]),
        (
            ["coupling", "--mass-GeV", "0.1", "--over", "alpha=1e-3:1", "--alpha-dark", "0.2"],
            ["--alpha-dark beside an axis alpha"],
        ),
        (["fit", "--mass-GeV", "0.1"], ["--mass-GeV without --epsilon", "give both"]),
        (["fit", "--mass-GeV", "0.1", "--epsilon", "1e-3", "--mu", "2"], ["--mu beside --mass-GeV"]),
        (
            ["fit", "--mass-GeV", "0.1", "--epsilon", "1e-3", "--observed", "0,0"],
            ["--observed beside --mass-GeV"],
        ),
        (["fit", "--mass-GeV", "-1", "--epsilon", "1e-3"], ["m_A' = -1.0 is not acceptable"]),
        (["fit", "--observed", "0,0", "--toys", "3"], ["3 toys (100 to 1,000,000", "correct --toys"]),
        (["fit", "--observed", "0,0", "--do", "point"], ["point without its strength", "give --mu"]),
        (["fit", "--observed", "0,0", "--inject", "-1"], ["injected strength = -1.0"]),
        (["export", "--format", "yaml"], ["yaml", "pyhf"]),
        (["export", "x.root", "--observed", "0,0"], ["--observed beside FILES", "one or the other"]),
        (["export", "--eot", "1e12", "--observed", "0,0"], ["--observed beside --eot"]),
        (["limit", "--observed", "0,0", "--alpha-dark", "0.2"], ["--observed beside --alpha-dark"]),
        (["limit", "--signal-fraction", "1,2,3"], ["--signal-fraction has 3 values for 2 bins (S1 all, S2"]),
        (["limit", "--cl", "1.5"], ["limit.confidence_level", "between 0 and 1"]),
        (["scan", "mass-alpha", "--alpha-dark", "0.2"], ["--alpha-dark beside an axis alpha"]),
        (["export", "--background", "0.3"], ["--background without --observed"]),
        (["export", "--observed", "0", "--background", "nan"], ["background of bin1 = nan"]),
        (["explain", "--epsilon", "1e-3"], ["--mass-GeV"]),
        (["analyze"], ["FILES", "--pseudodata"]),
        (["analyze", "data.root", "--pseudodata"], ["FILES", "--pseudodata"]),
        (["analyze", "x.root", "--eot", "2019=1e11"], ["no period 2019", "2016, 2017, 2018"]),
        (["analyze", "x.root", "--eot", "2018=many"], ["--eot 2018=many"]),
        (["analyze", "x.root", "--signal-epsilon", "1e-3"], ["without --signal", "give its files"]),
        (["acceptance", "--epsilon", "1e-3"], ["--mass-GeV"]),
        (
            ["explain", "--mass-GeV", "0.1", "--epsilon", "1e-3", "--set", "signal.acceptance=geant"],
            ["geant"],
        ),
        (["inspect"], ["FILES"]),
        (["simulate", "gun"], ["--particle"]),
        ([*SIGNAL, "-n", "0"], ["cannot simulate 0 events"]),
        ([*SIGNAL, "--mass-GeV", "-1"], ["unphysical model at m_A' = -1 GeV", "correct"]),
        ([*SIGNAL, "--mass-GeV", "90"], ["no signal at m_A' = 90 GeV", "closed"]),
        ([*SIGNAL, "--epsilon", "0"], ["epsilon = 0 makes no signal"]),
        ([*SIGNAL, "--mode", "semi"], ["semi", "semivisible", "na64root simulate signal --help"]),
        ([*SIGNAL, "--forced", "hcal9"], ["hcal9", "hcal3"]),
        ([*SIGNAL, "--mode", "invisible", "--forced"], ["nothing decays"]),
        ([*SIGNAL, "--period", "2019"], ["no period 2019", "--period"]),
        ([*SIGNAL, "--eot", "0"], ["no electrons on target"]),
        (["simulate", "background", "--eot", "2019=1"], ["no period 2019"]),
        (["simulate", "pseudodata", "--inject-mass-GeV", "0.1"], ["half a signal", "--inject-epsilon"]),
        ([*GUN, "--volume", "hcal4"], ["no volume hcal4", "ecal, hcal1, hcal2, hcal3"]),
        ([*GUN, "--volume", "ecal", "--particle", "mu-"], ["no particle mu-", "e-, pair"]),
        ([*GUN, "--volume", "ecal", "-n", "0"], ["cannot simulate 0 events"]),
        ([*GUN, "--volume", "ecal", "--energy-GeV", "-3"], ["energy of the gun", "correct it"]),
        ([*GUN, "--volume", "ecal", "--energy-GeV", "nan"], ["energy of the gun"]),
        ([*GUN, "--volume", "ecal", "--offset-mm", "75"], ["--offset-mm 75,0"]),
        ([*GUN, "--volume", "ecal", "--offset-mm", "inf,0"], ["offset of the gun"]),
        ([*GUN, "--volume", "ecal", "--mass-GeV", "0.03"], ["only a pair has a parent"]),
        ([*GUN, "--volume", "hcal2", "--particle", "pair"], ["--mass-GeV"]),
        ([*GUN, "--volume", "hcal2", "--particle", "pair", "--mass-GeV", "0.001"], ["2 electron masses"]),
        ([*GUN, "--volume", "ecal", "--set", "geometry.hcal2_end_cm=390"], ["hcal3_start_cm"]),
        ([*GUN, "--volume", "ecal", "--set", "detector.hcal_layers=0"], ["number of layers"]),
        (["scan"], ["no plane", "mass-epsilon"]),
        (["scan", "--x", "mass=1"], ["mass=1", "LOW:HIGH"]),
        (["scan", "--x", "mass=0.1:0.2"], ["--x and --y"]),
        (["scan", "mass-alpha", "--epsilon", "1e-3"], ["--epsilon", "mass-alpha"]),
        (["plot", "nothing.json"], ["nothing.json", "scan"]),
        (["scan", "mass-mass"], ["mass-mass", "mass-epsilon"]),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, arguments, parts):
    monkeypatch.chdir(tmp_path)
    code, text = run(*arguments)
    assert code == 2
    assert text == ""
    assert_one_line(capsys, *parts)


@pytest.fixture
def failing(monkeypatch):
    """Make the engine behind `limit` raise."""

    def fail_with(error: BaseException) -> None:

        def upper_limit(*_, **__):
            raise error

        monkeypatch.setattr("na64root.limits.upper_limit", upper_limit)

    return fail_with


def test_an_error_of_the_package_is_one_line(capsys, failing):
    failing(DataError("file x.root is empty\n(0 bytes): give another"))
    assert run("limit") == (2, "")
    assert_one_line(capsys, "na64root: file x.root is empty (0 bytes): give another")


def test_a_bug_shows_its_traceback_and_exits_1(capsys, failing):
    failing(ZeroDivisionError("a bug"))
    assert run("limit", "--json") == (1, "")
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert "ZeroDivisionError: a bug" in error


def test_a_bug_that_is_an_os_error_is_not_hidden(capsys, failing):
    failing(FileNotFoundError(2, "No such file", "x"))
    assert run("limit") == (1, "")
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_one_line(capsys, failing):
    failing(KeyboardInterrupt())
    assert run("limit") == (130, "")
    assert_one_line(capsys, "interrupted")


def test_limit_json_has_the_keys_of_the_contract():
    """Reference: analytic. Zero events, no signal uncertainty: ln 10 at 90 % CL."""
    code, text = run("limit", "--observed", "0,0", "--treatment", "none", "--json")
    assert code == 0
    record = json.loads(text)
    assert list(record) == LIMIT_KEYS
    assert list(record["expected"]) == ["minus2", "minus1", "median", "plus1", "plus2"]
    assert record["upper_limit"] == pytest.approx(2.302585, abs=1e-4)
    assert (record["cl"], record["method"], record["treatment"]) == (0.9, "exact", "none")


def test_limit_flags_reach_the_model():
    """Reference: analytic, the closed forms at zero events with a 20 % signal nuisance; ln 20 at 95 % CL."""

    def limit(*flags: str) -> float:
        code, text = run("limit", "--observed", "0,0", "--background", "0.19,0.53", *flags, "--json")
        assert code == 0
        return json.loads(text)["upper_limit"]

    assert limit("--cl", "0.95") == pytest.approx(2.995732, abs=1e-3)
    flags = ["--signal-uncertainty", "0.2", "--signal-fraction", "0.4,0.6", "--treatment"]
    assert limit(*flags, "hybrid") == pytest.approx(2.3527, abs=1e-3)
    assert limit(*flags, "hybrid", "--constraint", "gaussian") == pytest.approx(2.4197, abs=1e-3)
    assert limit(*flags, "none") == pytest.approx(2.302585, abs=1e-3)


def test_a_person_reads_a_sentence():
    code, text = run("limit", "--observed", "0,0", "--treatment", "none")
    assert code == 0
    assert "2.3026" in text
    assert "90 % CL" in text


def test_nothing_seen_is_no_evidence(capsys):
    code, text = run("limit", "--observed", "0,0", "--json")
    assert code == 0
    result = json.loads(text)
    assert (result["discovery"], result["interval"], result["files"]) == (None, None, {})
    assert "two-sided" not in run("limit", "--observed", "0,0")[1]


def test_something_seen_is_told(capsys):
    """Reference: analytic, P(n >= 3 | 0.5); Feldman and Cousins, Table IV, for 3 events over 0.5."""
    flags = ["limit", "--observed", "3", "--background", "0.5"]
    code, text = run(*flags, "--treatment", "none", "--json")
    assert code == 0
    result = json.loads(text)
    assert list(result["discovery"]) == ["statistic", "p_value", "significance"]
    assert result["discovery"]["p_value"] == pytest.approx(0.0143877, rel=1e-5)
    assert result["discovery"]["significance"] == pytest.approx(2.1866, abs=1e-3)
    assert list(result["interval"]) == ["low", "high", "treatment"]
    assert (result["interval"]["low"], result["interval"]["high"]) == pytest.approx((0.60, 6.92), abs=0.006)
    assert result["interval"]["treatment"] == "none"
    uncertain = json.loads(run(*flags, "--background-uncertainty", "0.4", "--json")[1])
    assert uncertain["interval"]["treatment"] == "hybrid"
    assert uncertain["discovery"]["p_value"] > 1.1 * result["discovery"]["p_value"]
    words = run(*flags, "--treatment", "none")[1]
    assert "p-value 0.0144, significance 2.19 sigma" in words
    assert "two-sided interval: 0.60" in words


@pytest.mark.filterwarnings("default:no two-sided interval:UserWarning")
def test_an_interval_that_would_take_minutes_is_left_out_with_a_word(capsys):
    uncertain = ["--background", "0.1,0.2,0.3", "--background-uncertainty", "0.05,0.1,0.1"]
    code, text = run("limit", "--observed", "1,0,0", *uncertain, "--json")
    assert code == 0
    assert json.loads(text)["interval"] is None
    assert json.loads(text)["discovery"]["p_value"] > 0.1
    assert_one_line(capsys, "no two-sided interval for 3 different bins", "na64root.limits.interval")
    # with every nuisance parameter fixed it is quick
    fixed = run(
        "limit", "--observed", "1,0,0", "--background", "0.1,0.2,0.3", "--treatment", "none", "--json"
    )
    assert json.loads(fixed[1])["interval"]["high"] > 3.0


def test_what_is_kept_is_not_replaced_without_force(tmp_path, capsys):
    arguments = ["limit", "--observed", "0,0", "--treatment", "none", "-o", str(tmp_path), "--json"]
    code, text = run(*arguments)
    assert code == 0
    kept = tmp_path / "limit.json"
    assert kept.read_text() == text
    kept.write_text("precious")
    assert run(*arguments) == (2, "")
    assert_one_line(capsys, str(kept), "--force")
    assert kept.read_text() == "precious"
    assert run(*arguments, "--force")[0] == 0
    assert json.loads(kept.read_text()) == json.loads(text)
    assert list(tmp_path.iterdir()) == [kept]


def test_exposure_option():
    card = load_card()
    assert exposure_option(card, ["2018=1.87e11", "2016=0"]) == {"2018": 1.87e11, "2016": 0.0}
    shared = card.exposure(exposure_option(card, ["5e12"], total=True))
    assert sum(shared.values()) == pytest.approx(5e12)
    assert shared["2018"] / shared["2016"] == pytest.approx(1.87e11 / 4.3e10)
    for value in ("5e12", "2018=-1", "2018=nan", "2018=inf", "=1e11", "all=1e11"):
        with pytest.raises(ConfigError, match="--eot"):
            exposure_option(card, [value])
    last = card.exposure(exposure_option(card, ["1e12", "2018=0", "5e12"], total=True))
    assert sum(last.values()) == pytest.approx(5e12)


# Below, the process itself: file descriptors, module entry points.

NOISY = """
import ctypes, os, sys
from na64root import cli, limits
compute = limits.upper_limit
def noisy(*args, **kwargs):
    ctypes.CDLL(None).puts(b"from C, kept by the C library until the end")
    os.write(1, b"straight to descriptor 1\\n")
    print("from Python")
    return compute(*args, **kwargs)
limits.upper_limit = noisy
sys.argv = ["na64root", "limit", "--observed", "0,0", "--treatment", "none", *sys.argv[1:]]
sys.exit(cli.main())
"""


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_nothing_but_the_result_reaches_standard_output(flags):
    done = subprocess.run([sys.executable, "-c", NOISY, *flags], capture_output=True, text=True, check=True)
    for noise in ("from C", "straight to descriptor 1", "from Python"):
        assert noise not in done.stdout
        assert noise in done.stderr
    if flags:
        assert list(json.loads(done.stdout)) == LIMIT_KEYS


def test_json_is_pure_when_roofit_and_cling_print_from_cpp():
    """The RooStats run of test_analyze.py shows the same for Minuit."""
    prints = (
        "from na64root.cling import root\n"
        "    ROOT = root()\n"
        "    ROOT.RooRealVar('x', 'x', 0.5, 0.0, 1.0).Print('v')\n"
        "    ROOT.gInterpreter.ProcessLine('std::cout << \"from Cling\" << std::endl;')"
    )
    code = NOISY.replace('print("from Python")', prints)
    done = subprocess.run([sys.executable, "-c", code, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)) == LIMIT_KEYS
    assert "--- RooRealVar ---" in done.stderr
    assert "from Cling" in done.stderr


@pytest.mark.parametrize("module", ["na64root", "na64root.analyze", "na64root.cli"])
def test_modules_run_as_programs_without_a_warning(module):
    command = [sys.executable, "-W", "error", "-m", module, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "Usage: na64root" in done.stdout
    assert ("--pseudodata" in done.stdout) == (module == "na64root.analyze")


def test_a_reader_that_leaves_is_no_error():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "na64root", "limit", "--observed", "0,0", "--treatment", "none"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line():
    command = [sys.executable, "-m", "na64root", "limit", "--observed", "0,0", "--treatment", "none"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("na64root: cannot write the result (No space left on device)")
    assert len(done.stderr.splitlines()) == 1


def test_closed_standard_output_is_no_error():
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "{sys.executable}" -m na64root limit --observed 0,0 --treatment none >&-'],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_progress_off_a_terminal_is_a_line_now_and_then(caplog):
    """Nothing in the first five seconds, then a line each half minute, with the time left."""
    now = 100.0
    report = progress_lines("masses", lambda: now)
    with caplog.at_level("INFO"):
        for done in range(1, 101):
            now += 1.0
            report(done, 100)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "masses: 5 of 100, about 1 min 35 s left",
        "masses: 35 of 100, about 1 min 5 s left",
        "masses: 65 of 100, about 35 s left",
        "masses: 95 of 100, about 5 s left",
    ]


def test_a_step_without_an_end_in_sight_says_that_it_goes_on(caplog):
    with caplog.at_level("INFO"), said_while("the enumeration", silent=0.0):
        for _ in range(1000):
            if caplog.records:
                break
            time.sleep(0.01)
    assert caplog.records[0].getMessage().startswith("the enumeration goes on, 0 s so far")
    caplog.clear()
    with caplog.at_level("INFO"), said_while("the enumeration", silent=60.0):
        pass
    assert caplog.records == []


def test_progress_on_a_terminal_shows_the_time_left(tmp_path):
    """A pseudo-terminal for stderr: events done, a time; the cursor comes back; stdout is the JSON alone."""
    leader, follower = pty.openpty()
    arguments = [
        "simulate",
        "gun",
        "--particle",
        "e-",
        "--energy-GeV",
        "20",
        "--volume",
        "hcal2",
        "-n",
        "20000",
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "na64root", *arguments, "--json", "-o", str(tmp_path / "gun.root")],
        stdout=subprocess.PIPE,
        stderr=follower,
        env=os.environ | {"TERM": "xterm"},
    ) as process:
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a pseudo-terminal
            while piece := os.read(leader, 4096):
                shown += piece
        assert json.loads(process.stdout.read())["events"] == 20000
    os.close(leader)
    assert process.returncode == 0
    text = shown.decode()
    assert "10000/20000" in text
    assert "20000/20000" in text
    assert re.search(r"\d:\d\d:\d\d", text)
    assert text.rstrip().endswith("\x1b[?25h")


def test_plan_writes_its_figure_and_keeps_it(tmp_path, capsys):
    arguments = ["plan", "--masses-GeV", "0.1,0.3", "--hcal1-length-cm", "50,150", "--energies-GeV", "100",
                 "-o", str(tmp_path), "--json"]  # fmt: skip
    code, text = run(*arguments)
    assert code == 0
    found = json.loads(text)
    assert [curve["hcal1_length_cm"] for curve in found["by_hcal1_length"]] == [50.0, 150.0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["exposure-g2.pdf", "exposure-g2.png", "plan.json"]
    assert found["files"] == {p.name: str(p) for p in tmp_path.glob("exposure*")}
    assert run(*arguments)[0] == 2
    assert_one_line(capsys, "exists", "--force")


def test_plan_tells_a_person():
    code, text = run("plan", "--masses-GeV", "0.1", "--hcal1-length-cm", "150", "--energies-GeV", "100")
    assert code == 0
    assert "HCAL1 150 cm" in text
    assert "beam 100 GeV" in text


def test_presets_beside_each_other(monkeypatch):
    computed = ledger.presets()
    monkeypatch.setattr(ledger, "presets", lambda: computed)
    code, text = run("ledger", "--presets", "--json")
    assert code == 0
    assert [preset["card"] for preset in json.loads(text)["presets"]] == [
        "paper2021",
        "paper_choices",
        "best",
    ]
    code, text = run("ledger", "--presets")
    assert code == 0
    assert "phase_space" in text


def test_ledger_and_plan_are_of_the_chain(capsys):
    for verb in ("ledger", "plan"):
        assert run(verb, "--set", "signal.acceptance=simulation")[0] == 2
        assert_one_line(capsys, "acceptance", "chain")
