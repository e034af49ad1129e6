"""The picture of a `HybridUNet`."""

from __future__ import annotations

from search_spaces.networks.hybrid_plan import HybridPlan, TokenPlan
from search_spaces.stages import Stage, several


def hybrid_picture(plan: HybridPlan) -> list[Stage]:
    """The levels of the encoder, those of the decoder, and the refinement."""
    joins = "concat" if plan.skip == "routed" else plan.skip  # of the shallowest level
    stages = [_down(plan, level) for level in range(plan.levels)]
    stages += [
        _up(plan, level, plan.skip if level else joins)
        for level in reversed(range(plan.levels - 1))
    ]
    if plan.stem_stride == 2 and plan.refine:
        stages.append(
            Stage(
                name="refinement",
                side="up",
                divisor=1,
                channels=plan.refine,
                holds=(f"1 {plan.conv} conv", "joins the image"),
            )
        )
    return stages


def _down(plan: HybridPlan, level: int) -> Stage:
    depth = plan.levels - 1 - level
    tokens = plan.tokens[depth] if depth < len(plan.tokens) and plan.tokens[depth].gates else None
    holds = [several(plan.convs, f"{plan.conv} conv")]
    holds += [f"FiLM by {plan.anchors} anchors"] * bool(plan.anchors)
    holds += ["structural prior"] * (plan.prior and level == 0)
    holds += ["texture routing"] * plan.prior
    return Stage(
        name="encoder",
        side="down",
        divisor=plan.stem_stride * 2**level,
        channels=plan.channels[level],
        holds=[*holds, *(_token_words(tokens) if tokens else ())],
        layers=tokens.gates if tokens else (),
    )


def _up(plan: HybridPlan, level: int, skip: str) -> Stage:
    adaptive = plan.decoder == "adaptive"
    holds = ["3 mixed paths"] if adaptive else [several(plan.convs, f"{plan.conv} conv")]
    holds += ["position bias"] * bool(plan.anchors)
    return Stage(
        name="decoder",
        side="up",
        divisor=plan.stem_stride * 2**level,
        channels=plan.channels[level],
        holds=holds,
        skip=skip,
    )


def _token_words(tokens: TokenPlan) -> list[str]:
    mixed = any(gate != "mlp" for gate in tokens.gates)
    words = [f"{tokens.mixer} mixer" if tokens.mixer in ("shared", "adaptive") else tokens.mixer]
    words = words * mixed + [f"windows of {tokens.window}"] * bool(tokens.window)
    words += [f"drops {tokens.prune:.0%} of tokens"] * bool(tokens.prune)
    words += [f"rank {tokens.rank:.0%}"] * (tokens.rank < 1)
    words += ["prunes queries"] * tokens.prune_queries
    words += ["prunes dependencies"] * tokens.prune_dependencies
    return words + ["GRPE"] * tokens.grpe
