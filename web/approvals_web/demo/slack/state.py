"""What there is in the stand-in's workspace: people, channels, messages, dialogs, and the faults that tests put in."""

import asyncio
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

TRIGGER_SECONDS = 3.0
RESPONSES, RESPONSE_SECONDS = 5, 1800.0


@dataclass
class Said:
    """A message."""

    channel: str
    ts: str
    text: str
    blocks: list[dict[str, Any]]
    thread_ts: str = ""
    to: str = ""
    """The one user who sees it; empty for everybody."""
    broadcast: bool = False
    """Whether an answer in a thread shows in the channel, too."""
    edits: int = 0
    deleted: bool = False

    def button(self, action_id: str) -> dict[str, object] | None:
        """The button with this action id, as it is shown now."""
        found = (element for block in self.blocks for element in block.get("elements", []))
        return next((element for element in found if element.get("action_id") == action_id), None)


@dataclass
class Channel:
    id: str
    name: str
    member: bool = True
    archived: bool = False


@dataclass
class Fault:
    """What a method answers instead, so many times: a Slack error, a status of 500 and more, `hang`, or `lost`: it is
    done, and the answer does not arrive."""

    word: str
    times: int
    retry_after: int = 1


@dataclass
class State:
    """All of it. Changes wake whoever waits for one."""

    token: str = field(default_factory=lambda: f"xoxb-{secrets.token_hex(16)}")
    """Nobody else on this machine knows it: with it, messages could be changed."""
    app_token: str = field(default_factory=lambda: f"xapp-{secrets.token_hex(16)}")
    signing_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    team_id: str = "T0DEMO"
    request_url: str = ""
    """Where presses go: the app's POST /slack/actions."""
    command_url: str = ""
    clock: Callable[[], float] = time.time
    at_once: int = 100
    """So many messages a channel takes at once, then one a second."""
    updates_a_minute: int = 1_000_000
    """So many updates the workspace takes; Slack says 50 and more (Tier 3)."""
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    faults: dict[tuple[str, str], Fault] = field(default_factory=dict)
    """By method, and the channel or user it is about; empty for any."""
    dialogs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The open dialog of each user."""
    triggers: dict[str, tuple[float, str]] = field(default_factory=dict)
    responses: dict[str, list[Any]] = field(default_factory=dict)
    """Uses left, made at, user, channel: of each response address."""
    sockets: list[Any] = field(default_factory=list)
    revoked: bool = False
    version: int = 0
    """Counts changes."""
    _number: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _paces: dict[str, list[float]] = field(default_factory=dict)
    _updates: list[float] = field(default_factory=list)

    def add_user(self, user_id: str, name: str, **more: object) -> None:
        """`more` as users.info says it: deleted, is_bot, is_restricted, team_id, …"""
        email = more.pop("email", f"{name}@example.org")
        usual = {"id": user_id, "name": name, "real_name": name.title(), "team_id": self.team_id}
        self.users[user_id] = usual | {"is_email_confirmed": True, "profile": {"email": email}} | more

    def add_channel(self, channel_id: str, name: str) -> Channel:
        self.channels[channel_id] = Channel(channel_id, name)
        return self.channels[channel_id]

    def channel(self, called: str) -> Channel | None:
        """By id, or by name with its #."""
        by_name = (found for found in self.channels.values() if called == f"#{found.name}")
        return self.channels.get(called) or next(by_name, None)

    def messages(self, channel: str) -> list[Said]:
        """What everybody sees in a channel, without threads."""
        return [
            said for said in self.said if said.channel == channel and not (said.thread_ts or said.to or said.deleted)
        ]

    def thread(self, ts: str) -> list[Said]:
        return [said for said in self.said if said.thread_ts == ts and not said.deleted]

    def whispers(self, user_id: str) -> list[str]:
        """What was told to one user alone."""
        return [said.text for said in self.said if said.to == user_id]

    def fail(self, method: str, word: str, times: int = 1, retry_after: int = 1, at: str = "") -> None:
        """Let a method fail, everywhere or for one channel or user."""
        self.faults[method, at] = Fault(word, times, retry_after)

    def fault(self, method: str, at: str) -> Fault | None:
        """The fault of this call, which is one fewer from now on."""
        found = self.faults.get((method, at)) or self.faults.get((method, ""))
        if found is None or found.times < 1:
            return None
        found.times -= 1
        return found

    def say(self, channel: str, text: str, blocks: list[dict[str, object]], thread_ts: str = "", to: str = "") -> Said:
        self._number += 1
        said = Said(channel, f"{int(self.clock())}.{self._number:06d}", text, blocks, thread_ts, to)
        self.said.append(said)
        self.changed()
        return said

    def find(self, channel: str, ts: str) -> Said | None:
        """A message that was not deleted."""
        return next((said for said in self.said if (said.channel, said.ts) == (channel, ts) and not said.deleted), None)

    def may_post(self, channel: str) -> bool:
        """A burst, then one message a second."""
        left, since = self._paces.get(channel, [float(self.at_once), self.clock()])
        left = min(float(self.at_once), left + self.clock() - since)
        self._paces[channel] = [left - 1 if left >= 1 else left, self.clock()]
        return left >= 1

    def update_wait(self) -> int:
        """Seconds until one more update is taken; 0 for one that is."""
        now = self.clock()
        self._updates = [at for at in self._updates if at > now - 60]
        if len(self._updates) >= self.updates_a_minute:
            return max(1, math.ceil(self._updates[0] + 60 - now))
        self._updates.append(now)
        return 0

    def trigger(self, user_id: str) -> str:
        """A trigger id: three seconds, once."""
        made = secrets.token_hex(8)
        self.triggers[made] = (self.clock(), user_id)
        return made

    def spend_trigger(self, trigger: str) -> str:
        """Whose it is. Raises ValueError with Slack's word."""
        made, user_id = self.triggers.pop(trigger, (0.0, ""))
        if not user_id:
            raise ValueError("exchanged_trigger_id" if trigger else "invalid_trigger_id")
        if self.clock() - made > TRIGGER_SECONDS:
            raise ValueError("expired_trigger_id")
        return user_id

    def response(self, user_id: str, channel: str) -> str:
        """The end of a response address: five uses in half an hour."""
        made = secrets.token_hex(8)
        self.responses[made] = [RESPONSES, self.clock(), user_id, channel]
        return made

    def answered(self, made: str, body: dict[str, Any]) -> bool:
        """Somebody used a response address; whether it counts."""
        left, at, user_id, channel = self.responses.get(made, [0, 0.0, "", ""])
        if left < 1 or self.clock() - at > RESPONSE_SECONDS:
            return False
        self.responses[made][0] -= 1
        self.say(channel, str(body.get("text", "")), body.get("blocks", []), to=user_id)
        return True

    def changed(self) -> None:
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def after(self, version: int) -> None:
        """Returns once there is another version than this one."""
        while self.version == version:
            await self._changed.wait()

    async def until(self, true: Callable[[], Any], seconds: float = 10.0) -> object:
        """What `true` says once it says something. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not (found := true()):
                await self._changed.wait()
            return found
