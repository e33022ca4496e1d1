"""Slack's Web API (https://docs.slack.dev/apis/web-api), with its refusals sorted by what they mean for a message."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from approvals.service.notifications.notifier import NotDelivered, Undeliverable

PATIENCE = 10.0
"""Seconds for one call."""
BROKEN = {
    "invalid_auth": "Slack does not know the bot token.",
    "not_authed": "There is no bot token.",
    "token_revoked": "The bot token was revoked.",
    "token_expired": "The bot token has run out.",
    "account_inactive": "The app was removed from the workspace.",
    "missing_scope": "The app lacks a scope it needs: reinstall it with the manifest.",
    "org_login_required": "The workspace is being moved.",
}
"""Nothing can be sent until somebody mends it."""
BROKEN_WAIT = 60.0
UNFIT = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_too_long", "invalid_arguments", "no_text"})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
HOOKS = "hooks.slack.com"


@dataclass
class Refused(NotDelivered):
    """Slack said no; `error` is its word for why."""

    error: str = ""


@dataclass(frozen=True)
class Team:
    """Whose workspace the bot token is of."""

    team_id: str
    name: str
    bot_user_id: str


def session(total: float | None = PATIENCE) -> aiohttp.ClientSession:
    """For everything that is sent to Slack: it carries tokens and cards, and goes where it was sent or nowhere."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=total), middlewares=(_straight,))


async def _straight(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Raises ClientResponseError for a redirect, which would be followed."""
    answer = await send(request)
    if answer.status in REDIRECTS:
        answer.close()
        raise aiohttp.ClientResponseError(answer.request_info, answer.history, status=answer.status)
    return answer


class SlackApi:
    """One workspace's. Event loop only."""

    def __init__(self, token: str, api_url: str) -> None:
        self._token = token
        self.url = api_url if api_url.endswith("/") else f"{api_url}/"
        self._session: aiohttp.ClientSession | None = None
        self._team: Team | None = None
        self.trouble: str | None = None
        """Why nothing can be sent; None while all is well."""
        self.deaf: str | None = None
        """Why presses do not arrive over the socket; None while they do."""

    async def call(self, method: str, *, patience: float = PATIENCE, **arguments: Any) -> dict[str, Any]:
        """One call. Raises NotDelivered (later, perhaps), Undeliverable (never), Refused (with Slack's word)."""
        given = {
            name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in arguments.items()
        }
        try:
            async with asyncio.timeout(patience):
                answer = await self._client().api_call(method, data=given)
        except SlackApiError as error:
            raise self._refused(error) from None
        except TimeoutError:
            raise NotDelivered(f"Slack did not answer {method} within {patience:g} seconds") from None
        except (aiohttp.ClientError, SlackClientError, OSError) as error:
            raise NotDelivered(f"{method}: {type(error).__name__}") from None
        self.trouble = None
        return dict(answer.data) if isinstance(answer.data, dict) else {}

    async def team(self, *, patience: float = PATIENCE) -> Team:
        """Asked once. Raises as `call`."""
        if self._team is None:
            said = await self.call("auth.test", patience=patience)
            self._team = Team(said["team_id"], said.get("team", ""), said.get("user_id", ""))
        return self._team

    async def respond(self, response_url: str, words: str) -> None:
        """Tell whoever pressed, and nobody else. Raises NotDelivered."""
        if not self._answerable(response_url):
            raise Undeliverable("the response address is not Slack's")
        body = {"response_type": "ephemeral", "replace_original": False, "text": words}
        try:
            async with asyncio.timeout(PATIENCE), self._http().post(response_url, json=body) as answer:
                if answer.status != 200:
                    raise NotDelivered(f"the response address answered {answer.status}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotDelivered(type(error).__name__) from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _answerable(self, url: str) -> bool:
        """Only Slack's own addresses, whatever a payload says."""
        try:
            wanted, own = urlsplit(url), urlsplit(self.url)
        except ValueError:
            return False
        if wanted.scheme == "https" and wanted.hostname == HOOKS:
            return True
        return own.hostname != "slack.com" and (wanted.scheme, wanted.netloc) == (own.scheme, own.netloc)

    def _client(self) -> AsyncWebClient:
        return AsyncWebClient(self._token, base_url=self.url, session=self._http(), retry_handlers=[])

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = session()
        return self._session

    def _refused(self, error: SlackApiError) -> NotDelivered:
        answer: Any = error.response
        status = getattr(answer, "status_code", 0)
        data = getattr(answer, "data", answer)
        word = str(data.get("error", "")) if isinstance(data, dict) else ""
        if status == 429 or word == "ratelimited":
            return NotDelivered("Slack asked for patience", _seconds(getattr(answer, "headers", {})))
        if word in BROKEN:
            self.trouble = BROKEN[word]
            return Refused(word, BROKEN_WAIT, error=word)
        if word in UNFIT:
            return Undeliverable(f"Slack refused the message: {word}")
        if not word or status >= 500:
            return NotDelivered(f"Slack answered {status or 'something unreadable'}")
        return Refused(word, error=word)


def _seconds(headers: Any) -> float:
    said = str(headers.get("Retry-After") or headers.get("retry-after") or "")
    return min(3600.0, float(said)) if said.isascii() and said.isdigit() else 1.0
