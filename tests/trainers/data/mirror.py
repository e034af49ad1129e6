"""A mirror of data sets on this machine, which answers Range requests and can misbehave."""

import hashlib
import io
import tarfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from trainers.data.fetch.open_sets import find_open_set


@dataclass
class Mirror:
    """What it has, by path, and how it answers.

    `ends_after`: how many bytes of its body a response has before the connection is closed, one
    response after the other; those that follow are whole. `statuses`: the same with errors.
    `ranges`: whether it knows Range requests. `asked`: the method and the range of every request.
    """

    files: dict[str, bytes]
    address: str = ""
    ends_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def running(mirror):
    """The mirror while its server runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            wanted = self.headers["Range"]
            mirror.asked.append((self.command, wanted))
            content = mirror.files.get(self.path)
            if mirror.statuses:
                return self.send_error(mirror.statuses.pop(0))
            if content is None:
                return self.send_error(404)
            start = int(wanted[len("bytes=") : -1]) if wanted and mirror.ranges else 0
            if start and start >= len(content):
                return self.send_error(416)
            self.send_response(206 if start else 200)
            if start:
                told = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self.send_header("Content-Range", told)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if body:
                end = mirror.ends_after.pop(0) if mirror.ends_after else len(content)
                self.wfile.write(content[start : start + end])

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        mirror.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield mirror
        server.shutdown()


def tar_of(files, *others):
    """The bytes of an uncompressed tar with these files, and members that are made by hand."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for member in others:
            tar.addfile(member)
    return content.getvalue()


def hippocampus(archive):
    """The open set, if this were its archive."""
    return replace(find_open_set("hippocampus"), md5=hashlib.md5(archive).hexdigest())
