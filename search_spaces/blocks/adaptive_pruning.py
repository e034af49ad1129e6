"""What a network with pruned attention trains with besides its loss, and what it pruned."""

from __future__ import annotations

import torch
from torch import nn

from search_spaces.blocks.dependency_pruning import DependencyPruning
from search_spaces.blocks.pruned_attention import PrunedAttention
from search_spaces.blocks.query_pruning import QueryGate

# The paper weights its terms within, not against, the segmentation loss. In its released code they
# are 0.8 for the segmentation and 0.1 for each of these two.
WEIGHT = 0.1 / 0.8


class AdaptivelyPruned(nn.Module):
    """A network that may have query gates and pruned attention anywhere inside."""

    def auxiliary_losses(self, target: torch.Tensor) -> dict[str, torch.Tensor]:
        """The gates' and the attention layers' terms of the last training pass, weighted, once.

        target: (B, 1, *S), integer labels, negative where a voxel does not count. `gate`:
        cross-entropy of foreground and background, the mean over the gates. `ssa`: symmetry and
        entropy of the attention, the mean over the layers.
        """
        gates = [m.loss(target) for m in self.modules() if isinstance(m, QueryGate)]
        attention = [m.take_loss() for m in self.modules() if isinstance(m, PrunedAttention)]
        terms = {"gate": gates, "ssa": [loss for loss in attention if loss is not None]}
        return {name: WEIGHT * torch.stack(found).mean() for name, found in terms.items() if found}

    def measured(self) -> dict[str, float]:
        """The shares pruned over the eval passes since the last call (APFormer, Table III).

        `alpha`: of all queries. `lambda`: of the dependencies of the queries that were kept. A rate
        is left out where nothing prunes, or where nothing was seen.
        """
        gates = [m.pruned_and_seen() for m in self.modules() if isinstance(m, QueryGate)]
        rows = [m.pruned_and_seen() for m in self.modules() if isinstance(m, DependencyPruning)]
        rates = {}
        for name, counts in (("alpha", gates), ("lambda", rows)):
            if seen := sum(n for _, n in counts):
                rates[name] = sum(pruned for pruned, _ in counts) / seen
        return rates
