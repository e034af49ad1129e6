"""Why a worker was lost, in a line: Ray tells it with much of its own around it."""

from __future__ import annotations

import re
from pathlib import Path

from ray.tune.experiment import Trial

from trainers.errors import shortened

MOST = 300  # characters of a line
LOW_MEMORY = re.compile(r"running low on memory.* was (.+? used / .+?) limit")  # as of Ray 2.60


def failure_of(trial: Trial) -> str | None:
    """What the trial's worker raised, or that Ray killed it for want of memory; None where its
    process died of something else.

    Of the text that Ray writes on this machine before it tells anybody: `Trial.get_error` reads it
    where it lies later.
    """
    if trial.error_file is None:
        return None
    try:
        text = Path(trial.error_file).read_text(errors="replace")
    except OSError:
        return None
    return cause_in(text)


def cause_in(text: str) -> str | None:
    """The same, of any text that Ray writes of a lost worker."""
    if memory := LOW_MEMORY.search(text):
        return f"its machine ran low on memory, {memory[1]}, and Ray killed it"
    return last_raised(text)


def last_raised(text: str) -> str | None:
    """The line of a traceback after its last frame, as `KeyError: 'x'`; None for other text."""
    _, frame, rest = text.rpartition('\n  File "')
    lines = [line for line in rest.splitlines()[1:] if line[:1].strip()]  # code is indented
    return shortened(lines[0].strip(), MOST) if frame and lines else None
