"""The Bayesian upper limit with a prior in mu, nuisance parameters integrated over their constraints.

The integral over nuisance parameters is a sum over points of Sobol sequences, half of them drawn from the
priors, half from normal distributions around the best fit: the first hold where the counts say little of
them, the second where they say more than the priors. The weight of each is its prior over that mixture.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from scipy import interpolate, stats
from scipy.stats import qmc

from ..annotations import Array
from ..errors import ConfigError, ConvergenceError
from ..records import Posterior
from .best_fit import FittedModel, best_fit, rates
from .counting import CountingModel, check_choice

Prior = Literal["flat", "sqrt", "jeffreys"]
PRIORS: tuple[Prior, ...] = get_args(Prior)

# Points of one scrambled sequence, and how many sequences: their scatter is the error.
POINTS, SEQUENCES = 2**11, 8


# Points in mu, dense near zero: mu = highest u^2 with u even.
MU_POINTS = 200


# The normal distributions are wider than the fit says by this.
WIDER = 1.3


# An answer that is not known to this, relative, is none.
LARGEST_ERROR = 0.02


def posterior(model: CountingModel, *, cl: float = 0.9, prior: Prior = "flat", seed: int = 1) -> Posterior:
    """The posterior of mu, the total expected signal, and its upper limit at level `cl`.

    Priors: ``flat``; ``sqrt``, 1/sqrt(mu); ``jeffreys``, the square root of the Fisher information of the
    counts at nominal nuisance parameters, sum f_i^2 / (mu f_i + b_i). Where a gaussian uncertainty lets the
    signal vanish the posterior does not fall to zero; lognormal ones do.

    Args:
        seed: of the scrambled sequences.

    Raises:
        ConfigError: no such prior, a level outside (0, 1).
        ConvergenceError: a posterior that does not fall, or an integral that is not known to 2 %.
    """
    check_choice("prior", prior, PRIORS)
    if not 0.0 < cl < 1.0:
        raise ConfigError(f"confidence level {cl!r} is not acceptable (must lie between 0 and 1): try 0.9")
    fitted = FittedModel(model, "frequentist")
    highest = _highest(fitted, cl)
    for _ in range(6):
        mu = highest * np.linspace(0.0, 1.0, MU_POINTS + 1)[1:] ** 2
        logs = np.stack([_log_marginal(fitted, mu, seed, i) for i in range(_sequences(fitted))])
        logs -= logs.max()
        densities = np.exp(logs) * _prior(model, prior, mu)
        mean = densities.mean(axis=0)
        # mu = highest u^2: an integral over mu is one over u with the weight u.
        if mean[-1] * mu[-1] < 1e-6 * float(np.sum(mean * mu)):
            break
        highest *= 2.0
    else:
        raise ConvergenceError(
            "the posterior does not fall with the signal (a gaussian signal uncertainty lets it vanish): use "
            "--constraint lognormal"
        )
    limit = _quantile(mu, mean, cl)
    each = [_quantile(mu, density, cl) for density in densities]
    error = float(np.std(each, ddof=1)) / math.sqrt(len(each)) if len(each) > 1 else 0.0
    if error > LARGEST_ERROR * limit:
        raise ConvergenceError(
            f"the posterior is known to {error / limit:.1%} only (too many uncertain parameters): use CLs"
        )
    norm = float(_cumulative(mu, mean)[-1])
    return Posterior(
        prior=prior,
        upper_limit=limit,
        upper_limit_error=error,
        median=_quantile(mu, mean, 0.5),
        mu=mu.tolist(),
        density=(mean / norm).tolist(),
    )


def _sequences(fitted: FittedModel) -> int:
    return SEQUENCES if fitted.known.nuisances else 1


def _highest(fitted: FittedModel, cl: float) -> float:
    """Beyond it the posterior is about nothing; of what is excluded at all is enough."""
    observed = float(fitted.counts.sum())
    return 3.0 * (observed + 6.0 * math.sqrt(observed + 1.0) - 4.0 * math.log1p(-cl))


def _prior(model: CountingModel, prior: Prior, mu: Array) -> Array:
    if prior == "flat":
        return np.ones_like(mu)
    if prior == "sqrt":
        return np.asarray(1.0 / np.sqrt(mu))
    shares = np.array(model.shares)[:, None]
    background = np.array([b.background for b in model.bins])[:, None]
    return np.asarray(np.sqrt(np.sum(shares**2 / (mu * shares + background + 1e-300), axis=0)))


def _log_marginal(fitted: FittedModel, mu: Array, seed: int, sequence: int) -> Array:
    """ln of the likelihood at mu averaged over the priors, up to a constant, shape as mu."""
    known, counts = fitted.known, fitted.counts
    if not known.nuisances:
        return _log_counts(rates(known, mu, np.zeros((len(mu), 0))), counts)
    points, log_weights = _points(fitted, seed, sequence)
    found = np.empty(len(mu))
    for i, value in enumerate(mu):
        logs = _log_counts(rates(known, np.full(len(points), value), points), counts) + log_weights
        largest = logs.max()
        found[i] = largest + math.log(float(np.mean(np.exp(logs - largest))))
    return found


def _log_counts(expected: Array, counts: Array) -> Array:
    """ln of the Poisson probabilities without factorials, shape (n,) of (n, bins)."""
    return np.asarray(np.sum(counts * np.log(np.maximum(expected, 1e-300)) - expected, axis=1))


def _points(fitted: FittedModel, seed: int, sequence: int) -> tuple[Array, Array]:
    """Values of the nuisance parameters, shape (n, parameters), and ln of their weights, shape (n,)."""
    nuisances = fitted.known.nuisances
    fit = best_fit(fitted)
    priors, others = [], []
    for nuisance, parameter in zip(nuisances, fit.parameters, strict=True):
        low, high = nuisance.lowest, nuisance.highest
        priors.append(
            stats.gamma(nuisance.nominal + 1.0, scale=1.0 / nuisance.count)
            if nuisance.count
            else stats.truncnorm(low, high)
        )
        width = WIDER * (parameter.error or (1.0 / math.sqrt(nuisance.count) if nuisance.count else 1.0))
        bounds = ((low - parameter.value) / width, (high - parameter.value) / width)
        others.append(stats.truncnorm(*bounds, loc=parameter.value, scale=width))
    random = np.random.default_rng([seed, 300 + sequence])
    halves = []
    for distributions in (priors, others):
        uniform = qmc.Sobol(len(nuisances), scramble=True, seed=random).random(POINTS)
        uniform = np.clip(uniform, 1e-12, 1.0 - 1e-12)
        halves.append(np.stack([d.ppf(uniform[:, i]) for i, d in enumerate(distributions)], axis=1))
    points = np.concatenate(halves)
    log_prior, log_other = (
        sum(d.logpdf(points[:, i]) for i, d in enumerate(distributions)) for distributions in (priors, others)
    )
    mixture = np.logaddexp(log_prior, log_other) - math.log(2.0)
    return points, np.asarray(log_prior - mixture)


def _cumulative(mu: Array, density: Array) -> Array:
    """The integral up to each mu, from zero, by a spline in u = sqrt(mu), in which all priors are smooth."""
    u = np.concatenate([[0.0], np.sqrt(mu)])
    height = 2.0 * density * np.sqrt(mu)
    # 1/sqrt(mu) leaves a constant in u, other priors nothing.
    first = max(3.0 * height[0] - 3.0 * height[1] + height[2], 0.0)
    spline = interpolate.CubicSpline(u, np.concatenate([[first], height]))
    return np.asarray(spline.antiderivative()(u)[1:])


def _quantile(mu: Array, density: Array, fraction: float) -> float:
    total = _cumulative(mu, density)
    place = interpolate.PchipInterpolator(np.sqrt(mu), total / total[-1])
    roots = place.solve(fraction, extrapolate=False)
    return float(roots[0]) ** 2
