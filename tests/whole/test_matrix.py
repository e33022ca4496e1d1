"""Every step of a call's life, every fault and everybody it can hit, with real processes; then the agent asks again.
Nothing acknowledged is lost, nothing runs twice or unapproved, and what cannot be known is called unknown (P3, P4)."""

import contextlib
import functools
import signal
from pathlib import Path

import anyio
import pytest

from approvals.clock import boot_clock
from approvals.service.requests.claims import START_WITHIN
from support.deployment import Stage
from support.matrix import CASES, Case, table

pytestmark = pytest.mark.databases("both")

COMMITS = {"filing": rb"INSERT INTO request", "decision": rb"INSERT INTO decision"}
COMMITS |= {"claim": rb"INSERT INTO execution", "outcome": rb"UPDATE execution SET finished_at"}
MESSAGES = {
    "filing": rb"^POST /api/v1/requests HTTP",
    "claim": rb"^PUT /api/v1/requests/[^/]+/claim ",
    "outcome": rb"^PUT /api/v1/requests/[^/]+/outcome ",
}


@pytest.fixture(scope="module")
def stages(request, tmp_path_factory):
    """The stage on a database, made when it is first asked for."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def stage_on(database: str) -> Stage:
            where = ()
            if database == "postgres":
                server = request.getfixturevalue("postgres")
                where = server.place(stack.enter_context(server.database()))
            made = Stage(tmp_path_factory.mktemp(database), *where)
            stack.callback(made.close)
            return made

        yield stage_on


PARAMETERS = [pytest.param(case, id=case.name, marks=() if case.fast else pytest.mark.slow) for case in CASES]


@pytest.mark.parametrize("case", PARAMETERS)
async def test_p3_p4_nothing_is_lost_nothing_runs_twice_and_nothing_unapproved(stages, case: Case):
    stage = stages(case.database)
    stage.next_call()
    try:
        with anyio.fail_after(60):
            if case.who == "database connection":
                await cut_a_commit(stage, case)
            else:
                await strike(stage, case)
            answer = await stage.ask_until_known()
        anew = ["not_executed", "succeeded"]
        assert stage.states() == list(case.states) or (case.slow and stage.states() == anew)
        assert stage.effects() == case.effects
        if case.states == ("unknown",):
            assert answer.startswith("OUTCOME UNKNOWN")
        else:
            assert answer.endswith(f"wrote {stage.order}")
        ids = [request_id for request_id, _ in stage.requests()]
        for request_id in ids:
            assert len(stage.rows("SELECT id FROM execution WHERE request_id = :of", of=request_id)) <= 1
            assert len(stage.rows("SELECT id FROM decision WHERE request_id = :of", of=request_id)) == 1
    finally:
        stage.heal()


async def strike(stage: Stage, case: Case) -> None:
    """Bring the call to its step, let the fault happen, and have everything run again."""
    async with anyio.create_task_group() as tasks:
        agent = None
        moment, _, part = case.step.partition(" ")
        stage.front.hurried = case.fault == "SIGSTOP" and moment == "claim"
        held = stage.front.hold(MESSAGES[moment], after=part == "kept") if part in {"sent", "kept"} else None
        if case.who == "client":
            agent = stage.start_agent()
        else:
            tasks.start_soon(stage.ask)
        if moment == "filing":
            await stage.reach(held)
        else:
            request_id = await stage.until("pending")
        if case.step == "approved":  # a stopped gate cannot claim
            stage.send(stage.gate, signal.SIGSTOP)
        if case.step in {"tool started", "effect done"}:
            stage.hold_tool("hold-before" if case.step == "tool started" else "hold-after")
        if moment not in {"filing", "pending"}:
            await stage.approve(request_id)
        if held is not None and moment != "filing":
            await stage.reach(held)
        if part == "kept":
            await stage.until({"filing": "pending", "claim": "executing"}.get(moment, "succeeded"))
        elif case.step == "tool started":
            await stage.until_held()
        elif case.step == "effect done":
            await stage.until_effect()
        elif case.step in {"approved", "reported"}:
            await stage.until("approved" if case.step == "approved" else "succeeded")
        acknowledged = [request_id for request_id, _ in stage.requests()]
        try:
            await FAULTS[case.fault](stage, case, held, agent)
        finally:
            stage.heal()  # an agent could not hang up on a gate that stands still
        assert [request_id for request_id, _ in stage.requests()][: len(acknowledged)] == acknowledged
        tasks.cancel_scope.cancel()


async def kill(stage, case, held, agent):
    if case.who == "client":
        agent.kill()
    if "gate" in case.who:
        stage.gate.kill()
    if "service" in case.who or case.who == "replica":
        stage.kill_service()
    if held is not None and "gate" in case.who:
        stage.front.release(held) if case.late else stage.front.drop(held)
        if case.late:
            await stage.until("executing")
    if "gate" in case.who and stage.states()[-1:] == ["executing"]:
        stage.run_out_the_lease()
    stage.release_tool()
    if held is not None and case.who == "client":
        stage.front.release(held)
    if "service" in case.who or case.who == "replica":
        stage.restart_service()
    if "gate" in case.who:
        stage.gate = stage.start_gate()
    stage.send(stage.gate, signal.SIGCONT)


async def stop(stage, case, held, agent):
    """The gate stands still for longer than its lease."""
    stage.send(stage.gate, signal.SIGSTOP)
    if held is not None and not case.step.startswith("outcome"):
        stage.front.release(held)  # what was on its way arrives
    if case.step == "claim sent":
        await stage.until("executing")
    if stage.states()[-1:] == ["executing"]:
        stage.run_out_the_lease()
        await stage.until("unknown")
    stage.release_tool()
    if held is not None and case.step.startswith("outcome"):
        stage.front.release(held)
    stage.send(stage.gate, signal.SIGCONT)
    if case.step in {"claim sent", "claim kept"}:
        await stage.until("not_executed")
    elif case.step in {"tool started", "effect done", "outcome sent"}:
        await stage.until("succeeded")


async def cut(stage, case, held, agent):
    stage.front.cut()
    stage.release_tool()
    stage.send(stage.gate, signal.SIGCONT)


FAULTS = {"SIGKILL": kill, "SIGSTOP": stop, "cut": cut}


async def cut_a_commit(stage: Stage, case: Case) -> None:
    """The connection breaks when the COMMIT is sent: before it arrives, or before its answer does."""
    moment, _, when = case.step.partition(" ")
    held = stage.sql.hold(COMMITS[moment], after=when == "committed")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.ask)
        if moment != "filing":
            request_id = await stage.until("pending")
            tasks.start_soon(stage.decide, request_id)
        await stage.reach(held)
        stage.sql.drop(held)
        if moment == "outcome":
            await stage.until("succeeded")
        tasks.cancel_scope.cancel()


@pytest.mark.slow
async def test_p3_a_gate_that_stood_still_for_longer_than_start_within_does_not_start(stages):
    """The same with nothing hurried: the gate's own clock counts the time that it was stopped."""
    stage = stages("postgres")
    stage.next_call()
    held = stage.front.hold(MESSAGES["claim"], after=True)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.ask)
            await stage.approve(await stage.until("pending"))
            await stage.reach(held)
            await stage.until("executing")
            stage.send(stage.gate, signal.SIGSTOP)
            stage.front.release(held)
            over = boot_clock() + START_WITHIN
            while boot_clock() < over:
                await anyio.sleep(0.1)
            stage.send(stage.gate, signal.SIGCONT)
            await stage.until("not_executed")
        assert stage.effects() == 0
    finally:
        stage.heal()


def test_the_written_matrix_is_the_one_that_is_tested():
    written = Path(__file__).parents[2] / "docs" / "crash-matrix.md"
    assert written.read_text() == table(), "write it anew: python tests/whole/print_matrix.py"
    assert len({case.name for case in CASES}) == len(CASES)
