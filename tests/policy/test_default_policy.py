"""The policy is a pure function behind a port; what it allows, asks and refuses."""

import pytest

from approvals.policy import model
from approvals.policy.model import (
    Action,
    CallFacts,
    DefaultPolicy,
    Judgement,
    ToolFacts,
)
from approvals.protocol.registration import Annotations, Verdict
from approvals.service.requests.rate_limits import Allowance
from approvals.service.service import Service
from approvals.service.storage.database import database_at


def facts(*, read_only=False, trusted=True, destructive=True):
    return ToolFacts("shop", "tool", Annotations(read_only=read_only, destructive=destructive), trusted)


@pytest.mark.parametrize(
    ("tool", "hidden", "verdict", "action"),
    [
        (facts(read_only=True), 0, Verdict.RUN, Action.ALLOW),
        (facts(read_only=True), 5, Verdict.RUN, Action.REQUIRE_APPROVAL),
        (facts(read_only=True, trusted=False), 0, Verdict.ASK, Action.REQUIRE_APPROVAL),
        (facts(read_only=False, destructive=False), 0, Verdict.ASK, Action.REQUIRE_APPROVAL),
        (facts(), 0, Verdict.ASK, Action.REQUIRE_APPROVAL),
    ],
)
def test_p1_without_a_policy_file_only_trusted_reads_run(tool, hidden, verdict, action):
    default = DefaultPolicy()
    assert default.verdict(tool) is verdict
    assert default.judge(CallFacts(tool, {}, "scout", hidden, now=0)).action is action


class Changeable(DefaultPolicy):
    """Answers what a test says."""

    action = Action.REQUIRE_APPROVAL

    @property
    def text(self):
        return f"version: 1  # {self.action}"

    def judge(self, call):
        return Judgement(self.action, "rule-1", {"x": 1}, reason="not on Fridays")


@pytest.fixture
def ruled(scenario):
    """The scenario under a policy that tests change."""
    rule = Changeable()
    database = database_at(scenario.url, scenario.clock)
    scenario.service = Service(
        database, scenario.service.keyring, scenario.service.public_url, policy=rule, allowance=Allowance(None, None)
    )
    yield scenario, rule
    database.stop()


def test_p1_an_allowed_write_is_filed_recorded_and_claimed_like_any_other(ruled):
    scenario, rule = ruled
    rule.action = Action.ALLOW
    filed = scenario.file()
    assert (scenario.row(filed.request_id).state, scenario.row(filed.request_id).decided_by) == (
        "approved",
        "rule rule-1",
    )
    assert scenario.claim(filed.request_id) is None
    scenario.report(filed.request_id)
    assert scenario.events(filed.request_id) == [
        "request.filed",
        "request.approved",
        "request.executing",
        "request.succeeded",
    ]


def test_p1_a_denied_write_is_filed_and_told_why(ruled):
    scenario, rule = ruled
    rule.action = Action.DENY
    filed = scenario.file()
    status = scenario.status(filed.request_id)
    assert (status.state, status.comment, status.decided_by) == ("denied", "not on Fridays", "rule rule-1")
    assert scenario.file().request_id == filed.request_id


def test_p1_the_claim_refuses_what_the_policy_denies_by_now(ruled):
    scenario, rule = ruled
    filed = scenario.file()
    scenario.decide(filed.request_id)
    rule.action = Action.DENY
    refused = scenario.claim(filed.request_id)
    assert "refuses it by now" in refused.detail
    assert scenario.row(filed.request_id).state == "revoked"


def test_every_version_of_the_policy_that_judged_is_kept_once(ruled):
    scenario, rule = ruled
    for action in (Action.REQUIRE_APPROVAL, Action.ALLOW, Action.REQUIRE_APPROVAL):
        rule.action = action
        for order in range(2):
            scenario.file(scenario.filing({"order_id": len(action) * 10 + order, "amount_cents": 1}))
    connection = scenario.service.database.connect()
    kept = connection.execute("SELECT hash, text FROM policy_version").fetchall()
    connection.close()
    assert len(kept) == 2
    assert all(model.sha256(text.encode()).hexdigest() == name for name, text in kept)
