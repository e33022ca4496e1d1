"""Properties of what is shown, what is said and what a tool gets, over generated signatures and words."""

import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool

from approvals.errors import Invalid
from approvals.gate.arguments import effective
from approvals.gate.tools import Approval, ready, unfit
from approvals.gate.value_json import shown
from approvals.protocol.canonical import canonical, encode
from support import odd_types

SEEDS = range(80)


def form(value) -> bytes:
    return canonical(encode(value))


def read(tool, words):
    """The arguments as the gate reads them; None for those that cannot be called so."""
    try:
        arguments = effective(tool, words)
        form(arguments.shown)
        arguments.settle()
    except Invalid:
        return None
    return arguments


def generated(seed: int, count: int):
    """A tool, and words that can be called."""
    rng = random.Random(seed)  # noqa: S311
    function, words = odd_types.tool(rng, f"tool_{seed}")
    tool = Tool.from_function(function)
    assert unfit(tool, Approval()) == ""
    every = [words(rng) | {"number": number % 2} for number in range(count)]
    return tool, [given for given in every if read(tool, given) is not None]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_p2_the_bytes_shown_are_the_bytes_that_the_tool_gets(seed):
    tool, every = generated(seed, 8)
    got = []
    seen = tool.model_copy(update={"fn": lambda **values: got.append(values), "is_async": False})
    for words in every:
        arguments = read(tool, words)
        anyio.run(ready(seen).run, arguments.values, Context())
        assert form(shown(got[-1])) == form(arguments.shown)
        assert odd_types.describe(got[-1]) == odd_types.describe(tool.fn_metadata.validate_arguments(words))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_p2_calls_that_say_the_same_are_shown_the_same(seed):
    tool, every = generated(seed, 30)
    cards = defaultdict(set)
    for words in every:
        arguments = read(tool, words)
        cards[form(arguments.said)].add(form(arguments.shown))
    assert all(len(shown) == 1 for shown in cards.values())


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_p3_the_order_of_keys_and_the_spelling_of_numbers_make_no_other_call(seed):
    tool, every = generated(seed, 6)
    for words in every:
        other = dict(reversed(json.loads(json.dumps(words)).items())) | {"number": str(words["number"])}
        assert form(read(tool, words).said) == form(read(tool, other).said)


def fingerprints() -> list[str]:
    """What every generated call says and shows, in this process."""
    lines = []
    for seed in SEEDS:
        tool, every = generated(seed, 6)
        lines += [f"{form(each.said)!r} {form(each.shown)!r}" for each in (read(tool, words) for words in every)]
    return lines


@pytest.mark.parametrize("hash_seed", ["1", pytest.param("4242", marks=pytest.mark.slow)])
def test_p3_equal_words_are_equal_in_any_process(hash_seed):
    folders = [str(Path(odd_types.__file__).parents[1]), str(Path(__file__).parent)]
    load = f"import sys; sys.path[:0] = {folders}; from {Path(__file__).stem} import fingerprints"
    program = f"{load}; print(*fingerprints(), sep='\\n')"
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == fingerprints()
    assert len(done.stdout.splitlines()) > len(SEEDS)
