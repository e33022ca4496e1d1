"""Every answer that an agent can get is its own, says whether anything ran, and what to do next (P7)."""

import pytest
from mcp_types import CallToolResult, TextContent

from approvals.errors import (
    ApprovalsError,
    Forbidden,
    Invalid,
    NotConfigured,
    Stale,
    TooLarge,
    Unreachable,
)
from approvals.gate import answers
from approvals.protocol.messages import RequestStatus
from approvals.protocol.states import State
from support.answer_table import facts

FIRST_WORDS = {
    State.PENDING: "NOT EXECUTED: waiting for a person's approval of: Refund",
    State.APPROVED: "NOT EXECUTED yet",
    State.EXECUTING: "STILL RUNNING",
    State.DENIED: "NOT EXECUTED: denied by Ann",
    State.EXPIRED: "NOT EXECUTED: request r expired before anybody decided",
    State.WITHDRAWN: "NOT EXECUTED: request r was withdrawn",
    State.LAPSED: "NOT EXECUTED: request r was approved, but not started in time",
    State.REVOKED: "NOT EXECUTED: request r was approved, and the approval was taken back",
    State.NOT_EXECUTED: "NOT EXECUTED: request r was approved, but did not run",
    State.STALE: "NOT EXECUTED: request r was approved, and its effect was another when it was to run",
    State.UNKNOWN: "OUTCOME UNKNOWN",
    State.SUCCEEDED: "EXECUTED",
    State.FAILED: "EXECUTED",
}
EXECUTED = {State.EXECUTING: None, State.UNKNOWN: None, State.SUCCEEDED: True, State.FAILED: True}


def status(state, **more):
    more_of = {"expires_in": 60.0} if state is State.PENDING else {}
    more_of |= {"decided_by": "Ann", "comment": "use credit", "ask_again_in": 600.0} if state is State.DENIED else {}
    return RequestStatus(
        id="r",
        server="shop",
        tool="refund",
        tool_hash="0" * 64,
        state=state,
        digest="0" * 64,
        content_version=1,
        summary="Refund",
        review_url="http://here/requests/r",
        rule="default",
        **more_of | more,
    )


def text(result):
    return "\n".join(block.text for block in result.content)


@pytest.mark.parametrize("state", State)
def test_p7_every_state_has_an_answer_of_its_own_that_says_what_to_do(state):
    answer = answers.of_status(status(state))
    about = facts(answer)
    assert answer.is_error
    assert text(answer).startswith(FIRST_WORDS[state])
    assert about["status"] == state.value
    assert about["executed"] is EXECUTED.get(state, False)
    assert about["next"] in text(answer)
    assert ("retry_after_seconds" in about) is (state in {State.PENDING, State.APPROVED, State.EXECUTING})
    assert ("denied" in text(answer).split("\n")[0].replace("Nobody denied", "")) is (state is State.DENIED)


def test_p7_all_answers_differ():
    words = {text(answers.of_status(status(state))) for state in State} | {
        text(answers.of_error(error(error.title))) for error in (Invalid, NotConfigured, Unreachable, Stale)
    }
    words |= {text(answers.refused("x")), text(answers.not_started(status(State.APPROVED), "x"))}
    assert len(words) == len(State) + 6


@pytest.mark.parametrize(
    ("error", "name", "executed"),
    [
        (Invalid, "invalid", False),
        (NotConfigured, "not_configured", None),
        (Unreachable, "unavailable", None),
        (ApprovalsError, "unavailable", None),
        (Stale, "changed", False),
        (Forbidden, "forbidden", False),
        (TooLarge, "too-large", False),
    ],
)
def test_p7_every_failure_to_ask_is_told_as_not_executed(error, name, executed):
    answer = answers.of_error(error("It broke.", hint="Mend it."), request_id="r")
    now = " NOW" if executed is None else ""
    assert text(answer).startswith(f"NOT EXECUTED{now}: It broke. Mend it.")
    assert facts(answer) | {"next": ""} == {
        "status": name,
        "executed": executed,
        "reason": "It broke.",
        "request_id": "r",
        "next": "",
    }


def test_p7_a_denial_says_how_long_not_to_ask_and_when_it_may():
    waits = answers.of_status(status(State.DENIED))
    assert "600 more seconds" in text(waits)
    free = answers.of_status(status(State.DENIED, ask_again_in=0.0))
    assert "may" not in facts(waits)["next"]
    assert "allows the same call" in text(free)


def test_p7_a_replay_is_marked_and_otherwise_the_same():
    stored = CallToolResult(content=[TextContent(type="text", text="done")], structured_content={"n": 1})
    again = answers.replayed(stored, status(State.SUCCEEDED, finished_ago=12.0, replayed=True))
    assert again.structured_content == {"n": 1}
    assert again.content[1:] == stored.content
    assert text(again).startswith("[replayed]")
    assert "12 seconds ago" in text(again)
    assert 'approval_repeat="r"' in text(again)
    about = facts(again)
    assert (about["status"], about["executed"], about["request_id"], about["ran_seconds_ago"]) == (
        "succeeded",
        True,
        "r",
        12,
    )
    assert about["replayed"] == again.content[0].text


@pytest.mark.parametrize(("state", "shown"), [(State.SUCCEEDED, "the result"), (State.FAILED, "the error")])
def test_p7_a_result_that_was_not_kept_is_not_run_again(state, shown):
    answer = answers.without_result(status(state, result="the result", error="the error"))
    assert text(answer).startswith("ALREADY EXECUTED")
    assert shown in text(answer)
    assert facts(answer)["executed"] is True
