"""What can happen, by the names that the record gives it, and what admins are told of it."""

from enum import StrEnum


class Kind(StrEnum):
    """A kind of audit event. `words` are for admins, with the event's facts filled in; empty for what is no news."""

    words: str

    def __new__(cls, value: str, words: str = "") -> "Kind":
        member = str.__new__(cls, value)
        member._value_ = value
        member.words = words
        return member

    USER_ADDED = "user.added", "A new account: {subject}. Roles: {roles}"
    USER_RENEWED = "user.renewed"
    USER_ROLES_SET = "user.roles_set", "Roles: {roles} (before: {before})"
    USER_GROUPS_SET = "user.groups_set", "Groups: {groups} (before: {before})"
    USER_HANDLE_SET = "user.handle_set", "Rules call them {handle} (before: {before})"
    USER_DISABLED = "user.disabled", "An account was disabled"
    USER_ENABLED = "user.enabled", "A disabled account was let in again"
    USER_PASSWORD_SET = "user.password_set", "A new password"
    USER_SIGNED_IN = "user.signed_in"
    USER_SIGN_IN_FAILED = "user.sign_in_failed"
    USER_SIGNED_OUT = "user.signed_out"
    USER_SIGNED_OUT_EVERYWHERE = "user.signed_out_everywhere"
    WEB_SESSION_REVOKED = "web_session.revoked"
    LINK_MADE = "link.made", "A one-time link was made ({purpose}). Roles: {roles}"
    LINK_SPENT = "link.spent"
    LINK_REVOKED = "link.revoked", "An open invitation was taken back"
    LINK_VOIDED = "link.voided"
    TOKEN_MADE = "token.made", "A personal token was made: {scopes}"
    TOKEN_REVOKED = "token.revoked"  # noqa: S105
    SLACK_CODE_MADE = "slack.code_made"
    SLACK_CODE_TYPED = "slack.code_typed"
    SLACK_LINKED = "slack.linked"
    SLACK_UNLINKED = "slack.unlinked"

    SERVER_NAMED = "server.named"
    SERVER_ADDED = "server.added", "A new installation of the server {server} ({label}, {assurance}) and its key"
    SERVER_AUDIENCE_SET = "server.audience_set", "Which agents may use a server was changed"
    SERVER_GRANTS_ALLOWED = "server.grants_allowed", "Standing grants were allowed for an installation"
    SERVER_GRANTS_FORBIDDEN = "server.grants_forbidden", "Standing grants were forbidden for an installation"
    INSTALLATION_KEY_ROTATED = "installation.key_rotated", "A new key"
    INSTALLATION_REVOKED = "installation.revoked", "Its keys were revoked"
    AGENT_ADDED = "agent.added", "A new agent, {name}, and its key"
    AGENT_OWNERS_SET = "agent.owners_set", "Who answers for an agent was changed"
    AGENT_GROUPS_SET = "agent.groups_set", "The groups of an agent were changed"
    AGENT_SCOPES_SET = "agent.scopes_set", "What an agent's key covers was changed"
    AGENT_LIMITS_SET = "agent.limits_set", "How much an agent may ask was changed"
    AGENT_FLOODING = "agent.flooding", "An agent asked more than it may"
    AGENT_KEY_ROTATED = "agent.key_rotated", "A new key"
    AGENT_REVOKED = "agent.revoked", "Its keys were revoked"

    TOOL_REGISTERED = "tool.registered"
    TOOL_OFFERED = "tool.offered"
    TOOL_ACCEPTED = "tool.accepted", "A changed tool definition was accepted"
    TOOL_REJECTED = "tool.rejected", "A changed tool definition was rejected"
    SESSION_STARTED = "session.started"
    SESSION_CLOSED = "session.closed"
    SESSION_LOST = "session.lost"
    CALLS_RECORDED = "calls.recorded"

    POLICY_LOADED = "policy.loaded", "A policy came into force"
    FREEZE_MADE = "freeze.made", "Writes were frozen"
    FREEZE_EXPLAINED = "freeze.explained"
    FREEZE_LIFTED = "freeze.lifted", "A freeze was lifted"
    ROLLOUT_SET = "rollout.set", "The rollout was changed"
    ROLLOUT_CLEARED = "rollout.cleared", "The rollout was changed back"
    GRANT_MADE = "grant.made", "A standing grant was made"
    GRANT_USED = "grant.used"
    GRANT_REVOKED = "grant.revoked", "A standing grant was revoked"

    REQUEST_FILED = "request.filed"
    REQUEST_REVISED = "request.revised"
    REQUEST_PREVIEWED = "request.previewed"
    REQUEST_REMINDED = "request.reminded"
    REQUEST_ESCALATED = "request.escalated"
    DECISION_APPROVE = "decision.approve"
    DECISION_DENY = "decision.deny"
    REQUEST_APPROVED = "request.approved"
    REQUEST_DENIED = "request.denied"
    REQUEST_EXPIRED = "request.expired"
    REQUEST_WITHDRAWN = "request.withdrawn"
    REQUEST_REVOKED = "request.revoked"
    REQUEST_LAPSED = "request.lapsed"
    REQUEST_STALE = "request.stale"
    REQUEST_EXECUTING = "request.executing"
    REQUEST_SUCCEEDED = "request.succeeded"
    REQUEST_FAILED = "request.failed"
    REQUEST_NOT_EXECUTED = "request.not_executed"
    REQUEST_UNKNOWN = "request.unknown"
    REQUEST_ERASED = "request.erased"
    EXECUTION_CHECKED = "execution.checked"
    EXECUTION_COMPLETED = "execution.completed"
    INCIDENT_CONTRADICTION = "incident.contradiction"
    INCIDENT_ACKNOWLEDGED = "incident.acknowledged"
    DELIVERY_RETRIED = "delivery.retried"

    AUDIT_ERASED = "audit.erased"
    SESSIONS_DELETED = "sessions.deleted"
    DATABASE_RESTORED = "database.restored", "The database was restored from a back-up"
