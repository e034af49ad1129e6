"""Results as tests write them: costs beside the other values, as in a journal."""

from nas.pareto.result import Result


def flat_result(space="hybrid", **values):
    """The result with these values; `params=1_000` is a cost."""
    return Result.from_json(values, space)
