"""Sections of limits: alone, side by side, and what they rest on."""

from __future__ import annotations

from collections.abc import Sequence

from .. import figures
from ..limits.side_by_side import Limits
from ..records import Discovery, Interval, LimitReport, LimitResult, Quoted
from ..reports.diagnostics import DiagnosticsReport
from .blocks import BLINDED, Block, Cell, Section, Table, Text, notes, percent
from .drawings import Draw

# Criteria as they are written.
CRITERIA = {"cls": "CLs", "clsb": "CLs+b"}


WHY_TREATMENTS_DIFFER = (
    "The same counts give several limits because the uncertainties of background and signal (the nuisance "
    "parameters) can be treated in several ways. “none” takes every number as exact. “frequentist” "
    "repeats the "
    "experiment in thought together with the measurements that determine background and efficiency; this is "
    "what RooStats does by default. “hybrid” averages over the uncertainties first, as over prior knowledge.",
    "With more ignorance the frequentist limit can become tighter. That is no mistake: its repeated "
    "experiments "
    "vary the auxiliary measurements too, and with a signal fewer of those without any event are as "
    "extreme as "
    "the data.",
    "RooStats draws random experiments, so its limit has an error; the exact engine adds up the "
    "probabilities of "
    "all outcomes. With the same treatment the two agree within three such errors, or the run fails.",
)


def _row(engine: str, limit: LimitResult | LimitReport) -> tuple[Cell, ...]:
    e = limit.expected
    return (engine, limit.treatment, limit.upper_limit, limit.upper_limit_error or None, limit.toys or None,
            e.minus2, e.minus1, e.median, e.plus1, e.plus2)  # fmt: skip


COLUMNS = ("engine", "nuisances", "upper limit [events]", "its error", "toys", "expected −2σ", "−1σ",
           "median", "+1σ", "+2σ")  # fmt: skip


def side_by_side(limit: Limits, draw: Draw) -> list[Block]:
    """The quoted limit beside those of other treatments and of RooStats, with an explanation."""
    quoted = limit.quoted
    rows = [_row(name, one) for name, one in limit.named.items()]
    of_what = (
        "on the expected signal" if limit.kind == "observed" else "expected without signal, on the signal"
    )
    table = Table("limits", f"Upper limits {of_what}, {percent(quoted.cl)} CL, CLs", COLUMNS, rows)
    drawing = draw(
        "Limits side by side",
        f"Upper limits as points, one line each: {'; '.join(f'{n} {v:.3g}' for n, v, _ in limit.points)}.",
        figures.limit_comparison(limit.points, quoted.cl),
        table,
    )
    return [drawing, table, Text([f"Quoted: {quoted.why}.", *WHY_TREATMENTS_DIFFER])]


def evidence(discovery: Discovery | None, interval: Interval | None) -> list[str]:
    """What the data say against background alone, in words."""
    said = []
    if discovery is not None:
        said.append(
            f"Background alone gives as many events or more with a probability of {discovery.p_value:.3g} "
            f"({discovery.significance:.2f} standard deviations)."
        )
    if interval is not None:
        said.append(
            f"The two-sided interval (Feldman–Cousins) on the signal is {interval.low:.3g} to "
            f"{interval.high:.3g} events."
        )
    return said


def in_words(limit: LimitResult | LimitReport | Quoted, kind: str = "observed") -> str:
    """A limit in a sentence."""
    if limit.upper_limit is None or limit.upper_limit_error is None:
        return (
            f"Nothing is observed: no upper limit at {percent(limit.cl)} confidence level but those expected."
        )
    # Of toys; that of the exact engine is in digits that are not shown.
    seen = limit.upper_limit_error > 5e-4 * limit.upper_limit
    error = f" ± {limit.upper_limit_error:.2g}" if seen else ""
    verb = (
        "are excluded"
        if kind == "observed"
        else "would be excluded, without a signal, in the most probable case"
    )
    number = f"{limit.upper_limit:.3f}{error}"
    return f"More than {number} signal events {verb} at {percent(limit.cl)} confidence level."


def of_limit(record: LimitReport) -> Section:
    """A limit that stands alone."""
    e = record.expected
    headline = [BLINDED] if record.blind else []
    headline.append(in_words(record))
    if e.median is not None:
        tense = "is" if record.blind else "was"
        headline.append(f"Without a signal a limit of {e.median:.3f} events {tense} to be expected.")
    headline += evidence(record.discovery, record.interval)
    name = f"{record.method}, {CRITERIA.get(record.criterion, record.criterion)}"
    caption = "The expected limit and its band" if record.blind else "The limit and its expected band"
    table = Table("limit", caption, COLUMNS, [_row(name, record)])
    title = "Upper limit from counts" + (", expected" if record.blind else "")
    return Section(title, headline, [table, Text(WHY_TREATMENTS_DIFFER[:2]), *notes(record.notes)])


def compared(limits: Sequence[tuple[str, str, LimitResult | LimitReport]], draw: Draw) -> list[Block]:
    """Limits of several results beside each other: (where, kind, limit) each.

    Of a blinded one the expected median is drawn.
    """
    rows: list[tuple[Cell, ...]] = [
        (where, kind, one.method, *_row("", one)[1:4], one.expected.median) for where, kind, one in limits
    ]
    table = Table(
        "limits-compared",
        "Upper limits of all results",
        ("result", "kind", "method", "nuisances", "upper limit [events]", "its error", "expected median"),
        rows,
    )
    points = []
    for where, kind, one in limits:
        if one.upper_limit is not None:
            points.append((f"{where}, {kind}", one.upper_limit, one.upper_limit_error or 0.0))
        elif one.expected.median is not None:
            points.append((f"{where}, {kind}", one.expected.median, 0.0))
    if not points:
        return [table]
    drawing = draw(
        "Limits of all results",
        "Upper limits as points, one line for each result; the expected median of what is blinded.",
        figures.limit_comparison(points, limits[0][2].cl),
        table,
    )
    return [drawing, table]


def of_diagnostics(record: DiagnosticsReport, draw: Draw) -> Section:
    """What a limit rests on."""
    scan, statistic = record.cls_scan, record.test_statistic
    curve = Table("cls-scan", "CLs against the expected signal, exact engine", ("signal [events]", "CLs"),
                  list(zip(scan.mu, scan.cls, strict=True)))  # fmt: skip
    toys = Table(
        "test-statistic",
        "Distribution of the test statistic over toys",
        ("q from", "q to", "share with signal", "share without"),
        list(
            zip(
                statistic.edges[:-1],
                statistic.edges[1:],
                statistic.with_signal,
                statistic.without_signal,
                strict=True,
            )
        ),
    )
    blocks: list[Block] = [
        draw(
            "CLs against the signal",
            f"CLs falls with the expected signal and reaches {1 - scan.cl:.2g} at {scan.upper_limit:.4g} "
            "events.",
            figures.cls_scan(scan),
            curve,
        ),
        draw(
            "Test statistic",
            "Two histograms of the test statistic, of toys with and without signal; the observed value "
            "is marked.",
            figures.test_statistic(statistic),
            toys,
        ),
    ]
    if record.limit_impacts:
        impacts = Table(
            "impacts",
            "What each uncertainty does to the limit",
            ("source", "limit without it", "limit with a vanishing one", "limit with it doubled"),
            [(i.source, i.without, i.vanishing, i.doubled) for i in record.limit_impacts],
        )
        blocks.append(
            draw(
                "Impacts",
                "Each source is a line from the limit where it vanishes to the limit with it doubled; where "
                "leaving it out makes the limit jump, since ties are no longer broken, that is marked.",
                figures.impacts(record.limit_impacts, scan.upper_limit, record.limit.cl, scan.treatment),
                impacts,
            )
        )
    sweeps = [
        (sweep.source, value, treatment, limits[i])
        for sweep in record.assumed_uncertainties
        for i, value in enumerate(sweep.values)
        for treatment, limits in sweep.upper_limit.items()
    ]
    blocks.append(
        draw(
            "Assumed uncertainties",
            "The limit against each assumed uncertainty, a line for each treatment.",
            figures.assumed_uncertainties(record.assumed_uncertainties, record.limit.cl),
            Table("assumed-uncertainties", "The limit against assumed uncertainties",
                  ("source", "uncertainty, or factor on it", "nuisances", "upper limit"), sweeps),
        )
    )  # fmt: skip
    return Section("What the limit rests on", [in_words(record.limit)], blocks)
