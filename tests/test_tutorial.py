"""The tutorial: a notebook that runs, and the page that is made of it."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOK = DOCS / "tutorial.ipynb"
MOST_BYTES = 120_000  # of the notebook with its outputs


@pytest.fixture(scope="module")
def script() -> dict[str, Callable[..., Any]]:
    """The names of the script that writes the page."""
    pytest.importorskip("nbconvert")
    return runpy.run_path(str(DOCS / "write_tutorial.py"))


def test_the_notebook_holds_what_it_printed_and_no_error() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    run = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in run] == list(range(1, len(run) + 1))
    kinds = {output["output_type"] for cell in run for output in cell["outputs"]}
    assert kinds == {"stream", "display_data", "execute_result"}
    assert NOTEBOOK.stat().st_size < MOST_BYTES


def test_the_page_is_made_of_the_notebook(script: dict[str, Callable[..., Any]]) -> None:
    import nbformat

    files = script["page"](nbformat.read(NOTEBOOK, as_version=4))
    assert len(files) == 3  # the page and two pictures
    stale = [path for path, data in files.items() if (DOCS / path).read_bytes() != data]
    assert stale == [], "run: python docs/write_tutorial.py"


@pytest.mark.slow
def test_the_notebook_runs(script: dict[str, Callable[..., Any]], tmp_path: Path) -> None:
    notebook = script["executed"](tmp_path)
    text = json.dumps(notebook)
    assert "6/6 trials" in text
    assert (tmp_path / "exported" / "tutorial" / "architecture.json").is_file()
    (found,) = (tmp_path / "runs").iterdir()
    assert found.name == "tutorial"
