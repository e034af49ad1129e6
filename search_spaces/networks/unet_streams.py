"""The streams of channels in the U-shaped networks of `hybrid` and `deploylite`.

Left whole are streams that token layers work on (their positions depend on the channels), those of
ghost convolutions, the input, and what a head makes at the input's resolution.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from torch import nn

from search_spaces.blocks.conv import ConvUnit, GhostConv, ResidualUnit
from search_spaces.blocks.light_conv import LightConv, PatchMerging
from search_spaces.blocks.light_tokens import LightTokens
from search_spaces.blocks.prunable import Units, weight_of
from search_spaces.networks.hybrid_heads import PlainHead, RefiningHead
from search_spaces.networks.hybrid_levels import DecoderLevel, EncoderLevel
from search_spaces.networks.streams import Streams

if TYPE_CHECKING:
    from search_spaces.networks.deploylite_net import DeployNet
    from search_spaces.networks.hybrid_unet import HybridUNet


def hybrid_streams(network: HybridUNet) -> dict[str, Units]:
    """Of plain levels: without anchors, prior, routed skips and adaptive decoder."""
    encoder = [level for level in network.encoder if isinstance(level, EncoderLevel)]
    decoder = [level for level in network.decoder if isinstance(level, DecoderLevel)]
    routed = network.skips.router is not None or encoder[0].prior is not None
    special = routed or network.detect is not None or len(decoder) < len(network.decoder)
    if special or _has_ghosts(network):
        return {}
    streams = Streams()
    streams.fix("input")
    below = "input"
    for level, encode in enumerate(encoder):
        here = f"level.{level}"
        streams.residual(encode.unit, below, here)
        if str(level) in network.tokens:
            streams.fix(here)
        below = here
    for level, decode in _upwards(decoder):
        up, out = f"up.{level}", f"decoder.{level}"
        streams.read(below, decode.up)
        streams.make(up, decode.up)
        if decode.concat:
            first = weight_of(decode.up).shape[1]  # of a transposed convolution
            streams.joined(decode.unit, (up, f"level.{level}"), first, out)
        else:
            streams.tie(f"level.{level}", up)
            streams.residual(decode.unit, up, out)
        below = out
    if isinstance(network.head, RefiningHead):
        streams.read(below, *(m for m in (network.head.up, network.head.coarse) if m is not None))
    elif isinstance(network.head, PlainHead):
        streams.read(below, network.head.classify)
    return streams.units()


def deploylite_streams(network: DeployNet) -> dict[str, Units]:
    """Of the convolutional levels."""
    if _has_ghosts(network):
        return {}
    streams = Streams()
    streams.fix("input")
    below = "input"
    for level, (entry, body) in enumerate(zip(network.entries, network.bodies, strict=True)):
        here = f"level.{level}"
        if isinstance(entry, PatchMerging):
            streams.read(below, entry.project, before=math.prod(entry.factors))
            streams.make(here, entry.project, entry.norm)
        elif isinstance(entry, ConvUnit):
            streams.read(below, entry[0])
            streams.make(here, entry[0], entry[1])
        if isinstance(body, LightTokens):
            streams.fix(here)
        else:
            for unit in body.children():
                _within(streams, unit, here)
        below = here
    for level, fuse in _upwards(network.decoder):
        skip, up, out = f"level.{level}", f"up.{level}", f"decoder.{level}"
        if isinstance(fuse.unit, LightConv):
            streams.read(below, fuse.lift)
            streams.make(out, fuse.lift)
            if fuse.merge is None:
                streams.tie(skip, out)
            else:
                streams.read(skip, fuse.merge)
                streams.make(out, fuse.merge)
            streams.light(fuse.unit, out)
        else:
            streams.read(below, fuse.up)
            streams.make(up, fuse.up)
            if fuse.concat:
                both = fuse.unit.units[0][0].in_channels
                streams.joined(fuse.unit, (skip, up), both - fuse.up.out_channels, out)
            else:
                streams.tie(skip, up)
                streams.residual(fuse.unit, skip, out)
        below = out
    streams.read(below, network.head.classify)
    return streams.units()


def _within(streams: Streams, unit: nn.Module, name: str) -> None:
    if isinstance(unit, LightConv):
        streams.light(unit, name)
    elif isinstance(unit, ResidualUnit):
        streams.residual(unit, name, name)


def _upwards(decoder: Iterable[Any]) -> list[tuple[int, Any]]:
    """Level and module, the deepest first."""
    levels = list(decoder)
    return [(len(levels) - 1 - place, module) for place, module in enumerate(levels)]


def _has_ghosts(network: nn.Module) -> bool:
    return any(isinstance(m, GhostConv) for m in network.modules())
