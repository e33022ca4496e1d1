"""Announcements, reminders, updates, decisions on any channel, failures of single copies, deletions and restarts, in
any order: at rest every copy that was ever posted shows the record, nobody was told the same twice, and nothing that
should have been said was not. For Slack, by the stand-in's rules, and for webhooks."""

import asyncio
import itertools
import json
from types import MappingProxyType, SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from slack_sdk.errors import SlackApiError

from approvals.errors import ApprovalsError, Frozen, NotFound
from approvals.policy.model import Action, Judgement, Notify
from approvals.policy.reviewers import Reviewers
from approvals.protocol.registration import Verdict
from approvals.protocol.states import State as Request
from approvals.service.identity.servers import agent_named
from approvals.service.notifications.notifier import REPLY, UPDATE, NotDelivered
from approvals.service.notifications.webhook import Webhook, content
from approvals.service.requests import freeze_messages
from approvals.service.slack import channels, message_log
from approvals.service.slack.blocks import APPROVE, DENY
from approvals.service.slack.client import SlackApi
from approvals.service.slack.identity import Identities
from approvals.service.slack.interactions import INTERACTIVE, Interactions
from approvals.service.slack.notifier import SlackNotifier
from approvals.service.slack.outcomes import RAN
from approvals_web.demo.slack import methods, sending
from approvals_web.demo.slack.state import State
from support.fake_slack import link

PEOPLE = ("ann", "bob", "cat", "dan")
GONE = "UDAN"
"""Deactivated in Slack: nobody can write to them."""
SECRET = "whsec_" + "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
FAULTS = ("500", "lost", "ratelimited", "internal_error", "is_archived")
METHODS = ("chat.postMessage", "chat.update", "conversations.open")
PLACES = ("", "C2", "#money", "DUANN", "DUBOB", "UBOB")
DAY, FREE = 86_400, 1000
"""Orders from FREE on need nobody, and are told to nobody."""
ON_THE_WAY = st.sampled_from(["chat.update", "chat.update", "chat."])
"""At the next message of which method something happens."""
TOLD = "SELECT 1 FROM delivery WHERE request_id = :id"
numbers, verdicts = st.integers(0, 15), st.sampled_from(["approve", "approve", "approve", "deny"])


class Rules:
    """In a channel of its own and to people; two of them for every third order."""

    text = "of the model"
    groups = MappingProxyType({})

    def verdict(self, tool):
        return Verdict.ASK

    def judge(self, call):
        if call.arguments["order_id"] >= FREE:
            return Judgement(Action.ALLOW, "free")
        reviewers = Reviewers(quorum=2 if call.arguments["order_id"] % 3 == 0 else 1)
        notify = Notify("#money", direct=True)
        return Judgement(Action.REQUIRE_APPROVAL, "model", reviewers=reviewers, notify=notify, ttl=DAY)


class Api(SlackApi):
    """The stand-in without a wire between. What is to happen `meanwhile` does while a message is on its way back."""

    def __init__(self, state, meanwhile):
        super().__init__(state.token, "http://127.0.0.1/api/")
        self.state = state
        self.meanwhile = meanwhile
        self.seen = lambda method, given: None
        """Hears of each message that Slack is asked to say."""

    async def call(self, method, *, patience=10.0, **given):
        about = str(given.get("channel") or given.get("users") or given.get("user") or "")
        fault = self.state.fault(method, about)
        if fault is not None and fault.word != "lost":
            self._no(fault.word)
        if method.startswith("chat."):
            self.seen(method, given)
        said = methods.answer(self.state, method, self.state.token, given)
        while happen := next((one for one in self.meanwhile if method.startswith(one.method)), None):
            self.meanwhile.remove(happen)
            await happen.do(json.dumps(given.get("blocks", "")))
        if fault is not None:
            self.state.edited.pop((about, given.get("ts")), None)
            raise NotDelivered("the answer was lost")
        if not said["ok"]:
            self._no(said["error"])
        return said

    async def respond(self, response_url, words):
        pass

    def _no(self, word):
        status = 429 if word == "ratelimited" else int(word) if word.isdigit() else 200
        data = {} if word.isdigit() else {"ok": False, "error": word}
        raise self._refused(SlackApiError("", SimpleNamespace(status_code=status, data=data, headers={})))


class Receiver(Webhook):
    """Keeps what it takes; down when it is told to be."""

    def __init__(self):
        super().__init__("https://receiver.example.org/in", SECRET)
        self.down = False
        self.took = []

    async def _post(self, kind, notice):
        if self.down:
            raise NotDelivered("the receiver answered 503")
        self.took.append((notice.row.id, kind, content(notice) | {"expires_in_seconds": None}))


class Machine(RuleBasedStateMachine):
    """`fresh` makes an empty database and gives its URL; `open_scenario` a scenario over it."""

    @initialize()
    def build(self):
        self.loop = asyncio.new_event_loop()
        self.state = State()
        self.state.edited = {}
        for channel, name in (("C1", "approvals"), ("C2", "money")):
            self.state.add_channel(channel, name)
        self.state.at_once = 10_000
        self.meanwhile = []
        self.state.fail("conversations.open", "user_disabled", times=10**9, at=GONE)
        self.webhook = Receiver()
        self.scenario = type(self).open_scenario(type(self).fresh(), policy=Rules())
        self.state.clock = lambda: self.scenario.clock.at / 1_000_000
        self.scenario.build()
        for name in PEOPLE:
            self.state.add_user(f"U{name.upper()}", name)
            if name not in {"ann", "bob"}:
                self.scenario.add_user(name)
            link(self.scenario, self.state.team_id, f"U{name.upper()}", name)
        self.run(self.begin())
        self.start()
        self.orders = itertools.count(1)
        self.ids, self.free, self.reminded, self.pressed = [], [], {}, []
        self.file(3)

    async def begin(self):
        self.scenario.service.database.start()

    def start(self):
        """As a process does: what was leased is taken back."""
        service, api = self.scenario.service, Api(self.state, self.meanwhile)
        api.seen = self.see
        self.notifier = SlackNotifier(service, api, "#approvals")
        self.notifier._digests._seconds = 0.0
        self.notifier._rate.take = lambda channel, now: next(self.turns)
        self.turns = itertools.cycle([True, False, False, True, True])
        self.interactions = Interactions(service, api, Identities(service, api, by_email=False))
        service.outbox.notifiers = {"slack": self.notifier, "webhook": self.webhook}
        self.scenario.write(service.outbox.reclaim)

    def run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    def see(self, method, given):
        """No update says what the one before said; what is announced waits; whoever has voted is not reminded."""
        words, thread = json.dumps(given["blocks"], ensure_ascii=False), given.get("thread_ts")
        if method == "chat.update":
            copy = given["channel"], given["ts"]
            assert self.state.edited.get(copy) != words, "the same twice"
            self.state.edited[copy] = words
        elif not thread:
            assert "asks to run" in words or "came at once" in words, words
        elif "Still waiting" in words or "needed:" in words:
            (request_id,) = [one for one in self.ids if one in words]
            assert self.scenario.row(request_id).state == Request.PENDING
            voted = self.scenario.rows(
                "SELECT lower(u.name) FROM decision d JOIN user_account u ON u.id = d.user_id WHERE d.request_id = :id",
                id=request_id,
            )
            assert not any(f"DU{name.upper()}" == given["channel"] for (name,) in voted), "reminded after their vote"

    def some(self, number):
        return self.ids[number % len(self.ids)]

    @precondition(lambda self: len(self.ids) < 5)
    @rule(count=st.integers(1, 2))
    def file(self, count):
        for _ in range(count):
            order = next(self.orders)
            filing = self.scenario.filing({"order_id": order, "amount_cents": 100 * order})
            try:
                self.ids.append(self.scenario.file(filing).request_id)
            except Frozen:
                return
        self.scenario.clock.forward(0.001)

    @precondition(lambda self: len(self.free) < 2)
    @rule()
    def file_free(self):
        filing = self.scenario.filing({"order_id": FREE + len(self.free), "amount_cents": 1})
        try:
            filed = self.scenario.file(filing)
        except Frozen:
            return
        self.free.append(filed.request_id)
        self.scenario.claim(filed.request_id, f"claim-{filed.request_id}"[:60])
        self.scenario.report(filed.request_id, "succeeded", f"claim-{filed.request_id}"[:60])
        self.scenario.clock.forward(0.001)

    @rule(scope=st.sampled_from(["all", "server", "agent"]), reason=st.sampled_from(["", "an incident"]))
    def freeze(self, scope, reason):
        """Made, or explained; lifted where it stands."""
        service = self.scenario.service
        of = {"all": "", "server": "shop", "agent": self.scenario.read(lambda r: agent_named(r, "scout").id)}[scope]
        admin = self.scenario.person("bob")
        try:
            self.scenario.write(lambda tx: service.freezes.lift(tx, admin, scope, of))
        except NotFound:
            self.scenario.write(lambda tx: service.freezes.make(tx, admin, scope, of, "refuse", reason))
        self.scenario.clock.forward(0.001)

    @rule(number=numbers, who=st.sampled_from(PEOPLE), verdict=verdicts)
    def decide(self, number, who, verdict):
        request_id = self.some(number)
        try:
            self.scenario.decide(request_id, verdict, who=who, comment="no" if verdict == "deny" else "")
        except ApprovalsError:
            return
        self.remember(request_id)

    @rule(who=st.sampled_from(PEOPLE), verdict=verdicts, method=ON_THE_WAY)
    def decide_meanwhile(self, who, verdict, method):
        """On what a message says, while it is on its way; and another process at once sends what follows."""

        async def happen(about):
            said = [number for number, request_id in enumerate(self.ids) if request_id in about]
            if said:
                self.decide(said[0], who, verdict)
            await self.scenario.service.sender.send_due()

        self.meanwhile.append(SimpleNamespace(method=method, do=happen))

    @rule(method=ON_THE_WAY)
    def freeze_meanwhile(self, method):
        async def happen(about):
            self.freeze("all", "")
            while self.scenario.write(freeze_messages.sweep):
                pass
            await self.scenario.service.sender.send_due()

        self.meanwhile.append(SimpleNamespace(method=method, do=happen))

    @precondition(lambda self: self.state.said)
    @rule(number=numbers, who=st.sampled_from(PEOPLE[:3]), action=st.sampled_from([APPROVE, APPROVE, DENY]))
    def press(self, number, who, action):
        """Whatever a copy still shows."""
        said = self.state.said[number % len(self.state.said)]
        if said.button(action) is None or said.thread_ts or said.deleted:
            return
        payload = sending.pressed(self.state, "http://127.0.0.1", f"U{who.upper()}", said, action)
        self.pressed.append(payload)
        self.take(payload)

    @precondition(lambda self: self.pressed)
    @rule(number=numbers)
    def press_again(self, number):
        """A press that comes once more, or from a screen that shows what the message said long ago."""
        self.take(self.pressed[number % len(self.pressed)])

    def take(self, payload):
        place = payload["container"]
        self.state.edited.pop((place["channel_id"], place["message_ts"]), None)  # what it shows is in doubt
        before = {request_id: self.votes(request_id) for request_id in self.ids}
        self.run(self.interactions.handle(INTERACTIVE, payload))
        self.run(self.interactions.finish())
        for request_id, votes in before.items():
            if self.votes(request_id) > votes:
                self.remember(request_id)

    @rule(who=st.sampled_from(PEOPLE[:3]), action=st.sampled_from([APPROVE, DENY]))
    def press_meanwhile(self, who, action):
        """A button of a message of which nobody has written down yet that it stands there."""

        async def happen(about):
            said = self.state.said[-1]
            if said.button(action) is None or said.thread_ts:
                return
            before = {request_id: self.votes(request_id) for request_id in self.ids}
            payload = sending.pressed(self.state, "http://127.0.0.1", f"U{who.upper()}", said, action)
            self.state.edited.pop((said.channel, said.ts), None)
            await self.interactions.handle(INTERACTIVE, payload)
            for request_id, votes in before.items():
                if self.votes(request_id) > votes:
                    self.remember(request_id)

        self.meanwhile.append(SimpleNamespace(method="chat.postMessage", do=happen))

    def votes(self, request_id):
        return self.scenario.rows("SELECT count(*) FROM decision WHERE request_id = :id", id=request_id)[0][0]

    def remember(self, request_id):
        """A vote that is not enough reminds the others."""
        self.scenario.clock.forward(0.001)
        if self.scenario.row(request_id).state == Request.PENDING:
            self.reminded[request_id] = self.reminded.get(request_id, 0) + 1

    @rule(number=numbers)
    def remind(self, number):
        request_id = self.some(number)
        if self.scenario.row(request_id).state == Request.PENDING:
            self.scenario.write(lambda tx: tx.tell(REPLY, request_id))
            self.reminded[request_id] = self.reminded.get(request_id, 0) + 1

    @rule(number=numbers, outcome=st.sampled_from(["", "succeeded", "failed", "not_executed"]))
    def go_on(self, number, outcome):
        """Claim it, and report how it ran."""
        request_id = self.some(number)
        if self.scenario.row(request_id).state == Request.APPROVED:
            self.scenario.claim(request_id, f"claim-{request_id}"[:60])
        if self.scenario.row(request_id).state == Request.EXECUTING and outcome:
            self.scenario.report(request_id, outcome, f"claim-{request_id}"[:60])
        self.scenario.clock.forward(0.001)

    @rule(number=numbers)
    def withdraw(self, number):
        if number > 11 and self.scenario.row(self.some(number)).state == Request.PENDING:
            self.scenario.withdraw(self.some(number))
            self.scenario.clock.forward(0.001)

    @rule(
        method=st.sampled_from(METHODS), word=st.sampled_from(FAULTS), at=st.sampled_from(PLACES), n=st.integers(1, 3)
    )
    def break_slack(self, method, word, at, n):
        if method != "chat.postMessage" or word != "lost":  # Slack has no key by which a second post could be known
            self.state.fail(method, word, n, at=at)

    @rule()
    def break_receiver(self):
        self.webhook.down = not self.webhook.down

    @precondition(lambda self: self.state.said)
    @rule(number=numbers)
    def delete(self, number):
        """Somebody deletes a message in Slack; a reminder finds it missing."""
        said = self.state.said[number % len(self.state.said)]
        said.deleted = True
        for row in self.scenario.read(lambda reader: message_log.shown_at(reader, said.channel, said.ts)):
            self.remind(self.ids.index(row.request_id))

    @rule(seconds=st.sampled_from([0, 2, 1000]), rounds=st.integers(1, 4))
    def send(self, seconds, rounds):
        self.scenario.clock.forward(seconds)
        for _ in range(rounds):
            self.run(self.scenario.service.sender.send_due())

    @rule()
    def die(self):
        """The process took some messages, and was killed before it sent them; another one starts."""
        self.scenario.write(self.scenario.service.outbox.take)
        self.start()

    def rest(self):
        """Slack and the receiver are well again, and whatever waits is sent."""
        self.webhook.down = False
        self.meanwhile.clear()
        self.state.faults = {key: fault for key, fault in self.state.faults.items() if key[1] == GONE}
        self.drain()
        self.check()
        self.doubt()
        self.drain()
        self.check()

    def drain(self):
        for _ in range(40):
            self.scenario.sweep()
            while self.scenario.write(freeze_messages.sweep):
                pass
            if not self.waiting():
                break
            self.scenario.clock.forward(901)
            while self.run(self.scenario.service.sender.send_due()):
                pass
        assert not self.waiting()

    def doubt(self):
        """Every copy is looked at once more, as after a press on what it does not offer any more."""
        outbox = self.scenario.service.outbox
        known = "SELECT DISTINCT request_id, channel, ts FROM slack_message WHERE NOT gone"
        for request_id, channel, ts in self.scenario.rows(known):
            self.state.edited.pop((channel, ts), None)

            def look(tx, request_id=request_id, channel=channel, ts=ts):
                message_log.shows(tx, channel, ts, "")
                outbox.add(tx, "slack", request_id, UPDATE, f"{channel} {ts}")

            self.scenario.write(look)

    def check(self):
        self.check_copies()
        self.check_threads()
        self.check_places()
        self.check_receiver()
        self.check_dead()
        free = [row for one in self.free for row in self.scenario.rows(TOLD, id=one)]
        assert not free, "told of what nobody was asked"

    def check_dead(self):
        """What a later update of the same copy has said is no dead letter."""
        query = (
            "SELECT d.target FROM delivery d JOIN delivery later ON later.lane = d.lane AND later.notifier = d.notifier"
            " WHERE d.dead_at IS NOT NULL AND d.done_at IS NULL AND d.verb = 'update' AND later.verb = 'update'"
            " AND later.done_at > d.dead_at"
        )
        assert not self.scenario.rows(query)

    def waiting(self):
        return self.scenario.rows("SELECT 1 FROM delivery WHERE done_at IS NULL AND dead_at IS NULL")

    def dead(self):
        """What nobody tries any more, which an admin sees."""
        query = "SELECT request_id, target FROM delivery WHERE notifier = 'slack' AND dead_at IS NOT NULL"
        return {tuple(row) for row in self.scenario.rows(query)}

    def copies(self):
        return [said for said in self.state.said if not (said.thread_ts or said.to or said.deleted)]

    def check_copies(self):
        """Every copy that was ever posted shows the record as it is, or is known not to."""
        dead = {target for _, target in self.dead()}
        for said in self.copies():
            rows = self.scenario.read(lambda reader, at=said: message_log.shown_at(reader, at.channel, at.ts))
            assert rows, "a copy that nobody knows"
            ids = [row.request_id for row in rows]
            right = self.run(self.notifier._digest(ids) if rows[0].digest else self.message(ids[0]))
            shown = [block for block in said.blocks if "Meant for" not in json.dumps(block)]
            assert shown == right.blocks or f"{said.channel} {said.ts}" in dead, (shown, right.blocks)

    async def message(self, request_id):
        return (await self.notifier._message(request_id))[1]

    def check_threads(self):
        """How it ran is said once for each state it went through; a reminder not more often than there was one."""
        for said in self.copies():
            replies = [json.dumps(reply.blocks, ensure_ascii=False) for reply in self.state.thread(said.ts)]
            ended = [reply for reply in replies if "Still waiting" not in reply and "needed" not in reply]
            assert len(ended) == len(set(ended)), ended
            for row in self.scenario.read(lambda reader, at=said: message_log.shown_at(reader, at.channel, at.ts)):
                if row.digest:
                    continue
                assert len(replies) - len(ended) <= self.reminded.get(row.request_id, 0), replies
                if Request(self.scenario.row(row.request_id).state) in RAN:
                    assert ended or (row.request_id, f"{said.channel} {said.ts}") in self.dead()

    def check_places(self):
        """What waits stands once in each place where it should; where it was deleted twice, or cannot be said, not."""
        dead = self.dead()
        for request_id in self.ids:
            row = self.scenario.row(request_id)
            known = self.scenario.read(lambda reader, of=request_id: message_log.standing(reader, of))
            standing = [one.asked for one in known if not one.gone and one.asked]
            assert len(standing) == len(set(standing)), standing
            gone = [one.asked for one in known if one.gone]
            assert all(gone.count(place) <= 2 for place in gone)
            if row.state != Request.PENDING:
                continue
            for place in self.scenario.read(lambda reader, of=row: self.places(reader, of)):
                known_missing = (request_id, place) in dead or place == f"@{GONE}"
                assert place in standing or gone.count(place) > 1 or known_missing, place

    def places(self, reader, row):
        return channels.places(self.scenario.service, reader, row, "#approvals", self.state.team_id)

    def check_receiver(self):
        """It knows the present state of every request, and heard nothing twice."""
        for request_id in self.ids:
            heard = [said for of, kind, said in self.webhook.took if of == request_id and kind != "request.reminded"]
            assert heard and heard[-1]["state"] == self.scenario.status(request_id).state
            assert all(one != other for one, other in itertools.pairwise(heard))

    def teardown(self):
        try:
            self.rest()
        finally:
            self.scenario.service.database.stop()
            self.loop.close()


@pytest.mark.slow
def test_p4_at_rest_every_copy_shows_the_record_and_nobody_was_told_twice(open_scenario, migrated, tmp_path):
    number = itertools.count()

    def fresh():
        path = tmp_path / f"model{next(number)}.db"
        path.write_bytes(migrated.read_bytes())
        return f"sqlite:///{path}"

    machine = type("Slack", (Machine,), {"open_scenario": staticmethod(open_scenario), "fresh": staticmethod(fresh)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=50,
            stateful_step_count=40,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
