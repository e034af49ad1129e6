"""The front as a table: rows of text, in Markdown and in LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas.pareto.objectives import objective
from nas.report.search_record import Facts

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def columns(facts: Facts) -> list[str]:
    """Their names; the first is the key."""
    return ["Network", "Dice", *_classes(facts), *(objective(c).title for c in facts.known_costs)]


def values(facts: Facts) -> list[list[float | None]]:
    """A row a member, all columns but the first."""
    return [
        [m.dice, *(m.dice_per_class.get(c) for c in _classes(facts))]
        + [m.value(cost) for cost in facts.known_costs]
        for m in facts.members
    ]


def cells(facts: Facts) -> list[list[str]]:
    """The same as text: Dice with four digits, costs with three."""
    names = ["dice"] * (1 + len(_classes(facts))) + facts.known_costs
    return [
        [objective(name).short(value) for name, value in zip(names, row, strict=True)]
        for row in values(facts)
    ]


def _classes(facts: Facts) -> Sequence[str]:
    """Where there is a single one, its Dice is the mean."""
    return facts.classes if len(facts.classes) > 1 else ()


def markdown_table(facts: Facts) -> Iterator[str]:
    """A line a member."""
    names = columns(facts)
    yield f"| {' | '.join(_plain(name) for name in names)} |"
    yield "|---|" + "---:|" * (len(names) - 1)
    for member, row in zip(facts.members, cells(facts), strict=True):
        yield f"| `{member.key}` | {' | '.join(row)} |"


def latex_table(facts: Facts) -> str:
    r"""A `table` for `\input`, in the style of booktabs; the best of each column is bold."""
    names, best = columns(facts), _best(values(facts), facts)
    rows = [
        " & ".join(
            [rf"\texttt{{{escaped(member.key)}}}"]
            + [
                rf"\textbf{{{_thin(text)}}}" if (i, j) in best else _thin(text)
                for j, text in enumerate(row)
            ]
        )
        for i, (member, row) in enumerate(zip(facts.members, cells(facts), strict=True))
    ]
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escaped(caption(facts))}}}",
            rf"  \label{{tab:front-{facts.config.name}}}",
            rf"  \begin{{tabular}}{{l{'r' * (len(names) - 1)}}}",
            r"    \toprule",
            rf"    {' & '.join(map(escaped, names))} \\",
            r"    \midrule",
            *(rf"    {row} \\" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def caption(facts: Facts) -> str:
    """What the table shows."""
    told = f" Latency: {facts.conditions}." if facts.conditions else ""
    return f"Pareto front of the search {facts.config.name}, validation Dice.{told}"


def escaped(text: str) -> str:
    """The text with nothing in it that LaTeX would read as a command."""
    return "".join(SPECIAL.get(sign, sign) for sign in text)


def _best(rows: Sequence[Sequence[float | None]], facts: Facts) -> set[tuple[int, int]]:
    """The cells with the highest Dice and the lowest costs."""
    found = set()
    costs = len(facts.known_costs)
    for j in range(len(rows[0]) if rows else 0):
        known = [value for row in rows if (value := row[j]) is not None]
        if known:
            wanted = min(known) if j >= len(rows[0]) - costs else max(known)
            found |= {(i, j) for i, row in enumerate(rows) if row[j] == wanted}
    return found


def _thin(text: str) -> str:
    return escaped(text).replace("—", "--").replace(" ", r"\,")


def _plain(text: str) -> str:
    return text.replace("|", r"\|")
