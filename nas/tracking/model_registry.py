"""A network in MLflow's model registry, as a graph without pickled code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import numpy as np
import torch
from mlflow import MlflowClient
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec
from torch import nn
from torch.export import Dim

from nas.tracking.store import plain, prepare_mlflow, server_errors
from trainers.errors import UserError

NAME = re.compile(r"[\w .-]+")  # what MLflow takes, and a `models:/` address can hold
ALIAS = re.compile(r"[A-Za-z0-9_-]+")
DESCRIPTION = 5000  # characters that the table of model versions holds
TOLERANCE = 1e-4  # of logits, times their largest value


@dataclass(frozen=True)
class Version:
    """One version of a registered model; `free_batch`: whether it takes any number of patches."""

    name: str
    number: str
    alias: str
    free_batch: bool

    @property
    def uri(self) -> str:
        """What `mlflow.pytorch.load_model` takes."""
        return f"models:/{self.name}@{self.alias}"


def check_names(name: str, alias: str) -> None:
    """Raises UserError for a name or an alias that the registry cannot take."""
    if not NAME.fullmatch(name):
        raise UserError(f"--register {name!r}: expected letters, digits, spaces, _ . -")
    if not ALIAS.fullmatch(alias):
        raise UserError(f"--alias {alias!r}: expected letters, digits, _ -")
    if alias == "latest" or re.fullmatch(r"v\d+", alias):
        raise UserError(f"--alias {alias}: MLflow keeps `latest` and v1, v2, ... for itself")


def check_folder(directory: Path) -> None:
    """Raises UserError for the folder of a local store from which MLflow cannot load a model.

    It unquotes the paths of local models once too often (3.17, `path_to_local_file_uri`).
    """
    if quoted := re.search(r"%[0-9A-Fa-f]{2}", str(directory.resolve())):
        raise UserError(
            f"--register: MLflow loads no model from {directory}: it reads {quoted[0]} in a path "
            "as another sign; give the folder another name, or export without --register"
        )


def register(
    network: nn.Module,
    shape: tuple[int, ...],
    *,
    uri: str,
    run: tuple[str, str],
    name: str,
    alias: str,
    tags: Mapping[str, str],
    card: str,
) -> Version:
    """Register `network`, which maps (B, *shape) to logits, as the next version of `name`.

    `uri`: of the store; `run`: the experiment and the run that it comes from. The network is stored
    as an exported graph (`torch.export`, `pt2`), which is loaded without unpickling code, also
    where segnas is not installed. `card`: its model card, Markdown, which the version has as its
    description and the model beside its graph. Loaded back it has to give the same logits; only
    then does `alias` move to it. Raises UserError where the graph cannot be exported, where it
    differs, and where MLflow fails.
    """
    check_names(name, alias)
    prepare_mlflow()
    network = network.cpu().eval()
    noise = np.random.default_rng(0).normal(size=(2, *shape)).round(2)  # it is stored as text
    example = torch.from_numpy(noise.astype(np.float32))
    free = _batch_is_free(network, example)
    example = example if free else example[:1]
    with torch.inference_mode():
        wanted = network(example)
    try:
        with _store(uri, run[0]):
            number = _log(network, example, wanted, free, run[1], name, tags, card)
            client = MlflowClient(uri)
            client.update_model_version(name, number, _described(card))
            loaded = mlflow.pytorch.load_model(f"models:/{name}/{number}")
            with torch.inference_mode():
                worst = float((loaded(example) - wanted).abs().max())
            if not worst <= TOLERANCE * max(1.0, float(wanted.abs().max())):
                client.delete_model_version(name, number)
                raise UserError(f"{name} loaded back differs by {worst:.2g} in its logits: removed")
            client.set_registered_model_alias(name, alias, number)
    except server_errors() as error:
        raise UserError(f"{name} cannot be registered at MLflow: {plain(error)}") from error
    return Version(name, number, alias, free)


def _log(
    network: nn.Module,
    example: torch.Tensor,
    logits: torch.Tensor,
    free: bool,
    run_id: str,
    name: str,
    tags: Mapping[str, Any],
    card: str,
) -> str:
    batch = -1 if free else 1
    kind = np.dtype(np.float32)
    signature = ModelSignature(
        Schema([TensorSpec(kind, (batch, *example.shape[1:]))]),
        Schema([TensorSpec(kind, (batch, *logits.shape[1:]))]),
    )
    # Not mlflow.pytorch.log_model, which would start the trial's run anew and give it another end.
    with TemporaryDirectory() as folder:
        file = Path(folder, "README.md")
        file.write_text(card)
        info = Model.log(
            artifact_path=None,
            flavor=mlflow.pytorch,
            name="network",
            run_id=run_id,
            registered_model_name=name,
            pytorch_model=network,
            serialization_format="pt2",
            signature=signature,
            input_example=example.numpy(),
            pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}", "mlflow>=3.17,<4"],
            extra_files=[str(file)],
            tags=dict(tags),
            validate_serving_input=False,
        )
    return str(info.registered_model_version)


def _described(card: str) -> str:
    """The card as far as a registry takes it: whole sections, and where the rest is."""
    card = card.strip()
    if len(card) <= DESCRIPTION:
        return card
    rest = "\n\nThe rest of this card is `extra_files/README.md` of the model."
    start = card[: DESCRIPTION - len(rest)]
    return (start.rpartition("\n## ")[0] or start).rstrip() + rest


def _batch_is_free(network: nn.Module, example: torch.Tensor) -> bool:
    """Whether the exported graph takes any number of patches. Raises UserError for no graph."""
    try:
        program = torch.export.export(network, (example,), dynamic_shapes=({0: Dim.AUTO},))
    except Exception as error:  # whatever tracing a network raises
        raise UserError(f"torch.export refuses this network: {plain(error)}") from error
    [name] = program.graph_signature.user_inputs
    [node] = [node for node in program.graph.nodes if node.name == name]
    return not isinstance(node.meta["val"].shape[0], int)


@contextmanager
def _store(uri: str, experiment_id: str) -> Iterator[None]:
    """MLflow's functions without a client write to this store and experiment.

    The registry is the store's own, unless MLFLOW_REGISTRY_URI names another.
    """
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(experiment_id=experiment_id)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
