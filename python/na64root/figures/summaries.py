"""Figures that sum a result up: the excluded range alone, ratios to what is published, shifts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .style import COLOURS, mark_end_point, new_figure, styled


@styled
def excluded_range(
    mass_GeV: Sequence[float],
    epsilon_low: Sequence[float | None],
    epsilon_high: Sequence[float | None],
    *,
    end_GeV: float | None,
    end_is_frame: bool = False,
    label: str,
) -> Figure:
    """The excluded range of epsilon at each mass, with the end of the excluded g-2 line.

    Args:
        mass_GeV, epsilon_low, epsilon_high: shape (n,), None where nothing is excluded.
        end_GeV: None where there is none.  end_is_frame: it is where the masses end.
    """
    figure, axes = new_figure(figsize=(9.0, 6.4))
    mass = np.array(mass_GeV)
    low, high = (np.array(edge, dtype=float) for edge in (epsilon_low, epsilon_high))
    axes.fill_between(mass, low, high, color=COLOURS["exclusion"], alpha=0.3, linewidth=0, label=label)
    axes.plot(mass, low, "o-", color=COLOURS["exclusion"], markersize=3, label="smallest excluded")
    axes.plot(mass, high, "s--", color=COLOURS["exclusion"], markersize=3, label="largest excluded")
    if end_GeV is not None:
        mark_end_point(axes, end_GeV, frame=end_is_frame)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(mass[0], mass[-1])
    axes.set_xlabel(r"$m_{A'}$ [GeV]")
    axes.set_ylabel(r"$\epsilon$")
    axes.legend(loc="lower left")
    return figure


@styled
def ratios(rows: Sequence[tuple[str, float, bool]]) -> Figure:
    """Ratios of numbers computed here to published ones: (name, ratio, within its tolerance) each."""
    figure, axes = new_figure(figsize=(10.0, 1.6 + 0.42 * len(rows)))
    places = np.arange(len(rows))[::-1]
    for within, colour, marker, label in (
        (True, COLOURS["S1"], "o", "within its tolerance"),
        (False, COLOURS["S2"], "X", "misses it"),
    ):
        chosen = [
            (ratio, place) for (_, ratio, met), place in zip(rows, places, strict=True) if met == within
        ]
        if chosen:
            axes.plot(*zip(*chosen, strict=True), marker, color=colour, markersize=8, label=label)
    axes.axvline(1.0, color="grey", linewidth=1.0)
    axes.set_xscale("log")
    axes.set_xlim(min([0.5, *(0.8 * r for _, r, _ in rows)]), max([2.0, *(1.25 * r for _, r, _ in rows)]))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:.2g}")
    axes.tick_params(axis="x", which="minor", labelsize=10)
    axes.set_yticks(places, [name for name, _, _ in rows], fontsize=11)
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("here / published")
    figure.legend(loc="outside upper right", ncols=2)
    return figure


@styled
def shifts(rows: Sequence[tuple[str, float]]) -> Figure:
    """Shifts of the end of the excluded g-2 line (GeV), by what was changed: (name, shift) each."""
    figure, axes = new_figure(figsize=(11.0, 1.6 + 0.42 * len(rows)))
    places = np.arange(len(rows))[::-1]
    values = [shift for _, shift in rows]
    colours = [COLOURS["S1"] if shift > 0.0 else COLOURS["S2"] for shift in values]
    axes.hlines(places, 0.0, values, colors=colours, linewidth=7)
    axes.plot(values, places, "|", color="black", markersize=11)
    axes.axvline(0.0, color="black", linewidth=1.0)
    margin = 0.1 * max(abs(value) for value in values)
    axes.set_xlim(min([0.0, *values]) - margin, max([0.0, *values]) + margin)
    axes.set_yticks(places, [name for name, _ in rows], fontsize=11)
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("shift of the end of the excluded g−2 line [GeV]")
    return figure
