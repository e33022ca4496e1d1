"""Who may decide a request, and when enough of them have. Pure: the same for every channel, for a vote and for the
claim that rests on it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from approvals.instant import SECOND
from approvals.policy.reviewers import Reviewers, listed

WEB, API = "web", "api"
TOKEN_LIFE = 24 * 3600 * SECOND
"""The longest life of a token that decides."""


class Act(StrEnum):
    """What somebody wants to do to a request."""

    APPROVE = "approve"
    DENY = "deny"
    TEND = "tend"
    """Take an approval back, or settle a lost outcome. Nothing runs by it."""


@dataclass(frozen=True)
class Candidate:
    """A person as of now."""

    id: str
    handle: str
    roles: frozenset[str]
    disabled: bool
    groups: frozenset[str]
    called: frozenset[str]
    """All that others may call this person: handle, e-mail address, subject, name; each through `folded`."""


@dataclass(frozen=True)
class RequestFacts:
    """The facts of a request that decide who may decide."""

    risk: str
    owners: frozenset[str] = frozenset()
    """Ids of the people who own its agent."""
    on_behalf_of: str = ""
    """As the agent says."""


def why_not(reviewers: Reviewers, asked: RequestFacts, candidate: Candidate, act: Act, channel: str) -> str | None:
    """Why this person may not do this here, said to them; None when they may."""
    if candidate.disabled:
        return "This account is disabled."
    if "reviewer" not in candidate.roles:
        return "Only reviewers decide."
    if not _listed(reviewers, candidate):
        return f"Only {reviewers} can decide this."
    if act is Act.TEND:
        return None if channel == WEB else "This is done in the web app."
    if not reviewers.channels.decides(channel, asked.risk):
        return (
            f"Its rule does not allow decisions of {asked.risk} risk through {_THROUGH.get(channel, 'this channel')}."
        )
    if act is Act.APPROVE and reviewers.exclude_requester:
        if candidate.id in asked.owners:
            return "You own this agent, and its rule wants somebody else to approve."
        if folded(asked.on_behalf_of) in candidate.called:
            return "The agent says that it acts for you, and the rule wants somebody else to approve."
    return None


def token_fault(scopes: Iterable[str], created_at: int, expires_at: int | None) -> str | None:
    """Why a person's token decides nothing; None when it may."""
    if "decide" not in scopes:
        return "This token only reads."
    if expires_at is None or expires_at - created_at > TOKEN_LIFE:
        return "This token lives too long to decide: 24 hours are the most."
    return None


def satisfied(reviewers: Reviewers, approvers: Mapping[str, frozenset[str]]) -> bool:
    """Whether these people are enough. `approvers`: everybody whose approval counts, with the groups they are in."""
    if len(approvers) < max(1, reviewers.quorum):
        return False
    return not reviewers.each_group or not _unrepresented(reviewers.groups, approvers)


def missing(reviewers: Reviewers, approvers: Mapping[str, frozenset[str]]) -> str:
    """Whose approval is still wanted, in words; nothing once these people are enough."""
    groups = _unrepresented(reviewers.groups, approvers) if reviewers.each_group else []
    others = max(max(1, reviewers.quorum) - len(approvers) - len(groups), 0)
    of_groups = [f"somebody from {group}" for group in groups]
    if not others:
        return listed(of_groups, "and") if of_groups else ""
    first = not approvers and not groups
    if reviewers.anybody:
        more = "any reviewer" if first and others == 1 else f"{_count(others, first=first)} reviewer{'s'[: others > 1]}"
    else:
        more = _of_those(reviewers, "" if first and others == 1 else _count(others, first=first))
    return listed([*of_groups, more], "and")


def folded(name: str) -> str:
    """A name as it is compared."""
    return name.strip().casefold()


_THROUGH = {WEB: "the web app", API: "the API", "slack": "Slack"}


def _listed(reviewers: Reviewers, candidate: Candidate) -> bool:
    if reviewers.anybody:
        return True
    if candidate.handle and folded(candidate.handle) in map(folded, reviewers.people):
        return True
    return not candidate.groups.isdisjoint((*reviewers.groups, *reviewers.escalated_to))


def _of_those(reviewers: Reviewers, count: str) -> str:
    """So many of the people and groups that a rule lists; without a count, any one of them."""
    people, groups = reviewers.people, reviewers.all_groups
    if not people:
        who = "somebody" if not count else f"{count} person" if count.startswith("one") else f"{count} people"
        return f"{who} from {listed(groups)}"
    them = [*people, *([f"{'anybody' if count else 'somebody'} from {listed(groups)}"] if groups else [])]
    return f"{count} of {listed(them, 'and')}" if count else listed(them)


def _count(people: int, *, first: bool) -> str:
    number = {1: "one", 2: "two", 3: "three"}.get(people, str(people))
    return number if first else f"{number} more"


def _unrepresented(groups: Iterable[str], approvers: Mapping[str, frozenset[str]]) -> list[str]:
    """The groups without a person of their own: nobody stands for two (bipartite matching by augmenting paths)."""
    stands_for: dict[str, str] = {}

    def find(group: str, tried: set[str]) -> bool:
        for person in approvers:
            if group in approvers[person] and person not in tried:
                tried.add(person)
                if person not in stands_for or find(stands_for[person], tried):
                    stands_for[person] = group
                    return True
        return False

    return [group for group in dict.fromkeys(groups) if not find(group, set())]
