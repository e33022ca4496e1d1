"""Any order of moves, on both databases, by several processes, with crashes, races and clocks that jump: the product
answers what the reference model of the promises answers, and its tables never show what must not be (P1 to P4)."""

import copy
import itertools
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from approvals.errors import ApprovalsError, Unauthenticated
from approvals.policy.model import (
    Action,
    CallFacts,
    Judgement,
    ToolFacts,
)
from approvals.policy.reviewers import Reviewers
from approvals.protocol.messages import Claim, Decision, EditAnswer, Outcome, RequestStatus
from approvals.protocol.previews import Fact, Preview
from approvals.protocol.registration import Verdict
from approvals.service.identity import roles, servers
from approvals.service.identity.admins import Operator
from approvals.service.identity.servers import agent_named
from approvals.service.identity.users import Person, require_user
from approvals.service.requests import presence
from approvals.service.requests.decisions import Seen
from approvals.service.requests.edits import Wanted
from approvals.service.storage.database import Reader, Transaction
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables.handles import WITH_EXECUTION
from support.reference import COOL_DOWN, EXECUTE_WITHIN, OPEN, REPLAY, TABLE, TTL, World, quorum_of

pytestmark = pytest.mark.databases("both")

AGENTS = ("scout", "rover")
PEOPLE = ("ann", "bob", "cat")
SESSIONS = ("session-0001", "session-0002")
CLAIMS = ("claim-0001", "claim-0002")
DESCRIPTIONS = ("Refund an order.", "Refund an order, all of it.")
Scenario = Any
"""The test suite's own (`open_scenario`)."""

EVERY = Statement(WITH_EXECUTION)

agents, people, sessions = st.sampled_from(AGENTS), st.sampled_from(PEOPLE), st.sampled_from(SESSIONS)
outcomes = st.sampled_from(["succeeded", "failed", "not_executed", "stale"])
some = st.integers(0, 5)
INTERVENTIONS = (
    "half a minute",
    "a minute",
    "set back",
    "another vote",
    "another definition",
    "another definition, filed",
    "another effect",
    "another effect, filed",
    "another effect, looked up",
    "an edit",
    "another claim",
    "a reviewer leaves",
    "the agent is revoked",
)
OF_CONTENT = {"revised", "previewed", "edit_asked", "edited", "edit_refused"}
"""Events of a request that change no state."""
LASTING = INTERVENTIONS[-2:]
"""They change what the calls after them may do."""
interventions = st.lists(st.sampled_from([*INTERVENTIONS, ""]), min_size=5, max_size=5)


def foreseen(effect: int) -> Preview:
    """What a call would do while the world is so."""
    return Preview(effect="Refunds it", facts=(Fact(name="left", value=effect),))


class ModelPolicy:
    """Two people for one of the calls; everything refused while an admin says so."""

    text = "of the model"
    groups: Mapping[str, frozenset[str]] = MappingProxyType({})

    def __init__(self) -> None:
        self.refused = False

    def verdict(self, tool: ToolFacts) -> Verdict:
        return Verdict.ASK

    def judge(self, call: CallFacts) -> Judgement:
        return Judgement(
            Action.DENY if self.refused else Action.REQUIRE_APPROVAL,
            "model",
            reviewers=Reviewers(quorum=quorum_of(call.arguments["order_id"])),
            ttl=TTL,
            execute_within=EXECUTE_WITHIN,
            cool_down=COOL_DOWN,
            replay_window=REPLAY,
        )


class Died(Exception):
    """The process, before it committed."""


def doomed(scenario: Scenario) -> Scenario:
    """Its transactions end before their commit."""

    def write(work: Callable[[Transaction], Any]) -> Any:
        def cut_short(tx: Transaction) -> None:
            work(tx)
            raise Died

        return scenario.write(cut_short)

    dying = copy.copy(scenario)
    dying.write = write
    return dying


@dataclass(frozen=True)
class Move:
    """One move, prepared: what the product does, and what the model says of it."""

    act: Callable[[Scenario], Any]
    say: Callable[[World], tuple[object, ...]]
    claims: tuple[int, str] | None = None

    def done(self, scenario: Scenario) -> tuple[object, ...]:
        try:
            result = self.act(scenario)
        except (ApprovalsError, Died) as error:
            return (type(error).__name__,)
        if isinstance(result, ApprovalsError):
            return (type(result).__name__,)
        if hasattr(result, "request_id"):
            return ("filed", result.request_id, result.created, result.replayed)
        return ("done",)


class Machine(RuleBasedStateMachine):
    """The product beside its model. `fresh` gives an empty database's URL; `open_scenario` a scenario over it."""

    fresh: Callable[[ExitStack], str]
    open_scenario: Callable[..., Scenario]
    replicas = 3

    @initialize()
    def build(self) -> None:
        self.stack = ExitStack()
        self.url = type(self).fresh(self.stack)
        self.clock = None
        self.policy = ModelPolicy()
        self.keys: dict[str, str] = {}
        self.scenarios = [self.process() for _ in range(self.replicas if self.url.startswith("postgres") else 1)]
        self.ran: dict[int, set[str]] = {}
        self.ended: dict[str, str] = {}
        scenario = self.scenarios[0]
        scenario.build()
        self.keys["scout"] = scenario.keys["agent"]
        self.keys["rover"] = scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "rover"))
        self.keys["agent"] = scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "never-revoked"))
        scenario.add_user("cat")
        scenario.add_user("boss", roles="admin")  # who stays when the reviewers leave
        for session in SESSIONS:
            scenario.register(scenario.tool(description=DESCRIPTIONS[0]), session=session)
        scenario.add_server("shop", "spare")
        self.world = World(self.clock.now(), set(AGENTS), set(PEOPLE), dict.fromkeys(SESSIONS, 0))

    def process(self) -> Scenario:
        """A service made anew over the same database, as after a crash."""
        scenario = type(self).open_scenario(self.url, self.clock, self.keys, policy=self.policy)
        self.clock = scenario.clock
        self.stack.callback(scenario.service.database.stop)
        return scenario

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.check_chain()
            self.stack.close()

    # moves, prepared from what their makers see now

    def filing(self, session: str, agent: str, call: int) -> Move:
        scenario, tool = self.scenarios[0], self.world.serves[session]
        try:
            assertion = scenario.assertion(self.keys[agent])
        except Unauthenticated:
            assertion = None
        effect = self.world.effect
        made = scenario.filing(
            {"order_id": call, "amount_cents": 1},
            session=session,
            assertion=assertion or "none",
            preview=foreseen(effect),
        )
        asserted = assertion is not None
        say = partial(World.file, session=session, agent=agent, call=call, tool=tool, effect=effect, asserted=asserted)
        return Move(lambda at: at.file(made), lambda world: say(world))

    def deciding(self, number: int, who: str, verdict: str, *, stale: bool) -> Move:
        row, ask = self.scenarios[0].row(self.id_of(number)), self.world.asks[number]
        version = ask.version + (1 if stale else 0)
        body = Decision(verdict=verdict, comment="seen", content_version=version, digest=row.digest)
        user = self.scenarios[0].read(lambda reader: require_user(reader, who))
        person = Person(user.id, who, frozenset({"reviewer"}), "web", "password", 0)
        return Move(
            lambda at: at.write(lambda tx: at.service.decisions.decide(tx, row.id, person, body, Seen())),
            lambda world: world.decide(number, who, verdict, version),
        )

    def refreshing(self, number: int, session: str) -> Move:
        """The gate of a pending request looks up again what it would do."""
        ask, effect = self.world.asks[number], self.world.effect
        asserted, tool, request = ask.agent in self.world.agents, self.world.serves[session], self.id_of(number)
        made = self.scenarios[0].filing(
            {"order_id": ask.call, "amount_cents": 1},
            session=session,
            assertion=self.scenarios[0].assertion(self.keys[ask.agent]) if asserted else "none",
            preview=foreseen(effect),
            refreshes=request,
        )
        return Move(
            lambda at: at.file(made),
            lambda world: world.refresh(number, session, tool, effect, asserted=asserted),
        )

    def editing(self, number: int, who: str, session: str, amount: int, *, stale: bool) -> Move:
        """A person changes the amount, and the gate reads that."""
        row, ask, effect = self.scenarios[0].row(self.id_of(number)), self.world.asks[number], self.world.effect
        version, installation = ask.version + (1 if stale else 0), self.scenarios[0].installation()
        user = self.scenarios[0].read(lambda reader: require_user(reader, who))
        person = Person(user.id, who, frozenset({"reviewer"}), "web", "password", 0)
        arguments = {"order_id": ask.call, "amount_cents": amount}
        wanted = Wanted(arguments, "less", version, row.digest)
        answer = EditAnswer(session=session, tool_hash=row.tool_hash, arguments=arguments, preview=foreseen(effect))

        def edit(at: Scenario, tx: Transaction) -> None:
            presence.stream_opened(tx, row.session_id, "stream")  # the process that filed it is there
            asked = at.service.edits.ask(tx, row.id, person, wanted)
            at.service.edit_answers.answer(tx, installation, row.id, asked.edit_id, answer)

        return Move(
            lambda at: at.write(partial(edit, at)),
            lambda world: world.edit(number, who, session, amount, version, effect),
        )

    def withdrawing(self, number: int, agent: str) -> Move:
        request, own = self.id_of(number), self.world.asks[number].agent == agent
        by = self.scenarios[0].read(lambda reader: agent_named(reader, agent))
        return Move(
            lambda at: at.write(lambda tx: at.service.withdrawals.by_agent(tx, request, by, "")),
            lambda world: world.withdraw(number, own=own),
        )

    def claiming(self, number: int, session: str, claim: str) -> Move:
        row, ask = self.scenarios[0].row(self.id_of(number)), self.world.asks[number]
        tool, version, name = ask.tool, ask.version, f"{claim}-{number}"
        body = Claim(claim_id=name, session=session, tool_hash=row.tool_hash, digest=row.digest)
        at_ = self.scenarios[0].installation()
        return Move(
            lambda at: at.write(lambda tx: at.service.claims.claim(tx, at_, row.id, body)),
            lambda world: world.claim(number, session, name, tool, version),
            claims=(number, name),
        )

    def renewing(self, number: int, claim: str) -> Move:
        request, at_, name = self.id_of(number), self.scenarios[0].installation(), f"{claim}-{number}"
        return Move(
            lambda at: at.write(lambda tx: at.service.claims.renew(tx, at_, request, name)),
            lambda world: world.renew(number, name),
        )

    def reporting(self, number: int, claim: str, outcome: str) -> Move:
        request, at_, name = self.id_of(number), self.scenarios[0].installation(), f"{claim}-{number}"
        body = Outcome(claim_id=name, outcome=outcome)  # type: ignore[arg-type]
        return Move(
            lambda at: at.write(lambda tx: at.service.claims.report(tx, at_, request, body)),
            lambda world: world.report(number, name, outcome),
        )

    def settling(self, number: int, who: str, truth: str) -> Move:
        request, person = self.id_of(number), self.scenarios[0].person(who)
        return Move(
            lambda at: at.write(lambda tx: at.service.settlements.settle(tx, request, person, truth, "looked")),  # type: ignore[arg-type]
            lambda world: world.settle(number, who, truth),
        )

    def move(self, kind: str, which: int, session: str, agent: str, who: str, word: str, outcome: str) -> Move:
        """One of any kind: a filing while there is nothing else to do."""
        if kind == "file" or not self.world.asks:
            return self.filing(session, agent, which % 3)
        number = len(self.world.asks) - 1 - which % min(4, len(self.world.asks))  # the newest are where things happen
        claim = CLAIMS[0] if word != "wrong" else CLAIMS[1]
        match kind:
            case "decide":
                return self.deciding(number, who, "deny" if word == "no" else "approve", stale=word == "wrong")
            case "withdraw":
                return self.withdrawing(number, agent)
            case "refresh":
                return self.refreshing(number, session)
            case "edit":
                return self.editing(number, who, session, 1 + which % 3, stale=word == "wrong")
            case "claim":
                return self.claiming(number, session, claim)
            case "renew":
                return self.renewing(number, claim)
            case "report":
                return self.reporting(number, claim, outcome)
            case "settle":
                return self.settling(number, who, "failed" if outcome == "stale" else outcome)
        return Move(lambda at: at.sweep() and None, World.sweep)

    # the steps

    details = st.tuples(
        st.sampled_from(
            ["file", "decide", "claim", "report"] * 2
            + ["decide", "renew", "settle", "withdraw", "sweep", "refresh", "edit", "edit"]
        ),
        some,
        sessions,
        agents,
        people,
        st.sampled_from(["yes", "yes", "yes", "no", "wrong"]),
        outcomes,
    )

    @rule(detail=details, replica=some)
    def one(self, detail: tuple[Any, ...], replica: int) -> None:
        move = self.move(*detail)
        self.judge(move, move.done(self.at(replica)))

    @rule(call=st.integers(1, 2), session=sessions, agent=agents, replica=some, outcome=outcomes, between=interventions)
    def whole(self, call: int, session: str, agent: str, replica: int, outcome: str, between: list[str]) -> None:
        """The straight way from a filing to its outcome, and what comes in between."""
        answer = self.step(lambda: self.filing(session, agent, call), replica)
        if answer[0] != "filed":
            return
        number = next(index for index, ask in enumerate(self.world.asks) if ask.id == answer[1])
        steps = (
            lambda: self.deciding(number, "ann", "approve", stale=False),
            lambda: self.deciding(number, "bob", "approve", stale=False),
            lambda: self.claiming(number, session, CLAIMS[0]),
            lambda: self.reporting(number, CLAIMS[0], outcome),
            lambda: self.filing(session, agent, call),
        )
        for turn, step in enumerate(steps):
            self.step(step, replica + turn)
            self.intervene(between[turn], number, session, agent, call)

    def intervene(self, what: str, number: int, session: str, agent: str, call: int) -> None:
        match what:
            case "half a minute":
                self.clock.forward(30)
            case "a minute":
                self.clock.forward(61)
            case "set back":
                self.clock.set_back(700)
            case "another vote":
                self.step(lambda: self.deciding(number, "ann", "approve", stale=False), number)
            case "another effect":
                self.the_world_changes()
            case "another effect, filed":
                self.the_world_changes()
                self.step(lambda: self.filing(session, agent, call), number)
            case "another effect, looked up":
                self.the_world_changes()
                self.step(lambda: self.refreshing(number, session), number)
            case "an edit":
                self.step(lambda: self.editing(number, "cat", session, 3, stale=False), number)
            case "another definition":
                self.redefine(session, 1 - self.world.serves[session])
            case "another definition, filed":
                self.redefine(session, 1 - self.world.serves[session])
                self.step(lambda: self.filing(session, agent, call), number)
            case "a reviewer leaves":
                self.a_reviewer_leaves("ann", 0)
            case "the agent is revoked":
                self.an_agent_is_revoked(agent, 0)
            case "another claim":
                self.step(lambda: self.claiming(number, session, CLAIMS[1]), number)

    def step(self, prepare: Callable[[], Move], replica: int) -> tuple[object, ...]:
        self.tick()
        move = prepare()
        answer = move.done(self.at(replica))
        self.judge(move, answer)
        return answer

    @rule(first=details, second=details)
    def two_at_once(self, first: tuple[Any, ...], second: tuple[Any, ...]) -> None:
        self.race(self.move(*first), self.move(*second))

    @rule(call=st.integers(1, 2), session=sessions, agent=agents, other=people, outcome=outcomes)
    def rivals(self, call: int, session: str, agent: str, other: str, outcome: str) -> None:
        """From the filing to the outcome, with a rival at every step."""
        file = partial(self.filing, session, agent, call)
        answer = self.race(file(), file())
        if answer[0] != "filed":
            return
        number = next(index for index, ask in enumerate(self.world.asks) if ask.id == answer[1])
        decide = partial(self.deciding, number, verdict="approve", stale=False)
        claim, report = partial(self.claiming, number, session), partial(self.reporting, number)
        for first, second in (
            (lambda: decide("ann"), lambda: decide(other)),
            (lambda: decide("bob"), lambda: decide("ann") if other == "ann" else self.withdrawing(number, agent)),
            (lambda: claim(CLAIMS[0]), lambda: claim(CLAIMS[1])),
            (lambda: report(CLAIMS[0], "succeeded"), lambda: report(CLAIMS[0], outcome)),
        ):
            self.tick()
            self.race(first(), second())

    def race(self, *moves: Move) -> tuple[object, ...]:
        """Two processes at the same moment: as if one had come after the other. The first one's answer."""
        self.at(0)
        ready = threading.Barrier(2)

        def run(move: Move, scenario: Scenario) -> tuple[object, ...]:
            ready.wait()
            return move.done(scenario)

        with ThreadPoolExecutor(2) as threads:
            tasks = [threads.submit(run, move, self.at(index)) for index, move in enumerate(moves)]
            answers = [task.result(30) for task in tasks]
        worlds = []
        for order in ((0, 1), (1, 0)):
            world = copy.deepcopy(self.world)
            if all(answered(moves[index].say(world), answers[index]) for index in order) and self.shows(world):
                worlds.append(world)
        assert worlds, f"no order explains {answers} of {self.world.asks}: {self.table()}"
        self.world = worlds[0]
        for move, answer in zip(moves, answers, strict=True):
            self.use(move, answer)
        return answers[0]

    @rule(detail=details, replica=some)
    def one_that_dies_before_its_commit(self, detail: tuple[Any, ...], replica: int) -> None:
        move, scenario = self.move(*detail), self.at(replica)
        expected = move.say(copy.deepcopy(self.world))
        answer = move.done(doomed(scenario))
        assert answer == ("Died",) or answered(expected, answer)

    @rule(detail=details, replica=some)
    def one_whose_answer_is_lost(self, detail: tuple[Any, ...], replica: int) -> None:
        """The same again, by way of another process."""
        move = self.move(*detail)
        self.judge(move, move.done(self.at(replica)))
        self.tick()
        self.judge(move, move.done(self.at(replica + 1)))

    @rule(replica=some)
    def restart(self, replica: int) -> None:
        self.scenarios[replica % len(self.scenarios)] = self.process()

    @rule(seconds=st.sampled_from([1, 29, 30, 61, COOL_DOWN, REPLAY + 1, TTL + 1]))
    def later(self, seconds: int) -> None:
        self.clock.forward(seconds)

    @rule(seconds=st.sampled_from([5, 700]))
    def the_wall_clock_is_set_back(self, seconds: int) -> None:
        self.clock.set_back(seconds)

    @rule(session=sessions, tool=st.integers(0, 1))
    def redefine(self, session: str, tool: int) -> None:
        scenario = self.at(0)
        scenario.register(scenario.tool(description=DESCRIPTIONS[tool]), session=session)
        self.world.serves[session] = tool

    @rule()
    def the_world_changes(self) -> None:
        self.world.effect = 1 - self.world.effect

    @rule(refused=st.booleans())
    def an_admin_changes_the_policy(self, refused: bool) -> None:
        self.policy.refused = self.world.refused = refused and not self.world.refused

    @rule(agent=agents, often=st.integers(0, 3))
    def an_agent_is_revoked(self, agent: str, often: int) -> None:
        if often == 0 and agent in self.world.agents:
            scenario = self.at(0)
            row = scenario.read(lambda reader: agent_named(reader, agent))
            scenario.write(lambda tx: servers.revoke(tx, Operator("test"), "agent", row))
            self.world.agents.discard(agent)

    @rule(who=people, often=st.integers(0, 3))
    def a_reviewer_leaves(self, who: str, often: int) -> None:
        if often == 0 and who in self.world.reviewers:
            scenario = self.at(0)
            user = scenario.read(lambda reader: require_user(reader, who))
            scenario.write(lambda tx: roles.disable(tx, user.id, Operator("test")))
            self.world.reviewers.discard(who)

    @rule(which=some, session=sessions)
    def another_installation_has_no_say(self, which: int, session: str) -> None:
        if self.world.asks:
            number = which % len(self.world.asks)
            row, other = self.scenarios[0].row(self.id_of(number)), self.scenarios[0].installation(label="spare")
            body = Claim(claim_id="claim-0009", session=session, tool_hash=row.tool_hash, digest=row.digest)
            move = Move(
                lambda at: at.write(lambda tx: at.service.claims.claim(tx, other, row.id, body)),
                lambda _: ("NotFound",),
            )
            self.judge(move, move.done(self.at(which)))

    # what must hold after every step

    @invariant()
    def the_tables_show_what_the_model_says(self) -> None:
        if hasattr(self, "world"):
            assert self.shows(self.world), f"{self.table()}, not {self.world.asks}"
            self.tick()

    @invariant()
    def no_permission_is_used_twice_and_no_call_is_open_twice(self) -> None:
        if not hasattr(self, "world"):
            return
        assert all(len(claims) == 1 for claims in self.ran.values()), f"{self.ran}"
        rows = self.scenarios[0].rows
        assert rows("SELECT call_key FROM request WHERE attach_key IS NOT NULL GROUP BY 1 HAVING count(*) > 1") == []
        assert rows("SELECT id FROM request WHERE (attach_key IS NULL) = (state IN " + str(tuple(OPEN)) + ")") == []

    @invariant()
    def whatever_ran_was_approved_in_time_by_enough_people(self) -> None:
        if not hasattr(self, "world"):
            return
        ran = self.scenarios[0].rows(
            "SELECT e.id, r.quorum, count(DISTINCT d.user_id) AS voters, max(d.decided_at) AS decided,"
            " min(r.expires_at) AS expires, min(r.execute_by) AS execute_by, min(e.claimed_at) AS claimed"
            " FROM execution e JOIN permission p ON p.id = e.permission_id"
            " JOIN request r ON r.id = e.request_id AND p.request_id = r.id AND p.digest = r.digest"
            " AND p.content_version = r.content_version LEFT JOIN decision d ON d.request_id = r.id"
            " AND d.verdict = 'approve' AND d.content_version = r.content_version AND d.digest = r.digest"
            " GROUP BY e.id, r.quorum"
        )
        ((executions,),) = self.scenarios[0].rows("SELECT count(*) AS n FROM execution")
        assert len(ran) == executions, "each is of a permission for this content"
        for _, quorum, voters, decided, expires, execute_by, claimed in ran:
            assert voters >= quorum
            assert decided <= claimed < min(expires, execute_by)

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        if not hasattr(self, "world"):
            return
        for status in self.scenarios[0].read(self.statuses):
            state = status.state.value
            assert self.ended.get(status.id, state) == state, f"{self.ended[status.id]} became {state}"
            if state not in OPEN:
                self.ended[status.id] = state

    def statuses(self, reader: Reader) -> list[RequestStatus]:
        of = self.scenarios[0].service.statuses.of
        return [of(row, reader.now) for row in reader.all(EVERY)]

    def check_chain(self) -> None:
        """Every change is on record, in an order that the table of moves allows."""
        scenario = self.scenarios[0]
        scenario.check_record()
        for ask in self.world.asks:
            told = [
                kind.removeprefix("request.") for kind in scenario.events(ask.id or "") if kind.startswith("request.")
            ]
            states = ["pending", *(word for word in told[1:] if word not in OF_CONTENT)]
            assert told[0] == "filed"
            assert all(to in TABLE[state] for state, to in itertools.pairwise(states)), told
            assert states[-1] == ask.state

    # the machinery

    def tick(self) -> None:
        self.clock.forward(0.001)
        self.world.now = self.clock.now()

    def at(self, replica: int) -> Scenario:
        self.world.now = self.clock.now()
        return self.scenarios[replica % len(self.scenarios)]

    def id_of(self, number: int) -> str:
        request_id = self.world.asks[number].id
        assert request_id is not None
        return request_id

    def judge(self, move: Move, answer: tuple[object, ...]) -> None:
        expected = move.say(self.world)
        assert answered(expected, answer), f"{answer}, not {expected}"
        self.use(move, answer)

    def use(self, move: Move, answer: tuple[object, ...]) -> None:
        """A gate that holds a claim runs its tool."""
        if move.claims is not None and answer == ("done",):
            number, claim = move.claims
            self.ran.setdefault(number, set()).add(claim)

    def table(self) -> list[tuple[Any, ...]]:
        return self.scenarios[0].rows("SELECT id, state, content_version FROM request ORDER BY id")

    def shows(self, world: World) -> bool:
        told = {(ask.id, ask.state, ask.version) for ask in world.asks}
        return told == set(self.table())


def answered(expected: tuple[object, ...], answer: tuple[object, ...]) -> bool:
    """Whether the product answered what the model says; a new request gets its id."""
    if expected[0] != "filed" or answer[0] != "filed":
        return expected == answer
    _, ask, *how = expected
    if ask.id is None:  # type: ignore[attr-defined]
        ask.id = answer[1]  # type: ignore[attr-defined]
    return (ask.id, *how) == answer[1:]  # type: ignore[attr-defined]


def machine_of(fresh: Callable[[ExitStack], str], open_scenario: Callable[..., Scenario]) -> type[Machine]:
    return type("Machine", (Machine,), {"fresh": staticmethod(fresh), "open_scenario": staticmethod(open_scenario)})


def prove(
    fresh: Callable[[ExitStack], str], open_scenario: Callable[..., Scenario], *, examples: int, steps: int
) -> None:
    machine = machine_of(fresh, open_scenario)
    run_state_machine_as_test(
        machine,
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # what two threads do is not repeated exactly, so nothing is made smaller
        ),
    )


@pytest.fixture
def fresh(request, migrated, tmp_path):
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        return lambda stack: stack.enter_context(server.database())
    number = itertools.count()

    def copied(_: ExitStack) -> str:
        path = tmp_path / f"model{next(number)}.db"
        path.write_bytes(migrated.read_bytes())
        return f"sqlite:///{path}"

    return copied


SLOW_ON_POSTGRES = pytest.mark.parametrize(
    "fresh", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True
)


@pytest.mark.parametrize(
    ("fresh", "examples", "steps"),
    [
        ("sqlite", 10, 16),
        pytest.param("sqlite", 60, 40, marks=pytest.mark.slow),
        pytest.param("postgres", 15, 30, marks=pytest.mark.slow),  # 8 times slower
    ],
    indirect=["fresh"],
)
def test_p1_p2_p3_any_order_of_moves_keeps_the_promises(fresh, open_scenario, examples, steps):
    prove(fresh, open_scenario, examples=examples, steps=steps)


def check(machine: Machine) -> None:
    machine.the_tables_show_what_the_model_says()
    machine.no_permission_is_used_twice_and_no_call_is_open_twice()
    machine.whatever_ran_was_approved_in_time_by_enough_people()
    machine.what_has_ended_stays_ended()


@SLOW_ON_POSTGRES
def test_p1_p2_p3_whatever_comes_between_two_steps_of_a_call(fresh, open_scenario):
    machine = machine_of(fresh, open_scenario)()
    machine.build()
    call = itertools.count(1)
    for what, turn, _ in itertools.product(INTERVENTIONS, range(3), range(2)):
        if what in LASTING:
            machine.teardown()
            machine.build()
        between = [what if turn == at else "" for at in range(5)]
        machine.whole(next(call), SESSIONS[turn % 2], AGENTS[0], turn, "succeeded", between)
        check(machine)
    machine.teardown()


@SLOW_ON_POSTGRES
def test_p1_p3_rivals_at_every_step_of_a_call(fresh, open_scenario):
    machine = machine_of(fresh, open_scenario)()
    machine.build()
    for number in range(1, 17):
        machine.rivals(number, SESSIONS[number % 2], AGENTS[0], PEOPLE[number // 2 % 3], "failed")
        check(machine)
    machine.teardown()
