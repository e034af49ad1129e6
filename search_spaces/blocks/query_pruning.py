"""Query pruning: patches that are surely background ask nothing (APFormer, Sec. III-C)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import adaptive_max_pool2d, adaptive_max_pool3d, cross_entropy

from search_spaces.blocks.dimensions import CONV
from search_spaces.blocks.exporting import capturing, exporting

QUERY_PRUNING = "query pruning"  # the mechanism; see `search_spaces.offers`


@dataclass(frozen=True)
class KeptQueries:
    """Which of `tokens` patches ask, ascending: `index` (B, K) with K the batch's maximum.

    An image that keeps fewer is filled up with pruned ones, for which `valid` (B, K) is False.
    """

    index: torch.Tensor
    valid: torch.Tensor
    tokens: int

    @classmethod
    def without(cls, pruned: torch.Tensor) -> KeptQueries:
        """All patches but those pruned, (B, N)."""
        kept = (~pruned).sum(1)
        most = int(kept.max())
        # A stable sort puts the kept ones first and leaves them in order.
        index = pruned.to(torch.uint8).argsort(dim=1, stable=True)[:, :most]
        valid = torch.arange(most, device=pruned.device) < kept[:, None]
        return cls(index, valid, pruned.shape[1])

    @property
    def asks(self) -> torch.Tensor:
        """Which of all patches ask: (B, N)."""
        return self.valid.new_zeros((len(self.index), self.tokens)).scatter(
            1, self.index, self.valid
        )

    def take(self, z: torch.Tensor) -> torch.Tensor:
        """The kept tokens of z (B, N, C): (B, K, C)."""
        return z.gather(1, self.index[..., None].expand(-1, -1, z.shape[-1]))

    def put_back(self, y: torch.Tensor) -> torch.Tensor:
        """y (B, K, C) at its places among the N tokens, zeros at the others: (B, N, C)."""
        places = self.index[..., None].expand_as(y)
        empty = y.new_zeros((y.shape[0], self.tokens, y.shape[-1]))
        return empty.scatter(1, places, y * self.valid[..., None])


@dataclass
class Queries:
    """Where a gate leaves its decision for the attention layers behind it."""

    kept: KeptQueries | None = None


class QueryGate(nn.Module):
    """Foreground or background for every patch (Eq. 11), left in `queries` for the layers after.

    x: (B, C, *S), the map whose voxels are the patches -> KeptQueries. A patch is pruned where the
    probability of background is at least `confidence` (0.9 in the released code; the paper gives no
    value). `assumed_kept`: the share kept on the meta device, where there is nothing to decide by.
    """

    def __init__(self, spatial_dims: int, channels: int, confidence: float = 0.9) -> None:
        super().__init__()
        self.spatial_dims, self.confidence = spatial_dims, confidence
        self.classify = CONV[spatial_dims](channels, 2, 1)
        self.queries = Queries()
        self.assumed_kept = 1.0
        self._logits: torch.Tensor | None = None
        self._pruned: torch.Tensor | int = 0
        self._seen = 0

    def forward(self, x: torch.Tensor) -> KeptQueries:
        logits = self.classify(x)
        if self.training:
            self._logits = logits
        if x.is_meta:
            self.queries.kept = self._assume(logits)
            return self.queries.kept
        pruned = logits.detach().float().softmax(1)[:, 0].flatten(1) >= self.confidence  # (B, N)
        if exporting() or capturing():
            # A graph has one number of queries: all, and the pruned ones among them not valid.
            index = torch.arange(pruned.shape[1], device=x.device).expand(x.shape[0], -1)
            self.queries.kept = KeptQueries(index, ~pruned, pruned.shape[1])
            return self.queries.kept
        if not (self.training or torch.compiler.is_compiling()):  # a count would compile anew
            self._pruned = self._pruned + pruned.sum()
            self._seen += pruned.numel()
        self.queries.kept = KeptQueries.without(pruned)
        return self.queries.kept

    def watch(self, module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        """As the forward hook of a layer: decide by what that layer puts out."""
        self(output)

    def loss(self, target: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of the last training pass with the mask, which is then forgotten.

        target: (B, 1, *S), integer labels, negative where a voxel does not count. A patch with any
        labelled voxel is foreground, one without any that counts is left out. Of a volume before a
        gate in the plane, every slice is an image.
        """
        logits, self._logits = self._logits, None
        if logits is None:
            raise RuntimeError("the gate has seen no training pass since its last loss")
        mask = target.sign().float()
        if mask.dim() == self.spatial_dims + 3:
            mask = mask.transpose(1, 2).flatten(0, 1)
        pool = adaptive_max_pool2d if self.spatial_dims == 2 else adaptive_max_pool3d
        patches = pool(mask, list(logits.shape[2:]))[:, 0].long()
        total = cross_entropy(logits.float(), patches, ignore_index=-1, reduction="sum")
        return total / (patches >= 0).sum().clamp(min=1)

    def pruned_and_seen(self) -> tuple[float, int]:
        """Queries pruned, of how many, over the eval passes since the last call."""
        counts = float(self._pruned), self._seen
        self._pruned, self._seen = 0, 0
        return counts

    def shows(self, inputs: tuple[Any, ...], output: KeptQueries) -> dict[str, Any]:
        """See `search_spaces.offers`."""
        asks = output.asks.unflatten(1, inputs[0].shape[2:]).float()  # (B, *S)
        return {QUERY_PRUNING: {"asks": asks, "pruned": 1 - asks}}

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`. Random ones: of every image as many as asked."""

        def any_asks(inputs: tuple[Any, ...], output: KeptQueries, mean: object) -> KeptQueries:
            if output.index.is_meta:
                return output
            order = torch.rand(output.asks.shape, device=output.index.device).argsort(1)
            self.queries.kept = KeptQueries.without(~output.asks.gather(1, order))
            return self.queries.kept

        def all_ask(inputs: tuple[Any, ...], output: KeptQueries, mean: object) -> KeptQueries:
            index = torch.arange(output.tokens, device=output.index.device)
            index = index.expand(len(output.index), -1)
            self.queries.kept = KeptQueries(index, torch.ones_like(index).bool(), output.tokens)
            return self.queries.kept

        return {QUERY_PRUNING: {"random queries": any_asks, "nothing pruned": all_ask}}

    def _assume(self, logits: torch.Tensor) -> KeptQueries:
        tokens = logits[0, 0].numel()
        most = int(self.assumed_kept * tokens)
        index = torch.arange(most, device=logits.device).expand(len(logits), -1)
        return KeptQueries(index, torch.ones_like(index, dtype=torch.bool), tokens)
