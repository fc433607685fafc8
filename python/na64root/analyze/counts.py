"""Counts, backgrounds and exposure of the likelihood, of files or of the card alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .. import backgrounds, exclusion, selection
from ..config import SIGNATURES, Card, Signature
from ..ntuple import DEFINING_CUTS, Ntuple, open_ntuple, repeated_files
from ..records import Count, InputFile
from ..selection import SelectionOptions
from ..selection.blinding import stand_in
from ..selection.left_out import Exclusions, LeftOut
from ..selection.quality import Outlier, assess
from ..work import Work
from .options import DataOptions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Data:
    """What the likelihood takes from its input.

    `counts` are the bins with a count and exposure. Of a card without files there are only these and the
    exposure; `estimates` are the backgrounds that were taken from the data.
    """

    counts: list[Count]
    exposure: dict[str, float]
    selected: selection.SelectionResult | None = None
    quality: Exclusions | None = None
    estimates: dict[Signature, backgrounds.BackgroundUsed] | None = None

    @property
    def blind(self) -> bool:
        """Whether the signal boxes of the input are hidden."""
        return self.selected is not None and self.selected.blind

    @property
    def files(self) -> list[InputFile]:
        """The input files, none of a card alone."""
        return self.selected.files if self.selected else []


def data_of(files: Sequence[str], card: Card, options: DataOptions, work: Work) -> Data:
    """Counts and exposure of the likelihood: those of the files, without files those of the card.

    Raises:
        Na64Error: as :func:`na64root.selection.select`, :func:`na64root.selection.quality.assess` and
            :func:`na64root.backgrounds.estimate`.
    """
    return _of_files(files, card, options, work) if files else _of_card(card, options)


def _of_files(files: Sequence[str], card: Card, options: DataOptions, work: Work) -> Data:
    """The selection, its backgrounds, and what it left out by the quality of the data."""
    card.exposure(options.eot)  # before anything is read
    # One input for all that reads it. The selection unpacks it by itself where it has to.
    estimated = any(card.backgrounds.method(signature) != "published" for signature in SIGNATURES)
    ntuple = open_ntuple(files, card, unpack=options.exclude_outlier_spills or estimated)
    outliers: list[Outlier] = []
    spills: list[tuple[int, int]] = []
    if options.exclude_outlier_spills:
        assessed = assess(ntuple, card)
        outliers, spills = assessed.outliers, assessed.outlier_spills
        for outlier in outliers:
            log.info("run %d spill %d left out: %s", outlier.run, outlier.spill, outlier.reason)
    wanted = SelectionOptions(
        eot=options.eot, without_spills=spills, systematics=options.systematics, blind=options.blind
    )
    selected = selection.select(ntuple, card, wanted, work=work)
    duplicates = None
    if not options.blind:
        duplicates = next((r.events for r in selected.cutflow if r.period == LeftOut.DUPLICATE), 0)
    for note in selected.notes:
        log.info("%s", note)
    counts, estimates = _with_background_estimates(ntuple, card, selected, spills, options.blind, work)
    selected = selected.model_copy(update={"counts": counts})
    return Data(
        counts=counts_of_likelihood(selected),
        exposure=selected.exposure,
        selected=selected,
        quality=Exclusions(
            duplicates=duplicates,
            repeated_files=repeated_files(selected.files),
            outliers=outliers,
            kept_share=selected.kept_share,
        ),
        estimates=estimates,
    )


def _of_card(card: Card, options: DataOptions) -> Data:
    return Data(*exclusion.counts_of_card(card, options.eot))


def _with_background_estimates(
    ntuple: Ntuple,
    card: Card,
    selected: selection.SelectionResult,
    without_spills: Sequence[tuple[int, int]],
    blind: bool,
    work: Work,
) -> tuple[list[Count], dict[Signature, backgrounds.BackgroundUsed] | None]:
    """The counts with the backgrounds that the card has estimated from the data, and which these are."""
    if all(card.backgrounds.method(signature) == "published" for signature in SIGNATURES):
        return selected.counts, None
    log.info("estimating backgrounds")
    estimated = backgrounds.estimate(
        ntuple, card, eot=selected.exposure, without_spills=without_spills, blind=blind, work=work
    )
    counts, used = backgrounds.with_estimates(selected.counts, estimated)
    for signature, background in used.items():
        log.info(
            "background of %s: %.3g +- %.2g (%s)",
            signature,
            background.value,
            background.uncertainty,
            background.method,
        )
    return counts, used


def counts_of_likelihood(selected: selection.SelectionResult) -> list[Count]:
    """The bins with a count and exposure.

    A weighted simulation has no observed counts, and blinded data show none: the most probable counts without
    signal stand in for them, so that the limits are expected ones.
    """
    return likelihood_counts(
        selected.counts, selected.exposure, nothing_observed=selected.weighted or selected.blind
    )


def likelihood_counts(
    counts: Sequence[Count], exposure: Mapping[str, float], *, nothing_observed: bool
) -> list[Count]:
    """Of all counts of a selection those of the likelihood, as :func:`counts_of_likelihood` says."""
    evaluated = [
        stand_in(count)
        if nothing_observed and not set(DEFINING_CUTS[count.signature]) & set(count.cuts_not_applied)
        else count
        for count in counts
    ]
    return [count for count in evaluated if count.observed is not None and exposure[count.period] > 0.0]
