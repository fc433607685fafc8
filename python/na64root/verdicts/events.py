"""What is read of generated events, whatever their format, and what every format has to hold to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..annotations import Array
from ..errors import DataError
from ..simulation.lhe import SAME_MASS

SEMIVISIBLE, STABLE = "A' -> chi1 chi2, chi2 -> chi1 e+ e-", "A' -> chi1 chi2, no decay"


@dataclass(frozen=True)
class Masses:
    """Of the dark sector, GeV; None for what is not in the events."""

    aprime: float
    chi1: float | None = None
    chi2: float | None = None


@dataclass(frozen=True)
class Stated:
    """What a file says of its model beside the masses; None for what it does not say."""

    epsilon: float | None = None
    alpha_dark: float | None = None
    mediator: str | None = None


@dataclass(frozen=True)
class Event:
    """One generated event. `decay_cm` is along the beam from the front of the ECAL, infinite without decay.

    `decay` says in words what the A' does.
    """

    weight: float
    aprime_GeV: float
    decay: str
    masses: Masses
    decay_cm: float = math.inf
    pair_GeV: float = 0.0


@dataclass(frozen=True)
class Events:
    """The events of a file, columns of shape (n,). `exposure`: electrons that the weights are for, by period.

    `placed`: whether the events have their decays, with their places.
    """

    path: Path
    weight: Array
    aprime_GeV: Array
    decay_cm: Array
    pair_GeV: Array
    decays: dict[str, int]
    masses: Masses
    placed: bool
    expected: bool
    exposure: dict[str, float]
    stated: Stated


def joined(
    path: Path,
    events: Sequence[Event],
    *,
    placed: bool,
    expected: bool,
    exposure: dict[str, float] | None = None,
    stated: Stated = Stated(),
) -> Events:
    """The events of a file as columns.

    Args:
        expected: whether weights are expected numbers of events.

    Raises:
        DataError: no events, weights that are negative, not finite or all zero, decays that are not
            understood, or masses that differ.
    """
    if not events:
        raise DataError(f"{path} has no events (nothing to judge): generate some")
    decays = Counter(event.decay for event in events)
    strange = {name: n for name, n in decays.items() if name not in (SEMIVISIBLE, STABLE)}
    if strange:
        counted = ", ".join(f"{name}: {n}" for name, n in sorted(strange.items()))
        raise DataError(
            f"{sum(strange.values())} of {len(events)} events in {path} decay in a way that is not "
            "understood "
            f"({counted}): give events of A' -> chi1 chi2 with chi2 -> chi1 e+ e-"
        )
    weight = np.array([event.weight for event in events])
    bad = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0.0)))
    if len(bad):
        raise DataError(
            f"event {bad[0] + 1} in {path} has the weight {weight[bad[0]]:g} (a weight is an expected "
            "number or "
            "a share): correct it"
        )
    if not weight.sum() > 0.0:
        raise DataError(f"all weights in {path} are zero (nothing is expected): correct them")
    return Events(
        path=path,
        weight=weight,
        aprime_GeV=np.array([event.aprime_GeV for event in events]),
        decay_cm=np.array([event.decay_cm for event in events]),
        pair_GeV=np.array([event.pair_GeV for event in events]),
        decays=dict(sorted(decays.items())),
        masses=_common(path, events),
        placed=placed,
        expected=expected,
        exposure=exposure or {},
        stated=stated,
    )


def _common(path: Path, events: Sequence[Event]) -> Masses:
    found: dict[str, float | None] = {}
    for name in ("aprime", "chi1", "chi2"):
        values = [m for event in events if (m := getattr(event.masses, name)) is not None]
        if values and max(values) - min(values) > SAME_MASS * max(values):
            raise DataError(
                f"the mass of {name} in {path} goes from {min(values):g} to {max(values):g} GeV (a file is "
                "one "
                "model point): split it"
            )
        found[name] = float(np.median(values)) if values else None
    assert found["aprime"] is not None
    return Masses(found["aprime"], found["chi1"], found["chi2"])
