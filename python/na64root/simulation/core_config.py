"""What the card says, in the records of the C++ generators, for Python and for Cling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import na64root._core as _core

from ..config import Card, Period
from ..errors import ConfigError, ConvergenceError
from ..signal import Parameters, SignalModel, effective_electrons

GunParticle = Literal["e-", "pair"]


GunVolume = Literal["ecal", "hcal1", "hcal2", "hcal3"]


SignalMode = Literal["semivisible", "invisible", "visible"]


SIGNAL_MODES: tuple[SignalMode, ...] = ("semivisible", "invisible", "visible")


# Where decays can be forced; `signal` is HCAL2 and HCAL3, what S1 looks for.
ForcedVolume = Literal["signal", "ecal", "hcal1", "hcal2", "hcal3", "beyond"]


FORCED_VOLUMES: tuple[ForcedVolume, ...] = ("signal", "ecal", "hcal1", "hcal2", "hcal3", "beyond")


# Or a range of z, cm from the front of the ECAL.
DecayRange = tuple[float, float]


@dataclass(frozen=True)
class Signal:
    """A signal to simulate: the point of the model, and what the A' decays to."""

    mass_GeV: float
    epsilon: float
    mode: SignalMode = "semivisible"
    parameters: Parameters | None = None  # the card's unless given


def event_generator(config: Any, point: Signal) -> Any:
    """The core's generator of a configuration.

    Raises:
        ConfigError: a model that is closed or a configuration that cannot be.
        ConvergenceError: an integral that did not converge.
    """
    where = f"no signal at m_A' = {point.mass_GeV:g} GeV, epsilon = {point.epsilon:g}"
    try:
        return _core.EventGenerator(config)
    except ValueError as error:
        raise ConfigError(f"{where} ({error}): correct the model or the card") from None
    except RuntimeError as error:
        raise ConvergenceError(f"{where} ({error}): report this") from None


def event_config(
    core: Any,
    card: Card,
    point: Signal,
    *,
    exposure: Mapping[str, float] | None = None,
    forced: ForcedVolume | DecayRange | None = None,
    events: int = 1,
    noise: bool = True,
) -> Any:
    """The card's beam, detector and periods as the core takes them; `core` as for :func:`detector_config`.

    Raises:
        ConfigError: an unphysical model, an unknown mode or volume, no electrons.
    """
    if point.mode not in SIGNAL_MODES:
        raise ConfigError(f"no mode {point.mode} (known: {', '.join(SIGNAL_MODES)}): correct --mode")
    if not (point.epsilon > 0.0 and math.isfinite(point.epsilon)):
        raise ConfigError(
            f"epsilon = {point.epsilon:g} makes no signal (a positive number is needed): correct it"
        )
    parameters = point.parameters or Parameters.of(card)
    if not parameters.mediator.is_kinetic_mixing:
        raise ConfigError(
            f"no simulated signal of mediator {parameters.mediator.name} (only kinetic mixing is built): set "
            "signal.acceptance to chain, or model.mediator to kinetic_mixing"
        )
    if card.beam.particle != "e-":
        raise ConfigError(
            f"no simulated signal of a beam of {card.beam.particle} (only electrons are built): set "
            "signal.acceptance to chain, or beam.particle to e-"
        )
    model = parameters.model(point.mass_GeV, point.epsilon)
    target, numbers = SignalModel(card), card.pseudodata
    electrons = effective_electrons(card, card.exposure() if exposure is None else exposure)
    if not sum(electrons.values()) > 0.0:
        raise ConfigError("no electrons on target (of exposure times residual efficiency): raise --eot")
    config = core.EventConfig()
    if core is _core:
        config.model = model
    else:  # ROOT sees the plain structure
        for name in ("mass", "epsilon", "alpha_dark", "mass_ratio", "relative_splitting"):
            setattr(config.model, name, getattr(model, name))
    config.mode = getattr(core.SignalMode, point.mode)
    config.approximation = getattr(core.Approximation, card.model.approximation)
    config.decay = getattr(core.DecayModel, card.model.decay)
    config.width = getattr(core.WidthFormula, card.model.width)
    if point.mode != "visible":  # A' without dark states: made by bremsstrahlung alone
        config.annihilation = getattr(core.Annihilation, card.model.annihilation)
    if forced is not None:
        config.decay_start, config.decay_end = _decay_range(card, point, forced)
    config.target = card.target.material
    # A' below make no signal: the ECAL keeps too much.
    config.threshold = min(target.aprime_threshold.values())
    config.atoms_per_radiation_length = target.atoms_per_radiation_length
    config.depth_scale = target.depth_scale_cm
    config.detector = detector_config(core, card, noise=noise)
    config.beam_energy = card.beam.energy_GeV.value
    config.beam_momentum_spread = numbers.beam_momentum_spread.value
    config.beam_spot = card.detector.beam_spot_cm.value
    config.beam_divergence = 1e-3 * card.detector.beam_divergence_mrad.value
    config.trigger_ecal_max = numbers.trigger_ecal_max_GeV.value
    config.trigger_ecal_resolution = numbers.trigger_ecal_resolution_GeV.value
    config.events = events
    for period in card.periods:
        entry = core.EventPeriod()
        entry.first_run, entry.last_run = period.first_run, period.last_run
        entry.electrons = electrons[period.name]
        entry.hcal3_shift_x, entry.hcal3_shift_y = hcal3_shift_cm(card, period)
        config.add_period(entry)
    return config


def _decay_range(card: Card, point: Signal, forced: ForcedVolume | DecayRange) -> DecayRange:
    geometry = card.geometry
    if point.mode == "invisible":
        raise ConfigError("decays cannot be forced in mode invisible (nothing decays): leave --forced out")
    if not isinstance(forced, str):
        return forced
    if forced not in FORCED_VOLUMES:
        raise ConfigError(f"no volume {forced} (known: {', '.join(FORCED_VOLUMES)}): correct --forced")
    if forced == "signal":
        return geometry.hcal2_start_cm.value, geometry.hcal3_end_cm.value
    if forced == "beyond":
        return geometry.hcal3_end_cm.value, math.inf
    return getattr(geometry, f"{forced}_start_cm").value, getattr(geometry, f"{forced}_end_cm").value


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


def generator_config(ROOT: Any, card: Card, seed: int, means: Mapping[str, Mapping[str, float]]) -> Any:
    """The card's numbers as the generator of the core takes them."""
    numbers = card.pseudodata
    config = ROOT.na64root.PseudodataConfig()
    config.seed = seed
    config.detector = detector_config(ROOT.na64root, card)
    config.beam_energy = card.beam.energy_GeV.value
    config.beam_momentum_spread = numbers.beam_momentum_spread.value
    config.beam_spot = card.detector.beam_spot_cm.value
    config.ecal_stochastic = numbers.ecal_stochastic.value
    config.hcal_stochastic = numbers.hcal_stochastic.value
    config.hcal_interaction_length = numbers.hcal_interaction_length_cm.value
    config.trigger_ecal_max = numbers.trigger_ecal_max_GeV.value
    config.trigger_ecal_resolution = numbers.trigger_ecal_resolution_GeV.value
    config.missing_energy_slope = numbers.missing_energy_slope_GeV.value
    for period in card.periods:
        entry = ROOT.na64root.PseudodataPeriod()
        entry.first_run, entry.last_run = period.first_run, period.last_run
        entry.hcal3_offset = hcal3_shift_cm(card, period)[0]
        for name in means:
            entry.class_means.push_back(means[name][period.name])
        config.periods.push_back(entry)
    return config
