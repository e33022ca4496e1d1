"""Requests; and where the service is reached."""

from dataclasses import dataclass

from approvals_web.operator.messages.ask import Ask


@dataclass(frozen=True)
class Withdraw(Ask[None]):
    """A request taken back that waits for people, or an approval that has not started."""

    request_id: str
    reason: str


@dataclass(frozen=True)
class Erase(Ask[None]):
    """An ended request's contents erased."""

    request_id: str


@dataclass(frozen=True)
class Address(Ask[str]):
    """Where the service is reached."""
