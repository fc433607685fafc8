"""Dependencies run one way, ROOT has one door, and importing the package is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import na64root

PACKAGE = Path(na64root.__file__).parent

# A module may import those before it, never those after it. A new module gets its place here.
ORDER = [
    "errors",
    "_core",
    "config",
    "cling",
    "library",
    "compiled",
    "results",
    "histograms",
    "layouts",
    "good_runs",
    "ntuple",
    "cut_table",
    "quality",
    "engines",
    "n_minus_one",
    "skim",
    "exposure",
    "systematics",
    "selection",
    "backgrounds",
    "signal",
    "writer",
    "hepmc",
    "simulate",
    "signal_sample",
    "signal_files",
    "efficiency_map",
    "acceptance",
    "theory",
    "relic",
    "recasts",
    "proton_beam",
    "overlays",
    "counting",
    "toy_scan",
    "limits_roostats",
    "limits",
    "export",
    "exclusion",
    "scorecard",
    "planes",
    "ledger",
    "planner",
    "r_cut",
    "explain",
    "plots",
    "blinding",
    "selection_report",
    "diagnostics",
    "side_by_side",
    "plane_files",
    "reports",
    "analyze",
    "tables",
    "cli",
    "__main__",
]
# Drawing computes nothing: it sees results, never data, models or ROOT.
PLOTS_MAY_IMPORT = {"errors", "config", "results"}
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def imports(module: str, *, inside_functions: bool = True) -> tuple[set[str], set[str]]:
    """The package's modules and the other top-level packages that a module imports.

    The block `if __name__ == "__main__"` is left out: there a module acts as a program.
    """
    tree = ast.parse((PACKAGE / f"{module}.py").read_text("utf-8"))
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) and module != "__main__")
    ]
    if not inside_functions:
        tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    inside, outside = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            inside |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("na64root"):
            inside |= {(node.module.split(".") + [alias.name for alias in node.names])[1]}
        elif isinstance(node, ast.ImportFrom):
            outside.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Import):
            outside |= {alias.name.split(".")[0] for alias in node.names}
    return inside & {*MODULES, "_core"}, outside


def test_the_order_names_every_module():
    assert set(MODULES) <= set(ORDER), "give the new module its place in ORDER"


@pytest.mark.parametrize("module", MODULES)
def test_dependencies_run_one_way(module):
    inside, _ = imports(module)
    assert inside <= set(ORDER[: ORDER.index(module)])


@pytest.mark.parametrize("module", MODULES)
def test_only_the_door_imports_root(module):
    _, outside = imports(module)
    assert ("ROOT" in outside) == (module == "cling")


def test_figures_never_see_data():
    inside, _ = imports("plots")
    assert inside <= PLOTS_MAY_IMPORT


def test_nobody_imports_the_command_line():
    assert [m for m in MODULES if "cli" in imports(m)[0]] in ([], ["__main__"])


def test_importing_the_package_loads_neither_root_nor_matplotlib():
    code = (
        "import sys, na64root, na64root.config;"
        "print([m for m in ('ROOT', 'cppyy', 'matplotlib', 'scipy', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_exists():
    for name in na64root.__all__:
        assert getattr(na64root, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        na64root.no_such_name  # noqa: B018
