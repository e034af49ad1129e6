"""Write tutorial.md, what GitHub and the site show of tutorial.ipynb, with its pictures.

    python docs/write_tutorial.py          # of the outputs that the notebook holds
    python docs/write_tutorial.py --run    # execute it first, in a folder of its own

A test executes the notebook, another compares the page with what this would write.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from nbformat import NotebookNode
from traitlets.config import Config

NOTEBOOK = Path(__file__).with_name("tutorial.ipynb")
PAGE = NOTEBOOK.with_suffix(".md")
PICTURES = "images/tutorial-{cell_index}{extension}"
TEXT_FIRST = ["image/png", "text/markdown", "text/plain"]


def executed(folder: Path) -> NotebookNode:
    """The notebook as it ends when it is run in `folder`. Raises CellExecutionError."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    sockets = {"transport": "ipc", "ip": str(folder / "kernel")}  # no open port
    NotebookClient(
        notebook,
        timeout=600,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
        config=Config({"KernelManager": sockets}),
    ).execute()
    return notebook


def page(notebook: NotebookNode) -> dict[Path, bytes]:
    """The files of the page, by their path from this folder."""
    settings = Config()
    settings.NbConvertBase.display_data_priority = TEXT_FIRST
    settings.ExtractOutputPreprocessor.output_filename_template = PICTURES
    text, resources = MarkdownExporter(config=settings).from_notebook_node(notebook)
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    files = {Path(PAGE.name): re.sub(r"\n{3,}", "\n\n", f"{lines}\n").encode()}
    return files | {Path(name): data for name, data in resources["outputs"].items()}


def without_machine(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what only says on which Python it was run, and what that one lacks:
    warnings of widgets that are not installed."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    notebook.metadata = {"kernelspec": notebook.metadata.kernelspec, "language_info": {}}
    notebook.metadata["language_info"]["name"] = "python"
    return notebook


if __name__ == "__main__":
    if sys.argv[1:] == ["--run"]:
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(without_machine(executed(Path(folder))), NOTEBOOK)
    for path, data in page(nbformat.read(NOTEBOOK, as_version=4)).items():
        (NOTEBOOK.parent / path).write_bytes(data)
