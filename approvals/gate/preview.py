"""What a call would do: looked up by the tool's own preview, before it is filed and again before it runs."""

import asyncio
import copy
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import anyio
import anyio.lowlevel
import anyio.to_thread
from mcp.server.mcpserver.exceptions import ToolError

from approvals.errors import Invalid
from approvals.protocol.canonical import JsonObject
from approvals.protocol.previews import Preview

PreviewFunction = Callable[..., Preview | Awaitable[Preview]]
"""Looks, without changing anything, what a call would do. Called as the tool is, with its arguments by name."""
PREVIEW_SECONDS = 2.0
LONGEST = 4.0
"""Seconds, at the most: a permission that is taken starts soon, or not at all."""
_THREADS = 8
"""Of one gate process, for previews that are no async functions; one that hangs keeps its thread."""


class NoPreview(Exception):
    """Raised when the effect could not be looked up; why, in words."""


@dataclass(frozen=True)
class Look:
    """The preview of one tool. `key` is the argument that the gate fills, which previews do not get."""

    function: PreviewFunction
    seconds: float = PREVIEW_SECONDS
    key: str | None = None

    async def __call__(self, values: JsonObject) -> Preview:
        """The effect of a call with these values, of which it gets a copy. Raises NoPreview."""
        try:
            given = copy.deepcopy({name: value for name, value in values.items() if name != self.key})
        except Exception as error:
            raise NoPreview(f"its arguments cannot be copied ({type(error).__name__})") from error
        found = await _within(self.seconds, partial(_called, self.function, given))
        if not isinstance(found, Preview):
            raise NoPreview(f"it returned a {type(found).__name__}, and no Preview")
        return found.model_copy(update={"hidden": None})


@dataclass(frozen=True)
class Looked:
    """What came of a look, if there was one."""

    preview: Preview | None = None
    why_not: str = ""
    refused: Invalid | None = None
    """What the preview says of a call that the tool would never do: nobody is asked."""


async def looked(look: Look | None, values: JsonObject) -> Looked:
    """Look; what fails is said, and blocks nothing but what the preview itself refuses as Invalid."""
    if look is None:
        return Looked()
    try:
        return Looked(await look(values))
    except NoPreview as none:
        refused = none.__cause__ if isinstance(none.__cause__, Invalid) else None
        return Looked(why_not=refused.detail if refused else str(none), refused=refused)


def unfit_preview(look: Look, names: list[str]) -> str:
    """Why it is no preview of a tool whose arguments have these names; or nothing."""
    if not 0 < look.seconds <= LONGEST:
        return f"its preview has more than 0 and up to {LONGEST:.0f} seconds, not {look.seconds:g}"
    try:
        inspect.signature(look.function).bind(**dict.fromkeys(names))
    except (TypeError, ValueError) as error:
        return f"its preview does not take the tool's arguments by name ({error})"
    return ""


async def _within(seconds: float, look: Callable[[], Awaitable[object]]) -> object:
    """Raises NoPreview for whatever goes wrong, and when the time is up: whether or not it minds being cancelled."""
    task = asyncio.ensure_future(look())
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        task.cancel()
    if not task.done():
        task.add_done_callback(_forget)
        raise NoPreview(f"it took longer than {seconds:g} seconds")
    if task.cancelled():
        raise NoPreview("it was cancelled")
    if (error := task.exception()) is not None:
        raise NoPreview(_words(error)) from error
    return task.result()


async def _called(function: PreviewFunction, given: JsonObject) -> object:
    if _is_async(function):
        found = function(**given)
    else:
        found = await anyio.to_thread.run_sync(partial(function, **given), abandon_on_cancel=True, limiter=_limiter())
    return await found if inspect.isawaitable(found) else found


def _words(error: BaseException) -> str:
    words = str(error)
    return words if words and isinstance(error, ToolError) else f"{type(error).__name__}: {words}".rstrip(": ")


def _forget(task: asyncio.Future[object]) -> None:
    """Whatever comes of it now, somebody has looked."""
    if not task.cancelled():
        task.exception()


def _is_async(function: PreviewFunction) -> bool:
    return any(map(inspect.iscoroutinefunction, (function, getattr(function, "__call__", None))))  # noqa: B004


_threads: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("approvals_previews")


def _limiter() -> anyio.CapacityLimiter:
    """Of this event loop."""
    limiter = _threads.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(_THREADS)
        _threads.set(limiter)
    return limiter
