"""Limits: counts, backgrounds, uncertainties of the signal, systematic sources."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .experiment import Signature
from .quantity import InnerFraction, Model, NonNegative, Quantity, Whole, within

Constraint = Literal["lognormal", "gaussian"]


Treatment = Literal["none", "frequentist", "hybrid"]


Correlation = Literal["all", "none"]


VariationKind = Literal["scale", "threshold", "resolution", "stochastic"]


UncertaintyInLimit = Literal["published", "varied"]


Criterion = Literal["cls", "clsb"]


class SignatureCounts(Model):
    """Background of a signature for the card's whole exposure, and the count observed in it."""

    background: NonNegative
    background_uncertainty: NonNegative
    observed: Whole


class SignalUncertainty(Quantity):
    """A relative uncertainty of the signal, common to all bins (``all``) or of each bin alone (``none``)."""

    correlation: Correlation = "all"

    @model_validator(mode="after")
    def _not_negative(self) -> "SignalUncertainty":
        if self.value < 0.0:
            raise ValueError(f"{self.value:g} is not zero or positive")
        return self


class LimitConfig(Model):
    """How limits are set: level, treatment, uncertainties of the signal, and the card's own counts."""

    confidence_level: InnerFraction
    constraint: Constraint
    treatment: Treatment
    signal_uncertainties: dict[str, SignalUncertainty]
    S1: SignatureCounts
    S2: SignatureCounts

    def counts(self, signature: Signature) -> SignatureCounts:
        """The card's own count and background of a signature."""
        return self.S1 if signature == "S1" else self.S2


class SystematicSource(Model):
    """A systematic uncertainty of measured quantities, varied together, event by event.

    ``scale`` multiplies the columns by 1 + size and 1 - size, ``threshold`` divides by them, which is every
    threshold on them moved by that share. ``resolution`` multiplies by 1 + size z, ``stochastic`` adds size
    sqrt(E) z, with one standard normal z for each event.
    """

    kind: VariationKind
    columns: list[str] = Field(min_length=1)
    size: Annotated[Quantity, within(lambda x: 0.0 < x < 1.0, "between 0 and 1, both excluded")]

    @model_validator(mode="after")
    def _columns_once(self) -> "SystematicSource":
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("a column is named twice")
        return self


class Systematics(Model):
    """Sources that are varied on demand, and what the limit on a simulated signal takes.

    ``published``: the card's `limit.signal_uncertainties` alone. ``varied``: what the sources do to the
    sample, in place of those of `limit.signal_uncertainties` that `replaces` names.
    """

    in_limit: UncertaintyInLimit = "published"
    replaces: list[str] = []
    sources: dict[Annotated[str, Field(pattern=r"^[A-Za-z]\w*$")], SystematicSource] = {}
