"""The pages and commands of the owner on call: freeze, rollout, audience."""

import asyncio

import pytest
from playwright.async_api import expect

from approvals.errors import NotFound
from approvals.service.audit import chain
from approvals.service.controls import freezes
from approvals.service.identity.admins import Operator
from approvals.service.identity.servers import agent_named
from approvals_web.cli.commands import app
from approvals_web.operator import client, socket
from approvals_web.operator.messages.controls import MakeFreeze
from approvals_web.operator.restore import close_restored
from approvals_web.operator.target import Alone

pytestmark = pytest.mark.databases("one")

FREEZE = {"over": "all", "mode": "refuse", "reason": "bad <b>deploy</b>", "confirm": "yes"}


async def test_an_admin_freezes_and_every_page_says_so_until_it_is_lifted(served, ann):
    filed = served.scenario.file()
    made = await ann.http.post("/freeze", data=FREEZE)
    assert (made.status_code, made.headers["location"]) == (303, "/freeze")
    for path in (
        "/",
        "/history",
        "/servers",
        "/agents",
        "/audit",
        "/rollout",
        "/freeze",
        f"/requests/{filed.request_id}",
    ):
        page = (await ann.http.get(path)).text
        assert "All writes are frozen since just now, by Ann: bad &lt;b&gt;deploy&lt;/b&gt;" in page, path
    card = (await ann.http.get(f"/requests/{filed.request_id}")).text
    assert '<span class="chip bad">Stopped</span>' in card
    assert 'value="approve"' not in card
    assert 'value="deny"' in card
    assert '<span class="tag bad">stopped</span>' in (await ann.http.get("/")).text
    assert "0 of 1 servers have confirmed" in (await ann.http.get("/freeze")).text
    await ann.http.post("/freeze/lift", data={"scope": "all", "confirm": "yes"})
    assert "All writes are frozen" not in (await ann.http.get("/")).text
    assert "Earlier stops" in (await ann.http.get("/freeze")).text


async def test_p1_approving_while_frozen_is_refused_with_the_reason(served, ann):
    filed = served.scenario.file()
    form = await ann.form(filed.request_id)
    await ann.http.post("/freeze", data=FREEZE)
    answer = await ann.http.post(f"/requests/{filed.request_id}/decisions", data=form | {"verdict": "approve"})
    assert answer.status_code == 409
    assert "All writes are frozen" in answer.text
    assert served.scenario.status(filed.request_id).state == "pending"


POSTS = {
    "/freeze": FREEZE,
    "/freeze/lift": {"scope": "all", "confirm": "yes"},
    "/rollout": {"server": "shop", "mode": "off"},
    "/rollout/clear": {"server": "shop"},
    "/rollout/audience": {"server": "shop", "entries": "group:pilots"},
}


@pytest.mark.parametrize("path", POSTS)
async def test_p1_only_a_signed_in_admin_moves_a_lever_and_only_from_its_own_pages(served, visitors, path):
    served.scenario.add_user("rex", "reviewer")
    rex = await visitors.signed_in("rex")
    assert (await rex.http.post(path, data=POSTS[path])).status_code == 403
    assert (await visitors.stranger().http.post(path, data=POSTS[path])).status_code in {303, 401}
    ann = await visitors.signed_in()
    elsewhere = await ann.http.post(path, data=POSTS[path], headers={"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403
    for key in ("agent", "shop"):
        bearer = {"Authorization": f"Bearer {served.scenario.keys[key]}"}
        stranger = visitors.stranger(**bearer)
        assert (await stranger.http.post(path, data=POSTS[path])).status_code in {303, 401}
    assert served.scenario.read(freezes.in_force) == []
    assert served.scenario.rows("SELECT count(*) FROM rollout") == [(0,)]
    assert served.scenario.rows("SELECT audience FROM server") == [("",)]


@pytest.mark.parametrize(
    ("path", "changes", "status"),
    [
        ("/freeze", {"confirm": ""}, 422),
        ("/freeze", {"mode": "maybe"}, 422),
        ("/freeze", {"over": "everything"}, 422),
        ("/freeze", {"over": "server:nowhere"}, 404),
        ("/freeze", {"over": "agent:nobody"}, 404),
        ("/freeze/lift", {}, 404),
        ("/freeze/lift", {"confirm": ""}, 422),
        ("/rollout", {"mode": "on"}, 422),
        ("/rollout", {"server": "nowhere"}, 404),
        ("/rollout", {"server": "A B"}, 422),
        ("/rollout/clear", {}, 404),
        ("/rollout/audience", {"entries": "scout"}, 422),
    ],
)
async def test_a_lever_that_cannot_be_moved_so_says_why(served, ann, path, changes, status):
    assert (await ann.http.post(path, data=POSTS[path] | changes)).status_code == status


async def test_the_rollout_page_sets_counts_and_forgets(served, ann):
    await ann.http.post("/rollout", data={"server": "shop", "mode": "observe", "whom": "agent:scout"})
    served.scenario.file()
    page = (await ann.http.get("/rollout")).text
    assert "<td>scout</td>" in page
    assert "refund_order: of the last 1 calls in observe, 1 would have waited and 0 would have been refused" in page
    await ann.http.post("/rollout/clear", data={"server": "shop", "whom": "agent:scout"})
    await ann.http.post("/rollout/audience", data={"server": "shop", "entries": "group:pilots agent:scout"})
    page = (await ann.http.get("/rollout")).text
    assert "Everything is enforced." in page
    assert "<td>scout group pilots</td>" in page


async def test_metrics_and_readiness_tell_frozen_from_broken(served, visitors):
    stranger = visitors.stranger()
    assert "approvals_frozen 0.0" in (await stranger.http.get("/metrics")).text
    served.scenario.write(lambda tx: served.scenario.service.freezes.make(tx, Operator("ops"), "all", "", "hold", ""))
    assert "approvals_frozen 1.0" in (await stranger.http.get("/metrics")).text
    assert (await stranger.http.get("/readyz")).status_code == 200


@pytest.fixture
def run(scenario, capsys, monkeypatch):
    """The `approvals` command over the scenario's database, its output."""
    monkeypatch.setattr("approvals_web.cli.options.reach", lambda _: Alone(scenario.service))

    def command(*words):
        app(list(words), standalone_mode=False)
        return capsys.readouterr().out

    return command


def test_p8_what_a_command_beside_no_service_wrote_is_linked_before_it_ends(scenario, run):
    run("freeze", "--server", "shop")
    assert scenario.read(lambda reader: chain.verify(reader, scenario.service.keyring.audit)).unlinked == 0
    scenario.write(lambda tx: scenario.service.freezes.lift_all(tx, Operator("ops")))
    close_restored(scenario.service)
    assert scenario.read(lambda reader: chain.verify(reader, scenario.service.keyring.audit)).unlinked == 0


def test_an_operator_freezes_lists_and_lifts_while_no_service_runs(scenario, run):
    filed = scenario.file()
    scenario.decide(filed.request_id)
    said = run("freeze", "--server", "shop", "--reason", "bad deploy")
    assert "Writes to the server shop are frozen since just now, by the operator" in said
    assert "Approvals taken back: 1." in said
    assert "It stood already" in run("freeze", "--server", "shop")
    run("freeze", "--agent", "scout", "--hold")
    listed = run("freeze", "--list")
    assert ("Writes to the server shop" in listed, "0 of 1 confirmed" in listed) == (True, True)
    with pytest.raises(NotFound):
        run("unfreeze")
    with pytest.raises(NotFound):
        run("freeze", "--agent", "nobody")
    assert "Writes to the server shop are no longer frozen." in run("unfreeze", "--server", "shop")
    assert "Writes by the agent scout are no longer frozen." in run("unfreeze", "--all")
    assert scenario.read(freezes.in_force) == []
    scout = scenario.read(lambda reader: agent_named(reader, "scout")).id
    assert scenario.events(f"freeze:agent:{scout}") == ["freeze.made", "freeze.lifted"]


def test_an_operator_sets_rollout_and_audience(scenario, run):
    assert "enforce" not in run("rollout", "list")
    run("rollout", "set", "shop", "observe", "--tool", "refund_order", "--group", "pilots")
    assert "group:pilots" in run("rollout", "list")
    run("rollout", "clear", "shop", "--tool", "refund_order", "--group", "pilots")
    assert "None yet." in run("rollout", "list")
    assert "agent:scout group:pilots" in run("server", "audience", "shop", "--agent", "scout", "--group", "pilots")
    assert "agent:scout group:pilots" in run("server", "audience", "shop")
    assert "every agent" in run("server", "audience", "shop", "--everyone")


async def test_over_the_socket_of_a_running_service_gates_hear_at_once(served, scenario, until):
    if scenario.service.database.shared:
        pytest.skip("commands reach PostgreSQL themselves")
    async with socket.listening(scenario.service), served.client() as gate:
        body = {"session": scenario.session, "waiting": []}
        async with gate.stream("POST", "/requests/events", json=body, timeout=30) as stream, asyncio.timeout(10):
            lines = stream.aiter_lines()
            await anext(lines)
            asked = MakeFreeze(None, None, "refuse", "bad deploy")
            made = await asyncio.to_thread(client.over, socket.socket_path(scenario.service.database), asked)
            assert made.new
            async for line in lines:
                if '"words":"All writes are frozen' in line:
                    break


async def test_the_banner_comes_and_goes_by_itself(served, visitors, browser):
    context = await browser.new_context(base_url=served.url)
    ann = await visitors.signed_in()
    await context.add_cookies([{"name": "approvals", "value": ann.http.cookies["approvals"], "url": served.url}])
    page = await context.new_page()
    faults = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    service = served.scenario.service
    for path in ("/agents", "/"):
        await page.goto(path)
        await page.wait_for_function("() => window.htmx !== undefined")
        await service.write(lambda tx: service.freezes.make(tx, Operator("ops"), "all", "", "refuse", "bad deploy"))
        await expect(page.locator("p.frozen")).to_contain_text("All writes are frozen")
        await service.write(lambda tx: service.freezes.lift(tx, Operator("ops"), "all"))
        await expect(page.locator("p.frozen")).to_have_count(0)
    await context.close()
    assert faults == []


async def test_the_emergency_stop_says_beforehand_what_it_would_cancel(served, ann):
    scenario = served.scenario
    ids = [scenario.file(scenario.filing({"order_id": n, "amount_cents": 1})).request_id for n in range(4)]
    for request_id in ids[:3]:
        scenario.decide(request_id)
    scenario.claim(ids[0])
    words = " ".join((await ann.http.get("/freeze")).text.split())
    assert (
        "would cancel 2 unused approvals and keep 1 waiting request from being approved; 1 running call would" in words
    )
