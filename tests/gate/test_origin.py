"""What agents' sides say of themselves: kept when it makes sense, never believed."""

import pytest

from approvals.gate.masking import Mask
from approvals.gate.origin import UNREADABLE, Origin
from approvals.protocol.messages import Filing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def test_what_a_client_says_is_kept():
    meta = {"mcp-approvals/on_behalf_of": "ann@example.com", "mcp-approvals/session": "run 7", "traceparent": PARENT}
    assert Origin.of(meta, {}) == Origin("ann@example.com", "run 7", TRACE)
    assert Origin.of({}, {"traceparent": PARENT}).trace_id == TRACE
    assert Origin.of({}, {}) == Origin()


@pytest.mark.parametrize("said", [7, ["ann"], "two\nlines", "x" * 201, "right\u202eleft", "lone \ud800", "a\x00b"])
def test_what_makes_no_sense_is_dropped_and_shows_that_it_came(said):
    assert Origin.of({"mcp-approvals/on_behalf_of": said}, {}).on_behalf_of == UNREADABLE


@pytest.mark.parametrize(
    "parent",
    [
        "x",
        7,
        PARENT.upper(),
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"{PARENT}-more",
        f"{PARENT}\n",
    ],
)
def test_a_broken_traceparent_is_no_trace(parent):
    assert Origin.of({"traceparent": parent}, {}).trace_id == UNREADABLE


def test_a_key_pasted_into_the_wrong_place_is_masked():
    origin = Origin.of({"mcp-approvals/session": "mcpa_0123456789ab_" + "x" * 43}, {})
    named = {"session": "session-0001", "call_id": "call-0001", "tool": "x", "tool_hash": "0" * 64, "arguments": {}}
    assert "xxxx" not in Mask().message(Filing, **named, agent_session=origin.agent_session).message.agent_session
