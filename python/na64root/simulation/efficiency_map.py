"""A map of the efficiency for a chi2 of given energy and c tau, to be used for models of others.

``efficiency(E, c tau, S1)`` is the share of produced A' whose chi2 has this energy that are selected as S1,
with the chi2 decaying wherever it does. Averaged over is what a user of the map does not know: the A' energy
(of those above the energy where S1 begins) and angles, the place of production, the beam and the run periods
in proportion to their electrons. The residual efficiency of the card is not in it. The pair comes from
chi2 -> chi1 e+ e- with the splitting that the map says; its energy over that of chi2 depends on m_chi1/m_chi2
alone, so a map serves other masses with the same ratio as far as their A' spectrum is alike.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ConfigDict, ValidationError, field_validator, model_validator

from ..annotations import Array
from ..config import SIGNATURES, Card, Signature
from ..errors import ConfigError, DataError
from ..inputs import note, read_text
from ..records import Provenance, Record, provenance, to_json, write_atomically
from ..signal import Parameters, SignalModel
from ..work import Work
from .core_config import Signal
from .sample import RANGE_SHARES, SignalSample, decay_ranges, effective_events

# What the `format` of a map begins with; the version follows.
FORMAT_NAME = "na64root efficiency map"


# Below, the error of a cell is that of one event at least.
EFFECTIVE_EVENTS_MIN = 10.0


# A cell with fewer chi2 produced in it is not known.
PRODUCED_EVENTS_MIN = 100


# Of the JSON schema of this version, beside this package.
SCHEMA = "schemas/efficiency_map_1.json"


# Others may add to a map what they like: it is not read.
_READER = ConfigDict(extra="ignore", frozen=True, ser_json_inf_nan="null")


class MapOfSignature(Record):
    """Cells [energy][c tau]; null where the samples do not know the efficiency."""

    model_config = _READER

    efficiency: list[list[float | None]]
    error: list[list[float | None]]
    effective_events: list[list[float]]

    @model_validator(mode="after")
    def _possible(self) -> MapOfSignature:
        for name, table, largest in (
            ("efficiency", self.efficiency, 1.0),
            ("error", self.error, math.inf),
            ("effective_events", self.effective_events, math.inf),
        ):
            for value in (value for row in table for value in row):
                if value is not None and not (math.isfinite(value) and 0.0 <= value <= largest):
                    upper = " and not above 1" if largest == 1.0 else ""
                    raise ValueError(f"{name} {value:g} is not possible, it is a number from 0 on{upper}")
        for row, errors in zip(self.efficiency, self.error, strict=False):
            if any((value is None) != (error is None) for value, error in zip(row, errors, strict=False)):
                raise ValueError("an efficiency without its error, or the other way round")
        return self


class EfficiencyMap(Record):
    """An efficiency in bins of the energy of chi2 and at points of c tau, for each signature.

    `chi2_energy_edges_GeV` has one number more than there are bins. Made by :func:`make_map`; its JSON is
    described by :data:`SCHEMA`. Keys that are not known are not read.
    """

    model_config = _READER

    format: Literal["na64root efficiency map 1"] = "na64root efficiency map 1"
    definition: str
    mass_GeV: float
    mass_ratio: float
    relative_splitting: float
    chi2_energy_edges_GeV: list[float]
    ctau_cm: list[float]
    signatures: dict[Signature, MapOfSignature]
    events_per_sample: int
    provenance: Provenance

    @field_validator("provenance", mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if name in Provenance.model_fields}

    @model_validator(mode="after")
    def _of_one_shape(self) -> EfficiencyMap:
        for name, values in (
            ("chi2_energy_edges_GeV", self.chi2_energy_edges_GeV),
            ("ctau_cm", self.ctau_cm),
        ):
            rises = all(low < high for low, high in itertools.pairwise(values))
            if not (rises and all(math.isfinite(value) for value in values)):
                raise ValueError(f"{name} does not rise")
        bins, points = len(self.chi2_energy_edges_GeV) - 1, len(self.ctau_cm)
        if bins < 2 or points < 2 or not self.ctau_cm[0] > 0.0:
            raise ValueError("two bins of energy and two positive c tau are the least")
        if not self.signatures:
            raise ValueError("it has no signatures")
        for signature, cells in self.signatures.items():
            for name in MapOfSignature.model_fields:
                table = getattr(cells, name)
                if len(table) != bins or any(len(row) != points for row in table):
                    raise ValueError(f"{name} of {signature} is not [{bins} energies][{points} c tau]")
        return self

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON schema of a map of this version."""
        text = resources.files("na64root").joinpath(SCHEMA).read_text("utf-8")
        found: dict[str, Any] = json.loads(text)
        return found

    @classmethod
    def load(cls, path: str | Path) -> EfficiencyMap:
        """Read a map.

        Raises:
            DataError: no such file, or not a map.
        """
        note(path)
        try:
            data = json.loads(read_text(path))
            _require_version(path, data)
            return cls.model_validate(data)
        except OSError as error:
            raise DataError(f"cannot read {path} ({error.strerror}): give an efficiency map") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            why = first["msg"].removeprefix("Value error, ")
            told = f"{where}: {why}" if where else why
            raise DataError(f"{path} is no efficiency map ({told}): make one with acceptance --map") from None
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path} is no efficiency map (no JSON, {error}): make one with acceptance --map"
            ) from None

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the map as JSON, beside and renamed.

        Raises:
            Na64Error: the file exists and `force` is not set, or cannot be written.
        """
        text = to_json(self) + "\n"
        write_atomically(Path(path), lambda file: _write(file, text), force=force)

    def __call__(
        self, signature: Signature, chi2_energy_GeV: ArrayLike, ctau_cm: float
    ) -> tuple[Array, Array]:
        """Efficiency and its statistical error at each energy, shape of `chi2_energy_GeV`, and one c tau.

        Linear in the energy between the middles of bins, flat in the outer halves of the first and last one;
        in c tau between its points, logarithm against logarithm where both are positive.

        Raises:
            ConfigError: an energy or c tau outside the map, or in a cell that it does not know.
        """
        energy = np.asarray(chi2_energy_GeV, dtype=float)
        lower, part = self._place(energy)
        value, error = self._at_ctau(signature, ctau_cm)
        # In the middle of a bin the neighbour, which may be unknown, is not needed.
        low, high = (np.where(part == unused, 0.0, value[lower + i]) for i, unused in ((0, 1.0), (1, 0.0)))
        result = (1.0 - part) * low + part * high
        if not np.isfinite(result).all():
            bad = float(energy.flat[int(np.flatnonzero(~np.isfinite(result))[0])])
            raise ConfigError(
                f"the efficiency of {signature} at a chi2 energy of {bad:g} GeV, c tau = {ctau_cm:g} cm is "
                "not known (too few simulated events): make the map with more"
            )
        return result, np.hypot((1.0 - part) * error[lower], part * np.nan_to_num(error[lower + 1]))

    def fold(
        self, signature: Signature, chi2_energy_GeV: ArrayLike, weight: ArrayLike, ctau_cm: float
    ) -> tuple[float, float]:
        """Sum of weight times efficiency over a spectrum, shapes (n,), with the statistical error of the map.

        Raises:
            ConfigError: as for a call; energies without weight are not asked for.
        """
        energy, share = np.asarray(chi2_energy_GeV, dtype=float), np.asarray(weight, dtype=float)
        energy, share = energy[share > 0.0], share[share > 0.0]
        values, _ = self(signature, energy, ctau_cm)
        lower, part = self._place(energy)
        _, error = self._at_ctau(signature, ctau_cm)
        # One cell serves many energies: its error counts once, with the sum of its coefficients.
        coefficients = np.zeros(len(error))
        np.add.at(coefficients, lower, share * (1.0 - part))
        np.add.at(coefficients, lower + 1, share * part)
        used = coefficients != 0.0
        return float(share @ values), float(np.sqrt(np.sum((coefficients[used] * error[used]) ** 2)))

    def _place(self, energy: Array) -> tuple[NDArray[np.int64], Array]:
        """The bin below each energy, and how far it is to the next one."""
        edges = np.asarray(self.chi2_energy_edges_GeV)
        if not ((energy >= edges[0]) & (energy <= edges[-1])).all():
            raise ConfigError(
                f"chi2 energies from {energy.min():g} to {energy.max():g} GeV leave the map (from "
                f"{edges[0]:g} to {edges[-1]:g} GeV): nothing is extrapolated"
            )
        middles = 0.5 * (edges[1:] + edges[:-1])
        lower = np.clip(np.searchsorted(middles, energy) - 1, 0, len(middles) - 2)
        part = np.clip((energy - middles[lower]) / (middles[lower + 1] - middles[lower]), 0.0, 1.0)
        return lower, part

    def _at_ctau(self, signature: Signature, ctau_cm: float) -> tuple[Array, Array]:
        """Efficiency and error of each energy bin at a c tau; NaN where they are not known."""
        points = np.asarray(self.ctau_cm)
        if not points[0] <= ctau_cm <= points[-1]:
            raise ConfigError(
                f"c tau = {ctau_cm:g} cm is outside the map (from {points[0]:g} to {points[-1]:g} cm): "
                "nothing is extrapolated"
            )
        if signature not in self.signatures:
            known = ", ".join(self.signatures)
            raise ConfigError(f"no signature {signature} in the map (known: {known}): correct it")
        cells = self.signatures[signature]
        value, error = (np.array(table, dtype=float) for table in (cells.efficiency, cells.error))
        j = int(np.clip(np.searchsorted(points, ctau_cm) - 1, 0, len(points) - 2))
        t = math.log(ctau_cm / points[j]) / math.log(points[j + 1] / points[j])
        low, high = value[:, j], value[:, j + 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            logarithmic = np.exp((1.0 - t) * np.log(low) + t * np.log(high))
        result = np.where((low > 0.0) & (high > 0.0), logarithmic, (1.0 - t) * low + t * high)
        # A point of the map itself does not need its neighbour.
        result = np.where(t == 0.0, low, np.where(t == 1.0, high, result))
        # Neighbours in c tau are the same events: their errors go up and down together.
        spread = (1.0 - t) * error[:, j] + t * error[:, j + 1] if 0.0 < t < 1.0 else error[:, j + round(t)]
        return result, spread


def _require_version(path: str | Path, data: Any) -> None:
    """Raise DataError for a map of another version, which means something else by its numbers."""
    given = data.get("format") if isinstance(data, dict) else None
    known = EfficiencyMap.model_fields["format"].default
    if isinstance(given, str) and given.startswith(FORMAT_NAME) and given != known:
        raise DataError(
            f"{path} is an {given.removeprefix('na64root ')} (this na64root reads version "
            f"{known.rpartition(' ')[2]}): make it again, or use another na64root"
        )


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def make_map(
    card: Card,
    mass_GeV: float,
    *,
    ctau_cm: tuple[float, float] = (0.01, 1e4),
    points_per_decade: int = 8,
    energy_bins: int = 20,
    events: int = 100_000,
    work: Work = Work(),
) -> EfficiencyMap:
    """Simulate a map: one sample per decade of c tau, decays forced in ranges that together are all decays.

    Each point of c tau is served by the sample nearest to it.

    Args:
        mass_GeV: of the A' that is produced and decays with the card's mass ratio and splitting.
        ctau_cm: lowest and highest c tau.
        events: of each sample.

    Raises:
        ConfigError: an unphysical or stable model, a range that is empty.
    """
    if not 0.0 < ctau_cm[0] < ctau_cm[1] < math.inf:
        raise ConfigError(f"no range of c tau from {ctau_cm[0]:g} to {ctau_cm[1]:g} cm: give low < high")
    if points_per_decade < 1 or energy_bins < 2:
        raise ConfigError(
            "a map needs a point per decade of c tau and two bins of energy at least: give more"
        )
    decades = math.log10(ctau_cm[1] / ctau_cm[0])
    points = np.geomspace(*ctau_cm, max(2, round(decades * points_per_decade) + 1))
    centres = np.geomspace(*ctau_cm, max(2, round(decades) + 1))
    parameters = Parameters.of(card)
    unit_ctau = SignalModel(card).at_mass(mass_GeV).ctau_cm([1.0])[0]
    if not math.isfinite(unit_ctau):
        raise ConfigError(f"chi2 is stable at m_A' = {mass_GeV:g} GeV (no decay to map): give a larger mass")
    samples, progress = [], work.reporting("samples")
    for i, centre in enumerate(centres):
        samples.append(
            SignalSample.make(
                card,
                Signal(mass_GeV, math.sqrt(unit_ctau / centre)),
                events=events,
                forced=decay_ranges(card),
                shares=RANGE_SHARES,
                first_event=i * events,
                work=work,
            )
        )
        if progress is not None:
            progress(i + 1, len(centres))
    edges = _energy_edges(samples, energy_bins)
    threshold = min(SignalModel(card).aprime_threshold.values())
    tables = {s: _table(s, samples, edges, centres, points, threshold) for s in SIGNATURES}
    return EfficiencyMap(
        definition=(
            "efficiency[energy bin][c tau]: share of A' above the ECAL threshold of S1 whose chi2 has this "
            "energy (GeV) and c tau (cm) that are selected; error: statistical, 1 sigma; residual efficiency "
            "not included; null: not known"
        ),
        mass_GeV=mass_GeV,
        mass_ratio=parameters.mass_ratio,
        relative_splitting=parameters.relative_splitting,
        chi2_energy_edges_GeV=edges.tolist(),
        ctau_cm=points.tolist(),
        signatures=tables,
        events_per_sample=events,
        provenance=provenance(card, seed=work.seed),
    )


def _energy_edges(samples: Sequence[SignalSample], bins: int) -> Array:
    """Equal bins between the lowest and the highest chi2 that was made; those with few at the ends joined."""
    energies = [sample.produced.chi2_energy for sample in samples if sample.produced is not None]
    edges = np.linspace(min(e.min() for e in energies), max(e.max() for e in energies), bins + 1)
    for end in (-2, 1):  # the last and the first edge inside
        while len(edges) > 3:
            made = min(int(np.histogram(e, edges)[0][-1 if end == -2 else 0]) for e in energies)
            if made >= PRODUCED_EVENTS_MIN:
                break
            edges = np.delete(edges, end)
    return edges


def _table(
    signature: Signature,
    samples: Sequence[SignalSample],
    edges: Array,
    centres: Array,
    points: Array,
    threshold: float,
) -> MapOfSignature:
    """The cells of a signature, points of c tau by the nearest of the samples made at `centres`.

    Not by the one with the most events: that would favour samples that fluctuate upwards. Where it has few,
    the error is at least one event as heavy as the heaviest that is selected at any energy.
    """
    shape = (len(edges) - 1, len(points))
    effective, value, error = np.zeros(shape), np.full(shape, math.nan), np.full(shape, math.nan)
    for j, point in enumerate(points):
        nearest = int(np.argmin(np.abs(np.log(centres / point))))
        cells = _cells(signature, samples[nearest], edges, point / centres[nearest], threshold)
        known = cells.made >= PRODUCED_EVENTS_MIN
        few = cells.effective < EFFECTIVE_EVENTS_MIN
        # Selected over produced, whose weights fluctuate apart: a share is no more than 1 all the same.
        value[known, j] = np.minimum(cells.efficiency, 1.0)[known]
        error[known, j] = np.where(few, np.maximum(cells.error, cells.one_event), cells.error)[known]
        effective[known, j] = cells.effective[known]
    return MapOfSignature(
        efficiency=_nullable(value), error=_nullable(error), effective_events=effective.tolist()
    )


class _Cells(NamedTuple):
    """In each bin of energy: efficiency, its error, the efficiency of one event, effective number of selected
    and number of made events."""

    efficiency: Array
    error: Array
    one_event: Array
    effective: Array
    made: NDArray[np.int64]


def _cells(
    signature: Signature, sample: SignalSample, edges: Array, ctau_ratio: float, threshold: float
) -> _Cells:
    assert sample.produced is not None
    epsilon = sample.point.epsilon / math.sqrt(ctau_ratio)
    chi2 = sample.produced
    made = np.histogram(chi2.chi2_energy, edges)[0]
    produced = np.histogram(chi2.chi2_energy, edges, weights=chi2.weight)[0]
    produced = np.maximum(produced * sample.production_ratio(epsilon), np.finfo(float).tiny)
    energy, aprime, weight = sample.selected(epsilon)[signature]
    weight = np.where(aprime > threshold, weight, 0.0)
    total = np.histogram(energy, edges, weights=weight)[0]
    square = np.histogram(energy, edges, weights=weight**2)[0]
    return _Cells(
        efficiency=total / produced,
        error=np.sqrt(square) / produced,
        one_event=weight.max(initial=0.0) / produced,
        effective=effective_events(total, square),
        made=made,
    )


def _nullable(table: Array) -> list[list[float | None]]:
    return [[float(x) if math.isfinite(x) else None for x in row] for row in table]
