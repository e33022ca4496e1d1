"""`approvals slack`: the manifest, and the doctor."""

import dataclasses

import pytest

from approvals.service.slack.doctor import examine
from approvals.service.slack.manifest import manifest
from approvals.service.slack.workspace import Installed
from approvals_web.demo.slack.server import DemoSlack


@pytest.fixture
async def demo():
    made = DemoSlack()
    made.state.add_user("UANN", "ann")
    made.state.add_channel("C1", "approvals")
    async with made.running():
        yield made


def installed(demo, **changes):
    state = demo.state
    usual = Installed(state.token, "#approvals", state.signing_secret, state.app_token, demo.api_url)
    return dataclasses.replace(usual, **changes)


async def findings(installed):
    return {finding.what: finding async for finding in examine(installed)}


async def test_a_healthy_workspace_passes_every_check_and_nothing_is_left_in_the_channel(demo):
    found = await findings(installed(demo))
    assert list(found) == ["token", "scopes", "clock", "people", "direct", "post", "update", "delete", "socket"]
    assert all(finding.ok for finding in found.values())
    assert demo.state.messages("C1") == []


@pytest.mark.parametrize(
    ("change", "check", "mend"),
    [
        ({"bot_token": "xoxb-other"}, "token", "Copy the bot token"),
        ({"app_token": "xapp-other"}, "socket", "connections:write"),
        ({"channel": "#nowhere"}, "post", "APPROVALS_SLACK_CHANNEL"),
        ({"api_url": "http://127.0.0.1:9/api/"}, "token", "Can this machine reach"),
    ],
)
async def test_what_is_wrong_is_named_with_what_to_do(demo, change, check, mend):
    found = await findings(installed(demo, **change))
    assert [what for what, finding in found.items() if not finding.ok] == [check]
    assert mend in found[check].mend


async def test_a_channel_without_the_app_a_missing_scope_and_a_wrong_clock_are_found(demo):
    demo.state.channels["C1"].member = False
    assert "/invite" in (await findings(installed(demo)))["post"].mend
    demo.state.fail("users.info", "missing_scope")
    assert "manifest" in (await findings(installed(demo)))["people"].mend
    demo.state.channels["C1"].member = True
    demo.state.fail("chat.update", "fatal_error")
    assert "reference/methods/chat.update" in (await findings(installed(demo)))["update"].mend


async def test_the_channels_of_rules_and_direct_messages_are_tried(demo):
    demo.state.add_channel("C2", "money").archived = True
    demo.state.fail("conversations.open", "missing_scope")
    found = {finding.what: finding async for finding in examine(installed(demo), ("#money", "#approvals"))}
    assert [what for what, finding in found.items() if not finding.ok] == ["direct", "post in #money"]
    assert "the rule's `notify`" in found["post in #money"].mend and "manifest" in found["direct"].mend
    assert demo.state.messages("C1") == []


def test_the_manifest_names_the_address_or_the_socket_never_both():
    public = manifest("https://gate.example.org/", socket=False, by_email=False)
    assert public["settings"]["interactivity"]["request_url"] == "https://gate.example.org/slack/actions"
    assert not public["settings"]["socket_mode_enabled"]
    socket = manifest("http://127.0.0.1:8700", socket=True, by_email=True)
    assert "127.0.0.1" not in str(socket) and socket["settings"]["socket_mode_enabled"]
    assert "users:read.email" in socket["oauth_config"]["scopes"]["bot"]
    assert "users:read.email" not in public["oauth_config"]["scopes"]["bot"]
