"""Where messages about requests stand."""

from sqlalchemy import bindparam, delete, select, update

from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Row, Statement
from approvals.service.storage.tables import SlackMessage, table_of

_messages = table_of(SlackMessage)
_place = (_messages.c.channel == bindparam("channel"), _messages.c.ts == bindparam("ts"))
_COPIES = Statement(select(_messages).where(_messages.c.request_id == bindparam("request_id")).order_by(_messages.c.ts))
_AT = Statement(select(_messages).where(*_place).order_by(_messages.c.request_id))
_TOLD = Statement(
    update(_messages)
    .where(_messages.c.request_id == bindparam("of"), _messages.c.channel == bindparam("channel"))
    .values(told=bindparam("state"))
)
_FORGET = Statement(delete(_messages).where(*_place))


def copies(reader: Reader, request_id: str) -> list[Row]:
    """Every message that shows a request."""
    return reader.all(_COPIES, request_id=request_id)


def shown_at(reader: Reader, channel: str, ts: str) -> list[Row]:
    """The requests that one message shows."""
    return reader.all(_AT, channel=channel, ts=ts)


def posted(
    tx: Transaction, request_id: str, channel: str, ts: str, asked: str, *, digest: bool = False, reposted: bool = False
) -> None:
    """A message stands there."""
    if not any(row.request_id == request_id for row in shown_at(tx, channel, ts)):
        where = {"request_id": request_id, "channel": channel, "ts": ts, "asked": asked}
        tx.insert(SlackMessage, **where, digest=digest, reposted=reposted, posted_at=tx.now)


def told(tx: Transaction, request_id: str, channel: str, state: str) -> None:
    """The thread knows how it ended."""
    tx.execute(_TOLD, of=request_id, channel=channel, state=state)


def forget(tx: Transaction, channel: str, ts: str) -> None:
    """The message is gone."""
    tx.execute(_FORGET, channel=channel, ts=ts)
