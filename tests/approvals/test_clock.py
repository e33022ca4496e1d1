"""Clocks that jump, stand still or disagree never approve, never execute and never revive (P3, P5)."""

import pytest

from approvals.errors import NotPossible
from approvals.instant import SECOND, Clock, DatabaseClock
from approvals.protocol.messages import State

NOON = 1_800_000_000 * SECOND


class Ticks:
    """A monotonic clock in a test's hand."""

    def __init__(self):
        self.at = 5 * SECOND

    def __call__(self):
        return self.at

    def forward(self, seconds):
        self.at += round(seconds * SECOND)


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
def database_clock(ticks):
    clock = DatabaseClock(ticks)
    clock.told(NOON, clock.asked())
    return clock


def test_p5_a_database_clock_that_is_set_back_does_not_stop_time(database_clock, ticks):
    ticks.forward(10)
    assert database_clock.told(NOON - 3600 * SECOND, database_clock.asked()) == NOON + 10 * SECOND
    ticks.forward(5)
    assert database_clock.told(NOON - 3595 * SECOND, database_clock.asked()) == NOON + 15 * SECOND
    assert database_clock.now() == NOON + 15 * SECOND


def test_p5_a_database_clock_that_is_set_forward_is_followed(database_clock, ticks):
    ticks.forward(1)
    assert database_clock.told(NOON + 3600 * SECOND, database_clock.asked()) == NOON + 3600 * SECOND
    ticks.forward(1)
    assert database_clock.now() == NOON + 3601 * SECOND


def test_p5_a_process_that_stood_still_before_it_read_the_answer_is_not_ahead_afterwards(database_clock, ticks):
    """SIGSTOP between the database's answer and the look at it: the answer is old, the database's clock is right."""
    for stop in (20, 20, 20):
        asked = database_clock.asked()
        answer = NOON + ticks.at - 5 * SECOND
        ticks.forward(stop)
        assert database_clock.told(answer, asked) == answer + stop * SECOND, "nor behind"
        ticks.forward(1)
        real = NOON + ticks.at - 5 * SECOND
        assert database_clock.told(real, database_clock.asked()) == real


def test_p5_answers_that_come_out_of_order_do_not_move_the_clock(database_clock, ticks):
    """Two threads: the one that asked first looks last."""
    slow, answer = database_clock.asked(), NOON
    ticks.forward(30)
    assert database_clock.told(NOON + 30 * SECOND, database_clock.asked()) == NOON + 30 * SECOND
    assert database_clock.told(answer, slow) == NOON + 30 * SECOND
    ticks.forward(1)
    assert database_clock.told(NOON + 31 * SECOND, database_clock.asked()) == NOON + 31 * SECOND


def test_p5_a_wall_clock_that_is_set_back_goes_on_from_where_it_was(ticks):
    wall = [NOON]
    clock = Clock(lambda: wall[0], ticks)
    assert clock.now() == NOON
    wall[0] -= 7200 * SECOND
    ticks.forward(60)
    assert clock.now() == NOON + 60 * SECOND


def test_p1_a_clock_that_jumps_forward_expires_and_never_approves(house, clock):
    filed = house.file()
    clock.at += 7200 * SECOND  # the wall alone: set by hand, or by NTP
    with pytest.raises(NotPossible):
        house.decide(filed.request_id)
    house.sweep()
    assert house.status(filed.request_id).state is State.EXPIRED
    clock.set_back(7200)
    with pytest.raises(NotPossible):
        house.decide(filed.request_id)
    assert isinstance(house.claim(filed.request_id), NotPossible)
    assert house.rows("SELECT id FROM permission") == []


def test_p1_an_approval_that_ran_out_is_not_claimed_when_the_clock_is_set_back(house, clock, open_house):
    filed = house.file()
    house.decide(filed.request_id)
    clock.forward(3600)
    assert house.sweep() == 1
    clock.set_back(3500)
    for process in (
        house,
        open_house(house.url, type(clock)(), house.keys),
    ):  # and one made anew, whose clock is behind
        assert isinstance(process.claim(filed.request_id), NotPossible)
        assert process.status(filed.request_id).state is State.LAPSED
        process.service.database.stop()
    assert house.rows("SELECT id FROM execution") == []


def test_p1_nothing_is_claimed_after_execute_by_even_while_no_timer_runs(house, clock):
    filed = house.file()
    house.decide(filed.request_id)
    ((execute_by,),) = house.rows("SELECT execute_by FROM request")
    clock.at = execute_by - 1
    second = house.file(house.filing({"order_id": 2, "amount_cents": 1}))
    clock.at = execute_by
    assert isinstance(house.claim(filed.request_id), NotPossible)
    assert house.status(filed.request_id).state is State.LAPSED
    assert house.status(second.request_id).state is State.PENDING


def test_p3_a_process_whose_clock_is_behind_replays_what_another_finished(house, clock, open_house):
    """Its newest request of a call is the one that was filed last, whatever its clock said."""
    ahead, behind = type(clock)(), type(clock)()
    ahead.at += 20 * SECOND
    ahead_house, behind_house = (open_house(house.url, at, house.keys) for at in (ahead, behind))
    first = ahead_house.file()
    ahead_house.withdraw(first.request_id)
    behind.at += SECOND
    second = behind_house.file()
    assert second.created
    assert second.request_id > first.request_id
    behind_house.decide(second.request_id)
    assert behind_house.claim(second.request_id) is None
    behind_house.report(second.request_id)
    again = behind_house.file()
    assert (again.request_id, again.replayed) == (second.request_id, True)
    for process in (ahead_house, behind_house):
        process.service.database.stop()
