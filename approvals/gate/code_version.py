"""Which code runs a tool: what an approval binds, beside the tool's definition and the call's arguments.

It is the server's own version and the sources that lie where the tool's function comes from: all of its package, or the
folder of a module that is in none. Libraries, settings and the environment are not part of it.
"""

import functools
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

_SOURCES = frozenset({".py", ".so", ".pyd"})


def code_version(function: Callable[..., Any], version: str) -> str:
    """The same in every process that runs the same sources; another one after they changed."""
    sources = _sources(_module(function))
    return hashlib.sha256(f"{version}\0{sources}".encode()).hexdigest()[:16]


def _module(function: Any) -> ModuleType | None:
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    return sys.modules.get(getattr(function, "__module__", None) or type(function).__module__)


def _sources(module: ModuleType | None) -> str:
    """A hash over the sources that belong to a module; nothing where there are none to read."""
    spec = getattr(module, "__spec__", None)
    for name in _above(spec.name if spec is not None else ""):
        package = sys.modules.get(name)
        if (here := _file(package)) is not None and hasattr(package, "__path__"):  # the outermost that is one folder
            return _folder(here.parent, "**/*")
    found = _file(module)
    return _folder(found.parent, "*") if found is not None else ""


def _file(module: ModuleType | None) -> Path | None:
    name = getattr(module, "__file__", None)
    return Path(name) if name else None


def _above(name: str) -> Iterable[str]:
    steps = name.split(".")
    return (".".join(steps[:number]) for number in range(1, len(steps) + 1))


@functools.cache
def _folder(folder: Path, pattern: str) -> str:
    """A hash over a folder as it was when this process first asked: what is loaded does not change with the files."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.glob(pattern) if path.suffix in _SOURCES and path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(folder)}\0{content}\n".encode())
    return total.hexdigest()
