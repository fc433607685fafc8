"""Published curves as tables, with their parameters and sources."""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import ArrayLike

from ..annotations import Array
from ..errors import ConfigError
from ..records import Region
from ..signal import Parameters
from . import proton_beam, recasts

BABAR = (
    "BaBar, arXiv:1702.03327 (A' -> invisible, Fig. 5, as tabulated in DarkCast), own recast",
    "chi2 unseen beyond an effective radius of 1 m (assumed; band 0.5 to 1.5 m)",
)


def about_e137(experiment: recasts.E137) -> tuple[str, str]:
    """Source and caveat of E137."""
    return (
        "own calculation for E137, PRD 38, 3375 (1988): 1.87e20 electrons of 20 GeV on aluminium",
        f"zero events, {experiment.events_excluded:.3g} excluded; both leptons in 3 x 3 m2, pair above "
        f"{experiment.detector.pair_energy_min_GeV:g} GeV (assumed: no recast prints them); decays only, "
        "neither scattering nor annihilation",
    )


def about_proton_dump(experiment: proton_beam.ProtonDump) -> tuple[str, str]:
    """Source and caveat of NuCal or CHARM."""
    return (
        f"own calculation for {experiment.name}, {experiment.reference}",
        "illustrative: meson spectra and proton bremsstrahlung to 30-50 % in epsilon, more at 0.6-0.8 and "
        f"1 GeV (rho, phi); both leptons, together above {experiment.detector.pair_energy_min_GeV:g} GeV "
        "(assumed)",
    )


def about(experiment: str) -> tuple[str, str]:
    """Source and caveat of one of EXPERIMENTS."""
    return {
        "E137": about_e137(recasts.E137()),
        "BaBar": BABAR,
        "NuCal": about_proton_dump(proton_beam.NUCAL),
        "CHARM": about_proton_dump(proton_beam.CHARM),
    }[experiment]


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
    ours, theirs = as_json(parameters), as_json(TABLE_PARAMETERS)
    if not parameters.mediator.is_kinetic_mixing or any(
        not math.isclose(ours[key], theirs[key], rel_tol=1e-6) for key in theirs
    ):
        raise ConfigError(
            f"the table of {table.name} holds at f = 0.1, alpha_D = 0.1, m_A'/m_chi1 = 3 only (asked: f = "
            f"{parameters.relative_splitting:g}, alpha_D = {parameters.alpha_dark:g}, m_A'/m_chi1 = "
            f"{parameters.mass_ratio:g}): leave it out of this plane"
        )
    contour = np.array(published_curve(f"{experiment}_idm_f0.1"))
    # The first and the last mass are vertical lines of the contour: a hair inside them.
    masses = np.geomspace(contour[:, 0].min() * (1 + 1e-9), contour[:, 0].max() * (1 - 1e-9), points)
    edges = [_crossings(contour, float(mass)) for mass in masses]
    return region_of(
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


def published_curve(name: str, column: str = "epsilon") -> list[tuple[float, float]]:
    """A published limit that comes with the package, as points of mass_GeV and this column."""
    text = (resources.files("na64root") / "data" / f"{name}.csv").read_text("utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [(float(row["mass_GeV"]), float(row[column])) for row in rows]


def babar_limit(mass_GeV: float) -> float | None:
    """BaBar's limit on epsilon of A' -> invisible, between its points in the logarithms.

    None outside of the published 1 MeV to 8 GeV.
    """
    masses, limits = _babar_invisible()
    if not masses[0] <= math.log(mass_GeV) <= masses[-1]:
        return None
    return math.exp(np.interp(math.log(mass_GeV), masses, limits))


@functools.cache
def _babar_invisible() -> Array:
    return np.asarray(np.log(published_curve("babar_invisible_2017")).T)


def region_of(
    *,
    name: str,
    about: tuple[str, str],
    parameters: Parameters,
    masses: list[float],
    edges: Sequence[recasts.Edges],
    bands: dict[str, list[recasts.Edges]] | None = None,
    frame: float = recasts.EPSILON_RANGE[1],
) -> Region:
    """The record of a region from its edges at each mass.

    Args:
        about: source and caveat.
        frame: epsilon where the table or the scan ends.
    """
    return Region(
        name=name,
        source=about[0],
        caveat=about[1],
        parameters=as_json(parameters),
        mass_GeV=masses,
        epsilon_low=[low for low, _ in edges],
        epsilon_high=[high for _, high in edges],
        high_is_frame=[high is not None and high > 0.999 * frame for _, high in edges],
        bands={
            label: ([low for low, _ in values], [high for _, high in values])
            for label, values in (bands or {}).items()
        },
    )


def as_json(parameters: Parameters) -> dict[str, float]:
    """The parameters by name."""
    return {
        "alpha_dark": parameters.alpha_dark,
        "mass_ratio": parameters.mass_ratio,
        "relative_splitting": parameters.relative_splitting,
    }


def floats_of(values: ArrayLike) -> list[float]:
    """A number or an array as a list of numbers."""
    return [float(value) for value in np.atleast_1d(np.asarray(values, dtype=float))]


def nullable(values: Array) -> list[float | None]:
    """A list with None in place of what is not finite."""
    return [float(value) if np.isfinite(value) else None for value in np.atleast_1d(values)]
