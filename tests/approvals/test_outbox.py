"""The outbox: written with the change, sent after it, in order, at least once, and never in the way."""

import pytest

from approvals.errors import NotPossible
from approvals.service.notifications import outbox
from approvals.service.notifications.notifier import NotDelivered, Undeliverable

DAY = 86_400


class Recorder:
    """A notifier that keeps what it was told, and fails as it is told to."""

    name = "recorder"
    trouble = None

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.error: Exception | None = None

    async def announce(self, notice):
        self._note("announce", notice)

    async def update(self, notice):
        self._note("update", notice)

    async def reply(self, notice):
        self._note("reply", notice)

    def _note(self, verb, notice):
        self.ids.append(notice.id)
        if self.error is not None:
            raise self.error
        self.told.append((verb, notice.row.id, notice.status.state))


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
async def house(open_house, database_url, recorder):
    house = open_house(database_url, notifiers=(recorder,))
    house.build()
    house.service.database.start()
    yield house
    house.service.database.stop()


async def send(house) -> int:
    return await house.service.sender.send_due()


async def test_a_request_is_announced_once_and_its_end_is_told(house, recorder):
    request_id = house.file().request_id
    assert await send(house) == 1
    house.decide(request_id, "deny", comment="no")
    assert await send(house) == 1
    assert await send(house) == 0
    assert recorder.told == [("announce", request_id, "pending"), ("update", request_id, "denied")]


async def test_several_changes_before_it_is_sent_are_one_message_that_says_the_truth(house, recorder):
    approved = house.file().request_id
    house.decide(approved)
    withdrawn = house.file(house.filing({"order_id": 8, "amount_cents": 1})).request_id
    house.withdraw(withdrawn)
    assert await send(house) == 2
    # in any order: only messages of one request have one
    assert set(recorder.told) == {("announce", approved, "approved"), ("announce", withdrawn, "withdrawn")}


async def test_of_what_no_notifier_heard_there_is_no_update(house, recorder):
    request_id = house.file().request_id
    house.run("DELETE FROM delivery")
    house.decide(request_id)
    assert await send(house) == 0


async def test_what_was_rolled_back_is_never_sent(house, recorder):
    request_id = house.file().request_id
    await send(house)

    def work(tx):
        house.service.outbox.remind(tx, request_id)
        raise NotPossible("no")

    with pytest.raises(NotPossible):
        house.write(work)
    assert await send(house) == 0


async def test_a_message_that_did_not_arrive_comes_again_later_under_the_same_id(house, recorder):
    house.file()
    recorder.error = NotDelivered("the receiver answered 503", after=100.0)
    assert await send(house) == 1
    assert await send(house) == 0, "not before it was asked to"
    house.clock.forward(101)
    recorder.error = None
    assert await send(house) == 1
    assert len(set(recorder.ids)) == 1
    assert len(recorder.told) == 1


async def test_of_one_request_nothing_overtakes_what_did_not_arrive_yet(house, recorder):
    request_id = house.file().request_id
    recorder.error = NotDelivered("away")
    await send(house)
    house.decide(request_id)
    house.file(house.filing({"order_id": 8, "amount_cents": 1}))
    recorder.error = None
    await send(house)
    assert [told[1] == request_id for told in recorder.told] == [False]
    house.clock.forward(10)
    await send(house)
    assert [verb for verb, of, _ in recorder.told if of == request_id] == ["announce"]


async def test_p4_a_message_whose_sender_died_is_sent_by_another(house, recorder):
    house.file()
    (taken,) = house.write(house.service.outbox.take)
    assert await send(house) == 0
    house.clock.forward(61)
    assert await send(house) == 1
    house.write(lambda tx: house.service.outbox.failed(tx, taken, "too late"))
    assert house.read(outbox.unsent) == [], "who lost the lease has no say"


async def test_what_cannot_arrive_is_dead_until_a_person_has_it_sent_again(house, recorder):
    house.file()
    recorder.error = Undeliverable("it wants no more")
    await send(house)
    house.clock.forward(DAY)
    assert await send(house) == 0
    (row,) = house.read(outbox.unsent)
    assert (row.error, row.dead_at is not None, house.read(outbox.dead)) == ("it wants no more", True, 1)
    recorder.error = None
    house.write(lambda tx: house.service.outbox.again(tx, row.id, "user:ann"))
    assert house.events(f"delivery:{row.id}") == ["delivery.retried"]
    assert await send(house) == 1
    with pytest.raises(NotPossible):
        house.write(lambda tx: house.service.outbox.again(tx, row.id, "user:ann"))


async def test_after_a_day_nobody_tries_any_more(house, recorder):
    house.file()
    recorder.error = NotDelivered("away")
    for _ in range(40):
        await send(house)
        house.clock.forward(3600)
    assert house.read(outbox.dead) == 1
    assert 24 <= len(recorder.ids) <= 26


async def test_a_notifier_that_stumbles_hurts_nobody_else(house, recorder):
    house.file()
    recorder.error = RuntimeError("a bug")
    assert await send(house) == 1
    (row,) = house.read(outbox.unsent)
    assert row.error.startswith("RuntimeError")


async def test_a_message_of_a_notifier_that_is_gone_is_dead(house, recorder):
    house.file()
    house.service.outbox.notifiers = {}
    await send(house)
    (row,) = house.read(outbox.unsent)
    assert (row.error, row.dead_at is not None) == ("recorder is not set up any more", True)


def test_the_wait_doubles_up_to_a_quarter_of_an_hour():
    for attempt, longest in ((1, 1), (2, 2), (5, 16), (11, 900), (10_000, 900)):
        assert longest / 2 <= outbox.wait(attempt) <= longest


def test_without_notifiers_nothing_is_written(open_house, database_url):
    house = open_house(database_url)
    house.build()
    house.file()
    assert house.rows("SELECT count(*) FROM delivery") == [(0,)]
    house.service.database.stop()
