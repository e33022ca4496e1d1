"""What a policy knew of a call beyond its arguments, kept with the request: so that it can be judged again, exactly."""

import json
from collections.abc import Mapping

from approvals.policy.model import CallFacts, ToolFacts
from approvals.protocol.canonical import canonical
from approvals.protocol.previews import known_facts, stored
from approvals.protocol.registration import Annotations
from approvals.service.storage.statements import Row
from approvals.service.storage.tables.rows import RequestRun

NOTHING = "{}"


def dump(call: CallFacts) -> str:
    """Whatever the request does not say elsewhere. Much of it changes later: what is trusted, groups, annotations."""
    tool = call.tool
    return canonical(
        {
            "agent": call.agent,
            "agent_groups": list(call.agent_groups),
            "annotations": tool.annotations.model_dump(),
            "environment": tool.environment,
            "now": call.now,
            "secret": list(tool.secret),
            "trusted": tool.trusted,
        }
    ).decode()


def load(row: Row | RequestRun, input_schema: Mapping[str, object]) -> CallFacts:
    """The call of a stored request, as it was judged. Raises KeyError for a request without snapshot."""
    kept = json.loads(row.snapshot)
    tool = ToolFacts(
        server=row.server,
        tool=row.tool,
        annotations=Annotations(**kept["annotations"]),
        trusted=kept["trusted"],
        assurance=row.assurance,
        environment=kept["environment"],
        tool_hash=row.tool_hash,
        input_schema=input_schema,
        secret=tuple(kept["secret"]),
    )
    groups = tuple(kept["agent_groups"])
    return CallFacts(
        tool,
        json.loads(row.arguments),
        kept["agent"],
        row.hidden,
        kept["now"],
        agent_groups=groups,
        effect=known_facts(stored(row.preview)),
    )
