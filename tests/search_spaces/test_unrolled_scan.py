"""The scan of exported networks, beside a loop over the tokens."""

import pytest
import torch

from search_spaces.blocks.mamba import Mamba
from search_spaces.blocks.unrolled_scan import unrolled_scan


def by_token(x, dt, a, b, c, start):
    """h_t = exp(dt_t a) h_{t-1} + b_t x_t, one token after the other."""
    h = torch.zeros(x.shape[0], x.shape[2], a.shape[1])
    made = []
    for t in range(x.shape[1]):
        decay = (dt[:, t, :, None] * a).exp()
        if start is not None:
            decay = decay * (~start[:, t])[:, None, None]
        h = decay * h + b[:, t, None, :] * x[:, t, :, None]
        made.append((h * c[:, t, None, :]).sum(-1))
    return torch.stack(made, 1)


@pytest.mark.parametrize("length", [1, 5, 64, 65, 150])
@pytest.mark.parametrize("starts", [False, True])
def test_it_is_the_recurrence(length, starts):
    torch.manual_seed(0)
    x, dt = torch.randn(2, length, 3), torch.rand(2, length, 3)
    a, b, c = -torch.rand(3, 4), torch.randn(2, length, 4), torch.randn(2, length, 4)
    start = torch.rand(2, length) < 0.1 if starts else None
    made = unrolled_scan(x, dt, a, b, c, start)
    torch.testing.assert_close(made, by_token(x, dt, a, b, c, start), rtol=1e-4, atol=1e-5)


def test_a_traced_mamba_takes_any_batch():
    torch.manual_seed(0)
    mamba = Mamba(8).eval()
    with torch.no_grad():
        traced = torch.jit.trace(mamba, torch.randn(2, 70, 8), check_trace=False)
        for batch in (1, 2, 5):
            z = torch.randn(batch, 70, 8)
            torch.testing.assert_close(traced(z), mamba(z), rtol=1e-4, atol=1e-5)
