"""The page: what a channel looks like, and its buttons. A key opens it, so that no agent on this machine presses."""

import hmac
import re
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from approvals_web.demo.slack.sending import Acknowledged

if TYPE_CHECKING:
    from approvals_web.demo.slack.server import DemoSlack

COOKIE = "demo_slack"
POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
_templates = Environment(loader=PackageLoader("approvals_web.demo.slack"), autoescape=True, trim_blocks=True)
_BOLD = re.compile(r"\*([^*\n\u200b]+)\*")
_REFERENCE = re.compile(r"<[^|>]*\|([^>]*)>")
_ESCAPES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}


def routes(slack: "DemoSlack") -> list[Route]:
    """Of one workspace."""
    pages = _Pages(slack)
    return [
        Route("/", pages.channel),
        Route("/style.css", pages.style),
        Route("/press", pages.press, methods=["POST"]),
        Route("/dialog", pages.dialog, methods=["POST"]),
        Route("/command", pages.command, methods=["POST"]),
    ]


class _Pages:
    def __init__(self, slack: "DemoSlack") -> None:
        self._slack = slack
        self._word = ""

    async def channel(self, request: Request) -> Response:
        if request.query_params.get("key"):
            answer: Response = RedirectResponse("/", 303)
            answer.set_cookie(COOKIE, request.query_params["key"], httponly=True, samesite="strict")
            return answer
        if not self._opened(request):
            return HTMLResponse("Open the address that `approvals serve --demo` printed.", 403)
        state, user = self._slack.state, self._user(request)
        shown = {
            "channels": [(channel, state.messages(channel.id)) for channel in state.channels.values()],
            "thread": state.thread,
            "users": state.users.values(),
            "user": user,
            "whispers": [said for said in state.said if said.to == user][-3:],
            "dialog": state.dialogs.get(user),
            "word": self._word,
            "words": words,
        }
        html = _templates.get_template("channel.html").render(shown)
        return HTMLResponse(html, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})

    async def style(self, request: Request) -> Response:
        source, _, _ = PackageLoader("approvals_web.demo.slack").get_source(_templates, "style.css")
        return Response(source, media_type="text/css")

    async def press(self, request: Request) -> Response:
        form = await request.form()
        said = self._slack.state.find(str(form.get("channel")), str(form.get("ts")))
        action = str(form.get("action"))
        if not self._allowed(request) or said is None or said.button(action) is None:
            return self._back("That button is gone.", request)
        if said.button(action).get("confirm") and form.get("sure") != "yes":  # type: ignore[union-attr]
            return self._back("Tick “sure” first: Slack asks the same in a dialog.", request)
        return self._done(await self._slack.press(self._user(request), said, action), request)

    async def dialog(self, request: Request) -> Response:
        form = await request.form()
        user = self._user(request)
        if not self._allowed(request) or user not in self._slack.state.dialogs:
            return self._back("That dialog is closed.", request)
        if form.get("cancel"):
            self._slack.state.dialogs.pop(user)
            return self._back("", request)
        return self._done(await self._slack.submit(user, _values(self._slack.state.dialogs[user], dict(form))), request)

    async def command(self, request: Request) -> Response:
        form = await request.form()
        if not self._allowed(request):
            return self._back("", request)
        text = str(form.get("text", "")).removeprefix("/approvals").strip()
        answer = await self._slack.command(self._user(request), text)
        return self._back(str((answer.body or {}).get("text", "")), request)

    def _done(self, answer: Acknowledged, request: Request) -> Response:
        errors = (answer.body or {}).get("errors", {}) if isinstance(answer.body, dict) else {}
        failed = "" if answer.ok else "The app did not answer in time, or with an error."
        return self._back(" ".join(errors.values()) or failed, request)

    def _back(self, word: str, request: Request) -> Response:
        self._word = word
        return RedirectResponse(f"/?user={self._user(request)}", 303)

    def _opened(self, request: Request) -> bool:
        return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self._slack.key.encode())

    def _allowed(self, request: Request) -> bool:
        """With the key, and from this page."""
        return self._opened(request) and request.headers.get("origin") in {None, self._slack.url}

    def _user(self, request: Request) -> str:
        asked = request.query_params.get("user", "")
        return asked if asked in self._slack.state.users else next(iter(self._slack.state.users), "")


def words(text: dict[str, Any]) -> str:
    """A text object's letters; the template escapes them."""
    said = str(text.get("text", ""))
    if text.get("type") == "mrkdwn":
        said = _REFERENCE.sub(r"\1", said).replace("```\n", "").replace("\n```", "")
        said = _BOLD.sub(r"\1", said)
        for escaped, plain in _ESCAPES.items():
            said = said.replace(escaped, plain)
    return said.replace("\u200b", "")


def _values(view: dict[str, Any], form: dict[str, Any]) -> dict[str, Any]:
    """The state of a dialog, from a form whose fields are called by block."""
    values: dict[str, Any] = {}
    for block in view["blocks"]:
        if block["type"] != "input":
            continue
        element, given = block["element"], form.get(block["block_id"])
        chosen = [option for option in element.get("options", []) if option["value"] == given]
        kept: dict[str, Any] = {"type": element["type"], "value": given}
        if element["type"] == "checkboxes":
            kept = {"type": element["type"], "selected_options": chosen}
        if element["type"] == "radio_buttons":
            kept = {"type": element["type"], "selected_option": next(iter(chosen), None)}
        values[block["block_id"]] = {element["action_id"]: kept}
    return values
