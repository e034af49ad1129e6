"""CT whose values are in another unit than those of the training: a window clips all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .intensity import of_each_channel
from .settings import Settings

NO_AIR = -50.0  # HU; fat has less, and so has air


def doubts_of_units(
    lowest: Sequence[float], settings: Settings, learnt: Sequence[float | None]
) -> Iterator[str]:
    """What is to be said of an image whose channels have these lowest values.

    learnt: the value from which on each channel of the training had Hounsfield units, None where it
    has others; empty where none has any. Without a window a volume is normalised by itself, and its
    unit does not count.
    """
    each = of_each_channel(settings, len(lowest))
    for how, low, usual in zip(each, lowest, learnt, strict=False):
        if how.kind == "ct" and usual is not None and low > NO_AIR:
            yield (
                f"has {low:.4g} as its lowest value; the network was trained on Hounsfield units "
                f"from about {usual:.4g} on: expect little of it, and check how the file's values "
                "were rescaled"
            )
