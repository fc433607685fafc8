"""Asymptotic formulae for models of any sources: Cowan, Cranmer, Gross, Vitells, EPJC 71, 1554 (2011).

The exact engine has its own for the models that it holds (cpp/src/counting/asymptotics.cpp).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from scipy.optimize import brentq
from scipy.special import log_ndtr

from ..config import Criterion, Treatment
from ..errors import ConvergenceError
from .counting import CountingModel
from .likelihood import likelihood
from .own_toys import filled_core

# Relative, of a limit.
TOLERANCE = 1e-8


# A bracket is widened by this factor, at most so many times.
WIDER, MOST_STEPS = 2.0, 60


class Asymptotics:
    """CLs, and the limits that it gives, by the formulae for the one-sided statistic with a signal >= 0."""

    def __init__(self, model: CountingModel, treatment: Treatment) -> None:
        known = likelihood(model, treatment)
        self._core = filled_core(model, treatment)
        self._counts = [float(channel.observed) for channel in known.channels]
        self._measured = [nuisance.nominal for nuisance in known.nuisances]
        # The experiment that finds what is expected without signal.
        _, _, parameters, converged = self._core.conditional(0.0, self._counts, self._measured)
        if not converged:
            raise ConvergenceError("the fit without signal does not converge: check the model")
        self._expected = [self._core.rate(i, 0.0, parameters) for i in range(len(self._counts))]
        self._auxiliary = [
            n.count * x if n.count else x for n, x in zip(known.nuisances, parameters, strict=True)
        ]

    def _root(self, mu: float, counts: Sequence[float], measured: Sequence[float]) -> float:
        ratio = self._core.ratio(mu, counts, measured)
        if math.isnan(ratio):
            raise ConvergenceError(f"a fit does not converge (mu = {mu:g}): check the model")
        return math.sqrt(2.0 * ratio)

    def log_level(self, mu: float, criterion: Criterion) -> float:
        """ln CLs, or ln CLs+b, of the data (eqs. 65 and 66)."""
        root = self._root(mu, self._counts, self._measured)
        asimov = self._root(mu, self._expected, self._auxiliary)
        if root <= asimov:
            with_signal, without = -root, asimov - root
        else:
            with_signal = -(root**2 + asimov**2) / (2.0 * asimov)
            without = -(root**2 - asimov**2) / (2.0 * asimov)
        return float(log_ndtr(with_signal)) - (float(log_ndtr(without)) if criterion == "cls" else 0.0)

    def upper_limit(self, cl: float, criterion: Criterion) -> float:
        """Where the level of the data falls to 1 - cl.

        Raises:
            ConvergenceError: no such signal, or a fit that fails.
        """
        return _falling_root(lambda mu: self.log_level(mu, criterion) - math.log1p(-cl), -math.log1p(-cl))

    def expected_limits(self, cl: float, criterion: Criterion) -> tuple[float, ...]:
        """The limits at -2, -1, 0, 1 and 2 standard deviations without signal.

        Raises:
            ConvergenceError: as :meth:`upper_limit`.
        """

        def of(sigma: int) -> Callable[[float], float]:
            background = float(log_ndtr(sigma)) if criterion == "cls" else 0.0
            return lambda mu: (
                float(log_ndtr(sigma - self._root(mu, self._expected, self._auxiliary)))
                - background
                - math.log1p(-cl)
            )

        return tuple(_falling_root(of(sigma), -math.log1p(-cl)) for sigma in range(-2, 3))


def _falling_root(excess: Callable[[float], float], start: float) -> float:
    """Where a falling function is zero, from a first guess above zero."""
    low = high = start
    for _ in range(MOST_STEPS):
        if excess(high) <= 0.0:
            break
        low, high = high, WIDER * high
    else:
        raise ConvergenceError("no signal is excluded, however large: check the model")
    for _ in range(MOST_STEPS):
        if excess(low) > 0.0:
            break
        low, high = low / WIDER, low
    else:
        raise ConvergenceError("every signal is excluded: use --criterion cls")
    return float(brentq(excess, low, high, rtol=TOLERANCE, xtol=TOLERANCE * low))
