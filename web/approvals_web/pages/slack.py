"""What Slack sends: presses, dialogs, commands, events. Its signature says who sends, nothing else does."""

import json
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from slack_sdk.signature import Clock, SignatureVerifier

from approvals.errors import BadRequest, NotFound, Unauthenticated
from approvals.instant import SECOND
from approvals.service.service import Service
from approvals.service.slack.interactions import COMMAND, EVENT, INTERACTIVE
from approvals_web.http.app_parts import slack_of, the_service

MAX_BODY = 1_048_576
"""Bytes: an interaction carries the message it is in."""

router = APIRouter(include_in_schema=False, max_body_size=MAX_BODY)


@router.post("/slack/actions")
async def actions(request: Request) -> Response:
    """One of them. The answer is the acknowledgement, and comes after the commit."""
    workspace = slack_of(request)
    if workspace is None or not workspace.installed.signing_secret:
        raise NotFound("Slack is not set up to send here.", hint="Set APPROVALS_SLACK_SIGNING_SECRET.")
    body = await request.body()
    _check_signature(request, body, workspace.installed.signing_secret)
    kind, payload = _read(body, request.headers.get("content-type", ""))
    if payload.get("type") == "url_verification":
        return JSONResponse({"challenge": str(payload.get("challenge", ""))[:1000]})
    answer = await workspace.interactions.handle(kind, payload)
    return Response(status_code=200) if answer is None else JSONResponse(answer)


class _Clock(Clock):
    """The service's, for the verifier."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def now(self) -> float:
        return self._service.database.clock.now() / SECOND


def _check_signature(request: Request, body: bytes, secret: str) -> None:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack. Raises Unauthenticated."""
    at = request.headers.get("x-slack-request-timestamp", "")
    signature = request.headers.get("x-slack-signature", "")
    verifier = SignatureVerifier(secret, _Clock(the_service(request)))
    readable = at.isascii() and at.isdigit() and len(at) < 15 and signature.isascii()
    try:
        valid = readable and verifier.is_valid(body, at, signature)
    except UnicodeDecodeError:
        valid = False
    if not valid:
        raise Unauthenticated("This does not carry Slack's signature.", hint="Check the signing secret, and the clock.")


def _read(body: bytes, content_type: str) -> tuple[str, dict[str, Any]]:
    """Interactions come as a form with JSON in it, commands as a form, events as JSON. Raises BadRequest."""
    try:
        text = body.decode()
        if content_type.startswith("application/json"):
            return EVENT, _document(text)
        form = {name: values[0] for name, values in parse_qs(text, max_num_fields=100).items()}
        return (INTERACTIVE, _document(form["payload"])) if "payload" in form else (COMMAND, form)
    except (ValueError, RecursionError):
        raise BadRequest("This cannot be read.", hint="Slack sends forms and JSON.") from None


def _document(text: str) -> dict[str, object]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(found)
    return found
