"""Files and figures of a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import figures, records
from ..records import FitReport, ResultsFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = ("likelihood_scan", "goodness_of_fit", "injected_signals", "pulls", "fit_impacts", "posterior")


FILES = ("fit.json", *(f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")))


def drawn(report: FitReport) -> dict[str, Figure]:
    """The figures of what was wanted of a fit, by their names."""
    cl, drawn = report.cl, {}
    if report.scan is not None:
        drawn["likelihood_scan"] = figures.likelihood_scan(report.scan, cl, report.limit.upper_limit)
    if report.goodness:
        drawn["goodness_of_fit"] = figures.goodness_of_fit(report.goodness)
    if report.injection:
        drawn["injected_signals"] = figures.injected_signals(report.injection)
    if report.fit is not None and report.fit.parameters:
        drawn["pulls"] = figures.pulls(report.fit)
    if report.limit_impacts:
        mu = report.fit.mu if report.fit is not None else 0.0
        drawn["fit_impacts"] = figures.fit_impacts(
            report.limit_impacts, report.strength_impacts, report.limit.upper_limit, mu, cl
        )
    if report.bayesian is not None:
        drawn["posterior"] = figures.posterior(report.bayesian, cl)
    return drawn


def write_fit(report: FitReport, results: ResultsFolder) -> FitReport:
    """Write fit.json and the figures of what was wanted, all or none; the record with its files.

    Raises:
        Na64Error: results exist that are not to be replaced, or the folder cannot be written.
    """
    results.require(FILES)
    made = drawn(report)
    with results.replacing(FILES) as folder:
        for name, figure in made.items():
            figures.save(figure, folder, name)
        names = sorted(["fit.json", *(path.name for path in folder.iterdir())])
        report = report.model_copy(update={"files": {name: str(results.path / name) for name in names}})
        if kept := results.remember("fit", blind=False, provenance=report.provenance):
            report = report.model_copy(update={"files": report.files | {kept.name: str(kept)}})
        (folder / "fit.json").write_text(records.to_json(report) + "\n", "utf-8")
    return report
