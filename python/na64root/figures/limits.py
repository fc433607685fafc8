"""Figures of limits and of what they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .style import COLOURS, TREATMENTS, new_figure, styled

if TYPE_CHECKING:
    from ..records import AssumedUncertainty, ClsScan, LimitImpact, StatisticDistribution


@styled
def limit_comparison(limits: Sequence[tuple[str, float, float]], cl: float) -> Figure:
    """Upper limits side by side: (label, limit, error) each, on the expected number of signal events."""
    figure, axes = new_figure(figsize=(8.0, 1.6 + 0.7 * len(limits)))
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


@styled
def cls_scan(scan: ClsScan) -> Figure:
    """CLs against the expected signal: exact curve, expected bands, RooStats toys with their errors."""
    figure, axes = new_figure()
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


@styled
def test_statistic(distribution: StatisticDistribution) -> Figure:
    """Distributions of the test statistic with and without signal, the observed value marked."""
    figure, axes = new_figure()
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


@styled
def impacts(rows: Sequence[LimitImpact], nominal: float, cl: float, treatment: str) -> Figure:
    """The limit with a vanishing uncertainty and with it doubled, for each source.

    Where a vanishing uncertainty makes the limit jump (it breaks ties of counts), also the limit without.
    """
    figure, axes = new_figure(figsize=(8.0, 2.6 + 0.6 * len(rows)))
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows, strict=True):
        axes.plot([row.vanishing, row.doubled], [place, place], color="grey", linewidth=1.2, zorder=1)
        if row.tie_breaking:
            axes.plot([row.without, row.vanishing], [place, place], color=COLOURS["S1"], linestyle=":")
    axes.plot(
        [row.vanishing for row in rows],
        places,
        "o",
        color="black",
        markerfacecolor="white",
        markersize=11,
        label="vanishing",
    )
    axes.plot([row.doubled for row in rows], places, "o", color=COLOURS["S2"], label="doubled")
    jumps = [(row.without, place) for row, place in zip(rows, places, strict=True) if row.tie_breaking]
    if jumps:
        axes.plot(*zip(*jumps, strict=True), "x", color=COLOURS["S1"], markersize=10, label="none: ties")
    axes.axvline(nominal, color="grey", linestyle="--", linewidth=1.2, label="as assumed")
    axes.set_yticks(places, [row.source.replace("_", " ") for row in rows])
    axes.tick_params(axis="y", which="both", length=0)
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    values = [value for row in rows for value in (row.vanishing, row.doubled)] + [nominal]
    values += [value for value, _ in jumps]
    margin = max(0.1 * (max(values) - min(values)), 0.005 * nominal)
    axes.set_xlim(min(values) - margin, max(values) + margin)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(f"{100 * cl:g} % CL upper limit [events] ({treatment})")
    figure.legend(loc="outside upper right", ncols=4)
    return figure


@styled
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
