"""The whole of Slack against an emulator that nobody here wrote, with strict scopes and triggers of three seconds;
presses in Slack's documented shapes."""

import json
from dataclasses import replace
from urllib.parse import urlencode

import anyio
import httpx2
import pytest

from approvals.policy.model import DefaultPolicy, Notify
from approvals.service.slack.blocks import APPROVE, DENY
from approvals.service.slack.doctor import examine
from approvals.service.slack.modals import DENIAL
from approvals.service.slack.workspace import Installed
from approvals_web.demo.slack import sending
from approvals_web.demo.slack.state import State
from support import slack_emulator
from support.fake_slack import link, served_in

pytestmark = pytest.mark.slow
TEAM, SECRET = "T000000001", "a signing secret"


class Direct(DefaultPolicy):
    """Writes to people, too."""

    def judge(self, call):
        return replace(super().judge(call), notify=Notify(direct=True))


class Foreign:
    """A service in the emulator's workspace, with Ann and Bob in both."""

    def __init__(self, scenario, emulator, url, workspace):
        self.scenario, self.emulator, self.url, self.workspace = scenario, emulator, url, workspace
        self.state = State(signing_secret=SECRET, clock=lambda: scenario.clock.at / 1_000_000)
        self.dialogs = []
        call = workspace.api.call

        async def kept(method, **given):
            if method == "views.open":
                self.dialogs.append(given["view"])
            return await call(method, **given)

        workspace.api.call = kept

    async def rest(self):
        while self.scenario.rows("SELECT 1 FROM delivery WHERE done_at IS NULL AND dead_at IS NULL"):
            await self.scenario.service.sender.send_due()
            assert self.scenario.rows("SELECT error FROM delivery WHERE error IS NOT NULL") == []

    async def shown(self, channel):
        """The newest message that is no answer, at rest."""
        await self.rest()
        return next(one for one in await self.emulator.messages(channel) if not one.get("thread_ts"))

    async def interact(self, user, **more):
        """https://docs.slack.dev/reference/interaction-payloads"""
        who = {"id": user, "username": "somebody", "name": "somebody", "team_id": TEAM}
        payload = {
            "user": who,
            "api_app_id": "A1",
            "token": "deprecated",
            "team": {"id": TEAM, "domain": "emulate"},
            "enterprise": None,
            "is_enterprise_install": False,
            "trigger_id": await self.emulator.trigger(user),
        }
        body = urlencode({"payload": json.dumps(payload | more)}).encode()
        headers = sending.signed(self.state, body) | {"Content-Type": "application/x-www-form-urlencoded"}
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"{self.url}/slack/actions", content=body, headers=headers)
        assert answer.status_code == 200
        return answer.json() if answer.content else None

    async def press(self, user, channel, message, action_id):
        """https://docs.slack.dev/reference/interaction-payloads/block_actions-payload"""
        block, button = next(
            (block, button)
            for block in message["blocks"]
            for button in block.get("elements", [])
            if button.get("action_id") == action_id
        )
        container = {"type": "message", "message_ts": message["ts"], "channel_id": channel, "is_ephemeral": False}
        return await self.interact(
            user,
            type="block_actions",
            container=container,
            channel={"id": channel, "name": "approvals"},
            message=message,
            state={"values": {}},
            response_url="https://hooks.slack.com/actions/T000000001/1/x",
            actions=[button | {"block_id": block["block_id"], "action_ts": "1800000000.000100"}],
        )

    async def submit(self, user, reason):
        """https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload"""
        written = {"reason": {"reason": {"type": "plain_text_input", "value": reason}}}
        written |= {"again": {"again": {"type": "checkboxes", "selected_options": []}}}
        view = self.dialogs.pop() | {"id": "V1", "team_id": TEAM, "hash": "1.a", "state": {"values": written}}
        assert view["callback_id"] == DENIAL
        return await self.interact(user, type="view_submission", view=view, response_urls=[])


@pytest.fixture
async def foreign(scenario, tmp_path):
    with anyio.fail_after(120):
        async with slack_emulator.emulator(tmp_path) as emulator:
            channel = await emulator.channel("approvals")  # it knows no names with a # before them
            installed = Installed(slack_emulator.BOT, channel, signing_secret=SECRET, api_url=emulator.api_url)
            async with served_in(scenario, installed, Direct()) as (url, workspace, _):
                made = Foreign(scenario, emulator, url, workspace)
                for name in ("ann", "bob"):
                    link(scenario, TEAM, await emulator.user(name), name)
                yield made


def words(message):
    return json.dumps(message["blocks"], ensure_ascii=False)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_p6_a_quorum_by_presses_and_what_came_of_it_is_shown_on_every_copy(foreign, scenario):
    emulator = foreign.emulator
    channel, ann, bob = await emulator.channel("approvals"), await emulator.user("ann"), await emulator.user("bob")
    request_id = scenario.file().request_id
    scenario.need(request_id, quorum=2)
    said = await foreign.shown(channel)
    copies = scenario.rows("SELECT channel, ts FROM slack_message ORDER BY asked")
    assert len(copies) == 3 and said["text"].startswith("Refund $120.00 of order 1042 · scout")
    assert await foreign.press(ann, channel, said, APPROVE) is None
    said = await foreign.shown(channel)
    assert "1 of 2: Ann has approved" in words(said)
    (needed,) = await emulator.thread(channel, said["ts"])
    assert "One more approval is needed" in words(needed)
    assert scenario.status(request_id).state == "pending"
    await foreign.press(bob, channel, said, APPROVE)
    assert scenario.status(request_id).state == "approved"
    assert scenario.claim(request_id) is None
    scenario.report(request_id, "failed", error="the payment provider answered 502")
    await foreign.rest()
    for place, ts in copies:
        history = scenario.rows("SELECT shown FROM slack_message WHERE ts = :ts", ts=ts)
        assert len(history[0][0]) == 64, place
    said = await foreign.shown(channel)
    assert "It ran and failed" in words(said) and APPROVE not in words(said)
    assert "It ran and failed" in words((await emulator.thread(channel, said["ts"]))[-1]) and "502" in words(said)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_p6_a_denial_through_a_dialog_and_its_reason(foreign, scenario):
    emulator = foreign.emulator
    channel, ann = await emulator.channel("approvals"), await emulator.user("ann")
    request_id = scenario.file().request_id
    said = before = await foreign.shown(channel)
    await foreign.press(ann, channel, said, DENY)
    refused = await foreign.submit(ann, " ")
    assert "needs a reason" in refused["errors"]["reason"] and scenario.status(request_id).state == "pending"
    await foreign.press(ann, channel, said, DENY)
    assert await foreign.submit(ann, "Offer store credit") is None
    assert scenario.status(request_id).comment == "Offer store credit"
    said = await foreign.shown(channel)
    assert "Denied" in words(said) and "Offer store credit" in words(said)
    await foreign.press(ann, channel, before, DENY)
    assert foreign.dialogs == [], "no dialog about what is decided"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_doctor_finds_nothing_where_the_manifests_scopes_are_all_there_is(foreign):
    found = {finding.what: finding async for finding in examine(foreign.workspace.installed)}
    assert [what for what, finding in found.items() if not finding.ok] == []
    assert "did not say" in found["scopes"].said
