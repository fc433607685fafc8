"""The quality of the data, and backgrounds from control regions."""

from typing import Literal

from .experiment import Signature
from .quantity import InnerFraction, Model, NonNegative, Positive, Whole

Duplicates = Literal["count_once", "keep"]


BackgroundMethod = Literal["published", "neutral_hadron", "sideband", "abcd"]


class QualityConfig(Model):
    """What the data quality of a spill is, and when a spill stands out.

    `false_alarm_probability`: of one or more flagged spills in a run period that is sound. `duplicates`: an
    event whose number came before is counted once, or kept.
    """

    ecal_below_GeV: Positive
    hcal_below_GeV: Positive
    false_alarm_probability: InnerFraction
    spills_min: Whole
    duplicates: Duplicates


class DimuonSample(Model):
    """Control sample gamma -> mu+ mu-: HCAL3 above one threshold, or it and two centres above others."""

    hcal3_min_GeV: Positive
    centre_min_GeV: Positive
    hcal3_with_centres_min_GeV: Positive
    yield_uncertainty: NonNegative


class SidebandFit(Model):
    """Fit of the ECAL energies from the box of S2 to `ecal_max_GeV`, and by how much that end is varied."""

    ecal_max_GeV: Positive
    ecal_max_variation_GeV: NonNegative
    bin_width_GeV: Positive
    events_min: Whole


class AbcdRegions(Model):
    """Control regions of S2: ECAL energy up to `ecal_max_GeV`, and what fails the cut on `second`.

    That is an HCAL energy up to `hcal_max_GeV`, or a shower that fails the cut shower_chi2.
    `validation_ecal_GeV` divides the ECAL energies above the box: the lower part takes the place of the box.
    """

    second: Literal["hcal", "shower_chi2"]
    ecal_max_GeV: Positive
    validation_ecal_GeV: Positive
    hcal_max_GeV: Positive


class NeutralHadrons(Model):
    """Neutral hadrons that pass HCAL1, from those that shower in it: length and its relative uncertainty."""

    interaction_length_cm: Positive
    interaction_length_uncertainty: NonNegative


class BackgroundsConfig(Model):
    """Which background of each signature enters the limit, and the regions of the estimates."""

    S1: Literal["published", "neutral_hadron"]
    S2: Literal["published", "sideband", "abcd"]
    dimuon: DimuonSample
    sideband: SidebandFit
    abcd: AbcdRegions
    neutral_hadron: NeutralHadrons

    def method(self, signature: Signature) -> BackgroundMethod:
        """Where the background of a signature comes from."""
        return self.S1 if signature == "S1" else self.S2
