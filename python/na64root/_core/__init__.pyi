"""The C++ core of na64root. Native units: GeV, cm."""

from collections.abc import Sequence
from typing import ClassVar, TypedDict, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import units as units

_Array = NDArray[np.float64]

class UnphysicalError(ValueError):
    """std::domain_error: an argument that no physical system has."""

# materials.hpp

class Element:
    def __init__(self, symbol: str, atomic_number: float, atomic_mass: float) -> None: ...
    @property
    def symbol(self) -> str: ...
    @property
    def atomic_number(self) -> float: ...
    @property
    def atomic_mass(self) -> float: ...
    def nuclear_mass(self) -> float: ...

class Component:
    @property
    def element(self) -> Element: ...
    @property
    def mass_fraction(self) -> float: ...

class Material:
    @property
    def name(self) -> str: ...
    @property
    def density(self) -> float: ...
    @property
    def radiation_length(self) -> float: ...
    @property
    def components(self) -> list[Component]: ...
    def radiation_length_cm(self) -> float: ...

def material(name: str) -> Material: ...
def material_names() -> list[str]: ...
def element(symbol: str) -> Element: ...
def compound(name: str, density: float, atoms: Sequence[tuple[str, float]]) -> Material: ...

# model.hpp, widths.hpp, magnetic_moment.hpp

class MediatorCharges:
    def __init__(
        self,
        *,
        electron: float,
        muon: float,
        tau: float,
        electron_neutrino: float,
        muon_neutrino: float,
        tau_neutrino: float,
        up: float,
        down: float,
        strange: float,
    ) -> None: ...

class Coupling:
    vector: ClassVar[Coupling]
    axial: ClassVar[Coupling]
    scalar: ClassVar[Coupling]
    pseudoscalar: ClassVar[Coupling]
    __members__: ClassVar[dict[str, Coupling]]

class InelasticModel:
    def __init__(
        self,
        mass: float,
        epsilon: float,
        *,
        alpha_dark: float,
        mass_ratio: float,
        relative_splitting: float,
        charges: MediatorCharges = ...,
        coupling: Coupling = ...,
    ) -> None: ...
    @property
    def mass(self) -> float: ...
    @property
    def epsilon(self) -> float: ...
    @property
    def alpha_dark(self) -> float: ...
    @property
    def mass_ratio(self) -> float: ...
    @property
    def relative_splitting(self) -> float: ...
    @property
    def coupling(self) -> Coupling: ...
    @property
    def chi1_mass(self) -> float: ...
    @property
    def chi2_mass(self) -> float: ...
    @property
    def splitting(self) -> float: ...
    @property
    def chi2_decays(self) -> bool: ...

class WidthFormula:
    exact: ClassVar[WidthFormula]
    paper: ClassVar[WidthFormula]
    __members__: ClassVar[dict[str, WidthFormula]]

def landau_pole_bound(mass: ArrayLike, scale: ArrayLike = ...) -> _Array: ...
def chi2_width_density(model: InelasticModel, lepton_mass: float, q2: ArrayLike) -> _Array: ...
def chi2_width(model: InelasticModel, formula: WidthFormula = ...) -> float: ...
def chi2_branching_to_electrons(model: InelasticModel, formula: WidthFormula = ...) -> float: ...
def chi2_ctau(model: InelasticModel, formula: WidthFormula = ...) -> float: ...
def chi2_k_factor(model: InelasticModel) -> float: ...
def aprime_width_to_chi(model: InelasticModel) -> float: ...
def aprime_width_to_leptons(model: InelasticModel, lepton_mass: float) -> float: ...
def aprime_width_to_neutrinos(model: InelasticModel) -> float: ...
def chi2_width_to_neutrinos(model: InelasticModel) -> float: ...
def aprime_width(model: InelasticModel) -> float: ...
def magnetic_moment(
    lepton_mass: ArrayLike, mass: ArrayLike, epsilon: ArrayLike, coupling: Coupling = ...
) -> _Array: ...
def epsilon_of_magnetic_moment(
    lepton_mass: ArrayLike, mass: ArrayLike, moment: ArrayLike, coupling: Coupling = ...
) -> _Array: ...

# dark_brem.hpp

class Estimate:
    @property
    def value(self) -> float: ...
    @property
    def error(self) -> float: ...

class Approximation:
    etl: ClassVar[Approximation]
    ww: ClassVar[Approximation]
    iww: ClassVar[Approximation]
    __members__: ClassVar[dict[str, Approximation]]

class FormFactor:
    @staticmethod
    def of(element: Element) -> FormFactor: ...
    atomic_number: float
    screening2: float
    nuclear_size: float
    inelastic_screening2: float
    inelastic: bool
    def __call__(self, t: ArrayLike) -> _Array: ...

class DarkBremsstrahlung:
    @overload
    def __init__(
        self,
        mass: float,
        element: Element,
        approximation: Approximation = ...,
        epsilon: float = 1.0,
        coupling: Coupling = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        mass: float,
        form_factor: FormFactor,
        nuclear_mass: float,
        approximation: Approximation = ...,
        epsilon: float = 1.0,
        coupling: Coupling = ...,
    ) -> None: ...
    @property
    def mass(self) -> float: ...
    @property
    def approximation(self) -> Approximation: ...
    def x_range(self, energy: float) -> tuple[float, float]: ...
    def differential(self, energy: float, x: ArrayLike, theta: ArrayLike) -> _Array: ...
    def dsigma_dx(self, energy: ArrayLike, x: ArrayLike, relative_tolerance: float = 1e-3) -> _Array: ...
    def total(self, energy: float, relative_tolerance: float = 1e-3, x_min: float = 0.0) -> Estimate: ...
    def mean_x(self, energy: float, relative_tolerance: float = 1e-3) -> Estimate: ...
    def u_range(self, energy: float, x: float) -> tuple[float, float]: ...
    def density(self, energy: float, x: float, u: float) -> float: ...
    def angle(self, energy: float, x: float, u: float) -> float: ...

def total_cross_section(
    mass: ArrayLike,
    energy: ArrayLike,
    element: Element,
    approximation: Approximation = ...,
    epsilon: float = 1.0,
    relative_tolerance: float = 1e-3,
    coupling: Coupling = ...,
) -> tuple[_Array, _Array]: ...

class DarkBremSampler:
    def __init__(
        self, cross_section: DarkBremsstrahlung, energy: float, x_cells: int = 192, angle_cells: int = 64
    ) -> None: ...
    @property
    def cross_section(self) -> float: ...
    def sample(self, seed: int, first_entry: int, n: int) -> tuple[_Array, _Array]: ...

class DarkBremSamplerTable:
    def __init__(
        self,
        cross_section: DarkBremsstrahlung,
        lowest: float,
        highest: float,
        energies: int = 12,
        x_cells: int = 128,
        angle_cells: int = 48,
    ) -> None: ...
    def cross_section(self, energy: ArrayLike) -> _Array: ...
    def sample(self, energy: float, seed: int, first_entry: int, n: int) -> tuple[_Array, _Array]: ...

# decay.hpp

class DecayModel:
    matrix_element: ClassVar[DecayModel]
    phase_space: ClassVar[DecayModel]
    __members__: ClassVar[dict[str, DecayModel]]

def decay_aprime(
    model: InelasticModel, energy: float, seed: int, first_entry: int, n: int
) -> tuple[_Array, _Array]: ...

class Chi2Decayer:
    def __init__(self, model: InelasticModel, decay: DecayModel = ..., lepton_mass: float = ...) -> None: ...
    def density(self, q2: ArrayLike) -> _Array: ...
    def mean_q2(self) -> float: ...
    def mean_pair_energy(self) -> float: ...
    def fraction_above(self, threshold: float, chi2_energy: ArrayLike) -> _Array: ...
    def sample(self, energy: float, seed: int, first_entry: int, n: int) -> tuple[_Array, _Array, _Array]: ...

# cascade.hpp, thick_target.hpp

class TrackLength:
    @property
    def beam_energy(self) -> float: ...
    @property
    def edges(self) -> _Array: ...
    @property
    def primary(self) -> _Array: ...
    @property
    def all(self) -> _Array: ...
    @property
    def depth_moment(self) -> _Array: ...
    @property
    def primary_depth_moment(self) -> _Array: ...

def track_length(
    material: Material, beam_energy: float, threshold: float, bins: int = 200, beam_charge: int = -1
) -> TrackLength: ...
def radiation_coefficient(material: Material) -> float: ...
def sample_cascade(
    material: Material, beam_energy: float, threshold: float, seed: int, first_entry: int, showers: int
) -> dict[str, NDArray[np.float64]]: ...

class ProductionPoint:
    def __init__(self, energy: float, depth: float, weight: float, mass: float) -> None: ...
    @property
    def energy(self) -> float: ...
    @property
    def depth(self) -> float: ...
    @property
    def weight(self) -> float: ...
    @property
    def mass(self) -> float: ...

class Chi2Flux:
    @property
    def aprime_energy(self) -> _Array: ...
    @property
    def parent_energy(self) -> _Array: ...
    @property
    def chi2_energy(self) -> _Array: ...
    @property
    def gamma_beta(self) -> _Array: ...
    @property
    def origin(self) -> _Array: ...
    @property
    def weight(self) -> _Array: ...

def group_bounds(edges: ArrayLike, groups: int = 12) -> list[float]: ...
def production_spectrum(
    cross_section: DarkBremsstrahlung,
    track: TrackLength,
    atoms_per_radiation_length: float,
    energy_edges: Sequence[float],
    groups: int = 12,
) -> list[ProductionPoint]: ...
def annihilation_spectrum(
    cross_section: ResonantAnnihilation,
    track: TrackLength,
    atoms_per_radiation_length: float,
    energy_edges: Sequence[float],
) -> list[ProductionPoint]: ...
def chi2_flux(
    model: InelasticModel,
    production: Sequence[ProductionPoint],
    depth_scale: float,
    target_start: float,
) -> Chi2Flux: ...
def decays_between(
    flux: Chi2Flux, acceptance: ArrayLike, ctau: ArrayLike, start: float, end: float
) -> _Array: ...

# annihilation.hpp, signal_generator.hpp

class ResonantAnnihilation:
    def __init__(self, model: InelasticModel, atomic_number: float) -> None: ...
    @property
    def resonance_energy(self) -> float: ...
    def cross_section(self, positron_energy: ArrayLike) -> _Array: ...
    def track_integral(self, track: TrackLength, relative_tolerance: float = 1e-6) -> Estimate: ...

class SignalMode:
    semivisible: ClassVar[SignalMode]
    invisible: ClassVar[SignalMode]
    visible: ClassVar[SignalMode]
    __members__: ClassVar[dict[str, SignalMode]]

class Annihilation:
    off: ClassVar[Annihilation]
    on: ClassVar[Annihilation]
    __members__: ClassVar[dict[str, Annihilation]]

class SignalTruth(TypedDict):
    process: NDArray[np.int32]  # 0 dark bremsstrahlung, 1 annihilation
    parent_charge: NDArray[np.int32]
    decayed: NDArray[np.int32]
    parent_energy: _Array
    depth: _Array
    recoil_energy: _Array
    ecal_energy: _Array
    flight_length: _Array
    gamma_beta: _Array
    production_weight: _Array
    epsilon2: _Array
    aprime_branching: _Array
    decay_weight: _Array
    branching_to_electrons: _Array
    weight: _Array
    aprime: _Array
    chi1: _Array
    chi2: _Array
    chi1_of_chi2: _Array
    electron: _Array
    positron: _Array
    production: _Array
    decay: _Array

class SignalGenerator:
    def __init__(
        self,
        model: InelasticModel,
        *,
        material: Material,
        beam_energy: float,
        threshold: float,
        atoms_per_radiation_length: float,
        depth_scale: float,
        target_start: float = 0.0,
        mode: SignalMode = ...,
        approximation: Approximation = ...,
        decay: DecayModel = ...,
        width: WidthFormula = ...,
        annihilation: Annihilation = ...,
        decay_start: float = ...,
        decay_end: float = ...,
    ) -> None: ...
    @property
    def ctau(self) -> float: ...
    def cross_section(self, energy: ArrayLike, charge: int = -1) -> _Array: ...
    def generate(self, seed: int, first_entry: int, n: int, threads: int = 1) -> SignalTruth: ...
    def shower_particles(self, seed: int, entry: int) -> tuple[_Array, _Array, NDArray[np.int32]]: ...

# counting.hpp

class Constraint:
    gaussian: ClassVar[Constraint]
    lognormal: ClassVar[Constraint]
    gamma: ClassVar[Constraint]
    __members__: ClassVar[dict[str, Constraint]]

class Treatment:
    none: ClassVar[Treatment]
    frequentist: ClassVar[Treatment]
    hybrid: ClassVar[Treatment]
    __members__: ClassVar[dict[str, Treatment]]

class Criterion:
    cls: ClassVar[Criterion]
    clsb: ClassVar[Criterion]
    __members__: ClassVar[dict[str, Criterion]]

class ProfileLikelihood:
    class Join:
        power: ClassVar[ProfileLikelihood.Join]
        linear: ClassVar[ProfileLikelihood.Join]
        logarithm: ClassVar[ProfileLikelihood.Join]
        __members__: ClassVar[dict[str, ProfileLikelihood.Join]]

    def add_parameter(self, lowest: float, highest: float, count: float = 0.0) -> None: ...
    def add_bin(self, signal: float, background: float) -> None: ...
    def add_process(self, of_signal: bool, constant: float) -> None: ...
    def add_power(self, of_signal: bool, parameter: int, slope: float) -> None: ...
    def add_linear(self, of_signal: bool, parameter: int, slope: float, offset: float) -> None: ...
    def add_joined(
        self, of_signal: bool, parameter: int, join: ProfileLikelihood.Join, up: float, down: float
    ) -> None: ...
    def rate(self, bin: int, mu: float, parameters: Sequence[float]) -> float: ...
    def rates(self, mu: ArrayLike, parameters: ArrayLike) -> _Array: ...
    def conditional(
        self, mu: float, counts: Sequence[float], auxiliaries: Sequence[float]
    ) -> tuple[float, float, list[float], bool]: ...
    def free(
        self, counts: Sequence[float], auxiliaries: Sequence[float]
    ) -> tuple[float, float, list[float], bool]: ...
    def ratio(
        self, mu: float, counts: Sequence[float], auxiliaries: Sequence[float], one_sided: bool = True
    ) -> float: ...

class ToyEnsemble:
    def __init__(
        self,
        likelihood: ProfileLikelihood,
        counts: Sequence[float],
        auxiliaries: Sequence[float],
        treatment: Treatment,
    ) -> None: ...
    def observed(self, mu: float) -> float: ...
    def statistics(
        self, mu: float, true_mu: float, seed: int, first: int, toys: int, threads: int = 1
    ) -> NDArray[np.float64]: ...

class CountingExperiment:
    def __init__(
        self,
        *,
        observed: Sequence[float],
        background: Sequence[float],
        background_uncertainty: Sequence[float],
        signal_fraction: Sequence[float],
        group: Sequence[int],
        bin_signal_uncertainty: Sequence[float] = ...,
        signal_uncertainty: float = 0.0,
        signal_constraint: Constraint = ...,
        background_constraint: Constraint = ...,
        treatment: Treatment = ...,
    ) -> None: ...
    def statistic(self, mu: float) -> float: ...
    def confidence_levels(self, mu: float) -> tuple[float, float, float]: ...
    def cls(self, mu: float) -> tuple[float, float]: ...
    def upper_limit(
        self, cl: float, criterion: Criterion = ..., most_fits: int = 0
    ) -> tuple[float, float]: ...
    def expected_limits(
        self, cl: float, criterion: Criterion = ..., most_fits: int = 0
    ) -> tuple[float, float, float, float, float]: ...
    def discovery(self) -> tuple[float, float]: ...
    def two_sided_p_value(self, mu: float) -> float: ...
    def interval(self, cl: float) -> tuple[float, float]: ...
    def asymptotic_confidence_levels(self, mu: float) -> tuple[float, float, float]: ...
    def asymptotic_upper_limit(self, cl: float, criterion: Criterion = ...) -> tuple[float, float]: ...
    def asymptotic_expected_limits(
        self, cl: float, criterion: Criterion = ...
    ) -> tuple[float, float, float, float, float]: ...

# selection.hpp: energies in GeV; arguments broadcast, one result per event

_Flags = NDArray[np.bool_]

def passes_trigger(
    is_physics: ArrayLike, is_trigger_physics: ArrayLike, is_on_spill: ArrayLike, is_calibration: ArrayLike
) -> _Flags: ...
def out_of_time_energy(total_without_time_cut: ArrayLike, total: ArrayLike) -> _Array: ...
def passes_pile_up(out_of_time: ArrayLike, out_of_time_max: ArrayLike) -> _Flags: ...
def passes_straw(
    hits_x: ArrayLike, hits_y: ArrayLike, hits_min: ArrayLike, hits_max: ArrayLike
) -> _Flags: ...
def leading_ecal_cell(ecal_energies: ArrayLike) -> NDArray[np.int32]: ...
def passes_beam_cell(leading_cell: ArrayLike, x: ArrayLike, y: ArrayLike) -> _Flags: ...
def passes_srd(
    module0: ArrayLike,
    module1: ArrayLike,
    module2: ArrayLike,
    module_min: ArrayLike,
    module_max: ArrayLike,
    modules_below_max: ArrayLike,
) -> _Flags: ...
def passes_momentum(momentum: ArrayLike, nominal: ArrayLike, window: ArrayLike) -> _Flags: ...
def passes_preshower(energy: ArrayLike, energy_min: ArrayLike) -> _Flags: ...
def passes_ecal(energy: ArrayLike, energy_max: ArrayLike) -> _Flags: ...
def veto_energy(photomultipliers: ArrayLike, balance: float) -> _Array: ...
def passes_veto(energy: ArrayLike, energy_max: ArrayLike) -> _Flags: ...
def passes_hcal_s1(
    hcal1: ArrayLike, hcal2: ArrayLike, hcal3: ArrayLike, hcal1_max: ArrayLike, signal_min: ArrayLike
) -> _Flags: ...
def passes_hcal_s2(hcal1: ArrayLike, hcal2: ArrayLike, hcal3: ArrayLike, total_max: ArrayLike) -> _Flags: ...
def hcal_r(hcal_energies: ArrayLike, core: Sequence[int]) -> _Array: ...
def passes_r(r: ArrayLike, r_max: ArrayLike) -> _Flags: ...
def passes_shower_chi2(chi2: ArrayLike, chi2_max: ArrayLike) -> _Flags: ...

# systematics.hpp

def event_normal(
    seed: ArrayLike, run: ArrayLike, spill: ArrayLike, spillevent: ArrayLike, source: ArrayLike
) -> _Array: ...

# detector.hpp, gun.hpp

class Noise:
    off: ClassVar[Noise]
    on: ClassVar[Noise]

class LateralProfile:
    off: ClassVar[LateralProfile]
    on: ClassVar[LateralProfile]

class DetectorConfig:
    def __init__(self) -> None: ...
    ecal_start: float
    ecal_end: float
    ecal_layers: float
    ecal_preshower_layers: float
    ecal_lead_layer: float
    ecal_scintillator_layer: float
    ecal_cell: float
    veto_start: float
    veto_thickness: float
    hcal_start: Sequence[float]
    hcal_end: Sequence[float]
    hcal_centre_x: Sequence[float]
    hcal_centre_y: Sequence[float]
    hcal_layers: float
    hcal_iron_layer: float
    hcal_scintillator_layer: float
    hcal_cell_x: float
    hcal_cell_y: float
    ecal_stochastic: float
    hcal_stochastic: float
    ecal_noise: float
    hcal_noise: float
    veto_noise: float
    ecal_threshold: float
    hcal_threshold: float
    veto_threshold: float
    noise: Noise
    lateral_profile: LateralProfile

class GunParticle:
    electron: ClassVar[GunParticle]
    pair: ClassVar[GunParticle]

class GunVolume:
    ecal: ClassVar[GunVolume]
    hcal1: ClassVar[GunVolume]
    hcal2: ClassVar[GunVolume]
    hcal3: ClassVar[GunVolume]

class GunConfig:
    def __init__(self) -> None: ...
    detector: DetectorConfig
    particle: GunParticle
    energy: float
    pair_mass: float
    volume: GunVolume
    offset_x: float
    offset_y: float

def gun_particle(name: str) -> GunParticle: ...
def gun_volume(name: str) -> GunVolume: ...
def simulate_gun(
    config: GunConfig, seed: int, first_entry: int, events: int
) -> dict[str, NDArray[np.float64]]: ...

# event.hpp

signal_class: int
first_signal_number: int

class DecayVolume:
    none: ClassVar[DecayVolume]
    ecal: ClassVar[DecayVolume]
    veto: ClassVar[DecayVolume]
    hcal1: ClassVar[DecayVolume]
    hcal2: ClassVar[DecayVolume]
    hcal3: ClassVar[DecayVolume]
    beyond: ClassVar[DecayVolume]
    __members__: ClassVar[dict[str, DecayVolume]]
    def __int__(self) -> int: ...

class Angles:
    off: ClassVar[Angles]
    on: ClassVar[Angles]

class EventPeriod:
    def __init__(self) -> None: ...
    first_run: int
    last_run: int
    electrons: float
    hcal3_shift_x: float
    hcal3_shift_y: float

class EventConfig:
    def __init__(self) -> None: ...
    model: InelasticModel
    mode: SignalMode
    approximation: Approximation
    decay: DecayModel
    width: WidthFormula
    annihilation: Annihilation
    decay_start: float
    decay_end: float
    target: str
    threshold: float
    atoms_per_radiation_length: float
    depth_scale: float
    detector: DetectorConfig
    beam_energy: float
    beam_momentum_spread: float
    beam_spot: float
    beam_divergence: float
    trigger_ecal_max: float
    trigger_ecal_resolution: float
    angles: Angles
    events: float
    periods: list[EventPeriod]
    def add_period(self, period: EventPeriod) -> None: ...

class EventGenerator:
    def __init__(self, config: EventConfig) -> None: ...
    @property
    def address(self) -> int: ...
    @property
    def ctau(self) -> float: ...
    @property
    def electrons(self) -> float: ...
    def generate(
        self, seed: int, first_entry: int, n: int, threads: int = 1, columns: set[str] = ...
    ) -> dict[str, NDArray[np.float64]]: ...

# s2_selection.hpp

class S2Cuts:
    ecal_max: float
    veto_max: float
    hcal_max: float
    preshower_min: float
    photomultiplier_balance: float
    shower_chi2_max: float
    beam_cell_x: int
    beam_cell_y: int
    late_shift: float

class PairLosses:
    def __init__(self, detector: DetectorConfig, cuts: S2Cuts, largest_pair_energy: float) -> None: ...
    def __call__(self, energy: ArrayLike, z: ArrayLike) -> _Array: ...

class ElectronLosses:
    def __init__(
        self, configs: Sequence[EventConfig], cuts: S2Cuts, parent_edges: Sequence[float], events: int
    ) -> None: ...
    def kept(self, parent_energy: ArrayLike, recoil_energy: ArrayLike) -> _Array: ...
    def kept_with_pair(
        self,
        parent_energy: ArrayLike,
        recoil_energy: ArrayLike,
        pair_energy: ArrayLike,
        distance: ArrayLike,
    ) -> _Array: ...

class InclusiveS2:
    def __init__(
        self,
        fluxes: Sequence[Chi2Flux],
        decayer: Chi2Decayer | None,
        branching: float,
        aprime_threshold: float,
        depth_scale: float,
        pairs: PairLosses,
        electrons: ElectronLosses,
    ) -> None: ...
    @property
    def electrons_kept(self) -> float: ...
    def __call__(self, ctau: ArrayLike) -> _Array: ...
