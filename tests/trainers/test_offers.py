"""What a network may offer besides its forward pass reaches those who want to know."""

import dataclasses

import torch
from torch import nn

from search_spaces.registry import find_preset
from trainers.config import TrainConfig
from trainers.evaluate import evaluate_folder
from trainers.inference import Ensemble, Mirrored
from trainers.offers import begin_epoch, pop_network_metrics
from trainers.trainer import Trainer

CONFIG = TrainConfig(patch=(24, 24, 24), epochs=3, steps_per_epoch=2, validate_every=2)


class Counting(nn.Module):
    """Measures its eval passes; notes the epochs it is told of."""

    def __init__(self, classes=4):
        super().__init__()
        self.layer = nn.Conv3d(1, classes, 1)
        self.passes, self.epochs = 0, []

    def forward(self, x):
        self.passes += not self.training
        return self.layer(x)

    def begin_epoch(self, epoch):
        self.epochs.append(epoch)

    def measured(self):
        passes, self.passes = self.passes, 0
        return {"passes": float(passes)} if passes else {}


def trainer(phantom, network, config=CONFIG, **options):
    cache, cases = phantom
    return Trainer(network, cache, cases, config, device=torch.device("cpu"), seed=0, **options)


def test_an_epochs_report_has_what_its_validation_measured(phantom):
    network = Counting()
    with torch.no_grad():
        network.eval()(torch.zeros(1, 1, 24, 24, 24))  # as a latency measurement does
    training = trainer(phantom, network)
    reports = [training.run_epoch() for _ in range(3)]
    # two validation cases of one window, which share a pass, in the second epoch and in the last
    assert [report.measured for report in reports] == [{}, {"passes": 1.0}, {"passes": 1.0}]


def test_a_network_that_measures_nothing_reports_nothing(phantom):
    training = trainer(phantom, nn.Conv3d(1, 4, 1))
    assert [training.run_epoch().measured for _ in range(3)] == [{}, {}, {}]


def test_every_module_is_told_of_the_epochs_also_after_a_restart(phantom, tmp_path):
    network = nn.Sequential(Counting(), nn.Identity())
    stopped = trainer(phantom, network, checkpoint=tmp_path / "a.pt")
    stopped.run_epoch()
    stopped.run_epoch()
    resumed = nn.Sequential(Counting(), nn.Identity())
    trainer(phantom, resumed, checkpoint=tmp_path / "a.pt").run_epoch()
    assert network[0].epochs == [0, 1]
    assert resumed[0].epochs == [2]


def test_g_of_pruned_attention_is_trained_in_a_short_schedule(phantom):
    """Frozen in the first quarter: the first of three epochs."""
    network = find_preset("hybrid-adaptive").build(1, 4)
    training = trainer(phantom, network)
    (first, *_) = (p for name, p in network.named_parameters() if name.endswith(".g"))
    seen = []
    for _ in range(3):
        training.run_epoch()
        seen.append(first.item())
    assert seen[0] == -2.0
    assert len(set(seen)) == 3


def test_every_module_is_told_how_long_the_schedule_is(phantom, tmp_path):
    class Told(Counting):
        def begin_training(self, epochs):
            self.schedule = epochs

    network, resumed = Told(), Told()
    averaging = CONFIG.model_copy(update={"ema": 0.9})
    stopped = trainer(phantom, network, config=averaging, checkpoint=tmp_path / "a.pt")
    stopped.run_epoch()
    trainer(phantom, resumed, config=averaging, checkpoint=tmp_path / "a.pt")
    assert network.schedule == resumed.schedule == stopped.deployed.schedule == CONFIG.epochs


def test_a_networks_epochs_begin_in_all_its_modules():
    network = nn.ModuleList([Counting(), Counting()])
    begin_epoch(network, 7)
    assert [module.epochs for module in network] == [[7], [7]]


def test_mirroring_is_looked_through():
    network = Mirrored(Counting(), (0, 2)).eval()
    network(torch.zeros(1, 1, 4, 4, 4))
    assert pop_network_metrics(network) == {"passes": 4.0}
    assert pop_network_metrics(network) == {}


def test_the_networks_of_an_ensemble_answer_by_their_mean():
    first, second, silent = Counting(), Counting(), Counting()
    ensemble = Mirrored(Ensemble([first, second, silent]), (0,))
    first.passes, second.passes = 2, 4
    assert pop_network_metrics(ensemble) == {"passes": 3.0}


def test_the_outermost_of_two_answers():
    class Outer(Counting):
        def __init__(self):
            super().__init__()
            self.inner = Counting()

    network = Outer()
    network.passes, network.inner.passes = 5, 3
    assert pop_network_metrics(network) == {"passes": 5.0}


def test_an_evaluation_has_what_the_network_measured(phantom_folder):
    from trainers.data.config import Preprocess
    from trainers.data.task import Task
    from trainers.segmenter import Segmenter, SegmenterSpec

    network = Counting().eval()
    network.passes = 9  # before the evaluation
    segmenter = Segmenter(
        network=network,
        spec=SegmenterSpec(
            task=Task(
                channels=1,
                classes=("background", "liver", "aorta", "adrenal"),
                spacing=None,
                patch=(24, 24, 24),
            ),
            preprocess=Preprocess(spacing="native", crop="none"),
            overlap=0.25,
        ),
    )
    found = evaluate_folder(segmenter, phantom_folder / "imagesTr", phantom_folder / "labelsTr")
    assert found.measured == {"passes": 6.0}
    assert found.to_json()["measured"] == {"passes": 6.0}
    assert dataclasses.replace(found, measured={}).to_json()["dice"] == found.dice


class Flat(nn.Module):
    """A network of the plane: every slice is an image."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, x):
        b, _, d, *_ = x.shape
        slices = self.layer(x.transpose(1, 2).flatten(0, 1))
        return slices.unflatten(0, (b, d)).transpose(1, 2)


def test_a_network_of_the_plane_trains(phantom):
    network = Flat()
    before = network.layer.weight.detach().clone()
    report = trainer(phantom, network).run_epoch()
    assert report.loss > 0
    assert not torch.equal(network.layer.weight, before)
