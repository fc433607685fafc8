"""What tests share: how Cling compiles here, files made once a session, figures that are not rendered.

What is no fixture is in `support`: planted events, other layouts, a selection in NumPy, the command line.
"""

from __future__ import annotations

import fcntl
import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from na64root.analyze import chain
from na64root.config import Card, load_card
from na64root.exclusion import drawn_over, planes
from na64root.exclusion.grids import Plane
from na64root.records import Overlay, PlaneResult
from na64root.signal import Mode
from na64root.simulation import simulate
from na64root.simulation.options import PseudodataOptions
from na64root.work import Work
from support.figures import not_rendered
from support.planted import all_events
from support.tree_a import write_tree

MadeOnce = Callable[[str, Callable[[Path], object]], Path]


def pytest_configure(config: pytest.Config) -> None:
    """Cling does not optimise: most of what tests compile runs on a handful of events.

    No number depends on it (no contraction, no fast mathematics): test_engines compares strings compiled
    either way with the optimised library. Benchmarks measure what users get.
    """
    if not config.getoption("benchmark_only", default=False):
        os.environ.setdefault("EXTRA_CLING_ARGS", "-O0")
    if os.environ.get("CI") == "true":
        pytest.importorskip = _required


def _required(name: str, *_: Any, **__: Any) -> Any:
    """On continuous integration what is optional elsewhere must be there: no test leaves itself out."""
    return importlib.import_module(name)


@pytest.fixture
def unrendered() -> Iterator[None]:
    """Figures are made and not rendered, where their files are not the subject: it takes seconds a result."""
    with not_rendered():
        yield


@pytest.fixture
def without_other_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planes without the relic line and the recasts, where these are not the subject: seconds a plane."""

    def own_alone(card: Card, plane: Plane, *, mode: Mode, **options: object) -> dict[str, Overlay]:
        return drawn_over.overlays_of(card, plane, mode=mode, others=False)

    monkeypatch.setattr(planes, "overlays_of", own_alone)


@pytest.fixture(scope="session", autouse=True)
def analyses_have_their_own_plane_alone() -> Iterator[None]:
    """What `analyze` draws over its plane is what `scan` draws, tested there: seconds an analysis."""
    with pytest.MonkeyPatch.context() as patch:

        def own_alone(*arguments: Any, **options: Any) -> PlaneResult:
            return planes.plane_of(*arguments, **{**options, "others": False})

        patch.setattr(chain, "plane_of", own_alone)
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """A file that several test modules read, made by the first that asks, whichever process it runs in."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made_once"
    folder.mkdir(exist_ok=True)

    def made(name: str, make: Callable[[Path], object]) -> Path:
        path, unfinished = folder / name, folder / "unfinished" / name
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                unfinished.parent.mkdir(exist_ok=True)
                make(unfinished)
                unfinished.rename(path)
        return path

    return made


@pytest.fixture(scope="session")
def planted_tree(made_once: MadeOnce) -> str:
    """A file of `support.planted.all_events`."""
    return str(made_once("planted.root", lambda path: write_tree(path, all_events())))


@pytest.fixture(scope="session")
def few_pseudodata(made_once: MadeOnce) -> str:
    """Pseudo-data of 8e9 electrons in the three periods: some ten thousand events of every class."""

    def make(path: Path) -> None:
        eot = {"2016": 2e9, "2017": 2e9, "2018": 4e9}
        simulate.pseudodata(load_card(), path, PseudodataOptions(eot=eot), work=Work(seed=4))

    return str(made_once("pseudodata.root", make))
