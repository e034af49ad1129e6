"""What a compressed network was made of, as its folder tells it."""

from __future__ import annotations

from dataclasses import dataclass

from nas.export.export_folder import COMPRESSION, Export
from search_spaces.registry import ARCHITECTURE
from trainers.errors import UserError
from trainers.read_json import read_json


@dataclass(frozen=True)
class Origin:
    """`method`: how it was made smaller. `trial`: the key of the search's network that it was made
    of, in one step or several. `search`, `search_id`: that search, empty where it is not known."""

    method: str
    trial: str
    search: str
    search_id: str


def origin_of(export: Export) -> Origin:
    """Raises UserError for an export that was not compressed, and for damaged records."""
    made = export.compression
    if not made:
        raise UserError(
            f"{export.folder} was not made smaller: it has no {COMPRESSION}; expected what segnas "
            "compress wrote"
        )
    try:
        told = read_json(export.folder / ARCHITECTURE).get("origin", {})
        return Origin(
            made["method"],
            told.get("trial", made["original"]["key"]),
            told.get("search", ""),
            told.get("search_id", ""),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{export.folder}: {COMPRESSION} or {ARCHITECTURE} is damaged ({error}); compress again"
        ) from error
