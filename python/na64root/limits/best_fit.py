"""The best fit of a counting model, and what toys say of it: goodness of fit, injected signals, scans.

All fits are those of the core (:class:`na64root._core.ProfileLikelihood`), with mu >= 0. Toys are those of
the limits: around the nuisance parameters fitted to the data, auxiliary measurements fluctuating with the
counts (``frequentist``), or nuisance parameters drawn from their priors (``hybrid``), or fixed (``none``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from .._core import ProfileLikelihood
from ..annotations import Array
from ..config import Treatment
from ..errors import ConvergenceError
from ..records import BestFit, FittedParameter, Goodness, Injected, StrengthImpact
from ..work import Work
from .counting import CountingModel
from .likelihood import Likelihood, Nuisance, filled, likelihood

# Steps of the second derivatives, in units of a parameter's own uncertainty: differences are good to 1e-6.
STEP = 1e-3


# A parameter within this many steps of an end of its range is at its bound.
AT_BOUND = 3.0


# Values of the statistic nearer than this are the same: fits repeat to 1e-8.
SAME = 1e-6


# Bins of the distribution of a statistic.
DISTRIBUTION_BINS = 40


# A nuisance parameter is fixed by a range as narrow as this.
FIXED = 1e-7


class FittedModel:
    """A model, its likelihood, and the fits of its data and of toys.

    Raises:
        ConfigError: as :func:`.likelihood.likelihood`.
    """

    def __init__(self, model: CountingModel, treatment: Treatment) -> None:
        self.treatment: Treatment = "none" if model.is_certain else treatment
        self.known = likelihood(model, self.treatment)
        self.core = filled(ProfileLikelihood(), self.known)
        self.counts = np.array([float(channel.observed) for channel in self.known.channels])
        self.measured = np.array([nuisance.nominal for nuisance in self.known.nuisances])

    def free(self, counts: Array, measured: Array) -> tuple[float, Array]:
        """The best mu >= 0 and nuisance parameters.

        Raises:
            ConvergenceError: the fit failed.
        """
        _, mu, parameters, converged = self.core.free(counts.tolist(), measured.tolist())
        if not converged:
            raise ConvergenceError(
                "the fit of the counts did not converge (flat likelihood): check the model"
            )
        return float(mu), np.asarray(parameters)

    def conditional(self, mu: float, counts: Array, measured: Array) -> Array:
        """The best nuisance parameters at one mu.

        Raises:
            ConvergenceError: the fit failed.
        """
        _, _, parameters, converged = self.core.conditional(mu, counts.tolist(), measured.tolist())
        if not converged:
            raise ConvergenceError(
                f"the fit at mu = {mu:g} did not converge (flat likelihood): check the model"
            )
        return np.asarray(parameters)

    def ratio(self, mu: float, counts: Array, measured: Array) -> float:
        """-2 ln [L(mu) / L(best mu)], two-sided; not below zero.

        Raises:
            ConvergenceError: a fit failed.
        """
        value = 2.0 * self.core.ratio(mu, counts.tolist(), measured.tolist(), one_sided=False)
        if not math.isfinite(value):
            raise ConvergenceError(
                f"the fit at mu = {mu:g} did not converge (flat likelihood): check the model"
            )
        return max(float(value), 0.0)

    def toys(self, mu: float, number: int, random: np.random.Generator) -> tuple[Array, Array]:
        """Counts, shape (number, bins), and auxiliary measurements, (number, parameters), with signal mu."""
        fitted = self.conditional(mu, self.counts, self.measured)
        return self.toys_of(mu, fitted, number, random)

    def toys_of(
        self, mu: float, fitted: Array, number: int, random: np.random.Generator
    ) -> tuple[Array, Array]:
        """The same around nuisance parameters that are known."""
        nuisances = self.known.nuisances
        if self.treatment == "hybrid":
            drawn = np.stack([draw_from_prior(n, number, random) for n in nuisances], axis=1)
            measured = np.broadcast_to(self.measured, drawn.shape)
        else:
            drawn = np.broadcast_to(fitted, (number, len(nuisances)))
            measured = np.zeros(drawn.shape)
            for i, nuisance in enumerate(nuisances):
                measured[:, i] = (
                    random.poisson(nuisance.count * drawn[:, i])
                    if nuisance.count
                    else random.normal(drawn[:, i], 1.0)
                )
        return random.poisson(rates(self.known, np.full(number, mu), drawn)).astype(float), measured


def draw_from_prior(nuisance: Nuisance, number: int, random: np.random.Generator) -> Array:
    """A nuisance parameter as its constraint has it, within its range, shape (number,)."""
    found = np.empty(0)
    while len(found) < number:
        drawn = (
            random.gamma(nuisance.nominal + 1.0, 1.0 / nuisance.count, number)
            if nuisance.count
            else random.normal(0.0, 1.0, number)
        )
        found = np.append(found, drawn[(drawn >= nuisance.lowest) & (drawn <= nuisance.highest)])
    return found[:number]


def rates(known: Likelihood, mu: Array, parameters: Array) -> Array:
    """Expected events, shape (n, bins), for mu of shape (n,) and parameters of shape (n, parameters)."""
    return np.asarray(filled(ProfileLikelihood(), known).rates(mu, parameters))


def minus_log_likelihood(
    known: Likelihood, mu: Array, parameters: Array, counts: Array, measured: Array
) -> Array:
    """-ln L against that of rates equal to the counts and parameters equal to their measurements, shape (n,).

    Args:
        mu, parameters, counts, measured: shapes (n,), (n, parameters), (n, bins), (n, parameters).
    """
    value = np.sum(_poisson(rates(known, mu, parameters), counts), axis=1)
    for i, nuisance in enumerate(known.nuisances):
        x, a = parameters[:, i], measured[:, i]
        value = value + (_poisson(nuisance.count * x, a) if nuisance.count else 0.5 * (x - a) ** 2)
    return np.asarray(value)


def _poisson(expected: Array, count: Array) -> Array:
    """-ln of a Poisson probability over its largest: half the deviance."""
    expected = np.maximum(expected, 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.where(count > 0.0, count * np.log(count / expected), 0.0)
    return np.asarray(expected - count + logarithm)


def best_fit(fitted: FittedModel) -> BestFit:
    """The best fit with errors, pulls and correlations, from the second derivatives of -ln L there.

    Raises:
        ConvergenceError: the fit failed.
    """
    known, counts, measured = fitted.known, fitted.counts, fitted.measured
    mu, parameters = fitted.free(counts, measured)
    scale_mu = math.sqrt(float(counts.sum()) + 1.0)
    scales = np.array([scale_mu, *(_uncertainty(n) for n in known.nuisances)])
    point = np.array([mu, *parameters])
    lowest = np.array([0.0, *(n.lowest for n in known.nuisances)])
    highest = np.array([math.inf, *(n.highest for n in known.nuisances)])
    inside = (point - lowest > AT_BOUND * STEP * scales) & (highest - point > AT_BOUND * STEP * scales)
    moving = [i for i, inner in enumerate(inside) if inner]

    def value(at: Array) -> float:
        return float(
            minus_log_likelihood(known, at[None, 0], at[None, 1:], counts[None, :], measured[None, :])[0]
        )

    covariance = np.linalg.pinv(_second_derivatives(value, point, moving, STEP * scales))
    variances = np.diag(covariance)
    errors: list[float | None] = [None] * len(point)
    for i, variance in zip(moving, variances, strict=True):
        errors[i] = math.sqrt(variance) if variance > 0.0 else None
    names = ["mu", *(n.name for n in known.nuisances)]
    roots = np.sqrt(np.maximum(variances, 1e-300))
    return BestFit(
        mu=mu,
        mu_error=errors[0],
        mu_at_bound=not bool(inside[0]),
        minus_log_likelihood=value(point),
        parameters=[
            FittedParameter(
                name=n.name,
                value=float(x),
                error=error,
                nominal=n.start,
                pull=(float(x) - n.start) / _uncertainty(n),
                constraint=None if error is None else error / _uncertainty(n),
            )
            for n, x, error in zip(known.nuisances, parameters, errors[1:], strict=True)
        ],
        correlated=[names[i] for i in moving],
        correlation=(covariance / np.outer(roots, roots)).tolist(),
    )


def _uncertainty(nuisance: Nuisance) -> float:
    """Of the auxiliary measurement, in units of the parameter."""
    return 1.0 / math.sqrt(nuisance.count) if nuisance.count else 1.0


def _second_derivatives(
    value: Callable[[Array], float], point: Array, moving: Sequence[int], steps: Array
) -> Array:
    """The matrix over the parameters that move, by central differences."""

    def at(*moves: tuple[int, float]) -> float:
        place = point.copy()
        for i, sign in moves:
            place[i] += sign * steps[i]
        return value(place)

    found = np.empty((len(moving), len(moving)))
    middle = at()
    for a, i in enumerate(moving):
        found[a, a] = (at((i, 1.0)) - 2.0 * middle + at((i, -1.0))) / steps[i] ** 2
        for b, j in enumerate(moving[:a]):
            mixed = at((i, 1.0), (j, 1.0)) - at((i, 1.0), (j, -1.0))
            mixed += at((i, -1.0), (j, -1.0)) - at((i, -1.0), (j, 1.0))
            found[a, b] = found[b, a] = mixed / (4.0 * steps[i] * steps[j])
    return found


def strength_impacts(fitted: FittedModel, fit: BestFit) -> list[StrengthImpact]:
    """The fitted mu with each nuisance parameter one of its errors lower and higher, the others fitted again.

    Raises:
        ConvergenceError: a fit failed.
    """
    found = []
    for i, parameter in enumerate(fit.parameters):
        if parameter.error is None:
            continue
        values = []
        for sign in (-1.0, 1.0):
            nuisance = fitted.known.nuisances[i]
            place = min(max(parameter.value + sign * parameter.error, nuisance.lowest), nuisance.highest)
            nuisances = list(fitted.known.nuisances)
            nuisances[i] = replace(nuisance, lowest=place - FIXED, highest=place + FIXED)
            core = filled(ProfileLikelihood(), replace(fitted.known, nuisances=tuple(nuisances)))
            _, mu, _, converged = core.free(fitted.counts.tolist(), fitted.measured.tolist())
            if not converged:
                raise ConvergenceError(
                    f"the fit with {parameter.name} fixed did not converge (flat likelihood): check the model"
                )
            values.append(float(mu))
        found.append(StrengthImpact(parameter=parameter.name, down=values[0], up=values[1]))
    return found


def goodness_of_fit(fitted: FittedModel, *, toys: int, work: Work = Work()) -> list[Goodness]:
    """The saturated statistic of the best fit and of background alone, with p-values by toys of each.

    Cousins, "Generalization of chisquare goodness-of-fit test for binned data using saturated models" (2013).

    Raises:
        ConvergenceError: a fit failed.
    """
    progress = work.reporting("toys of the goodness of fit")
    found = []
    for place, hypothesis in enumerate(("best_fit", "background_only")):
        random = np.random.default_rng([work.seed, place])

        def statistic(counts: Array, measured: Array, free: bool = hypothesis == "best_fit") -> float:
            if free:
                mu, parameters = fitted.free(counts, measured)
            else:
                mu, parameters = 0.0, fitted.conditional(0.0, counts, measured)
            value = minus_log_likelihood(
                fitted.known, np.array([mu]), parameters[None, :], counts[None, :], measured[None, :]
            )
            return 2.0 * float(value[0])

        if hypothesis == "best_fit":
            mu, parameters = fitted.free(fitted.counts, fitted.measured)
        else:
            mu, parameters = 0.0, fitted.conditional(0.0, fitted.counts, fitted.measured)
        observed = statistic(fitted.counts, fitted.measured)
        values = np.empty(toys)
        for i, toy in enumerate(zip(*fitted.toys_of(mu, parameters, toys, random), strict=True)):
            values[i] = statistic(*toy)
            if progress is not None and (i + 1) % 200 == 0:
                progress(place * toys + i + 1, 2 * toys)
        p_value = float(np.mean(values >= observed - SAME))
        edges = np.linspace(
            0.0, 1.1 * max(observed, float(np.quantile(values, 0.999)), 1.0), DISTRIBUTION_BINS + 1
        )
        inside = np.minimum(values, 0.5 * (edges[-2] + edges[-1]))
        found.append(
            Goodness(
                hypothesis=hypothesis,
                statistic=observed,
                p_value=p_value,
                p_value_error=math.sqrt(max(p_value * (1.0 - p_value), 1.0 / toys) / toys),
                toys=toys,
                edges=edges.tolist(),
                fractions=(np.histogram(inside, edges)[0] / toys).tolist(),
            )
        )
    if progress is not None:
        progress(2 * toys, 2 * toys)
    return found


def injection(
    fitted: FittedModel, strengths: Sequence[float], *, toys: int, work: Work = Work()
) -> list[Injected]:
    """Signals of known strength in toys, and what is fitted there.

    Raises:
        ConvergenceError: a fit failed.
    """
    progress = work.reporting("toys with signal")
    found = []
    for place, mu in enumerate(strengths):
        random = np.random.default_rng([work.seed, 100 + place])
        values, pulls = np.empty(toys), np.empty(toys)
        for i, toy in enumerate(zip(*fitted.toys(mu, toys, random), strict=True)):
            values[i] = fitted.free(*toy)[0]
            pulls[i] = math.copysign(math.sqrt(fitted.ratio(mu, *toy)), values[i] - mu)
            if progress is not None and (i + 1) % 200 == 0:
                progress(place * toys + i + 1, len(strengths) * toys)
        error = float(values.std(ddof=1)) / math.sqrt(toys)
        found.append(
            Injected(
                injected=mu,
                mean=float(values.mean()),
                mean_error=error,
                median=float(np.median(values)),
                bias=float(values.mean()) - mu,
                at_zero=float(np.mean(values < SAME)),
                pull_mean=float(pulls.mean()),
                pull_mean_error=float(pulls.std(ddof=1)) / math.sqrt(toys),
                pull_width=float(pulls.std(ddof=1)),
                toys=toys,
            )
        )
    if progress is not None:
        progress(len(strengths) * toys, len(strengths) * toys)
    return found
