"""HepMC3 in ASCII: A' with its decays and their places, as `simulate signal --hepmc` writes them."""

from __future__ import annotations

import gzip
import io
import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ..errors import DataError
from ..inputs import opened
from ..simulation import hepmc
from ..simulation.lhe import require_on_shell
from .events import SEMIVISIBLE, STABLE, Event, Events, Masses, Stated, joined

# Of our own files: expected events of the exposure times the residual efficiency.
WEIGHT = hepmc.WEIGHTS[0]

_END = "HepMC::Asciiv3-END_EVENT_LISTING"
_CM_PER_MM = 0.1


def read(path: Path, *, produced: bool) -> Events:
    """The events of a file.

    Args:
        produced: weights are shares only, as the number of A' is given.

    Raises:
        DataError: not readable, damaged, without weights, or with events that are not understood.
        Na64Error: pyhepmc is not installed.
    """
    library = hepmc.library()
    number, unweighted = _counted(path)
    if 0 < unweighted < number or (unweighted and not produced):
        raise DataError(
            f"{unweighted} of {number} events in {path} have no weight (no line W; it would be taken for 1): "
            "write weights, or leave them out of all events and give --produced"
        )
    events: list[Event] = []
    run: Any = None
    for place, event in enumerate(_events(library, path), 1):
        run = run or event.run_info
        names = list(run.weight_names) if run is not None else []
        if not produced and WEIGHT not in names:
            raise DataError(
                f"{path} has no weight {WEIGHT} (which would be the expected number of events): give "
                "--produced, "
                "the A' that are made in the exposure"
            )
        weight = 1.0 if unweighted else event.weights[names.index(WEIGHT) if WEIGHT in names else 0]
        event.set_units(library.Units.GEV, library.Units.MM)
        events.append(_understood(event, weight, f"event {place} of {path}"))
    if len(events) != number:
        raise DataError(f"{path} is damaged (event {len(events) + 1} cannot be read): make or copy it again")
    about = {} if run is None else {name: str(value) for name, value in run.attributes.items()}
    if "forced" in about:
        raise DataError(
            f"decays in {path} are forced ({about['forced']}; the others are missing in it): simulate "
            "without "
            "--forced"
        )
    return joined(
        path,
        events,
        placed=True,
        expected=not produced,
        exposure={} if produced else _exposure(path, about),
        stated=_stated(path, about),
    )


def _exposure(path: Path, about: Mapping[str, str]) -> dict[str, float]:
    """Electrons on target times residual efficiency that the weights are for, where a file says them."""
    names = [name for name in about if name.startswith("electrons.")]
    found = {name.removeprefix("electrons."): _number(path, about, name) for name in names}
    if names and not sum(found.values()) > 0.0:
        raise DataError(f"{path} says electrons of zero for all periods (nothing is expected): correct it")
    return found


def _stated(path: Path, about: Mapping[str, str]) -> Stated:
    def number(name: str) -> float | None:
        return _number(path, about, name) if name in about else None

    mediator = about.get("mediator", about.get("provenance.mediator"))
    return Stated(number("epsilon"), number("alpha_dark"), mediator)


def _number(path: Path, about: Mapping[str, str], name: str) -> float:
    """An attribute that is a number; that of a period without exposure is zero."""
    try:
        value = float(about[name])
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        raise DataError(f"{path} says {name} = {about[name]} (a number is needed, not negative): correct it")
    return value


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with opened(path) as stream:
        unpacked = gzip.GzipFile(fileobj=stream) if path.suffix == ".gz" else stream
        with io.TextIOWrapper(unpacked, encoding="utf-8") as text:
            yield text


def _counted(path: Path) -> tuple[int, int]:
    """Events of the file, and those among them without a line of weights, which the library takes for 1."""
    number, unweighted, named, weighted, ended = 0, 0, 1, True, False
    try:
        with _opened(path) as lines:
            first = lines.readline()
            if not first.strip() and not (first := lines.readline()).strip():
                raise DataError(f"{path} is empty (no HepMC3): make or copy it again")
            if not first.startswith("HepMC::Version"):
                raise DataError(f"{path} is no HepMC3 in ASCII (it begins otherwise): write that format")
            for line in lines:
                if line.startswith("E "):
                    unweighted += not weighted
                    number, weighted = number + 1, False
                elif line.startswith("W "):
                    weighted, values = True, line.split()[1:]
                    if number == 0:  # their names, separated by a newline that is written so
                        named = line.count(r"\|") + 1
                    elif len(values) != named:
                        raise DataError(
                            f"event {number} of {path} has {len(values)} weights, {named} have names (the "
                            "others would be taken for 1): write one for each"
                        )
                elif line.startswith(_END):
                    ended = True
    except (OSError, EOFError, zlib.error, ValueError, IndexError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {path} ({why}): make or copy it again") from None
    if not ended:
        raise DataError(f"{path} is cut off (its last line is not {_END}): make or copy it again")
    return number, unweighted + (not weighted)


def _events(library: Any, path: Path) -> Iterator[Any]:
    setup = library.Setup
    said = setup.print_errors, setup.print_warnings, setup.debug_level
    # What is wrong is one line, and ours.
    setup.print_errors, setup.print_warnings, setup.debug_level = False, False, 0
    try:
        with library.open(str(path)) as file:
            yield from file
    except (OSError, EOFError, zlib.error, RuntimeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise DataError(f"cannot read {path} ({first}): make or copy it again") from None
    finally:
        setup.print_errors, setup.print_warnings, setup.debug_level = said


def _understood(event: Any, weight: float, where: str) -> Event:
    """What the A' of an event does; in words where it is nothing that is understood."""
    # A particle that a shower generator copied counts once, as its last copy.
    found = [p for p in event.particles if p.pid == hepmc.APRIME and not _copied(p)]
    if len(found) != 1:
        raise DataError(f"{where} has {len(found)} A' (PDG number {hepmc.APRIME}, one is needed): correct it")
    (aprime,) = found
    mass = _mass(aprime, "A'", where)

    def other(what: str) -> Event:
        return Event(weight, aprime.momentum.e, what, Masses(mass))

    children = _children(aprime)
    if sorted(p.pid for p in children) != [hepmc.CHI1, hepmc.CHI2]:
        return other("A' without decay" if not children else f"A' -> {_named(children)}")
    chi1, chi2 = sorted(children, key=lambda p: int(p.pid))
    masses = Masses(mass, _mass(chi1, "chi1", where), _mass(chi2, "chi2", where))
    if _children(chi1):
        return other(f"A' -> chi1 chi2, chi1 -> {_named(_children(chi1))}")
    products = _children(chi2)
    if not products:
        return Event(weight, aprime.momentum.e, STABLE, masses)
    if sorted(p.pid for p in products) != [hepmc.POSITRON, hepmc.ELECTRON, hepmc.CHI1]:
        return other(f"A' -> chi1 chi2, chi2 -> {_named(products)}")
    if any(_children(p) for p in products):
        return other("A' -> chi1 chi2, chi2 -> chi1 e+ e- and decays of these")
    pair = sum(p.momentum.e for p in products if p.pid != hepmc.CHI1)
    place = _CM_PER_MM * _last(chi2).end_vertex.position.z
    return Event(weight, aprime.momentum.e, SEMIVISIBLE, masses, place, pair)


def _last(particle: Any) -> Any:
    """The last copy of a particle, as generators write one for each change."""
    seen = 0
    while particle.end_vertex is not None and seen < 1000:
        same = [p for p in particle.end_vertex.particles_out if p.pid == particle.pid]
        if len(same) != 1 or len(particle.end_vertex.particles_out) != 1:
            break
        particle, seen = same[0], seen + 1
    return particle


def _copied(particle: Any) -> bool:
    return _last(particle) is not particle


def _children(particle: Any) -> list[Any]:
    last = _last(particle)
    return [] if last.end_vertex is None else list(last.end_vertex.particles_out)


def _mass(particle: Any, name: str, where: str) -> float:
    p = particle.momentum
    mass = float(particle.generated_mass)
    require_on_shell(where, name, p.e, (p.px, p.py, p.pz), mass)
    return mass


_NAMES = {
    hepmc.ELECTRON: "e-", hepmc.POSITRON: "e+", 13: "mu-", -13: "mu+", 22: "photon",
    hepmc.APRIME: "A'", hepmc.CHI1: "chi1", hepmc.CHI2: "chi2",
}  # fmt: skip


def _named(particles: list[Any]) -> str:
    return " ".join(sorted((_NAMES.get(p.pid, str(p.pid)) for p in particles), reverse=True))
