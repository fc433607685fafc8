"""Figures of results; they compute nothing.

They see records and nothing else. `selection`, `control` regions and quality, `limits`, `fits`, `planes`,
`summaries`; `style` is the look of all.
"""

from .control import background_regions, spill_quality
from .fits import (
    coupling_limit,
    fit_impacts,
    goodness_of_fit,
    injected_signals,
    likelihood_scan,
    posterior,
    pulls,
)
from .limits import assumed_uncertainties, cls_scan, impacts, limit_comparison, test_statistic
from .planes import AXES, OVERLAY_STYLES, PROJECTIONS, SYMBOLS, WRITTEN, exclusion_plane, exposure_plan
from .selection import Panel, cut_flow, distributions, energy_plane, r_cut, r_distribution
from .style import COLOURS, STYLE, TREATMENTS, Parameters, save, scientific
from .summaries import excluded_range, ratios, shifts

__all__ = [
    "AXES",
    "COLOURS",
    "OVERLAY_STYLES",
    "PROJECTIONS",
    "STYLE",
    "SYMBOLS",
    "TREATMENTS",
    "WRITTEN",
    "Panel",
    "Parameters",
    "assumed_uncertainties",
    "background_regions",
    "cls_scan",
    "coupling_limit",
    "cut_flow",
    "distributions",
    "energy_plane",
    "excluded_range",
    "exclusion_plane",
    "exposure_plan",
    "fit_impacts",
    "goodness_of_fit",
    "impacts",
    "injected_signals",
    "likelihood_scan",
    "limit_comparison",
    "posterior",
    "pulls",
    "r_cut",
    "r_distribution",
    "ratios",
    "save",
    "scientific",
    "shifts",
    "spill_quality",
    "test_statistic",
]
