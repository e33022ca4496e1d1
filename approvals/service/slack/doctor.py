"""Tries everything that the service needs of Slack, and says what to mend."""

import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

from aiohttp import ClientSession
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from approvals.service.findings import Finding
from approvals.service.slack.client import session
from approvals.service.slack.manifest import BY_EMAIL, SCOPES
from approvals.service.slack.workspace import Installed

SKEW = 240.0
"""Seconds: at five minutes Slack's signatures count as too old."""
SLACKBOT = "USLACKBOT"
_MEND = {
    "invalid_auth": "Copy the bot token (xoxb-…) anew from “OAuth & Permissions”.",
    "not_authed": "Set APPROVALS_SLACK_BOT_TOKEN.",
    "token_revoked": "Reinstall the app, and copy the new bot token.",
    "account_inactive": "Reinstall the app, and copy the new bot token.",
    "missing_scope": "Paste the manifest anew (approvals slack manifest), and reinstall the app.",
    "channel_not_found": "Check APPROVALS_SLACK_CHANNEL; a private channel has to invite the app first.",
    "not_in_channel": "Invite the app into the channel: /invite @approvals",
    "is_archived": "Unarchive the channel, or choose another: APPROVALS_SLACK_CHANNEL.",
}


async def examine(installed: Installed, channels: Iterable[str] = ()) -> AsyncIterator[Finding]:
    """Check by check; nothing more after one that all others rest on. `channels`: those that rules name."""
    async with session() as http:
        async for finding in _examined(installed, http, channels):
            yield finding


async def _examined(installed: Installed, http: ClientSession, channels: Iterable[str]) -> AsyncIterator[Finding]:
    client = AsyncWebClient(installed.bot_token, base_url=installed.api_url, retry_handlers=[], session=http)
    whose = await _try("token", client, "auth.test")
    yield whose[0]
    if not whose[0].ok:
        return
    headers = {name.lower(): value for name, value in whose[1].headers.items()}
    yield _scopes(headers.get("x-oauth-scopes"), by_email=installed.by_email)
    yield _clock(headers.get("date", ""))
    yield (await _try("people", client, "users.info", user=whose[1]["user_id"]))[0]
    yield await _direct(client, str(whose[1]["user_id"]))
    posted, answer = await _posted(client, installed.channel, "post")
    yield posted
    if posted.ok:
        place = {"channel": answer["channel"], "ts": answer["ts"]}
        yield (await _try("update", client, "chat.update", text="approvals slack doctor: updated", **place))[0]
        yield (await _try("delete", client, "chat.delete", **place))[0]
    for channel in channels:
        found, answer = await _posted(client, channel, f"post in {channel}")
        yield found
        if found.ok:
            await _try("delete", client, "chat.delete", channel=answer["channel"], ts=answer["ts"])
    yield await _hearing(installed, http)


async def _posted(client: AsyncWebClient, channel: str, what: str) -> tuple[Finding, Any]:
    words = "approvals slack doctor: a test"
    found, answer = await _try(what, client, "chat.postMessage", channel=channel, text=words)
    mend = found.mend.replace("APPROVALS_SLACK_CHANNEL", "the rule's `notify`") if what != "post" else found.mend
    return replace(found, mend=mend), answer


async def _direct(client: AsyncWebClient, own: str) -> Finding:
    """Whether people can be written to: a conversation with one of them is opened, and nothing is said in it."""
    known, answer = await _try("direct", client, "users.list", limit=100)
    if not known.ok:
        return known
    members = (one for one in answer["members"] if not (one.get("is_bot") or one.get("deleted")))
    found = next((one for one in members if one["id"] not in {own, SLACKBOT}), None)
    if found is None:
        return Finding("direct", ok=True, said="there is nobody to write to")
    opened, _ = await _try("direct", client, "conversations.open", users=found["id"])
    return opened


async def _hearing(installed: Installed, http: ClientSession) -> Finding:
    """How presses arrive."""
    if not installed.app_token:
        return Finding("presses", ok=True, said="signed, at POST /slack/actions: press a button to try it")
    client = AsyncWebClient(installed.app_token, base_url=installed.api_url, retry_handlers=[], session=http)
    found, _ = await _try("socket", client, "apps.connections.open")
    mend = "Make an app-level token (xapp-…) with connections:write, and turn on Socket Mode."
    return found if found.ok else Finding("socket", ok=False, said=found.said, mend=mend)


async def _try(what: str, client: AsyncWebClient, method: str, **arguments: Any) -> tuple[Finding, Any]:
    try:
        answer = await client.api_call(method, data=arguments)
    except SlackApiError as error:
        data = getattr(error.response, "data", error.response)
        word = str(data.get("error", "")) if isinstance(data, dict) else "an answer that cannot be read"
        unknown = f"Slack says what that means: https://docs.slack.dev/reference/methods/{method}"
        return Finding(what, ok=False, said=word, mend=_MEND.get(word, unknown)), None
    except Exception as error:
        mend = f"Can this machine reach {client.base_url}?"
        return Finding(what, ok=False, said=type(error).__name__, mend=mend), None
    return Finding(what, ok=True, said=str(answer.get("team", ""))), answer


def _scopes(granted: str | None, *, by_email: bool) -> Finding:
    if granted is None:
        return Finding("scopes", ok=True, said="Slack did not say which this token has; the other checks tell")
    wanted = {*SCOPES, *([BY_EMAIL] if by_email else [])}
    missing = sorted(wanted - {scope.strip() for scope in granted.split(",")})
    return Finding(
        "scopes", ok=not missing, said=f"missing: {', '.join(missing)}" if missing else "", mend=_MEND["missing_scope"]
    )


def _clock(date: str) -> Finding:
    try:
        skew = abs(parsedate_to_datetime(date).timestamp() - time.time())
    except (TypeError, ValueError):
        return Finding("clock", ok=True, said="Slack did not say its time")
    mend = "Set this machine's clock (NTP): Slack's signatures are refused after five minutes."
    return Finding("clock", ok=skew < SKEW, said=f"{skew:.0f} s apart", mend=mend)
