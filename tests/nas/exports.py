"""An exported folder of a tiny network, whose retraining takes seconds."""

import json

import torch

from nas.config.yaml_file import write_config
from nas.export.export_folder import Export, ExportConfig
from search_spaces.hybrid import Hybrid
from search_spaces.registry import architecture_record
from trainers.checkpoint import write_checkpoint

POINT = Hybrid(width=4, convs=1, anchors=0, levels=3, stem_stride=1, norm="group")
CLASSES = ("background", "liver", "aorta", "adrenal")


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
            "data": {
                "source": "msd",
                "path": str(phantom_folder),
                "preprocess": {"spacing": "native", "crop": "none", "intensity": "ct"},
                "split": "split.json",
            },
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
