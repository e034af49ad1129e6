"""Networks of a restricted `hybrid` that between them have every weight at its full size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from search_spaces.elastic import by_size
from search_spaces.hybrid import Hybrid, Layer, TokenStage
from search_spaces.networks.hybrid_tokens import HEAD_WIDTH
from search_spaces.space import Option
from search_spaces.widths import attention_heads, level_channels

Options = Mapping[str, Sequence[Option]]
Size = tuple[int, float, int]  # width, growth, levels


def sizes_of(options: Options) -> list[Size]:
    """All combinations that the options have."""
    found = product(options["width"], options["growth"], options["levels"])
    return [(int(width), float(growth), int(levels)) for width, growth, levels in found]


def convolutional_cover(
    options: Options, sizes: Sequence[Size], in_channels: int
) -> Iterator[Hybrid]:
    """Networks without tokens: of every kind of convolutions, norms and decoder the largest, with
    the largest refinement and, where the options have it, with none. A level of as many channels as
    the one before, or as the image, needs no convolution in its shortcut: the largest network where
    they differ has that."""
    others: dict[str, Any] = {
        name: by_size(name, options[name])[-1]
        for name in ("convs", "anchors", "prior", "coarse_logits")
    }
    kinds = ("stem_stride", "residual", "conv", "norm", "skip", "decoder", "anchors_head")
    refine = by_size("refine", options["refine"])
    found: dict[str, Hybrid] = {}
    largest = set(_largest(sizes))
    for level in range(max(levels for _, _, levels in sizes)):
        largest |= {*_largest([s for s in sizes if _changes(s, level, in_channels)])}
    for values in product(*(options[kind] for kind in kinds)):
        kind: dict[str, Any] = dict(zip(kinds, values, strict=True))
        first = all(kind[name] == options[name][0] for name in ("norm", "skip", "decoder"))
        refined: list[Any] = [refine[-1], *([0] if first and refine[0] == 0 else [])]
        for (width, growth, levels), channels in product(sorted(largest), refined):
            size: dict[str, Any] = {"width": width, "growth": growth, "levels": levels}
            point = Hybrid(**kind, **others, **size, refine=channels).canonical()
            found.setdefault(point.key, point)
    yield from found.values()


def token_cover(options: Options, sizes: Sequence[Size]) -> Iterator[tuple[int, int, TokenStage]]:
    """(level, channels, token stage): at every level where there can be one, of every kind, with
    all layers. They are of the most channels, the most heads and the widest heads there are."""
    count = int(max(options["token_stages"], default=0))
    stages = list(_stages(options)) if count else []
    widths: dict[int, set[int]] = {}
    for size in sizes:
        for level, channels in list(enumerate(_channels(size)))[-count:]:
            widths.setdefault(level, set()).add(channels)
    for level in sorted(widths):
        heads = {c: attention_heads(c, HEAD_WIDTH) for c in sorted(widths[level])}
        widest = {max(heads), max(heads, key=lambda c: heads[c])}
        widest.add(max(heads, key=lambda c: c // heads[c]))
        if alone := [c for c in heads if heads[c] == 1]:
            widest.add(max(alone))  # to share with nobody is a layer of another kind
        for channels, stage in product(sorted(widest), stages):
            yield level, channels, stage


def _channels(size: Size) -> list[int]:
    return level_channels(*size, multiple=2)


def _changes(size: Size, level: int, in_channels: int) -> bool:
    """Whether the level has other channels than what it is made of."""
    channels = [in_channels, *_channels(size)]
    return level + 1 < len(channels) and channels[level] != channels[level + 1]


def _largest(sizes: Sequence[Size]) -> list[Size]:
    """Those of which no other has at least as many channels at every level."""
    kept: list[Size] = []
    for size in sorted(set(sizes), key=lambda s: (len(_channels(s)), _channels(s)), reverse=True):
        own = _channels(size)
        longer = (_channels(other)[: len(own)] for other in kept)
        if not any(all(a >= b for a, b in zip(other, own, strict=True)) for other in longer):
            kept.append(size)
    return kept


def _stages(options: Options) -> Iterator[TokenStage]:
    ranks = [float(rank) for rank in options["tokens.rank"]]
    thin = [max(low)] if (low := [rank for rank in ranks if rank < 1]) else []
    gates = [gate for gate in options["tokens.layers.gate"] if gate != "none"]
    whole = ["both"] if "both" in gates else gates
    layers = int(max(options["tokens.layers_count"], default=0))
    prunes = [p for p in options["tokens.prune"] if float(p) > 0 and layers >= 3]
    flags = {
        name: True in options[f"tokens.{name}"]
        for name in ("prune_queries", "prune_dependencies", "grpe")
    }
    if not layers:
        return
    for mixer, rank, gate in product(
        options["tokens.mixer"], [*([1.0] if 1.0 in ranks else []), *thin], whole
    ):
        yield TokenStage(
            layers_count=layers,
            layers=(Layer(gate=gate),) * layers,  # type: ignore[arg-type]
            mlp_ratio=int(max(options["tokens.mlp_ratio"])),
            mixer=str(mixer),
            directions=int(max(options["tokens.directions"])) if mixer == "mamba" else 1,
            rank=rank,
            prune=float(prunes[0]) if prunes and mixer != "adaptive" and mixer != "pool" else 0.0,
            **(flags if mixer == "adaptive" else {}),
        )
