"""The event loop against strings compiled just in time, ROOT's own reading, and uproot with NumPy.

CPU seconds of one thread, and ratios of runs that follow each other: the machine is not what is measured. On
a file that :mod:`bench_ntuple` makes, 5 million events and 1.2 GB. The loop is measured alone, with what
strings take to compile subtracted; whole commands are processes of their own, from the start of the
interpreter, with their reading, checking and SHA-256 of the file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmark.bench_ntuple import FOLDER, ntuple
from na64root import load_card
from na64root.cling import root
from na64root.event_loop import compiled
from na64root.ntuple import TREE_A, open_ntuple, reading
from na64root.selection import SelectionOptions
from na64root.selection.booked import Booked
from na64root.selection.engines import EventLoop
from na64root.selection.systematics import Variations
from na64root.work import THREADS, Engine, Work
from support.tree_a import event, s1_event, write_tree

EVENTS = 5_000_000
CARD = load_card()
STRINGS = Engine(just_in_time=True)
ROUNDS = 2
SELECT = """
import json, sys
from na64root import load_card, select
from na64root.work import Engine, Work
engine = Engine(just_in_time=sys.argv[2] == "strings")
result = select([sys.argv[1]], load_card(), work=Work(engine=engine))
# Its own memory: what wait4 tells of a child includes that of its parent before it became this program.
(most,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
flow = [[r.period, r.signature, r.cut, r.events] for r in result.cutflow]
print(json.dumps({"flow": flow, "memory_GB": int(most) / 1e6}))
"""


@dataclass(frozen=True)
class Used:
    """By a process: CPU and elapsed time in seconds, what it printed."""

    cpu: float
    elapsed: float
    output: str


def used_by(*command: str) -> Used:
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    elapsed = time.monotonic() - started
    return Used(usage.ru_utime + usage.ru_stime, elapsed, output)


def command(path: Path, how: str) -> Used:
    return used_by(sys.executable, "-c", SELECT, str(path), how)


@pytest.fixture(scope="module")
def file() -> Path:
    return ntuple(EVENTS)


def loop(
    path: Path,
    engine: Engine,
    options: SelectionOptions = SelectionOptions(),
    clock=time.process_time,
    threads=1,
) -> float:
    """CPU seconds of the loop alone, just-in-time compilation of a first, empty one left out."""
    opened = open_ntuple([str(path)], unpack=False)
    event_loop = EventLoop(Work(engine=engine, threads=threads))
    with event_loop.running(threads), reading(opened):
        variations = Variations(CARD, opened, 1) if options.systematics else None
        booked = Booked(opened, CARD, event_loop, options, variations)
        assert isinstance(booked.frame, compiled.Node) != engine.just_in_time
        started = clock()
        booked.run()
        return clock() - started


def read_speed(path: Path) -> float:
    """CPU seconds of ROOT's rootreadspeed on the branches that the selection reads."""
    present = open_ntuple([str(path)], unpack=False).present
    branches = [b.name for b in TREE_A.branches if b.used and b.name in present]
    program = Path(str(root().TROOT.GetBinDir())) / "rootreadspeed"
    return used_by(
        str(program), "--files", str(path), "--trees", "tree", "--branches", *branches, "--threads", "1"
    ).cpu


@pytest.mark.benchmark(group="event loop, 5 million events, CPU seconds of one thread")
def test_event_loop(benchmark, file):
    small = ntuple(1000)
    loops, strings, read = [], [], []

    def rounds() -> None:
        for _ in range(ROUNDS):
            loops.append(loop(file, THREADS))
            read.append(read_speed(file))
            # What strings take beyond compiling them, which a file of 1000 events shows.
            strings.append(loop(file, STRINGS) - loop(small, STRINGS))

    benchmark.pedantic(rounds, rounds=1)
    best = min(loops)
    of_strings, of_reading = min(strings) / best, min(read) / best
    print(
        f"\nloop {best:.2f} s CPU, {EVENTS / best:.3g} events/s; rate over strings {of_strings:.2f}, "
        f"over rootreadspeed {of_reading:.2f}"
    )


@pytest.mark.benchmark(group="more than the plain loop, 5 million events, ratios")
def test_beside_the_plain_loop(benchmark, file):
    """N-1 and systematics in the same loop; an RNTuple; elapsed time of two threads."""
    rntuple = ntuple(EVENTS, rntuple=True)
    full, varied = SelectionOptions(n_minus_one=True), SelectionOptions(systematics=True)
    plain, n_minus_one, systematics, of_rntuple, elapsed, by_two = [], [], [], [], [], []

    def rounds() -> None:
        for _ in range(ROUNDS):
            plain.append(loop(file, THREADS))
            n_minus_one.append(loop(file, THREADS, full))
            systematics.append(loop(file, THREADS, varied))
            of_rntuple.append(loop(rntuple, THREADS))
            elapsed.append(loop(file, THREADS, clock=time.monotonic))
            by_two.append(loop(file, THREADS, clock=time.monotonic, threads=2))

    benchmark.pedantic(rounds, rounds=1)
    print(
        f"\nplain loop {min(plain):.2f} s CPU; N-1 {min(n_minus_one) / min(plain):.2f} times, systematics "
        f"{min(systematics) / min(plain):.2f} times that; rate of an RNTuple "
        f"{min(plain) / min(of_rntuple):.2f}, of two threads {min(elapsed) / min(by_two):.2f}"
    )


@pytest.mark.benchmark(group="commands on pseudo-data of 153 thousand events, CPU seconds")
def test_commands(benchmark):
    """With everything that they write, from the start of the interpreter."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path, results = FOLDER / "pseudodata.root", FOLDER / "results"
    program = [sys.executable, "-m", "na64root"]
    if not path.exists():
        used_by(*program, "simulate", "pseudodata", "-o", str(path))
    verbs = {
        "select": ["-o", str(results)],
        "inspect": [],
        "quality": ["-o", str(results)],
        "background": ["-o", str(results)],
        "analyze": ["-o", str(results)],
    }
    used: dict[str, list[float]] = {verb: [] for verb in verbs}

    def rounds() -> None:
        for _ in range(ROUNDS):
            for verb, options in verbs.items():
                force = ["--force"] if options else []
                used[verb].append(used_by(*program, verb, str(path), *options, *force).cpu)

    benchmark.pedantic(rounds, rounds=1)
    print("\n" + ", ".join(f"{verb} {min(cpu):.1f} s" for verb, cpu in used.items()))


@pytest.mark.benchmark(group="whole command, 5 million events, CPU seconds of one thread")
def test_whole_command(benchmark, file):
    by_library, by_strings, by_uproot = [], [], []
    uproot = Path(__file__).parent / "uproot_selection.py"

    def rounds() -> None:
        for _ in range(ROUNDS):
            by_library.append(command(file, "library"))
            by_uproot.append(used_by(sys.executable, str(uproot), str(file)))
        by_strings.append(command(file, "strings"))

    benchmark.pedantic(rounds, rounds=1)
    library = [json.loads(used.output) for used in by_library]
    flow = {(p, s, c): n for p, s, c, n in library[0]["flow"]}
    assert json.loads(by_strings[0].output)["flow"] == library[0]["flow"]
    for key, events in json.loads(by_uproot[0].output).items():
        period, cut = key.split(" ")
        for signature in ("S1", "S2"):
            if not cut.startswith("S") or cut.startswith(signature):
                assert flow[period, signature, cut.removeprefix(signature)] == events, key
    best = min(used.cpu for used in by_library)
    of_strings = by_strings[0].cpu / best
    of_uproot = min(used.cpu for used in by_uproot) / best
    memory = max(made["memory_GB"] for made in library)
    print(
        f"\ncommand {best:.2f} s CPU, {memory:.2f} GB; rate over strings {of_strings:.2f}, "
        f"over uproot + NumPy {of_uproot:.2f}"
    )
    assert memory < 1.5


@pytest.mark.benchmark(group="start-up, 20 events")
def test_start_up(benchmark):
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = Path(write_tree(FOLDER / "tiny.root", [event() for _ in range(10)] + [s1_event()] * 10))
    command(path, "library")  # the library is in the cache
    runs = []
    benchmark.pedantic(lambda: runs.append(command(path, "library")), rounds=5)
    best = min(used.cpu for used in runs)
    print(f"\nstart-up {best:.2f} s CPU, {min(used.elapsed for used in runs):.2f} s elapsed")
