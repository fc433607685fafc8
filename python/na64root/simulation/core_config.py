"""What the card says, in the records of the C++ generators, for Python and for Cling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import na64root._core as _core

from ..config import Card
from ..errors import ConfigError, ConvergenceError
from ..signal import Parameters, SignalModel, effective_electrons
from ..signal.experiment import detector_config, hcal3_shift_cm, set_beam

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
    if parameters.coupling != "vector":
        raise ConfigError(
            f"no simulated signal of model.coupling = {parameters.coupling} (only vectors are built): set "
            "signal.acceptance to chain, or model.coupling to vector"
        )
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
    target = SignalModel(card)
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
    set_beam(config, card)
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
