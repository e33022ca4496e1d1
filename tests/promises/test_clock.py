"""Clocks that jump, stand still or disagree never approve, never execute and never revive (P3, P5)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from approvals.errors import NotPossible
from approvals.instant import SECOND, STEP, Clock, Course, DatabaseClock, Reading, followed
from approvals.protocol.states import State

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


def test_p3_p7_a_database_clock_that_is_set_back_and_right_again_leaves_nothing_behind(database_clock, ticks):
    for _ in range(3):
        ticks.forward(10)
        before = database_clock.told(NOON + ticks.at - 5 * SECOND, database_clock.asked())
        ticks.forward(10)
        assert database_clock.told(before - 3600 * SECOND, database_clock.asked()) == before + 10 * SECOND
        ticks.forward(10)
        right = NOON + ticks.at - 5 * SECOND
        assert database_clock.told(right, database_clock.asked()) == right == before + 20 * SECOND


def test_p3_p7_a_database_clock_that_is_brought_right_little_by_little_does_not_carry_time_along(database_clock, ticks):
    behind = 60 * SECOND
    while behind:
        behind -= SECOND // 2
        ticks.forward(10)
        right = NOON + ticks.at - 5 * SECOND
        assert 0 <= right - database_clock.told(right - behind, database_clock.asked()) <= STEP
    assert database_clock.now() == right


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


SPANS = st.integers(0, 6 * 3600 * SECOND)
WAYS = st.integers(0, STEP // 2)
DEEDS = st.one_of(
    st.tuples(st.just("pass"), SPANS),
    st.tuples(st.just("set"), st.integers(-6 * 3600 * SECOND, 6 * 3600 * SECOND)),
    st.tuples(st.just("look"), st.integers(0, 2), WAYS, WAYS),
    st.tuples(st.just("stop"), st.integers(0, 2), SPANS),
    st.tuples(st.just("record"), st.integers(0, 2)),
    st.tuples(st.just("restart"), st.integers(0, 2)),
)


class ThreeProcesses:
    """Over one database, whose clock is wrong by `error`."""

    def __init__(self):
        self.time, self.error, self.worst, self.recorded = 0, 0, 0, 0
        self.clocks, self.shown = [None, None, None], [0, 0, 0]
        for number in range(3):
            self.restart(number)

    def now(self):
        return NOON + self.time

    def pass_(self, span):
        self.time += span

    def set(self, error):
        self.error, self.worst = error, max(self.worst, error)

    def look(self, number, there, back):
        asked = self.clocks[number].asked()
        self.time += there
        said = self.now() + self.error
        self.time += back
        self.clocks[number].told(said, asked)

    def stop(self, number, span):
        """It stood still between the answer and the look at it."""
        self.look(number, 0, span)

    def record(self, number):
        self.recorded = max(self.recorded, self.clocks[number].now())

    def restart(self, number):
        self.clocks[number], self.shown[number] = DatabaseClock(lambda: 5 * SECOND + self.time), 0
        self.look(number, 0, 0)
        self.clocks[number].not_below(self.recorded)

    def check(self):
        for number, clock in enumerate(self.clocks):
            now = clock.now()
            assert now >= self.shown[number], "it runs forward only"
            assert now <= self.now() + self.worst, "ahead by no more than what is left of a set-back"
            self.shown[number] = now


@given(st.lists(DEEDS, max_size=40), WAYS, WAYS)
def test_p3_p5_p7_processes_that_follow_a_clock_which_jumps_agree_with_it_once_it_is_right(deeds, there, back):
    processes = ThreeProcesses()
    for deed, *facts in deeds:
        getattr(processes, {"pass": "pass_"}.get(deed, deed))(*facts)
        processes.check()
    processes.set(processes.worst)
    for number in (0, 1, 2):
        processes.look(number, there, back)
    processes.check()
    for now in processes.shown:
        assert abs(processes.now() + processes.error - now) <= 3 * STEP


@given(st.lists(st.tuples(SPANS, st.integers(-6 * 3600 * SECOND, 6 * 3600 * SECOND)), min_size=1))
@example([(0, -1), (0, -1_000_001)])
def test_p5_a_clock_that_is_set_back_costs_a_step_of_time_at_most(readings):
    """Each time: what is less than a STEP is drift, which is followed."""
    course, ticks, most = Course(NOON, 0), 0, 0
    for span, error in readings:
        ticks, most = ticks + span, max(most, error)
        before = course.on(ticks)
        course = followed(course, Reading(NOON + ticks + error, ticks, ticks))
        assert course.on(ticks) >= before - STEP
        assert course.on(ticks) <= NOON + ticks + most


def test_p5_a_wall_clock_that_is_set_back_goes_on_from_where_it_was(ticks):
    wall = [NOON]
    clock = Clock(lambda: wall[0], ticks)
    assert clock.now() == NOON
    wall[0] -= 7200 * SECOND
    ticks.forward(60)
    assert clock.now() == NOON + 60 * SECOND


def test_p1_a_clock_that_jumps_forward_expires_and_never_approves(scenario, clock):
    filed = scenario.file()
    clock.at += 7200 * SECOND  # the wall alone: set by hand, or by NTP
    with pytest.raises(NotPossible):
        scenario.decide(filed.request_id)
    scenario.sweep()
    assert scenario.status(filed.request_id).state is State.EXPIRED
    clock.set_back(7200)
    with pytest.raises(NotPossible):
        scenario.decide(filed.request_id)
    assert isinstance(scenario.claim(filed.request_id), NotPossible)
    assert scenario.rows("SELECT id FROM permission") == []


def test_p1_an_approval_that_ran_out_is_not_claimed_when_the_clock_is_set_back(scenario, clock, open_scenario):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    clock.forward(3600)
    assert scenario.sweep() == 1
    clock.set_back(3500)
    for process in (
        scenario,
        open_scenario(scenario.url, type(clock)(), scenario.keys),
    ):  # and one made anew, whose clock is behind
        assert isinstance(process.claim(filed.request_id), NotPossible)
        assert process.status(filed.request_id).state is State.LAPSED
        process.service.database.stop()
    assert scenario.rows("SELECT id FROM execution") == []


def test_p1_nothing_is_claimed_after_execute_by_even_while_no_timer_runs(scenario, clock):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    ((execute_by,),) = scenario.rows("SELECT execute_by FROM request")
    clock.at = execute_by - 1
    second = scenario.file(scenario.filing({"order_id": 2, "amount_cents": 1}))
    clock.at = execute_by
    assert isinstance(scenario.claim(filed.request_id), NotPossible)
    assert scenario.status(filed.request_id).state is State.LAPSED
    assert scenario.status(second.request_id).state is State.PENDING


def test_p3_a_process_whose_clock_is_behind_replays_what_another_finished(scenario, clock, open_scenario):
    """Its newest request of a call is the one that was filed last, whatever its clock said."""
    ahead, behind = type(clock)(), type(clock)()
    ahead.at += 20 * SECOND
    ahead_scenario, behind_scenario = (open_scenario(scenario.url, at, scenario.keys) for at in (ahead, behind))
    first = ahead_scenario.file()
    ahead_scenario.withdraw(first.request_id)
    behind.at += SECOND
    second = behind_scenario.file()
    assert second.created
    assert second.request_id > first.request_id
    behind_scenario.decide(second.request_id)
    assert behind_scenario.claim(second.request_id) is None
    behind_scenario.report(second.request_id)
    again = behind_scenario.file()
    assert (again.request_id, again.replayed) == (second.request_id, True)
    for process in (ahead_scenario, behind_scenario):
        process.service.database.stop()
