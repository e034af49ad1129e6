"""What a network costs at the share of its queries that it was seen to keep."""

from __future__ import annotations

from dataclasses import replace

from nas.cost.count import kept_share
from nas.pareto.result import Result
from nas.study.study_settings import Costs


def at_kept_share(result: Result, costs: Costs) -> Result:
    """A complete result with its multiply-accumulates at that share, and their bounds beside.

    As it is where its input decides nothing, where nobody measured the share, and where `costs`
    tells no bounds.
    """
    share, bounds_of = kept_share(result.measured), getattr(costs, "macs_bounds", None)
    if result.state != "complete" or share is None or bounds_of is None:
        return result
    network = result.network()
    if (bounds := bounds_of(network)) is None:
        return result
    counted = {**result.costs, "macs": costs.macs_at(network, share)}  # type: ignore[attr-defined]
    return replace(result, costs=counted, macs_bounds=bounds)
