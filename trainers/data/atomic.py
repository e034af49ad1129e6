"""Folders that are complete or absent, however many processes make them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4


def make_folder(folder: Path, build: Callable[[Path], object]) -> Path:
    """`folder`, filled by `build` unless it exists.

    It is built beside its place and then renamed; of two processes that build at once, the first to
    finish wins and the other's copy is thrown away.
    """
    if folder.exists():
        return folder
    draft = folder.with_name(f".{folder.name}-{uuid4().hex}")
    draft.mkdir(parents=True)
    try:
        build(draft)
        draft.rename(folder)
    except OSError:
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder
