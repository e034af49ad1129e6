"""Networks without values, and the operators in which there is nothing to count."""

import pytest
import torch

from nas.cost.torch_counter import is_free
from search_spaces.meta_network import build_on_meta
from search_spaces.registry import find_preset

aten = torch.ops.aten


def test_parameters_have_their_shapes_and_no_values():
    network = build_on_meta(find_preset("swin-unetr-s"), 1, 2)
    real = find_preset("swin-unetr-s").build(1, 2)
    shapes = {name: p.shape for name, p in network.named_parameters()}
    assert shapes == {name: p.shape for name, p in real.named_parameters()}
    assert all(p.is_meta for p in network.parameters())


@pytest.mark.parametrize(
    ("operator", "free"),
    [
        (aten.add.Tensor, True),
        (aten.gelu.default, True),
        (aten.sum.dim_IntList, True),
        (aten.view.default, True),
        (aten.native_group_norm.default, True),
        (aten.upsample_trilinear3d.default, True),
        (aten.max_pool3d_with_indices.default, True),
        (aten.mv.default, False),
        (aten.dot.default, False),
        (aten._cdist_forward.default, False),
        (aten.linalg_inv_ex.default, False),
        (aten._fft_r2c.default, False),
        (aten.grid_sampler_3d.default, False),
    ],
)
def test_operators_that_multiply_nothing_are_known(operator, free):
    assert is_free(operator) == free
