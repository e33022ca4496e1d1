"""Who pressed: a member of the installed workspace, asked of Slack itself, and the person they stand for here."""

import time
from typing import Any

from approvals.errors import Forbidden, Unavailable
from approvals.service.identity.users import Person
from approvals.service.notifications.notifier import NotDelivered
from approvals.service.service import Service
from approvals.service.slack import links
from approvals.service.slack.client import SlackApi, Team
from approvals.service.slack.links import Links, SlackUser
from approvals.service.slack.payloads import Sender
from approvals.service.storage.database import Transaction
from approvals.service.storage.tables import User

KNOWN_SECONDS = 60.0
"""So long it is remembered what Slack said of a user: a deactivated one is refused after that."""
PATIENCE = 1.5
"""Slack shows an error to whoever pressed after three seconds."""
_OUTSIDE = {
    "deleted": "This Slack account is deactivated.",
    "is_bot": "Bots decide nothing.",
    "is_workflow_bot": "Bots decide nothing.",
    "is_restricted": "Guests of the workspace decide nothing.",
    "is_ultra_restricted": "Guests of the workspace decide nothing.",
    "is_stranger": "Only members of this workspace decide.",
}


class Identities:
    """Event loop only."""

    def __init__(self, service: Service, api: SlackApi, *, by_email: bool) -> None:
        self._service = service
        self._api = api
        self._by_email = by_email
        self._links = Links()
        self._known: dict[str, tuple[float, dict[str, Any]]] = {}

    async def slack_user(self, sender: Sender) -> SlackUser:
        """Whoever sent a payload. Raises Forbidden for anybody but a full member of the installed workspace,
        Unavailable when Slack does not say."""
        team = await self._team()
        if not sender.user_id or sender.teams != {team.team_id}:
            raise Forbidden("Only members of this workspace decide.", hint="Open the request in the web app.")
        said = await self._profile(sender.user_id)
        for flag, words in _OUTSIDE.items():
            if said.get(flag):
                raise Forbidden(words, hint="Open the request in the web app.")
        if said.get("team_id", team.team_id) != team.team_id:
            raise Forbidden("Only members of this workspace decide.", hint="Open the request in the web app.")
        return SlackUser(team.team_id, sender.user_id, str(said.get("real_name") or sender.name or sender.user_id))

    async def person(self, who: SlackUser) -> Person:
        """The person they stand for. Raises Forbidden for somebody who is not linked."""
        user = await self._service.read(lambda reader: links.user_of(reader, who))
        if user is None and self._by_email:
            user = await self._linked_by_email(who)
        if user is None:
            account = f"{self._service.public_url}/account"
            raise Forbidden(
                "Your Slack user is not linked to an account here.",
                hint=f"Link it: {account}, then /approvals link CODE.",
            )
        return Person(
            id=user.id,
            name=user.name,
            roles=frozenset(user.roles.split()),
            channel="slack",
            method="slack",
            authenticated_at=self._service.database.clock.now(),
            session_id=f"slack:{who.team_id}/{who.id}",
        )

    async def _linked_by_email(self, who: SlackUser) -> User | None:
        profile = await self._profile(who.id)
        email = str(profile.get("profile", {}).get("email", "")) if profile.get("is_email_confirmed") else ""

        def link(tx: Transaction) -> User | None:
            return links.user_of(tx, who) or self._links.by_email(tx, who, email)

        return await self._service.write(link)

    async def _team(self) -> Team:
        try:
            return await self._api.team(patience=PATIENCE)
        except NotDelivered as error:
            raise Unavailable(f"Slack does not say whose workspace this is ({error.why}).", hint="Try again.") from None

    async def _profile(self, user_id: str) -> dict[str, Any]:
        at, said = self._known.get(user_id, (0.0, {}))
        if not at or time.monotonic() - at > KNOWN_SECONDS:
            try:
                said = (await self._api.call("users.info", patience=PATIENCE, user=user_id)).get("user", {})
            except NotDelivered as error:
                raise Unavailable(f"Slack does not say who you are ({error.why}).", hint="Try again.") from None
            self._known = {key: kept for key, kept in self._known.items() if time.monotonic() - kept[0] < KNOWN_SECONDS}
            self._known[user_id] = (time.monotonic(), said)
        return said
