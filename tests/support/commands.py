"""The command line, in this process."""

from __future__ import annotations

import io

from na64root.cli import program


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and standard output of `na64root ARGUMENTS`; standard error is where `capsys` finds it."""
    stdout = io.StringIO()
    return program.run(arguments, stdout), stdout.getvalue()
