"""Where a request is told of, and who is called: the channel its rule names or the usual one, and people."""

import json

from sqlalchemy import bindparam, select

from approvals.policy.eligibility import Act, folded
from approvals.policy.reviewers import OFF
from approvals.service.authority import on_content, required
from approvals.service.identity import users
from approvals.service.identity.users import Person
from approvals.service.service import Service
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Request, SlackLink, table_of

PEOPLE = 50
"""So many are written to directly, at most."""

_links = table_of(SlackLink)
_LINKED = Statement(
    select(_links).where(_links.c.team_id == bindparam("team_id")).order_by(_links.c.linked_at), SlackLink
)


def places(service: Service, reader: Reader, row: Request, usual: str, team_id: str) -> list[str]:
    """Channels as they are called, and Slack users as `@U…`; none where the rule wants nothing said in Slack."""
    if required(row).channels.slack == OFF:
        return []
    wanted = json.loads(row.notify or "{}")
    direct = awaited(service, reader, row, team_id) if wanted.get("direct") else []
    return [wanted.get("slack") or usual, *(f"@{slack_user}" for slack_user in direct)]


def awaited(service: Service, reader: Reader, row: Request, team_id: str) -> list[str]:
    """The Slack users of those who may approve it, on whatever channel they may, and have not."""
    voted = {vote.user_id for vote in on_content(reader, row)}
    found = []
    for link in reader.all(_LINKED, team_id=team_id):
        persons = (Person(link.user_id, "", frozenset(), channel, "", 0) for channel in ("web", "slack"))
        if link.user_id not in voted and any(
            service.authority.fault(reader, row, person, Act.APPROVE) is None for person in persons
        ):
            found.append(str(link.slack_user_id))
    return found[:PEOPLE]


def mentions(reader: Reader, row: Request, team_id: str) -> tuple[str, ...]:
    """Whom the rule calls, as Slack writes them: user groups by Slack's id, and linked people by their handle unless
    they have voted."""
    wanted = json.loads(row.notify or "{}").get("mention") or ()
    if not wanted:
        return ()
    voted = {vote.user_id for vote in on_content(reader, row)}
    linked: dict[str, str] = {}
    for link in reader.all(_LINKED, team_id=team_id):
        user = users.find(reader, link.user_id)
        if user is not None and user.disabled_at is None and user.id not in voted:
            linked[folded(user.handle or "")] = f"<@{link.slack_user_id}>"
    said = (f"<!subteam^{one}>" if is_user_group(one) else linked.get(folded(one), "") for one in wanted)
    return tuple(filter(None, said))


def is_user_group(name: str) -> bool:
    """Whether it is Slack's id of a user group."""
    return len(name) >= 8 and name.startswith("S") and name.isascii() and name.isalnum() and name.isupper()
