"""The effect that people approve is the effect that happens, or nothing does: gates and the service over HTTP."""

import asyncio
import threading
from dataclasses import replace

import anyio
import pytest
from mcp import Client
from mcp.server.mcpserver.exceptions import ToolError

from approvals import Approval, Budgets, Fact, GatedServer, Preview, Stale, View, current_preview, current_request_id
from approvals.errors import NotPossible
from approvals.policy.model import Action, DefaultPolicy
from approvals.protocol.previews import preview_hash, stored
from approvals.service.requests import presence, preview_refreshes
from support.answer_table import facts, told

pytestmark = pytest.mark.databases("one")

ERAS = ["legacy", "2026-07-28"]


def text(result) -> str:
    return "\n".join(block.text for block in result.content)


class Account:
    """Money that a tool takes, with a preview of what is left."""

    def __init__(self) -> None:
        self.balance = 500
        self.taken = []
        self.looks = 0
        self.look = None
        """What happens instead of the usual look."""

    def preview(self, amount: int) -> Preview:
        self.looks += 1
        if self.look is not None:
            return self.look(amount)
        return self.found(amount)

    def found(self, amount: int, **more) -> Preview:
        left = Fact(name="left", label="Left afterwards", value=self.balance - amount, currency="USD")
        basis = f"balance {self.balance}"
        return Preview(**({"effect": f"Takes {amount} cents", "facts": (left,), "basis": basis} | more))

    def take(self, amount: int) -> str:
        foreseen = current_preview()
        if foreseen is not None and foreseen.basis != f"balance {self.balance}":
            raise Stale("the balance is another by now")
        self.taken.append((amount, current_request_id()))
        self.balance -= amount
        return f"took {amount}"


def server(served, account, *, budgets=None, tool=None, preview=None, **more):
    gate = served.gate(budgets=budgets) if budgets else served.gate()
    mcp = GatedServer("shop", gate=gate, bind_code=False)

    def take(amount: int) -> str:
        """Take money."""
        return (tool or account.take)(amount)

    mcp.add_tool(take, approval=Approval(preview=preview or account.preview, **more))
    return mcp


def rows(served):
    """The id and state of every request, oldest first."""
    return served.scenario.rows("SELECT id, state FROM request ORDER BY id")


@pytest.fixture
def account():
    return Account()


@pytest.mark.parametrize("mode", ERAS)
async def test_p2_the_effect_is_filed_approved_found_again_and_done(served, account, mode):
    async with Client(server(served, account), mode=mode) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        row = await served.pending()
        assert stored(row.preview) == account.found(100)
        assert (account.looks, account.taken) == (1, [])
        await served.decide()
        result = await call
    assert text(result) == "took 100"
    assert (account.looks, account.taken) == (2, [(100, row.id)])


async def test_p2_a_change_between_approval_and_execution_runs_nothing_and_asks_anew_with_the_new_effect(
    served, account
):
    async with Client(server(served, account)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        first = await served.pending()
        account.balance = 150
        await served.decide()
        second = await served.pending()
        assert account.taken == []
        old = served.scenario.status(first.id)
        assert old.state == "stale"
        assert "Left afterwards: $4.00 → $0.50" in old.ended_because
        assert (second.replaces, stored(second.preview)) == (first.id, account.found(100))
        await served.decide()
        result = await call
    assert text(result) == "took 100", "the caller went on waiting on the new request"
    assert account.taken == [(100, second.id)]
    assert [state for _, state in rows(served)] == ["stale", "succeeded"]


async def test_p3_two_callers_of_one_stale_request_wait_on_for_one_new_one(served, account):
    async with Client(server(served, account)) as client, asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(client.call_tool("take", {"amount": 100})) for _ in range(2)]
        first = await served.pending()
        with anyio.fail_after(10):
            while served.scenario.waiting(first.id) < 2:
                await asyncio.sleep(0)
        account.balance = 150
        await served.decide()
        second = await served.pending()
        assert second.id != first.id
        await served.decide()
        results = [await call for call in calls]
    assert {text(result).splitlines()[-1] for result in results} == {"took 100"}
    assert account.taken == [(100, second.id)]
    assert len(rows(served)) == 2


async def test_p2_a_tool_that_enforces_its_basis_closes_the_gap_after_the_last_look(served, account):
    def take(amount: int) -> str:
        if len(rows(served)) == 1:
            account.balance = 150  # somebody else's transaction, between the look and the tool's own
        return account.take(amount)

    async with Client(server(served, account, tool=take)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        first = await served.pending()
        await served.decide()
        second = await served.pending()
        assert served.scenario.status(first.id).ended_because == "the balance is another by now"
        assert stored(second.preview) == account.found(100)
        await served.decide()
        assert text(await call) == "took 100"
    assert account.taken == [(100, second.id)]


async def test_p2_a_preview_that_lies_about_its_basis_is_caught_by_the_tool_that_enforces_it(served, account):
    account.look = lambda amount: account.found(amount, basis="balance 1")
    async with Client(server(served, account)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        for _ in range(4):
            await served.pending()
            await served.decide()
        result = await call
    assert told(result, "stale")["executed"] is False
    assert account.taken == []
    assert {state for _, state in rows(served)} == {"stale"}


async def test_p7_an_agent_that_looks_at_its_stale_request_is_told_so(served, account):
    budgets = Budgets(plain=0.05)
    async with Client(server(served, account, budgets=budgets)) as client:
        first = facts(await client.call_tool("take", {"amount": 100}))["request_id"]
        await served.decide()
        account.balance = 150
        waiting = await client.call_tool("take", {"amount": 100})
        assert facts(waiting)["status"] in {"pending", "approved"}
        again = await client.call_tool("take", {"amount": 100})
        assert facts(again)["status"] == "pending"
        assert facts(again)["replaces"] == first
        looked = await client.call_tool("get_approval", {"request_id": first})
        assert facts(looked)["status"] == "stale"
    assert account.taken == []


async def test_p2_a_gate_whose_look_fails_at_the_moment_of_starting_runs_nothing(served, account):
    async with Client(server(served, account)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        await served.pending()

        def fails(_):
            raise ToolError("the bank is closed")

        account.look = fails
        await served.decide()
        result = await call
    assert "its effect could not be looked up again: the bank is closed" in text(result)
    assert told(result, "not_executed")
    assert account.taken == []


@pytest.mark.parametrize(
    ("look", "why"),
    [
        (lambda _: (_ for _ in ()).throw(ToolError("the bank is closed")), "the bank is closed"),
        (lambda _: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda _: {"effect": "x"}, "it returned a dict, and no Preview"),
        (lambda _: Preview(effect=""), "ValidationError"),
    ],
)
async def test_p5_a_preview_that_fails_is_said_and_blocks_nothing(served, account, look, why):
    account.look = look
    async with Client(server(served, account)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        row = await served.pending()
        assert row.preview == ""
        assert row.no_preview.startswith(why)
        await served.decide()
        assert text(await call) == "took 100"


@pytest.mark.parametrize("kind", ["sync", "async", "stubborn"])
async def test_p5_a_preview_that_hangs_is_given_up(served, account, kind):
    over = threading.Event()

    async def stubborn(amount: int) -> Preview:
        while not over.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue
        raise AssertionError("nobody reads this")

    async def hangs(amount: int) -> Preview:
        await asyncio.Event().wait()
        raise AssertionError("nobody reads this")

    def blocks(amount: int) -> Preview:
        over.wait()
        raise AssertionError("nobody reads this")

    preview = {"sync": blocks, "async": hangs, "stubborn": stubborn}[kind]
    try:
        async with (
            Client(server(served, account, preview=preview, preview_seconds=0.05)) as client,
            asyncio.TaskGroup() as tasks,
        ):
            call = tasks.create_task(client.call_tool("take", {"amount": 100}))
            row = await served.pending()
            assert row.no_preview == "it took longer than 0.05 seconds"
            await served.decide()
            assert text(await call) == "took 100"
    finally:
        over.set()


async def test_an_async_preview_looks_in_the_event_loop_and_a_plain_one_beside_it(served, account):
    where = []

    async def soon(amount: int) -> Preview:
        where.append(threading.current_thread() is threading.main_thread())
        return account.found(amount)

    def beside(amount: int) -> Preview:
        where.append(threading.current_thread() is threading.main_thread())
        return account.found(amount)

    for amount, preview in enumerate((soon, beside)):
        async with Client(server(served, account, preview=preview)) as client, asyncio.TaskGroup() as tasks:
            call = tasks.create_task(client.call_tool("take", {"amount": amount}))
            await served.pending()
            await served.decide("deny", comment="no")
            await call
    assert where == [True, False]


async def test_p2_a_preview_cannot_change_what_the_tool_gets(served, account):
    got = []

    def preview(names: list[str]) -> Preview:
        found = Preview(effect=f"Greets {', '.join(names)}")
        names.append("mallory")
        return found

    mcp = GatedServer("shop", gate=served.gate(), bind_code=False)

    def greet(names: list[str]) -> str:
        """Greet."""
        got.append(names)
        return "done"

    mcp.add_tool(greet, approval=Approval(preview=preview))
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("greet", {"names": ["mia"]}))
        await served.pending()
        await served.decide()
        await call
    assert got == [["mia"]]


async def test_p8_secrets_in_a_preview_are_masked_before_they_leave(served, account):
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"

    def preview(pin: str, order: int) -> Preview:
        return Preview(
            effect=f"Opens the door with {pin}",
            object=f"door {pin}",
            facts=(Fact(name="pin", value=pin, note=pin), Fact(name="number", value=int(pin), tolerance=1)),
            before=View(text=f"token {token}"),
            after=View(kind="table", columns=("pin", pin), rows=((int(pin), pin),)),
        )

    mcp = GatedServer("shop", gate=served.gate(), bind_code=False)

    def open_door(pin: str, order: int) -> str:
        """Open."""
        return "open"

    mcp.add_tool(open_door, approval=Approval(secret=["pin"], preview=preview))
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("open_door", {"pin": "31415926", "order": 1}))
        row = await served.pending()
        assert "31415926" not in row.preview
        assert token not in row.preview
        shown = stored(row.preview)
        assert shown.hidden is not None
        assert shown.facts[1].value == "[8 characters hidden]"
        assert row.hidden > 0, "no rule and no grant lets it pass unseen"
        await served.decide()
        assert text(await call) == "open"


async def test_p2_previews_that_differ_behind_the_mask_are_different_effects(served, account):
    pins = iter(["31415926", "27182818", "27182818", "27182818"])

    def preview(pin: str) -> Preview:
        return Preview(effect=f"Uses ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4{next(pins)}")

    mcp = GatedServer("shop", gate=served.gate(), bind_code=False)

    def use(pin: str) -> str:
        """Use."""
        return "used"

    mcp.add_tool(use, approval=Approval(preview=preview))
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("use", {"pin": "x"}))
        first = await served.pending()
        await served.decide()
        second = await served.pending()
        masked = [stored(row.preview).model_copy(update={"hidden": None}) for row in (first, second)]
        assert masked[0] == masked[1]
        assert served.scenario.status(first.id).state == "stale"
        await served.decide()
        assert text(await call) == "used"


async def test_p2_what_a_rule_allows_is_looked_up_again_too(served, account):
    class Allowed(DefaultPolicy):
        def judge(self, call):
            return replace(super().judge(call), action=Action.ALLOW)

    served.scenario.service.policy.present = Allowed()
    balances = iter([500, 150, 150, 150])

    def look(amount):
        account.balance = next(balances)
        return account.found(amount)

    account.look = look
    async with Client(server(served, account)) as client:
        result = await client.call_tool("take", {"amount": 100})
    assert text(result) == "took 100"
    assert [state for _, state in rows(served)] == ["stale", "succeeded"]


@pytest.mark.parametrize("people", [True, False])
async def test_p1_only_people_accept_a_tolerance_what_a_rule_lets_run_it_has_judged_by_exact_numbers(
    served, account, people
):
    class Judging(DefaultPolicy):
        def judge(self, call):
            few = not people and call.effect.get("rows", 0) <= 100
            return replace(super().judge(call), action=Action.ALLOW) if few else super().judge(call)

    served.scenario.service.policy.present = Judging()
    found = iter([100, 5000, 5000, 5000])

    def look(amount):
        return account.found(amount, facts=(Fact(name="rows", value=next(found), tolerance=1e6),))

    account.look = look
    async with Client(server(served, account)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        row = await served.pending()
        assert account.taken == [], "no rule has judged 5,000 rows"
        assert stored(row.preview).facts[0].value == (100 if people else 5000)
        await served.decide()
        result = await call
    assert text(result) == "took 100"
    assert [state for _, state in rows(served)] == (["succeeded"] if people else ["stale", "succeeded"])


@pytest.mark.parametrize("error", [ToolError, ValueError])
async def test_p8_a_look_that_fails_at_the_moment_of_starting_tells_no_secret(served, account, error):
    looks = iter([True])

    def preview(password: str) -> Preview:
        if next(looks, False):
            return Preview(effect="Signs in")
        raise error(f"ldap said: bad password {password}")

    mcp = GatedServer("shop", gate=served.gate(), bind_code=False)

    def sign_in(password: str) -> str:
        """Sign in."""
        return "in"

    mcp.add_tool(sign_in, approval=Approval(secret=["password"], preview=preview))
    async with Client(mcp) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("sign_in", {"password": "zqarmed-Secret77"}))
        row = await served.pending()
        await served.decide()
        result = await call
    assert told(result, "not_executed")
    assert "ldap said: bad password" in served.scenario.status(row.id).ended_because
    kept = served.scenario.rows("SELECT ended_because FROM request UNION ALL SELECT error FROM execution")
    kept += served.scenario.rows("SELECT body FROM audit_payload")
    assert "zqarmed-Secret77" not in repr(kept) + text(result)


async def test_p2_a_service_that_shows_the_gate_another_effect_than_it_approved_runs_nothing(
    served, account, monkeypatch
):
    from approvals.gate.client import ServiceClient

    claim = ServiceClient.claim

    async def lying(self, request_id, body):
        claimed = await claim(self, request_id, body)
        return claimed.model_copy(update={"preview": account.found(100, effect="Takes nothing")})

    monkeypatch.setattr(ServiceClient, "claim", lying)
    async with Client(server(served, account)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        await served.pending()
        await served.decide()
        result = await call
    assert "not what was approved" in text(result)
    assert account.taken == []


async def test_an_attached_call_that_brings_another_effect_lets_the_reviewer_decide_on_that(served, account):
    budgets = Budgets(plain=0.05)
    async with Client(server(served, account, budgets=budgets)) as client:
        await client.call_tool("take", {"amount": 100})
        first = await served.pending()
        account.balance = 300
        await client.call_tool("take", {"amount": 100})
        second = await served.pending()
    assert (second.id, second.content_version) == (first.id, first.content_version + 1)
    assert served.scenario.status(first.id).preview_hash == preview_hash(account.found(100))


async def test_p1_an_attached_call_whose_effect_the_policy_denies_is_denied_and_nobody_asked(served, account):
    class Denying(DefaultPolicy):
        def judge(self, call):
            much = call.effect.get("left", 500) < 250
            return replace(
                super().judge(call), **({"action": Action.DENY, "reason": "too little left"} if much else {})
            )

    served.scenario.service.policy.present = Denying()
    async with Client(server(served, account, budgets=Budgets(plain=0.05))) as client:
        await client.call_tool("take", {"amount": 100})
        await served.pending()
        account.balance = 300
        result = await client.call_tool("take", {"amount": 100})
    assert told(result, "denied")
    assert "too little left" in text(result)
    assert [state for _, state in rows(served)] == ["denied"]


@pytest.mark.parametrize(
    ("preview", "seconds", "words"),
    [
        (lambda other: None, 2.0, "does not take the tool's arguments by name"),
        (lambda: None, 2.0, "its preview does not take the tool's arguments by name"),
        (lambda amount: None, 0.0, "up to 4 seconds"),
        (lambda amount: None, 30.0, "up to 4 seconds"),
    ],
)
def test_a_preview_that_could_never_be_called_is_refused_when_the_tool_is_added(preview, seconds, words):
    mcp = GatedServer("shop")

    def take(amount: int) -> str:
        """Take money."""
        return ""

    with pytest.raises(ValueError, match=words):
        mcp.add_tool(take, approval=Approval(preview=preview, preview_seconds=seconds))


async def test_a_read_that_runs_at_once_looks_up_nothing(served, account):
    from mcp_types import ToolAnnotations

    mcp = GatedServer("shop", gate=served.gate(), bind_code=False)

    def look(amount: int) -> str:
        """Look."""
        return "looked"

    mcp.add_tool(look, annotations=ToolAnnotations(read_only_hint=True), approval=Approval(preview=account.preview))
    async with Client(mcp) as client:
        assert text(await client.call_tool("look", {"amount": 1})) == "looked"
    assert account.looks == 0


def look_again(served, request_id, who="ann"):
    person, service = served.scenario.person(who), served.scenario.service
    return service.write(lambda tx: preview_refreshes.ask(tx, preview_refreshes.check(tx, request_id, person)))


async def refreshed(served, request_id, until):
    before = served.scenario.row(request_id).changed_at
    served.scenario.clock.forward(20)
    asked = await look_again(served, request_id)
    served.scenario.service.gates.look(asked.session, request_id)
    await until(lambda: served.scenario.row(request_id).changed_at > before)
    return served.scenario.row(request_id)


@pytest.mark.parametrize("waiting", [True, False])
async def test_p2_a_reviewer_has_the_effect_looked_up_again_whether_or_not_anybody_waits(
    served, account, until, waiting
):
    budgets = Budgets(plain=45 if waiting else 0.05)
    async with Client(server(served, account, budgets=budgets)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        first = await served.pending()
        if not waiting:
            await call
        same = await refreshed(served, first.id, until)
        assert (same.content_version, same.previewed_at > first.previewed_at) == (1, True)
        account.balance = 300
        other = await refreshed(served, first.id, until)
        assert (other.content_version, stored(other.preview)) == (2, account.found(100))
        assert served.scenario.waiting(first.id) == waiting
        await served.decide()
        if waiting:
            assert text(await call) == "took 100"
        else:
            assert text(await client.call_tool("take", {"amount": 100})) == "took 100"
    assert account.taken == [(100, first.id)]


async def test_a_look_that_fails_says_so_and_leaves_what_was_found_before(served, account, until):
    async with Client(server(served, account)) as client, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool("take", {"amount": 100}))
        first = await served.pending()
        account.look = lambda _: 1 / 0
        failed = await refreshed(served, first.id, until)
        assert (failed.preview, failed.previewed_at) == (first.preview, first.previewed_at)
        assert failed.no_preview == "ZeroDivisionError: division by zero"
        await served.decide("deny", comment="no")
        await call


async def test_without_a_gate_that_is_alive_nobody_looks_again_and_the_reviewer_is_told(served, account):
    async with Client(server(served, account, budgets=Budgets(plain=0.05))) as client:
        await client.call_tool("take", {"amount": 100})
        first = await served.pending()
        await served.decide("deny", comment="no")
        with pytest.raises(NotPossible, match="already denied"):
            await look_again(served, first.id)
        await client.call_tool("take", {"amount": 200})
        second = await served.pending()
    with anyio.fail_after(10):
        while presence_of(served, second):
            await asyncio.sleep(0)
    with pytest.raises(NotPossible, match="is connected, so nobody"):
        await look_again(served, second.id)


def presence_of(served, row):
    return served.scenario.read(lambda reader: presence.is_here(reader, row.session_id))


async def test_p1_a_refresh_files_nothing_and_is_of_its_own_call_only(scenario):
    with pytest.raises(NotPossible, match="no request of this call"):
        scenario.file(scenario.filing(refreshes="x" * 20))
    other = scenario.file(scenario.filing({"order_id": 1}))
    with pytest.raises(NotPossible, match="no request of this call"):
        scenario.file(scenario.filing({"order_id": 2}, refreshes=other.request_id))
    scenario.decide(other.request_id)
    with pytest.raises(NotPossible, match="already approved"):
        scenario.file(scenario.filing({"order_id": 1}, refreshes=other.request_id))
    assert len(scenario.rows("SELECT id FROM request")) == 1
