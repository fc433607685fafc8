"""The one counting model of a card and its counts, which every verb starts from that is not given a point.

The limit on the total signal depends on its shares. The paper's headline is the end of the excluded part of
the central g-2 line: the signal is shared as there. At a point of one's own it is shared as at that point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from .. import limits, theory
from ..config import Card
from ..errors import ConfigError
from ..limits import SignalSource
from ..signal import Parameters
from ..work import Work
from .counting_models import counts_of_card, total_and_share
from .grids import Plane
from .strength import Exclusion


def g2_end_of_card(point: Exclusion, *, work: Work = Work()) -> float | None:
    """The end in GeV of the excluded part of the central g-2 line, by the masses of the card's plane.

    It is that of the plane (:func:`.planes.plane_of`) without the plane. None where its first mass is not
    excluded.

    Args:
        point: of the card; the seed of its samples is its own.
        work: is told how far the masses are.
    """
    masses = Plane.named("mass-epsilon", point.card).x.values
    progress = work.reporting("masses on the g-2 line")
    strengths: list[float] = []
    for mass in masses:
        # As of a column of the plane, which does not depend on the masses before.
        line = point.anew() if point.simulated else point
        strengths.append(line.on_central_g2_line(float(mass)))
        over = strengths[-1] < 1.0
        if progress is not None:
            progress(len(masses) if over else len(strengths), len(masses))
        if over:
            break
    return point.g2_end_point(masses[: len(strengths)], np.array(strengths))


def model_at_point(
    card: Card,
    mass_GeV: float,
    epsilon: float,
    eot: Mapping[str, float] | None = None,
    *,
    work: Work = Work(),
) -> tuple[limits.CountingModel, float]:
    """The card's counting model with the signal shared as at one point, and the signal expected there.

    Args:
        eot: electrons on target in place of the card's.

    Raises:
        ConfigError: a mass or an epsilon that is no number above zero, or a channel that is closed.
    """
    for name, value in (("m_A'", mass_GeV), ("epsilon", epsilon)):
        if not (value > 0.0 and math.isfinite(value)):
            raise ConfigError(f"{name} = {value!r} is not acceptable (must be positive): correct it")
    Parameters.of(card).model(mass_GeV, epsilon)
    counts, exposure = counts_of_card(card, eot)
    point = Exclusion(card, counts, exposure, work=work)
    at_mass = point.at_mass(mass_GeV)
    return point.model(at_mass, epsilon), float(point.expected(at_mass, [epsilon]).sum())


def model_on_g2_line(
    point: Exclusion, end_point: float | None
) -> tuple[limits.CountingModel, dict[str, tuple[float, float]]]:
    """The counting model with the signal at the end of the excluded central g-2 line.

    Where none of that line is excluded it is that at the highest mass of the card's plane.

    Args:
        end_point: the end in GeV, as of :func:`g2_end_of_card`.

    Returns:
        the model, and of each varied source its relative effect and the error of that.
    """
    mass = end_point or float(Plane.named("mass-epsilon", point.card).x.values[-1])
    epsilon = theory.muon_g2_band(point.card, [mass]).central
    at_mass = point.at_mass(mass)
    total, share = total_and_share(point.expected(at_mass, epsilon))
    if not total[0] > 0.0:
        return point.limit.model(0.0 if point.signal.mode == "invisible" else 0.5), {}
    varied = point.varied_sources(at_mass, float(epsilon[0]))
    sources = {name: SignalSource(relative) for name, (relative, _) in varied.items()}
    return point.limit.model(float(share[0]), sources), varied
