"""Les Houches events (hep-ph/0609017) of A' production; needs the optional library pylhe.

What is taken of an event is its A': its energy, mass and weight. It decays as the model says, by the chain:
decays in the file are looked at, and made again, since a Les Houches event has no places.
"""

from __future__ import annotations

import gzip
import warnings
import zlib
from pathlib import Path
from typing import Any

from ..errors import DataError, Na64Error
from ..simulation import hepmc
from .events import STABLE, Event, Events, Masses, joined, require_on_shell


def library() -> Any:
    """The module pylhe.

    Raises:
        Na64Error: it is not installed.
    """
    try:
        import pylhe
    except ImportError as error:
        raise Na64Error(f"cannot read Les Houches events ({error}): pip install 'na64root[lhe]'") from None
    return pylhe


def read(path: Path) -> Events:
    """The events of a file; their weights (XWGTUP) are shares.

    Raises:
        DataError: not readable, damaged, cut off, or with events that are not understood.
        Na64Error: pylhe is not installed.
    """
    pylhe = library()
    _require_text(path)
    events: list[Event] = []
    try:
        with warnings.catch_warnings(), _opened(path) as stream:
            warnings.simplefilter("error", RuntimeWarning)  # of a file that ends in the middle
            read_events = pylhe.LHEFile.frombuffer(stream, with_attributes=False).events
            for number, event in enumerate(read_events, 1):
                events.append(_understood(event, f"event {number} of {path}"))
    except DataError:
        raise
    except RuntimeWarning as error:
        raise DataError(f"{path} is cut off or damaged ({_first(error)}): make or copy it again") from None
    except (OSError, EOFError, zlib.error, ArithmeticError, LookupError, ValueError, SyntaxError) as error:
        where = f"event {len(events) + 1} of {path}"
        raise DataError(f"cannot read {where} ({_first(error)}): make or copy it again") from None
    return joined(path, events, placed=False, expected=False)


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _opened(path: Path) -> Any:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _require_text(path: Path) -> None:
    """The file is there, whole as far as its compression goes, and begins as Les Houches events do."""
    try:
        with _opened(path) as stream:
            start = stream.read(4096)
            while path.suffix == ".gz" and stream.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {path} ({why}): make or copy it again") from None
    if b"<LesHouchesEvents" not in start:
        raise DataError(f"{path} is no file of Les Houches events (it begins otherwise): give one")


def _understood(event: Any, where: str) -> Event:
    stated, particles = event.eventinfo.nparticles, event.particles
    if stated != len(particles):
        raise DataError(
            f"{where} has {len(particles)} lines of particles and says {stated} (NUP): correct it"
        )
    found = [i for i, p in enumerate(particles, 1) if p.id == hepmc.APRIME]
    if len(found) != 1:
        raise DataError(f"{where} has {len(found)} A' (PDG number {hepmc.APRIME}, one is needed): correct it")
    aprime = particles[found[0] - 1]
    require_on_shell(where, "A'", aprime.e, (aprime.px, aprime.py, aprime.pz), aprime.m)
    masses = {hepmc.APRIME: aprime.m}
    children = [p for p in particles if found[0] in (p.mother1, p.mother2)]
    decay = STABLE
    if children:
        if sorted(p.id for p in children) != [hepmc.CHI1, hepmc.CHI2]:
            decay = f"A' -> {' '.join(str(p.id) for p in children)}"
        for p in children:
            masses[p.id] = p.m
            require_on_shell(where, f"particle {p.id}", p.e, (p.px, p.py, p.pz), p.m)
            index = particles.index(p) + 1
            products = [q for q in particles if index in (q.mother1, q.mother2)]
            understood = [hepmc.POSITRON, hepmc.ELECTRON, hepmc.CHI1] if p.id == hepmc.CHI2 else []
            if products and sorted(q.id for q in products) != understood:
                decay = f"A' -> chi1 chi2, {p.id} -> {' '.join(str(q.id) for q in products)}"
    return Event(
        event.eventinfo.weight,
        aprime.e,
        decay,
        Masses(aprime.m, masses.get(hepmc.CHI1), masses.get(hepmc.CHI2)),
    )
