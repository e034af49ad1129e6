"""What a deployed folder tells of itself: `deployment.json`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from trainers.data.config import RECORDED
from trainers.errors import UserError
from trainers.segmenter import SegmenterSpec
from trainers.strict import Strict

RECORD = "deployment.json"
Positive = Annotated[int, Field(gt=0)]

Format = Literal["bundle", "onnx", "torch-export", "torchscript"]
Precision = Literal["fp32", "fp16", "int8"]


class Dynamic(Strict):
    """Which inputs the file takes besides (`batch`, C, *`patch`).

    `sizes`: each of D, H, W may be another multiple of `stride`, or of its own of three.
    """

    batch: bool
    sizes: bool
    stride: Positive | tuple[Positive, Positive, Positive]

    @property
    def strides(self) -> tuple[int, int, int]:
        """Of D, H and W."""
        return (self.stride,) * 3 if isinstance(self.stride, int) else self.stride


class Checks(Strict):
    """The deployed network beside PyTorch's in float32, on whole cases.

    `max_difference` of logits; `largest`: the largest logit, absolute. `dice`: mean foreground Dice
    against the labels, None where there were none; `agreement`: Dice of one segmentation against
    the other, the worst case's; `pipeline`: that of the folder's own way from file to file, of a
    bundle or ONNX, against segnas'. Random batches of `shapes` were tried besides. `learnt`: how
    many of the cases the network was trained on, on which its Dice is too good.
    """

    model_config = ConfigDict(allow_inf_nan=True)  # a network that fails them may give any number

    cases: tuple[str, ...]
    max_difference: float
    largest: float
    dice: float | None
    dice_pytorch: float | None
    agreement: float
    pipeline: float | None = None
    shapes: tuple[tuple[int, ...], ...]
    learnt: int = 0


class Deployment(SegmenterSpec):
    """`deployment.json`: how the network is used, where it is, how it was made and checked.

    `network`: the file beside it; it reads and writes float32. `name`, `key`: of the network.

    `weights`: which of the export's; `device`: the type it was written and checked on; `opset`: of
    ONNX; `calibration`: the cases of which int8 has its ranges; `latency`: as
    `nas.cost.latency.Latency` tells it, of the file and of PyTorch in float32.
    """

    format: Format
    precision: Precision
    network: Annotated[str, Field(pattern=r"^(\w+/)?\w+\.\w+$")]  # in this folder
    name: str
    key: str
    weights: str
    device: str
    dynamic: Dynamic
    opset: int | None
    versions: Mapping[str, str]
    checks: Checks
    calibration: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)
    latency: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Deployment:
        """The record of a deployed folder. Raises UserError where it is missing or damaged."""
        try:
            return cls.model_validate_json((folder / RECORD).read_bytes(), context=RECORDED)
        except (OSError, ValidationError) as error:
            raise UserError(
                f"{folder}: {RECORD} is missing or damaged; deploy the network again"
            ) from error

    def write(self, folder: Path) -> None:
        """Put the record into a deployed folder."""
        (folder / RECORD).write_bytes(self.model_dump_json(indent=1).encode())
