"""Any folders that segment images: exported ones, or deployed ones of any format."""

from __future__ import annotations

from pathlib import Path

from nas.export.deploy.record import RECORD, Deployment
from nas.export.deploy.runtime import open_network
from nas.export.export_folder import CONFIG, Export
from trainers.ensemble import SegmenterEnsemble
from trainers.errors import UserError
from trainers.segmenter import ImageSegmenter, Segmenter


def load_segmenter(folder: str | Path, *more: str | Path) -> ImageSegmenter:
    """What segments images with the network of an exported or a deployed folder; of several with
    the mean of their networks' probabilities.

    Raises UserError as `open_segmenter` does.
    """
    return open_segmenter(*map(Path, (folder, *more)))[0]


def open_segmenter(*folders: Path) -> tuple[ImageSegmenter, str]:
    """What segments images with these folders' networks, and a text that names their weights.

    Raises UserError where a folder is neither exported nor deployed, what its format needs is not
    installed, or several are no ensemble (`SegmenterEnsemble.of`).
    """
    opened = [(folder, *_open(folder)) for folder in folders]
    used = " and ".join(told for *_, told in opened)
    if len(opened) == 1:
        return opened[0][1], used
    return SegmenterEnsemble.of([(str(folder), one) for folder, one, _ in opened]), used


def _open(folder: Path) -> tuple[Segmenter, str]:
    if (folder / RECORD).is_file():
        record = Deployment.read(folder)
        return Segmenter(network=open_network(folder, record), spec=record), (
            f"{record.format} {record.precision}, {record.weights} weights: "
            f"{folder / record.network}"
        )
    if (folder / CONFIG).is_file():
        export = Export(folder)
        return export.segmenter(), f"{export.weights.stem} weights: {export.weights}"
    raise UserError(
        f"{folder} has neither {CONFIG} nor {RECORD}; give a folder that segnas export or "
        "segnas deploy made"
    )
