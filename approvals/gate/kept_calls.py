"""The calls of which a person may want to know more, or less: those that wait here, and the last that waited."""

from collections import OrderedDict
from dataclasses import replace
from weakref import WeakValueDictionary

from mcp_types import CallToolResult

from approvals.errors import NotPossible
from approvals.gate.call import Call
from approvals.protocol.canonical import JsonObject, canonical, encode

MOST = 500
MOST_BYTES = 16 * 1024 * 1024
"""Of the arguments of all that waited."""


class KeptCalls:
    """By the request that each was filed as. What would run one goes with its wait."""

    def __init__(self) -> None:
        self._waiting: WeakValueDictionary[str, Call] = WeakValueDictionary()
        self._last: OrderedDict[str, tuple[Call, int]] = OrderedDict()
        self._bytes = 0

    def put(self, request_id: str, call: Call) -> None:
        """Keep it, and forget those that have waited longest ago."""
        self._waiting[request_id] = call
        self._drop(request_id)
        size = len(canonical(encode(call.read.shown)))
        self._last[request_id] = replace(call, round=None, run=_never, progress=None, is_there=None), size
        self._bytes += size
        while len(self._last) > MOST or (self._bytes > MOST_BYTES and len(self._last) > 1):
            self._drop(next(iter(self._last)))

    def get(self, request_id: str) -> Call | None:
        """The call of a request."""
        if (waiting := self._waiting.get(request_id)) is not None:
            return waiting
        return self._last[request_id][0] if request_id in self._last else None

    def _drop(self, request_id: str) -> None:
        if request_id in self._last:
            self._bytes -= self._last.pop(request_id)[1]


async def _never(values: JsonObject) -> CallToolResult:
    """Whoever looks again runs nothing."""
    raise NotPossible("This call is only looked at.")
