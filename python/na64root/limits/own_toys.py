"""Toys by the core alone, for models of any size: the same ensembles as RooStats', a hundred times as fast.

Where counts cannot be enumerated these toys set the limit, and they check the limits of the enumeration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .._core import ProfileLikelihood, ToyEnsemble
from .._core import Treatment as CoreTreatment
from ..config import Criterion, Treatment
from ..errors import ConvergenceError
from ..work import Work
from .counting import CountingModel
from .likelihood import filled, likelihood
from .toy_scan import WITHOUT_PER_WITH, Scan, Toys, find_limit, first_guess

# No more toys than this over the number of bins and nuisance parameters, some ten seconds; then the limit
# need be known to LEAST_PRECISION only: where data lie far below the background toys like them are rare.
MOST_TOYS_TIMES_SIZE = 12_000_000


LEAST_PRECISION = 0.03


# Toys with signal that check a limit.
CHECKING_TOYS = 100_000


# Limits of fewer events, seen and expected, agree with closed forms and hold-out counts: they need no check
# unless the data are far from what was expected, or several events are in bins that share a background.
MANY, SEVERAL = 10, 3


# The data are far from what was expected beyond this many standard deviations.
FAR = 2.0


# So many toys of each kind are to be as improbable as the data, or they cannot tell.
TELLING = 10


# Their CLs may be off by this many of its errors (false alarms: 6e-5), which costs the time of more toys.
AGREEMENT = 4.0


class OwnToys:
    """Makes toys of one model; the seeds follow from the order of the batches, threads change nothing."""

    def __init__(self, model: CountingModel, treatment: Treatment, work: Work) -> None:
        known = likelihood(model, treatment)
        self._ensemble = ToyEnsemble(
            filled(ProfileLikelihood(), known),
            [float(channel.observed) for channel in known.channels],
            [nuisance.nominal for nuisance in known.nuisances],
            CoreTreatment.__members__[treatment],
        )
        self._work, self._made = work, 0

    def run(self, points: Sequence[tuple[float, int, int]]) -> list[Toys]:
        """Toys for each (mu, number with signal, number without).

        Raises:
            ConvergenceError: a fit did not converge.
        """
        return [self._toys(*point) for point in points]

    def _toys(self, mu: float, with_signal: int, without_signal: int) -> Toys:
        made = []
        try:
            for true_mu, number in ((mu, with_signal), (0.0, without_signal)):
                made.append(
                    self._ensemble.statistics(
                        mu, true_mu, self._work.seed, self._made, number, self._work.threads
                    )
                )
                self._made += number
            observed = self._ensemble.observed(mu)
        except RuntimeError as error:
            raise ConvergenceError(f"no toys at mu = {mu:g} ({error}): check the model") from None
        return Toys(mu, observed, *(np.asarray(values) for values in made))


def scan_own_toys(
    model: CountingModel,
    *,
    cl: float,
    treatment: Treatment,
    work: Work,
    precision: float,
    expected: bool = False,
    criterion: Criterion = "cls",
    start: float | None = None,
) -> Scan:
    """Toys at the mu that matter until the limit is known to the relative ``precision``.

    Args:
        start: about where the limit is, where that is known.

    Raises:
        ConvergenceError: no bracket, precision not reached, or failed fits.
    """
    guess, band = first_guess(model, cl)
    scan = Scan(cl, treatment, criterion)
    make = OwnToys(model, treatment, work).run
    size = len(model.bins) + len(likelihood(model, treatment).nuisances)
    find_limit(
        make,
        scan,
        start=start or guess,
        precision=precision,
        expected=band if expected else None,
        most_toys=round(MOST_TOYS_TIMES_SIZE / size),
        least_precision=max(precision, LEAST_PRECISION),
    )
    return scan


def agree(
    model: CountingModel,
    mu: float,
    error: float,
    *,
    cl: float,
    treatment: Treatment,
    criterion: Criterion,
    work: Work,
) -> bool:
    """Whether toys confirm that CLs (or CLs+b) is 1 - cl at this limit, within its error and theirs.

    Where enumeration is known to be right no toys are made.
    Where data are so improbable that toys cannot tell, or one of their fits fails, nothing contradicts.
    """
    if not _needs_check(model, treatment):
        return True
    point = mu, CHECKING_TOYS, round(WITHOUT_PER_WITH * CHECKING_TOYS)
    try:
        (found,) = OwnToys(model, treatment, work).run([point])
    except ConvergenceError:
        return True
    _, without_signal = found.tail(found.observed)
    if min(1.0, (1.0 - cl) / WITHOUT_PER_WITH) * without_signal < TELLING:
        return True
    value, deviation = found.log_level(criterion)
    # How ln CLs follows mu is not known here; it falls by about one per event at few events, less at many.
    slack = error / mu
    return abs(value - math.log1p(-cl)) < AGREEMENT * deviation + slack


def _needs_check(model: CountingModel, treatment: Treatment) -> bool:
    if treatment == "none":
        return False
    observed = sum(b.observed for b in model.bins)
    background = sum(b.background for b in model.bins)
    variance = background + sum(b.background_uncertainty**2 for b in model.bins)
    if observed + background > MANY or abs(observed - background) > FAR * math.sqrt(variance + 1.0):
        return True
    for group in set(model.background_groups):
        members = [
            b
            for b, name in zip(model.bins, model.background_groups, strict=True)
            if name == group and b.background_uncertainty > 0.0
        ]
        if len(members) > 1 and sum(b.observed for b in members) >= SEVERAL:
            return True
    return False
