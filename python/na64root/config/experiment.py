"""The beam, the run periods, the geometry and the target."""

import itertools
from typing import Literal

from pydantic import Field, model_validator

from .quantity import Fraction, HcalCell, Model, NonNegative, Positive, Quantity, Whole

Signature = Literal["S1", "S2"]


SIGNATURES: tuple[Signature, ...] = ("S1", "S2")


class Beam(Model):
    """The beam, of electrons or positrons: both are counted as `eot`; positrons annihilate as they come."""

    energy_GeV: Positive
    particle: Literal["e-", "e+"] = "e-"

    @property
    def charge(self) -> int:
        """Of the beam's particles."""
        return -1 if self.particle == "e-" else 1


class RunRange(Model):
    """First and last run, both included; runs are numbers of 32 bits."""

    first_run: int = Field(ge=0, le=2**32 - 1)
    last_run: int = Field(ge=0, le=2**32 - 1)

    @model_validator(mode="after")
    def _ordered(self) -> "RunRange":
        if self.last_run < self.first_run:
            raise ValueError(f"last_run {self.last_run} is before first_run {self.first_run}")
        return self


class Period(RunRange):
    """A run period: its runs (inclusive), exposure and the core cells (x, y) of HCAL1, HCAL2, HCAL3."""

    name: str
    eot: NonNegative
    residual_efficiency: Fraction
    hcal_core: list[list[tuple[HcalCell, HcalCell]]] = Field(min_length=3, max_length=3)


class ExcludedRuns(RunRange):
    """Runs that no period has, and why."""

    reason: str


class Geometry(Model):
    """Positions along the beam, z = 0 at the front of the ECAL."""

    ecal_start_cm: Quantity
    ecal_end_cm: Quantity
    veto_cm: Quantity
    hcal1_start_cm: Quantity
    hcal1_end_cm: Quantity
    hcal2_start_cm: Quantity
    hcal2_end_cm: Quantity
    hcal3_start_cm: Quantity
    hcal3_end_cm: Quantity

    @model_validator(mode="after")
    def _in_beam_order(self) -> "Geometry":
        values = [(name, getattr(self, name).value) for name in type(self).model_fields]
        for (name, position), (next_name, next_position) in itertools.pairwise(values):
            if next_position < position:
                raise ValueError(f"{next_name} = {next_position:g} lies before {name} = {position:g}")
        return self


class Target(Model):
    """The ECAL as a target: its heavy element and layers."""

    material: str
    lead_layer_cm: Positive
    scintillator_layer_cm: Positive
    layers: Whole
