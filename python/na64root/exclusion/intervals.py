"""The range of epsilon that is excluded at a mass."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .. import limits
from ..annotations import Array
from ..errors import ConfigError, ConvergenceError
from ..limits import check_choice

# Where the signal is too large and twice the log likelihood ratio above this, its two-sided p-value is below
# 1e-4: it need not be enumerated, which takes minutes for hundreds of expected events.
# The ratio ends at 25 where a Gaussian signal uncertainty is 20 %.
FAR_FROM_DATA = 20.0


def epsilon_intervals(
    expected: Callable[[Array], Array],
    model: Callable[[float], limits.CountingModel],
    epsilon: ArrayLike,
    *,
    cl: float = 0.9,
    treatment: Literal["none", "hybrid"] = "hybrid",
) -> list[tuple[float, float]]:
    """The values of epsilon that agree with the counts: parts of the grid, rising, often none, one or two.

    At each epsilon the expected signal has a total mu and a share of S1. That epsilon belongs to the interval
    where mu belongs to the two-sided one (Feldman and Cousins) of the model with this share, so that at any
    true epsilon the interval holds it as often as the one in mu. The total is not monotonic: it grows with
    production, epsilon^2, and falls where chi2 decays too early. So two parts may agree with one count, and
    none where no epsilon makes enough signal. Few events agree with any small enough epsilon.

    Args:
        expected: (S1, S2) events, shape (n_epsilon, 2), for epsilon of shape (n_epsilon,).
        model: the counting model with a share of S1.
        epsilon: the grid, rising. A part at its end stops there; what is narrower than a step is not found.

    Raises:
        ConfigError: a grid that is not positive and rising, a level outside (0, 1), another treatment.
        ConvergenceError: an enumeration that failed.
    """
    grid = np.atleast_1d(np.asarray(epsilon, dtype=float))
    if not (len(grid) > 0 and grid[0] > 0.0 and (np.diff(grid) > 0.0).all() and np.isfinite(grid[-1])):
        raise ConfigError(
            "the grid of epsilon is not positive and rising (an interval needs one): correct it"
        )
    if not 0.0 < cl < 1.0:
        raise ConfigError(f"confidence level {cl!r} is not acceptable (must lie between 0 and 1): try 0.9")
    check_choice("treatment of a two-sided interval", treatment, ("none", "hybrid"))

    def agrees(value: float) -> bool:
        s1, s2 = (float(events) for events in expected(np.array([value]))[0])
        share = s1 / (s1 + s2) if s1 + s2 > 0.0 else 0.5
        try:
            engine = limits.experiment(model(share), treatment)
            return engine.statistic(s1 + s2) < FAR_FROM_DATA and engine.two_sided_p_value(s1 + s2) > 1.0 - cl
        except RuntimeError as error:
            raise ConvergenceError(
                f"no two-sided p-value at epsilon = {value:g} ({error}): report this"
            ) from None

    def edge(inside: float, outside: float) -> float:
        while abs(math.log(outside / inside)) > 1e-4:
            middle = math.sqrt(inside * outside)
            inside, outside = (middle, outside) if agrees(middle) else (inside, middle)
        return inside

    found = np.flatnonzero([agrees(float(value)) for value in grid])
    if not len(found):
        return []
    return [
        (
            float(grid[0]) if part[0] == 0 else edge(float(grid[part[0]]), float(grid[part[0] - 1])),
            float(grid[-1])
            if part[-1] == len(grid) - 1
            else edge(float(grid[part[-1]]), float(grid[part[-1] + 1])),
        )
        for part in np.split(found, np.flatnonzero(np.diff(found) > 1) + 1)
    ]
