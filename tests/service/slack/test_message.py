"""Every message that the product can render, over hostile content: Slack takes it, and nothing in it does anything."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from approvals.protocol.edits import Change, Edited
from approvals.protocol.messages import RequestStatus
from approvals.protocol.previews import Fact, Preview
from approvals.protocol.states import State
from approvals.service.requests.precedents import Count
from approvals.service.slack import modals, replies
from approvals.service.slack.blocks import APPROVE, DENY
from approvals.service.slack.message import PUSHED, request_message
from approvals.service.slack.request_view import RequestView
from approvals.service.storage.statements import Row
from approvals_web.demo.slack.limits import message_fault, view_fault
from support import slack_text

SNAPSHOTS = Path(__file__).parent / "messages"
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
            ":white_check_mark: Approved by Ada",
            "two\nlines",
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


def view(**changes):
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
        "no_preview": "",
        "held": False,
        "replaces": None,
        "created_at": NOW - 1_000_000,
        "finished_at": None,
        "notify": "{}",
        "content_version": 1,
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
    usual = {
        "agent": "scout",
        "button": "01a3185c.1.abc",
        "missing": "any reviewer",
        "before": Count(14, 1, more=False),
    }
    return RequestView(row=Row(row), status=RequestStatus.model_construct(**status), now=NOW, **usual | changes)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    text=st.tuples(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),
    arguments=ARGUMENTS,
    state=st.sampled_from(State),
    risk=st.sampled_from(["low", "medium", "high", "critical", "odd"]),
    preview=st.booleans(),
)
@example(("", "`" * 3000, "", "`" * 3000, "`" * 3000), {}, State.FAILED, "low", False)
def test_p6_slack_takes_every_message_and_nothing_in_it_mentions_links_or_hides(text, arguments, state, risk, preview):
    summary, reason, agent, comment, name = text
    seen = view(
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
        void=(name, agent) if state is State.APPROVED else (),
        missing=name,
        awaited=(name, agent) * 4,
        approved_at=NOW,
        preview=Preview.model_construct(
            effect=name,
            facts=(Fact.model_construct(name="a", label=agent, value=comment),),
            until=comment,
            reversible="no",
        )
        if preview
        else None,
        before=None,
        refused=Row({"decided_by": agent, "comment": comment}),
        no_preview=comment,
        replaces="x",
        reviewed=not comment,
        result=comment,
        error=reason,
        ended_because=comment,
        frozen=comment,
        environment=name,
        rule=name,
        usual_risk="medium",
        callers=1,
    )
    said = [
        request_message(seen),
        replies.result(seen),
        replies.reminder(seen),
        replies.digest([seen] * 40, "https://gate.example.org"),
    ]
    for one in said:
        assert message_fault(one.text, one.blocks) is None
        for found in texts(one.blocks):
            assert not any(
                mark in found["text"]
                for mark in ("<!c", "<!e", "<!h", "<@", "<#", "<http://", "<https://evil", "\u202e", "\u2066")
            )
            assert draws_nothing(found)
        assert draws_nothing({"type": "mrkdwn", "text": one.text}) and "\n" not in one.text
    for dialog in (modals.denial(summary, "x" * 200), modals.freeze()):
        assert view_fault(dialog) is None and all(map(draws_nothing, texts(list(dialog.values()))))


def draws_nothing(text):
    """No letters between colons become a picture: plain text says so, code never does, elsewhere they are broken."""
    if text["type"] == "plain_text":
        return text["emoji"] is False
    outside = re.sub(r"```.*?```", "", text["text"], flags=re.DOTALL)
    return not re.search(r":[a-z0-9_+'-]+:", outside)


def texts(found):
    """Every piece of text in blocks."""
    if isinstance(found, dict):
        if found.get("type") in {"plain_text", "mrkdwn"}:
            yield found
        found = list(found.values())
    if isinstance(found, list):
        for one in found:
            yield from texts(one)


@pytest.mark.parametrize("size", [2500, 2790, 2800, 2810, 5000, 50_000])
def test_p2_only_what_is_shown_whole_can_be_approved(size):
    said = request_message(view(arguments=json.dumps({"body": "x" * size + "!"})))
    shown = "!" in arguments_of(said)
    assert said.complete is shown
    assert (APPROVE in json.dumps(said.blocks)) is shown and DENY in json.dumps(said.blocks)


def test_a_block_of_code_cannot_be_ended_from_inside():
    said = request_message(view(arguments=json.dumps({"body": "```\n*pwned* <!channel> ````` `"})))
    code = arguments_of(said).removeprefix("*Arguments:*\n*body:*\n")
    assert code.startswith("```\n") and code.endswith("\n```") and "```" not in code[3:-3] and "<" not in code


def test_p2_a_line_within_a_value_does_not_read_as_another_argument():
    said = request_message(view(arguments=json.dumps({"note": "x\namount_cents: 5", "z": "a  b"})))
    assert arguments_of(said) == "*Arguments:*\n*note:*\n```\nx\namount_cents: 5\n```\n*z:*\n```\na  b\n```"


@pytest.mark.parametrize("size", [900, 1330, 1360, 1400, 2700, 5000])
def test_p2_of_several_boxes_none_is_left_out_without_a_word(size):
    said = request_message(view(arguments=json.dumps({"a": "x\n" * size + "x", "b": "y\n!", "*n*`<!here>": "z\n?"})))
    words = arguments_of(said)
    assert said.complete is ("x…" not in words and "!" in words and "?" in words)
    assert (APPROVE in json.dumps(said.blocks)) is said.complete and "<!here" not in words


@pytest.mark.parametrize("name", ["n" * 98, "n" * 100, "n" * 180, "&" * 180, "*" * 98])
def test_p2_a_name_that_its_box_could_not_show_whole_is_not_approved(name):
    said = request_message(view(arguments=json.dumps({"o" * 200: {f"{name}!": "two\nlines"}})))
    assert said.complete is ("!" in arguments_of(said))


def test_p2_lines_and_blanks_in_words_are_not_taken_out():
    said = request_message(view(summary="Delete  a   b", reason="because:\n  1.  two\n\t2. tab "))
    assert said.blocks[1]["text"]["text"] == "Delete \u00a0a \u00a0\u00a0b"
    words = json.dumps(said.blocks, ensure_ascii=False)
    assert "> because:\\n> \u00a0\u00a01. \u00a0two\\n> \u00a0\u00a0\u00a0\u00a02. tab\u00a0" in words.replace(
        "\u200b", ""
    )


def test_low_risk_asks_once_and_more_risk_asks_twice():
    confirmed = {
        risk: "confirm" in json.dumps(request_message(view(risk=risk)).blocks)
        for risk in ("low", "medium", "high", "critical")
    }
    assert confirmed == {"low": False, "medium": True, "high": True, "critical": True}


@pytest.mark.parametrize("state", State)
def test_no_line_goes_without_a_word_in_any_state(state):
    for one in (view(state=state), view(state=state, reason="", on_behalf_of="", rule="default")):
        words = json.dumps(request_message(one).blocks)
        assert all(f"*{line}" in words for line in ("Undo:", "For:", "Why", "Why it wait"))


@pytest.mark.parametrize("state", State)
def test_the_push_says_it_within_what_a_locked_phone_shows(state):
    long = view(summary="Refund $120.00 of order 1042 " * 9, agent="a" * 90, decided_by="b" * 90, state=state)
    for one in (view(state=state), long):
        assert len(request_message(one).text.replace("\u200b", "")) <= PUSHED
    assert request_message(view()).text == "Refund $120.00 of order 1042 · scout · high risk · 60 min left"


def test_p8_no_argument_of_a_tool_that_nobody_reviewed_is_read_from_a_locked_phone():
    unread = view(summary="mail.send(api_key=hunter2)", tool="send", server="mail", reviewed=False)
    for said in (request_message(unread), replies.reminder(unread), replies.digest([unread], "https://g.example")):
        assert "hunter2" not in said.text and "hunter2" not in json.dumps(said.blocks[:2])
    assert request_message(unread).text.startswith("Call send on mail · scout")


def test_the_risk_says_where_it_comes_from_only_where_that_is_on_record():
    said = {usual: json.dumps(request_message(view(usual_risk=usual)).blocks) for usual in ("", "medium", "high")}
    assert "High risk:* set by the rule" in said["medium"] and "this tool may" not in said["medium"]
    assert "High risk:* this tool may overwrite or delete" in said["high"] and "set by" not in said["high"]
    assert "High risk*" in said[""] and "set by" not in said[""]


def test_a_vote_of_somebody_else_is_said_not_to_count_only_where_so():
    anybody = view(quorum=2, approved_by=("Ann",), missing="one more reviewer")
    named = view(quorum=2, approved_by=("Ann",), missing="x", reviewers=json.dumps({"groups": ["finance"]}))
    assert "only x can give the one that is still missing" in json.dumps(request_message(named).blocks)
    assert "One denial ends it: members of finance may deny" in json.dumps(request_message(named).blocks)
    assert "only" not in json.dumps(request_message(anybody).blocks)
    assert "One denial ends it: any reviewer may deny" in json.dumps(request_message(anybody).blocks)


def test_who_a_group_is_is_said_by_name_as_far_as_a_line_has_room():
    people = {"missing": "somebody from finance", "reviewers": json.dumps({"groups": ["finance"]})}
    for awaited, words in (
        (("Bob",), "0 of 1: somebody from finance (Bob) may approve"),
        (("A", "B", "C", "D", "E", "F", "G"), "finance (A, B, C, D, E or 2 more) may approve"),
        ((), "somebody from finance may approve"),
    ):
        assert words in json.dumps(request_message(view(awaited=awaited, **people)).blocks)


def test_the_button_says_which_approval_of_how_many_it_is():
    said = [request_message(view(quorum=2, approved_by=who)).blocks[-1] for who in ((), ("Ann",))]
    assert [row["elements"][0]["text"]["text"] for row in said] == ["Approve (1 of 2)", "Approve (2 of 2)"]
    assert request_message(view()).blocks[-1]["elements"][0]["text"]["text"] == "Approve"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"before": None}, "⚠️ no call of refund_order was decided here before"),
        ({"ran_at": NOW - 720_000_000}, "the same call ran before"),
        ({"refused": Row({"decided_by": "Bob", "comment": "Ask first"})}, "it was denied by Bob: “Ask first”"),
        ({"reviewed": False}, "nobody has reviewed"),
        ({"hidden": 4}, "4 characters are hidden"),
        ({"replaces": "01a3185c"}, "ended without running"),
        ({"content_version": 2}, "earlier votes do not count"),
        ({"arguments": json.dumps({"to": "pаypal.example"})}, "look-alike characters"),  # noqa: RUF001
        ({"no_preview": "it timed out"}, "could not look it up (it timed out)"),
    ],
)
def test_what_deserves_a_second_look_is_said_while_it_waits(changes, words):
    assert words in read(request_message(view(**changes)))
    assert words not in read(request_message(view()))


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (Count(14, 1, more=False), "calls of refund_order in the 30 days before: 14 approved, 1 denied"),
        (Count(0, 0, more=False), "no calls of refund_order were decided in the 30 days before"),
        (Count(150, 50, more=True), "of the 200 calls of refund_order before, 150 were approved, 50 denied"),
    ],
)
def test_that_nothing_is_unusual_is_said_with_how_it_went_before(count, words):
    said = read(request_message(view(before=count)))
    assert f"*Unusual:* nothing that we noticed ({words})" in said


def test_several_things_that_are_unusual_have_a_line_each():
    said = json.dumps(request_message(view(hidden=4, reviewed=False)).blocks, ensure_ascii=False)
    assert "*Unusual:*\\n⚠️ nobody has reviewed" in said and "alone\\n⚠️ 4 characters" in said


def test_without_a_preview_it_says_that_the_effect_is_not_known():
    line = "*What it would change:* not known beforehand. shop gives no preview"
    assert line in json.dumps(request_message(view()).blocks)
    shown = request_message(view(preview=Preview(effect="Refunds $120.00\nto Mia"))).blocks[2]["text"]["text"]
    assert shown == "*What it would change* (looked up by shop):\n*In words:*\n```\nRefunds $120.00\nto Mia\n```"


def test_a_freeze_is_the_first_thing_said_and_leaves_nothing_to_approve():
    said = request_message(view(frozen="All writes are frozen by Ann"))
    assert said.blocks[0]["text"]["text"].startswith("*🧊 Frozen, nothing runs:* All writes are frozen by Ann. ")
    assert APPROVE not in json.dumps(said.blocks) and DENY in json.dumps(said.blocks)


def test_everybody_whose_approval_let_it_run_is_named():
    two = view(
        state=State.SUCCEEDED, quorum=2, approved_by=("Ann", "Bob"), finished_at=NOW, **REFUND | {"decided_by": "Bob"}
    )
    said = request_message(two).blocks[0]["text"]["text"]
    assert "*Approved by:* Ann and Bob (the last of them in Slack)" in said and "; ended <!date^" in said


def test_every_iteration_of_a_message_names_its_buttons_anew():
    said = [view(), view(approved_by=("Ann",), quorum=2), view(state=State.DENIED), view(content_version=2)]
    names = [request_message(one).blocks[-1]["block_id"] for one in said]
    assert len(set(names)) == len(names)


def read(said):
    """What is read of it; line ends as JSON writes them."""
    return json.dumps(said.blocks, ensure_ascii=False).replace("\u200b", "")


def arguments_of(said):
    """The part that shows them."""
    words = [block["text"]["text"] for block in said.blocks if block["type"] == "section"]
    return next(text for text in words if text.startswith("*Arguments:*"))


REFUND = {"decided_by": "Ann", "decided_where": "slack", "decided_at": NOW}
SQL = "UPDATE customer\nSET plan = 'free'\nWHERE last_login < '2024-01-01'"
SHOWN = {
    "pending": request_message(view(on_behalf_of="maria@example.org")),
    "default_rule": request_message(view(rule="default", reason="", agent=None)),
    "sql": request_message(
        view(
            summary="Run an UPDATE on the customer table",
            tool="run_sql",
            server="postgres",
            environment="production",
            rule="sql-writes",
            risk="critical",
            arguments=json.dumps({"database": "crm", "sql": SQL}),
            reason="Ticket OPS-311 asks to move inactive customers to the free plan.",
            button="",
        )
    ),
    "quorum": request_message(
        view(
            quorum=2,
            approved_by=("Ann",),
            approved_at=NOW - 60_000_000,
            missing="somebody from finance",
            awaited=("Bob",),
            reviewers=json.dumps({"quorum": 2, "groups": ["finance", "support"], "each_group": True}),
        ),
        ("<@UBOB>", "<!subteam^S0123456>"),
    ),
    "rules_risk": request_message(view(rule="big-refunds", risk="critical", usual_risk="high")),
    "usual_risk": request_message(view(usual_risk="high")),
    "quorum_of_nobody_yet": request_message(view(quorum=2, missing="two reviewers")),
    "unreviewed": request_message(
        view(summary="mail.send(to=a@b.example)", reviewed=False, hidden=12, tool="send", server="mail")
    ),
    "adds_only": request_message(view(destructive=False, risk="medium")),
    "approved": request_message(view(state=State.APPROVED, **REFUND)),
    "void": request_message(view(state=State.APPROVED, quorum=2, approved_by=("Ann", "Bob"), void=("Bob",), **REFUND)),
    "running": request_message(view(state=State.EXECUTING, expires_in=None, **REFUND)),
    "succeeded": request_message(view(state=State.SUCCEEDED, expires_in=None, **REFUND)),
    "failed": request_message(
        view(state=State.FAILED, expires_in=None, error="the payment provider answered 502", finished_at=NOW, **REFUND)
    ),
    "unknown": request_message(view(state=State.UNKNOWN, expires_in=None, **REFUND)),
    "denied": request_message(
        view(state=State.DENIED, decided_by="Bob", decided_where="web", decided_at=NOW, comment="Ask first")
    ),
    "expired": request_message(view(state=State.EXPIRED, expires_in=None)),
    "frozen": request_message(view(frozen="All writes are frozen by Ann")),
    "shortened": request_message(view(arguments=json.dumps({"body": "word " * 1000}))),
    "critical": request_message(view(risk="critical", button="")),
    "web_only": request_message(view(button="")),
    "result": replies.result(view(state=State.SUCCEEDED, result="refunded")),
    "result_failed": replies.result(view(state=State.FAILED, error="the payment provider answered 502")),
    "nobody_waits": replies.reminder(view(callers=0)),
    "reminder": replies.reminder(view(callers=1), ("<!subteam^S0123456>",)),
    "one_more": replies.reminder(view(quorum=2, approved_by=("Ann",), missing="somebody from finance"), ("<@UBOB>",)),
    "ran_before": request_message(view(ran_at=NOW - 720_000_000)),
    "first": request_message(view(before=None)),
    "preview": request_message(
        view(
            preview=Preview(
                effect="Refunds $120.00 to Mia Okafor for order 1042 (Desk lamp)",
                object="Order 1042",
                facts=(Fact(name="amount", label="Refund", value=12000, currency="USD", note="of $200.00"),),
                reversible="no",
                until="The money is with the customer.",
            )
        )
    ),
    "digest": replies.digest(
        [view(), view(state=State.DENIED, risk="low")], "https://gate.example.org", ("<@U1>", "<!subteam^S0000001>")
    ),
    "digest_frozen": replies.digest(
        [view(frozen="All writes are frozen by Ann"), view(frozen="All writes are frozen by Ann", risk="low"), view()],
        "https://gate.example.org",
    ),
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_main_messages_are_as_they_were_reviewed(name):
    """After a change on purpose: `python tests/service/slack/test_message.py`, and read the difference."""
    assert message_fault(SHOWN[name].text, SHOWN[name].blocks) is None
    assert rendered(name) == (SNAPSHOTS / f"{name}.txt").read_text(encoding="utf-8")


def rendered(name):
    return slack_text.read(SHOWN[name].text, SHOWN[name].blocks)


if __name__ == "__main__":
    SNAPSHOTS.mkdir(exist_ok=True)
    for each in SHOWN:
        (SNAPSHOTS / f"{each}.txt").write_text(rendered(each), encoding="utf-8")


def test_an_edited_call_says_what_was_changed_by_whom_and_why():
    """In the words of whoever changed it, which are no markup."""
    edit = Edited(by="Ann", reason="no <!here> fee", changes=(Change(path="amount_cents", was=12000, now=8000),))
    shown = view()
    message = request_message(replace(shown, status=shown.status.model_copy(update={"edited": edit})))
    words = json.dumps(message.blocks, ensure_ascii=False).replace("\u200b", "")
    assert "*Edited:* Ann changed what the agent asked: amount_cents: 12000 → 8000." in words
    assert "<!here>" not in words
