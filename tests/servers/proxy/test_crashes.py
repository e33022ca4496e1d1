"""Real processes that end at the worst moment: at most one effect in the upstream, and the repeated call is told the
truth."""

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

import anyio
import pytest

pytestmark = pytest.mark.slow


class Talk:
    """A client, and the proxy that it started."""

    def __init__(self, process):
        self.process = process
        self.count = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def begin(cls, proxied):
        command = proxied.command(*proxied.plain)
        process = await asyncio.create_subprocess_exec(
            command.command,
            *command.args,
            env=command.env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        talk = cls(process)
        try:
            info = {"name": "crash", "version": "0"}
            await talk.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=info)
            talk.say(method="notifications/initialized")
            yield talk
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def say(self, **message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def call(self, tool):
        self.count += 1
        self.say(id=self.count, method="tools/call", params={"name": tool, "arguments": {"name": "a"}})

    async def hear(self):
        """The answer to what was asked last."""
        with anyio.fail_after(30):
            while line := await self.process.stdout.readline():
                message = json.loads(line)
                if message.get("id") == self.count and "method" not in message:
                    return message
        raise AssertionError("the proxy ended")

    async def ask(self, method, **params):
        self.count += 1
        self.say(id=self.count, method=method, params=params)
        return await self.hear()

    def upstream(self):
        """The process behind the proxy."""
        (child,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(child)


def status(answer):
    result = answer["result"]
    return result["_meta"]["mcp-approvals/answer"]["status"] if "_meta" in result else "ran"


def effects(proxied, tool):
    return sum(name == tool for name, _ in proxied.did)


async def started(proxied, tool):
    with anyio.fail_after(30):
        while not effects(proxied, tool):
            await anyio.sleep(0.02)


async def repeated(proxied, tool):
    """What a new client of a new proxy is told of the same call."""
    async with Talk.begin(proxied) as again:
        again.call(tool)
        return await again.hear()


def lease_runs_out(proxied):
    proxied.served.scenario.clock.forward(100)
    proxied.served.scenario.sweep()


async def test_p3_an_upstream_that_is_killed_under_a_call_leaves_it_unknown(proxied):
    async with Talk.begin(proxied) as talk:
        talk.call("slow_note")
        await proxied.served.decide("approve", comment="ok")
        await started(proxied, "slow_note")
        os.kill(talk.upstream(), signal.SIGKILL)
        assert status(await talk.hear()) == "unknown"
    lease_runs_out(proxied)
    assert status(await repeated(proxied, "slow_note")) == "unknown"
    assert effects(proxied, "slow_note") == 1


async def test_p3_a_proxy_that_is_killed_under_a_call_leaves_it_unknown(proxied):
    async with Talk.begin(proxied) as talk:
        talk.call("slow_note")
        row = await proxied.served.decide("approve", comment="ok")
        await started(proxied, "slow_note")
        talk.process.kill()
        await talk.process.wait()
    lease_runs_out(proxied)
    assert proxied.served.scenario.status(row.id).state == "unknown"
    assert status(await repeated(proxied, "slow_note")) == "unknown"
    assert effects(proxied, "slow_note") == 1


async def end(upstream: int) -> None:
    """Kill it, and wait until the proxy, whose child it is, has taken note."""
    os.kill(upstream, signal.SIGKILL)
    with anyio.fail_after(10):
        while await anyio.Path(f"/proc/{upstream}").exists():
            await anyio.sleep(0.01)


@pytest.mark.parametrize("victim", ["proxy", "upstream", "client"])
async def test_p4_a_call_that_waits_outlives_whatever_ends(proxied, victim):
    async with Talk.begin(proxied) as talk:
        talk.call("write_note")
        first = await proxied.served.pending()
        if victim == "upstream":
            await end(talk.upstream())
        elif victim == "proxy":
            talk.process.kill()
        else:
            talk.process.stdin.close()
        if victim != "upstream":
            with anyio.fail_after(30):
                await talk.process.wait()
        row = await proxied.served.decide("approve", comment="ok")
        answer = await talk.hear() if victim == "upstream" else await repeated(proxied, "write_note")
    assert row.id == first.id
    assert answer["result"]["content"][0]["text"].startswith("write_note a")
    assert effects(proxied, "write_note") == 1


async def test_p3_a_client_that_leaves_under_a_call_finds_its_result_when_it_asks_again(proxied):
    async with Talk.begin(proxied) as talk:
        talk.call("slow_note")
        await proxied.served.decide("approve", comment="ok")
        await started(proxied, "slow_note")
        talk.process.stdin.close()
        proxied.log.with_name("go").touch()
        with anyio.fail_after(30):
            await talk.process.wait()
    answer = await repeated(proxied, "slow_note")
    assert "slow_note a" in json.dumps(answer)
    assert effects(proxied, "slow_note") == 1


async def test_p3_a_client_that_cancels_after_five_seconds_and_asks_again_has_one_effect(proxied):
    async with Talk.begin(proxied) as talk:
        talk.call("write_note")
        row = await proxied.served.pending()
        talk.say(method="notifications/cancelled", params={"requestId": talk.count, "reason": "time-out"})
        talk.call("write_note")
        decided = await proxied.served.decide("approve", comment="ok")
        assert (await talk.hear())["result"]["content"][0]["text"].startswith("write_note a")
    assert decided.id == row.id
    assert effects(proxied, "write_note") == 1


async def test_p3_a_call_that_runs_is_not_cancelled_with_its_client(proxied):
    async with Talk.begin(proxied) as talk:
        talk.call("slow_note")
        row = await proxied.served.decide("approve", comment="ok")
        await started(proxied, "slow_note")
        talk.say(method="notifications/cancelled", params={"requestId": talk.count, "reason": "time-out"})
        assert "error" in await talk.ask(7)  # refused by the proxy, which has taken the cancellation before it
        proxied.log.with_name("go").touch()
        with anyio.fail_after(30):
            while proxied.served.scenario.status(row.id).state == "executing":
                await anyio.sleep(0.02)
        talk.call("slow_note")
        assert "slow_note a" in json.dumps(await talk.hear())
    assert proxied.served.scenario.status(row.id).state == "succeeded"
    assert effects(proxied, "slow_note") == 1


async def test_p2_an_upstream_that_comes_back_as_another_version_runs_nothing_that_was_approved(proxied):
    async with Talk.begin(proxied) as talk:
        talk.call("write_note")
        await proxied.served.pending()
        proxied.log.with_name("version").write_text("2")
        os.kill(talk.upstream(), signal.SIGKILL)
        await proxied.served.decide("approve", comment="ok")
        assert "NOT EXECUTED" in (await talk.hear())["result"]["content"][0]["text"]
    assert effects(proxied, "write_note") == 0
