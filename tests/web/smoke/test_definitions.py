"""What names and hints say together."""

import pytest
from mcp_types import Tool, ToolAnnotations

from approvals_web.smoke import definitions
from approvals_web.smoke.report import Result


def tool(name, **hints):
    return Tool(name=name, input_schema={"type": "object"}, annotations=ToolAnnotations(**hints))


def faults(given):
    return {one.check for one in definitions.found([given]) if one.result is Result.FAILED} - {
        "description",
        "structure",
    }


@pytest.mark.parametrize(
    ("name", "read_only", "expected"),
    [
        ("get_order", True, set()),
        ("getOrder", True, set()),
        ("open_nodes", True, set()),
        ("open_incident", False, set()),
        ("delete_order", True, {"annotations"}),
        ("list_orders", False, {"annotations"}),
        ("git_status", True, {"name"}),
        ("", True, {"name"}),
    ],
)
def test_a_name_begins_with_a_verb_that_the_hints_do_not_deny(name, read_only, expected):
    assert faults(tool(name, read_only_hint=read_only, destructive_hint=not read_only)) == expected


def test_p5_a_tool_named_as_a_write_is_never_called_as_a_read():
    assert not definitions.reads(tool("delete_order", read_only_hint=True))
    assert not definitions.reads(tool("get_order"))
