"""The contract of every evaluator, for an evaluator of your own to prove itself with pytest."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import nn

from nas.engine.evaluator import Evaluator, Workspace
from nas.engine.report import Report
from search_spaces.hybrid import Hybrid
from search_spaces.space import Architecture
from trainers.checkpoint import read_checkpoint
from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.data.config import Preprocess, Split
from trainers.data.phantom_source import PhantomData
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases

SMALL, SMALLER = Hybrid(width=8), Hybrid(width=4)
TRAIN = TrainConfig(patch=(16, 16, 16), epochs=2, steps_per_epoch=2, batch=1)
MOST = 1000  # steps that an evaluation of two epochs may need

Evaluate = Callable[..., list[Report]]


class EvaluatorContract:
    """Tests of one evaluator for pytest to collect.

    Subclass it in a test file, under a name that pytest collects, and write `make`. The networks
    are small and the data are phantoms, so that a test takes a second or two.
    """

    def make(self, train: TrainConfig, seed: int, device: str) -> Evaluator:
        """A new evaluator, as `search.evaluator` gives it to each process."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def volumes(cls, tmp_path_factory: pytest.TempPathFactory) -> tuple[VolumeCache, Cases]:
        """Four phantoms to train on, two to validate."""
        config = PhantomData(
            cases=6,
            shape=(20, 20, 20),
            organs=3,
            preprocess=Preprocess(spacing="native", crop="none", intensity="ct"),
            split=Split(validation=0.34),
        )
        return prepare_data(config, tmp_path_factory.mktemp("volumes"))

    @pytest.fixture
    def begin(self, volumes: tuple[VolumeCache, Cases], tmp_path: Path) -> Callable[[], Evaluator]:
        """Makes an evaluator as a process does that it was sent to; all have one search folder."""

        def begin(pause: Callable[[], None] = lambda: None) -> Evaluator:
            evaluator: Evaluator = pickle.loads(pickle.dumps(self.make(TRAIN, 0, "cpu")))
            evaluator.prepare(Workspace(tmp_path, *volumes, pause))
            return evaluator

        return begin

    def test_reports_lead_to_a_dice(self, begin: Callable[[], Evaluator], tmp_path: Path) -> None:
        reports = evaluate(begin(), SMALLER, tmp_path / "one.pt")
        last = reports[-1]
        assert last.reason is None, f"the evaluation failed: {last.reason}"
        assert last.dice is not None and 0 <= last.dice <= 1
        assert last.curve and last.curve[-1] == last.dice, f"curve {last.curve}, Dice {last.dice}"
        epochs = [report.fidelity.epochs for report in reports]
        assert epochs == sorted(epochs) and epochs[-1] > 0, f"epochs of the reports: {epochs}"

    def test_its_weights_are_in_the_checkpoint(
        self, begin: Callable[[], Evaluator], volumes: tuple[VolumeCache, Cases], tmp_path: Path
    ) -> None:
        evaluate(begin(), SMALLER, tmp_path / "one.pt")
        weights = read_checkpoint(tmp_path / "one.pt")["weights"]
        SMALLER.build(volumes[0].channels, volumes[0].targets.outputs).load_state_dict(weights)

    def test_candidates_follow_each_other(
        self, begin: Callable[[], Evaluator], tmp_path: Path
    ) -> None:
        """What a candidate gets does not depend on whether another was evaluated before it."""
        alone = evaluate(begin(), SMALLER, tmp_path / "alone.pt")
        evaluator = begin()
        evaluate(evaluator, SMALL, tmp_path / "first.pt")
        second = evaluate(evaluator, SMALLER, tmp_path / "second.pt")
        assert second[-1].dice == alone[-1].dice

    def test_another_process_goes_on_from_the_checkpoint(
        self, begin: Callable[[], Evaluator], tmp_path: Path
    ) -> None:
        whole = evaluate(begin(), SMALLER, tmp_path / "whole.pt")
        begun = begin().start(SMALLER, tmp_path / "halves.pt").advance()
        if begun.done:
            pytest.skip("an evaluation is a single step")
        rest = evaluate(begin(), SMALLER, tmp_path / "halves.pt")
        assert rest[-1].curve == whole[-1].curve
        assert len(rest) < len(whole), "what the checkpoint holds was done again"

    def test_it_pauses_between_steps(self, begin: Callable[..., Evaluator], tmp_path: Path) -> None:
        pauses: list[None] = []
        reports = evaluate(begin(lambda: pauses.append(None)), SMALLER, tmp_path / "one.pt")
        assert len(pauses) >= len(reports), f"{len(pauses)} pauses in {len(reports)} steps"

    def test_a_network_that_fails_is_a_report(
        self, begin: Callable[[], Evaluator], tmp_path: Path
    ) -> None:
        last = evaluate(begin(), Broken(), tmp_path / "broken.pt")[-1]
        assert last.reason and "no such size" in last.reason, f"reason: {last.reason}"


def evaluate(evaluator: Evaluator, network: Architecture, checkpoint: Path) -> list[Report]:
    """All reports of one candidate."""
    evaluation = evaluator.start(network, checkpoint)
    reports = []
    for _ in range(MOST):
        reports.append(evaluation.advance())
        if reports[-1].done:
            return reports
    raise AssertionError(f"not done after {MOST} steps")


@dataclass(frozen=True, kw_only=True)
class Broken(Architecture):
    """A network that no input fits."""

    space: ClassVar[str] = "broken"

    def stride(self) -> int:
        """Any size is as wrong."""
        return 1

    def build(self, channels: int, classes: int) -> nn.Module:
        return _Broken(channels, classes)


class _Broken(nn.Conv3d):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(channels, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no such size")
