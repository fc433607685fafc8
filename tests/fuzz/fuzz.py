"""Coverage-guided search for text that our parsers do not expect: only Na64Error may come out of one.

`make fuzz` gives each parser some seconds; `fuzz.py NAME [options of libFuzzer] [folders of inputs]` is one.
What it finds becomes an ordinary test.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tomllib"]):
    import tomllib  # noqa: F401

from na64root.config import load_card, loading
from na64root.errors import Na64Error
from na64root.limits import datacards, histfactory, hs3, model_texts
from na64root.limits.model_files import model_from
from na64root.ntuple import facts as facts_module
from na64root.ntuple import good_runs as good_runs_module
from na64root.ntuple import mapping
from na64root.ntuple.mapping import check_mapping, check_sentinels
from na64root.records import PlaneResult, read_record
from na64root.simulation.efficiency_map import EfficiencyMap

# An editable install has a loader of its own, which atheris cannot take the place of.
for module in (loading, facts_module, good_runs_module, mapping, datacards, histfactory, hs3, model_texts):
    for function in list(vars(module).values()):
        function = inspect.unwrap(function) if callable(function) else function
        if inspect.isfunction(function) and function.__module__ == module.__name__:
            atheris.instrument_func(function)

FOLDER = Path(tempfile.mkdtemp(prefix="na64root-fuzz-"))


def written(data: bytes) -> Path:
    path = FOLDER / "input"
    path.write_bytes(data)
    return path


def good_runs(data: bytes) -> None:
    good_runs_module.read_good_runs(written(data))


def card(data: bytes) -> None:
    """A card on top of another one, with its mapping and sentinels."""
    found = load_card(written(b'extends = "paper2021"\n' + data))
    if found.layout is not None:
        check_mapping(found.layout)
    check_sentinels(found.input.sentinels)


def override(data: bytes) -> None:
    load_card(overrides=[data.decode("utf-8", "replace")])


def facts(data: bytes) -> None:
    """What a file says of itself; of a merged one there are several texts."""
    texts = data.decode("utf-8", "replace").split("\n")
    if (found := facts_module.facts_of(texts, "file.root")) is not None:
        facts_module.says_simulation([found])
        facts_module.electrons_of_simulation([found])


def plane(data: bytes) -> None:
    path = written(data)
    for read in (lambda: read_record(path, PlaneResult, "a plane"), lambda: EfficiencyMap.load(path)):
        try:
            read()
        except Na64Error:
            continue


def model(data: bytes) -> None:
    """A datacard, or JSON of pyhf, HS3 or our own; not files of ROOT, which ROOT reads."""
    if not data.startswith(b"root"):
        model_from(written(data))


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (good_runs, card, override, facts, plane, model)
}


def main() -> None:
    target = TARGETS[sys.argv[1]]

    def one(data: bytes) -> None:
        with contextlib.suppress(Na64Error):
            target(data)

    atheris.Setup([sys.argv[0], *sys.argv[2:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
