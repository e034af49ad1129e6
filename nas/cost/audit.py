"""Both counts of a network side by side, module by module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nas.cost.mac_counts import MacCounts, agree, count_twice
from nas.cost.torch_counter import is_free
from search_spaces.meta_network import build_on_meta
from search_spaces.space import Architecture


@dataclass(frozen=True)
class AuditRow:
    """`modules` that count something themselves, apart from those inside them."""

    where: str
    kind: str
    modules: int
    thop: int
    torch: int

    @property
    def agrees(self) -> bool:
        return agree(self.thop, self.torch)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "agrees": self.agrees}


@dataclass(frozen=True)
class Audit:
    """`rows`: a row a module, in the order of the network. `macs`: what stands.

    `free`: calls of operators in which there is nothing to count, by name; `uncounted`: of those
    that neither counted and that may hold multiply-accumulates.
    """

    rows: tuple[AuditRow, ...]
    macs: int
    free: Mapping[str, int]
    uncounted: Mapping[str, int]

    @property
    def total(self) -> AuditRow:
        return _summed("total", "", self.rows)

    def by_kind(self) -> tuple[AuditRow, ...]:
        """The rows of every type of module added up, the costliest first."""
        kinds = dict.fromkeys(row.kind for row in self.rows)
        rows = [_summed("", kind, [r for r in self.rows if r.kind == kind]) for kind in kinds]
        return tuple(sorted(rows, key=lambda row: max(row.thop, row.torch), reverse=True))

    def to_json(self) -> dict[str, Any]:
        return {
            "macs": self.macs,
            "thop": self.total.thop,
            "torch": self.total.torch,
            "agrees": self.total.agrees,
            "modules": [row.to_json() for row in self.rows],
            "uncounted": dict(self.uncounted),
            "free": dict(self.free),
        }


def audit(
    architecture: Architecture, in_channels: int, out_channels: int, patch: tuple[int, ...]
) -> Audit:
    """Both counts of one patch (D, H, W), or (H, W) where it takes one."""
    network = build_on_meta(architecture, in_channels, out_channels)
    counts = count_twice(network, (1, in_channels, *patch), by_module=True)
    rows = [
        AuditRow(name, type(module).__name__, 1, thop, torch)
        for name, module in network.named_modules()
        if (thop := counts.thop.get(module, 0)) | (torch := counts.torch.get(module, 0))
    ]
    free, uncounted = _calls(counts)
    return Audit(tuple(rows), counts.macs, free, uncounted)


def _calls(counts: MacCounts) -> tuple[dict[str, int], dict[str, int]]:
    """Calls of the operators without a formula, the most frequent first: free ones, others."""
    free: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for operator, calls in counts.without.items():
        (free if is_free(operator) else others)[str(operator.overloadpacket)] += calls
    return dict(free.most_common()), dict(others.most_common())


def _summed(where: str, kind: str, rows: Iterable[AuditRow]) -> AuditRow:
    rows = list(rows)
    return AuditRow(
        where, kind, len(rows), sum(row.thop for row in rows), sum(row.torch for row in rows)
    )
