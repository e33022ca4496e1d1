"""The words of requests, for looking them up: a full-text index that follows the audit chain.

The chain has every filing once, in an order without gaps, so a bookmark in it says what is indexed, on any number of
replicas. Filing itself does not wait for it: a request is found within a second or so.
"""

import json
import re
import unicodedata
from collections.abc import Iterator

from sqlalchemy import BigInteger, bindparam, cast, delete, func, select, update

from approvals.protocol.canonical import decode
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import (
    AuditEvent,
    AuditLink,
    Meta,
    RequestWords,
    table_of,
)
from approvals.service.storage.tables.handles import requests

BATCH = 500
"""Linked events a transaction: others want to write too."""
MOST_WORDS = 2_000
LONGEST = 64
"""Characters of a word that count: the rest is left out, here and when it is looked for."""
_WORD = re.compile(r"[^\W_]+")
_BOOKMARK = "words_indexed_to"

_events = table_of(AuditEvent)
_links = table_of(AuditLink)
_meta = table_of(Meta)
words = table_of(RequestWords)

_BEHIND = Statement(
    select(_links.c.seq)
    .where(
        _links.c.seq
        > func.coalesce(select(cast(_meta.c.value, BigInteger)).where(_meta.c.name == _BOOKMARK).scalar_subquery(), 0)
    )
    .limit(1)
)
_TO = Statement(select(_meta.c.value).where(_meta.c.name == _BOOKMARK))
_MOVE = Statement(update(_meta).where(_meta.c.name == _BOOKMARK).values(value=bindparam("to")))
_LINKED = Statement(
    select(_links.c.seq, _events.c.kind, _events.c.subject)
    .join_from(_links, _events, _links.c.event_id == _events.c.id)
    .where(_links.c.seq > bindparam("after"))
    .order_by(_links.c.seq)
    .limit(BATCH)
)
_FILED = ("request.filed", "request.revised")
_REQUEST = Statement(
    select(*(requests.c[name] for name in ("id", "summary", "server", "tool", "reason", "arguments"))).where(
        requests.c.id == bindparam("of")
    )
)
_FORGET = Statement(delete(words).where(words.c.request_id == bindparam("of")))


def behind(reader: Reader) -> bool:
    """Whether something was linked that is not indexed."""
    return reader.one(_BEHIND) is not None


def sweep(tx: Transaction) -> bool:
    """Index what the next BATCH of links tells of; False when another process is at it, or nothing is left."""
    if not tx.try_lock("word index"):
        return False
    bookmark = tx.one(_TO)
    linked = tx.all(_LINKED, after=int(bookmark.value) if bookmark else 0)
    if not linked:
        return False
    for request_id in {row.subject: None for row in linked if row.kind in _FILED}:
        row = tx.one(_REQUEST, of=request_id)
        if row is not None:
            forget(tx, request_id)
            tx.insert(RequestWords, request_id=request_id, words=" ".join(of_request(row)))
    to = str(linked[-1].seq)
    if bookmark is None:
        tx.insert(Meta, name=_BOOKMARK, value=to)
    else:
        tx.execute(_MOVE, to=to)
    return True


def forget(tx: Transaction, request_id: str) -> None:
    """Find a request by its words no more."""
    tx.execute(_FORGET, of=request_id)


def of_request(row: Row) -> list[str]:
    """What people see of a request, as different words, up to MOST_WORDS."""
    found: dict[str, None] = {}
    for text in (row.summary, row.server, row.tool, row.reason or "", *_leaves(_plain(row.arguments))):
        found |= dict.fromkeys(split(text))
        if len(found) >= MOST_WORDS:
            break
    return list(found)[:MOST_WORDS]


def split(text: str) -> list[str]:
    """A text's words as they are compared: letters and digits alone, compatibility forms and case folded."""
    return [word[:LONGEST] for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold())]


def _plain(arguments: str) -> object:
    """What arguments say in the clear; nothing of what is redacted."""
    return decode(json.loads(arguments), lambda leaf: None)


def _leaves(value: object) -> Iterator[str]:
    """Names and values of plain arguments."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
