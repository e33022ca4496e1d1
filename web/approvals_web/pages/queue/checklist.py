"""What is left to do after the installation, one line each; empty once all of it is done."""

from dataclasses import dataclass

from sqlalchemy import select

from approvals.service.identity import servers, users
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import SlackLink, Tool, table_of

_tools, _links = table_of(Tool), table_of(SlackLink)
_ANY_TOOL = Statement(select(_tools.c.name).limit(1))
_ANY_LINK = Statement(select(_links.c.user_id).limit(1))


@dataclass(frozen=True)
class Step:
    """One line."""

    what: str
    done: bool
    how: str
    """A command, or a few words."""
    address: str
    """The page where it is done, or seen."""


def steps(reader: Reader, *, slack: bool) -> list[Step]:
    """Each with whether it is done, and how to do it."""
    reviewers = [row for row in users.everyone(reader) if users.may_review(row)]
    server, agent = bool(servers.installations(reader)), bool(servers.agents(reader))
    found = [
        Step("Create a key for an MCP server", server, "on the servers page", "/servers#connect"),
        Step("Create a key for an agent", agent, "on the agents page", "/agents"),
        Step(
            "Start the server behind its gate", reader.one(_ANY_TOOL) is not None, "its tools appear here", "/servers"
        ),
        Step("Invite a second reviewer", len(reviewers) > 1, "on the users page", "/users"),
    ]
    if slack:
        found.append(
            Step("Link your Slack user", reader.one(_ANY_LINK) is not None, "on your account page", "/account")
        )
    return [] if all(step.done for step in found) else found
