"""Bearer keys: `mcps_` for installations, `mcpa_` for agents, `mcpu_` for people. Stored as SHA-256, shown once."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import cast

from sqlalchemy import bindparam, select, update

from approvals.errors import Forbidden, NotFound, Unauthenticated
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import (
    Agent,
    Credential,
    Installation,
    User,
    table_of,
)

PREFIXES = {"installation": "mcps", "agent": "mcpa", "user": "mcpu"}
LIVE_AT_ONCE = 2

_credentials = table_of(Credential)
_installations = table_of(Installation)
_agents = table_of(Agent)
_users = table_of(User)

_BY_ID = Statement(select(_credentials).where(_credentials.c.id == bindparam("id")), Credential)
_INSTALLATION = Statement(select(_installations).where(_installations.c.id == bindparam("id")), Installation)
_AGENT = Statement(select(_agents).where(_agents.c.id == bindparam("id")), Agent)
_USER = Statement(select(_users).where(_users.c.id == bindparam("id")), User)
_LOCK = {
    kind: Statement(select(table.c.id).where(table.c.id == bindparam("id")).with_for_update(key_share=True))
    for kind, table in (("installation", _installations), ("agent", _agents), ("user", _users))
}
_LOCK_SHARED = {
    kind: Statement(select(table.c.id).where(table.c.id == bindparam("id")).with_for_update(read=True))
    for kind, table in (("installation", _installations), ("agent", _agents), ("key", _credentials))
}
_LIVE = {
    kind: Statement(
        select(_credentials)
        .where(_credentials.c[f"{kind}_id"] == bindparam("id"), _credentials.c.revoked_at.is_(None))
        .order_by(_credentials.c.created_at, _credentials.c.id),
        Credential,
    )
    for kind in PREFIXES
}
_NEWEST = {
    kind: Statement(
        select(_credentials)
        .where(_credentials.c[f"{kind}_id"] == bindparam("id"))
        .order_by(_credentials.c.created_at.desc(), _credentials.c.id.desc())
        .limit(1),
        Credential,
    )
    for kind in PREFIXES
}
_REVOKE = Statement(
    update(_credentials).where(_credentials.c.id == bindparam("of")).values(revoked_at=bindparam("revoked_at"))
)
_REVOKE_ALL = {
    kind: Statement(
        update(_credentials)
        .where(_credentials.c[f"{kind}_id"] == bindparam("of"), _credentials.c.revoked_at.is_(None))
        .values(revoked_at=bindparam("revoked_at"))
    )
    for kind in PREFIXES
}
_REVOKE_COVERING = {
    kind: Statement(
        update(_credentials)
        .where(
            _credentials.c[f"{kind}_id"] == bindparam("of"),
            _credentials.c.scopes == bindparam("covering"),
            _credentials.c.revoked_at.is_(None),
        )
        .values(revoked_at=bindparam("revoked_at"))
    )
    for kind in PREFIXES
}
_USED = Statement(
    update(_credentials).where(_credentials.c.id == bindparam("of")).values(last_used_at=bindparam("last_used_at"))
)


@dataclass(frozen=True)
class Principal:
    """Who a live key belongs to."""

    kind: str
    credential: Credential
    row: Installation | Agent | User
    """The installation, agent or user."""

    @property
    def id(self) -> str:
        return str(self.row.id)

    @property
    def installation(self) -> Installation:
        return cast(Installation, self.row)

    @property
    def agent(self) -> Agent:
        return cast(Agent, self.row)

    @property
    def user(self) -> User:
        return cast(User, self.row)


def authenticate(reader: Reader, token: str, *kinds: str) -> Principal:
    """The principal of a bearer token. Raises Unauthenticated for anything but a live key, Forbidden when it is the key
    of a kind of principal that may not do this at all."""
    kind, public, secret = _parse(token)
    credential = reader.one(_BY_ID, id=public)
    offered = hashlib.sha256(secret.encode()).hexdigest()
    if credential is None or not hmac.compare_digest(credential.secret_sha256, offered) or credential.kind != kind:
        raise Unauthenticated("This key is not known here.", hint="Check the key, or make a new one.")
    row = principal(reader, kind, getattr(credential, f"{kind}_id"))
    if not is_live(credential, reader.now) or row is None or row.disabled_at is not None:
        raise Unauthenticated("This key was revoked or has run out.", hint="Ask for a new one.")
    check_kind(kind, kinds)
    return Principal(kind, credential, row)


def check_kind(kind: str, kinds: tuple[str, ...]) -> None:
    """Raises Forbidden unless it is one of these `kinds`, if any are named."""
    if kinds and kind not in kinds:
        raise Forbidden(
            f"A key of an {kind} cannot do this." if kind != "user" else "A person's key cannot do this.",
            hint=f"This is for: {', '.join(kinds)}.",
        )


def still_counts(reader: Reader, known: Principal) -> bool:
    """Whether an authenticated principal's key is still live, after a wait."""
    credential = reader.one(_BY_ID, id=known.credential.id)
    row = principal(reader, known.kind, known.id)
    return credential is not None and is_live(credential, reader.now) and row is not None and row.disabled_at is None


def is_live(credential: Credential, now: int) -> bool:
    """Whether a key counts at `now`."""
    return credential.revoked_at is None and (credential.expires_at is None or now < credential.expires_at)


def mint(tx: Transaction, kind: str, principal_id: str, *, expires_at: int | None = None, scopes: str = "") -> str:
    """A new key; the only time it is whole. Beyond two live ones the oldest is revoked."""
    tx.lock(_LOCK[kind], id=principal_id)
    live = tx.all(_LIVE[kind], id=principal_id)
    for old in live[: max(0, len(live) - LIVE_AT_ONCE + 1)]:
        tx.execute(_REVOKE, of=old.id, revoked_at=tx.now)
    return issue(tx, kind, principal_id, expires_at=expires_at, scopes=scopes)


def issue(
    tx: Transaction, kind: str, principal_id: str, *, expires_at: int | None, scopes: str, label: str = ""
) -> str:
    """A new key, whatever others there are; the only time it is whole."""
    public, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    tx.insert(
        Credential,
        id=public,
        kind=kind,
        **{f"{kind}_id": principal_id},
        secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
        created_at=tx.now,
        expires_at=expires_at,
        scopes=scopes,
        label=label,
    )
    return f"{PREFIXES[kind]}_{public}_{secret}"


def revoke(tx: Transaction, kind: str, principal_id: str, *, credential_id: str | None = None) -> list[str]:
    """Revoke one key, or all live keys of a principal; their public ids. Raises NotFound when there is none."""
    tx.lock(_LOCK[kind], id=principal_id)
    ids = [row.id for row in tx.all(_LIVE[kind], id=principal_id) if credential_id in (None, row.id)]
    if not ids:
        raise NotFound("There is no live key to revoke.")
    for public in ids:
        tx.execute(_REVOKE, of=public, revoked_at=tx.now)
    return ids


def revoke_all(tx: Transaction, kind: str, principal_id: str) -> int:
    """Revoke whatever live keys a principal has; how many there were."""
    return tx.update(_REVOKE_ALL[kind], of=principal_id, revoked_at=tx.now)


def revoke_covering(tx: Transaction, kind: str, principal_id: str, scopes: str) -> int:
    """Revoke a principal's live keys of exactly these scopes; how many there were."""
    return tx.update(_REVOKE_COVERING[kind], of=principal_id, covering=scopes, revoked_at=tx.now)


def lock_shared(tx: Transaction, kind: str, of: str) -> None:
    """Whoever takes this `installation`, `agent` or `key` back waits until this transaction has ended."""
    tx.lock(_LOCK_SHARED[kind], id=of)


def lock(tx: Transaction, kind: str, of: str) -> None:
    """Nobody else changes this `installation`, `agent` or `user` or its keys, nor claims by it, until this ends."""
    tx.lock(_LOCK[kind], id=of)


def newest(reader: Reader, kind: str, principal_id: str) -> Credential | None:
    """The key that was made last, whether or not it still counts."""
    return reader.one(_NEWEST[kind], id=principal_id)


def live(reader: Reader, kind: str, principal_id: str) -> list[Credential]:
    """The unrevoked keys of a principal, oldest first."""
    return reader.all(_LIVE[kind], id=principal_id)


def used(tx: Transaction, credential_id: str) -> None:
    """Note that a key was used now."""
    tx.execute(_USED, of=credential_id, last_used_at=tx.now)


def find(reader: Reader, credential_id: str) -> Credential | None:
    return reader.one(_BY_ID, id=credential_id)


def installation(reader: Reader, installation_id: str) -> Installation | None:
    return reader.one(_INSTALLATION, id=installation_id)


def agent(reader: Reader, agent_id: str) -> Agent | None:
    return reader.one(_AGENT, id=agent_id)


def principal(reader: Reader, kind: str, principal_id: str) -> Installation | Agent | User | None:
    """Who a key of this kind belongs to."""
    if kind == "installation":
        return installation(reader, principal_id)
    return agent(reader, principal_id) if kind == "agent" else reader.one(_USER, id=principal_id)


def _parse(token: str) -> tuple[str, str, str]:
    prefix, _, rest = token.partition("_")
    public, _, secret = rest.partition("_")
    kind = next((kind for kind, known in PREFIXES.items() if known == prefix), None)
    if kind is None or not public or not secret or not token.isascii():
        raise Unauthenticated(
            "A bearer key of this service is needed.", hint="Send 'Authorization: Bearer mcps_…', mcpa_… or mcpu_…."
        )
    return kind, public, secret
