"""UNETR on sparse tokens: soft top-K pruning and multi-layer assembly (STP + MTA; Zhou 2023).

Beside the paper's own sampler and completion stand those that it compares with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from search_spaces.space import Architecture, AxialArchitecture, SearchSpace, choice
from search_spaces.stages import Stage, several, ways_up

if TYPE_CHECKING:
    from search_spaces.blocks.sparse_encoder import Sampler
    from search_spaces.networks.sparse_unetr import SparseUNETR

_PRUNED = {"prune": (0.25, 0.5, 0.75, 0.9)}


@dataclass(frozen=True, kw_only=True)
class TokenSparse(AxialArchitecture):
    """A UNETR; see `SparseUNETR` for what each choice builds."""

    space: ClassVar[str] = "token_sparse"

    patch: int = choice(8, 4, 16, doc="voxels of a token along each axis")
    width: int = choice(768, 48, 96, 192, 384, doc="channels of a token")
    depth: int = choice(12, 4, 6, 8, doc="transformer layers")
    heads: int = choice(12, 3, 6, doc="attention heads")
    mlp_ratio: int = choice(4, 1, 2, doc="hidden width of the MLPs over the tokens' width")
    features: int = choice(16, 4, 8, 32, doc="channels of the decoder at full resolution")
    bottom: str = choice(
        "tokens", "pooled", doc="where the decoder starts: the tokens' grid, or half of it"
    )
    prune: float = choice(
        0.75,
        0.0,
        0.25,
        0.5,
        0.9,
        doc="share of tokens that each place drops; on small volumes learned scores were no better "
        "than random ones",
    )
    places: int = choice(3, 1, 2, doc="pruning places, evenly spaced in depth", when=_PRUNED)
    sampler: Sampler = choice(
        "stp",
        "evit",
        "dynamic",
        doc="who stays: soft top-K, by the class token's attention, or DynamicViT's decisions",
        when=_PRUNED,
    )
    tau: float = choice(
        1.0, 0.1, 0.01, doc="temperature of the soft top-K", when={**_PRUNED, "sampler": ("stp",)}
    )
    noiseless: bool = choice(
        False,
        True,
        doc="train without Gumbel noise on the scores",
        when={**_PRUNED, "sampler": ("stp",)},
        added_later=2,
    )
    completion: str = choice(
        "mta",
        "mim",
        doc="what fills the gaps: pruned tokens of every place, or a mask token",
        when=_PRUNED,
    )

    @property
    def pooled(self) -> bool:
        """Whether the decoder starts at half the resolution of the tokens' grid."""
        return self.bottom == "pooled"

    def stride(self) -> int:
        return 2 * self.patch if self.pooled else self.patch

    def picture(self) -> list[Stage]:
        pruned = f"{several(self.places, 'place')} of {self.sampler}, {self.prune:.0%} dropped each"
        levels = range(self.patch.bit_length() - (not self.pooled))
        tokens = Stage(
            name="tokens",
            divisor=self.patch,
            channels=self.width,
            holds=[f"attention, {self.heads} heads"]
            + [pruned, f"completed by {self.completion}"] * bool(self.prune),
            layers=("both",) * self.depth,
        )
        channels, divisors = [self.features * 2**i for i in levels], [2**i for i in levels]
        image = Stage(name="image", divisor=1, channels=self.features, holds=["residual unit"])
        return [image, tokens, *ways_up(channels, divisors, "residual unit", skip="concat")]

    def build(self, in_channels: int, out_channels: int) -> SparseUNETR:
        from search_spaces.networks.sparse_unetr import SparseUNETR

        return SparseUNETR(self.canonical(), in_channels, out_channels)


def presets() -> Mapping[str, Architecture]:
    """The paper's Tables 2 and 3 (the decoder of its BraTS rows; `-btcv` has that of the others),
    its comparisons of Table 4 at r = 0.9, and small ones."""
    paper = {
        "unetr-p8": TokenSparse(prune=0.0),
        "stp-mta-unetr-r25": TokenSparse(prune=0.25),
        "stp-mta-unetr-r50": TokenSparse(prune=0.5),
        "stp-mta-unetr-r75": TokenSparse(prune=0.75),
        "stp-mta-unetr-r90": TokenSparse(prune=0.9),
    }
    btcv = {f"{name}-btcv": replace(a, bottom="pooled") for name, a in paper.items()}
    r90 = btcv["stp-mta-unetr-r90-btcv"]
    tiny = TokenSparse(width=96, depth=6, heads=3, mlp_ratio=2, features=8)
    return {
        **paper,
        **btcv,
        "evit-mta-unetr-r90-btcv": replace(r90, sampler="evit"),
        "dynamicvit-mta-unetr-r90-btcv": replace(r90, sampler="dynamic"),
        "stp-mim-unetr-r90-btcv": replace(r90, completion="mim"),
        "unetr-tiny": replace(tiny, prune=0.0),
        "stp-mta-unetr-tiny": tiny,
    }


SPACE = SearchSpace(name="token_sparse", kind=TokenSparse, presets=presets)
