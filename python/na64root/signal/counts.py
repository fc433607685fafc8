"""Expected events: per bin of the likelihood, for the card's exposure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from ..annotations import Array
from ..config import SIGNATURES, Card, Signature
from ..records import Count
from .chain import SignalModel


def effective_electrons(card: Card, exposure: Mapping[str, float]) -> dict[str, float]:
    """Electrons on target times residual efficiency, by run period; 0 for a period without exposure."""
    return {p.name: exposure.get(p.name, 0.0) * p.residual_efficiency.value for p in card.periods}


def effective_exposure(
    card: Card, exposure: Mapping[str, float], counts: Iterable[Count]
) -> dict[Signature, float]:
    """Electrons on target times residual efficiency that each signature's counts stand for.

    A signature that a period cannot evaluate loses that period; a count with period ``all`` stands for all.
    """
    weight = effective_electrons(card, exposure)
    total = sum(weight.values())
    result: dict[Signature, float] = dict.fromkeys(SIGNATURES, 0.0)
    for count in counts:
        if count.observed is not None:
            result[count.signature] += total if count.period == "all" else weight[count.period]
    return result


def card_counts(card: Card, exposure: Mapping[str, float]) -> list[Count]:
    """The card's observed counts, one per signature for the whole exposure, with backgrounds scaled to it."""
    scale = sum(exposure.values()) / card.eot
    return [
        Count(
            period="all",
            signature=signature,
            observed=round(card.limit.counts(signature).observed.value),
            background=card.limit.counts(signature).background.value * scale,
            background_uncertainty=card.limit.counts(signature).background_uncertainty.value * scale,
            cuts_not_applied=[],
        )
        for signature in SIGNATURES
    ]


def expected_signal(
    card: Card, mass_GeV: ArrayLike, epsilon: ArrayLike, exposure: Mapping[str, float] | None = None
) -> Array:
    """Expected signal events, shape (n_mass, n_epsilon, 2) for S1 and S2, summed over periods.

    Args:
        mass_GeV, epsilon: shapes (n_mass,) and (n_epsilon,).
        exposure: electrons on target by period; the card's when not given.
    """
    exposure = card.exposure() if exposure is None else exposure
    weight = effective_exposure(card, exposure, card_counts(card, exposure))
    signal = SignalModel(card)
    masses = np.atleast_1d(np.asarray(mass_GeV, dtype=float))
    per_electron = np.stack([signal.at_mass(float(mass)).per_electron(epsilon) for mass in masses])
    return np.asarray(per_electron * np.array([weight[signature] for signature in SIGNATURES]))
