"""What other experiments exclude, as records with source and caveat.

Parameters are arguments; where a result does not hold for them a ConfigError says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ..annotations import Array
from ..errors import ConfigError, ConvergenceError
from ..records import Region
from ..signal import Parameters
from . import proton_beam, recasts
from .published import BABAR, about_e137, about_proton_dump, babar_limit, floats_of, region_of

BeamDumpExperiment: TypeAlias = recasts.E137 | proton_beam.ProtonDump


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
        about=about_e137(experiment),
        parameters=parameters,
        masses=floats_of(mass_GeV),
        experiments={"": experiment, **(variations if bands else {})},
        events=events,
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
        about=about_proton_dump(experiment),
        parameters=parameters,
        masses=floats_of(mass_GeV),
        experiments={"": experiment, **(variations if bands else {})},
        events=events,
        seed=seed,
        threads=threads,
    )


def _aprimes(
    experiment: BeamDumpExperiment, mass_GeV: float, *, events: int, seed: int
) -> recasts.AprimeSample:
    """The A' that its beam makes.

    Raises:
        ConfigError: a mass that is not positive.  ConvergenceError: a cross section that did not converge.
    """
    if not mass_GeV > 0.0:
        raise ConfigError(f"m_A' = {mass_GeV:g} GeV is not positive: correct the mass")
    if isinstance(experiment, proton_beam.ProtonDump):
        return proton_beam.aprimes(experiment, mass_GeV, events=events, seed=seed)
    try:
        return recasts.e137_aprimes(mass_GeV, experiment, events=events, seed=seed)
    except RuntimeError as error:
        raise ConvergenceError(f"no E137 yield at m_A' = {mass_GeV:g} GeV ({error}): report this") from None


def _beam_dump(
    *,
    name: str,
    about: tuple[str, str],
    parameters: Parameters,
    masses: list[float],
    experiments: Mapping[str, BeamDumpExperiment],
    events: int,
    seed: int,
    threads: int,
) -> Region:
    """The region of the first experiment, with the others, variations of it on the same A', as bands."""
    first = next(iter(experiments.values()))

    def at_mass(mass: float) -> list[recasts.Edges]:
        sample = _aprimes(first, mass, events=events, seed=seed)
        edges = []
        for one in experiments.values():
            decays = recasts.accepted_decays(sample, mass, parameters, one.detector, seed=seed)
            dump = recasts.BeamDump(decays, mass, parameters, one.exposure)
            edges.append(dump.edges(one.events_excluded))
        return edges

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        table = list(pool.map(at_mass, masses))
    nominal, *others = (list(column) for column in zip(*table, strict=True))
    return region_of(
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

    def at_mass(mass: float) -> list[recasts.Edges]:
        limit = babar_limit(mass)
        if limit is None:
            return [(None, None)] * 3
        return [
            recasts.SinglePhoton(mass, parameters, limit, recasts.BaBar(radius_cm=radius)).edges()
            for radius in (100.0, 50.0, 150.0)
        ]

    masses = floats_of(mass_GeV)
    nominal, near, far = (list(column) for column in zip(*map(at_mass, masses), strict=True))
    return region_of(
        name="BaBar",
        about=BABAR,
        parameters=parameters,
        masses=masses,
        edges=nominal,
        bands={"radius 0.5 m": near, "radius 1.5 m": far} if bands else {},
    )


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
        limit = babar_limit(mass_GeV)
        if limit is None:
            return np.zeros(len(points))
        return np.array([recasts.SinglePhoton(mass_GeV, p, limit).strength(e)[0] for p, e in points])
    dumps: dict[str, BeamDumpExperiment] = {
        "E137": recasts.E137(),
        "NuCal": proton_beam.NUCAL,
        "CHARM": proton_beam.CHARM,
    }
    one = dumps[experiment]
    sample = _aprimes(one, mass_GeV, events=events, seed=seed)
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
