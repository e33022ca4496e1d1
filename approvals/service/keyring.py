"""Every key the service uses, derived (HKDF-SHA256, RFC 5869) from APPROVALS_SECRET_KEY."""

import base64
import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from approvals.errors import Invalid

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
        self._handshakes = self._derive("handshakes")
        self._buttons = self._derive("buttons")

    def sign(self, claims: dict[str, Any]) -> str:
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

    def handshake(self, *parts: str) -> str:
        """What a sign-in through an identity provider is made of and recognized by."""
        return _mac(self._handshakes, "\0".join(parts))

    def pressed(self, *parts: str) -> str:
        """Binds a button elsewhere to what its message showed."""
        return _mac(self._buttons, "\0".join(parts))

    def _derive(self, purpose: str) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=f"mcp-approvals {purpose}".encode()).derive(self._secret)


def keep_beside(database: Path) -> str:
    """The secret in the 0600 file beside a SQLite database, made on first use."""
    path = database.with_name(database.name + ".key")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secrets.token_urlsafe(48) + "\n")
        file.flush()
        os.fsync(handle)
    return path.read_text(encoding="utf-8").strip()


def _mac(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
