"""Which tools a gate serves, which definition of each stands, and what a gate may do with its calls."""

import hmac
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256 as sha256_hash
from typing import Any

from sqlalchemy import and_, bindparam, select, update

from approvals.errors import (
    NotFound,
    Stale,
)
from approvals.policy.model import Policy, ToolFacts
from approvals.protocol.canonical import (
    decode,
)
from approvals.protocol.registration import Annotations, Assurance, Registered, ToolDefinition, ToolVerdict, Verdict
from approvals.service.audit.kinds import Kind
from approvals.service.controls import audiences, freezes, rollouts, state
from approvals.service.storage.changes import Touched
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Row, Statement, changed
from approvals.service.storage.tables import (
    GateSession,
    Installation,
    Server,
    SessionTool,
    Tool,
    ToolDefinitionRow,
    table_of,
)
from approvals.service.storage.tables.handles import LOCK_SERVER, SERVER
from approvals.service.storage.tables.rows import RequestRow

LEASE_SECONDS = 15.0
REMEMBERED = 33_554_432
"""Bytes of definitions that are kept in memory."""

_sessions = table_of(GateSession)
_session_tools = table_of(SessionTool)
_definitions = table_of(ToolDefinitionRow)
_tools = table_of(Tool)
_installations = table_of(Installation)

_served = (
    select(_session_tools, _tools.c.accepted_hash)
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
_TOOL = Statement(
    select(_tools).where(
        _tools.c.server == bindparam("server"),
        _tools.c.installation_id == bindparam("installation_id"),
        _tools.c.name == bindparam("name"),
    ),
    Tool,
)
_ACCEPTED = Statement(
    select(_tools)
    .where(_tools.c.server == bindparam("server"), _tools.c.name == bindparam("name"))
    .where(_tools.c.accepted_hash == bindparam("tool_hash"), _tools.c.accepted_by.not_like("installation:%"))
    .limit(1),
    Tool,
)
"""Wherever at a server a person accepted this very definition."""
_INSTALLATIONS = Statement(select(_installations), Installation)
_TOOLS = Statement(select(_tools).order_by(_tools.c.server, _tools.c.name, _tools.c.installation_id), Tool)
_SET_TOOL = Statement(
    update(_tools)
    .where(
        _tools.c.server == bindparam("of_server"),
        _tools.c.installation_id == bindparam("of_installation"),
        _tools.c.name == bindparam("of_name"),
    )
    .values(
        {
            name: bindparam(name)
            for name in ("accepted_hash", "accepted_at", "accepted_by", "offered_hash", "offered_at", "loosens")
        }
    )
)


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
    """Says which tool definitions stand, and accepts them."""

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
        where = {"server": installation.server, "installation_id": _place(installation)}
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
        where = {"server": installation.server, "installation_id": _place(installation)}
        served = reader.one(_SERVED_ONE, session_id=session, name=name, **where)
        if served is None:
            raise Stale(f"This gate has not registered a tool {name!r}.", hint="Register the tools again.")
        return self._standing(reader, installation.server, served)

    def _standing(self, reader: Reader, server: str, served: Row) -> Standing:
        definition, code = self.definition(reader, server, served.tool_hash), served.code_version
        if served.accepted_hash == served.tool_hash:
            return Standing(definition, served.tool_hash, definition.annotations, definition.secret, True, code)
        if served.accepted_hash is None:
            return Standing(definition, served.tool_hash, Annotations(), definition.secret, False, code)
        before = self.definition(reader, server, served.accepted_hash)
        secret = tuple(dict.fromkeys((*definition.secret, *before.secret)))
        stricter = _stricter(before.annotations, definition.annotations)
        return Standing(definition, served.tool_hash, stricter, secret, False, code)

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
        return reader.one(_TOOL, server=installation.server, installation_id=_place(installation), name=name)

    def tools(self, reader: Reader) -> list[Tool]:
        return reader.all(_TOOLS)

    def known_tools(self, reader: Reader) -> list[ToolFacts]:
        """Every tool of a live installation as it stands, or as an enforced one offers it while nothing stands: what
        the conditions of a policy are checked against. One for each way in which installations differ."""
        kinds = {
            (row.server, _place(row), bool(row.trusted), row.assurance, row.environment)
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

    def accept(self, tx: Transaction, server: str, name: str, tool_hash: str, actor: str, at: str = "") -> None:
        """A person lets a loosening definition stand where it is offered: at the enforced installations, or at a
        cooperative one. Raises NotFound, or Stale when another one is offered by now."""
        tx.lock(LOCK_SERVER, name=server)
        row = tx.one(_TOOL, server=server, installation_id=at, name=name)
        if row is None or row.offered_hash is None:
            raise NotFound("There is no definition to accept.", hint="Look at the server's tools again.")
        if row.offered_hash != tool_hash:
            raise Stale("Another definition is offered by now.", hint="Look at it again before you accept.")
        facts = {"hash": tool_hash, "loosens": row.loosens, **({"at": at} if at else {})}
        touched = Touched(Tool, row, self._stand(tx, row, tool_hash, actor))
        tx.record(Kind.TOOL_ACCEPTED, actor, f"{server}.{name}", touched, **facts)

    def offer(self, tx: Transaction, installation: Installation, definition: ToolDefinition, tool_hash: str) -> None:
        """Let a registered definition stand, or let it wait for a person when it loosens."""
        server, name = installation.server, definition.name
        known = self.tool(tx, installation, name)
        row = known or tx.insert(Tool, server=server, name=name, installation_id=_place(installation))
        if tool_hash == row.accepted_hash:
            return
        by = self._lets_stand(tx, installation, name, tool_hash)
        loosens = [] if by else self._loosens(tx, installation, row, definition)
        actor, of = f"installation:{installation.id}", f"{server}.{name}"
        if not loosens:
            touched = Touched(Tool, known, self._stand(tx, row, tool_hash, by or actor))
            tx.record(Kind.TOOL_REGISTERED, actor, of, touched, hash=tool_hash, **_at(installation))
        elif row.offered_hash != tool_hash:
            touched = Touched(Tool, known, self._offer(tx, row, tool_hash, loosens))
            facts = {"hash": tool_hash, "loosens": loosens} | _at(installation)
            tx.record(Kind.TOOL_OFFERED, actor, of, touched, **facts)

    def _lets_stand(self, tx: Transaction, installation: Installation, name: str, tool_hash: str) -> str:
        """Who accepted this very definition elsewhere at the server, if that counts here: people are not asked about
        one definition for every cooperative installation. Enforced ones have what was accepted for them alone."""
        if not _place(installation):
            return ""
        accepted = tx.one(_ACCEPTED, server=installation.server, name=name, tool_hash=tool_hash)
        return accepted.accepted_by if accepted is not None else ""

    def _loosens(self, tx: Transaction, installation: Installation, row: Tool, definition: ToolDefinition) -> list[str]:
        if not installation.trusted:
            return ["a definition from a server whose annotations are not trusted"]
        kept = row.accepted_hash
        before = self.definition(tx, installation.server, kept) if kept is not None else None
        loose = [] if before is None else loosened(before, definition)
        return loose + (_words(before, definition) if _place(installation) else [])

    def _offer(self, tx: Transaction, row: Tool, tool_hash: str, loosens: list[str]) -> Tool:
        kept = {name: getattr(row, name) for name in ("accepted_hash", "accepted_at", "accepted_by")}
        return self._set(tx, row, **kept, offered_hash=tool_hash, offered_at=tx.now, loosens="\n".join(loosens))

    def _stand(self, tx: Transaction, row: Tool, tool_hash: str, actor: str) -> Tool:
        accepted = {"accepted_hash": tool_hash, "accepted_at": tx.now, "accepted_by": actor}
        return self._set(tx, row, **accepted, offered_hash=None, offered_at=None, loosens="")

    def _set(self, tx: Transaction, row: Tool, **values: Any) -> Tool:
        tx.execute(_SET_TOOL, of_server=row.server, of_installation=row.installation_id, of_name=row.name, **values)
        return changed(row, **values)

    def _verdict(self, installation: Installation, tool: Standing, moved: state.Controls) -> ToolVerdict:
        facts = facts_of(installation, tool)
        verdict = self._policy.verdict(facts)
        reason = "" if tool.accepted else "a person has yet to accept this definition"
        if verdict is Verdict.RUN and not tool.accepted:
            verdict = Verdict.ASK
        if verdict is Verdict.REFUSE and rollouts.relaxed(moved.rollouts, tool.definition.name):
            verdict = Verdict.DEPENDS
        if verdict is Verdict.REFUSE:
            reason = self._policy.refusal(facts)
        return ToolVerdict(verdict=verdict, tool_hash=tool.tool_hash, secret=tool.secret, reason=reason)


def _place(installation: Installation) -> str:
    """Where a definition stands: at the server's enforced installations (empty), or at one cooperative installation.
    Whatever that one registers is nobody else's."""
    return "" if installation.assurance == Assurance.ENFORCED else installation.id


def _at(installation: Installation) -> dict[str, str]:
    place = _place(installation)
    return {"at": place} if place else {}


def _pepper(server: Server, installation: Installation) -> str:
    """Of the server; a cooperative installation's tells nothing of the others' secrets."""
    place = _place(installation)
    return hmac.new(bytes.fromhex(server.pepper), place.encode(), sha256_hash).hexdigest() if place else server.pepper


def _words(before: ToolDefinition | None, after: ToolDefinition) -> list[str]:
    """The words that a cooperative installation wants on its cards, if they are new."""
    new = after.summary is not None and (before is None or after.summary != before.summary)
    return [f"says on its cards: {after.summary}"] if new else []


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


def loosened(before: ToolDefinition, after: ToolDefinition) -> list[str]:
    """What `after` would let pass that `before` did not, one sentence each."""
    hints = {
        "read_only": "says it only reads",
        "idempotent": "says that repeating it is harmless",
        "destructive": "no longer says it destroys",
        "open_world": "no longer says it reaches the open world",
    }
    loose = {"read_only": True, "idempotent": True, "destructive": False, "open_world": False}
    changes = [
        words
        for name, words in hints.items()
        if getattr(after.annotations, name) is loose[name] and getattr(before.annotations, name) is not loose[name]
    ]
    dropped = [f"argument {path} is no longer secret" for path in before.secret if path not in after.secret]
    return changes + dropped


def _stricter(one: Annotations, other: Annotations) -> Annotations:
    return Annotations(
        read_only=one.read_only and other.read_only,
        idempotent=one.idempotent and other.idempotent,
        destructive=one.destructive or other.destructive,
        open_world=one.open_world or other.open_world,
    )
