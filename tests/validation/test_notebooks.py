"""The notebooks run from top to bottom in a kernel of their own; their own assertions are the check.

What they compare with is analytic (a Poisson probability, a scaling) or the same selection of the same
events.
"""

from __future__ import annotations

from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.py"))


def test_there_are_five():
    assert [path.name[:2] for path in NOTEBOOKS] == ["1_", "2_", "3_", "4_", "5_"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Jupyter about itself
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path, tmp_path, monkeypatch):
    import jupytext
    from nbclient import NotebookClient

    monkeypatch.delenv("EXTRA_CLING_ARGS", raising=False)  # as its reader has it
    notebook = jupytext.read(path)
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) > 4
    assert all(cell.execution_count for cell in code)
    text = "".join(output.get("text", "") for cell in code for output in cell.outputs)
    assert "Traceback" not in text
