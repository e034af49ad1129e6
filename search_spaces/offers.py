"""What a block, a network or an architecture may offer besides what it must.

Everything here is optional and found by its name, so that a class of your own needs to inherit
nothing and no other package needs to hear of it. Shapes: B batch, C channels, S spatial axes.

On any module of a network:

- `macs_beside_children(inputs, output) -> int`: multiply-accumulates of one call that the module
  does itself, without those of the modules inside it that are called. `inputs` are the positional
  ones, `output` is what it returned. For products of tensors, such as those of attention, and for
  weights of a child that is not called.
- `own_macs(*inputs) -> {name: int}`: all multiply-accumulates of one call, by name; nothing inside
  the module is counted then. For what no operator shows, such as a recurrence.
- `assumed_kept: float`: the input decides how many queries are computed; on the meta device, where
  there is nothing to decide by, this share of them. Costs are told as most and least.
- `fixes_patch = True`: its Python runs by the sizes of its input, so that an exported file takes
  only the patch that it was written with.
- `mixer_norm`, `mixer`, `mlp_norm`, `mlp`: a gated layer, `z + mixer(mixer_norm(z))`, then
  `z + mlp(mlp_norm(z))`; each a module, or None where a gate left it out. `segnas redundancy`
  measures it; where the architecture has a field `gate` for each of them, in the order in which
  they are built, it proposes gates to close.
- `prunable() -> {name: Units}`: units that can be taken out of it whole, such as heads, and where
  their weights lie (`search_spaces.blocks.prunable`). `segnas compress` prunes them.
- `begin_training(epochs: int)`: called with the epochs of the whole schedule before the first.
- `begin_epoch(epoch: int)`: called before every epoch of training with the number of those before.
- `capturable = False`: what its training pass does depends on values, which Python has to read, or
  it changes Python's state. No CUDA graph can repeat that; steps are then taken eagerly.

On any module, for `segnas explain`, which draws what a trained network decides, and puts other
things in the place of its decisions. A mechanism is a name, and modules that use the same one are
one mechanism:

- `shows(inputs, output) -> {mechanism: values}`: what one eval call decided; `inputs` are the
  positional ones. Values are {name: tensor}, a number for every voxel, (B, *S) over the whole
  input at any resolution, or for every token, (B, N). A single one is drawn by its strength;
  several, which sum to one, as a mixture of colours. Tokens fill the map of the last convolution
  before, in row-major order, and one token more than that has voxels is a class token in front;
  other tokens are not drawn. Or the values are one tensor (B, K, axes): points, 0 to 1 along each
  axis of the input, the middle of voxel i of n at i / n. What a module shows stands for what
  modules inside it show.
- `replacements() -> {mechanism: {by what: replace}}`: what tells whether a mechanism is worth it.
  `replace(inputs, output, mean) -> output` gives in the place of a call's output one that decides
  nothing. `mean` is that of what the module showed over all cases: points (K, axes), or a float for
  each name; None where it showed nothing.
- `spends() -> {mechanism: [module, ...]}`: those whose multiply-accumulates are its price; without
  it the module itself is, for what it has replacements of.

On the network:

- `auxiliary_losses(target) -> {name: tensor}`: scalar terms of the last training pass, which the
  trainer adds to its loss; target: (B, 1, *S), integer labels, negative where a voxel does not
  count. Each pass is asked for once.
- `measured() -> {name: float}`: what it saw of itself in eval passes since the last call. `alpha`
  is the share of queries that was pruned: by it, searches count networks with `assumed_kept`.
- `decoder_stages() -> [(module, channels), ...]`: the decoder's stages that are coarser than the
  logits, the finest first, each giving (B, channels, *S); for deep supervision.
- `encoder_stages() -> [[module or parameter, ...], ...]`: the encoder's stages, from the input to
  the deepest: a resolution of convolutions, or a transformer layer, with what embeds for it. For
  learning rates that decay by layer; what is in none counts as behind them.
- `recompute: bool | None`: whether training computes activations again in the backward pass, which
  saves memory and takes time; None for its own rule. On a GPU with room trainings set it to False.
- `bottleneck`: a child module at the deepest map, that `segnas redundancy` sets beside the layers.

On the architecture: `picture()`, the stages that pages draw, and `spatial_dims`, 2 for a network of
images; see `search_spaces.space`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def own_rule(kind: type[nn.Module]) -> Callable[[Any, tuple[Any, ...], Any], int] | None:
    """`macs_beside_children(module, inputs, output)` of that type of module; None without one."""
    return getattr(kind, "macs_beside_children", None)


def counts_itself(kind: type[nn.Module]) -> bool:
    """Whether modules of that type have `own_macs`."""
    return hasattr(kind, "own_macs")


def assume_kept(network: nn.Module, share: float) -> bool:
    """Have every module whose input decides keep `share` of its queries; whether there is one."""
    deciding = [module for module in network.modules() if "assumed_kept" in vars(module)]
    for module in deciding:
        module.assumed_kept = share  # type: ignore[assignment]
    return bool(deciding)


def fixes_patch(network: nn.Module) -> bool:
    """Whether a module of the network ties an exported file to the patch it was written with."""
    return any(getattr(type(module), "fixes_patch", False) for module in network.modules())


def is_gated(module: nn.Module) -> bool:
    """Whether the module is a gated layer, as `search_spaces.blocks.gated_layer` has one."""
    return all(hasattr(module, name) for name in ("mixer_norm", "mixer", "mlp_norm", "mlp"))
