"""The card's beam and calorimeters in the records of the core."""

from __future__ import annotations

from typing import Any

from ..config import Card, Period


def set_beam(config: Any, card: Card) -> None:
    """Beam and trigger of an event configuration of the core."""
    numbers = card.pseudodata
    config.beam_energy = card.beam.energy_GeV.value
    config.beam_momentum_spread = numbers.beam_momentum_spread.value
    config.beam_spot = card.detector.beam_spot_cm.value
    config.beam_divergence = 1e-3 * card.detector.beam_divergence_mrad.value
    config.trigger_ecal_max = numbers.trigger_ecal_max_GeV.value
    config.trigger_ecal_resolution = numbers.trigger_ecal_resolution_GeV.value


def hcal3_shift_cm(card: Card, period: Period) -> tuple[float, float]:
    """Place of the middle of HCAL3 against the beam in a period, beside that of the card, x and y in cm.

    The beam crosses the middle of the core cells, so a module with another core stands off the beam.
    """
    pitch = card.detector.hcal_cell_x_cm.value, card.detector.hcal_cell_y_cm.value
    core = period.hcal_core[2]
    x, y = (-pitch[i] * (sum(cell[i] for cell in core) / len(core) - 1.0) for i in range(2))
    return x, y


def detector_config(core: Any, card: Card, *, noise: bool = True) -> Any:
    """The card's calorimeters as the core takes them; `core` is the compiled module or ROOT's namespace.

    Without noise only the sampling fluctuations of the structure are left: no thresholds, which are there
    against the noise, and no photostatistics or calibration in the stochastic terms.
    """
    geometry, target, cells = card.geometry, card.target, card.detector
    config = core.DetectorConfig()
    config.ecal_start, config.ecal_end = geometry.ecal_start_cm.value, geometry.ecal_end_cm.value
    config.ecal_layers, config.ecal_preshower_layers = target.layers.value, cells.ecal_preshower_layers.value
    config.ecal_lead_layer = target.lead_layer_cm.value
    config.ecal_scintillator_layer = target.scintillator_layer_cm.value
    config.ecal_cell = cells.ecal_cell_cm.value
    config.veto_start, config.veto_thickness = geometry.veto_cm.value, cells.veto_thickness_cm.value
    modules = range(1, 4)
    config.hcal_start = tuple(getattr(geometry, f"hcal{module}_start_cm").value for module in modules)
    config.hcal_end = tuple(getattr(geometry, f"hcal{module}_end_cm").value for module in modules)
    config.hcal_centre_x = tuple(centre.x_cm.value for centre in cells.hcal_centres)
    config.hcal_centre_y = tuple(centre.y_cm.value for centre in cells.hcal_centres)
    config.hcal_layers = cells.hcal_layers.value
    config.hcal_iron_layer = cells.hcal_iron_layer_cm.value
    config.hcal_scintillator_layer = cells.hcal_scintillator_layer_cm.value
    config.hcal_cell_x, config.hcal_cell_y = cells.hcal_cell_x_cm.value, cells.hcal_cell_y_cm.value
    config.lateral_profile = getattr(core.LateralProfile, cells.lateral_profile)
    if noise and cells.noise == "on":
        config.noise = core.Noise.on
        config.ecal_stochastic = cells.ecal_stochastic.value
        config.hcal_stochastic = cells.hcal_stochastic.value
        config.ecal_noise, config.ecal_threshold = cells.ecal_noise_GeV.value, cells.ecal_threshold_GeV.value
        config.hcal_noise, config.hcal_threshold = cells.hcal_noise_GeV.value, cells.hcal_threshold_GeV.value
        config.veto_noise, config.veto_threshold = cells.veto_noise_GeV.value, cells.veto_threshold_GeV.value
    else:
        config.noise = core.Noise.off
        config.ecal_stochastic = cells.ecal_sampling.value
        config.hcal_stochastic = cells.hcal_sampling.value
    return config
