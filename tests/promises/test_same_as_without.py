"""A GatedServer beside a plain MCPServer: the same result or an honest refusal, never a different value."""

import json
import random
from dataclasses import replace

import pytest
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from approvals import GatedServer
from approvals.policy.model import Action, DefaultPolicy
from support import odd_types
from support.answer_table import facts

pytestmark = pytest.mark.databases("one")

TOOLS = 20
EACH = 10
HONEST = {"invalid", "too-large"}


class Allowed(DefaultPolicy):
    def judge(self, call):
        return replace(super().judge(call), action=Action.ALLOW)


def text(result) -> str:
    return "\n".join(block.text for block in result.content)


async def plainly(mcp, name, arguments):
    """What the tool says without a gate, or None when it cannot be called so."""
    try:
        return text(await mcp.call_tool(name, arguments))
    except ToolError:
        return None


async def compare(served, seed: int) -> tuple[int, list[tuple[object, ...]]]:
    """How many calls ran, and those that were refused although they run without a gate."""
    rng = random.Random(seed)  # noqa: S311
    plain, gated = MCPServer("shop"), GatedServer("shop", gate=served.gate())
    tools = []
    for number in range(TOOLS):
        name = f"tool_{seed}_{number}"
        function, words = odd_types.tool(rng, name)
        for mcp in (plain, gated):
            mcp.add_tool(function, name=name)
        tools.append((name, words))
    ran, refused = 0, []
    async with gated.gate.running():
        for number in range(TOOLS * EACH):
            name, words = tools[number % TOOLS]
            arguments = words(rng) | {"number": number}
            expected = await plainly(plain, name, json.loads(json.dumps(arguments)))
            answer = await gated.call_tool(name, arguments)
            if answer.is_error:
                assert facts(answer)["status"] in HONEST, text(answer)
                assert facts(answer)["executed"] is False
                refused += [(arguments, expected, text(answer))] if expected is not None else []
            else:
                assert text(answer) == expected, arguments
                ran += 1
    return ran, refused


MARKS = ((), pytest.mark.slow, (pytest.mark.slow, pytest.mark.deep))
BATCHES = [pytest.param(seed, marks=MARKS[(seed > 0) + (seed > 5)]) for seed in range(25)]


@pytest.mark.parametrize("seed", BATCHES)
async def test_p2_a_gated_tool_gets_what_it_would_get_without_a_gate(served, seed):
    served.scenario.service.policy.present = Allowed()
    ran, refused = await compare(served, seed)
    assert ran > TOOLS * EACH / 4
    assert len(refused) < ran / 10, refused
