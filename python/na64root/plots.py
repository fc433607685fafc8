"""Figures of results, by matplotlib in the style of mplhep; nothing is computed here and no data are seen.

Each function draws one figure from arrays or records and returns it; :func:`save` writes it as PDF and PNG.
No global state: figures are made without pyplot, the style holds only while a figure is drawn and saved.
"""

from __future__ import annotations

import functools
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec

import matplotlib
import mplhep
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from .results import cuts_in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .results import (
        AssumedUncertainty,
        BestRCut,
        ClsScan,
        CutFlowRow,
        PlaneResult,
        StatisticDistribution,
    )

Array = np.typing.NDArray[np.float64]
Parameters = ParamSpec("Parameters")

STYLE: Any = {
    **mplhep.style.ROOT,
    "figure.figsize": (8.0, 6.4),
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "figure.constrained_layout.use": True,
    "font.size": 15,
    "axes.labelsize": 17,
    "axes.titlesize": 15,
    "xtick.labelsize": 14,
    "ytick.labelsize": 14,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "axes.grid": False,
    "axes.linewidth": 1.2,
    "xtick.major.size": 8,
    "xtick.minor.size": 4,
    "ytick.major.size": 8,
    "ytick.minor.size": 4,
}
# Colours that are told apart by the colour-blind, one for each signature and idea everywhere.
COLOURS = {"S1": "#3f90da", "S2": "#bd1f01", "exclusion": "#4f7942", "new": "#c91f16", "old": "#2c6fbb"}
# Colour and line of each treatment of the nuisance parameters.
TREATMENTS = {"none": ("black", "-"), "frequentist": ("#2c6fbb", "--"), "hybrid": ("#bd1f01", "-.")}


def _styled(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    @functools.wraps(draw)
    def styled(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return styled


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as NAME.pdf and NAME.png and return the paths. The same figure gives the same bytes."""
    paths = [folder / f"{name}.pdf", folder / f"{name}.png"]
    with matplotlib.rc_context(STYLE):
        figure.savefig(paths[0], metadata={"CreationDate": None})
        figure.set_layout_engine("none")  # it is laid out by now
        figure.savefig(paths[1])
    return paths


def _figure(**options: Any) -> tuple[Figure, Axes]:
    figure = Figure(**options)
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


@_styled
def cut_flow(rows: Iterable[CutFlowRow]) -> Figure:
    """Events left after each cut, a panel per run period, S1 beside S2, on a logarithmic axis."""
    rows = [row for row in rows if row.signature in COLOURS]
    periods = list(dict.fromkeys(row.period for row in rows))
    cuts = cuts_in_order(rows)
    weighted = any(row.weighted != row.events for row in rows)
    periods = periods or ["no event in any run period"]
    figure = Figure(figsize=(4.6 * len(periods) + 0.6, 6.4))
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(periods), sharey=True, squeeze=False)[0]
    largest = max((row.weighted if weighted else row.events for row in rows), default=1)
    panels[0].set_ylim(0.3, 12.0 * max(largest, 1))
    panels[0].set_yscale("log")
    for axes, period in zip(panels, periods, strict=True):
        for signature, shift in (("S1", -0.2), ("S2", 0.2)):
            events = {
                row.cut: row.weighted if weighted else row.events
                for row in rows
                if (row.period, row.signature) == (period, signature)
            }
            places = [i + shift for i, cut in enumerate(cuts) if cut in events]
            counts = [events[cut] for cut in cuts if cut in events]
            axes.bar(places, counts, width=0.4, color=COLOURS[signature], label=signature)
            for place, count in zip(places, counts, strict=True):
                text = f"{count:.3g}" if weighted else f"{count:d}"
                axes.annotate(
                    text,
                    (place, max(count, 0.3)),
                    xytext=(0, 4),
                    textcoords="offset points",
                    ha="center",
                    rotation=90,
                    fontsize=9,
                    color="black" if count else COLOURS[signature],
                )
        axes.set_xticks(range(len(cuts)), cuts, rotation=60, ha="right", rotation_mode="anchor", fontsize=11)
        axes.tick_params(axis="x", which="both", length=0)
        axes.set_title(period)
    panels[0].set_ylabel("events left after the cut" + (" (weighted)" if weighted else ""))
    if rows:
        panels[-1].legend(loc="upper right")
    return figure


@_styled
def background_regions(
    ecal_edges: Array,
    hcal_edges: Array,
    contents: Array,
    regions: Mapping[str, tuple[float, float, float, float]],
    sideband: tuple[Array, Array, Array, Array, Array, Array, Mapping[str, list[float]]] | None,
    box_max: float,
    title: str = "",
) -> Figure:
    """The plane of ECAL against HCAL energy with control regions, and the fit of the sideband.

    Args:
        regions: by name (ecal_low, ecal_high, hcal_low, hcal_high) in GeV.
        sideband: edges (n + 1,), events (n,), energies (m,), curve, low and high (m,), other curves (m,);
            None without a fit.
        box_max: ECAL energy where the box of S2 ends, GeV.
    """
    panels = 2 if sideband is not None else 1
    figure = Figure(figsize=(7.6 * panels, 6.4))
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    largest = float(contents.max(initial=0.0))
    mesh = mplhep.hist2dplot(
        np.where(contents > 0.0, contents, np.nan),
        ecal_edges,
        hcal_edges,
        ax=axes[0],
        norm=LogNorm(vmin=0.8, vmax=max(largest, 10.0)),
        cmap="viridis",
        cbar=False,
    )
    figure.colorbar(mesh.pcolormesh, ax=axes[0], label="events per bin", pad=0.02)
    for name, (ecal_low, ecal_high, hcal_low, hcal_high) in regions.items():
        colour = COLOURS.get(name, "black")
        corner, width, height = (ecal_low, hcal_low), ecal_high - ecal_low, hcal_high - hcal_low
        axes[0].add_patch(
            Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=2, zorder=5)
        )
        axes[0].annotate(
            name,
            (ecal_low + 0.5 * width, hcal_low + 0.5 * height),
            ha="center",
            va="center",
            color=colour,
            fontsize=12,
            fontweight="bold",
            bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.0},
            zorder=6,
        )
    axes[0].set_xlim(ecal_edges[0], ecal_edges[-1])
    axes[0].set_ylim(hcal_edges[0], hcal_edges[-1])
    axes[0].set_xlabel(r"$E_\mathrm{ECAL}$ [GeV]")
    axes[0].set_ylabel(r"$E_\mathrm{HCAL1} + E_\mathrm{HCAL2} + E_\mathrm{HCAL3}$ [GeV]")
    axes[0].set_title(title, loc="left")
    if sideband is None:
        return figure
    edges, events, energy, curve, low, high, others = sideband
    fit = axes[1]
    fit.axvspan(0.0, box_max, color=COLOURS["S2"], alpha=0.08, linewidth=0, label="box of S2")
    fit.fill_between(energy, low, high, color=COLOURS["old"], alpha=0.25, linewidth=0, label="fit, 68 %")
    fit.plot(energy, curve, color=COLOURS["old"], label="exponential")
    for (name, values), line in zip(others.items(), ("--", ":", "-."), strict=False):
        fit.plot(energy, values, line, color="0.3", linewidth=1.3, label=name)
    middle = 0.5 * (edges[1:] + edges[:-1])
    seen = events > 0.0
    fit.errorbar(
        middle[seen],
        events[seen],
        yerr=np.sqrt(events[seen]),
        fmt="o",
        color="black",
        markersize=4,
        label="events",
    )
    fit.set_yscale("log")
    fit.set_ylim(1e-3, 5.0 * max(float(events.max(initial=1.0)), float(curve.max())))
    fit.set_xlim(0.0, energy[-1])
    fit.set_xlabel(r"$E_\mathrm{ECAL}$ [GeV], no HCAL energy")
    fit.set_ylabel(f"events per {edges[1] - edges[0]:g} GeV")
    fit.legend(loc="upper left")
    return figure


@_styled
def spill_quality(
    quantities: Sequence[tuple[str, Array, np.typing.NDArray[np.bool_]]],
    periods: Mapping[str, tuple[int, int]],
) -> Figure:
    """Quantities of each spill in the order of runs and spills, flagged ones marked, a panel each.

    Args:
        quantities: title with unit, values (n_spills,) with NaN where there is none, flags (n_spills,).
        periods: first spill and the one after the last, by name.
    """
    figure = Figure(figsize=(10.0, 2.3 * len(quantities) + 1.0))
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(quantities), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (title, values, flags) in zip(panels, quantities, strict=True):
        number = np.arange(len(values))
        axes.plot(number[~flags], values[~flags], ".", color="black", markersize=3, label="spill")
        axes.plot(
            number[flags],
            values[flags],
            "o",
            color=COLOURS["new"],
            markersize=6,
            fillstyle="none",
            label="flagged",
        )
        axes.set_ylabel(title, fontsize=12)
        axes.tick_params(labelsize=11)
        axes.margins(x=0.01, y=0.15)
        for first, last in periods.values():
            for edge in (first - 0.5, last - 0.5):
                axes.axvline(edge, color="0.6", linewidth=0.8, zorder=0)
    for name, (first, last) in periods.items():
        panels[0].annotate(
            name,
            (0.5 * (first + last - 1), 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=12,
        )
    panels[-1].set_xlabel("spill, in the order of runs", fontsize=14)
    if any(flags.any() for *_, flags in quantities):
        panels[-1].legend(loc="upper left", bbox_to_anchor=(0.0, -0.12), ncols=2, fontsize=11)
    return figure


@_styled
def energy_plane(
    ecal_edges: Array,
    hcal_edges: Array,
    contents: Array,
    boxes: Mapping[str, tuple[float, float, float, float]],
    title: str = "",
) -> Figure:
    """Events in the plane of ECAL against HCAL energy (GeV), shape (n_ecal, n_hcal), with signature boxes.

    Args:
        boxes: by signature (ecal_low, ecal_high, hcal_low, hcal_high) in GeV.
    """
    figure, axes = _figure()
    largest = float(contents.max(initial=0.0))
    mesh = mplhep.hist2dplot(
        np.where(contents > 0.0, contents, np.nan),
        ecal_edges,
        hcal_edges,
        ax=axes,
        norm=LogNorm(vmin=0.8, vmax=max(largest, 10.0)),
        cmap="viridis",
        cbar=False,
    )
    figure.colorbar(mesh.pcolormesh, ax=axes, label="events per bin", pad=0.02)
    for name, (ecal_low, ecal_high, hcal_low, hcal_high) in boxes.items():
        axes.add_patch(
            Rectangle(
                (ecal_low, hcal_low),
                ecal_high - ecal_low,
                hcal_high - hcal_low,
                fill=False,
                edgecolor=COLOURS.get(name, "black"),
                linewidth=2.2,
                # in projection: a signature also cuts on what is not shown here
                linestyle="--",
                zorder=5,
            )
        )
        inside = hcal_high - hcal_low > 8.0
        axes.annotate(
            name,
            (ecal_low, hcal_high),
            xytext=(8, -6 if inside else 4),
            textcoords="offset points",
            va="top" if inside else "bottom",
            color=COLOURS.get(name, "black"),
            fontsize=17,
            fontweight="bold",
        )
    axes.set_xlim(ecal_edges[0], ecal_edges[-1])
    axes.set_ylim(hcal_edges[0], hcal_edges[-1])
    axes.set_xlabel(r"$E_\mathrm{ECAL}$ [GeV]")
    axes.set_ylabel(r"$E_\mathrm{HCAL1} + E_\mathrm{HCAL2} + E_\mathrm{HCAL3}$ [GeV]")
    axes.set_title(title, loc="left")
    return figure


@_styled
def r_distribution(edges: Array, contents: Array, r_max: float, title: str = "") -> Figure:
    """The HCAL shower-width variable R with its cut."""
    figure, axes = _figure()
    mplhep.histplot(contents, edges, ax=axes, histtype="step", color="black", yerr=np.sqrt(contents), w2=None)
    axes.axvline(r_max, color=COLOURS["S1"], linestyle="--")
    axes.annotate(
        f"$R < {r_max:g}$",
        (r_max, 0.95),
        xycoords=("data", "axes fraction"),
        xytext=(6, 0),
        textcoords="offset points",
        va="top",
        color=COLOURS["S1"],
    )
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0.0, 1.35 * max(float(contents.max(initial=0.0)), 1.0))
    axes.set_xlabel(r"$R = (E - E_\mathrm{core})/E$ over HCAL2 and HCAL3")
    axes.set_ylabel("events per bin")
    axes.set_title(title, loc="left")
    return figure


class Panel(NamedTuple):
    """A distribution with the ranges that a cut accepts, None where they are open; one for each run period.

    `contents` has shape (n,), `edges` (n + 1,), `variances` (n,) or None for unweighted events.
    """

    heading: str
    axis_title: str
    edges: Array
    contents: Array
    variances: Array | None
    outside: float
    accepted: Sequence[tuple[float | None, float | None]]


@_styled
def distributions(panels: Sequence[Panel], title: str = "") -> Figure:
    """Distributions with their thresholds as dashed lines, what no period accepts shaded, in a grid."""
    columns = len(panels) if len(panels) < 4 else min(4, math.ceil(math.sqrt(len(panels))))
    rows = math.ceil(len(panels) / columns)
    width, height = 4.6 * columns, 3.9 * rows + 0.5
    # All panels are alike: laid out by hand, which takes seconds less than to measure every label.
    with matplotlib.rc_context({"figure.constrained_layout.use": False}):
        figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=17, y=1.0 - 0.15 / height, va="top")
    figure.subplots_adjust(
        left=0.85 / width,
        right=1.0 - 0.2 / width,
        bottom=0.75 / height,
        top=1.0 - 0.85 / height,
        wspace=0.2,
        hspace=0.36,
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, panel in zip(grid.flat, panels, strict=False):
        errors = np.sqrt(panel.contents if panel.variances is None else panel.variances)
        filled = panel.contents[panel.contents > 0.0]
        floor = 0.3 if panel.variances is None else 0.3 * float(filled.min(initial=1.0))
        # Before the scale, which an empty histogram does not have.
        axes.set_ylim(floor, 3.0 * max(float(filled.max(initial=1.0)), 20.0 * floor))
        axes.set_yscale("log")
        if len(filled):
            mplhep.histplot(
                panel.contents,
                panel.edges,
                ax=axes,
                histtype="step",
                color="black",
                yerr=errors,
                linewidth=1.3,
            )
            axes.set_ylim(floor, 3.0 * max(float(filled.max()), 20.0 * floor))
        axes.set_xlim(panel.edges[0], panel.edges[-1])
        low = min(-math.inf if edge is None else edge for edge, _ in panel.accepted)
        high = max(math.inf if edge is None else edge for _, edge in panel.accepted)
        for begin, end in ((panel.edges[0], low), (high, panel.edges[-1])):
            if end > begin:
                axes.axvspan(begin, end, color="black", alpha=0.08, linewidth=0)
        for edge in sorted({edge for accepted in panel.accepted for edge in accepted if edge is not None}):
            axes.axvline(edge, color=COLOURS["S2"], linestyle="--", linewidth=1.3)
        count = float(panel.contents.sum()) + panel.outside
        written = "{:.0f}" if panel.variances is None else "{:.4g}"
        outside = f", {written.format(panel.outside)} of them outside" if panel.outside else ""
        text = f"{panel.heading}: {written.format(count)} events{outside}"
        axes.set_title(text, loc="left", fontsize=11.5, pad=5)
        axes.set_xlabel(panel.axis_title, fontsize=13)
        axes.tick_params(labelsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_minor_formatter(NullFormatter())
    for axes in grid[:, 0]:
        axes.set_ylabel("events per bin", fontsize=13)
    return figure


@_styled
def r_cut(scans: Sequence[BestRCut], largest: float = 0.12) -> Figure:
    """Signal efficiency, background and sensitivity of S1 against the cut on R, a colour for each core."""
    figure = Figure(figsize=(8.0, 10.0))
    FigureCanvasAgg(figure)
    panels = figure.subplots(3, 1, sharex=True)
    labels = (
        "signal efficiency of R",
        "background of S1 [events]",
        "sensitivity over that\nof the card's cut",
    )
    colours = (COLOURS["S1"], COLOURS["S2"])
    # Of the background the cores differ by less than the line is wide, of the sensitivity one is the card's.
    for scan, colour, style in zip(scans, colours, ("-", "--"), strict=False):
        points = [point for point in scan.cuts if point.r_max <= largest]
        x = [point.r_max for point in points]
        name = {"period": "core cells of each period", "single": "one core cell in every module"}[scan.core]
        for axes, values, errors in (
            (panels[0], "signal_efficiency", "signal_efficiency_error"),
            (panels[1], "background", "background_error"),
            (panels[2], "sensitivity", "sensitivity_error"),
        ):
            axes.errorbar(
                x,
                [getattr(point, values) for point in points],
                yerr=[getattr(point, errors) for point in points],
                fmt="o",
                linestyle=style,
                markersize=4,
                linewidth=1.2,
                capsize=2,
                color=colour,
                label=name,
            )
        panels[2].annotate(
            rf"best $R < {scan.best:g}$: ${100 * scan.gain:+.1f} \pm {100 * scan.gain_error:.1f}$ %",
            (scan.best, 1.0 + scan.gain),
            xytext=(0.14, 0.13 if style == "-" else 0.05),
            textcoords="axes fraction",
            color=colour,
            fontsize=13,
        )
    for axes, label in zip(panels, labels, strict=True):
        axes.axvline(scans[0].r_max, color="grey", linestyle=":", linewidth=1.5)
        axes.set_ylabel(label)
    panels[2].axhline(1.0, color="grey", linewidth=0.8)
    panels[0].set_ylim(0.0, 1.1)
    panels[1].set_ylim(bottom=0.0)
    panels[2].set_ylim(0.6, 1.12)
    panels[2].set_xlim(0.0, largest * 1.02)
    panels[0].annotate(
        f"$R < {scans[0].r_max:g}$",
        (scans[0].r_max, 0.08),
        xytext=(6, 0),
        textcoords="offset points",
        color="grey",
    )
    panels[0].legend(loc="lower right")
    panels[2].set_xlabel(r"upper cut on $R = (E - E_\mathrm{core})/E$ over HCAL2 and HCAL3")
    panels[0].set_title(
        rf"$m_{{A'}} = {scans[0].mass_GeV:g}$ GeV, $\epsilon = {scans[0].epsilon:g}$; "
        "R of the background: assumed",
        loc="left",
    )
    return figure


@_styled
def limit_comparison(limits: Sequence[tuple[str, float, float]], cl: float) -> Figure:
    """Upper limits side by side: (label, limit, error) each, on the expected number of signal events."""
    figure, axes = _figure(figsize=(8.0, 1.6 + 0.7 * len(limits)))
    places = np.arange(len(limits))[::-1]
    for place, (label, limit, error) in zip(places, limits, strict=True):
        colour = COLOURS["S2"] if label.startswith("RooStats") else "black"
        axes.errorbar(limit, place, xerr=error or None, fmt="o", color=colour, capsize=4, markersize=7)
        axes.annotate(
            f"{limit:.4g}" + (f" ± {error:.2g}" if error else ""),
            (limit, place),
            xytext=(0, 9),
            textcoords="offset points",
            ha="center",
            fontsize=12,
            color=colour,
        )
    axes.set_yticks(places, [label for label, _, _ in limits])
    axes.tick_params(axis="y", which="both", length=0)
    axes.minorticks_off()
    values = [limit for _, limit, _ in limits]
    margin = 0.35 * max(max(values) - min(values), 0.2 * max(values))
    axes.set_xlim(min(values) - margin, max(values) + margin)
    axes.set_ylim(-0.6, len(limits) - 0.2)
    axes.set_xlabel(f"{100 * cl:g} % CL upper limit on the expected signal events (CLs)")
    return figure


# Axis titles of the quantities of a plane, and what is written of those that are no axis.
AXES = {
    "mass": r"$m_{A'}$ [GeV]",
    "mass1": r"$m_{\chi_1}$ [GeV]",
    "epsilon": r"$\epsilon$",
    "alpha": r"$\alpha_D$",
    "ratio": r"$m_{A'}/m_{\chi_1}$",
    "splitting": r"$\Delta/m_{\chi_1}$",
}
# Colour, line and depth of what is drawn over a plane, by the beginning of its name.
OVERLAY_STYLES: dict[str, dict[str, Any]] = {
    "thermal relic": {"color": "black", "linewidth": 2.8},
    "Landau pole": {"color": "#7a4b00", "linestyle": (0, (5, 2)), "linewidth": 1.6},
    "chi2 stable": {"color": "#5a5a5a", "linestyle": ":", "linewidth": 1.6},
    "A' -> chi1 chi2 closed": {"color": "#5a5a5a", "linestyle": "-", "linewidth": 1.6},
    "electron g-2": {"color": "#b5651d", "linestyle": (0, (1, 1)), "linewidth": 1.4},
    "NA64 invisible": {"color": "#4f7942", "linestyle": "-.", "linewidth": 1.4},
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


@_styled
def exclusion_plane(
    plane: PlaneResult, *, title: str, cl: float = 0.9, projections: Mapping[str, PlaneResult] | None = None
) -> Figure:
    """An exclusion plane as Figs. 4 and 5 of the paper: the excluded region filled, the rest around it.

    Args:
        projections: other results in the same plane by the label of their contour.
    """
    figure, axes = _figure(figsize=(9.4, 10.2))
    x, y = np.array(plane.x), np.array(plane.y)
    handles: list[Any] = [*_g2_bands(axes, plane)]
    regions: list[Any] = []
    notes: list[str] = []
    labelled = set()
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
        if overlay.kind == "excluded" and (curve[0] == curve[-1]).all():
            axes.fill(curve[:, 0], curve[:, 1], color=style["color"], alpha=0.10, linewidth=0, zorder=1)
        (line,) = axes.plot(curve[:, 0], curve[:, 1], zorder=4, **style)
        if first in labelled:
            continue
        labelled.add(first)
        line.set_label(WRITTEN.get(first, first))
        regions.append(line)
        notes.append(f"{first}: {overlay.source}; {overlay.caveat}.")

    # log(mu) is smooth where axes are even; points without any signal are far from excluded.
    mu = np.array([[np.inf if value is None else value for value in row] for row in plane.upper_limit_mu])
    height = np.clip(np.log(np.maximum(mu, 1e-30)), -50.0, 50.0)
    axes.contourf(x, y, height, levels=[-51.0, 0.0], colors=[COLOURS["exclusion"]], alpha=0.35, zorder=1.5)
    for contour in plane.contours:
        axes.plot(*np.array(contour).T, color=COLOURS["exclusion"], linewidth=2.6, zorder=5)
    handles.append(
        Patch(
            facecolor=(*matplotlib.colors.to_rgb(COLOURS["exclusion"]), 0.35),
            edgecolor=COLOURS["exclusion"],
            linewidth=2.0,
            label=f"this analysis, excluded at {100 * cl:g} % CL",
        )
    )
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
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    if plane.g2_excluded_up_to_GeV is not None:
        _mark_end_point(axes, plane.g2_excluded_up_to_GeV)
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


def _mark_end_point(axes: Axes, mass_GeV: float) -> None:
    axes.axvline(mass_GeV, color=COLOURS["new"], linestyle=":", linewidth=1.3, zorder=3)
    axes.annotate(
        f"central line excluded\nup to {mass_GeV:.3g} GeV",
        (mass_GeV, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(-6, 0),
        textcoords="offset points",
        ha="right",
        fontsize=11,
        color=COLOURS["new"],
    )


@_styled
def cls_scan(scan: ClsScan) -> Figure:
    """CLs against the expected signal: exact curve, expected bands, RooStats toys with their errors."""
    figure, axes = _figure()
    level = 1.0 - scan.cl
    if scan.expected:
        # A limit that does not exist lies beyond any figure.
        cls = scan.expected_cls
        bands = {
            name: [scan.mu[-1] if value is None else value for value in values]
            for name, values in scan.expected.items()
        }
        for low, high, colour, label in (
            ("minus2", "plus2", "#ffdf7f", r"expected $\pm 2\sigma$"),
            ("minus1", "plus1", "#85d1a0", r"expected $\pm 1\sigma$"),
        ):
            axes.fill_betweenx(cls, bands[low], bands[high], color=colour, linewidth=0, label=label)
        axes.plot(bands["median"], cls, color="black", linestyle="--", label="expected, median")
    axes.plot(scan.mu, scan.cls, color="black", label=f"observed, exact ({scan.treatment})")
    if scan.toys:
        axes.errorbar(
            [point.mu for point in scan.toys],
            [point.cls for point in scan.toys],
            yerr=[point.error for point in scan.toys],
            fmt="o",
            markersize=4,
            color=COLOURS["S2"],
            label="observed, RooStats toys",
        )
    axes.axhline(level, color="grey", linewidth=1.0, linestyle=":")
    axes.axvline(scan.upper_limit, color="grey", linewidth=1.0, linestyle=":")
    axes.annotate(
        f"{scan.upper_limit:.4g} events at {100 * scan.cl:g} % CL",
        (scan.upper_limit, 1.15 * level),
        xytext=(6, 0),
        textcoords="offset points",
        va="bottom",
        fontsize=12,
    )
    axes.set_yscale("log")
    axes.axhline(1.0, color="grey", linewidth=0.8)
    axes.set_ylim(0.3 * level, 3.0)
    axes.set_xlim(0.0, scan.mu[-1])
    axes.set_xlabel(r"expected signal events $\mu$")
    axes.set_ylabel(r"$\mathrm{CL_s}$")
    axes.legend(loc="upper right", ncols=2)
    return figure


@_styled
def test_statistic(distribution: StatisticDistribution) -> Figure:
    """Distributions of the test statistic with and without signal, the observed value marked."""
    figure, axes = _figure()
    edges = np.array(distribution.edges)
    smallest = 0.3 / distribution.toys
    for name, fractions, tail, colour, style in (
        (
            "signal + background",
            distribution.with_signal,
            distribution.tail_with_signal,
            COLOURS["S2"],
            "-",
        ),
        ("background", distribution.without_signal, distribution.tail_without_signal, COLOURS["S1"], "--"),
    ):
        label = rf"{name}, $P(q \geq q_\mathrm{{obs}})$ = {tail:.3g}"
        axes.stairs(
            fractions, edges, baseline=smallest, color=colour, linestyle=style, linewidth=2, label=label
        )
    axes.axvline(distribution.observed, color="black", linewidth=1.5, label="observed")
    axes.set_yscale("log")
    axes.set_ylim(smallest, 8.0)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel(r"test statistic $q_\mu$ (last bin: all above)")
    axes.set_ylabel("fraction of toys per bin")
    axes.set_title(
        rf"RooStats, {distribution.treatment}, $\mu$ = {distribution.mu:.4g} events, "
        f"{distribution.toys} toys each",
        loc="left",
        fontsize=13,
    )
    axes.legend(loc="upper right")
    return figure


@_styled
def impacts(rows: Sequence[tuple[str, float, float]], nominal: float, cl: float, treatment: str) -> Figure:
    """The limit without a source of uncertainty and with it doubled: (source, without, doubled) each."""
    figure, axes = _figure(figsize=(8.0, 2.6 + 0.6 * len(rows)))
    places = np.arange(len(rows))[::-1]
    for place, (_, without, doubled) in zip(places, rows, strict=True):
        axes.plot([without, doubled], [place, place], color="grey", linewidth=1.2, zorder=1)
    axes.plot(
        [row[1] for row in rows],
        places,
        "o",
        color="black",
        markerfacecolor="white",
        markersize=11,
        label="removed",
    )
    axes.plot([row[2] for row in rows], places, "o", color=COLOURS["S2"], label="doubled")
    axes.axvline(nominal, color="grey", linestyle="--", linewidth=1.2, label="as assumed")
    axes.set_yticks(places, [row[0].replace("_", " ") for row in rows])
    axes.tick_params(axis="y", which="both", length=0)
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    values = [value for row in rows for value in row[1:]] + [nominal]
    margin = max(0.1 * (max(values) - min(values)), 0.005 * nominal)
    axes.set_xlim(min(values) - margin, max(values) + margin)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(f"{100 * cl:g} % CL upper limit [events] ({treatment})")
    figure.legend(loc="outside upper right", ncols=3)
    return figure


@_styled
def assumed_uncertainties(sweeps: Sequence[AssumedUncertainty], cl: float) -> Figure:
    """The limit against each assumed uncertainty, for each treatment; a panel per source."""
    columns = min(3, len(sweeps))
    lines = -(-len(sweeps) // columns)
    figure = Figure(figsize=(4.6 * columns + 0.8, 4.4 * lines + 0.8))
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).flatten()
    for axes, sweep in zip(panels, sweeps, strict=False):
        percent = 100.0 if sweep.source == "signal" else 1.0
        for treatment, limits in sweep.upper_limit.items():
            colour, style = TREATMENTS[treatment]
            values = [percent * value for value in sweep.values]
            axes.plot(values, limits, color=colour, linestyle=style, label=treatment)
        axes.axvline(
            percent * sweep.assumed, color="grey", linestyle=":", linewidth=1.5, zorder=0, label="assumed"
        )
        axes.set_title(sweep.source.replace("_", " "), loc="left")
        axes.set_xlim(percent * sweep.values[0], percent * sweep.values[-1])
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_xlabel(
            "signal uncertainty [%]" if sweep.source == "signal" else "times the assumed uncertainty"
        )
    for axes in panels[len(sweeps) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel(f"{100 * cl:g} % CL upper limit [events]")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=4)
    return figure


def _scientific(value: float) -> str:
    mantissa, exponent = f"{value:.2e}".split("e")
    return rf"{float(mantissa):g} \times 10^{{{int(exponent)}}}"


@_styled
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
            rf"${_scientific(card_eot)}$ electrons, the card's",
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
