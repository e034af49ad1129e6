"""A journal whose lines are whole and say what no search writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.study.search_folder import JOURNAL
from trainers.errors import UserError, first_line, shortened


@contextmanager
def damage_told(file: Path = Path(JOURNAL)) -> Iterator[None]:
    """Reading the journal `file`: whatever odd content raises becomes one UserError.

    An editor, a mixture of two files or malice can leave anything in it, and Optuna raises a dozen
    kinds of errors for that.
    """
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        told = shortened(first_line(error))
        raise UserError(
            f"{file} is damaged ({type(error).__name__}: {told}); expected what a "
            "search wrote. Put a copy of the file in its place, or give --dir a new folder"
        ) from error
