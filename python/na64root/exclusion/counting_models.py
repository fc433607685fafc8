"""The counting model of a signal: its bins, its shares and its uncertainties."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from .. import limits
from ..annotations import Array
from ..config import SIGNATURES, Card, Signature
from ..errors import ConfigError
from ..limits import SignalSource
from ..records import Count
from ..selection import systematics
from ..signal import SignalAtMass, card_counts, effective_exposure
from ..simulation.samples import SignalSamples
from ..simulation.signal_files import SimulatedSignal

log = logging.getLogger(__name__)

# A count, its signature, and the exposure times efficiency that it stands for.
LikelihoodBin = tuple[Count, Signature, float]


# Where the expected signal at a mass comes from.
ExpectedSignal = SignalAtMass | SignalSamples


# The source of the signal uncertainty that a simulated sample brings itself.
MONTE_CARLO_STATISTICS = "monte_carlo_statistics"


# A strength that is no signal at all: its inverse and its logarithm leave the range of doubles.
NO_SIGNAL = 1e-300


# All varied sources of a point together, where only their size matters; limits are computed at multiples of
# the step, and interpolated: the limit is so smooth in the size that 1e-3 of it is not reached.
VARIED = "varied"


VARIED_STEP = 0.02


def counts_of_card(
    card: Card, eot: Mapping[str, float] | None = None
) -> tuple[list[Count], dict[str, float]]:
    """The card's own counts and exposure, or those for other electrons on target.

    Backgrounds follow the exposure; the observed counts stay, and a warning says so.

    Raises:
        ConfigError: as :meth:`na64root.config.Card.exposure`.
    """
    exposure = card.exposure(eot)
    counts = card_counts(card, exposure)
    if exposure != card.exposure():
        log.warning(
            "the card's observed counts (%s) are kept where %s background events are expected: for a "
            "projection set limit.S1.observed and limit.S2.observed",
            ", ".join(f"{count.observed}" for count in counts),
            " + ".join(f"{count.background:.3g}" for count in counts),
        )
    return counts, exposure


def bins_of_counts(card: Card, counts: Sequence[Count], exposure: Mapping[str, float]) -> list[LikelihoodBin]:
    """The counts that enter the likelihood: evaluated, and with exposure."""
    bins: list[LikelihoodBin] = []
    for count in counts:
        if count.observed is None:
            continue
        part = effective_exposure(card, exposure, [count])[count.signature]
        if part > 0.0:
            bins.append((count, count.signature, part))
    return bins


def counting_model(
    card: Card,
    bins: Sequence[LikelihoodBin],
    share_s1: float,
    varied: Mapping[str, SignalSource] | None = None,
) -> limits.CountingModel:
    """The counting model of these bins, the signal divided between signatures by the share of S1.

    Args:
        varied: sources that take the place of those that the card's `systematics.replaces` names.
    """
    totals = {s: sum(part for _, signature, part in bins if signature == s) for s in SIGNATURES}
    share: dict[Signature, float] = {"S1": share_s1, "S2": 1.0 - share_s1}
    fractions = [share[signature] * part / totals[signature] for _, signature, part in bins]
    without = card.systematics.replaces if varied else ()
    return _model(card, [count for count, _, _ in bins], fractions, without=without, further=varied)


def counting_model_of_sample(
    card: Card, counts: Sequence[Count], exposure: Mapping[str, float], sample: SimulatedSignal
) -> limits.CountingModel:
    """The counting model with the signal of a simulated sample: its shares, and its uncertainties.

    Each bin has the relative error of its own events; a source of that name in the card is not added to it.
    With `systematics.in_limit = "varied"` the sources of :func:`varied_sources` join those of the card.

    Raises:
        ConfigError: no signal in a bin with a count; a sample that was not varied by every source of the card
            (the parts that `systematics.replaces` takes out hold them all).
    """
    kept = [count for count, _, _ in bins_of_counts(card, counts, exposure)]
    found = [sample.of(count.period, count.signature) for count in kept]
    total = sum(b.expected for b in found)
    if not total > 0.0:
        raise ConfigError(
            "the signal sample has no events in a bin with a count (nothing to set a limit on): simulate more"
        )
    without, varied = [MONTE_CARLO_STATISTICS], {}
    if card.systematics.in_limit == "varied":
        without += card.systematics.replaces
        bins = [(count.period, count.signature) for count in kept]
        found_sources = varied_sources(bins, sample.systematics)
        systematics.require_all(card, found_sources)
        varied = {name: SignalSource(relative) for name, (relative, _) in found_sources.items()}
    return _model(
        card,
        kept,
        [b.expected / total for b in found],
        [b.error / b.expected if b.expected > 0.0 else 0.0 for b in found],
        without=without,
        further=varied,
    )


def varied_sources(
    bins: Collection[tuple[str, str]], effects: Sequence[systematics.SystematicEffect]
) -> dict[str, tuple[float, float]]:
    """Of each systematic source the relative effect on the expected signal, and its statistical error.

    It is that on the sum of the bins of the likelihood: one nuisance parameter moves all bins by the same
    share. How a source moves signal between bins is in the effects; without observed events the limit
    depends on the sum alone.

    Args:
        bins: periods (``all`` for all of them) and signatures.
        effects: on a simulated signal; a source without any is in no result.
    """
    groups: dict[str, list[systematics.SystematicEffect]] = {}
    for effect in effects:
        if {(effect.period, effect.signature), ("all", effect.signature)} & set(bins):
            groups.setdefault(effect.source, []).append(effect)
    found = {name: systematics.of_total(group) for name, group in groups.items()}
    return {name: effect for name, effect in found.items() if effect is not None}


def _model(
    card: Card,
    counts: Sequence[Count],
    fractions: Sequence[float],
    uncertainties: Sequence[float] | None = None,
    without: Sequence[str] = (),
    further: Mapping[str, SignalSource] | None = None,
) -> limits.CountingModel:
    return limits.CountingModel(
        bins=tuple(
            limits.Bin(
                name=f"{count.signature} {count.period}",
                signature=count.signature,
                period=count.period,
                observed=count.observed or 0,
                background=count.background,
                background_uncertainty=count.background_uncertainty,
                signal_fraction=fraction,
                signal_uncertainty=uncertainty,
            )
            for count, fraction, uncertainty in zip(
                counts, fractions, uncertainties or [0.0] * len(counts), strict=True
            )
        ),
        signal_sources={
            name: SignalSource(q.value, q.correlation)
            for name, q in card.limit.signal_uncertainties.items()
            if name not in without
        }
        | dict(further or {}),
        constraint=card.limit.constraint,
    )


def warn_of_published_sources(card: Card) -> None:
    """Say that the card asks for varied sources where the signal has no events to vary."""
    if card.systematics.in_limit == "varied" and card.signal.acceptance == "chain":
        log.warning(
            "the signal of the chain has no events to vary: the published uncertainties are taken "
            "(signal.acceptance = simulation has varied ones)"
        )


def total_and_share(events: Array) -> tuple[Array, Array]:
    """Of events of shape (n, 2), in S1 and S2: their sum and the share of S1, 0 where none; shapes (n,)."""
    total = events.sum(axis=1)
    return total, np.divide(events[:, 0], total, out=np.zeros_like(total), where=total > 0.0)
