"""The folder of a compression until it has ended, and what goes on after an interruption."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas.export.export_folder import CONFIG, RETRAINED
from trainers.atomic import make_folder, new_folder, remove_drafts_of, replace_files
from trainers.errors import TrainingDivergedError, UserError
from trainers.read_json import read_json

ASKED = "asked.json"  # what of whom it is; the last of the files that are there before a training
INSIDE = ".unfinished"


class Unfinished:
    """`to`.unfinished, or where `to` is there, as a volume that is mounted, `.unfinished` in it."""

    def __init__(self, to: Path) -> None:
        self.to = to
        places = to / INSIDE, to.with_name(f"{to.name}{INSIDE}")
        usual = places[0] if to.is_dir() else places[1]
        self.folder = next((place for place in places if place.exists()), usual)

    def check(self, asked: Mapping[str, Any]) -> bool:
        """Whether one is there, of what is `asked` for.

        Raises UserError where it is another one, or where `to` holds something.
        """
        if not self.to.is_dir() and not self.folder.exists():
            new_folder(self.to)
            return False
        told = read_json(self.folder / ASKED) if self.folder.exists() else {}
        if not told.get("done") and any(map(_is_of_others, _within(self.to))):
            raise UserError(f"{self.to} is not empty; give --to a new folder")
        if told and asked != {name: told.get(name) for name in asked}:
            raise UserError(
                f"{self.folder} holds another compression, which was interrupted: go on with its "
                "command, delete the folder, or give --to another one"
            )
        return bool(told)

    @property
    def trained(self) -> bool:
        """Whether its training has ended."""
        return (self.folder / RETRAINED).is_file()

    @property
    def done(self) -> bool:
        """Whether all has ended but for its way to `to`."""
        return bool(read_json(self.folder / ASKED).get("done"))

    def begin(self, build: Callable[[Path], object]) -> None:
        """Make the folder by `build`, whole or not at all."""
        remove_drafts_of(self.folder)
        make_folder(self.folder, build)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What is raised within leaves the folder where there is something to go on from: an epoch
        that ended, and no training that diverged."""
        try:
            yield
        except BaseException as error:
            begun = self.trained or any(self.folder.glob("retraining-*"))
            if isinstance(error, TrainingDivergedError) or not begun:
                shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def finish(self) -> None:
        """The folder becomes `to`; where that is cut off, it can be called again."""
        asked = self.folder / ASKED
        replace_files({asked: json.dumps({**read_json(asked), "done": True}).encode()})
        for left in self.folder.glob("retraining-*"):  # of a training that was cut off as it ended
            left.unlink()
        if not self.to.exists():
            self.folder.rename(self.to)
            (self.to / ASKED).unlink()
            return
        for each in sorted(_within(self.folder), key=lambda path: path.name == CONFIG):
            if each != asked:  # what makes it an export comes last
                shutil.move(each, self.to / each.name)
        shutil.rmtree(self.folder)


def _within(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _is_of_others(path: Path) -> bool:
    """Not one of its own, which may be a draft of a killed process."""
    return not path.name.lstrip(".").startswith(INSIDE.lstrip("."))
