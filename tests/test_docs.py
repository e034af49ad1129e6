import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas.cli.space_tables import gmacs
from nas.cost.count import cost_of
from search_spaces.hybrid import SPACE
from search_spaces.registry import all_presets, all_spaces, find_preset, find_space
from search_spaces.space import knob_table
from tests.installed_package import DOCS, files_of_page, install, said_by_tests
from trainers.augment.presets import LIGHT, NEVER, NNUNET, Chance


def test_the_page_of_the_hybrid_space_lists_its_choices_as_they_are() -> None:
    assert knob_table(SPACE) in (DOCS / "hybrid.md").read_text()


# The page of spaces: | `preset` | space | input | classes | parameters | GMACs |

ROW = re.compile(r"^\| `([^`]+)` \| (\w+) \| ([\dx]+) \| (\d+) \| ([\d,]+) \| ([^|]+) \|$", re.M)
ROWS = {row[0]: row for row in ROW.findall((DOCS / "spaces.md").read_text())}


def test_the_page_of_spaces_lists_every_preset() -> None:
    assert list(ROWS) == list(all_presets())


@pytest.mark.parametrize("name", ROWS)
def test_a_preset_costs_what_the_page_of_spaces_says(name: str) -> None:
    preset = all_presets()[name]
    shape, classes = ROWS[name][2:4]
    channels, *patch = map(int, shape.split("x"))
    cost = cost_of(preset, channels, int(classes), tuple(patch))
    found = (name, preset.space, shape, classes, f"{cost.params:,}", gmacs(cost))
    assert ROWS[name] == found


# The page of one's own space: it does what it says


@pytest.fixture
def own_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The files of the page, installed as pip would."""
    install(files_of_page("own-space.md"), tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    all_spaces.cache_clear()
    yield tmp_path
    all_spaces.cache_clear()


def test_the_own_tests_of_the_page_pass(own_space: Path) -> None:
    assert "14 passed" in said_by_tests(own_space, "test_my_space.py", "test_similarity.py")


def test_the_own_space_of_the_page_is_found(own_space: Path) -> None:
    assert find_space("depthwise").size() == 4 * (1 + 3 * 3 * 2)
    assert find_preset("depthwise-m").space == "depthwise"


# The page for contributors: what it names is there


def test_the_page_for_contributors_names_what_is_there() -> None:
    root = DOCS.parent
    text = (root / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`([\w/.]+/[\w.]*)`", text) + re.findall(r"\]\(([\w/.-]+)", text)
    assert len(named) > 30
    places = (root, root / "nas")  # rooms and their files are named without the package
    assert [name for name in named if not any((at / name).exists() for at in places)] == []
    folders = {path.parent.name for path in (root / "nas").glob("*/__init__.py")}
    assert folders <= {name.rstrip("/") for name in named}


# The page of augmentation


def test_the_page_of_augmentation_has_the_numbers_of_the_presets() -> None:
    def told(chance: Chance) -> str:
        return f"{chance.probability:g}: {chance.low:g} to {chance.high:g}"

    text = (DOCS / "augmentation.md").read_text()
    rows = re.findall(r"^\| (\w+) \| ([\d.-][^|]*) \| ([\d.-][^|]*) \|", text, re.M)
    expected = []
    for kind in ("rotation", "in_plane", "scaling", *NNUNET.intensity):
        both = (
            getattr(preset, kind, None) or preset.intensity.get(kind, NEVER)
            for preset in (LIGHT, NNUNET)
        )
        expected.append((kind, *("-" if chance == NEVER else told(chance) for chance in both)))
    assert rows == expected
