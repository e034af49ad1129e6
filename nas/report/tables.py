"""The front as a table: rows of text, in Markdown and in LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas.pareto.objectives import objective
from nas.report.search_record import SearchRecord

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def columns(record: SearchRecord) -> list[str]:
    """Their names; the first is the key."""
    return [
        "Network",
        "Dice",
        *_classes(record),
        *(objective(c).title for c in record.known_costs),
    ]


def values(record: SearchRecord) -> list[list[float | None]]:
    """A row a member, all columns but the first."""
    return [
        [m.dice, *(m.dice_per_class.get(c) for c in _classes(record))]
        + [m.value(cost) for cost in record.known_costs]
        for m in record.members
    ]


def cells(record: SearchRecord) -> list[list[str]]:
    """The same as text: Dice with four digits, costs with three."""
    names = ["dice"] * (1 + len(_classes(record))) + record.known_costs
    return [
        [objective(name).short(value) for name, value in zip(names, row, strict=True)]
        for row in values(record)
    ]


def _classes(record: SearchRecord) -> Sequence[str]:
    """Where there is a single one, its Dice is the mean."""
    return record.classes if len(record.classes) > 1 else ()


def markdown_table(record: SearchRecord) -> Iterator[str]:
    """A line a member."""
    names = columns(record)
    yield f"| {' | '.join(_plain(name) for name in names)} |"
    yield "|---|" + "---:|" * (len(names) - 1)
    for member, row in zip(record.members, cells(record), strict=True):
        yield f"| `{member.key}` | {' | '.join(row)} |"


def latex_table(record: SearchRecord) -> str:
    r"""A `table` for `\input`, in the style of booktabs; the best of each column is bold."""
    names, best = columns(record), _best(values(record), record)
    rows = [
        " & ".join(
            [rf"\texttt{{{escaped(member.key)}}}"]
            + [
                rf"\textbf{{{_thin(text)}}}" if (i, j) in best else _thin(text)
                for j, text in enumerate(row)
            ]
        )
        for i, (member, row) in enumerate(zip(record.members, cells(record), strict=True))
    ]
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escaped(caption(record))}}}",
            rf"  \label{{tab:front-{record.title}}}",
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


def caption(record: SearchRecord) -> str:
    """What the table shows."""
    latency = f" Latency: {record.conditions}." if record.conditions else ""
    return f"Pareto front of the search {record.title}, validation Dice.{latency}"


def escaped(text: str) -> str:
    """The text with nothing in it that LaTeX would read as a command."""
    return "".join(SPECIAL.get(sign, sign) for sign in text)


def _best(rows: Sequence[Sequence[float | None]], record: SearchRecord) -> set[tuple[int, int]]:
    """The cells with the highest Dice and the lowest costs."""
    found = set()
    costs = len(record.known_costs)
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
