"""The policy's pages: what is in force and was, what rules did, and what would be said of a call."""

import html

import pytest
from sqlmodel import SQLModel

from approvals.policy.loader import read
from approvals.policy.model import DefaultPolicy, policy_hash
from approvals.protocol.registration import Annotations, ToolDefinition
from approvals.service.history import rule_statistics
from approvals.service.policies import versions

FIRST = """version: 1
rules:
  - id: none
    match: {server: shop, tool: refund_order}
    when: args.amount_cents <= 0
    action: deny
    reason: <b>nothing</b> to refund
  - {id: refunds, match: {server: shop}, action: require_approval, risk: high}
"""
SECOND = FIRST.replace("risk: high", "risk: critical")


@pytest.fixture
async def load(served):
    """Puts a text in force, as its file would."""
    service = served.scenario.service

    async def put(text):
        policy = read(text, served.scenario.read(service.registry.known_tools))
        await service.write(lambda tx: versions.load(tx, policy, "file:/etc/policy.yaml"))
        service.policy.present = policy
        return policy_hash(policy)

    return put


async def text_of(visitor, path="/policy"):
    answer = await visitor.http.get(path)
    assert answer.status_code == 200
    return html.unescape(answer.text)


async def test_the_page_says_what_is_in_force_since_when_and_by_whom(served, ann, load):
    said = await text_of(ann)
    assert policy_hash(DefaultPolicy())[:16] in said
    assert "there is no policy file" in said
    name = await load(FIRST)
    said = await text_of(ann)
    for words in (name[:16], "file:/etc/policy.yaml", "2027-01-15", "args.amount_cents <= 0", f"{name}#L3"):
        assert words in said
    assert "<b>" not in (await ann.http.get("/policy")).text, "a policy's text stays text"


async def test_every_role_may_read_it(served, visitors):
    for role in ("viewer", "auditor", "reviewer"):
        served.scenario.add_user(role, role)
        assert "In force" in await text_of(await visitors.signed_in(role))


async def test_a_version_shows_its_text_and_what_it_changed(served, ann, load):
    first, second = await load(FIRST), await load(SECOND)
    said = await text_of(ann, f"/policy/versions/{second}")
    assert "-  - {id: refunds, match: {server: shop}, action: require_approval, risk: high}" in said
    assert "+  - {id: refunds, match: {server: shop}, action: require_approval, risk: critical}" in said
    assert f'href="/policy/versions/{first}"' in said
    assert 'id="L8"' in said
    listed = await text_of(ann)
    assert listed.index(second[:16]) < listed.rindex(first[:16])
    assert (await ann.http.get(f"/policy/versions/{'0' * 64}")).status_code == 404
    assert (await ann.http.get("/policy/versions/x")).status_code == 422


async def test_the_history_goes_back_page_by_page(served, ann, load):
    names = [await load(FIRST + f"# {number}\n") for number in range(25)]
    said = await text_of(ann)
    older = said.partition('href="/policy?before=')[2].partition("#")[0]
    assert names[24][:16] in said
    assert names[4][:16] not in said
    further = await text_of(ann, f"/policy?before={older}")
    assert names[4][:16] in further


async def test_the_card_shows_the_rule_as_it_stood_when_it_judged(served, ann, load):
    first = await load(FIRST)
    request_id = served.scenario.file().request_id
    await load(FIRST.replace("high", "low").replace("refunds", "refunds-2"))
    said = await text_of(ann, f"/requests/{request_id}")
    assert "{id: refunds, match: {server: shop}, action: require_approval, risk: high}" in said
    assert f'href="/policy/versions/{first}#L8"' in said
    assert "refunds-2" not in said


async def test_figures_tell_what_became_of_the_last_requests_under_a_rule(served, ann, load, monkeypatch):
    scenario = served.scenario
    await load(FIRST)
    made = [scenario.file(scenario.filing({"order_id": n, "amount_cents": 500})).request_id for n in range(5)]
    scenario.file(scenario.filing({"order_id": 1, "amount_cents": 0}))
    scenario.clock.forward(40)
    scenario.decide(made[0])
    scenario.clock.forward(20)
    scenario.decide(made[1], "deny", comment="no")
    scenario.withdraw(made[2])
    scenario.run("UPDATE decision SET looked_ms = 7000")
    scenario.clock.forward(3600)
    scenario.sweep()
    found = scenario.read(lambda reader: rule_statistics.figures(reader, "refunds"))
    assert found == rule_statistics.Figures(5, 1, 1, 2, 1, 0, 7.0, 50.0)
    assert scenario.read(lambda reader: rule_statistics.figures(reader, "none")).denied == 1
    said = await text_of(ann)
    assert (
        "5 requests: 1 approved, 1 denied, 2 expired, 1 withdrawn. People looked for 7 s, and decided after 50 s"
        in said
    )
    assert "1 request: 0 approved, 1 denied, 0 expired." in said
    assert "No request was filed under it yet." in said


def counted(scenario):
    """How many rows each table has, but for the sequencer's and the word index."""
    names = sorted(set(SQLModel.metadata.tables) - {"audit_link", "meta", "request_words"})
    return {name: scenario.rows(f'SELECT count(*) FROM "{name}"') for name in names}


async def attempt(visitor, **typed):
    form = {"tool": "shop refund_order", "agent": "scout", "arguments": '{"order_id": 1, "amount_cents": 5}'} | typed
    answer = await visitor.http.post("/policy/trial", data=form)
    return answer.status_code, html.unescape(answer.text)


async def test_trying_a_call_explains_it_rule_by_rule_and_changes_nothing(served, ann, load):
    await load(FIRST)
    before = counted(served.scenario)
    status, said = await attempt(ann)
    assert status == 200
    for words in ("It would be held.", "Rule refunds, high risk, 1 to approve", "it is false", "not matched"):
        assert words in said
    status, said = await attempt(ann, arguments='{"order_id": 1, "amount_cents": 0}')
    assert "It would be refused." in said
    assert counted(served.scenario) == before


async def test_a_trial_knows_the_facts_that_a_preview_would_say(served, ann, load):
    await load(
        "version: 1\nrules:\n"
        "  - {id: large, when: facts.sql.rows > 100, action: deny, reason: Too many rows.}\n"
        "  - {id: small, action: require_approval}\n"
    )
    _, said = await attempt(ann, facts='{"sql.rows": 101}')
    assert "It would be refused." in said
    assert '{"sql.rows": 101}' in said
    _, said = await attempt(ann, facts='{"sql.rows": 100}')
    assert "Rule small" in said


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"facts": "{"}, "The facts are not JSON"),
        ({"facts": '{"a": null}'}, "Facts are a JSON object of numbers"),
        ({"facts": '{"a": 1, "a.b": 2}'}, "inside of another fact"),
        ({"arguments": '{"order_id": 1'}, "The arguments are not JSON"),
        ({"arguments": "[1]"}, "no JSON object"),
        ({"arguments": '{"a": 1, "a": 2}'}, "stands twice"),
        ({"arguments": '{"a": NaN}'}, "NaN is not JSON"),
        ({"arguments": '{"a": 1e999}'}, "too large"),
        ({"arguments": '{"a": "\\ud800"}'}, "surrogate"),
        ({"arguments": "[" * 5000}, "nested"),
        ({"arguments": '{"a":' * 40 + "1" + "}" * 40}, "nested"),
        ({"tool": "shop nothing"}, "No live installation"),
        ({"tool": ""}, "No live installation"),
        ({"agent": "nobody"}, "There is no agent"),
    ],
)
async def test_a_call_that_cannot_be_tried_gets_a_clear_error_and_keeps_what_was_typed(served, ann, load, typed, words):
    await load(FIRST)
    status, said = await attempt(ann, **typed)
    assert (status, words in said) == (422, True)
    assert typed.get("arguments", "order_id")[:50] in said


async def test_trying_a_call_is_for_people_who_are_signed_in_on_this_very_site(served, ann, visitors):
    assert (await visitors.stranger().http.post("/policy/trial", data={})).status_code == 401
    crossing = await ann.http.post("/policy/trial", data={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert crossing.status_code == 403


async def test_arguments_are_tried_as_they_would_be_filed(served, ann, load):
    fields = {"type": "object", "properties": {"card": {"type": "string"}, "note": {"type": "string"}}}
    served.scenario.register(
        ToolDefinition(name="pay", input_schema=fields, annotations=Annotations(), secret=("card",))
    )
    await load("version: 1\nrules:\n  - {id: x, match: {tool: pay}, action: allow}\n")
    credential = "AKIA" + "A" * 16
    _, said = await attempt(ann, tool="shop pay", arguments=f'{{"card": "{credential}"}}')
    assert "It would run." in said, "a declared secret is no surprise"
    _, said = await attempt(ann, tool="shop pay", arguments='{"card": "note", "note": "hello"}')
    assert "It would run." in said, "a name that everybody reads in the schema is no secret"
    _, said = await attempt(ann, tool="shop pay", arguments=f'{{"note": "{credential}"}}')
    assert "It would be held." in said
    assert "20 characters are hidden" in said


async def test_a_tool_that_a_condition_does_not_fit_is_a_warning_on_the_page_and_its_calls_are_held(served, ann, load):
    scenario = served.scenario
    await load("version: 1\nrules:\n  - {id: odd, match: {tool: new_*}, when: args.size > 3, action: allow}\n")
    assert "do not fit a tool" not in await text_of(ann)
    wrong = {"type": "object", "properties": {"size": {"type": "string"}}}
    scenario.register(ToolDefinition(name="new_one", input_schema=wrong, annotations=Annotations()))
    said = await text_of(ann)
    assert "shop.new_one, rule odd" in said
    filed = scenario.file(scenario.filing({"size": "9"}, tool="new_one"))
    assert scenario.row(filed.request_id).state == "pending"


async def test_a_thousand_rules_are_shown_page_by_page(served, ann, load):
    rules = "\n".join(
        f"  - {{id: r{number}, match: {{tool: t{number}}}, action: deny, reason: x}}" for number in range(1000)
    )
    await load(f"version: 1\nrules:\n{rules}\n")
    said = await text_of(ann)
    assert said.count("<h3>") == 20
    assert "Further rules (980)" in said
    last = await text_of(ann, "/policy?first=980")
    assert "r999" in last
    assert "no rule matched" in last
