"""A definition is the same in every process, whatever order its sets have there."""

import os
import subprocess
import sys

import pytest

from approvals.gate.set_order import ordered

SOURCE = """
from pydantic import BaseModel, Field
from typing import Annotated
from approvals import Approval, GatedServer
from approvals.gate.tools import definition_of
from approvals.protocol.definitions import checked

class Tagged(BaseModel):
    tags: set[str] = {"x", "yy", "zzz", "w4", "q"}
    named: dict[str, set[str]] = {"k": {"a", "b", "c", "dd"}}
    listed: list[frozenset[str]] = [frozenset({"a", "b", "c"})]

def plain(v: Tagged) -> str: ...
def made(v: Tagged = Tagged()) -> Tagged: ...
def deep(v: dict[str, list[set[str]]] = {"k": [{"a", "b", "c"}]}) -> str: ...
def either(v: set[str] | None = {"a", "b", "c", "d"}) -> str: ...
def examples(v: Annotated[set[str], Field(examples=[{"a", "b", "c"}])]) -> str: ...

mcp = GatedServer("x", log_level="CRITICAL")
for tool in (plain, made, deep, either, examples):
    mcp.add_tool(tool)
print([checked(definition_of(tool, Approval())).tool_hash for tool in mcp._tool_manager.list_tools()])
"""


@pytest.mark.slow
def test_p3_sets_in_defaults_at_any_depth_make_no_other_definition_in_another_process():
    def hashes(seed: int) -> str:
        env = os.environ | {"PYTHONHASHSEED": str(seed)}
        command = [sys.executable, "-c", SOURCE]
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout

    assert len({hashes(seed) for seed in (1, 2, 3)}) == 1


def test_p2_a_list_keeps_its_order_and_a_set_gets_one():
    tags = {"type": "array", "uniqueItems": True}
    schema = {
        "properties": {"a": {"$ref": "#/$defs/A", "default": {"tags": ["b", "a"], "list": ["b", "a"], "odd": [2, 1]}}},
        "$defs": {"A": {"properties": {"tags": tags, "list": {"type": "array"}}}},
    }
    argument = ordered(schema)["properties"]["a"]
    assert argument["default"] == {"tags": ["a", "b"], "list": ["b", "a"], "odd": [2, 1]}


def test_p5_an_argument_of_the_name_default_is_no_default():
    schema = {"properties": {"default": {"properties": {"default": {"default": ["b", "a"]}}, "required": ["b", "a"]}}}
    assert ordered(schema) == schema


def test_p5_a_default_that_refers_to_itself_comes_to_an_end():
    node = {"properties": {"kids": {"type": "array", "uniqueItems": True, "items": {"$ref": "#/$defs/N"}}}}
    schema = {"$defs": {"N": node}, "properties": {"n": {"$ref": "#/$defs/N", "default": {"kids": [{"kids": []}, {}]}}}}
    assert ordered(schema)["properties"]["n"]["default"] == {"kids": [{"kids": []}, {}]}
