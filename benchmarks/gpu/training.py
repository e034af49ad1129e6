"""The trainer beside a bare loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import torch

from search_spaces.registry import find_preset
from trainers.config import TrainConfig
from trainers.data.config import Split
from trainers.data.phantom_source import PhantomData
from trainers.data.prepare import prepare_data
from trainers.losses import segmentation_loss
from trainers.trainer import Trainer

from .work import Rows, Work

BATCH, CASES = 2, 6
SMALL, LARGE = (40, 56, 40), (96, 96, 96)
# Steps a second of the trainer on one H200 in bf16 on 28 November 2026, before graphs.
BEFORE = {
    ("hybrid-s", SMALL): 72.6,
    ("hybrid-m", SMALL): 59.4,
    ("unet-s", SMALL): 65.2,
    ("hybrid-m", LARGE): 51.0,
    ("hybrid-l", LARGE): 54.0,
}


def training_rows(work: Work) -> Rows:
    """A row a preset and patch."""
    for name, patch in work.cases(list(BEFORE)):
        row = {"preset": name, "patch": "x".join(map(str, patch))}
        try:
            yield {**row, **_figures(work, name, patch)}
        except Exception as error:  # e.g. one network too large for the card
            yield {**row, "trainer, steps/s": work.reason(error)}


def _figures(work: Work, name: str, patch: tuple[int, int, int]) -> dict[str, object]:
    with TemporaryDirectory() as folder:
        first, seconds = _trained(work, name, patch, Path(folder))
        second, _ = _trained(work, name, patch, Path(folder))
    classes = PhantomData(cases=CASES).organs + 1
    bare = work.per_second(bare_step(work, name, patch, classes))
    trainer, before = work.steps / seconds, BEFORE.get((name, patch))
    return {
        "trainer, steps/s": f"{trainer:.1f}",
        "bare loop": f"{bare:.1f}",
        "trainer / bare": f"{trainer / bare:.0%}",
        "one H200 before": before or "-",
        "times": f"{trainer / before:.2f}" if before else "-",
        "same losses": "yes" if first == second else "no",
    }


def _trained(
    work: Work, name: str, patch: tuple[int, int, int], folder: Path
) -> tuple[list[float], float]:
    """The losses of two epochs, and the seconds of the second: in the first, graphs are made."""
    phantoms = PhantomData(cases=CASES, shape=patch, split=Split(validation=0.34, test=0.0))
    cache, cases = prepare_data(phantoms, folder)
    told = {"patch": patch, "batch": BATCH, "epochs": 3, "steps_per_epoch": work.steps}
    config = TrainConfig.model_validate({**told, **work.train})
    torch.manual_seed(0)
    network = find_preset(name).build(cache.channels, len(cache.classes))
    without = replace(cases, validation=())
    trainer = Trainer(network, cache, without, config, device=work.device, seed=0)
    losses = [trainer.run_epoch().loss]
    work.synchronise()
    started = perf_counter()
    losses.append(trainer.run_epoch().loss)
    work.synchronise()
    return losses, perf_counter() - started


def bare_step(
    work: Work, name: str, patch: tuple[int, int, int], classes: int
) -> Callable[[], None]:
    """Forward, loss, backward and fused AdamW on tensors of the device; bf16 on a GPU."""
    torch.manual_seed(0)
    network = find_preset(name).build(1, classes).to(work.device).train()
    network = network.to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    loss = segmentation_loss()
    images = torch.randn(BATCH, 1, *patch, device=work.device)
    images = images.contiguous(memory_format=torch.channels_last_3d)
    labels = torch.randint(classes, (BATCH, 1, *patch), device=work.device, dtype=torch.uint8)

    def step() -> None:
        on_gpu = work.device.type == "cuda"
        with torch.autocast(work.device.type, torch.bfloat16, enabled=on_gpu):
            logits = network(images)
        loss(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step
