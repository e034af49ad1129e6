"""The front as a table, in Markdown and in LaTeX."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nas.export.markdown_text import plain
from nas.pareto.objectives import Objective, objective
from nas.pareto.result import class_dice
from nas.report.search_record import KEPT, SearchRecord

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


@dataclass(frozen=True)
class Column:
    """What the members of the front, then what stands beside, have of a Dice or a cost, in order.

    `texts`: Dice with four decimals, costs with three digits.
    """

    title: str
    kind: Objective
    values: list[float | None]
    texts: list[str]

    def best(self) -> float | None:
        """The highest Dice or the lowest cost; None where none is known."""
        known = [value for value in self.values if value is not None]
        return (max if self.kind.maximised else min)(known, default=None)


def columns(record: SearchRecord) -> list[Column]:
    """Dice, that of each class where there are several, and the costs that are known."""
    rows, dice = [*record.members, *record.beside], objective("dice")
    classes = record.classes if len(record.classes) > 1 else ()
    costs = map(objective, record.known_costs)

    def column(kind: Objective) -> Column:
        values = [row.value(kind.name) for row in rows]
        return Column(kind.title, kind, values, list(map(kind.short, values)))

    each = [
        Column(
            name,
            dice,
            [row.dice_per_class.get(name) for row in rows],
            [class_dice(row.dice_per_class, name) for row in rows],
        )
        for name in classes
    ]
    return [column(dice), *each, *map(column, costs)]


def markdown_table(record: SearchRecord) -> str:
    """A head, and a row for each member, each baseline and each compressed network."""
    shown = columns(record)
    titles = ["Network", *(plain(column.title) for column in shown)]
    keys = [f"`{member.key}`" for member in record.members]
    keys += [f"{plain(baseline.label)} (baseline)" for baseline in record.baselines]
    keys += [f"`{network.key}` ({plain(network.made)})" for network in record.compressed]
    rows = zip(keys, *(column.texts for column in shown), strict=True)
    lines = [f"| {' | '.join(cells)} |" for cells in (titles, *rows)]
    lines.insert(1, "|---|" + "---:|" * len(shown))
    return "\n".join(lines)


def latex_table(record: SearchRecord) -> str:
    r"""A `table` for `\input`, in the style of booktabs; the best of each column is bold."""
    shown = columns(record)
    titles = [escaped(title) for title in ("Network", *(column.title for column in shown))]
    keys = [rf"\texttt{{{escaped(member.key)}}}" for member in record.members]
    keys += [f"{escaped(baseline.label)} (baseline)" for baseline in record.baselines]
    keys += [
        rf"\texttt{{{network.key}}} ({escaped(network.made)})" for network in record.compressed
    ]
    rows = zip(keys, *map(_latex_cells, shown), strict=True)
    label = re.sub(r"[^\w.-]", "-", record.title)
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escaped(caption(record))}}}",
            rf"  \label{{tab:front-{label}}}",
            rf"  \begin{{tabular}}{{l{'r' * len(shown)}}}",
            r"    \toprule",
            rf"    {' & '.join(titles)} \\",
            r"    \midrule",
            *(rf"    {' & '.join(row)} \\" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def caption(record: SearchRecord) -> str:
    """The caption of the table: what its MACs are, and the conditions of its latencies."""
    latency = f" Latency: {record.conditions}." if record.conditions else ""
    macs = f" {KEPT}." if record.prunes else ""
    return f"Pareto front of the search {record.title}, validation Dice.{macs}{latency}"


def escaped(text: str) -> str:
    """The text with nothing in it that LaTeX would read as a command."""
    return "".join(SPECIAL.get(sign, sign) for sign in text)


def _latex_cells(column: Column) -> list[str]:
    best = column.best()
    texts = [escaped(t).replace("—", "--").replace(" ", r"\,") for t in column.texts]
    return [
        rf"\textbf{{{text}}}" if value is not None and value == best else text
        for text, value in zip(texts, column.values, strict=True)
    ]
