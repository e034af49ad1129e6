"""Any folder that segments images: an exported one, or a deployed one of any format."""

from __future__ import annotations

from pathlib import Path

from nas.export.deploy.record import RECORD, Deployment
from nas.export.deploy.runtime import open_network
from nas.export.export_folder import CONFIG, Export
from trainers.errors import UserError
from trainers.segmenter import Segmenter


def load_segmenter(folder: str | Path) -> Segmenter:
    """What segments images with the network of an exported or a deployed folder.

    Raises UserError as `open_segmenter` does.
    """
    return open_segmenter(Path(folder))[0]


def open_segmenter(folder: Path) -> tuple[Segmenter, str]:
    """The segmenter of an exported or a deployed folder, and one line that names its weights.

    Raises UserError where the folder is neither, or what its format needs is not installed.
    """
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
