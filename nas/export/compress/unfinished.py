"""The folder of a compression until it has ended, and what goes on after an interruption."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas.export.export_folder import CONFIG, RETRAINED
from trainers.atomic import make_folder, new_folder
from trainers.errors import TrainingDivergedError, UserError
from trainers.read_json import read_json

ASKED = "asked.json"  # what of whom it is; the last of the files that are there before a training


class Unfinished:
    """`to`.unfinished, or where `to` is there, as a volume that is mounted, `.unfinished` in it."""

    def __init__(self, to: Path) -> None:
        self.to = to
        inside = to.is_dir()
        self.folder = to / ".unfinished" if inside else to.with_name(f"{to.name}.unfinished")

    def check(self, asked: Mapping[str, Any]) -> bool:
        """Whether one is there, of what is `asked` for.

        Raises UserError where it is another one, or where `to` holds something.
        """
        if not self.folder.exists():
            new_folder(self.to)
            return False
        others = [each for each in _within(self.to) if each != self.folder]
        if others:
            raise UserError(f"{self.to} is not empty; give --to a new folder")
        told = read_json(self.folder / ASKED)
        if asked != {name: told.get(name) for name in asked}:
            raise UserError(
                f"{self.folder} holds another compression, which was interrupted: go on with its "
                "command, delete the folder, or give --to another one"
            )
        return True

    @property
    def trained(self) -> bool:
        """Whether its training has ended."""
        return (self.folder / RETRAINED).is_file()

    def begin(self, build: Callable[[Path], object]) -> None:
        """Make the folder by `build`, whole or not at all."""
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
        """The folder becomes `to`."""
        (self.folder / ASKED).unlink()
        if self.folder.parent != self.to:
            self.folder.rename(self.to)
            return
        for each in sorted(_within(self.folder), key=lambda path: path.name == CONFIG):
            each.rename(self.to / each.name)  # what makes it an export comes last
        self.folder.rmdir()


def _within(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
