"""The picture of a `HybridUNet`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.stages import Stage, several

if TYPE_CHECKING:
    from search_spaces.hybrid import Hybrid, TokenStage


def hybrid_picture(point: Hybrid) -> list[Stage]:
    """The levels of the encoder, those of the decoder, and the refinement."""
    joins = "concat" if point.skip == "routed" else point.skip  # of the shallowest level
    stages = [_down(point, level) for level in range(point.levels)]
    stages += [
        _up(point, level, point.skip if level else joins)
        for level in reversed(range(point.levels - 1))
    ]
    if point.stem_stride == 2 and point.refine:
        stages.append(
            Stage(
                name="refinement",
                side="up",
                divisor=1,
                channels=point.refine,
                holds=(
                    f"1 {point.conv} conv",
                    "joins the image",
                    *["coarse logits"] * point.coarse_logits,
                ),
            )
        )
    return stages


def _down(point: Hybrid, level: int) -> Stage:
    depth = point.levels - 1 - level
    stage = point.tokens[depth] if depth < point.token_stages else None
    gates = stage.gates if stage else ()
    holds = [several(point.convs, f"{point.conv} conv")]
    anchors = "anchors" if point.anchors_head == "pooled" else f"{point.anchors_head} anchors"
    holds += [f"FiLM by {point.anchors} {anchors}"] * bool(point.anchors)
    holds += ["structural prior"] * (point.prior and level == 0)
    holds += ["texture routing"] * point.prior
    return Stage(
        name="encoder",
        divisor=point.divisor(level),
        channels=point.channels[level],
        holds=[*holds, *(_token_words(stage) if stage and gates else ())],
        layers=gates,
    )


def _up(point: Hybrid, level: int, skip: str) -> Stage:
    adaptive = point.decoder == "adaptive"
    holds = ["3 mixed paths"] if adaptive else [several(point.convs, f"{point.conv} conv")]
    holds += ["position bias"] * bool(point.anchors)
    return Stage(
        name="decoder",
        side="up",
        divisor=point.divisor(level),
        channels=point.channels[level],
        holds=holds,
        skip=skip,
    )


def _token_words(stage: TokenStage) -> list[str]:
    mixed = any(gate != "mlp" for gate in stage.gates)
    words = [f"{stage.mixer} mixer" if stage.mixer in ("shared", "adaptive") else stage.mixer]
    words = [f"{words[0]}, both ways"] if stage.directions == 2 else words
    words = words * mixed + [f"windows of {stage.window}"] * bool(stage.window)
    words += [f"drops {stage.prune:.0%} of tokens"] * bool(stage.prune)
    words += [f"rank {stage.rank:.0%}"] * (stage.rank < 1)
    words += ["prunes queries"] * stage.prune_queries
    words += ["prunes dependencies"] * stage.prune_dependencies
    return words + ["GRPE"] * stage.grpe
