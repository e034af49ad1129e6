"""A network of one space in the ideas of another.

What the papers' networks have in common with `hybrid` becomes its choices: gates, mixers, windows,
pruning, anchors, ghost convolutions, prior, routed skips, ranks, resolutions, widths. What `hybrid`
does not have is left out. Numbers that it does not offer become the nearest that it does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search_spaces.apformer import APFormer
from search_spaces.baselines import Baseline
from search_spaces.deploylite import DeployLite, TokenLevel
from search_spaces.fitting import nearest
from search_spaces.hybrid import Hybrid, Layer, TokenStage
from search_spaces.lightmedseg import LightMedSeg
from search_spaces.registry import find_space
from search_spaces.slimformer import SlimBlock, SlimFormer
from search_spaces.space import Architecture, ArchitectureError, Part, SearchSpace, knobs
from search_spaces.token_sparse import TokenSparse

if TYPE_CHECKING:
    from search_spaces.blocks.gated_layer import Gate

STAGES = 2  # levels of `hybrid` that may have tokens


def translate(architecture: Architecture, space: SearchSpace) -> Architecture:
    """The network as a point of `space`: itself, by either space's own `translate`, or as below.

    Raises ArchitectureError where there is no translation.
    """
    return _translated(architecture, space).with_axes(space.axes)


def _translated(architecture: Architecture, space: SearchSpace) -> Architecture:
    if architecture.space == space.name:
        return architecture
    for side in (find_space(architecture.space), space):
        found = side.translate(architecture, space.name) if side.translate else None
        if found is not None and found.space != space.name:
            raise ArchitectureError(
                f"{side.name} translates it into {found.space}, not {space.name}"
            )
        if found is not None:
            return found
    if space.name == Hybrid.space and (known := _TO_HYBRID.get(type(architecture))):
        return known(architecture)
    sources = ", ".join(kind.space for kind in _TO_HYBRID)
    raise ArchitectureError(
        f"a network of {architecture.space} cannot be translated into {space.name}; there are "
        f"translations from {sources} into {Hybrid.space}, and a space may bring its own "
        "(SearchSpace.translate)"
    )


def from_lightmedseg(a: LightMedSeg) -> Hybrid:
    """Stage for level; the anchors, the prior, the router and the mixing decoder as they are."""
    return _hybrid(
        width=a.width,
        growth=a.growth,
        levels=a.stages,
        stem_stride=a.stem_stride,
        refine=0,
        convs=a.convs,
        residual=False,
        conv=a.conv,
        norm="group",
        skip="routed" if a.router else "concat",
        decoder="adaptive" if a.mixing else "residual",
        prior=a.lspm,
        anchors=a.anchors,
        anchors_head=a.anchors_head,
    )


def from_slimformer(a: SlimFormer) -> Hybrid:
    """Blocks for levels, without the bottleneck; the deepest two blocks keep their layers."""
    blocks = a.canonical().blocks
    return _hybrid(
        *(_slim_stage(block) for block in reversed(blocks[-STAGES:])),
        width=a.width if a.patch == 2 else a.width // 2,
        levels=len(blocks) + (a.patch == 4),
        refine=0,
    )


def _slim_stage(block: SlimBlock) -> TokenStage:
    return _stage(
        block.gates,
        mixer="mamba" if block.mixer == "summary_mamba" else block.mixer,
        window=block.window,
        directions=block.directions,
        mlp_ratio=block.mlp_ratio,
    )


def from_token_sparse(a: TokenSparse) -> Hybrid:
    """A UNETR; the pruning places fix the layers, which are pruned after all but the last two."""
    layers = a.places + 2 if a.prune else a.depth
    stage = _stage(
        ["both"] * layers,
        mlp_ratio=a.mlp_ratio,
        prune=a.prune,
        tau=a.tau,
        noiseless=a.noiseless,
    )
    return _unetr(a.patch, a.features, stage)


def from_apformer(a: APFormer) -> Hybrid:
    """The transformer at the deepest level. Networks of images become ones of volumes."""
    own = a.design == "apformer"
    queries = a.design != "setr" and a.prune_queries
    grpe = own and a.position.startswith("grpe")
    adaptive = queries or a.prune_dependencies or grpe or (own and a.regularise)
    stage = _stage(
        ["both"] * a.layers,
        mlp_ratio=a.mlp_ratio,
        mixer="adaptive" if adaptive else "attention",
        prune_queries=queries,
        confidence=a.confidence,
        prune_dependencies=a.prune_dependencies,
        grpe=grpe,
        regularise=own and a.regularise,
    )
    return _hybrid(
        stage,
        width=a.width,
        levels=a.levels,
        stem_stride=1,
        convs=1 if a.design == "setr" else 2,
        residual=a.design == "transunet",
        norm=a.norm,
        skip="add" if a.design == "setr" else "concat",
    )


def from_deploylite(a: DeployLite) -> Hybrid:
    """Level for level; a stem of stride 4 is one of stride 2 and a level more."""
    deep = a.stem_stride == 4
    return _hybrid(
        *(_light_stage(a, level) for level in a.tokens),
        width=a.width / a.growth if deep else a.width,
        growth=a.growth,
        levels=a.levels + deep,
        stem_stride=min(a.stem_stride, 2),
        refine=0,
        convs=a.convs,
        conv="standard" if a.conv == "standard" else "ghost",
        norm="group",
        skip=a.fusion,
    )


def _light_stage(a: DeployLite, level: TokenLevel) -> TokenStage:
    return _stage(
        ["both"] * level.depth,
        mixer="shared" if a.shared_heads else "attention",
        rank=a.rank_ratio,
        window=level.window,
        mlp_ratio=a.mlp_ratio,
    )


def from_baseline(a: Baseline) -> Hybrid:
    """The same resolutions, units, skips and norms; transformers at the deepest levels."""
    if a.kind == "unetr":
        return _unetr(16, a.width, _stage(["both"] * 12, mlp_ratio=4))
    if a.kind == "swin-unetr":
        stage = _stage(["both"] * 2, window=7, mlp_ratio=4)
        return _hybrid(stage, stage, width=a.swin_width, levels=5, refine=8)
    if a.kind == "segformer3d":
        stage = _stage(["both"] * 2, mlp_ratio=4)
        return _hybrid(stage, stage, width=a.width, levels=5, refine=0)
    if a.kind == "mobile-unet":
        return _hybrid(width=a.width, growth=1.5, levels=5, refine=0, conv="ghost", norm="batch")
    if a.kind == "uxnet":
        return _hybrid(width=a.swin_width, levels=5, stem_stride=1)
    if a.kind == "segresnet":
        return _hybrid(width=a.width, levels=a.levels, stem_stride=1, norm="group", skip="add")
    if a.kind == "nnunet":
        return _hybrid(width=a.width, levels=a.levels, stem_stride=1, residual=False)
    return _hybrid(  # whose last two levels share one resolution
        width=a.width,
        levels=a.levels - 1,
        refine=0,
        convs=max(a.residual_units, 1),
        residual=a.residual_units > 0,
    )


_TO_HYBRID: Mapping[type[Architecture], Callable[[Any], Hybrid]] = {
    LightMedSeg: from_lightmedseg,
    SlimFormer: from_slimformer,
    TokenSparse: from_token_sparse,
    APFormer: from_apformer,
    DeployLite: from_deploylite,
    Baseline: from_baseline,
}


def _unetr(patch: int, width: int, stage: TokenStage) -> Hybrid:
    """Tokens at the resolution of the patches, and full resolution at the top."""
    return _hybrid(stage, width=width, levels=patch.bit_length(), stem_stride=1)


def _hybrid(*stages: TokenStage, **choices: Any) -> Hybrid:
    """The nearest point, with token stages from the deepest level upwards."""
    tokens = stages[:STAGES]
    near = _offered(Hybrid, choices)
    return Hybrid(**near, token_stages=len(tokens), tokens=tokens).canonical()


def _stage(gates: Sequence[Gate], **choices: Any) -> TokenStage:
    """The nearest stage, with the first layers of those."""
    most = max(next(k.options for k in knobs(TokenStage) if k.name == "layers_count"))
    layers = tuple(Layer(gate=gate) for gate in gates[: int(most)])
    return TokenStage(layers_count=len(layers), layers=layers, **_offered(TokenStage, choices))


def _offered(kind: type[Part], choices: Mapping[str, Any]) -> dict[str, Any]:
    options = {knob.name: knob.options for knob in knobs(kind)}
    return {name: nearest(value, options[name]) for name, value in choices.items()}
