"""Who may decide a request, how far it has come, and what the person before the card may do."""

from dataclasses import dataclass

from approvals.policy.eligibility import Act
from approvals.policy.reviewers import Reviewers
from approvals.service.authority import Vote, required
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

    @property
    def counted(self) -> list[Vote]:
        return [vote for vote in self.votes if vote.fault is None]


def deciding(service: Service, reader: Reader, row: Request, person: Person) -> Deciding:
    """What the card says of who decides, and which of its forms it has."""
    votes = service.authority.votes(reader, row)
    faults = {act: service.authority.fault(reader, row, person, act) for act in Act}
    if any(vote.user.id == person.id for vote in votes):
        said = "You have approved this already; somebody else has to decide."
        faults |= {Act.APPROVE: said, Act.DENY: said}
    return Deciding(required(row), votes, faults[Act.APPROVE], faults[Act.DENY], faults[Act.TEND])
