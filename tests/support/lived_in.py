"""A database in which everything has happened, made through the product; requests by what became of them."""

from typing import Any

from approvals.policy.grant_terms import Anything, Between, GrantTerms
from approvals.policy.model import Action, CallFacts, DefaultPolicy, GrantLimits, Judgement
from approvals.policy.reviewers import Reviewers
from approvals.protocol.messages import CallRecord, CallRecords, Decision
from approvals.protocol.registration import Annotations
from approvals.service.controls import audiences, rollouts
from approvals.service.identity import agents, passwords, roles, servers, tokens
from approvals.service.identity.admins import Operator
from approvals.service.identity.servers import agent_named
from approvals.service.identity.users import require_user
from approvals.service.policies import versions
from approvals.service.requests.decisions import Seen
from approvals.service.slack.links import Links, SlackUser

Scenario = Any
"""The test suite's own."""
FURTHER = GrantTerms(2, 15, {"order_id": Anything(), "amount_cents": Between(0, 500)}).dump()


class Ruled(DefaultPolicy):
    """Order 1 is allowed, order 2 refused, order 3 needs two people; the others one."""

    text = "as a test rules"

    def judge(self, call: CallFacts) -> Judgement:
        order = call.arguments.get("order_id")
        action = {1: Action.ALLOW, 2: Action.DENY}.get(order, Action.REQUIRE_APPROVAL)
        reviewers = Reviewers(quorum=2 if order == 3 else 1)
        return Judgement(action, f"orders-{min(order or 0, 10)}", reviewers=reviewers, grants=GrantLimits())


def live(scenario: Scenario) -> dict[str, str]:
    """Requests by what became of them; the scenario has seen every kind of life."""
    write, service, clock = scenario.write, scenario.service, scenario.clock
    service.policy.present = Ruled()
    write(lambda tx: versions.load(tx, service.policy.present, "cli:test"))
    _people(scenario)
    made: dict[str, str] = {}

    def file(name: str, order: int, amount: int = 900, **more: Any) -> str:
        filed = scenario.file(scenario.filing({"order_id": order, "amount_cents": amount}, **more))
        made[name] = filed.request_id
        clock.forward(1)
        return filed.request_id

    def run(name: str, outcome: str = "succeeded") -> None:
        assert scenario.claim(made[name], f"claim-{made[name]}") is None
        scenario.report(made[name], outcome, f"claim-{made[name]}")

    file("allowed", 1)
    run("allowed")
    file("refused", 2)
    file("two", 3)
    scenario.decide(made["two"])
    scenario.decide(made["two"], who="bob")
    run("two")
    file("denied", 10)
    scenario.decide(made["denied"], "deny", comment="not this one")
    file("failed", 11)
    scenario.decide(made["failed"], comment="go on")
    run("failed", "failed")
    file("withdrawn", 12)
    scenario.withdraw(made["withdrawn"])
    file("granting", 13, 400)
    _approve(scenario, made["granting"], FURTHER)
    run("granting")
    file("granted", 14, 300)
    run("granted")
    made["settled"] = scenario.lose(scenario.filing({"order_id": 15, "amount_cents": 900}))
    scenario.settle(made["settled"], "succeeded")
    scenario.report(made["settled"], "failed", f"claim-{made['settled']}"[:60])
    file("revised", 16)
    scenario.decide(made["revised"])
    _freeze(scenario)
    _levers(scenario)
    file("erased", 17)
    scenario.decide(made["erased"], "deny", comment="private words")
    write(lambda tx: service.erasures.contents(tx, made["erased"], scenario.person(), "asked to"))
    file("half", 3, 901)
    scenario.decide(made["half"])
    file("approved", 18)
    scenario.decide(made["approved"])
    file("pending", 19)
    _calls(scenario)
    return made


def _people(scenario: Scenario) -> None:
    write = scenario.write
    scenario.add_user("cat", roles="viewer")
    scenario.add_user("dan", roles="reviewer")
    scenario.add_user("olga", roles="viewer")
    dan, cat = (scenario.read(lambda reader, who=who: require_user(reader, who)) for who in ("dan", "cat"))
    write(lambda tx: roles.disable(tx, dan.id, Operator("test")))
    write(lambda tx: roles.set_groups(tx, cat, ["support"], Operator("test")))
    write(lambda tx: passwords.set_password(tx, cat.id, "hashed", "cli:test"))
    token = {"label": "script", "scopes": "read", "life": 3600 * 1_000_000}
    ann = scenario.person()
    write(lambda tx: tokens.make(tx, ann, **token))
    key = write(lambda tx: tokens.make(tx, ann, **token)).split("_")[1]
    write(lambda tx: tokens.revoke(tx, ann, key))
    links = Links()
    write(lambda tx: links._link(tx, SlackUser("T1", "UANN", "ann"), ann.id, "code", ann.actor))
    rover = write(lambda tx: servers.add_agent(tx, Operator("test"), "rover", owners=["bob"]))
    scout, old = (scenario.read(lambda reader, name=name: agent_named(reader, name)) for name in ("scout", "rover"))
    scenario.keys["agent"] = write(lambda tx: servers.rotate(tx, Operator("test"), "agent", scout))
    write(lambda tx: agents.set_owners(tx, Operator("test"), scout, ["olga"]))
    write(lambda tx: agents.set_limits(tx, Operator("test"), scout, pending=50, minute=None))
    write(lambda tx: servers.revoke(tx, Operator("test"), "agent", old))
    assert rover


def _approve(scenario: Scenario, request_id: str, further: str) -> None:
    row, ann = scenario.row(request_id), scenario.person()
    decision = Decision(verdict="approve", content_version=row.content_version, digest=row.digest)
    scenario.write(lambda tx: scenario.service.decisions.decide(tx, request_id, ann, decision, Seen(), further))


def _freeze(scenario: Scenario) -> None:
    """What was approved is taken back; the freeze is explained, and lifted."""
    freezes, write = scenario.service.freezes, scenario.write
    for reason in ("", "an odd refund"):
        write(lambda tx, why=reason: freezes.make(tx, Operator("test"), "all", "", "refuse", why))
    scenario.clock.forward(1)
    write(lambda tx: freezes.lift(tx, Operator("test"), "all"))
    write(lambda tx: freezes.make(tx, Operator("test"), "server", "shop", "hold", ""))
    write(lambda tx: freezes.lift_all(tx, Operator("test")))
    scout = scenario.read(lambda reader: agent_named(reader, "rover"))
    write(lambda tx: freezes.make(tx, Operator("test"), "agent", scout.id, "refuse", "it loops"))


def _levers(scenario: Scenario) -> None:
    write = scenario.write
    for mode in ("observe", "enforce"):
        write(lambda tx, mode=mode: rollouts.set_rollout(tx, Operator("test"), "shop", "get_order", "", mode))
    write(lambda tx: rollouts.set_rollout(tx, Operator("test"), "shop", "", "group:pilots", "observe"))
    write(lambda tx: rollouts.clear_rollout(tx, Operator("test"), "shop", "", "group:pilots"))
    write(lambda tx: audiences.set_audience(tx, Operator("test"), "shop", ["agent:scout"]))
    scenario.register(scenario.tool(description="Refund an order, all of it."))
    _rejection(scenario)


def _rejection(scenario: Scenario) -> None:
    drop, session = scenario.tool(name="drop_order"), "session-that-drops"
    scenario.register(drop, session=session)
    harmless = drop.model_copy(update={"annotations": Annotations(read_only=True)})
    tool_hash = scenario.register(harmless, session=session).tools["drop_order"].tool_hash
    ann = scenario.person()
    scenario.write(lambda tx: scenario.service.offers.reject(tx, "shop", "drop_order", tool_hash, ann))


def _calls(scenario: Scenario) -> None:
    at = scenario.installation()
    call = CallRecord(number=1, ago=0, method="tools/call", target="get_order", outcome="ok")
    batch = CallRecords(session=scenario.session, high_water=1, calls=(call,))
    scenario.write(lambda tx: scenario.service.calls.record(tx, at, batch))
