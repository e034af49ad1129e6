"""What is postprocessing worth on cases that neither the network nor the choice has seen?

    python benchmarks/postprocessing.py DATA/OpenKBP --to runs/okbp --cases 40 12 20 \\
        --intensity '{intensity: ct, window: [-160, 240]}'
    python benchmarks/postprocessing.py DATA/Task04_Hippocampus --to runs/hippocampus \\
        --cases 120 40 40 --groups 'hippocampus_(\\d+)' --size 2 --patch 40 56 40

Trains a preset of `hybrid` (a few minutes on one core), chooses as `segnas postprocess` does, and
scores the unseen cases without and with the steps. A second run uses the network and the choice
that are there; so does a first one where `--to` is an export, whose `split.json` says which cases
are for validation and unseen. `--deploy`: also whether a bundle and an ONNX folder make the same
label maps.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import yaml
from rich.console import Console
from rich.table import Table

from nas.cli.main import one_line_errors
from nas.config.yaml_file import write_config
from nas.export.choose_postprocess import choose_postprocess
from nas.export.deploy.deploy import Source, deploy
from nas.export.deploy.open_segmenter import load_segmenter
from nas.export.deploy.parity_check import export_cases
from nas.export.export_folder import CONFIG, SPLIT, Export, ExportConfig
from nas.export.postprocess_record import PostprocessRecord
from nas.export.retrain import Plan, retrain
from search_spaces.registry import ARCHITECTURE, architecture_record, find_preset
from trainers.config import RetrainConfig
from trainers.data.config import Groups, Preprocess, Split
from trainers.data.msd import MsdData
from trainers.data.open_source import open_source
from trainers.data.prepare import prepare_data
from trainers.data.source import Case
from trainers.data.splits import Cases, split_cases
from trainers.data.task import Task
from trainers.evaluate import Evaluation, evaluate_folder

CONSOLE = Console(width=120)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and choose what is missing, then print the tables."""
    options = _options(arguments)
    torch.set_num_threads(1)
    if not (options.to / CONFIG).exists():
        _export(options)
    export = Export(options.to)
    if not export.weights.exists():
        export = Export(options.to, ["train.postprocess=false"])
        retrain(export, Plan(), lambda epoch, epochs, _: print(epoch.epoch, epochs, epoch.dice))
        export = Export(options.to)
    record = PostprocessRecord.read(options.to) or choose_postprocess(export)
    for name, one in record.classes.items():
        CONSOLE.print(f"{name}: {one.steps}")
    names = json.loads((options.to / SPLIT).read_text())["test"]
    source = open_source(export.config.data, options.to)
    unseen = [case for case in source.cases if case.name in names]
    with TemporaryDirectory() as folder:
        images, labels = _links(unseen, Path(folder))
        raw, after = (
            evaluate_folder(load_segmenter(options.to, raw=is_raw), images, labels)
            for is_raw in (True, False)
        )
    CONSOLE.print(table(raw, after, len(unseen)))
    if options.deploy:
        _deployed_alike(export, unseen)


def table(raw: Evaluation, after: Evaluation, cases: int) -> Table:
    """Means of each class on the unseen cases."""
    table = Table("class", title=f"{cases} unseen cases: raw, then postprocessed")
    metrics = {"dice": 4, "hd95_mm": 2, "hd_mm": 2, "assd_mm": 2, "sensitivity": 4}
    for metric in metrics:
        table.add_column(metric, justify="right")
        table.add_column("then", justify="right")
    for name in raw.means:
        cells = []
        for metric, digits in metrics.items():
            pair = (one.means[name][metric].value for one in (raw, after))
            cells += ["-" if value is None else f"{value:.{digits}f}" for value in pair]
        table.add_row(name, *cells)
    mean = [
        np.mean([means["hd95_mm"].value for means in one.means.values()]) for one in (raw, after)
    ]
    table.caption = (
        f"mean HD95 of the classes {mean[0]:.2f} and {mean[1]:.2f} mm, {mean[1] / mean[0]:.2f} of "
        f"it; {after.speed.frames_per_second:.1f} slices/s with it, "
        f"{raw.speed.frames_per_second:.1f} without"
    )
    return table


def _export(options: argparse.Namespace) -> None:
    """A folder as `segnas export` writes it, of the preset, with a split of its own."""
    options.to.mkdir(parents=True)
    preprocess = Preprocess.model_validate(yaml.safe_load(options.intensity))
    data = MsdData(path=options.data.resolve(), preprocess=preprocess, split=Path(SPLIT))
    groups = Groups(pattern=options.groups, size=options.size) if options.groups else None
    (options.to / SPLIT).write_text(_split(data, options, groups).to_json())
    train = RetrainConfig(
        patch=options.patch,
        epochs=options.epochs,
        steps_per_epoch=options.steps,
        validate_every=5,
        learning_rate=8e-3,
    )
    placed = data.model_copy(update={"split": options.to / SPLIT})
    cache, _ = prepare_data(placed, options.to)
    config = ExportConfig(
        name=options.to.name, task=Task.of(cache, train), data=data, groups=groups, train=train
    )
    record = architecture_record(find_preset(options.preset))
    (options.to / ARCHITECTURE).write_text(json.dumps(record))
    write_config(config, options.to / CONFIG)


def _split(data: MsdData, options: argparse.Namespace, groups: Groups | None) -> Cases:
    names = sorted(case.name for case in data.open(options.to).cases)
    _, choose, unseen = options.cases
    if groups is None:
        names = sorted(np.random.default_rng(0).permutation(names)[: sum(options.cases)])
    shares = Split(validation=choose / len(names), test=unseen / len(names), groups=groups)
    return split_cases(map(str, names), shares)


def _links(cases: Sequence[Case], folder: Path) -> tuple[Path, Path]:
    """Folders of the cases' images and labels."""
    for part in ("images", "labels"):
        (folder / part).mkdir()
        for case in cases:
            file = Path(case.image if part == "images" else case.label)
            (folder / part / f"{case.name}.nii.gz").symlink_to(file.resolve())
    return folder / "images", folder / "labels"


def _deployed_alike(export: Export, cases: Sequence[Case]) -> None:
    """Voxels that differ between the export's label maps and those of its deployed folders."""
    ours = [load_segmenter(export.folder).segment(case.image) for case in cases]
    for kind in ("bundle", "onnx"):
        to = export.folder / kind
        if not to.exists():
            deploy(Source.of(export), export_cases(export, 2), kind, "fp32", to)
        made = _made_by(to, cases)
        differ = [int((one != other).sum()) for one, other in zip(made, ours, strict=True)]
        total = sum(one.size for one in ours)
        CONSOLE.print(f"{kind}: {sum(differ)} of {total:,} voxels differ in {len(cases)} cases")


def _made_by(folder: Path, cases: Sequence[Case]) -> list[np.ndarray]:
    """What the folder writes by itself."""
    from nas.export.deploy.bundle import run_bundle
    from trainers.volumes.nifti import load_labels

    with TemporaryDirectory() as out:
        run_bundle(folder, [case.image for case in cases], Path(out))
        return [load_labels(Path(out, Path(case.image).name)) for case in cases]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a folder in the Decathlon's layout")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--cases", type=int, nargs=3, help="train, choose, unseen")
    parser.add_argument("--groups", help="pattern of cases that stay together")
    parser.add_argument("--size", type=int, default=1, help="as of data.split.groups")
    parser.add_argument("--intensity", default="{}", help="keys of data.preprocess, as YAML")
    parser.add_argument("--preset", default="hybrid-m")
    parser.add_argument("--patch", type=int, nargs=3, default=(48, 48, 64))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--deploy", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
