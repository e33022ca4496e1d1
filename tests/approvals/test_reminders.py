"""Reminders and escalations: in time, once each, and never of what no longer waits."""

from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import pytest

from approvals.errors import Forbidden
from approvals.instant import SECOND
from approvals.policy.model import Action, Judgement, Reminder
from approvals.policy.reviewers import Reviewers
from approvals.protocol.registration import Verdict
from approvals.protocol.states import State
from approvals.service.requests.expiry import next_due

REMINDERS = (Reminder(300), Reminder(60), Reminder(120, ("oncall", "leads")))
"""Not in order: a reminder, an escalation, a reminder."""


class Rules:
    """Asks dba, and reminders."""

    text = "of a test"
    groups = MappingProxyType({"oncall": frozenset({"bob"})})

    def __init__(self):
        self.reviewers = Reviewers(groups=("dba",), quorum=2)
        self.reminders = REMINDERS

    def verdict(self, tool):
        return Verdict.ASK

    def judge(self, call):
        return Judgement(Action.REQUIRE_APPROVAL, "test", reviewers=self.reviewers, reminders=self.reminders, ttl=600)


@pytest.fixture
def rules(house):
    rules = house.service.policy.present = Rules()
    house.run("UPDATE user_account SET handle = subject")
    house.run("UPDATE user_account SET groups = 'dba' WHERE subject = 'ann'")
    return rules


def remind(house):
    return house.write(house.service.reminders.sweep)


def reminded(house, filed):
    return [kind for kind in house.events(filed.request_id) if kind in {"request.reminded", "request.escalated"}]


def due(house):
    return house.read(next_due)


def test_reminders_come_in_time_once_each(house, rules):
    filed, began = house.file(), house.clock.now()
    expected = []
    for after, kind in ((60, "request.reminded"), (120, "request.escalated"), (300, "request.reminded")):
        assert due(house) == began + after * SECOND
        house.clock.forward(began / SECOND + after - 1 - house.clock.now() / SECOND)
        assert remind(house) == 0
        house.clock.forward(1)
        assert (remind(house), remind(house)) == (1, 0)
        expected.append(kind)
        assert reminded(house, filed) == expected
    assert due(house) == began + 600 * SECOND
    assert house.row(filed.request_id).remind_at is None
    assert house.rows("SELECT count(*) FROM delivery") == [(0,)]


def test_reminders_that_came_due_while_nothing_ran_are_each_on_record(house, rules):
    filed = house.file()
    house.clock.forward(301)
    remind(house)
    assert reminded(house, filed) == ["request.reminded", "request.escalated", "request.reminded"]


def test_p1_an_escalation_lets_more_people_decide_from_then_on_with_the_same_quorum(house, rules):
    filed = house.file()
    house.decide(filed.request_id, who="ann")
    with pytest.raises(Forbidden):
        house.decide(filed.request_id, who="bob")
    woken = []
    house.service.bus.subscribe(woken.append, [filed.request_id])
    house.clock.forward(120)
    remind(house)
    assert woken
    house.decide(filed.request_id, who="bob")
    assert house.status(filed.request_id).state is State.APPROVED
    assert house.claim(filed.request_id) is None


def test_p1_an_escalation_narrows_no_rule_that_names_nobody_and_keeps_the_separation(house, rules):
    rules.reviewers = Reviewers()
    filed = house.file(house.filing(on_behalf_of="bob"))
    house.clock.forward(120)
    remind(house)
    with pytest.raises(Forbidden, match="acts for you"):
        house.decide(filed.request_id, who="bob")
    house.decide(filed.request_id, who="ann")
    assert house.status(filed.request_id).state is State.APPROVED


def test_p1_an_escalation_stands_for_no_group_that_has_to_be_there(house, rules):
    rules.reviewers = Reviewers(groups=("dba", "security"), each_group=True, quorum=2)
    filed = house.file()
    house.clock.forward(120)
    remind(house)
    for who in ("ann", "bob"):
        house.decide(filed.request_id, who=who)
    assert house.status(filed.request_id).state is State.PENDING


@pytest.mark.parametrize("end", ["approved", "denied", "withdrawn", "expired"])
def test_what_no_longer_waits_is_never_reminded(house, rules, end):
    rules.reviewers = Reviewers()
    filed = house.file()
    if end == "expired":
        house.clock.forward(600)
    elif end == "withdrawn":
        house.withdraw(filed.request_id)
    else:
        house.decide(filed.request_id, end.removesuffix("d") if end == "approved" else "deny", comment="so")
    if end != "expired":
        assert house.row(filed.request_id).remind_at is None
    house.clock.forward(60)
    remind(house)
    assert reminded(house, filed) == []
    assert house.rows("SELECT remind_at FROM request") == [(None,)]
    assert house.status(filed.request_id).state == end


def test_an_instant_left_behind_is_cleared_and_does_not_come_up_again(house, rules):
    rules.reviewers = Reviewers()
    filed = house.file()
    house.decide(filed.request_id)
    house.run("UPDATE request SET remind_at = 1")
    assert (remind(house), remind(house), reminded(house, filed)) == (1, 0, [])


def test_p4_a_process_that_dies_while_it_reminds_leaves_the_reminder_to_the_next(house, rules):
    filed = house.file()
    house.clock.forward(60)

    def cut_short(tx):
        house.service.reminders.sweep(tx)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        house.write(cut_short)
    assert reminded(house, filed) == []
    remind(house)
    assert reminded(house, filed) == ["request.reminded"]


@pytest.mark.parametrize("turn", range(3))
def test_several_processes_remind_once(house, rules, open_house, turn):
    others = [open_house(house.url, house.clock) for _ in range(2)] if house.service.database.shared else []
    houses = [house, *others, house]
    filed = [house.file(house.filing({"order_id": order})) for order in range(5)]
    house.clock.forward(60)
    with ThreadPoolExecutor(len(houses)) as pool:
        list(pool.map(remind, houses))
    assert [reminded(house, one) for one in filed] == [["request.reminded"]] * 5
    for other in others:
        other.service.database.stop()


def test_more_than_a_batch_is_reminded_batch_by_batch(house, rules):
    for order in range(105):
        house.file(house.filing({"order_id": order}))
    house.clock.forward(60)
    assert (remind(house), remind(house), remind(house)) == (100, 5, 0)


def test_a_reminder_goes_to_whoever_carries_them(house, rules):
    filed = house.file()
    house.clock.forward(60)
    house.service.outbox.notifiers = {"slack": None}
    remind(house)
    assert sorted(house.rows("SELECT notifier, verb, request_id, attempts FROM delivery")) == [
        ("slack", "reply", filed.request_id, 0),
        ("slack", "update", filed.request_id, 0),
    ]


def test_changed_content_is_reminded_as_its_own_rule_says(house, rules):
    filed, began = house.file(), house.clock.now()
    house.clock.forward(120)
    remind(house)
    rules.reminders = (Reminder(200),)
    house.register(house.tool(description="Refund an order, all of it."))
    house.file()
    row = house.row(filed.request_id)
    assert (row.remind_at, Reviewers.parse(row.reviewers).escalated_to) == (began + 200 * SECOND, ())


async def test_the_timer_reminds(served, house, rules, until):
    house.service.policy.present = rules
    filed = house.file()
    house.clock.forward(60)
    await until(lambda: bool(reminded(house, filed)))
    assert reminded(house, filed) == ["request.reminded"]
