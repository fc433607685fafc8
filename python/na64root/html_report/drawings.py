"""Figures as SVG inside a page, with the values of their points for pointer, finger and keyboard.

The values are those of the drawn artists themselves, so that they cannot differ from what is seen.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.collections import QuadMesh
from matplotlib.container import BarContainer
from matplotlib.patches import StepPatch

from ..figures import STYLE
from .blocks import Drawing, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Half the side of what reacts to a pointer around a point, and the least side of a bar or bin (SVG units).
REACH = 5.0


# Points of one line that tell their values: more cannot be hit one by one.
MOST_POINTS = 200


@dataclass(frozen=True)
class _Spot:
    """A rectangle of a figure, in SVG units, and the value it tells."""

    x: float
    y: float
    width: float
    height: float
    text: str


class Draw:
    """Makes drawings of figures, and numbers them."""

    def __init__(self) -> None:
        self._number = 0

    def __call__(self, title: str, alternative: str, figure: Figure, data: Table) -> Drawing:
        """A figure with its title, what it shows in words, and the numbers behind it."""
        self._number += 1
        return Drawing(title, alternative, svg(figure, self._number, alternative), data)


def svg(figure: Figure, number: int, alternative: str) -> str:
    """The figure as an SVG element.

    Args:
        number: of the figure in its page: names within the SVG begin with it.
        alternative: what the figure shows, for who does not see it.
    """
    with matplotlib.rc_context({**STYLE, "svg.fonttype": "path", "svg.hashsalt": f"figure {number}"}):
        for axes in figure.axes:
            for mesh in axes.collections:
                if isinstance(mesh, QuadMesh):
                    mesh.set_rasterized(True)  # thousands of cells are a picture, not thousands of elements
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
        spots = _told_by(figure)
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|xlink:href="#|href="#|url\(#)(?!data:)', rf"\g<1>f{number}-", text)
    # As wide as its place; what it was is in the viewBox.
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    width = 96.0 * figure.get_figwidth()
    opening = f'<svg role="img" aria-label="{escape(alternative)}" style="--width:{width:.0f}px"'
    return text.replace("<svg", opening, 1).replace("</svg>", f"{_marks(spots)}</svg>").strip()


def _marks(spots: list[_Spot]) -> str:
    """Rectangles that are not seen and tell their value."""
    marks = [
        f'<rect x="{s.x:.1f}" y="{s.y:.1f}" width="{s.width:.1f}" height="{s.height:.1f}">'
        f"<title>{escape(s.text)}</title></rect>"
        for s in spots
    ]
    return f'<g class="values" fill="none" pointer-events="all">{"".join(marks)}</g>'


def _told_by(figure: Figure) -> list[_Spot]:
    scale, height = 72.0 / figure.dpi, 72.0 * figure.get_figheight()
    spots = []
    for axes in figure.axes:
        if hasattr(axes, "_colorbar") or not axes.get_visible():
            continue
        frame = axes.get_window_extent()
        for (x0, y0), (x1, y1), text in _areas(axes):
            left, right = sorted((max(x0, frame.x0), min(x1, frame.x1)))
            low, high = sorted((max(y0, frame.y0), min(y1, frame.y1)))
            if right < frame.x0 or left > frame.x1 or high < frame.y0 or low > frame.y1:
                continue
            spots.append(
                _Spot(left * scale, height - high * scale, (right - left) * scale, (high - low) * scale, text)
            )
    # The largest lie below: what is small stays within reach.
    return sorted(spots, key=lambda s: -s.width * s.height)


def _areas(axes: Axes) -> Iterator[tuple[Any, Any, str]]:
    """Corners in pixels of what tells a value, and the value in words."""
    x_name, y_name = plain(axes.get_xlabel()) or "x", plain(axes.get_ylabel()) or "y"
    to_pixels = axes.transData.transform
    frame = axes.get_window_extent()
    ticks = {
        round(float(place), 6): plain(label.get_text())
        for place, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=False)
    }
    names_of_x = {} if axes.get_xlabel() else ticks
    rows = {
        round(float(place), 6): plain(label.get_text())
        for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=False)
    }
    names_of_y = {} if axes.get_ylabel() else rows

    for container in axes.containers:
        if not isinstance(container, BarContainer):
            continue
        name = plain(str(container.get_label()))
        for bar in container.patches:
            (x0, y0), (x1, y1) = bar.get_window_extent().get_points()
            middle = bar.get_x() + 0.5 * bar.get_width()
            where = names_of_x.get(float(round(middle)), f"{middle:.4g}")
            value = f"{where}, {name}: {bar.get_height():.6g}"
            yield (x0, min(y0, frame.y0)), (x1, max(y1, frame.y0 + 2 * REACH)), value
    for line in axes.lines:
        points = np.asarray(line.get_xydata(), dtype=float)
        if len(points) == 0 or line.get_transform() != axes.transData:
            continue  # lines across the axes mark a number that is written beside them
        name = plain(str(line.get_label()))
        name = "" if name.startswith("_") else f"{name}: "
        for x, y in points[:: 1 + len(points) // MOST_POINTS]:
            if not (np.isfinite(x) and np.isfinite(y)):
                continue
            at_x, at_y = to_pixels((x, y))
            if not (np.isfinite(at_x) and np.isfinite(at_y)):
                continue
            if label := names_of_y.get(round(float(y), 6)):
                text = f"{name}{label}, {x_name} {x:.6g}"
            else:
                text = f"{name}{x_name} {x:.4g}, {y_name} {y:.6g}"
            yield (at_x - REACH, at_y - REACH), (at_x + REACH, at_y + REACH), text
    for steps in axes.patches:
        if not isinstance(steps, StepPatch):
            continue
        values, edges, _ = steps.get_data()
        name = plain(str(steps.get_label()))
        name = "" if name.startswith("_") or not name else f"{name}: "
        for value, low, high in zip(values, edges[:-1], edges[1:], strict=True):
            if not np.isfinite(value) or value == 0.0:
                continue
            (left, _), (right, _) = to_pixels((low, 1.0)), to_pixels((high, 1.0))
            text = f"{name}{x_name} {low:.4g} to {high:.4g}: {value:.6g}"
            yield (left, frame.y0), (right, frame.y1), text
    for mesh in axes.collections:
        if not isinstance(mesh, QuadMesh):
            continue
        corners: Any = mesh.get_coordinates()
        contents: Any = np.ma.filled(np.ma.asarray(mesh.get_array()), np.nan)
        contents = np.reshape(contents, (len(corners) - 1, len(corners[0]) - 1))
        for j, i in zip(*np.nonzero(np.isfinite(contents)), strict=True):
            low, high = corners[j, i], corners[j + 1, i + 1]
            text = (
                f"{x_name} {low[0]:.4g} to {high[0]:.4g}, {y_name} {low[1]:.4g} to {high[1]:.4g}: "
                f"{contents[j, i]:.6g}"
            )
            yield to_pixels(low), to_pixels(high), text


_COMMANDS = {
    r"\epsilon": "ε", r"\chi": "χ", r"\alpha": "α", r"\Delta": "Δ", r"\mu": "μ", r"\sigma": "σ", r"\pm": "±",
    r"\times": "×", r"\to": "→", r"\geq": "≥", r"\leq": "≤", r"\,": " ", r"\mathrm": "",
}  # fmt: skip


def plain(text: str) -> str:
    """Text of a figure without the marks of mathtext."""
    for command, letter in _COMMANDS.items():
        text = text.replace(command, letter)
    return re.sub(r"\s+", " ", re.sub(r"[${}\\]", "", text)).strip()
