"""What README and docs tell the reader to type can be typed.

Every command is parsed by the program itself, every Python block compiles and the names that it imports are
there. README's commands run from top to bottom in the slow set (minutes); here those run that take seconds.
Of docs only what is self-contained runs: other examples are about files of the reader.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from na64root.cli import program
from support.commands import run

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
# Of other packages, which need not be here.
FOREIGN = {"dask_jobqueue"}
# Seconds each, and no file of the others.
QUICK = ("simulate pseudodata", "inspect", "quality", "background", "explain", "limit --observed 0,0")


@dataclass(frozen=True)
class Example:
    """A command line or a block of a page."""

    page: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text[:60]}"


def commands(page: Path) -> list[Example]:
    """Commands of the package on a page: lines of indented blocks and of fenced ones, without comments."""
    text = re.sub(r"\\\n\s*", " ", page.read_text("utf-8"))
    fenced = "\n".join(re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL))
    lines = re.findall(r"^(?:\$ |)(na64root .*)$", fenced, re.MULTILINE)
    lines += re.findall(r"^    (na64root .*)$", text, re.MULTILINE)
    return [Example(page.name, line) for line in lines if shlex.split(line, comments=True)[1:]]


def blocks(page: Path) -> list[Example]:
    """Python blocks of a page."""
    return [
        Example(page.name, t) for t in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    ]


COMMANDS = [example for page in PAGES for example in commands(page)]
BLOCKS = [example for page in PAGES for example in blocks(page)]


def words(example: Example) -> list[str]:
    return shlex.split(example.text, comments=True)[1:]


def test_the_pages_have_examples():
    assert len(COMMANDS) > 40
    assert len(BLOCKS) > 3


@pytest.mark.parametrize("example", COMMANDS, ids=str)
def test_every_command_is_one(example):
    """Verb, options and values are accepted; nothing is run."""
    command: click.Command = program.application
    given = words(example)
    if given[0] == "help":  # of the verb that follows
        assert run(*given)[0] == 0
        return
    while isinstance(command, click.Group) and not given[0].startswith("-"):
        found = command.get_command(click.Context(command), given[0])
        assert found is not None, given[0]
        command, given = found, given[1:]
    if not isinstance(command, click.Group):
        command.make_context(command.name, given)


@pytest.mark.parametrize("example", BLOCKS, ids=str)
def test_every_python_block_compiles_and_finds_its_names(example):
    for node in ast.walk(ast.parse(example.text)):
        if isinstance(node, ast.ImportFrom) and node.module not in FOREIGN:
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")


def readme() -> list[Example]:
    """The commands of README's block, in their order."""
    (block,) = re.findall(r"```sh\n(.*?)```", (REPOSITORY / "README.md").read_text("utf-8"), re.DOTALL)
    return [Example("README.md", line) for line in block.splitlines()]


def test_commands_of_the_readme_do_not_share_a_folder():
    folders = [given[given.index("-o") + 1] for given in map(words, readme()) if "-o" in given]
    assert len(folders) == len(set(folders)) > 15


def test_what_is_quick_of_the_readme_runs(tmp_path, monkeypatch, unrendered):
    monkeypatch.chdir(tmp_path)
    ran = [example for example in readme() if " ".join(words(example)).startswith(QUICK)]
    assert len(ran) == len(QUICK) + 1  # pseudo-data twice
    for example in ran:
        assert run(*words(example))[0] == 0, example.text


def test_the_python_of_the_limits_page_prints_what_it_says(capsys):
    examples = blocks(REPOSITORY / "docs" / "limits.md")
    assert examples
    for example in examples:
        exec(compile(example.text, "docs/limits.md", "exec"), {})
        said = [line.strip() for line in re.findall(r"#(.*)", example.text)]
        assert capsys.readouterr().out.strip().splitlines() == said


@pytest.mark.slow
def test_the_readme_runs_from_top_to_bottom(tmp_path):
    """Its shell block as it is typed, then its Python block, in one folder; the report shows all it names."""
    block = "\n".join(example.text for example in readme())
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-e"], input=block, text=True, cwd=tmp_path, env=environment, check=False,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "report" / "report.html").stat().st_size > 1e5
    skim = json.loads((tmp_path / "selection" / "select.json").read_text("utf-8"))["skim"]
    assert skim["events"] > 0
    (python,) = blocks(REPOSITORY / "README.md")
    done = subprocess.run([sys.executable, "-"], input=python.text, text=True, cwd=tmp_path, check=False,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
