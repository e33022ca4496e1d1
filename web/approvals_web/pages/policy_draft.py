"""A copy of the policy to edit: what is wrong with it, and what the last week's calls would have got. Nothing of it is
put in force here: that stays with the file."""

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Annotated

from fastapi import Form, Query, Request, Response

from approvals.instant import SECOND
from approvals.policy import diff
from approvals.policy.diagnostics import Diagnostic
from approvals.policy.loader import MAX_TEXT, PolicyRefused, read
from approvals.policy.model import Policy
from approvals.service.identity.users import Person
from approvals.service.policies import replay
from approvals.service.policies.replay import Again
from approvals.service.service import Service
from approvals_web.http.deps import Overseer, TheService
from approvals_web.http.rendering import page
from approvals_web.http.routers import PageRouter

DAYS = 7
DAY = 86_400 * SECOND
MOST = 2_000
"""Calls that are judged again, the oldest first."""
LISTED = 50
PROBLEMS = 20

router = PageRouter(max_form=3 * MAX_TEXT + 1_000)  # a letter takes up to three bytes on its way

Text = Annotated[str, Form(max_length=MAX_TEXT)]


@dataclass(frozen=True)
class Replayed:
    """What became of the calls under the draft."""

    judged: int
    moves: list[tuple[str, str, int]]
    """From one answer to another, and how many calls; those that stay come last."""
    changed: list[Again]
    """The first LISTED of them."""
    not_judged: int
    all: bool
    """Whether no call of that time was left out."""


@dataclass(frozen=True)
class DraftPage:
    """What `policy_draft.html` needs."""

    person: Person
    text: str
    problems: list[Diagnostic] = field(default_factory=list)
    more_problems: int = 0
    replayed: Replayed | None = None
    difference: list[str] | None = None
    """From the policy in force; None where nothing was asked, or it is too long."""
    days: int = DAYS


@router.get("/policy/draft")
def draft(
    request: Request,
    person: Overseer,
    service: TheService,
    above: Annotated[str, Query(max_length=200)] = "",
    tool: Annotated[str, Query(max_length=300)] = "",
) -> Response:
    """The policy in force, as a copy to edit; with a rule to fill in for a `tool`, `above` another rule."""
    text = service.policy.text
    return page(request, "policy_draft.html", DraftPage(person, with_rule(text, above, tool) if tool else text))


@router.post("/policy/draft/lint")
def lint(request: Request, person: Overseer, service: TheService, text: Text = "") -> Response:
    """What is wrong with it, as it is typed."""
    _, problems = _read(service, text)
    return page(request, "policy_lint.html", _page(person, text, problems))


@router.post("/policy/draft/replay")
def try_out(request: Request, person: Overseer, service: TheService, text: Text = "") -> Response:
    """What the last days' calls would have got under it."""
    policy, problems = _read(service, text)
    if policy is None:
        return page(request, "policy_draft.html", _page(person, text, problems), status=422)
    difference = diff.difference(service.policy.text, text)
    shown = DraftPage(person, text, replayed=_replayed(service, policy), difference=difference)
    return page(request, "policy_draft.html", shown)


@router.post("/policy/draft/download")
def download(person: Overseer, text: Text = "") -> Response:
    """The text as a file, for the place where the service reads it."""
    name = {"Content-Disposition": 'attachment; filename="policy.yaml"'}
    return Response(text, media_type="application/yaml", headers=name)


def with_rule(text: str, above: str, tool: str) -> str:
    """The text with a rule to fill in: above the rule of that id, else below all; as it is where that is no policy."""
    found, lines = diff.passages(text), text.splitlines()
    if not found:
        return text
    last = list(found.values())[-1]
    at = found[above].line - 1 if above in found else last.line - 1 + len(last.text.splitlines())
    beside = lines[(found.get(above) or last).line - 1]
    room = beside[: len(beside) - len(beside.lstrip())]
    server, _, name = map(json.dumps, tool.partition(" / "))  # strings of JSON are strings of YAML
    rule = [
        f"- id: {above}-without-asking",
        f"  match: {{server: {server}, tool: {name}}}",
        '  when: "false" # Which of these calls need nobody? For example: args.amount_cents <= 5000',
        "  action: allow",
    ]
    made = "\n".join([*lines[:at], *(f"{room}{line}" for line in rule), *lines[at:], ""])
    try:
        read(made)
    except PolicyRefused:
        return text
    return made


def _read(service: Service, text: str) -> tuple[Policy | None, list[Diagnostic]]:
    try:
        return read(text, service.read_now(service.registry.known_tools)), []
    except PolicyRefused as error:
        return None, list(error.problems)


def _page(person: Person, text: str, problems: list[Diagnostic]) -> DraftPage:
    return DraftPage(person, text, problems[:PROBLEMS], max(0, len(problems) - PROBLEMS))


def _weighs(one: Again) -> bool:
    """Whether more than the rule's name is another."""
    return one.would_be is not None and replace(one.would_be, rule=one.was.rule) != one.was


def _replayed(service: Service, policy: Policy) -> Replayed:
    since = service.database.clock.now() - DAYS * DAY
    found = list(replay.replay(service.database.read_now, service.registry, policy, since, MOST))
    judged = [one for one in found if one.would_be is not None]
    moves = Counter((one.was.action, one.would_be.action) for one in judged if one.would_be is not None)
    listed = sorted(moves.items(), key=lambda item: (item[0][0] == item[0][1], -item[1]))
    return Replayed(
        len(judged),
        [(was, now, number) for (was, now), number in listed],
        [one for one in judged if _weighs(one)][:LISTED],
        len(found) - len(judged),
        len(found) < MOST,
    )
