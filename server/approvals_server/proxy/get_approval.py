"""`get_approval`: an agent's look at one of its own requests, beside the upstream's tools."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from mcp_types import CallToolResult

from approvals.errors import ApprovalsError, Invalid
from approvals.gate import answers, approval_arguments, hosts
from approvals.gate.approval_arguments import GET_APPROVAL, LONGEST_LOOK
from approvals.gate.call import Caller
from approvals.gate.gate import Gate


async def look(gate: Gate, arguments: Mapping[str, Any], caller: Caller) -> CallToolResult:
    """What became of the request, on record."""
    act = partial(_look, gate, arguments, caller)
    try:
        result: CallToolResult = await gate.observe("tools/call", GET_APPROVAL, act, caller, free=True)
    except ApprovalsError as error:
        result = answers.of_error(error)
    return hosts.shown(result, None)


async def _look(gate: Gate, arguments: Mapping[str, Any], caller: Caller) -> CallToolResult:
    request_id, seconds = arguments.get("request_id"), arguments.get("wait_seconds", 0)
    if not isinstance(request_id, str) or len(request_id) > 64 or not _is_wait(seconds):
        return answers.of_error(Invalid(f"It takes a request_id, and wait_seconds from 0 to {LONGEST_LOOK}."))
    return await approval_arguments.look(gate, request_id, seconds, caller)


def _is_wait(seconds: Any) -> bool:
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= LONGEST_LOOK
