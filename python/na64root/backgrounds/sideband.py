"""S2 from the sideband of the ECAL energy, by a fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from ..annotations import Array
from ..config import Card
from ..errors import DataError
from ..selection.cut_table import threshold_values
from .events import Events, events_in_strip
from .records import Estimate, FitCurve, estimate_of


def sideband(events: Events, card: Card) -> Estimate:
    """S2 by extrapolation along the ECAL energy, in the strip without HCAL energy.

    An exponential in the ECAL energy is fitted to the events between the box and `ecal_max_GeV` (extended
    binned Poisson likelihood) and integrated over the box. Rests on one falling spectrum of missing energy
    on both sides of the edge of the box. Statistical uncertainty: the longer side of the interval where the
    profile likelihood of the number in the box falls by 1/2. The end of the range is varied, and the shape:
    a power of the missing energy; the largest change is the uncertainty `range and shape`.

    Raises:
        DataError: fewer events than `events_min` in the sideband.
    """
    regions = card.backgrounds.sideband
    strip = events_in_strip(events, card)
    nominal = _SidebandFit.of(strip, card, exponential, regions.ecal_max_GeV.value)
    low, high = nominal.interval()
    changes = [fit.value - nominal.value for fit in _varied(strip, card).values()]
    components = {
        "statistical": max(high - nominal.value, nominal.value - low),
        "range and shape": max((abs(change) for change in changes), default=0.0),
    }
    notes = [
        f"profile interval {low:.3g} to {high:.3g}",
        f"falls by e in {nominal.parameter:.3g} GeV of missing energy",
    ]
    counted = {"sideband": float(nominal.counts.sum())}
    return estimate_of("S2", "sideband", nominal.value, components, counted, notes)


def sideband_curve(events: Events, card: Card) -> FitCurve:
    """The curve of :func:`sideband` for a figure; the band is of the covariance of the fit."""
    strip = events_in_strip(events, card)
    fit = _SidebandFit.of(strip, card, exponential, card.backgrounds.sideband.ecal_max_GeV.value)
    width = card.backgrounds.sideband.bin_width_GeV.value
    energy = np.linspace(0.0, fit.edges[-1], 120)
    curve, error = fit.curve(energy, width)
    inside = (strip.ecal >= fit.edges[0]) & (strip.ecal < fit.edges[-1])
    counts = np.histogram(strip.ecal[inside], bins=fit.edges, weights=strip.weight[inside])[0]
    return FitCurve(
        edges_GeV=fit.edges.tolist(),
        events=counts.tolist(),
        energy_GeV=energy.tolist(),
        curve=curve.tolist(),
        # A band of the logarithm: the number is positive.
        low=(curve * np.exp(-error)).tolist(),
        high=(curve * np.exp(error)).tolist(),
        alternatives={
            name: other.curve(energy, width)[0].tolist() for name, other in _varied(strip, card).items()
        },
    )


def exponential(energy: Array, slope: float, beam: float) -> Array:
    """Integral of exp(E/slope) up to E, over its value at the beam energy."""
    return np.asarray(np.exp((energy - beam) / slope))


def power(energy: Array, exponent: float, beam: float) -> Array:
    """Integral of (beam - E)^-exponent up to E, but for a factor; the exponent is above 1."""
    return np.asarray((np.maximum(beam - energy, 1e-9) / beam) ** (1.0 - exponent))


Shape = Callable[[Array, float, float], Array]


# Where the fit looks for the parameter of each shape: steeper or flatter than any spectrum of hadrons.
_RANGES: dict[Shape, tuple[float, float]] = {exponential: (1.0, 500.0), power: (1.01, 40.0)}


@dataclass(frozen=True)
class _SidebandFit:
    """Extended Poisson likelihood of the bins; its parameters are the number in the box and one of the shape.

    `unit`: sum of squared weights over sum of weights; counts over it are Poisson numbers, to good
    approximation, for weighted events too.
    """

    edges: Array
    counts: Array
    unit: float
    box_max: float
    beam: float
    shape: Shape
    parameter: float

    @classmethod
    def of(cls, strip: Events, card: Card, shape: Shape, end: float) -> _SidebandFit:
        regions = card.backgrounds.sideband
        of_periods = threshold_values(card, "ecal.s2_max_GeV")
        if len(set(of_periods)) > 1:
            raise DataError(
                "one fit of all run periods needs one edge of the box, and selection.period gives "
                f"ecal.s2_max_GeV of {', '.join(f'{edge:g}' for edge in of_periods)} GeV"
            )
        box_max = of_periods[0]
        inside = strip.where((strip.ecal >= box_max) & (strip.ecal < end))
        if len(inside.weight) < regions.events_min.value:
            raise DataError(
                f"{len(inside.weight)} events between {box_max:g} and {end:g} GeV in the ECAL, fewer than "
                f"backgrounds.sideband.events_min = {regions.events_min.value:g}"
            )
        bins = max(2, round((end - box_max) / regions.bin_width_GeV.value))
        edges = np.linspace(box_max, end, bins + 1)
        total, squares = inside.counted
        unit = squares / total
        counts = np.histogram(inside.ecal, bins=edges, weights=inside.weight)[0] / unit
        fit = cls(edges, counts, unit, box_max, card.beam.energy_GeV.value, shape, math.nan)
        low, high = np.log(_RANGES[shape])
        best = optimize.minimize_scalar(
            lambda x: fit._profile(math.exp(x)), bounds=(low, high), method="bounded", options={"xatol": 1e-6}
        )
        return cls(edges, counts, unit, box_max, fit.beam, shape, math.exp(best.x))

    def _per_box_event(self, parameter: float) -> Array:
        """Expected events of each bin for one in the box."""
        below = self.shape(np.array([0.0, self.box_max]), parameter, self.beam)
        return np.asarray(np.diff(self.shape(self.edges, parameter, self.beam)) / (below[1] - below[0]))

    def _nll(self, box: float, parameter: float) -> float:
        expected = box * self._per_box_event(parameter)
        return float(expected.sum() - (self.counts * np.log(expected)).sum())

    def _profile(self, parameter: float) -> float:
        """The likelihood with the best number in the box for this parameter."""
        return self._nll(self._best_box(parameter), parameter)

    def _best_box(self, parameter: float) -> float:
        return float(self.counts.sum() / self._per_box_event(parameter).sum())

    @property
    def value(self) -> float:
        """Events in the box."""
        return self.unit * self._best_box(self.parameter)

    def interval(self) -> tuple[float, float]:
        """Where the profile likelihood of the number in the box is 1/2 below its largest value."""
        best = self._nll(self._best_box(self.parameter), self.parameter)
        bounds = tuple(np.log(_RANGES[self.shape]))

        def rise(log_box: float) -> float:
            box = math.exp(log_box)
            found = optimize.minimize_scalar(
                lambda x: self._nll(box, math.exp(x)),
                bounds=bounds,
                method="bounded",
                options={"xatol": 1e-6},
            )
            return float(found.fun) - best - 0.5

        middle = math.log(self._best_box(self.parameter))
        low = middle - 0.5
        while rise(low) < 0.0 and low > middle - 40.0:
            low -= 1.0
        high = middle + 0.5
        while rise(high) < 0.0 and high < middle + 40.0:
            high += 1.0
        down = optimize.brentq(rise, low, middle) if rise(low) > 0.0 else -math.inf
        up = optimize.brentq(rise, middle, high)
        return self.unit * math.exp(down), self.unit * math.exp(up)

    def curve(self, energy: Array, width: float) -> tuple[Array, Array]:
        """Events per bin of this width, and the error of their logarithm from the covariance of the fit."""

        def log_curve(at: Array) -> Array:
            log_box, log_parameter = at
            parameter = math.exp(log_parameter)
            below = self.shape(np.array([0.0, self.box_max]), parameter, self.beam)
            step = self.shape(energy + 0.5 * width, parameter, self.beam) - self.shape(
                energy - 0.5 * width, parameter, self.beam
            )
            return np.asarray(log_box + np.log(step / (below[1] - below[0])))

        def nll(at: Array) -> float:
            return self._nll(math.exp(at[0]), math.exp(at[1]))

        best = np.array([math.log(self._best_box(self.parameter)), math.log(self.parameter)])
        step = 1e-3
        unit = step * np.eye(2)
        hessian = np.array(
            [
                [
                    (nll(best + u + v) - nll(best + u - v) - nll(best - u + v) + nll(best - u - v))
                    / (4 * step**2)
                    for v in unit
                ]
                for u in unit
            ]
        )
        gradient = np.array([(log_curve(best + u) - log_curve(best - u)) / (2 * step) for u in unit])
        variance = np.einsum("ie,ij,je->e", gradient, np.linalg.pinv(hessian), gradient)
        return self.unit * np.exp(log_curve(best)), np.sqrt(np.maximum(variance, 0.0))


def _varied(strip: Events, card: Card) -> dict[str, _SidebandFit]:
    """Fits with another end of the range, and with another shape; those with enough events."""
    regions = card.backgrounds.sideband
    end, variation = regions.ecal_max_GeV.value, regions.ecal_max_variation_GeV.value
    fits = {}
    for name, shape, other in (
        (f"to {end - variation:g} GeV", exponential, end - variation),
        (f"to {end + variation:g} GeV", exponential, end + variation),
        ("power of missing energy", power, end),
    ):
        try:
            fits[name] = _SidebandFit.of(strip, card, shape, other)
        except DataError:
            continue  # the nominal fit has enough; a shorter range may not
    return fits
