"""What a tool can know while it runs on a permission, and what it raises where nothing ran or nobody can say."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from approvals.protocol.previews import Preview

_current: ContextVar[str | None] = ContextVar("approvals_request_id", default=None)
_foreseen: ContextVar[Preview | None] = ContextVar("approvals_preview", default=None)


def current_request_id() -> str | None:
    """Inside a tool that runs on a permission: the request's id, the same for every attempt. Use it as the idempotency
    key of whatever the tool calls, which makes "at most once" exact."""
    return _current.get()


def current_preview() -> Preview | None:
    """Inside a tool that runs on a permission: its preview as it was found just now, which is what was approved. A tool
    that compares its `basis` in the transaction of its effect, and raises Stale where it is another, leaves no gap."""
    return _foreseen.get()


@contextlib.contextmanager
def running(request_id: str | None, preview: Preview | None = None) -> Iterator[None]:
    """Name the request that a tool runs for, or None when it runs without one."""
    tokens = _current.set(request_id), _foreseen.set(preview)
    try:
        yield
    finally:
        _current.reset(tokens[0])
        _foreseen.reset(tokens[1])


class NotStarted(Exception):
    """Raised by what runs a tool, when it is certain that nothing was started; in words."""


class Lost(Exception):
    """Raised by what runs a tool, when nobody can say any more whether it took effect."""
