"""What is left to do after the installation, one line each; empty once all of it is done."""

from sqlalchemy import select

from approvals.service.identity import servers, users
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import SlackLink, Tool, table_of

_tools, _links = table_of(Tool), table_of(SlackLink)
_ANY_TOOL = Statement(select(_tools.c.name).limit(1))
_ANY_LINK = Statement(select(_links.c.user_id).limit(1))


def steps(reader: Reader, *, slack: bool) -> list[dict[str, object]]:
    """Each with whether it is done, and how to do it."""
    reviewers = [row for row in users.everyone(reader) if users.may_review(row)]
    found: list[tuple[str, bool, str]] = [
        ("Make a key for an MCP server", bool(servers.installations(reader)), "approvals server add NAME"),
        ("Make a key for an agent", bool(servers.agents(reader)), "approvals agent add NAME"),
        ("Start the server behind its gate", reader.one(_ANY_TOOL) is not None, "its tools then stand under Servers"),
        ("Invite a second reviewer", len(reviewers) > 1, "approvals user invite NAME"),
    ]
    if slack:
        found.append(("Link your Slack user", reader.one(_ANY_LINK) is not None, "on your account page"))
    if all(done for _, done, _ in found):
        return []
    return [{"what": what, "done": done, "how": how} for what, done, how in found]
