"""MONAI without the large packages that it looks for and that nobody here uses through it.

`import monai` imports all of its modules, and they try to import whatever any of them could use:
MLflow for a handler, Matplotlib for a figure, scikit-learn for one metric. Where all of these are
installed, that is most of the time which the import takes. MONAI works without them; it is told
that they are not there. Everybody else who imports them gets them, also meanwhile.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import FrameType, ModuleType

LEFT_OUT = frozenset(("matplotlib", "mlflow", "optuna", "pandas", "scipy.signal", "sklearn"))


def leave_out_of_monai() -> None:
    """Let the first import of MONAI, whoever makes it, go without the packages of `LEFT_OUT`.

    It does nothing where MONAI is imported already: to have all of it, import it before nas and
    trainers.
    """
    waiting = any(isinstance(finder, _FirstImport) for finder in sys.meta_path)
    if "monai" not in sys.modules and not waiting:
        sys.meta_path.insert(0, _FirstImport())


class _FirstImport(MetaPathFinder):
    """Finds MONAI as the other finders do, and then is gone."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "monai":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            run = partial(_run_without, spec.loader.exec_module)
            spec.loader.exec_module = run  # type: ignore[method-assign]
        return spec


class _LeftOut(MetaPathFinder):
    """Refuses the packages of `LEFT_OUT` to modules of MONAI."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in LEFT_OUT and _importer(sys._getframe(1)) == "monai":
            raise ModuleNotFoundError(
                f"{name} was left out when MONAI was imported; import monai before nas or trainers",
                name=name,
            )
        return None


def _run_without(run: Callable[[ModuleType], None], module: ModuleType) -> None:
    finder = _LeftOut()
    sys.meta_path.insert(0, finder)
    try:
        run(module)
    finally:
        sys.meta_path.remove(finder)


def _importer(frame: FrameType | None) -> str:
    """The package whose import statement this is: the first frame outside of the import system."""
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package != "importlib":
            return package
        frame = frame.f_back
    return ""
