"""A workspace that the service is installed in: what sends there, and what hears from there."""

from dataclasses import dataclass, field

from approvals.service.service import Service
from approvals.service.slack.client import SlackApi
from approvals.service.slack.identity import Identities
from approvals.service.slack.interactions import Interactions
from approvals.service.slack.notifier import SlackNotifier


@dataclass(frozen=True)
class Installed:
    """What it takes: a bot token and a channel; and a signing secret, an app token, or both."""

    bot_token: str = field(repr=False)
    channel: str
    signing_secret: str = field(default="", repr=False)
    app_token: str = field(default="", repr=False)
    api_url: str = "https://slack.com/api/"
    by_email: bool = False


class Workspace:
    """The parts, put together. The service's outbox sends through its notifier from now on."""

    def __init__(self, service: Service, installed: Installed) -> None:
        self.installed = installed
        self.api = SlackApi(installed.bot_token, installed.api_url)
        self.identities = Identities(service, self.api, by_email=installed.by_email)
        self.interactions = Interactions(service, self.api, self.identities)
        self.notifier = SlackNotifier(service, self.api, installed.channel)
        service.outbox.carry(self.notifier)

    async def close(self) -> None:
        """Say what was being said, and hang up."""
        await self.interactions.finish()
        await self.api.close()
