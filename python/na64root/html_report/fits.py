"""Sections of what counts say beside a limit: a fit of the counting model, and its tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..records import FitReport
from ..reports.fits import drawn
from .blocks import Block, Cell, Section, Table, notes, percent
from .drawings import Draw
from .limits import evidence, in_words

# What each figure of a fit is called, and what it shows.
FIGURES = {
    "likelihood_scan": (
        "Likelihood and CLs against the signal",
        "Minus two times the logarithm of the profile likelihood ratio, and CLs where it is known, against "
        "the expected signal; the upper limit is marked.",
    ),
    "goodness_of_fit": (
        "Goodness of fit",
        "Histograms of the saturated statistic over toys, one for each hypothesis; the observed value is "
        "marked.",
    ),
    "injected_signals": ("Injected signals", "The fitted strength and its pull against the injected one."),
    "pulls": ("Pulls", "Each nuisance parameter as a point with its error, in units of its measurement."),
    "fit_impacts": (
        "Impacts",
        "What each uncertainty does to the limit and to the fitted strength, a bar each; where leaving one "
        "out makes the limit jump, since ties are no longer broken, that is marked.",
    ),
    "posterior": (
        "Posterior density",
        "The Bayesian posterior of the signal; what lies below its upper limit is filled.",
    ),
}


def of_fit(record: FitReport, draw: Draw) -> Section:
    """Best fit, goodness, injected signals, scans, tests of a point, posterior, impacts."""
    tables = {table.name: table for table in _tables(record)}
    blocks: list[Block] = []
    for name, figure in drawn(record).items():
        blocks.append(draw(*FIGURES[name], figure, tables[name]))
    blocks += [table for name, table in tables.items() if name not in ("likelihood_scan", "posterior")]
    return Section("Fit of the counting model", list(_in_words(record)), [*blocks, *notes(record.notes)])


def _in_words(record: FitReport) -> Iterator[str]:
    yield in_words(record.limit)
    if record.fit is not None:
        error = ", at its bound" if record.fit.mu_error is None else f" ± {record.fit.mu_error:.2g}"
        yield f"The counts fit best with {record.fit.mu:.3g}{error} signal events."
    for good in record.goodness:
        yield (
            f"Counts as far from the {good.hypothesis.replace('_', ' ')} or farther have a probability of "
            f"{good.p_value:.3g} ± {good.p_value_error:.1g}."
        )
    if (point := record.point) is not None:
        answer = "excluded" if point.excluded else "not excluded"
        yield (
            f"A signal of {point.mu:.4g} events is {answer} at {percent(record.cl)} confidence level "
            f"(CLs {point.cls:.3g})."
        )
    yield from evidence(record.discovery, record.interval)
    if (bayes := record.bayesian) is not None:
        yield (
            f"With a {bayes.prior} prior the signal is below {bayes.upper_limit:.3f} events with a "
            f"probability of {percent(record.cl)}."
        )


def _tables(record: FitReport) -> Iterator[Table]:
    """The numbers behind each figure, by its name, and those without one."""
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    if (scan := record.scan) is not None:
        cls: Sequence[float | None] = scan.cls or [None] * len(scan.mu)
        rows = list(zip(scan.mu, scan.two_delta_nll, cls, strict=True))
        yield Table("likelihood_scan", "Scan", ("signal [events]", "−2 Δ ln L", "CLs"), rows)
    if record.goodness:
        columns = ("hypothesis", "statistic", "p-value", "its error", "toys")
        yield Table("goodness_of_fit", "Goodness of fit, saturated model", columns, [
            (g.hypothesis.replace("_", " "), g.statistic, g.p_value, g.p_value_error, g.toys)
            for g in record.goodness
        ])  # fmt: skip
    if record.injection:
        columns = ("injected", "fitted, mean", "its error", "median", "at zero", "pull", "its error ",
                   "width", "toys")  # fmt: skip
        yield Table("injected_signals", "Injected signals and what is fitted [events]", columns, [
            (i.injected, i.mean, i.mean_error, i.median, i.at_zero, i.pull_mean, i.pull_mean_error,
             i.pull_width, i.toys)
            for i in record.injection
        ])  # fmt: skip
    if record.fit is not None and record.fit.parameters:
        columns = ("nuisance parameter", "fitted", "its error", "measured", "pull", "error / measured")
        yield Table("pulls", "Nuisance parameters at the best fit", columns, [
            (p.name, p.value, p.error, p.nominal, p.pull, p.constraint) for p in record.fit.parameters
        ])  # fmt: skip
        names = record.fit.correlated
        rows = [(name, *row) for name, row in zip(names, record.fit.correlation, strict=True)]
        if rows:
            yield Table("correlation", "Correlation of the parameters", ("parameter", *names), rows)
    if record.limit_impacts:
        columns = ("uncertainty", "impact on the limit", "limit without it", "vanishing", "doubled",
                   "jump where it vanishes", "of ties broken")  # fmt: skip
        yield Table("fit_impacts", "What each uncertainty does to the limit [events]", columns, [
            (i.source, i.impact, i.without, i.vanishing, i.doubled, i.jump, "yes" if i.tie_breaking else "no")
            for i in record.limit_impacts
        ])  # fmt: skip
    if record.strength_impacts:
        columns = ("nuisance parameter", "fitted signal at −1σ", "at +1σ")
        yield Table("strength-impacts", "What each parameter does to the fitted signal", columns, [
            (i.parameter, i.down, i.up) for i in record.strength_impacts
        ])  # fmt: skip
    if (found := record.bayesian) is not None:
        rows = list(zip(found.mu, found.density, strict=True))
        yield Table("posterior", "Posterior density", ("signal [events]", "density"), rows)
