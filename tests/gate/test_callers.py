"""Callers that carry no agent's key: told apart by their tokens, else by their sessions, else not at all."""

import asyncio

import anyio
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp_types import InputRequiredResult

from approvals import Budgets
from approvals.protocol.messages import Decision
from approvals.service.requests.decisions import Seen
from support import counting_server
from support.answer_table import facts
from support.over_http import bearing, http_server, listening

LEGACY, MODERN = "legacy", "2026-07-28"
CALL = {"order_id": 7}
SHORT = Budgets(plain=0.05, rounds_by_client={"mcp": 8})
PATIENT = Budgets(plain=10)
AUTH = AuthSettings.model_validate({"issuer_url": "https://issuer.example", "resource_server_url": None})


class Verifier:
    """The author's own: `SUBJECT@ISSUER.SECRET`, of which either name may be missing."""

    async def verify_token(self, token: str) -> AccessToken | None:
        who, _, _ = token.partition(".")
        subject, _, issuer = who.partition("@")
        claims = {"iss": issuer} if issuer else None
        return AccessToken(token=token, client_id="app", subject=subject or None, scopes=[], claims=claims)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "effects.log"


@pytest.fixture(params=[LEGACY, MODERN])
def era(request):
    return request.param


def server(served, log, *, auth: bool = False, budgets: Budgets = PATIENT, agent: str | None = None):
    """One that asks for its own kind of token, or for none."""
    own = {"auth": AUTH, "token_verifier": Verifier()} if auth else {"auth": None}
    return counting_server.create(log, gate=served.gate(agent=agent, budgets=budgets), **own)


def text(result) -> str:
    return "\n".join(block.text for block in result.content)


def lines(log) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def filed(served) -> list[str]:
    return [request_id for (request_id,) in served.scenario.rows("SELECT id FROM request ORDER BY id")]


async def approved(served, client: Client, tool: str = "sync_write"):
    """The answer of a call that a person approved."""
    async with asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.call_tool(tool, CALL))
        await served.decide()
        return await call


async def pending_for(served, client: Client) -> str:
    """The id of a request whose caller was told that it still waits."""
    answer = await client.call_tool("sync_write", CALL)
    assert facts(answer)["status"] == "pending"
    return facts(answer)["request_id"]


@pytest.mark.parametrize("tokens", [(".secret-a", ".secret-b"), ("@one.s", "@two.s"), ("ann@one.s", "ann@two.s")])
async def test_p1_a_token_without_a_subject_or_of_another_issuer_is_another_caller(served, log, era, tokens):
    with anyio.fail_after(30):
        async with http_server(server(served, log, auth=True)) as url:
            async with bearing(tokens[0], url, era) as one:
                assert text(await approved(served, one)) == "wrote 7"
            async with bearing(tokens[1], url, era) as other, asyncio.TaskGroup() as tasks:
                call = tasks.create_task(other.call_tool("sync_write", CALL))
                row = await served.pending()  # a card of its own, and nothing of the first one's result
                await served.decide("deny", comment="no")
                assert "denied" in text(await call)
    assert lines(log) == ["sync 7"]
    assert row.id in filed(served)
    assert len(filed(served)) == 2


@pytest.mark.parametrize("token", [".secret-a", "ann@one.s"])
async def test_p3_the_same_token_is_the_same_caller_from_any_connection(served, log, era, token):
    with anyio.fail_after(30):
        async with http_server(server(served, log, auth=True)) as url:
            async with bearing(token, url, era) as client:
                assert text(await approved(served, client)) == "wrote 7"
            async with bearing(token, url, era) as client:
                assert text(await client.call_tool("sync_write", CALL)).startswith("[replayed]")
    assert lines(log) == ["sync 7"]


async def test_p3_whoever_has_a_subject_is_the_same_caller_with_a_new_token(served, log, era):
    with anyio.fail_after(30):
        async with http_server(server(served, log, auth=True)) as url:
            async with bearing("ann@one.old", url, era) as client:
                await approved(served, client)
            async with bearing("ann@one.new", url, era) as client:
                assert text(await client.call_tool("sync_write", CALL)).startswith("[replayed]")


async def test_p1_without_any_token_a_session_is_a_caller_and_no_other_gets_its_result(served, log):
    with anyio.fail_after(30):
        async with (
            http_server(server(served, log)) as url,
            bearing(None, url, LEGACY) as one,
            bearing(None, url, LEGACY) as other,
        ):
            assert text(await approved(served, one)) == "wrote 7"
            assert text(await one.call_tool("sync_write", CALL)).startswith("[replayed]")
            first = filed(served)[0]
            assert facts(await one.call_tool("get_approval", {"request_id": first}))["executed"]
            seen = await other.call_tool("get_approval", {"request_id": first})
            assert facts(seen)["status"] == "not_found"
            assert text(await approved(served, other)) == "wrote 7"
    assert lines(log) == ["sync 7", "sync 7"]
    assert len(filed(served)) == 2


@pytest.mark.parametrize("stateless", [pytest.param(True, id="stateless"), pytest.param(False, id="2026-07-28")])
async def test_p1_what_tells_no_callers_apart_shares_nothing_and_says_so(served, log, stateless):
    era = LEGACY if stateless else MODERN
    budgets = Budgets(plain=0.05, rounds=1)
    with anyio.fail_after(30):
        async with (
            http_server(server(served, log, budgets=budgets), stateless_http=stateless) as url,
            bearing(None, url, era) as one,
            bearing(None, url, era) as other,
        ):
            answer = await one.call_tool("sync_write", CALL)
            about = facts(answer)
            assert about["status"] == "pending"
            assert "retry_after_seconds" not in about
            assert "again with identical arguments" not in text(answer)
            assert "cannot be continued" in about["next"]
            for client in (one, other):
                seen = await client.call_tool("get_approval", {"request_id": about["request_id"]})
                assert facts(seen)["status"] == "not_found"
                assert "identical arguments" not in text(seen)
            asked = {about["request_id"], await pending_for(served, other), await pending_for(served, one)}
    assert len(asked) == 3


async def test_p1_a_header_that_names_a_session_makes_nobody_its_caller(served, log):
    budgets = Budgets(plain=0.05)
    with anyio.fail_after(30):
        async with http_server(server(served, log, budgets=budgets), stateless_http=True) as url:
            async with bearing(None, url, LEGACY) as client:
                one = await pending_for(served, client)
            async with bearing(None, url, LEGACY, headers={"Mcp-Session-Id": "0" * 32}) as client:
                two = await pending_for(served, client)
            async with bearing(None, url, LEGACY, headers={"Mcp-Session-Id": "0" * 32}) as client:
                three = await pending_for(served, client)
    assert len({one, two, three}) == 3


async def one_round(client, state=None):
    return await client.session.call_tool("sync_write", CALL, request_state=state, allow_input_required=True)


async def test_p1_a_caller_that_nothing_names_goes_on_in_its_own_rounds_alone(served, log):
    with anyio.fail_after(30):
        async with (
            http_server(server(served, log, budgets=SHORT)) as url,
            bearing(None, url, MODERN) as one,
            bearing(None, url, MODERN) as other,
        ):
            answer = await one_round(one)
            assert isinstance(answer, InputRequiredResult)
            row = await served.pending()
            assert isinstance(await one_round(other), InputRequiredResult)
            assert len(filed(served)) == 2
            answer = await one_round(one, answer.request_state)
            assert isinstance(answer, InputRequiredResult)
            assert len(filed(served)) == 2
            await decide(served, row.id)
            assert text(await one_round(one, answer.request_state)) == "wrote 7"
            assert isinstance(await one_round(one), InputRequiredResult)  # without its state: asked anew
    assert lines(log) == ["sync 7"]
    assert len(filed(served)) == 3


async def decide(served, request_id: str) -> None:
    """One of several."""
    row, person = served.scenario.row(request_id), served.scenario.person("ann")
    decision = Decision(verdict="approve", comment="", content_version=row.content_version, digest=row.digest)
    decide = served.scenario.service.decisions.decide
    await served.scenario.service.write(lambda tx: decide(tx, request_id, person, decision, Seen()))


async def test_p1_over_http_nobody_is_the_agent_whose_key_stands_in_the_servers_environment(served, log, era):
    with anyio.fail_after(30):
        async with (
            http_server(server(served, log, agent="agent", budgets=SHORT)) as url,
            bearing(None, url, era) as client,
            asyncio.TaskGroup() as tasks,
        ):
            call = tasks.create_task(client.call_tool("sync_write", CALL))
            row = await served.pending()
            assert row.agent_id is None
            await call


async def test_a_failure_tells_a_caller_that_nothing_names_no_way_back(served, log):
    with anyio.fail_after(30):
        async with (
            http_server(server(served, log), stateless_http=True) as url,
            bearing(None, url, LEGACY) as client,
        ):
            answer = await approved(served, client, "failing_write")
    assert "the carrier is closed" in text(answer)
    assert "same answer" not in facts(answer)["next"]
    assert "asks a person anew" in facts(answer)["next"]


async def test_over_stdio_and_in_process_the_one_client_is_one_caller(served, log, era):
    mcp = server(served, log)
    with anyio.fail_after(30):
        async with Client(mcp, mode=era) as client:
            assert text(await approved(served, client)) == "wrote 7"
            assert text(await client.call_tool("sync_write", CALL)).startswith("[replayed]")
    assert lines(log) == ["sync 7"]


def by_stream(token: str | None, base: str) -> Client:
    """A client over the older SSE transport."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Client(sse_client(f"{base}/sse", headers=headers), mode="legacy")


@pytest.mark.parametrize(
    ("auth", "tokens", "shared"),
    [(True, ("ann@one.a", "ann@one.b"), True), (True, (".a", ".b"), False), (False, (None, None), False)],
    ids=["one subject", "two tokens", "two sessions"],
)
async def test_p1_over_sse_a_caller_is_its_subject_else_its_token_else_its_session(served, log, auth, tokens, shared):
    with anyio.fail_after(40):
        async with listening(server(served, log, auth=auth).sse_app()) as base:
            async with by_stream(tokens[0], base) as one:
                assert text(await approved(served, one)) == "wrote 7"
            async with by_stream(tokens[1], base) as other:
                if shared:
                    assert text(await other.call_tool("sync_write", CALL)).startswith("[replayed]")
                else:
                    seen = await other.call_tool("get_approval", {"request_id": filed(served)[0]})
                    assert facts(seen)["status"] == "not_found"
                    assert text(await approved(served, other)) == "wrote 7"
    assert len(lines(log)) == (1 if shared else 2)
