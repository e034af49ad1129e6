"""What a well-converged attention matrix looks like, as losses (SSA; APFormer, Sec. III-B1)."""

from __future__ import annotations

import math

import torch

from search_spaces.blocks.query_pruning import KeptQueries

SYMMETRY_WEIGHT, ENTROPY_WEIGHT = 0.8, 0.2
# The paper names both slacks and gives no value; 0.9 and 0.1 are those of its released code.
SYMMETRY_SLACK, ENTROPY_SLACK = 0.1, 0.9


def symmetry_loss(attention: torch.Tensor, slack: float = SYMMETRY_SLACK) -> torch.Tensor:
    """`max(1 - S(A, A^T) - slack, 0)`, S the cosine of A and A^T (APFormer, Eq. 3 and 4).

    attention: (..., K, K) -> (...). An attention matrix of zeros counts as symmetric.
    """
    across = (attention * attention.mT).sum((-2, -1))
    norms = attention.square().sum((-2, -1))  # those of A and of A^T are the same
    cosine = torch.where(norms > 0, across / norms.clamp_min(1e-12), 1.0)
    return (1 - cosine - slack).clamp_min(0)


def entropy_loss(
    attention: torch.Tensor, slack: float = ENTROPY_SLACK, valid: torch.Tensor | None = None
) -> torch.Tensor:
    """`max(min_i E(A_i) - slack, 0)`, E the entropy of a row over its maximum (Eq. 5 and 6).

    attention: (..., K, N), rows that sum to 1 -> (...). `valid`: (..., K), False for rows that do
    not count; where none does the loss is 0.
    """
    bits = -(attention * attention.clamp_min(1e-12).log2()).sum(-1)
    entropy = bits / math.log2(max(attention.shape[-1], 2))
    if valid is not None:
        entropy = torch.where(valid, entropy, torch.inf)
    least = entropy.amin(-1)
    return torch.where(least.isinf(), 0.0, (least - slack).clamp_min(0))


def ssa_loss(attention: torch.Tensor, kept: KeptQueries | None = None) -> torch.Tensor:
    """The mean over images and heads of 0.8 symmetry + 0.2 entropy (Eq. 7); a scalar.

    attention: (B, heads, K, N). Where queries are pruned (`kept`), the rows of the others do not
    exist, and symmetry is that of the kept queries with each other.
    """
    attention = attention.float()
    if kept is None:
        square, valid = attention, None
    elif kept.index.shape[1] == 0:
        return attention.sum()
    else:
        valid = kept.valid[:, None]
        columns = kept.index[:, None, None].expand(*attention.shape[:3], -1)
        both = kept.valid[:, None, :, None] & kept.valid[:, None, None, :]
        square = attention.gather(-1, columns) * both
    symmetry, entropy = symmetry_loss(square), entropy_loss(attention, valid=valid)
    return (SYMMETRY_WEIGHT * symmetry + ENTROPY_WEIGHT * entropy).mean()
