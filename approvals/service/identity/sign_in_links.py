"""One-time sign-in links: for the very first account, for a new one (an invitation), or into one that there is.

An invitation is its maker's word: it counts for as long as its maker could still give it.
"""

import hashlib
import secrets

from sqlalchemy import bindparam, select, update

from approvals.errors import NotFound, Unauthenticated
from approvals.instant import SECOND
from approvals.service.audit.kinds import Kind
from approvals.service.identity import users
from approvals.service.identity.admins import Admin, is_admin, require_admin
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Touched, Watch
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import SignInLink, User, table_of

LIFE = 15 * 60
INVITATION_LIFE = 7 * 24 * 3600
PAGE = 100

_links = table_of(SignInLink)
_users = table_of(User)

_BY_ID = Statement(select(_links).where(_links.c.id == bindparam("id")), SignInLink)
_OPEN = (_links.c.spent_at.is_(None), _links.c.revoked_at.is_(None), _links.c.expires_at > bindparam("now"))
_SPEND = Statement(update(_links).where(_links.c.id == bindparam("of"), *_OPEN).values(spent_at=bindparam("now")))
_INVITATIONS = Statement(
    select(_links).where(_links.c.purpose == "invite", *_OPEN).order_by(_links.c.created_at.desc()).limit(PAGE),
    SignInLink,
)
_REVOKE = Statement(
    update(_links)
    .where(_links.c.purpose == "invite", _links.c.name == bindparam("called"), *_OPEN)
    .values(revoked_at=bindparam("now"))
)
_LOCK_SETUPS = Statement(select(_links.c.id).where(_links.c.purpose == "setup").order_by(_links.c.id).with_for_update())
"""Held by whoever spends one of them: only the first account is made so."""
_LOCK_MAKER = Statement(select(_users.c.id).where(_users.c.id == bindparam("id")).with_for_update(read=True))
"""Whoever takes a role from the maker waits until the link is spent."""


def make(
    tx: Transaction, by: Admin, purpose: str, *, user_id: str | None = None, name: str = "", roles: str = ""
) -> str:
    """The token of a new link: `setup`, `invite` (a new account) or `sign_in` (an existing one)."""
    actor = require_admin(tx, by)
    token = secrets.token_urlsafe(32)
    life = INVITATION_LIFE if purpose == "invite" else LIFE
    link = tx.insert(
        SignInLink,
        id=_hash(token),
        purpose=purpose,
        user_id=user_id,
        roles=roles,
        name=name,
        made_by=actor,
        created_at=tx.now,
        expires_at=tx.now + life * SECOND,
    )
    touched = Touched(SignInLink, None, link)
    tx.record(Kind.LINK_MADE, actor, subject(link), touched, purpose=purpose, roles=roles)
    return token


def invite(tx: Transaction, by: Admin, name: str, roles: str) -> str:
    """The token of a link for a new account. Raises Invalid, or Duplicate for a name that is taken."""
    users.check_free(tx, name)
    users.check_roles(roles)
    return make(tx, by, "invite", name=name, roles=roles)


def spend(tx: Transaction, token: str) -> SignInLink:
    """Spend a link, once. Raises Unauthenticated when it is unknown, spent, revoked, too old, or pointless."""
    link = look_at(tx, token)
    if link.purpose == "setup":
        tx.lock(_LOCK_SETUPS)
    tx.lock(_LOCK_MAKER, id=_maker(link))
    link = look_at(tx, token)
    watch = Watch(tx, SignInLink, id=link.id)
    if tx.update(_SPEND, of=link.id, now=tx.now) != 1:
        raise _dead()
    facts = {"purpose": link.purpose, "made_by": link.made_by}
    tx.record(Kind.LINK_SPENT, subject(link), subject(link), watch, **facts)
    return link


def look_at(reader: Reader, token: str) -> SignInLink:
    """A link that could be spent now. Raises Unauthenticated."""
    link = reader.one(_BY_ID, id=_hash(token))
    if link is None or link.spent_at is not None or link.revoked_at is not None or reader.now >= link.expires_at:
        raise _dead()
    if link.purpose == "setup" and users.count(reader):
        raise _dead()
    if not counts(reader, link):
        raise Unauthenticated(
            "This invitation has ended: whoever made it is no admin any more.", hint="Ask an admin for a new one."
        )
    return link


def revoke(tx: Transaction, by: Admin, name: str) -> None:
    """Take back every open invitation for a name. Raises NotFound when there is none."""
    actor = require_admin(tx, by)
    watch = Watch(tx, SignInLink, purpose="invite", name=name)
    if not tx.update(_REVOKE, called=name, now=tx.now):
        raise NotFound(f"There is no open invitation for {name[:100]!r}.", hint="List them on the page Users.")
    tx.record(Kind.LINK_REVOKED, actor, f"user:{name}", watch, purpose="invite")


def subject(link: SignInLink) -> str:
    """Of the events about a link: whose account it is for, by id or by name."""
    return f"user:{link.user_id or link.name or 'first'}"


def invitations(reader: Reader) -> list[SignInLink]:
    """Invitations that nobody has spent yet, newest first; also such as count no longer."""
    return reader.all(_INVITATIONS, now=reader.now)


def counts(reader: Reader, link: SignInLink) -> bool:
    """Whether its maker could still make it: an operator always, a person as long as they are an admin."""
    if not _maker(link):
        return True
    return is_admin(users.find(reader, _maker(link)))


def _maker(link: SignInLink) -> str:
    """The id of the person who made it; nothing for an operator."""
    kind, _, user_id = link.made_by.partition(":")
    return user_id if kind == "user" else ""


def _dead() -> Unauthenticated:
    return Unauthenticated(
        "This link was used, was taken back, has run out, or never was one.",
        hint="Make a new one: approvals user invite NAME",
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
