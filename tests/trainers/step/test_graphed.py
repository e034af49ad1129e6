"""The order of warm-up, capture and replay, by graphs of a CPU: they do the work anew each time."""

import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from trainers.config import TrainConfig
from trainers.errors import GpuLostError
from trainers.step import CaptureMark, EagerStep, GraphedStep, ScheduledOptimizer

CPU = torch.device("cpu")
CONFIG = TrainConfig(patch=(4, 4, 4), epochs=1, steps_per_epoch=12, learning_rate=0.05)
NO_MARK = CaptureMark(None)


class Recorder:
    """Graphs of the CPU. `faults` are raised, by the name of the call."""

    def __init__(self, calls, faults=None, few=False):
        self.calls, self.faults, self.few = calls, faults or {}, few

    def warm_up(self):
        self._call("warm")
        return nullcontext()

    def capture(self, work):
        self._call("capture")
        return lambda: (self._call("replay"), work())

    def copy(self, pairs):
        for target, source in pairs:
            target.copy_(source)

    def check(self):
        self._call("check")

    def scarce(self):
        return self.few

    def _call(self, name):
        self.calls.append(name)
        if name in self.faults:
            raise self.faults[name]


class OnePass(nn.Module):
    """A mean over patches, of a network with a memory of its own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2)
        self.last = nn.Conv3d(2, 1, 1)

    def forward(self, images, labels):
        return (self.last(self.norm(self.first(images)).tanh()) - labels).square().mean()


def steps(accumulate=1, calls=None, mark=NO_MARK, told=None, one_pass=None, **recorder):
    """A graphed step, and an eager one of equal weights."""
    one_pass = one_pass or OnePass()
    eager, inner = (
        EagerStep(
            one_pass=module,
            optimizer=ScheduledOptimizer(module.parameters(), CONFIG, CPU),
            device=CPU,
            accumulate=accumulate,
            pause=pause,
        )
        for module, pause in (
            (copy.deepcopy(one_pass), lambda: None),
            (one_pass, lambda: None if calls is None else calls.append("pause")),
        )
    )
    calls, told = [] if calls is None else calls, [] if told is None else told
    return GraphedStep(inner, lambda: Recorder(calls, **recorder), mark, told.append), eager


def batches(count, size=5):
    torch.manual_seed(1)
    shape = (size, 1, 4, 4, 4)
    return [(torch.randn(shape), torch.randint(3, (size, 1, 2, 2, 2))) for _ in range(count)]


def same_as_eager(graphed, eager, taken):
    """Take the steps; losses, weights and buffers are equal."""
    for batch in taken:
        assert torch.equal(graphed(*batch), eager(*batch))
    ours, theirs = (s.one_pass.state_dict() for s in (graphed._eager, eager))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(("accumulate", "captures"), [(1, 2), (2, 3), (5, 6)])
def test_a_step_warms_up_is_captured_once_and_replayed(accumulate, captures):
    calls = []
    graphed, eager = steps(accumulate, calls)
    same_as_eager(graphed, eager, batches(3))
    assert calls == ["warm", *["pause"] * accumulate] * 3
    calls.clear()
    same_as_eager(graphed, eager, batches(2))
    replayed = ["pause", "replay"] * accumulate + ["replay"]  # each pass, then the update
    assert calls == ["capture"] * captures + replayed + ["check"] + replayed


def test_a_loss_is_not_overwritten_by_the_next_step():
    graphed, _ = steps()
    losses = [graphed(*batch) for batch in batches(6)]
    assert len({float(loss) for loss in losses}) == 6


@pytest.mark.parametrize("error", [RuntimeError("first\nsecond"), torch.OutOfMemoryError("first")])
def test_where_a_capture_fails_steps_are_eager_and_the_reason_is_told(tmp_path, error):
    calls, told, mark = [], [], CaptureMark.beside(tmp_path / "a.pt")
    graphed, eager = steps(calls=calls, told=told, mark=mark, faults={"capture": error})
    same_as_eager(graphed, eager, batches(6))
    assert told == ["a step could not be captured: first"]
    assert mark.reason == told[0]
    assert calls.count("capture") == 1
    graphed.forget()
    same_as_eager(graphed, eager, batches(4))
    assert calls.count("capture") == 1


def test_a_lost_gpu_is_raised_and_the_next_process_knows(tmp_path):
    mark, told = CaptureMark.beside(tmp_path / "a.pt"), []
    broken = {"capture": RuntimeError("illegal"), "check": RuntimeError("lost")}
    graphed, _ = steps(mark=mark, told=told, faults=broken)
    with pytest.raises(GpuLostError, match=r"captured: illegal, .* GPU any more \(lost\); begin"):
        [graphed(*batch) for batch in batches(4)]
    assert mark.reason == "a step could not be captured: illegal"
    assert told == []


def test_a_captured_step_that_breaks_the_gpu_is_no_success(tmp_path):
    mark = CaptureMark.beside(tmp_path / "a.pt")
    graphed, _ = steps(mark=mark, faults={"check": RuntimeError("lost")})
    with pytest.raises(GpuLostError, match="a captured step could not be replayed"):
        [graphed(*batch) for batch in batches(4)]
    assert mark.reason is not None


def test_the_mark_is_there_while_a_step_is_captured_and_gone_afterwards(tmp_path):
    mark, seen = CaptureMark.beside(tmp_path / "folder" / "a.pt"), []

    class Looking(Recorder):
        def capture(self, work):
            seen.append(mark.reason)
            return super().capture(work)

    graphed, _ = steps(mark=mark)
    graphed._graphs = Looking([])
    taken = batches(4)
    [graphed(*batch) for batch in taken[:3]]
    assert mark.reason is None
    graphed(*taken[3])
    assert seen == ["the process ended while a step was captured"] * 2
    assert mark.reason is None
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_changed_network_is_warmed_up_and_captured_anew():
    calls, one_pass = [], OnePass()
    one_pass.last.requires_grad_(False)
    graphed, eager = steps(calls=calls, one_pass=one_pass)
    same_as_eager(graphed, eager, batches(5))
    for step in (graphed._eager, eager):
        step.one_pass.last.requires_grad_()
    graphed.forget()
    assert one_pass.first.weight.grad is None  # its memory was the graphs'
    calls.clear()
    before = one_pass.last.weight.clone()
    same_as_eager(graphed, eager, batches(5))
    assert [name for name in calls if name in ("warm", "capture")] == ["warm"] * 3 + ["capture"] * 2
    assert not torch.equal(one_pass.last.weight, before)


@pytest.mark.parametrize("few", [False, True])
def test_graphs_make_room_where_memory_is_scarce(few):
    calls = []
    graphed, _ = steps(calls=calls, few=few)
    for batch in batches(4):
        graphed(*batch)
    calls.clear()
    graphed.make_room()
    graphed(*batches(1)[0])
    assert calls[0] == ("warm" if few else "pause")
