"""The counting model of the quoted limit, and what a sample of simulated signal is worth in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

from .. import exclusion, limits, records, selection, theory
from ..config import SIGNATURES, Card, Signature
from ..exclusion.planes import plane_of
from ..records import Count
from ..signal import MODES, Parameters, SignalModel, effective_exposure
from ..simulation import signal_files
from ..work import Work
from .counts import data_of
from .options import DataOptions
from .records import SignalOfSample, SignalUncertaintyOfSample


def counting_model(
    files: Sequence[str], card: Card, options: DataOptions = DataOptions(), *, work: Work = Work()
) -> tuple[limits.CountingModel, selection.SelectionResult | None]:
    """The counting model that :func:`analyze` sets its limit with, without files for the card's own counts.

    The signal is shared between the signatures as at the end of the excluded part of the g-2 line.

    Returns:
        the model, and the selection of the files.

    Raises:
        Na64Error: no bin has both a count and exposure; what the modules of the chain raise.
    """
    options.require_hidden(card)
    data = data_of(files, card, options, work)
    point = exclusion.Exclusion(card, data.counts, data.exposure, work=work)
    plane = plane_of(point, "mass-epsilon", work=work, selected=data.selected)
    model, _ = model_of_plane(point, plane)
    return model, data.selected


def model_of_plane(
    point: exclusion.Exclusion, plane: records.PlaneResult
) -> tuple[limits.CountingModel, list[SignalUncertaintyOfSample]]:
    """The model of the quoted limit, its signal that at the end of the excluded g-2 line; and its sources.

    Where none of that line is excluded it is that at its highest mass in the plane.

    Args:
        point: what the plane was computed with.
    """
    return model_on_g2_line(point, plane.g2_excluded_up_to_GeV)


def model_on_g2_line(
    point: exclusion.Exclusion, end_point: float | None
) -> tuple[limits.CountingModel, list[SignalUncertaintyOfSample]]:
    """The model with the signal at the end of the excluded g-2 line, in GeV, and its sources.

    Where none of that line is excluded it is that at the highest mass of the card's plane.
    """
    mass = end_point or point.card.plane.mass_max_GeV.value
    epsilon = theory.epsilon_g2([mass], point.card.muon_g2.central.value)
    at_mass = point.at_mass(mass)
    s1, s2 = point.expected(at_mass, epsilon)[0]
    if not s1 + s2 > 0.0:
        model = point.limit.model(0.5)
        return model, _uncertainties(model, {})
    model = point.model(at_mass, float(epsilon[0]))
    return model, _uncertainties(model, point.varied_sources(at_mass, float(epsilon[0])))


def signal_of_sample(
    card: Card,
    counts: Sequence[Count],
    exposure: Mapping[str, float],
    model: limits.CountingModel,
    sample: signal_files.SimulatedSignal,
) -> SignalOfSample:
    """What the sample's own point is worth, beside the chain's number there."""
    bins = [sample.of(b.period, cast(Signature, b.signature)) for b in model.bins]
    expected = sum(b.expected for b in bins)
    limit = limits.card_limit(model, card)
    chain: dict[str, float] | None = None
    if sample.mode in MODES:
        at_mass = SignalModel(card, mode=sample.mode).at_mass(sample.mass_GeV, Parameters.of(card))
        weight = effective_exposure(card, exposure, counts)
        per_electron = at_mass.per_electron([sample.epsilon])[0]
        chain = {s: float(n) * weight[s] for s, n in zip(SIGNATURES, per_electron, strict=True)}
    varied = {}
    if card.systematics.in_limit == "varied":
        bins_of_model = [(b.period, b.signature) for b in model.bins]
        varied = exclusion.varied_sources(bins_of_model, sample.systematics)
    return SignalOfSample(
        sample=sample,
        expected=expected,
        error=math.sqrt(sum(b.error**2 for b in bins)),
        chain=chain,
        upper_limit=limit.upper_limit,
        upper_limit_mu=limit.upper_limit / expected,
        excluded=expected >= limit.upper_limit,
        uncertainties=_uncertainties(model, varied),
    )


def _uncertainties(
    model: limits.CountingModel, varied: Mapping[str, tuple[float, float]]
) -> list[SignalUncertaintyOfSample]:
    """The sources of a model, of varied ones with their statistical error."""
    return [
        SignalUncertaintyOfSample(
            source=name,
            uncertainty=source.uncertainty,
            error=varied[name][1] if name in varied else None,
            correlation=source.correlation,
            origin="varied" if name in varied else "published",
        )
        for name, source in model.sources.items()
    ]
