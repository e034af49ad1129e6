"""Random numbers go on where a checkpoint has them, on whatever device."""

import pytest
import torch

from trainers.random_state import random_state, restore_random_state

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def gpu(monkeypatch):
    """A generator for a GPU that this machine may not have."""
    generator = torch.Generator()
    generator.manual_seed(5)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda _: generator.get_state())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, _: generator.set_state(state))
    return generator


def drawn(generator=None):
    return torch.rand(4, generator=generator).tolist()


def test_both_generators_of_a_training_on_a_gpu_go_on(gpu):
    state = random_state(CUDA)
    expected = drawn(), drawn(gpu)
    torch.manual_seed(99)
    gpu.manual_seed(99)
    restore_random_state(state, CUDA)
    assert (drawn(), drawn(gpu)) == expected


@pytest.mark.parametrize(("saved", "device"), [(CPU, CUDA), (CUDA, CPU)])
def test_a_training_that_changes_its_device_goes_on(gpu, saved, device):
    state = random_state(saved)
    expected, own = drawn(), gpu.get_state()
    restore_random_state(state, device)
    assert drawn() == expected
    assert torch.equal(gpu.get_state(), own)
