"""Definitions that loosen something wait for a person, who accepts or rejects each."""

from sqlalchemy import bindparam, or_, select, update

from approvals.errors import Conflict, NotFound, Stale
from approvals.instant import Instant
from approvals.protocol.registration import Assurance, ToolDefinition
from approvals.service.audit.kinds import Kind
from approvals.service.identity.admins import Admin, require_admin
from approvals.service.storage.database import Transaction
from approvals.service.storage.row_changes import Touched
from approvals.service.storage.statements import Statement, changed
from approvals.service.storage.tables import Installation, Tool, ToolRejection, table_of
from approvals.service.storage.tables.handles import LOCK_SERVER
from approvals.service.tools.registry import TOOL, Registry, place_of

_tools = table_of(Tool)
_rejections = table_of(ToolRejection)
_installations = table_of(Installation)

_ACCEPTED = Statement(
    select(_tools)
    .where(_tools.c.server == bindparam("server"), _tools.c.name == bindparam("name"))
    .where(_tools.c.accepted_hash == bindparam("tool_hash"), _tools.c.accepted_by.not_like("installation:%"))
    .limit(1),
    Tool,
)
"""Wherever at a server a person accepted this very definition."""
_STOOD = Statement(
    select(_tools)
    .where(_tools.c.server == bindparam("server"), _tools.c.installation_id == bindparam("at"))
    .where(_tools.c.accepted_at < bindparam("before"))
    .limit(1),
    Tool,
)
_REJECTED = Statement(
    select(_rejections).where(
        _rejections.c.server == bindparam("server"),
        _rejections.c.installation_id == bindparam("at"),
        _rejections.c.name == bindparam("name"),
        _rejections.c.tool_hash == bindparam("tool_hash"),
    ),
    ToolRejection,
)
_LIVE = Statement(
    select(_installations)
    .where(_installations.c.server == bindparam("server"), _installations.c.disabled_at.is_(None))
    .where(or_(_installations.c.id == bindparam("at"), _installations.c.assurance == bindparam("assurance")))
    .limit(1),
    Installation,
)
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
_NO_OFFER = {"offered_hash": None, "offered_at": None, "loosens": ""}


class Offers:
    """Lets definitions stand, offers them to a person, and takes down what that person said."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def accept(self, tx: Transaction, server: str, name: str, tool_hash: str, by: Admin, at: str = "") -> None:
        """A person lets a loosening definition stand where it is offered: at the enforced installations, or at a
        cooperative one. Raises NotFound, Stale when another one is offered by now, Conflict when no installation
        there counts any more."""
        actor = require_admin(tx, by)
        row = self._offered(tx, server, name, tool_hash, at)
        if tx.one(_LIVE, server=server, at=at, assurance="" if at else Assurance.ENFORCED.value) is None:
            raise Conflict("The installation that offers this is disabled.", hint="Nothing of it can be accepted.")
        facts = {"hash": tool_hash, "loosens": row.loosens, **({"at": at} if at else {})}
        touched = Touched(Tool, row, self._stand(tx, row, tool_hash, actor))
        tx.record(Kind.TOOL_ACCEPTED, actor, f"{server}.{name}", touched, **facts)

    def reject(self, tx: Transaction, server: str, name: str, tool_hash: str, by: Admin, at: str = "") -> None:
        """A person says that a definition is not to stand there: the stricter reading goes on, and this very
        definition is never offered there again. Raises NotFound, or Stale when another one is offered by now."""
        actor = require_admin(tx, by)
        row = self._offered(tx, server, name, tool_hash, at)
        said = {"rejected_at": tx.now, "rejected_by": actor}
        made = tx.insert(ToolRejection, server=server, installation_id=at, name=name, tool_hash=tool_hash, **said)
        facts = {"hash": tool_hash, "loosens": row.loosens, **({"at": at} if at else {})}
        touched = Touched(Tool, row, self._set(tx, row, **_accepted(row), **_NO_OFFER))
        rejected = Touched(ToolRejection, None, made)
        tx.record(Kind.TOOL_REJECTED, actor, f"{server}.{name}", touched, rejected, **facts)

    def offer(
        self,
        tx: Transaction,
        installation: Installation,
        definition: ToolDefinition,
        tool_hash: str,
        *,
        pinned: bool = False,
    ) -> None:
        """Let a registered definition stand, or let it wait for a person when it loosens; when `pinned`, whatever it
        changes."""
        server, name = installation.server, definition.name
        known = self._registry.tool(tx, installation, name)
        row = known or tx.insert(Tool, server=server, name=name, installation_id=place_of(installation))
        if tool_hash == row.accepted_hash:
            return
        if tx.one(_REJECTED, server=server, at=row.installation_id, name=name, tool_hash=tool_hash) is not None:
            return
        by = self._lets_stand(tx, installation, name, tool_hash)
        loosens = [] if by else self._loosens(tx, installation, row, definition)
        if pinned and not loosens:
            loosens = [self._departs(tx, server, row, definition)]
        actor, of = f"installation:{installation.id}", f"{server}.{name}"
        if not loosens:
            touched = Touched(Tool, known, self._stand(tx, row, tool_hash, by or actor))
            tx.record(Kind.TOOL_REGISTERED, actor, of, touched, hash=tool_hash, **_at(installation))
        elif row.offered_hash != tool_hash:
            touched = Touched(Tool, known, self._offer(tx, row, tool_hash, loosens))
            facts = {"hash": tool_hash, "loosens": loosens} | _at(installation)
            tx.record(Kind.TOOL_OFFERED, actor, of, touched, **facts)

    def has_stood(self, tx: Transaction, installation: Installation, before: Instant) -> bool:
        """Whether any definition stood where this installation's stand, before then."""
        at = place_of(installation)
        return tx.one(_STOOD, server=installation.server, at=at, before=before) is not None

    def _departs(self, tx: Transaction, server: str, row: Tool, definition: ToolDefinition) -> str:
        if row.accepted_hash is None:
            return "a tool that was not there when the others were accepted"
        before = self._registry.definition(tx, server, row.accepted_hash)
        parts = [name for name in ToolDefinition.model_fields if getattr(before, name) != getattr(definition, name)]
        return f"changes its {', '.join(parts).replace('_', ' ')}"

    def _offered(self, tx: Transaction, server: str, name: str, tool_hash: str, at: str) -> Tool:
        tx.lock(LOCK_SERVER, name=server)
        row = tx.one(TOOL, server=server, installation_id=at, name=name)
        if row is None or row.offered_hash is None:
            raise NotFound("No definition of it waits for a person.", hint="Look at the server's tools again.")
        if row.offered_hash != tool_hash:
            raise Stale("Another definition is offered by now.", hint="Look at it again before you decide.")
        return row

    def _lets_stand(self, tx: Transaction, installation: Installation, name: str, tool_hash: str) -> str:
        """Who accepted this very definition elsewhere at the server, if that counts here: people are not asked about
        one definition for every cooperative installation. Enforced ones have what was accepted for them alone."""
        if not place_of(installation):
            return ""
        accepted = tx.one(_ACCEPTED, server=installation.server, name=name, tool_hash=tool_hash)
        return accepted.accepted_by if accepted is not None else ""

    def _loosens(self, tx: Transaction, installation: Installation, row: Tool, definition: ToolDefinition) -> list[str]:
        if not installation.trusted:
            return ["a definition from a server whose annotations are not trusted"]
        kept = row.accepted_hash
        before = self._registry.definition(tx, installation.server, kept) if kept is not None else None
        loose = [] if before is None else loosened(before, definition)
        return loose + (_words(before, definition) if place_of(installation) else [])

    def _offer(self, tx: Transaction, row: Tool, tool_hash: str, loosens: list[str]) -> Tool:
        offered = {"offered_hash": tool_hash, "offered_at": tx.now, "loosens": "\n".join(loosens)}
        return self._set(tx, row, **_accepted(row), **offered)

    def _stand(self, tx: Transaction, row: Tool, tool_hash: str, actor: str) -> Tool:
        accepted = {"accepted_hash": tool_hash, "accepted_at": tx.now, "accepted_by": actor}
        return self._set(tx, row, **accepted, **_NO_OFFER)

    def _set(self, tx: Transaction, row: Tool, **values: object) -> Tool:
        tx.execute(_SET_TOOL, of_server=row.server, of_installation=row.installation_id, of_name=row.name, **values)
        return changed(row, **values)


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


def _words(before: ToolDefinition | None, after: ToolDefinition) -> list[str]:
    """The words that a cooperative installation wants on its cards, if they are new."""
    new = after.summary is not None and (before is None or after.summary != before.summary)
    return [f"says on its cards: {after.summary}"] if new else []


def _accepted(row: Tool) -> dict[str, object]:
    """What stands, as it stands: columns."""
    return {name: getattr(row, name) for name in ("accepted_hash", "accepted_at", "accepted_by")}


def _at(installation: Installation) -> dict[str, str]:
    place = place_of(installation)
    return {"at": place} if place else {}
