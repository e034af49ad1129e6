"""Exported folders of tiny networks, which retrain in seconds, and searches to export from."""

import json

import torch

from nas.config.yaml_file import write_config
from nas.export.export_folder import Export, ExportConfig
from nas.study.search_folder import JOURNAL
from search_spaces.hybrid import Hybrid
from search_spaces.registry import architecture_record
from tests.nas.small_run import plain_run
from trainers.checkpoint import write_checkpoint
from trainers.data.prepare import prepare_data
from trainers.data.task import Task

POINT = Hybrid(width=4, convs=1, anchors=0, levels=3, stem_stride=1, norm="group")
CLASSES = ("background", "liver", "aorta", "adrenal")


def data_of(phantom_folder):
    """The phantoms as the configuration of a search names them."""
    preprocess = {"spacing": "native", "crop": "none", "intensity": "ct"}
    return {"source": "msd", "path": str(phantom_folder), "preprocess": preprocess}


def write_search(folder, phantom_folder, point, epochs, **changes):
    """What a search leaves of one network: task, split, its id and the weights. Returns its
    configuration, the split and the network."""
    train = {"patch": [16, 16, 16], "epochs": epochs}
    config = plain_run(name="mine", data=data_of(phantom_folder), train=train, **changes)
    cache, cases = prepare_data(config.data, folder)
    Task.of(cache, config.train).write(folder)
    (folder / "split.json").write_text(cases.to_json())
    (folder / JOURNAL).write_text('{"op_code": 2, "user_attr": {"id": "1234abcd"}}\n')
    torch.manual_seed(0)
    network = point.build(1, 4)
    write_checkpoint(folder / "checkpoints" / f"{point.key}.pt", {"weights": network.state_dict()})
    return config, cases, network


def write_export(
    folder,
    phantom_folder,
    cases,
    point=POINT,
    trial_seed=99,
    classes=CLASSES,
    searched=None,
    **train,
):
    """A folder as `segnas export` writes it. `searched`: the patch of the search, where retraining
    has another. Returns it."""
    folder.mkdir(parents=True)
    patch = searched or train.get("patch", [16, 16, 16])
    config = ExportConfig.model_validate(
        {
            "name": "tiny",
            "seed": 3,
            "task": {"channels": 1, "classes": classes, "spacing": None, "patch": patch},
            "data": {**data_of(phantom_folder), "split": "split.json"},
            "train": {"patch": [16, 16, 16], "epochs": 2, "steps_per_epoch": 2, **train},
        }
    )
    write_config(config, folder / "retrain.yaml")
    (folder / "architecture.json").write_text(json.dumps(architecture_record(point)))
    (folder / "split.json").write_text(cases.to_json())
    torch.manual_seed(trial_seed)
    weights = point.build(1, len(classes)).state_dict()
    write_checkpoint(folder / "trial.pt", {"weights": weights})
    return folder


def weights_in(file):
    """The tensors of a checkpoint."""
    return torch.load(file, weights_only=True)["weights"]


def same(ours, theirs):
    """Whether two sets of weights are equal bit for bit."""
    assert ours.keys() == theirs.keys()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def opened(folder, *settings):
    """The export in that folder."""
    return Export(folder, settings)
