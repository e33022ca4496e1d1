"""A process that stops in the middle of a transaction holds nobody up for long, and does nothing late (P3, P4).

It is stopped after a read. Between a write and the COMMIT that follows it at once, PostgreSQL before 17 has no timer.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from approvals.errors import NotPossible, Unavailable
from approvals.protocol.states import Move
from approvals.service.requests.contents import content_of
from approvals.service.storage import postgres_transaction as product


@pytest.fixture
def two(postgres, open_scenario, monkeypatch):
    """Two processes over one database; ten seconds pass as one and a half."""
    monkeypatch.setattr(product, "_BEGIN", product._BEGIN.replace(product.PATIENCE, "1500ms"))
    with postgres.database() as url:
        first = open_scenario(url)
        first.build()
        second = open_scenario(url, first.clock, first.keys)
        yield first, second
        first.service.database.stop()
        second.service.database.stop()


def test_p4_newer_servers_are_asked_to_end_every_stopped_transaction():
    assert "transaction_timeout" in product._begin(170_002)
    assert "transaction_timeout" not in product._begin(160_014), "older ones do not know it"


class Standstill:
    """A transaction that holds a request's row and stops there, the first time that it is run."""

    def __init__(self, scenario, request_id):
        self.holds, self.goes_on = threading.Event(), threading.Event()
        self.scenario, self.request_id, self.runs = scenario, request_id, 0

    def __call__(self, tx):
        self.runs += 1
        transitions = self.scenario.service.transitions
        row = transitions.lock(tx, self.request_id)
        if self.runs == 1:
            self.holds.set()
            assert self.goes_on.wait(20)
        return transitions.move(tx, row, Move.WITHDRAW, "test")


@pytest.mark.slow
def test_p4_a_row_that_a_stopped_process_holds_is_free_again_and_it_does_not_go_on(two):
    first, second = two
    filed = first.file()
    stopped = Standstill(first, filed.request_id)
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(first.write, stopped)
        assert stopped.holds.wait(10)
        try:
            approved = second.decide(filed.request_id)  # waits for the row, and gets it
            assert approved.state == "approved"
            assert second.claim(filed.request_id) is None
        finally:
            stopped.goes_on.set()
        with pytest.raises(NotPossible):
            late.result(10)
    assert stopped.runs == 2, "what was cut off was run again, and met what happened meanwhile"
    assert second.events(filed.request_id)[-2:] == ["request.approved", "request.executing"]


@pytest.mark.slow
def test_p4_a_call_whose_twin_is_being_filed_by_a_stopped_process_is_filed(two):
    first, second = two
    filing = first.filing()
    at = first.installation()
    holds, goes_on, runs = threading.Event(), threading.Event(), []

    def stand_still(tx):
        filed = first.service.filings.file(tx, at, content_of(filing))
        first.service.transitions.get(tx, filed.request_id)
        runs.append(filed)
        if len(runs) == 1:
            holds.set()
            assert goes_on.wait(20)
        return filed

    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(first.write, stand_still)
        assert holds.wait(10)
        try:
            filed = second.file(second.filing())
            assert filed.created
        finally:
            goes_on.set()
        with pytest.raises(Unavailable):  # its COMMIT met no transaction
            late.result(10)
    assert first.file(filing).request_id == filed.request_id, "asked again, it attaches"
    assert len(first.rows("SELECT id FROM request")) == 1


@pytest.mark.slow
def test_p4_a_stopped_sweeper_does_not_keep_others_from_sweeping(two):
    first, second = two
    filed = first.file()
    first.clock.forward(3600)
    holds, goes_on = threading.Event(), threading.Event()

    def stand_still(tx):
        alone = tx.try_lock("expiry")
        if not holds.is_set():
            holds.set()
            assert goes_on.wait(20)
        return alone

    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(first.write, stand_still)
        assert holds.wait(10)
        try:
            until = time.monotonic() + 15
            while not second.sweep():
                assert time.monotonic() < until, "nobody sweeps any more"
                time.sleep(0.05)
            assert second.status(filed.request_id).state == "expired"
            assert second.events(filed.request_id)[-1] == "request.expired"
        finally:
            goes_on.set()
        with pytest.raises(Unavailable):
            late.result(10)
