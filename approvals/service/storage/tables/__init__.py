"""The tables. Columns that end in `_at`, `_by` or `_until` and hold a number are instants (`approvals.instant`).

Documents (arguments, definitions, payloads) are stored as canonical JSON text: what was hashed is what is stored.
Constraints say what discipline would forget: who owns a credential, one permission per request, one execution per
permission, one open request per call, one vote per person and content.
"""

from approvals.service.storage.statements import table_of
from approvals.service.storage.tables.audit import AuditEvent, AuditLink, AuditPayload
from approvals.service.storage.tables.gates import (
    GateSession,
    Rollout,
    SessionTool,
    Tool,
    ToolDefinitionRow,
    ToolRejection,
)
from approvals.service.storage.tables.identity import (
    AdminNotice,
    Agent,
    AgentOwner,
    Credential,
    Handle,
    Installation,
    Meta,
    Server,
    SignInAttempts,
    SignInLink,
    SpentLogin,
    User,
    WebSession,
)
from approvals.service.storage.tables.requests import (
    DecisionRow,
    Delivery,
    Edit,
    Execution,
    Permission,
    Request,
    RequestWords,
    VoteTelling,
    WaitingCall,
)
from approvals.service.storage.tables.rules import (
    Freeze,
    FreezeConfirmation,
    FreezeTelling,
    PolicyLoad,
    PolicyVersion,
    StandingGrant,
)
from approvals.service.storage.tables.slack import SlackCode, SlackLink, SlackMessage

__all__ = [
    "AdminNotice",
    "Agent",
    "AgentOwner",
    "AuditEvent",
    "AuditLink",
    "AuditPayload",
    "Credential",
    "DecisionRow",
    "Delivery",
    "Edit",
    "Execution",
    "Freeze",
    "FreezeConfirmation",
    "FreezeTelling",
    "GateSession",
    "Handle",
    "Installation",
    "Meta",
    "Permission",
    "PolicyLoad",
    "PolicyVersion",
    "Request",
    "RequestWords",
    "Rollout",
    "Server",
    "SessionTool",
    "SignInAttempts",
    "SignInLink",
    "SlackCode",
    "SlackLink",
    "SlackMessage",
    "SpentLogin",
    "StandingGrant",
    "Tool",
    "ToolDefinitionRow",
    "ToolRejection",
    "User",
    "VoteTelling",
    "WaitingCall",
    "WebSession",
    "table_of",
]
