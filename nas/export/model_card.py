"""The model card of an exported network (Mitchell et al. 2019): what it is, and what it is not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.cost.latency import Conditions, Latency
from nas.export.export_folder import COMPRESSION, FOLDS, RETRAINED, Export
from nas.export.learnt_cases import learnt_cases
from nas.export.markdown_text import plain
from nas.export.postprocess_record import PostprocessRecord
from nas.pareto.objectives import DICE, in_digits, objective
from nas.pareto.result import Result, class_dice
from search_spaces.registry import ARCHITECTURE
from trainers.atomic import replace_files
from trainers.counted import counted
from trainers.errors import UserError, first_line
from trainers.read_json import read_json

CARD = "README.md"


def write_card(folder: Path) -> Path:
    """Write the card of the exported `folder` anew, from what lies in there. Raises OSError."""
    path = folder / CARD
    replace_files({path: f"{model_card(folder)}\n".encode()})
    return path


def model_card(folder: Path) -> str:
    """The card as Markdown. Raises UserError where the folder is no export, or is damaged."""
    export = Export(folder)
    try:
        return _card(export)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        told = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(
            f"{folder}: what it records of its network is damaged ({told}); export it again"
        ) from error


def _card(export: Export) -> str:
    folder, result = export.folder, export.result
    record = read_json(folder / ARCHITECTURE, finite=False)
    sections = {
        plain(export.config.name): _about(export, result),
        **({"What it costs": (*_costs(result), *_windows(export))} if result else {}),
        **({"What was made smaller": _smaller(folder)} if (folder / COMPRESSION).exists() else {}),
        "How good it is": _quality(export, result),
        **({"Postprocessing": _postprocessing(export)} if export.postprocess else {}),
        "Data": _data(export),
        "Where it comes from": _source(export, record.get("origin", {})),
        "Intended use and limits": _limits(export),
    }
    first, *rest = ["\n".join([title, "", *text]) for title, text in sections.items()]
    return "\n\n".join([f"# {first}", *(f"## {part}" for part in rest)])


def _about(export: Export, result: Result | None) -> Iterator[str]:
    task = export.config.task
    size = _voxels(export.trained.patch)
    spacing = "each volume's own" if task.spacing is None else _mm(task.spacing)
    smaller = export.compression or (result and result.compressed)
    how = "made smaller" if smaller else "found"
    if result and result.baseline:
        how = f"the baseline {plain(result.baseline)}, trained"
    yield (
        f"A 3D segmentation network of the space `{export.architecture.space}`, architecture "
        f"`{export.architecture.key}`, {how} by segnas."
    )
    yield ""
    yield f"- Input: {counted(task.channels, 'channel')}, windows of {size}, spacing: {spacing}"
    yield f"- Classes: {', '.join(map(plain, task.classes))}"
    if task.regions:
        regions = ", ".join(map(plain, task.regions))
        yield f"- Regions, of which a label map has the last that a voxel is in: {regions}"
    if task.ignore is not None:
        yield f"- Ignored in training and scores: voxels of the label {task.ignore}"
    yield f"- Weights in use: `{export.weights.name}`"


def _costs(result: Result) -> Iterator[str]:
    yield "| what | how much |"
    yield "| --- | --- |"
    for name, value in result.costs.items():
        cost = objective(name)
        yield f"| {cost.meaning or cost.phrase} | {cost.exact(value)} |"
    if result.macs_bounds:
        least, most = map(objective("macs").exact, result.macs_bounds)
        yield ""
        yield (
            f"How much it computes depends on the image: from {least} multiply-accumulates, where "
            f"all queries are pruned, to {most}. The number above is that of the share of queries "
            "that it kept in the search's validation."
        )
    if result.latency:
        yield ""
        latency = Latency.from_json(result.latency)
        seen = f", in the mean of {latency.windows} windows of validation cases"
        real = seen if (latency.windows or 1) > 1 else ""
        yield f"Latency was measured on {plain(latency.conditions.text())}{real}."
    for device, told in result.latencies.items():
        yield ""
        conditions = Conditions.from_json(told["conditions"])
        yield f"Latency on {plain(device)} was measured on {plain(conditions.text())}."


def _windows(export: Export) -> Iterator[str]:
    """Of the search, where those that the weights were trained on are others."""
    if export.trained.patch != (searched := export.config.task.patch):
        yield ""
        yield f"These costs are of the search, whose windows have {_voxels(searched)}."


def _smaller(folder: Path) -> Iterator[str]:
    record = read_json(folder / COMPRESSION)
    original = record["original"]
    what = f", {record['keep']:g} of its {_and(record['of'])} left" if "of" in record else ""
    yield (
        f"Made from the network `{original['key']}` by `segnas compress --method "
        f"{record['method']}`{what}. Dice on the same validation cases; latency of one window:"
    )
    yield ""
    yield "| | Dice | parameters | bytes | MACs | ms |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, row in record["figures"].items():
        cells = [
            DICE.exact(row["dice"]),
            *(row.get(key, "") for key in ("params", "bytes", "macs")),
        ]
        cells.append(in_digits(row["latency_ms"], 4) if "latency_ms" in row else "")
        yield f"| {plain(name)} | {' | '.join(map(str, cells))} |"
    conditions = Conditions.from_json(record["figures"]["original"]["latency"]["conditions"])
    yield ""
    yield f"Latency was measured on {plain(conditions.text())}. `{COMPRESSION}` has all of it."


def _quality(export: Export, result: Result | None) -> Iterator[str]:
    """A folder that was written by hand has no result of a search."""
    if result:
        several = f" over {len(result.trainings)} trainings" if result.trainings else ""
        made = f"Made smaller after the search ({result.made})"
        searched = f"In the search, after {counted(result.epochs, 'epoch')}"
        when = made if result.compressed else searched
        chosen = " The network was chosen by this number among many, so it is optimistic."
        yield (
            f"{when}: mean validation Dice{several} "
            f"{DICE.exact(result.dice)}{_per_class(result.dice_per_class)}."
            f"{'' if result.baseline else chosen}"
        )
    retrained = export.retrained
    if not retrained:
        return
    yield ""
    if export.weights.name == FOLDS:
        yield (
            "Retrained in a cross-validation, whose networks are used as an ensemble: validation "
            f"Dice {DICE.exact(retrained.get('dice_mean'))} in the mean of the folds, standard "
            f"deviation {DICE.exact(retrained.get('dice_standard_deviation'))}. `{RETRAINED}` has "
            "its settings."
        )
    else:
        each = _per_class(retrained.get("dice_per_class", {}))
        tuned = (export.folder / COMPRESSION).exists() and retrained.get("from") == "trial"
        first, teacher = export.compression.get("original", {}), retrained.get("teacher") or {}
        own = all(teacher.get(key) == first.get(key) for key in ("key", "weights"))
        by = "the original" if own else f"the network `{teacher.get('key')}`"
        taught = f", taught by {by}" if teacher else ""
        how = f"{'Fine-tuned' if tuned else 'Retrained'}{_length(retrained)}{taught}"
        known = ", of cases that the original had learnt" if tuned and export.saw_validation else ""
        yield (
            f"{how}: validation Dice {DICE.exact(retrained.get('dice'))}{each}{known}. "
            f"`{RETRAINED}` has its curve and settings."
        )


def _length(retrained: Mapping[str, Any]) -> str:
    """As long as that training was; nothing where the record is of a version that did not say."""
    epochs, steps = retrained.get("epochs"), retrained.get("train", {}).get("steps_per_epoch")
    if epochs is None or steps is None:
        return ""
    return f" for {epochs} epoch{'s' if epochs != 1 else ''} of {steps} steps"


def _postprocessing(export: Export) -> Iterator[str]:
    record = PostprocessRecord.read(export.folder)
    assert record is not None, "there are steps"
    # Of folds each case was segmented by the network that has not seen it.
    folds = export.weights.name == FOLDS
    learnt = frozenset[str]() if folds else learnt_cases(export).training & set(record.cases)
    known = f", {len(learnt)} of which the weights were" if learnt else " that the weights were not"
    yield (
        "Done with label maps after the network, class by class. It was chosen on "
        f"{counted(len(record.cases), 'case')}{known} trained on; a step is there where it "
        "helped, so that elsewhere its gain may be smaller. Means over these cases:"
    )
    yield ""
    yield "| class | steps | Dice, raw | then | HD95 mm, raw | then |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, one in record.classes.items():
        dice = f"{one.before.dice:.4f} | {one.after.dice:.4f}"
        hd95 = f"{one.before.hd95_mm:.2f} | {one.after.hd95_mm:.2f}"
        yield f"| {plain(name)} | {one.steps} | {dice} | {hd95} |"


def _data(export: Export) -> Iterator[str]:
    data = export.config.data
    about = data.about()
    yield f"- Data set: {plain(about.name)}"
    for name in ("description", "reference", "licence"):
        if value := getattr(about, name):
            yield f"- {name.capitalize()}: {plain(value)}"
    if isinstance(data.split, Path):
        split = json.loads(data.split.read_text())
        counts = ", ".join(f"{len(names)} {plain(part)}" for part, names in split.items())
        yield f"- Cases: {counts} (by name in `{data.split.name}`)"


def _source(export: Export, origin: Mapping[str, Any]) -> Iterator[str]:
    name, search_id = origin.get("search", "not recorded"), origin.get("search_id") or "unknown"
    yield f"- Search: {plain(name)}, id {plain(search_id)}"
    yield f"- Seed: {export.config.seed}"
    for package, number in origin.get("versions", {}).items():
        yield f"- {plain(package)} {plain(number)}"


def _limits(export: Export) -> Iterator[str]:
    classes = ", ".join(map(plain, export.config.task.targets.names))
    yield (
        f"For research on images like those above, to segment {classes}. It is no medical device "
        "and has no approval; do not use it for diagnosis or treatment."
    )
    yield ""
    yield "- It knows only the scanners, protocols and patients of its training data."
    yield "- It tells nothing of its own uncertainty, and labels images of anything else, too."
    yield (
        "- Its Dice is a mean: `segnas evaluate` on your own labelled cases tells surface "
        "distances and the worst cases."
    )


def _and(words: Sequence[str]) -> str:
    """`heads, neurons and channels`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _voxels(patch: Sequence[int]) -> str:
    return " x ".join(map(str, patch)) + " voxels"


def _mm(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{size:g}" for size in spacing) + " mm"


def _per_class(dice: Mapping[str, float | None]) -> str:
    parts = ", ".join(f"{plain(name)} {class_dice(dice, name)}" for name in dice)
    return f" ({parts})" if parts else ""
