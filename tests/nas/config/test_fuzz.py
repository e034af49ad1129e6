"""A thousand damaged configurations: each is read as it says, or refused in a few plain lines."""

import re
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import yaml

from nas.config.nested import leaves
from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from trainers.errors import UserError
from trainers.home import from_home

from .damaged import CONFIGS, LAUGHS, damaged_text, with_odd_value


def read_or_refused(file: Path, text: str) -> RunConfig | None:
    file.write_text(text)
    started = time.monotonic()
    try:
        return read_config(RunConfig, file)
    except UserError as error:
        lines = str(error).splitlines()
        assert len(lines) <= 22 and all(len(line) < 2_500 for line in lines)
        return None
    finally:
        assert time.monotonic() - started < 10


def says(text: Any, found: Any) -> bool:
    """Whether `found` is what YAML 1.2 makes of the scalar `text`: a reading of the test's own."""
    if found is None:
        return text in ("null", "Null", "NULL", "~", "")
    if isinstance(found, bool):
        return text.lower() == str(found).lower()
    if isinstance(found, int | float):
        if text[:2] in ("0o", "0x"):
            return int(text, 0) == found
        if re.search(r"[^-+.0-9eE]", text):
            return text.endswith("B")  # bytes with a unit
        return float(text) == found
    return text == found or str(from_home(text)) == found


@pytest.mark.parametrize("hundred", range(5))
def test_damaged_text_is_read_as_it_says_or_refused(hundred, tmp_path):
    """What is read is compared with the plain text of every value, as PyYAML finds it."""
    read = 0
    for seed in range(100 * hundred, 100 * (hundred + 1)):
        config = read_or_refused(tmp_path / "a.yaml", text := damaged_text(seed))
        if config is None:
            continue
        read += 1
        plain = yaml.load(text, yaml.BaseLoader)
        if "<<" in plain:
            continue
        written = dict(leaves(plain, (dict, list)))
        for path, found in leaves(config.model_dump(mode="json"), (dict, list)):
            if path in written and not path.startswith("space.restrict"):
                assert says(written[path], found), (seed, path, written[path], found)
    assert 5 < read < 95


@pytest.mark.parametrize("hundred", range(5))
def test_odd_values_are_read_as_they_are_or_refused(hundred, tmp_path):
    read = 0
    for seed in range(100 * hundred, 100 * (hundred + 1)):
        text, path, value = with_odd_value(seed)
        config = read_or_refused(tmp_path / "a.yaml", text)
        if config is None:
            continue
        read += 1
        if isinstance(value, list | dict | None) or path.startswith("space.restrict"):
            continue
        found = dict(leaves(config.model_dump(mode="json"), (dict,)))[path]
        assert isinstance(found, bool) == isinstance(value, bool), (seed, path, value)
        equal = found == (float(value) if isinstance(found, float) else value)
        assert equal or (value, path) == ("8GiB", "budget.memory"), (seed, path, value)
    assert 0 < read < 50


@pytest.mark.parametrize(
    "text", ["search: {warm_start: [%s1]}" % ("1," * 65_000), "? a\n" * 32_000]
)
def test_the_largest_configurations_take_seconds(text, tmp_path):
    assert read_or_refused(tmp_path / "a.yaml", text) is None


def test_laughs_take_little_memory(tmp_path):
    tracemalloc.start()
    assert read_or_refused(tmp_path / "a.yaml", CONFIGS[0] + LAUGHS) is None
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()
