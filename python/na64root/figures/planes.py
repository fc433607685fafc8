"""Figures of exclusion planes and of the exposure that a goal takes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.tri import Triangulation

from ..annotations import Array
from .style import COLOURS, mark_end_point, new_figure, scientific, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..records import PlaneResult

# Axis titles of the quantities of a plane, and what is written of those that are no axis.
AXES = {
    "mass": r"$m_{A'}$ [GeV]",
    "mass1": r"$m_{\chi_1}$ [GeV]",
    "epsilon": r"$\epsilon$",
    "alpha": r"$\alpha_D$",
    "ratio": r"$m_{A'}/m_{\chi_1}$",
    "splitting": r"$\Delta/m_{\chi_1}$",
    "g": r"$g = \epsilon e$",
    "y": r"$y = \alpha_D\,\epsilon^2\,(m_{\chi_1}/m_{A'})^4$",
}


# Colour, line and depth of what is drawn over a plane, by the beginning of its name.
OVERLAY_STYLES: dict[str, dict[str, Any]] = {
    "scalar relic": {"color": "black", "linewidth": 1.8},
    "Majorana relic": {"color": "black", "linewidth": 1.8, "linestyle": (0, (6, 2))},
    "Dirac relic": {"color": "black", "linewidth": 1.8, "linestyle": (0, (1, 1.5))},
    "NA64 B-L": {"color": "#00695c", "linestyle": "-.", "linewidth": 1.6},
    "thermal relic": {"color": "black", "linewidth": 2.8},
    "Landau pole": {"color": "#7a4b00", "linestyle": (0, (5, 2)), "linewidth": 1.6},
    "chi2 stable": {"color": "#5a5a5a", "linestyle": ":", "linewidth": 1.6},
    "A' -> chi1 chi2 closed": {"color": "#5a5a5a", "linestyle": "-", "linewidth": 1.6},
    "electron g-2": {"color": "#b5651d", "linestyle": (0, (1, 1)), "linewidth": 1.4},
    "NA64 invisible": {"color": "#4f7942", "linestyle": "-.", "linewidth": 1.4},
    "muon g-2": {"color": COLOURS["new"], "linestyle": "--", "linewidth": 1.4},
    "BaBar invisible": {"color": "#e07b00", "linestyle": "-.", "linewidth": 1.4},
    "E137": {"color": "#9467bd"},
    "BaBar": {"color": "#e07b00"},
    "NuCal": {"color": "#17a2b8"},
    "CHARM": {"color": "#8c564b"},
}


# How names are written in figures.
WRITTEN = {
    "chi2 stable": r"$\chi_2$ stable ($\Delta < 2m_e$)",
    "A' -> chi1 chi2 closed": r"$A' \to \chi_1\chi_2$ closed",
    "NuCal": "NuCal (illustrative)",
    "CHARM": "CHARM (illustrative)",
    "electron g-2 (rubidium)": r"$(g-2)_e$, excluded above (Rb)",
}


# Colours of projections, in their order.
PROJECTIONS = ("#c2185b", "#00695c", "#5c6bc0")


# Colours of curves of users, in their order.
USERS = ("#d81b60", "#1e88e5", "#8e24aa", "#fb8c00")
# Of the contour where S2 counts all that its selection leaves.
INCLUSIVE_LABEL = "same data, inclusive signal"
INCLUSIVE_STYLE: dict[str, Any] = {
    "color": COLOURS["exclusion"],
    "linewidth": 2.2,
    "linestyle": (0, (4, 2)),
}


# Plain names in sources and caveats, and how a figure writes them.
SYMBOLS = {
    "m_chi1": r"$m_{\chi_1}$",
    "m_chi2": r"$m_{\chi_2}$",
    "alpha_D": r"$\alpha_D$",
    "epsilon": r"$\epsilon$",
    "m_A'": r"$m_{A'}$",
    "chi1": r"$\chi_1$",
    "chi2": r"$\chi_2$",
    "m_e": r"$m_e$",
    "m2": "m²",
    "A'": r"$A'$",
}


_PLAIN = re.compile(r"(?<!\w)(" + "|".join(map(re.escape, SYMBOLS)) + r")(?!\w)")


def _written(text: str) -> str:
    return _PLAIN.sub(lambda match: SYMBOLS[match[0]], text)


@styled
def exclusion_plane(
    plane: PlaneResult,
    *,
    title: str,
    cl: float | None = None,
    projections: Mapping[str, PlaneResult] | None = None,
) -> Figure:
    """An exclusion plane as Figs. 4 and 5 of the paper: the excluded region filled, the rest around it.

    Args:
        cl: the confidence level where the plane does not say it; without either none is written.
        projections: other results in the same plane by the label of their contour.
    """
    figure, axes = new_figure(figsize=(9.4, 10.2))
    handles: list[Any] = [*_g2_bands(axes, plane)]
    regions: list[Any] = []
    notes: list[str] = []
    labelled = set()
    users = 0
    for name, overlay in plane.overlays.items():
        if name.startswith("g-2"):
            continue
        first = re.sub(r" \(\d+\)$", "", name)
        key = next((key for key in OVERLAY_STYLES if first.startswith(key)), "")
        style = {"color": "#5a5a5a", "linewidth": 1.3, **OVERLAY_STYLES.get(key, {})}
        curve = np.array(overlay.contour)
        if overlay.kind == "band":
            axes.fill(curve[:, 0], curve[:, 1], color="black", alpha=0.12, linewidth=0, zorder=2)
            continue
        if overlay.kind == "user":
            style = {"color": USERS[users % len(USERS)], "linewidth": 2.0, "linestyle": (0, (4, 1, 1, 1))}
            users += 1
        if overlay.kind == "excluded" and (curve[0] == curve[-1]).all():
            axes.fill(curve[:, 0], curve[:, 1], color=style["color"], alpha=0.10, linewidth=0, zorder=1)
        (line,) = axes.plot(curve[:, 0], curve[:, 1], zorder=4, **style)
        if first in labelled:
            continue
        labelled.add(first)
        line.set_label(WRITTEN.get(first, first))
        regions.append(line)
        notes.append(f"{first}: {overlay.source}; {overlay.caveat}.")

    level = plane.confidence_level if plane.confidence_level is not None else cl
    _fill(axes, plane)
    for contour in plane.contours:
        axes.plot(*np.array(contour).T, color=COLOURS["exclusion"], linewidth=2.6, zorder=5)
    handles.append(
        Patch(
            facecolor=(*matplotlib.colors.to_rgb(COLOURS["exclusion"]), 0.35),
            edgecolor=COLOURS["exclusion"],
            linewidth=2.0,
            label="this analysis, excluded" + (f" at {100 * level:g} % CL" if level is not None else ""),
        )
    )
    for number, contour in enumerate(plane.inclusive.contours if plane.inclusive else []):
        (line,) = axes.plot(
            *np.array(contour).T, color=COLOURS["exclusion"], linewidth=2.2, linestyle=(0, (4, 2)), zorder=5.5
        )
        if number == 0:
            line.set_label(INCLUSIVE_LABEL)
            handles.append(line)
    if plane.inclusive:
        notes.insert(0, _of_the_inclusive(plane))
    for number, contour in enumerate(plane.expected_contours.get("median", [])):
        (line,) = axes.plot(*np.array(contour).T, color="#1b3d14", linewidth=1.2, linestyle="--", zorder=5)
        if number == 0:
            line.set_label("expected (median)")
            handles.append(line)
    for colour, (label, other) in zip(PROJECTIONS * 9, (projections or {}).items(), strict=False):
        for number, contour in enumerate(other.contours):
            (line,) = axes.plot(*np.array(contour).T, color=colour, linewidth=2.2, linestyle="--", zorder=5)
            if number == 0:
                line.set_label(label)
                handles.append(line)
    axes.set_xscale("log" if plane.x_logarithmic else "linear")
    axes.set_yscale("log" if plane.y_logarithmic else "linear")
    axes.set_xlim(plane.x[0], plane.x[-1])
    axes.set_ylim(plane.y[0], plane.y[-1])
    if plane.g2_excluded_up_to_GeV is not None:
        mark_end_point(axes, plane.g2_excluded_up_to_GeV, frame=plane.g2_end_is_frame)
    x_quantity, y_quantity = plane.plane.split("-")
    axes.set_xlabel(AXES[x_quantity])
    axes.set_ylabel(AXES[y_quantity])
    axes.set_title(title, loc="left", fontsize=13)
    # Below the axes: the plane is full, and sources are long.
    text = "\n".join(textwrap.fill(note, 155, subsequent_indent="   ") for note in notes)
    if text:
        figure.supxlabel(_written(text), x=0.02, ha="left", fontsize=7.5, linespacing=1.25)
    figure.legend(handles=[*handles, *regions], loc="outside upper left", ncols=3, fontsize=10.5)
    return figure


def _fill(axes: Axes, plane: PlaneResult) -> None:
    """Fill what is excluded up to the contours, which are traced more finely than the points of the plane.

    Between both log(mu) is smooth where axes are even; points without any signal are far from excluded.
    """
    mu = np.array([[np.inf if value is None else value for value in row] for row in plane.upper_limit_mu])
    x, y = (values.ravel() for values in np.meshgrid(plane.x, plane.y))
    height = np.clip(np.log(np.maximum(mu, 1e-30)), -50.0, 50.0).ravel()
    for contour in plane.contours:
        edge = np.array(contour)
        x, y = np.append(x, edge[:, 0]), np.append(y, edge[:, 1])
        height = np.append(height, np.zeros(len(edge)))
    even = [
        np.log(values) if logarithmic else values
        for values, logarithmic in ((x, plane.x_logarithmic), (y, plane.y_logarithmic))
    ]
    triangles = Triangulation(*((v - v.min()) / (v.max() - v.min()) for v in even)).triangles
    axes.tricontourf(
        Triangulation(x, y, triangles),
        height,
        levels=[-51.0, -1e-9],
        colors=[COLOURS["exclusion"]],
        alpha=0.35,
        zorder=1.5,
    )


def _g2_bands(axes: Axes, plane: PlaneResult) -> Iterable[Any]:
    """The muon's g-2 as in Fig. 4: blue before Fermilab, red with it, the central line dashed."""
    for name, key, label, zorder in (
        ("g-2 before Fermilab", "old", r"$(g-2)_\mu$, $\pm 2\sigma$, before Fermilab", 1.0),
        ("g-2", "new", r"$(g-2)_\mu$, $\pm 2\sigma$, with Fermilab (2021)", 2.0),
    ):
        low, central, high = (plane.overlays.get(f"{name} {line}") for line in ("minus2", "central", "plus2"))
        if low is not None and high is not None:
            around = np.concatenate([np.array(low.contour), np.array(high.contour)[::-1]])
            axes.fill(around[:, 0], around[:, 1], color=COLOURS[key], alpha=0.30, linewidth=0, zorder=zorder)
            yield Patch(facecolor=COLOURS[key], alpha=0.30, label=label)
        if key == "new" and central is not None:
            (line,) = axes.plot(*np.array(central.contour).T, color=COLOURS[key], linestyle="--", zorder=3)
            line.set_label(r"$(g-2)_\mu$, central")
            yield line


def _of_the_inclusive(plane: PlaneResult) -> str:
    """What is to be said below a figure that shows the inclusive reading."""
    reading = plane.inclusive
    assert reading is not None
    text = f"{INCLUSIVE_LABEL}: {reading.remark}"
    if reading.g2_end_is_frame:
        text += "; the excluded part of the central g-2 line has no end in this range of masses"
    elif reading.g2_excluded_up_to_GeV is not None:
        text += f"; the central g-2 line is excluded up to {reading.g2_excluded_up_to_GeV:.3g} GeV"
    return text + "."


@styled
def exposure_plan(
    mass_GeV: Array,
    panels: Sequence[tuple[str, Sequence[tuple[str, Array, Array]]]],
    *,
    card_eot: float,
    largest_eot: float,
    what: str,
    note: str,
    cl: float = 0.9,
) -> Figure:
    """Electrons on target needed against mass, a panel for each thing that is varied.

    Args:
        mass_GeV: shape (n_mass,).
        panels: title, and (label, needed with no event seen, needed by the median limit) for each setup, of
            shape (n_mass,), NaN where no exposure up to `largest_eot` (electrons) is enough.
        card_eot: electrons on target, marked.
        what: is excluded, for the axis.  note: what is kept, below the figure.
    """
    figure = Figure(figsize=(7.2 * len(panels), 7.4))
    FigureCanvasAgg(figure)
    colours = ["#3f90da", "#17becf", "#4f7942", "#e07b00", "#bd1f01", "#9467bd", "#8c564b"]
    known = [
        float(np.nanmin(values))
        for _, curves in panels
        for _, zero, median in curves
        for values in (zero, median)
        if np.isfinite(values).any()
    ]
    lowest = 10.0 ** np.floor(np.log10(min(known, default=0.1 * card_eot)))
    drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, curves) in zip(drawn, panels, strict=True):
        for i, (label, zero, median) in enumerate(curves):
            colour = colours[i % len(colours)]
            axes.plot(mass_GeV, zero, color=colour, label=label)
            axes.plot(mass_GeV, median, color=colour, linestyle="--")
        axes.plot([], [], color="black", label="no event seen")
        axes.plot([], [], color="black", linestyle="--", label="expected median")
        axes.axhline(card_eot, color="grey", linestyle=":", linewidth=1.4)
        axes.annotate(
            rf"${scientific(card_eot)}$ electrons, the card's",
            (mass_GeV[0], card_eot),
            xytext=(8, 4),
            textcoords="offset points",
            fontsize=11,
            color="#555555",
        )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(mass_GeV[0], mass_GeV[-1])
        axes.set_ylim(lowest, largest_eot)
        axes.set_xlabel(r"$m_{A'}$ [GeV]")
        axes.set_title(title, loc="left")
        axes.legend(loc="upper left", fontsize=12)
    drawn[0].set_ylabel(f"electrons on target to exclude {what} at {100 * cl:g} % CL", fontsize=14)
    figure.supxlabel(textwrap.fill(note, 75 * len(panels)), x=0.01, ha="left", fontsize=11)
    return figure
