"""What a network costs at the share of queries that it was seen to prune."""

from __future__ import annotations

from collections.abc import Mapping

from nas.cost.count import cost_of, kept_share
from nas.export.export_folder import Export


def effective_macs(export: Export, measured: Mapping[str, float]) -> dict[str, int]:
    """Multiply-accumulates of one patch, all queries kept, at the measured `alpha`, and none kept.

    Named `macs`, `effective_macs` and `macs_least`. Empty where no `alpha`, the share of queries
    pruned, was measured: then the input does not decide what is computed.
    """
    share = kept_share(measured)
    if share is None:
        return {}
    task, patch = export.config.task, tuple(export.trained.patch)
    cost, kept = (
        cost_of(export.architecture, task.channels, task.targets.outputs, patch, kept=kept)
        for kept in (1.0, share)
    )
    assert cost.macs_least is not None
    return {"macs": cost.macs, "effective_macs": kept.macs, "macs_least": cost.macs_least}
