"""`segnas confirm`: which members of a front would be there again."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from nas.analysis.confirm.candidates_near_front import nearest_to_front
from nas.analysis.confirm.front_probability import Confirmed, front_chances
from nas.analysis.confirm.repeats import FOLDER, Outcome, Repeat, read_outcome, train_repeat
from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.engine.cluster import Cluster
from nas.engine.cluster_map import cluster_map
from nas.pareto.front import front
from nas.pareto.result import Result
from nas.study.folder_lock import alone_in
from nas.study.search_folder import journal_in
from nas.study.stored_results import read_records
from trainers.atomic import replace_files
from trainers.data.check import Progress
from trainers.data.prepare import prepare_data
from trainers.errors import UserError

SUMMARY = "confirm.json"


def confirm_search(
    directory: Path, top: int, seeds: int, address: str | None, progress: Progress
) -> list[Confirmed]:
    """Train the `top` candidates nearest to the front again, with `seeds` seeds each.

    Returns them by their chance of being on the front, the best first, and writes that to
    `confirm/confirm.json`. What was trained before is not trained again; interrupted trainings go
    on. Raises UserError where the search has no complete result or is none.
    """
    directory = directory.resolve()
    journal_in(directory)
    with alone_in(directory):
        config = read_config(RunConfig, directory / "config.yaml", recorded=True)
        results = read_records(directory, config.space.name, config.budget).results
        chosen = nearest_to_front(results, config.objectives, top)
        if not chosen:
            raise UserError(f"{directory} has no candidate that was trained to the end")
        repeats = [
            Repeat(result.key, result.architecture, config.seed + 1 + number)
            for number in range(seeds)
            for result in chosen
        ]
        outcomes = _outcomes(repeats, config, directory, address, progress)
        confirmed = _confirmed(chosen, results, config.objectives, outcomes)
        records = [one.to_json() for one in confirmed]
        text = json.dumps({"objectives": config.objectives, "confirmed": records}, indent=1)
        replace_files({directory / FOLDER / SUMMARY: f"{text}\n".encode()})
    return confirmed


def _outcomes(
    repeats: Sequence[Repeat],
    config: RunConfig,
    directory: Path,
    address: str | None,
    progress: Progress,
) -> dict[str, list[Outcome]]:
    """All outcomes by key; those that are not known yet are trained."""
    found: dict[str, list[Outcome]] = defaultdict(list)
    missing, done = [], 0
    for repeat in repeats:
        if outcome := read_outcome(repeat, directory):
            found[repeat.key].append(outcome)
            done += 1
        else:
            missing.append(repeat)
    if not missing:
        return found
    cache, _ = prepare_data(config.data, directory, progress)
    progress(done, len(repeats), "trained")
    with Cluster(config.resources, address) as cluster:
        work = partial(train_repeat, config=config, directory=directory)
        for repeat, answer in cluster_map(
            work,
            missing,
            cluster,
            directory,
            cache.folder,
            config.search.retries,
        ):
            if isinstance(answer, Exception):
                answer = Outcome(None, (), str(answer).strip().splitlines()[-1])
            found[repeat.key].append(answer)
            done += 1
            progress(done, len(repeats), "trained")
    return found


def _confirmed(
    chosen: Sequence[Result],
    results: Sequence[Result],
    objectives: Sequence[str],
    outcomes: Mapping[str, Sequence[Outcome]],
) -> list[Confirmed]:
    dice = {key: tuple(one.dice or 0.0 for one in ended) for key, ended in outcomes.items()}
    chance = front_chances(dice, results, objectives)
    members = {member.key for member in front(results, objectives)}
    confirmed = [
        Confirmed(
            result,
            result.key in members,
            dice[result.key],
            sum(one.dice is None for one in outcomes[result.key]),
            chance[result.key],
        )
        for result in chosen
    ]
    return sorted(confirmed, key=lambda one: (-one.chance, -one.mean, one.result.key))
