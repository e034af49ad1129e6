"""What processes that were killed left in the folder of a search."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nas.engine.trial_files import TrialFiles
from nas.study.repeats import FOLDER, read_repeats
from nas.study.study import Study
from trainers.atomic import remove_drafts
from trainers.errors import UserError


def clear_folder(
    directory: Path, files: TrialFiles, study: Study, say: Callable[[str], object]
) -> None:
    """Remove drafts of files, what attempts at trainings saved, and all but the weights of
    networks whose trainings have ended.

    For the opening of a search, and its end: nobody trains. `say` is told what cannot be removed.
    """
    for folder in (directory, directory / FOLDER):
        remove_drafts(folder)
    for token in directory.glob(".seen-*"):  # for which the nodes of a cluster looked
        with suppress(OSError):
            token.unlink()
    try:
        files.clear(_ended(directory, study))
    except (OSError, UserError) as error:  # a full or read-only disk, a damaged checkpoint
        say(f"a file of an earlier session is left as it is: {error}")


def _ended(directory: Path, study: Study) -> dict[str, bool]:
    """The names of trainings that have ended, and whether their weights are kept."""
    ended = {result.name: study.was_complete(result.key) for result in study.results}
    ended |= {one.name: True for one in (*study.baselines, *study.compressed)}
    repeats = read_repeats(directory)
    return ended | {f"{repeat.key}-seed{repeat.seed}": False for repeat in repeats}
