"""What surrounds a run (settings, folders, streams, limits, signals) does not decide its result."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from na64root import cling, load_card, selection, work
from support.tree_a import event, s1_event, write_tree

# In place of a header of the core.
NO_HEADER = "#error this is not the header that was meant\n"
ROOTLOGON = "{ TH1::SetDefaultSumw2(kTRUE); TH1::AddDirectory(kFALSE); TH1::StatOverflows(kTRUE); }"
# What a site or a person sets for their own work.
ROOTRC = """
ROOT.ImplicitMT: 1
TTreeCache.Size: -1
TTreeCache.Prefill: 0
TFile.AsyncPrefetching: 1
TFile.Recover: 0
Unix.*.Root.DynamicPath: /nonexistent
Unix.*.Root.MacroPath: /nonexistent
ACLiC.IncludePaths: -I/nonexistent
Root.CompressionSettings: 999
Root.ZipMode: 99
Hist.Precision.1D: float
Hist.Stats.Defaults: no statistics
no setting at all
"""
NASTY = {
    "ROOTSYS": "/nonexistent",
    "ROOT_INCLUDE_PATH": "/nonexistent",
    "CPLUS_INCLUDE_PATH": "/nonexistent",
    "CXX": "nonsense",
    "MPLCONFIGDIR": "/nonexistent",
    "TMPDIR": "/nonexistent",
    "PYTHONSTARTUP": "/nonexistent",
    "OMP_NUM_THREADS": "0",
    "MPLBACKEND": "nonsense",
    "PYTHONWARNINGS": "error",
    "LC_ALL": "C",
    "PYTHONHASHSEED": "7",
    "PYTHONOPTIMIZE": "1",
    "COLUMNS": "20",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    # Weighted by one: data, unless histograms have sums of squares of their own.
    events = [event(), s1_event(), event(ecalTotal=95.0)]
    return write_tree(tmp_path_factory.mktemp("données") / "data.root", events, extra={"mcWeight": 1.0})


def program(*arguments: str, shell: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
    """`na64root ARGUMENTS`, with redirections of a shell."""
    command = ["/bin/sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, "-m", "na64root", *arguments]
    return subprocess.run(
        command, text=True, check=False, encoding="utf-8", **{"capture_output": True} | options
    )


def select(data: str, out: Path, *more: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return program("select", data, "-o", str(out), "-j", "1", "--json", *more, **options)


def results_of(out: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    result = json.loads((out / "select.json").read_text("utf-8"))
    return {name: result[name] for name in ("counts", "cutflow", "expected", "n_minus_one", "notes")}, {
        path.name: path.read_bytes() for path in out.glob("*.png")
    }


@pytest.fixture(scope="module")
def expected(data, tmp_path_factory) -> tuple[dict[str, Any], dict[str, bytes]]:
    out = tmp_path_factory.mktemp("expected") / "out"
    done = select(data, out)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    return results_of(out)


@pytest.mark.slow
def test_the_surroundings_of_a_run_do_not_change_its_result(tmp_path, data, expected):
    """All at once, in the current folder and at home."""
    (tmp_path / ".rootlogon.C").write_text(ROOTLOGON)
    (tmp_path / "rootlogon.C").write_text(ROOTLOGON)
    (tmp_path / ".rootlogon.py").write_text("import ROOT\nROOT.TH1.SetDefaultSumw2(True)\n")
    (tmp_path / ".rootrc").write_text(
        "Rint.Logon: .rootlogon.C\nTFile.ForceRemote: 1\nRoot.ErrorIgnoreLevel: 0\n" + ROOTRC
    )
    (tmp_path / "matplotlibrc").write_text(
        "figure.figsize: 1, 1\ntext.usetex: True\nbackend: nonsense\n"
        "axes.formatter.use_locale: True\nsavefig.format: nope\nsavefig.dpi: 3\nno setting at all\n"
    )
    headers = tmp_path / "na64root"
    headers.mkdir()
    for name in ("selection.hpp", "event_numbers.hpp", "event.hpp", "units.hpp", "model.hpp"):
        (headers / name).write_text(NO_HEADER)
    done = select(
        data,
        tmp_path / "out",
        cwd=tmp_path,
        env=os.environ | NASTY | {"HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert results_of(tmp_path / "out") == expected


@pytest.mark.parametrize("just_in_time", [False, True])
def test_defaults_of_histograms_in_the_process_change_nothing(data, just_in_time):
    """As another package, or a notebook, sets them; they are left as they were."""
    TH1 = cling.root().TH1
    card, how = load_card(), work.Work(engine=work.Engine(just_in_time=just_in_time))
    usual = selection.select([data], card, work=how)
    assert not usual.weighted
    TH1.SetDefaultSumw2(True)
    TH1.AddDirectory(False)
    TH1.StatOverflows(True)
    try:
        assert selection.select([data], card, work=how) == usual
        assert TH1.GetDefaultSumw2()
        assert not TH1.AddDirectoryStatus()
    finally:
        TH1.SetDefaultSumw2(False)
        TH1.AddDirectory(True)
        TH1.StatOverflows(False)


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-"])
def test_closed_streams_change_nothing(data, closed):
    """ROOT and the compiler write to descriptor 2 themselves."""
    done = program("inspect", data, "--json", "-j", "1", shell=closed)
    assert done.returncode == 0
    assert json.loads(done.stdout)["entries"] == 3


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_an_error_with_closed_streams_is_an_exit_code(closed):
    done = program("limit", "--observed", "x", shell=closed)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_the_current_folder_is_gone(tmp_path):
    (tmp_path / "gone").mkdir()
    command = ["/bin/sh", "-c", 'cd "$1" && rmdir "$1" && exec "$2" -m na64root limit', "sh"]
    done = subprocess.run(
        [*command, str(tmp_path / "gone"), sys.executable], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        2,
        "na64root: the current folder is gone (No such file or directory): change into another one\n",
    )


@pytest.mark.parametrize("argument", [b"donn\xe9es.root", b"\xff"])
def test_an_argument_that_is_not_utf8_is_one_line(argument):
    command = [os.fsencode(sys.executable), b"-m", b"na64root", b"inspect", argument]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"not UTF-8" in done.stderr


def test_names_are_utf8_whatever_the_locale(data):
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = program("inspect", data, "--json", "-j", "1", env=os.environ | plain)
    assert done.returncode == 0
    assert json.loads(done.stdout)["files"][0]["path"] == data


@pytest.mark.slow
@pytest.mark.parametrize("format", ["ttree", "rntuple"])
def test_a_limit_on_the_size_of_files_is_one_line(tmp_path, format):
    """As a full disk: nothing is left, the process is not killed."""
    random = np.random.default_rng(1)
    names = ("ecal0", "ecal1", "hcal0", "hcal1", "hcal2", "hcal3", "showerChi2")
    rows = [event(**dict(zip(names, random.random(len(names)), strict=True))) for _ in range(3000)]
    done = select(
        write_tree(tmp_path / "many.root", rows),
        tmp_path / "out",
        *("--skim", str(tmp_path / "skim.root"), "--skim-cut", "trigger", "--format", format),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60 * 1024, 60 * 1024)),
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"na64root: cannot write {tmp_path}/skim.root (the file system took no more data): choose another "
        "place for --skim"
    )
    assert all(line.startswith("na64root: ") for line in done.stderr.splitlines())
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["many.root"]
    assert not list(tmp_path.rglob(".writing-*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_without_litter(tmp_path, number):
    # In one thread, and long enough to be hit.
    command = [
        "simulate",
        "gun",
        "--particle",
        "e-",
        "--energy-GeV",
        "20",
        "--volume",
        "ecal",
        "-n",
        "100000000",
    ]
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-m", "na64root", *command, "-j", "1", "-o", str(out / "gun.root")],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as running:
        try:
            wait_for(lambda: list(out.glob(".writing-*/made/*")))
            running.send_signal(number)
            running.send_signal(number)
            _, said = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 128 + number
    assert said.splitlines()[-1] == f"na64root: ended by {number.name}"
    assert list(out.iterdir()) == []


def wait_for(condition: Any) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came")


def children_of(process: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


WORKERS = """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from na64root.work import end_with_parent

if __name__ == "__main__":
    pool = ProcessPoolExecutor(
        2, multiprocessing.get_context("spawn"), initializer=end_with_parent, initargs=(os.getpid(),)
    )
    jobs = [pool.submit(time.sleep, 600) for _ in range(2)]
    while not all(job.running() for job in jobs):
        time.sleep(0.02)
    time.sleep(1.0)
    print("ready", flush=True)
    jobs[0].result()
"""


def test_workers_end_with_their_parent(tmp_path):
    """However it ends: nobody is asked by SIGKILL."""
    (tmp_path / "workers.py").write_text(WORKERS)
    with subprocess.Popen([sys.executable, str(tmp_path / "workers.py")], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        workers = children_of(parent.pid)
        assert len(workers) >= 2
        parent.kill()
    wait_for(lambda: not any(map(is_running, workers)))


def test_the_pool_of_toys_ends_with_its_parent(monkeypatch):
    from na64root.limits import roostats

    seen: dict[str, Any] = {}

    class Pool:
        def __init__(self, *_: Any, **options: Any) -> None:
            seen.update(options)

        def submit(self, *_: Any) -> None: ...

        def shutdown(self, **_: Any) -> None: ...

    monkeypatch.setattr(roostats, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(roostats, "SECONDS_OF_PROCESSES", 0.0)
    model: Any = None
    runner = roostats._Runner(model, "none", work.Work(threads=2))
    assert runner.run([]) == []
    runner.close()
    assert seen["initializer"] is work.end_with_parent
    assert seen["initargs"] == (os.getpid(),)


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"}, 2.0),
        ("0::/a/b\n", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "50000 100000"}, 0.5),
        (
            "3:cpu,cpuacct:/x\n2:memory:/y\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "300000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
            3.0,
        ),
        ("3:cpu:/x\n", {"cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "100000"}, None),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
    ],
)
def test_the_cores_of_a_container_are_known(tmp_path, groups: str, files: Mapping[str, str], cores):
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "own").write_text(groups)
    granted = work._cores_of_container(tmp_path / "cgroup", tmp_path / "own")
    assert granted == (float("inf") if cores is None else cores)


def test_threads_by_default_are_the_cores_that_the_process_is_bound_to(monkeypatch):
    monkeypatch.setattr(work.os, "sched_getaffinity", lambda _: {0, 3, 5})
    monkeypatch.setattr(work, "_cores_of_container", lambda: float("inf"))
    assert work.cores() == 3
    monkeypatch.setattr(work, "_cores_of_container", lambda: 0.3)
    assert work.cores() == 1
