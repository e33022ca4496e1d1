"""People: their accounts."""

import re
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select

from approvals import ids
from approvals.errors import (
    Duplicate,
    Invalid,
    NotFound,
    NotPossible,
)
from approvals.service.audit.actor import Actor
from approvals.service.audit.kinds import Kind
from approvals.service.identity import handles
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Touched, Watch
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import (
    DecisionRow,
    Handle,
    User,
    table_of,
)

LOCAL = "local"
ROLES = ("admin", "reviewer", "auditor", "viewer")
FIRST_ROLES = "admin reviewer"
_HANDLE = re.compile(r"[a-z0-9][a-z0-9._%+@-]{0,99}")

_users = table_of(User)
_decisions = table_of(DecisionRow)

_BY_ID = Statement(select(_users).where(_users.c.id == bindparam("id")), User)
_LOCK = Statement(select(_users.c.id).where(_users.c.id == bindparam("id")).with_for_update(read=True))
_BY_SUBJECT = Statement(
    select(_users).where(_users.c.issuer == bindparam("issuer"), _users.c.subject == bindparam("subject")), User
)
_BY_HANDLE = Statement(select(_users).where(_users.c.handle == bindparam("handle")), User)
_ALL = Statement(select(_users).order_by(_users.c.created_at), User)
_ADMINS = (
    select(_users.c.id, _users.c.roles)
    .where(_users.c.disabled_at.is_(None), _users.c.roles.contains("admin"))
    .order_by(_users.c.id)
)
_LIVE_ADMINS = Statement(_ADMINS)
_LOCK_ADMINS = Statement(_ADMINS.with_for_update())
_COUNT = Statement(select(func.count().label("n")).select_from(_users))
_LOCK_VOTERS = Statement(
    select(_users.c.id)
    .where(_users.c.id.in_(select(_decisions.c.user_id).where(_decisions.c.request_id == bindparam("request_id"))))
    .order_by(_users.c.id)
    .with_for_update(read=True)
)


@dataclass(frozen=True)
class Person:
    """A signed-in person, with what a decision keeps as evidence."""

    id: str
    name: str
    roles: frozenset[str]
    channel: str
    method: str
    authenticated_at: int
    session_id: str = ""
    address: str = ""
    proved_at: int | None = None
    """When they last proved who they are, where that is known: it opens what needs fresh authentication."""

    @property
    def actor(self) -> Actor:
        return Actor(f"user:{self.id}", by_session=self.session_id)


def add(tx: Transaction, actor: str, *, subject: str, name: str, roles: str, password_hash: str | None) -> str:
    """A new local account. Raises Invalid, or Duplicate when the sign-in name is taken."""
    check_free(tx, subject)
    check_roles(roles)
    user_id = ids.new(tx.now)
    added = tx.insert(
        User,
        id=user_id,
        issuer=LOCAL,
        subject=subject,
        handle=subject,
        name=name or subject,
        roles=roles,
        password_hash=password_hash,
        created_at=tx.now,
    )
    watch = Watch(tx, Handle, user_id=user_id)
    if not handles.take(tx, user_id, subject):
        raise _taken(subject)
    touched = Touched(User, None, added)
    tx.record(Kind.USER_ADDED, actor, f"user:{user_id}", touched, watch, subject=subject, roles=roles)
    return user_id


def find(reader: Reader, user_id: str) -> User | None:
    return reader.one(_BY_ID, id=user_id)


def by_sign_in_name(reader: Reader, subject: str) -> User | None:
    return reader.one(_BY_SUBJECT, issuer=LOCAL, subject=subject)


def by_handle(reader: Reader, handle: str) -> User | None:
    return reader.one(_BY_HANDLE, handle=handle)


def everyone(reader: Reader) -> list[User]:
    return reader.all(_ALL)


def count(reader: Reader) -> int:
    row = reader.one(_COUNT)
    return row.n if row else 0


def lock_voters(tx: Transaction, request_id: str) -> None:
    """Whoever disables somebody who decided on this request waits until this transaction has ended."""
    tx.lock(_LOCK_VOTERS, request_id=request_id)


def may_review(user: User | None) -> bool:
    """Whether a person's vote counts now."""
    return user is not None and user.disabled_at is None and "reviewer" in user.roles.split()


def check_roles(roles: str) -> None:
    """Raises Invalid for an unknown role."""
    unknown = [role for role in roles.split() if role not in ROLES]
    if unknown or not roles.split():
        raise Invalid(f"Unknown roles: {roles!r}.", hint=f"Roles: {', '.join(ROLES)}.")


def is_handle(text: str) -> bool:
    """Whether rules and commands can call a person so."""
    return _HANDLE.fullmatch(text) is not None


def check_free(reader: Reader, subject: str) -> None:
    """Raises Invalid for what cannot be a sign-in name, Duplicate when somebody is called so already."""
    if not is_handle(subject):
        raise Invalid(
            f"{subject[:100]!r} cannot be a sign-in name.",
            hint="1 to 100 of a-z, 0-9 and . _ % + @ -; a letter or digit first.",
        )
    if by_sign_in_name(reader, subject) is not None or handles.owner(reader, subject) is not None:
        raise _taken(subject)


def _taken(subject: str) -> Duplicate:
    return Duplicate(
        f"The sign-in name {subject!r} is taken.",
        hint="Choose another one: what somebody was called before is taken, too.",
    )


def check_an_admin_remains(tx: Transaction, without: str) -> None:
    """Raises NotPossible when nobody but this person is an admin. Whoever takes another admin away waits for it."""
    tx.lock(_LOCK_ADMINS)
    admins = {row.id for row in tx.all(_LIVE_ADMINS) if "admin" in row.roles.split()}
    if admins == {without}:
        raise NotPossible("This is the last admin.", hint="Make somebody else an admin first.")


def require_user(reader: Reader, name: str) -> User:
    """The person with that handle, or that id. Raises NotFound."""
    user = by_handle(reader, name) or find(reader, name)
    if user is None:
        raise NotFound(f"There is no user {name[:100]!r}.", hint="List them: approvals user list")
    return user
