"""What each kind of person is led to and offered. docs/pages.md is made from it: APPROVALS_WRITE_DOCS=1 writes it."""

import os
from pathlib import Path

import pytest

from approvals.service.identity import sign_in_links
from approvals.service.identity.admins import Operator
from support.authority import ROUTES
from support.crawl import crawl
from support.world import World

pytestmark = pytest.mark.databases("one")

PEOPLE = ("anonymous", "viewer", "auditor", "reviewer", "owner", "admin")
STATES = ("pending", "approved", "denied", "unknown", "succeeded", "contradicted")
EVERYWHERE = {"POST /logout"}
DENIALS = {"owner": {"POST /requests/{request_id}/decisions", "POST /requests/{request_id}/edits"}}
"""An owner of the agent may deny, and suggest with it, not approve; the form's own tests tell these apart."""
BY_HAND = {
    "/requests/{request_id}/arguments": "linked from the arguments that are too long for a card",
    "/login/oidc": "where an identity provider is set",
    "/login/oidc/callback": "where an identity provider is set",
    "/setup": "by a link that an admin hands out",
    "/selection": "by the queue's form, once something is selected",
    "/agents/{name}/first": "asked by the page of an agent that has just got its key",
    "/servers/{server}/connection": "asked by the page of a server that is being connected",
    "/servers/{server}/tools": "linked from a place that has more tools than the page of all has room for",
}
NO_PAGES = {"/events", "/freeze/banner", "/icon.svg", "/healthz", "/readyz", "/metrics", "/static/{digest}/{name}"}
DOCUMENT = Path(__file__).parents[2] / "docs" / "pages.md"
HEAD = """# Who sees what

The pages that each kind of person is led to by links, and the forms that stand on them, as a crawl finds them over
requests in every kind of state (`tests/web/test_who_sees_what.py`). The tests prove that every link leads to where this
person may be, and that no form is offered to whom [authority.md](authority.md) would refuse. “yes” is a page to
look at.
"""


@pytest.fixture
async def seen(served):
    world = World(served)
    await world.build()
    scenario = served.scenario
    for state in STATES:
        world.request(state)
    world.ids("admin")  # a grant, a link to Slack, a token
    scenario.register(scenario.tool(description="Refund more."), session=scenario.session)
    scenario.write(lambda tx: sign_in_links.make(tx, Operator("test"), "invite", name="eve", roles="viewer"))
    found = {}
    for person in PEOPLE:
        async with world.client(person) as http:
            found[person] = await crawl(served.app, http)
    return found


async def test_p1_nothing_is_offered_to_whom_it_would_be_refused(seen):
    for person, pages in seen.items():
        for page, forms in pages.items():
            for form in forms - DENIALS.get(person, set()):
                assert person in ROUTES[form].who, (person, page, form)


@pytest.mark.slow
async def test_every_page_can_be_reached_by_an_admin(seen):
    routes = {route.removeprefix("GET ") for route in ROUTES if route.startswith("GET ") and "/api/" not in route}
    assert routes - NO_PAGES - set(BY_HAND) - {"/login"} == set(seen["admin"])
    assert set(seen["anonymous"]) == {"/login"}


async def test_the_table_of_who_sees_what_is_up_to_date(seen):
    pages = sorted(set().union(*seen.values()))
    lines = [f"| page | {' | '.join(PEOPLE)} |", "|---" * (len(PEOPLE) + 1) + "|"]
    lines += [f"| `{page}` | {' | '.join(_cell(seen[person], page) for person in PEOPLE)} |" for page in pages]
    by_hand = [f"- `{page}`: {why}" for page, why in BY_HAND.items()]
    text = "\n".join([HEAD, *lines, "", "No link leads to these:", "", *by_hand, ""])
    if os.environ.get("APPROVALS_WRITE_DOCS"):
        DOCUMENT.write_text(text, encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == text


def _cell(pages: dict[str, set[str]], page: str) -> str:
    if page not in pages:
        return ""
    forms = sorted(form.removeprefix("POST ") for form in pages[page] - EVERYWHERE if form.startswith("POST "))
    return ", ".join(f"`{form}`" for form in forms) or "yes"
