"""Finds the function that answers what a command asks, and calls it."""

from typing import TypeVar

from approvals.errors import BadRequest
from approvals_web.operator import agents, controls, grants, requests, servers, users
from approvals_web.operator.messages.ask import Ask
from approvals_web.operator.operation import HANDLERS, Operation

R = TypeVar("R")

ANSWERED_BY = (agents, controls, grants, requests, servers, users)
"""Modules whose functions answer: importing one marks them."""


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
