"""Choosing the postprocessing of an export's weights on cases that they were not trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from nas.export.export_folder import FOLDS, FOLDS_RECORD, Export
from nas.export.postprocess_record import POSTPROCESS, PostprocessRecord
from trainers.data.check import Progress
from trainers.data.open_source import open_source
from trainers.data.source import Case, DataSource
from trainers.data.source_split import split_source
from trainers.errors import UserError
from trainers.postprocess.choose import choose
from trainers.postprocess.measure import SegmentedCase, segment_case
from trainers.postprocess.priors import Prior, look_at, priors_of
from trainers.segmenter import Segmenter, best_device


@dataclass(frozen=True)
class _Part:
    """Cases, and what has to segment them: of a cross-validation that fold's network alone."""

    segmenter: Segmenter
    cases: Sequence[Case]


def choose_postprocess(
    export: Export, cases: Sequence[Case] | None = None, progress: Progress | None = None
) -> PostprocessRecord:
    """Choose, and write `postprocess.json`.

    cases: labelled ones that the weights have not seen; by default the validation cases of their
    training, of folds each by its own network. What the labels of training cases say is offered
    where these are at hand; a case is measured with what others say. Raises UserError for regions,
    and where there is no case.
    """
    if export.config.task.regions:
        raise UserError(
            f"{export.folder} segments regions, which overlap: what is taken from one would be "
            "taken from others. Postprocessing is chosen for classes alone"
        )
    parts = [_Part(export.segmenter(raw=True), cases)] if cases else list(_own_parts(export))
    count = sum(len(part.cases) for part in parts)
    if not count:
        raise UserError(
            f"{export.folder}: its weights were trained on all cases, and none is left to choose "
            "on; give others: --images FOLDER --labels FOLDER"
        )
    segmented: list[SegmentedCase] = []
    with TemporaryDirectory(prefix="segnas-") as folder:
        for part in parts:
            for case in part.cases:
                place = Path(folder, str(len(segmented)))
                place.mkdir()
                one = segment_case(part.segmenter, case.image, case.label, place)
                segmented.append(one)
                if progress:
                    progress(len(segmented), count, "segmented")
        priors, own = _priors(export, parts)
        unseen = [own[n] for n, part in enumerate(parts) for _ in part.cases]
        chosen = choose(segmented, export.config.task.classes, priors, progress, unseen)
    record = PostprocessRecord(
        weights=export.fingerprint,
        cases=tuple(case.name for part in parts for case in part.cases),
        classes=chosen,
    )
    record.write(export.folder)
    return record


def renew_postprocess(export: Export, progress: Progress | None = None) -> PostprocessRecord | None:
    """After a training: choose again, or remove what was chosen for other weights, where nothing
    can be chosen or `train.postprocess` is false."""
    (export.folder / POSTPROCESS).unlink(missing_ok=True)
    if not export.trained.postprocess or export.config.task.regions or not any(_validated(export)):
        return None
    return choose_postprocess(export, progress=progress)


def _own_parts(export: Export) -> Iterator[_Part]:
    known = {case.name: case for case in _source(export).cases}
    for file, names in zip(export.weights_files, _validated(export), strict=True):
        network = export.loaded(file).to(best_device()).eval()
        cases = [known[name] for name in names if name in known]
        yield _Part(export.segmenter(network, raw=True), cases)


def _validated(export: Export) -> list[Sequence[str]]:
    """The validation cases of each file of weights that it has not learnt."""
    if export.saw_validation:
        return [()] * len(export.weights_files)
    if export.weights.name == FOLDS:
        record = json.loads((export.weights / FOLDS_RECORD).read_text())
        return [fold["validation"] for fold in record["folds"]]
    if "validation" in export.retrained:
        return [export.retrained["validation"]]
    return [split_source(_source(export), export.config.data.split).validation]


def _priors(
    export: Export, parts: Sequence[_Part]
) -> tuple[dict[str, Prior], list[dict[str, Prior]]]:
    """Of the training labels, and for each part of those among them that are not its own.

    Training cases are those of the split, or of all folds. Nothing where the data are gone.
    """
    try:
        source = _source(export)
        training = set(split_source(source, export.config.data.split).train)
    except UserError:
        return {}, [{} for _ in parts]
    held_out = [{case.name for case in part.cases} for part in parts]
    if len(parts) > 1:
        training = {name for names in held_out for name in names}
    classes, rule = export.config.task.classes, export.config.data.preprocess.affine
    seen = {c.name: look_at(c.label, classes, rule) for c in source.cases if c.name in training}
    own = [
        priors_of([shown for name, shown in seen.items() if name not in names], classes)
        for names in held_out
    ]
    return (own[0] if len(own) == 1 else priors_of(list(seen.values()), classes)), own


def _source(export: Export) -> DataSource:
    return open_source(export.config.data, export.folder)
