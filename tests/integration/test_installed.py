"""The package as others install it: built, put into an empty environment, used from another folder.

Slow: the core is compiled anew, and pip installs ROOT and all that the package declares from its index.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*map(str, command)], text=True, capture_output=True, check=False, **options)
    assert done.returncode == 0, f"{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
    return done


@pytest.fixture(scope="module")
def distributions(tmp_path_factory) -> Path:
    """What `make dist` makes."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "raw", REPOSITORY)
    (wheel,) = (folder / "raw").glob("*.whl")
    tools = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    run(sys.executable, "-m", "auditwheel", "repair", "-w", folder, wheel, env=tools)
    return folder


@pytest.fixture(scope="module")
def environment(distributions, tmp_path_factory) -> Path:
    """An environment with the wheel and what it declares, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder)
    (wheel,) = distributions.glob("*.whl")
    run(folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", wheel)
    return folder / "bin"


def test_the_wheel_is_for_any_linux_and_holds_what_is_used(distributions):
    (wheel,) = distributions.glob("*.whl")
    assert re.search(r"-cp3\d+-cp3\d+-manylinux_2_\d+_x86_64(\.manylinux\w+)?\.whl$", wheel.name)
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "na64root/lib/libna64root.so",
        "na64root/include/na64root/selection.hpp",
        "na64root/rdf/booking.cpp",
        "na64root/cards/paper2021.toml",
        "na64root/html_report/page.html",
        "na64root/py.typed",
    ):
        assert needed in names, needed
    assert not [name for name in names if name.startswith(("tests", "docs")) or "/tests/" in name]
    assert not [name for name in names if ".libs/" in name]  # nothing of this machine came along


def test_the_sources_are_enough_to_build(distributions):
    (sources,) = (distributions / "raw").glob("*.tar.gz")
    with tarfile.open(sources) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in ("CMakeLists.txt", "pyproject.toml", "cpp/src/cascade.cpp", "README.md", "LICENSE"):
        assert needed in names, needed


def test_it_works_in_a_folder_of_its_own(environment, tmp_path):
    """From a simulated file to a report, by the program alone."""
    clean = {"PATH": f"{environment}{os.pathsep}/usr/bin:/bin", "HOME": str(tmp_path)}
    program = environment / "na64root"
    point = ("explain", "--mass-GeV", "0.39", "--epsilon", "6e-3", "--json")
    said = json.loads(run(program, *point, cwd=tmp_path, env=clean).stdout)
    here = json.loads(run(sys.executable, "-m", "na64root", *point).stdout)
    assert said["n_signal"] == here["n_signal"]  # the same bits, of the other build
    run(program, "simulate", "pseudodata", "--eot", "2e9", "-o", "data.root", cwd=tmp_path, env=clean)
    run(program, "select", "data.root", "-o", "selection", cwd=tmp_path, env=clean)
    run(program, "report", "selection", "-o", "report", cwd=tmp_path, env=clean)
    assert "Cut flow" in (tmp_path / "report" / "report.html").read_text("utf-8")
    assert {path.name for path in tmp_path.iterdir()} - {".cache", ".config"} == {
        "data.root",
        "selection",
        "report",
    }


def test_without_a_compiler_it_says_so_in_one_line(environment, tmp_path):
    """Python and the program alone in PATH; what needs no compiler works on."""
    (tmp_path / "bin").mkdir()
    clean = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    command = [str(environment / "na64root"), "simulate", "pseudodata", "--eot", "1e9", "-o", "data.root"]
    done = subprocess.run(command, cwd=tmp_path, env=clean, text=True, capture_output=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "compiler" in done.stderr or "g++" in done.stderr
    run(environment / "na64root", "limit", "--observed", "0", "--background", "0.5", cwd=tmp_path, env=clean)


def test_the_workflow_makes_each_step_once(tmp_path_factory):
    """Snakemake, in an environment of its own: what it needs and what we develop with differ."""
    folder = tmp_path_factory.mktemp("workflow")
    run(sys.executable, "-m", "venv", folder / "snakemake")
    run(folder / "snakemake" / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "snakemake>=9")
    (folder / "work").mkdir()
    paths = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [
        *(folder / "snakemake" / "bin" / "snakemake", "-s", REPOSITORY / "workflow" / "Snakefile"),
        *("--cores", "2", "--config", "eot=4e9"),
        "scan=--set plane.mass_points=4 --set plane.epsilon_points=5",
    ]
    run(*command, cwd=folder / "work", env=paths)
    text = (folder / "work" / "report" / "report.html").read_text("utf-8")
    assert text.count("<section") >= 5
    again = run(*command, cwd=folder / "work", env=paths)
    assert "Nothing to be done" in again.stdout + again.stderr
