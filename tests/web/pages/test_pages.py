"""The pages over real HTTP: what they show, who may use them, and that looking changes nothing."""

import hashlib
import re

import pytest
from sqlmodel import SQLModel, select

from approvals import ids
from approvals.service.identity import sign_in_links
from approvals.service.identity.admins import Operator
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import DecisionRow, table_of
from approvals_web.http import assets
from approvals_web.http.lexicon import STATES

pytestmark = pytest.mark.databases("one")

PAGES = [
    "/",
    "/history",
    "/grants",
    "/policy",
    "/servers",
    "/rollout",
    "/agents",
    "/users",
    "/audit",
    "/notices",
    "/freeze",
    "/account",
]
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    '<div hx-post="/requests/x/decisions" hx-trigger="load" hx-nonce="x"></div>',
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
    "</pre></section><style>*{display:none}</style>",
    "\u202egnp.exe\u2066",
    "\x00\x1b[2J\r\n",
    "a" * 5000,
]


def contents(scenario):
    """Every row of every table, as one digest."""
    rows = {name: scenario.rows(f'SELECT * FROM "{name}"') for name in sorted(SQLModel.metadata.tables)}
    for name in ("audit_link", "request_words"):
        rows.pop(name)  # the sequencer's own pace
    rows["meta"] = [row for row in rows["meta"] if not {"head", "indexed"} & set(re.split(r"\W|_", str(row)))]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_renders_for_a_person_and_sends_a_stranger_to_sign_in(served, ann, visitors, path):
    served.scenario.file()
    page = await ann.http.get(path)
    assert page.status_code == 200
    assert page.text.startswith("<!doctype html>")
    refused = await visitors.stranger().http.get(path)
    assert (refused.status_code, refused.headers["location"].split("?")[0]) == (303, "/login")


async def test_the_card_shows_what_would_run_who_asks_and_why_it_is_held(served, ann):
    filed = served.scenario.file()
    page = (await ann.http.get(f"/requests/{filed.request_id}")).text
    for words in (
        "Refund $120.00 of order 1042",
        "scout",
        "the parcel is lost",
        "unverified",
        "Enforced gate",
        "12000",
    ):
        assert words in page
    assert page.index("Requested by") < page.index("the parcel is lost") < page.index("What will run")


async def test_p2_a_card_that_cannot_show_every_argument_says_so_and_opens_them_all(served, ann):
    filed = served.scenario.file(served.scenario.filing({"order_id": 1, "list": ["x"] * 400, "z_really_delete": True}))
    page = (await ann.http.get(f"/requests/{filed.request_id}")).text
    assert "302 more arguments do not fit here" in page
    assert '<details class="json" open>' in page
    assert "z_really_delete" in page


async def test_every_state_has_its_card(served, ann):
    scenario = served.scenario
    states = {}
    for state in ("pending", "denied", "approved", "executing", "succeeded", "failed", "unknown", "withdrawn"):
        filed = scenario.file(scenario.filing({"order_id": len(states), "amount_cents": 5}))
        if state == "denied":
            scenario.decide(filed.request_id, "deny", comment="no")
        elif state == "withdrawn":
            scenario.withdraw(filed.request_id)
        elif state != "pending":
            scenario.decide(filed.request_id)
        if state in {"executing", "succeeded", "failed", "unknown"}:
            scenario.claim(filed.request_id, f"claim-{len(states):04}")
        if state in {"succeeded", "failed"}:
            scenario.report(filed.request_id, state, f"claim-{len(states):04}")
        if state == "unknown":
            scenario.clock.forward(31)
        states[filed.request_id] = state
    for request_id, state in states.items():
        if state == "executing":
            continue  # its lease ran out with the other's
        page = (await ann.http.get(f"/requests/{request_id}")).text
        assert f">{STATES[state]}</span>" in page
        assert ("What happened</label>" in page) is (state == "unknown")
        assert ('name="verdict"' in page) is (state == "pending")


async def test_p6_no_get_or_head_changes_anything(served, ann, visitors):
    scenario = served.scenario
    filed = scenario.file()
    link = scenario.write(lambda tx: sign_in_links.make(tx, Operator("test"), "invite", name="carl", roles="reviewer"))
    form = await ann.form(filed.request_id)
    query = "&".join(f"{name}={value}" for name, value in (form | {"verdict": "approve"}).items())
    before = contents(scenario)
    paths = [
        *PAGES,
        f"/requests/{filed.request_id}?{query}",
        f"/requests/{filed.request_id}/decisions?{query}",
        f"/requests/{filed.request_id}/settlement?truth=succeeded&note=x",
        f"/requests/{filed.request_id}/withdrawal",
        f"/requests/{filed.request_id}/revocation",
        f"/requests/{filed.request_id}/acknowledgement",
        f"/setup?t={link}",
        "/login?next=/",
        "/logout",
        "/freeze?over=all&mode=refuse&confirm=yes",
        "/freeze/lift?scope=all&confirm=yes",
        "/rollout?server=shop&mode=off",
        "/rollout/audience?server=shop&entries=group:x",
        "/slack/actions",
        "/nothing",
        f"/api/v1/requests/{filed.request_id}/decisions?{query}",
        f"/api/v1/requests/{filed.request_id}/claim",
        "/api/v1/openapi.json",
        "/healthz",
        "/readyz",
    ]
    for path in paths:
        for visitor in (ann, visitors.stranger()):
            for method in ("GET", "HEAD"):
                assert (await visitor.http.request(method, path)).status_code < 500
    assert contents(scenario) == before
    assert scenario.status(filed.request_id).state == "pending"


CROSS_SITE = {
    "another site": ({"Sec-Fetch-Site": "cross-site"}, 403),
    "another subdomain": ({"Sec-Fetch-Site": "same-site"}, 403),
    "typed by hand": ({"Sec-Fetch-Site": "none"}, 403),
    "neither header": ({"Sec-Fetch-Site": None}, 403),
    "an old browser, same origin": ({"Sec-Fetch-Site": None, "Origin": "HERE"}, 303),
    "an old browser, another origin": ({"Sec-Fetch-Site": None, "Origin": "https://evil.example"}, 403),
    "an old browser, what is no origin": ({"Sec-Fetch-Site": None, "Origin": "http://["}, 403),
    "an old browser, a sandboxed frame": ({"Sec-Fetch-Site": None, "Origin": "null"}, 403),
    "same origin": ({}, 303),
}


@pytest.mark.parametrize("name", CROSS_SITE)
async def test_p6_a_form_counts_only_from_our_own_pages(served, ann, name):
    headers, status = CROSS_SITE[name]
    filed = served.scenario.file()
    form = await ann.form(filed.request_id) | {"verdict": "approve"}
    for header, value in headers.items():
        if value is None:
            del ann.http.headers[header]
        else:
            ann.http.headers[header] = served.url if value == "HERE" else value
    answer = await ann.http.post(f"/requests/{filed.request_id}/decisions", data=form)
    assert answer.status_code == status
    assert served.scenario.status(filed.request_id).state == ("approved" if status == 303 else "pending")


@pytest.mark.parametrize("key", ["agent", "shop"])
@pytest.mark.parametrize("route", ["decisions", "settlement", "withdrawal", "revocation", "acknowledgement"])
async def test_p1_an_agents_or_a_servers_key_decides_on_no_form(served, ann, visitors, key, route):
    filed = served.scenario.file()
    form = await ann.form(filed.request_id)
    form |= {"verdict": "approve", "truth": "succeeded", "note": "x", "comment": "x"}
    bearer = visitors.stranger(Authorization=f"Bearer {served.scenario.keys[key]}")
    answer = await bearer.http.post(f"/requests/{filed.request_id}/{route}", data=form)
    assert answer.status_code == 401
    bearer.http.cookies.set("approvals", served.scenario.keys[key])
    assert (await bearer.http.post(f"/requests/{filed.request_id}/{route}", data=form)).status_code == 401
    assert served.scenario.status(filed.request_id).state == "pending"


async def test_a_persons_decision_is_kept_with_its_evidence(served, ann):
    filed = served.scenario.file()
    answer = await ann.decide(filed.request_id, comment="fine", looked_ms="4200")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"/requests/{filed.request_id}?after={filed.request_id}",
    )
    row = served.scenario.read(lambda reader: reader.one(Statement(select(table_of(DecisionRow)))))
    assert (row["verdict"], row["channel"], row["auth_method"], row["looked_ms"]) == (
        "approve",
        "web",
        "password",
        4200,
    )
    assert len(row["card_hash"]) == 64
    assert row["session_id"]


async def test_p7_a_long_reason_with_line_ends_is_taken_as_it_was_typed(served, ann):
    """Browsers count a line's end as one character, and send two."""
    filed = served.scenario.file()
    typed = "\n".join(["x" * 99] * 20) + "\n"
    assert len(typed) == 2000
    answer = await ann.decide(filed.request_id, "deny", comment=typed.replace("\n", "\r\n"))
    assert answer.status_code == 303, answer.text
    assert served.scenario.status(filed.request_id).comment == typed


async def test_a_denial_needs_a_reason_and_loses_no_draft(served, ann):
    filed = served.scenario.file()
    empty = await ann.decide(filed.request_id, "deny", comment=" ")
    assert empty.status_code == 422
    assert "A denial needs a reason" in empty.text
    long = await ann.decide(filed.request_id, "deny", comment="x" * 2001)
    assert long.status_code == 422
    assert "x" * 2001 in long.text
    assert served.scenario.status(filed.request_id).state == "pending"
    assert (await ann.decide(filed.request_id, "deny", comment="no", may_ask_again="yes")).status_code == 303
    assert served.scenario.status(filed.request_id).ask_again_in == 0


async def test_p2_a_form_of_other_content_gets_409_and_the_fresh_card(served, ann, visitors):
    filed = served.scenario.file()
    other = served.scenario.file(served.scenario.filing({"order_id": 1, "amount_cents": 1}))
    bob = await visitors.signed_in("bob")
    stale = [
        await ann.decide(filed.request_id, digest="0" * 64),
        await ann.decide(filed.request_id, content_version="2"),
        await ann.decide(filed.request_id, card_hash="0" * 64),
        await ann.decide(filed.request_id, **await ann.form(other.request_id)),
        await ann.decide(filed.request_id, **await bob.form(filed.request_id)),
        await ann.decide(filed.request_id, seen=""),
    ]
    assert [answer.status_code for answer in stale] == [409] * 6
    assert all("Your approval is enough" in answer.text for answer in stale)
    assert served.scenario.status(filed.request_id).state == "pending"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"verdict=approve",
        b"\xff=\xff",
        b"verdict=approve&content_version=one&digest=x",
        b"verdict=approve&content_version=1&digest=x&looked_ms=%C2%B2",
        b"&".join([b"a=b"] * 50),
    ],
)
async def test_p6_a_form_that_cannot_be_read_decides_nothing(served, ann, body):
    filed = served.scenario.file()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await ann.http.post(f"/requests/{filed.request_id}/decisions", content=body, headers=headers)
    assert (answer.status_code, "Open the card again" in answer.text) == (422, True)
    assert served.scenario.status(filed.request_id).state == "pending"


async def test_the_second_reviewer_is_told_who_was_first(served, ann, visitors):
    filed = served.scenario.file()
    bob = await visitors.signed_in("bob")
    form = await bob.form(filed.request_id) | {"verdict": "deny", "comment": "my reason"}
    await ann.decide(filed.request_id)
    late = await bob.http.post(f"/requests/{filed.request_id}/decisions", data=form)
    assert late.status_code == 409
    assert "already approved by Ann" in late.text


async def test_p1_whoever_is_no_reviewer_does_not_decide_and_no_admin_does_not_administer(served, visitors):
    served.scenario.add_user("vera", "reviewer")
    filed = served.scenario.file()
    vera = await visitors.signed_in("vera")
    form = await vera.form(filed.request_id) | {"verdict": "approve"}
    served.scenario.set_roles("vera", "viewer")
    assert (await vera.http.post(f"/requests/{filed.request_id}/decisions", data=form)).status_code == 403
    assert (await vera.http.post(f"/requests/{filed.request_id}/withdrawal", data={})).status_code == 403
    accept = {"tool_hash": served.scenario.row(filed.request_id).tool_hash}
    for act in ("acceptance", "rejection"):
        assert (await vera.http.post(f"/servers/shop/tools/refund_order/{act}", data=accept)).status_code == 403
    assert served.scenario.status(filed.request_id).state == "pending"


async def test_a_person_settles_an_unknown_outcome_on_the_card(served, ann):
    scenario = served.scenario
    filed = scenario.file()
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id)
    scenario.clock.forward(31)
    path = f"/requests/{filed.request_id}/settlement"
    early = await ann.http.post(path, data={"truth": "not_executed", "note": "looked"})
    assert (early.status_code, "may still be running" in early.text, "looked" in early.text) == (409, True, True)
    assert (await ann.http.post(path, data={"truth": "maybe", "note": "x"})).status_code == 422
    assert (await ann.http.post(path, data={"truth": "succeeded", "note": "the row is there"})).status_code == 303
    assert scenario.status(filed.request_id).state == "succeeded"


async def test_an_admin_takes_a_request_back(served, ann):
    filed = served.scenario.file()
    answer = await ann.http.post(f"/requests/{filed.request_id}/withdrawal", data={"comment": "not now"})
    assert answer.status_code == 303
    assert served.scenario.status(filed.request_id).state == "withdrawn"


async def test_a_loosening_definition_waits_for_an_admin(served, ann):
    scenario = served.scenario
    scenario.register(scenario.tool(annotations=scenario.tool().annotations.model_copy(update={"read_only": True})))
    page = (await ann.http.get("/servers")).text
    assert "shop.refund_order changed" in page
    offered = re.search(r'name="tool_hash" value="(\w+)"', page)[1]
    answer = await ann.http.post("/servers/shop/tools/refund_order/acceptance", data={"tool_hash": offered})
    assert answer.status_code == 303
    assert "wants to change" not in (await ann.http.get("/servers")).text


async def test_p8_an_admin_rejects_a_definition_and_is_not_asked_again(served, ann):
    scenario = served.scenario
    loose = scenario.tool(annotations=scenario.tool().annotations.model_copy(update={"read_only": True}))
    scenario.register(loose)
    offered = re.search(r'name="tool_hash" value="(\w+)"', (await ann.http.get("/servers")).text)[1]
    answer = await ann.http.post("/servers/shop/tools/refund_order/rejection", data={"tool_hash": offered})
    assert answer.status_code == 303
    scenario.register(loose)
    assert "wants to change" not in (await ann.http.get("/servers")).text
    assert "A changed tool definition was rejected" in (await ann.http.get("/notices")).text


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_nothing_that_an_agent_or_a_server_writes_becomes_markup(served, ann, hostile):
    scenario = served.scenario
    name = f"tool_{hashlib.sha256(hostile.encode()).hexdigest()[:8]}"
    scenario.register(scenario.tool(name=name, description=hostile, summary=None), session="session-0002")
    text = hostile[:1900]
    filing = scenario.filing(
        {"note": text, text[:50]: [{"a": text}]},
        tool=name,
        session="session-0002",
        reason=text,
        client={"name": text[:150], "version": text[:150], "transport": "http"},
    )
    filed = scenario.file(filing)
    scenario.decide(filed.request_id)
    scenario.claim(filed.request_id, session="session-0002")
    scenario.report(filed.request_id, "failed", error=text, result=text)
    for path in ("/", f"/requests/{filed.request_id}", "/history", "/servers", "/audit"):
        page = (await ann.http.get(path)).text
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "<style>" not in page
        assert 'hx-post="' not in page
        assert "49" not in re.findall(r">49<", page)
        assert not re.search("[\u202e\u2066\x00\x1b]", page)
        assert page.count("</main>") == 1


async def test_pages_allow_no_inline_script_and_no_other_origin(served, ann, visitors):
    filed = served.scenario.file()
    for path in (*PAGES, f"/requests/{filed.request_id}", "/login", "/nothing"):
        page = await ann.http.get(path)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<[^>]+ (on\w+|style)=", page.text)
        nonce = re.search(r"'nonce-([\w-]+)'", policy)[1]
        for attributes, body in re.findall(r"<script([^>]*)>(.*?)</script>", page.text):
            assert body == ""
            assert f'nonce="{nonce}"' in attributes
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', page.text)
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"


async def test_htmx_gets_only_the_live_part(served, ann):
    filed = served.scenario.file()
    for path in ("/", f"/requests/{filed.request_id}"):
        part = (await ann.http.get(path, headers={"HX-Request": "true"})).text
        assert part.strip().startswith(('<div id="list"', '<div id="card"'))
        assert "<html" not in part


async def test_assets_are_served_under_their_hash_for_ever_and_are_what_was_vendored(served, visitors):
    stranger = visitors.stranger()
    for name in ("bundle.js", "app.css", "icon.svg"):
        asset = await stranger.http.get(assets.address(name))
        assert (asset.status_code, "immutable" in asset.headers["cache-control"]) == (200, True)
    assert (await stranger.http.get("/static/0000000000000000/bundle.js")).status_code == 404
    assert (await stranger.http.get("/static/..%2f..%2fapp.py/app.css")).status_code == 404
    for name, digest in assets.VENDORED.items():
        assert hashlib.sha256((assets.STATIC / name).read_bytes()).hexdigest() == digest


async def test_errors_are_pages_that_say_what_to_do(served, ann):
    missing = await ann.http.get(f"/requests/{ids.new(served.scenario.clock.now())}")
    assert (missing.status_code, ">Queue</a>" in missing.text) == (404, True)
    assert (await ann.http.get("/requests/not-an-id")).status_code == 404
    assert (await ann.http.put("/")).status_code == 405
    nothing = await ann.http.get("/nothing")
    assert (nothing.status_code, "<html" in nothing.text) == (404, True)


@pytest.mark.parametrize("path", ["/login", "/setup", "/requests/x/decisions", "/requests/x/settlement"])
async def test_p5_a_body_without_end_is_never_read_to_its_end(served, ann, visitors, path):
    async def endless():
        for _ in range(40):
            yield b"a=" + b"b" * 100_000

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for visitor in (ann, visitors.stranger()):
        for content in (b"a=" + b"b" * 2_000_000, endless()):
            answer = await visitor.http.post(path, content=content, headers=form)
            unknown = visitor is not ann and path.endswith("/decisions")  # asked who they are before it is read
            assert answer.status_code in ({401, 413} if unknown else {413})


async def test_older_requests_are_a_page_further(served, ann):
    scenario = served.scenario
    for number in range(52):
        scenario.clock.forward(1)
        scenario.file(scenario.filing({"order_id": number, "amount_cents": 100}))
    first = (await ann.http.get("/history")).text
    older = re.search(r'href="(/history\?cursor=[^"]+)"', first)[1]
    second = (await ann.http.get(older)).text
    assert (first.count('<li class="row'), second.count('<li class="row')) == (50, 2)
    assert "of order 0" in second


async def test_the_queue_pokes_open_pages_when_something_changes(served, ann):
    async with ann.http.stream("GET", "/events") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: hello"
        assert (await anext(lines)).startswith("data: ")
        assert await anext(lines) == "retry: 1000"
        served.scenario.service.bus.wake("anything")
        async for line in lines:
            if line:
                assert line == "event: poke"
                break
