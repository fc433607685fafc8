"""Calls to the file system that fail, and kills, in every verb that writes.

Of each verb a new result is to replace an old one. Where a call fails there is one line and the old result,
to the byte, and nothing else; or the run did without that call, and the new one is whole. Where the process
is killed, the next run that writes there leaves one or the other.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from na64root.records import renamed_into
from support import faults
from support.faults import Commands, Fault
from support.tree_a import event, s1_event, write_tree

COMMON = ("-j", "1", "--force", "-o")
GUN = ("simulate", "gun", "--particle", "e-", "--volume", "ecal", "-n", "50", "--energy-GeV")
SIGNAL = ("simulate", "signal", "--mass-GeV", "0.1", "-n", "50", "--epsilon")
SCAN = ("scan", "--x", "mass=0.1:0.2:2", "--y")
PLAN = ("plan", "--hcal1-length-cm", "50", "--energies-GeV", "100", "--masses-GeV")
SKIM = ("--skim", "{out}/skim.root", "--skim-cut", "trigger")

# Of each verb: arguments, those of the old result, those of the new one, file in the folder if it names one.
VERBS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str]] = {
    "limit": (("limit", "--background", "0.5", "--observed"), ("0",), ("1",), ""),
    "gun": (GUN, ("9",), ("8",), "/gun.root"),
    "gun rntuple": ((*GUN[:-1], "--format", "rntuple", "--energy-GeV"), ("9",), ("8",), "/gun.root"),
    "inspect": (("inspect",), ("{old}",), ("{new}",), ""),
    "select": (("select",), ("{old}",), ("{new}",), ""),
    "skim": (("select", *SKIM), ("{old}",), ("{new}",), ""),
    "skim rntuple": (("select", *SKIM, "--format", "rntuple"), ("{old}",), ("{new}",), ""),
    "quality": (("quality",), ("{old}",), ("{new}",), ""),
    "background": (("background",), ("{old}",), ("{new}",), ""),
    "explain": (("explain", "--mass-GeV", "0.1", "--epsilon"), ("1e-4",), ("2e-4",), ""),
    "diagnostics": (("limit", "--diagnostics", "--background", "0.5", "--observed"), ("0",), ("1",), ""),
    "export": (("export", "--background", "0.5", "--format", "all", "--observed"), ("0",), ("1",), ""),
    "acceptance": (("acceptance", "--mass-GeV", "0.1", "-n", "500", "--epsilon"), ("1e-3",), ("2e-3",), ""),
    "scan": (SCAN, ("epsilon=1e-4:1e-3:2",), ("epsilon=1e-4:2e-3:2",), ""),
    "plot": (("plot",), ("{plane}",), ("{other plane}",), ""),
    "plan": (PLAN, ("0.1",), ("0.11",), ""),
    "signal": (SIGNAL, ("1e-3",), ("2e-3",), "/signal.root"),
    "pseudodata": (("simulate", "pseudodata", "--eot"), ("2018=1e8",), ("2018=1.1e8",), "/data.root"),
    "mixture": (("simulate", "background", "--eot"), ("2018=1e8",), ("2018=1.1e8",), "/data.root"),
}
SLOW_ONES = ("select", "skim", "skim rntuple", "export", "pseudodata", "mixture", "plan", "quality", "scan")
FEW = ("limit", "gun rntuple", "inspect")
ERRORS = {
    "write": errno.ENOSPC,
    "open": errno.EIO,
    "rename": errno.EDQUOT,
    "fsync": errno.EIO,
    "mkdir": errno.ENOSPC,
}


def content_of(folder: Path) -> dict[str, bytes]:
    """But for the finished points of a plane, which are kept for the next run on purpose."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".unfinished"
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def commands(place) -> Iterator[Commands]:
    (place / "below").mkdir()
    write_tree(place / "old.root", [event(), s1_event()])
    write_tree(place / "new.root", [event(), event(), s1_event()])
    with faults.commands(place, place / "below") as made:
        yield made


class Replacing:
    """A verb that replaces its old result, again and again."""

    def __init__(self, commands: Commands, place: Path, name: str) -> None:
        self.commands, self.out, self.kept = commands, place / "below" / "out", place / "kept"
        arguments, old, new, file = VERBS[name]
        values = {"out": str(self.out), "old": str(place / "old.root"), "new": str(place / "new.root")}
        if name == "plot":
            values |= self.planes(place)
        end = (*COMMON, f"{self.out}{file}")
        before, self.command = (
            [part.format_map(values) for part in (*arguments, *given, *end)] for given in (old, new)
        )
        for folder in (self.out, self.kept):
            shutil.rmtree(folder, ignore_errors=True)
        first = commands.run(before, here=True)
        assert first.code == 0, first.said
        shutil.copytree(self.out, self.kept)
        self.old = content_of(self.out)
        whole = commands.run(self.command)
        assert whole.code == 0, whole.said
        self.counts, self.seconds = whole.counts, whole.seconds
        new_content = content_of(self.out)
        self.changed = {name for name, text in new_content.items() if text != self.old.get(name)}
        self.new_names = new_content.keys()
        assert self.changed

    def planes(self, place: Path) -> dict[str, str]:
        made = {}
        for name, epsilon in (("plane", "1e-3"), ("other plane", "2e-3")):
            folder = place / name
            if not folder.exists():
                done = self.commands.run([*SCAN, f"epsilon=1e-4:{epsilon}:2", *COMMON, str(folder)])
                assert done.code == 0, done.said
            made[name] = str(folder / "scan.json")
        return made

    def again(self) -> None:
        shutil.rmtree(self.out)
        shutil.copytree(self.kept, self.out)

    def is_new(self) -> bool:
        found = content_of(self.out)
        return found.keys() == self.new_names and self.changed == {
            name for name, text in found.items() if text != self.old.get(name)
        }

    def fails(self, fault: Fault) -> str | None:
        """Run with a fault; what is wrong after it."""
        self.again()
        done = self.commands.run(self.command, fault)
        if done.code == 0:
            return (
                None
                if self.is_new()
                else f"{fault}: done, and not the new result: {sorted(content_of(self.out))}"
            )
        errors = [line for line in done.said.splitlines() if line.startswith("na64root: ")]
        said = [line for line in errors if not line.startswith("na64root: warning")]
        if done.code != 2 or len(said) != 1 or "Traceback" in done.said:
            return f"{fault}: exit code {done.code}, said {done.said[-1500:]}"
        found = content_of(self.out)
        if found != self.old:
            names = sorted(found.keys() ^ self.old.keys()) or "other content"
            return f"{fault}: {names} after {said}"
        return None

    def killed(self, fault: Fault, seconds: float = 300.0) -> str | None:
        """Kill it; what is wrong after the next run has written there."""
        self.again()
        done = self.commands.run(self.command, fault, seconds=seconds)
        if done.code == 0:
            return None if self.is_new() else f"{fault}: done, and not the new result"
        if done.code != -9:
            return f"{fault}: exit code {done.code}, said {done.said[-1500:]}"
        with renamed_into(self.out, ()):
            pass
        found = content_of(self.out)
        if any(part.startswith(".") for name in found for part in Path(name).parts):
            return f"{fault}: left {sorted(found)}"
        return (
            None if found == self.old or self.is_new() else f"{fault}: neither old nor new: {sorted(found)}"
        )


def some(count: int, wanted: int) -> list[int]:
    """Numbers from 1 to `count`: the first, the last, and between."""
    return sorted({round(n) for n in np.linspace(1, count, wanted)}) if count else []


@pytest.mark.parametrize("name", FEW)
def test_what_fails_leaves_the_old_result(commands, place, name):
    verb = Replacing(commands, place, name)
    wrong = [
        verb.fails(Fault(kind, number, error))
        for kind, error in ERRORS.items()
        for number in some(verb.counts[kind], 2)
    ]
    wrong += [verb.killed(Fault(None, number)) for number in some(sum(verb.counts.values()), 5)]
    assert not [text for text in wrong if text]


@pytest.mark.slow
@pytest.mark.parametrize("name", VERBS)
def test_no_failing_call_loses_a_result(commands, place, name):
    verb = Replacing(commands, place, name)
    wanted = 3 if name in SLOW_ONES else 6
    wrong = []
    for kind, error in ERRORS.items():
        for number in some(verb.counts[kind], wanted):
            wrong.append(verb.fails(Fault(kind, number, error, stays=number % 2 == 0)))
    assert not [text for text in wrong if text]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["limit", "gun", "skim", "diagnostics", "quality"])
def test_a_kill_leaves_the_old_result_or_the_new_one(commands, place, name):
    verb = Replacing(commands, place, name)
    rng = np.random.default_rng(17)
    # Between the first rename and the last, and anywhere.
    numbers = some(sum(verb.counts.values()), 6)
    wrong = [verb.killed(Fault(None, number)) for number in numbers]
    wrong += [verb.killed(Fault("rename", number)) for number in some(verb.counts["rename"], 6)]
    wrong += [verb.killed(Fault(), seconds) for seconds in rng.uniform(0.0, verb.seconds, 6)]
    assert not [text for text in wrong if text]
