"""Which Slack user is which person: linked by a code that begins and ends in the web app, never in Slack alone."""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select, update

from approvals.errors import (
    Duplicate,
    Forbidden,
    Invalid,
    NotFound,
    NotPossible,
)
from approvals.instant import SECOND
from approvals.service.audit.kinds import Kind
from approvals.service.identity import users
from approvals.service.identity.tokens import is_fresh
from approvals.service.identity.users import Person
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Touched, Watch
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import SlackCode, SlackLink, User, table_of

CODE_LIFE = 10 * 60
"""Seconds."""
ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
LENGTH = 10

_links = table_of(SlackLink)
_codes = table_of(SlackCode)
_users = table_of(User)
_who = (_links.c.team_id == bindparam("team_id"), _links.c.slack_user_id == bindparam("slack_user_id"))
_LINK = Statement(select(_links).where(*_who), SlackLink)
_OF_USER = Statement(
    select(_links).where(_links.c.user_id == bindparam("user_id")).order_by(_links.c.linked_at), SlackLink
)
_UNLINK = Statement(delete(_links).where(*_who, _links.c.user_id == bindparam("user_id")))
_open = (_codes.c.ended_at.is_(None), _codes.c.expires_at > bindparam("now"))
_CODE = Statement(select(_codes).where(_codes.c.id == bindparam("id"), *_open), SlackCode)
_TYPED = Statement(
    select(_codes).where(
        _codes.c.user_id == bindparam("user_id"), _codes.c.session_id == bindparam("session_id"), *_open
    ),
    SlackCode,
)
_TYPE = Statement(
    update(_codes)
    .where(_codes.c.id == bindparam("of"), _codes.c.typed_at.is_(None), _codes.c.ended_at.is_(None))
    .values(
        team_id=bindparam("team"),
        slack_user_id=bindparam("slack_user"),
        slack_name=bindparam("called"),
        typed_at=bindparam("at"),
    )
)
_END = Statement(
    update(_codes)
    .where(_codes.c.user_id == bindparam("of"), _codes.c.ended_at.is_(None))
    .values(ended_at=bindparam("at"))
)
_BY_EMAIL = Statement(
    select(_users).where(func.lower(_users.c.email) == bindparam("email"), _users.c.email != ""), User
)


@dataclass(frozen=True)
class SlackUser:
    """Somebody in Slack, as Slack's own signed payload names them."""

    team_id: str
    id: str
    name: str


class Links:
    """Makes and ends them."""

    def code(self, tx: Transaction, person: Person) -> str:
        """A new code to type in Slack; an earlier one ends. Raises Forbidden unless they proved just now who they
        are."""
        if not is_fresh(person, tx.now):
            raise Forbidden("Confirm first that it is you.", hint="Your sign-in is too long ago to link an account.")
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        tx.execute(_END, of=person.id, at=tx.now)
        ends = {"created_at": tx.now, "expires_at": tx.now + CODE_LIFE * SECOND}
        tx.insert(SlackCode, id=_hash(code), user_id=person.id, session_id=person.session_id, **ends)
        tx.record(Kind.SLACK_CODE_MADE, person.actor, person.actor)
        return code

    def typed(self, tx: Transaction, who: SlackUser, code: str) -> None:
        """Somebody typed a code in Slack; nothing is linked yet. Raises Invalid for one that does not count."""
        row = tx.one(_CODE, id=_hash(code.strip().upper()), now=tx.now)
        given = {"team": who.team_id, "slack_user": who.id, "called": who.name[:200]}
        if row is None or tx.update(_TYPE, of=row.id, at=tx.now, **given) != 1:
            raise Invalid(
                "This code is unknown, used, or older than ten minutes.", hint="Make a new one on your account page."
            )
        tx.record(Kind.SLACK_CODE_TYPED, f"slack:{who.team_id}/{who.id}", f"user:{row.user_id}", name=who.name[:200])

    def confirm(self, tx: Transaction, person: Person, slack_user_id: str) -> None:
        """The person says in the web app that they are that Slack user: linked. Raises NotPossible when nobody typed
        their code in this session, Duplicate when the Slack user is somebody else's."""
        row = typed(tx, person)
        if row is None or row.team_id is None or row.slack_user_id != slack_user_id:
            raise NotPossible("Nobody typed your code in Slack.", hint="Make a new code.")
        who = SlackUser(row.team_id, slack_user_id, row.slack_name or "")
        known = tx.one(_LINK, team_id=who.team_id, slack_user_id=who.id)
        if known is not None and known.user_id != person.id:
            raise Duplicate(
                "This Slack user is linked to somebody else.", hint="They can undo it on their account page."
            )
        tx.execute(_END, of=person.id, at=tx.now)
        if known is None:
            self._link(tx, who, person.id, "code", person.actor)

    def by_email(self, tx: Transaction, who: SlackUser, email: str) -> User | None:
        """Link the one account with this verified address; None when there is none, or more than one."""
        found = tx.all(_BY_EMAIL, email=email.lower()) if email else []
        if len(found) != 1 or found[0].disabled_at is not None:
            return None
        self._link(tx, who, found[0].id, "email", "system")
        return found[0]

    def unlink(self, tx: Transaction, person: Person, team_id: str, slack_user_id: str) -> None:
        """Raises NotFound for a link that is not theirs."""
        watch = Watch(tx, SlackLink, user_id=person.id)
        if tx.update(_UNLINK, team_id=team_id, slack_user_id=slack_user_id, user_id=person.id) != 1:
            raise NotFound("There is no such link.")
        tx.record(Kind.SLACK_UNLINKED, person.actor, person.actor, watch, slack=f"{team_id}/{slack_user_id}")

    def _link(self, tx: Transaction, who: SlackUser, user_id: str, by: str, actor: str) -> None:
        facts = {"team_id": who.team_id, "slack_user_id": who.id, "slack_name": who.name[:200]}
        link = Touched(SlackLink, None, tx.insert(SlackLink, user_id=user_id, by=by, linked_at=tx.now, **facts))
        tx.record(Kind.SLACK_LINKED, actor, f"user:{user_id}", link, slack=f"{who.team_id}/{who.id}", by=by)


def user_of(reader: Reader, who: SlackUser) -> User | None:
    """The person whom a Slack user stands for; None for a stranger, or a disabled account."""
    link = reader.one(_LINK, team_id=who.team_id, slack_user_id=who.id)
    user = users.find(reader, link.user_id) if link is not None else None
    return None if user is None or user.disabled_at is not None else user


def of_person(reader: Reader, user_id: str) -> list[SlackLink]:
    """A person's Slack users."""
    return reader.all(_OF_USER, user_id=user_id)


def typed(reader: Reader, person: Person) -> SlackCode | None:
    """Who typed the code that this session made; None while nobody has."""
    row = pending(reader, person)
    return None if row is None or row.typed_at is None else row


def pending(reader: Reader, person: Person) -> SlackCode | None:
    """The code that this session made, while it counts."""
    return reader.one(_TYPED, user_id=person.id, session_id=person.session_id, now=reader.now)


def _hash(code: str) -> str:
    return hashlib.sha256(b"slack " + code.encode()).hexdigest()
