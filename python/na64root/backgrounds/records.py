"""What is estimated from control regions."""

from __future__ import annotations

import math

from ..config import BackgroundMethod, Signature
from ..errors import DataError
from ..records import Provenance, Record


class Estimate(Record):
    """A background of one signature for the whole input.

    Attributes:
        value, uncertainty: events in the box of the signature.
        components: parts of the uncertainty, by name, in events; their sum in quadrature is `uncertainty`.
        events: in each region that was counted (sums of weights, for a weighted simulation).
        notes: what else to know.
    """

    signature: Signature
    method: BackgroundMethod
    value: float
    uncertainty: float
    components: dict[str, float]
    events: dict[str, float]
    notes: list[str]


class FitCurve(Record):
    """The fit of the sideband: events per bin with their edges, and the curve per bin with its band."""

    edges_GeV: list[float]
    events: list[float]
    energy_GeV: list[float]
    curve: list[float]
    low: list[float]
    high: list[float]
    alternatives: dict[str, list[float]]


class DimuonYield(Record):
    """Dimuon events per electron on target."""

    events: float
    eot: float
    per_electron: float
    error: float


class DimuonControl(Record):
    """The dimuon control sample; `correction` is data over simulation, null without a simulation.

    `uncertainty` holds the statistical errors of both and the card's `backgrounds.dimuon.yield_uncertainty`.
    """

    data: DimuonYield
    simulation: DimuonYield | None
    correction: float | None
    statistical: float | None
    uncertainty: float | None


class Backgrounds(Record):
    """Result of :func:`estimate`: every estimate that the input allows, why others are not there.

    `plane` counts events before the cuts of the signatures, VETO quiet, by ECAL and HCAL energy, without
    those in the box of S2. `blind`: the signal boxes of the input are hidden; null in results of 0.1,
    which do not say.
    """

    estimates: list[Estimate]
    not_estimated: dict[str, str]
    published: dict[Signature, tuple[float, float]]
    chosen: dict[Signature, BackgroundMethod]
    dimuon: DimuonControl
    sideband: FitCurve | None
    ecal_edges_GeV: list[float]
    hcal_edges_GeV: list[float]
    plane: list[list[float]]
    weighted: bool
    exposure: dict[str, float]
    files: dict[str, str]
    notes: list[str]
    provenance: Provenance
    blind: bool | None = None

    def of(self, signature: Signature, method: BackgroundMethod) -> Estimate:
        """The estimate of a signature by a method.

        Raises:
            DataError: the input did not allow it.
        """
        for found in self.estimates:
            if (found.signature, found.method) == (signature, method):
                return found
        raise DataError(
            f"no background of {signature} by method {method} ({self.not_estimated.get(method, 'unknown')}): "
            f"set backgrounds.{signature}=published, or give more data"
        )


class BackgroundUsed(Record):
    """The background of a signature in the likelihood, summed over run periods, and where it is from."""

    method: BackgroundMethod
    value: float
    uncertainty: float
    source: str


def estimate_of(
    signature: Signature,
    method: BackgroundMethod,
    value: float,
    components: dict[str, float],
    events: dict[str, float],
    notes: list[str],
) -> Estimate:
    """An estimate, its uncertainty the parts of `components` in quadrature."""
    return Estimate(
        signature=signature,
        method=method,
        value=value,
        uncertainty=math.hypot(*components.values()),
        components=components,
        events=events,
        notes=notes,
    )
