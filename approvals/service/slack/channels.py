"""Where a request is told of: the channel its rule names or the usual one, and people, if the rule says so."""

import json

from sqlalchemy import bindparam, select

from approvals.policy.eligibility import Act
from approvals.policy.reviewers import OFF
from approvals.service.authority import required
from approvals.service.identity.users import Person
from approvals.service.service import Service
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import SlackLink, table_of

PEOPLE = 50
"""So many are written to directly, at most."""

_links = table_of(SlackLink)
_LINKED = Statement(select(_links).where(_links.c.team_id == bindparam("team_id")).order_by(_links.c.linked_at))


def of(service: Service, reader: Reader, row: Row, usual: str, team_id: str) -> list[str]:
    """Channels as they are called, and Slack users as `@U…`; none where the rule wants nothing said in Slack."""
    if required(row).channels.slack == OFF:
        return []
    wanted = json.loads(row.notify or "{}")
    people = _people(service, reader, row, team_id) if wanted.get("direct") else []
    return [wanted.get("slack") or usual, *people]


def _people(service: Service, reader: Reader, row: Row, team_id: str) -> list[str]:
    """Those who may approve it, on whatever channel they may."""
    found = []
    for link in reader.all(_LINKED, team_id=team_id):
        persons = (Person(link.user_id, "", frozenset(), channel, "", 0) for channel in ("web", "slack"))
        if any(service.authority.fault(reader, row, person, Act.APPROVE) is None for person in persons):
            found.append(f"@{link.slack_user_id}")
    return found[:PEOPLE]
