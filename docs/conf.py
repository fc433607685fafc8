"""The documentation as a site: `make docs`. The Markdown stays where it is; docs/decisions/024 says why."""

from __future__ import annotations

import pkgutil
from typing import Any

from na64root.version import version as version_of_code

project = "na64root"
author = "the authors of na64root"
copyright = "the authors of na64root"
release = version = version_of_code()

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
]
# The repository is the source folder, so that links in the Markdown hold here as they do in it.
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**.md"]
exclude_patterns = [".venv", "build", "na64root-output", "tests", "python", "cpp", ".git"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
highlight_language = "none"
suppress_warnings = ["myst.header"]  # a page may begin below the first level, as a changelog does

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
add_module_names = False
# Every function, class and module that a docstring names must be there. Types in signatures are those of
# other packages as often as ours.
nitpicky = True
nitpick_ignore_regex = [("py:(class|obj|data|attr|exc)", r".*")]

html_theme = "furo"
html_title = f"na64root {release.partition('+')[0]}"
html_theme_options = {"source_repository": "", "navigation_with_keys": True}
html_show_sourcelink = False
html_show_search_summary = False  # would be fetched, which a page from disk may not
smartquotes = False  # two hyphens begin an option
html_copy_source = False

man_pages = [("docs/commands", "na64root", "the NA64 search for semi-visible dark photons", [author], 1)]


def _named(_app: Any, _env: Any, node: Any, shown: Any) -> Any:
    """A name that a docstring gives and no page describes: fine where the code has it, else a warning."""
    if node.get("refdomain") != "py":
        return None
    target, module, of_class = node["reftarget"], node.get("py:module"), node.get("py:class")
    inside = [module, f"{module}.{of_class}"] if module else []
    around = [module.rpartition(".")[0]] if module else []
    for name in (target, *(f"{place}.{target}" for place in (*inside, *around, "na64root"))):
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError, ValueError):
            continue
        return shown
    return None


def _literal(_app: Any, _context: Any, lines: list[str]) -> None:
    """The example of a verb as it is typed: a glob is no emphasis."""
    said = [line.removeprefix("|").strip() for line in lines]
    if "Example:" in said:
        typed = [line for line in said if line not in ("Example:", "")]
        lines[:] = ["Example::", "", *(f"    {line}" for line in typed), ""]


def setup(app: Any) -> None:
    """What is done beside the extensions."""
    app.connect("missing-reference", _named)
    app.connect("sphinx-click-process-epilog", _literal)
