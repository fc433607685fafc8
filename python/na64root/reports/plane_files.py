"""What an exclusion plane is written as: figure, curves (CSV), ROOT objects."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import figures, records
from ..cling import new_file, root
from ..config import Card
from ..errors import ConfigError
from ..records import Record, ResultsFolder
from ..views import bin_edges

FILES = ("pdf", "png", "csv", "root")


ROOT_TITLES = {
    "mass": "m_{A'} [GeV]",
    "mass1": "m_{#chi_{1}} [GeV]",
    "epsilon": "#varepsilon",
    "alpha": "#alpha_{D}",
    "ratio": "m_{A'}/m_{#chi_{1}}",
    "splitting": "#Delta/m_{#chi_{1}}",
    "g": "g = #varepsilon e",
    "y": "y = #alpha_{D} #varepsilon^{2} (m_{#chi_{1}}/m_{A'})^{4}",
}


class Plotted(Record):
    """What :func:`plot` wrote, by name."""

    plane: str
    files: dict[str, str]


def plot(
    plane: records.PlaneResult,
    card: Card,
    results: ResultsFolder,
    *,
    projections: Mapping[str, records.PlaneResult] | None = None,
) -> Plotted:
    """Figure, curves (CSV) and ROOT objects of a plane, as :func:`na64root.analyze.scan_of_files` writes.

    Args:
        card: of the plane, for the title.
        projections: other results in the same plane by the label of their contours.

    Raises:
        ConfigError: a projection in another plane.
        Na64Error: they exist and are not to be replaced.
    """
    for label, other in (projections or {}).items():
        if other.plane != plane.plane:
            raise ConfigError(
                f"{label} is a plane {other.plane} (drawn over {plane.plane}): give one of these"
            )
    names = [f"{plane.plane}.{kind}" for kind in FILES]
    results.require(names)
    with results.replacing(names) as folder:
        write(plane, card, folder, projections)
    return Plotted(plane=plane.plane, files={name: str(results.path / name) for name in names})


def labelled(
    plane: records.PlaneResult, others: Sequence[tuple[Path, records.PlaneResult]]
) -> dict[str, records.PlaneResult]:
    """Projections by the labels of their contours: card and exposure, and what else differs from `plane`.

    Those that are still alike have their files beside it: none takes the place of another.
    """
    known: list[tuple[str, Path, records.PlaneResult]] = []
    for path, other in others:
        label = f"{other.provenance.card}: {sum(other.exposure.values()):.3g} EOT"
        if other.mode != plane.mode:
            label += f", {other.mode}"
        if other.confidence_level is not None and other.confidence_level != plane.confidence_level:
            label += f", {100 * other.confidence_level:g} % CL"
        known.append((label, path, other))
    seen = Counter(label for label, _, _ in known)
    return {f"{label} ({path})" if seen[label] > 1 else label: other for label, path, other in known}


def write(
    plane: records.PlaneResult,
    card: Card,
    folder: Path,
    projections: Mapping[str, records.PlaneResult] | None = None,
) -> None:
    """FILES of a plane."""
    draw(plane, card, folder, plane.plane, projections)
    with (folder / f"{plane.plane}.csv").open("w", encoding="utf-8", newline="") as file:
        for name, overlay in plane.overlays.items():
            file.write(f"# {name}: {overlay.source}; {overlay.caveat}\n")
        writer = csv.writer(file)
        writer.writerow(["curve", "kind", "part", *plane.plane.split("-")])
        for name, kind, part, contour in _curves(plane, projections):
            writer.writerows([name, kind, part, *point] for point in contour)
    with new_file(folder / f"{plane.plane}.root") as file:
        of_card = card.limit.confidence_level.value
        write_objects(file, plane, of_card if plane.confidence_level is None else plane.confidence_level)


def _curves(
    plane: records.PlaneResult, projections: Mapping[str, records.PlaneResult] | None
) -> Iterator[tuple[str, str, int, list[list[float]]]]:
    """Every curve of a figure: name, kind, part and points."""
    groups = {"blinded" if plane.blind else "observed": ("excluded", plane.contours)}
    if plane.inclusive is not None:
        groups["inclusive signal"] = ("inclusive", plane.inclusive.contours)
    groups |= {f"expected {name}": ("expected", lines) for name, lines in plane.expected_contours.items()}
    groups |= {label: ("projection", other.contours) for label, other in (projections or {}).items()}
    for name, (kind, lines) in groups.items():
        for part, line in enumerate(lines):
            yield name, kind, part, line
    for name, overlay in plane.overlays.items():
        yield name, overlay.kind, 0, overlay.contour


def draw(
    plane: records.PlaneResult,
    card: Card,
    folder: Path,
    name: str,
    projections: Mapping[str, records.PlaneResult] | None = None,
) -> None:
    """Draw a plane into `folder`, as NAME.pdf and NAME.png."""
    title = title_of_plane(plane, card) + ", expected, blinded" * plane.blind
    figure = figures.exclusion_plane(
        plane, title=title, cl=card.limit.confidence_level.value, projections=projections
    )
    figures.save(figure, folder, name)


def title_of_plane(plane: records.PlaneResult, card: Card) -> str:
    """Exposure, and what is no axis."""
    model, axes = card.model, plane.plane.split("-")
    on_target = "EOT" if card.beam.particle == "e-" else r"$e^+$ OT"
    coupling = "" if model.coupling == "vector" else model.coupling
    mediator = [part for part in (coupling, model.vector.written) if part]
    parts = [*mediator, rf"${figures.scientific(sum(plane.exposure.values()))}$ {on_target}"]
    # alpha_D follows where y has epsilon beside it.
    if "alpha" not in axes and not ("y" in axes and {"epsilon", "g"} & set(axes)):
        parts.append(rf"$\alpha_D = {model.alpha_dark.value:g}$")
    if "ratio" not in axes:
        parts.append(rf"$m_{{A'}} = {model.mass_ratio.value:g}\,m_{{\chi_1}}$")
    if "splitting" not in axes:
        parts.append(rf"$\Delta/m_{{\chi_1}} = {model.relative_splitting.value:g}$")
    if not {"epsilon", "g", "y"} & set(axes):
        parts.append(plane.epsilon_is)
    if plane.mode == "invisible":
        parts.append(r"$A' \to$ invisible")
    return ", ".join(parts)


def write_objects(file: Any, plane: records.PlaneResult, cl: float) -> None:
    """Write a plane into an open ROOT file: the limit as TH2D, every curve as TGraph."""
    ROOT = root()
    titles = ";".join(ROOT_TITLES[quantity] for quantity in plane.plane.split("-"))
    histogram = ROOT.TH2D(
        "upper_limit_mu",
        f"Upper limit on the signal strength;{titles}",
        *(len(plane.x), bin_edges(plane.x, logarithmic=plane.x_logarithmic)),
        *(len(plane.y), bin_edges(plane.y, logarithmic=plane.y_logarithmic)),
    )
    for j, row in enumerate(plane.upper_limit_mu, start=1):
        for i, mu in enumerate(row, start=1):
            histogram.SetBinContent(i, j, math.inf if mu is None else mu)
    file.WriteObject(histogram, histogram.GetName())
    file.WriteObject(ROOT.TParameter["double"]("confidence_level", cl), "confidence_level")
    curves = {f"contour_{i}": points for i, points in enumerate(plane.contours)}
    if plane.inclusive is not None:
        curves |= {f"inclusive_{i}": points for i, points in enumerate(plane.inclusive.contours)}
    curves |= {key.replace(" ", "_"): overlay.contour for key, overlay in plane.overlays.items()}
    for name, points in curves.items():
        x, y = np.array(points, dtype=float).T.copy()
        file.WriteObject(ROOT.TGraph(len(x), x, y), name)
