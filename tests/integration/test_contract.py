"""The contract that scripts rely on: `--help` of every verb, and the keys of every verb's JSON. No numbers.

The references in tests/reference/contract are of the program itself. Where the contract grows on purpose,

    RENEW_CONTRACT=1 python -m pytest tests/integration/test_contract.py

writes them anew, and their diff is the change of the contract.
"""

from __future__ import annotations

import functools
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from na64root import cli
from na64root.cli.verb import application
from na64root.limits import side_by_side

REFERENCE = Path(__file__).parents[1] / "reference" / "contract"
KEYS = REFERENCE / "keys.json"
WIDTH = 100
RENEWS = "RENEW_CONTRACT" in os.environ
BROKEN = (
    "The contract of the command line has changed: verbs, options and keys that exist must stay. Where it "
    "has grown on purpose: RENEW_CONTRACT=1 python -m pytest tests/integration/test_contract.py"
)

GRID = "--set plane.mass_points=3 --set plane.epsilon_points=4"
BINS = "--observed 1 --background 0.5 --background-uncertainty 0.1 --signal-uncertainty 0.1"
POINT = "--mass-GeV 0.39 --epsilon 6e-3"
# What each verb is run for: options that fill what else would be empty, in the order in which files are made.
RUNS = {
    "simulate pseudodata": "--eot 4e9 --inject-mass-GeV 0.01 --inject-epsilon 6e-4 --inject-mode invisible "
    "-o data.root",
    "simulate signal": f"{POINT} -n 200 -o signal.root",
    "simulate background": "--eot 2e9 -o background.root",
    "simulate gun": "--particle e- --energy-GeV 20 --volume ecal -n 10 -o gun.root",
    "inspect": "data.root",
    "quality": "data.root again.root",
    "background": "data.root --mc background.root --mc-eot 2016=1e9 --mc-eot 2017=1e9 --mc-eot 2018=1e9",
    "select": "data.root --skim skim.root -o select",
    "analyze": f"data.root --systematics --exclude-outlier-spills -o analyze {GRID}",
    "explain": POINT,
    "verdict": POINT,
    "acceptance": f"{POINT} --forced -n 1500 --r-report --best-r-cut --map map.json "
    "--set pseudodata.neutral_leakage.rate_per_eot=1.5e-8",
    "limit": f"{BINS} -o limit",
    "fit": f"{BINS} --toys 100 --mu 2 -o fit",
    "coupling": "--mass-GeV 0.2 --over epsilon=1e-5:1e-1:12 -o coupling",
    "export": f"{BINS} --format all -o export",
    "scan": f"mass-epsilon {GRID} -o scan",
    "plot": "scan/scan.json -o plot",
    "card": "diff paper2021 compact_hcal",
    "report": "scan/scan.json -o report",
    "plan": "--masses-GeV 0.1,0.2 --hcal1-length-cm 150 --energies-GeV 100 -o plan",
    "ledger": "--config few_assumed.toml -o ledger",
    "scorecard": "",
}
# Most of a minute and a quarter of one, which no option shortens.
SLOW = ("scorecard", "ledger")


def verbs(group: click.Group = application, *names: str) -> list[tuple[str, ...]]:
    """All verbs and groups of verbs, the program itself as ()."""
    found = [names]
    for name, command in group.commands.items():
        found += verbs(command, *names, name) if isinstance(command, click.Group) else [(*names, name)]
    return found


@pytest.mark.parametrize("verb", verbs(), ids=lambda verb: "-".join(verb) or "na64root")
def test_help(verb):
    shown = CliRunner().invoke(
        application, [*verb, "--help"], prog_name="na64root", terminal_width=WIDTH, max_content_width=WIDTH
    )
    assert shown.exit_code == 0
    path = REFERENCE / "help" / f"{'-'.join(verb) or 'na64root'}.txt"
    if RENEWS:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(shown.output, "utf-8")
    assert path.exists(), BROKEN
    assert shown.output == path.read_text("utf-8"), BROKEN


def test_no_verb_has_gone():
    assert sorted(path.stem for path in (REFERENCE / "help").iterdir()) == sorted(
        "-".join(verb) or "na64root" for verb in verbs()
    ), BROKEN


def test_every_verb_has_a_run():
    groups = {(), ("simulate",)}
    assert set(RUNS) == {" ".join(verb) for verb in verbs() if verb not in groups}


def paths(value: Any, prefix: str = "") -> Iterator[str]:
    """The keys of JSON with those around them, as `counts[].period`.

    Names of run periods are one key, PERIOD. What several objects side by side hold is given once for all:
    `limit.exact.*.toys`.
    """
    if isinstance(value, dict):
        alike = len(value) > 1 and all(isinstance(inner, dict) for inner in value.values())
        for key, inner in value.items():
            name = re.sub(r"^20\d\d$", "PERIOD", key)
            yield f"{prefix}{name}"
            yield from paths(inner, f"{prefix}*." if alike else f"{prefix}{name}.")
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{prefix.removesuffix('.')}[].")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the verbs run, with a card for the ledger that has one assumed number."""
    folder = tmp_path_factory.mktemp("contract")
    card = resources.files("na64root").joinpath("cards/paper2021.toml").read_text("utf-8")
    kept, others = card.split("[selection.veto]")
    veto, others = others.split("\n[", maxsplit=1)
    published = [text.replace('"assumed"', '"published"') for text in (kept, others)]
    (folder / "few_assumed.toml").write_text(
        f"{published[0]}[selection.veto]{veto}\n[{published[1]}", "utf-8"
    )
    return folder


@pytest.fixture(scope="module")
def result_of(folder):
    """The JSON of a verb; what it reads is made before, once."""
    needs = {
        "data.root": "simulate pseudodata",
        "again.root": "simulate pseudodata",
        "signal.root": "simulate signal",
        "background.root": "simulate background",
        "scan/scan.json": "scan",
    }

    @functools.cache
    def result(verb: str) -> dict[str, Any]:
        arguments = [*verb.split(), *RUNS[verb].split(), "--json", "-j", "1"]
        for name in arguments:
            if name in needs and needs[name] != verb:
                result(needs[name])
            if name == "again.root":
                shutil.copy("data.root", name)
        stdout = io.StringIO()
        assert cli.run(arguments, stdout) == 0
        return json.loads(stdout.getvalue())

    return result


@pytest.mark.parametrize(
    "verb", [pytest.param(verb, marks=pytest.mark.slow) if verb in SLOW else verb for verb in RUNS]
)
def test_keys(verb, result_of, folder, monkeypatch, unrendered):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(side_by_side, "upper_limit", _without_toys)
    found = sorted(set(paths(result_of(verb))))
    reference = json.loads(KEYS.read_text("utf-8")) if KEYS.exists() else {}
    if RENEWS:
        reference[verb] = found
        KEYS.write_text(json.dumps(dict(sorted(reference.items())), indent=1) + "\n", "utf-8")
    assert found == reference.get(verb), BROKEN


def _without_toys(*arguments: Any, method: str, upper_limit=side_by_side.upper_limit, **options: Any) -> Any:
    """The exact engine in place of toys, which fill the same record in a minute."""
    return upper_limit(*arguments, method="exact", **options)
