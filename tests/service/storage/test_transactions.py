"""What a transaction does beside changing rows: record, wake, tell."""

import pytest

from approvals.service.audit.kinds import Kind
from approvals.service.storage.database import database_at


def test_p8_nothing_is_done_off_the_record_in_a_database_without_a_service(database_url):
    database = database_at(database_url)
    for act in (
        lambda tx: tx.record(Kind.FREEZE_MADE, "test", "all"),
        lambda tx: tx.wake("request"),
        lambda tx: tx.tell("announce", "request"),
    ):
        with pytest.raises(RuntimeError, match="would not be on record"):
            database.write_now(act)


def test_a_transaction_that_fails_wakes_and_records_nothing(scenario):
    woken = []
    scenario.service.bus.subscribe(woken.append, ["some-request"])

    def fail(tx):
        tx.record(Kind.FREEZE_MADE, "test", "none of it")
        tx.wake("some-request")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        scenario.write(fail)
    assert (woken, scenario.events("none of it")) == ([], [])
    scenario.write(lambda tx: tx.wake("some-request"))
    assert woken == ["some-request"]
