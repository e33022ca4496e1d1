"""What every admin is told: who there is, links, keys, and changes of trust and of policy.

A notice is written with the audit event that it repeats, for the kinds below. Its words are made of the event's facts,
which are never secrets.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, func, select, update

from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import AdminNotice, Meta, User, table_of

PAGE = 50
MAX_WORDS = 500

TOLD = {
    "user.added": "A new account: {subject}. Roles: {roles}",
    "user.roles_set": "Roles: {roles} (before: {before})",
    "user.groups_set": "Groups: {groups} (before: {before})",
    "user.handle_set": "Rules call them {handle} (before: {before})",
    "user.disabled": "An account was disabled",
    "user.enabled": "A disabled account was let in again",
    "user.password_set": "A new password",
    "link.made": "A one-time link was made ({purpose}). Roles: {roles}",
    "link.revoked": "An open invitation was taken back",
    "token.made": "A personal token was made: {scopes}",
    "server.added": "A new installation of the server {server} ({label}, {assurance}) and its key",
    "agent.added": "A new agent, {name}, and its key",
    "agent.owners_set": "Who answers for an agent was changed",
    "agent.groups_set": "The groups of an agent were changed",
    "agent.scopes_set": "What an agent's key covers was changed",
    "agent.limits_set": "How much an agent may ask was changed",
    "agent.flooding": "An agent asked more than it may",
    "installation.key_rotated": "A new key",
    "agent.key_rotated": "A new key",
    "installation.revoked": "Its keys were revoked",
    "agent.revoked": "Its keys were revoked",
    "tool.accepted": "A changed tool definition was accepted",
    "policy.loaded": "A policy came into force",
    "freeze.made": "Writes were frozen",
    "freeze.lifted": "A freeze was lifted",
    "rollout.set": "The rollout was changed",
    "rollout.cleared": "The rollout was changed back",
    "server.audience_set": "Which agents may use a server was changed",
    "server.grants_allowed": "Standing grants were allowed for an installation",
    "server.grants_forbidden": "Standing grants were forbidden for an installation",
    "grant.made": "A standing grant was made",
    "grant.revoked": "A standing grant was revoked",
    "database.restored": "The database was restored from a back-up",
}

_notices = table_of(AdminNotice)
_users = table_of(User)
_meta = table_of(Meta)

_IN_ORDER = Statement(select(_meta.c.name).where(_meta.c.name == "audit_key_id").with_for_update())
"""Numbers are given in the order of the commits, so that "seen up to" passes nothing over."""
_BEFORE = Statement(
    select(_notices).where(_notices.c.id < bindparam("before")).order_by(_notices.c.id.desc()).limit(PAGE), AdminNotice
)
_TOLD_UP_TO = select(_users.c.last_notice_id).where(_users.c.id == bindparam("user_id")).scalar_subquery()
_NEW = Statement(
    select(func.count().label("n")).select_from(
        select(_notices.c.id).where(_notices.c.id > _TOLD_UP_TO).limit(PAGE + 1).subquery()
    )
)
_SEEN = Statement(
    update(_users)
    .where(_users.c.id == bindparam("of"), _users.c.last_notice_id < bindparam("up_to"))
    .values(last_notice_id=bindparam("up_to"))
)
_LAST = Statement(select(func.max(_notices.c.id).label("id")))


class _Facts(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "none"


def notice(tx: Transaction, kind: str, actor: str, subject: str, facts: Mapping[str, Any]) -> None:
    """Tell the admins of an event, if it is of a kind that they are told of."""
    if kind in TOLD:
        tx.lock(_IN_ORDER)
        tx.insert(AdminNotice, at=tx.now, kind=kind, actor=actor, subject=subject, words=words(kind, facts))


def words(kind: str, facts: Mapping[str, Any]) -> str:
    """What a notice says. Pure."""
    return TOLD[kind].format_map(_Facts({name: value for name, value in facts.items() if value != ""}))[:MAX_WORDS]


def page(reader: Reader, before: int) -> list[AdminNotice]:
    """Up to PAGE notices with lower numbers, newest first."""
    return reader.all(_BEFORE, before=before)


def unseen(reader: Reader, user_id: str) -> int:
    """How many a person has not seen; PAGE + 1 stands for more than PAGE."""
    row = reader.one(_NEW, user_id=user_id)
    return row.n if row else 0


def seen(tx: Transaction, user_id: str, up_to: int) -> None:
    """A person has seen the notices up to this number; never beyond the last that there is."""
    last = tx.one(_LAST)
    tx.execute(_SEEN, of=user_id, up_to=min(up_to, (last.id if last else None) or 0))
