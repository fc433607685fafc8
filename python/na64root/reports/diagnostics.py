"""Files and figures of what a limit rests on."""

from __future__ import annotations

from .. import records
from ..figures import assumed_uncertainties, cls_scan, impacts, save, test_statistic
from ..limits.diagnostics import Diagnostics
from ..records import Provenance, ResultsFolder

FIGURES = ("cls_scan", "test_statistic", "impacts", "assumed_uncertainties")


FILES = ("diagnostics.json", *(f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")))


class DiagnosticsReport(Diagnostics):
    """Diagnostics that stand alone, with what is needed to make them again."""

    provenance: Provenance


def write(diagnostics: Diagnostics, results: ResultsFolder, *, provenance: Provenance) -> dict[str, str]:
    """Write diagnostics.json and the figures, all or none; returns the path of each by its name.

    Raises:
        Na64Error: results exist that are not to be replaced, or the folder cannot be written.
    """
    results.require(FILES)
    report = DiagnosticsReport(**dict(diagnostics), provenance=provenance)
    limit = diagnostics.limit
    nominal = diagnostics.cls_scan.upper_limit
    figures = {
        "cls_scan": cls_scan(diagnostics.cls_scan),
        "test_statistic": test_statistic(diagnostics.test_statistic),
        "assumed_uncertainties": assumed_uncertainties(diagnostics.assumed_uncertainties, limit.cl),
    }
    if diagnostics.limit_impacts:
        figures["impacts"] = impacts(
            diagnostics.limit_impacts, nominal, limit.cl, diagnostics.cls_scan.treatment
        )
    with results.replacing(FILES) as temporary:
        (temporary / "diagnostics.json").write_text(records.to_json(report) + "\n", "utf-8")
        for name, figure in figures.items():
            save(figure, temporary, name)
        names = sorted(path.name for path in temporary.iterdir())
    return {name: str(results.path / name) for name in names}
