"""What is drawn over a plane: lines of theory and what other experiments exclude, as records.

Each carries `source` and `caveat`, for the legend and the file of a figure. Parameters are arguments; where a
result does not hold for them a ConfigError says so.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import resources

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from . import proton_beam, recasts, relic, theory
from .config import Card
from .errors import ConfigError, ConvergenceError
from .results import Line, Region
from .signal import Parameters

Array = NDArray[np.float64]


def muon_g2(card: Card, mass_GeV: ArrayLike, *, before_fermilab: bool = False) -> Line:
    """The central g-2 line and its 2 sigma band: the paper's red band, or its blue one before Fermilab."""
    g2 = card.muon_g2
    if before_fermilab:
        band, central = theory.muon_g2_band_before_fermilab(card, mass_GeV), g2.central_before_fermilab
        name, sigma = "muon g-2 before Fermilab", g2.uncertainty_before_fermilab
    else:
        band, central = theory.muon_g2_band(card, mass_GeV), g2.central
        name, sigma = "muon g-2", g2.uncertainty
    return Line(
        name=name,
        source=central.source,
        caveat="band: 2 sigma; later theory averages shrink the shift",
        parameters={"delta_a_mu": central.value, "uncertainty": sigma.value},
        x=_floats(mass_GeV),
        y=_nullable(band.central),
        band_low=_nullable(band.minus2),
        band_high=_nullable(band.plus2),
    )


def electron_g2(mass_GeV: ArrayLike, *, alpha: str = "rubidium", pull: float = 2.0) -> Line:
    """The bound by the electron's g-2: larger epsilon is excluded at `pull` sigma.

    Raises:
        ConfigError: no such measurement of alpha (rubidium, caesium).
    """
    bound = theory.electron_g2_bound(mass_GeV, alpha, pull)
    measured = theory.ELECTRON_G2[alpha]
    caveat = f"excluded above at {pull:g} sigma; the two measurements of alpha differ by 5 sigma"
    if not np.isfinite(bound).any():
        caveat = f"no bound: a_e is more than {pull:g} sigma below the prediction without an A' already"
    return Line(
        name=f"electron g-2 ({alpha})",
        source=f"a_e: Hanneke et al., PRL 100, 120801 (2008); {measured.source}",
        caveat=caveat,
        parameters={"delta_a_e": measured.central, "uncertainty": measured.uncertainty, "pull": pull},
        x=_floats(mass_GeV),
        y=_nullable(bound),
        excluded_side="above",
    )


def relic_line(mass_GeV: ArrayLike, parameters: Parameters) -> Line:
    """epsilon of the observed dark matter, with its band; null outside 1 MeV to 3 GeV and where it exceeds 1.

    Raises:
        ConfigError: an unphysical model.
    """
    masses = np.atleast_1d(np.asarray(mass_GeV, dtype=float))
    low, high = relic.MASS_RANGE_GEV
    line, resonant = np.full(masses.shape, np.nan), np.zeros(masses.shape, dtype=bool)
    for i, mass in enumerate(masses):
        if low <= mass <= high:
            density = relic.RelicDensity(float(mass), parameters)
            epsilon = density.epsilon()
            if epsilon is not None:
                line[i] = epsilon
                resonant[i] = density.resonance_share(epsilon) > 0.5
    uncertainty = _relic_uncertainty(masses)
    return Line(
        name="thermal relic",
        source=RELIC_SOURCE,
        caveat=_relic_caveat(masses, parameters, resonant),
        parameters=_as_dict(parameters),
        x=masses.tolist(),
        y=_nullable(line),
        band_low=_nullable(line / (1.0 + uncertainty)),
        band_high=_nullable(line * (1.0 + uncertainty)),
        uncertain=resonant.tolist(),
    )


def relic_alpha_dark(mass_GeV: ArrayLike, epsilon: ArrayLike, parameters: Parameters) -> Line:
    """alpha_D of the observed dark matter against m_A', at an epsilon for each mass: the paper's Fig. 5.

    Null where none between 1e-4 and 1 leaves it: annihilation at the resonance does not fall with alpha_D.

    Args:
        mass_GeV, epsilon: shapes (n_mass,).
        parameters: R and f; alpha_D is not used.

    Raises:
        ConfigError: an unphysical model.
    """

    def excess(log_alpha: float, mass: float, mixing: float) -> float:
        return _relic_excess(mass, mixing, replace(parameters, alpha_dark=math.exp(log_alpha)))

    masses = np.atleast_1d(np.asarray(mass_GeV, dtype=float))
    less, line, more = _relic_solutions(excess, (math.log(1e-4), 0.0), masses, epsilon)
    return Line(
        name="thermal relic",
        source=RELIC_SOURCE,
        caveat=_relic_caveat(masses, parameters),
        parameters={key: value for key, value in _as_dict(parameters).items() if key != "alpha_dark"},
        y_quantity="alpha_dark",
        x=masses.tolist(),
        y=_nullable(np.exp(line)),
        band_low=_nullable(np.exp(more)),  # more mixing, less coupling
        band_high=_nullable(np.exp(less)),
    )


def relic_splitting(chi1_mass_GeV: ArrayLike, epsilon: ArrayLike, parameters: Parameters) -> Line:
    """f of the observed dark matter against m_chi1, at an epsilon for each mass: the paper's Fig. 5.

    A larger f leaves more dark matter, since chi2 is rarer. Null where none below R - 2 leaves it.

    Args:
        chi1_mass_GeV, epsilon: shapes (n_mass,).
        parameters: R and alpha_D; f is not used.

    Raises:
        ConfigError: an unphysical model.
    """
    ratio = parameters.mass_ratio

    def excess(splitting: float, mass: float, mixing: float) -> float:
        return _relic_excess(mass, mixing, replace(parameters, relative_splitting=splitting))

    chi1 = np.atleast_1d(np.asarray(chi1_mass_GeV, dtype=float))
    largest = ratio - 2.0
    bracket = (1e-3 * largest, 0.999 * largest)
    less, line, more = _relic_solutions(excess, bracket, ratio * chi1, epsilon)
    return Line(
        name="thermal relic",
        source=RELIC_SOURCE,
        caveat=_relic_caveat(ratio * chi1, parameters),
        parameters={key: v for key, v in _as_dict(parameters).items() if key != "relative_splitting"},
        x_quantity="chi1_mass_GeV",
        y_quantity="relative_splitting",
        x=chi1.tolist(),
        y=_nullable(line),
        band_low=_nullable(less),
        band_high=_nullable(more),
    )


RELIC_SOURCE = "own Boltzmann solution, Omega h^2 = 0.12 (Planck 2018)"


def _relic_excess(mass: float, mixing: float, parameters: Parameters) -> float:
    return math.log(relic.RelicDensity(mass, parameters)(mixing) / relic.RELIC_DENSITY)


def _relic_solutions(
    excess: Callable[[float, float, float], float],
    bracket: tuple[float, float],
    masses: Array,
    epsilon: ArrayLike,
) -> tuple[Array, Array, Array]:
    """Where the density is right, with epsilon less its uncertainty, as given, and more; NaN for nowhere."""
    mixings = np.broadcast_to(np.asarray(epsilon, dtype=float), masses.shape)
    lowest, highest = relic.MASS_RANGE_GEV
    larger = 1.0 + _relic_uncertainty(masses)
    solutions = []
    for factor in (1.0 / larger, np.ones_like(larger), larger):
        solution = np.full(masses.shape, np.nan)
        for i, arguments in enumerate(zip(masses.tolist(), (mixings * factor).tolist(), strict=True)):
            if lowest <= arguments[0] <= highest and math.isfinite(arguments[1]):
                first, last = (excess(end, *arguments) for end in bracket)
                if first * last < 0.0:
                    solution[i] = optimize.brentq(excess, *bracket, args=arguments, xtol=1e-3)
        solutions.append(solution)
    return solutions[0], solutions[1], solutions[2]


def _relic_uncertainty(masses: Array) -> Array:
    return np.where(masses < relic.HADRONS_FROM, relic.UNCERTAINTY, relic.UNCERTAINTY_WITH_HADRONS)


def _relic_caveat(masses: Array, parameters: Parameters, resonant: NDArray[np.bool_] | None = None) -> str:
    caveat = (
        "band: 30 % in epsilon below m_A' = 0.4 GeV, 60 % above, where hadrons matter (assumed); "
        "chi1 and chi2 in equilibrium with each other and with the SM until freeze-out"
    )
    if (masses / parameters.mass_ratio < relic.LIGHTEST_CHI1_GEV).any():
        caveat += "; chi1 below 5 MeV would heat electrons after neutrinos decouple, which is left out"
    if resonant is not None and resonant.any():
        caveat += "; m_A' near m_chi1 + m_chi2: resonant annihilation, epsilon rests on the width of the A'"
    return caveat


def landau_pole(mass_GeV: ArrayLike) -> Line:
    """The largest alpha_D without a Landau pole below 1 TeV, against m_A'."""
    masses = np.atleast_1d(np.asarray(mass_GeV, dtype=float))
    return Line(
        name="Landau pole",
        source="alpha_D < 2 pi/(b ln(1 TeV/m_A')), b = 8/3: chi and a dark Higgs of charge 2",
        caveat="a bound of theory on the model as it stands up to 1 TeV; the paper rounds it to 0.2",
        parameters={"scale_GeV": 1000.0},
        y_quantity="alpha_dark",
        x=masses.tolist(),
        y=[theory.landau_pole_bound(float(mass)) for mass in masses],
        excluded_side="above",
    )


def chi2_stable(chi1_mass_GeV: ArrayLike) -> Line:
    """f below which chi2 has no visible decay, against m_chi1: there the invisible search holds."""
    return Line(
        name="chi2 stable",
        source="Delta = 2 m_e",
        caveat="below it chi2 decays to photons or neutrinos at most, and counts as stable here",
        parameters={},
        x_quantity="chi1_mass_GeV",
        y_quantity="relative_splitting",
        x=_floats(chi1_mass_GeV),
        y=_nullable(theory.chi2_stable_below_splitting(np.atleast_1d(chi1_mass_GeV))),
    )


def decay_closed(chi1_mass_GeV: ArrayLike, mass_ratio: float) -> Line:
    """f above which A' -> chi1 chi2 is closed, against m_chi1."""
    masses = _floats(chi1_mass_GeV)
    return Line(
        name="A' -> chi1 chi2 closed",
        source="Delta = m_A' - 2 m_chi1",
        caveat="at this line, m_A' = m_chi1 + m_chi2, the co-annihilation of the early universe is resonant",
        parameters={"mass_ratio": mass_ratio},
        x_quantity="chi1_mass_GeV",
        y_quantity="relative_splitting",
        x=masses,
        y=[mass_ratio - 2.0] * len(masses),
        excluded_side="above",
    )


def e137(
    mass_GeV: ArrayLike,
    parameters: Parameters,
    experiment: recasts.E137 | None = None,
    *,
    bands: bool = True,
    events: int = 6000,
    seed: int = 1,
    threads: int = 1,
) -> Region:
    """What E137 excludes at any alpha_D, R and f, by this package's cross section, cascade and decay.

    Args:
        bands: also a threshold of 3 GeV, a detector of 2 x 2 m^2, and 3.0 events (95 % CL).
        events: A' for each mass; the statistical error of an edge is 1 to 2 % with 6000.

    Raises:
        ConfigError: an unphysical model.  ConvergenceError: a cross section that did not converge.
    """
    experiment = experiment or recasts.E137()
    detector = experiment.detector
    variations = {
        "3.0 events (95 % CL)": replace(experiment, events_excluded=3.0),
        "pair above 3 GeV": replace(experiment, detector=replace(detector, pair_energy_min_GeV=3.0)),
        "detector 2 x 2 m2": replace(
            experiment, detector=replace(detector, half_width_cm=100.0, half_height_cm=100.0)
        ),
    }
    return _beam_dump(
        name="E137",
        about=_about_e137(experiment),
        parameters=parameters,
        masses=_floats(mass_GeV),
        experiments={"": experiment, **(variations if bands else {})},
        aprimes=lambda mass: recasts.e137_aprimes(mass, experiment, events=events, seed=seed),
        seed=seed,
        threads=threads,
    )


def proton_dump(
    mass_GeV: ArrayLike,
    parameters: Parameters,
    experiment: proton_beam.ProtonDump,
    *,
    bands: bool = True,
    events: int = 12_000,
    seed: int = 1,
    threads: int = 1,
) -> Region:
    """What NuCal or CHARM (`proton_beam.NUCAL`, `CHARM`) excludes at any alpha_D, R and f.

    Meson decays and proton bremsstrahlung; good to 30 to 50 % in epsilon, within a factor 2.5 of the public
    tables at f = 0.1.

    Args:
        bands: also pairs above 1 and above 10 GeV.
        events: A' of each process for each mass.

    Raises:
        ConfigError: an unphysical model.
    """
    detector = experiment.detector
    variations = {
        f"pair above {threshold} GeV": replace(
            experiment, detector=replace(detector, pair_energy_min_GeV=float(threshold))
        )
        for threshold in (1, 10)
    }
    return _beam_dump(
        name=experiment.name,
        about=_about_proton_dump(experiment),
        parameters=parameters,
        masses=_floats(mass_GeV),
        experiments={"": experiment, **(variations if bands else {})},
        aprimes=lambda mass: proton_beam.aprimes(experiment, mass, events=events, seed=seed),
        seed=seed,
        threads=threads,
    )


def _beam_dump(
    *,
    name: str,
    about: tuple[str, str],
    parameters: Parameters,
    masses: list[float],
    experiments: Mapping[str, recasts.E137 | proton_beam.ProtonDump],
    aprimes: Callable[[float], recasts.AprimeSample],
    seed: int,
    threads: int,
) -> Region:
    """The region of the first experiment, with the others, variations of it on the same A', as bands."""

    def at_mass(mass: float) -> list[recasts.Edges]:
        try:
            sample = aprimes(mass)
        except RuntimeError as error:
            raise ConvergenceError(f"no {name} yield at m_A' = {mass:g} GeV ({error}): report this") from None
        edges = []
        for one in experiments.values():
            decays = recasts.accepted_decays(sample, mass, parameters, one.detector, seed=seed)
            dump = recasts.BeamDump(decays, mass, parameters, one.exposure)
            edges.append(dump.edges(one.events_excluded))
        return edges

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        table = list(pool.map(at_mass, masses))
    nominal, *others = (list(column) for column in zip(*table, strict=True))
    return _region(
        name=name,
        about=about,
        parameters=parameters,
        masses=masses,
        edges=nominal,
        bands=dict(zip(list(experiments)[1:], others, strict=True)),
    )


def babar(mass_GeV: ArrayLike, parameters: Parameters, *, bands: bool = True) -> Region:
    """What BaBar's single photon excludes: its limit on A' -> invisible, where chi2 goes unseen.

    Nothing outside the published 1 MeV to 8 GeV.

    Args:
        bands: also effective radii of 0.5 and 1.5 m.

    Raises:
        ConfigError: an unphysical model.
    """
    table = np.log(np.array(published_curve("babar_invisible_2017"))).T

    def at_mass(mass: float) -> list[recasts.Edges]:
        if not table[0, 0] <= math.log(mass) <= table[0, -1]:
            return [(None, None)] * 3
        limit = math.exp(np.interp(math.log(mass), *table))
        return [
            recasts.SinglePhoton(mass, parameters, limit, recasts.BaBar(radius_cm=radius)).edges()
            for radius in (100.0, 50.0, 150.0)
        ]

    masses = _floats(mass_GeV)
    nominal, near, far = (list(column) for column in zip(*map(at_mass, masses), strict=True))
    return _region(
        name="BaBar",
        about=_BABAR,
        parameters=parameters,
        masses=masses,
        edges=nominal,
        bands={"radius 0.5 m": near, "radius 1.5 m": far} if bands else {},
    )


_BABAR = (
    "BaBar, arXiv:1702.03327 (A' -> invisible, Fig. 5, as tabulated in DarkCast), own recast",
    "chi2 unseen beyond an effective radius of 1 m (assumed; band 0.5 to 1.5 m)",
)


def _about_e137(experiment: recasts.E137) -> tuple[str, str]:
    return (
        "own calculation for E137, PRD 38, 3375 (1988): 1.87e20 electrons of 20 GeV on aluminium",
        f"zero events, {experiment.events_excluded:.3g} excluded; both leptons in 3 x 3 m2, pair above "
        f"{experiment.detector.pair_energy_min_GeV:g} GeV (assumed: no recast prints them); decays only, "
        "neither scattering nor annihilation",
    )


def _about_proton_dump(experiment: proton_beam.ProtonDump) -> tuple[str, str]:
    return (
        f"own calculation for {experiment.name}, {experiment.reference}",
        "illustrative: meson spectra and proton bremsstrahlung to 30-50 % in epsilon, more at 0.6-0.8 and "
        f"1 GeV (rho, phi); both leptons, together above {experiment.detector.pair_energy_min_GeV:g} GeV "
        "(assumed)",
    )


def about(experiment: str) -> tuple[str, str]:
    """Source and caveat of one of EXPERIMENTS."""
    return {
        "E137": _about_e137(recasts.E137()),
        "BaBar": _BABAR,
        "NuCal": _about_proton_dump(proton_beam.NUCAL),
        "CHARM": _about_proton_dump(proton_beam.CHARM),
    }[experiment]


EXPERIMENTS = ("E137", "BaBar", "NuCal", "CHARM")


def regions(mass_GeV: ArrayLike, parameters: Parameters, *, threads: int = 1) -> list[Region]:
    """What the other experiments exclude, in the order of EXPERIMENTS, without variations.

    Raises:
        ConfigError: an unphysical model.  ConvergenceError: a cross section that did not converge.
    """
    return [
        e137(mass_GeV, parameters, bands=False, threads=threads),
        babar(mass_GeV, parameters, bands=False),
        proton_dump(mass_GeV, parameters, proton_beam.NUCAL, bands=False, threads=threads),
        proton_dump(mass_GeV, parameters, proton_beam.CHARM, bands=False, threads=threads),
    ]


def strengths(
    experiment: str,
    mass_GeV: float,
    points: Sequence[tuple[Parameters, float]],
    *,
    events: int = 2000,
    seed: int = 1,
) -> Array:
    """Expected over excluded events of another experiment at one mass, for each (parameters, epsilon).

    Shape (n_points,); the same calculation as :func:`regions`, for planes in which epsilon is no axis.

    Raises:
        ConfigError: no such experiment, an unphysical model.
    """
    if experiment not in EXPERIMENTS:
        raise ConfigError(f"no recast of {experiment}: choose one of {', '.join(EXPERIMENTS)}")
    if experiment == "BaBar":
        table = np.log(np.array(published_curve("babar_invisible_2017"))).T
        if not table[0, 0] <= math.log(mass_GeV) <= table[0, -1]:
            return np.zeros(len(points))
        limit = math.exp(np.interp(math.log(mass_GeV), *table))
        return np.array([recasts.SinglePhoton(mass_GeV, p, limit).strength(e)[0] for p, e in points])
    one: recasts.E137 | proton_beam.ProtonDump
    if experiment == "E137":
        one = recasts.E137()
        sample = recasts.e137_aprimes(mass_GeV, one, events=events, seed=seed)
    else:
        one = proton_beam.NUCAL if experiment == "NuCal" else proton_beam.CHARM
        sample = proton_beam.aprimes(one, mass_GeV, events=events, seed=seed)
    # Kinematics do not depend on alpha_D.
    decays: dict[tuple[float, float], recasts.AcceptedDecays] = {}
    found = []
    for parameters, epsilon in points:
        key = parameters.mass_ratio, parameters.relative_splitting
        if key not in decays:
            decays[key] = recasts.accepted_decays(sample, mass_GeV, parameters, one.detector, seed=seed)
        dump = recasts.BeamDump(decays[key], mass_GeV, parameters, one.exposure)
        found.append(float(dump.expected(epsilon)[0]) / one.events_excluded)
    return np.array(found)


@dataclass(frozen=True)
class _Table:
    """A public exclusion at one choice of parameters, and the epsilon where its figure ends."""

    name: str
    frame: float
    source: str


TABLE_PARAMETERS = Parameters(alpha_dark=0.1, mass_ratio=3.0, relative_splitting=0.1)
_ESPP = "public ESPP 2026 tables (ESPP2026-PPG/Inelastic-DM)"
TABLES = {
    "nucal": _Table("NuCal (table)", 0.1, f"{_ESPP}, as in arXiv:2405.08081, 2504.06828"),
    "charm": _Table("CHARM (table)", 0.1, f"{_ESPP}, as in arXiv:2405.08081, 2504.06828"),
    "e137": _Table("E137 (table)", 0.15, f"{_ESPP}, from arXiv:1908.07525, 1911.03176"),
    "babar": _Table("BaBar (table)", 0.15, f"{_ESPP}, from arXiv:1908.07525, 1911.03176"),
}


def public_table(experiment: str, parameters: Parameters, points: int = 121) -> Region:
    """A public exclusion of NuCal, CHARM, E137 or BaBar, at the parameters that it was made for.

    Args:
        experiment: nucal, charm, e137 or babar.
        points: masses, at equal ratios over the table.

    Raises:
        ConfigError: no such table, or other parameters than f = 0.1, alpha_D = 0.1, R = 3.
    """
    if experiment not in TABLES:
        raise ConfigError(f"no table of {experiment}: choose one of {', '.join(TABLES)}")
    table = TABLES[experiment]
    ours, theirs = _as_dict(parameters), _as_dict(TABLE_PARAMETERS)
    if any(not math.isclose(ours[key], theirs[key], rel_tol=1e-6) for key in theirs):
        raise ConfigError(
            f"the table of {table.name} holds at f = 0.1, alpha_D = 0.1, m_A'/m_chi1 = 3 only (asked: f = "
            f"{parameters.relative_splitting:g}, alpha_D = {parameters.alpha_dark:g}, m_A'/m_chi1 = "
            f"{parameters.mass_ratio:g}): leave it out of this plane"
        )
    contour = np.array(published_curve(f"{experiment}_idm_f0.1"))
    # The first and the last mass are vertical lines of the contour: a hair inside them.
    masses = np.geomspace(contour[:, 0].min() * (1 + 1e-9), contour[:, 0].max() * (1 - 1e-9), points)
    edges = [_crossings(contour, float(mass)) for mass in masses]
    return _region(
        name=table.name,
        about=(
            table.source,
            f"f = 0.1 only; a top at epsilon = {table.frame:g} is the frame of a figure and no exclusion, "
            f"and so is the first mass, {masses[0]:.2g} GeV",
        ),
        parameters=parameters,
        masses=masses.tolist(),
        edges=edges,
        frame=table.frame,
    )


def _crossings(contour: Array, mass: float) -> recasts.Edges:
    """Lowest and highest epsilon of a closed contour at a mass, between its points in the logarithms."""
    x, y = np.log(contour).T
    at = math.log(mass)
    i = np.flatnonzero((x[:-1] - at) * (x[1:] - at) < 0.0)
    if not len(i):
        return None, None
    crossed = np.exp(y[i] + (y[i + 1] - y[i]) * (at - x[i]) / (x[i + 1] - x[i]))
    return float(crossed.min()), float(crossed.max())


def published_curve(name: str) -> list[tuple[float, float]]:
    """A published limit that comes with the package, as (mass_GeV, epsilon) points."""
    text = (resources.files("na64root") / "data" / f"{name}.csv").read_text("utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [(float(row["mass_GeV"]), float(row["epsilon"])) for row in rows]


def _region(
    *,
    name: str,
    about: tuple[str, str],
    parameters: Parameters,
    masses: list[float],
    edges: Sequence[recasts.Edges],
    bands: dict[str, list[recasts.Edges]] | None = None,
    frame: float = recasts.EPSILON_RANGE[1],
) -> Region:
    return Region(
        name=name,
        source=about[0],
        caveat=about[1],
        parameters=_as_dict(parameters),
        mass_GeV=masses,
        epsilon_low=[low for low, _ in edges],
        epsilon_high=[high for _, high in edges],
        high_is_frame=[high is not None and high > 0.999 * frame for _, high in edges],
        bands={
            label: ([low for low, _ in values], [high for _, high in values])
            for label, values in (bands or {}).items()
        },
    )


def _as_dict(parameters: Parameters) -> dict[str, float]:
    return {
        "alpha_dark": parameters.alpha_dark,
        "mass_ratio": parameters.mass_ratio,
        "relative_splitting": parameters.relative_splitting,
    }


def _floats(values: ArrayLike) -> list[float]:
    return [float(value) for value in np.atleast_1d(np.asarray(values, dtype=float))]


def _nullable(values: Array) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in np.atleast_1d(values)]
