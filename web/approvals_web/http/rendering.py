"""Templates: one file serves page, htmx response (its block `live`) and live update. Autoescape is always on, and every
text is made safe to read where it is put out: nothing in it hides or reorders itself."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from jinja2_fragments.fastapi import Jinja2Blocks
from markupsafe import Markup, escape

from approvals.instant import Instant
from approvals.protocol.edits import sides
from approvals.service.controls.freezes import concerning
from approvals.service.text import visible
from approvals_web.http import lexicon, times
from approvals_web.http.app_parts import the_service
from approvals_web.http.assets import address
from approvals_web.http.navigation import navigation

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SMALLEST = 1400
"""Bytes that one packet holds: below, compressing saves nothing."""


def _shown(text: str) -> str:
    return visible(text, keep="\n\t")


def _readable(value: object) -> object:
    """What every expression of a template goes through."""
    return _shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_readable,
)
_templates = Jinja2Blocks(env=_environment)


def page(
    request: Request,
    name: str,
    context: "Mapping[str, Any] | DataclassInstance",
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    block: str = "",
) -> Response:
    """The page, or only its block when htmx asks for that: its block `live` where all went well, or the one named."""
    part = (block or ("live" if status == 200 else None)) if is_part(request) else None
    given = _always(request) | _plain(context)
    vary = {"Vary": "HX-Request, Accept-Encoding"} | dict(headers or {})
    made = _templates.TemplateResponse(request, name, given, status_code=status, headers=vary, block_name=part)
    return _compressed(request, made)


def is_part(request: Request) -> bool:
    """Whether a part of a page is asked for."""
    return request.headers.get("hx-request") == "true"


def _always(request: Request) -> dict[str, object]:
    """What every page knows, and says to whoever is signed in."""
    service = the_service(request)
    return {
        "nonce": request.state.nonce,
        "person": None,
        "here": request.url.path,
        "now": service.database.clock.now(),
        "mark": getattr(request.state, "mark", ""),
        "freezes": getattr(request.state, "freezes", []),
        "policy_trouble": service.policy.trouble,
        "notifier_trouble": service.trouble(),
    }


def _plain(context: "Mapping[str, Any] | DataclassInstance") -> dict[str, object]:
    if is_dataclass(context):
        return {field.name: getattr(context, field.name) for field in fields(context)}
    return dict(context)


def _compressed(request: Request, made: Response) -> Response:
    """A page is text that repeats itself: a sixth of it travels."""
    if len(made.body) < SMALLEST or "gzip" not in request.headers.get("accept-encoding", ""):
        return made
    made.body = gzip.compress(made.body, compresslevel=4, mtime=0)
    made.headers["Content-Encoding"] = "gzip"
    made.headers["Content-Length"] = str(len(made.body))
    return made


def fragment(name: str, **context: object) -> str:
    """A partial as text, for hashing what a person was shown."""
    return _environment.get_template(name).render(context)


def _exactly(value: object) -> Markup:
    """For what a form sends back: escaped, and not a character of it changed."""
    return escape(value)


def _as_json(value: object) -> str:
    """A value of the record's as JSON, which reads the same to everybody."""
    return json.dumps(value, ensure_ascii=False)


@pass_context
def _ago(context: Context, at: Instant | None) -> Markup:
    return times.ago(at, context["now"])


_environment.filters |= {
    "ago": _ago,
    "as_json": _as_json,
    "brief": lexicon.brief,
    "at": times.at,
    "exactly": _exactly,
    "headline": lexicon.headline,
    "sides": sides,
    "span": times.span,
    "visible": _shown,
    "when": times.exact,
}
_environment.globals |= {"asset": address, "concerning": concerning, "navigation": navigation, "lexicon": lexicon}
