from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tests.trainers.test_trainer import trainer
from trainers.data.patches import PatchSampler
from trainers.errors import UserError
from trainers.parallel import Worker


def test_the_workers_parts_make_the_batch():
    patches = np.arange(6)
    parts = [patches[Worker(rank, 3).part(6)].tolist() for rank in range(3)]
    assert parts == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(("batch", "count"), [(3, 2), (1, 2), (2, 3)])
def test_parts_of_different_sizes_are_refused(batch, count):
    with pytest.raises(UserError, match=f"train.batch = {batch} .* {count} workers"):
        Worker(0, count).part(batch)


def test_who_reads_a_part_draws_the_whole_batch(phantom):
    cache, cases = phantom

    def sampler():
        changes = {"noise": 0.1, "scale": 0.1, "offset": 0.1, "flips": (0, 1), "shift": 2}
        return PatchSampler(cache, cases.train, (16, 16, 16), 4, **changes, seed=5)

    one, first, second = sampler(), sampler(), sampler()
    for _ in range(3):
        whole = one.batch()
        parts = zip(first.batch(slice(0, 2)), second.batch(slice(2, 4)), strict=True)
        for all_of_it, part in zip(whole, parts, strict=True):
            assert torch.equal(all_of_it, torch.cat(part))


@pytest.mark.parametrize("seed", [7, 18_446_634, 20_240_101, 2**63 - 1])
def test_other_workers_draw_other_dropout_and_again_the_same(seed):
    def drawn(rank, epoch):
        torch.manual_seed(0)
        Worker(rank, 3).begin_epoch(seed, epoch)
        return torch.rand(3).tolist()

    torch.manual_seed(0)
    alone = torch.rand(3).tolist()
    assert drawn(0, 0) == drawn(0, 1) == alone  # the first goes on with its own
    everyone = [drawn(rank, epoch) for rank in (1, 2) for epoch in (0, 1)]
    assert len({tuple(numbers) for numbers in everyone}) == 4
    assert drawn(1, 1) == everyone[1]


def test_the_dropout_of_small_seeds_is_that_of_version_0_1():
    Worker(1, 2).begin_epoch(7, 2)
    assert torch.initial_seed() == (7 * 1_000_003 + 2) * 1_000_003 + 1


def test_only_the_first_validates_and_saves(phantom, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda value: value.mul_(2))
    for rank, dice in ((1, False), (0, True)):
        worker = Worker(rank, 2)
        training = trainer(phantom, checkpoint=tmp_path / f"{rank}.pt", worker=worker)
        assert (training.run_epoch().dice is not None) is dice
    assert [path.name for path in tmp_path.iterdir()] == ["0.pt"]


@pytest.fixture
def one_process(tmp_path):
    """A group of processes, of which there is one."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def test_gradients_of_what_is_trained_later_are_averaged_too(one_process):
    class Later(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))
            self.later = nn.Parameter(torch.ones(()), requires_grad=False)

        def forward(self, x):
            return (x * self.weight).sum() * self.later

    averaged = []

    def note(_, bucket):
        averaged.extend(bucket.parameters())
        done = torch.futures.Future()
        done.set_result(bucket.buffer())
        return done

    network = Later()
    wrap = partial(DistributedDataParallel, find_unused_parameters=True)
    together = Worker(wrap=wrap).wrapped(network)
    together.register_comm_hook(None, note)
    together(torch.ones(3)).backward()
    assert not network.later.requires_grad and network.later.grad is None
    network.later.requires_grad_(True)
    averaged.clear()
    together(torch.ones(3)).backward()
    assert any(parameter is network.later for parameter in averaged)
    assert network.later.grad == 3
