"""Average pooling in half precision, which a CPU has no kernel for."""

import pytest
import torch
from torch.nn import functional

from search_spaces.blocks.average_pool import AvgPool3d, avg_pool3d

X = torch.arange(2.0 * 4 * 4 * 6).view(1, 2, 4, 4, 6) / 7


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_the_mean_is_rounded_once(half):
    x = X.to(half)
    expected = functional.avg_pool3d(x.float(), 2).to(half)
    assert torch.equal(avg_pool3d(x, 2), expected)
    assert torch.equal(AvgPool3d(2)(x), expected)


def test_elsewhere_it_is_torchs_own():
    assert torch.equal(AvgPool3d((1, 2, 2))(X), functional.avg_pool3d(X, (1, 2, 2)))
    x = X.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert avg_pool3d(x, 2).dtype == functional.avg_pool3d(x, 2).dtype == torch.float32
