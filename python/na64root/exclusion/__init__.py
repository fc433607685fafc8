"""What is excluded: points, intervals of epsilon, planes; and what it would take to see more.

`counting_models` and `strength` join signal and limit, `headline` is the card's own model; `intervals` solves
for epsilon, `coupling` for any one parameter; `grids`, `planes` and `drawn_over` are planes of any two,
`curves_of_files` what users put over them; `explain` is one point in all numbers; `ledger`, `planner`,
`r_cut` and `best_cuts` vary the card.
"""

from .counting_models import (
    MONTE_CARLO_STATISTICS,
    NO_SIGNAL,
    VARIED,
    VARIED_STEP,
    ExpectedSignal,
    LikelihoodBin,
    counting_model,
    counting_model_of_sample,
    counts_of_card,
    varied_sources,
    warn_of_published_sources,
)
from .headline import g2_end_of_card, model_at_point, model_on_g2_line
from .intervals import FAR_FROM_DATA, epsilon_intervals
from .strength import Exclusion, LimitByShare

__all__ = [
    "FAR_FROM_DATA",
    "MONTE_CARLO_STATISTICS",
    "NO_SIGNAL",
    "VARIED",
    "VARIED_STEP",
    "Exclusion",
    "ExpectedSignal",
    "LikelihoodBin",
    "LimitByShare",
    "counting_model",
    "counting_model_of_sample",
    "counts_of_card",
    "epsilon_intervals",
    "g2_end_of_card",
    "model_at_point",
    "model_on_g2_line",
    "varied_sources",
    "warn_of_published_sources",
]
