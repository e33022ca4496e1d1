"""A person's own API tokens: shown once, at most so many, and those that may decide live a day at most."""

from sqlalchemy import bindparam, select

from approvals.errors import Forbidden, Invalid, TooMany
from approvals.instant import SECOND, Instant
from approvals.service.audit.kinds import Kind
from approvals.service.identity import credentials, users
from approvals.service.identity.users import Person
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.row_changes import Watch
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Credential, User, table_of

READ, DECIDE = "read", "read decide"
HOUR = 3600 * SECOND
LONGEST = {READ: 365 * 24 * HOUR, DECIDE: 24 * HOUR}
FRESH = 10 * 60 * SECOND
"""How long after somebody proved who they are they may make a token that decides."""
AT_MOST = 10
MAX_LABEL = 60

_users = table_of(User)
_LOCK = Statement(select(_users.c.id).where(_users.c.id == bindparam("id")).with_for_update(key_share=True))


def make(tx: Transaction, person: Person, label: str, scopes: str, life: int) -> str:
    """A new token that lives for `life` microseconds; the only time it is whole. Raises Invalid; Forbidden when it
    may decide and the person is no reviewer, or did not prove just now who they are; TooMany."""
    if scopes not in LONGEST:
        raise Invalid("A token may read, or read and decide.")
    if not label.strip() or len(label) > MAX_LABEL:
        raise Invalid(f"A label has 1 to {MAX_LABEL} characters.", hint="What is the token for?")
    if not 0 < life <= LONGEST[scopes]:
        raise Invalid(f"This token may live for {LONGEST[scopes] // HOUR} hours at most.")
    tx.lock(_LOCK, id=person.id)
    if scopes == DECIDE:
        _check_may_decide(tx, person)
    if len(live(tx, person.id)) >= AT_MOST:
        raise TooMany(f"You have {AT_MOST} tokens, which is the most.", hint="Revoke one that you do not need.")
    watch = Watch(tx, Credential, user_id=person.id)
    token = credentials.issue(tx, "user", person.id, expires_at=tx.now + life, scopes=scopes, label=label.strip())
    facts = {"credential": token.split("_")[1], "scopes": scopes, "label": label.strip(), "seconds": life // SECOND}
    tx.record(Kind.TOKEN_MADE, person.actor, person.actor, watch, **facts)
    return token


def revoke(tx: Transaction, person: Person, credential_id: str) -> None:
    """Raises NotFound for what is no live token of theirs."""
    watch = Watch(tx, Credential, user_id=person.id)
    credentials.revoke(tx, "user", person.id, credential_id=credential_id)
    tx.record(Kind.TOKEN_REVOKED, person.actor, person.actor, watch, credential=credential_id)


def end_beyond(tx: Transaction, user_id: str, roles: str) -> int:
    """End the tokens that somebody with these roles may not have: none may decide without `reviewer`, and none is left
    without any role. How many there were."""
    if not roles:
        return credentials.revoke_all(tx, "user", user_id)
    return 0 if "reviewer" in roles.split() else credentials.revoke_covering(tx, "user", user_id, DECIDE)


def live(reader: Reader, user_id: str) -> list[Credential]:
    """A person's tokens that count now, oldest first."""
    return [row for row in credentials.live(reader, "user", user_id) if credentials.is_live(row, reader.now)]


def _check_may_decide(tx: Transaction, person: Person) -> None:
    if not users.may_review(users.find(tx, person.id)):
        raise Forbidden("Only a reviewer's token decides.", hint="Ask an admin for the role.")
    if not is_fresh(person, tx.now):
        raise Forbidden("A token that decides needs fresh authentication.", hint="Confirm that it is you first.")


def is_fresh(person: Person, now: Instant) -> bool:
    """Whether they proved just now who they are."""
    return person.proved_at is not None and now - FRESH <= person.proved_at
