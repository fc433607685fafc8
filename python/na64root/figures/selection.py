"""Figures of the selection: cut flow, energies, R, distributions."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import mplhep
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator

from ..annotations import Array
from ..records import cuts_in_order
from .style import COLOURS, colour_bar, grid_of_panels, styled

if TYPE_CHECKING:
    from ..records import BestRCut, CutFlowRow


@styled
def cut_flow(rows: Iterable[CutFlowRow]) -> Figure:
    """Events left after each cut, a panel per run period, S1 beside S2, on a logarithmic axis."""
    rows = [row for row in rows if row.signature in COLOURS]
    periods = list(dict.fromkeys(row.period for row in rows))
    cuts = cuts_in_order(rows)
    weighted = any(row.weighted != row.events for row in rows)
    periods = periods or ["no event in any run period"]
    # Names of cuts are turned: the longest decides how much room is below.
    longest = max((len(cut) for cut in cuts), default=0)
    figure, (panels,) = grid_of_panels(
        1, len(periods), (4.35, 4.8), bottom=0.35 + 0.085 * max(longest, 6), sharey=True
    )
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
                    in_layout=False,  # the axis leaves room for them
                )
        axes.set_xticks(range(len(cuts)), cuts, rotation=60, ha="right", rotation_mode="anchor", fontsize=11)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(axis="x", length=0)
        axes.set_title(period)
    panels[0].set_ylabel("events left after the cut" + (" (weighted)" if weighted else ""))
    if rows:
        panels[-1].legend(loc="upper right")
    return figure


@styled
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
    figure, ((axes,),) = grid_of_panels(1, 1, (5.9, 5.05), right=1.2)
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
    colour_bar(figure, axes, mesh.pcolormesh, "events per bin")
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


@styled
def r_distribution(edges: Array, contents: Array, r_max: float, title: str = "") -> Figure:
    """The HCAL shower-width variable R with its cut."""
    figure, ((axes,),) = grid_of_panels(1, 1, (6.8, 5.05))
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


@styled
def distributions(panels: Sequence[Panel], title: str = "") -> Figure:
    """Distributions with their thresholds as dashed lines, what no period accepts shaded, in a grid.

    Those without an event have no panel, but are named under the title.
    """
    empty = [panel.heading for panel in panels if not (panel.contents.any() or panel.outside)]
    panels = [panel for panel in panels if panel.contents.any() or panel.outside]
    columns = max(len(panels) if len(panels) < 4 else min(4, math.ceil(math.sqrt(len(panels)))), 1)
    rows = max(math.ceil(len(panels) / columns), 1)
    text = "no events: " + ", ".join(dict.fromkeys(empty))
    lines = textwrap.wrap(text, 46 * columns) if empty else []
    top = 0.85 + 0.22 * len(lines)
    figure, grid = grid_of_panels(
        rows, columns, (3.7, 2.75), left=0.85, right=0.2, bottom=0.75, top=top, gap=(0.75, 1.0)
    )
    width, height = figure.get_size_inches()
    figure.suptitle(title, fontsize=17, x=0.85 / width, y=1.0 - 0.12 / height, ha="left", va="top")
    figure.text(0.85 / width, 1.0 - 0.45 / height, "\n".join(lines), fontsize=11.5, va="top", color="0.3")
    places = [axes for row in grid for axes in row]
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    for axes, panel in zip(places, panels, strict=False):
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
        # Of small panels minor ticks are most of what is drawn, and too fine to be read.
        axes.minorticks_off()
    for axes, *_ in grid:
        axes.set_ylabel("events per bin", fontsize=13)
    return figure


@styled
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
