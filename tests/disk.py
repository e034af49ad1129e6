"""Disks that are full, and drives that do not answer."""

import errno
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of `size` bytes at `folder`; skips the test where none may be mounted."""
    options = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(options, capture_output=True).returncode:
        pytest.skip("this user cannot mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)  # files of it may still be open


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nobody can write to the small disk there, root neither."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


def grow(folder: Path, size: int) -> None:
    """Give the small disk so many bytes."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def fill(file: Path) -> None:
    """Write zeros until the disk is full."""
    with file.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file that this process writes may become larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def drive(folder: Path, image: Path, size: int = 2**26) -> Iterator[Callable[[bool], None]]:
    """A file system of its own at `folder`, in the file `image`, as a network drive is one.

    Yields what blocks it (True), so that whoever writes there waits and cannot be killed, and lets
    it go on (False). Skips the test where none may be mounted.
    """
    with image.open("wb") as file:
        file.truncate(size)
    made = shutil.which("mkfs.ext4") and shutil.which("fsfreeze")
    commands = [["mkfs.ext4", "-q", image], ["mount", "-o", "loop,noatime", image, folder]]
    if not made or any(subprocess.run(c, capture_output=True).returncode for c in commands):
        pytest.skip("this user cannot mount a drive that can be blocked")

    def block(blocked: bool) -> None:
        subprocess.run(["fsfreeze", "-f" if blocked else "-u", folder], check=True)

    try:
        yield block
    finally:
        subprocess.run(["fsfreeze", "-u", folder], capture_output=True)
        subprocess.run(["umount", "-l", folder], check=True)
