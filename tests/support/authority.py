"""Who may do what: the table that the tests walk cell by cell, and that docs/authority.md shows.

A route that is not in the table fails the test, and so does a principal whom the table does not let in and the service
does.
"""

from dataclasses import dataclass
from pathlib import Path

from approvals.protocol.states import State

HEAD = """# Who may do what

Every route against every kind of principal. The tests walk this table cell by cell
(`tests/web/test_matrix_of_authority.py`): whoever has no "yes" is refused, and nothing has changed then. A route that
is missing here fails the tests.
"""
BETWEEN = """## In which state

What changes a request is possible in these states only; in every other one it is refused with the present state, and
nothing changes."""

PRINCIPALS = {
    "anonymous": "nobody: no key, no session",
    "gate": "the key of the installation that filed the request",
    "other gate": "the key of another server's installation",
    "agent": "the key of the agent that asked",
    "other agent": "the key of another agent",
    "token": "a person's token that reads",
    "deciding token": "a person's short-lived token with the scope `decide`",
    "viewer": "a signed-in person with the role `viewer`",
    "auditor": "… `auditor`",
    "reviewer": "… `reviewer`",
    "owner": "… `reviewer`, who owns the agent that asked",
    "admin": "… `admin` and `reviewer`",
}
EVERYBODY = frozenset(PRINCIPALS)
SIGNED_IN = frozenset({"viewer", "auditor", "reviewer", "owner", "admin"})
REVIEWERS = frozenset({"reviewer", "owner", "admin"})
ADMIN = frozenset({"admin"})
GATES = frozenset({"gate", "other gate"})
OVERSEERS = frozenset({"auditor", "admin"})
TOKENS = frozenset({"token", "deciding token"})
AGENT = frozenset({"agent"})


@dataclass(frozen=True)
class Route:
    """One route, who may use it, and why when that is not plain."""

    who: frozenset[str]
    note: str = ""


ROUTES: dict[str, Route] = {
    "GET /api/v1/openapi.json": Route(EVERYBODY),
    "PUT /api/v1/servers/{name}/tools": Route(frozenset({"gate"}), "its own server's only"),
    "POST /api/v1/requests": Route(GATES, "for agents that the service verified to this very installation"),
    "GET /api/v1/requests": Route(TOKENS),
    "GET /api/v1/requests/{request_id}": Route(frozenset({"gate"}) | AGENT | TOKENS, "its own only"),
    "GET /api/v1/requests/unsettled": Route(GATES, "its own only"),
    "PUT /api/v1/requests/{request_id}/verification": Route(frozenset({"gate"})),
    "DELETE /api/v1/requests/{request_id}/callers/{call_id}": Route(frozenset({"gate"})),
    "PUT /api/v1/requests/{request_id}/claim": Route(frozenset({"gate"})),
    "PUT /api/v1/requests/{request_id}/lease": Route(frozenset({"gate"})),
    "PUT /api/v1/requests/{request_id}/outcome": Route(frozenset({"gate"})),
    "POST /api/v1/requests/events": Route(frozenset({"gate"}), "its own processes' only"),
    "POST /api/v1/calls": Route(frozenset({"gate"}), "its own processes' only"),
    "POST /api/v1/agents/verify": Route(GATES),
    "PUT /api/v1/gates/{session}/freezes": Route(frozenset({"gate"}), "its own processes' only"),
    "POST /api/v1/requests/{request_id}/withdrawal": Route(AGENT, "its own only"),
    "POST /api/v1/requests/{request_id}/decisions": Route(
        frozenset({"deciding token"}), "where the rule allows the channel, never for high or critical risk"
    ),
    "POST /api/v1/requests/{request_id}/edits": Route(
        frozenset({"deciding token"}), "whoever could approve it there; its gate reads the change, nothing is decided"
    ),
    "GET /api/v1/requests/{request_id}/edits/{edit_id}": Route(frozenset({"gate"})),
    "PUT /api/v1/requests/{request_id}/edits/{edit_id}": Route(
        frozenset({"gate"}), "too late, it is put on record as refused"
    ),
    "GET /": Route(SIGNED_IN),
    "GET /history": Route(SIGNED_IN),
    "GET /history/{form}": Route(SIGNED_IN),
    "GET /figures": Route(SIGNED_IN),
    "GET /selection": Route(SIGNED_IN),
    "POST /selection": Route(frozenset({"reviewer", "admin"}), "each request by the rules for its card"),
    "POST /test-requests": Route(ADMIN),
    "GET /icon.svg": Route(EVERYBODY),
    "GET /events": Route(SIGNED_IN),
    "GET /requests/{request_id}": Route(SIGNED_IN),
    "GET /requests/{request_id}/arguments": Route(SIGNED_IN),
    "POST /requests/{request_id}/decisions": Route(
        frozenset({"reviewer", "admin"}), "whoever the rule names; an owner of the agent may deny, not approve"
    ),
    "POST /requests/{request_id}/preview": Route(REVIEWERS, "asks its gate to look again; decides nothing"),
    "GET /requests/{request_id}/edit": Route(REVIEWERS, "whoever could approve or deny it"),
    "POST /requests/{request_id}/edits": Route(
        frozenset({"reviewer", "admin"}), "whoever could approve it; an owner of the agent may suggest with a denial"
    ),
    "POST /requests/{request_id}/settlement": Route(REVIEWERS),
    "POST /requests/{request_id}/withdrawal": Route(ADMIN),
    "POST /requests/{request_id}/revocation": Route(REVIEWERS),
    "POST /requests/{request_id}/acknowledgement": Route(REVIEWERS),
    "GET /servers": Route(SIGNED_IN),
    "GET /servers/{server}": Route(SIGNED_IN),
    "GET /servers/{server}/connection": Route(SIGNED_IN),
    "POST /servers/{server}/keys": Route(ADMIN),
    "POST /servers/{server}/keys/{key}/revocation": Route(ADMIN),
    "POST /servers/{server}/revocation": Route(ADMIN),
    "POST /servers/{server}/grants": Route(ADMIN),
    "GET /servers/{server}/tools": Route(SIGNED_IN),
    "POST /servers/{server}/tools/{name}/acceptance": Route(ADMIN),
    "POST /servers/{server}/tools/{name}/rejection": Route(ADMIN),
    "GET /requests/{request_id}/grant": Route(frozenset({"reviewer", "admin"}), "whoever could approve it"),
    "POST /requests/{request_id}/grant": Route(frozenset({"reviewer", "admin"}), "shows the terms, decides nothing"),
    "GET /grants": Route(SIGNED_IN),
    "GET /grants/{grant_id}": Route(SIGNED_IN),
    "POST /grants/{grant_id}/revocation": Route(REVIEWERS, "whoever could decide its request; every admin"),
    "GET /policy": Route(SIGNED_IN),
    "GET /policy/versions/{name}": Route(SIGNED_IN),
    "GET /policy/draft": Route(OVERSEERS),
    "POST /policy/draft/lint": Route(OVERSEERS, "changes nothing"),
    "POST /policy/draft/replay": Route(OVERSEERS, "changes nothing"),
    "POST /policy/draft/download": Route(OVERSEERS, "changes nothing"),
    "POST /policy/trial": Route(SIGNED_IN, "changes nothing"),
    "GET /rollout": Route(SIGNED_IN),
    "POST /rollout": Route(ADMIN),
    "POST /rollout/clear": Route(ADMIN),
    "POST /rollout/audience": Route(ADMIN),
    "GET /freeze": Route(SIGNED_IN),
    "GET /freeze/banner": Route(SIGNED_IN),
    "POST /freeze": Route(ADMIN),
    "POST /freeze/lift": Route(ADMIN),
    "POST /servers": Route(ADMIN),
    "GET /agents": Route(SIGNED_IN),
    "GET /agents/{name}/first": Route(SIGNED_IN),
    "POST /agents": Route(ADMIN),
    "POST /agents/{name}/keys": Route(ADMIN),
    "POST /agents/{name}/keys/{key}/scopes": Route(ADMIN),
    "POST /agents/{name}/keys/{key}/revocation": Route(ADMIN),
    "POST /agents/{name}/revocation": Route(ADMIN),
    "POST /agents/{name}/owners": Route(ADMIN),
    "POST /agents/{name}/groups": Route(ADMIN),
    "POST /agents/{name}/limits": Route(ADMIN),
    "GET /users": Route(frozenset({"auditor", "admin"})),
    "GET /users/{user_id}": Route(frozenset({"auditor", "admin"})),
    "POST /users/invitations": Route(ADMIN),
    "POST /users/invitations/revocation": Route(ADMIN),
    "POST /users/{user_id}/roles": Route(ADMIN),
    "POST /users/{user_id}/groups": Route(ADMIN),
    "POST /users/{user_id}/state": Route(ADMIN),
    "POST /users/{user_id}/sign-out": Route(ADMIN),
    "GET /notices": Route(ADMIN),
    "POST /notices/seen": Route(ADMIN),
    "GET /account": Route(SIGNED_IN),
    "POST /account/password": Route(SIGNED_IN, "with the present password"),
    "POST /account/confirmation": Route(SIGNED_IN, "with the present password"),
    "POST /account/sessions/{session_id}/revocation": Route(SIGNED_IN, "their own only"),
    "POST /account/other-sessions/revocation": Route(SIGNED_IN),
    "POST /account/slack/code": Route(SIGNED_IN, "just after signing in"),
    "POST /account/slack/confirmation": Route(SIGNED_IN, "in the session that made the code"),
    "POST /account/slack/{team_id}/{slack_user_id}/unlinking": Route(SIGNED_IN, "their own only"),
    "POST /account/tokens": Route(SIGNED_IN, "`decide` only for reviewers, just after signing in"),
    "POST /account/tokens/{credential_id}/revocation": Route(SIGNED_IN, "their own only"),
    "GET /audit": Route(SIGNED_IN),
    "POST /audit/verification": Route(OVERSEERS),
    "GET /requests/{request_id}/proof": Route(SIGNED_IN),
    "GET /login": Route(EVERYBODY),
    "GET /login/oidc": Route(EVERYBODY, "where an identity provider is set"),
    "GET /login/oidc/callback": Route(EVERYBODY, "in the browser that began it"),
    "POST /login": Route(EVERYBODY, "with a password that is right"),
    "GET /setup": Route(EVERYBODY, "with a link that is live"),
    "POST /setup": Route(EVERYBODY, "with a link that is live"),
    "POST /logout": Route(SIGNED_IN),
    "GET /static/{digest}/{name}": Route(EVERYBODY),
    "POST /slack/actions": Route(frozenset(), "Slack alone, by its signature; who pressed decides what comes of it"),
    "GET /outbox": Route(OVERSEERS),
    "POST /outbox/{delivery_id}/retry": Route(ADMIN),
    "GET /healthz": Route(EVERYBODY),
    "GET /readyz": Route(EVERYBODY, "one word; more from the service's own machine, or with the metrics token"),
    "GET /metrics": Route(EVERYBODY, "figures without names; to whom `/readyz` says more"),
}


ACTS: dict[str, frozenset[str]] = {
    "POST /requests/{request_id}/decisions": frozenset({"pending"}),
    "POST /api/v1/requests/{request_id}/decisions": frozenset({"pending"}),
    "POST /requests/{request_id}/edits": frozenset({"pending"}),
    "POST /api/v1/requests/{request_id}/edits": frozenset({"pending"}),
    "POST /requests/{request_id}/withdrawal": frozenset({"pending", "approved"}),
    "POST /api/v1/requests/{request_id}/withdrawal": frozenset({"pending", "approved"}),
    "POST /requests/{request_id}/revocation": frozenset({"approved"}),
    "PUT /api/v1/requests/{request_id}/claim": frozenset({"approved"}),
    "PUT /api/v1/requests/{request_id}/lease": frozenset({"executing"}),
    "POST /requests/{request_id}/settlement": frozenset({"unknown"}),
}
"""In which states what a route does can be done; whoever may use it is refused in every other."""


def acts() -> str:
    """docs/authority.md's table of states."""
    lines = [f"| route | {' | '.join(State)} |", "|---" * (len(State) + 1) + "|"]
    for route, states in ACTS.items():
        lines.append(f"| `{route}` | {' | '.join('yes' if state in states else '' for state in State)} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """docs/authority.md."""
    who = "\n".join(f"- **{name}**: {words}" for name, words in PRINCIPALS.items())
    return f"{HEAD}\n{who}\n\n{table()}\n{BETWEEN}\n\n{acts()}"


def table() -> str:
    """docs/authority.md's table of routes."""
    short = list(PRINCIPALS)
    lines = [f"| route | {' | '.join(short)} | |", "|---" * (len(short) + 2) + "|"]
    for route, of in ROUTES.items():
        cells = ["yes" if name in of.who else "" for name in short]
        lines.append(f"| `{route}` | {' | '.join(cells)} | {of.note} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (Path(__file__).parents[2] / "docs" / "authority.md").write_text(page())
