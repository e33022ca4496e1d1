"""Where messages about requests stand, and what they show."""

from sqlalchemy import bindparam, select, true, update

from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import SlackMessage, table_of

_messages = table_of(SlackMessage)
_place = (_messages.c.channel == bindparam("channel"), _messages.c.ts == bindparam("ts"))
_OF_REQUEST = Statement(
    select(_messages).where(_messages.c.request_id == bindparam("request_id")).order_by(_messages.c.ts), SlackMessage
)
_AT = Statement(select(_messages).where(*_place).order_by(_messages.c.request_id), SlackMessage)
_SHOW = Statement(
    update(_messages)
    .where(_messages.c.channel == bindparam("at_channel"), _messages.c.ts == bindparam("at_ts"))
    .values(shown=bindparam("fingerprint"))
)
_TELL = Statement(
    update(_messages).where(_messages.c.request_id == bindparam("of"), *_place).values(told=bindparam("state"))
)
_PLACE = Statement(
    update(_messages)
    .where(
        _messages.c.request_id == bindparam("of"),
        _messages.c.channel == bindparam("at_channel"),
        _messages.c.ts == bindparam("at_ts"),
    )
    .values(asked=bindparam("place"))
)
_LOSE = Statement(update(_messages).where(*_place).values(gone=true()))


def standing(reader: Reader, request_id: str) -> list[SlackMessage]:
    """Every message that shows a request, and those that somebody deleted."""
    return reader.all(_OF_REQUEST, request_id=request_id)


def shown_at(reader: Reader, channel: str, ts: str) -> list[SlackMessage]:
    """The requests that one message shows; none once it is gone."""
    return [row for row in reader.all(_AT, channel=channel, ts=ts) if not row.gone]


def posted(
    tx: Transaction, request_id: str, channel: str, ts: str, asked: str, *, digest: bool = False, shown: str = ""
) -> None:
    """A message stands there. Somebody may have pressed its button before this was written down."""
    known = next((row for row in tx.all(_AT, channel=channel, ts=ts) if row.request_id == request_id), None)
    if known is None:
        where = {"request_id": request_id, "channel": channel, "ts": ts, "asked": asked}
        tx.insert(SlackMessage, **where, digest=digest, shown=shown, posted_at=tx.now)
    elif asked and not known.asked:
        tx.execute(_PLACE, of=request_id, at_channel=channel, at_ts=ts, place=asked)


def shows(tx: Transaction, channel: str, ts: str, fingerprint: str) -> None:
    """What it shows by now; nothing where that has become doubtful."""
    tx.execute(_SHOW, at_channel=channel, at_ts=ts, fingerprint=fingerprint)


def told(tx: Transaction, request_id: str, channel: str, ts: str, state: str) -> None:
    """Note that a message's thread knows how the request ended."""
    tx.execute(_TELL, of=request_id, channel=channel, ts=ts, state=state)


def lost(tx: Transaction, channel: str, ts: str) -> None:
    """The message is gone."""
    tx.execute(_LOSE, channel=channel, ts=ts)
