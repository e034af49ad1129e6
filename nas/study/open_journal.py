"""The journal of a search as an Optuna study, made where there is none."""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage

from nas.study.constraints import directions
from nas.study.damage import damage_told
from nas.study.journal import Journal
from nas.study.resume_check import check_settings_unchanged
from nas.study.search_folder import JOURNAL


def open_journal(
    directory: Path, objectives: Sequence[str], fixed: Mapping[str, Any] | None
) -> optuna.Study:
    """The study in `directory`, which has an `id` of its own; see `Study.open` for `fixed`."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    new = json.loads(json.dumps({"objectives": objectives, **(fixed or {})}))
    with damage_told(directory / JOURNAL):
        study = optuna.create_study(
            storage=JournalStorage(Journal(directory / JOURNAL)),
            study_name="search",
            directions=directions(objectives),
            load_if_exists=True,
        )
        if "facts" not in study.user_attrs:
            study.set_user_attr("id", uuid.uuid4().hex)
            study.set_user_attr("facts", new)
        if fixed is not None:
            check_settings_unchanged(study.user_attrs["facts"], new, directory)
    return study
