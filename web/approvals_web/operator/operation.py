"""Where a command is carried out: the functions that answer what commands ask for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from approvals.errors import BadRequest
from approvals.service.identity.admins import Operator
from approvals.service.service import Service
from approvals.service.storage.database import Transaction
from approvals_web.operator.asks.ask import Ask

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


def carry_out(operation: Operation, asked: Ask[R]) -> R:
    """Do what was asked. Raises ApprovalsError."""
    result: R = HANDLERS[type(asked)](operation, asked)
    return result


def carry_out_written(operation: Operation, name: object, written: object) -> object:
    """As `carry_out`, of JSON, with a result as JSON. Raises BadRequest for what this version does not know."""
    kind = next((kind for kind in HANDLERS if kind.__name__ == name), None)
    if kind is None:
        raise BadRequest(f"There is no command {name!r}.", hint="Is the running service of an older version?")
    try:
        asked = kind.read(written)
    except (TypeError, ValueError) as error:
        raise BadRequest("This command cannot be read.", hint="Is the running service of another version?") from error
    return kind.result().dump_python(carry_out(operation, asked), mode="json")
