"""Paths that begin with `~`, which a shell leaves as they are in `--dir=~/runs` and in files."""

from pathlib import Path


def from_home(path: str | Path) -> Path:
    """The path with a leading `~` or `~user` replaced by that home, where there is one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # nobody here has that name: a file may
        return Path(path)
