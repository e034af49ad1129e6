"""A trained network made smaller, in a folder that its training begins with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path

from torch import nn

from nas.config.yaml_file import write_config
from nas.export.compress.low_rank import factorise
from nas.export.compress.original import Original
from nas.export.compress.patches import TrainingPatches
from nas.export.compress.plan import KINDS, Compression
from nas.export.compress.prune import prune
from nas.export.compress.unfinished import ASKED, Unfinished
from nas.export.export_folder import COMPRESSION, CONFIG, SPLIT, TRIAL_WEIGHTS, Export
from nas.export.learnt_cases import LEARNT, has_learnt, learnt_cases
from search_spaces.blocks.prunable import prunable
from search_spaces.compressed import compressed
from search_spaces.registry import ARCHITECTURE, architecture_record
from search_spaces.space import Architecture, axes_of
from trainers.atomic import replace_files
from trainers.checkpoint import write_checkpoint
from trainers.errors import UserError
from trainers.losses import segmentation_loss
from trainers.segmenter import best_device

FEATURES = 1.0  # weight of the teacher's features where a network is distilled
Note = Callable[[str], object]


def begin(unfinished: Unfinished, plan: Compression, original: Original, note: Note) -> None:
    """Make the network smaller, and a folder of it."""
    export = original.export
    network, sizes = _smaller(plan, original, note)
    if plan.student is not None:
        architecture = plan.student.with_axes(axes_of(export.architecture)).canonical()
    else:
        architecture = compressed(export.architecture, **sizes)

    def build(folder: Path) -> None:
        _write(folder, export, plan, architecture, network)
        of = {
            "folder": str(export.folder.resolve()),
            "key": export.architecture.key,
            "weights": export.fingerprint,
            "saw_validation": has_learnt(export, original.cases.validation),
            LEARNT: sorted(learnt_cases(export).training),
        }
        reduced = _reduced(original.network, sizes)
        told = {**plan.asked(export), "of": reduced, "network": network is not None}
        # Before its training, after which postprocessing is chosen on cases that neither has seen.
        files = {COMPRESSION: {"original": of}, ASKED: told}
        replace_files({folder / name: json.dumps(each).encode() for name, each in files.items()})

    unfinished.begin(build)


def _smaller(
    plan: Compression, original: Original, note: Note
) -> tuple[nn.Module | None, dict[str, Mapping[str, int]]]:
    """A copy of the trained network with less in it, and the sizes left; None of `distil`."""
    nothing: dict[str, Mapping[str, int]] = {"kept": {}, "ranks": {}}
    if plan.method == "distil":
        return None, nothing
    export, network, cache = original.export, original.network, original.cache
    smaller, device, parts = deepcopy(network), best_device(), plan.parts(network)
    train, names = export.trained, original.cases.train
    patches = TrainingPatches(cache, names, train, plan.patches, export.config.seed)
    if plan.method == "prune":
        note(f"which {' and '.join(parts)} matter, on {plan.patches} patches")
        loss = segmentation_loss(train.loss, cache.targets)
        kept = prune(smaller, plan.keep, parts, patches(device), loss)
        found = {**nothing, "kept": kept}
    elif plan.method == "low-rank":
        note(f"what maps are given, on {plan.patches} patches")
        images = (image for image, _ in patches(device))
        found = {**nothing, "ranks": factorise(smaller, plan.keep, parts, images)}
    else:
        return smaller, nothing
    if plan.keep < 1 and not any(found.values()):
        what = " or ".join(parts)
        others = {each.kind for each in prunable(network).values()} - {*parts}
        has = ", ".join(kind for kind in KINDS if kind in others) or "no others"
        hint = f"it has {has}" if plan.method == "prune" else "choose others"
        raise UserError(
            f"{export.folder}: a network of {export.architecture.space} without {what} that can be "
            f"reduced to {plan.keep:g}; {hint} (--of), or choose another --method"
        )
    return smaller, found


def _reduced(network: nn.Module, sizes: Mapping[str, Mapping[str, int]]) -> tuple[str, ...]:
    """The kinds of units and maps of the original of which some went."""
    units = prunable(network)
    kinds = {units[name].kind for name in sizes["kept"]}
    maps = (network.get_submodule(path) for path in sizes["ranks"])
    found = {"linear" if isinstance(each, nn.Linear) else "convolutions" for each in maps}
    return tuple(kind for kind in KINDS if kind in kinds | found)


def _write(
    folder: Path,
    export: Export,
    plan: Compression,
    architecture: Architecture,
    network: nn.Module | None,
) -> None:
    """The folder as `segnas export` has it; the trial's weights are those before fine-tuning.

    Settings count where the data are and for this training, not in the folder's schedule.
    """
    own, source = Export(export.folder), json.loads((export.folder / ARCHITECTURE).read_text())
    config, data = own.config, export.config.data
    split = data.split
    if isinstance(split, Path):
        shutil.copyfile(split, folder / SPLIT)
    data = data.portable().model_copy(
        update={
            "split": Path(SPLIT) if isinstance(split, Path) else split,
            "cache": data.cache_folder(export.folder).resolve(),
        }
    )
    train = own.trained
    if plan.method == "distil":
        taught = train.distillation.model_copy(update={"features": FEATURES})
        train = train.model_copy(update={"distillation": taught})
    task = config.task.model_copy(update={"patch": train.patch})
    changes = {"name": f"{config.name}-{plan.method}", "task": task, "data": data, "train": train}
    write_config(config.model_copy(update=changes), folder / CONFIG)
    origin = {"trial": export.architecture.key, **source.get("origin", {})}
    record = {**architecture_record(architecture), "origin": origin}
    (folder / ARCHITECTURE).write_text(json.dumps(record, indent=1))
    if network is not None:
        write_checkpoint(folder / TRIAL_WEIGHTS, {"weights": network.state_dict()})
