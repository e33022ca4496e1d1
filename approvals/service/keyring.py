"""Every key the service uses, derived (HKDF-SHA256, RFC 5869) from APPROVALS_SECRET_KEY."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from approvals import private_file
from approvals.errors import Invalid, Unavailable

MINIMUM_LENGTH = 32


class Keyring:
    """Derived keys by purpose. Raises Invalid when the secret is too short to be one."""

    def __init__(self, secret: str) -> None:
        if len(secret) < MINIMUM_LENGTH:
            raise Invalid(
                f"APPROVALS_SECRET_KEY has {len(secret)} characters; {MINIMUM_LENGTH} is the least.",
                hint="Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'",
            )
        self._secret = secret.encode()
        self.audit = self._derive("audit")
        self.audit_id = hashlib.sha256(b"id" + self.audit).hexdigest()[:16]
        self._assertions = self._derive("assertions")
        self._seen = self._derive("seen")
        self._pending_logins = self._derive("pending logins")
        self._buttons = self._derive("buttons")
        self._browsers = self._derive("browsers")
        self._names = self._derive("sign-in names")
        self._sessions = self._derive("sessions")

    def sign(self, claims: Mapping[str, object]) -> str:
        """A short-lived assertion: base64 JSON and its MAC."""
        body = base64.urlsafe_b64encode(json.dumps(claims, separators=(",", ":")).encode()).decode()
        return f"{body}.{_mac(self._assertions, body)}"

    def verify(self, assertion: str) -> dict[str, Any] | None:
        """The claims of an assertion this service signed, or None."""
        body, _, mac = assertion.partition(".")
        if not hmac.compare_digest(mac.encode(), _mac(self._assertions, body).encode()):
            return None
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body))
        return claims

    def seen(self, *parts: str) -> str:
        """Binds a form to what it was rendered for."""
        return _mac(self._seen, "\0".join(parts))

    def pending_login(self, *parts: str) -> str:
        """What a sign-in through an identity provider is made of and recognized by."""
        return _mac(self._pending_logins, "\0".join(parts))

    def pressed(self, *parts: str) -> str:
        """Binds a button elsewhere to what its message showed."""
        return _mac(self._buttons, "\0".join(parts))

    def known_browser(self, *parts: str) -> str:
        """Binds a browser to the person who signed in with it."""
        return _mac(self._browsers, "\0".join(parts))

    def session(self, cookie: str) -> str:
        """Names the session of a cookie: nobody without the key can put one in."""
        return _mac(self._sessions, cookie)

    def sign_in_name(self, name: str) -> str:
        """Stands for what somebody typed as their name, which may be a password: the same for the same."""
        return _mac(self._names, name)[:32]

    def _derive(self, purpose: str) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=f"mcp-approvals {purpose}".encode()).derive(self._secret)


def keep_beside(database: Path) -> None:
    """Make a secret in a file beside a SQLite database, unless there is one. Raises Unavailable."""
    try:
        private_file.create(_beside(database), secrets.token_urlsafe(48) + "\n")
    except FileExistsError:
        return
    except OSError as error:
        raise Unavailable(
            f"{_beside(database)} cannot be made: {error.strerror}.", hint="Its folder has to be yours to write."
        ) from error


def kept_beside(database: Path) -> str:
    """The secret in the file beside a SQLite database. Raises Unavailable without one, or once others can open it."""
    path = _beside(database)
    try:
        return private_file.read(path).strip()
    except FileNotFoundError:
        raise Unavailable(
            f"The database's key is not where it should be, in {path}.",
            hint="Put it back, or set APPROVALS_SECRET_KEY to what the service runs with.",
        ) from None


def _beside(database: Path) -> Path:
    return database.with_name(database.name + ".key")


def _mac(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
