"""The policy: what is in force, what was, what its rules did, and what it would say of a call."""

from typing import Annotated

from fastapi import Form, Query, Request, Response

from approvals.errors import (
    ApprovalsError,
    BadRequest,
    Invalid,
    NotFound,
)
from approvals.policy import diff
from approvals.policy.engine import RulePolicy
from approvals.policy.model import policy_hash
from approvals.protocol.message_fields import Hash
from approvals.service.history import rule_statistics
from approvals.service.identity.users import Person
from approvals.service.policies import trial as policy_trial
from approvals.service.policies import versions
from approvals.service.service import Service
from approvals.service.storage.database import Reader
from approvals_web.http import strict_json
from approvals_web.http.deps import SignedIn, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter

RULES = 20
"""On a page, with the figures of each."""
LOADS = 20
CHECKED = 200
"""Tools whose fit is looked at."""
STEPS = 300
"""Of an explanation."""

router = PageRouter()

First = Annotated[int, Query(ge=0, le=100_000)]
Before = Annotated[int, Query(ge=1, le=versions.NEWEST)]


@router.get("/policy")
def policy(
    request: Request, person: SignedIn, service: TheService, first: First = 0, before: Before = versions.NEWEST
) -> Response:
    """What is in force, its rules with what they did, and its history."""
    shown = service.read_now(lambda reader: _shown(reader, service, first, before))
    return page(request, "policy.html", shown | {"person": person} | _trial())


@router.get("/policy/versions/{name}")
def version(name: Hash, request: Request, person: SignedIn, service: TheService) -> Response:
    """One version: its text, when it came into force, and what it changed."""
    shown = service.read_now(lambda reader: _version(reader, name))
    return page(request, "policy_version.html", shown | {"person": person})


@router.post("/policy/trial")
def trial(
    request: Request,
    person: SignedIn,
    service: TheService,
    tool: Annotated[str, Form(max_length=300)] = "",
    agent: Annotated[str, Form(max_length=200)] = "",
    arguments: Annotated[str, Form(max_length=50_000)] = "{}",
    facts: Annotated[str, Form(max_length=20_000)] = "{}",
) -> Response:
    """What the policy in force would say of a call. Nothing is filed."""
    typed = {"tool": tool, "agent": agent, "arguments": arguments, "facts": facts}
    try:
        given, notice, status = _attempt(service, tool, agent.strip(), arguments, facts), "", 200
    except ApprovalsError as error:
        given, notice, status = [], f"{error.detail} {error.hint}".strip(), 422
    return _tried(request, person, service, _trial(typed, given, notice), status)


def _tried(request: Request, person: Person, service: Service, tried: dict[str, object], status: int) -> Response:
    shown = service.read_now(lambda reader: _shown(reader, service, 0, versions.NEWEST))
    return page(request, "policy.html", shown | {"person": person} | tried, status=status)


def _attempt(service: Service, tool: str, agent: str, arguments: str, facts: str) -> list[policy_trial.Trial]:
    server, _, name = tool.partition(" ")
    plain, effect = _parsed(arguments, "The arguments are"), _parsed(facts.strip() or "{}", "The facts are")
    present = service.policy.present
    return service.read_now(
        lambda reader: policy_trial.attempt(reader, service.registry, present, server, name, agent, plain, effect)
    )


def _parsed(text: str, what: str) -> object:
    try:
        return strict_json.parse(text.encode(errors="surrogatepass"))
    except BadRequest as error:
        raise Invalid(error.detail.replace("The body is", what), hint=error.hint) from error


def _trial(
    typed: dict[str, str] | None = None, trials: list[policy_trial.Trial] | None = None, notice: str = ""
) -> dict[str, object]:
    typed = typed or {"tool": "", "agent": "", "arguments": "{}", "facts": "{}"}
    return {"typed": typed, "trials": trials or [], "notice": notice, "most_steps": STEPS}


def _shown(reader: Reader, service: Service, first: int, before: int) -> dict[str, object]:
    present, trouble = service.policy.present, service.policy.trouble
    name = policy_hash(present)
    found = list(diff.passages(present.text).values())
    names = {(tool.server, tool.tool) for tool in service.registry.known_tools(reader)}
    return {
        "hash": name,
        "trouble": trouble,
        "since": versions.loads_of(reader, name, 1),
        "rules": [(rule, rule_statistics.figures(reader, rule.rule)) for rule in found[first : first + RULES]],
        "default": rule_statistics.figures(reader, "default"),
        "last": rule_statistics.LAST,
        "number": len(found),
        "first": first,
        "next": first + RULES if first + RULES < len(found) else None,
        "loads": versions.loads(reader, before, LOADS),
        "page_of_loads": LOADS,
        "tools": sorted(names),
        "mismatches": _mismatches(reader, service),
    }


def _mismatches(reader: Reader, service: Service) -> list[tuple[str, str, str]]:
    """Conditions that do not fit a tool that was registered since: its calls are held."""
    present = service.policy.present
    if not isinstance(present, RulePolicy):
        return []
    tools = service.registry.known_tools(reader)[:CHECKED]
    found = {(f"{tool.server}.{tool.tool}", rule, why) for tool in tools for rule, why in present.faults(tool).items()}
    return sorted(found)


def _version(reader: Reader, name: str) -> dict[str, object]:
    row = versions.version(reader, name)
    if row is None:
        raise NotFound("There is no such version of the policy.", hint="Look at /policy.")
    loads = versions.loads_of(reader, name)
    earlier = versions.loads(reader, loads[0].id, 1) if loads else []
    before = versions.version(reader, earlier[0].hash) if earlier else None
    return {
        "hash": name,
        "lines": row.text.splitlines(),
        "loads": loads,
        "before": before.hash if before is not None else None,
        "difference": diff.difference(before.text, row.text) if before is not None else [],
    }
