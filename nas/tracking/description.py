"""The description of a search in MLflow: Markdown that says what was found and where it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from nas.pareto.front import spread
from nas.pareto.objectives import costs_among, objective
from nas.pareto.result import Result
from nas.tracking.metrics import metric_name
from nas.tracking.mlflow_private import VIEW_PARAMETER, runs_view
from nas.tracking.search import Search

ROWS = 12  # of the front: the whole is in front.html


def front_path(experiment_id: str, run_id: str) -> str:
    """Where the front is under the address of MLflow.

    Without the query MLflow shows its view for language models.
    """
    place = f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/front.html"
    return f"{place}?workflowType=machine_learning"


def trials_path(experiment_id: str, run_id: str) -> str:
    """Where the trials of a search are under the address of MLflow, in charts and a table whose
    columns are chosen; `trials_view` says which."""
    query = f"{VIEW_PARAMETER}={run_id}&compareRunsMode=CHART&workflowType=machine_learning"
    return f"#/experiments/{experiment_id}/runs?{query}"


def trials_view(objectives: Sequence[str], run_id: str) -> str:
    """The trials of the search with that run: the best first, and Dice against each cost."""
    costs = [metric_name(name) for name in objectives if name != "dice"]
    named = [*costs, *(name for name in ("params", "macs") if name not in costs)]
    tags = ("front", "pareto_rank", "state")
    return runs_view(
        runs=f"tags.mlflow.parentRunId = '{run_id}'",
        order="metrics.dice",
        columns=["metrics.dice", *(f"metrics.{n}" for n in named), *(f"tags.{t}" for t in tags)],
        charts=[(cost, "dice") for cost in named],
    )


def note(
    search: Search, results: Sequence[Result], ranks: Mapping[str, int], place: tuple[str, str]
) -> str:
    """What the search is, how it stands, its front, and the ways to front.html and to the trials.

    `place`: the experiment and the run.
    """
    return "\n".join(_lines(search, results, ranks, *place)) + "\n"


def _lines(
    search: Search,
    results: Sequence[Result],
    ranks: Mapping[str, int],
    experiment_id: str,
    run_id: str,
) -> Iterator[str]:
    members = [result for result in results if ranks.get(result.key) == 1]
    members.sort(key=lambda member: (member.costs.get("params", 0), member.key))
    states = Counter(result.state for result in results)
    space = f" in the space `{search.params['space']}`" if "space" in search.params else ""
    names = ", ".join(objective(name).phrase for name in search.objectives)
    # First: MLflow folds all but the beginning of a description.
    page, trials = front_path(experiment_id, run_id), trials_path(experiment_id, run_id)
    yield (
        f"**[The front as a page]({page})**: the artifact `front.html` of this run. "
        f"**[Its trials as charts and a table]({trials})**."
    )
    yield ""
    yield (
        f"A search{space} for {names}: {len(results)} candidates ended, "
        f"{states['complete']} trained whole, {states['stopped']} stopped early, "
        f"{states['infeasible']} infeasible. {len(members)} are on the Pareto front."
    )
    yield ""
    if members:
        yield from _table(members)
        yield ""
    yield (
        'The nested runs are the trials. On the page of the experiment, `tags.front = "true"` '
        "finds the front; `pareto_rank` is 1 on the front, 2 on the front without those, and so on."
    )


def _table(members: Sequence[Result]) -> Iterator[str]:
    known = costs_among(cost for member in members for cost in member.costs)
    yield f"| key | Dice | {' | '.join(objective(cost).phrase for cost in known)} |"
    yield "|---|" + "---:|" * (1 + len(known))
    for member in spread(members, ROWS):
        cells = [objective(name).short(member.value(name)) for name in ("dice", *known)]
        yield f"| {member.key} | {' | '.join(cells)} |"
