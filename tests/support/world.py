"""A scenario with one of every principal, and requests in any state."""

import itertools
from dataclasses import replace

import httpx2

from approvals import ids
from approvals.instant import SECOND
from approvals.policy.grant_terms import Anything, Between, GrantTerms
from approvals.policy.model import DefaultPolicy
from approvals.policy.reviewers import Channels, Reviewers
from approvals.protocol.messages import WIRE_HEADER, WIRE_VERSION, Decision
from approvals.service.controls import rollouts
from approvals.service.identity import credentials, servers, sessions
from approvals.service.identity.admins import Operator
from approvals.service.identity.users import require_user
from approvals.service.requests import presence
from approvals.service.requests.decisions import Seen
from approvals.service.storage.tables import Edit, SlackLink
from approvals_web.http.assets import address

TO: dict[str, tuple[str, ...]] = {
    "pending": (),
    "approved": ("approve",),
    "denied": ("deny",),
    "expired": ("expire",),
    "withdrawn": ("withdraw",),
    "lapsed": ("approve", "expire"),
    "revoked": ("approve", "withdraw"),
    "executing": ("approve", "claim"),
    "succeeded": ("approve", "claim", "succeed"),
    "failed": ("approve", "claim", "fail"),
    "not_executed": ("approve", "claim", "skip"),
    "stale": ("approve", "claim", "outdate"),
    "unknown": ("approve", "claim", "lose"),
    "contradicted": ("approve", "claim", "lose", "settle", "succeed"),
}
"""How a request comes to a state."""
SHORT_LIVED = 3600


class EveryChannel(DefaultPolicy):
    """Little risk, and scripts may decide, too."""

    def judge(self, call):
        asked = super().judge(call)
        return replace(asked, risk="low", reviewers=Reviewers(channels=Channels(api="decide")))


class World:
    """A scenario with one of every principal, and requests in any state."""

    def __init__(self, served) -> None:
        self.served, self.scenario = served, served.scenario
        self._numbers = itertools.count(1)
        self.edit_id = ""
        self._untouched: dict[str, tuple[str, int]] = {}
        """Requests by state that nobody has changed."""

    async def build(self) -> None:
        scenario = self.scenario
        scenario.service.policy.present = EveryChannel()
        for name, roles in {"vic": "viewer", "aud": "auditor", "rev": "reviewer", "own": "reviewer"}.items():
            scenario.add_user(name, roles)
        scenario.add_server("bank")
        scenario.keys["other agent"] = scenario.write(lambda tx: servers.add_agent(tx, Operator("test"), "stranger"))
        scenario.run(
            "INSERT INTO agent_owner (agent_id, user_id) SELECT a.id, u.id FROM agent a, user_account u"
            " WHERE a.name = 'scout' AND u.subject = 'own'"
        )
        scenario.write(lambda tx: scenario.service.freezes.make(tx, Operator("test"), "server", "bank", "refuse", ""))
        scenario.write(lambda tx: rollouts.set_rollout(tx, Operator("test"), "bank", "", "", "observe"))
        self.bearers = {
            "gate": scenario.keys["shop"],
            "other gate": scenario.keys["bank"],
            "agent": scenario.keys["agent"],
            "other agent": scenario.keys["other agent"],
            "token": self._token("read"),
            "deciding token": self._token("read decide"),
        }
        names = {"viewer": "vic", "auditor": "aud", "reviewer": "rev", "owner": "own", "admin": "ann"}
        self.cookies = {principal: self.session(name) for principal, name in names.items()}
        self._names = names

    def session(self, name: str) -> str:
        user = self.scenario.read(lambda reader: require_user(reader, name))
        return self.scenario.write(
            lambda tx: sessions.sign_in(tx, self.scenario.service.keyring, user, "password", "127.0.0.1", "tests")
        )

    def client(self, principal: str) -> httpx2.AsyncClient:
        headers = {"Sec-Fetch-Site": "same-origin", WIRE_HEADER: str(WIRE_VERSION)}
        if principal in self.bearers:
            headers["Authorization"] = f"Bearer {self.bearers[principal]}"
        http = httpx2.AsyncClient(base_url=self.served.url, headers=headers, trust_env=False)
        if principal in self.cookies:
            http.cookies.set("approvals", self.cookies[principal])
        return http

    @property
    def number(self) -> int:
        """Of the request made last."""
        return self._last

    def request(self, state: str) -> str:
        """A request of the agent's, in that state. The policy of the scenario lets the API decide on low risk."""
        if state not in self._untouched:
            self._untouched[state] = self._make(state)
        request_id, self._last = self._untouched[state]
        return request_id

    def changed(self) -> None:
        """Whoever comes next needs requests of their own."""
        self._untouched.clear()

    def _make(self, state: str) -> tuple[str, int]:
        scenario, number = self.scenario, next(self._numbers)
        request_id = scenario.file(scenario.filing({"order_id": number, "amount_cents": 5})).request_id
        for step in TO[state]:
            getattr(self, f"_{step}")(request_id, f"claim-{number:04}")
        return request_id, number

    def _approve(self, request_id: str, _: str) -> None:
        self.scenario.decide(request_id, who="rev")

    def _deny(self, request_id: str, _: str) -> None:
        self.scenario.decide(request_id, "deny", who="rev", comment="no")

    def _expire(self, request_id: str, _: str) -> None:
        self.scenario.run("UPDATE request SET expires_at = 1, execute_by = 1 WHERE id = :id", id=request_id)
        self.scenario.sweep()

    def _withdraw(self, request_id: str, _: str) -> None:
        self.scenario.withdraw(request_id)

    def _claim(self, request_id: str, claim: str) -> None:
        assert self.scenario.claim(request_id, claim) is None

    def _lose(self, request_id: str, _: str) -> None:
        self.scenario.run("UPDATE execution SET lease_until = 0 WHERE request_id = :id", id=request_id)
        self.scenario.sweep()

    def _succeed(self, request_id: str, claim: str) -> None:
        self.scenario.report(request_id, "succeeded", claim)

    def _fail(self, request_id: str, claim: str) -> None:
        self.scenario.report(request_id, "failed", claim)

    def _outdate(self, request_id: str, claim: str) -> None:
        self.scenario.report(request_id, "stale", claim)

    def _skip(self, request_id: str, claim: str) -> None:
        self.scenario.report(request_id, "not_executed", claim)

    def _settle(self, request_id: str, _: str) -> None:
        self.scenario.settle(request_id, "not_executed", who="rev")

    def records(self) -> list[tuple]:
        """What a refused attempt must leave as it is."""
        return self.scenario.rows(
            "SELECT (SELECT count(*) FROM audit_event), (SELECT max(changed_at) FROM request),"
            " (SELECT max(lease_until) FROM execution)"
        )

    def ids(self, principal: str) -> dict[str, str]:
        """What addresses name beside the request; sessions and tokens are the principal's own."""
        name, cookie = self._names.get(principal, "ann"), self.cookies.get(principal, "")
        return {
            "call_id": "call-0001",
            "edit_id": self.edit_id,
            "delivery_id": "d1",
            "form": "csv",
            "team_id": "T1",
            "slack_user_id": self._slack_user(name),
            "credential_id": self._token("read", name).split("_")[1],
            "digest": address("app.css").split("/")[2],
            "grant_id": self._grant(),
            "key": self.scenario.keys["agent"].split("_")[1],
            "server": "shop",
            "session": self.scenario.session,
            "session_id": self.scenario.service.keyring.session(cookie),
            "user_id": self.scenario.person("vic").id,
        }

    def edit(self, request_id: str) -> None:
        """Somebody has wanted something changed of it, and its gate is there to read that."""
        scenario, row, person = self.scenario, self.scenario.row(request_id), self.scenario.person("rev")
        self.edit_id = ids.new(scenario.clock.now())
        of = {"request_id": row.id, "content_version": row.content_version, "digest": row.digest}
        by = {"user_id": person.id, "channel": "web", "auth_method": "password", "auth_at": 1, "asked_at": 1}

        def ask(tx):
            presence.stream_opened(tx, scenario.session, "stream")
            tx.insert(Edit, id=self.edit_id, arguments=row.arguments, reason="less", **of, **by)

        scenario.write(ask)

    def _slack_user(self, name: str) -> str:
        """A Slack user linked to this person."""
        user = self.scenario.person(name)
        if not self.scenario.rows("SELECT 1 FROM slack_link WHERE user_id = :id", id=user.id):
            facts = {"team_id": "T1", "slack_user_id": f"U{name.upper()}", "slack_name": name, "by": "code"}
            self.scenario.write(lambda tx: tx.insert(SlackLink, user_id=user.id, linked_at=tx.now, **facts))
        return f"U{name.upper()}"

    def _grant(self) -> str:
        found = self.scenario.rows("SELECT id FROM standing_grant WHERE revoked_at IS NULL")
        if found:
            return found[0][0]
        row, person = self.scenario.row(self._make("pending")[0]), self.scenario.person("rev")
        terms = GrantTerms(3, 15, {"order_id": Anything(), "amount_cents": Between(0, 4)}).dump()
        decision = Decision(verdict="approve", content_version=row.content_version, digest=row.digest)
        decisions = self.scenario.service.decisions
        self.scenario.write(lambda tx: decisions.decide(tx, row.id, person, decision, Seen(), terms))
        return self._grant()

    def _token(self, scopes: str, name: str = "rev") -> str:
        user = self.scenario.read(lambda reader: require_user(reader, name))
        until = self.scenario.clock.now() + SHORT_LIVED * SECOND
        self.scenario.tampered_with = True  # a token that nobody made on record
        return self.scenario.write(lambda tx: credentials.mint(tx, "user", user.id, scopes=scopes, expires_at=until))
