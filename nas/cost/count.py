"""Parameters and multiply-accumulates, counted without running anything."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import nn

from nas.cost.remember import remember
from search_spaces.garbage import gc_disabled
from search_spaces.meta_network import build_on_meta
from search_spaces.offers import assume_kept
from search_spaces.space import Architecture

if TYPE_CHECKING:
    from nas.cost.mac_counts import MacCounts


@dataclass(frozen=True)
class Cost:
    """`params`: trainable parameters. `macs`: multiply-accumulates of one forward pass, batch 1.

    Where the input decides how much is computed, `macs` is the most and `macs_least` the least
    (None elsewhere).
    `named`: the shares of `macs` that modules tell of themselves, such as the selective scan.
    """

    params: int
    macs: int
    macs_least: int | None = None
    named: Mapping[str, int] = field(default_factory=dict)

    @property
    def flops(self) -> int:
        """Two floating-point operations a multiply-accumulate."""
        return 2 * self.macs


def kept_share(measured: Mapping[str, float]) -> float | None:
    """The share of its queries that a network kept, by what it `measured()` of itself: all but
    `alpha`, the share that it pruned. None where it told none."""
    return 1 - measured["alpha"] if "alpha" in measured else None


def count_params(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def count_macs(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of one eval-mode pass of a `network` on an input of `shape` (B, C, *S).

    Counted by thop, with rules of our own (`nas.cost.mac_rules`): convolutions, transposed ones at
    their true cost, linear layers and matrix products, attention included, and what modules tell
    of themselves by `macs_beside_children` or `own_macs` (`search_spaces.offers`). Torch's own
    formulas are the second opinion: where the two disagree by more than 0.1% the larger one stands,
    with a UserWarning that names the modules' types.

    Build the network on the meta device: on others torch takes fused paths through attention that
    its formulas do not know.
    """
    return _counted(network, shape).macs


@remember
def cost_of(
    architecture: Architecture,
    in_channels: int,
    out_channels: int,
    patch: tuple[int, ...],
    kept: float = 1.0,
) -> Cost:
    """The exact cost of `architecture` for one patch (D, H, W), or (H, W) where it takes one.

    `kept`: the share of the queries computed by a network that lets its input decide. Asking again
    for the same costs nothing.
    """
    with gc_disabled():
        network = build_on_meta(architecture, in_channels, out_channels)
        shape = (1, in_channels, *patch)
        counted = _counted(network, shape, kept)
        least = _counted(network, shape, 0.0).macs if assume_kept(network, 0.0) else None
        return Cost(count_params(network), counted.macs, least, dict(counted.named))


def _counted(network: nn.Module, shape: tuple[int, ...], kept: float = 1.0) -> MacCounts:
    """Both counts, with a warning where they disagree."""
    from nas.cost.mac_counts import count_twice  # with it comes MONAI, which takes seconds

    counted = count_twice(network, shape, kept)
    if not counted.agree:
        differing = count_twice(network, shape, kept, by_module=True).differing()
        kinds = ", ".join(dict.fromkeys(type(module).__name__ for module in differing))
        warnings.warn(
            f"thop and torch differ in the multiply-accumulates of {kinds}; the larger number is "
            "taken. `segnas cost NETWORK --audit` shows both, and macs_beside_children on a "
            "module tells what it computes",
            stacklevel=4,
        )
    return counted
