"""Simulated ntuples in the layout of tree A: signal, background, pseudo-data and a particle gun."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import na64root._core as _core

from ..cling import root
from ..config import Card
from ..errors import ConfigError, Na64Error
from ..records import InputFile, Provenance, Record, provenance, sha256_of
from ..signal import Parameters, SignalModel, effective_electrons
from ..signal.experiment import detector_config
from ..work import Work
from . import lhe
from .core_config import (
    DecayRange,
    ForcedVolume,
    GunParticle,
    GunVolume,
    Signal,
    SignalMode,
    event_config,
    event_generator,
    generator_config,
)
from .hepmc import COLUMNS, Events, check, write
from .options import GunOptions, PseudodataOptions, SignalOptions
from .writer import EventFile, Output, writers

log = logging.getLogger(__name__)


_TRUTH = {
    "mc_class": f"number of the class of events, in the order of `classes`; {_core.signal_class} is signal",
    "mc_beam_momentum_GeV": "momentum of the beam particle, GeV",
    "mc_missing_energy_GeV": "energy not left in the ECAL by an electromagnetic shower, GeV",
    "mc_x_mm": "impact on the ECAL, mm from the middle of cell (3,3)",
    "mc_y_mm": "impact on the ECAL, mm from the middle of cell (3,3)",
}


_CALORIMETER_TRUTH = {
    "mc_ecal_GeV": "visible energy in the ECAL before sampling fluctuations, GeV",
    "mc_veto_GeV": "energy in the VETO before fluctuations, GeV",
    "mc_hcal_GeV": "visible energy in HCAL1, 2, 3 before sampling fluctuations, GeV",
}


_SIGNAL_TRUTH = {
    "mc_class": f"{_core.signal_class}, signal",
    "mc_beam_momentum_GeV": "momentum of the beam electron, GeV",
    "mc_missing_energy_GeV": "energy that no shower leaves in the ECAL, GeV",
    "mc_x_mm": "impact on the ECAL, mm from the middle of cell (3,3)",
    "mc_y_mm": "impact on the ECAL, mm from the middle of cell (3,3)",
    "mc_weight_per_electron": "expected events per electron on target, before the residual efficiency",
    "mc_production_weight": "A' per electron on target at epsilon = 1",
    "mc_decay_weight": "probability of the forced range of decays; 1 where decays are not forced",
    "mc_process": "0 dark bremsstrahlung, 1 annihilation",
    "mc_decay_volume": "-1 no decay, 0 ECAL, 1 VETO, 2 3 4 HCAL1 2 3, 5 beyond; gaps belong to what follows",
    "mc_parent_energy_GeV": "energy of the e- or e+ that made the A', GeV",
    "mc_depth_X0": "depth of production, radiation lengths",
    "mc_flight_length_cm": "flight of chi2 (visible mode: of the A'), cm; infinite without decay",
    "mc_gamma_beta": "of the particle that flies",
    "mc_aprime_GeV": "A': E, x, y, z in GeV, as the other four-vectors",
    "mc_chi1_GeV": "chi1 of the A', GeV",
    "mc_chi2_GeV": "chi2 of the A', GeV",
    "mc_chi1_of_chi2_GeV": "chi1 of the decay of chi2, GeV; zero without decay",
    "mc_electron_GeV": "e- of the decay, GeV; zero without decay",
    "mc_positron_GeV": "e+ of the decay, GeV; zero without decay",
    "mc_production_cm": "place of production x, y, z, cm from the beam axis and the front of the ECAL",
    "mc_decay_cm": "place of the decay x, y, z, cm; z infinite without decay",
    "mc_beam_slope": "dx/dz and dy/dz of the beam electron",
    **_CALORIMETER_TRUTH,
}


_GUN_TRUTH = {
    "mc_class": "-1, no class of pseudo-data",
    "mc_beam_momentum_GeV": "0, no beam",
    "mc_missing_energy_GeV": "0, no missing energy",
    "mc_x_mm": "start, mm from the beam axis",
    "mc_y_mm": "start, mm from the beam axis",
    "mc_energy_GeV": "energy of the particle or pair, GeV",
    "mc_pair_mass_GeV": "mass of the state that makes the pair, GeV; 0 for an electron",
    "mc_start_x_mm": "start, mm from the beam axis",
    "mc_start_y_mm": "start, mm from the beam axis",
    "mc_start_z_mm": "start, mm from the front of the ECAL",
    "mc_depth_X0": "start, radiation lengths from the front of the volume",
    "mc_profile_GeV": "energy deposited in each radiation length from the front of the volume, GeV; the last "
    "bin of the ECAL ends at its back",
    "mc_track_electron_X0": "track length of e- above 1, 10 and 50 GeV, radiation lengths; 0 in the HCAL",
    "mc_track_positron_X0": "track length of e+ above 1, 10 and 50 GeV, radiation lengths; 0 in the HCAL",
    "mc_r50_mm": "radius around the axis with half of the visible energy, mm",
    "mc_r90_mm": "radius around the axis with 90 % of the visible energy, mm",
    **_CALORIMETER_TRUTH,
    "mc_leakage_GeV": "energy that leaves the ECAL at its back, GeV",
}


class ClassFacts(Record):
    """A class of pseudo-data: expected and drawn number of events; one in `prescale` is written."""

    rate_per_eot: float
    prescale: float
    expected: float
    events: int


class GunResult(Record):
    """An ntuple of the particle gun; `truth` describes its columns of the generator with their units."""

    file: str
    events: int
    weights_sum: float
    seed: int
    particle: GunParticle
    energy_GeV: float
    mass_GeV: float | None
    volume: GunVolume
    offset_mm: tuple[float, float]
    noise: bool
    truth: dict[str, str]
    provenance: Provenance


class InjectedFacts(Record):
    """The signal in a sample of pseudo-data: expected events, before all cuts, and those drawn."""

    mode: SignalMode
    mass_GeV: float
    epsilon: float
    expected: float
    events: int


class SignalResult(Record):
    """A signal sample; `truth` describes its columns of the generator with their units.

    `weights_sum` is the expected number of A' events (of those that decay in the forced volume) before all
    cuts, for the exposure of each period times its residual efficiency, `electrons`.
    """

    file: str
    events: int
    weights_sum: float
    seed: int
    first_event: int
    mode: SignalMode
    mass_GeV: float
    epsilon: float
    alpha_dark: float
    mass_ratio: float
    relative_splitting: float
    forced: ForcedVolume | DecayRange | None
    hepmc: str | None
    ctau_cm: float
    electrons: dict[str, float]
    truth: dict[str, str]
    provenance: Provenance
    lhe: InputFile | None = None


class SimulationResult(Record):
    """A simulated ntuple; `truth` describes its columns of the generator with their units."""

    file: str
    events: int
    weights_sum: float
    seed: int
    eot: dict[str, float]
    classes: dict[str, ClassFacts]
    injected: InjectedFacts | None
    truth: dict[str, str]
    provenance: Provenance


def signal(
    card: Card,
    file: EventFile | str | Path,
    point: Signal,
    options: SignalOptions,
    *,
    work: Work = Work(),
) -> SignalResult:
    """Write weighted signal events with every branch of tree A and their truth.

    The sum of mcWeight over the file, after cuts, is the expected signal: the residual efficiency of each
    period is in it, and what it stands for (DAQ, pile-up, tracking, SRD) is not simulated again.

    Args:
        work: its threads make events and compress the file, whose events do not depend on them.

    Raises:
        ConfigError: an unphysical model, an unknown period, mode or volume; A' of `options.lhe` of another
            model.
        DataError: `options.lhe` is not readable, or not understood.
        Na64Error: the file exists and is not to be replaced, or cannot be written.
    """
    file = EventFile.of(file)
    _check(work.seed)
    exposure = card.exposure(options.eot)
    if options.period != "all":
        if options.period not in exposure:
            raise ConfigError(
                f"no period {options.period} in card {card.card.name} (known: {', '.join(exposure)}, "
                "all): correct --period"
            )
        exposure = {
            name: electrons if name == options.period else 0.0 for name, electrons in exposure.items()
        }

    config = event_config(_core, card, point, exposure=exposure, forced=options.forced, events=options.events)
    taken = None if options.lhe is None else _give_aprimes(config, card, point, options, exposure)
    generator = event_generator(config, point)
    parameters = point.parameters or Parameters.of(card)
    if file.hepmc is not None:
        check(file.hepmc, options.first_event + options.events, force=file.force)

    def record(_: Any, number: int, weights_sum: float) -> SignalResult:
        return SignalResult(
            file=str(file.path),
            events=number,
            weights_sum=weights_sum,
            seed=work.seed,
            first_event=options.first_event,
            mode=point.mode,
            mass_GeV=point.mass_GeV,
            epsilon=point.epsilon,
            alpha_dark=parameters.alpha_dark,
            mass_ratio=parameters.mass_ratio,
            relative_splitting=parameters.relative_splitting,
            forced=options.forced,
            hepmc=None if file.hepmc is None else str(file.hepmc),
            ctau_cm=generator.ctau,
            electrons=effective_electrons(card, exposure),
            truth=_SIGNAL_TRUTH,
            provenance=provenance(card, seed=work.seed),
            lhe=taken,
        )

    def write_hepmc(result: SignalResult) -> None:
        if file.hepmc is None:
            return
        model = parameters.model(point.mass_GeV, point.epsilon)
        total = (
            SignalModel(card).cross_section(point.mass_GeV, point.epsilon).total(card.beam.energy_GeV.value)
        )
        events_of_core = Events(
            first=options.first_event,
            number=options.events,
            columns=lambda first, n: generator.generate(work.seed, first, n, work.threads, set(COLUMNS)),
            masses_GeV={"aprime": model.mass, "chi1": model.chi1_mass, "chi2": model.chi2_mass},
            cross_section_pb=(total.value, total.error),
        )
        write(file.hepmc, events_of_core, result, force=file.force)

    return Output(file, "signal", work).write(
        "Signal",
        lambda: writers().signal(generator.address, work.seed),
        record,
        first=options.first_event,
        events=options.events,
        beside=write_hepmc,
    )


def _give_aprimes(
    config: Any, card: Card, point: Signal, options: SignalOptions, exposure: Mapping[str, float]
) -> InputFile:
    """Give the generator the A' of a file, and as many of them as they are said to be; the file."""
    assert options.lhe is not None
    given = lhe.aprimes(options.lhe, card, point)
    if options.produced is None:
        made = sum(produced.weight for produced in SignalModel(card).production(point.mass_GeV))
    else:
        made = given.above * options.produced / sum(exposure.values()) / point.epsilon**2
    weights = lhe.production_weights(given, options.first_event, options.events, made)
    if point.mode != "visible" and card.model.annihilation == "on":
        log.warning("annihilation, which the card has on, is not added to the A' of %s", given.path)
        config.annihilation = _core.Annihilation.off
    config.set_aprimes(given.momenta, weights)
    path = given.path
    return InputFile(path=str(path), size=path.stat().st_size, sha256=sha256_of(path), entries=given.events)


def pseudodata(
    card: Card,
    file: EventFile | str | Path,
    options: PseudodataOptions = PseudodataOptions(),
    *,
    work: Work = Work(),
) -> SimulationResult:
    """Write a background sample with every branch of tree A, each class Poisson-drawn, as data: unweighted.

    The classes, their rates and prescales are those of the card's section `pseudodata`. The backgrounds of
    the signal boxes have prescale 1, so that their expected counts are the card's backgrounds.

    Args:
        work: its threads make events and compress the file, whose events do not depend on them.

    Raises:
        ConfigError: an unknown period, a negative exposure or seed; an unphysical signal, or one of more than
            a million events.
        Na64Error: the file exists and is not to be replaced, or cannot be written.
    """
    file = EventFile.of(file)
    inject = options.inject
    _check(work.seed)
    exposure = card.exposure(options.eot)
    prescales = {
        name: rate.prescale.value
        if rate.prescale.value == 1.0
        else max(1.0, rate.prescale.value / options.scale)
        for name, rate in card.pseudodata.classes.items()
    }
    means = {
        name: {
            period: rate.rate_per_eot.value * electrons / prescales[name]
            for period, electrons in exposure.items()
        }
        for name, rate in card.pseudodata.classes.items()
    }
    if inject is not None:
        event_generator(event_config(_core, card, inject, exposure=exposure), inject)  # before ROOT starts

    def make_generator() -> Any:
        ROOT = root()
        generator = writers().Pseudodata(generator_config(ROOT, card, work.seed, means))
        if inject is not None:
            try:
                generator.inject(event_config(ROOT.na64root, card, inject, exposure=exposure), work.seed)
            except Exception as error:
                if "million signal events" not in str(error):
                    raise
                raise ConfigError(
                    f"more than a million signal events are expected at m_A' = {inject.mass_GeV:g} GeV, "
                    f"epsilon = {inject.epsilon:g} (no sample for a file): give a smaller epsilon or exposure"
                ) from None
        if options.weighted:
            for number, prescale in enumerate(prescales.values()):
                generator.weigh(number, prescale)
        if _class_names(ROOT) != list(means):
            raise Na64Error("classes of the card and of the core differ (mixed installation): install again")
        if generator.size() == 0:
            raise ConfigError("no event is expected with these exposures (the sample is empty): raise --eot")
        return generator

    def record(generator: Any, number: int, weights_sum: float) -> SimulationResult:
        return SimulationResult(
            file=str(file.path),
            events=number,
            weights_sum=weights_sum,
            seed=work.seed,
            eot=exposure,
            classes={
                name: ClassFacts(
                    rate_per_eot=rate.rate_per_eot.value,
                    prescale=prescales[name],
                    expected=sum(means[name].values()),
                    events=int(generator.drawn(index)),
                )
                for index, (name, rate) in enumerate(card.pseudodata.classes.items())
            },
            injected=None
            if inject is None
            else InjectedFacts(
                mode=inject.mode,
                mass_GeV=inject.mass_GeV,
                epsilon=inject.epsilon,
                expected=float(generator.injected_expected()),
                events=int(generator.injected()),
            ),
            truth=_TRUTH,
            provenance=provenance(card, seed=work.seed),
        )

    return Output(file, "pseudo-data", work).write("Pseudodata", make_generator, record)


def gun(card: Card, file: EventFile | str | Path, options: GunOptions, *, work: Work = Work()) -> GunResult:
    """Write electrons or e+e- pairs shot into one calorimeter, with every branch of tree A and truth.

    An electron enters through the front of the volume. A pair comes from a state of mass `options.mass_GeV`
    and total energy `options.energy_GeV` that decays isotropically, at a uniform depth in the volume.

    Args:
        work: its threads make events and compress the file, whose events do not depend on them.

    Raises:
        ConfigError: an unknown particle or volume, an energy, mass or offset that is unphysical.
        Na64Error: the file exists and is not to be replaced, or cannot be written.
    """
    file = EventFile.of(file)
    _check(work.seed)

    def config_of(core: Any) -> Any:
        config = core.GunConfig()
        config.detector = detector_config(core, card, noise=options.noise)
        config.particle, config.volume = core.gun_particle(options.particle), core.gun_volume(options.volume)
        config.energy, config.pair_mass = options.energy_GeV, options.mass_GeV or 0.0
        config.offset_x, config.offset_y = (0.1 * offset for offset in options.offset_mm)
        return config

    try:  # before ROOT starts
        _core.simulate_gun(config_of(_core), work.seed, 0, 0)
    except _core.UnphysicalError as error:
        raise ConfigError(f"{error} (unphysical gun): correct it") from None
    except ValueError as error:
        raise ConfigError(str(error)) from None

    def record(_: Any, number: int, weights_sum: float) -> GunResult:
        return GunResult(
            file=str(file.path),
            events=number,
            weights_sum=weights_sum,
            seed=work.seed,
            particle=cast(GunParticle, options.particle),
            energy_GeV=options.energy_GeV,
            mass_GeV=options.mass_GeV,
            volume=cast(GunVolume, options.volume),
            offset_mm=options.offset_mm,
            noise=options.noise,
            truth=_GUN_TRUTH,
            provenance=provenance(card, seed=work.seed),
        )

    return Output(file, "particle gun", work).write(
        "Gun", lambda: writers().gun(config_of(root().na64root), work.seed), record, events=options.events
    )


def _check(seed: int) -> None:
    if not 0 <= seed < 2**64:
        raise ConfigError(f"seed {seed} is not acceptable (0 to 2^64 - 1): correct --seed")


def _class_names(ROOT: Any) -> list[str]:
    core = ROOT.na64root
    return [str(core.pseudodata_class_name(i)) for i in range(int(core.pseudodata_classes))]
