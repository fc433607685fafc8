"""A counting model as a record, which JSON holds whole."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..config import Constraint
from ..records import Record
from .counting import BackgroundConstraint, Bin, CountingModel, SignalSource
from .named_sources import NamedSource


class ModelRecord(Record):
    """A counting model: the arguments of :class:`.counting.CountingModel`, `counts` being its bins."""

    counts: list[Bin]
    signal_uncertainty: float
    constraint: Constraint
    background_constraint: BackgroundConstraint = "gaussian"
    background_correlation: Literal["signature", "none"] = "signature"
    signal_sources: dict[str, SignalSource] = Field(default_factory=dict)
    named_sources: list[NamedSource] = Field(default_factory=list)

    def model(self) -> CountingModel:
        """The counting model.

        Raises:
            ConfigError: as CountingModel.
        """
        return CountingModel(
            tuple(self.counts),
            signal_uncertainty=self.signal_uncertainty,
            constraint=self.constraint,
            background_constraint=self.background_constraint,
            background_correlation=self.background_correlation,
            signal_sources=dict(self.signal_sources),
            named_sources=tuple(self.named_sources),
        )


def record_of(model: CountingModel) -> ModelRecord:
    """The record of a model."""
    return ModelRecord(
        counts=list(model.bins),
        signal_uncertainty=model.signal_uncertainty,
        constraint=model.constraint,
        background_constraint=model.background_constraint,
        background_correlation=model.background_correlation,
        signal_sources=model.sources,
        named_sources=list(model.named_sources),
    )
