"""The card: all sections together, and what is derived from several of them."""

import hashlib
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, Field, model_validator

from ..errors import ConfigError
from .control import BackgroundsConfig, QualityConfig
from .cuts import Selection
from .experiment import Beam, ExcludedRuns, Geometry, Period, Target
from .input import InputConfig, LayoutConfig
from .model import ModelConfig, MuonG2, PlaneRanges, SignalConfig
from .quantity import Model, Quantity, nearest
from .simulation import Detector, Pseudodata
from .statistics import LimitConfig, Systematics


class CardInfo(Model):
    """What a card is called, and what it is for."""

    name: str
    description: str


# Sections that a card may leave out: those of the default card then hold.
OPTIONAL_SECTIONS = ("quality", "backgrounds")


class Card(Model):
    """A whole card. `sha256` identifies its content, overrides included."""

    card: CardInfo
    model: ModelConfig
    beam: Beam
    periods: list[Period] = Field(min_length=1)
    excluded_runs: list[ExcludedRuns] = []
    geometry: Geometry
    target: Target
    selection: Selection
    signal: SignalConfig
    limit: LimitConfig
    muon_g2: MuonG2
    plane: PlaneRanges
    pseudodata: Pseudodata
    detector: Detector
    quality: QualityConfig
    backgrounds: BackgroundsConfig
    input: InputConfig = InputConfig()
    layout: LayoutConfig | None = None
    systematics: Systematics = Systematics()

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        yield "name", self.card.name
        yield "sha256", self.sha256[:16]
        yield "changed", self.changed()

    @model_validator(mode="after")
    def _uncertainties_named_once(self) -> "Card":
        published = self.limit.signal_uncertainties
        if both := self.systematics.sources.keys() & published.keys():
            raise ValueError(
                f"{min(both)} is a source in systematics and in limit.signal_uncertainties (it would count "
                "twice)"
            )
        if unknown := [name for name in self.systematics.replaces if name not in published]:
            raise ValueError(
                f"systematics.replaces names {unknown[0]}, no source of limit.signal_uncertainties "
                f"(known: {', '.join(published)})"
            )
        return self

    @model_validator(mode="after")
    def _runs_disjoint(self) -> "Card":
        named = [(p.first_run, p.last_run, f"period {p.name}") for p in self.periods]
        named += [(r.first_run, r.last_run, f"excluded runs ({r.reason})") for r in self.excluded_runs]
        named.sort()
        for (_, last, name), (first, _, next_name) in itertools.pairwise(named):
            if first <= last:
                raise ValueError(f"{name} and {next_name} share run {first}")
        if not self.eot > 0.0:
            raise ValueError("the periods have no electrons on target (sum of eot is zero)")
        names = [p.name for p in self.periods]
        if len(set(names)) != len(names):
            raise ValueError(f"two periods have the same name: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _selection_knows_the_periods(self) -> "Card":
        names = [period.name for period in self.periods]
        named = [("selection.period", list(self.selection.period))]
        named += [(f"cut {cut.name}", cut.periods) for cut in self.selection.declared]
        for where, periods in named:
            for period in periods:
                if period not in names:
                    why = nearest(period, names) or f"known are {', '.join(names)}"
                    raise ValueError(f"{where} names an unknown period {period} ({why})")
        return self

    @property
    def sha256(self) -> str:
        """The checksum of every number of the card with its provenance."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def eot(self) -> float:
        """Electrons on target of all periods."""
        return sum(p.eot.value for p in self.periods)

    @property
    def for_simulation(self) -> "Card":
        """The card for simulated events: their runs stand for periods, and no list of good runs has them; a
        file that is left out would be missing in their normalisation. Values for "no value" are the same.
        """
        return self.model_copy(update={"input": InputConfig(sentinels=self.input.sentinels)})

    def exposure(self, eot: Mapping[str, float] | None = None) -> dict[str, float]:
        """Electrons on target of each period: the card's, or those of `eot`, by period.

        The key ``all`` scales the periods to a total.

        Raises:
            ConfigError: an unknown period, or a number that is not finite and >= 0.
        """
        exposure = {period.name: period.eot.value for period in self.periods}
        for name, value in (eot or {}).items():
            if not (value >= 0.0 and math.isfinite(value)):
                raise ConfigError(
                    f"{value:g} electrons on target for {name} (a number >= 0 is needed): correct --eot"
                )
            if name == "all":
                exposure = {period: value * share / self.eot for period, share in exposure.items()}
            elif name in exposure:
                exposure[name] = float(value)
            else:
                raise ConfigError(
                    f"no period {name} in card {self.card.name} (known: {', '.join(exposure)}): correct --eot"
                )
        return exposure

    def changed(self) -> dict[str, float]:
        """Every number that a user changed (`--set`, an option), by its dotted name."""
        return {name: q.value for name, q in _quantities(self, "") if q.provenance == "user"}

    def settings(self) -> dict[str, Quantity | float | str | bool]:
        """Every value that `--set` can replace, by its dotted name: numbers with provenance, and choices."""
        return dict(_settings(self, ""))

    def assumed(self) -> dict[str, Quantity]:
        """Every number of the card marked `assumed`, by its dotted name."""
        return {name: q for name, q in _quantities(self, "") if q.provenance == "assumed"}


def _quantities(node: Any, prefix: str) -> Iterable[tuple[str, Quantity]]:
    if isinstance(node, Quantity):
        yield prefix, node
        return
    items: Iterable[tuple[str, Any]] = ()
    if isinstance(node, BaseModel):
        items = ((name, getattr(node, name)) for name in type(node).model_fields)
    elif isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list):
        items = ((getattr(child, "name", str(i)), child) for i, child in enumerate(node))
    for name, child in items:
        yield from _quantities(child, f"{prefix}.{name}" if prefix else name)


def _settings(node: Any, prefix: str) -> Iterable[tuple[str, Any]]:
    """As :func:`_quantities`, with single values that have no provenance."""
    if isinstance(node, Quantity | str | int | float | bool):
        yield prefix, node
        return
    items: Iterable[tuple[str, Any]] = ()
    if isinstance(node, BaseModel):
        items = ((name, getattr(node, name)) for name in type(node).model_fields)
    elif isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list) and all(isinstance(child, BaseModel) for child in node):
        items = ((getattr(child, "name", str(i)), child) for i, child in enumerate(node))
    for name, child in items:
        yield from _settings(child, f"{prefix}.{name}" if prefix else str(name))
