"""From a front member to a folder that can be retrained and used, with nothing else at hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from nas.config import RunConfig
from nas.config_file import read_config, write_config
from nas.front import knee, objective_points
from nas.result import Result
from nas.task import Task
from search_spaces.registry import architecture_record, load_architecture_file
from search_spaces.space import Architecture
from trainers.checkpoint import load_weights
from trainers.config import RetrainConfig
from trainers.data.config import DataConfig, MsdData, PhantomData
from trainers.errors import UserError
from trainers.inference import Mirrored
from trainers.segmenter import Segmenter, best_device
from trainers.strict import Strict

ARCHITECTURE, CONFIG, SPLIT = "architecture.json", "retrain.yaml", "split.json"
TRIAL_WEIGHTS, RETRAINED_WEIGHTS, RETRAINED = "trial.pt", "retrained.pt", "retrained.json"
PICKS = ("best-dice", "knee", "smallest")


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


def pick(members: Sequence[Result], name: str, objectives: Sequence[str]) -> Result:
    """The front member that `name` means: best-dice, knee, smallest, or (the start of) a key.

    Raises UserError where no member or several fit.
    """
    if not members:
        raise UserError("the front is empty: no trial of this search was completed")
    if name == "best-dice":
        return max(members, key=lambda r: r.dice or 0.0)
    if name == "smallest":
        return min(members, key=lambda r: r.params or 0)
    if name == "knee":
        return members[knee(objective_points(members, objectives))]
    found = [r for r in members if r.key.startswith(name)]
    if len(found) != 1:
        keys = ", ".join(r.key for r in found or members)
        problem = "means several members" if found else "is no member of the front"
        raise UserError(f"--pick {name} {problem}; expected {', '.join(PICKS)} or one of {keys}")
    return found[0]


def write_export(search: Path, config: RunConfig, member: Result, to: Path) -> None:
    """Fill the folder `to` with the member's architecture, configuration, split and weights.

    Raises UserError where `to` holds something already, or the search lost the member's weights.
    """
    if to.exists() and any(to.iterdir()):
        raise UserError(f"{to} is not empty; give --to a new folder")
    weights = search / "checkpoints" / f"{member.key}.pt"
    if not weights.is_file():
        raise UserError(f"{weights} is missing: the trial's weights were removed from the search")
    architecture = config.space.space().from_json(dict(member.architecture))
    record = {**architecture_record(architecture), "result": member.to_json()}
    export = ExportConfig(
        name=f"{config.name}-{member.key}",
        seed=config.seed,
        task=Task.read(search),
        data=_movable(config.data, search),
        train=config.retrain,
    )
    to.mkdir(parents=True, exist_ok=True)
    (to / ARCHITECTURE).write_text(json.dumps(record, indent=1))
    shutil.copyfile(search / SPLIT, to / SPLIT)
    shutil.copyfile(weights, to / TRIAL_WEIGHTS)
    write_config(export, to / CONFIG)


def _movable(data: MsdData | PhantomData, search: Path) -> MsdData | PhantomData:
    """The same data and cases, found from any working directory."""
    update: dict[str, object] = {
        "split": Path(SPLIT),
        "cache": (data.cache or search / "cache").resolve(),
    }
    if isinstance(data, MsdData):
        update["path"] = data.path.resolve()
    return data.model_copy(update=update)
