"""Counting models and their limits: the exact engine and RooStats behind one interface.

`counting` is the model (bins, yields, uncertainties), `likelihood` spells it out; `exact` gives limits,
intervals, discovery; `roofit` and `roostats` do so with RooFit and toys, whose scan is `toy_scan`; `own_toys`
does so for models of any size; `side_by_side` compares, `quotation` says which one is the result; `export`
hands the model to other programs; `diagnostics` says what a limit rests on. `best_fit`, `bayesian` and
`limit_impacts` are what counts say beside a limit, `fit` all of it.
"""

from .counting import (
    CORRELATIONS,
    BackgroundConstraint,
    Bin,
    CountingModel,
    SignalSource,
    check_choice,
    check_number,
)
from .exact import (
    ASYMPTOTIC_MINIMUM,
    CRITERIA,
    LARGEST_SIGNAL_UNCERTAINTY_EXPECTED,
    METHODS,
    MOST_BINS_INTERVAL,
    MOST_EVENTS,
    MOST_EVENTS_INTERVAL,
    TREATMENTS,
    Impact,
    Method,
    card_limit,
    discovery,
    evidence,
    experiment,
    impacts,
    interval,
    two_sided_p_value,
    upper_limit,
    workspace,
)
from .quotation import quoted

__all__ = [
    "ASYMPTOTIC_MINIMUM",
    "CORRELATIONS",
    "CRITERIA",
    "LARGEST_SIGNAL_UNCERTAINTY_EXPECTED",
    "METHODS",
    "MOST_BINS_INTERVAL",
    "MOST_EVENTS",
    "MOST_EVENTS_INTERVAL",
    "TREATMENTS",
    "BackgroundConstraint",
    "Bin",
    "CountingModel",
    "Impact",
    "Method",
    "SignalSource",
    "card_limit",
    "check_choice",
    "check_number",
    "discovery",
    "evidence",
    "experiment",
    "impacts",
    "interval",
    "quoted",
    "two_sided_p_value",
    "upper_limit",
    "workspace",
]
