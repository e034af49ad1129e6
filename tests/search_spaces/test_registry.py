"""Spaces of other packages."""

import pytest

from search_spaces.registry import (
    ALIASES,
    SPACES,
    all_presets,
    all_spaces,
    architecture_record,
    find_preset,
    find_space,
    is_preset,
    load_architecture,
)
from search_spaces.space import ArchitectureError

MODULE = """
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from search_spaces.registry import SPACES  # a space may well look at the others
from search_spaces.space import Architecture, SearchSpace, choice


@dataclass(frozen=True, kw_only=True)
class Mine(Architecture):
    space: ClassVar[str] = "mine"

    width: int = choice(4, 8, doc="channels")

    def stride(self):
        return 1

    def build(self, in_channels, out_channels):
        return nn.Conv3d(in_channels, out_channels, 1)


SPACE = SearchSpace(name="mine", kind=Mine, presets=lambda: {"mine-s": Mine()})
THIEF = SearchSpace(name="thief", kind=Mine, presets=lambda: dict(SPACES["hybrid"].presets()))
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package on the path as pip would have, with the entry points given."""

    def install(entries):
        (tmp_path / "toy_space.py").write_text(MODULE)
        facts = tmp_path / "toy_space-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-space\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(f"[segnas.spaces]\n{entries}\n")
        monkeypatch.syspath_prepend(tmp_path)
        all_spaces.cache_clear()

    yield install
    all_spaces.cache_clear()


def test_an_installed_space_is_one_of_the_spaces(install):
    install("mine = toy_space:SPACE")
    assert list(all_spaces()) == [*SPACES, "mine"]
    assert find_space("mine").name == "mine"
    assert find_preset("mine-s") == all_presets()["mine-s"]
    assert load_architecture(architecture_record(find_preset("mine-s"))).space == "mine"


def test_families_are_found_by_name():
    """Every space but the baselines' has a network that stands for it."""
    families = ["slimformer-3d", "stp-mta", *(name for name in SPACES if name != "baselines")]
    assert [find_preset(name).space for name in families] == [
        "slimformer",
        "token_sparse",
        *(name for name in SPACES if name != "baselines"),
    ]
    assert all(map(is_preset, families))
    assert not is_preset("slimformer4d")
    assert not ALIASES.keys() & all_presets().keys()


def test_without_installed_spaces_there_are_those_here():
    assert all_spaces() == SPACES


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("mine = toy_spaces:SPACE", "toy_spaces:SPACE: No module named 'toy_spaces'"),
        ("mine = toy_space:SPACES_", "has no attribute 'SPACES_'"),
        ("mine = toy_space:Mine", "expected a SearchSpace named mine"),
        ("other = toy_space:SPACE", "expected a SearchSpace named other"),
        ("thief = toy_space:THIEF", "another space has the name hybrid-"),
    ],
)
def test_an_entry_point_that_does_not_fit_is_refused_by_name(install, entries, message):
    install(entries)
    with pytest.raises(ArchitectureError, match=message) as error:
        find_space("mine")
    assert f"entry point {entries}" in str(error.value)
