"""Any folders that segment images: exported ones, or deployed ones of any format."""

from __future__ import annotations

from pathlib import Path

from nas.export.deploy.record import RECORD, Deployment
from nas.export.deploy.runtime import open_network
from nas.export.export_folder import CONFIG, Export
from trainers.ensemble import SegmenterEnsemble
from trainers.errors import UserError
from trainers.home import from_home
from trainers.segmenter import ImageSegmenter, Segmenter


def load_segmenter(folder: str | Path, *more: str | Path, raw: bool = False) -> ImageSegmenter:
    """What segments images with the network of an exported or a deployed folder; of several with
    the mean of their networks' probabilities. `raw`: without postprocessing.

    Raises UserError as `open_segmenter` does.
    """
    return open_segmenter(*map(from_home, (folder, *more)), raw=raw)[0]


def open_segmenter(*folders: Path, raw: bool = False) -> tuple[ImageSegmenter, str]:
    """What segments images with these folders' networks, and a text that names their weights and
    the classes that are postprocessed; none with `raw`.

    Raises UserError where a folder is neither exported nor deployed, what its format needs is not
    installed, or several are no ensemble (`SegmenterEnsemble.of`).
    """
    opened = [(folder, *_open(folder, raw)) for folder in folders]
    segmenter: ImageSegmenter = opened[0][1]
    if len(opened) > 1:
        segmenter = SegmenterEnsemble.of([(str(folder), one) for folder, one, _ in opened])
    used = " and ".join(told for *_, told in opened)
    if after := segmenter.postprocess:
        used += f"; postprocessing of {', '.join(after)}"
    return segmenter, used


def _open(folder: Path, raw: bool) -> tuple[Segmenter, str]:
    if (folder / RECORD).is_file():
        record = Deployment.read(folder)
        segmenter = Segmenter(network=open_network(folder, record), spec=record)
        return segmenter.raw if raw else segmenter, (
            f"{record.format} {record.precision}, {record.weights} weights: "
            f"{folder / record.network}"
        )
    if (folder / CONFIG).is_file():
        export = Export(folder)
        return export.segmenter(raw=raw), f"{export.weights.stem} weights: {export.weights}"
    raise UserError(
        f"{folder} has neither {CONFIG} nor {RECORD}; give a folder that segnas export or "
        "segnas deploy made"
    )
