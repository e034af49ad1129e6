"""What a search has on disk, read while it runs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nas.pareto.budget import Budget
from nas.pareto.front_files import read_front
from nas.pareto.objectives import COSTS
from nas.pareto.result import Result
from nas.study.search_folder import JOURNAL, checkpoint_in
from nas.study.stored_results import read_records
from trainers.checkpoint import read_checkpoint
from trainers.errors import UserError


def results(directory: Path) -> list[dict[str, Any]]:
    """The results in whole lines of the journal, in their order; one of a key for each ending."""
    path = directory / JOURNAL
    text = path.read_bytes() if path.exists() else b""
    found = []
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        if b'"result"' in line and (told := json.loads(line).get("user_attr", {}).get("result")):
            found.append(told)
    return found


def weights_digest(directory: Path, key: str) -> str | None:
    """Of the weights of a network; None where there are none that can be read."""
    digest = hashlib.sha256()
    try:
        weights = read_checkpoint(checkpoint_in(directory, key))["weights"]
    except UserError:
        return None
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def front_is_that_of_all(directory: Path, space: str, objectives: Sequence[str]) -> bool:
    """Whether the written front is that of all results, by a comparison of each with each."""
    found = read_records(directory, space, Budget()).results
    complete = [result for result in found if result.state == "complete"]
    values = {result.key: _values(result, objectives) for result in complete}
    expected = {
        key for key, own in values.items() if not any(_better(o, own) for o in values.values())
    }
    return expected == {member.key for member in read_front(directory).members}


def leftovers(directory: Path, temporary: Path) -> list[Path]:
    """What is left where a search has ended: drafts, traces, records of Ray, temporary files, and
    checkpoints, but for the weights of complete trainings and what begun ones go on from. Not
    counted: Ray's folder of its logs, which is for people, the copy of volumes on a node, and what
    torch has compiled."""
    ended = {told["key"]: told["state"] for told in results(directory)}
    waiting = _begun(directory) - ended.keys()
    left = [path for path in directory.rglob(".*") if path.name != ".lock"]
    left += (directory / "ray").glob("*")
    for path in (directory / "checkpoints").glob("*"):
        complete = ended.get(path.stem) == "complete" and not _holds_training(path)
        if path.suffix != ".pt" or not (complete or path.stem in waiting):
            left.append(path)
    kept = re.compile(r"ray|.*-volumes|torchinductor_.*")
    return left + [path for path in temporary.iterdir() if not kept.fullmatch(path.name)]


def _begun(directory: Path) -> set[str]:
    """The keys of all candidates that were given to workers."""
    lines = (directory / JOURNAL).read_bytes().splitlines()
    attributes = [json.loads(line).get("user_attr", {}) for line in lines if b'"key"' in line]
    return {told["key"] for told in attributes if isinstance(told.get("key"), str)}


def _holds_training(checkpoint: Path) -> bool:
    return "training" in read_checkpoint(checkpoint)


def _values(result: Result, objectives: Iterable[str]) -> tuple[float, ...]:
    """All to be minimised."""
    dice = result.dice if result.dice is not None else 0.0
    assert all(name == "dice" or name in COSTS for name in objectives)
    return tuple(-dice if name == "dice" else result.costs[name] for name in objectives)


def _better(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether it is nowhere worse, and somewhere better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
