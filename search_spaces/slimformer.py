"""SlimFormer-3D: a U-shape whose every layer can lose its token mixer, its MLP or both.

Source: SlimFormer-3D (MICCAI 2025), Eq. 1, Table 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from search_spaces.space import (
    Architecture,
    LevelledArchitecture,
    Part,
    SearchSpace,
    choice,
    repeat,
)
from search_spaces.stages import Stage, ways_up
from search_spaces.widths import level_channels

if TYPE_CHECKING:
    from search_spaces.blocks.gated_layer import Gate
    from search_spaces.blocks.mixers import MixerKind
    from search_spaces.networks.slimformer_unet import SlimFormerUNet


@dataclass(frozen=True, kw_only=True)
class SlimLayer(Part):
    """One layer, by its gates a1 (token mixer) and a2 (MLP)."""

    gate: Gate = choice(
        "both", "mixer", "mlp", "none", doc="parts kept: token mixer and MLP, one of them, neither"
    )


@dataclass(frozen=True, kw_only=True)
class SlimBlock(Part):
    """An encoder block: the layers at one resolution."""

    layers_count: int = choice(2, 0, 1, 3, doc="layers")
    layers: tuple[SlimLayer, ...] = repeat(
        SlimLayer, count="layers_count", doc="the layers, in order"
    )
    mixer: MixerKind = choice(
        "summary_mamba",
        "mamba",
        "attention",
        "pool",
        doc="token mixer; summary_mamba is the one that the published counts hold",
        when={"layers_count": (1, 2, 3)},
    )
    window: int = choice(
        2,
        4,
        6,
        0,
        doc="tokens along each axis of the windows that are mixed apart (0: all at once)",
        when={"layers_count": (1, 2, 3), "mixer": ("summary_mamba", "mamba", "attention")},
    )
    directions: int = choice(
        1,
        2,
        doc="in which Mamba scans the tokens: one, which the published counts hold, or both, as "
        "Vision Mamba, which the text cites",
        when={"layers_count": (1, 2, 3), "mixer": ("summary_mamba", "mamba")},
        added_later=2,
    )
    mlp_ratio: int = choice(
        4,
        1,
        2,
        doc="hidden width of the MLPs over the channels",
        when={"layers_count": (1, 2, 3)},
    )

    @property
    def gates(self) -> list[Gate]:
        """The gate of every layer, in order."""
        return [layer.gate for layer in self.layers]

    def canonical(self) -> Self:
        """Layers without work are dropped, and with them choices that no longer do anything."""
        layers = tuple(layer for layer in self.layers if layer.gate != "none")
        working = replace(self, layers_count=len(layers), layers=layers)
        if all(layer.gate == "mlp" for layer in layers):
            working = replace(working, mixer=SlimBlock.mixer, window=SlimBlock.window, directions=1)
        if all(layer.gate == "mixer" for layer in layers):
            working = replace(working, mlp_ratio=SlimBlock.mlp_ratio)
        return super(SlimBlock, working).canonical()


@dataclass(frozen=True, kw_only=True)
class SlimFormer(LevelledArchitecture):
    """A U-shape with layers that are gated one by one; see `SlimFormerUNet`."""

    space: ClassVar[str] = "slimformer"

    width: int = choice(
        48, 4, 6, 8, 12, 16, 24, 32, doc="channels of the first block, doubled by each further one"
    )
    patch: int = choice(2, 4, doc="voxels along each axis of a token of the first block")
    blocks_count: int = choice(3, 2, 4, doc="encoder blocks, each at half the resolution before")
    blocks: tuple[SlimBlock, ...] = repeat(
        SlimBlock, count="blocks_count", doc="the encoder blocks, the shallowest first"
    )
    head: str = choice(
        "interpolate",
        "transposed",
        doc="from the tokens' resolution to the input's: interpolated logits, or learned ones",
    )

    @property
    def channels(self) -> list[int]:
        """Channels of every block, the shallowest first, and of the bottom below them."""
        return level_channels(self.width, 2, len(self.blocks) + 1)

    def canonical(self) -> Self:
        working = replace(self, blocks=tuple(block.canonical() for block in self.blocks))
        return super(SlimFormer, working).canonical()

    def divisor(self, level: int) -> int:
        return self.patch * 2**level

    def stride(self) -> int:
        return self.divisor(len(self.blocks))

    def picture(self) -> list[Stage]:
        blocks, channels = self.canonical().blocks, self.channels
        divisors = [self.divisor(level) for level in range(len(blocks) + 1)]
        stages = [
            Stage(
                name="encoder",
                divisor=d,
                channels=c,
                holds=[_mixer_words(block)] if set(block.gates) - {"mlp"} else (),
                layers=block.gates,
            )
            for block, c, d in zip(blocks, channels, divisors, strict=False)
        ]
        stages.append(
            Stage(
                name="bottom",
                divisor=divisors[-1],
                channels=channels[-1],
                holds=["residual unit"],
            )
        )
        return stages + ways_up(channels[:-1], divisors[:-1], "residual unit", skip="concat")

    def build(self, in_channels: int, out_channels: int) -> SlimFormerUNet:
        from search_spaces.networks.slimformer_unet import SlimFormerUNet

        return SlimFormerUNet(self.canonical(), in_channels, out_channels)


def _mixer_words(block: SlimBlock) -> str:
    return block.mixer.replace("_", " ") + ", both ways" * (block.directions == 2)


def presets() -> Mapping[str, Architecture]:
    """The rows of Table 1, named by what the second layers of the blocks lose, and a small one.

    `slimformer3d` is the model of Table 2: three blocks, their second layers without MLP. In the
    names, `4b` stands for four blocks, `mixer-drop`, `mlp-drop` for that part of every second layer
    (`slimformer3d-mixer-drop` has three blocks), `layer-drop` for the second layer of the fourth
    block, `block-drop` for the whole fourth block. The published count of the attention backbone
    (81.77 M, 198.93 GFLOPs) is not that of any reading we know; its preset is the Mamba backbone
    with softmax attention in its place, in the same windows.
    """
    full, mlp_drop, mixer_drop = (
        _block("both", "both"),
        _block("both", "mixer"),
        _block("both", "mlp"),
    )
    attention = _block("both", "both", mixer="attention")
    return {
        "slimformer3d": _unet([mlp_drop] * 3),
        "slimformer3d-mixer-drop": _unet([mixer_drop] * 3),
        "slimformer3d-block-drop": _unet([full] * 3),
        "slimformer3d-4b-mlp-drop": _unet([mlp_drop] * 4),
        "slimformer3d-4b-mixer-drop": _unet([mixer_drop] * 4),
        "slimformer3d-4b-layer-drop": _unet([full] * 3 + [_block("both")]),
        "slimformer3d-backbone-mamba": _unet([full] * 4),
        "slimformer3d-backbone-attention": _unet([attention] * 4),
        "slimformer3d-tiny": _unet([mlp_drop] * 2, width=16, head="transposed"),
    }


def _block(*gates: Gate, mixer: MixerKind = "summary_mamba") -> SlimBlock:
    layers = tuple(SlimLayer(gate=gate) for gate in gates)
    return SlimBlock(layers_count=len(gates), layers=layers, mixer=mixer)


def _unet(blocks: Sequence[SlimBlock], width: int = 48, head: str = "interpolate") -> SlimFormer:
    return SlimFormer(width=width, blocks_count=len(blocks), blocks=tuple(blocks), head=head)


SPACE = SearchSpace(name="slimformer", kind=SlimFormer, presets=presets)
