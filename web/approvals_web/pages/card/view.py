"""What a card shows, gathered from the record."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from starlette.concurrency import run_in_threadpool

from approvals.instant import SECOND, Instant
from approvals.policy import diff
from approvals.policy.grant_terms import parse, sentence
from approvals.policy.model import DefaultPolicy
from approvals.policy.rule_words import Wording, wordings
from approvals.protocol.edits import Change, Edited, sides
from approvals.protocol.messages import RequestStatus
from approvals.protocol.preview_words import money
from approvals.protocol.previews import stored
from approvals.protocol.states import State
from approvals.service import grants
from approvals.service.authority import on_content
from approvals.service.history.argument_rows import Line, lines
from approvals.service.identity import agent_owners, credentials, users
from approvals.service.identity.users import Person
from approvals.service.policies import versions
from approvals.service.requests import precedents, presence
from approvals.service.requests.settlements import MARGIN_SECONDS
from approvals.service.service import Service
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row
from approvals.service.storage.tables import Agent, DecisionRow, Execution, Installation, StandingGrant, User
from approvals.service.storage.tables.handles import EXECUTION
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.tools.layout import Layout
from approvals.service.tools.summary import formats
from approvals_web.http import lexicon
from approvals_web.http.rendering import fragment
from approvals_web.http.times import relative
from approvals_web.pages.card import confirmation, execution_facts, timeline, warnings
from approvals_web.pages.card.confirmation import to_type
from approvals_web.pages.card.decision_panel import Deciding, deciding
from approvals_web.pages.card.preview import Foreseen, foreseen
from approvals_web.pages.card.views import View, views
from approvals_web.pages.card.why_asked import Because, because

SIMILAR = 5
"""Past decisions on the card."""
CURRENCIES = {"USD", "EUR", "GBP"}
MAX_RAW = 12_000
"""Characters of raw arguments on the card itself; beyond, they have a page of their own."""


@dataclass(frozen=True)
class Difference:
    """An argument before and after an edit, in words."""

    path: str
    was: str
    now: str


@dataclass(frozen=True)
class What:
    """What would run, as `_what.html` shows it."""

    row: RequestRow
    views: list[View]
    more_views: bool
    lines: list[Line]
    more: int
    max_raw: int = MAX_RAW
    foreseen: Foreseen | None = None
    """What it would do, as its server says."""
    formats: Mapping[str, str] = field(default_factory=dict)
    """Of amounts, by path."""
    edited: Edited | None = None
    """What a person changed of what the agent asked."""
    of: str = ""
    """A suffix of its ids, where several are on one page."""

    @property
    def changed(self) -> list[Difference]:
        """What a person changed, in words; amounts as such, too."""
        said = self.edited.changes if self.edited is not None else ()
        return [self._difference(one) for one in said]

    def _difference(self, change: Change) -> Difference:
        was, now = sides(change)
        path = change.path
        return Difference(path, self._said(path, change.was, was), self._said(path, change.now, now))

    def _said(self, path: str, value: object, words: str) -> str:
        currency = self.formats.get(path, "").upper()
        if isinstance(value, int) and not isinstance(value, bool) and currency in CURRENCIES:
            return f"{words} ({money(value, currency)})"
        return words

    @property
    def cut(self) -> bool:
        """Whether something is in the JSON alone."""
        return bool(self.more or any(view.cut for view in self.views) or any(line.more for line in self.lines))

    @cached_property
    def card_hash(self) -> str:
        """Of all that is shown."""
        return hashlib.sha256(fragment("_what.html", what=self).encode()).hexdigest()


@dataclass(frozen=True)
class Passed:
    """What is known of earlier requests like this one."""

    decided: list[Row]
    counted: precedents.Count


@dataclass(frozen=True)
class Card:
    """One request as one person sees it."""

    what: What
    status: RequestStatus
    warnings: list[warnings.Warning]
    passed: Passed
    to_type: str
    accepted: str
    """Since when the tool's definition stands."""
    agent: Agent | None
    owners: Sequence[Row | User]
    installation: Installation | None
    client: dict[str, str]
    passage: diff.Passage | None
    because: Because
    deny_reasons: tuple[str, ...]
    waiting: int
    deciding: Deciding
    further: dict[str, str]
    granted_by: StandingGrant | None
    granted: StandingGrant | None
    events: list[timeline.Event]
    execution: Execution | None
    evidence: list[execution_facts.Fact]
    settle_from: Instant | None
    seen: str
    looking: list[str] = field(default_factory=list)
    """Who else has it open."""
    notice: str = ""
    """What went wrong with what this person just did."""
    draft: str = ""
    """What they had typed."""

    @property
    def row(self) -> RequestRow:
        return self.what.row

    @property
    def card_hash(self) -> str:
        return self.what.card_hash

    @property
    def title(self) -> str:
        return f"{self.row.summary} · Approvals"

    @property
    def agent_name(self) -> str:
        return self.agent.name if self.agent else "The agent"

    @property
    def undo(self) -> str:
        """Whether it can be undone, as far as its server says."""
        seen = self.what.foreseen
        return (seen.undo if seen is not None else "") or f"{self.row.server} does not say whether this can be undone"

    @property
    def afterwards(self) -> str:
        """What happens once it is approved."""
        return "It runs at once: the agent is waiting" if self.waiting else "It runs when the agent asks again"


async def context(service: Service, request_id: str, person: Person) -> Card:
    """All of a card. Raises NotFound."""
    return await run_in_threadpool(
        service.read_now, lambda reader: card_of(service, reader, request_id, person)
    )  # a call may hold a hundred thousand values: others are served meanwhile


def seen_token(
    service: Service,
    person: Person,
    request_id: str,
    content_version: int,
    digest: str,
    card_hash: str,
    grant: str = "",
) -> str:
    """Binds a form to the person, the session and the content it was rendered for, and to the grant it shows."""
    shown = (request_id, str(content_version), digest, card_hash, *((grants.name_of(grant),) if grant else ()))
    return service.keyring.seen(person.session_id, person.id, *shown)


def what(service: Service, reader: Reader, row: RequestRow, of: str = "") -> What:
    """What a request would run, and the hash of what is shown of it."""
    definition = service.registry.definition(reader, row.server, row.tool_hash)
    layout = Layout(definition.input_schema)
    arguments = layout.arranged(json.loads(row.arguments))
    known = formats(definition.summary or "") if row.reviewed else {}
    found, more_views = views(arguments, known)
    shown, more = lines(arguments, {path for view in found for path in view.covers}, layout)
    edited = Edited.model_validate_json(row.edited) if row.edited else None
    seen = foreseen(reader, row)
    return What(row, found, more_views, shown, more, foreseen=seen, formats=known, edited=edited, of=of)


def name_to_type(service: Service, reader: Reader, row: RequestRow) -> str:
    """What must be typed to approve this; nothing unless it is critical."""
    summary = service.registry.definition(reader, row.server, row.tool_hash).summary if row.reviewed else None
    return to_type(row.risk, summary, row.tool, json.loads(row.arguments), stored(row.preview))


def check_typed(service: Service, reader: Reader, request_id: str, typed: str) -> None:
    """Raises Invalid unless what must be typed was, while it can still be decided; NotFound."""
    row = service.statuses.row(reader, request_id)
    if service.statuses.of(row, reader.now).state is State.PENDING:
        confirmation.check(name_to_type(service, reader, row), typed)


def card_of(service: Service, reader: Reader, request_id: str, person: Person) -> Card:
    """As `context`, within a transaction that reads."""
    row = service.statuses.row(reader, request_id)
    status = service.statuses.of(row, reader.now)
    content = what(service, reader, row)
    agent = credentials.agent(reader, row.agent_id) if row.agent_id else None
    execution = reader.one(EXECUTION, request_id=row.id)
    text = _policy_text(reader, row)
    said = wordings(text).get(row.rule, Wording())
    history = precedents.decided(reader, row)
    return Card(
        what=content,
        status=status,
        warnings=[
            *warnings.of_request(row, status.state, execution),
            *warnings.of_arguments(json.loads(row.arguments), content.views),
            *_of_history(service, reader, row, history),
        ],
        passed=Passed(history[:SIMILAR], precedents.count(history, reader.now)),
        to_type=name_to_type(service, reader, row),
        accepted=_acceptance(service, reader, row),
        agent=agent,
        owners=agent_owners.owners(reader, row.agent_id) if row.agent_id else [],
        installation=credentials.installation(reader, row.installation_id),
        client=json.loads(row.client),
        passage=diff.passages(text).get(row.rule),
        because=because(row, None if text in ("", DefaultPolicy.text) else said, content.formats),
        deny_reasons=said.deny_reasons or lexicon.DENY_REASONS,
        waiting=presence.waiting(reader, row.id),
        deciding=deciding(service, reader, row, person),
        further=further(service, reader, row, person, on_content(reader, row), agent, content.card_hash),
        granted_by=grants.behind(reader, row.id),
        granted=grants.of_request(reader, row.id),
        events=timeline.events(reader, row.id),
        execution=execution,
        evidence=execution_facts.facts(reader, execution) if execution else [],
        settle_from=execution.lease_until + round(MARGIN_SECONDS * SECOND) if execution else None,
        seen=seen_token(service, person, row.id, row.content_version, row.digest, content.card_hash),
    )


def further(
    service: Service,
    reader: Reader,
    row: RequestRow,
    person: Person,
    votes: list[DecisionRow],
    agent: Agent | None,
    card_hash: str,
) -> dict[str, str]:
    """What this card offers beside the approval of its call alone: further calls to allow (`offered`), those that
    others want to allow (`sentence`, `terms`, `names`, `seen`), or why none can be (`why_not`)."""
    if row.state != State.PENDING or not grants.limits_of(row):
        return {}
    if why := grants.why_not(reader, row):
        return {"why_not": why}
    if not votes:
        return {"offered": "yes"}
    terms = {vote.grant_terms for vote in votes}
    voters = [users.find(reader, vote.user_id) for vote in votes]
    names = ", ".join(user.name for user in voters if user is not None)
    if len(terms) > 1 or "" in terms or agent is None:
        return {"why_not": f"{names} approved this call alone"}
    (text,) = terms
    words = sentence(parse(text), agent.name, row.server, row.tool)
    seen = seen_token(service, person, row.id, row.content_version, row.digest, card_hash, text)
    return {"sentence": words, "terms": text, "names": names, "seen": seen}


def _policy_text(reader: Reader, row: RequestRow) -> str:
    """The version that judged this request; nothing where no file did."""
    version = versions.version(reader, row.policy_hash)
    return version.text if version is not None else ""


def _of_history(service: Service, reader: Reader, row: RequestRow, history: list[Row]) -> Iterator[warnings.Warning]:
    if (before := precedents.ran(reader, row)) is not None:
        how = f" and {before.outcome.replace('_', ' ')}" if before.outcome else ""
        yield warnings.Warning(f"The same call ran {relative(before.claimed_at, reader.now)}{how}.", before.id)
    if (refused := precedents.refused(history, row)) is not None and refused.id < row.id:
        yield from warnings.of_refusal(row, service.statuses.row(reader, refused.id))


def _acceptance(service: Service, reader: Reader, row: RequestRow) -> str:
    """Of the tool's definition that this request was filed under."""
    installation = credentials.installation(reader, row.installation_id)
    tool = service.registry.tool(reader, installation, row.tool) if installation is not None else None
    if tool is None or tool.accepted_hash is None:
        return "not reviewed yet"
    if tool.accepted_hash != row.tool_hash:
        return "another than the accepted one"
    since = relative(tool.accepted_at or reader.now, reader.now)
    by_itself = tool.accepted_by.startswith("installation:")
    return f"first seen {since}" if by_itself else f"accepted {since} by {timeline.who(reader, tool.accepted_by)}"
