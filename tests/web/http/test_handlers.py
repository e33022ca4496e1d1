"""Handlers: which are `async def`, and what they may do on the event loop (docs/architecture.md says the rule)."""

import ast
from pathlib import Path

import pytest

WEB = Path(__file__).parents[3] / "web" / "approvals_web"
BLOCKS = {".read_now", ".write_now"}
"""Calls that wait for the database where they stand."""
VERBS = {"get", "post", "put", "delete", "patch"}


def modules():
    return sorted(path for folder in ("api", "pages") for path in (WEB / folder).rglob("*.py"))


def called(function):
    """What a function calls itself, not what it hands to a thread: `name` of this module, `.name` of anything else."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            yield node.func.id if isinstance(node.func, ast.Name) else f".{getattr(node.func, 'attr', '')}"


def is_handler(function):
    marks = (mark.func for mark in function.decorator_list if isinstance(mark, ast.Call))
    return any(isinstance(mark, ast.Attribute) and mark.attr in VERBS for mark in marks)


def functions(path):
    found = ast.parse(path.read_text()).body
    return {one.name: one for one in found if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def blocks(name, known, seen=frozenset()):
    """Whether a call of it waits for the database on the spot, by itself or through a function of the module."""
    if name in BLOCKS:
        return True
    if name in seen or not isinstance(known.get(name), ast.FunctionDef):
        return False
    return any(blocks(other, known, seen | {name}) for other in called(known[name]))


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(WEB).as_posix())
def test_no_async_handler_waits_for_the_database_on_the_loop(path):
    known = functions(path)
    waiting = {
        f"{one.name} calls {name}"
        for one in known.values()
        if isinstance(one, ast.AsyncFunctionDef)
        for name in called(one)
        if blocks(name, known)
    }
    assert not waiting


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(WEB).as_posix())
def test_a_handler_that_reads_and_awaits_nothing_is_a_plain_function(path):
    for one in functions(path).values():
        if is_handler(one) and isinstance(one, ast.FunctionDef):
            assert not {".read", ".write"} & set(called(one)), f"{one.name} waits for nothing that it calls"


def test_one_module_reads_what_the_application_was_made_with():
    readers = {path.relative_to(WEB).as_posix() for path in WEB.rglob("*.py") if "app.state" in path.read_text()}
    assert readers == {"app.py", "http/app_parts.py"}
