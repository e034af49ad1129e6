"""One file over HTTP: gone on with where it broke off, and checked.

The standard library's client. pooch (1.9) begins a broken download again from its first byte, which
for a set of many gigabytes is no way.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from io import FileIO
from pathlib import Path
from time import sleep
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from trainers.errors import UserError

CHUNK = 1 << 20  # bytes
TIMEOUT = 30.0  # seconds in which a server has to say something
TRIES = 3  # in a row that bring no byte
PAUSE = 1.0  # seconds before the second try, and twice that before the third

Progress = Callable[[int, int, str], object]
"""(done, total, "downloaded"), in bytes; also "checked" and "unpacked"."""


def download(url: str, to: Path, md5: str, progress: Progress) -> None:
    """Make the file `to` from `url`, with that MD5 sum, or raise UserError and make none.

    What is there so far lies in `to` with `.part` after it. A call that finds one asks for the rest
    by an HTTP Range request; a server that knows no ranges sends everything again. Room is made
    sure of for the file and once more for what is unpacked of it.
    """
    part = to.with_name(f"{to.name}.part")
    _receive_all(url, part, progress)
    if (found := _md5(part, progress)) != md5:
        part.unlink()
        raise UserError(
            f"{url} has the MD5 sum {found}; expected {md5}. What came was deleted: try again, or "
            "another --mirror"
        )
    part.replace(to)


def size_of(url: str, timeout: float = 5.0) -> int | None:
    """Bytes of the file, as its server says; None where nobody does in that many seconds."""
    try:
        with urlopen(Request(url, method="HEAD"), timeout=timeout) as response:
            return int(response.headers["Content-Length"])
    except (OSError, HTTPException, TypeError, ValueError):
        return None


def _receive_all(url: str, part: Path, progress: Progress) -> None:
    tries = 0
    while True:
        before = _size(part)
        try:
            return _receive(url, part, progress)
        except HTTPError as error:
            if error.code == 416:  # there is nothing after what is there: the sum will tell
                return
            problem = f"HTTP {error.code} {error.reason}"
            if error.code < 500:
                raise UserError(f"{url} cannot be had: {problem}; try another --mirror") from error
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            problem = str(reason) or type(error).__name__
        tries = 1 if _size(part) > before else tries + 1
        if tries == TRIES:
            kept = f"; {part} is kept, the same command goes on from it" if _size(part) else ""
            raise UserError(f"{url} cannot be had: {problem}{kept}")
        sleep(PAUSE * tries)


def _receive(url: str, part: Path, progress: Progress) -> None:
    """Receive what `part` lacks. Raises OSError or HTTPException where the connection breaks."""
    here = _size(part)
    request = Request(url, headers={"Range": f"bytes={here}-"} if here else {})
    with urlopen(request, timeout=TIMEOUT) as response, part.open("ab", buffering=0) as file:
        here, total = _place(response, here)
        file.truncate(here)
        _check_room(part, 2 * total - here, url)
        while chunk := response.read(CHUNK):
            _write(file, chunk, part)
            here += len(chunk)
            progress(here, max(total, here), "downloaded")
    if here < total:
        raise ConnectionError(f"the connection ended after {here} of {total} bytes")


def _place(response: HTTPResponse, here: int) -> tuple[int, int]:
    """Where in the file the response begins, and how long the file is; 0 where it is not said."""
    if response.status == 206:
        said = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        if said is None or int(said[1]) > here:
            raise ConnectionError("the server sent another part than it was asked for")
        return int(said[1]), int(said[2])
    return 0, int(response.headers.get("Content-Length", 0))


def _check_room(part: Path, wanted: int, url: str) -> None:
    if wanted > (free := shutil.disk_usage(part.parent).free):
        raise UserError(
            f"{url}: downloading and unpacking it takes {wanted / 1e9:.2f} GB more, and "
            f"{part.parent} has {free / 1e9:.2f} GB; make room, or give --to another disk"
        )


def _write(file: FileIO, chunk: bytes, part: Path) -> None:
    """A raw file may take a part of what it is given."""
    rest = memoryview(chunk)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise UserError(
            f"{part} cannot be written: {error.strerror}; it is kept, and the same command goes on "
            "from it"
        ) from error


def _md5(path: Path, progress: Progress) -> str:
    digest, done, size = hashlib.md5(usedforsecurity=False), 0, _size(path)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress(done, size, "checked")
    return digest.hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
