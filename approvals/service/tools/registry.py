"""Which tools a gate serves, which definition of each stands, and what a gate may do with its calls."""

import hmac
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256 as sha256_hash

from sqlalchemy import and_, bindparam, select

from approvals.errors import (
    NotFound,
    Stale,
)
from approvals.policy.model import Policy, ToolFacts
from approvals.protocol.canonical import (
    decode,
)
from approvals.protocol.registration import Annotations, Assurance, Registered, ToolDefinition, ToolVerdict, Verdict
from approvals.service.controls import audiences, freezes, rollouts, state
from approvals.service.storage.database import Reader
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import (
    GateSession,
    Installation,
    Server,
    SessionTool,
    Tool,
    ToolDefinitionRow,
    ToolRejection,
    table_of,
)
from approvals.service.storage.tables.handles import SERVER
from approvals.service.storage.tables.rows import RequestRow

LEASE_SECONDS = 15.0
REMEMBERED = 33_554_432
"""Bytes of definitions that are kept in memory."""

_sessions = table_of(GateSession)
_session_tools = table_of(SessionTool)
_definitions = table_of(ToolDefinitionRow)
_tools = table_of(Tool)
_rejections = table_of(ToolRejection)
_installations = table_of(Installation)

_served = (
    select(_session_tools, _tools.c.accepted_hash, _rejections.c.rejected_at)
    .join_from(
        _session_tools,
        _tools,
        and_(
            _tools.c.server == bindparam("server"),
            _tools.c.installation_id == bindparam("installation_id"),
            _tools.c.name == _session_tools.c.name,
        ),
        isouter=True,
    )
    .join(
        _rejections,
        and_(
            _rejections.c.server == bindparam("server"),
            _rejections.c.installation_id == bindparam("installation_id"),
            _rejections.c.name == _session_tools.c.name,
            _rejections.c.tool_hash == _session_tools.c.tool_hash,
        ),
        isouter=True,
    )
    .where(_session_tools.c.session_id == bindparam("session_id"))
)
"""What a session serves, with what stands there."""
_SERVED = Statement(_served)
_SERVED_ONE = Statement(_served.where(_session_tools.c.name == bindparam("name")))
DEFINITION = Statement(
    select(_definitions).where(
        _definitions.c.server == bindparam("server"), _definitions.c.tool_hash == bindparam("tool_hash")
    ),
    ToolDefinitionRow,
)
TOOL = Statement(
    select(_tools).where(
        _tools.c.server == bindparam("server"),
        _tools.c.installation_id == bindparam("installation_id"),
        _tools.c.name == bindparam("name"),
    ),
    Tool,
)
_INSTALLATIONS = Statement(select(_installations), Installation)
_TOOLS = Statement(select(_tools).order_by(_tools.c.server, _tools.c.name, _tools.c.installation_id), Tool)

CHANGED_DEFINITION = "The tool's definition changed"
CHANGED_CODE = "The server's code changed"


@dataclass(frozen=True)
class Standing:
    """One tool as a session serves it, in its stricter reading while nobody has accepted what it loosens."""

    definition: ToolDefinition
    tool_hash: str
    annotations: Annotations
    secret: tuple[str, ...]
    accepted: bool
    code_version: str = ""
    """The code that runs it there, if approvals bind that."""
    rejected: bool = False
    """Whether a person said that it is not to stand."""

    def changed_since(self, row: RequestRow) -> str:
        """What a request was filed under and is no more, in words; nothing if all of it still is."""
        if self.tool_hash != row.tool_hash:
            return CHANGED_DEFINITION
        return CHANGED_CODE if self.code_version != row.code_version else ""


class _Definitions:
    """Definitions that were read last, up to REMEMBERED bytes of them."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[ToolDefinition, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str]) -> ToolDefinition | None:
        with self._lock:
            if key not in self._known:
                return None
            self._known.move_to_end(key)
            return self._known[key][0]

    def keep(self, key: tuple[str, str], definition: ToolDefinition, size: int) -> None:
        with self._lock:
            if key not in self._known:
                self._known[key] = definition, size
                self._bytes += size
            while self._bytes > REMEMBERED and len(self._known) > 1:
                _, (_, gone) = self._known.popitem(last=False)
                self._bytes -= gone


class Registry:
    """Says which tool definitions stand, and what that means for their calls."""

    def __init__(self, policy: Policy, public_url: str) -> None:
        self._policy = policy
        self._public_url = public_url
        self._definitions = _Definitions()

    def registered(
        self,
        reader: Reader,
        installation: Installation,
        session: str,
        *,
        refused: Mapping[str, str] | None = None,
        complete: bool = True,
    ) -> Registered:
        """What this session may do with its tools from now on, for LEASE_SECONDS; with what a registration `refused`.
        Nothing of its tools while it is not `complete`."""
        where = {"server": installation.server, "installation_id": place_of(installation)}
        served = reader.all(_SERVED, session_id=session, **where) if complete else []
        standing = {row.name: self._standing(reader, installation.server, row) for row in served}
        server = reader.one(SERVER, name=installation.server)
        if server is None:
            raise NotFound(f"There is no server {installation.server!r}.")
        moved = state.load(reader, installation.server)
        return Registered(
            server=installation.server,
            installation=installation.id,
            assurance=installation.assurance,
            pepper=_pepper(server, installation),
            lease_seconds=LEASE_SECONDS,
            tools={name: self._verdict(installation, tool, moved) for name, tool in standing.items()},
            refused=dict(refused or {}),
            public_url=self._public_url,
            freezes=freezes.told(reader, moved.freezes),
            audience=audiences.name_of(moved.audience),
        )

    def standing(self, reader: Reader, installation: Installation, session: str, name: str) -> Standing:
        """The definition that a session of an installation serves under a name. Raises Stale when it serves none."""
        where = {"server": installation.server, "installation_id": place_of(installation)}
        served = reader.one(_SERVED_ONE, session_id=session, name=name, **where)
        if served is None:
            raise Stale(f"This gate has not registered a tool {name!r}.", hint="Register the tools again.")
        return self._standing(reader, installation.server, served)

    def _standing(self, reader: Reader, server: str, served: Row) -> Standing:
        definition, code = self.definition(reader, server, served.tool_hash), served.code_version
        if served.accepted_hash == served.tool_hash:
            return Standing(definition, served.tool_hash, definition.annotations, definition.secret, True, code)
        rejected = served.rejected_at is not None
        if served.accepted_hash is None:
            return Standing(definition, served.tool_hash, Annotations(), definition.secret, False, code, rejected)
        before = self.definition(reader, server, served.accepted_hash)
        secret = tuple(dict.fromkeys((*definition.secret, *before.secret)))
        return Standing(definition, served.tool_hash, Annotations(), secret, False, code, rejected)

    def definition(self, reader: Reader, server: str, tool_hash: str) -> ToolDefinition:
        """A definition by its hash, which never changes. Raises NotFound."""
        known = self._definitions.get((server, tool_hash))
        if known is not None:
            return known
        row = reader.one(DEFINITION, server=server, tool_hash=tool_hash)
        if row is None:
            raise NotFound("There is no such tool definition.")
        definition = ToolDefinition.model_validate(decode(json.loads(row.body)))
        self._definitions.keep((server, tool_hash), definition, len(row.body))
        return definition

    def tool(self, reader: Reader, installation: Installation, name: str) -> Tool | None:
        """Which definition of a tool stands at an installation, since when and by whom."""
        return reader.one(TOOL, server=installation.server, installation_id=place_of(installation), name=name)

    def kept_secret(self, reader: Reader, row: RequestRow) -> tuple[str, ...]:
        """The secret paths of a request's tool: those of the definition that was asked, of the one that stands, and of
        the one that is offered."""
        where = {"server": row.server, "name": row.tool}
        places = dict.fromkeys(("", row.installation_id))
        stand = [reader.one(TOOL, installation_id=place, **where) for place in places]
        known = [row.tool_hash, *(one for tool in stand if tool for one in (tool.accepted_hash, tool.offered_hash))]
        hashes = dict.fromkeys(one for one in known if one)
        return tuple(dict.fromkeys(path for one in hashes for path in self.definition(reader, row.server, one).secret))

    def tools(self, reader: Reader) -> list[Tool]:
        return reader.all(_TOOLS)

    def known_tools(self, reader: Reader) -> list[ToolFacts]:
        """Every tool of a live installation as it stands, or as an enforced one offers it while nothing stands: what
        the conditions of a policy are checked against. One for each way in which installations differ."""
        kinds = {
            (row.server, place_of(row), bool(row.trusted), row.assurance, row.environment)
            for row in reader.all(_INSTALLATIONS)
            if row.disabled_at is None
        }
        return [
            self._known(reader, row, tool_hash, trusted, assurance, environment)
            for row in self.tools(reader)
            for server, place, trusted, assurance, environment in sorted(kinds)
            if (server, place) == (row.server, row.installation_id)
            and (tool_hash := row.accepted_hash or (row.offered_hash if not place else None))
        ]

    def _known(
        self, reader: Reader, row: Tool, tool_hash: str, trusted: bool, assurance: str, environment: str
    ) -> ToolFacts:
        definition = self.definition(reader, row.server, tool_hash)
        return ToolFacts(
            server=row.server,
            tool=row.name,
            annotations=definition.annotations if row.accepted_hash else Annotations(),
            trusted=trusted,
            assurance=assurance,
            environment=environment,
            tool_hash=tool_hash,
            input_schema=definition.input_schema,
            secret=definition.secret,
        )

    def _verdict(self, installation: Installation, tool: Standing, moved: state.Controls) -> ToolVerdict:
        facts = facts_of(installation, tool)
        verdict = self._policy.verdict(facts)
        yet = "a person rejected this definition" if tool.rejected else "a person has yet to accept this definition"
        reason = "" if tool.accepted else yet
        if verdict is Verdict.RUN and not tool.accepted:
            verdict = Verdict.ASK
        if verdict is Verdict.REFUSE and rollouts.relaxed(moved.rollouts, tool.definition.name):
            verdict = Verdict.DEPENDS
        if verdict is Verdict.REFUSE:
            reason = self._policy.refusal(facts)
        return ToolVerdict(verdict=verdict, tool_hash=tool.tool_hash, secret=tool.secret, reason=reason)


def place_of(installation: Installation) -> str:
    """Where a definition stands: at the server's enforced installations (empty), or at one cooperative installation.
    Whatever that one registers is nobody else's."""
    return "" if installation.assurance == Assurance.ENFORCED else installation.id


def _pepper(server: Server, installation: Installation) -> str:
    """Of the server; a cooperative installation's tells nothing of the others' secrets."""
    place = place_of(installation)
    return hmac.new(bytes.fromhex(server.pepper), place.encode(), sha256_hash).hexdigest() if place else server.pepper


def facts_of(installation: Installation, tool: Standing) -> ToolFacts:
    """What a policy may know of a standing tool."""
    return ToolFacts(
        server=installation.server,
        tool=tool.definition.name,
        annotations=tool.annotations,
        trusted=bool(installation.trusted),
        assurance=installation.assurance,
        environment=installation.environment,
        tool_hash=tool.tool_hash,
        input_schema=tool.definition.input_schema,
        secret=tool.secret,
    )
