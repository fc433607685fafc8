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

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .results import CutFlowRow

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
