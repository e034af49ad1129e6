"""One of several devices that latencies are measured on: an entry of `latency.devices`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from trainers.home import from_home
from trainers.strict import Strict, left_out_at

Backend = Literal["eager", "compile", "graph", "onnxruntime", "openvino", "tensorrt"]
IN_ONNX_RUNTIME: tuple[Backend, ...] = ("onnxruntime", "tensorrt")
ON_A_GPU: tuple[Backend, ...] = ("graph", "tensorrt")
Precision = Literal["fp32", "bf16", "fp16", "int8"]
Quantisation = Literal["static", "dynamic"]
Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
TorchDevice = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
Amount = Annotated[float, Field(gt=0)]


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,31}", text):
        raise ValueError("expected a letter, then letters, digits, - and _, 32 at most")
    return text


def _url(text: str) -> str:
    label = r"[A-Za-z0-9_-]{1,63}"
    host = rf"{label}(\.{label})*\.?|\[[0-9A-Fa-f:]+\]"
    found = re.fullmatch(rf"https?://({host})(:(?P<port>[1-9]\d{{0,4}}))?/?", text)
    if not found or int(found["port"] or 0) >= 2**16:
        raise ValueError("expected http://HOST:PORT, a port up to 65535 and nothing behind it")
    return text


DeviceName = Annotated[str, AfterValidator(_name)]
Url = Annotated[str, AfterValidator(_url)]
Word = Annotated[str, Field(min_length=1)]

TOKEN_FILE = "~/.segnas-probe-token"
FILE = "{file}"  # of a command: where the file's path goes
HERE = ("device", "backend", "resources")  # what only a machine has that runs segnas itself


class DeviceConfig(Strict):
    """How latencies on this device differ from what `latency` says, and who measures them.

    Nothing of `resources`, `url`, `command`: this machine. `resources`: a node of the Ray cluster
    that has them. `url`: a device agent, `segnas probe --listen`, which knows the token that is in
    `token_file`. `command`: a program with its arguments, which gets an ONNX file, in the place of
    `{file}` or as its last argument, and prints milliseconds. For the latter two the network is
    exported here, in its `precision`.
    """

    device: TorchDevice | None = left_out_at(None)
    backend: Backend | None = left_out_at(None)
    precision: Precision | None = left_out_at(None)
    quantisation: Quantisation | None = left_out_at(None)
    threads: Positive | None = left_out_at(None)
    timeout: Seconds | None = left_out_at(None)
    resources: dict[str, Amount] = left_out_at({})
    url: Url | None = left_out_at(None)
    token_file: Path | None = left_out_at(None)
    command: tuple[Word, ...] = left_out_at(())

    @model_validator(mode="after")
    def _one_measures(self) -> Self:
        given = [key for key in ("resources", "url", "command") if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(
                f"{' and '.join(given)}: each says who measures; expected one of them, or none for "
                "this machine"
            )
        if self.token_file and not self.url:
            raise ValueError("token_file without url; expected the address of the device agent")
        if self.takes_file and (wrong := [key for key in HERE if getattr(self, key)]):
            raise ValueError(
                f"{wrong[0]} with {given[0]}: the device gets an ONNX file and runs it its own "
                f"way; leave {wrong[0]} out"
            )
        if self.command and self.threads:
            raise ValueError("threads with command: the command decides; leave threads out")
        return self

    @property
    def takes_file(self) -> bool:
        """Whether it gets an ONNX file, from whoever searches."""
        return bool(self.url or self.command)

    @property
    def here(self) -> bool:
        """Whether it is the machine that searches."""
        return not (self.takes_file or self.resources)

    @property
    def token_path(self) -> Path:
        """The file that holds the token of the agent."""
        return self.token_file or from_home(TOKEN_FILE)

    def changes(self) -> dict[str, Any]:
        """What it changes of `latency`: a file is written on the CPU, whoever runs it."""
        who = {"url", "token_file", "command"}
        own = self.model_dump(exclude=who, exclude_none=True)
        return {**own, "backend": "onnxruntime", "device": "cpu"} if self.takes_file else own
