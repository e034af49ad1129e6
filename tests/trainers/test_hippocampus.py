"""Real volumes: sizes of their own, odd shapes, MRI intensities."""

import json

import pytest
import torch
from torch import nn

from trainers.config import TrainConfig
from trainers.data.config import Preprocess, Split
from trainers.data.msd import MsdData
from trainers.data.prepare import prepare_data
from trainers.trainer import Trainer


@pytest.fixture
def eight_cases(hippocampus, tmp_path):
    """A data set of links to the first eight."""
    folder = tmp_path / "hippocampus"
    descriptor = json.loads((hippocampus / "dataset.json").read_text())
    descriptor["training"] = descriptor["training"][:8]
    for pair in descriptor["training"]:
        for part in ("image", "label"):
            link = folder / pair[part]
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((hippocampus / pair[part]).resolve())
    (folder / "dataset.json").write_text(json.dumps(descriptor))
    return folder


def test_a_small_network_finds_the_hippocampus(eight_cases, tmp_path):
    data = MsdData(
        path=eight_cases,
        preprocess=Preprocess(spacing="native", crop="none"),
        split=Split(validation=0.25),
    )
    cache, cases = prepare_data(data, tmp_path)
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv3d(1, 8, 3, stride=2, padding=1),
        nn.InstanceNorm3d(8),
        nn.SiLU(),
        nn.Conv3d(8, 16, 3, padding=1),
        nn.InstanceNorm3d(16),
        nn.SiLU(),
        nn.ConvTranspose3d(16, 3, 2, stride=2),
    )
    config = TrainConfig(patch=(40, 56, 40), epochs=1, steps_per_epoch=120, learning_rate=0.02)
    trainer = Trainer(network, cache, cases, config, device=torch.device("cpu"), seed=0)
    report = trainer.run_epoch()
    assert report.dice_per_class.keys() == {"Anterior", "Posterior"}
    assert report.dice > 0.4
