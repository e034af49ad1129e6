"""Tables and figures of pages, as people read them."""

import pytest

from nas.analysis.preview.sentences import hours_text
from nas.cli.check_tables import _number
from nas.pareto.objectives import in_digits
from nas.report.html_page import html_table
from nas.report.plain_table import plain_table


def test_what_is_said_below_a_table_stands_on_the_page_too():
    table = plain_table(["name"], ["Dice"], title="costs", caption="over 3 <patients>")
    table.add_row("a", "0.5")
    page = html_table(table)
    assert page.index("</table>") < page.index("over 3 &lt;patients&gt;")
    assert "over 3" not in html_table(plain_table(["name"], ["Dice"]))


@pytest.mark.parametrize(
    ("value", "text"),
    [(1_234_567, "1230000"), (1.5e16, "1.5e+16"), (1023.4, "1020"), (0.01234, "0.0123")],
)
def test_figures_have_their_digits(value, text):
    assert in_digits(value, 3) == text


def test_no_figure_of_people_is_in_powers_of_ten():
    assert hours_text(1234) == "1230 h"
    assert _number(999.7) == "1,000"
    assert _number(999.4) == "999"
