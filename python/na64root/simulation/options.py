"""What is wanted of a simulation: which events of a signal, of the background, of a gun."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from .core_config import DecayRange, ForcedVolume, Signal


@dataclass(frozen=True)
class SignalOptions:
    """Which events of a signal.

    Attributes:
        events: how many, 1 or more.
        forced: all decays in this volume, or range of z in cm, weighted with their probability; everywhere
            when None.
        period: a run period, or all in proportion to their electrons.
        eot: electrons on target of some periods, in place of the card's.
        first_event: number of the first event: samples of one seed and other ranges are independent parts
            of one, each normalised to its own number of events.
        lhe: Les Houches events whose A' are taken, one an event, in place of those that the program makes.
        produced: A' of all events in `lhe` that the exposure makes, before the residual efficiency; without,
            as many above the threshold as the chain expects of bremsstrahlung.

    Raises:
        ConfigError: no events, a number of the first one that is out of range, `produced` without `lhe`.
    """

    events: int
    forced: ForcedVolume | DecayRange | None = None
    period: str = "all"
    eot: Mapping[str, float] | None = None
    first_event: int = 0
    lhe: Path | None = None
    produced: float | None = None

    def __post_init__(self) -> None:
        require_events(self.events)
        if self.produced is not None:
            if self.lhe is None:
                raise ConfigError("--produced without --lhe (it is of its A'): leave it out")
            if not (self.produced > 0.0 and math.isfinite(self.produced)):
                raise ConfigError(
                    f"produced = {self.produced:g} is not acceptable (must be positive): correct it"
                )
        if not 0 <= self.first_event < 2**32 - self.events:
            raise ConfigError(
                f"first event {self.first_event} is not acceptable (from 0 on): correct --first-event"
            )


@dataclass(frozen=True)
class PseudodataOptions:
    """Which events of the background.

    Attributes:
        eot: electrons on target of some periods, in place of the card's.
        scale: size of the sample: divides the prescale of every class that has one, never below 1.
        weighted: mcWeight is the prescale of the class: expected events of the exposure, no data.
        inject: a signal among the background, its number Poisson-drawn from the expected one (with the
            residual efficiency, which the rates of the backgrounds hold as well).

    Raises:
        ConfigError: a scale that is not positive.
    """

    eot: Mapping[str, float] | None = None
    scale: float = 1.0
    weighted: bool = False
    inject: Signal | None = None

    def __post_init__(self) -> None:
        if not (self.scale > 0.0):
            raise ConfigError(
                f"cannot scale the sample by {self.scale:g} (a positive number is needed): correct it"
            )


@dataclass(frozen=True)
class GunOptions:
    """What is shot where.

    Attributes:
        particle: `e-`, or `pair` of a state of mass `mass_GeV`.
        energy_GeV: of the electron, or of the pair together.
        volume: the calorimeter; an electron enters through its front, a pair begins within.
        events: how many, 1 or more.
        mass_GeV: of the state that decays into the pair; None for an electron.
        offset_mm: start in x, y from the middle of the volume's central cell.
        noise: False leaves the sampling fluctuations of the structure only: no noise, no thresholds.

    Raises:
        ConfigError: no events; a pair without a mass, or an electron with one.
    """

    particle: str
    energy_GeV: float
    volume: str
    events: int
    mass_GeV: float | None = None
    offset_mm: tuple[float, float] = (0.0, 0.0)
    noise: bool = True

    def __post_init__(self) -> None:
        require_events(self.events)
        if self.particle == "pair" and self.mass_GeV is None:
            raise ConfigError(
                "a pair without the mass of its parent (it decides the angles): give --mass-GeV"
            )
        if self.particle != "pair" and self.mass_GeV is not None:
            raise ConfigError(f"a mass for {self.particle} (only a pair has a parent): leave --mass-GeV out")


def require_events(events: int) -> None:
    """Raise ConfigError where there is nothing to simulate."""
    if not events > 0:
        raise ConfigError(f"cannot simulate {events} events (1 or more are needed): correct -n")
