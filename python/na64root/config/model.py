"""The dark sector, how its signal is computed, the muon's g-2 and the planes that are scanned."""

from typing import Any, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from .mediator import Charges, Coupling, Mediator, mediator_of
from .quantity import Fraction, GridPoints, Model, NonNegative, Positive, Quantity, Whole

Approximation = Literal["etl", "ww", "iww"]


WidthFormula = Literal["exact", "paper"]


DecayModel = Literal["matrix_element", "phase_space"]


Annihilation = Literal["off", "on"]


SignalAcceptance = Literal["chain", "simulation"]


S2Reading = Literal["beyond", "inclusive"]


ResidualMeaning = Literal["total", "rest"]


class ModelConfig(Model):
    """The dark sector: alpha_D, R = m_A'/m_chi1, f = Delta/m_chi1, its mediator, and the formulas for it.

    `mediator` is one of :data:`na64root.config.mediator.MEDIATORS`, or the name of one with `charges`;
    `coupling` is how it couples, to matter as to chi1 chi2.
    """

    alpha_dark: Positive
    mass_ratio: Positive
    relative_splitting: Positive
    approximation: Approximation
    width: WidthFormula
    decay: DecayModel
    annihilation: Annihilation
    mediator: str = "kinetic_mixing"
    charges: Charges | None = None
    coupling: Coupling = "vector"

    @model_validator(mode="after")
    def _mediator_is_known(self) -> "ModelConfig":
        mediator = mediator_of(self.mediator, self.charges, self.coupling)
        if self.coupling != "vector" and self.approximation != "etl":
            raise ValueError(
                f"approximation = {self.approximation} with coupling = {self.coupling} (it is of vectors): "
                "set etl"
            )
        if self.width == "paper" and not mediator.is_kinetic_mixing:
            raise ValueError(
                f"width = paper with mediator {self.mediator} (Eq. 2 is of kinetic mixing): set exact"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_vector(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A card of a vector keeps the checksum that it has had.
        values: dict[str, Any] = serialise(self)
        if self.coupling == "vector":
            values.pop("coupling", None)
        return values

    @property
    def vector(self) -> Mediator:
        """The mediator with its charges."""
        return mediator_of(self.mediator, self.charges, self.coupling)


class SignalConfig(Model):
    """Where the expected signal comes from: the semi-analytic chain, with the published efficiency of the R
    cut, or the own simulation, in samples of `simulated_events`; a point with fewer than
    `effective_events_min` effective events in a signature gets a sample of its own.

    `s2`: decays behind the detector alone, as the paper, or all that the selection leaves; a pair that starts
    in the ECAL then leaks as if it started `late_shower_shift_X0` later. `residual`: what
    `residual_efficiency` stands for, everything that an A' without visible decay loses but to the ECAL cut,
    or what DAQ, pile-up, tracking and SRD lose alone, the rest of it being computed.
    """

    acceptance: SignalAcceptance
    s2: S2Reading = "beyond"
    late_shower_shift_X0: Quantity = Quantity(
        value=0.0,
        provenance="assumed",
        source="late showers develop as those at the front of the ECAL",
    )
    residual: ResidualMeaning = "total"
    r_efficiency: Fraction
    simulated_events: Whole
    effective_events_min: Positive


class MuonG2(Model):
    """The muon's anomaly, measured minus expected: with Fermilab's average of 2021, and before it."""

    central: Quantity
    uncertainty: NonNegative
    central_before_fermilab: Quantity
    uncertainty_before_fermilab: NonNegative


class PlaneRanges(Model):
    """Ranges and numbers of points of the axes of the paper's planes."""

    mass_min_GeV: Positive
    mass_max_GeV: Positive
    mass_points: GridPoints
    epsilon_min: Positive
    epsilon_max: Positive
    epsilon_points: GridPoints
    alpha_min: Positive
    alpha_max: Positive
    alpha_points: GridPoints
    mass1_min_GeV: Positive
    mass1_max_GeV: Positive
    mass1_points: GridPoints
    splitting_min: Positive
    splitting_max: Positive
    splitting_points: GridPoints

    @model_validator(mode="after")
    def _ascending(self) -> "PlaneRanges":
        for low, high in (
            ("mass_min_GeV", "mass_max_GeV"),
            ("epsilon_min", "epsilon_max"),
            ("alpha_min", "alpha_max"),
            ("mass1_min_GeV", "mass1_max_GeV"),
            ("splitting_min", "splitting_max"),
        ):
            if getattr(self, high).value <= getattr(self, low).value:
                raise ValueError(f"{high} is not above {low}")
        return self
