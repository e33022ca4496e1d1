"""PostgreSQL runs transactions at once: what one of them has read, another may change before it commits."""

import asyncio
import contextlib
import select
import threading

import psycopg
import pytest
from pydantic import ValidationError
from sqlalchemy import text

from approvals.errors import Duplicate, Unauthenticated, Unavailable
from approvals.protocol.messages import CallRecord, CallRecords, Filing, Outcome
from approvals.protocol.registration import Annotations, ToolDefinition
from approvals.service.audit import chain
from approvals.service.identity import credentials, roles, servers, sessions, sign_in_links, users
from approvals.service.identity.admins import Operator
from approvals.service.identity.servers import agent_named
from approvals.service.realtime.bus import EVERYTHING
from approvals.service.service import Service
from approvals.service.storage import postgres as postgres_module
from approvals.service.storage import postgres_transaction
from approvals.service.storage.database import database_at
from approvals.service.storage.postgres_transaction import PostgresTransaction
from approvals.service.storage.statements import Statement
from approvals.service.tasks import watch_gates
from approvals_web.api import events

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def database_url(postgres):
    with postgres.database() as url:
        yield url


class Between:
    """Runs `other` in a thread when `owner.name` is first called, as far as it gets: to its end, or to a lock."""

    def __init__(self, scenario, monkeypatch, owner, name, other):
        self._scenario = scenario
        self._other = other
        self._thread = None
        self.error = None
        real = getattr(owner, name)

        def interrupted(*args, **kwargs):
            if self._thread is None:
                self._begin()
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, interrupted)

    def _begin(self):
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        while self._thread.is_alive() and self._scenario.rows(WAITING) == [(0,)]:
            self._thread.join(0.01)

    def _run(self):
        try:
            self._other()
        except Exception as error:
            self.error = error

    def finish(self):
        assert self._thread is not None, "nothing happened between"
        self._thread.join(15)
        assert not self._thread.is_alive()


@pytest.fixture
def between(scenario, monkeypatch):
    def start(owner, name, other):
        return Between(scenario, monkeypatch, owner, name, other)

    return start


def calls(first, last):
    return tuple(
        CallRecord(number=number, ago=0, method="tools/call", outcome="ok") for number in range(first, last + 1)
    )


def record(scenario, last, *, first=1, closed=False):
    batch = CallRecords(session=scenario.session, calls=calls(first, last), high_water=last, closed=closed)
    at = scenario.installation()
    return scenario.write(lambda tx: scenario.service.calls.record(tx, at, batch))


def test_p8_a_report_that_came_twice_at_once_is_kept_once_and_counts_never_back(scenario, between):
    """A gate that got no answer in time says it again, and more, to another replica."""
    meanwhile = between(scenario.service.log, "append", lambda: record(scenario, 5))
    record(scenario, 3)
    meanwhile.finish()
    assert meanwhile.error is None
    assert scenario.rows("SELECT recorded FROM gate_session") == [(5,)]
    kept = scenario.rows(
        "SELECT p.body FROM audit_event e JOIN audit_payload p USING (payload_hash) WHERE kind = 'calls.recorded'"
    )
    assert sum(body.count('"number"') for (body,) in kept) == 5


def test_p8_a_gate_that_fell_silent_is_lost_once_on_record(scenario, between):
    scenario.clock.forward(100)
    expiry = scenario.service.expiry
    meanwhile = between(scenario.service.log, "append", lambda: scenario.write(expiry.lose_silent))
    scenario.write(expiry.lose_silent)
    meanwhile.finish()
    lost = "SELECT count(*) FROM audit_event WHERE kind = 'session.lost'"
    assert scenario.rows(lost) == [(1,)]


def test_p8_a_gate_that_speaks_up_while_it_is_declared_lost_is_not(scenario, monkeypatch):
    scenario.clock.forward(100)
    expiry, real = scenario.service.expiry, PostgresTransaction.all

    def late(self, statement, **parameters):
        rows = real(self, statement, **parameters)
        monkeypatch.setattr(PostgresTransaction, "all", real)
        record(scenario, 1)
        return rows

    monkeypatch.setattr(PostgresTransaction, "all", late)
    scenario.write(expiry.lose_silent)
    assert scenario.rows("SELECT lost_at FROM gate_session") == [(None,)]


def test_p1_two_gates_that_register_at_once_loosen_nothing_unseen(scenario, between):
    """Each definition is compared with the one that stands when its turn comes."""
    read = Annotations(read_only=True)
    hashes = scenario.register(scenario.tool(annotations=read)).tools["refund_order"].tool_hash
    scenario.accept("refund_order", hashes)
    careful = scenario.tool(annotations=Annotations(), description="It writes after all.")
    loose = scenario.tool(annotations=read, description="A new text.")
    meanwhile = between(scenario.service.offers, "_loosens", lambda: scenario.register(careful, session="session-0002"))
    scenario.register(loose, session="session-0003")
    meanwhile.finish()
    assert meanwhile.error is None
    accepted = scenario.rows(
        "SELECT body FROM tool JOIN tool_definition ON tool_hash = accepted_hash WHERE tool.name = 'refund_order'"
    )
    verdicts = scenario.register(loose, session="session-0004").tools["refund_order"].verdict
    assert '"read_only":true' not in accepted[0][0] and verdicts == "ask"


def test_p1_an_acceptance_is_not_undone_by_a_registration_at_the_same_moment(scenario, between):
    offered = scenario.tool(annotations=Annotations(read_only=True))
    hashes = scenario.register(offered).tools["refund_order"].tool_hash
    other = scenario.tool(annotations=Annotations(read_only=True), description="Another text.")
    meanwhile = between(scenario.service.offers, "_loosens", lambda: scenario.accept("refund_order", hashes))
    scenario.register(other, session="session-0002")
    meanwhile.finish()
    (row,) = scenario.rows("SELECT accepted_hash, offered_hash FROM tool WHERE name = 'refund_order'")
    if meanwhile.error is None:
        assert row[0] == hashes
    else:
        assert row[1] == other_hash(scenario, other)


def other_hash(scenario, definition):
    return scenario.register(definition, session="session-0009").tools[definition.name].tool_hash


def test_p1_of_two_set_up_links_one_makes_the_first_account(scenario, between):
    """Each replica prints one while there is no account."""
    scenario.run("DELETE FROM handle")
    scenario.run("DELETE FROM user_account")
    links = [
        scenario.write(lambda tx: sign_in_links.make(tx, Operator("serve"), "setup", roles="admin reviewer"))
        for _ in range(2)
    ]

    def spend(number):
        def work(tx):
            sign_in_links.spend(tx, links[number])
            name = f"first{number}"
            users.add(tx, "link", subject=name, name=name, roles="admin reviewer", password_hash="x")

        scenario.write(work)

    meanwhile = between(users, "add", lambda: spend(1))
    spend(0)
    meanwhile.finish()
    assert isinstance(meanwhile.error, Unauthenticated)
    assert scenario.rows("SELECT subject FROM user_account") == [("first0",)]


def test_p1_whoever_takes_the_role_of_an_invitations_maker_waits_until_it_is_spent(scenario, between):
    ann = scenario.person("ann")
    token = scenario.write(lambda tx: sign_in_links.make(tx, ann, "invite", name="eve", roles="admin"))

    def demote():
        scenario.write(lambda tx: roles.set_roles(tx, users.find(tx, ann.id), "reviewer", Operator("test")))

    meanwhile = between(scenario.service.log, "append", demote)
    scenario.write(lambda tx: sign_in_links.spend(tx, token))
    meanwhile.finish()
    assert meanwhile.error is None
    order = scenario.rows("SELECT kind FROM audit_event WHERE kind IN ('link.spent', 'user.roles_set') ORDER BY id")
    assert order == [("link.spent",), ("user.roles_set",)]


def test_p1_two_keys_made_at_once_leave_two_that_count(scenario, between):
    agent = scenario.read(lambda reader: agent_named(reader, "scout"))

    def rotate():
        scenario.write(lambda tx: servers.rotate(tx, Operator("test"), "agent", agent))

    meanwhile = between(credentials.secrets, "token_hex", rotate)
    rotate()
    meanwhile.finish()
    assert meanwhile.error is None
    assert len(scenario.read(lambda reader: credentials.live(reader, "agent", agent.id))) == 2


def test_p1_two_installations_made_at_once_have_not_one_label(scenario, between):
    """Whoever revokes a label would leave the other one's key alive."""
    meanwhile = between(servers.ids, "new", lambda: scenario.add_server("shop", "second"))
    with contextlib.suppress(Duplicate):
        scenario.add_server("shop", "second")
    meanwhile.finish()
    assert scenario.rows("SELECT count(*) FROM installation WHERE label = 'second'") == [(1,)]


@pytest.fixture
def revoked(scenario):
    """Ways to take back what a claim rests on."""

    def server():
        at = scenario.installation()
        scenario.write(lambda tx: servers.revoke(tx, Operator("test"), "installation", at))

    def person():
        user = scenario.person().id
        scenario.write(lambda tx: roles.disable(tx, user, Operator("test")))

    return {"server": server, "agent": scenario.revoke_agent, "person": person}


@pytest.mark.parametrize("what", ["server", "agent", "person"])
def test_p1_nothing_is_claimed_after_what_it_rests_on_was_taken_back(scenario, between, revoked, what):
    """Not even by a claim that looked just before: whoever revokes waits for it, and is then told that it is done."""
    filed = scenario.file()
    scenario.decide(filed.request_id)
    meanwhile = between(scenario.service.claims, "_start", revoked[what])
    assert scenario.claim(filed.request_id) is None
    meanwhile.finish()
    assert meanwhile.error is None
    kinds = [kind for (kind,) in scenario.rows("SELECT kind FROM audit_event ORDER BY id")]
    revoking = {"server": "installation.revoked", "agent": "agent.revoked", "person": "user.disabled"}[what]
    assert kinds.index("request.executing") < kinds.index(revoking)


def test_p1_an_installation_revoked_while_its_claim_waited_claims_nothing(scenario, between, revoked):
    """The key was looked at before the claim had its turn."""
    filed = scenario.file()
    scenario.decide(filed.request_id)
    meanwhile = between(scenario.service.transitions, "lock", revoked["server"])
    assert isinstance(scenario.claim(filed.request_id), Unauthenticated)
    meanwhile.finish()
    assert scenario.status(filed.request_id).state == "revoked"


# What nobody announced: the slow poll.


def poll(scenario, seen):
    """One round; what it woke."""
    woken = []
    seen.bus.subscribe(woken.append, [EVERYTHING])
    seen.replicas.take(scenario.read(seen.replicas.changes))
    seen.bus.unsubscribe(woken.append, [EVERYTHING])
    return set(woken)


@pytest.fixture
def deaf(scenario):
    """Another process that hears nothing."""
    return Service(scenario.service.database, scenario.service.keyring, "http://127.0.0.1:8700")


def copies(scenario, number, changed_at):
    """As many requests like the first one."""
    first = scenario.rows("SELECT id FROM request LIMIT 1")[0][0]
    columns = [
        name
        for (name,) in scenario.rows("SELECT column_name FROM information_schema.columns WHERE table_name = 'request'")
    ]
    other = {"id": "'copy-' || lpad(n::text, 6, '0')", "attach_key": "NULL", "changed_at": changed_at}
    values = ", ".join(other.get(name, f'"{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    every = f"request, generate_series(1, {number}) n WHERE id = '{first}'"
    scenario.run(f"INSERT INTO request ({names}) SELECT {values} FROM {every}")


def test_p4_the_poll_comes_through_a_crowd(scenario, deaf):
    """However much changed within the time that it looks back."""
    scenario.file()
    assert poll(scenario, deaf)
    copies(scenario, 3000, f"{scenario.clock.now()} + n")
    for _ in range(4):
        scenario.clock.forward(2)
        poll(scenario, deaf)
    scenario.clock.forward(60)
    poll(scenario, deaf)
    late = scenario.file(scenario.filing({"order_id": 7}))
    assert poll(scenario, deaf) == {late.request_id}


def test_p4_the_poll_comes_through_a_crowd_that_waits_for_one_request(scenario, deaf):
    filed = scenario.file()
    scenario.run(
        "INSERT INTO waiting_call (session_id, call_id, request_id, arrived_at) "
        f"SELECT '{scenario.session}', 'call-' || n, '{filed.request_id}', 1 FROM generate_series(1, 2000) n"
    )
    for _ in range(4):
        poll(scenario, deaf)
    scenario.clock.forward(1)
    late = scenario.file(scenario.filing({"order_id": 7}))
    assert poll(scenario, deaf) == {late.request_id}


def test_p4_a_process_that_starts_in_a_quiet_hour_does_not_walk_through_all_of_history(scenario, deaf):
    scenario.file()
    copies(scenario, 3000, f"{scenario.clock.now()} + n * 1000000::bigint")
    scenario.clock.forward(7200)
    for _ in range(3):
        assert poll(scenario, deaf) == set()
    late = scenario.file(scenario.filing({"order_id": 7}))
    assert poll(scenario, deaf) == {late.request_id}


async def test_p4_a_word_that_makes_no_sense_does_not_end_the_listening(scenario, until):
    heard = []
    service = scenario.service
    service.bus.subscribe(heard.append, [EVERYTHING])
    listening = asyncio.create_task(service.database.listen(service.replicas.hear, lambda: heard.append("ready")))
    await until(lambda: "ready" in heard)
    for words in ("wake", "wake one two", "follow", "later-invented a b", ""):
        scenario.run(f"SELECT pg_notify('approvals', 'other {words}')")
    scenario.run("SELECT pg_notify('approvals', 'other wake something')")
    await until(lambda: "something" in heard or listening.done())
    assert not listening.done()
    listening.cancel()


# What PostgreSQL takes otherwise than SQLite.


def test_p8_a_tools_name_cannot_break_the_chain(scenario):
    """PostgreSQL keeps no U+0000, and an event's MAC covers what it says."""
    with contextlib.suppress(ValidationError):
        like = scenario.tool().model_dump()
        scenario.register(ToolDefinition(**(like | {"name": "a\0b"})), session="session-0002")
    scenario.file()
    key = scenario.service.keyring.audit
    while scenario.write(lambda tx: chain.link(tx, key)):
        pass
    found = scenario.read(lambda reader: chain.verify(reader, key))
    assert (found.finding, found.unlinked) == (None, 0)


def test_p8_events_that_are_not_ours_do_not_keep_others_from_the_chain(scenario):
    scenario.run(
        "INSERT INTO audit_event (at, kind, actor, subject, payload_hash, key_id, algorithm, mac) "
        "SELECT 1, 'forged', 'x', 'x', 'hash-' || n, 'x', 'x', 'x' FROM generate_series(1, 600) n"
    )
    filed = scenario.file()
    key = scenario.service.keyring.audit
    while scenario.write(lambda tx: chain.link(tx, key)):
        pass
    linked = "SELECT count(*) FROM audit_link JOIN audit_event e ON e.id = event_id WHERE subject = :id"
    assert scenario.rows(linked, id=filed.request_id) == [(1,)]


@pytest.mark.parametrize(
    "model, field", [(Filing, "hidden"), (CallRecords, "high_water"), (Outcome, "duration_ms"), (CallRecord, "number")]
)
def test_numbers_that_no_column_holds_are_refused(model, field):
    with pytest.raises(ValidationError) as refused:
        model.model_validate({field: 2**63})
    assert (field,) in [error["loc"] for error in refused.value.errors()]


def test_the_largest_numbers_are_kept(scenario):
    largest = {
        model: max(m.le for m in model.model_fields[field].metadata if hasattr(m, "le"))
        for model, field in ((Filing, "hidden"), (CallRecords, "high_water"), (Outcome, "duration_ms"))
    }
    filed = scenario.file(scenario.filing(hidden=largest[Filing]))
    batch = CallRecords(session=scenario.session, high_water=largest[CallRecords])
    scenario.write(lambda tx: scenario.service.calls.record(tx, scenario.installation(), batch))
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.report(filed.request_id, duration_ms=largest[Outcome])


# A connection that ends.


def test_p3_a_transaction_that_was_committed_as_the_server_stopped_is_not_run_again(scenario, monkeypatch):
    """A backend that is told to end while its commit reaches the disk commits, and then says 57P01."""
    real, runs = PostgresTransaction.commit, []

    def ended(self, origin):
        real(self, origin)
        raise psycopg.errors.AdminShutdown("terminating connection due to administrator command")

    def work(tx):
        runs.append(tx)
        tx.record("test.once", "test", "once")

    monkeypatch.setattr(PostgresTransaction, "commit", ended)
    with pytest.raises(Unavailable):
        scenario.write(work)
    monkeypatch.setattr(PostgresTransaction, "commit", real)
    assert len(runs) == 1
    assert scenario.events("once") == ["test.once"]


def test_p5_a_process_that_stopped_too_long_in_a_transaction_hears_unavailable(scenario, monkeypatch):
    quick = postgres_transaction._BEGIN.replace("'10s'", "'100ms'")
    monkeypatch.setattr(postgres_transaction, "_begin", lambda version: quick)
    filed = scenario.file()

    def slow(tx):
        scenario.service.transitions.lock(tx, filed.request_id)
        assert select.select([tx._connection], [], [], 60)[0]  # until the server has ended it
        tx.record("test.slow", "test", "slow")

    with pytest.raises(Unavailable):
        scenario.write(slow)
    assert scenario.events("slow") == []


def test_p4_a_server_that_commits_lazily_commits_ours_to_the_disk(scenario):
    (name,) = scenario.rows("SELECT current_database()")[0]
    scenario.run(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    fresh = database_at(scenario.url, scenario.clock)
    setting = Statement(text("SELECT current_setting('synchronous_commit') AS value"))
    assert fresh.write_now(lambda tx: tx.one(setting).value) == "on"
    fresh.stop()


def test_pages_take_so_many_connections_and_no_more(scenario):
    """A server has a hundred for all processes; pages read in forty threads."""
    database, slow = scenario.service.database, Statement(text("SELECT pg_sleep(0.2)"))
    threads = [threading.Thread(target=lambda: database.read_now(lambda r: r.one(slow))) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(database._free) <= postgres_module.THREADS


async def test_replicas_write_down_what_they_saw_in_one_order(scenario, monkeypatch):
    """Each has seen much the same, and each would hold what the other one needs."""
    written = []
    monkeypatch.setattr(credentials, "used", lambda tx, credential: written.append(credential))
    monkeypatch.setattr(sessions, "touch", lambda tx, session: written.append(session))
    for number in range(50):
        scenario.service.activity.used(f"key-{number}")
        scenario.service.activity.browsing(f"session-{number}")
    scenario.service.database.start()
    await watch_gates(scenario.service)
    assert written == [*sorted(written[:50]), *sorted(written[50:])]


async def test_a_busy_stream_renews_the_verdict_lease_all_the_same(served, scenario, monkeypatch):
    monkeypatch.setattr(events, "RENEW_SECONDS", 0.5)
    filed = scenario.file()
    body = {"session": scenario.session, "waiting": [filed.request_id]}
    async with served.client() as gate, gate.stream("POST", "/requests/events", json=body, timeout=30) as stream:
        leases = told = 0
        async for line in stream.aiter_lines():
            leases += line == "event: lease"
            told += line == "event: request"
            if leases == 2 or told == 5000:
                break
            scenario.service.bus.wake(filed.request_id)
    assert leases == 2
