"""All thresholds of the signal boxes and the cut on R at once, which the paper left for a future analysis.

"The optimization of the selection criteria will enhance the sensitivity up to around 10%" (the paper). Here
that is computed, with expected limits on both signatures together.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy import interpolate, stats

from .. import limits
from ..annotations import Array
from ..config import Card, changed_card
from ..errors import ConfigError
from ..records import BestCuts, Count, CutsTogether, provenance
from ..signal import SignalModel, card_counts
from ..simulation.core_config import Signal
from ..work import Work
from .counting_models import bins_of_counts, counting_model
from .r_cut import EVERY_R, PARTS, S1Events, background_of_s1, jackknife, signal_of_s1
from .strength import Exclusion

# The cuts that are chosen, by their names in the card, and the values that are tried beside the card's own.
# Hadrons of the pseudo-data have 15 GeV at least: what background a lower threshold of the HCAL has is not
# known. Above an ECAL energy of 60 GeV pile-up begins for S2, above 85 GeV those hadrons end too.
TRIED = {
    "selection.ecal.s1_max_GeV": (50.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0, 85.0),
    "selection.hcal.s1_signal_min_GeV": (15.0, 17.5, 20.0, 25.0, 30.0),
    "selection.r.r_max": (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3),
    "selection.ecal.s2_max_GeV": (20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0),
}


# Between them the mean limit is interpolated: shares of the background of the loosest cuts, and of S1.
BACKGROUND_NODES = np.array([0.0, 0.06, 0.25, 0.55, 1.0])
SHARE_NODES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])


# Counts that are less likely are left out of a mean, whose weights are normalised.
LEAST_PROBABILITY = 2e-3


# Of all counts at least this part is in a mean.
LEAST_KEPT = 0.9


def best_cuts(
    card: Card,
    point: Signal,
    *,
    events: int = 200_000,
    background_exposures: float = 20.0,
    work: Work = Work(),
) -> BestCuts:
    """The thresholds of S1 and S2 and the cut on R with the best expected sensitivity of both together.

    Signal: of S1 simulated and selected as data, in proportion to the chain's number at the card's cuts; of
    S2 the chain's. Background: as many events as the card says at its cuts. That of S1 changes with them as
    neutral hadrons of the pseudo-data do, of S2 as the spectrum of missing energy of the pseudo-data,
    exponential (both assumed: no reference for them is published).

    Args:
        events: of the signal.
        background_exposures: size of the background sample of S1, in exposures of the card.

    Raises:
        ConfigError: samples too small to say anything; as :func:`na64root.simulation.simulate.signal`.
    """
    if not (background_exposures > 0.0 and math.isfinite(background_exposures)):
        raise ConfigError(
            f"a background of {background_exposures:g} exposures (a positive number is needed): correct it"
        )
    if card.selection.period:
        raise ConfigError(
            "the best cuts of a card with thresholds of single periods (selection.period): leave those out"
        )
    return _Choice(card, point, events, background_exposures, work).result(work)


class _Choice:
    """The events of every choice of cuts, in parts; axes are those of TRIED."""

    def __init__(self, card: Card, point: Signal, events: int, exposures: float, work: Work) -> None:
        self.card, self.point = card, point
        self.values = {name: _values(card, name) for name in TRIED}
        loose = changed_card(
            card,
            {
                "selection.ecal.s1_max_GeV": self._loosest("selection.ecal.s1_max_GeV"),
                "selection.hcal.s1_signal_min_GeV": self.values["selection.hcal.s1_signal_min_GeV"][0],
                "selection.r.r_max": EVERY_R,
            },
        )
        signal = signal_of_s1(card, point, events, loose, work)
        background = background_of_s1(card, exposures, loose, work)
        self.candidates = {"signal": len(signal.r), "background": len(background.r)}
        self.signal_parts, self.background_parts = self._tables(signal), self._tables(background)
        self.place = tuple(
            int(np.searchsorted(values, _of_card(card, name))) for name, values in self.values.items()
        )
        i, j, k = self.place[:3]
        if not min(self.signal_parts[:, i, j, k].min(), self.background_parts[:, i, j, k].min()) > 0.0:
            raise ConfigError(
                f"{len(signal.r)} signal and {len(background.r)} background events of S1 are too few to "
                "choose cuts: simulate more"
            )
        self.counts: dict[str, Count] = {c.signature: c for c in card_counts(card, card.exposure())}
        self._expect_s2()

    def _loosest(self, name: str) -> float:
        return float(self.values[name][-1])

    def _tables(self, events: S1Events) -> Array:
        """Sums of weights of each choice for S1, by part of the sample, shape (PARTS, s1_max, minimum, R)."""
        ecal, minimum, r = (self.values[name] for name in list(TRIED)[:3])
        bins = [np.append(-np.inf, ecal), np.append(minimum, np.inf), np.append(-np.inf, r)]
        parts = []
        for i in range(PARTS):
            part = [column[i::PARTS] for column in events]
            table, _ = np.histogramdd(np.stack(part[:3], axis=1), bins, weights=part[3])
            at_least = np.flip(np.flip(table, axis=1).cumsum(axis=1), axis=1)
            parts.append(at_least.cumsum(axis=0).cumsum(axis=2))
        return np.array(parts)

    def _expect_s2(self) -> None:
        """Signal of both at the card's cuts, and signal and background of S2 for each of its thresholds."""
        name = "selection.ecal.s2_max_GeV"
        exposure, mass, epsilon = self.card.exposure(), self.point.mass_GeV, [self.point.epsilon]
        own = Exclusion(self.card, list(self.counts.values()), exposure)
        self.signal_s1 = float(own.expected(own.signal.at_mass(mass), epsilon)[0, 0])
        self.signal_s2 = np.array(
            [
                float(
                    SignalModel(changed_card(self.card, {name: value}))
                    .at_mass(mass)
                    .per_electron(epsilon)[0, 1]
                )
                for value in self.values[name]
            ]
        ) * float(own.weight[1])
        slope = self.card.pseudodata.missing_energy_slope_GeV.value
        above = (self.values[name] - _of_card(self.card, name)) / slope
        self.background_s2 = self.counts["S2"].background * np.exp(above)

    def expected(self, signal: Array, background: Array) -> tuple[Array, Array, Array, Array]:
        """Signal and background of S1 and S2 for sums of the tables, each of the shape of all choices."""
        at = self.place[:3]
        s1 = (self.signal_s1 * signal / signal[at])[..., None]
        b1 = (self.counts["S1"].background * background / background[at])[..., None]
        shape = (*signal.shape, len(self.signal_s2))
        s1, b1, s2, b2 = (np.broadcast_to(x, shape) for x in (s1, b1, self.signal_s2, self.background_s2))
        return s1, b1, s2, b2

    def mean_limit(self, b1: float, b2: float, share: float) -> float:
        """Mean upper limit on the signal over Poisson counts of the background alone."""
        total = weights = 0.0
        for n1, n2 in itertools.product(*(range(_most(b) + 1) for b in (b1, b2))):
            weight = float(stats.poisson.pmf(n1, b1) * stats.poisson.pmf(n2, b2))
            if weight < LEAST_PROBABILITY:
                continue
            counts = [self._with("S1", n1, b1), self._with("S2", n2, b2)]
            bins = bins_of_counts(self.card, counts, self.card.exposure())
            model = counting_model(self.card, bins, share)
            total += weight * limits.card_limit(model, self.card, expected=False, checked=False).upper_limit
            weights += weight
        if weights < LEAST_KEPT:
            raise ConfigError(
                f"backgrounds of {b1:.3g} and {b2:.3g} events are too many to choose cuts by (each pair of "
                "counts is looked at): give tighter cuts to begin with"
            )
        return total / weights

    def _with(self, signature: str, observed: int, background: float) -> Count:
        """The count with another background, of the same relative uncertainty."""
        count = self.counts[signature]
        scale = background / count.background if count.background > 0.0 else 0.0
        update = {
            "observed": observed,
            "background": background,
            "background_uncertainty": count.background_uncertainty * scale,
        }
        return count.model_copy(update=update)

    def result(self, work: Work) -> BestCuts:
        """The best choice, what it gains, and what each cut gains alone."""
        whole = self.expected(self.signal_parts.sum(axis=0), self.background_parts.sum(axis=0))
        # To choose by: of the choices that are told the mean limit is computed.
        interpolated = _MeanLimits(self, 1.1 * float(whole[1].max()), float(whole[3].max()))

        def sensitivity(signal_parts: Array, background_parts: Array) -> Array:
            """Signal over mean limit of every choice, in units of that of the card's."""
            s1, b1, s2, b2 = self.expected(signal_parts.sum(axis=0), background_parts.sum(axis=0))
            value = (s1 + s2) / interpolated(s1, b1, s2, b2)
            return np.asarray(value / value[self.place])

        halves = [(self.signal_parts[i::2], self.background_parts[i::2]) for i in range(2)]
        by_half = [sensitivity(*half) for half in halves]
        chosen = [_highest(values) for values in by_half]
        gain = 0.5 * sum(self._gain(*halves[1 - i], chosen[i]) for i in range(2))
        values = sensitivity(self.signal_parts, self.background_parts)
        best = _highest(values)

        def without(parts: Array, i: int) -> Array:
            return np.delete(parts, i, axis=0)

        signal, background = self.signal_parts, self.background_parts
        of_signal = [sensitivity(without(signal, i), background)[best] for i in range(PARTS)]
        of_background = [sensitivity(signal, without(background, i))[best] for i in range(PARTS)]
        error = math.hypot(float(jackknife(of_signal)), float(jackknife(of_background)))
        alone: dict[str, tuple[float, float]] = {}
        for axis, (name, tried) in enumerate(self.values.items()):
            line = values[tuple(slice(None) if i == axis else j for i, j in enumerate(self.place))]
            here = int(np.argmax(line))
            moved = tuple(here if i == axis else j for i, j in enumerate(self.place))
            alone[name] = float(tried[here]), self._gain(self.signal_parts, self.background_parts, moved)
        counts = self.counts
        return BestCuts(
            mass_GeV=self.point.mass_GeV,
            epsilon=self.point.epsilon,
            card=self._described(self.place, whole),
            best=self._described(best, whole),
            gain=gain,
            gain_error=error,
            alone=alone,
            tried={name: tried.tolist() for name, tried in self.values.items()},
            candidates=self.candidates,
            background=f"{counts['S1'].background:g} and {counts['S2'].background:g} events of S1 and S2 at "
            "the card's cuts; neutral hadrons and the missing energy of the pseudo-data (assumed)",
            published="up to around 10 % by optimizing the selection criteria",
            provenance=provenance(
                self.card, seed=work.seed, limit_method=f"exact, {self.card.limit.treatment}"
            ),
        )

    def _gain(self, signal_parts: Array, background_parts: Array, place: tuple[int, ...]) -> float:
        """Signal over mean limit at a choice, over that at the card's, less 1; nothing is interpolated."""
        expected = self.expected(signal_parts.sum(axis=0), background_parts.sum(axis=0))
        here, there = (self._described(at, expected) for at in (place, self.place))
        value = sum(here.signal.values()) / here.mean_limit
        return value / (sum(there.signal.values()) / there.mean_limit) - 1.0

    def _described(self, place: tuple[int, ...], expected: tuple[Array, Array, Array, Array]) -> CutsTogether:
        s1, b1, s2, b2 = (float(values[place]) for values in expected)
        return CutsTogether(
            cuts={name: float(tried[i]) for (name, tried), i in zip(self.values.items(), place, strict=True)},
            signal={"S1": s1, "S2": s2},
            background={"S1": b1, "S2": b2},
            mean_limit=self.mean_limit(b1, b2, s1 / (s1 + s2)),
        )


class _MeanLimits:
    """Mean limits of many choices, interpolated in the roots of the backgrounds and in the share of S1."""

    def __init__(self, choice: _Choice, largest_s1: float, largest_s2: float) -> None:
        self._largest = max(largest_s1, 1e-9), max(largest_s2, 1e-9)  # none at all is a node of its own
        nodes = [
            [choice.mean_limit(largest_s1 * x, largest_s2 * y, share) for share in SHARE_NODES]
            for x in BACKGROUND_NODES
            for y in BACKGROUND_NODES
        ]
        roots = np.sqrt(BACKGROUND_NODES)
        table = np.array(nodes).reshape(len(roots), len(roots), len(SHARE_NODES))
        self._table = interpolate.RegularGridInterpolator((roots, roots, SHARE_NODES), table, method="linear")

    def __call__(self, s1: Array, b1: Array, s2: Array, b2: Array) -> Array:
        x, y = (np.sqrt(np.minimum(b / most, 1.0)) for b, most in zip((b1, b2), self._largest, strict=True))
        return np.asarray(self._table(np.stack([x, y, s1 / (s1 + s2)], axis=-1)))


def _highest(values: Array) -> tuple[int, ...]:
    """The place of the highest value."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(values)), values.shape))


def _of_card(card: Card, name: str) -> float:
    """The number of a card by its name."""
    return float(card.settings()[name].value)  # type: ignore[union-attr]


def _values(card: Card, name: str) -> Array:
    """The values of a cut that are tried, the card's among them."""
    return np.unique(np.append(TRIED[name], _of_card(card, name)))


def _most(background: float) -> int:
    """The largest count that is likely enough to be looked at."""
    return int(stats.poisson.isf(LEAST_PROBABILITY, background)) + 1 if background > 0.0 else 0
