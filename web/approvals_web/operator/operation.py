"""Where a command is carried out: the functions that answer what commands ask for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from approvals.service.identity.admins import Operator
from approvals.service.service import Service
from approvals.service.storage.database import Transaction
from approvals_web.operator.messages.ask import Ask

A = TypeVar("A", bound=Ask[Any])
R = TypeVar("R")


@dataclass(frozen=True)
class Operation:
    """One command on its way: its transaction, and who gave it."""

    service: Service
    tx: Transaction
    by: Operator


Handler = Callable[[Operation, A], R]
HANDLERS: dict[type[Ask[Any]], Handler[Any, Any]] = {}


def answers(kind: type[A]) -> Callable[[Handler[A, R]], Handler[A, R]]:
    """Mark the function that answers one kind of message."""

    def mark(function: Handler[A, R]) -> Handler[A, R]:
        HANDLERS[kind] = function
        return function

    return mark
