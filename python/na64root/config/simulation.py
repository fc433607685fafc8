"""The detector of the simulation and the rates of pseudo-data."""

from typing import Literal

from pydantic import Field

from .quantity import Model, NonNegative, Positive, Prescale, Quantity, Switch, Whole


class PseudodataRate(Model):
    """A class of pseudo-data: events per electron on target, and one in how many of them is written."""

    rate_per_eot: NonNegative
    prescale: Prescale


class Pseudodata(Model):
    """Response and rates of the pseudo-data; the fields with a rate are the classes of events, in order."""

    beam_momentum_spread: NonNegative
    ecal_stochastic: NonNegative
    hcal_stochastic: NonNegative
    hcal_interaction_length_cm: Positive
    trigger_ecal_max_GeV: Positive
    trigger_ecal_resolution_GeV: NonNegative
    missing_energy_slope_GeV: Positive
    beam_electron: PseudodataRate
    pile_up: PseudodataRate
    beam_hadron: PseudodataRate
    dimuon: PseudodataRate
    electroproduction: PseudodataRate
    upstream_hadrons: PseudodataRate
    neutral_hadron: PseudodataRate
    neutral_leakage: PseudodataRate
    large_missing_energy: PseudodataRate
    calibration: PseudodataRate
    random_trigger: PseudodataRate

    @property
    def classes(self) -> dict[str, PseudodataRate]:
        """Rate of each class by its name; the position is the number in the branch mc_class."""
        rates = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: rate for name, rate in rates.items() if isinstance(rate, PseudodataRate)}


class HcalCentre(Model):
    """Middle of an HCAL module against the beam."""

    name: Literal["hcal1", "hcal2", "hcal3"]
    x_cm: Quantity
    y_cm: Quantity


class Detector(Model):
    """Beam, cells and response of the calorimeters for the simulation; positions along z are `geometry`'s.

    Layers of the ECAL are those of `target`. Terms of sigma/E = term/sqrt(E/GeV) are for electrons:
    `sampling` of the structure alone, `stochastic` of the whole detector. Noise is per cell (ECAL, HCAL) or
    photomultiplier (VETO), a cell below the threshold reads zero, centres are of modules against the beam;
    HCAL3 is shifted further in a period whose core cells say so. The beam is Gaussian in place and angle.
    """

    beam_spot_cm: NonNegative
    beam_divergence_mrad: NonNegative
    ecal_preshower_layers: Whole
    ecal_cell_cm: Positive
    ecal_sampling: NonNegative
    ecal_stochastic: NonNegative
    ecal_noise_GeV: NonNegative
    ecal_threshold_GeV: NonNegative
    veto_thickness_cm: Positive
    veto_noise_GeV: NonNegative
    veto_threshold_GeV: NonNegative
    hcal_layers: Whole
    hcal_iron_layer_cm: Positive
    hcal_scintillator_layer_cm: Positive
    hcal_cell_x_cm: Positive
    hcal_cell_y_cm: Positive
    hcal_sampling: NonNegative
    hcal_stochastic: NonNegative
    hcal_noise_GeV: NonNegative
    hcal_threshold_GeV: NonNegative
    hcal_centres: list[HcalCentre] = Field(min_length=3, max_length=3)
    noise: Switch
    lateral_profile: Switch
