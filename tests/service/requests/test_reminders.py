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
def rules(scenario):
    rules = scenario.service.policy.present = Rules()
    scenario.run("UPDATE user_account SET handle = subject")
    scenario.run("UPDATE user_account SET groups = 'dba' WHERE subject = 'ann'")
    return rules


def remind(scenario):
    return scenario.write(scenario.service.reminders.sweep)


def reminded(scenario, filed):
    return [kind for kind in scenario.events(filed.request_id) if kind in {"request.reminded", "request.escalated"}]


def due(scenario):
    return scenario.read(next_due)


def test_reminders_come_in_time_once_each(scenario, rules):
    filed, began = scenario.file(), scenario.clock.now()
    expected = []
    for after, kind in ((60, "request.reminded"), (120, "request.escalated"), (300, "request.reminded")):
        assert due(scenario) == began + after * SECOND
        scenario.clock.forward(began / SECOND + after - 1 - scenario.clock.now() / SECOND)
        assert remind(scenario) == 0
        scenario.clock.forward(1)
        assert (remind(scenario), remind(scenario)) == (1, 0)
        expected.append(kind)
        assert reminded(scenario, filed) == expected
    assert due(scenario) == began + 600 * SECOND
    assert scenario.row(filed.request_id).remind_at is None
    assert scenario.rows("SELECT count(*) FROM delivery") == [(0,)]


def test_reminders_that_came_due_while_nothing_ran_are_each_on_record(scenario, rules):
    filed = scenario.file()
    scenario.clock.forward(301)
    remind(scenario)
    assert reminded(scenario, filed) == ["request.reminded", "request.escalated", "request.reminded"]


def test_p1_an_escalation_lets_more_people_decide_from_then_on_with_the_same_quorum(scenario, rules):
    filed = scenario.file()
    scenario.decide(filed.request_id, who="ann")
    with pytest.raises(Forbidden):
        scenario.decide(filed.request_id, who="bob")
    woken = []
    scenario.service.bus.subscribe(woken.append, [filed.request_id])
    scenario.clock.forward(120)
    remind(scenario)
    assert woken
    scenario.decide(filed.request_id, who="bob")
    assert scenario.status(filed.request_id).state is State.APPROVED
    assert scenario.claim(filed.request_id) is None


def test_p1_an_escalation_narrows_no_rule_that_names_nobody_and_keeps_the_separation(scenario, rules):
    rules.reviewers = Reviewers()
    filed = scenario.file(scenario.filing(on_behalf_of="bob"))
    scenario.clock.forward(120)
    remind(scenario)
    with pytest.raises(Forbidden, match="acts for you"):
        scenario.decide(filed.request_id, who="bob")
    scenario.decide(filed.request_id, who="ann")
    assert scenario.status(filed.request_id).state is State.APPROVED


def test_p1_an_escalation_stands_for_no_group_that_has_to_be_there(scenario, rules):
    rules.reviewers = Reviewers(groups=("dba", "security"), each_group=True, quorum=2)
    filed = scenario.file()
    scenario.clock.forward(120)
    remind(scenario)
    for who in ("ann", "bob"):
        scenario.decide(filed.request_id, who=who)
    assert scenario.status(filed.request_id).state is State.PENDING


@pytest.mark.parametrize("end", ["approved", "denied", "withdrawn", "expired"])
def test_what_no_longer_waits_is_never_reminded(scenario, rules, end):
    rules.reviewers = Reviewers()
    filed = scenario.file()
    if end == "expired":
        scenario.clock.forward(600)
    elif end == "withdrawn":
        scenario.withdraw(filed.request_id)
    else:
        scenario.decide(filed.request_id, end.removesuffix("d") if end == "approved" else "deny", comment="so")
    if end != "expired":
        assert scenario.row(filed.request_id).remind_at is None
    scenario.clock.forward(60)
    remind(scenario)
    assert reminded(scenario, filed) == []
    assert scenario.rows("SELECT remind_at FROM request") == [(None,)]
    assert scenario.status(filed.request_id).state == end


def test_an_instant_left_behind_is_cleared_and_does_not_come_up_again(scenario, rules):
    rules.reviewers = Reviewers()
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.run("UPDATE request SET remind_at = 1")
    assert (remind(scenario), remind(scenario), reminded(scenario, filed)) == (1, 0, [])


def test_p4_a_process_that_dies_while_it_reminds_leaves_the_reminder_to_the_next(scenario, rules):
    filed = scenario.file()
    scenario.clock.forward(60)

    def cut_short(tx):
        scenario.service.reminders.sweep(tx)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scenario.write(cut_short)
    assert reminded(scenario, filed) == []
    remind(scenario)
    assert reminded(scenario, filed) == ["request.reminded"]


@pytest.mark.parametrize("turn", range(3))
def test_several_processes_remind_once(scenario, rules, open_scenario, turn):
    others = [open_scenario(scenario.url, scenario.clock) for _ in range(2)] if scenario.service.database.shared else []
    scenarios = [scenario, *others, scenario]
    filed = [scenario.file(scenario.filing({"order_id": order})) for order in range(5)]
    scenario.clock.forward(60)
    with ThreadPoolExecutor(len(scenarios)) as pool:
        list(pool.map(remind, scenarios))
    assert [reminded(scenario, one) for one in filed] == [["request.reminded"]] * 5
    for other in others:
        other.service.database.stop()


def test_more_than_a_batch_is_reminded_batch_by_batch(scenario, rules):
    for order in range(105):
        scenario.file(scenario.filing({"order_id": order}))
    scenario.clock.forward(60)
    assert (remind(scenario), remind(scenario), remind(scenario)) == (100, 5, 0)


def test_a_reminder_goes_to_whoever_carries_them(scenario, rules):
    filed = scenario.file()
    scenario.clock.forward(60)
    scenario.service.outbox.notifiers = {"slack": None}
    remind(scenario)
    assert sorted(scenario.rows("SELECT notifier, verb, request_id, attempts FROM delivery")) == [
        ("slack", "reply", filed.request_id, 0),
        ("slack", "update", filed.request_id, 0),
    ]


def test_changed_content_is_reminded_as_its_own_rule_says(scenario, rules):
    filed, began = scenario.file(), scenario.clock.now()
    scenario.clock.forward(120)
    remind(scenario)
    rules.reminders = (Reminder(200),)
    scenario.register(scenario.tool(description="Refund an order, all of it."))
    scenario.file()
    row = scenario.row(filed.request_id)
    assert (row.remind_at, Reviewers.parse(row.reviewers).escalated_to) == (began + 200 * SECOND, ())


async def test_the_timer_reminds(served, scenario, rules, until):
    scenario.service.policy.present = rules
    filed = scenario.file()
    scenario.clock.forward(60)
    await until(lambda: bool(reminded(scenario, filed)))
    assert reminded(scenario, filed) == ["request.reminded"]
