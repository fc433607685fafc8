"""Les Houches events (hep-ph/0609017) of A' production.

What is taken of an event is its A': its energy, mass and weight. It decays as the model says, by the chain:
decays in the file are looked at, and made again, since a Les Houches event has no places.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..simulation import hepmc, lhe
from ..simulation.lhe import require_on_shell
from .events import STABLE, Event, Events, Masses, joined


def read(path: Path) -> Events:
    """The events of a file; their weights (XWGTUP) are shares.

    Raises:
        DataError: not readable, damaged, cut off, or with events that are not understood.
        Na64Error: pylhe is not installed.
    """
    events = [_understood(event, place, where) for where, event, place in lhe.events(path)]
    return joined(path, events, placed=False, expected=False)


def _understood(event: Any, place: int, where: str) -> Event:
    particles, aprime = event.particles, event.particles[place]
    masses = {hepmc.APRIME: aprime.m}
    children = [p for p in particles if place + 1 in (p.mother1, p.mother2)]
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
