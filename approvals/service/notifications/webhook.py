"""Signed webhooks: what is asked and what became of it, for everything that is not Slack.

Standard Webhooks (https://www.standardwebhooks.com): `webhook-id` is the same at every attempt, `webhook-signature` is
an HMAC-SHA256 over id, time and body. Arguments go as they were recorded, redacted. Nothing that comes back decides.
"""

import base64
import contextlib
import hashlib
import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2
from standardwebhooks.webhooks import Webhook as Signature

from approvals.errors import Invalid
from approvals.instant import SECOND
from approvals.protocol.states import State
from approvals.service.notifications.notifier import NOTHING, NotDelivered, Notice, Sent, Undeliverable
from approvals.service.text import visible

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 15.0
SHORTEST_SECRET = 24
"""Bytes, as Standard Webhooks asks for."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Webhook:
    """Posts JSON to one address. Raises Invalid for an address or a secret that cannot be used."""

    name = "webhook"
    trouble: str | None = None
    """A receiver that is away is known by what waits in the outbox."""

    def __init__(self, url: str, secret: str) -> None:
        parts = urlsplit(url)
        if not parts.hostname or not (
            parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        ):
            raise Invalid(
                "APPROVALS_WEBHOOK_URL is no https address.", hint="Use https://…, or http:// on this machine."
            )
        self._url = url
        self._signature = _signature(secret)

    async def announce(self, notice: Notice) -> Sent:
        return await self.update(notice)

    async def update(self, notice: Notice) -> Sent:
        """As it is by now: a receiver that was away hears of the end, and is not told twice."""
        told = {name: said for name, said in content(notice).items() if name != "expires_in_seconds"}
        said = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        if said == notice.said:
            return NOTHING
        await self._post(f"request.{notice.status.state}", notice)
        return Sent(said)

    async def reply(self, notice: Notice) -> Sent:
        if notice.status.state is State.PENDING:
            await self._post("request.reminded", notice)
        return NOTHING

    async def _post(self, kind: str, notice: Notice) -> None:
        at = datetime.fromtimestamp(notice.at / SECOND, UTC)
        text = json.dumps({"type": kind, "timestamp": at.isoformat(), "data": content(notice)}, ensure_ascii=False)
        headers = {
            "content-type": "application/json",
            "webhook-id": notice.id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._signature.sign(notice.id, at, text),
        }
        timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        try:
            async with (
                httpx2.AsyncClient(timeout=timeout, follow_redirects=False) as http,
                http.stream("POST", self._url, content=text.encode(), headers=headers) as answer,
            ):
                _check(answer)  # what it says beside its status is not read
        except httpx2.HTTPError as error:
            raise NotDelivered(type(error).__name__) from error


def content(notice: Notice) -> dict[str, object]:
    """What a receiver learns of a request."""
    row, status = notice.row, notice.status
    more = {} if notice.details is None else notice.details.model_dump(mode="json", include=_DETAILS)
    more["votes"] = [
        {name: of[name] for name in ("by", "verdict", "channel", "counts")} for of in more.get("votes", ())
    ]
    return {
        "id": row.id,
        "state": status.state,
        "content_version": row.content_version,
        "digest": row.digest,
        "summary": row.summary,
        "server": row.server,
        "tool": row.tool,
        "arguments": json.loads(row.arguments),
        "agent": notice.agent,
        "on_behalf_of_unverified": row.on_behalf_of,
        "reason_unverified": _said(row.reason),
        "risk": row.risk,
        "rule": row.rule,
        "quorum": row.quorum,
        "expires_in_seconds": status.expires_in,
        "decided_by": row.decided_by,
        "comment": _said(row.comment),
        "ended_because": status.ended_because,
        "review_url": status.review_url,
        **more,
    }


_DETAILS = {
    *("assurance", "edited", "hidden", "no_preview", "preview", "proposed", "suggestion", "tool_hash", "votes"),
    *("warnings", "who_may_approve"),
}
"""What a card says beside the rest, but for ages: they would make each message another one."""


def _said(words: str | None) -> str | None:
    """As pages show it: with its lines and blanks, and with hidden and reordering characters made visible."""
    return None if words is None else visible(words, keep="\n\t")


def _signature(secret: str) -> Signature:
    encoded = secret.removeprefix("whsec_")
    with contextlib.suppress(ValueError):
        if len(base64.b64decode(encoded, validate=True)) >= SHORTEST_SECRET:
            return Signature(secret)
    raise Invalid("APPROVALS_WEBHOOK_SECRET cannot be used.", hint="Make one: echo whsec_$(openssl rand -base64 32)")


def _check(answer: httpx2.Response) -> None:
    if answer.is_success:
        return
    why = f"the receiver answered {answer.status_code}"
    if answer.status_code == 410:
        raise Undeliverable(f"{why}: it wants no more")
    raise NotDelivered(why, _retry_after(answer.headers.get("retry-after", "")))


def _retry_after(said: str) -> float:
    """RFC 9110 section 10.2.3: seconds, or a date. At most an hour."""
    if said.isascii() and said.isdigit():
        return min(3600.0, float(said[:9]))
    try:
        until = parsedate_to_datetime(said)
        return max(0.0, min(3600.0, (until - datetime.now(UTC)).total_seconds()))
    except (TypeError, ValueError):
        return 0.0
