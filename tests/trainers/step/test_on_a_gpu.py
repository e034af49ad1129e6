"""What only a GPU can show: run it there with `-s` to see the speeds."""

import warnings
from time import perf_counter

import pytest
import torch
from torch import nn

from search_spaces.apformer import presets as apformers
from search_spaces.hybrid import presets as hybrids
from trainers.config import TrainConfig
from trainers.step import GraphedStep
from trainers.trainer import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

CONFIG = TrainConfig(patch=(32, 32, 32), epochs=3, steps_per_epoch=12, precision="fp32")
NETWORKS = {"hybrid-s": hybrids, "apformer-xs": apformers}


def trainer(phantom, network="hybrid-s", checkpoint=None, accumulate=1, **config):
    cache, cases = phantom
    if isinstance(network, str):
        torch.manual_seed(0)
        network = NETWORKS[network]()[network].build(1, 4)
    return Trainer(
        network,
        cache,
        cases,
        CONFIG.model_copy(update=config),
        device=torch.device("cuda"),
        seed=0,
        checkpoint=checkpoint,
        accumulate=accumulate,
    )


def losses(training):
    found = []
    while not training.done:
        found.append(training.run_epoch().loss)
    return found


@pytest.fixture(autouse=True)
def no_warning():
    """No step is eager, unless the test expects that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="trained without CUDA graphs")
        yield


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("options", [{}, {"accumulate": 2}, {"ema": 0.9}, {"precision": "bf16"}])
def test_graphs_train_as_eager_steps_do(phantom, network, options):
    captured = trainer(phantom, network, **options)
    assert isinstance(captured._step, GraphedStep)
    expected = losses(trainer(phantom, network, graphs=False, **options))
    assert losses(captured) == pytest.approx(expected, rel=2e-2)


@pytest.mark.parametrize("first", [True, False])
def test_either_goes_on_from_the_others_checkpoint(phantom, tmp_path, first):
    whole = losses(trainer(phantom, graphs=False))
    stopped = trainer(phantom, checkpoint=tmp_path / "a.pt", graphs=first)
    found = [stopped.run_epoch().loss]
    found += losses(trainer(phantom, checkpoint=tmp_path / "a.pt", graphs=not first))
    assert found == pytest.approx(whole, rel=2e-2)


def test_dropout_goes_on_where_it_was(phantom, tmp_path):
    def training(checkpoint=None):
        torch.manual_seed(0)
        layers = nn.Conv3d(1, 8, 3, padding=1), nn.Dropout(0.5), nn.Conv3d(8, 4, 1)
        return trainer(phantom, nn.Sequential(*layers), checkpoint, graphs=False)

    whole = losses(training())
    found = [training(tmp_path / "a.pt").run_epoch().loss]
    found += losses(training(tmp_path / "a.pt"))
    assert found == pytest.approx(whole, rel=1e-5)


def test_half_precision_is_eager(phantom):
    with pytest.warns(UserWarning, match="fp16 scales its loss"):
        training = trainer(phantom, precision="fp16")
    assert all(loss > 0 for loss in losses(training))


def test_a_layout_is_measured(phantom):
    assert len(losses(trainer(phantom, deterministic=False))) == 3


def test_speeds(phantom):
    for graphs in (False, True):
        training = trainer(phantom, graphs=graphs, steps_per_epoch=100, validate_every=9)
        training.run_epoch()
        started = perf_counter()
        training.run_epoch()
        print(f"graphs {graphs}: {100 / (perf_counter() - started):.1f} steps/s")


class ReadsBack(nn.Conv3d):
    def forward(self, x):
        return super().forward(x) * (1 if x.mean().item() < 1e6 else 0)


def test_a_network_that_reads_values_back_is_trained_eagerly(phantom, tmp_path):
    """The last one here: a process in which a capture has failed makes no other."""
    training = trainer(phantom, ReadsBack(1, 4, 1), tmp_path / "a.pt")
    with pytest.warns(UserWarning, match="trained without CUDA graphs: a step could not be"):
        training.run_epoch()
    assert (tmp_path / "a.no_graphs.txt").read_text().startswith("a step could not be captured")
    losses(training)
    assert not (tmp_path / "a.no_graphs.txt").exists()
