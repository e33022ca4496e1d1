"""What every admin is told: who there is, links, keys, and changes of trust and of policy.

A notice is written with the audit event that it repeats, for the kinds that have words (`kinds`). Its words are made
of the event's facts, which are never secrets.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, func, select, update

from approvals.service.audit.kinds import Kind
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import AdminNotice, Meta, User, table_of

PAGE = 50
MAX_WORDS = 500

_notices = table_of(AdminNotice)
_users = table_of(User)
_meta = table_of(Meta)

_IN_ORDER = Statement(select(_meta.c.name).where(_meta.c.name == "audit_key_id").with_for_update())
"""Numbers are given in the order of the commits, so that "seen up to" passes nothing over."""
_BEFORE = Statement(
    select(_notices).where(_notices.c.id < bindparam("before")).order_by(_notices.c.id.desc()).limit(PAGE), AdminNotice
)
_LAST_SEEN = select(_users.c.last_notice_id).where(_users.c.id == bindparam("user_id")).scalar_subquery()
_NEW = Statement(
    select(func.count().label("n")).select_from(
        select(_notices.c.id).where(_notices.c.id > _LAST_SEEN).limit(PAGE + 1).subquery()
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


def notify(tx: Transaction, kind: StrEnum, actor: str, subject: str, facts: Mapping[str, object]) -> None:
    """Tell the admins of an event, if it is of a kind that they are told of."""
    if isinstance(kind, Kind) and kind.words:
        tx.lock(_IN_ORDER)
        tx.insert(AdminNotice, at=tx.now, kind=str(kind), actor=actor, subject=subject, words=words(kind, facts))


def words(kind: Kind, facts: Mapping[str, object]) -> str:
    """What a notice says. Pure."""
    return kind.words.format_map(_Facts({name: value for name, value in facts.items() if value != ""}))[:MAX_WORDS]


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
