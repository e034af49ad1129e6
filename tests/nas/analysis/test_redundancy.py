"""What the probe sees in a running network, and which gates are proposed to be closed."""

from functools import cache

import pytest
import torch
from torch import nn

from nas.analysis.redundancy.analysis import Redundancy, SubLayer
from nas.analysis.redundancy.layer_hooks import Probe, gated_layers, kept_parts
from nas.analysis.redundancy.pruning_proposal import check_count, gate_paths, propose
from nas.analysis.redundancy.similarity import Scores, Similarity
from nas.cost.count import count_params
from search_spaces.blocks.gated_layer import GatedLayer
from search_spaces.blocks.mlp import MLP
from search_spaces.hybrid import Hybrid, Layer, TokenStage
from search_spaces.registry import all_spaces
from trainers.errors import UserError


def compared(x, y):
    found = Similarity()
    found.update(x, y)
    return found


# The probe


class Mix(nn.Linear):
    """A token mixer that mixes nothing."""

    def forward(self, z, size=None):
        return super().forward(z)


class Drop(nn.Module):
    """Leaves half of the tokens out."""

    def forward(self, z):
        return z[:, ::2]


class Toy(nn.Module):
    """Two blocks of layers, built in the other order than they run in."""

    def __init__(self, between=None):
        super().__init__()
        torch.manual_seed(0)
        self.deep = nn.ModuleList([GatedLayer(6, None, MLP(6, 12)), GatedLayer(6, None, None)])
        self.shallow = nn.ModuleList(GatedLayer(6, Mix(6, 6), MLP(6, 12)) for _ in range(2))
        self.between = between or nn.Identity()

    def forward(self, z):
        z = self.shallow[1](self.between(self.shallow[0](z, None)), None)
        return self.deep[1](self.deep[0](z))


@pytest.mark.parametrize("output", ["residual", "branch"])
def test_the_probe_sees_what_the_layers_compute(output):
    toy = Toy()
    batches = [torch.randn(2, 9, 6) for _ in range(3)]
    with Probe(toy, output) as probe, torch.no_grad():
        for batch in batches:
            toy(batch)

    layer, x = toy.shallow[0], torch.cat(batches)
    with torch.no_grad():
        z = layer.mixer_norm(x)
        mixed = x + layer.mixer(z)
        w = layer.mlp_norm(mixed)
        out = mixed + layer.mlp(w)
        block = toy.shallow[1](out)
    expected = {
        "residual": [(x, mixed), (z, z + mixed - x), (mixed, out), (w, w + out - mixed)],
        "branch": [(x, mixed - x), (z, mixed - x), (mixed, out - mixed), (w, out - mixed)],
    }[output]
    found = [*probe.parts["shallow.0", "mixer"], *probe.parts["shallow.0", "mlp"]]
    for sums, (a, b) in zip(found, expected, strict=True):
        assert sums.tokens == 54
        assert sums.angular() == pytest.approx(compared(a, b).angular(), abs=1e-6)
        assert sums.cka() == pytest.approx(compared(a, b).cka(), abs=1e-5)
    whole = probe.layers["shallow.0"].scores()
    assert whole.angular == pytest.approx(compared(x, out).angular(), abs=1e-6)
    assert probe.blocks["shallow"].cka() == pytest.approx(compared(x, block).cka(), abs=1e-5)


def test_layers_are_listed_as_they_run_and_not_watched_afterwards():
    toy = Toy()
    with Probe(toy) as probe, torch.no_grad():
        toy(torch.randn(1, 4, 6))
    assert list(probe.layers) == ["shallow.0", "shallow.1", "deep.0", "deep.1"]
    assert list(probe.blocks) == ["shallow", "deep"]
    assert [len(kept_parts(toy.get_submodule(name))) for name in probe.layers] == [2, 2, 1, 0]
    both = [(f"shallow.{i}", part) for i in (0, 1) for part in ("mixer", "mlp")]
    assert set(probe.parts) == {*both, ("deep.0", "mlp")}
    toy(torch.randn(1, 4, 6))
    assert probe.blocks["deep"].tokens == 4


def test_the_convolutions_between_encoder_and_decoder_are_the_contrast():
    class Convolutional(nn.Module):
        def __init__(self):
            super().__init__()
            self.bottleneck = nn.Conv3d(2, 2, 1, bias=False)

        def forward(self, x):
            return self.bottleneck(x)

    network = Convolutional()
    network.bottleneck.weight.data = torch.tensor([[0.0, -1.0], [1.0, 0.0]])[..., None, None, None]
    with Probe(network) as probe, torch.no_grad():
        network(torch.randn(2, 2, 3, 4, 5))
    assert probe.bottleneck.tokens == 120
    scores = probe.bottleneck.scores()  # of a rotation by 90 degrees
    assert (scores.angular, scores.cka) == (pytest.approx(0.5), pytest.approx(1))


def test_a_closed_layer_changes_nothing():
    toy = Toy()
    with Probe(toy) as probe, torch.no_grad():
        toy(torch.randn(2, 4, 6))
    assert probe.layers["deep.1"].angular() == pytest.approx(1, abs=1e-7)


def test_a_block_that_loses_tokens_has_no_similarity_of_its_own():
    toy = Toy(between=Drop())
    with Probe(toy) as probe, torch.no_grad():
        toy(torch.randn(2, 8, 6))
    assert probe.blocks["shallow"].scores() == Scores(None, None)
    assert probe.blocks["deep"].tokens == 8
    assert probe.layers["shallow.1"].tokens == 8


# The proposal

GATES = (("both", "mlp"), ("both", "none", "both"))  # the deepest level first
POINT = Hybrid(
    width=4,
    growth=1.5,
    convs=1,
    token_stages=2,
    tokens=tuple(
        TokenStage(layers_count=len(gates), layers=tuple(Layer(gate=gate) for gate in gates))
        for gates in GATES
    ),
)


def sublayer(layer, part, value):
    return SubLayer(layer, part, 1, 1, Scores(value, value), Scores(0.0, 0.0), params=1)


def test_the_most_redundant_sublayers_come_first():
    parts = [sublayer("a", "mixer", v) for v in (0.5, 0.9, None, 0.7)]
    ranked = Redundancy("residual", ("v",), (), (), tuple(parts)).ranked()
    assert [part.redundancy for part in ranked] == [0.9, 0.7, 0.5]


def test_the_gates_of_the_first_in_rank_are_closed():
    network = POINT.build(1, 2)
    ranked = [
        sublayer("tokens.2.layers.0", "mlp", 0.9),
        sublayer("tokens.1.layers.1", "mixer", 0.8),
        sublayer("tokens.1.layers.1", "mlp", 0.7),
        sublayer("tokens.2.layers.1", "mlp", 0.6),
    ]
    proposal = propose(POINT, network, ranked, 3)
    assert proposal.closed == tuple(ranked[:3])
    deep, shallow = proposal.architecture.tokens
    assert [layer.gate for layer in deep.layers] == ["mixer", "mlp"]
    assert [layer.gate for layer in shallow.layers] == ["both"]  # the closed one is dropped
    assert proposal.architecture == proposal.architecture.canonical()


@cache
def gated_points():
    """A preset with gated layers of every space whose architectures have gates, and POINT."""
    points = {"two stages": POINT}
    for space in all_spaces().values():
        if any(knob.name.split(".")[-1] == "gate" for knob in space.knobs()):
            points[space.name] = next(p for p in space.presets().values() if full_layers(built(p)))
    return points


def built(point):
    with torch.device("meta"):
        return point.build(1, 2)


def full_layers(network):
    return {name: m for name, m in gated_layers(network).items() if len(kept_parts(m)) == 2}


@pytest.mark.parametrize("name", gated_points())
def test_every_gate_is_that_of_its_layer(name):
    """Closing it takes away the parameters of that very sub-layer."""
    point = gated_points()[name]
    network = built(point)
    for layer, module in full_layers(network).items():
        for part in kept_parts(module):
            proposal = propose(point, network, [sublayer(layer, part, 1.0)], 1)
            gone = sum(count_params(getattr(module, name)) for name in (part, f"{part}_norm"))
            left = count_params(built(proposal.architecture))
            assert count_params(network) - left == gone, (layer, part)


def test_layers_without_gates_get_no_proposal():
    network = POINT.build(1, 2)
    network.extra = GatedLayer(4, None, MLP(4, 8))
    assert gate_paths(POINT, network) == {}
    assert propose(POINT, network, [sublayer("extra", "mlp", 1.0)], 1) is None


def test_about_a_quarter_goes_unless_told():
    assert [check_count(None, n) for n in (1, 2, 6, 8, 16)] == [1, 1, 2, 2, 4]
    assert check_count(8, 8) == 8
    for count in (0, 9):
        with pytest.raises(UserError, match=rf"--prune {count}: expected 1 to 8"):
            check_count(count, 8)
