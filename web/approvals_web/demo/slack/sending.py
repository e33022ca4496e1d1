"""What the stand-in sends to the app: signed presses, dialogs and commands; and how soon the app acknowledges."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx2

from approvals_web.demo.slack.state import Said, State

PATIENCE = 3.0
"""Seconds: after that whoever pressed sees an error."""


@dataclass(frozen=True)
class Acknowledged:
    """What came back. `body` is JSON, or None."""

    status: int
    body: Any
    seconds: float

    @property
    def ok(self) -> bool:
        return self.status == 200 and self.seconds < PATIENCE


def pressed(state: State, base: str, user_id: str, said: Said, action_id: str) -> dict[str, object]:
    """The payload of a press (https://docs.slack.dev/reference/interaction-payloads/block_actions-payload)."""
    block, element = next(
        (block, element)
        for block in said.blocks
        for element in block.get("elements", [])
        if element.get("action_id") == action_id
    )
    action = {"block_id": block.get("block_id", "b"), "action_ts": str(state.clock()), **element}
    channel = {"id": said.channel, "name": state.channels[said.channel].name}
    return _interaction(state, user_id, "block_actions") | {
        "container": {"type": "message", "message_ts": said.ts, "channel_id": said.channel, "is_ephemeral": False},
        "channel": channel,
        "message": {"ts": said.ts, "text": said.text, "blocks": said.blocks},
        "response_url": f"{base}/response/{state.response(user_id, said.channel)}",
        "actions": [action],
    }


def submitted(state: State, user_id: str, values: dict[str, object]) -> dict[str, object]:
    """The payload of the user's open dialog, filled in. `values` by block id and action id."""
    return _interaction(state, user_id, "view_submission") | {
        "view": state.dialogs[user_id] | {"state": {"values": values}}
    }


def command(state: State, base: str, user_id: str, text: str) -> dict[str, str]:
    """The form of a slash command."""
    user = state.users[user_id]
    return {
        "command": "/approvals",
        "text": text,
        "team_id": user["team_id"],
        "user_id": user_id,
        "user_name": user["name"],
        "channel_id": "C0",
        "response_url": f"{base}/response/{state.response(user_id, 'C0')}",
        "trigger_id": state.trigger(user_id),
    }


async def deliver(state: State, payload: dict[str, Any]) -> Acknowledged:
    """Through the app's socket if it has opened one, else signed to its request URL."""
    if state.sockets:
        kind = "slash_commands" if "command" in payload else "interactive"
        return await state.sockets[-1].send(kind, payload)  # type: ignore[no-any-return]
    form = payload if "command" in payload else {"payload": json.dumps(payload)}
    return await send(state, urlencode(form).encode())


async def send(state: State, body: bytes, headers: dict[str, str] | None = None) -> Acknowledged:
    """To the request URL, with this body and Slack's headers for it, or others."""
    usual = signed(state, body) | {"Content-Type": "application/x-www-form-urlencoded"}
    begun = time.monotonic()
    async with httpx2.AsyncClient(timeout=httpx2.Timeout(PATIENCE * 3)) as http:
        answer = await http.post(state.request_url, content=body, headers=usual | (headers or {}))
    json_said = answer.headers.get("content-type", "").startswith("application/json")
    return Acknowledged(answer.status_code, answer.json() if json_said else None, time.monotonic() - begun)


def signed(state: State, body: bytes, at: int | None = None) -> dict[str, str]:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack"""
    stamp = str(int(state.clock()) if at is None else at)
    base = b"v0:" + stamp.encode() + b":" + body
    mac = hmac.new(state.signing_secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={mac}"}


def _interaction(state: State, user_id: str, kind: str) -> dict[str, object]:
    user = state.users[user_id]
    return {
        "type": kind,
        "team": {"id": state.team_id, "domain": "demo"},
        "user": {"id": user_id, "username": user["name"], "name": user["name"], "team_id": user["team_id"]},
        "api_app_id": "A0DEMO",
        "trigger_id": state.trigger(user_id),
    }
