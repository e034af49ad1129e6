"""What a block may offer is found by its name, whoever wrote the block."""

import pytest
import torch
from torch import nn

from search_spaces.blocks.gated_layer import GatedLayer
from search_spaces.hybrid import Hybrid, Layer, TokenStage
from search_spaces.offers import assume_kept, counts_itself, fixes_patch, is_gated, own_rule
from search_spaces.registry import all_presets, find_preset


class Own(nn.Module):
    """A block of somebody else's."""

    fixes_patch = True

    def __init__(self):
        super().__init__()
        self.mixer_norm, self.mixer = nn.LayerNorm(4), nn.Linear(4, 4)
        self.mlp_norm = self.mlp = None
        self.assumed_kept = 1.0

    def macs_beside_children(self, inputs, output):
        return 7

    def own_macs(self, *inputs):
        return {"own": 7}


def test_a_block_of_one_s_own_is_found_by_what_it_offers():
    network = nn.Sequential(nn.Linear(4, 4), Own())
    assert own_rule(Own)(network[1], (), None) == 7
    assert counts_itself(Own)
    assert fixes_patch(network)
    assert is_gated(network[1])
    assert assume_kept(network, 0.25)
    assert network[1].assumed_kept == 0.25


def test_a_plain_block_offers_nothing():
    network = nn.Sequential(nn.Linear(4, 4))
    assert own_rule(nn.Linear) is None
    assert not counts_itself(nn.Linear)
    assert not fixes_patch(network)
    assert not is_gated(network[0])
    assert not assume_kept(network, 0.25)


def windowed(**choices):
    return Hybrid(
        token_stages=1, tokens=(TokenStage(layers_count=1, layers=(Layer(),), **choices),)
    )


@pytest.mark.parametrize(
    ("architecture", "fixed"),
    [
        (windowed(), False),
        (windowed(window=2), True),  # windows are cut to the grid in Python
        (windowed(mixer="mamba"), True),  # so is the scan, step by step
        (windowed(mixer="adaptive", prune_queries=True), False),
        (find_preset("deploylite-s"), True),
        (find_preset("lightmedseg"), False),
    ],
)
def test_whose_python_runs_by_the_sizes_fixes_the_patch(architecture, fixed):
    assert fixes_patch(architecture.build(1, 2)) == fixed


def test_a_gated_layer_is_one_whatever_its_gate_kept():
    assert is_gated(GatedLayer(4, None, None))
    assert is_gated(GatedLayer(4, nn.Linear(4, 4), nn.Linear(4, 4)))


STAGED = [name for name, preset in all_presets().items() if preset.space != "baselines"]


@pytest.mark.parametrize("name", STAGED)
def test_the_stages_of_an_encoder_are_passed_in_their_order(name):
    preset = find_preset(name)
    with torch.device("meta"):
        network = preset.build(2, 3).eval()
    holder = next(m for m in network.modules() if hasattr(m, "encoder_stages"))
    stages, called = holder.encoder_stages(), []
    for place, stage in enumerate(stages):
        for part in stage:
            if isinstance(part, nn.Module):
                part.register_forward_hook(lambda *_, place=place: called.append(place))
    x = torch.empty(1, 2, *[2 * stride for stride in preset.strides()], device="meta")
    with torch.no_grad():
        network(x)
    assert called == sorted(called)
    assert set(called) == set(range(len(stages)))
    parameters = [id(p) for stage in stages for part in stage for p in _parameters(part)]
    assert len(parameters) == len(set(parameters))


def _parameters(part):
    return [part] if isinstance(part, nn.Parameter) else part.parameters()
