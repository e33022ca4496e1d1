"""A human approval gate for MCP servers: `GatedServer` instead of `MCPServer`, and every write waits for a person."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from approvals.errors import ApprovalsError
    from approvals.gate.budgets import Budgets
    from approvals.gate.gate import Gate
    from approvals.gate.runner import current_request_id
    from approvals.gate.server import GatedServer
    from approvals.gate.settings import GateSettings
    from approvals.gate.tools import Approval

__all__ = ["Approval", "ApprovalsError", "Budgets", "Gate", "GateSettings", "GatedServer", "current_request_id"]

_HOMES = {
    "Approval": "gate.tools",
    "ApprovalsError": "errors",
    "Budgets": "gate.budgets",
    "Gate": "gate.gate",
    "GateSettings": "gate.settings",
    "GatedServer": "gate.server",
    "current_request_id": "gate.runner",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for, and no more: the service imports this package too."""
    if name not in _HOMES:
        raise AttributeError(f"module 'approvals' has no attribute {name!r}")
    return getattr(import_module(f"approvals.{_HOMES[name]}"), name)
