"""Results as tests write them: costs beside the other values, as in a journal; and searches."""

from nas.pareto.result import Result
from nas.report.search_record import SearchRecord


def flat_result(space="hybrid", **values):
    """A complete result, unless these values say otherwise; `params=1_000` is a cost."""
    defaults = {"number": 0, "architecture": {}, "state": "complete"}
    return Result.from_json({**defaults, **values}, space)


def search_record(results, **values):
    """A search with these results, for Dice and parameters unless these values say otherwise."""
    defaults = {"objectives": ("dice", "params"), "title": "test", "classes": ("organ",)}
    return SearchRecord(results=results, **{**defaults, **values})
