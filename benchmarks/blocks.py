"""Does every block that promises less work do less, on paper and on the CPU?

    python benchmarks/blocks.py
    python benchmarks/blocks.py --only ghost windows

Each table has one promise: its first row is the full work, the others are shares of it. MACs are
counted; times are the median CPU time of an eval-mode pass on one thread, all rows of a table in
turn, round by round. Fewer operations are not always faster ones: where PyTorch takes its slow path
for convolutions (one image, C * D * H of at most 20,480), halving the channels made is no gain, and
a ghost convolution's depthwise half is slow where the channels come first in memory. Takes two
minutes.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from time import process_time
from typing import get_args

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from nas.cost.count import count_macs, count_params
from nas.cost.latency import device_name
from search_spaces.blocks.attention import Attention
from search_spaces.blocks.conv import make_conv
from search_spaces.blocks.gated_layer import Gate, GatedLayer, gated_layer
from search_spaces.blocks.halo_windows import HaloWindows
from search_spaces.blocks.light_conv import LightConv
from search_spaces.blocks.mlp import MLP
from search_spaces.blocks.pooled_windows import PooledWindows
from search_spaces.blocks.shared_heads import SharedHeads
from search_spaces.blocks.token_stage import TokenStage
from search_spaces.blocks.top_windows import TopWindows
from search_spaces.blocks.windows import Windowed

Make = Callable[[], nn.Module]
Promise = tuple[tuple[int, ...], Mapping[str, Make]]  # (B, C, D, H, W), and what is compared on it
CHANNELS_LAST = torch.channels_last_3d


def pruning() -> Promise:
    """Tokens dropped at each of three places."""

    def pruned(ratio: float) -> nn.Module:
        layers = [GatedLayer(192, Attention(192, 12), MLP(192, 768)) for _ in range(5)]
        return TokenStage(192, layers, ratio)

    ratios = (0.0, 0.25, 0.5, 0.75, 0.9)
    return (1, 192, 12, 12, 12), {f"r = {r}": partial(pruned, r) for r in ratios}


def gates() -> Promise:
    """The gate of a transformer layer."""

    def gated(gate: Gate) -> nn.Module:
        attention, mlp = partial(Attention, 192, 12), partial(MLP, 192, 768)
        return TokenStage(192, [gated_layer(192, gate, mixer=attention, mlp=mlp)])

    return (1, 192, 12, 12, 12), {gate: partial(gated, gate) for gate in get_args(Gate)}


def ghost(channels: int, size: int) -> Promise:
    """3^3 convolutions, by the layout in memory."""
    standard = partial(make_conv, "standard", 3, channels, channels)
    cheap = partial(make_conv, "ghost", 3, channels, channels)
    return (1, channels, size, size, size), {
        "standard, channels first": standard,
        "ghost, channels first": cheap,
        "standard, channels last": lambda: ChannelsLast(standard()),
        "ghost, channels last": lambda: ChannelsLast(cheap()),
        "separable, channels last": lambda: ChannelsLast(LightConv(3, channels)),
    }


def low_rank() -> Promise:
    """The rank of an MLP's projections over their width."""

    def factorised(ratio: float) -> nn.Module:
        return TokenStage(256, [GatedLayer(256, None, MLP(256, 1024, ratio))])

    ratios = (1.0, 0.375, 0.25, 0.125)
    return (1, 256, 12, 12, 12), {f"rank ratio {r}": partial(factorised, r) for r in ratios}


def heads() -> Promise:
    """Keys and values shared among eight heads."""

    def shared(kv_heads: int) -> nn.Module:
        mixer = Windowed(SharedHeads(256, 8, kv_heads), 6)
        return TokenStage(256, [GatedLayer(256, mixer, None)])

    return (1, 256, 12, 12, 12), {f"{n} of each": partial(shared, n) for n in (8, 4, 2, 1)}


def windows() -> Promise:
    """Attention to all tokens, in windows, by the two exchanges across windows, in windows that
    overlap, and to the nearest of 64 windows (top-k sparse attention)."""

    def mixing(mixer: nn.Module) -> nn.Module:
        return TokenStage(64, [GatedLayer(64, mixer, None)])

    def attention() -> SharedHeads:
        return SharedHeads(64, 4, kv_heads=4)

    def nearest(top: int) -> nn.Module:
        return mixing(TopWindows(attention(), 4, top))

    return (1, 64, 16, 16, 16), {
        "global": lambda: mixing(attention()),
        "windows of 8^3": lambda: mixing(Windowed(attention(), 8)),
        "windows of 4^3": lambda: mixing(Windowed(attention(), 4)),
        "windows of 4^3, shifted": lambda: mixing(Windowed(attention(), 4, shift=True)),
        "dilated windows of 4^3": lambda: mixing(Windowed(attention(), 4, dilated=True)),
        "pooled windows of 4^3": lambda: mixing(PooledWindows(attention(), 4)),
        "windows of 4^3 that overlap by 1": lambda: mixing(HaloWindows(attention(), 4, 1)),
        "windows of 4^3 that overlap by 2": lambda: mixing(HaloWindows(attention(), 4, 2)),
    } | {f"the {top} nearest windows of 4^3": partial(nearest, top) for top in (2, 4, 8, 16, 64)}


GHOSTS = ((8, 48), (16, 48), (32, 48), (32, 24), (64, 24), (128, 12))
PROMISES: Mapping[str, tuple[Callable[[], Promise], ...]] = {
    "pruning": (pruning,),
    "gates": (gates,),
    "ghost": tuple(partial(ghost, channels, size) for channels, size in GHOSTS),
    "low-rank": (low_rank,),
    "heads": (heads,),
    "windows": (windows,),
}


class ChannelsLast(nn.Module):
    """A convolution whose input and weights lie in memory channels last."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block.to(memory_format=CHANNELS_LAST)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(x)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PROMISES, default=list(PROMISES))
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    console.print(f"{device_name(torch.device('cpu'))}, one thread")
    for name in options.only:
        for promised in PROMISES[name]:
            console.print(table(promised, options.rounds))


def table(promised: Callable[[], Promise], rounds: int) -> Table:
    """One row a block, its work beside the first row's."""
    shape, rows = promised()
    said = (promised.func if isinstance(promised, partial) else promised).__doc__
    made = Table(caption=f"{said}\nInput {' x '.join(map(str, shape[1:]))}.")
    for column in ("", "parameters", "MMACs", "share", "CPU ms", "share"):
        made.add_column(column, justify="right" if column else "left")
    times = measure(rows, shape, rounds)
    with torch.device("meta"):
        blocks = {name: make() for name, make in rows.items()}
    macs = {name: count_macs(block, shape) for name, block in blocks.items()}
    first = next(iter(rows))
    for name, block in blocks.items():
        made.add_row(
            name,
            f"{count_params(block):,}",
            f"{macs[name] / 1e6:.1f}",
            f"{macs[name] / macs[first]:.2f}",
            f"{times[name]:.2f}",
            f"{times[name] / times[first]:.2f}",
        )
    return made


def measure(rows: Mapping[str, Make], shape: tuple[int, ...], rounds: int) -> dict[str, float]:
    """See `cpu_ms`; of every row."""
    blocks = {name: make().eval() for name, make in rows.items()}
    x = torch.randn(shape)
    inputs = {
        name: x.contiguous(memory_format=CHANNELS_LAST) if isinstance(block, ChannelsLast) else x
        for name, block in blocks.items()
    }
    return cpu_ms(blocks, inputs, rounds)


@torch.inference_mode()
def cpu_ms(
    blocks: Mapping[str, nn.Module], inputs: Mapping[str, torch.Tensor], rounds: int
) -> dict[str, float]:
    """Median CPU milliseconds of a pass of each, in rounds, after one that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in blocks}
    for _ in range(rounds + 1):
        for name, block in blocks.items():
            started = process_time()
            block(inputs[name])
            times[name].append((process_time() - started) * 1e3)
    return {name: statistics.median(counted[1:]) for name, counted in times.items()}


if __name__ == "__main__":
    main()
