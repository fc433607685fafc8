"""Figures of results, by matplotlib in the style of mplhep; nothing is computed here and no data are seen.

Each function draws one figure from arrays or records and returns it; :func:`save` writes it as PDF and PNG.
No global state: figures are made without pyplot, the style holds only while a figure is drawn and saved.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import matplotlib
import mplhep
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .results import AssumedUncertainty, BestRCut, ClsScan, CutFlowRow, StatisticDistribution

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
    cuts = list(dict.fromkeys(row.cut for row in rows))
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


@_styled
def mass_epsilon_plane(
    mass_GeV: Array,
    epsilon: Array,
    upper_limit_mu: Array,
    bands: Mapping[str, tuple[Array, Array, Array]],
    *,
    title: str,
    cl: float = 0.9,
    overlays: Mapping[str, tuple[str, Array]] | None = None,
    end_point_GeV: float | None = None,
) -> Figure:
    """The exclusion plane as Fig. 4 of the paper: log axes, the excluded region filled, g-2 bands.

    Args:
        upper_limit_mu: limit on the signal strength, shape (n_epsilon, n_mass); excluded below 1.
        bands: "new" and "old" g-2 bands as (low, central, high) epsilon per mass; NaN where there is none.
        overlays: by name (source, contour of shape (n, 2)), drawn as labelled lines.
        end_point_GeV: the mass up to which the central g-2 line is excluded, marked.
    """
    figure, axes = _figure(figsize=(8.6, 8.6))
    handles: list[Any] = []
    names = {
        "old": r"$(g-2)_\mu$, $\pm 2\sigma$, before Fermilab",
        "new": r"$(g-2)_\mu$, $\pm 2\sigma$, with Fermilab (2021)",
    }
    for key, zorder in (("old", 1), ("new", 2)):
        if key not in bands:
            continue
        low, central, high = bands[key]
        axes.fill_between(mass_GeV, low, high, color=COLOURS[key], alpha=0.30, linewidth=0, zorder=zorder)
        handles.append(Patch(facecolor=COLOURS[key], alpha=0.30, label=names[key]))
        if key == "new":
            handles += axes.plot(
                mass_GeV, central, color=COLOURS[key], linestyle="--", zorder=3, label=r"$(g-2)_\mu$, central"
            )

    # log(mu) is smooth in the logarithms of the axes; points without any signal are far from excluded.
    with np.errstate(divide="ignore", invalid="ignore"):
        height = np.log(upper_limit_mu)
    height = np.clip(np.nan_to_num(height, nan=50.0, posinf=50.0, neginf=-50.0), -50.0, 50.0)
    axes.contourf(mass_GeV, epsilon, height, levels=[-51.0, 0.0], colors=[COLOURS["exclusion"]], alpha=0.35)
    axes.contour(mass_GeV, epsilon, height, levels=[0.0], colors=[COLOURS["exclusion"]], linewidths=2.4)
    handles.append(
        Patch(
            facecolor=(*matplotlib.colors.to_rgb(COLOURS["exclusion"]), 0.35),
            edgecolor=COLOURS["exclusion"],
            label=f"excluded at {100 * cl:g} % CL, this analysis",
        )
    )
    rows, columns = np.nonzero(height < 0.0)
    if len(columns):
        column = int(np.median(columns)) // 2
        row = int(np.quantile(rows[columns == column], 0.7)) if (columns == column).any() else int(rows[0])
        axes.text(
            mass_GeV[column],
            epsilon[row],
            "NA64",
            color=COLOURS["exclusion"],
            fontsize=20,
            fontweight="bold",
            ha="center",
        )
    greys = ["#5a5a5a", "#8c564b", "#9467bd", "#e07b00", "#17becf"]
    for i, (name, (source, contour)) in enumerate((overlays or {}).items()):
        colour = greys[i % len(greys)]
        (line,) = axes.plot(contour[:, 0], contour[:, 1], color=colour, linewidth=1.2, zorder=4)
        line.set_label(textwrap.fill(f"{name}: {source}", 90, subsequent_indent="    "))
        handles.append(line)
        inside = contour[
            (contour[:, 0] >= mass_GeV[0])
            & (contour[:, 0] <= mass_GeV[-1])
            & (contour[:, 1] >= epsilon[0])
            & (contour[:, 1] <= epsilon[-1])
        ]
        if len(inside):
            axes.annotate(
                name,
                inside[np.argsort(inside[:, 0])[len(inside) // 2]],
                xytext=(8, -6),
                textcoords="offset points",
                va="top",
                color=colour,
                fontsize=12,
            )
    if end_point_GeV is not None:
        axes.axvline(end_point_GeV, color=COLOURS["new"], linestyle=":", linewidth=1.3, zorder=3)
        axes.annotate(
            f"central line excluded\nup to {end_point_GeV:.3g} GeV",
            (end_point_GeV, 0.03),
            xycoords=("data", "axes fraction"),
            xytext=(-6, 0),
            textcoords="offset points",
            ha="right",
            fontsize=12,
            color=COLOURS["new"],
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(mass_GeV[0], mass_GeV[-1])
    axes.set_ylim(epsilon[0], epsilon[-1])
    axes.set_xlabel(r"$m_{A'}$ [GeV]")
    axes.set_ylabel(r"$\epsilon$")
    axes.set_title(title, loc="left", fontsize=13)
    # Below the axes: sources are long, and the plane is full.
    figure.legend(handles=handles, loc="outside lower left", fontsize=11, borderaxespad=0.5)
    return figure


@_styled
def cls_scan(scan: ClsScan) -> Figure:
    """CLs against the expected signal: exact curve, expected bands, RooStats toys with their errors."""
    figure, axes = _figure()
    level = 1.0 - scan.cl
    if scan.expected:
        cls, bands = scan.expected_cls, scan.expected
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
