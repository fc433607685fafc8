"""Figures of records as HTML, for a notebook."""

from __future__ import annotations

import base64
import html
import io

from ..figures import exclusion_plane
from ..records import PlaneResult

# Of the image, in dots per inch of the figure of a file.
DOTS_PER_INCH = 60


def picture_of_plane(plane: PlaneResult) -> str:
    """The exclusion plane as an image with a text that says what is in it."""
    what = "expected, blinded" if plane.blind else "expected" if plane.weighted else "observed"
    title = f"{plane.plane}, {plane.mode}, {what}, card {plane.provenance.card}"
    figure = exclusion_plane(plane, title=title)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DOTS_PER_INCH)
    end = plane.g2_excluded_up_to_GeV
    beyond = " and beyond, the end of the plane" * plane.g2_end_is_frame
    told = "" if end is None else f" The central g-2 line is excluded up to {end:.3g} GeV{beyond}."
    text = html.escape(f"Exclusion plane {title}: {len(plane.contours)} contours.{told}", quote=True)
    encoded = base64.b64encode(content.getvalue()).decode()
    return f'<img alt="{text}" src="data:image/png;base64,{encoded}"/>'
