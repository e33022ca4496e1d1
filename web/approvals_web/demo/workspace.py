"""The stand-in for Slack beside `serve --demo`: one channel, and two people of whom you are the first."""

import contextlib
from collections.abc import AsyncIterator

from approvals.service.slack.workspace import Installed
from approvals_web.demo.slack.server import DemoSlack
from approvals_web.setting_values import port
from approvals_web.settings import Settings

CHANNEL = "approvals"


@contextlib.asynccontextmanager
async def demo_workspace(settings: Settings) -> AsyncIterator[Installed]:
    """Runs while the context lasts; how the service is installed there. Another port when the usual one is taken."""
    slack = DemoSlack()
    state = slack.state
    state.add_channel("C0DEMO", CHANNEL)
    state.add_user("U0YOU", "you")
    state.add_user("U0SAM", "sam")
    state.request_url = f"{settings.near_url}/slack/actions"
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(slack.running(port("APPROVALS_DEMO_SLACK_PORT", settings.demo_slack_port)))
        except OSError:
            await stack.enter_async_context(slack.running())
        print(f"Demo Slack: {slack.page_url}", flush=True)
        yield Installed(
            bot_token=state.token, channel=f"#{CHANNEL}", signing_secret=state.signing_secret, api_url=slack.api_url
        )
