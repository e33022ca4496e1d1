"""The outbox: written with the change, sent after it, in order, at least once, and never in the way."""

import asyncio

import pytest

from approvals.errors import NotPossible
from approvals.service.dispatcher import Sender
from approvals.service.notifications import outbox
from approvals.service.notifications.notifier import NOTHING, REPLY, NotDelivered, Sent, Step, Undeliverable
from approvals.service.realtime.wakeup import Wakeup

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
        return self._note("announce", notice)

    async def update(self, notice):
        return self._note("update", notice)

    async def reply(self, notice):
        return self._note("reply", notice)

    def _note(self, verb, notice):
        self.ids.append(notice.id)
        if self.error is not None:
            raise self.error
        self.told.append((verb, notice.row.id, notice.status.state))
        return NOTHING


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
async def scenario(open_scenario, database_url, recorder):
    scenario = open_scenario(database_url, notifiers=(recorder,))
    scenario.build()
    scenario.service.database.start()
    yield scenario
    scenario.service.database.stop()


async def send(scenario) -> int:
    return await scenario.service.sender.send_due()


async def test_a_request_is_announced_once_and_its_end_is_told(scenario, recorder):
    request_id = scenario.file().request_id
    assert await send(scenario) == 1
    scenario.decide(request_id, "deny", comment="no")
    assert await send(scenario) == 1
    assert await send(scenario) == 0
    assert recorder.told == [("announce", request_id, "pending"), ("update", request_id, "denied")]


async def test_several_changes_before_it_is_sent_are_one_update_that_says_the_truth(scenario, recorder):
    request_id = scenario.file().request_id
    scenario.clock.forward(0.1)
    scenario.decide(request_id)
    scenario.claim(request_id)
    while await send(scenario):
        pass
    assert recorder.told == [("announce", request_id, "executing"), ("update", request_id, "executing")]


async def test_p4_a_change_while_the_announcement_is_being_retried_is_still_told(scenario, recorder):
    """Nothing that waits stands for a message of another kind, which may have nothing left to say."""
    request_id = scenario.file().request_id
    recorder.error = NotDelivered("away")
    await send(scenario)
    scenario.clock.forward(0.1)
    scenario.decide(request_id, "deny", comment="no")
    recorder.error = None
    for _ in range(2):
        scenario.clock.forward(10)
        await send(scenario)
    assert recorder.told[-1] == ("update", request_id, "denied")


async def test_p4_a_message_that_nobody_answers_keeps_no_other_from_being_sent(scenario, recorder):
    """And what comes next for the same request waits for it."""
    stuck, go_on, told = scenario.file().request_id, asyncio.Event(), asyncio.Event()
    announce = recorder.announce

    async def slowly(notice):
        if notice.row.id == stuck:
            await go_on.wait()
        told.set()
        return await announce(notice)

    recorder.announce = slowly
    rounds = asyncio.create_task(over_and_over(scenario.service.sender))
    async with asyncio.timeout(10):
        other = scenario.file(scenario.filing({"order_id": 2, "amount_cents": 5})).request_id
        await told.wait()
        assert recorder.told == [("announce", other, "pending")]
        scenario.clock.forward(0.1)
        scenario.decide(stuck)
        scenario.decide(other)
        while len(recorder.told) < 2:
            await asyncio.sleep(0)
        assert recorder.told[1:] == [("update", other, "approved")]
        go_on.set()
        while len(recorder.told) < 4:
            await asyncio.sleep(0)
        assert [verb for verb, of, _ in recorder.told if of == stuck] == ["announce", "update"]
        rounds.cancel()
        await scenario.service.sender.finish()
    assert scenario.rows("SELECT 1 FROM delivery WHERE done_at IS NULL") == []


async def over_and_over(sender):
    while True:
        await sender.round()


async def test_p4_two_that_send_at_once_send_each_message_once_and_in_order(scenario, recorder):
    service = scenario.service
    other = Sender(service.database, service.outbox, service.statuses, service.authority, Wakeup())
    ids = [scenario.file(scenario.filing({"order_id": n, "amount_cents": 5})).request_id for n in range(20)]
    scenario.clock.forward(0.1)
    for request_id in ids[::2]:
        scenario.decide(request_id)
    async with asyncio.timeout(30):
        while any(await asyncio.gather(service.sender.send_due(), other.send_due())):
            pass
    told = [(verb, request_id) for verb, request_id, _ in recorder.told]
    assert len(told) == len(set(told)) == 30
    assert all(told.index(("announce", one)) < told.index(("update", one)) for one in ids[::2])


async def test_of_what_no_notifier_heard_there_is_no_update(scenario, recorder):
    request_id = scenario.file().request_id
    scenario.run("DELETE FROM delivery")
    scenario.decide(request_id)
    assert await send(scenario) == 0


async def test_what_was_rolled_back_is_never_sent(scenario, recorder):
    request_id = scenario.file().request_id
    await send(scenario)

    def work(tx):
        tx.tell(REPLY, request_id)
        raise NotPossible("no")

    with pytest.raises(NotPossible):
        scenario.write(work)
    assert await send(scenario) == 0


async def test_a_message_that_did_not_arrive_comes_again_later_under_the_same_id(scenario, recorder):
    scenario.file()
    recorder.error = NotDelivered("the receiver answered 503", after=100.0)
    assert await send(scenario) == 1
    assert await send(scenario) == 0, "not before it was asked to"
    scenario.clock.forward(101)
    recorder.error = None
    assert await send(scenario) == 1
    assert len(set(recorder.ids)) == 1
    assert len(recorder.told) == 1


async def test_of_one_request_nothing_overtakes_what_did_not_arrive_yet(scenario, recorder):
    request_id = scenario.file().request_id
    recorder.error = NotDelivered("away")
    await send(scenario)
    scenario.clock.forward(0.1)
    scenario.decide(request_id)
    scenario.file(scenario.filing({"order_id": 8, "amount_cents": 1}))
    recorder.error = None
    await send(scenario)
    assert [told[1] == request_id for told in recorder.told] == [False]
    scenario.clock.forward(10)
    await send(scenario)
    assert [verb for verb, of, _ in recorder.told if of == request_id] == ["announce"]
    await send(scenario)
    assert [verb for verb, of, _ in recorder.told if of == request_id] == ["announce", "update"]


async def test_p4_a_message_whose_sender_died_is_sent_by_another(scenario, recorder):
    scenario.file()
    (taken,) = scenario.write(scenario.service.outbox.take)
    assert await send(scenario) == 0
    scenario.clock.forward(61)
    assert await send(scenario) == 1
    scenario.write(lambda tx: scenario.service.outbox.failed(tx, taken, "too late"))
    assert scenario.read(outbox.unsent) == [], "who lost the lease has no say"


async def test_what_cannot_arrive_is_dead_until_a_person_has_it_sent_again(scenario, recorder):
    scenario.file()
    recorder.error = Undeliverable("it wants no more")
    await send(scenario)
    scenario.clock.forward(DAY)
    assert await send(scenario) == 0
    (row,) = scenario.read(outbox.unsent)
    assert (row.error, row.dead_at is not None, scenario.read(outbox.dead)) == ("it wants no more", True, 1)
    recorder.error = None
    scenario.write(lambda tx: scenario.service.sender.again(tx, scenario.person(), row.id))
    assert scenario.events(f"delivery:{row.id}") == ["delivery.retried"]
    assert await send(scenario) == 1
    with pytest.raises(NotPossible):
        scenario.write(lambda tx: scenario.service.sender.again(tx, scenario.person(), row.id))


async def test_after_a_day_nobody_tries_any_more(scenario, recorder):
    scenario.file()
    recorder.error = NotDelivered("away")
    for _ in range(40):
        await send(scenario)
        scenario.clock.forward(3600)
    assert scenario.read(outbox.dead) == 1
    assert 24 <= len(recorder.ids) <= 26


async def test_a_notifier_that_stumbles_hurts_nobody_else(scenario, recorder):
    scenario.file()
    recorder.error = RuntimeError("a bug")
    assert await send(scenario) == 1
    (row,) = scenario.read(outbox.unsent)
    assert row.error.startswith("RuntimeError")


async def test_a_message_of_a_notifier_that_is_gone_is_dead(scenario, recorder):
    scenario.file()
    scenario.service.outbox.notifiers = {}
    await send(scenario)
    (row,) = scenario.read(outbox.unsent)
    assert (row.error, row.dead_at is not None) == ("recorder is not set up any more", True)


class Copies:
    """A notifier that speaks in three places; what it may not do there fails."""

    name = "copies"
    trouble = None

    def __init__(self):
        self.said = []
        self.failing = {}

    async def announce(self, notice):
        return self._do("announce", notice)

    async def update(self, notice):
        return self._do("update", notice)

    async def reply(self, notice):
        return self._do("reply", notice)

    def _do(self, verb, notice):
        if not notice.target:
            return Sent(then=lambda _: [Step(verb, place) for place in ("a", "b", "c")])
        if notice.target in self.failing:
            raise self.failing[notice.target]
        self.said.append((verb, notice.target))
        return NOTHING


@pytest.fixture
async def copies(scenario):
    made = Copies()
    scenario.service.outbox.notifiers = {"copies": made}
    return made


async def rest(scenario):
    while await send(scenario):
        pass


async def test_a_copy_that_fails_is_tried_again_alone_and_nobody_else_hears_it_twice(scenario, copies):
    copies.failing = {"b": NotDelivered("away")}
    scenario.file()
    for _ in range(5):
        await rest(scenario)
        scenario.clock.forward(60)
    assert sorted(copies.said) == [("announce", "a"), ("announce", "c")]
    copies.failing = {}
    scenario.clock.forward(900)
    await rest(scenario)
    assert sorted(copies.said) == [("announce", place) for place in "abc"]


async def test_a_copy_that_cannot_be_reached_is_a_dead_letter_of_its_own_and_the_next_update_goes_on(scenario, copies):
    request_id = scenario.file().request_id
    await rest(scenario)
    copies.failing = {"b": Undeliverable("gone")}
    scenario.service.outbox.notifiers["copies"].said.clear()
    scenario.write(lambda tx: tx.tell(REPLY, request_id))
    await rest(scenario)
    ((target, error),) = [(row.target, row.error) for row in scenario.read(outbox.unsent)]
    assert (target, error) == ("b", "gone") and len(copies.said) == 2
    copies.failing = {}
    scenario.decide(request_id)
    await rest(scenario)
    assert sorted(copies.said)[-3:] == [("update", place) for place in "abc"]


async def test_an_update_that_arrives_makes_up_for_the_dead_ones_before_it(scenario, copies):
    request_id = scenario.file().request_id
    await rest(scenario)
    copies.failing = {"b": Undeliverable("gone")}
    scenario.decide(request_id)
    await rest(scenario)
    assert scenario.read(outbox.dead) == 1
    copies.failing = {}
    scenario.claim(request_id)
    await rest(scenario)
    assert scenario.read(outbox.dead) == 0


def test_the_wait_doubles_up_to_a_quarter_of_an_hour():
    for attempt, longest in ((1, 1), (2, 2), (5, 16), (11, 900), (10_000, 900)):
        assert longest / 2 <= outbox.wait(attempt) <= longest


def test_without_notifiers_nothing_is_written(open_scenario, database_url):
    scenario = open_scenario(database_url)
    scenario.build()
    scenario.file()
    assert scenario.rows("SELECT count(*) FROM delivery") == [(0,)]
    scenario.service.database.stop()
