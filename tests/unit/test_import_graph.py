"""Packages have an order, ROOT has one door, importing is cheap, the map of the code is the code's own."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import na64root

PACKAGE = Path(na64root.__file__).parent
REPOSITORY = PACKAGE.parent.parent

# A package (or a module beside the packages) may import those before it, never those after it.
ORDER = [
    "errors",
    "annotations",
    "notebook",
    "inputs",
    "version",
    "_core",
    "config",
    "records",
    "cling",
    "work",
    "event_loop",
    "ntuple",
    "signal",
    "figures",
    "views",
    "theory",
    "limits",
    "spey_backend",
    "selection",
    "backgrounds",
    "simulation",
    "exclusion",
    "verdicts",
    "reports",
    "analyze",
    "html_report",
    "publication",
    "cli",
    "__main__",
]
# Drawing computes nothing: it sees records, never data, models or ROOT.
FIGURES_MAY_IMPORT = {"annotations", "records"}
FORMER_NAMES = {"export", "overlays"}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path not in (PACKAGE / "__init__.py", *(PACKAGE / f"{name}.py" for name in FORMER_NAMES))
}
PACKAGES = [name for name in ORDER if (PACKAGE / name / "__init__.py").exists()]


def room(module: str) -> str:
    return module.split(".")[0]


def imports(module: str) -> tuple[set[str], set[str]]:
    """Modules and packages of na64root, and other top-level packages, that a module imports anywhere."""
    path = MODULES[module]
    here = ["na64root", *path.relative_to(PACKAGE).parent.parts]
    inside, outside = set(), set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            source = [*base, *(node.module.split(".") if node.module else [])]
            if source[0] != "na64root":
                outside.add(source[0])
                continue
            for alias in node.names:
                name = ".".join([*source[1:], alias.name])
                inside.add(name if name in MODULES or name == "_core" else ".".join(source[1:]))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                first, _, rest = alias.name.partition(".")
                (inside if first == "na64root" else outside).add(rest if first == "na64root" else first)
    return inside, outside


def test_the_order_names_every_package():
    assert {room(module) for module in MODULES} | {"_core"} == set(ORDER), "give it its place in ORDER"


@pytest.mark.parametrize("module", MODULES)
def test_dependencies_run_one_way(module):
    own = room(module)
    allowed = set(ORDER[: ORDER.index(own) + 1])
    if module == "analyze.__main__":
        allowed.add("cli")  # there the package acts as a program
    used = imports(module)[0]
    assert "" not in used, "from the package itself: that runs back up"
    assert {room(name) for name in used} <= allowed


@pytest.mark.parametrize("package", PACKAGES)
def test_no_circle_within_a_package(package):
    """Submodules of one package have an order too; a face may import all of them, none imports the face."""
    graph = {
        module: {name for name in imports(module)[0] if room(name) == package and name != module}
        for module in MODULES
        if room(module) == package and module != package
    }
    assert package not in set().union(*graph.values()), "a submodule imports the face of its own package"
    done: list[str] = []
    while len(done) < len(graph):
        ready = [module for module, needs in graph.items() if module not in done and needs <= set(done)]
        assert ready, f"a circle among {sorted(set(graph) - set(done))}"
        done += ready


@pytest.mark.parametrize("module", MODULES)
def test_only_the_door_imports_root(module):
    assert ("ROOT" in imports(module)[1]) == (module == "cling")


def test_figures_never_see_data():
    used = {room(name) for module in MODULES if room(module) == "figures" for name in imports(module)[0]}
    assert used <= FIGURES_MAY_IMPORT | {"figures"}


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


def test_modules_that_documents_name_stay_importable():
    code = "import na64root.analyze, na64root.cli, na64root.config, na64root.export, na64root.exclusion;"
    code += "from na64root import overlays; overlays.e137, overlays.relic_line, overlays.public_table;"
    code += "from na64root.export import write_pyhf, datacard; from na64root.limits import interval;"
    code += "from na64root.signal import Parameters, card_counts; from na64root.exclusion import Exclusion;"
    code += "from na64root.selection import select"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def first_line(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert text, f"{path} does not say what it is"
    return text.splitlines()[0].rstrip(".")


def test_the_map_of_the_code_is_its_own_first_lines():
    """CONTRIBUTING lists every package, in their order, with the first line of its docstring."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
    listed = []
    for name in (name for name in ORDER if name not in ("_core", "__main__")):
        path = PACKAGE / name / "__init__.py" if name in PACKAGES else PACKAGE / f"{name}.py"
        line = f"        {name + ('/' if name in PACKAGES else ''):<13}{first_line(path)}"
        assert line in text.splitlines(), f"CONTRIBUTING lacks the line: {line!r}"
        listed.append(text.index(line + "\n"))
    assert listed == sorted(listed), "the map is not in the order of the packages"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_face_says_what_is_in_every_module(package):
    """The docstring of a package names each of its modules, in at most ten lines or so."""
    text = ast.get_docstring(ast.parse((PACKAGE / package / "__init__.py").read_text("utf-8"))) or ""
    assert len(text.splitlines()) <= 12
    modules = [path.stem for path in (PACKAGE / package).glob("*.py") if not path.stem.startswith("__")]
    missing = [name for name in modules if f"`{name}`" not in text]
    assert not missing, f"{package}/__init__.py says nothing of {', '.join(missing)}"
