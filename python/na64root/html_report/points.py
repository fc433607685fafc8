"""Sections of one model point: the limit on a coupling, and whether a model is excluded."""

from __future__ import annotations

from ..exclusion.coupling import CouplingLimit
from ..reports.figured import coupling_figure
from ..verdicts import Verdict
from .blocks import Section, Table, notes, percent
from .drawings import Draw


def of_coupling(record: CouplingLimit, draw: Draw) -> Section:
    """The excluded values of one parameter at one mass."""
    quoted = record.quoted
    headline = [f"At a dark-photon mass of {record.mass_GeV:g} GeV, {percent(quoted.cl)} confidence level: "
                f"{record.verdict}."]  # fmt: skip
    curve = Table(
        "coupling",
        "Signal and its limit",
        (record.parameter, "expected signal [events]", "upper limit [events]"),
        list(zip(record.values, record.n_signal, record.upper_limit_events, strict=True)),
    )
    levels = {"observed": record.excluded} | {
        f"expected, {name}": ranges for name, ranges in record.excluded_expected.items()
    }
    edges = Table(
        "excluded-values",
        f"Excluded values of {record.parameter}; an open end is that of what was looked at",
        ("limit", "from", "to", "open ends"),
        [
            (name, one.low, one.high, _open(one.low_is_open, one.high_is_open))
            for name, ranges in levels.items()
            for one in ranges
        ],
    )
    shown = (
        f"The expected signal and the upper limit on it against {record.parameter}; where the signal is the "
        "larger one it is excluded, which is shaded."
    )
    drawing = draw("Signal against its limit", shown, coupling_figure(record), curve)
    return Section("Limit on a coupling", headline, [drawing, edges])


def _open(low: bool, high: bool) -> str:
    return " and ".join(name for name, is_open in (("low", low), ("high", high)) if is_open)


def of_verdict(record: Verdict) -> Section:
    """Whether a model is excluded, and why."""
    answer = "Excluded" if record.excluded else "Not excluded"
    point = f"m_A′ = {record.mass_GeV:g} GeV"
    point += "" if record.epsilon is None else f", ε = {record.epsilon:g}"
    why = record.why.rstrip(".")
    headline = [f"{answer} at {percent(record.confidence_level)} confidence level: {point}; {why}."]
    events = Table(
        "expected-events",
        f"Expected signal, upper limit {record.upper_limit:.4g} ± {record.upper_limit_error:.1g} events, CLs "
        f"{record.cls:.3g}",
        ("signature", "expected [events]", "statistical error", "systematic"),
        [
            (name, found.expected, found.statistical, found.systematic)
            for name, found in (("S1", record.s1), ("S2", record.s2), ("together", record.total))
        ],
    )
    steps = Table(
        "steps",
        "What each step leaves",
        ("signature", "step", "events"),
        [(name, step.step, step.events) for name, found in record.steps.items() for step in found],
    )
    return Section("Is the model excluded?", headline, [events, steps, *notes(record.notes)])
