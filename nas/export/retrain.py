"""Training an exported network for good: once, or once for every fold of a cross-validation."""

from __future__ import annotations

import hashlib
import json
import shutil
import statistics
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from torch import nn

from nas.export.choose_postprocess import renew_postprocess
from nas.export.export_folder import (
    CONFIG,
    FOLDS,
    FOLDS_RECORD,
    INHERITED_WEIGHTS,
    RETRAINED,
    RETRAINED_WEIGHTS,
    Export,
)
from nas.export.learnt_cases import LEARNT, has_learnt, learnt_cases
from nas.export.postprocess_record import POSTPROCESS, PostprocessRecord
from nas.export.teacher import open_teacher
from nas.export.training_job import Job, Outcome, Start, Train, train_here
from nas.pareto.result import known
from search_spaces.axes import by_axis
from search_spaces.fitting import takes
from trainers.atomic import replace_files
from trainers.checkpoint import weights_of
from trainers.config import EXECUTION_KEYS
from trainers.data.cache import VolumeCache
from trainers.data.check import Progress
from trainers.data.check.parts import check_parts
from trainers.data.folds import make_folds
from trainers.data.patient_names import groups_by_name
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.deep_supervision import DeepSupervision
from trainers.errors import UserError
from trainers.parallel import Worker
from trainers.step import layer_scales
from trainers.trainer import EpochReport

EpochTold = Callable[[EpochReport, int, str], object]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained, and how.

    `folds`: so many networks of a cross-validation; with 0, one network on the export's own split.
    `start`: as in `Job`. `teacher`: the folder of the export to distil from. `workers`: processes
    that train one network together. `quantise_aware`: as in `Job`.
    """

    start: Start = "scratch"
    teacher: Path | None = None
    folds: int = 0
    workers: int = 1
    quantise_aware: bool = False


@dataclass(frozen=True)
class Retrained:
    """What a retraining gave.

    `weights`: the file written, or the folder of the folds' files. `outcomes`: of each training.
    `dice`: that of the training, or the mean of the folds; `spread`: the folds' standard deviation.
    `postprocess`: what was chosen for the weights, None where nothing was asked for or possible.
    """

    weights: Path
    outcomes: tuple[Outcome, ...]
    dice: float | None
    spread: float | None = None
    postprocess: PostprocessRecord | None = None


def retrain(
    export: Export,
    plan: Plan,
    report: EpochTold,
    progress: Progress | None = None,
    train: Train = train_here,
    placed: Callable[[], object] = lambda: None,
) -> Retrained:
    """Train the export's network on its whole schedule, and keep the weights for use.

    `report` is called after every epoch with that epoch, the number of epochs, and the fold's name
    where there are folds. A retraining that was interrupted goes on from its last epoch when it is
    called again with the same plan and settings; finished folds are not trained again. At the end
    the postprocessing of the new weights takes the place of the old one's. `placed` is called
    before, when the new weights are in use.

    Raises UserError for a plan that does not fit the network or its data, before anything is
    trained.
    """
    check_plan(export, plan)
    check_use(export, plan)
    teacher = open_teacher(plan.teacher, export) if plan.teacher else None
    config = export.config
    cache, cases = prepare_data(config.data, export.folder, progress)
    check_task(export, cache)
    draft = export.folder / f"retraining-{_digest(export, plan, teacher, cache)}"
    job = Job(
        export=export,
        volumes=cache.folder.resolve(),
        cases=cases,
        checkpoint=draft.with_name(f"{draft.name}.pt"),
        seed=config.seed,
        start=plan.start,
        teacher=teacher,
        quantise_aware=plan.quantise_aware,
    )
    if plan.folds:
        folds = _folds(export, cache, cases, plan.folds)
        done = _cross_validate(job, folds, plan, draft, report, train)
    else:
        done = _train_once(job, plan, report, train)
    (export.folder / POSTPROCESS).unlink(missing_ok=True)
    placed()
    return replace(done, postprocess=renew_postprocess(export, progress))


def check_plan(export: Export, plan: Plan) -> None:
    """Raise UserError where the plan or the settings do not fit the network."""
    train, strides = export.config.train, export.architecture.strides()
    if not takes(export.architecture, train.patch):
        raise UserError(
            f"train.patch = {list(train.patch)}: the network has stride {by_axis(strides)}; "
            "expected multiples of it, and more than one along some axis"
        )
    Worker(count=plan.workers).part(train.batch)
    if train.deep_supervision:
        outputs = export.config.task.targets.outputs
        DeepSupervision(export.build(), outputs, nn.Identity())
    if train.layer_decay != 1:
        layer_scales(export.build(), train.layer_decay)
    if plan.folds and train.all_cases:
        raise UserError(
            "--folds with train.all_cases: every fold needs cases to validate on; set "
            "train.all_cases=false"
        )
    if plan.folds and plan.start != "scratch":
        raise UserError(
            f"--folds with --from {plan.start}: these weights have seen cases that folds validate "
            "on, and their Dice would be too good; leave one of the two out"
        )
    if plan.start == "inherited" and not (export.folder / INHERITED_WEIGHTS).is_file():
        raise UserError(
            f"--from inherited: {export.folder} has no {INHERITED_WEIGHTS}, since the search did "
            "not fine-tune its candidates from shared weights; use --from trial"
        )


def check_use(export: Export, plan: Plan) -> None:
    """Raise UserError for settings that hold for this training alone, where whoever uses the
    weights goes by `retrain.yaml`."""
    config, own = export.config, Export(export.folder).config
    for key, given, kept in (
        ("task", config.task, own.task),
        ("data.preprocess", config.data.preprocess, own.data.preprocess),
    ):
        if given != kept:
            raise UserError(
                f"--set {key}...: the weights would be used as {export.folder / CONFIG} says; "
                "change it there"
            )
    if config.data.split != own.data.split and plan.start != "scratch":
        raise UserError(
            f"--set data.split with --from {plan.start}: these weights have learnt cases of the "
            "old split; train from scratch, or leave the split"
        )


def check_task(export: Export, cache: VolumeCache) -> None:
    """Raise UserError where the data are no longer those of `retrain.yaml`'s task."""
    task = export.config.task
    for key, expected, found in (
        ("channels", task.channels, cache.channels),
        ("classes", list(task.classes), list(cache.classes)),
        ("regions", list(map(str, task.regions)), list(map(str, cache.regions))),
        ("ignore", task.ignore, cache.ignore),
        ("spacing", task.spacing, cache.spacing),
    ):
        if expected != found:
            hint = ", or data.preprocess.spacing as it was" if key == "spacing" else ""
            if key == "classes" and sorted(task.classes) == sorted(cache.classes):
                hint = ", or data.classes in the order of the task"
            raise UserError(
                f"{export.folder}: task.{key} = {expected}, and the data has {found}; expected the "
                f"data that the network was found on{hint}"
            )
    if task.modalities != cache.modalities and {*task.modalities} == {*cache.modalities}:
        raise UserError(
            f"{export.folder}: task.modalities = {', '.join(task.modalities)}, and the data has "
            f"{', '.join(cache.modalities)}: the weights would be used with the channels in the "
            "order of the first; name them in that order in the data"
        )


def _folds(export: Export, cache: VolumeCache, cases: Cases, count: int) -> list[Cases]:
    """Raise UserError where one would have an image in two parts, or a part without foreground, as
    for the split of a search."""
    groups, names = export.config.groups, [*cases.train, *cases.validation]
    if not (groups or cases.groups) and (alike := groups_by_name(names)):
        warnings.warn(
            f"--folds {count}: names look as if patients had several cases, which may be in "
            "several folds, so that Dice is too good; to keep them together set groups: "
            f"{{pattern: '{alike.pattern}'}} in {export.folder / CONFIG}",
            stacklevel=2,
        )
    folds = make_folds(cases, count, export.config.seed, groups)
    facts = cache.check().cases
    for number, fold in enumerate(folds, start=1):
        for finding in check_parts(facts, cache.targets, fold):
            if finding.fault:
                case = f"{finding.case}: " if finding.case else ""
                raise UserError(f"--folds {count}: in fold {number}, {case}{finding.message}")
    return folds


def _train_once(job: Job, plan: Plan, report: EpochTold, train: Train) -> Retrained:
    export, config = job.export, job.export.config.train
    if config.all_cases:
        everything = tuple(sorted((*job.cases.train, *job.cases.validation)))
        job = replace(job, cases=replace(job.cases, train=everything, validation=()))
    outcome = train(job.absolute(), lambda epoch: report(epoch, config.epochs, ""))
    record = {"weights": RETRAINED_WEIGHTS, **_outcome(outcome), **_used(job, plan)}
    record |= {"training": job.cases.train, "validation": job.cases.validation}
    replace_files(
        {
            export.folder / RETRAINED_WEIGHTS: weights_of(job.checkpoint),
            export.folder / RETRAINED: _json(record),
        }
    )
    job.checkpoint.unlink()
    return Retrained(export.folder / RETRAINED_WEIGHTS, (outcome,), outcome.dice)


def _cross_validate(
    job: Job, folds: list[Cases], plan: Plan, draft: Path, report: EpochTold, train: Train
) -> Retrained:
    """Train the folds one after the other in the folder `draft`, which takes its place when all
    are there."""
    if draft.is_symlink():
        raise UserError(f"{draft} is a link to somewhere else; remove it")
    draft.mkdir(exist_ok=True)
    outcomes = []
    for number, cases in enumerate(folds, start=1):
        fold = replace(
            job,
            cases=cases,
            checkpoint=draft / f"fold-{number}.training.pt",
            seed=job.seed + number,
        )
        name = f"fold {number}/{len(folds)}"
        outcomes.append(_train_fold(fold, draft / f"fold-{number}.pt", name, report, train))
    dice = [outcome.dice for outcome in outcomes if outcome.dice is not None]
    mean = statistics.mean(dice) if dice else None
    spread = statistics.stdev(dice) if len(dice) > 1 else None
    record = {"dice_mean": mean, "dice_standard_deviation": spread, **_used(job, plan)}
    each = [
        {"weights": f"fold-{number}.pt", **_outcome(outcome), "validation": cases.validation}
        for number, (outcome, cases) in enumerate(zip(outcomes, folds, strict=True), start=1)
    ]
    replace_files({draft / FOLDS_RECORD: _json({**record, "folds": each})})
    place = job.export.folder / FOLDS
    _take_place(draft, place)
    told = {"weights": FOLDS, **record}
    if single := job.export.single:  # whose weights may be used again
        told["single"] = single
    replace_files({job.export.folder / RETRAINED: _json(told)})
    return Retrained(place, tuple(outcomes), mean, spread)


def _train_fold(job: Job, weights: Path, name: str, report: EpochTold, train: Train) -> Outcome:
    """Train one fold, unless it is finished already; returns its outcome."""
    finished = weights.with_suffix(".json")
    if finished.exists():
        return Outcome(**json.loads(finished.read_text()))
    epochs = job.export.config.train.epochs
    outcome = train(job.absolute(), lambda epoch: report(epoch, epochs, name))
    replace_files({weights: weights_of(job.checkpoint), finished: _json(_outcome(outcome))})
    job.checkpoint.unlink()
    return outcome


def _take_place(draft: Path, place: Path) -> None:
    old = place.with_name(f".{place.name}-{uuid4().hex}")
    if place.exists():
        place.rename(old)
    draft.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _digest(export: Export, plan: Plan, teacher: Export | None, cache: VolumeCache) -> str:
    """A hash of all that decides the weights, the files of the data among it.

    The folder's place, the number of processes and `EXECUTION_KEYS` are not part of it.
    """
    config, split = export.config, export.config.data.split
    cases = split.read_text() if isinstance(split, Path) else split.model_dump_json()
    settings = config.model_dump_json(exclude={"data": {"split"}, "train": EXECUTION_KEYS})
    taught = None if teacher is None else teacher.fingerprint
    parts = [settings, cases, plan.start, plan.folds, taught, cache.folder.name]
    parts += ["quantise_aware"] if plan.quantise_aware else []
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:10]


def _used(job: Job, plan: Plan) -> dict[str, Any]:
    """How the weights were trained, as `retrained.json` records it."""
    teacher, cases = None, job.cases
    validated = (*cases.train, *cases.validation) if plan.folds else cases.validation
    if job.teacher is not None:
        teacher = {
            "folder": str(job.teacher.folder),
            "key": job.teacher.architecture.key,
            "weights": job.teacher.fingerprint,
            "saw_validation": has_learnt(job.teacher, validated),
            LEARNT: sorted(learnt_cases(job.teacher).training),
        }
    return {
        "from": plan.start,
        "seed": job.export.config.seed,
        "workers": plan.workers,
        "teacher": teacher,
        **({"quantise_aware": True} if plan.quantise_aware else {}),
        "train": job.export.config.train.model_dump(mode="json"),
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    curve, seconds = list(map(known, outcome.curve)), round(outcome.seconds, 1)
    return {**asdict(outcome), "curve": curve, "seconds": seconds}


def _json(record: object) -> bytes:
    return json.dumps(record, indent=1).encode()
