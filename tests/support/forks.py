"""Work in a fork of this process, in which ROOT has started: what ends a process, and limits of one."""

from __future__ import annotations

import os
from pathlib import Path


def in_fork(tmp_path: Path, work, meanwhile=None) -> tuple[int, str]:
    """How a child that does `work` ends: its exit code, or a signal below zero; what it says on stderr.

    `meanwhile` is done here, with its number.
    """
    said = tmp_path / "said"
    child = os.fork()
    if child == 0:
        try:
            descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, 2)
            work()
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(3)
        os._exit(0)
    if meanwhile is not None:
        meanwhile(child)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.read_text()
