"""What other experiments exclude, as records with source and caveat.

Parameters are arguments; where a result does not hold for them a ConfigError says so.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeAlias

from numpy.typing import ArrayLike

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
    ends: bool = False,
) -> Region:
    """What E137 excludes at any alpha_D, R and f, by this package's cross section, cascade and decay.

    Args:
        bands: also a threshold of 3 GeV, a detector of 2 x 2 m^2, and 3.0 events (95 % CL).
        events: A' for each mass; the statistical error of an edge is 1 to 2 % with 6000.
        ends: also masses where the region begins and ends, found to 1e-3.

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
        ends=ends,
    )


def proton_dump(
    mass_GeV: ArrayLike,
    parameters: Parameters,
    experiment: proton_beam.ProtonDump,
    *,
    bands: bool = True,
    events: int = 16_000,
    seed: int = 1,
    threads: int = 1,
    ends: bool = False,
) -> Region:
    """What NuCal or CHARM (`proton_beam.NUCAL`, `CHARM`) excludes at any alpha_D, R and f.

    Meson decays and proton bremsstrahlung; good to 30 to 50 % in epsilon, within a factor 2.5 of the public
    tables at f = 0.1.

    Args:
        bands: also pairs above 1 and above 10 GeV.
        events: A' for each mass, of those that can be seen.
        ends: also masses where the region begins and ends, found to 1e-3.

    Raises:
        ConfigError: an unphysical model.
    """
    if not parameters.mediator.is_kinetic_mixing:
        raise ConfigError(
            f"{experiment.name} for mediator {parameters.mediator.name} (mesons and protons make it by the "
            "charges of quarks, which is not built): leave it out"
        )
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
        ends=ends,
    )


class _DumpAtMass:
    """A beam dump at one mass, for any parameters; what they share is made once.

    Raises:
        ConfigError: a mass that is not positive.
    """

    def __init__(self, experiment: BeamDumpExperiment, mass_GeV: float, *, events: int, seed: int) -> None:
        if not mass_GeV > 0.0:
            raise ConfigError(f"m_A' = {mass_GeV:g} GeV is not positive: correct the mass")
        self.experiment, self.mass_GeV = experiment, mass_GeV
        self._events, self._seed = events, seed
        self._samples: dict[float, recasts.AprimeSample] = {}
        self._decays: dict[tuple[float, float, recasts.Detector], recasts.AcceptedDecays] = {}

    def dump(self, parameters: Parameters, detector: recasts.Detector | None = None) -> recasts.BeamDump:
        """Its expected events, with another detector if it is given.

        Raises:
            ConfigError: an unphysical model.  ConvergenceError: a cross section that did not converge.
        """
        detector = detector or self.experiment.detector
        # Kinematics do not depend on alpha_D.
        key = parameters.mass_ratio, parameters.relative_splitting, detector
        if key not in self._decays:
            needed = recasts.least_aprime_energy(
                parameters.model(self.mass_GeV, 1.0), detector.pair_energy_min_GeV
            )
            # A' of protons are cheap: rather more of them than several decays of each.
            most, each = (3 * self._events, 1) if self._of_protons else (self._events, 3)
            self._decays[key] = recasts.accepted_decays(
                self._sample(needed),
                self.mass_GeV,
                parameters,
                detector,
                most=most,
                per_aprime=each,
                seed=self._seed,
            )
        return recasts.BeamDump(self._decays[key], self.mass_GeV, parameters, self.experiment.exposure)

    @property
    def _of_protons(self) -> bool:
        return isinstance(self.experiment, proton_beam.ProtonDump)

    def strength(self, parameters: Parameters, epsilon: float) -> float:
        """Expected over excluded events."""
        return float(self.dump(parameters).expected(epsilon)[0]) / self.experiment.events_excluded

    def _sample(self, above_GeV: float) -> recasts.AprimeSample:
        """A' that serve this energy and, so that neighbours share them, half an octave more."""
        known = 2.0 ** (0.5 * math.floor(2.0 * math.log2(above_GeV))) if above_GeV < 1e6 else math.inf
        if known not in self._samples:
            self._samples[known] = self._made(known)
        return self._samples[known]

    def _made(self, above_GeV: float) -> recasts.AprimeSample:
        one, mass = self.experiment, self.mass_GeV
        if isinstance(one, proton_beam.ProtonDump):
            # Cheap: few are energetic, of which `dump` takes as many as are wanted.
            return proton_beam.aprimes(one, mass, events=5 * self._events, seed=self._seed)
        try:
            return recasts.e137_aprimes(mass, one, events=self._events, seed=self._seed, above_GeV=above_GeV)
        except RuntimeError as error:
            raise ConvergenceError(f"no E137 yield at m_A' = {mass:g} GeV ({error}): report this") from None


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
    ends: bool,
) -> Region:
    """The region of the first experiment, with the others, variations of it on the same A', as bands."""
    first = next(iter(experiments.values()))

    def at_mass(mass: float) -> list[recasts.Edges]:
        dump = _DumpAtMass(first, mass, events=events, seed=seed)
        return [
            dump.dump(parameters, one.detector).edges(one.events_excluded) for one in experiments.values()
        ]

    masses, table = _table(at_mass, masses, ends=ends, threads=threads)
    nominal, *others = (list(column) for column in zip(*table, strict=True))
    return region_of(
        name=name,
        about=about,
        parameters=parameters,
        masses=masses,
        edges=nominal,
        bands=dict(zip(list(experiments)[1:], others, strict=True)),
    )


def _table(
    at_mass: Callable[[float], list[recasts.Edges]], masses: list[float], *, ends: bool, threads: int
) -> tuple[list[float], list[list[recasts.Edges]]]:
    """The edges at each mass, and with `ends` also where those of the first column begin and end.

    Between a mass where nothing is excluded and its neighbour the boundary is bisected in the logarithm.
    """
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        found = dict(zip(masses, pool.map(at_mass, masses), strict=True))
        if ends:

            def boundary(without: float, within: float) -> dict[float, list[recasts.Edges]]:
                between = {}
                while abs(math.log(within / without)) > END_PRECISION:
                    middle = math.sqrt(within * without)
                    between[middle] = at_mass(middle)
                    if between[middle][0][0] is None:
                        without = middle
                    else:
                        within = middle
                return between

            crossed = [
                pair if found[pair[0]][0][0] is None else pair[::-1]
                for pair in itertools.pairwise(sorted(masses))
                if (found[pair[0]][0][0] is None) != (found[pair[1]][0][0] is None)
            ]
            for between in pool.map(boundary, *zip(*crossed, strict=True)) if crossed else ():
                found |= between
    return sorted(found), [found[mass] for mass in sorted(found)]


def babar(mass_GeV: ArrayLike, parameters: Parameters, *, bands: bool = True, ends: bool = False) -> Region:
    """What BaBar's single photon excludes: its limit on A' -> invisible, where chi2 goes unseen.

    Nothing outside the published 1 MeV to 8 GeV.

    Args:
        bands: also effective radii of 0.5 and 1.5 m.
        ends: also masses where the region begins and ends, found to 1e-3.

    Raises:
        ConfigError: an unphysical model.
    """

    def at_mass(mass: float) -> list[recasts.Edges]:
        limit = babar_limit(mass)
        if limit is None:
            return [(None, None)] * len(radii)
        return [
            recasts.SinglePhoton(mass, parameters, limit, recasts.BaBar(radius_cm=radius)).edges()
            for radius in radii
        ]

    radii = (100.0, 50.0, 150.0) if bands else (100.0,)
    masses, table = _table(at_mass, floats_of(mass_GeV), ends=ends, threads=1)
    nominal, *others = (list(column) for column in zip(*table, strict=True))
    return region_of(
        name="BaBar",
        about=BABAR,
        parameters=parameters,
        masses=masses,
        edges=nominal,
        bands=dict(zip(("radius 0.5 m", "radius 1.5 m"), others, strict=False)),
    )


# Relative precision of the mass at which a region begins or ends.
END_PRECISION = 1e-3


EXPERIMENTS = ("E137", "BaBar", "NuCal", "CHARM")


def experiments_of(parameters: Parameters) -> tuple[str, ...]:
    """Those of EXPERIMENTS that hold for a mediator: what protons make is built for kinetic mixing alone."""
    return EXPERIMENTS if parameters.mediator.is_kinetic_mixing else EXPERIMENTS[:2]


def regions(mass_GeV: ArrayLike, parameters: Parameters, *, threads: int = 1) -> list[Region]:
    """What the experiments of :func:`experiments_of` exclude, without variations, with their ends.

    Raises:
        ConfigError: an unphysical model.  ConvergenceError: a cross section that did not converge.
    """
    nucal, charm = proton_beam.NUCAL, proton_beam.CHARM
    found = [
        e137(mass_GeV, parameters, bands=False, threads=threads, ends=True),
        babar(mass_GeV, parameters, bands=False, ends=True),
    ]
    if parameters.mediator.is_kinetic_mixing:
        found += [
            proton_dump(mass_GeV, parameters, dump, bands=False, threads=threads, ends=True)
            for dump in (nucal, charm)
        ]
    return found


class _BabarAtMass:
    """BaBar's single photon at one mass, for any parameters."""

    def __init__(self, mass_GeV: float) -> None:
        self._mass, self._limit = mass_GeV, babar_limit(mass_GeV)

    def strength(self, parameters: Parameters, epsilon: float) -> float:
        """Invisible events over those that the published limit allows; 0 outside of its masses."""
        if self._limit is None:
            return 0.0
        return float(recasts.SinglePhoton(self._mass, parameters, self._limit).strength(epsilon)[0])


def strength_at_mass(
    experiment: str, mass_GeV: float, *, events: int = 2000, seed: int = 1
) -> Callable[[Parameters, float], float]:
    """Expected over excluded events of another experiment at one mass, for (parameters, epsilon).

    The same calculation as :func:`regions`, for planes in which epsilon is no axis; what points share is made
    once.

    Raises:
        ConfigError: no such experiment, an unphysical model.
    """
    if experiment not in EXPERIMENTS:
        raise ConfigError(f"no recast of {experiment}: choose one of {', '.join(EXPERIMENTS)}")
    if experiment == "BaBar":
        return _BabarAtMass(mass_GeV).strength
    dumps: dict[str, BeamDumpExperiment] = {
        "E137": recasts.E137(),
        "NuCal": proton_beam.NUCAL,
        "CHARM": proton_beam.CHARM,
    }
    return _DumpAtMass(dumps[experiment], mass_GeV, events=events, seed=seed).strength
