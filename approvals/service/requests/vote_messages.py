"""Messages of requests that wait, or that are approved and have not run, say whose approval counts, and whose does no
more: after an account was disabled or let in again, or has other roles or groups, or an agent other owners. Batch by
batch, after the change itself, which takes hold at once."""

from sqlalchemy import and_, bindparam, delete, or_, select, update

from approvals.protocol.states import State
from approvals.service.notifications.notifier import UPDATE
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import DecisionRow, VoteTelling, table_of
from approvals.service.storage.tables.handles import requests

BATCH = 200

_tellings = table_of(VoteTelling)
_decisions = table_of(DecisionRow)

_NEXT = Statement(select(_tellings.c.of, _tellings.c.after).order_by(_tellings.c.of).limit(1))
_voted = (
    select(_decisions.c.id)
    .where(
        _decisions.c.request_id == requests.c.id,
        (bindparam("of_user") == "") | (_decisions.c.user_id == bindparam("of_user")),
    )
    .exists()
)
_naming = (
    requests.c.reviewers.contains('"people":["'),
    requests.c.reviewers.contains('"groups":["'),
    requests.c.notify.contains('"mention":["'),
)
_CONCERNED = Statement(
    select(requests.c.id)
    .where(
        requests.c.id > bindparam("last"),
        or_(
            and_(requests.c.state == State.PENDING.value, or_(_voted, *_naming)),
            and_(requests.c.state == State.APPROVED.value, _voted),
        ),
    )
    .order_by(requests.c.id)
    .limit(BATCH)
)
"""Where they voted, and where a message may name them: lists that are not empty, in canonical JSON."""
_GO_ON = Statement(
    update(_tellings)
    .where(_tellings.c.of == bindparam("of_user"), _tellings.c.after == bindparam("was"))
    .values(after=bindparam("last"))
)
_END = Statement(delete(_tellings).where(_tellings.c.of == bindparam("of_user"), _tellings.c.after == bindparam("was")))


def sweep(tx: Transaction) -> int:
    """Have notifiers speak of up to BATCH requests; how many there were."""
    telling = tx.one(_NEXT)
    if telling is None:
        return 0
    found = [row.id for row in tx.all(_CONCERNED, last=telling.after, of_user=telling.of)]
    for request_id in found:
        tx.tell(UPDATE, request_id)
    if len(found) < BATCH:
        tx.execute(_END, of_user=telling.of, was=telling.after)
    else:
        tx.execute(_GO_ON, of_user=telling.of, was=telling.after, last=found[-1])
    return len(found)


def left(reader: Reader) -> bool:
    """Whether messages are left that may say otherwise."""
    return reader.one(_NEXT) is not None
