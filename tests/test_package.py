"""What is shipped: the wheel, and what the image is built from."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGES = ("nas", "search_spaces", "trainers")
SOURCES = (*PACKAGES, "pyproject.toml", "README.md", "LICENSE")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names in the wheel that is built of a copy of the sources."""
    copy, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            skip = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, copy / name, ignore=skip)
        else:
            shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", built, copy], check=True)
    (file,) = built.iterdir()
    return ZipFile(file).namelist()


def test_the_wheel_has_every_file_of_the_packages(wheel: list[str]) -> None:
    files = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert "nas/report/front_page/page.html" in files
    assert [name for name in files if name not in wheel] == []


def test_the_wheel_has_the_licence_the_types_and_nothing_else(wheel: list[str]) -> None:
    facts = f"segnas-{PROJECT['version']}.dist-info"
    assert {name.split("/")[0] for name in wheel} == {*PACKAGES, facts}
    assert f"{facts}/licenses/LICENSE" in wheel
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(wheel)


def test_the_licence_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["license"] == PROJECT["license"] == "Apache-2.0"
    lines = [line.strip() for line in (ROOT / "LICENSE").read_text().splitlines()]
    assert lines[1:3] == ["Apache License", "Version 2.0, January 2004"]


def test_the_image_is_built_from_all_that_the_wheel_is() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert let_in == {*SOURCES, "constraints.txt"}
