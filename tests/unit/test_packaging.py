"""Files that other programs read to install, cite or run the package say what the package says of itself."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from na64root.cli.program import application

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]


def text(*parts: str) -> str:
    return REPOSITORY.joinpath(*parts).read_text("utf-8")


def test_zenodo_and_citation_say_the_same():
    zenodo, citation = json.loads(text(".zenodo.json")), text("CITATION.cff")
    assert f'title: "{zenodo["title"]}"' in citation
    assert f"license: {zenodo['license']}" in citation
    assert zenodo["license"] == PROJECT["license"]
    for one in zenodo["related_identifiers"]:
        assert one["identifier"] in citation
    for keyword in zenodo["keywords"]:
        assert f"  - {keyword}\n" in citation


def test_the_recipes_ask_for_the_python_of_the_project():
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert f"- python >={oldest}" in text("packaging", "conda", "meta.yaml")
    version = re.search(r"FROM python:(3\.\d+)-", text("packaging", "Containerfile"))
    assert version is not None
    assert f"Programming Language :: Python :: {version[1]}" in PROJECT["classifiers"]
    assert PROJECT["description"] in text("packaging", "conda", "meta.yaml")


@pytest.mark.parametrize(
    "path", [("workflow", "Snakefile"), ("packaging", "Containerfile"), ("packaging", "conda", "meta.yaml")]
)
def test_commands_in_recipes_are_verbs(path):
    found = re.findall(r"na64root ([a-z]+) ", text(*path))
    assert set(found) <= {*application.commands, "in"}, found


def test_the_container_copies_nothing_that_it_does_not_install():
    lines = [line for line in text("packaging", "Containerfile").splitlines() if line and line[0] != "#"]
    known = ("FROM", "RUN", "COPY", "WORKDIR", "ENTRYPOINT", "CMD")
    assert all(line.startswith(known) for line in lines)
    assert lines[-2:] == ['ENTRYPOINT ["na64root"]', 'CMD ["--help"]']


def test_reana_runs_the_workflow_that_is_there():
    described = text("workflow", "reana.yaml")
    for path in re.findall(r": (workflow/[\w.]+)$", described, re.MULTILINE):
        assert (REPOSITORY / path).is_file(), path
    made = re.findall(r"^    - ((?:report|results)/\S+)$", described, re.MULTILINE)
    assert made
    assert all(f'"{path}"' in text("workflow", "Snakefile") for path in made)
