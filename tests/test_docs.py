from pathlib import Path

from search_spaces.hybrid import SPACE
from search_spaces.space import knob_table


def test_the_page_of_the_hybrid_space_lists_its_choices_as_they_are() -> None:
    page = Path(__file__).parents[1] / "docs" / "hybrid.md"
    assert knob_table(SPACE) in page.read_text()
