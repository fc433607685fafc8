"""Les Houches events (hep-ph/0609017) of A' production; needs the optional library pylhe.

A Les Houches event has no places: what is taken of it is its A', which then decays and is measured as any
other.
"""

from __future__ import annotations

import gzip
import math
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..annotations import Array
from ..config import Card
from ..errors import ConfigError, DataError, Na64Error
from ..inputs import note, opened
from ..signal import Parameters, SignalModel
from . import hepmc
from .core_config import Signal

# Of E^2 - p^2 against the stated mass, relative to m^2 and to E^2: text has ten digits at least.
MASS_TOLERANCE, DIGITS_TOLERANCE = 1e-3, 1e-9

# Masses of one kind of particle may differ by this between the events of a file: it is one model.
SAME_MASS = 1e-3


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


def events(path: Path) -> Iterator[tuple[str, Any, int]]:
    """The events of a file as pylhe has them: where it is in words, the event, and the place of its A'.

    Raises:
        DataError: not readable, damaged, cut off; another number of A' than one; masses that contradict
            energy and momentum.
        Na64Error: pylhe is not installed.
    """
    pylhe = library()
    note(path)
    _require_text(path)
    number = 0
    try:
        with warnings.catch_warnings(), _opened(path) as stream:
            warnings.simplefilter("error", RuntimeWarning)  # of a file that ends in the middle
            for event in pylhe.LHEFile.frombuffer(stream, with_attributes=False).events:
                number += 1
                where = f"event {number} of {path}"
                yield where, event, _place_of_aprime(event, where)
    except DataError:
        raise
    except RuntimeWarning as error:
        raise DataError(f"{path} is cut off or damaged ({_first(error)}): make or copy it again") from None
    except (OSError, EOFError, zlib.error, ArithmeticError, LookupError, ValueError, SyntaxError) as error:
        where = f"event {number + 1} of {path}"
        raise DataError(f"cannot read {where} ({_first(error)}): make or copy it again") from None


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | gzip.GzipFile]:
    with opened(path) as stream:
        if path.suffix != ".gz":
            yield stream
            return
        with gzip.open(stream) as unpacked:
            yield unpacked


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


def _place_of_aprime(event: Any, where: str) -> int:
    stated, particles = event.eventinfo.nparticles, event.particles
    if stated != len(particles):
        raise DataError(
            f"{where} has {len(particles)} lines of particles and says {stated} (NUP): correct it"
        )
    found = [i for i, p in enumerate(particles) if p.id == hepmc.APRIME]
    if len(found) != 1:
        raise DataError(f"{where} has {len(found)} A' (PDG number {hepmc.APRIME}, one is needed): correct it")
    aprime = particles[found[0]]
    require_on_shell(where, "A'", aprime.e, (aprime.px, aprime.py, aprime.pz), aprime.m)
    return found[0]


def require_on_shell(where: str, name: str, energy: float, momentum: Sequence[float], mass: float) -> None:
    """Raise DataError where E^2 - p^2 is not the square of the stated mass."""
    square = energy**2 - math.fsum(p**2 for p in momentum)
    tolerance = MASS_TOLERANCE * mass**2 + DIGITS_TOLERANCE * energy**2
    if not (math.isfinite(square) and energy > 0.0 and abs(square - mass**2) <= tolerance):
        raise DataError(
            f"{name} in {where} has E^2 - p^2 = {square:.4g} GeV^2 and the stated mass {mass:.4g} GeV (they "
            "contradict each other, as with other units): correct it"
        )


@dataclass(frozen=True)
class GivenAprimes:
    """A' of a file above the threshold: momenta (n, 4), (E, x, y, z) in GeV, z along the beam, and weights
    (n,), shares of all A' in the file; `above` is what those that are left have together. `events` are all in
    the file.
    """

    path: Path
    momenta: Array
    shares: Array
    above: float
    events: int


def aprimes(path: Path, card: Card, point: Signal) -> GivenAprimes:
    """The A' of a file for a sample of a model point.

    Raises:
        ConfigError: masses in the file that are not those of the point; A' of more energy than the beam, or
            none that passes the ECAL cut.
        DataError: as for :func:`events`; weights that are no shares; A' that fly against the beam.
        Na64Error: pylhe is not installed.
    """
    model = (point.parameters or Parameters.of(card)).model(point.mass_GeV, point.epsilon)
    expected = {hepmc.APRIME: model.mass, hepmc.CHI1: model.chi1_mass, hepmc.CHI2: model.chi2_mass}
    beam = card.beam.energy_GeV.value
    threshold = min(SignalModel(card).aprime_threshold.values())
    momenta, weights = [], []
    for where, event, place in events(path):
        for particle in event.particles:
            mass = expected.get(particle.id)
            if mass is not None and abs(particle.m - mass) > SAME_MASS * mass:
                raise ConfigError(
                    f"{where} has a particle {particle.id} of {particle.m:g} GeV (the model has one of "
                    f"{mass:g} GeV): give --mass-GeV, and mass ratio and splitting of the file"
                )
        aprime = event.particles[place]
        if not aprime.pz > 0.0:
            raise DataError(
                f"the A' of {where} flies against the beam (pz is {aprime.pz:g} GeV): turn the events"
            )
        if not aprime.e < beam:
            raise ConfigError(
                f"the A' of {where} has {aprime.e:g} GeV (the beam has {beam:g} GeV): give events of it"
            )
        momenta.append((aprime.e, aprime.px, aprime.py, aprime.pz))
        weights.append(event.eventinfo.weight)
    weight = np.array(weights)
    bad = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0.0)))
    if len(bad):
        raise DataError(
            f"event {bad[0] + 1} of {path} has the weight {weight[bad[0]]:g} (it is a share): correct it"
        )
    momentum = np.array(momenta).reshape(-1, 4)
    above = momentum[:, 0] > threshold
    if not weight[above].sum() > 0.0:
        raise ConfigError(
            f"no A' in {path} is above {threshold:g} GeV (nothing passes the ECAL cut): give other events"
        )
    share = weight / weight.sum()
    return GivenAprimes(path, momentum[above], share[above], float(share[above].sum()), len(share))


def production_weights(given: GivenAprimes, first: int, events: int, made_above: float) -> Array:
    """The weight of each A' in a sample, shape (n,): the sample has `made_above` A' per electron in all.

    Entry i of a sample takes the i-th A'. None is taken twice: events that share their A' are not
    independent, and errors would come out too small.

    Raises:
        ConfigError: more events than A' above the threshold.
        DataError: the entries of the sample have no weight.
    """
    entries = len(given.shares)
    if first + events > entries:
        raise ConfigError(
            f"events {first} to {first + events - 1} of {entries} A' above the threshold in {given.path} "
            f"(each makes one event): give -n {max(entries - first, 1)}, or a larger file"
        )
    total = math.fsum(given.shares[first : first + events])
    if not total > 0.0:
        raise DataError(f"the first {events} A' of {given.path} have no weight: take more (-n)")
    return given.shares / total * events * made_above
