import contextlib
import copy

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from torch import nn

from tests.trainers.test_trainer import network, trainer
from trainers.config import DistillationConfig
from trainers.distillation import Distillation, softened_divergence

LABELS = torch.zeros(2, 1, 8, 8, 8)


def term(teacher, **config):
    return Distillation(teacher, DistillationConfig(**config), contextlib.nullcontext)


def test_the_divergence_is_scipys_times_the_squared_temperature():
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(2, 2, 4, 3, 3, 3))
    p, q = (softmax(logits / 2.0, axis=1) for logits in (teacher, student))
    expected = 4.0 * rel_entr(p, q).sum(1).mean()
    found = softened_divergence(torch.tensor(student), torch.tensor(teacher), 2.0)
    assert float(found) == pytest.approx(expected)


def test_a_student_like_its_teacher_has_nothing_to_learn():
    student = network().eval()
    images = torch.randn(2, 1, 8, 8, 8)
    learn = term(copy.deepcopy(student), weight=1.0)
    with torch.no_grad():
        loss = learn(torch.tensor(5.0), images, student(images), LABELS)
    assert abs(float(loss)) < 1e-6


def test_the_weight_is_the_teachers_share():
    images, logits = torch.randn(2, 1, 8, 8, 8), torch.randn(2, 4, 8, 8, 8)
    loss, teacher = torch.tensor(3.0), nn.Conv3d(1, 4, 1)
    soft = float(softened_divergence(logits, teacher(images), 3.0))
    assert soft > 0.01
    for weight in (0.0, 0.25, 1.0):
        found = term(teacher, weight=weight, temperature=3.0)(loss, images, logits, LABELS)
        assert float(found) == pytest.approx((1 - weight) * 3.0 + weight * soft, rel=1e-5)


def test_the_teacher_is_not_trained(phantom):
    teacher = network()
    before = copy.deepcopy(teacher.state_dict())
    learn = term(teacher)
    trainer(phantom, terms=[learn]).run_epoch()
    assert not teacher.training
    assert not list(learn.parameters()) and not learn.state_dict()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(torch.equal(before[name], now) for name, now in teacher.state_dict().items())


def test_only_a_teacher_makes_a_student_alike():
    """200 steps on soft targets alone, whose labels say nothing."""
    torch.manual_seed(0)
    images, teacher, student = torch.randn(2, 1, 6, 6, 6), nn.Conv3d(1, 4, 1), nn.Conv3d(1, 4, 1)
    learn = term(teacher, weight=1.0)
    optimizer = torch.optim.Adam(student.parameters(), 0.05)
    for _ in range(200):
        loss = learn(torch.tensor(0.0), images, student(images), LABELS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    ours, theirs = student(images).softmax(1), teacher(images).softmax(1)
    assert (ours - theirs).abs().max() < 0.02
