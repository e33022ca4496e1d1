"""What a person may make of a pending call: as its rule, its tool and its state let them."""

import json

from approvals.errors import Invalid, NotPossible
from approvals.policy.edits import EditLimits
from approvals.policy.model import Action, Judgement
from approvals.protocol import credentials, secret_edits, secret_paths
from approvals.protocol.canonical import JsonObject, canonical
from approvals.protocol.edits import changed_places
from approvals.protocol.states import State
from approvals.service.requests.transitions import seen_state
from approvals.service.storage.database import Reader
from approvals.service.storage.tables.rows import RequestRow
from approvals.service.tools.registry import Registry


def check_changeable(row: RequestRow, now: int) -> None:
    """Raises NotPossible unless people are asked about it now."""
    current = seen_state(row, now)
    if current is not State.PENDING:
        raise NotPossible(f"This request is already {current}.", hint="It stays as it is.", state=current)
    if row.held:
        raise NotPossible("It waits for the end of a freeze alone, so it is not put to people.", state=current)


def check_judged(row: RequestRow, judgement: Judgement, proposed: JsonObject, edited: JsonObject) -> None:
    """Raises Invalid for what the rule of the call as it was asked, or that of the changed one, does not let people
    make of it."""
    if judgement.action is Action.DENY:
        raise Invalid(f"Rule {judgement.rule} refuses the changed call.", hint=judgement.reason)
    for limits in (EditLimits.parse(row.edits), judgement.edits):
        for fault in limits.faults(proposed, edited):
            raise Invalid(f"It cannot be changed so: {fault}.")


def faults_of(registry: Registry, reader: Reader, row: RequestRow, edited: JsonObject) -> str:
    """Why a person may not make this of a request's arguments, before its gate has said anything; or nothing."""
    proposed = json.loads(row.proposed or row.arguments)
    if fault := next(EditLimits.parse(row.edits).faults(proposed, edited), ""):
        return f"It cannot be changed so: {fault}."
    return unfit(registry, reader, row, json.loads(row.arguments), edited)


def unfit(registry: Registry, reader: Reader, row: RequestRow, was: JsonObject, wanted: JsonObject) -> str:
    """Why no person can want this of a request's encoded arguments; or nothing."""
    secret = [secret_paths.steps_of(path) for path in registry.kept_secret(reader, row)]
    definition = registry.definition(reader, row.server, row.tool_hash)
    if place := secret_edits.touched(was, wanted, secret):
        return f"Hidden arguments stay as they are; {place} is one, or has one in it."
    if place := secret_edits.strange(was, wanted, secret, definition.input_schema):
        return f"The tool has no argument {place}."
    changed = changed_places(was, wanted)
    if definition.idempotency and any(place[:1] == (definition.idempotency,) for place, _, _ in changed):
        return f"The argument {definition.idempotency} is filled in when it runs, and nobody sets it."
    if any(_looks_secret(value) for _, _, value in changed):
        return "That looks like a credential, which does not belong here."
    return ""


def check_read(was: JsonObject, read: JsonObject) -> None:
    """Raises Invalid for what a gate read that leaves everything as it was, or hides something else than before."""
    if canonical(was) == canonical(read):
        raise Invalid("Nothing is changed by it: the tool reads the same.", hint="Change an argument to another value.")
    if place := secret_edits.touched(was, read):
        raise Invalid(f"What is hidden would be something else: {place}.", hint="Hidden arguments stay as they are.")


def _looks_secret(value: object) -> bool:
    words = canonical(value).decode()
    return any(credentials.spans(words, credentials.likely(words)))
