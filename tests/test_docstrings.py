"""Docstrings begin with a verb or a noun, so that they can be read without the code above them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRONOUNS = {"it", "its", "they", "them", "their", "those", "these", "this", "that", "he", "she"}
RELATIVE = {"what", "whatever", "which", "who", "whom", "whose", "whoever", "where", "when", "why", "how"}
PRONOUNS_LEFT = {"approvals": 0, "server": 12, "web": 0}
RELATIVE_LEFT = {"approvals": 260, "server": 75, "web": 120}
"""How many docstrings may still begin so: numbers that only shrink."""


def beginnings(tree):
    for path in sorted((ROOT / tree).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                words = (ast.get_docstring(node) or "").split()
                if words:
                    yield f"{path.relative_to(ROOT)}: {node.name}", words[0].strip(".,:;`\"'").lower()


@pytest.mark.parametrize(("words", "left"), [(PRONOUNS, PRONOUNS_LEFT), (RELATIVE, RELATIVE_LEFT)])
@pytest.mark.parametrize("tree", ["approvals", "server", "web"])
def test_ever_fewer_docstrings_begin_with_a_pronoun_or_a_relative_clause(tree, words, left):
    found = [place for place, word in beginnings(tree) if word in words]
    assert len(found) <= left[tree], f"begin with a verb or the noun, as CONTRIBUTING says: {found}"
