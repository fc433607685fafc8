"""Toys by the core alone, for models of any size: the same ensembles as RooStats', a hundred times as fast.

Where counts cannot be enumerated these toys set the limit, and they check the limits of the enumeration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._core import ProfileLikelihood, ToyEnsemble
from .._core import Treatment as CoreTreatment
from ..config import Criterion, Treatment
from ..errors import ConvergenceError
from ..work import Work
from .counting import CountingModel
from .likelihood import filled, likelihood
from .toy_scan import WITHOUT_PER_WITH, Scan, ToyProgress, Toys, find_limit, first_guess

# No more toys than this over the number of bins and nuisance parameters, some ten seconds; then the limit
# need be known to LEAST_PRECISION only: where data lie far below the background toys like them are rare.
MOST_TOYS_TIMES_SIZE = 12_000_000


LEAST_PRECISION = 0.03


# Toys with signal that check a limit.
CHECKING_TOYS = 100_000


# Where the data are so improbable that these are too few, as many times more are made.
MORE_TOYS, MOST_BINS_FOR_MORE_TOYS = 8, 2


# Of toys whose fit does not converge at most this part is left out, and one: it moves a CLs+b of 0.03 by 1 %
# at most, and in hard models (uncertainties of 60 % and more) such fits are one or two in ten thousand.
MOST_FAILED = 3e-4


# Limits of fewer events, seen and expected, agree with closed forms and hold-out counts: they need no check
# unless the data are far from what was expected, or several events are in bins that share a background.
MANY, SEVERAL = 10, 3


# The data are far from what was expected beyond this many standard deviations.
FAR = 2.0


# Signals more uncertain than this are checked too.
LARGE_SIGNAL_UNCERTAINTY = 0.4


# So many toys of each kind are to be as improbable as the data, or they cannot tell.
TELLING = 10


# Their CLs may be off by this many of its errors (false alarms: 6e-5), which costs the time of more toys.
AGREEMENT = 4.0


# A check excludes no difference below this many of its errors: 2.3 % of its cases.
EXCLUDED = 2.0


def filled_core(model: CountingModel, treatment: Treatment = "frequentist") -> ProfileLikelihood:
    """The core's likelihood of a model; its parameters are those of :func:`.likelihood.likelihood`."""
    made: ProfileLikelihood = filled(ProfileLikelihood(), likelihood(model, treatment))
    return made


class OwnToys:
    """Makes toys of one model; the seeds follow from the order of the batches, threads change nothing."""

    def __init__(self, model: CountingModel, treatment: Treatment, work: Work) -> None:
        known = likelihood(model, treatment)
        self._ensemble = ToyEnsemble(
            filled_core(model, treatment),
            [float(channel.observed) for channel in known.channels],
            [nuisance.nominal for nuisance in known.nuisances],
            CoreTreatment.__members__[treatment],
        )
        self._work, self._made, self._failed = work, 0, 0
        self.progress = ToyProgress(work.reporting("toys"))

    def run(self, points: Sequence[tuple[float, int, int]]) -> list[Toys]:
        """Toys for each (mu, number with signal, number without).

        Raises:
            ConvergenceError: too many fits did not converge.
        """
        return [self._toys(*point) for point in points]

    def _toys(self, mu: float, with_signal: int, without_signal: int) -> Toys:
        made = []
        try:
            for true_mu, number in ((mu, with_signal), (0.0, without_signal)):
                values, failed = self._ensemble.statistics(
                    mu, true_mu, self._work.seed, self._made, number, self._work.threads
                )
                made.append(values)
                self._made += number
                self._failed += failed
                self.progress.add(number)
            observed = self._ensemble.observed(mu)
        except RuntimeError as error:
            raise ConvergenceError(f"no toys at mu = {mu:g} ({error}): check the model") from None
        if self._failed > 1.0 + MOST_FAILED * self._made:
            raise ConvergenceError(
                f"{self._failed} fits of {self._made} toys did not converge (mu = {mu:g}): check the model"
            )
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
    toys = OwnToys(model, treatment, work)
    size = len(model.bins) + len(likelihood(model, treatment).nuisances)
    find_limit(
        toys.run,
        scan,
        start=start or guess,
        precision=precision,
        expected=band if expected else None,
        most_toys=round(MOST_TOYS_TIMES_SIZE / size),
        least_precision=max(precision, LEAST_PRECISION),
        progress=toys.progress,
    )
    toys.progress.close()
    return scan


@dataclass(frozen=True)
class Check:
    """What toys say of a limit: how far ln CLs (or CLs+b) is from ln(1 - cl) there, and their error.

    Both are None where toys cannot tell, because the data are too improbable.
    """

    difference: float | None
    error: float | None

    def agrees(self, slack: float) -> bool:
        """Whether the difference is one that toys, and a ``slack`` of ln CLs, may have."""
        if self.difference is None or self.error is None:
            return True
        return self.difference < AGREEMENT * self.error + slack

    @property
    def doubt(self) -> float:
        """A difference in ln CLs that they do not exclude."""
        if self.difference is None or self.error is None:
            return 0.0
        return max(self.difference, EXCLUDED * self.error)


def check(
    model: CountingModel, mu: float, *, cl: float, treatment: Treatment, criterion: Criterion, work: Work
) -> Check | None:
    """CLs (or CLs+b) at a limit by toys; None where enumeration is known to be right, and no toys are made.

    Raises:
        ConvergenceError: too many of their fits failed.
    """
    if not _needs_check(model, treatment):
        return None
    make = OwnToys(model, treatment, work)
    for number in (CHECKING_TOYS, MORE_TOYS * CHECKING_TOYS):
        (found,) = make.run([(mu, number, round(WITHOUT_PER_WITH * number))])
        _, without_signal = found.tail(found.observed)
        if min(1.0, (1.0 - cl) / WITHOUT_PER_WITH) * without_signal >= TELLING:
            value, error = found.log_level(criterion)
            return Check(abs(value - math.log1p(-cl)), error)
        if len(model.bins) > MOST_BINS_FOR_MORE_TOYS:
            break
    return Check(None, None)


def _needs_check(model: CountingModel, treatment: Treatment) -> bool:
    if treatment == "none":
        return False
    observed = sum(b.observed for b in model.bins)
    background = sum(b.background for b in model.bins)
    variance = background + sum(b.background_uncertainty**2 for b in model.bins)
    # There -ln L may have several minima.
    if observed and model.largest_signal_uncertainty > LARGE_SIGNAL_UNCERTAINTY:
        return True
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
