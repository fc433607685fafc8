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

# Toys with signal that check a limit.
CHECKING_TOYS = 20_000


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
    find_limit(make, scan, start=start or guess, precision=precision, expected=band if expected else None)
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
    """Whether toys confirm that CLs (or CLs+b) is 1 - cl at this limit, within its error and theirs."""
    number = CHECKING_TOYS
    toys = OwnToys(model, treatment, work)
    (found,) = toys.run([(mu, number, round(WITHOUT_PER_WITH * number))])
    value, deviation = found.log_level(criterion)
    # How ln CLs follows mu is not known here; it falls by about one per event at few events, less at many.
    slack = error / mu
    return abs(value - math.log1p(-cl)) < AGREEMENT * deviation + slack
