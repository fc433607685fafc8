"""The macros run as they stand, by the environment's own `root`, on the library and headers of Python."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from na64root import _core, selection, theory
from na64root.cling import root
from na64root.config import SIGNATURES, load_card
from na64root.selection import cut_table
from support.tree_a import event, write_tree

MACROS = Path(__file__).parents[2] / "macros"
ROOT_PROGRAM = Path(sys.executable).with_name("root")


def run(call: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT_PROGRAM), "-l", "-b", "-q", f"{MACROS}/{call}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def assert_pdf(path: Path) -> None:
    assert path.read_bytes().startswith(b"%PDF")
    assert path.stat().st_size > 5000


def test_every_macro_is_tested():
    assert {path.name for path in MACROS.glob("*.C")} == {"cross_section.C", "cut_flow.C", "exclusion.C"}


def test_cross_section_gives_the_numbers_of_python(tmp_path):
    """Reference: self, the other face of the same library; the macro prints six digits."""
    done = run("cross_section.C", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = np.array(
        [line.split() for line in done.stdout.splitlines() if re.match(r"\s+[\d.]", line)], dtype=float
    )
    assert rows.shape == (36, 4)
    element = _core.material("Pb").components[0].element
    for i in (0, 17, 35):
        mass = 1e-3 * 3000.0 ** (i / 35)
        for value, approximation in zip(rows[i, 1:], ("etl", "ww", "iww"), strict=True):
            process = _core.DarkBremsstrahlung(
                mass, element, _core.Approximation.__members__[approximation], 1e-4
            )
            assert value == pytest.approx(process.total(100.0).value, rel=1e-5)
    assert_pdf(tmp_path / "cross_section.pdf")


def test_cross_section_takes_another_material(tmp_path):
    done = run('cross_section.C("W", 50.0, "tungsten.pdf")', tmp_path)
    assert done.returncode == 0, done.stderr
    assert "W atom, E = 50 GeV" in done.stdout
    assert_pdf(tmp_path / "tungsten.pdf")


# What the macro writes in place of the derived columns.
IN_THE_MACRO = {
    "na64_out_of_time": "out_of_time_energy(ecalTotalNoTimecut, ecalTotal)",
    "na64_leading_cell": "leading_ecal_cell(ECAL_ene)",
    "na64_srd0": "SRD_ene[0]",
    "na64_srd1": "SRD_ene[1]",
    "na64_srd2": "SRD_ene[2]",
    "na64_veto": f"veto_energy(VETO_ene, {load_card().selection.veto.photomultiplier_balance.value})",
    "na64_r": "hcal_r(HCAL_ene, core)",
}


def test_the_cuts_of_the_macro_are_those_of_the_cut_table():
    """Reference: self. The macro shows its cuts in C++: each predicate, column and number is the table's."""
    card = load_card()
    text = (MACROS / "cut_flow.C").read_text("utf-8")
    rows = [
        re.findall(r'"([^"]*)"', row)
        for row in re.findall(
            r'\{("[^{}]*")\}', text[text.index("> cuts = ") : text.index("*const branches")]
        )
    ]
    assert [name for name, *_ in rows] == card.selection.built_in()
    for signature in SIGNATURES:
        of_table = cut_table.predicates(card, signature)
        for name, *texts in rows:
            written = texts[-1] if signature == "S2" else texts[0]
            if (name, signature) == ("r", "S2"):
                assert written == ""
                continue
            function, arguments = re.fullmatch(r"(\w+)\((.*)\)", written).groups()
            call, split = of_table[name], re.split(r", (?![^()]*\))", arguments)
            n = len(call.columns)
            assert function == call.function
            assert split[:n] == [IN_THE_MACRO.get(column, column) for column in call.columns]
            assert tuple(map(float, split[n:])) == call.numbers, f"{signature} {name}"
    periods = re.findall(r'\{"(\d+)", (\d+), (\d+), "\{\{(.*?)\}\}"\}', text)
    assert [(name, int(first), int(last)) for name, first, last, _ in periods] == [
        (period.name, period.first_run, period.last_run) for period in card.periods
    ]
    assert cut_table.hcal_core_bits(card) == [
        [sum(1 << int(bit) for bit in re.findall(r"1 << (\d+)", cells)) for cells in core.split(", ")]
        for *_, core in periods
    ]


def test_cut_flow_counts_as_the_selection_does(few_pseudodata, tmp_path):
    """Reference: self. Thresholds typed in the macro are those of the card, the cuts in the same order."""
    done = run(f'cut_flow.C("{few_pseudodata}")', tmp_path)
    assert done.returncode == 0, done.stderr
    printed = [
        (period, signature, cut, int(events))
        for period, signature, cut, events in re.findall(
            r"^(\d+) (S[12]) (\w+) (\d+)$", done.stdout, re.MULTILINE
        )
    ]
    selected = selection.select([few_pseudodata], load_card())
    expected = [
        (row.period, row.signature, row.cut, row.events)
        for row in selected.cutflow
        if row.period in selected.exposure
    ]
    assert sorted(printed) == sorted(expected)
    assert len(printed) == 3 * (13 + 12)
    assert "event loops: 1" in done.stdout
    assert_pdf(tmp_path / "cut_flow.pdf")


@pytest.fixture
def plane(tmp_path) -> Path:
    """A results file with a plane that is excluded at and above epsilon = 1e-3, below 0.1 GeV."""
    ROOT = root()
    path = tmp_path / "results.root"
    masses, epsilons = np.geomspace(1e-3, 1.0, 31), np.geomspace(1e-6, 1e-1, 51)
    file = ROOT.TFile.Open(str(path), "RECREATE")
    histogram = ROOT.TH2D("upper_limit_mu", "", 30, masses, 50, epsilons)
    for i in range(1, 31):
        for j in range(1, 51):
            excluded = masses[i] <= 0.1001 and epsilons[j - 1] >= 0.999e-3
            histogram.SetBinContent(i, j, 0.5 if excluded else 2.0)
    file.WriteObject(histogram, "upper_limit_mu")
    file.WriteObject(ROOT.TParameter["double"]("confidence_level", 0.95), "confidence_level")
    for line, moment in (("minus2", 133e-11), ("central", 251e-11), ("plus2", 369e-11)):
        graph = ROOT.TGraph(31, masses, theory.epsilon_g2(masses, moment))
        file.WriteObject(graph, f"g-2_{line}")
    inclusive = ROOT.TGraph(2, np.array([0.01, 0.5]), np.array([1e-4, 5e-3]))
    file.WriteObject(inclusive, "inclusive_0")
    file.Close()
    return path


def test_exclusion_reads_the_plane(plane):
    done = run(f'exclusion.C("{plane}")', plane.parent)
    assert done.returncode == 0, done.stderr
    # reference: analytic, 20 columns below 0.1 GeV and 20 rows above 1e-3
    assert "excluded points: 400 of 1500" in done.stdout
    assert "central line: Delta a_mu = 2.51e-09" in done.stdout
    assert "inclusive contours: 1" in done.stdout
    assert_pdf(plane.parent / "exclusion.pdf")


@pytest.mark.parametrize("macro", ["cut_flow.C", "exclusion.C"])
def test_a_missing_file_is_one_clear_line(macro, tmp_path):
    done = run(f'{macro}("no_such.root")', tmp_path)
    assert done.returncode == 2
    assert f"{macro}: no file no_such.root" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("macro", "problem"), [("cut_flow.C", "HCAL_ene"), ("exclusion.C", "no histogram upper_limit_mu")]
)
def test_a_file_without_what_is_needed_is_one_clear_line(macro, problem, tmp_path):
    path = write_tree(tmp_path / "dump.root", [event()], omit=["HCAL_ene"])
    done = run(f'{macro}("{path}")', tmp_path)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith(f"{macro}: ")]
    assert problem in line
    assert [file.name for file in tmp_path.iterdir()] == ["dump.root"]


def test_a_missing_installation_is_named(tmp_path):
    copy = tmp_path / "cross_section.C"
    copy.write_text((MACROS / "cross_section.C").read_text().replace("/../na64root/", "/../not_na64root/"))
    command = [str(ROOT_PROGRAM), "-l", "-b", "-q", str(copy)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0
    assert "na64root is not installed beside this ROOT" in done.stderr
