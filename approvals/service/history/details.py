"""What people are told of a request before they decide, wherever that is not drawn on a card."""

import json
from collections.abc import Iterator
from typing import Any

from approvals.instant import SECOND
from approvals.protocol.messages import RequestStatus, RequestView
from approvals.protocol.previews import stored
from approvals.protocol.request_details import Ballot, RequestDetails
from approvals.service.authority import Authority, on_content, required
from approvals.service.history.argument_rows import odd
from approvals.service.identity import credentials, users
from approvals.service.storage.database import Reader
from approvals.service.storage.tables.rows import RequestRow

MOST_ODD = 8


def details(authority: Authority, reader: Reader, row: RequestRow, status: RequestStatus) -> RequestDetails:
    """All of it, as of now."""
    agent = credentials.agent(reader, row.agent_id) if row.agent_id else None
    ago = None if row.previewed_at is None else max(0, reader.now - row.previewed_at) / SECOND
    return RequestDetails.model_construct(
        **{name: getattr(status, name) for name in RequestView.model_fields},
        arguments=json.loads(row.arguments),
        proposed=json.loads(row.proposed) if row.proposed else None,
        hidden=row.hidden,
        agent=agent.name if agent is not None else None,
        on_behalf_of_unverified=row.on_behalf_of,
        reason_unverified=row.reason,
        assurance=row.assurance,
        risk=row.risk,
        quorum=required(row).quorum,
        who_may_approve=str(required(row)),
        votes=votes(authority, reader, row),
        warnings=tuple(warnings(row)),
        preview=stored(row.preview),
        previewed_ago=ago,
        no_preview=row.no_preview,
    )


def votes(authority: Authority, reader: Reader, row: RequestRow) -> tuple[Ballot, ...]:
    """The verdicts on the present content, oldest first."""
    counted = {vote.row.id for vote in authority.votes(reader, row) if vote.fault is None}
    return tuple(
        Ballot(
            by=user.name if (user := users.find(reader, given.user_id)) is not None else "",
            verdict=given.verdict,
            channel=given.channel,
            counts=given.verdict == "deny" or given.id in counted,
            ago=max(0, reader.now - given.decided_at) / SECOND,
        )
        for given in on_content(reader, row)
    )


def warnings(row: RequestRow) -> Iterator[str]:
    """What deserves a second look, in words."""
    if row.edit_id is not None:
        yield "A person changed what the agent asked. Earlier votes do not count."
    elif row.content_version > 1:
        yield "The content changed since it was first asked. Earlier votes do not count."
    if row.replaces is not None:
        yield "The same call was requested before and ended without running."
    if row.hidden:
        yield f"{row.hidden} characters are hidden: they look like a credential, or repeat a secret argument."
    if not row.reviewed:
        yield "Nobody has reviewed how this tool describes itself: go by its name and arguments alone."
    if row.assurance == "cooperative":
        yield "The agent starts this server itself, so it could go around the gate."
    found: Any = list(odd(json.loads(row.arguments)))
    yield from (f"{path}: {what}." for path, what in found[:MOST_ODD])
    if len(found) > MOST_ODD:
        yield f"… and {len(found) - MOST_ODD} more texts with odd characters."
