"""A number with its provenance, and the ranges that numbers of a card must be in."""

# Annotations are objects in this package, not text: pydantic compiles text, which takes a while.
import difflib
from collections.abc import Callable, Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..notebook import to_html


class Model(BaseModel):
    """What every part of a card is: frozen, with no unknown name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def _repr_html_(self) -> str:
        return to_html(self)


class Quantity(Model):
    """One number of a card and where it comes from."""

    value: float = Field(allow_inf_nan=False)
    provenance: Literal["published", "derived", "assumed", "user"]
    source: str


def within(accepts: Callable[[float], bool], rule: str) -> AfterValidator:
    """A validator of a quantity whose value must be what `rule` says."""

    def check(quantity: Quantity) -> Quantity:
        if not accepts(quantity.value):
            raise ValueError(f"{quantity.value:g} is not {rule}")
        return quantity

    return AfterValidator(check)


Positive = Annotated[Quantity, within(lambda x: x > 0.0, "positive")]


NonNegative = Annotated[Quantity, within(lambda x: x >= 0.0, "zero or positive")]


Fraction = Annotated[Quantity, within(lambda x: 0.0 <= x <= 1.0, "between 0 and 1")]


InnerFraction = Annotated[Quantity, within(lambda x: 0.0 < x < 1.0, "between 0 and 1, both excluded")]


Whole = Annotated[Quantity, within(lambda x: x >= 0.0 and x.is_integer(), "a whole number")]


Prescale = Annotated[Quantity, within(lambda x: x >= 1.0, "1 or more")]


HcalCell = Annotated[int, Field(ge=0, le=2)]


GridPoints = Annotated[Quantity, within(lambda x: x >= 2.0 and x.is_integer(), "a whole number from 2")]


Switch = Literal["on", "off"]


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that is most like another; empty where none is."""
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {match[0]}?" if match else ""
