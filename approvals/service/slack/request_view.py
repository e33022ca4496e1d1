"""A request as a message shows it, gathered from the record."""

from dataclasses import dataclass, field

from approvals.instant import Instant
from approvals.policy.eligibility import missing
from approvals.policy.model import usual_risk
from approvals.protocol.canonical import JsonObject
from approvals.protocol.messages import RequestStatus
from approvals.protocol.previews import Preview, stored
from approvals.protocol.states import State
from approvals.service.authority import Vote, on_content, required
from approvals.service.controls import freezes, state
from approvals.service.controls.state import FreezeInForce
from approvals.service.identity import credentials
from approvals.service.policies import snapshot
from approvals.service.requests import precedents, presence
from approvals.service.requests.claims import decided_by_people
from approvals.service.service import Service
from approvals.service.slack.buttons import Buttons
from approvals.service.slack.text import one_line
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row
from approvals.service.storage.tables.rows import RequestRun
from approvals.service.tools.layout import Layout


@dataclass(frozen=True)
class RequestView:
    """All text is as it was given: whoever shows it, escapes it."""

    row: RequestRun
    """The request, with its execution."""
    status: RequestStatus
    now: Instant
    agent: str | None = None
    environment: str = ""
    destructive: bool = True
    """Whether the tool says, or does not deny, that it overwrites or deletes."""
    usual_risk: str = ""
    """What a call of this tool had without a rule, as it was judged; empty where that is not on record."""
    callers: int | None = None
    """How many wait for the answer; None where that is not known."""
    preview: Preview | None = None
    """What it would change, as its server looked it up before anybody was asked."""
    approved_by: tuple[str, ...] = ()
    """Whose approvals count now; once it is decided, who approved it, whatever became of their accounts since."""
    void: tuple[str, ...] = ()
    """Whose approvals of one that has not run yet ceased to count, if too few are left for it to run."""
    approved_at: Instant | None = None
    """When the last of them approved."""
    missing: str = ""
    """Whose approval is still wanted, in words."""
    awaited: tuple[str, ...] = ()
    """Who could give it, by name, where not every reviewer can."""
    decided_where: str = ""
    """The channel of the deciding vote: web, slack or api."""
    decided_at: Instant | None = None
    frozen: str = ""
    """The words of a freeze that stands in the way."""
    ran_at: Instant | None = None
    """When the same call ran before."""
    before: precedents.Count | None = None
    """How people decided calls of the same tool before this one was asked; None where they never did."""
    refused: Row | None = None
    """What the same caller asked of the same tool last, if it was denied."""
    layout: Layout = field(default_factory=lambda: Layout({}))
    """The order of the tool's arguments."""
    button: str = ""
    """Names what a press decides; empty where nothing is decided from Slack."""

    @property
    def pending(self) -> bool:
        return self.status.state is State.PENDING

    @property
    def title(self) -> str:
        """What would happen, in one line. Without an accepted template no argument stands in it, where it would be
        read out of its place or on a locked phone."""
        if self.row.reviewed:
            return one_line(str(self.row.summary))
        return one_line(f"Call {self.row.tool} on {self.row.server}")

    @property
    def who(self) -> str:
        return self.agent or "An agent without a name"


def view_request(service: Service, buttons: Buttons, reader: Reader, request_id: str) -> RequestView:
    """The request as of now. Raises NotFound."""
    row = service.statuses.row(reader, request_id)
    status = service.statuses.of(row, reader.now)
    agent = credentials.agent(reader, row.agent_id) if row.agent_id else None
    place = credentials.installation(reader, row.installation_id)
    votes = on_content(reader, row)
    pending = status.state is State.PENDING
    approvals = service.authority.votes(reader, row)
    counted = [vote for vote in approvals if vote.fault is None]
    decided = _decided_before(reader, row)
    freeze = freezes.stopping(state.load(reader, row.server).freezes, row.agent_id) if pending else None
    here = pending and required(row).channels.decides("slack", row.risk)
    tool = service.registry.definition(reader, row.server, row.tool_hash)
    return RequestView(
        row=row,
        status=status,
        now=reader.now,
        agent=agent.name if agent else None,
        environment=place.environment if place else "",
        destructive=tool.annotations.destructive and not tool.annotations.read_only,
        usual_risk=_usual_risk(row, tool.input_schema),
        callers=_callers(reader, row) if pending else None,
        preview=stored(row.preview),
        approved_by=tuple(vote.user.name for vote in (counted if pending else approvals)),
        void=_void(service, reader, row, approvals) if status.state is State.APPROVED else (),
        approved_at=counted[-1].row.decided_at if counted else None,
        awaited=tuple(service.authority.awaited(reader, row)) if pending and not required(row).anybody else (),
        missing=missing(required(row), {vote.user.id: vote.groups for vote in counted}),
        decided_where=votes[-1].channel if votes and row.decided_at is not None else "",
        decided_at=row.decided_at,
        frozen=_frozen(reader, freeze) if freeze else "",
        ran_at=_ran_at(reader, row) if pending else None,
        before=precedents.count(decided, row.created_at) if decided else None,
        refused=_refused(decided, row),
        layout=Layout(tool.input_schema),
        button=buttons.of(row) if here else "",
    )


def _void(service: Service, reader: Reader, row: RequestRun, approvals: list[Vote]) -> tuple[str, ...]:
    """As the claim will judge it."""
    if not decided_by_people(reader, row.id) or service.authority.enough(reader, row):
        return ()
    return tuple(vote.user.name for vote in approvals if vote.fault is not None)


def _usual_risk(row: RequestRun, input_schema: JsonObject) -> str:
    try:
        return usual_risk(snapshot.load(row, input_schema).tool)
    except KeyError:
        return ""


def _decided_before(reader: Reader, row: RequestRun) -> list[Row]:
    """As of when it was asked: the message stays as it is while others are decided."""
    return [one for one in precedents.decided(reader, row) if one.decided_at < row.created_at]


def _refused(decided: list[Row], row: RequestRun) -> Row | None:
    last = next((one for one in decided if one.caller == row.caller), None)
    return last if last is not None and last.state == State.DENIED else None


def _ran_at(reader: Reader, row: RequestRun) -> Instant | None:
    before = precedents.ran(reader, row)
    return None if before is None else int(before.claimed_at)


def _callers(reader: Reader, row: RequestRun) -> int | None:
    """How many callers wait; that nobody does is known only of a gate process that is there."""
    return presence.waiting(reader, row.id) or (0 if presence.is_here(reader, row.session_id) else None)


def _frozen(reader: Reader, freeze: FreezeInForce) -> str:
    """Without how long ago: the message stays as it is while time goes on."""
    why = f": {freeze.reason}" if freeze.reason else ""
    return f"{freezes.what(reader, freeze)} frozen by {freezes.by(reader, freeze.made_by)}{why}"
