"""How latency is measured: the `latency` section of a configuration."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from nas.cost.latency.device_config import (
    IN_ONNX_RUNTIME,
    ON_A_GPU,
    Amount,
    Backend,
    DeviceConfig,
    DeviceName,
    Positive,
    Precision,
    Quantisation,
    Seconds,
    TorchDevice,
)
from trainers.strict import Strict, left_out_at

Size3 = tuple[Positive, Positive, Positive]


class LatencyConfig(Strict):
    """The conditions of a measurement, and how many passes are timed.

    `device`: `auto` is the one that trials train on. `threads`: of the CPU. `batch`: patches in one
    pass. `patch`: (D, H, W), None for that of training. `volume`: its sliding-window prediction is
    timed as well, with windows that share `overlap` of their length. `warmup` passes are not
    counted; then come two runs of `repeats` passes or `seconds` each, whichever ends first, though
    never fewer than three passes. `timeout`: seconds for one network with its building and
    compiling.
    `resources`: the Ray resources of the node that measures; empty for this machine.
    `devices`: several that are measured on, by name, each as these keys say but for its own.
    """

    device: TorchDevice = "auto"
    backend: Backend = "eager"
    precision: Precision = "fp32"
    quantisation: Quantisation = "static"
    threads: Positive = 1
    batch: Positive = 1
    patch: Size3 | None = None
    volume: Size3 | None = None
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.25
    warmup: Annotated[int, Field(ge=0)] = 3
    repeats: Annotated[int, Field(ge=3)] = 30
    seconds: Seconds = 2.0
    timeout: Seconds = 300.0
    resources: dict[str, Amount] = Field(default_factory=dict)
    devices: dict[DeviceName, DeviceConfig] = left_out_at({})

    @model_validator(mode="after")
    def _that_can_work(self) -> Self:
        if self.precision == "int8" and self.backend not in ("onnxruntime", "openvino"):
            why = "PyTorch has no quantisation of its own any more"
            if self.backend == "tensorrt":
                why = "TensorRT takes other int8 files than those that are written here"
            raise ValueError(
                f"precision int8 with backend {self.backend}: {why}; use backend onnxruntime or "
                "openvino"
            )
        if self.backend == "openvino" and self.device.startswith("cuda"):
            raise ValueError(
                f"backend openvino with device {self.device}: it is for the CPU here; use device "
                "cpu, or backend onnxruntime"
            )
        if self.precision == "int8" and self.device.startswith("cuda"):
            raise ValueError(
                f"precision int8 with device {self.device}: post-training quantisation is for the "
                "CPU; use device cpu, or precision fp16"
            )
        if self.backend in ON_A_GPU and self.device == "cpu":
            raise ValueError(
                f"backend {self.backend} with device cpu: it needs a GPU; use device cuda, or "
                "backend eager"
            )
        if self.precision == "bf16" and self.backend in IN_ONNX_RUNTIME:
            raise ValueError(
                f"precision bf16 with backend {self.backend}: ONNX Runtime has no bf16 "
                "convolution; use precision fp16, or backend eager or compile"
            )
        return self

    @model_validator(mode="after")
    def _on_each(self) -> Self:
        if self.devices and self.resources:
            raise ValueError(
                "resources beside devices: each device has its own; move resources to the one that "
                "is meant"
            )
        for name in self.devices:
            try:
                self.on(name)
            except ValidationError as error:
                told = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise ValueError(f"devices.{name}: {told}") from None
        return self

    def on(self, name: str) -> LatencyConfig:
        """How it is measured on one of the `devices`."""
        shared = self.model_dump(exclude={"devices"})
        return LatencyConfig.model_validate({**shared, **self.devices[name].changes()})

    @property
    def nodes(self) -> bool:
        """Whether a node of a Ray cluster measures, on any device."""
        return bool(self.resources or any(one.resources for one in self.devices.values()))

    @property
    def here(self) -> bool:
        """Whether this machine measures, on any device."""
        if not self.devices:
            return not self.resources
        return any(one.here for one in self.devices.values())

    def device_beside(self, training: str) -> str:
        """The device that is measured where the trials train on `training`."""
        return training if self.device == "auto" else self.device
