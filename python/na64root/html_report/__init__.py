"""One self-contained HTML page of the results in folders.

`found` reads results and refuses what cannot stand together; `blocks` are what a page is made of; `drawings`
turns figures into SVG that tells its values; `data`, `limits`, `fits`, `points` and `planes` make the section
of each kind of result, `origin` what is said of any: where it comes from and how to make it again; `page`
puts all together.
"""

from .page import NAME, Report, Reported, report

__all__ = ["NAME", "Report", "Reported", "report"]
