"""The look of all figures, and how they are saved."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import matplotlib
import mplhep
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

Parameters = ParamSpec("Parameters")


STYLE: Any = {
    # Of matplotlib, not of the user's matplotlibrc: a figure is the same everywhere, and needs no LaTeX.
    **{key: value for key, value in dict.items(matplotlib.rcParamsDefault) if not key.startswith("backend")},
    **mplhep.style.ROOT,
    "figure.figsize": (8.0, 6.4),
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "figure.constrained_layout.use": True,
    # Above the frame: to look for a better place is a fifth of the time of a figure.
    "axes.titley": 1.0,
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


def styled(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """A function that draws in the style of all figures and leaves matplotlib's settings as they were."""

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
        # A fifth larger than with the usual compression, and drawn in two thirds of the time.
        figure.savefig(paths[1], pil_kwargs={"compress_level": 3})
    return paths


def new_figure(**options: Any) -> tuple[Figure, Axes]:
    """A figure that needs no display, and its axes."""
    figure = Figure(**options)
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def grid_of_panels(
    rows: int,
    columns: int,
    panel: tuple[float, float],
    *,
    left: float = 0.95,
    right: float = 0.25,
    bottom: float = 0.85,
    top: float = 0.45,
    gap: tuple[float, float] = (0.2, 0.2),
    **options: Any,
) -> tuple[Figure, list[list[Axes]]]:
    """A figure of equal panels, laid out by hand, and its axes by rows.

    Where the lengths of labels are known, this takes half of the time: matplotlib's own layout draws a
    figure once more to measure them.

    Args:
        panel: width and height of the frame of a panel, inches, as all lengths here.
        left, right, bottom, top: around all panels.
        gap: between two panels of a row, and between two rows.
        options: of `Figure.subplots`.
    """
    width = left + right + columns * panel[0] + (columns - 1) * gap[0]
    height = bottom + top + rows * panel[1] + (rows - 1) * gap[1]
    figure = Figure(figsize=(width, height), layout="none")  # type: ignore[arg-type]
    FigureCanvasAgg(figure)
    figure.subplots_adjust(
        left=left / width,
        right=1.0 - right / width,
        bottom=bottom / height,
        top=1.0 - top / height,
        wspace=gap[0] / panel[0],
        hspace=gap[1] / panel[1],
    )
    return figure, figure.subplots(rows, columns, squeeze=False, **options).tolist()


def colour_bar(figure: Figure, axes: Axes, shown: ScalarMappable, label: str) -> None:
    """A colour bar right of a panel of :func:`grid_of_panels`, which leaves 1.15 inches there."""
    width = figure.get_figwidth()
    frame = axes.get_position()
    beside = figure.add_axes((frame.x1 + 0.12 / width, frame.y0, 0.22 / width, frame.height))
    figure.colorbar(shown, cax=beside, label=label)


def scientific(value: float) -> str:
    """A number for mathtext, to three digits."""
    mantissa, exponent = f"{value:.2e}".split("e")
    return rf"{float(mantissa):g} \times 10^{{{int(exponent)}}}"


def mark_end_point(axes: Axes, mass_GeV: float, *, frame: bool) -> None:
    """The end of the excluded part of the central g-2 line; `frame`: it is where the masses end."""
    axes.axvline(mass_GeV, color=COLOURS["new"], linestyle=":", linewidth=1.3, zorder=3)
    axes.annotate(
        f"central line excluded\nup to {mass_GeV:.3g} GeV{' and beyond' * frame}",
        (mass_GeV, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(-6, 0),
        textcoords="offset points",
        ha="right",
        fontsize=11,
        color=COLOURS["new"],
    )
