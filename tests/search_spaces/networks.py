"""Short ways to write and to count the networks of the spaces."""

import torch

from search_spaces.hybrid import Hybrid, Layer, TokenStage


def tokens(*gates, **choices):
    """A stage of layers with these gates."""
    layers = tuple(Layer(gate=gate) for gate in gates)
    return TokenStage(layers_count=len(gates), layers=layers, **choices)


def with_tokens(*stages, **choices):
    """A network with these token stages, the deepest first."""
    return Hybrid(token_stages=len(stages), tokens=stages, **choices)


def params(module):
    """How many parameters a module has."""
    return sum(p.numel() for p in module.parameters())


def params_of(architecture, in_channels=1, out_channels=2):
    """How many its network has, which is not built in memory."""
    with torch.device("meta"):
        return params(architecture.build(in_channels, out_channels))
