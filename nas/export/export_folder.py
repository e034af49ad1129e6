"""An exported folder: one network with all that training and using it needs."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError
from torch import nn

from nas.config.architecture_file import load_architecture_file
from nas.config.explain import explain
from nas.config.yaml_file import flow_yaml, read_config, read_yaml
from nas.export.postprocess_record import POSTPROCESS, PostprocessRecord
from nas.pareto.result import Result
from search_spaces.registry import ARCHITECTURE
from search_spaces.space import Architecture
from trainers.checkpoint import load_weights
from trainers.config import RetrainConfig
from trainers.data.config import Groups
from trainers.data.registry import DataConfig
from trainers.data.task import Task
from trainers.errors import UserError
from trainers.home import from_home
from trainers.inference import Ensemble, Mirrored
from trainers.read_json import read_json
from trainers.segmenter import Segmenter, SegmenterSpec, best_device
from trainers.strict import Strict
from trainers.volumes.steps import Steps

CONFIG, SPLIT = "retrain.yaml", "split.json"
TRIAL_WEIGHTS, RETRAINED_WEIGHTS, RETRAINED = "trial.pt", "retrained.pt", "retrained.json"
INHERITED_WEIGHTS = "inherited.pt"  # of a trial that began with weights that candidates share
FOLDS, FOLDS_RECORD = "folds", "folds.json"
COMPRESSION = "compression.json"  # of a network that was made smaller


class ExportConfig(Strict):
    """`retrain.yaml`: all that retraining and use need besides the architecture and the weights.

    `groups`: cases that stay together in folds too; the split file does not tell.
    """

    name: str
    seed: Annotated[int, Field(ge=0)] = 0
    task: Task
    data: DataConfig
    groups: Groups | None = None
    train: RetrainConfig


class Export:
    """An exported folder, opened. Raises UserError where it is none."""

    def __init__(self, folder: str | Path, settings: Sequence[str] = ()) -> None:
        folder = from_home(folder)
        if not (folder / CONFIG).is_file():
            raise UserError(
                f"{folder} is no export: {CONFIG} is missing; make one with segnas export"
            )
        self.folder = folder
        data = read_yaml(folder / CONFIG).get("data")
        if isinstance(data, dict) and data.get("split") == SPLIT:  # its own, wherever it lies
            settings = [f"data.split={flow_yaml(str(folder / SPLIT))}", *settings]
        self.config = read_config(ExportConfig, folder / CONFIG, settings, recorded=True)
        self.architecture: Architecture = load_architecture_file(folder / ARCHITECTURE)

    def absolute(self) -> Export:
        """The same, found from any working directory."""
        found = copy(self)
        found.folder = self.folder.absolute()
        return found

    @property
    def result(self) -> Result | None:
        """That of its trial; None where the folder was written by hand. Raises as `from_json`."""
        record = read_json(self.folder / ARCHITECTURE, finite=False)
        return Result.from_json(record["result"], record["space"]) if "result" in record else None

    @property
    def weights(self) -> Path:
        """Those of the last retraining, a file or the folder of its folds; else the trial's."""
        folds, retrained = self.folder / FOLDS, self.folder / RETRAINED_WEIGHTS
        if folds.is_dir() and (self._record.get("weights") == FOLDS or not retrained.exists()):
            return folds
        return retrained if retrained.exists() else self.folder / TRIAL_WEIGHTS

    @property
    def weights_files(self) -> tuple[Path, ...]:
        """The files of those weights: one, or one for each fold.

        Raises UserError where the file of a fold is missing.
        """
        if self.weights.name != FOLDS:
            return (self.weights,)
        path = self.weights / FOLDS_RECORD
        try:
            names = [Path(fold["weights"]).name for fold in _read_record(path)["folds"]]
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged: it names no weights; retrain again") from error
        files = tuple(self.weights / name for name in names)
        if missing := [file.name for file in files if not file.is_file()]:
            raise UserError(
                f"{self.weights}: {', '.join(missing)} missing, and the ensemble needs all folds; "
                "train them again with segnas retrain --folds"
            )
        return files

    @property
    def fingerprint(self) -> str:
        """Ten hexadecimal digits that change with those weights."""
        digest = hashlib.sha256()
        for file in self.weights_files:
            digest.update(file.read_bytes())
        return digest.hexdigest()[:10]

    @cached_property
    def postprocess(self) -> dict[str, Steps]:
        """The steps that were chosen for those weights, by class.

        None, with a warning, where they were chosen for others.
        """
        if not (record := PostprocessRecord.read(self.folder)):
            return {}
        if record.weights == self.fingerprint:
            return record.steps
        warnings.warn(
            f"{self.folder / POSTPROCESS} was chosen for other weights and is not used; choose "
            f"again with segnas postprocess {self.folder}",
            UserWarning,
            stacklevel=2,
        )
        return {}

    @property
    def retrained(self) -> dict[str, Any]:
        """What the retraining of those weights used and gave; empty where there was none."""
        if self.weights.name == TRIAL_WEIGHTS:  # another's may have been removed, not its record
            return {}
        if self.weights.name == FOLDS:
            folds = self.weights / FOLDS_RECORD
            return _read_record(folds) if folds.exists() else self._record
        return self.single

    @property
    def single(self) -> dict[str, Any]:
        """That of the last retraining without folds."""
        single = self._record.get("single")
        return single if isinstance(single, dict) else self._record

    @property
    def _record(self) -> dict[str, Any]:
        """`retrained.json`, of the last retraining."""
        record = self.folder / RETRAINED
        return _read_record(record) if record.exists() else {}

    @property
    def trained(self) -> RetrainConfig:
        """How the network with `weights` was trained, and so is used: patch, overlap, mirroring.

        That of their retraining, whose settings may not be those of `retrain.yaml`; of the trial's
        weights the patch is the search's, which retraining need not have.
        """
        if self.weights.name == TRIAL_WEIGHTS:
            return self.config.train.model_copy(update={"patch": self.config.task.patch})
        if "train" not in self.retrained:
            return self.config.train
        try:
            return RetrainConfig.model_validate(self.retrained["train"])
        except ValidationError as error:
            raise UserError(explain(error, RetrainConfig, str(self.folder / RETRAINED))) from error

    @property
    def compression(self) -> dict[str, Any]:
        """`compression.json`, how a network was made smaller; empty for any other."""
        path = self.folder / COMPRESSION
        told = read_json(path) if path.exists() else {}
        if not isinstance(told, dict) or not isinstance(told.get("original", {}), dict):
            raise UserError(f"{path} is damaged: expected what segnas compress wrote")
        return told

    @property
    def saw_validation(self) -> bool:
        """Whether those weights, or the ones that they were made from or taught by, learnt the
        validation cases, whose Dice is then better than that of new ones."""
        trial, again = self.weights.name == TRIAL_WEIGHTS, self.retrained
        teacher = again.get("teacher") or {}
        if teacher.get("saw_validation") or (not trial and self.trained.all_cases):
            return True
        if again.get("from") == "scratch" and (not teacher or "saw_validation" in teacher):
            return False
        return bool(self.compression.get("original", {}).get("saw_validation"))

    def build(self) -> nn.Module:
        """The architecture's network with new weights."""
        task = self.config.task
        return self.architecture.build(task.channels, task.targets.outputs)

    def network(self) -> nn.Module:
        """The network with `weights`, an `Ensemble` where they are of folds, in eval mode, on the
        GPU where there is one."""
        members = [self.loaded(file) for file in self.weights_files]
        network = members[0]
        if self.weights.name == FOLDS:
            network = Ensemble(members, regions=bool(self.config.task.regions))
        return network.to(best_device()).eval()

    def loaded(self, weights: Path) -> nn.Module:
        """The network with the weights of one file."""
        network = self.build()
        load_weights(network, weights)
        return network

    def segmenter(self, network: nn.Module | None = None, raw: bool = False) -> Segmenter:
        """That network, or another one in its place, with its preprocessing and, unless `raw`, its
        postprocessing; mirrored as it was retrained to be."""
        network, trained = network or self.network(), self.trained
        if trained.mirror and self.weights.name != TRIAL_WEIGHTS:
            network = Mirrored(network, trained.mirror).eval()
        spec = SegmenterSpec(
            task=self.config.task.model_copy(update={"patch": trained.patch}),
            preprocess=self.config.data.preprocess,
            overlap=trained.overlap,
            postprocess={} if raw else self.postprocess,
        )
        return Segmenter(network=network, spec=spec)


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is missing or damaged: {error}; retrain again") from error
    if not isinstance(record, dict):
        raise UserError(f"{path} is damaged: it is no JSON object; retrain again")
    return record
