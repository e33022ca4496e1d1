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
from support.deployment import Deployment
from support.matrix import CASES, Case, table

pytestmark = pytest.mark.databases("both")

COMMITS = {"filing": rb"INSERT INTO request", "decision": rb"INSERT INTO decision"}
COMMITS |= {"claim": rb"INSERT INTO execution", "outcome": rb"UPDATE execution SET finished_at"}
HOLDS = {"looking again": "hold-look", "tool started": "hold-before", "effect done": "hold-after"}
MESSAGES = {
    "filing": rb"^POST /api/v1/requests HTTP",
    "claim": rb"^PUT /api/v1/requests/[^/]+/claim ",
    "outcome": rb"^PUT /api/v1/requests/[^/]+/outcome ",
}


@pytest.fixture(scope="module")
def deployments(request, tmp_path_factory):
    """The deployment on a database, made when it is first asked for."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def deployment_on(database: str) -> Deployment:
            where = ()
            if database == "postgres":
                server = request.getfixturevalue("postgres")
                where = server.place(stack.enter_context(server.database()))
            made = Deployment(tmp_path_factory.mktemp(database), *where)
            stack.callback(made.close)
            return made

        yield deployment_on


PARAMETERS = [pytest.param(case, id=case.name, marks=() if case.fast else pytest.mark.slow) for case in CASES]


@pytest.mark.parametrize("case", PARAMETERS)
async def test_p3_p4_nothing_is_lost_nothing_runs_twice_and_nothing_unapproved(deployments, case: Case):
    deployment = deployments(case.database)
    deployment.next_call()
    try:
        with anyio.fail_after(60):
            if case.who == "database connection":
                await cut_a_commit(deployment, case)
            else:
                await strike(deployment, case)
            answer = await deployment.ask_until_known()
        anew = ["not_executed", "succeeded"]
        assert deployment.states() == list(case.states) or (case.slow and deployment.states() == anew)
        assert deployment.effects() == case.effects
        if case.states == ("unknown",):
            assert answer.startswith("OUTCOME UNKNOWN")
        else:
            assert answer.endswith(f"wrote {deployment.order}")
        ids = [request_id for request_id, _ in deployment.requests()]
        for request_id in ids:
            assert len(deployment.rows("SELECT id FROM execution WHERE request_id = :of", of=request_id)) <= 1
            assert len(deployment.rows("SELECT id FROM decision WHERE request_id = :of", of=request_id)) == 1
    finally:
        deployment.heal()


async def strike(deployment: Deployment, case: Case) -> None:
    """Bring the call to its step, let the fault happen, and have everything run again."""
    async with anyio.create_task_group() as tasks:
        agent = None
        moment, _, part = case.step.partition(" ")
        deployment.front.hurried = case.fault == "SIGSTOP" and (moment == "claim" or case.step == "looking again")
        if case.step == "looking":
            deployment.hold_tool("hold-look")
        held = deployment.front.hold(MESSAGES[moment], after=part == "kept") if part in {"sent", "kept"} else None
        if case.who == "client":
            agent = deployment.start_agent()
        else:
            tasks.start_soon(deployment.ask)
        if moment == "filing":
            await deployment.reach(held)
        elif case.step != "looking":
            request_id = await deployment.until("pending")
        if case.step == "approved":  # a stopped gate cannot claim
            deployment.send(deployment.gate, signal.SIGSTOP)
        if case.step in HOLDS:
            deployment.hold_tool(HOLDS[case.step])
        if moment not in {"filing", "pending"} and case.step != "looking":
            await deployment.approve(request_id)
        if held is not None and moment != "filing":
            await deployment.reach(held)
        if part == "kept":
            await deployment.until({"filing": "pending", "claim": "executing"}.get(moment, "succeeded"))
        elif case.step in {"looking", "looking again", "tool started"}:
            await deployment.until_held()
        elif case.step == "effect done":
            await deployment.until_effect()
        elif case.step in {"approved", "reported"}:
            await deployment.until("approved" if case.step == "approved" else "succeeded")
        acknowledged = [request_id for request_id, _ in deployment.requests()]
        try:
            await FAULTS[case.fault](deployment, case, held, agent)
        finally:
            deployment.heal()  # an agent could not hang up on a gate that stands still
        assert [request_id for request_id, _ in deployment.requests()][: len(acknowledged)] == acknowledged
        tasks.cancel_scope.cancel()


async def kill(deployment, case, held, agent):
    if case.who == "client":
        agent.kill()
    if "gate" in case.who:
        deployment.gate.kill()
    if "service" in case.who or case.who == "replica":
        deployment.kill_service()
    if held is not None and "gate" in case.who:
        deployment.front.release(held) if case.late else deployment.front.drop(held)
        if case.late:
            await deployment.until("executing")
    if "gate" in case.who and deployment.states()[-1:] == ["executing"]:
        deployment.run_out_the_lease()
    deployment.release_tool()
    if held is not None and case.who == "client":
        deployment.front.release(held)
    if "service" in case.who or case.who == "replica":
        deployment.restart_service()
    if "gate" in case.who:
        deployment.gate = deployment.start_gate()
    deployment.send(deployment.gate, signal.SIGCONT)


async def stop(deployment, case, held, agent):
    """The gate stands still for longer than its lease."""
    deployment.send(deployment.gate, signal.SIGSTOP)
    if held is not None and not case.step.startswith("outcome"):
        deployment.front.release(held)  # what was on its way arrives
    if case.step == "claim sent":
        await deployment.until("executing")
    if deployment.states()[-1:] == ["executing"]:
        deployment.run_out_the_lease()
        await deployment.until("unknown")
    deployment.release_tool()
    if held is not None and case.step.startswith("outcome"):
        deployment.front.release(held)
    deployment.send(deployment.gate, signal.SIGCONT)
    if case.step in {"claim sent", "claim kept", "looking again"}:
        await deployment.until("not_executed")
    elif case.step in {"tool started", "effect done", "outcome sent"}:
        await deployment.until("succeeded")


async def cut(deployment, case, held, agent):
    deployment.front.cut()
    deployment.release_tool()
    deployment.send(deployment.gate, signal.SIGCONT)


FAULTS = {"SIGKILL": kill, "SIGSTOP": stop, "cut": cut}


async def cut_a_commit(deployment: Deployment, case: Case) -> None:
    """The connection breaks when the COMMIT is sent: before it arrives, or before its answer does."""
    moment, _, when = case.step.partition(" ")
    held = deployment.sql.hold(COMMITS[moment], after=when == "committed")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(deployment.ask)
        if moment != "filing":
            request_id = await deployment.until("pending")
            tasks.start_soon(deployment.decide, request_id)
        await deployment.reach(held)
        deployment.sql.drop(held)
        if moment == "outcome":
            await deployment.until("succeeded")
        tasks.cancel_scope.cancel()


@pytest.mark.slow
async def test_p3_a_gate_that_stood_still_for_longer_than_start_within_does_not_start(deployments):
    """The same with nothing hurried: the gate's own clock counts the time that it was stopped."""
    deployment = deployments("postgres")
    deployment.next_call()
    held = deployment.front.hold(MESSAGES["claim"], after=True)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(deployment.ask)
            await deployment.approve(await deployment.until("pending"))
            await deployment.reach(held)
            await deployment.until("executing")
            deployment.send(deployment.gate, signal.SIGSTOP)
            deployment.front.release(held)
            over = boot_clock() + START_WITHIN
            while boot_clock() < over:
                await anyio.sleep(0.1)
            deployment.send(deployment.gate, signal.SIGCONT)
            await deployment.until("not_executed")
        assert deployment.effects() == 0
    finally:
        deployment.heal()


def test_the_written_matrix_is_the_one_that_is_tested():
    written = Path(__file__).parents[2] / "docs" / "crash-matrix.md"
    assert written.read_text() == table(), "write it anew: python tests/e2e/print_matrix.py"
    assert len({case.name for case in CASES}) == len(CASES)
