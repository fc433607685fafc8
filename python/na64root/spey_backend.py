"""A back-end of spey: counting models in its frame, with the exact engine.

spey is J. Y. Araz, SciPost Phys. 16, 032 (2024). `spey.get_backend("na64root.exact")` finds this by its entry
point. spey's own calculators (asymptotic, toys) work on the likelihood; what counts of a few events need is
``model.backend.exact_upper_limit()`` and ``model.backend.exact_confidence_level(mu)``.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ._core import ProfileLikelihood
from .annotations import Array
from .config import Treatment
from .errors import ConfigError, Na64Error
from .limits import CountingModel, experiment, upper_limit
from .limits.likelihood import Likelihood, filled, likelihood
from .limits.model_files import model_from

log = logging.getLogger(__name__)


@contextlib.contextmanager
def _loggers_as_they_are() -> Iterator[None]:
    """What an import does to the loggers of others is undone: handlers, levels, and whether they speak."""
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    before = [(one, list(one.handlers), one.level, one.disabled, one.propagate) for one in loggers]
    disabled = logging.root.manager.disable
    try:
        yield
    finally:
        logging.disable(disabled)
        for one, handlers, level, silent, propagate in before:
            if one.name == "Spey":
                continue
            one.handlers[:] = handlers
            one.setLevel(level)
            one.disabled, one.propagate = silent, propagate


try:
    with _loggers_as_they_are():
        import spey
        from spey.base.model_config import ModelConfig
except ImportError as error:
    raise Na64Error(f"no spey ({error}): pip install 'na64root[spey]'") from None


class ExactCounting(spey.BackendBase):  # type: ignore[misc]
    """A counting model of na64root as a statistical model of spey.

    The parameter of interest mu is the strength of the signal: mu = 1 is `signal` events in all bins
    together.

    Args:
        model: a :class:`na64root.CountingModel`, or a file of one: the folder of `na64root export`, or what
        `na64root limit --from` takes. signal: total expected signal events at mu = 1; 1 makes mu a number of
        events.
        treatment: of nuisance parameters in the exact engine.
        seed: of the experiments that spey draws.

    Raises:
        ConfigError: a result in which other counts stand in for hidden or missing ones, a signal that is not
            positive.
        DataError: a result that is not readable.
    """

    name = "na64root.exact"
    version = "1.0.0"
    author = "na64root"
    spey_requires = ">=0.2.0,<1.0.0"
    doi: tuple[str, ...] = ()
    arXiv: tuple[str, ...] = ("2107.02021",)

    def __init__(
        self,
        model: CountingModel | str | Path,
        signal: float = 1.0,
        treatment: Treatment = "frequentist",
        seed: int = 1,
    ) -> None:
        if not (signal > 0.0 and math.isfinite(signal)):
            raise ConfigError(f"signal = {signal!r} is not acceptable (must be positive): correct it")
        self.model = model if isinstance(model, CountingModel) else _exported(Path(model))
        self.signal, self.treatment = signal, treatment
        self._random = np.random.default_rng(seed)
        self._likelihood = likelihood(self.model, "frequentist")
        self._core = filled(ProfileLikelihood(), self._likelihood)
        self._observed = np.array([float(c.observed) for c in self._likelihood.channels])
        self._nominal = np.array([n.nominal for n in self._likelihood.nuisances])

    def exact_upper_limit(self, confidence_level: float = 0.9) -> float:
        """The upper limit on mu by CLs, of the exact engine.

        Raises:
            ConvergenceError: there is none; as :func:`na64root.upper_limit`.
        """
        limit = upper_limit(
            self.model, cl=confidence_level, method="exact", treatment=self.treatment, expected=False
        )
        return limit.upper_limit / self.signal

    def exact_confidence_level(self, mu: float = 1.0) -> float:
        """1 - CLs of the exact engine at a strength: above the confidence level it is excluded."""
        of_experiment = experiment(self.model, self.treatment)
        return 1.0 - float(of_experiment.confidence_levels(mu * self.signal)[2])

    # What spey asks for.

    def config(self, allow_negative_signal: bool = True, poi_upper_bound: float = 10.0) -> ModelConfig:
        """Parameters: mu, then the nuisance parameters; a signal is never negative here."""
        nuisances = self._likelihood.nuisances
        highest = max(poi_upper_bound, self._likelihood.highest_mu / self.signal)
        return ModelConfig(
            poi_index=0,
            minimum_poi=0.0,
            suggested_init=[min(1.0, highest), *(n.start for n in nuisances)],
            suggested_bounds=[(0.0, highest), *((n.lowest, n.highest) for n in nuisances)],
            parameter_names=["mu", *(n.name for n in nuisances)],
        )

    def get_logpdf_func(
        self,
        expected: Any = spey.ExpectationType.observed,
        data: ArrayLike | None = None,
    ) -> Callable[[Array], float]:
        """log L of (mu, nuisance parameters); `data` are counts, and auxiliary measurements where given."""
        bins = len(self._observed)
        if data is None:
            prior = expected == spey.ExpectationType.apriori
            counts = self._rates(self._start(0.0)) if prior else self._observed
            auxiliary = self._nominal
        else:
            given = np.asarray(data, dtype=float)
            counts, auxiliary = given[:bins], given[bins:] if len(given) > bins else self._nominal

        def log_likelihood(parameters: Array) -> float:
            rates = np.maximum(self._rates(parameters), np.finfo(float).tiny)
            terms = counts * np.log(rates) - rates - special.gammaln(counts + 1.0)
            return float(terms.sum()) + _auxiliary(self._likelihood, parameters[1:], auxiliary)

        return log_likelihood

    def expected_data(self, pars: Sequence[float], include_auxiliary: bool = True) -> list[float]:
        """Expected counts, and auxiliary measurements, at these parameters."""
        parameters = np.asarray(pars, dtype=float)
        counts: list[float] = self._rates(parameters).tolist()
        return counts + (self._means(parameters).tolist() if include_auxiliary else [])

    def get_sampler(self, pars: Sequence[float]) -> Callable[..., Array]:
        """Draws experiments at these parameters, as (size, counts and auxiliary measurements)."""
        parameters = np.asarray(pars, dtype=float)
        rates, means = self._rates(parameters), self._means(parameters)
        counted = np.array([n.count > 0.0 for n in self._likelihood.nuisances], dtype=bool)

        def sample(size: int, include_auxiliary: bool = True) -> Array:
            random = self._random
            counts = random.poisson(rates, (size, len(rates))).astype(float)
            if not include_auxiliary:
                return counts
            normal = random.normal(means, 1.0, (size, len(means)))
            poisson = random.poisson(np.where(counted, means, 0.0), (size, len(means)))
            return np.concatenate([counts, np.where(counted, poisson, normal)], axis=1)

        return sample

    def _start(self, mu: float) -> Array:
        return np.array([mu, *(n.start for n in self._likelihood.nuisances)])

    def _means(self, parameters: Array) -> Array:
        """Expected auxiliary measurements."""
        nuisances = self._likelihood.nuisances
        pairs = zip(nuisances, parameters[1:], strict=True)
        return np.array([n.count * x if n.count else x for n, x in pairs])

    def _rates(self, parameters: Array) -> Array:
        rates: Array = self._core.rates(parameters[:1] * self.signal, parameters[None, 1:])[0]
        return rates


def _auxiliary(known: Likelihood, parameters: Array, measured: Array) -> float:
    """log of the densities of the auxiliary measurements."""
    total = 0.0
    for nuisance, x, a in zip(known.nuisances, parameters, measured, strict=True):
        if nuisance.count:
            mean = max(nuisance.count * x, np.finfo(float).tiny)
            total += a * math.log(mean) - mean - float(special.gammaln(a + 1.0))
        else:
            total -= 0.5 * (x - a) ** 2 + 0.5 * math.log(2.0 * math.pi)
    return total


def _exported(path: Path) -> CountingModel:
    """The counting model of a result of `na64root export`, or another file of a model."""
    found = model_from(path / "export.json" if path.is_dir() else path)
    for note in found.notes:
        log.warning("%s: %s", path, note)
    if found.blind:
        raise ConfigError(
            f"{path} is blinded or of simulation, other counts stand in for observed ones (a limit would "
            "look observed): export what was observed"
        )
    return found.model
