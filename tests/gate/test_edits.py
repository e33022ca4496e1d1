"""A person changes a call before approving it: what was approved runs, and its agent reads what was changed."""

import asyncio
import json
from dataclasses import replace
from enum import Enum
from typing import Annotated

import pytest
from mcp import Client
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from approvals import Approval, Budgets, Fact, GatedServer, Preview, current_preview
from approvals.errors import Invalid, NotPossible, Stale
from approvals.gate import answers
from approvals.policy.edits import EditLimits
from approvals.policy.model import Action, DefaultPolicy
from approvals.protocol.messages import Decision
from approvals.protocol.previews import stored
from approvals.service import gate_answers
from approvals.service.requests import edit_checks, edits
from approvals.service.requests.decisions import Seen
from approvals.service.requests.edits import Wanted
from support.answer_table import facts, told

pytestmark = pytest.mark.databases("one")

ERAS = ["legacy", "2026-07-28"]


class Kind(Enum):
    FULL = "full"
    PART = "part"


class Note(BaseModel):
    words: str = ""
    lines: list[str] = Field(default_factory=list)


class Refunded(BaseModel):
    amount: int


class Desk:
    """A tool that notes what it was called with."""

    def __init__(self) -> None:
        self.ran = []
        self.balance = 500

    def preview(self, amount: int, **_) -> Preview:
        left = Fact(name="left", value=self.balance - amount, currency="USD")
        return Preview(effect=f"Takes {amount} cents", facts=(left,), basis=f"balance {self.balance}")


@pytest.fixture
def desk():
    return Desk()


def server(served, desk, *, budgets=None, preview=True, **more):
    gate = served.gate(budgets=budgets) if budgets else served.gate()
    mcp = GatedServer("shop", gate=gate, bind_code=False)

    def take(
        amount: Annotated[int, Field(ge=1, le=400)],
        kind: Kind = Kind.FULL,
        note: Note | None = None,
        token: str = "",
    ) -> str:
        """Take money."""
        desk.ran.append((amount, kind, note, token))
        desk.effect = current_preview()
        return f"took {amount}"

    mcp.add_tool(take, approval=Approval(preview=desk.preview if preview else None, **more))
    return mcp


def text(result) -> str:
    return "\n".join(block.text for block in result.content)


@pytest.mark.parametrize("mode", ERAS)
async def test_p2_what_a_person_changed_and_approved_is_what_runs_and_the_agent_reads_it(served, desk, mode):
    async with Client(server(served, desk), mode=mode) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100, "note": {"words": "all"}}))
        first = await served.pending()
        edit = await served.edit(amount=80, reason="the fee is not refunded")
        assert edit.refused is None
        row = await served.pending()
        assert (row.id, row.content_version) == (first.id, 2)
        assert row.digest != first.digest
        assert stored(row.preview) == desk.preview(80), "it was looked up again before anybody approved"
        assert json.loads(row.proposed)["amount"] == 100
        await served.decide()
        result = await call
    assert [(amount, note.words) for amount, _, note, _ in desk.ran] == [(80, "all")]
    assert desk.effect == desk.preview(80)
    assert text(result).splitlines() == [
        "[edited] Ann changed this call before approving it, and what ran is the changed call: amount: 100 → 80. "
        "Their reason: the fee is not refunded",
        "took 80",
    ]
    told = facts(result)
    assert told["executed"] is True
    assert told["edited"] == {
        "by": "Ann",
        "reason": "the fee is not refunded",
        "changes": [{"path": "amount", "asked": 100, "approved": 80}],
    }


async def test_p7_a_host_that_shows_structure_alone_reads_of_the_edit_there(served):
    mcp = GatedServer("shop", gate=served.gate(), bind_code=False)

    def refund(amount: int) -> Refunded:
        """Give money back."""
        return Refunded(amount=amount)

    mcp.add_tool(refund)
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert "approval_edited" in listed["refund"].output_schema["properties"]
        call = tasks.create_task(client.call_tool("refund", {"amount": 100}))
        await served.pending()
        await served.edit(amount=80)
        await served.decide()
        result = await call
    assert result.structured_content["amount"] == 80
    assert "amount: 100 → 80" in result.structured_content["approval_edited"]


async def test_p3_the_same_call_again_joins_the_changed_request_and_then_gets_its_result(served, desk):
    budgets = Budgets(plain=0.05)
    async with Client(server(served, desk, budgets=budgets)) as client:
        first = facts(await client.call_tool("take", {"amount": 100}))["request_id"]
        await served.edit(amount=80)
        waiting = facts(await client.call_tool("take", {"amount": 100}))
        assert (waiting["status"], waiting["request_id"]) == ("pending", first)
        row = await served.pending()
        assert row.content_version == 2, "the same call as it was asked changes nothing of what people made of it"
        await served.decide()
        assert text(await client.call_tool("take", {"amount": 100})).endswith("took 80")
        again = await client.call_tool("take", {"amount": 100})
        assert "[replayed]" in text(again)
        assert "[edited] Ann changed" in text(again)
        assert facts(again)["edited"]["changes"] == [{"path": "amount", "asked": 100, "approved": 80}]
    assert len(desk.ran) == 1


async def test_p2_another_process_runs_what_was_changed_in_the_first_one(served, desk):
    budgets = Budgets(plain=0.05)
    async with Client(server(served, desk, budgets=budgets)) as client:
        await client.call_tool("take", {"amount": "100"})
        await served.edit(amount=80, note={"words": "a", "lines": ["b"]})
        await served.decide()
    async with Client(server(served, desk)) as client:
        assert text(await client.call_tool("take", {"amount": 100})).endswith("took 80")
    assert [(amount, kind, note.lines) for amount, kind, note, _ in desk.ran] == [(80, Kind.FULL, ["b"])]


async def test_p2_a_changed_call_whose_effect_changed_does_not_run(served, desk):
    async with Client(server(served, desk)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        first = await served.pending()
        await served.edit(amount=80)
        desk.balance = 300
        await served.decide()
        second = await served.pending()
        assert served.scenario.status(first.id).state == "stale"
        assert (second.replaces, json.loads(second.arguments)["amount"]) == (first.id, 100)
        assert desk.ran == []
        await served.edit(amount=80)
        await served.decide()
        assert text(await call).endswith("took 80")
    assert len(desk.ran) == 1


async def test_what_the_tool_does_not_take_is_refused_in_its_own_words_and_changes_nothing(served, desk):
    async with Client(server(served, desk)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        first = await served.pending()
        for changed, why in [
            ({"amount": 500}, "Input should be less than or equal to 400"),
            ({"amount": "many"}, "valid integer"),
            ({"kind": "some"}, "'full' or 'part'"),
            ({"extra": 1}, "no argument 'extra'"),
        ]:
            edit = await served.edit(**changed)
            assert why in edit.refused
        row = await served.pending()
        assert (row.content_version, row.digest) == (1, first.digest)
        await served.decide()
        assert text(await call) == "took 100"


async def test_p8_a_secret_stays_the_gates_and_is_there_when_the_changed_call_runs(served, desk):
    approval = {"secret": ("token",)}
    async with Client(server(served, desk, **approval)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100, "token": "hunter2-hunter2"}))
        row = await served.pending()
        hidden = json.loads(row.arguments)["token"]
        assert hidden.keys() == {"$redacted", "length"}
        edit = await served.edit(amount=80)
        assert edit.refused is None
        assert json.loads((await served.pending()).arguments)["token"] == hidden
        await served.decide()
        result = await call
    assert [(amount, token) for amount, _, _, token in desk.ran] == [(80, "hunter2-hunter2")]
    assert "hunter2" not in text(result)
    assert not [row for row in served.scenario.rows("SELECT * FROM edit") if "hunter2" in str(row)]


async def test_p8_hidden_arguments_cannot_be_changed_moved_or_written(served, desk):
    async with Client(server(served, desk, secret=("token",))) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100, "token": "hunter2-hunter2"}))
        hidden = json.loads((await served.pending()).arguments)["token"]
        for changed in ({"token": "mine"}, {"note": {"words": hidden}}, {"token": hidden | {"length": 3}}):
            with pytest.raises(Invalid, match="Hidden arguments stay"):
                await _ask(served, **changed)
        with pytest.raises(Invalid, match="looks like a credential"):
            await _ask(served, note={"words": "ghp_" + "a1B2" * 10})
        await served.decide("deny", comment="no")
        await call


async def test_p1_an_edit_voids_the_votes_before_it(served, desk):
    async with Client(server(served, desk)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        row = await served.pending()
        served.scenario.service.policy.present = Two()
        await served.edit(amount=90, who="ann")
        await served.decide(who="ann")
        await served.edit(amount=80, who="bob")
        await served.decide(who="bob")
        assert (await served.pending()).id == row.id, "one of two: the vote for 90 does not count for 80"
        await served.decide(who="ann")
        assert text(await call).endswith("took 80")


class Two(DefaultPolicy):
    """Everything takes two people."""

    text = f"{DefaultPolicy.text}# two\n"
    edits = EditLimits()
    action = Action.REQUIRE_APPROVAL

    def judge(self, call):
        found = super().judge(call)
        return replace(found, action=self.action, reviewers=replace(found.reviewers, quorum=2), edits=self.edits)


async def test_p1_an_edit_of_what_was_seen_before_is_stale(served, desk):
    async with Client(server(served, desk)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        row = await served.pending()
        await served.edit(amount=80)
        with pytest.raises(Stale):
            await _ask(served, row, amount=70)
        with pytest.raises(Stale):
            await served.decide(content_version=1, digest=row.digest)
        await served.decide()
        await call


@pytest.mark.parametrize(
    ("limits", "changed", "why"),
    [
        (EditLimits(allowed=False), {"amount": 80}, "lets nobody change"),
        (EditLimits(only=("note.words",)), {"amount": 80}, "lets amount be changed by nobody, only note.words"),
        (EditLimits(lower=True), {"amount": 120}, "lets amount only be lowered"),
        (EditLimits(lower=True), {"kind": "part"}, "lets kind only be lowered"),
    ],
)
async def test_p1_a_rule_bounds_what_may_be_changed(served, desk, limits, changed, why):
    policy = Two()
    policy.edits = limits
    served.scenario.service.policy.present = policy
    async with Client(server(served, desk)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100, "note": {"words": "x"}}))
        await served.pending()
        with pytest.raises(Invalid, match=why):
            await _ask(served, **changed)
        await served.decide("deny", comment="no")
        await call


async def test_p1_the_policy_that_denies_the_changed_call_refuses_the_edit_and_not_the_call(served, desk):
    async with Client(server(served, desk)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        await served.pending()
        policy = Two()
        policy.action = Action.DENY
        served.scenario.service.policy.present = policy
        edit = await served.edit(amount=80)
        assert "refuses the changed call" in edit.refused
        served.scenario.service.policy.present = DefaultPolicy()
        await served.decide()
        assert text(await call) == "took 100"


async def test_p1_what_the_policy_would_let_pass_once_changed_still_waits_for_the_person(served, desk):
    async with Client(server(served, desk)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        await served.pending()
        policy = Two()
        policy.action = Action.ALLOW
        served.scenario.service.policy.present = policy
        await served.edit(amount=80)
        assert desk.ran == []
        await served.decide(who="ann")
        await served.decide(who="bob")
        assert text(await call).endswith("took 80")


async def test_p5_without_a_gate_process_an_edit_says_so_and_the_call_can_be_decided_as_it_was(served, desk):
    budgets = Budgets(plain=0.05)
    async with Client(server(served, desk, budgets=budgets)) as client:
        await client.call_tool("take", {"amount": 100})
    with pytest.raises(NotPossible, match="No process of shop"):
        await _ask(served, amount=80)
    await served.decide()


async def test_p2_an_edit_back_to_what_was_asked_is_no_edit_any_more(served, desk):
    async with Client(server(served, desk)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        first = await served.pending()
        await served.edit(amount=80)
        await served.edit(amount=100, reason="as it was")
        row = await served.pending()
        assert (row.digest, row.content_version, row.edited, row.proposed) == (first.digest, 3, "", "")
        await served.decide()
        assert text(await call) == "took 100"


async def test_p2_what_a_validator_makes_of_a_change_is_what_is_shown_approved_and_run(served):
    ran = []
    mcp = GatedServer("shop", gate=served.gate(), bind_code=False)
    Upper = Annotated[str, BeforeValidator(lambda words: str(words).strip().upper())]

    def name(words: Upper) -> str:
        """Name it."""
        ran.append(words)
        return words

    mcp.add_tool(name)
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("name", {"words": "one"}))
        await served.pending()
        await served.edit(words="  two ")
        row = await served.pending()
        assert json.loads(row.arguments) == {"words": "TWO"}
        await served.decide()
        assert text(await call).endswith("TWO")
    assert ran == ["TWO"]


async def test_p2_a_reviewer_looks_again_at_the_changed_call(served, desk):
    scenario = served.scenario
    async with Client(server(served, desk)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        await served.pending()
        await served.edit(amount=80)
        desk.balance = 200
        row = await served.pending()
        asked = await scenario.service.write(lambda tx: scenario.service.edits.ask_again(tx, row))
        scenario.service.gates.edit(asked.session, row.id, asked.edit_id)
        while (await served.pending()).content_version == 2:
            await served._filed()
        row = await served.pending()
        assert stored(row.preview) == desk.preview(80)
        assert row.edit_id == asked.edit_id
        await served.decide()
        assert text(await call).endswith("took 80")


async def test_p2_a_gate_runs_no_content_that_was_sealed_for_what_another_call_said(served, desk):
    """As if the service handed out the changed arguments of one request with the permission of another one."""
    scenario = served.scenario
    budgets = Budgets(plain=0.05)
    async with Client(server(served, desk, budgets=budgets)) as client:
        await client.call_tool("take", {"amount": 100})
        await served.edit(amount=80)
        await served.decide()
        (other,) = scenario.rows("SELECT digest, sealed_arguments, arguments, edited FROM request")
        await client.call_tool("take", {"amount": 200})
        row = await served.pending()
        await served.edit(amount=90)
        row = await served.pending()
        scenario.run(
            "UPDATE request SET digest = :digest, sealed_arguments = :sealed, arguments = :arguments WHERE id = :id",
            **dict(zip(("digest", "sealed", "arguments"), other, strict=False)),
            id=row.id,
        )
        await served.decide()
        result = await client.call_tool("take", {"amount": 200})
    assert "what was approved is not kept" in text(result)
    assert desk.ran == []


async def test_p2_two_edits_at_once_leave_one_content(served, desk):
    async with Client(server(served, desk)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        await served.pending()
        first, second = await _ask(served, amount=80), await _ask(served, amount=70)
        for asked in (first, second):
            served.scenario.service.gates.edit(asked.session, asked.request, asked.edit_id)
        found = [await _answered(served, asked.edit_id) for asked in (first, second)]
        assert sorted([edit.refused for edit in found], key=str) == [None, "Something else changed it first."]
        won = json.loads((await served.pending()).arguments)["amount"]
        assert won == json.loads(next(edit for edit in found if edit.refused is None).arguments)["amount"]
        await served.decide()
        assert text(await call).endswith(f"took {won}")


async def _answered(served, edit_id):
    while (edit := served.scenario.read(lambda reader: edits.find(reader, edit_id))).answered_at is None:
        await served._filed()
    return edit


@pytest.mark.parametrize("nothing", ["", " \n", "\u200b", "\u2060\u200d", "\u3164", "\ufe0f", "\u2800"])
async def test_a_reason_that_nobody_can_see_is_none_for_an_edit_and_for_a_denial(served, desk, nothing):
    async with Client(server(served, desk)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        row = await served.pending()
        service, person = served.scenario.service, served.scenario.person()
        wanted = Wanted(json.loads(row.arguments) | {"amount": 80}, nothing, row.content_version, row.digest)
        with pytest.raises(Invalid, match="A change needs a reason"):
            await service.write(lambda tx: service.edits.ask(tx, row.id, person, wanted))
        with pytest.raises(Invalid, match="A denial needs a reason"):
            await served.decide("deny", comment=nothing)
        await served.decide("deny", comment="否")
        assert "否" in text(await call)


async def _ask(served, row=None, **changed):
    row = row or await served.pending()
    service, person = served.scenario.service, served.scenario.person()
    wanted = Wanted(json.loads(row.arguments) | changed, "why", row.content_version, row.digest)
    asked = await service.write(lambda tx: service.edits.ask(tx, row.id, person, wanted))
    object.__setattr__(asked, "request", row.id)
    return asked


async def test_p7_a_changed_call_that_fails_says_both(served, desk):
    mcp = GatedServer("shop", gate=served.gate(), bind_code=False)

    def fail(amount: int) -> str:
        """Fail."""
        raise ToolError(f"cannot take {amount}")

    mcp.add_tool(fail)
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("fail", {"amount": 100}))
        await served.pending()
        await served.edit(amount=80)
        await served.decide()
        result = await call
    assert result.is_error
    assert "cannot take 80" in text(result)
    assert told(result, "failed")["edited"]["changes"] == [{"path": "amount", "asked": 100, "approved": 80}]


class Card(BaseModel):
    number: str | None = Field(None, validation_alias=AliasChoices("number", "no"))
    cents: int = 0


class Vault:
    """A tool with secrets of every shape, and a file of what is kept at the service."""

    def __init__(self, served) -> None:
        self.served, self.ran = served, []
        self.mcp = GatedServer("shop", gate=served.gate(), bind_code=False)

        def keep(
            password: Annotated[str, Field(validation_alias=AliasChoices("password", "pw"))],
            cents: int = 5,
            opt: str | None = None,
            cards: list[Card] = [],  # noqa: B006
            free: str = "",
        ) -> str:
            """Keep it."""
            self.ran.append((password, cents, opt, cards, free))
            return "kept"

        self.mcp.add_tool(keep, approval=Approval(secret=("password", "opt", "cards[].number")))

    def stored(self) -> str:
        return kept(self.served)


def kept(served) -> str:
    """All that is at the service of edits and requests."""
    tables = ("edit", "request", "decision", "execution", "audit_event", "audit_payload", "delivery")
    return str([served.scenario.rows(f"SELECT * FROM {table}") for table in tables])


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"opt": "PLAINTEXT"}, "Hidden arguments stay as they are; opt"),
        ({"password": "PLAINTEXT"}, "Hidden arguments stay as they are; password"),
        ({"cards": [{"number": "PLAINTEXT", "cents": 1}]}, r"stay as they are; cards\[0\].number"),
        ({"cards": [{"number": None, "cents": 1}, {"number": "PLAINTEXT"}]}, "Hidden arguments stay"),
        ({"pw": "PLAINTEXT"}, "no argument pw"),
        ({"cards": [{"number": None, "no": "PLAINTEXT", "cents": 1}]}, r"no argument cards\[0\].no"),
    ],
)
async def test_p8_nobody_fills_in_a_secret_that_the_agent_left_out(served, changed, why):
    vault = Vault(served)
    async with Client(vault.mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("keep", {"password": "hunter2-hunter2", "cards": [{"cents": 1}]}))
        first = await served.pending()
        with pytest.raises(Invalid, match=why):
            await _ask(served, **changed)
        assert "PLAINTEXT" not in vault.stored()
        row = await served.pending()
        assert (row.content_version, row.digest) == (1, first.digest)
        service, person = served.scenario.service, served.scenario.person()
        denial = Decision(verdict="deny", comment="no", content_version=1, digest=row.digest)
        suggested = json.loads(row.arguments) | changed
        with pytest.raises(Invalid, match=why):
            await service.write(
                lambda tx: service.decisions.decide(tx, row.id, person, denial, Seen(), suggested=suggested)
            )
        assert "PLAINTEXT" not in vault.stored()
        assert (await served.edit(cents=4)).refused is None
        assert (await served.edit(cents=3)).refused is None, "what was changed can be changed again"
        await served.decide()
        await call
    assert [(one[0], one[1], one[2]) for one in vault.ran] == [("hunter2-hunter2", 3, None)]


@pytest.mark.parametrize("changed", [{"opt": "PLAINTEXT"}, {"pw": "PLAINTEXT"}])
async def test_p8_a_gate_reads_no_secret_from_an_edit_whatever_the_service_lets_pass(served, changed, monkeypatch):
    vault = Vault(served)
    monkeypatch.setattr(edit_checks, "unfit", lambda *_: "")
    async with Client(vault.mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("keep", {"password": "hunter2-hunter2"}))
        await served.pending()
        refused = await served.edit(**changed)
        assert ("is secret" in refused.refused, refused.arguments) == (True, "{}")
        assert (await served.pending()).content_version == 1
        await served.decide()
        await call
    assert [one[:3] for one in vault.ran] == [("hunter2-hunter2", 5, None)]


async def test_p8_an_edit_that_repeats_the_agents_secret_elsewhere_is_refused_unkept_and_blocks_no_other(served):
    vault = Vault(served)
    async with Client(vault.mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("keep", {"password": "hunter2-hunter2"}))
        await served.pending()
        refused = await served.edit(free="hunter2-hunter2")
        assert "What is hidden would be something else: free" in refused.refused
        assert refused.arguments == "{}", "what was typed is not kept"
        assert (await served.edit(cents=4)).refused is None
        assert (await served.edit(cents=3)).refused is None
        await served.decide()
        await call
    assert [one[1] for one in vault.ran] == [3]


class Charge(BaseModel):
    token: str
    amount: int

    @model_validator(mode="after")
    def small(self):
        if self.amount > 50:
            raise ValueError(f"{self.token} allows 50 at most, {self.token!r} said so")
        return self


async def test_p8_a_refused_edit_never_quotes_a_secret_however_the_tool_words_it(served):
    mcp = GatedServer("shop", gate=served.gate(), bind_code=False)

    def charge(charge: Charge) -> str:
        """Charge a card."""
        return f"charged {charge.amount}"

    mcp.add_tool(charge, approval=Approval(secret=["charge.token"]))
    given = {"token": "tok-3f9a1c77d2-live", "amount": 10}
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("charge", {"charge": given}))
        row = await served.pending()
        wanted = json.loads(row.arguments)
        wanted["charge"]["amount"] = 90
        service, person = served.scenario.service, served.scenario.person()
        more = Wanted(wanted, "it is more", row.content_version, row.digest)
        asked = await service.write(lambda tx: service.edits.ask(tx, row.id, person, more))
        service.gates.edit(asked.session, row.id, asked.edit_id)
        refused = await _answered(served, asked.edit_id)
        assert "charge: value_error" in refused.refused
        await served.decide()
        assert text(await call).endswith("charged 10")
    assert "request.edit_refused" in str(served.scenario.rows("SELECT kind FROM audit_event"))
    assert "3f9a1c77" not in kept(served)


async def test_p3_an_idempotency_key_is_the_gates_and_an_edit_of_it_is_refused_in_words(served):
    ran = []
    mcp = GatedServer("shop", gate=served.gate(), bind_code=False)

    def pay(amount: int, key: str) -> str:
        """Pay."""
        ran.append(amount)
        return "paid"

    mcp.add_tool(pay, approval=Approval(idempotency="key"))
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("pay", {"amount": 100}))
        row = await served.pending()
        with pytest.raises(Invalid, match="key is filled in when it runs, and nobody sets it"):
            await _ask(served, key="mine")
        assert (await served.pending()).content_version == row.content_version
        await served.decide()
        await call
    assert ran == [100]


async def test_p1_an_edit_that_the_tool_reads_as_what_was_there_is_refused_and_voids_no_vote(served, desk):
    async with Client(server(served, desk)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        await served.pending()
        served.scenario.service.policy.present = Two()
        await served.edit(amount=90)
        await served.decide(who="ann")
        assert "Nothing is changed by it" in (await served.edit(amount="90", who="bob")).refused
        await served.decide(who="bob")
        assert text(await call).endswith("took 90")


async def test_p1_an_edit_that_loses_to_an_approval_is_a_conflict_and_no_misfit(served, desk, monkeypatch):
    service = served.scenario.service
    hand_over, late = service.gates.edit, []

    def after_the_approval(*asked):
        async def go():
            await served.decide()
            hand_over(*asked)

        late.append(asyncio.create_task(go()))

    monkeypatch.setattr(service.gates, "edit", after_the_approval)
    async with Client(server(served, desk)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        row = await served.pending()
        wanted = Wanted(json.loads(row.arguments) | {"amount": 80}, "less", row.content_version, row.digest)
        with pytest.raises(NotPossible, match="already") as lost:
            await gate_answers.edit(service, row.id, served.scenario.person(), wanted)
        assert lost.value.status == 409
        assert text(await call) == "took 100"
    await asyncio.gather(*late)


async def test_p7_a_reviewers_reason_is_told_as_it_was_written_whatever_it_says(served, desk):
    budgets = Budgets(plain=0.05)
    async with Client(server(served, desk, budgets=budgets)) as client:
        await client.call_tool("take", {"amount": 100})
        await served.edit(amount=80, reason="what ran is too much")
        await served.decide()
        status = served.scenario.status(_only(served))
    said = text(answers.of_status(status))
    assert "what counts is the changed call: amount: 100 → 80. Their reason: what ran is too much" in said


def _only(served):
    ((request_id,),) = served.scenario.rows("SELECT id FROM request")
    return request_id


class Order(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    amount: int = Field(alias="amountCents")
    most: int = Field(5, validation_alias=AliasChoices("most", "limit"))


@pytest.mark.parametrize(
    "order", [{"amountCents": 5, "limit": 9}, {"amount": 5, "most": 9}, {"amountCents": 5, "most": 9}]
)
async def test_p2_a_field_is_edited_whichever_of_its_names_the_agent_used(served, order):
    ran = []
    mcp = GatedServer("shop", gate=served.gate(), bind_code=False)

    def place(orders: list[Order], by_name: dict[str, Order], top: int = 1) -> str:
        """Place orders."""
        ran.append((orders[0].most, by_name["x"].most, by_name["x"].amount, top))
        return "placed"

    mcp.add_tool(place)
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        words = {"orders": [order], "by_name": {"x": order}, "top": 3}
        call = tasks.create_task(client.call_tool("place", words))
        row = await served.pending()
        shown = json.loads(row.arguments)
        assert shown["orders"] == [{"amountCents": 5, "most": 9}]
        wanted = shown | {"orders": [{"amountCents": 5, "most": 8}], "by_name": {"x": {"amountCents": 4, "most": 9}}}
        assert (await served.edit(**wanted)).refused is None
        assert (await served.edit(top=2)).refused is None
        await served.decide()
        await call
    assert ran == [(8, 9, 4, 2)]
