"""SIGKILL of the service, of the gate and of both, between every pair of steps of a call; then a restart, and the agent
asks again. Nothing acknowledged is lost, nothing runs twice, and what cannot be known is called unknown (P3, P4)."""

import contextlib
import itertools
import os
import signal
import sqlite3
from dataclasses import dataclass

import anyio
import effects
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from processes import Child, Installed, free_port

STEPS = ["pending", "approved", "claimed", "effected", "reported"]
KILLED = ["service", "gate", "service and gate"]
FAST = {("pending", "service and gate"), ("effected", "service"), ("effected", "gate")}
MATRIX = [
    pytest.param(step, killed, marks=() if (step, killed) in FAST else pytest.mark.slow)
    for step, killed in itertools.product(STEPS, KILLED)
]
ARGUMENTS = {"order_id": 7}


@dataclass
class Stage:
    """One service, one gated server over HTTP, one reviewer, one agent."""

    product: Installed
    service: Child
    gate: Child
    reviewer: httpx2.Client
    keys: dict[str, str]
    port: int

    @property
    def effects(self) -> list[str]:
        log = self.product.folder / "effects.log"
        return log.read_text().splitlines() if log.exists() else []

    def start_gate(self) -> None:
        self.gate = self.product.start(
            (effects.__file__, str(self.port)),
            APPROVALS_URL=self.product.url,
            APPROVALS_SERVER_KEY=self.keys["server"],
            EFFECTS=str(self.product.folder / "effects.log"),
        )

    def kill(self, who: str) -> None:
        if "service" in who:
            self.service.kill()
        if "gate" in who:
            self.gate.kill()

    def restart(self, who: str) -> None:
        if "service" in who:
            self.service = self.product.serve()
        if "gate" in who:
            self.start_gate()
        else:
            self.gate.process.send_signal(signal.SIGCONT)

    def request(self) -> tuple[str, str]:
        """The newest request's id and state."""
        rows = self.product.rows("SELECT id, state FROM request ORDER BY id DESC LIMIT 1")
        return rows[0] if rows else ("", "")

    async def until(self, state: str) -> str:
        with anyio.fail_after(20):
            while self.request()[1] != state:
                await anyio.sleep(0.02)
        return self.request()[0]

    async def until_effect(self) -> None:
        with anyio.fail_after(20):
            while not self.effects:
                await anyio.sleep(0.02)

    async def ask(self) -> str:
        """The agent's call, from connecting to its answer; again until the server is reachable."""
        headers = {"Authorization": f"Bearer {self.keys['agent']}"}
        with anyio.fail_after(30):
            while True:
                with contextlib.suppress(OSError, httpx2.HTTPError, BaseExceptionGroup):
                    async with (
                        httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http,
                        Client(streamable_http_client(f"http://127.0.0.1:{self.port}/mcp", http_client=http)) as agent,
                    ):
                        answer = await agent.call_tool("slow_write", ARGUMENTS)
                        return "\n".join(block.text for block in answer.content)
                await anyio.sleep(0.05)

    async def ask_until_known(self) -> str:
        """As agents do: again while the answer says so."""
        while True:
            answer = await self.ask()
            if not answer.startswith(("STILL RUNNING", "NOT EXECUTED: The approval service")):
                return answer

    def hold(self, name: str) -> None:
        (self.product.folder / name).touch()

    def release(self) -> None:
        for name in ("hold-before", "hold-after"):
            (self.product.folder / name).unlink(missing_ok=True)

    def run_out_the_lease(self) -> None:
        """As if a minute passed, which is longer than a lease."""
        connection = sqlite3.connect(self.product.database, timeout=20)
        connection.execute("UPDATE execution SET lease_until = lease_until - 60000000")
        connection.commit()
        connection.close()


@pytest.fixture
def stage(installed: Installed) -> Stage:
    service = installed.serve()
    reviewer = installed.sign_in(service)
    keys = {"server": installed.key("server", "add", "shop"), "agent": installed.key("agent", "add", "scout")}
    made = Stage(installed, service, service, reviewer, keys, free_port())
    made.start_gate()
    yield made
    reviewer.close()


async def reach(stage: Stage, step: str) -> str:
    """Bring the one call to this step, and hold it there; the request's id."""
    request_id = await stage.until("pending")
    if step == "pending":
        return request_id
    if step == "approved":  # a stopped gate cannot claim
        os.kill(stage.gate.process.pid, signal.SIGSTOP)
    stage.hold({"claimed": "hold-before", "effected": "hold-after"}.get(step, "no-hold"))
    assert stage.product.decide(stage.reviewer, request_id).status_code == 303
    if step == "effected":
        await stage.until_effect()
    return await stage.until({"approved": "approved", "reported": "succeeded"}.get(step, "executing"))


@pytest.mark.parametrize(("step", "killed"), MATRIX)
async def test_p3_p4_after_kill_9_nothing_is_lost_and_nothing_runs_twice(stage, step, killed):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.ask)
        request_id = await reach(stage, step)
        acknowledged = stage.request()
        stage.kill(killed)
        tasks.cancel_scope.cancel()

    lost = "gate" in killed and step in {"claimed", "effected"}
    if lost:
        stage.run_out_the_lease()
    stage.release()
    stage.restart(killed)
    assert stage.request()[0] == acknowledged[0], "nothing acknowledged is lost"
    if step == "pending":
        assert stage.request() == acknowledged
        assert stage.product.decide(stage.reviewer, request_id).status_code == 303
    answer = await stage.ask_until_known()

    if lost:
        assert answer.startswith("OUTCOME UNKNOWN")
        assert stage.request() == (request_id, "unknown")
        assert stage.effects == (["slow 7"] if step == "effected" else [])
    else:
        assert answer.endswith("wrote 7")
        assert stage.request() == (request_id, "succeeded")
        assert stage.effects == ["slow 7"]
    assert "Intact" in stage.product.cli("audit", "verify")
    assert len(stage.product.rows("SELECT id FROM execution")) == 1
    assert len(stage.product.rows("SELECT id FROM decision")) == 1
