"""The public address that the service was last reached at, under its key: commands print it to whoever hands out keys,
so nobody else may set it."""

import hashlib
import hmac
from collections.abc import Iterator

from approvals.service.storage import database_facts
from approvals.service.storage.database import Reader, Transaction


def record(tx: Transaction, key: bytes, url: str) -> None:
    """Know it from now on, for commands that run where the service's settings are not."""
    database_facts.put(tx, database_facts.PUBLIC_URL, f"{_mac(key, url)} {url}")


def kept(reader: Reader) -> str | None:
    """What stands there, whoever wrote it; for `known`."""
    return database_facts.get(reader, database_facts.PUBLIC_URL)


def known(kept: str | None, key: bytes) -> str | None:
    """The address, if a service with this key left it there."""
    mac, _, url = (kept or "").partition(" ")
    return url if hmac.compare_digest(mac.encode(errors="replace"), _mac(key, url).encode()) else None


def faults(reader: Reader, key: bytes) -> Iterator[str]:
    """Whether somebody else set it."""
    if (there := kept(reader)) is not None and known(there, key) is None:
        yield "the public address was changed: start the service, which writes it anew"


def _mac(key: bytes, url: str) -> str:
    return hmac.new(key, b"public address\0" + url.encode(errors="replace"), hashlib.sha256).hexdigest()
