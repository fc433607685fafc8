"""Generated signal events as HepMC3, for another detector simulation; needs the optional library pyhepmc.

An event is the graph

    beam e- ──(production)── A' ──(decay)── chi1
                  │                 └────── chi2 ──(decay)── chi1 e+ e-
                  └── everything else

with the vertices where they are in the truth of the ntuple, and momentum conserved at each. The A' of
semivisible and invisible mode decays where it is made. "Everything else" is the system of the other shower
particles and of what recoils: beam minus A'. It is no particle, and its mass can be spacelike, since the
nucleus takes up momentum without energy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._core import units
from ..errors import ConfigError, Na64Error
from ..records import Record, refuse_to_replace, write_atomically
from ..version import version

# Monte Carlo particle numbers (PDG review): 11; in the range for dark matter 52, a fermion, and 55, a vector
# mediator. PDG has no number for an excited state: 58 is that of Pythia 8 (manual, "Dark Matter Processes":
# neutral partner chi_2). 81 to 100 belong to the generator; in Pythia 90 is a system of particles.
ELECTRON, POSITRON, APRIME, CHI1, CHI2, EVERYTHING_ELSE = 11, -11, 55, 52, 58, 90


# Status codes of HepMC3 (Comput. Phys. Commun. 260, 107310): final, decayed, beam; 11 to 200 belong to the
# generator.
FINAL, DECAYED, BEAM, GENERATOR = 1, 2, 4, 11


WEIGHTS = ("mcWeight", "mc_weight_per_electron", "mc_production_weight", "mc_decay_weight")


# What is read of an event.
COLUMNS = frozenset(
    [
        *WEIGHTS,
        "run",
        "mc_process",
        "mc_decay_volume",
        "mc_beam_momentum_GeV",
        "mc_beam_slope",
        "mc_gamma_beta",
        "mc_aprime_GeV",
        "mc_chi1_GeV",
        "mc_chi2_GeV",
        "mc_chi1_of_chi2_GeV",
        "mc_electron_GeV",
        "mc_positron_GeV",
        "mc_production_cm",
        "mc_decay_cm",
    ]
)


_ORIGIN = (
    "x and y from the axis of the beam, z along it from the front of the ECAL, in mm; the time is c t in mm "
    "from the passage of the beam electron through the front of the ECAL"
)


_CROSS_SECTION = (
    "of dark bremsstrahlung, pb per atom of the target, at the energy of the beam; events come from a thick "
    "target: the sum of mcWeight over the file, not this number, is the expected number of events"
)


_MM_PER_CM = 10.0


# Events that are made at once.
_PIECE = 2_000


def library() -> Any:
    """The module pyhepmc.

    Raises:
        Na64Error: it is not installed.
    """
    try:
        import pyhepmc
    except ImportError as error:
        raise Na64Error(
            f"cannot write HepMC3 ({error}): pip install 'na64root[hepmc]', or leave --hepmc out"
        ) from None
    return pyhepmc


@dataclass(frozen=True)
class Events:
    """What is written: `number` events from number `first` on.

    `columns`: the columns `COLUMNS` of the events from a number on, and how many. `masses_GeV`: of `aprime`,
    `chi1`, `chi2`. `cross_section_pb`: value and error.
    """

    first: int
    number: int
    columns: Callable[[int, int], Mapping[str, np.ndarray[Any, Any]]]
    masses_GeV: Mapping[str, float]
    cross_section_pb: tuple[float, float]


def check(path: Path, last: int, *, force: bool) -> None:
    """What can be known before events are made.

    Raises:
        ConfigError: the number `last` of an event is too large for HepMC3.
        Na64Error: pyhepmc is not installed, or the file exists and `force` is not set.
    """
    library()
    if last >= 2**31:
        raise ConfigError(f"HepMC3 cannot number event {last} (32 bits): use a smaller --first-event")
    refuse_to_replace(path.parent, [path.name], force)


def write(path: Path, events: Events, record: Record, *, force: bool = False) -> None:
    """Write events as HepMC3 ASCII, compressed where the name ends in .gz, beside and renamed.

    Args:
        record: what made the events; its numbers and texts become attributes of the run.

    Raises:
        Na64Error: as :func:`check`, or the file cannot be written.
    """
    write_atomically(path, lambda temporary: _write(temporary, events, record), force=force)


def _write(path: Path, events: Events, record: Record) -> None:
    hepmc = library()
    masses = {
        APRIME: events.masses_GeV["aprime"],
        CHI1: events.masses_GeV["chi1"],
        CHI2: events.masses_GeV["chi2"],
        ELECTRON: units.electron_mass,
        POSITRON: units.electron_mass,
    }
    run = hepmc.GenRunInfo()
    run.tools = [hepmc.GenRunInfo.ToolInfo("na64root", version(), "NA64 semi-visible dark photons")]
    run.weight_names = list(WEIGHTS)
    run.attributes = _attributes(record.model_dump(mode="json")) | {
        "origin": _ORIGIN,
        "cross_section_of": _CROSS_SECTION,
        "particle_numbers": "55 A', 52 chi1, 58 chi2, 90 everything else",
    }
    with hepmc.open(str(path), "w") as file:
        for start in range(events.first, events.first + events.number, _PIECE):
            number = min(_PIECE, events.first + events.number - start)
            columns = {name: column.tolist() for name, column in events.columns(start, number).items()}
            for row in range(number):
                event = _event(hepmc, {name: column[row] for name, column in columns.items()}, masses)
                event.event_number = start + row
                event.run_info = run
                event.cross_section = total = hepmc.GenCrossSection()
                total.set_cross_section(*events.cross_section_pb)
                file.write(event)


def _attributes(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Numbers and texts of a record, those of an inner one under `outer.inner`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in ("file", "hepmc", "truth"):
            continue
        if isinstance(value, Mapping):
            found |= _attributes(value, f"{prefix}{name}.")
        elif isinstance(value, int) and abs(value) >= 2**31:  # HepMC3 takes 32 bits
            found[prefix + name] = str(value)
        elif isinstance(value, str | int | float):
            found[prefix + name] = value
    return found


def _event(hepmc: Any, values: Mapping[str, Any], masses: Mapping[int, float]) -> Any:
    event = hepmc.GenEvent(hepmc.Units.GEV, hepmc.Units.MM)
    decayed = values["mc_decay_volume"] >= 0
    visible = not any(values["mc_chi2_GeV"])

    def particle(number: int, vector: Sequence[float], status: int) -> Any:
        energy, x, y, z = vector
        made = hepmc.GenParticle((x, y, z, energy), number, status)
        if number in masses:
            made.generated_mass = masses[number]
        return made

    def vertex(position: Sequence[float], time: float, incoming: Any, *outgoing: Any) -> Any:
        made = hepmc.GenVertex((*(_MM_PER_CM * x for x in position), _MM_PER_CM * time))
        made.add_particle_in(incoming)
        for one in outgoing:
            made.add_particle_out(one)
        event.add_vertex(made)

    momentum = math.sqrt(values["mc_beam_momentum_GeV"] ** 2 - masses[ELECTRON] ** 2)
    slope_x, slope_y = values["mc_beam_slope"]
    along = momentum / math.sqrt(1.0 + slope_x**2 + slope_y**2)
    beam = values["mc_beam_momentum_GeV"], slope_x * along, slope_y * along, along
    rest = [a - b for a, b in zip(beam, values["mc_aprime_GeV"], strict=True)]

    production, decay = values["mc_production_cm"], values["mc_decay_cm"]
    made_at = production[2] * beam[0] / along  # the beam passes z = 0 at time 0
    decayed_at = made_at  # of the particle that flies, at its velocity
    if decayed:
        decayed_at += math.dist(production, decay) * math.hypot(1.0, 1.0 / values["mc_gamma_beta"])
    flies = DECAYED if decayed else FINAL
    aprime = particle(APRIME, values["mc_aprime_GeV"], flies if visible else DECAYED)
    pair = [
        particle(ELECTRON, values["mc_electron_GeV"], FINAL),
        particle(POSITRON, values["mc_positron_GeV"], FINAL),
    ]
    vertex(
        production,
        made_at,
        particle(ELECTRON, beam, BEAM),
        aprime,
        particle(EVERYTHING_ELSE, rest, GENERATOR),
    )
    if visible:
        if decayed:
            vertex(decay, decayed_at, aprime, *pair)
    else:
        chi2 = particle(CHI2, values["mc_chi2_GeV"], flies)
        vertex(production, made_at, aprime, particle(CHI1, values["mc_chi1_GeV"], FINAL), chi2)
        if decayed:
            other = particle(CHI1, values["mc_chi1_of_chi2_GeV"], FINAL)
            vertex(decay, decayed_at, chi2, other, *pair)
    event.weights = [values[name] for name in WEIGHTS]
    event.attributes["signal_process_id"] = values["mc_process"]
    event.attributes["run"] = values["run"]
    return event
