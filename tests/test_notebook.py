"""The notebook of the examples runs from top to bottom, without a warning, and finds what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NOTEBOOK = EXAMPLES / "two-inputs-two-outputs.ipynb"
FIRST = "import torch, warnings; torch.set_num_threads(1); warnings.simplefilter('error')"
"""A cell that is added in front: a warning is an error, and other tests may run beside this one."""
LAST = """
import json
print(json.dumps({
    "accuracy": accuracy,
    "start": [digit_loss.exp().item(), sum_loss.exp().item()],
    "losses": [curve[0], curve[-1]],
    "reading": [reading.digit, reading.sum, reading.accepted],
}))
"""
"""A cell that is added at the end, since the variables of a notebook live in its kernel."""


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def executed() -> Any:
    """The notebook after a run, with one cell more in front and one behind."""
    notebook = read()
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FIRST))
    notebook.cells.append(nbformat.v4.new_code_cell(LAST))
    resources = {"metadata": {"path": str(EXAMPLES)}}
    return NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()


@pytest.mark.long
def test_the_notebook_trains_a_network_that_adds_and_one_that_computes(executed: Any) -> None:
    found = json.loads(code_cells(executed)[-1].outputs[0].text)
    learned, computed = found["accuracy"]["learned"], found["accuracy"]["computed"]
    assert learned["digit"] > 0.97
    assert learned["sum"] > 0.95
    assert computed["digit"] > 0.97
    assert computed["sum"] == computed["digit"]
    assert found["start"] == pytest.approx([10, 19], rel=0.1)  # an untrained network says nothing of either
    assert max(found["losses"][1]) < 0.2 < min(found["losses"][0])
    assert found["reading"] == [5, 12, True]
