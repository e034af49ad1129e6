"""The fixed runs, as plain JSON values. To store them anew: `python -m tests.pinned.runs`."""

import json
import sys
import tempfile
from pathlib import Path

import torch
from rich.console import Console

from nas.config.run_config import RunConfig
from nas.cost.latency import device_name
from nas.search.run import run_search
from search_spaces.hybrid import Hybrid, Layer, TokenStage
from trainers.config import TrainConfig
from trainers.data.phantom_source import PhantomData
from trainers.data.prepare import prepare_data
from trainers.trainer import Trainer

HERE = Path(__file__).parent
STORED = {"search": HERE / "search.json", "training": HERE / "training.json"}
DATA = {"source": "phantom", "cases": 6, "shape": [24, 24, 24], "organs": 3}
SEARCH = {
    "name": "pinned",
    "seed": 5,
    "data": DATA,
    "space": {
        "restrict": {
            "width": [4, 6],
            "levels": [3],
            "convs": [1, 2],
            "anchors": [0, 4],
            "anchors_head": ["pooled"],
            "token_stages": [0, 1],
            "tokens": {"layers_count": [0, 1], "window": [0], "directions": [1]},
        }
    },
    "train": {"patch": [16, 16, 16], "epochs": 3, "steps_per_epoch": 10, "learning_rate": 8e-3},
    "objectives": ["dice", "params", "macs", "memory"],
    "budget": {"params": 30_000},
    "search": {
        "trials": 3,
        "confirm": 0.0,
        "sampler": "tpe",
        "startup": 10,
        "startup_sampler": "qmc",
        "warm_start": ["hybrid-xs"],
        "baselines": [],
        "early_stopping": {"grace": 1},
    },
    "resources": {"concurrent": 1},
    "tracking": {"enabled": False},
}
CLOCKED = (
    "train_seconds",
    "worker_seconds",
    "datetime_start",
    "datetime_complete",
    "worker_id",
    "data.files",  # has the times of files
)
POINT = Hybrid(
    width=4,
    convs=1,
    anchors=4,
    token_stages=1,
    tokens=(TokenStage(layers_count=2, layers=(Layer(), Layer(gate="mixer"))),),
)


def machine():
    """What the last digits of a float depend on."""
    device = device_name(torch.device("cpu"))
    return [torch.__version__, torch.backends.cpu.get_cpu_capability(), device]


def searched(directory):
    """Run the search in `directory`: its results, its front, and its journal without times."""
    run_search(RunConfig.model_validate(SEARCH), directory, Console(quiet=True))
    return {
        "front": json.loads((directory / "front.json").read_text()),
        "journal": journal(directory),
    }


def journal(directory):
    """Its lines, without what is another one each time."""
    lines = [json.loads(line) for line in (directory / "journal.log").read_text().splitlines()]
    return [_timeless(line) for line in lines if "id" not in line.get("user_attr", {})]


def _timeless(value):
    if isinstance(value, dict):
        return {name: _timeless(part) for name, part in value.items() if name not in CLOCKED}
    return [_timeless(part) for part in value] if isinstance(value, list) else value


def trained(workdir):
    """Losses, Dice and the sum of the weights of every epoch of a training."""
    cache, cases = prepare_data(PhantomData.model_validate(DATA), workdir)
    config = TrainConfig(patch=(16, 16, 16), epochs=3, steps_per_epoch=20, learning_rate=8e-3)
    torch.manual_seed(2)
    network = POINT.build(1, len(cache.classes))
    trainer = Trainer(network, cache, cases, config, device=torch.device("cpu"), seed=2)
    epochs = []
    while not trainer.done:
        report = trainer.run_epoch()
        weights = sum(float(p.detach().double().sum()) for p in network.parameters())
        per_class = dict(report.dice_per_class)
        epochs.append({"loss": report.loss, "dice": report.dice, **per_class, "weights": weights})
    return {"key": POINT.key, "epochs": epochs}


def main():
    """Store what this version gives."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for name, run in (("search", searched), ("training", trained)):
            record = {"machine": machine(), "values": run(Path(folder) / name)}
            STORED[name].write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
