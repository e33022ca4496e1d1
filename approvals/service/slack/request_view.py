"""A request as a message shows it, gathered from the record."""

from dataclasses import dataclass, field

from approvals.instant import Instant
from approvals.protocol.messages import RequestStatus
from approvals.protocol.states import State
from approvals.service.authority import on_content, required
from approvals.service.controls import freezes, state
from approvals.service.identity import credentials
from approvals.service.service import Service
from approvals.service.slack.buttons import Buttons
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row
from approvals.service.tools.layout import Layout


@dataclass(frozen=True)
class Face:
    """All text is as it was given: whoever shows it, escapes it."""

    row: Row
    """The request, with its execution."""
    status: RequestStatus
    now: Instant
    agent: str | None = None
    environment: str = ""
    approved_by: tuple[str, ...] = ()
    """Whose approvals count now."""
    decided_where: str = ""
    """The channel of the deciding vote: web, slack or api."""
    decided_at: Instant | None = None
    frozen: str = ""
    """The words of a freeze that stands in the way."""
    layout: Layout = field(default_factory=lambda: Layout({}))
    """The order of the tool's arguments."""
    button: str = ""
    """Names what a press decides; empty where nothing is decided from Slack."""


def of(service: Service, buttons: Buttons, reader: Reader, request_id: str) -> Face:
    """The request's face as of now. Raises NotFound."""
    row = service.statuses.row(reader, request_id)
    status = service.statuses.of(row, reader.now)
    agent = credentials.principal(reader, "agent", row.agent_id) if row.agent_id else None
    place = credentials.principal(reader, "installation", row.installation_id)
    votes = on_content(reader, row)
    counted = [vote.user.name for vote in service.authority.votes(reader, row) if vote.fault is None]
    pending = status.state is State.PENDING
    freeze = freezes.stopping(state.load(reader, row.server).freezes, row.agent_id) if pending else None
    here = pending and required(row).channels.decides("slack", row.risk)
    return Face(
        row=row,
        status=status,
        now=reader.now,
        agent=agent.name if agent else None,
        environment=place.environment if place else "",
        approved_by=tuple(counted),
        decided_where=votes[-1].channel if votes and row.decided_at is not None else "",
        decided_at=row.decided_at,
        frozen=freezes.sentence(reader, freeze) if freeze else "",
        layout=Layout(service.registry.definition(reader, row.server, row.tool_hash).input_schema),
        button=buttons.of(row) if here else "",
    )
