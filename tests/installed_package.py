"""The files of a page, as a package that pip installed."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def files_of_page(page: str) -> dict[str, str]:
    """Code blocks that begin with a comment, by the name that is in it."""
    blocks = re.findall(r"```\w+\n(# .+?)```", (DOCS / page).read_text(), re.S)
    return {text.partition("\n")[0].removeprefix("# "): text for text in blocks}


def install(files: dict[str, str], folder: Path) -> None:
    """Write the files and what pip writes of their pyproject.toml into `folder`."""
    for name, text in files.items():
        (folder / name).write_text(text)
    project = tomllib.loads(files["pyproject.toml"])["project"]
    facts = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    ((group, entries),) = project["entry-points"].items()
    lines = [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (facts / "entry_points.txt").write_text("\n".join(lines))


def said_by_tests(folder: Path, *files: str) -> str:
    """What pytest says of test files of the package in `folder`, in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    path = os.pathsep.join([str(folder), str(DOCS.parent)])
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    return done.stdout + done.stderr
