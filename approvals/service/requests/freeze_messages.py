"""Messages of requests that wait say so when a freeze stops them, and when it does no more. Batch by batch, after the
freeze itself, which takes hold at once however many wait."""

from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert  # its ON CONFLICT is SQLite's, too

from approvals.protocol.states import State
from approvals.service.notifications.notifier import UPDATE
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import Freeze, FreezeTelling, table_of
from approvals.service.storage.tables.handles import freezes, requests

BATCH = 200

_tellings = table_of(FreezeTelling)

_BEGIN = Statement(
    insert(_tellings)
    .values(freeze_id=bindparam("freeze_id"), after="")
    .on_conflict_do_update(index_elements=["freeze_id"], set_={"after": ""})
)
_NEXT = Statement(
    select(_tellings.c.after, freezes.c.id, freezes.c.scope, freezes.c.of)
    .join_from(_tellings, freezes, freezes.c.id == _tellings.c.freeze_id)
    .order_by(freezes.c.id)
    .limit(1)
)
_CONCERNED = Statement(
    select(requests.c.id)
    .where(
        requests.c.state == State.PENDING.value,
        requests.c.id > bindparam("after"),
        or_(
            bindparam("scope") == "all",
            (bindparam("scope") == "server") & (requests.c.server == bindparam("of")),
            (bindparam("scope") == "agent") & (requests.c.agent_id == bindparam("of")),
        ),
    )
    .order_by(requests.c.id)
    .limit(BATCH)
)
_GO_ON = Statement(
    update(_tellings).where(_tellings.c.freeze_id == bindparam("of_freeze")).values(after=bindparam("last"))
)
_END = Statement(delete(_tellings).where(_tellings.c.freeze_id == bindparam("freeze_id")))


def begin(tx: Transaction, freeze: Freeze) -> None:
    """Note that a freeze came, went, or has other words."""
    tx.execute(_BEGIN, freeze_id=freeze.id)


def sweep(tx: Transaction) -> int:
    """Have notifiers speak of up to BATCH requests; how many there were."""
    telling = tx.one(_NEXT)
    if telling is None:
        return 0
    found = [row.id for row in tx.all(_CONCERNED, after=telling.after, scope=telling.scope, of=telling.of)]
    for request_id in found:
        tx.tell(UPDATE, request_id)
    if len(found) < BATCH:
        tx.execute(_END, freeze_id=telling.id)
    else:
        tx.execute(_GO_ON, of_freeze=telling.id, last=found[-1])
    return len(found)


def left(reader: Reader) -> bool:
    """Whether messages are left that may say otherwise."""
    return reader.one(_NEXT) is not None
