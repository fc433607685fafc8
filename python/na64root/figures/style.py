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

Parameters = ParamSpec("Parameters")


STYLE: Any = {
    # Of matplotlib, not of the user's matplotlibrc: a figure is the same everywhere, and needs no LaTeX.
    **{key: value for key, value in dict.items(matplotlib.rcParamsDefault) if not key.startswith("backend")},
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


def scientific(value: float) -> str:
    """A number for mathtext, to three digits."""
    mantissa, exponent = f"{value:.2e}".split("e")
    return rf"{float(mantissa):g} \times 10^{{{int(exponent)}}}"
