"""What a database knows of itself: facts by name, in the table `meta`."""

from sqlalchemy import bindparam, select, update

from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Meta, table_of

_meta = table_of(Meta)
_FACT = Statement(select(_meta).where(_meta.c.name == bindparam("name")), Meta)
_CHANGE = Statement(update(_meta).where(_meta.c.name == bindparam("of")).values(value=bindparam("value")))

KEY_ID = "audit_key_id"
PUBLIC_URL = "public_url"
"""Where the service that ran last on it is reached."""


def get(reader: Reader, name: str) -> str | None:
    """The fact, if it is known."""
    row = reader.one(_FACT, name=name)
    return None if row is None else str(row.value)


def known_key(reader: Reader) -> str | None:
    """The id of the secret key that the database belongs to; None while it belongs to nobody."""
    return get(reader, KEY_ID)


def put(tx: Transaction, name: str, value: str) -> None:
    """Know it from now on."""
    if get(tx, name) is None:
        tx.insert(Meta, name=name, value=value)
    else:
        tx.execute(_CHANGE, of=name, value=value)
