"""The page: what a channel looks like, and its buttons. A key opens it, so that no agent on this machine presses."""

import asyncio
import contextlib
import hmac
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from approvals_web.demo.slack.sending import Acknowledged

if TYPE_CHECKING:
    from approvals_web.demo.slack.server import DemoSlack

COOKIE = "demo_slack"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_templates = Environment(loader=PackageLoader("approvals_web.demo.slack"), autoescape=True, trim_blocks=True)
_FENCE = re.compile(r"```(.*?)```", re.DOTALL)
_DRAWN = re.compile(
    r"\*([^*\n\u200b]+)\*|<!date\^(\d+)[^|>]*\|[^>]*>|<([^|>@]*)\|([^>]*)>|<(?:@|!subteam\^)([A-Z0-9]+)>"
)
"""Bold letters; a time; an address and its label; somebody who is called."""
LOOK_SECONDS = 20.0
_ESCAPES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}


def routes(slack: "DemoSlack") -> list[Route]:
    """Of one workspace."""
    pages = _Pages(slack)
    return [
        Route("/", pages.channel),
        Route("/style.css", pages.style),
        Route("/script.js", pages.script),
        Route("/changed", pages.changed),
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
            "at": lambda ts: _moment(int(ts.partition(".")[0])),
            "version": state.version,
        }
        html = _templates.get_template("channel.html").render(shown)
        return HTMLResponse(html, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})

    async def style(self, request: Request) -> Response:
        return _source("style.css", "text/css")

    async def script(self, request: Request) -> Response:
        return _source("script.js", "text/javascript")

    async def changed(self, request: Request) -> Response:
        """The version of what there is, once it is another one than the page shows, or a while has passed."""
        if not self._opened(request):
            return Response(status_code=403)
        shown = request.query_params.get("since", "")
        if shown == str(self._slack.state.version):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._slack.state.after(int(shown)), LOOK_SECONDS)
        return Response(str(self._slack.state.version), media_type="text/plain")

    async def press(self, request: Request) -> Response:
        form = await request.form()
        said = self._slack.state.find(str(form.get("channel")), str(form.get("ts")))
        action = str(form.get("action"))
        if not self._allowed(request) or said is None or said.button(action) is None:
            return self._back("That button is gone.", request)
        if said.button(action).get("confirm") and form.get("sure") != "yes":  # type: ignore[union-attr]
            return self._back("Tick “Yes, I am sure” first: Slack asks that in a dialog of its own.", request)
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


def words(text: dict[str, object]) -> Markup:
    """A text object as Slack draws it: code in a block of its own, quotations, bold letters, links and times."""
    said = str(text.get("text", ""))
    if text.get("type") != "mrkdwn":
        return escape(said.replace("\u200b", ""))
    parts = _FENCE.split(said)
    return Markup("").join(_code(part) if number % 2 else _lines(part) for number, part in enumerate(parts))


def _code(said: str) -> Markup:
    return Markup("<pre><code>{}</code></pre>").format(_letters(said.strip("\n")))


def _lines(said: str) -> Markup:
    lines = said.strip("\n").split("\n") if said.strip("\n") else []
    return Markup("").join(
        Markup("<span class='quote'>{}</span>").format(_inline(line[2:]))
        if line.startswith("> ")
        else Markup("<span class='line'>{}</span>").format(_inline(line))
        for line in lines
    )


def _inline(said: str) -> Markup:
    drawn, end = Markup(""), 0
    for found in _DRAWN.finditer(said):
        drawn += escape(_letters(said[end : found.start()]))
        bold, at, address, label, mention = found.groups()
        if bold:
            drawn += Markup("<b>{}</b>").format(_letters(bold))
        elif at:
            drawn += _moment(int(at))
        elif address and address.startswith("http"):
            drawn += Markup('<a href="{}" rel="noreferrer">{}</a>').format(_letters(address), _letters(label))
        else:
            drawn += Markup("<b class='mention'>@{}</b>").format(mention) if mention else escape(_letters(label))
        end = found.end()
    return drawn + escape(_letters(said[end:]))


def _moment(at: int) -> Markup:
    """A time, which the page's script writes in the reader's own zone."""
    when = datetime.fromtimestamp(at, UTC)
    return Markup("<time datetime='{}'>{}</time>").format(when.isoformat(), when.strftime("%Y-%m-%d %H:%M UTC"))


def _letters(said: str) -> str:
    for escaped, plain in _ESCAPES.items():
        said = said.replace(escaped, plain)
    return said.replace("\u200b", "")


def _source(name: str, media_type: str) -> Response:
    source, _, _ = PackageLoader("approvals_web.demo.slack").get_source(_templates, name)
    return Response(source, media_type=media_type)


def _values(view: dict[str, Any], form: dict[str, object]) -> dict[str, object]:
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
