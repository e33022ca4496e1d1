"""A house with one of every principal, and requests in any state."""

import itertools
from dataclasses import replace

import httpx2

from approvals.instant import SECOND
from approvals.policy.grant_terms import Anything, Between, GrantTerms
from approvals.policy.model import DefaultPolicy
from approvals.policy.reviewers import Channels, Reviewers
from approvals.protocol.messages import WIRE_HEADER, WIRE_VERSION, Decision
from approvals.service.identity import credentials
from approvals.service.identity.users import require_user
from approvals.service.requests.decisions import Seen
from approvals.service.storage.tables import SlackLink
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
    """A house with one of every principal, and requests in any state."""

    def __init__(self, served) -> None:
        self.served, self.house = served, served.house
        self._numbers = itertools.count(1)
        self._untouched: dict[str, tuple[str, int]] = {}
        """Requests by state that nobody has changed."""

    async def build(self) -> None:
        house = self.house
        house.service.policy.present = EveryChannel()
        for name, roles in {"vic": "viewer", "aud": "auditor", "rev": "reviewer", "own": "reviewer"}.items():
            house.add_user(name, roles)
        house.add_server("bank")
        house.keys["other agent"] = house.write(lambda tx: house.service.principals.add_agent(tx, "test", "stranger"))
        house.run(
            "INSERT INTO agent_owner (agent_id, user_id) SELECT a.id, u.id FROM agent a, user_account u"
            " WHERE a.name = 'scout' AND u.subject = 'own'"
        )
        house.write(lambda tx: house.service.freezes.make(tx, "test", "server", "bank", "refuse", ""))
        house.write(lambda tx: house.service.rollouts.set(tx, "test", "bank", "", "", "observe"))
        self.bearers = {
            "gate": house.keys["shop"],
            "other gate": house.keys["bank"],
            "agent": house.keys["agent"],
            "other agent": house.keys["other agent"],
            "token": self._token("read"),
            "deciding token": self._token("read decide"),
        }
        names = {"viewer": "vic", "auditor": "aud", "reviewer": "rev", "owner": "own", "admin": "ann"}
        self.cookies = {principal: self.session(name) for principal, name in names.items()}
        self._names = names

    def session(self, name: str) -> str:
        user = self.house.read(lambda reader: require_user(reader, name))
        return self.house.write(
            lambda tx: self.house.service.people.sign_in(tx, user, "password", "127.0.0.1", "tests")
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
        """A request of the agent's, in that state. The policy of the house lets the API decide on low risk."""
        if state not in self._untouched:
            self._untouched[state] = self._make(state)
        request_id, self._last = self._untouched[state]
        return request_id

    def changed(self) -> None:
        """Whoever comes next needs requests of their own."""
        self._untouched.clear()

    def _make(self, state: str) -> tuple[str, int]:
        house, number = self.house, next(self._numbers)
        request_id = house.file(house.filing({"order_id": number, "amount_cents": 5})).request_id
        for step in TO[state]:
            getattr(self, f"_{step}")(request_id, f"claim-{number:04}")
        return request_id, number

    def _approve(self, request_id: str, _: str) -> None:
        self.house.decide(request_id, who="rev")

    def _deny(self, request_id: str, _: str) -> None:
        self.house.decide(request_id, "deny", who="rev", comment="no")

    def _expire(self, request_id: str, _: str) -> None:
        self.house.run("UPDATE request SET expires_at = 1, execute_by = 1 WHERE id = :id", id=request_id)
        self.house.sweep()

    def _withdraw(self, request_id: str, _: str) -> None:
        self.house.withdraw(request_id)

    def _claim(self, request_id: str, claim: str) -> None:
        assert self.house.claim(request_id, claim) is None

    def _lose(self, request_id: str, _: str) -> None:
        self.house.run("UPDATE execution SET lease_until = 0 WHERE request_id = :id", id=request_id)
        self.house.sweep()

    def _succeed(self, request_id: str, claim: str) -> None:
        self.house.report(request_id, "succeeded", claim)

    def _fail(self, request_id: str, claim: str) -> None:
        self.house.report(request_id, "failed", claim)

    def _outdate(self, request_id: str, claim: str) -> None:
        self.house.report(request_id, "stale", claim)

    def _skip(self, request_id: str, claim: str) -> None:
        self.house.report(request_id, "not_executed", claim)

    def _settle(self, request_id: str, _: str) -> None:
        self.house.settle(request_id, "not_executed", who="rev")

    def records(self) -> list[tuple]:
        """What a refused attempt must leave as it is."""
        return self.house.rows(
            "SELECT (SELECT count(*) FROM audit_event), (SELECT max(changed_at) FROM request),"
            " (SELECT max(lease_until) FROM execution)"
        )

    def ids(self, principal: str) -> dict[str, str]:
        """What addresses name beside the request; sessions and tokens are the principal's own."""
        name, cookie = self._names.get(principal, "ann"), self.cookies.get(principal, "")
        return {
            "call_id": "call-0001",
            "delivery_id": "d1",
            "form": "csv",
            "team_id": "T1",
            "slack_user_id": self._slack_user(name),
            "credential_id": self._token("read", name).split("_")[1],
            "digest": address("app.css").split("/")[2],
            "grant_id": self._grant(),
            "key": self.house.keys["agent"].split("_")[1],
            "server": "shop",
            "session": self.house.session,
            "session_id": self.house.service.keyring.session(cookie),
            "user_id": self.house.person("vic").id,
        }

    def _slack_user(self, name: str) -> str:
        """A Slack user linked to this person."""
        user = self.house.person(name)
        if not self.house.rows("SELECT 1 FROM slack_link WHERE user_id = :id", id=user.id):
            facts = {"team_id": "T1", "slack_user_id": f"U{name.upper()}", "slack_name": name, "by": "code"}
            self.house.write(lambda tx: tx.insert(SlackLink, user_id=user.id, linked_at=tx.now, **facts))
        return f"U{name.upper()}"

    def _grant(self) -> str:
        found = self.house.rows("SELECT id FROM standing_grant WHERE revoked_at IS NULL")
        if found:
            return found[0][0]
        row, person = self.house.row(self._make("pending")[0]), self.house.person("rev")
        terms = GrantTerms(3, 15, {"order_id": Anything(), "amount_cents": Between(0, 4)}).dump()
        decision = Decision(verdict="approve", content_version=row.content_version, digest=row.digest)
        decisions = self.house.service.decisions
        self.house.write(lambda tx: decisions.decide(tx, row.id, person, decision, Seen(), terms))
        return self._grant()

    def _token(self, scopes: str, name: str = "rev") -> str:
        user = self.house.read(lambda reader: require_user(reader, name))
        until = self.house.clock.now() + SHORT_LIVED * SECOND
        self.house.meddled = True  # a token that nobody made on record
        return self.house.write(lambda tx: credentials.mint(tx, "user", user.id, scopes=scopes, expires_at=until))
