"""The cuts of the selection, built-in ones and those that a card declares."""

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from .experiment import SIGNATURES, Signature
from .quantity import Fraction, Model, Positive, Quantity, Whole, nearest


class TriggerCut(Model):
    """Physics triggers; it has no number."""


class PileUpCut(Model):
    """ECAL energy out of time."""

    out_of_time_max_GeV: Quantity


class StrawCut(Model):
    """Hits in each of the two straw chambers behind the magnet, both ends included."""

    hits_min: Whole
    hits_max: Whole


class BeamCellCut(Model):
    """The ECAL cell that must have most energy."""

    x: Whole
    y: Whole


class SrdCut(Model):
    """Synchrotron radiation: each module above the minimum, enough of them below the maximum."""

    module_min_GeV: Quantity
    module_max_GeV: Quantity
    modules_below_max: Whole


class MomentumCut(Model):
    """The track's momentum, within a window around the beam's."""

    nominal_GeV: Quantity
    window_GeV: Positive


class PreshowerCut(Model):
    """Least energy in the preshower of the ECAL."""

    energy_min_GeV: Quantity


class EcalCut(Model):
    """ECAL energy, of each signature; one of the cuts that make the signal boxes."""

    s1_max_GeV: Positive
    s2_max_GeV: Positive


class VetoCut(Model):
    """VETO energy; below this balance one of the two photomultipliers of a counter has failed."""

    energy_max_GeV: Quantity
    photomultiplier_balance: Fraction


class HcalCut(Model):
    """HCAL energies, of each signature; one of the cuts that make the signal boxes."""

    s1_hcal1_max_GeV: Quantity
    s1_signal_min_GeV: Quantity
    s2_total_max_GeV: Quantity

    @model_validator(mode="after")
    def _disjoint(self) -> "HcalCut":
        if self.s1_signal_min_GeV.value < self.s2_total_max_GeV.value:
            raise ValueError(
                f"signatures S1 and S2 overlap (s1_signal_min_GeV = {self.s1_signal_min_GeV.value:g} is "
                f"below s2_total_max_GeV = {self.s2_total_max_GeV.value:g}): an event would count twice"
            )
        return self


class RCut(Model):
    """The share of HCAL energy outside of the core cells, of S1."""

    r_max: Quantity
    core: Literal["period", "single"]


class ShowerChi2Cut(Model):
    """Chi2 of the shower in the ECAL."""

    chi2_max: Quantity


class DeclaredThreshold(Quantity):
    """A number that the expression of a declared cut uses by its name."""

    unit: str = ""


class CutQuantity(Model):
    """What a declared cut looks at: a C++ expression, and the axis it is shown on.

    `above` and `below` name the thresholds between which the cut accepts it.
    """

    expression: str
    title: str
    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    bins: int = Field(default=50, ge=1, le=1000)
    above: str | None = None
    below: str | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "CutQuantity":
        if not self.high > self.low:
            raise ValueError(f"the axis ends at {self.high:g}, before it begins at {self.low:g}")
        return self


class DeclaredCut(Model):
    """A cut of the user's: a C++ expression of branches that is true for events to keep.

    It is made right after the cut `after`, for these signatures and run periods (none named: all of them).
    The expression may call functions of a C++ header, which is read from beside the card; its text is `code`,
    so that it is part of the card wherever this goes.
    """

    name: str = Field(pattern="^[A-Za-z][A-Za-z0-9_]*$")
    expression: str
    after: str
    signatures: list[Signature] = Field(default=list(SIGNATURES), min_length=1)
    periods: list[str] = []
    thresholds: dict[str, DeclaredThreshold] = {}
    quantity: CutQuantity | None = None
    header: str = ""
    code: str = ""

    @model_validator(mode="after")
    def _thresholds_are_used(self) -> "DeclaredCut":
        for threshold in self.thresholds:
            if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", threshold):
                raise ValueError(f"the threshold {threshold!r} of cut {self.name} is no name in C++")
            if not re.search(rf"(?<![\w.]){threshold}\b", self.expression):
                raise ValueError(f"cut {self.name} does not use its threshold {threshold}")
        texts = [self.expression, *([self.quantity.expression] if self.quantity else [])]
        if any(re.search(r"\breturn\b", text) for text in texts):
            # RDataFrame would take the whole string for the body of a function.
            raise ValueError(f"cut {self.name} has `return` in an expression: make it a function of a header")
        if self.quantity is not None:
            for edge in (self.quantity.above, self.quantity.below):
                if edge is not None and edge not in self.thresholds:
                    why = nearest(edge, self.thresholds) or "none is declared" * (not self.thresholds)
                    raise ValueError(f"cut {self.name} has no threshold {edge}{why and f' ({why})'}")
        return self


class Selection(Model):
    """The cuts in the order they are applied; the field names are the names of the cuts everywhere.

    `declared` are more cuts, each with its place in that order; `period` has thresholds of single periods, by
    period, cut and threshold.
    """

    trigger: TriggerCut
    pile_up: PileUpCut
    straw: StrawCut
    beam_cell: BeamCellCut
    srd: SrdCut
    momentum: MomentumCut
    preshower: PreshowerCut
    ecal: EcalCut
    veto: VetoCut
    hcal: HcalCut
    r: RCut
    shower_chi2: ShowerChi2Cut
    declared: list[DeclaredCut] = []
    period: dict[str, dict[str, dict[str, Quantity]]] = {}

    @classmethod
    def built_in(cls) -> list[str]:
        """Names of the cuts of the package, in order."""
        return [name for name in cls.model_fields if name not in ("declared", "period")]

    @property
    def order(self) -> list[str]:
        """Names of all cuts in the order they are applied."""

        def from_cut(name: str) -> Iterator[str]:
            yield name
            for cut in self.declared:
                if cut.after == name:
                    yield from from_cut(cut.name)

        return [name for first in self.built_in() for name in from_cut(first)]

    def in_period(self, period: str) -> "Selection":
        """The cuts with the thresholds of a period."""
        changed = {
            cut: getattr(self, cut).model_copy(update=thresholds)
            for cut, thresholds in self.period.get(period, {}).items()
        }
        return self.model_copy(update=changed)

    @model_validator(mode="after")
    def _names_are_known(self) -> "Selection":
        names = self.built_in()
        for cut in self.declared:
            if cut.name in (*names, "initial", "period", "declared"):
                raise ValueError(f"two cuts have the name {cut.name}")
            if cut.after not in names:
                why = nearest(cut.after, names) or f"known before it: {', '.join(names)}"
                raise ValueError(f"cut {cut.name} comes after an unknown cut {cut.after} ({why})")
            names.append(cut.name)
        for period, cuts in self.period.items():
            self._check_thresholds(period, cuts)
        return self

    def _check_thresholds(self, period: str, cuts: dict[str, dict[str, Quantity]]) -> None:
        for name, thresholds in cuts.items():
            where = f"period.{period}.{name}"
            if name not in self.built_in():
                why = nearest(name, self.built_in()) or f"known are {', '.join(self.built_in())}"
                raise ValueError(f"{where}: no cut {name} ({why})")
            cut = getattr(self, name)
            known = [key for key in type(cut).model_fields if isinstance(getattr(cut, key), Quantity)]
            for key in thresholds:
                if key not in known:
                    why = nearest(key, known) or f"known are {', '.join(known) or 'none'}"
                    raise ValueError(f"{where}: no threshold {key} ({why})")
            try:
                # The rules of the cut hold in each period.
                type(cut).model_validate(
                    {**cut.model_dump(), **{k: q.model_dump() for k, q in thresholds.items()}}
                )
            except ValidationError as error:
                first = error.errors()[0]
                key = ".".join([where, *map(str, first["loc"])])
                raise ValueError(f"{key}: {first['msg'].removeprefix('Value error, ')}") from None
