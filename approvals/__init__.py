"""A human approval gate for MCP servers: `GatedServer` instead of `MCPServer`, and every write waits for a person."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from approvals.definition import Approval
    from approvals.errors import ApprovalsError
    from approvals.execution import current_request_id
    from approvals.gate import Gate
    from approvals.gate_settings import GateSettings
    from approvals.gated_server import GatedServer
    from approvals.waiting import Budgets

__all__ = ["Approval", "ApprovalsError", "Budgets", "Gate", "GateSettings", "GatedServer", "current_request_id"]

_HOMES = {
    "Approval": "definition",
    "ApprovalsError": "errors",
    "Budgets": "waiting",
    "Gate": "gate",
    "GateSettings": "gate_settings",
    "GatedServer": "gated_server",
    "current_request_id": "execution",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for, and no more: the service imports this package too."""
    if name not in _HOMES:
        raise AttributeError(f"module 'approvals' has no attribute {name!r}")
    return getattr(import_module(f"approvals.{_HOMES[name]}"), name)
