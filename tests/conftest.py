"""What tests share: how Cling compiles here, files made once a session, figures that are not rendered.

What is no fixture is in `support`: planted events, other layouts, a selection in NumPy, the command line.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from na64root.cling import root
from na64root.config import Card
from na64root.exclusion import drawn_over, planes
from na64root.exclusion.grids import Plane
from na64root.records import Overlay
from support.figures import not_rendered


def pytest_configure(config: pytest.Config) -> None:
    """Cling does not optimise: most of what tests compile runs on a handful of events.

    Nothing may depend on it (no contraction, no fast mathematics), and modules whose subject it is, or whose
    loops are long, ask for `optimised`. Benchmarks measure what users get.
    """
    if not config.getoption("benchmark_only", default=False):
        os.environ.setdefault("EXTRA_CLING_ARGS", "-O0")


@pytest.fixture(scope="module")
def optimised() -> Iterator[None]:
    """Cling optimises what the tests of a module compile, here and in processes started from here."""
    chosen = os.environ.pop("EXTRA_CLING_ARGS", None)
    root().gROOT.ProcessLine(".O 2")
    yield
    if chosen is not None:
        os.environ["EXTRA_CLING_ARGS"] = chosen
        root().gROOT.ProcessLine(".O 0")


@pytest.fixture
def unrendered() -> Iterator[None]:
    """Figures are made and not rendered, where their files are not the subject: it takes seconds a result."""
    with not_rendered():
        yield


@pytest.fixture
def without_other_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planes without the relic line and the recasts, where these are not the subject: seconds a plane."""

    def own_alone(card: Card, plane: Plane, **options: object) -> dict[str, Overlay]:
        return drawn_over.overlays_of(card, plane, others=False)

    monkeypatch.setattr(planes, "overlays_of", own_alone)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
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
