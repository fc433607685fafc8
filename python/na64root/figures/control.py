"""Figures of control regions and of the quality of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mplhep
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..annotations import Array
from .style import COLOURS, colour_bar, grid_of_panels, styled


@styled
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
    # Between the panels is room for the colour bar and the labels of the second.
    figure, (axes,) = grid_of_panels(
        1, panels, (5.6, 5.05), right=0.25 if panels > 1 else 1.2, gap=(2.2, 0.0)
    )
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
    colour_bar(figure, axes[0], mesh.pcolormesh, "events per bin")
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


@styled
def spill_quality(
    quantities: Sequence[tuple[str, Array, np.typing.NDArray[np.bool_]]],
    periods: Mapping[str, tuple[int, int]],
) -> Figure:
    """Quantities of each spill in the order of runs and spills, flagged ones marked, a panel each.

    Args:
        quantities: title with unit, values (n_spills,) with NaN where there is none, flags (n_spills,).
        periods: first spill and the one after the last, by name.
    """
    figure, grid = grid_of_panels(len(quantities), 1, (8.9, 2.1), bottom=0.95, sharex=True)
    panels = [axes for (axes,) in grid]
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
        axes.minorticks_off()
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
