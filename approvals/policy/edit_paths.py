"""The arguments that `edits.only` names, held against the tools that a rule is about."""

from collections.abc import Sequence

from approvals.policy.diagnostics import Diagnostics
from approvals.policy.document import EditsPart, TermsPart
from approvals.policy.model import ToolFacts
from approvals.policy.yaml_nodes import Node
from approvals.protocol.schema_paths import SchemaPaths


def check(diagnostics: Diagnostics, part: TermsPart, node: Node, about: Sequence[ToolFacts]) -> None:
    """Tell of each path that names nothing in any of these tools: it would let nobody change anything."""
    if not isinstance(part.edits, EditsPart) or not about:
        return
    for number, path in enumerate(part.edits.only or ()):
        faults = [SchemaPaths(tool.input_schema).fault(path, through_anything=True) for tool in about]
        if all(faults):
            place = node.at("edits", "only", number)
            diagnostics.wrong(place, f"{path} names no argument ({faults[0]}).", "Name what people may change.")
