"""How alike two sets of features are, from sums that stream over any number of tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

Centring = Literal["centred", "uncentred"]

TOKENS = 1 << 15  # taken at a time: bounds the memory of the float64 copies
CONSTANT = 1e-12  # a centred cross product this much below the raw one is rounding


@dataclass(frozen=True)
class Scores:
    """Two similarities from 0 to 1, None where undefined: the features are all zero (angular), or
    the same in every token (CKA)."""

    angular: float | None
    cka: float | None

    @property
    def mean(self) -> float | None:
        """The mean of the two; None unless both are defined."""
        if self.angular is None or self.cka is None:
            return None
        return (self.angular + self.cka) / 2


class Similarity:
    """Angular similarity and linear CKA of paired tokens x and y, (B, N, C) each, batch by batch.

    `cka`: of features that are centred over the tokens, as the original (Kornblith 2019, Sec. 3)
    and the name have it, or as they are, which is what SlimFormer-3D's Eq. 3 writes. The tokens of
    all batches are the samples. Sums are float64 and stay on the tokens' device; their size is that
    of a (2 C, 2 C) matrix, whatever the number of tokens.
    """

    def __init__(self, cka: Centring = "centred") -> None:
        self.centred = cka == "centred"
        self.tokens = 0
        self._product = torch.zeros(())  # (2 C, 2 C) once there are tokens, of [x, y]
        self._total = torch.zeros(())  # (2 C,)
        self._angles = torch.zeros(())  # (2,): their sum, and how many are defined

    def update(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Add the tokens of x and y. Raises ValueError where their shapes differ."""
        if x.shape != y.shape:
            raise ValueError(f"features of {tuple(x.shape)} against {tuple(y.shape)}")
        parts = zip(x.flatten(0, -2).split(TOKENS), y.flatten(0, -2).split(TOKENS), strict=True)
        for a, b in parts:
            self._add(a.double(), b.double())

    def _add(self, x: torch.Tensor, y: torch.Tensor) -> None:
        both = torch.cat([x, y], dim=1)  # (N, 2 C)
        self._product = self._product + both.T @ both
        self._total = self._total + both.sum(0)
        self._angles = self._angles + _angles(x, y)
        self.tokens += len(x)

    def scores(self) -> Scores:
        """Both similarities of all tokens so far."""
        return Scores(self.angular(), self.cka())

    def angular(self) -> float | None:
        """The mean over tokens of `1 - arccos(cos(x, y)) / pi` (SlimFormer-3D, Eq. 2).

        1: same direction, 0.5: orthogonal, 0: opposite. Tokens of which one is zero have no angle
        and do not count; None where no token has one.
        """
        if not self.tokens:
            return None
        angle, defined = self._angles.tolist()
        return 1 - angle / defined / math.pi if defined else None

    def cka(self) -> float | None:
        """Linear CKA, `|X'Y|^2 / (|X'X| |Y'Y|)` in Frobenius norms (SlimFormer-3D, Eq. 3).

        X, Y: (tokens, C). Unmoved by rotation and scale of either and, where it is centred, by
        shift. The products are between channels, (C, C), never between tokens. None where X or Y is
        the same in all tokens (uncentred: zero).
        """
        if not self.tokens:
            return None
        product = self._product
        if self.centred:
            product = product - torch.outer(self._total, self._total) / self.tokens
        c = len(product) // 2
        xx, yy = product[:c, :c].norm(), product[c:, c:].norm()
        raw_xx, raw_yy = self._product[:c, :c].norm(), self._product[c:, c:].norm()
        if xx <= CONSTANT * raw_xx or yy <= CONSTANT * raw_yy:
            return None
        return float(product[:c, c:].norm() ** 2 / (xx * yy))


def _angles(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(2,): the sum of the angles between tokens, and the number of tokens that have one."""
    norms = x.norm(dim=1) * y.norm(dim=1)
    defined = norms > 0
    cosines = (x * y).sum(1) / norms.where(defined, 1)
    angles = cosines.clamp(-1, 1).arccos().where(defined, 0)
    return torch.stack([angles.sum(), defined.sum().to(angles)])
