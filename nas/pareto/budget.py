"""Hard limits on what a network may cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    ByteSize,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from nas.pareto.objectives import device_of, is_latency, objective
from trainers.strict import LARGEST, Strict


def _countable(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except OverflowError as error:  # of pydantic 2.12, for more than a float holds
        raise ValueError("expected bytes, or text with a unit such as 8GiB") from error


Limit = Annotated[float, Field(gt=0)]
Bytes = Annotated[ByteSize, WrapValidator(_countable), Field(le=LARGEST)]


class Budget(Strict):
    """Hard limits: a candidate over one of them is never trained.

    `params`: trainable parameters. `macs`: multiply-accumulates of one patch. `memory`: bytes (or
    `8GiB`) at the peak of a training step. `latency_ms`: median milliseconds of one pass; of one of
    several devices, `latency_ms@DEVICE`.
    """

    model_config = ConfigDict(extra="allow")  # those of devices alone
    __pydantic_extra__: dict[str, Limit] = Field(init=False)

    params: Limit | None = None
    macs: Limit | None = None
    memory: Annotated[Bytes, Field(gt=0)] | None = None
    latency_ms: Limit | None = None

    @model_validator(mode="after")
    def _of_devices(self) -> Self:
        """Any other key is refused as every configuration does."""
        unknown = [
            InitErrorDetails(type="extra_forbidden", loc=(name,), input=limit)
            for name, limit in self.__pydantic_extra__.items()
            if not (is_latency(name) and device_of(name))
        ]
        if unknown:
            raise ValidationError.from_exception_data(type(self).__name__, unknown)
        return self

    def limits(self) -> dict[str, float]:
        """The limits that are set."""
        return {name: float(limit) for name, limit in self if limit is not None}

    def limits_counted(self) -> dict[str, float]:
        """Those that are set on what is known without running a network."""
        return {name: limit for name, limit in self.limits().items() if not is_latency(name)}

    def excess(self, costs: Mapping[str, float | None]) -> dict[str, float]:
        """The limits that `costs` exceed, and by which factor; unknown costs exceed none."""
        return {
            name: cost / limit
            for name, limit in self.limits().items()
            if (cost := costs.get(name) or 0.0) > limit
        }

    def reason(self, costs: Mapping[str, float | None]) -> str | None:
        """Why `costs` are too high, and by how much; None where they are not."""
        over = [
            f"{name} {objective(name).exact(costs[name])} ({factor:.3g} times the limit)"
            for name, factor in self.excess(costs).items()
        ]
        return f"over budget: {', '.join(over)}" if over else None

    def missed_by(self, costs: Mapping[str, float]) -> str:
        """The limits on known `costs`, and how near to them the smallest network found comes."""
        return ", ".join(
            f"budget.{name} = {objective(name).exact(limit)} (smallest found: "
            f"{objective(name).exact(costs[name])})"
            for name, limit in self.limits().items()
            if name in costs
        )
