import numpy as np
import torch
from scipy.special import softmax
from torch import nn

from trainers.inference import Ensemble


class Constant(nn.Module):
    def __init__(self, *logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits).view(1, -1, 1, 1, 1))

    def forward(self, x):
        return self.logits.expand(len(x), -1, *x.shape[2:])


X = torch.zeros(2, 1, 4, 4, 4)


def test_probabilities_are_averaged_not_logits():
    first, second = Constant(9.0, 0.0, 0.0), Constant(0.0, 1.0, 0.5)
    found = Ensemble([first, second])(X).softmax(1)[0, :, 0, 0, 0]
    expected = (softmax([9.0, 0.0, 0.0]) + softmax([0.0, 1.0, 0.5])) / 2
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)


def test_an_ensemble_of_one_is_that_network():
    torch.manual_seed(0)
    network, x = nn.Conv3d(1, 4, 3, padding=1), torch.randn(2, 1, 8, 8, 8)
    ours, theirs = Ensemble([network])(x), network(x)
    torch.testing.assert_close(ours.softmax(1), theirs.softmax(1))
    assert torch.equal(ours.argmax(1), theirs.argmax(1))


def test_large_logits_stay_finite():
    found = Ensemble([Constant(500.0, -500.0), Constant(-500.0, 500.0)])(X)
    assert found.isfinite().all()
    torch.testing.assert_close(found.softmax(1), torch.full_like(found, 0.5))
