"""Every message that the product can render, over hostile content: Slack takes it, and nothing in it does anything."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approvals.protocol.messages import RequestStatus
from approvals.protocol.states import State
from approvals.service.slack import blocks, modals
from approvals.service.slack.blocks import APPROVE, DENY
from approvals.service.slack.request_view import Face
from approvals.service.storage.statements import Row
from approvals_web.demo.slack.limits import message_fault, view_fault

SNAPSHOTS = Path(__file__).parent / "slack_messages"
NOW = 1_800_000_000_000_000
HOSTILE = st.one_of(
    st.text(max_size=200),
    st.sampled_from(
        [
            "<!channel> <@U1> <#C1> <!everyone>",
            "<https://evil.example|Approve here>",
            "```\n*bold* _it_ ~no~ `code` ```",
            "&lt;!here&gt; & < >",
            "\u202edetrevni\u202c \u200b\u2066 \ufeff",
            "🙂" * 300,
            "x" * 5000,
            "\n" * 500,
            "`" * 3000,
            "&" * 3000,
            "",
            " ",
        ]
    ),
)
ARGUMENTS = st.one_of(
    st.dictionaries(
        HOSTILE,
        st.one_of(HOSTILE, st.integers(-(2**40), 2**40), st.booleans(), st.none(), st.lists(HOSTILE, max_size=5)),
        max_size=8,
    ),
    st.integers(150, 400).map(lambda n: {f"argument_{i}": "v" * 20 for i in range(n)}),
)


def face(**changes):
    row = {
        "id": "01a3185c-5000-7000-8000-000000000001",
        "server": "shop",
        "tool": "refund_order",
        "summary": "Refund $120.00 of order 1042",
        "arguments": json.dumps({"order_id": 1042, "amount_cents": 12000}),
        "risk": "high",
        "rule": "refunds",
        "reason": "the parcel is lost",
        "on_behalf_of": "",
        "reviewers": "{}",
        "quorum": 1,
        "reviewed": True,
        "hidden": 0,
    }
    status = {
        "id": row["id"],
        "state": State.PENDING,
        "review_url": f"https://gate.example.org/requests/{row['id']}",
        "expires_in": 3600.0,
        "decided_by": None,
        "comment": None,
        "ended_because": None,
        "result": None,
        "error": None,
        "erased": False,
    }
    row |= {name: changes.pop(name) for name in list(changes) if name in row and name != "id"}
    status |= {name: changes.pop(name) for name in list(changes) if name in status}
    usual = {"agent": "scout", "button": "01a3185c.1.abc"}
    return Face(row=Row(row), status=RequestStatus.model_construct(**status), now=NOW, **usual | changes)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    text=st.tuples(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),
    arguments=ARGUMENTS,
    state=st.sampled_from(State),
    risk=st.sampled_from(["low", "medium", "high", "critical", "odd"]),
)
def test_p6_slack_takes_every_message_and_nothing_in_it_mentions_links_or_hides(text, arguments, state, risk):
    summary, reason, agent, comment, name = text
    seen = face(
        summary=summary,
        reason=reason,
        agent=agent,
        on_behalf_of=name,
        arguments=json.dumps(arguments),
        state=state,
        risk=risk,
        comment=comment,
        decided_by=name or None,
        decided_at=NOW,
        approved_by=(name, agent),
        result=comment,
        error=reason,
        ended_because=comment,
        frozen=comment,
        environment=name,
    )
    said = [
        blocks.request(seen),
        blocks.result(seen),
        blocks.reminder(seen),
        blocks.digest([seen] * 40, "https://gate.example.org"),
    ]
    for one in said:
        assert message_fault(one.text, one.blocks) is None
        for words in texts(one.blocks):
            assert not any(
                mark in words
                for mark in ("<!c", "<!e", "<!h", "<@", "<#", "<http://", "<https://evil", "\u202e", "\u2066")
            )
    assert view_fault(modals.denial(summary, "x" * 200)) is None
    assert view_fault(modals.freeze()) is None


def texts(found):
    """Every piece of text in blocks."""
    if isinstance(found, dict):
        if found.get("type") in {"plain_text", "mrkdwn"}:
            yield found["text"]
        found = list(found.values())
    if isinstance(found, list):
        for one in found:
            yield from texts(one)


@pytest.mark.parametrize("size", [2500, 2790, 2800, 2810, 5000, 50_000])
def test_p2_only_what_is_shown_whole_can_be_approved(size):
    said = blocks.request(face(arguments=json.dumps({"body": "x" * size + "!"})))
    shown = "!" in json.dumps(said.blocks[1])
    assert said.complete is shown
    assert (APPROVE in json.dumps(said.blocks)) is shown and DENY in json.dumps(said.blocks)


def test_a_block_of_code_cannot_be_ended_from_inside():
    said = blocks.request(face(arguments=json.dumps({"body": "```\n*pwned* <!channel> ````` `"})))
    code = said.blocks[1]["text"]["text"]
    assert code.startswith("```\n") and code.endswith("\n```") and "```" not in code[3:-3] and "<" not in code


def test_p2_a_line_within_a_value_does_not_read_as_another_argument():
    said = blocks.request(face(arguments=json.dumps({"note": "x\namount_cents: 5", "z": "a  b"})))
    assert said.blocks[1]["text"]["text"] == "```\nnote:\n  │ x\n  │ amount_cents: 5\nz: a  b\n```"


def test_p2_lines_and_blanks_in_words_are_not_taken_out():
    said = blocks.request(face(summary="Delete  a   b", reason="because:\n  1.  two\n\t2. tab "))
    assert said.blocks[0]["text"]["text"] == "Delete \u00a0a \u00a0\u00a0b"
    words = json.dumps(said.blocks, ensure_ascii=False)
    assert "because:\\n\u00a0\u00a01. \u00a0two\\n\u00a0\u00a0\u00a0\u00a02. tab\u00a0" in words


def test_low_risk_asks_once_and_more_risk_asks_twice():
    confirmed = {
        risk: "confirm" in json.dumps(blocks.request(face(risk=risk)).blocks)
        for risk in ("low", "medium", "high", "critical")
    }
    assert confirmed == {"low": False, "medium": True, "high": True, "critical": True}


SHOWN = {
    "pending": blocks.request(face()),
    "quorum": blocks.request(face(quorum=2, approved_by=("Ann",))),
    "approved": blocks.request(face(state=State.APPROVED, decided_by="Ann", decided_where="slack", decided_at=NOW)),
    "succeeded": blocks.request(
        face(state=State.SUCCEEDED, decided_by="Ann", decided_where="slack", decided_at=NOW, expires_in=None)
    ),
    "denied": blocks.request(
        face(state=State.DENIED, decided_by="Bob", decided_where="web", decided_at=NOW, comment="Ask first")
    ),
    "expired": blocks.request(face(state=State.EXPIRED, expires_in=None)),
    "frozen": blocks.request(face(frozen="All writes are frozen since just now, by Ann")),
    "shortened": blocks.request(face(arguments=json.dumps({"body": "word " * 1000}))),
    "no_buttons": blocks.request(face(risk="critical", button="")),
    "result": blocks.result(face(state=State.SUCCEEDED, result="refunded")),
    "digest": blocks.digest([face(), face(state=State.DENIED)], "https://gate.example.org"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_main_messages_are_as_they_were_reviewed(name):
    """After a change on purpose: `python tests/approvals/test_slack_message.py`, and look at the difference."""
    assert rendered(name) == (SNAPSHOTS / f"{name}.json").read_text(encoding="utf-8")


def rendered(name):
    said = SHOWN[name]
    return json.dumps({"text": said.text, "blocks": said.blocks}, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SNAPSHOTS.mkdir(exist_ok=True)
    for each in SHOWN:
        (SNAPSHOTS / f"{each}.json").write_text(rendered(each), encoding="utf-8")
