"""What a compressed network is trained with: the teacher's features, and int8's rounding."""

import pytest
import torch
from torch import nn

from trainers.errors import UserError
from trainers.fake_quantise import fake_quantise
from trainers.feature_distillation import FeatureDistillation, attention_gap


class Staged(nn.Module):
    """Two stages of convolutions, which it offers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv3d(1, width, 3), nn.Conv3d(width, width, 2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.second(self.first(x))
        return y

    def encoder_stages(self) -> list[list[nn.Module]]:
        return [[self.first], [self.second]]


def test_attention_maps_agree_whatever_the_channels_and_the_scale() -> None:
    f = torch.rand(2, 3, 4, 4, 4)
    wide = 5 * torch.cat([f, f], dim=1)
    assert float(attention_gap(f, wide)) == pytest.approx(0, abs=1e-6)
    a, b = torch.zeros(1, 1, 2, 2, 2), torch.zeros(1, 1, 2, 2, 2)
    a[..., 0], b[..., 1] = 1, 1  # they lie apart: two orthogonal maps of length 1
    assert float(attention_gap(a, b)) == pytest.approx(2)


def test_the_teacher_s_features_draw_the_student_to_them() -> None:
    torch.manual_seed(0)
    student, teacher = Staged(2).train(), Staged(4).eval()
    term, x = FeatureDistillation(student, teacher, 3.0), torch.randn(1, 1, 10, 10, 10)
    zero = torch.zeros(())
    values = []
    for _ in range(30):
        with torch.no_grad():
            teacher(x)
        loss = term(zero, x, student(x), zero)
        values.append(float(loss.detach()))
        student.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in student.parameters():
                if p.grad is not None:
                    p -= 0.1 * p.grad
    assert values[-1] < 0.7 * values[0]
    with torch.no_grad():
        teacher(x)
    maps = student.first(x), teacher.first(x)
    seconds = student.second(maps[0]), teacher.second(maps[1])
    expected = 3 * (attention_gap(*maps) + attention_gap(*seconds)) / 2
    teacher(x)
    assert float(term(zero, x, student(x), zero)) == pytest.approx(float(expected), rel=1e-4)


def test_a_network_without_stages_is_refused() -> None:
    with pytest.raises(UserError, match="student offers no stages"):
        FeatureDistillation(nn.Conv3d(1, 1, 1), Staged(2), 1.0)


def test_rounded_layers_compute_with_256_values_and_keep_their_weights() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 2)).train()
    x = torch.tensor([[-1.0, 0.5, 3.0]])
    names, weight = list(network.state_dict()), network[0].weight.detach().clone()
    assert fake_quantise(network) == 1
    assert list(network.state_dict()) == names
    scale = 4 / 255  # of -1 to 3
    zero = round(1 / scale)
    seen = ((x / scale).round() + zero).clamp(0, 255).sub(zero) * scale
    steps = weight.abs().amax(1, keepdim=True) / 127
    rounded = (weight / steps).round() * steps
    torch.testing.assert_close(network(x), seen @ rounded.T + network[0].bias)
    assert torch.equal(network[0].weight, weight)
    network(x).sum().backward()
    assert network[0].weight.grad is not None and bool(network[0].weight.grad.any())
    wider = network.eval()(10 * x)  # clipped: the range is that of training
    assert float((wider - network(x * 4)).abs().max()) < float((10 * x).abs().max())


def test_convolutions_of_a_volume_are_rounded_too() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv3d(2, 4, 3, padding=1)).eval()
    x = torch.randn(1, 2, 6, 6, 6)
    expected = plain(x).detach()
    fake_quantise(plain.train())
    found = plain(x).detach()
    gap = float((found - expected).abs().max() / expected.abs().max())
    assert 0 < gap < 0.05
