"""Templates: one file serves page, htmx response (its block `live`) and live update. Autoescape is always on."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2_fragments.fastapi import Jinja2Blocks

from approvals.instant import Instant, to_datetime
from approvals.service.controls.freezes import concerning
from approvals.service.service import Service
from approvals.service.text import visible
from approvals_web.http.assets import address
from approvals_web.http.navigation import navigation

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates = Jinja2Blocks(env=_environment)


def page(
    request: Request,
    name: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The page, or only its live block when htmx asks for that."""
    block = "live" if request.headers.get("hx-request") == "true" and status == 200 else None
    always = {"nonce": request.state.nonce, "person": None, "here": request.url.path}
    standing = {"freezes": getattr(request.state, "freezes", [])} | _trouble(request)
    given = always | standing | dict(context)
    vary = {"Vary": "HX-Request"} | dict(headers or {})
    return _templates.TemplateResponse(request, name, given, status_code=status, headers=vary, block_name=block)


def _trouble(request: Request) -> dict[str, Any]:
    """What every page says to whoever is signed in."""
    service: Service = request.app.state.service
    return {"policy_trouble": service.policy.trouble, "notifier_trouble": service.trouble()}


def fragment(name: str, **context: Any) -> str:
    """A partial as text, for hashing what a person was shown."""
    return _environment.get_template(name).render(context)


def when(at: Instant | None) -> str:
    return "" if at is None else to_datetime(at).strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(seconds: float) -> str:
    """Whole minutes above two, else seconds."""
    left = timedelta(seconds=round(seconds))
    hours, minutes = divmod(int(left.total_seconds()) // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes >= 2 else f"{int(left.total_seconds())} s"


def _shown(text: str) -> str:
    return visible(text, keep="\n\t")


def _as_json(value: Any) -> str:
    """A value of the record's as JSON, which reads the same to everybody."""
    return _shown(json.dumps(value, ensure_ascii=False))


_environment.filters |= {"as_json": _as_json, "when": when, "span": _span, "visible": _shown}
_environment.globals |= {"asset": address, "concerning": concerning, "navigation": navigation}
