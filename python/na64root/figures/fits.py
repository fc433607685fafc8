"""Figures of a fit: scans, goodness of fit, injected signals, pulls and correlations, impacts, posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .style import COLOURS, new_figure, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..records import BestFit, Goodness, Injected, LikelihoodScan, LimitImpact, Posterior, StrengthImpact


@styled
def likelihood_scan(scan: LikelihoodScan, cl: float, upper_limit: float) -> Figure:
    """-2 ln of the profile likelihood ratio against mu, and CLs below it where it is known."""
    figure = Figure(figsize=(8.0, 8.4 if scan.cls else 5.6))
    FigureCanvasAgg(figure)
    panels = figure.subplots(2 if scan.cls else 1, 1, sharex=True, squeeze=False).flatten()
    panels[0].plot(scan.mu, scan.two_delta_nll, color="black")
    for level, label in ((1.0, r"$1\sigma$"), (4.0, r"$2\sigma$")):
        if level < max(scan.two_delta_nll):
            panels[0].axhline(level, color="grey", linewidth=1.0, linestyle=":")
            panels[0].annotate(
                label,
                (scan.mu[-1], level),
                xytext=(-6, 3),
                textcoords="offset points",
                ha="right",
                fontsize=12,
            )
    panels[0].set_ylabel(r"$-2\,\Delta\ln L$")
    panels[0].set_ylim(0.0, 1.05 * max(*scan.two_delta_nll, 1.2))
    if scan.cls:
        panels[1].plot(scan.mu, scan.cls, color="black")
        panels[1].axhline(1.0 - cl, color="grey", linewidth=1.0, linestyle=":")
        panels[1].set_yscale("log")
        panels[1].set_ylabel(r"$\mathrm{CL_s}$")
    for axes in panels:
        axes.axvline(upper_limit, color=COLOURS["S2"], linewidth=1.2, linestyle="--")
    panels[0].annotate(
        f"limit {upper_limit:.4g}, {100 * cl:g} % CL",
        (upper_limit, 0.0),
        xytext=(6, 8),
        textcoords="offset points",
        color=COLOURS["S2"],
        fontsize=12,
    )
    panels[-1].set_xlim(0.0, scan.mu[-1])
    panels[-1].set_xlabel(r"expected signal events $\mu$")
    return figure


@styled
def goodness_of_fit(found: Sequence[Goodness]) -> Figure:
    """The saturated statistic in toys of each hypothesis, the observed value marked."""
    figure = Figure(figsize=(6.4 * len(found), 5.4))
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(found), squeeze=False).flatten()
    for axes, one in zip(panels, found, strict=True):
        smallest = 0.5 / one.toys
        axes.stairs(one.fractions, one.edges, baseline=smallest, color=COLOURS["S1"], linewidth=2)
        axes.axvline(one.statistic, color="black")
        axes.set_yscale("log")
        axes.set_ylim(smallest, 3.0)
        axes.set_xlim(one.edges[0], one.edges[-1])
        axes.set_xlabel("saturated statistic (last bin: all above)")
        name = one.hypothesis.replace("_", " ")
        axes.set_title(f"{name}, observed (line): p = {one.p_value:.3g}", loc="left")
    panels[0].set_ylabel("fraction of toys per bin")
    return figure


@styled
def injected_signals(found: Sequence[Injected]) -> Figure:
    """Fitted against injected strength: mean with its error, and median; pulls below."""
    figure = Figure(figsize=(8.0, 8.4))
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    mu = [one.injected for one in found]
    largest = 1.15 * max(*mu, *(one.mean for one in found), 1.0)
    upper.plot([0.0, largest], [0.0, largest], color="grey", linewidth=1.0, linestyle=":", label="no bias")
    upper.errorbar(
        mu,
        [one.mean for one in found],
        [one.mean_error for one in found],
        fmt="o",
        color="black",
        label="mean",
    )
    upper.plot(
        mu, [one.median for one in found], "s", markerfacecolor="white", color=COLOURS["S2"], label="median"
    )
    upper.set_ylabel(r"fitted $\mu$ ($\geq 0$)")
    upper.set_ylim(0.0, largest)
    upper.legend(loc="upper left")
    lower.errorbar(
        mu, [one.pull_mean for one in found], [one.pull_width for one in found], fmt="o", color="black"
    )
    for level in (-1.0, 0.0, 1.0):
        lower.axhline(level, color="grey", linewidth=1.0, linestyle=":")
    lower.set_ylabel("pull: mean, width as bar")
    lower.set_xlabel(r"injected $\mu$")
    lower.set_ylim(-3.0, 3.0)
    lower.set_xlim(-0.05 * largest, largest)
    return figure


@styled
def pulls(fit: BestFit) -> Figure:
    """Pulls of the nuisance parameters with their errors, and the correlations."""
    figure = Figure(figsize=(12.0, 3.4 + 0.45 * len(fit.correlated)))
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    places = np.arange(len(fit.parameters))[::-1]
    left.axvspan(-1.0, 1.0, color="#e8e8e8", linewidth=0)
    left.axvline(0.0, color="grey", linewidth=1.0)
    for place, parameter in zip(places, fit.parameters, strict=True):
        left.errorbar(parameter.pull, place, xerr=parameter.constraint, fmt="o", color="black", capsize=4)
    left.set_yticks(places, [p.name.replace("_", " ") for p in fit.parameters])
    left.tick_params(axis="y", which="both", length=0)
    left.set_ylim(-0.6, len(fit.parameters) - 0.4)
    reach = max([2.0, *(abs(p.pull) + (p.constraint or 0.0) for p in fit.parameters)])
    left.set_xlim(-1.1 * reach, 1.1 * reach)
    left.set_xlabel("pull")
    image = right.imshow(fit.correlation, vmin=-1.0, vmax=1.0, cmap="RdBu_r", aspect="auto")
    names = [name.replace("_", " ") for name in fit.correlated]
    right.set_xticks(range(len(names)), names, rotation=45, ha="right")
    right.set_yticks(range(len(names)), names)
    right.tick_params(which="both", length=0)
    right.minorticks_off()
    for i, row in enumerate(fit.correlation):
        for j, value in enumerate(row):
            colour = "white" if abs(value) > 0.6 else "black"
            right.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=11, color=colour)
    figure.colorbar(image, ax=right, label="correlation")
    return figure


@styled
def fit_impacts(
    of_limit: Sequence[LimitImpact], of_strength: Sequence[StrengthImpact], limit: float, mu: float, cl: float
) -> Figure:
    """What each uncertainty does to the limit, jumps told apart, and to the fitted strength."""
    rows = max(len(of_limit), len(of_strength), 1)
    figure = Figure(figsize=(13.0, 3.4 + 0.5 * rows))
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    places = np.arange(len(of_limit))[::-1]
    for place, one in zip(places, of_limit, strict=True):
        left.plot([one.vanishing, one.doubled], [place, place], color="grey", linewidth=1.2, zorder=1)
        left.plot(one.vanishing, place, "o", color="black", markerfacecolor="white", markersize=10)
        left.plot(one.doubled, place, "o", color=COLOURS["S2"])
        if one.tie_breaking:
            left.plot([one.without, one.vanishing], [place, place], color=COLOURS["S1"], linestyle=":")
            left.plot(one.without, place, "x", color=COLOURS["S1"], markersize=10)
    for marker, colour, label, face in (
        ("o", "black", "vanishing", "white"),
        ("o", COLOURS["S2"], "doubled", COLOURS["S2"]),
        ("x", COLOURS["S1"], "none at all: ties not broken", None),
    ):
        left.plot([], [], marker, color=colour, markerfacecolor=face, label=label)
    left.axvline(limit, color="grey", linestyle="--", linewidth=1.2, label="as assumed")
    left.set_yticks(places, [one.source.replace("_", " ") for one in of_limit])
    left.set_xlabel(f"{100 * cl:g} % CL upper limit [events]")
    places = np.arange(len(of_strength))[::-1]
    for place, change in zip(places, of_strength, strict=True):
        right.plot([change.down, change.up], [place, place], color="grey", linewidth=1.2, zorder=1)
        right.plot(change.down, place, "<", color=COLOURS["S1"])
        right.plot(change.up, place, ">", color=COLOURS["S2"])
    right.axvline(mu, color="grey", linestyle="--", linewidth=1.2)
    right.set_yticks(places, [change.parameter.replace("_", " ") for change in of_strength])
    right.set_xlabel(r"fitted $\mu$, parameter $-1\sigma$ (<), $+1\sigma$ (>)")
    for axes, number in ((left, len(of_limit)), (right, len(of_strength))):
        axes.tick_params(axis="y", which="both", length=0)
        axes.set_ylim(-0.6, max(number, 1) - 0.4)
        axes.margins(x=0.12)
    figure.legend(loc="outside upper left", ncols=4)
    return figure


@styled
def coupling_limit(
    title: str,
    axis: str,
    values: Sequence[float],
    n_signal: Sequence[float | None],
    limit: Sequence[float | None],
    excluded: Sequence[tuple[float, float]],
    cl: float,
) -> Figure:
    """Expected signal against a parameter, its limit, and the excluded ranges (low, high) shaded."""
    figure, axes = new_figure()
    for low, high in excluded:
        axes.axvspan(low, high, color=COLOURS["exclusion"], alpha=0.25, linewidth=0)
        for edge in (low, high):
            if values[0] < edge < values[-1]:
                axes.annotate(
                    f"{edge:.3g}",
                    (edge, 0.02),
                    xycoords=("data", "axes fraction"),
                    rotation=90,
                    ha="right",
                    fontsize=12,
                )
    signal = np.array(n_signal, dtype=float)
    axes.plot(values, signal, color="black", label="expected signal")
    bound = np.array(limit, dtype=float)
    axes.plot(values, bound, color=COLOURS["S2"], linestyle="--", label=f"{100 * cl:g} % CL upper limit")
    axes.set_xscale("log")
    axes.set_yscale("log")
    middle = float(np.nanmedian(bound))
    axes.set_ylim(1e-3 * middle, 3.0 * max(float(np.nanmax(signal)), 10.0 * middle))
    axes.set_xlim(values[0], values[-1])
    axes.set_xlabel(axis)
    axes.set_ylabel("events")
    axes.set_title(title, loc="left")
    axes.legend(loc="upper left")
    return figure


@styled
def posterior(found: Posterior, cl: float) -> Figure:
    """The posterior density of mu, what lies below the upper limit filled."""
    figure, axes = new_figure()
    mu, density = np.array(found.mu), np.array(found.density)
    inside = mu <= found.upper_limit
    axes.plot(mu, density, color="black")
    axes.fill_between(mu[inside], density[inside], color="#85d1a0", linewidth=0)
    axes.axvline(found.upper_limit, color=COLOURS["S2"], linestyle="--")
    axes.annotate(
        f"{found.upper_limit:.4g} events, {100 * cl:g} % credibility, prior {found.prior}",
        (0.98, 0.94),
        xycoords="axes fraction",
        ha="right",
        color=COLOURS["S2"],
        fontsize=12,
    )
    # A prior that rises without bound at zero is not the scale of the figure.
    axes.set_ylim(0.0, 1.15 * float(np.max(density[mu >= 0.02 * found.upper_limit])))
    axes.set_xlim(0.0, 2.2 * found.upper_limit)
    axes.set_xlabel(r"expected signal events $\mu$")
    axes.set_ylabel("posterior density")
    return figure
