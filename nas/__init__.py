"""segnas from Python: searches, their results, and the networks they found; see docs/python.md.

What is offered is imported when it is first used, so that `import nas` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import trainers  # noqa: F401  # before anybody imports MONAI, see trainers/light_monai.py

if TYPE_CHECKING:
    from nas.config.run_config import RunConfig as RunConfig
    from nas.export.deploy.open_segmenter import load_segmenter as load_segmenter
    from nas.export.export_folder import Export as Export
    from nas.pareto.result import Result as Result
    from nas.search.notebook import Search as Search
    from nas.search.notebook import open_search as open_search
    from nas.search.notebook import read_config as read_config
    from nas.search.notebook import run_search as run_search
    from trainers.errors import UserError as UserError
    from trainers.predict import predict_folder as predict_folder
    from trainers.segmenter import Segmenter as Segmenter

_PLACES = {
    "RunConfig": "nas.config.run_config",
    "load_segmenter": "nas.export.deploy.open_segmenter",
    "Export": "nas.export.export_folder",
    "Result": "nas.pareto.result",
    "Search": "nas.search.notebook",
    "open_search": "nas.search.notebook",
    "read_config": "nas.search.notebook",
    "run_search": "nas.search.notebook",
    "UserError": "trainers.errors",
    "predict_folder": "trainers.predict",
    "Segmenter": "trainers.segmenter",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
