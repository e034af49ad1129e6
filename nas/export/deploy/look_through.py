"""Files of deployed networks, looked through before PyTorch opens them: they may be a stranger's.

`torch.export.load` unpickles parts of an archive, loads native code that lies in it and runs
expressions, and both formats have operators that write files. What `segnas deploy` writes needs
none of this; a file that holds anything else is not opened. Names are read by PyTorch's own reader,
which finds them without regard to case. PyTorch itself still warns of archives of strangers: of all
formats ONNX alone is data and nothing else.
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
from trainers.errors import first_line

MOST = 64 << 20  # bytes of a text within an archive
GRAPH, SAMPLES = "models/model.json", "data/sample_inputs/model.pt"
CONFIGS = {
    "data/weights/model_weights_config.json": re.compile(r"weight_\d+"),
    "data/constants/model_constants_config.json": re.compile(r"tensor_\d+"),
}
RECORDS = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/(version|serialization_id)"
    rf"|{re.escape(GRAPH)}|{re.escape(SAMPLES)}|{'|'.join(map(re.escape, CONFIGS))}"
    r"|data/weights/weight_\d+|data/constants/tensor_\d+"
)
OPERATORS = re.compile(
    r"_operator\.(\w+)|math\.(\w+)|torch\.sym_(\w+)|torch\.ops\.aten\.(\w+)\.\w+"
    r"|torch\.ops\.higher_order\.(cond|wrap_with_autocast|wrap_with_set_grad_enabled)"
)
FILES = re.compile(r"\b(from_file|save|_save_pickle|_save_to_db|read_file|write_file)\b")
FOREIGN = re.compile(r"\bops\b(?!\.(?:prim|aten)\.)")  # operators that a library registers
INPUT_SIZE = re.compile(r"\bL\['\w+'\]\.size\(\)\[\d+\]", re.ASCII)
FUNCTION = re.compile(r"\bmath\.(?=[a-z]+\()")
PLAIN = (None, "builtins.tuple", "builtins.list", "builtins.dict")  # types of inputs
ARITHMETIC = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name),
    *(ast.Load, ast.Constant, ast.keyword, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)
LOWER = {"max", "min", "ceil", "floor", "trunc", "sqrt"}  # functions; all others are classes
SYMBOL = re.compile(r"[A-Za-z]\w*", re.ASCII)


def check_exported(path: Path) -> None:
    """Raise DeployError where an archive of torch.export holds more than a graph of PyTorch's own
    operators and its numbers, or is none."""
    archive = _Archive(path)
    if "archive_version" not in archive.names:
        raise DeployError("is no archive of torch.export, or an old one")
    for name in archive.names:
        if not RECORDS.fullmatch(name):
            raise DeployError(f"holds {name}, which segnas does not write; not opened")
        if allowed := CONFIGS.get(name):
            _check_payloads(name, archive.json(name), allowed)
        elif name == SAMPLES:
            _check_samples(name, archive.read(name))
        elif name == GRAPH:
            _check_graph(archive.json(name))


def check_scripted(path: Path) -> None:
    """Raise DeployError where a TorchScript file has an operator that writes files or one that is
    not PyTorch's own, or is none."""
    archive = _Archive(path)
    for name in archive.names:
        if name.lower().startswith("code/") and not name.lower().endswith(".debug_pkl"):
            code = archive.read(name).decode(errors="replace")
            if found := FILES.search(code):
                raise DeployError(f"calls {found[0]}, which reaches files; not opened")
            if FOREIGN.search(code):
                raise DeployError("calls operators that are not PyTorch's own; not opened")


class _Archive:
    """A file of PyTorch's, by the reader that opens it later. Raises DeployError where it is none,
    or where two names differ by nothing but their case."""

    def __init__(self, path: Path) -> None:
        try:
            with zipfile.ZipFile(path) as archive:
                large = [entry for entry in archive.infolist() if entry.file_size > MOST]
            self._reader = torch._C.PyTorchFileReader(str(path))
            self.names: list[str] = self._reader.get_all_records()
        except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:
            raise DeployError(f"cannot be opened: {first_line(error)}") from error
        self._large = {entry.filename.partition("/")[2] for entry in large}
        if len({name.lower() for name in self.names}) < len(self.names):
            raise DeployError("holds two files of one name; not opened")

    def read(self, name: str) -> bytes:
        """The content of a text."""
        if name in self._large:
            raise DeployError(f"holds {name} of more than {MOST:,} bytes; not opened")
        try:
            return bytes(self._reader.get_record(name))
        except RuntimeError as error:
            raise DeployError(f"is damaged: {first_line(error)}") from error

    def json(self, name: str) -> Any:
        """What it says."""
        try:
            return json.loads(self.read(name))
        except (ValueError, RecursionError) as error:
            raise DeployError(f"is damaged: {name}: {error}") from error


def _check_graph(told: Any) -> None:
    """Operators, sizes, and the conditions on the input's, which PyTorch runs as Python."""
    for target in _values(told, "target"):
        if isinstance(target, str) and not OPERATORS.fullmatch(target):
            raise DeployError(f"calls {target[:80]}, which is not PyTorch's own; not opened")
        if isinstance(target, str) and FILES.search(target):
            raise DeployError(f"calls {target[:80]}, which reaches files; not opened")
    for text in _values(told, "expr_str"):
        _check_arithmetic(text)
    for texts in (*_values(told, "guards_code"), *_values(told, "range_constraints")):
        for text in texts if isinstance(texts, list | dict) else [texts]:
            _check_arithmetic(_without_inputs(text))
    for text in (*_values(told, "in_spec"), *_values(told, "out_spec")):
        _check_tree(text)


def _without_inputs(text: Any) -> Any:
    """A condition as arithmetic: sizes of inputs become symbols."""
    return FUNCTION.sub("", INPUT_SIZE.sub("s", text)) if isinstance(text, str) else text


def _check_tree(text: Any) -> None:
    """How inputs and outputs are nested: tuples and the like, and no type of a module's."""
    try:
        told = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        told = None
    plain = isinstance(told, list) and len(told) == 2
    waiting = [told[1]] if plain else [None]
    while waiting:
        node = waiting.pop()
        if (
            not isinstance(node, dict)
            or node.keys() != {"type", "context", "children_spec"}
            or node["type"] not in PLAIN
            or node["context"] not in (None, "null", "[]")
            or not isinstance(node["children_spec"], list)
        ):
            raise DeployError("nests its inputs in a way that segnas does not; not opened")
        waiting += node["children_spec"]


def _check_payloads(name: str, told: Any, allowed: re.Pattern[str]) -> None:
    for value in _values(told, "use_pickle"):
        if value is not False:
            raise DeployError(f"holds a pickle ({name}), which could run code and is not read")
    for value in _values(told, "path_name"):
        if not isinstance(value, str) or not allowed.fullmatch(value):
            raise DeployError(f"names a file that segnas does not write ({name}); not opened")


def _check_samples(name: str, content: bytes) -> None:
    """PyTorch would read them as a pickle of any kind where this fails."""
    try:
        if content:
            torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds
        raise DeployError(f"holds a pickle ({name}) of more than plain values") from error


def _check_arithmetic(text: Any) -> None:
    """Sizes such as `Mul(Integer(2), Symbol('s0', positive=True))`, which SymPy evaluates as Python
    does: arithmetic, SymPy's classes, and names of symbols as their only texts."""
    try:
        parts: list[ast.AST | None] = [*ast.walk(ast.parse(text, mode="eval"))]
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        parts = [None]
    for part in parts:
        named = isinstance(part, ast.Name) and part.id.startswith("_")
        text_in = isinstance(part, ast.Constant) and not _is_number_or_symbol(part.value)
        called = isinstance(part, ast.Call) and not _is_function(part.func)
        if not isinstance(part, ARITHMETIC) or named or text_in or called:
            raise DeployError("holds a size that is no arithmetic; not opened")


def _is_number_or_symbol(value: object) -> bool:
    return isinstance(value, int | float) or (
        isinstance(value, str) and bool(SYMBOL.fullmatch(value))
    )


def _is_function(func: ast.expr) -> bool:
    return isinstance(func, ast.Name) and (func.id[0].isupper() or func.id in LOWER)


def _values(told: Any, key: str) -> Iterator[Any]:
    """What is called `key`, however deep."""
    waiting = [told]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from (value for name, value in one.items() if name == key)
        waiting += list(one.values()) if isinstance(one, dict) else one if type(one) is list else []
