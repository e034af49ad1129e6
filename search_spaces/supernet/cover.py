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
    """Networks without tokens: of every kind of convolutions, norms and decoder the largest, with
    the largest refinement and, where the options have it, with none."""
    sizes: dict[str, Any] = {
        name: by_size(name, options[name])[-1]
        for name in ("width", "growth", "levels", "convs", "anchors", "prior", "coarse_logits")
    }
    kinds = ("stem_stride", "residual", "conv", "norm", "skip", "decoder")
    refine = by_size("refine", options["refine"])
    found: dict[str, Hybrid] = {}
    for values in product(*(options[kind] for kind in kinds)):
        kind: dict[str, Any] = dict(zip(kinds, values, strict=True))
        point = Hybrid(**sizes, **kind, refine=refine[-1]).canonical()
        found.setdefault(point.key, point)
        first = all(kind[name] == options[name][0] for name in ("norm", "skip", "decoder"))
        if first and refine[0] == 0:
            point = Hybrid(**sizes, **kind, refine=0).canonical()
            found.setdefault(point.key, point)
    yield from found.values()


def token_cover(options: Options) -> Iterator[tuple[int, int, TokenStage]]:
    """(level, channels, token stage): at every level where there can be one, of every kind, with
    all layers. They are of the most channels, the most heads and the widest heads there are."""
    count = int(max(options["token_stages"], default=0))  # type: ignore[type-var]
    last = {int(levels) - 1 for levels in options["levels"]}
    stages = list(_stages(options)) if count else []
    for level in sorted({deepest - i for deepest in last for i in range(count)}):
        widths = {
            level_channels(width, growth, level + 1, multiple=2)[level]  # type: ignore[arg-type]
            for width, growth in product(options["width"], options["growth"])
        }
        heads = {c: attention_heads(c, HEAD_WIDTH) for c in sorted(widths)}
        widest = {max(heads), max(heads, key=lambda c: heads[c])}
        widest.add(max(heads, key=lambda c: c // heads[c]))
        for channels, stage in product(sorted(widest), stages):
            yield level, channels, stage


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
