"""An audit for the terminal: both counts in a table, and the operators that neither counted."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nas.cost.audit import Audit, AuditRow


def audit_table(audit: Audit, by_kind: bool = False) -> Group:
    """A row a module that counts something, or a row a type of module; then the operators."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    total = audit.total
    table.add_column("modules" if by_kind else "module", _modules(total), overflow="fold")
    table.add_column("type")
    table.add_column("thop MMACs", _mega(total.thop), justify="right", no_wrap=True)
    table.add_column("torch MMACs", _mega(total.torch), justify="right", no_wrap=True)
    table.add_column("difference", _difference(total), justify="right", no_wrap=True)
    for row in audit.by_kind() if by_kind else audit.rows:
        name = str(row.modules) if by_kind else row.where or "the network itself"
        table.add_row(name, row.kind, _mega(row.thop), _mega(row.torch), _difference(row))
    return Group(table, *_verdict(audit), *_operators(audit))


def _verdict(audit: Audit) -> list[Text]:
    if audit.total.agrees:
        return []
    text = f"The two disagree by more than 0.1%; the larger, {audit.macs / 1e9:.4g} GMACs, stands."
    return [Text(text, style="bold red")]


def _operators(audit: Audit) -> list[Text | Padding]:
    if audit.uncounted:
        neither = "Neither counted these, and they may hold multiply-accumulates:"
        shown: list[Text | Padding] = [Text(neither, style="bold red"), _calls(audit.uncounted)]
    else:
        shown = [Text("No operator was left out that may hold multiply-accumulates.")]
    free = "Free of them (elementwise, sums, norms, pooling, interpolation, copies, views):"
    return [*shown, Text(free), _calls(audit.free)]


def _calls(calls: Mapping[str, int]) -> Padding:
    return Padding(Text(", ".join(f"{name} {n}" for name, n in calls.items())), (0, 0, 0, 2))


def _modules(row: AuditRow) -> str:
    return f"{row.modules} module{'' if row.modules == 1 else 's'}"


def _mega(macs: int) -> str:
    return f"{macs / 1e6:,.3f}"


def _difference(row: AuditRow) -> Text:
    if row.agrees:
        return Text("" if row.thop == row.torch else "under 0.1%")
    share = (row.thop - row.torch) / max(row.thop, row.torch)
    return Text(f"thop {share:+.1%}", style="bold red")
