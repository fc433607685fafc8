"""Every binding of the compiled core is called once; `make sanitize` runs this with sanitizers.

What the results mean is tested elsewhere: here nothing may crash, touch foreign memory or be NaN, and no
binding may be missing.
"""

import inspect
from types import ModuleType

import numpy as np
import pytest

from na64root import _core
from na64root.config.mediator import KINETIC_MIXING

MODEL = _core.InelasticModel(0.1, 1e-3, alpha_dark=0.1, mass_ratio=3.0, relative_splitting=0.4)
LEAD = _core.material("Pb")
ELEMENT = _core.element("Pb")
FORMULA = _core.DarkBremsstrahlung(0.1, ELEMENT)
U_MIN, U_MAX = FORMULA.u_range(100.0, 0.9)
TRACK = _core.track_length(LEAD, 100.0, 15.0, 50)
ANNIHILATION = _core.ResonantAnnihilation(MODEL, 82.0)
PRODUCTION = _core.production_spectrum(FORMULA, TRACK, 1.8e22, [15.0, 50.0], 4)
FLUX = _core.chi2_flux(MODEL, PRODUCTION, 1.1, 0.0)
LARGE = np.array([1.0, 5.0, 50.0])
SMALL = np.array([0.1, 0.2, 0.3])


def event_config():
    config = _core.EventConfig()
    config.model = MODEL
    config.threshold = 15.0
    config.atoms_per_radiation_length = 1.8e22
    config.depth_scale = 1.1
    config.decay_start, config.decay_end = 50.0, 900.0
    period = _core.EventPeriod()
    period.first_run, period.last_run, period.electrons = 1, 10, 1e10
    config.add_period(period)
    return config


EVENTS = event_config()


def likelihood():
    """Two bins that follow a common signal uncertainty, a counted and a normal background."""
    made = _core.ProfileLikelihood()
    made.add_parameter(-8.0, 8.0)
    made.add_parameter(0.0, 3.0, 20.0)
    made.add_parameter(-3.0, 8.0)
    for parameter, slope, offset in ((1, 1.0, 0.0), (2, 0.1, 0.3)):
        made.add_bin(0.5, 0.6 if parameter == 1 else 1.0)
        made.add_power(True, 0, 0.2)
        made.add_linear(False, parameter, slope, offset)
    return made


S2_CUTS = _core.S2Cuts()
LOSSES = (
    _core.PairLosses(_core.DetectorConfig(), S2_CUTS, 100.0),
    _core.ElectronLosses([EVENTS], S2_CUTS, [15.0, 50.0, 100.0], 200),
)


# Arguments of every constructor; classes without one are made by functions.
CONSTRUCTORS = {
    "Element": [("X", 10.0, 20.0)],
    "MediatorCharges": [(KINETIC_MIXING.charges,)],
    "InelasticModel": [(0.1, 1e-3, {"alpha_dark": 0.1, "mass_ratio": 3.0, "relative_splitting": 0.4})],
    "DarkBremsstrahlung": [
        (0.1, ELEMENT, _core.Approximation.ww),
        (0.1, _core.FormFactor.of(ELEMENT), 193.0),
    ],
    "DarkBremSampler": [(FORMULA, 100.0, 16, 8)],
    "DarkBremSamplerTable": [(FORMULA, 15.0, 100.0, 3, 16, 8)],
    "Chi2Decayer": [(MODEL,), (MODEL, _core.DecayModel.phase_space)],
    "ResonantAnnihilation": [(MODEL, 82.0)],
    "ProductionPoint": [(50.0, 1.0, 1.0, 0.1)],
    "SignalGenerator": [
        (
            MODEL,
            {
                "material": LEAD,
                "beam_energy": 100.0,
                "threshold": 15.0,
                "atoms_per_radiation_length": 1.8e22,
                "depth_scale": 1.1,
                "mode": mode,
                "annihilation": _core.Annihilation.on,
            },
        )
        for mode in (_core.SignalMode.semivisible, _core.SignalMode.invisible)
    ],
    "CountingExperiment": [
        (
            {
                "observed": [1.0, 0.0],
                "background": [0.6, 0.3],
                "background_uncertainty": [0.2, 0.1],
                "signal_fraction": [0.6, 0.4],
                "group": [0, 1],
                "signal_uncertainty": uncertainty,
                "background_constraint": constraint,
                "treatment": treatment,
            },
        )
        for uncertainty, constraint, treatment in (
            (0.2, _core.Constraint.gaussian, _core.Treatment.frequentist),
            (0.2, _core.Constraint.gamma, _core.Treatment.frequentist),
            (0.0, _core.Constraint.lognormal, _core.Treatment.hybrid),
            (0.0, _core.Constraint.gaussian, _core.Treatment.none),
        )
    ],
    "ProfileLikelihood": [()],
    "ToyEnsemble": [
        (likelihood(), [1.0, 0.0], [0.0, 20.0, 0.0], treatment)
        for treatment in (_core.Treatment.frequentist, _core.Treatment.hybrid)
    ],
    "DetectorConfig": [()],
    "GunConfig": [()],
    "EventPeriod": [()],
    "EventConfig": [()],
    "EventGenerator": [(EVENTS,)],
    "S2Cuts": [()],
    "PairLosses": [(_core.DetectorConfig(), S2_CUTS, 100.0)],
    "ElectronLosses": [([EVENTS], S2_CUTS, [15.0, 50.0, 100.0], 200)],
    "InclusiveS2": [([FLUX], _core.Chi2Decayer(MODEL), 1.0, 50.0, 1.1, *LOSSES)],
}
# Objects that functions and attributes give.
MADE = {
    "Material": LEAD,
    "Component": LEAD.components[0],
    "FormFactor": _core.FormFactor.of(ELEMENT),
    "Estimate": FORMULA.total(100.0),
    "TrackLength": TRACK,
    "ProductionPoint": PRODUCTION[0],
    "Chi2Flux": FLUX,
}
SAMPLE = (3, 0, 50)  # seed, first entry, entries
# Arguments of every function and method that is no constructor.
CALLS = {
    "annihilation_spectrum": (ANNIHILATION, TRACK, 1.8e22, [15.0, 50.0]),
    "aprime_width": (MODEL,),
    "aprime_width_to_chi": (MODEL,),
    "aprime_width_to_leptons": (MODEL, _core.units.muon_mass),
    "aprime_width_to_neutrinos": (MODEL,),
    "chi2_width_to_neutrinos": (MODEL,),
    "chi2_branching_to_electrons": (MODEL, _core.WidthFormula.paper),
    "chi2_ctau": (MODEL,),
    "chi2_flux": (MODEL, PRODUCTION, 1.1, 0.0),
    "chi2_k_factor": (MODEL,),
    "chi2_width": (MODEL,),
    "chi2_width_density": (MODEL, _core.units.electron_mass, SMALL**4),
    "compound": ("CH", 1.03, [("C", 1.0), ("H", 1.0)]),
    "decay_aprime": (MODEL, 20.0, *SAMPLE),
    "decays_between": (FLUX, np.ones_like(FLUX.weight), [1.0, 1e3, np.inf], 220.0, np.inf),
    "element": ("W",),
    "epsilon_of_magnetic_moment": (_core.units.muon_mass, SMALL, 2.5e-9),
    "event_normal": (1, 4000, np.arange(5), 7, 2),
    "gun_particle": ("pair",),
    "gun_volume": ("hcal3",),
    "group_bounds": ([15.0, 50.0],),
    "hcal_r": (np.ones((3, 4, 3, 3)), [0b000010000] * 3),
    "landau_pole_bound": (SMALL,),
    "leading_ecal_cell": (np.arange(216.0).reshape(3, 2, 6, 6),),
    "magnetic_moment": (_core.units.muon_mass, SMALL, 1e-3),
    "material": ("Fe",),
    "material_names": (),
    "out_of_time_energy": (LARGE, SMALL),
    "passes_beam_cell": (np.array([21, 22]), 3, 3),
    "passes_dimuon": (SMALL, SMALL, SMALL, 2.0, 1.3, 1.5),
    "passes_ecal": (LARGE, 50.0),
    "passes_hcal_s1": (SMALL, LARGE, LARGE, 1.0, 15.0),
    "passes_hcal_s2": (SMALL, SMALL, SMALL, 1.0),
    "passes_momentum": (LARGE, 100.0, 10.0),
    "passes_pile_up": (LARGE, 60.0),
    "passes_preshower": (SMALL, 0.15),
    "passes_r": (SMALL, 0.06),
    "passes_shower_chi2": (LARGE, 10.0),
    "passes_srd": (SMALL, SMALL, SMALL, 0.01, 0.25, 2),
    "passes_straw": (LARGE, LARGE, 1.0, 5.0),
    "passes_trigger": (True, np.array([True, False]), True, False),
    "passes_veto": (SMALL, 0.9),
    "production_spectrum": (FORMULA, TRACK, 1.8e22, [15.0, 50.0], 4),
    "radiation_coefficient": (LEAD,),
    "sample_cascade": (LEAD, 100.0, 15.0, 3, 0, 5),
    "showers_in_hcal1": (LARGE, LARGE, 1.0, 15.0),
    "simulate_gun": (_core.GunConfig(), 3, 0, 20),
    "total_cross_section": ([0.1, 0.3], [50.0, 100.0], ELEMENT, _core.Approximation.iww),
    "track_length": (LEAD, 100.0, 15.0, 50),
    "veto_energy": (np.ones((3, 6)), 1.0),
    "Element.nuclear_mass": (),
    "Material.radiation_length_cm": (),
    "FormFactor.of": (ELEMENT,),
    "FormFactor.__call__": (SMALL,),
    "PairLosses.__call__": (LARGE, 30.0),
    "ElectronLosses.kept": (LARGE, SMALL),
    "ElectronLosses.kept_with_pair": (LARGE, SMALL, 10.0, 2.0),
    "InclusiveS2.__call__": ([1.0, 1e3],),
    "DarkBremsstrahlung.x_range": (100.0,),
    "DarkBremsstrahlung.differential": (100.0, np.array([0.5, 0.9]), 1e-3),
    "DarkBremsstrahlung.dsigma_dx": (100.0, np.array([0.5, 0.9])),
    "DarkBremsstrahlung.total": (100.0,),
    "DarkBremsstrahlung.mean_x": (100.0,),
    "DarkBremsstrahlung.u_range": (100.0, 0.9),
    "DarkBremsstrahlung.density": (100.0, 0.9, 0.5 * (U_MIN + U_MAX)),
    "DarkBremsstrahlung.angle": (100.0, 0.9, 0.5 * (U_MIN + U_MAX)),
    "DarkBremSampler.sample": SAMPLE,
    "DarkBremSamplerTable.cross_section": (LARGE,),
    "DarkBremSamplerTable.sample": (50.0, *SAMPLE),
    "Chi2Decayer.density": (SMALL**4,),
    "Chi2Decayer.mean_q2": (),
    "Chi2Decayer.mean_pair_energy": (),
    "Chi2Decayer.fraction_above": (1.0, LARGE),
    "Chi2Decayer.sample": (20.0, *SAMPLE),
    "ResonantAnnihilation.cross_section": (LARGE,),
    "ResonantAnnihilation.track_integral": (TRACK,),
    "SignalGenerator.cross_section": (LARGE, 1),
    "SignalGenerator.generate": (*SAMPLE, 2),
    "SignalGenerator.shower_particles": (3, 0),
    "CountingExperiment.statistic": (2.0,),
    "CountingExperiment.confidence_levels": (2.0,),
    "CountingExperiment.cls": (2.0,),
    "CountingExperiment.upper_limit": (0.9, _core.Criterion.clsb),
    "CountingExperiment.expected_limits": (0.9,),
    "CountingExperiment.discovery": (),
    "CountingExperiment.two_sided_p_value": (2.0,),
    "CountingExperiment.interval": (0.68,),
    "CountingExperiment.asymptotic_confidence_levels": (2.0,),
    "CountingExperiment.asymptotic_upper_limit": (0.9,),
    "CountingExperiment.asymptotic_expected_limits": (0.9,),
    "ProfileLikelihood.add_parameter": (-8.0, 8.0),
    "ProfileLikelihood.add_bin": (0.4, 0.3),
    "ProfileLikelihood.add_power": (True, 0, 0.2),
    "ProfileLikelihood.add_linear": (False, 2, 0.1, 0.3),
    "ProfileLikelihood.add_process": (True, 0.2),
    "ProfileLikelihood.add_joined": (True, 0, _core.ProfileLikelihood.Join.power, 0.2, 0.1),
    "ProfileLikelihood.rate": (0, 2.0, [0.1, 1.0, 0.2]),
    "ProfileLikelihood.rates": (np.array([2.0, 1.0]), np.array([[0.1, 1.0, 0.2], [0.0, 1.0, 0.0]])),
    "ProfileLikelihood.conditional": (2.0, [1.0, 0.0], [0.0, 20.0, 0.0]),
    "ProfileLikelihood.free": ([1.0, 0.0], [0.0, 20.0, 0.0]),
    "ProfileLikelihood.ratio": (2.0, [1.0, 0.0], [0.0, 20.0, 0.0]),
    "ToyEnsemble.observed": (2.0,),
    "ToyEnsemble.statistics": (2.0, 0.0, 3, 0, 50, 2),
    "EventConfig.add_period": (_core.EventPeriod(),),
    "EventConfig.set_aprimes": (np.array([[60.0, 0.0, 0.0, 59.9]]), np.array([1.0])),
    "EventGenerator.generate": (*SAMPLE, 2),
}
# Refused where auxiliary measurements fluctuate: by the first two experiments.
REFUSED = {"CountingExperiment.two_sided_p_value", "CountingExperiment.interval"}


def is_enum(value):
    return hasattr(value, "__members__")


def classes():
    return {
        name: value
        for name, value in vars(_core).items()
        if inspect.isclass(value) and not is_enum(value) and not issubclass(value, Exception)
    }


def is_callable(name, value):
    return name == "__call__" or not (name.startswith("_") or isinstance(value, property | type))


def callables():
    """Names of all functions and methods of the core but constructors."""
    names = [
        name
        for name, value in vars(_core).items()
        if callable(value) and not inspect.isclass(value) and not name.startswith("_")
    ]
    for kind, value in classes().items():
        names += [f"{kind}.{name}" for name, member in vars(value).items() if is_callable(name, member)]
    return names


def make(name, arguments):
    options = arguments[-1] if arguments and isinstance(arguments[-1], dict) else {}
    return getattr(_core, name)(*arguments[: len(arguments) - bool(options)], **options)


def objects(name):
    if name in MADE:
        return [MADE[name]]
    if name == "ProfileLikelihood":  # methods change it
        return [likelihood()]
    return [make(name, arguments) for arguments in CONSTRUCTORS[name]]


def assert_no_nan(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        for part in value:
            assert_no_nan(part)
    elif isinstance(value, float | np.ndarray):
        assert not np.isnan(value).any()


def test_no_binding_is_left_out():
    assert set(CALLS) == set(callables())
    assert CONSTRUCTORS.keys() | MADE.keys() == classes().keys()
    constructed = {
        name for name, kind in classes().items() if "__init__(self" in (kind.__init__.__doc__ or "")
    }
    assert CONSTRUCTORS.keys() == constructed


@pytest.mark.parametrize("name", sorted(CALLS))
def test_function(name):
    kind, _, method = name.rpartition(".")
    for number, owner in enumerate(objects(kind) if kind else [_core]):
        call = getattr(owner, method)
        if name in REFUSED and number < 2:
            with pytest.raises(ValueError, match="none or hybrid"):
                call(*CALLS[name])
        else:
            assert_no_nan(call(*CALLS[name]))


@pytest.mark.parametrize("name", sorted(classes()))
def test_properties(name):
    kind = getattr(_core, name)
    for thing in objects(name):
        for attribute, member in vars(kind).items():
            if isinstance(member, property):
                value = getattr(thing, attribute)
                assert_no_nan(value)
                if member.fset is not None:
                    setattr(thing, attribute, value)


def test_attributes():
    for module in (_core, _core.units):
        for value in vars(module).values():
            if is_enum(value):
                assert [value(int(member)) for member in value.__members__.values()] == list(
                    value.__members__.values()
                )
            elif not isinstance(value, ModuleType):
                assert_no_nan(value)
