"""Code of a card that ends the process, throws, or does not compile: one line, and nothing else is harmed.

What ends a process is tried in forks of this one, in which ROOT has started.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from na64root import load_card
from na64root.cling import declare_code, why_not_whole
from na64root.errors import ConfigError, DataError
from na64root.event_loop.last_words import ends_when_asked, last_words
from na64root.ntuple import open_ntuple, quiet_root, reading
from na64root.records import renamed_into
from na64root.selection import cut_table
from na64root.selection.skim import _as_rntuple
from support.forks import in_fork
from support.tree_a import event, write_tree

# Called of the number of hits, which is 1, in each event.
CODE = """
#include <cstdlib>
#include <stdexcept>
namespace crashing {
inline int zero(int x) { volatile int one = 1; return x - one; }
inline bool divides(int x) { return 7 / zero(x) > 0; }
inline bool aborts(int x) { if (zero(x) == 0) std::abort(); return true; }
inline bool exits(int x) { if (zero(x) == 0) std::exit(0); return true; }
inline bool throws(int x) { if (zero(x) == 0) throw std::runtime_error("my reason"); return true; }
inline bool throws_in_noexcept(int x) noexcept { return throws(x); }
inline bool writes_nowhere(int x) { volatile int *place = nullptr; *place = zero(x); return true; }
inline int deeper(int x) { volatile int kept[64]; kept[0] = x; return x < 0 ? x : deeper(x + 1) + kept[0]; }
inline bool never_ends(int x) { return deeper(x) > 0; }
bool is_nowhere(int x);
inline bool throws_a_number(int x) { if (zero(x) == 0) throw 3; return true; }
}
"""


@pytest.fixture(scope="module")
def ntuple(tmp_path_factory):
    path = tmp_path_factory.mktemp("crashes") / "events.root"
    opened = open_ntuple([write_tree(path, [event(spillevent=i + 2) for i in range(5)])])
    declare_code("crashing.hpp", CODE)
    return opened


def count(ntuple, expression: str) -> int:
    with reading(ntuple, declared=True):
        return int(ntuple.data_frame().Filter(expression).Count().GetValue())


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        ("divides", "a whole number was divided by zero"),
        ("aborts", "abort() was called"),
        ("exits", "exit() was called"),
        ("throws_in_noexcept", "an exception where none may be thrown: my reason"),
        ("writes_nowhere", "memory that is not there was read or written"),
        ("never_ends", "memory that is not there was read or written"),
        ("is_nowhere", "memory that is not there was read or written"),
    ],
)
def test_code_that_ends_the_process_is_one_line(ntuple, tmp_path, function, cause):
    results = tmp_path / "results"

    def work():
        with renamed_into(results, ["made"]) as made:
            (made / "made").write_text("half")
            count(ntuple, f"crashing::{function}(straw3X)")

    code, said = in_fork(tmp_path, work)
    assert said == (
        f"na64root: cannot read all events of {ntuple.paths[0]} ({cause}): correct what the card computes of "
        "them (cuts, columns, mapping)\n"
    )
    assert (code, list(results.iterdir())) == (2, [])


def test_code_that_ends_the_process_while_it_is_compiled_is_one_line(ntuple, tmp_path):
    code = "#include <cstdlib>\nnamespace crashing { static int at_once = (std::abort(), 1); }"

    def work():
        with reading(ntuple, declared=True):
            declare_code("at_once.hpp", code)

    ended, said = in_fork(tmp_path, work)
    assert ended == 2, said
    assert said.startswith("na64root: cannot read all events of ")
    assert said.count("\n") == 1
    assert "abort() was called" in said


@pytest.mark.parametrize(
    ("function", "cause"),
    [("throws", "my reason"), ("throws_a_number", "something was thrown that is no std::exception")],
)
def test_what_is_thrown_is_one_line_and_the_next_loop_is_right(ntuple, capfd, function, cause):
    with pytest.raises(DataError, match=f"cannot read all events of .*{cause}.*: correct what the card"):
        count(ntuple, f"crashing::{function}(straw3X)")
    assert capfd.readouterr().err == ""
    assert count(ntuple, "crashing::zero(straw3X) == 0") == 5


def handlers() -> list[bytes]:
    """What the C library would do at each signal."""
    libc = ctypes.CDLL(None)
    found = []
    for number in (
        signal.SIGFPE,
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGILL,
        signal.SIGABRT,
        signal.SIGTERM,
    ):
        kept = ctypes.create_string_buffer(152)  # struct sigaction
        assert libc.sigaction(int(number), None, kept) == 0
        found.append(kept.raw[:8] + kept.raw[136:140])  # handler and flags
    return found


def test_signals_are_handled_as_before_once_all_is_forgotten(ntuple):
    def mine(*_):
        pass

    before_term = signal.signal(signal.SIGTERM, mine)
    try:
        before = handlers()
        with ends_when_asked(), last_words("first", "do"):
            within = handlers()
            with ends_when_asked(), last_words("second", "do"):
                assert handlers() == within
            assert handlers() == within
        assert all(a != b for a, b in zip(before, within, strict=True))
        assert handlers() == before
        with pytest.raises(DataError):
            count(ntuple, "crashing::throws(straw3X)")
        assert handlers() == before
    finally:
        signal.signal(signal.SIGTERM, before_term)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("x > 3", ""),
        ("f(x)[2] && g({1, 2}) || '(' == y", ""),
        ('name == "a) // b"', ""),
        ("x > 1'000 /* whole */", ""),
        ("x > 3 // of mine\n && y", ""),
        ('R"((]")" == name', ""),
        ("x > 3)) ; if ((true", "a ) closes nothing"),
        ("x > 3; } int f() { return 3", "a } closes nothing"),
        ("(x > 3]", "a ] closes nothing"),
        ("(x > 3", "a ( has no end"),
        ("x > 3 /* y", "a comment has no end"),
        ("x > 3 // y", "a comment has no end"),
        ('x == "y', 'a " has no end'),
        ("x == 'y", "a ' has no end"),
    ],
)
def test_an_expression_does_not_reach_around_itself(code, why):
    assert why_not_whole(code) == why


BAD = ["ecalTotal > 3)) ; if ((true", "ecalTotal > 3 /* x", "ecalTotal > no_such", 'ecalTotal > "x"', "", "@"]


def test_a_cut_that_does_not_compile_harms_none_after_it(ntuple, tmp_path):
    """In one process: each bad cut is one line, the good ones between them are what they say."""

    def checked(expression: str) -> None:
        path = tmp_path / "card.toml"
        path.write_text(
            f"extends = 'paper2021'\n[[selection.declared]]\nname = 'mine'\nafter = 'trigger'\n"
            f"expression = '{expression}'\n"
        )
        card = load_card(path)
        cut_table.declare_functions(card)
        table = {"S1": [one for one in cut_table.cuts(card, "S1", ntuple) if one.declared]}
        with reading(ntuple, declared=True):
            cut_table.require_compiling(ntuple.data_frame(), table)

    for i, bad in enumerate(BAD):
        with pytest.raises(ConfigError, match="the expression of cut mine does not compile"):
            checked(bad)
        if i == 2:  # what ROOT makes for the first time after what it could not compile
            made = ntuple.data_frame().Profile1D(("", "", 2, 0.0, 50.0), "ecalTotal", "straw3X", "spillevent")
            assert made.GetValue().GetEntries() == 5
        for edge, passing in ((19.5 - i, 5), (20.5 + i, 0)):
            checked(f"ecalTotal > {edge}")
            assert count(ntuple, f"ecalTotal > {edge}") == passing


def test_a_loop_that_does_not_return_ends_when_asked(ntuple, tmp_path):
    """As the command line: a handler in Python, which C++ does not let run."""
    declare_code(
        "endless.hpp",
        "namespace crashing { inline bool endless(int x) { volatile int y = x; while (y) {} return true; } }",
    )
    results = tmp_path / "results"

    def work():
        signal.signal(signal.SIGTERM, lambda *_: None)
        with renamed_into(results, ["made"]):
            count(ntuple, "crashing::endless(straw3X)")

    def ask(child: int) -> None:
        time.sleep(1.0)
        os.kill(child, signal.SIGTERM)

    assert in_fork(tmp_path, work, ask) == (128 + signal.SIGTERM, "na64root: ended by SIGTERM\n")
    assert list(results.iterdir()) == []


def test_a_full_disk_behind_a_loop_of_root_is_one_line(tmp_path):
    """An RNTuple is closed where no exception can pass."""
    energies = np.random.default_rng(1).random((1000, 4))
    names = ("ecal0", "ecal1", "hcal0", "hcal1")  # 30 kB that cannot be packed
    rows = [event(spillevent=i + 2, **dict(zip(names, row, strict=True))) for i, row in enumerate(energies)]
    source = Path(write_tree(tmp_path / "source.root", rows))

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        with quiet_root():
            _as_rntuple("tree", source, tmp_path / "made", tmp_path / "skim.root")

    said = "(the file system took no more data): choose another place for --skim"
    assert in_fork(tmp_path, work) == (2, f"na64root: cannot write {tmp_path}/skim.root {said}\n")
