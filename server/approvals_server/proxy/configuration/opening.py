"""What a configuration describes, made ready: a gate, a way to the upstream, and the rules, for each."""

import logging
import os
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version

import httpx2

from approvals.errors import NotConfigured
from approvals.gate.gate import Gate
from approvals.gate.settings import GateSettings
from approvals.secret_reference import resolve
from approvals_server.proxy.client_files import KEYS
from approvals_server.proxy.configuration.document import Document, UpstreamPart
from approvals_server.proxy.process import UpstreamProcess
from approvals_server.proxy.remote import TIMEOUT, ParamHeaders, UpstreamHttp
from approvals_server.proxy.rules.recipes import name_for, recipe
from approvals_server.proxy.rules.rule import Rules
from approvals_server.proxy.shared_state import Desk
from approvals_server.proxy.upstream import Gone, Receive, Upstream
from approvals_server.proxy.upstream_session import Connect
from approvals_server.proxy.upstreams import Behind

logger = logging.getLogger("approvals.proxy")


def opened(document: Document, name: str, environment: Mapping[str, str] = os.environ) -> Behind:
    """One of its upstreams. Raises NotConfigured for a secret of the upstream's that cannot be had."""
    part = document.upstreams[name]
    desk = Desk(gate_of(name, _settings(document, name, part, environment)), part.command or [part.url], rules_of(part))
    return Behind(desk, _connect(part), part.prefix)


def gate_of(name: str, settings: GateSettings | None) -> Gate:
    """Before tools that nobody here wrote."""
    return Gate(name, settings, code_version=f"mcp-approvals {version('mcp-approvals')}", pinned=True)


def over_http(http: httpx2.AsyncClient, url: str) -> Connect:
    """Sessions with one server over HTTP."""
    params: ParamHeaders = {}

    async def connect(receive: Receive, gone: Gone) -> Upstream:
        return UpstreamHttp(http, url, params, receive, gone)

    return connect


def rules_of(part: UpstreamPart) -> Rules:
    """The owner's words before the recipe's."""
    known = recipe(part.recipe or name_for(part.command or [part.url]))
    return Rules(tools={**known.tools, **part.tools})


def summary(behind: Behind, part: UpstreamPart) -> str:
    """One upstream in a line."""
    found = part.recipe or name_for(part.command or [part.url])
    previews = sum(rule.preview is not None for rule in behind.desk.rules.tools.values())
    where = part.url or " ".join(part.command)
    how = f"recipe {found}, {previews} previews" if previews else "no previews"
    gated = "" if behind.desk.gate.is_configured else "; NO KEY: every call is refused"
    where = where if len(where) <= 100 else f"{where[:60]} … {where[-37:]}"
    return f"{behind.name}: {where} ({how}{gated})"


def _connect(part: UpstreamPart) -> Connect:
    if part.command:
        more = {name: resolve(value) for name, value in part.env.items()}
        return partial(UpstreamProcess.start, part.command, more=more)
    headers = {"Authorization": f"Bearer {resolve(part.token)}"} if part.token is not None else {}
    return over_http(httpx2.AsyncClient(timeout=TIMEOUT, headers=headers), part.url)


def _settings(document: Document, name: str, part: UpstreamPart, environment: Mapping[str, str]) -> GateSettings | None:
    """None, with a word about it, where they are not all there: then every call of a tool is refused."""
    said = dict(environment)
    if document.service is not None:
        said["APPROVALS_URL"] = document.service
    said["APPROVALS_SERVER_KEY"] = part.key or f"file:{KEYS / name}.key"
    if document.agent_key is not None:
        said["APPROVALS_AGENT_KEY"] = document.agent_key
    try:
        return GateSettings.from_environment(said)
    except NotConfigured as error:
        logger.warning("%s: %s %s", name, error.detail, error.hint)
        return None
