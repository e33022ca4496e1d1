"""Calls of other people's tools, of which a JSON Schema is all that is known, edited before they are approved."""

import asyncio

import pytest

from support.answer_table import facts

pytestmark = pytest.mark.databases("one")


async def test_p2_an_edited_call_reaches_the_upstream_as_it_was_approved(proxied):
    async with proxied.client() as agent, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(agent.call_tool("write_note", {"name": "a", "text": "x"}))
        await proxied.served.pending()
        refused = await proxied.served.edit(name=5)
        assert "5 is not of type 'string'" in refused.refused
        edit = await proxied.served.edit(text="y", reason="another text")
        assert edit.refused is None
        await proxied.served.decide()
        result = await call
    assert proxied.did == [["write_note", {"name": "a", "text": "y"}]]
    assert facts(result)["edited"]["changes"] == [{"path": "text", "asked": "x", "approved": "y"}]
    words = "\n".join(block.text for block in result.content)
    assert "[edited] Ann changed this call" in words
    assert words.endswith("write_note a")
