"""Reading a CLs limit from toys: which toys to make, the fit of CLs over mu, and when to stop.

Nothing here knows how toys are made: :mod:`na64root.limits.roostats` makes them. Three things that go wrong
in common practice are avoided:

* **Interpolation.** The limit is read from a curve fitted through ln CLs near the crossing, not from CLs
  itself on a coarse grid.
* **Brackets.** The scan widens itself until the limit lies inside it; an edge is never the limit.
* **Errors.** They come from the fitted probabilities: with those of the observed numbers, points that
  fluctuated down would weigh less, and a scan that thinks too well of itself would stop too soon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import NDArray
from scipy import optimize

from ..annotations import Array, Progress
from ..config import Criterion, Treatment
from ..errors import ConvergenceError
from ..records import Expected, LimitResult
from .counting import CountingModel

# Makes toys for each (mu, number with signal, number without).
MakeToys = Callable[[Sequence[tuple[float, int, int]]], "list[Toys]"]


# Toys with signal in a batch, at most, so that processes end a round together; as a batch costs a model, at
# least 100.
LARGEST_BATCH = 10_000


# Toys with signal at each mu of the first round.
FIRST_TOYS = 1000


# Toys with and without signal at each mu for the expected limits.
TOYS_OF_BANDS = 4000


# Toys without signal per toy with signal: CLb, the larger of the two probabilities, needs fewer.
WITHOUT_PER_WITH = 0.25


# Of a round of toys, below, at and above the limit: those at the limit tell where it is, the others the
# slope. As nothing is known of the slope in the first, it has thirds.
SHARES = (0.2, 0.6, 0.2)


# Steps of the search for a bracket, relative.
STEP = 1.4


MOST_ROUNDS = 60


MOST_TOYS = 10_000_000


# Toys are made where ln CLs differs by REACH from its value at the limit, but not further away than WIDEST in
# ln mu; where the slope is not known yet, at distances from WIDEST to NARROWEST.
REACH, WIDEST, NARROWEST = 0.9, 0.35, 0.1


# The fit takes the points where ln CLs is this near its value at the limit.
WINDOW = 1.5 * REACH


# The last round of toys lies around the limit to this fraction of its reach.
CENTRED = 0.5


# The slope of ln CLs must be known to be falling, by this many of its errors.
STEEP = 4.0


# A limit is read from at least so many toys in the tail, with signal and without.
LEAST_IN_TAIL = 20


# So many toys that their statistical error is none.
CERTAIN = 1e9


@dataclass(frozen=True)
class Toys:
    """The statistic -ln(likelihood ratio) at one mu: of the data, and of toys with and without signal."""

    mu: float
    observed: float
    with_signal: NDArray[np.float64]
    without_signal: NDArray[np.float64]

    def __add__(self, other: Toys) -> Toys:
        # Ties with the observed value stay exact when two batches differ in its last bits.
        def aligned(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.where(values == other.observed, self.observed, values)

        return Toys(
            self.mu,
            self.observed,
            np.concatenate([self.with_signal, aligned(other.with_signal)]),
            np.concatenate([self.without_signal, aligned(other.without_signal)]),
        )

    @property
    def size(self) -> int:
        """How many toys there are, with and without signal."""
        return len(self.with_signal) + len(self.without_signal)

    def tail(self, threshold: float) -> tuple[int, int]:
        """How many toys with and without signal are at or above a threshold."""
        return int((self.with_signal >= threshold).sum()), int((self.without_signal >= threshold).sum())

    def log_level(self, criterion: Criterion) -> tuple[float, float]:
        """ln CLs (or CLs+b) and its error; (-inf, inf) where no toy with signal is in the tail."""
        with_signal, without_signal = self.tail(self.observed)
        if with_signal == 0 or (without_signal == 0 and criterion == "cls"):
            return -math.inf, math.inf
        p, b = with_signal / len(self.with_signal), without_signal / len(self.without_signal)
        variance = (1.0 - p) / with_signal
        if criterion == "clsb":
            b = 1.0
        else:
            variance += (1.0 - b) / without_signal
        # One toy more or less is the least that can be told.
        return math.log(p / b), max(math.sqrt(variance), 1.0 / len(self.with_signal))


@dataclass(frozen=True)
class Crossing:
    """Where ln CLs crosses ln(1 - cl): mu, its statistical error, and the slope in ln mu there."""

    mu: float
    error: float
    slope: float

    @property
    def reach(self) -> float:
        """Distance in ln mu at which toys tell most."""
        return min(WIDEST, REACH / abs(self.slope))


@dataclass(frozen=True)
class _Tails:
    """Toys in the tail and in all: mu rising, shape (n,); numbers with and without signal, shape (n, 2)."""

    mu: Array
    passed: Array
    made: Array


@dataclass
class Scan:
    """CLs from toys at several mu, and the limit that follows."""

    cl: float
    treatment: Treatment
    criterion: Criterion = "cls"
    points: dict[float, Toys] = field(default_factory=dict)
    # Reaches far enough for the expected limits.
    wide: bool = False

    def add(self, toys: Toys) -> None:
        """Add toys, to those there are at their mu."""
        self.points[toys.mu] = self.points[toys.mu] + toys if toys.mu in self.points else toys

    @property
    def toys(self) -> int:
        """How many toys there are at all mu."""
        return sum(point.size for point in self.points.values())

    def crossing(self, threshold: Callable[[Toys], float] | None = None) -> Crossing | None:
        """Where ln CLs crosses ln(1 - cl); None when the scan does not bracket it or has too few toys.

        ``threshold`` gives the value of the statistic to be judged; by default it is the observed one.
        """
        tails = self._tails(threshold)
        near = np.abs(self._falling(tails)) <= WINDOW
        return _fitted_crossing(tails.mu[near], tails.passed[near], tails.made[near], self._target)

    def place(self) -> float | None:
        """About where the crossing is; None when the scan does not reach it."""
        tails = self._tails(None)
        falling = self._falling(tails)
        above = np.flatnonzero(falling > 0.0)
        if not len(above) or above[-1] + 1 == len(falling):
            return None
        i = int(above[-1])
        share = float(falling[i] / (falling[i] - falling[i + 1]))
        return float(tails.mu[i] ** (1.0 - share) * tails.mu[i + 1] ** share)

    def _falling(self, tails: _Tails) -> Array:
        """ln CLs - ln(1 - cl) at each mu, the nearest values that fall."""
        # Half a toy keeps the logarithms finite.
        passed, made = tails.passed + 0.5, tails.made + 1.0
        log_p = np.log(passed / made)
        variance = (1.0 / passed - 1.0 / made).sum(axis=1)
        excess = log_p[:, 0] - log_p[:, 1] - self._target
        fit = optimize.isotonic_regression(excess, weights=1.0 / variance, increasing=False)
        return np.asarray(fit.x)

    @property
    def _target(self) -> float:
        return math.log1p(-self.cl)

    def _tails(self, threshold: Callable[[Toys], float] | None) -> _Tails:
        points = sorted(self.points.values(), key=lambda point: point.mu)
        mu = np.array([p.mu for p in points])
        passed = np.array(
            [p.tail(p.observed if threshold is None else threshold(p)) for p in points], dtype=float
        )
        made = np.array([(len(p.with_signal), len(p.without_signal)) for p in points], dtype=float)
        if self.criterion == "clsb":  # as if CLb were one
            passed[:, 1] = made[:, 1] = CERTAIN
        return _Tails(mu, passed, made)

    def log_level(self, mu: float) -> tuple[float, float]:
        """ln CLs (or CLs+b) at a mu of the scan, and its statistical error."""
        return self.points[mu].log_level(self.criterion)

    def expected(self) -> Expected:
        """Quantiles over the toys without signal, as in HypoTestInverterResult; None beyond the scan."""
        bands: dict[str, float | None] = {}
        for sigma, name in zip((-2, -1, 0, 1, 2), Expected.model_fields, strict=True):
            fraction = 0.5 * math.erfc(sigma / math.sqrt(2.0))

            def threshold(point: Toys, fraction: float = fraction) -> float:
                return float(np.quantile(point.without_signal, fraction, method="lower"))

            found = self.crossing(threshold)
            bands[name] = None if found is None else found.mu
        return Expected(**bands)

    def result(self) -> LimitResult:
        """The limit that the toys give; raises ConvergenceError where they do not reach it."""
        found = self.crossing()
        if found is None:
            raise ConvergenceError("the scan does not reach the limit (too few toys): ask for more precision")
        return LimitResult(
            upper_limit=found.mu,
            upper_limit_error=found.error,
            expected=self.expected() if self.wide else Expected(**dict.fromkeys(Expected.model_fields)),
            cl=self.cl,
            method="roostats",
            treatment=self.treatment,
            toys=self.toys,
            criterion=self.criterion,
        )


def _fitted_crossing(mu: Array, passed: Array, made: Array, target: float) -> Crossing | None:
    """Root of ln CLs(mu) = target from two binomial fits of ln p, polynomials in ln mu.

    None unless three values of mu or more lie around it, with enough toys in their tails.
    """
    if len(mu) < 3 or passed.sum(axis=0).min() < LEAST_IN_TAIL:
        return None
    x = np.log(mu / mu.mean())
    # ln CLs+b bends where events were seen; ln CLb is nearly constant.
    fits = [
        _log_binomial_fit(polynomial.polyvander(x, order), passed[:, i], made[:, i])
        for i, order in enumerate((2, 1))
    ]
    if fits[0] is None or fits[1] is None:
        return None
    (coefficients, covariance), (without_signal, other) = fits[0], fits[1]
    coefficients[:2] -= without_signal
    coefficients[0] -= target
    covariance[:2, :2] += other
    derivative = polynomial.polyder(coefficients)
    roots = [float(root.real) for root in polynomial.polyroots(coefficients) if abs(root.imag) < 1e-9]
    falling = [root for root in roots if x[0] <= root <= x[-1] and polynomial.polyval(root, derivative) < 0.0]
    if not falling:
        return None
    root = min(falling, key=abs)
    slope = float(polynomial.polyval(root, derivative))
    powers = polynomial.polyvander(root, len(coefficients) - 1)[0]
    rise = np.array([k * root ** (k - 1) if k else 0.0 for k in range(len(coefficients))])
    slope_error = math.sqrt(float(rise @ covariance @ rise))
    if not -slope > STEEP * slope_error:
        return None
    variance = float(powers @ covariance @ powers)
    found = float(mu.mean()) * math.exp(root)
    # Scans whose slope came out too steep would stop too soon: the slope less its error tells the error.
    error = found * math.sqrt(variance) / (abs(slope) - slope_error)
    return Crossing(found, error, slope)


def _log_binomial_fit(design: Array, passed: Array, made: Array) -> tuple[Array, Array] | None:
    """Maximum likelihood of ln p = design @ parameters for binomial counts, with the covariance.

    The likelihood is concave; None where it does not determine the parameters.
    """
    # Half a toy more that failed, at each mu: the maximum lies at p < 1 also where every toy passed, and ln p
    # moves by less than its error.
    made = made + 0.5

    def log_likelihood(parameters: Array) -> float:
        log_p = design @ parameters
        if not (log_p < 0.0).all():
            return -math.inf
        return float(passed @ log_p + (made - passed) @ np.log(-np.expm1(log_p)))

    parameters = np.zeros(design.shape[1])
    parameters[0] = math.log(passed.sum() / made.sum())
    value = log_likelihood(parameters)
    for _ in range(200):
        log_p = design @ parameters
        odds = 1.0 / np.expm1(-log_p)  # p/(1-p)
        information = design.T @ (design * (made * odds)[:, None])
        gradient = design.T @ (passed - (made - passed) * odds)
        try:
            step = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            return None
        length = 1.0
        while not (new_value := log_likelihood(parameters + length * step)) >= value - 1e-12 * abs(value):
            length *= 0.5
            if length < 1e-12:
                return None
        parameters, value = parameters + length * step, new_value
        if np.abs(step).max() < 1e-7:
            return parameters, np.asarray(np.linalg.inv(information))
    return None


def first_guess(model: CountingModel, cl: float) -> tuple[float, tuple[float, float]]:
    """About where a limit is, and the range of mu that expected limits need."""
    observed = sum(b.observed for b in model.bins)
    background = sum(b.background for b in model.bins)
    variance = model.background_variance
    least = -math.log1p(-cl)
    start = max(0.0, observed - background) + least + math.sqrt(observed + variance)
    # From below the limit of no event seen to above that of an upward fluctuation by two standard deviations.
    return start, (0.5 * least, 1.4 * (background + 2.5 * math.sqrt(background + variance) + 1.5 * least))


class ToyProgress:
    """Tells how many toys are made, and of how many, once the error of the limit lets that be foreseen."""

    def __init__(self, report: Progress | None) -> None:
        self._report, self._made, self._wanted = report, 0, 0

    def add(self, toys: int) -> None:
        """So many toys more are made."""
        self._made += toys
        if self._report is not None and self._wanted:
            self._report(min(self._made, self._wanted - 1), self._wanted)

    def expect(self, toys: int) -> None:
        """So many toys more are wanted."""
        self._wanted = self._made + max(toys, 1)

    def close(self) -> None:
        """No more are made."""
        if self._report is not None and self._wanted:
            self._report(self._wanted, self._wanted)


def find_limit(
    make: MakeToys,
    scan: Scan,
    *,
    start: float,
    precision: float,
    expected: tuple[float, float] | None = None,
    most_toys: int = MOST_TOYS,
    least_precision: float | None = None,
    progress: ToyProgress | None = None,
) -> None:
    """Fill a scan with toys at the mu that matter until the limit is known to the relative ``precision``.

    Args:
        make: makes toys; called with the points of one round at a time.
        start: a guess of the limit.
        expected: also toys for the expected limits, over this range of mu.
        most_toys: no more are made.
        least_precision: what is good enough when so many are made; by default ``precision``.
        progress: is told how many toys are still wanted; whoever makes them says how many there are.

    Raises:
        ConvergenceError: no bracket found, or precision not reached.
    """
    good_enough = precision if least_precision is None else least_precision
    low, high = _bracket(make, scan, start, most_toys)
    # Rounds of toys around the crossing, each as large as the error asks for and at most twice all before.
    limit = scan.place() or math.sqrt(low * high)
    # Of many events the limit is known better than these distances: CLs falls within their square root.
    widest, narrowest = min(WIDEST, 2.0 / math.sqrt(limit)), min(NARROWEST, 0.6 / math.sqrt(limit))
    reach = widest
    number, shares = 3 * FIRST_TOYS, (1 / 3, 1 / 3, 1 / 3)
    for _ in range(MOST_ROUNDS):
        if scan.toys + number > most_toys:
            break
        batches = []
        for step, share in zip((-1.0, 0.0, 1.0), shares, strict=True):
            parts = max(1, round(share * number / LARGEST_BATCH))
            size = max(100, round(share * number / parts))
            mu = limit * math.exp(step * reach)
            batches += [(mu, size, round(WITHOUT_PER_WITH * size))] * parts
        for new in make(batches):
            scan.add(new)
        found = scan.crossing()
        if found is None:
            # Too far from the crossing, too near for the slope, or too few: try each in turn.
            limit = scan.place() or limit
            reach = 0.6 * reach if reach > narrowest else widest
            number = round(1.4 * number)
            continue
        centred = abs(math.log(limit / found.mu)) < CENTRED * reach and reach < 2.0 * found.reach
        limit, reach, shares = found.mu, found.reach, SHARES
        if centred and found.error <= precision * limit:
            if expected is not None:
                _widen(make, scan, *expected)
            return
        done = sum(len(point.with_signal) for point in scan.points.values())
        wanted = max(1.1 * (found.error / (precision * limit)) ** 2 - 1.0, 0.1)
        number = round(min(wanted, 2.0) * done)
        if progress is not None:
            progress.expect(min(round((1.0 + WITHOUT_PER_WITH) * wanted * done), most_toys - scan.toys))
    found = scan.crossing()
    if found is not None and found.error <= good_enough * found.mu:
        if expected is not None:
            _widen(make, scan, *expected)
        return
    raise ConvergenceError(
        f"the limit is not known to {good_enough:g} after {scan.toys} toys (few of them are as improbable as "
        "the data): ask for less precision"
    )


def _widen(make: MakeToys, scan: Scan, low: float, high: float) -> None:
    """Toys over the range of the expected limits, at distances in ln mu that a fit can use.

    From the observed limit outwards, until they are known, and a step more.
    """
    steps = max(2, math.ceil(math.log(high / low) / WIDEST))
    wide = [low * (high / low) ** (i / steps) for i in range(steps + 1)]
    centre = scan.place() or math.sqrt(low * high)
    wide.sort(key=lambda mu: abs(math.log(mu / centre)))
    known = False
    for pair in (wide[i : i + 2] for i in range(0, len(wide), 2)):
        for new in make([(mu, TOYS_OF_BANDS, TOYS_OF_BANDS) for mu in pair]):
            scan.add(new)
        if known:
            break
        known = None not in scan.expected().model_dump().values()
    scan.wide = True


def _bracket(make: MakeToys, scan: Scan, start: float, most_toys: int) -> tuple[float, float]:
    """Two values of mu with the limit between them, sure at two standard deviations."""
    target = math.log1p(-scan.cl)
    # Enough toys for five in the tail with signal, at the limit; many more where the data are improbable.
    number = max(200, round(20.0 / (1.0 - scan.cl)))
    for _ in range(6):
        (first,) = make([(start, number, number)])
        scan.add(first)
        if scan.criterion == "clsb" or first.tail(first.observed)[1] * (1.0 - scan.cl) >= 5.0:
            break
        if scan.toys + 8 * number > most_toys:
            break
        number *= 4
    if scan.criterion == "cls" and not scan.points[start].tail(scan.points[start].observed)[1]:
        raise ConvergenceError(
            f"none of {len(scan.points[start].without_signal)} toys without signal is like the data (too "
            "improbable, a limit would mean nothing): check counts and backgrounds"
        )
    low = high = start
    for _ in range(MOST_ROUNDS):
        if scan.toys > most_toys:
            break
        value, error = scan.log_level(low)
        if not value - target > 2.0 * error:
            low /= STEP
            scan.add(make([(low, number, number)])[0])
            continue
        value, error = scan.log_level(high)
        if math.isfinite(value) and not value - target < -2.0 * error:
            high *= STEP
            scan.add(make([(high, number, number)])[0])
            continue
        return low, high
    raise ConvergenceError(
        f"no bracket of the limit found by {scan.toys} toys (too improbable data, or no limit): "
        "check the model"
    )
