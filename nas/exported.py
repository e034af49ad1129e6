"""An exported folder: one network with all that training and using it needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nas.config_file import read_config
from nas.task import Task
from search_spaces.registry import load_architecture_file
from search_spaces.space import Architecture
from trainers.checkpoint import load_weights
from trainers.config import RetrainConfig
from trainers.data.config import DataConfig
from trainers.errors import UserError
from trainers.inference import Mirrored
from trainers.segmenter import Segmenter, best_device
from trainers.strict import Strict

ARCHITECTURE, CONFIG, SPLIT = "architecture.json", "retrain.yaml", "split.json"
TRIAL_WEIGHTS, RETRAINED_WEIGHTS, RETRAINED = "trial.pt", "retrained.pt", "retrained.json"


class ExportConfig(Strict):
    """`retrain.yaml`: all that retraining and use need besides the architecture and the weights."""

    name: str
    seed: int = 0
    task: Task
    data: DataConfig
    train: RetrainConfig


class Export:
    """An exported folder, opened. Raises UserError where it is none."""

    def __init__(self, folder: Path, settings: Sequence[str] = ()) -> None:
        if not (folder / CONFIG).is_file():
            raise UserError(
                f"{folder} is no export: {CONFIG} is missing; make one with segnas export"
            )
        self.folder = folder
        config = read_config(ExportConfig, folder / CONFIG, settings)
        if config.data.split == Path(SPLIT):  # the folder's own, wherever it was moved
            data = config.data.model_copy(update={"split": folder / SPLIT})
            config = config.model_copy(update={"data": data})
        self.config = config
        self.architecture: Architecture = load_architecture_file(folder / ARCHITECTURE)

    @property
    def weights(self) -> Path:
        """The retrained weights where there are any, else the trial's."""
        retrained = self.folder / RETRAINED_WEIGHTS
        return retrained if retrained.exists() else self.folder / TRIAL_WEIGHTS

    def segmenter(self) -> Segmenter:
        """The network with those weights, on the GPU where there is one."""
        task = self.config.task
        network = self.architecture.build(task.channels, len(task.classes))
        load_weights(network, self.weights)
        network = network.to(best_device()).eval()
        if self.config.train.mirror and self.weights.name == RETRAINED_WEIGHTS:
            network = Mirrored(network, self.config.train.mirror).eval()
        return Segmenter(
            network=network,
            preprocess=self.config.data.preprocess,
            spacing=task.spacing,
            channels=task.channels,
            classes=task.classes,
            patch=self.config.train.patch,
            overlap=self.config.train.overlap,
        )
