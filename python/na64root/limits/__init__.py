"""Counting models and their limits: the exact engine and RooStats behind one interface.

`counting` is the model (bins, yields, uncertainties; `named_sources`), `likelihood` spells it out; `exact`
gives limits, intervals, discovery, of what `reduction` makes of it; `roofit` and `roostats` do so with RooFit
and toys, whose scan is `toy_scan`; `own_toys` and `asymptotics` do so for models of any size and sources;
`side_by_side` compares, `quotation` says which one is the result; `export` hands the model to other programs,
`model_files` reads it from their `datacards`, workspaces of `histfactory` and `hs3`, and our `model_record`,
all of which are `model_texts`; `diagnostics` says what a limit rests on. `best_fit`, `bayesian` and
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
from .named_sources import Effect, NamedSource
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
    "Effect",
    "Impact",
    "Method",
    "NamedSource",
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
