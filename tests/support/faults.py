"""Commands whose calls to the file system fail, or that end by SIGKILL at one, or after some time.

`faults.c` is preloaded into one process, which has read everything that a command needs; each command runs in
a fork of it.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KINDS = ("write", "open", "rename", "fsync", "mkdir")
_CONTROL = struct.Struct(f"4l {len(KINDS) + 1}l 1024s")

SERVER = """
import contextlib, io, json, os, select, signal, sys, time
import ROOT
from na64root.cli import program
from na64root.cling import root
from support.figures import not_rendered
root()
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
rendered = contextlib.nullcontext

def run(job, errors):
    os.setsid()
    os.dup2(errors, 2)
    os.dup2(errors, 1)
    sys.stderr = open(2, "w", closefd=False)
    sys.stdout = sys.stderr
    with (rendered if job["rendered"] else not_rendered)():
        code = program.run(job["command"], io.StringIO())
    sys.stderr.flush()
    os._exit(code)

for line in sys.stdin:
    job = json.loads(line)
    if job["here"]:  # what is compiled once is compiled
        with not_rendered():
            code = program.run(job["command"], io.StringIO())
        print(json.dumps({"code": code, "said": ""}), file=answers, flush=True)
        continue
    errors = os.memfd_create("errors")
    start = time.monotonic()
    if (child := os.fork()) == 0:
        try:
            run(job, errors)
        finally:
            os._exit(1)
    waiting = os.pidfd_open(child)
    ready, _, _ = select.select([waiting], [], [], job["seconds"])
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # workers
    os.close(waiting)
    said = os.pread(errors, 1 << 20, 0).decode(errors="replace")
    os.close(errors)
    answer = {"code": os.waitstatus_to_exitcode(status), "said": said, "took": time.monotonic() - start}
    print(json.dumps(answer), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Outcome:
    """How a command ended; -9 is SIGKILL. `counts`: calls of each kind below the folder."""

    code: int
    said: str
    counts: dict[str, int]
    seconds: float


@dataclass(frozen=True)
class Fault:
    """The `number`-th call of a kind (or of any) fails with `error`, and with `stays` each one after it.

    Without `error` the process ends there by SIGKILL.
    """

    kind: str | None = None
    number: int = 0
    error: int = 0
    stays: bool = False


class Commands:
    """Runs commands; only calls on paths below `folder` are counted and fail."""

    def __init__(self, server: subprocess.Popen[str], control: Path, folder: Path) -> None:
        self.server, self.control, self.folder = server, control, folder

    def run(
        self,
        command: Sequence[str],
        fault: Fault = Fault(),
        *,
        seconds: float = 300.0,
        rendered: bool = False,
        here: bool = False,
    ) -> Outcome:
        """`seconds`: after these it is killed. `here`: not in a fork, so that what it compiles stays."""
        self._set(fault)
        job = {"command": list(command), "seconds": seconds, "rendered": rendered, "here": here}
        print(json.dumps(job), file=self.server.stdin, flush=True)
        answer = json.loads(self.server.stdout.readline())
        counts = _CONTROL.unpack(self.control.read_bytes())[4 : 4 + len(KINDS)]
        self._set(Fault())
        return Outcome(
            answer["code"], answer["said"], dict(zip(KINDS, counts, strict=True)), answer.get("took", 0.0)
        )

    def _set(self, fault: Fault) -> None:
        kind = -1 if fault.kind is None else KINDS.index(fault.kind)
        zeros = [0] * (len(KINDS) + 1)
        packed = _CONTROL.pack(kind, fault.number, fault.error, fault.stays, *zeros, os.fsencode(self.folder))
        with self.control.open("r+b") as file:
            file.write(packed)


@contextmanager
def commands(work: Path, folder: Path) -> Iterator[Commands]:
    """`work`: where the library and what controls it are; `folder`: where calls can fail."""
    library, control = work / "faults.so", work / "control"
    source = Path(__file__).with_name("faults.c")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True, timeout=60
    )
    control.write_bytes(bytes(_CONTROL.size))
    environment = os.environ | {
        "LD_PRELOAD": str(library),
        "NA64_FAULTS": str(control),
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "MPLBACKEND": "agg",
    }
    with (
        (work / "server.txt").open("w") as said,
        subprocess.Popen(
            [sys.executable, "-c", SERVER],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as server,
    ):
        try:
            yield Commands(server, control, folder)
        finally:
            server.stdin.close()
            server.wait()
