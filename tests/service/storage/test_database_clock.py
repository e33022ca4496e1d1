"""PostgreSQL's own clock, set back and right again under a running service (P3, P7)."""

import contextlib

import psycopg
import pytest

from approvals.instant import SECOND, DatabaseClock
from approvals.protocol.states import State

HOUR = 3600
NEAR = 60 * SECOND
"""What a busy machine may take between two looks."""


class WrongClock:
    """The clock of one database, in a test's hand: `clock_timestamp()` of another schema comes first."""

    def __init__(self, url):
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute("CREATE SCHEMA wrong")
        self._connection.execute("CREATE TABLE wrong.by (span interval)")
        self._connection.execute("INSERT INTO wrong.by VALUES ('0')")
        self._connection.execute(
            "CREATE FUNCTION wrong.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE"
            " AS 'SELECT pg_catalog.clock_timestamp() + span FROM wrong.by'"
        )
        self.url = f"{url}&options=-csearch_path%3Dwrong,pg_catalog,public"

    def set(self, seconds):
        self._connection.execute("UPDATE wrong.by SET span = make_interval(secs => %s)", (seconds,))

    def now(self):
        row = self._connection.execute("SELECT extract(epoch from pg_catalog.clock_timestamp())").fetchone()
        return round(row[0] * SECOND)

    def close(self):
        self._connection.close()


@pytest.fixture
def wrong(postgres):
    with postgres.database() as url, contextlib.closing(WrongClock(url)) as clock:
        yield clock


@pytest.fixture
def process(wrong, open_scenario):
    """Starts another process over this database, with a real clock of its own."""
    started = []

    def start():
        scenario = open_scenario(wrong.url, DatabaseClock(), started[0].keys if started else None)
        scenario.service.database.start()
        if not started:
            scenario.build()
        started.append(scenario)
        return scenario

    yield start
    for scenario in started:
        scenario.service.database.stop()


def looked(scenario):
    """Its time, as a transaction takes it."""
    return scenario.write(lambda tx: tx.now)


def test_p3_p7_a_clock_set_back_and_right_again_moves_neither_deadlines_nor_replay_windows(wrong, process):
    scenario = process()
    waiting = scenario.file(scenario.filing({"order_id": 1, "amount_cents": 5})).request_id
    done = scenario.file().request_id
    scenario.decide(done)
    scenario.claim(done)
    scenario.report(done)
    for _ in range(2):
        wrong.set(-HOUR)
        assert abs(looked(scenario) - wrong.now()) < NEAR
        wrong.set(0)
        assert abs(looked(scenario) - wrong.now()) < NEAR
    scenario.sweep()
    assert scenario.status(waiting).state is State.PENDING
    assert (scenario.file().request_id, scenario.file().replayed) == (done, True)


def test_p3_p7_processes_that_start_before_and_after_the_clock_was_set_back_agree(wrong, process):
    early = process()
    wrong.set(-HOUR)
    early.file()
    late = process()
    times = [looked(scenario) for scenario in (early, late)]
    assert max(abs(time - wrong.now()) for time in times) < NEAR
    wrong.set(0)
    assert max(abs(looked(scenario) - wrong.now()) for scenario in (early, late)) < NEAR


def test_p3_p7_a_process_that_started_behind_goes_on_from_what_another_recorded(wrong, process):
    early = process()
    wrong.set(-HOUR)
    late = process()
    late.service.database.clock = behind = DatabaseClock()  # as if nothing had been recorded when it started
    looked(late)
    assert behind.now() < wrong.now() - HOUR // 2 * SECOND
    request_id = early.file().request_id
    late.decide(request_id)
    assert abs(behind.now() - wrong.now()) < NEAR


def test_p3_p7_two_clocks_behind_one_name_that_disagree_for_a_moment_do_not_add_up(wrong, process):
    """As a fail-over to a copy and back again, with the disagreement in each look."""
    scenarios = process(), process()
    for _ in range(20):
        for scenario in scenarios:
            wrong.set(-2 * HOUR)
            looked(scenario)
            wrong.set(0)
            looked(scenario)
    assert max(abs(looked(scenario) - wrong.now()) for scenario in scenarios) < NEAR


def test_p5_time_starts_from_the_highest_recorded_instant_and_not_from_the_last_events(wrong, process):
    scenario = process()
    scenario.file()
    wrong.set(-HOUR)
    late = process()
    event = "INSERT INTO audit_event (at, kind, actor, subject, payload_hash, key_id, algorithm, mac)"
    scenario.run(f"{event} VALUES (1, 'test.late', 'test', 'test', 'hash', 'key', 'hmac-sha256', 'mac')")
    assert abs(looked(process()) - wrong.now()) < NEAR
    assert abs(looked(late) - wrong.now()) < NEAR
