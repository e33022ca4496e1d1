"""A human approval gate for MCP servers: `GatedServer` instead of `MCPServer`, and every write waits for a person."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from approvals.errors import ApprovalsError, Stale
    from approvals.gate.budgets import Budgets
    from approvals.gate.gate import Gate
    from approvals.gate.running import current_preview, current_request_id
    from approvals.gate.server import GatedServer
    from approvals.gate.settings import GateSettings
    from approvals.gate.tools import Approval
    from approvals.protocol.previews import Fact, Preview, View

__all__ = [
    "Approval",
    "ApprovalsError",
    "Budgets",
    "Fact",
    "Gate",
    "GateSettings",
    "GatedServer",
    "Preview",
    "Stale",
    "View",
    "current_preview",
    "current_request_id",
]

_HOMES = {
    "Approval": "gate.tools",
    "ApprovalsError": "errors",
    "Budgets": "gate.budgets",
    "Fact": "protocol.previews",
    "Gate": "gate.gate",
    "GateSettings": "gate.settings",
    "GatedServer": "gate.server",
    "Preview": "protocol.previews",
    "Stale": "errors",
    "View": "protocol.previews",
    "current_preview": "gate.running",
    "current_request_id": "gate.running",
}


def __getattr__(name: str) -> object:
    """Load what is asked for, and no more: the service imports this package too."""
    if name not in _HOMES:
        raise AttributeError(f"module 'approvals' has no attribute {name!r}")
    return getattr(import_module(f"approvals.{_HOMES[name]}"), name)
