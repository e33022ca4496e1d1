"""A Slack that nobody here wrote: vercel-labs' `emulate` (npm), with strict scopes, in a process of its own."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from support import typescript
from support.node import node_22
from support.processes import Child, clean_environment, free_port, until_open

SOURCES = Path(__file__).parents[1] / "slack_emulator"
BOT, READER = "xoxb-approvals", "xoxp-reader"
SCOPES = ["chat:write", "commands", "im:write", "users:read"]
SEEN = [*SCOPES, "channels:history", "channels:read", "im:history", "im:read"]
SEED = {
    "slack": {
        "strict_scopes": True,
        "users": [{"name": "ann"}, {"name": "bob"}],
        "channels": [{"name": "approvals"}],
        "tokens": [
            {"token": BOT, "type": "bot", "scopes": SCOPES, "app_id": "A1"},
            {"token": READER, "type": "user", "scopes": SEEN, "app_id": "A1"},
        ],
    }
}


class Emulator:
    """Its Web API, as somebody in the workspace sees it."""

    def __init__(self, url: str) -> None:
        self.api_url = f"{url}/api/"

    async def call(self, method: str, token: str = READER, **given: Any) -> dict[str, Any]:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
            answer: dict[str, Any] = await (await http.post(self.api_url + method, data=given)).json()
        assert answer["ok"], (method, answer)
        return answer

    async def user(self, name: str) -> str:
        members = (await self.call("users.list"))["members"]
        return str(next(one["id"] for one in members if one["name"] == name))

    async def channel(self, name: str) -> str:
        channels = (await self.call("conversations.list"))["channels"]
        return str(next(one["id"] for one in channels if one["name"] == name))

    async def messages(self, channel: str) -> list[dict[str, Any]]:
        """The newest first."""
        return list((await self.call("conversations.history", channel=channel))["messages"])

    async def thread(self, channel: str, ts: str) -> list[dict[str, Any]]:
        """What was answered below a message."""
        said = (await self.call("conversations.replies", channel=channel, ts=ts))["messages"]
        return [one for one in said if one["ts"] != ts]

    async def trigger(self, user: str) -> str:
        """For one dialog, within three seconds."""
        return str((await self.call("views.generateTriggerId", BOT, user_id=user))["trigger_id"])


@contextlib.asynccontextmanager
async def emulator(folder: Path) -> AsyncIterator[Emulator]:
    """Runs while the context lasts; skips the test where Node.js 22 cannot be had."""
    installed = typescript.installed(SOURCES)
    seed, port = folder / "seed.json", free_port()
    seed.write_text(json.dumps(SEED), encoding="utf-8")
    program = str(installed / "node_modules" / "emulate" / "dist" / "index.js")
    command = (node_22(installed), program, "start", "-s", "slack", "-p", str(port), "--seed", str(seed))
    process = Child(command, folder, clean_environment())
    try:
        until_open(port)
        yield Emulator(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
