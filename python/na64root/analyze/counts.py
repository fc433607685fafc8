"""Counts, backgrounds and exposure of the likelihood, of files or of the card alone."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence

from .. import backgrounds, selection
from ..backgrounds.regions import in_signal_box
from ..config import SIGNATURES, Card, Signature
from ..errors import ConfigError
from ..ntuple import DEFINING_CUTS, Input, Ntuple, open_ntuple, repeated_files
from ..records import Count
from ..selection import engines
from ..selection.left_out import Exclusions, LeftOut
from ..selection.quality import Outlier, assess
from ..signal import card_counts

log = logging.getLogger(__name__)


def refuse_to_show(card: Card, blind: bool, exclude_outlier_spills: bool) -> None:
    """Raise ConfigError where something asked for depends on events that blinding hides."""
    if blind and exclude_outlier_spills:
        raise ConfigError(
            "--exclude-outlier-spills with --blind (the spills' means are also those of hidden events): "
            "leave one out"
        )
    for signature in SIGNATURES:
        method = card.backgrounds.method(signature)
        if blind and (why := in_signal_box(card, method)):
            raise ConfigError(
                f"--blind with the background of {signature} by {method} ({why}): change that, or set "
                f"backgrounds.{signature} to another method"
            )


def opened(files: Sequence[str], card: Card, exclude_outlier_spills: bool) -> Ntuple:
    """The input, opened and hashed once for every step that reads it.

    It is unpacked here where another step than the selection reads it, which unpacks it by itself.
    """
    estimated = any(card.backgrounds.method(signature) != "published" for signature in SIGNATURES)
    return open_ntuple(files, card, unpack=exclude_outlier_spills or estimated)


def select_with_quality(
    files: Input,
    card: Card,
    eot: Mapping[str, float] | None,
    exclude_outlier_spills: bool,
    *,
    systematics: bool = False,
    blind: bool,
    seed: int = 1,
    threads: int,
    engine: engines.Engine = engines.THREADS,
) -> tuple[selection.SelectionResult, Exclusions]:
    """The selection, and what it left out by the quality of the data."""
    outliers: list[Outlier] = []
    spills: list[tuple[int, int]] = []
    if exclude_outlier_spills:
        assessed = assess(files, card)
        outliers, spills = assessed.outliers, assessed.outlier_spills
        for outlier in outliers:
            log.info("run %d spill %d left out: %s", outlier.run, outlier.spill, outlier.reason)
    selected = selection.select(
        files,
        card,
        eot=eot,
        without_spills=spills,
        systematics=systematics,
        seed=seed,
        threads=threads,
        engine=engine,
        blind=blind,
    )
    duplicates = None
    if not blind:
        duplicates = next((r.events for r in selected.cutflow if r.period == LeftOut.DUPLICATE), 0)
    return selected, Exclusions(
        duplicates=duplicates,
        repeated_files=repeated_files(selected.files),
        outliers=outliers,
        kept_share=selected.kept_share,
    )


def with_background_estimates(
    files: Input,
    card: Card,
    selected: selection.SelectionResult,
    without_spills: Sequence[tuple[int, int]],
    blind: bool,
    threads: int,
) -> tuple[selection.SelectionResult, dict[Signature, backgrounds.BackgroundUsed] | None]:
    """The selection with the backgrounds that the card has estimated from the data, and which these are."""
    if all(card.backgrounds.method(signature) == "published" for signature in SIGNATURES):
        return selected, None
    log.info("estimating backgrounds")
    estimated = backgrounds.estimate(
        files, card, eot=selected.exposure, without_spills=without_spills, blind=blind, threads=threads
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
    return selected.model_copy(update={"counts": counts}), used


def counts_and_exposure(
    files: Sequence[str],
    card: Card,
    eot: Mapping[str, float] | None,
    threads: int,
    engine: engines.Engine = engines.THREADS,
    *,
    blind: bool = False,
    exclude_outlier_spills: bool = False,
) -> tuple[list[Count], dict[str, float], selection.SelectionResult | None]:
    """Counts and exposure of the likelihood: those of the files, without files those of the card."""
    if files:
        card.exposure(eot)  # before anything is read
        ntuple = opened(files, card, exclude_outlier_spills)
        selected, left_out = select_with_quality(
            ntuple, card, eot, exclude_outlier_spills, blind=blind, threads=threads, engine=engine
        )
        for note in selected.notes:
            log.info("%s", note)
        spills = [(outlier.run, outlier.spill) for outlier in left_out.outliers]
        selected, _ = with_background_estimates(ntuple, card, selected, spills, blind, threads)
        return counts_of_likelihood(selected), selected.exposure, selected
    exposure = card.exposure(eot)
    counts = card_counts(card, exposure)
    if exposure != card.exposure():
        log.warning(
            "the card's observed counts (%s) are kept where %s background events are expected: for a "
            "projection set limit.S1.observed and limit.S2.observed",
            ", ".join(f"{count.observed}" for count in counts),
            " + ".join(f"{count.background:.3g}" for count in counts),
        )
    return counts, exposure, None


def counts_of_likelihood(selected: selection.SelectionResult) -> list[Count]:
    """The bins with a count and exposure.

    A weighted simulation has no observed counts, and blinded data show none: the most probable counts without
    signal stand in for them, so that the limits are expected ones.
    """
    stand_in = selected.weighted or selected.blind
    counts = [
        count.model_copy(update={"observed": math.floor(count.background)})
        if stand_in and not set(DEFINING_CUTS[count.signature]) & set(count.cuts_not_applied)
        else count
        for count in selected.counts
    ]
    return [count for count in counts if count.observed is not None and selected.exposure[count.period] > 0.0]
