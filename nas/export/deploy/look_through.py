"""Files of deployed networks, looked through before PyTorch opens them: they may be a stranger's.

`torch.export.load` unpickles parts of an archive, loads native code that lies in it and evaluates
expressions, and TorchScript has operators that write files. A file that `segnas deploy` wrote needs
none of this; one that does is not opened. PyTorch itself still warns of archives of strangers: of
all formats ONNX alone is data and nothing else.
"""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from nas.export.deploy.errors import DeployError

MOST = 64 << 20  # bytes of a text within an archive
SAMPLES = re.compile(r"data/sample_inputs/[^/]+\.pt")
CODE = re.compile(r"data/aotinductor/|data/executorch/|data/mtia/")
PICKLED = re.compile(r"data/(weights|constants)/([^/]+\.pt|custom_obj_.*|opaque_obj_.*)")
PAYLOADS = re.compile(r"data/(weights|constants)/[^/]+\.json")
GRAPHS = re.compile(r"models/[^/]+\.json")
WRITES = re.compile(rb"\b(from_file|torch\.save|aten\.save|_save_pickle)\b")
ARITHMETIC = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name),
    *(ast.Load, ast.Constant, ast.keyword, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)
SYMBOL = re.compile(r"[A-Za-z]\w*", re.ASCII)


def check_exported(path: Path) -> None:
    """Raise DeployError where an archive of torch.export holds more than a graph and its numbers,
    or is none."""
    with _archive(path) as archive:
        files = _files(archive)
        if "archive_version" not in files:
            raise DeployError("is no archive of torch.export, or an old one")
        for name, entry in files.items():
            if CODE.match(name):
                raise DeployError(f"holds native code ({name}), which is not loaded")
            if PICKLED.fullmatch(name):
                raise DeployError(f"holds a pickle ({name}), which could run code and is not read")
            if PAYLOADS.fullmatch(name):
                _check_payloads(name, _json(archive, entry))
            elif SAMPLES.fullmatch(name):
                _check_samples(name, _read(archive, entry))
            elif GRAPHS.fullmatch(name):
                _check_expressions(name, _json(archive, entry))


def check_scripted(path: Path) -> None:
    """Raise DeployError where a TorchScript file has an operator that writes files, or is none."""
    with _archive(path) as archive:
        for name, entry in _files(archive).items():
            if name.startswith("code/") and (found := WRITES.search(_read(archive, entry))):
                raise DeployError(f"calls {found[0].decode()}, which reaches files; not opened")


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DeployError(f"cannot be opened: {error}") from error


def _files(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Name below the archive's one folder -> entry."""
    found: dict[str, zipfile.ZipInfo] = {}
    roots = set()
    for entry in archive.infolist():
        root, _, name = entry.filename.partition("/")
        roots.add(root)
        if len(roots) > 1 or found.setdefault(name, entry) is not entry:
            raise DeployError(f"holds two files of one name ({name}); not opened")
    return found


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.file_size > MOST:
        raise DeployError(f"holds {entry.filename} of {entry.file_size:,} bytes; not opened")
    try:
        return archive.read(entry)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise DeployError(f"is damaged: {error}") from error


def _json(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Any:
    try:
        return json.loads(_read(archive, entry))
    except (ValueError, RecursionError) as error:
        raise DeployError(f"is damaged: {entry.filename}: {error}") from error


def _check_payloads(name: str, told: Any) -> None:
    for value in _values(told, "use_pickle"):
        if value is not False:
            raise DeployError(f"holds a pickle ({name}), which could run code and is not read")


def _check_samples(name: str, content: bytes) -> None:
    """PyTorch would read them as a pickle of any kind where this fails."""
    try:
        if content:
            torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds
        raise DeployError(f"holds a pickle ({name}) of more than plain values") from error


def _check_expressions(name: str, told: Any) -> None:
    """Sizes such as `Mul(Integer(2), Symbol('s0', positive=True))`, which SymPy evaluates as Python
    does: arithmetic, SymPy's classes, and names of symbols as their only texts."""
    for text in _values(told, "expr_str"):
        try:
            parts: list[ast.AST | None] = [*ast.walk(ast.parse(text, mode="eval"))]
        except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
            parts = [None]
        for part in parts:
            named = isinstance(part, ast.Name) and part.id.startswith("_")
            text_in = isinstance(part, ast.Constant) and not _is_number_or_symbol(part.value)
            called = isinstance(part, ast.Call) and not _is_class(part.func)
            if not isinstance(part, ARITHMETIC) or named or text_in or called:
                raise DeployError(f"holds a size that is no arithmetic ({name}); not opened")


def _is_number_or_symbol(value: object) -> bool:
    return isinstance(value, int | float) or (
        isinstance(value, str) and bool(SYMBOL.fullmatch(value))
    )


def _is_class(func: ast.expr) -> bool:
    return isinstance(func, ast.Name) and func.id[0].isupper()


def _values(told: Any, key: str) -> Iterator[Any]:
    """What is called `key`, however deep."""
    waiting = [told]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from (value for name, value in one.items() if name == key)
        waiting += list(one.values()) if isinstance(one, dict) else one if type(one) is list else []
