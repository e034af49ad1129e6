import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .volumes import write_msd


@pytest.fixture
def msd(tmp_path: Path) -> Path:
    """A good data set of three cases: a, b and c."""
    return write_msd(tmp_path / "balls", ["a", "b", "c"])


@pytest.fixture
def edit(msd: Path) -> Callable[..., None]:
    """Change keys of the data set's dataset.json."""

    def change(**keys: object) -> None:
        file = msd / "dataset.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | keys))

    return change
