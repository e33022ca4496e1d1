"""Who may decide a request, how far it has come, and what the person before the card may do."""

from dataclasses import dataclass

from approvals.policy.eligibility import Act
from approvals.policy.reviewers import Reviewers
from approvals.service.authority import Vote, groups_of, required
from approvals.service.identity import users
from approvals.service.identity.users import Person
from approvals.service.service import Service
from approvals.service.storage.database import Reader
from approvals.service.storage.tables import Request


@dataclass(frozen=True)
class Deciding:
    """As of now, for one person. A fault says why they may not; None lets them."""

    reviewers: Reviewers
    votes: list[Vote]
    approve: str | None
    deny: str | None
    tend: str | None
    """Taking an approval back, settling an outcome."""
    voted: bool = False
    counts_for: tuple[str, ...] = ()
    """The groups asked for that this person is in."""

    @property
    def counted(self) -> list[Vote]:
        return [vote for vote in self.votes if vote.fault is None]

    @property
    def missing(self) -> int:
        """Approvals that are still needed, at least one while nobody has decided."""
        return max(1, self.reviewers.quorum - len(self.counted))

    @property
    def who(self) -> str:
        """Whose approval it waits for."""
        if self.reviewers.each_group:
            have = set[str]().union(*(vote.groups for vote in self.counted))
            open_groups = [group for group in self.reviewers.groups if group not in have]
            return " and ".join(open_groups or self.reviewers.groups)
        return str(self.reviewers)

    @property
    def effect(self) -> str:
        """What this person's approval does, or why they cannot give it."""
        if self.voted:
            more = f"{self.missing} more: {self.who}" if self.missing > 1 else f"one more: {self.who}"
            return f"You approved this. Waiting for {more}"
        if self.approve:
            return f"You cannot {'decide' if self.deny else 'approve'} this. {self.approve}"
        if self.reviewers.quorum == 1:
            return "Your approval is enough"
        so_far, after = f"{len(self.counted)} of {self.reviewers.quorum}", self.missing - 1
        if after == 0:
            return f"{so_far}: you would be the last, then it may run"
        return f"{so_far}: after you, {after} more must approve"

    @property
    def label(self) -> str:
        """Of the button: not one that sounds like the last word where it is not."""
        if self.reviewers.quorum == 1:
            return "Approve"
        return f"Approve ({min(len(self.counted) + 1, self.reviewers.quorum)} of {self.reviewers.quorum})"


def deciding(service: Service, reader: Reader, row: Request, person: Person) -> Deciding:
    """What the card says of who decides, and which of its forms it has."""
    votes = service.authority.votes(reader, row)
    faults = {act: service.authority.fault(reader, row, person, act) for act in Act}
    voted = any(vote.user.id == person.id for vote in votes)
    if voted:
        faults |= dict.fromkeys((Act.APPROVE, Act.DENY), "You approved this already.")
    wanted, user = required(row), users.find(reader, person.id)
    mine = groups_of(user, service.policy.groups) if user is not None else frozenset()
    counts_for = tuple(group for group in wanted.groups if group in mine)
    return Deciding(wanted, votes, faults[Act.APPROVE], faults[Act.DENY], faults[Act.TEND], voted, counts_for)
