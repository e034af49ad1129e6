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


def convolutional_cover(options: Options) -> Iterator[Hybrid]:
    """Networks without tokens: of every combination of kinds the largest."""
    sizes: dict[str, Any] = {
        name: by_size(name, options[name])[-1]
        for name in ("width", "growth", "levels", "convs", "anchors", "prior", "coarse_logits")
    }
    refine = {by_size("refine", options["refine"])[-1], *(r for r in options["refine"] if r == 0)}
    kinds = ("stem_stride", "residual", "conv", "norm", "skip", "decoder")
    seen = set()
    for *values, refined in product(*(options[kind] for kind in kinds), refine):
        point = Hybrid(**sizes, **dict(zip(kinds, values, strict=True)), refine=refined)
        point = point.canonical()
        if point.key not in seen:
            seen.add(point.key)
            yield point


def token_cover(options: Options) -> Iterator[Hybrid]:
    """For every kind of token stage, and every level at which it can be, the largest networks.

    They stand for those with other strides and shortcuts, whose token stages are the same.
    """
    stages = int(max(options["token_stages"], default=0))  # type: ignore[type-var]
    if not stages:
        return
    first: dict[str, Any] = {
        name: options[name][0] for name in ("stem_stride", "residual", "norm", "skip", "decoder")
    }
    for conv, levels in product(options["conv"], options["levels"]):
        for width, growth in _widest(options, int(levels), stages):
            for stage in _stages(options):
                yield Hybrid(
                    **first,
                    conv=conv,  # type: ignore[arg-type]
                    levels=int(levels),
                    width=width,
                    growth=growth,
                    convs=1,
                    token_stages=min(stages, int(levels)),
                    tokens=(stage,) * stages,
                ).canonical()


def _widest(options: Options, levels: int, stages: int) -> list[tuple[int, float]]:
    """Widths and growths of the most channels, the most heads and the widest heads at a level."""
    pairs = list(product(options["width"], options["growth"]))
    chosen = set()
    for level in range(levels - stages, levels):
        sizes = {
            pair: (c, heads := attention_heads(c, HEAD_WIDTH), c // heads)
            for pair in pairs
            for c in [level_channels(*pair, levels, multiple=2)[level]]  # type: ignore[arg-type]
        }
        chosen |= {max(pairs, key=lambda pair: sizes[pair][i]) for i in range(3)}
    return sorted(chosen)  # type: ignore[arg-type]


def _stages(options: Options) -> Iterator[TokenStage]:
    ranks = [float(rank) for rank in options["tokens.rank"]]
    thin = [max(low)] if (low := [rank for rank in ranks if rank < 1]) else []
    gates = [gate for gate in options["tokens.layers.gate"] if gate != "none"]
    whole = ["both"] if "both" in gates else gates
    layers = int(max(options["tokens.layers_count"], default=0))  # type: ignore[type-var]
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
            mlp_ratio=int(max(options["tokens.mlp_ratio"])),  # type: ignore[type-var]
            mixer=str(mixer),
            rank=rank,
            prune=float(prunes[0]) if prunes and mixer != "adaptive" and mixer != "pool" else 0.0,
            **(flags if mixer == "adaptive" else {}),
        )
