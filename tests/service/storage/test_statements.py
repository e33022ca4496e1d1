"""What the type checker is told of a row is what its statement reads, and the type checker listens."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.sql.selectable import SelectBase
from sqlmodel import SQLModel

import approvals.service
import approvals_web
from approvals.service.requests import decisions
from approvals.service.storage.statements import Row, Statement

MODULES = [
    importlib.import_module(found.name)
    for package in (approvals.service, approvals_web)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not found.name.endswith(".__main__")
]


def statements():
    """Every statement at the top of a module, by itself or in a dictionary, with its name."""
    for module in MODULES:
        for name, value in vars(module).items():
            for one in value.values() if isinstance(value, dict) else [value]:
                if isinstance(one, Statement):
                    yield f"{module.__name__}.{name}", one


def declared(row):
    return set(row.model_fields) if issubclass(row, SQLModel) else set(row.__annotations__)


def test_a_statement_reads_the_very_columns_that_its_rows_are_said_to_have():
    told = {name: one for name, one in statements() if one.row is not Row}
    assert len(told) > 60
    for name, one in told.items():
        assert isinstance(one.statement, SelectBase), name
        assert set(one.statement.selected_columns.keys()) == declared(one.row), name


@pytest.mark.slow
def test_p1_two_misspelt_columns_in_the_line_that_approves_are_found_before_it_runs(tmp_path):
    source = Path(decisions.__file__)
    text = source.read_text(encoding="utf-8")
    right = "min(row.expires_at, tx.now + row.execute_within * SECOND)"
    assert text.count(right) == 1
    wrong = tmp_path / "decisions.py"
    wrong.write_text(
        text.replace(right, right.replace("expires_at", "expires_att").replace("execute_within", "exequte_within")),
        encoding="utf-8",
    )
    shadow = ["--shadow-file", str(source), str(wrong)]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), *shadow, str(source)],
        cwd=source.parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line.partition("error: ")[2] for line in checked.stdout.splitlines() if "error: " in line]
    assert len(found) == 2, checked.stdout
    assert '"expires_att"' in found[0]
    assert '"exequte_within"' in found[1]
