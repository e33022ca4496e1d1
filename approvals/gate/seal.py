"""Sealed copies that the service keeps and cannot read: AES-256-GCM under a key derived from the server's own key."""

import base64
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from approvals.protocol.limits import MAX_SEALED


class Seal:
    """Seals and opens. A blob is `KEYID.base64(nonce ‖ ciphertext)` and is bound to its context."""

    def __init__(self, server_key: str) -> None:
        key = HKDF(SHA256(), 32, salt=None, info=b"mcp-approvals seal").derive(server_key.encode())
        self._id = hashlib.sha256(b"id" + key).hexdigest()[:12]
        self._cipher = AESGCM(key)

    def seal(self, data: bytes, context: str) -> str | None:
        """The blob, or None when it would be too large to keep."""
        nonce = os.urandom(12)
        sealed = base64.b64encode(nonce + self._cipher.encrypt(nonce, data, context.encode())).decode()
        blob = f"{self._id}.{sealed}"
        return blob if len(blob) <= MAX_SEALED else None

    def open(self, blob: str, context: str) -> bytes | None:
        """The sealed content, or None when this key, context or blob is another."""
        key_id, _, sealed = blob.partition(".")
        if key_id != self._id:
            return None
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(raw[:12], raw[12:], context.encode())
        except (ValueError, InvalidTag):
            return None
