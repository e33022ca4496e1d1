"""What pages call a request whose tool has no reviewed template."""

from dataclasses import dataclass

import pytest

from approvals_web.http.lexicon import headline


@dataclass
class Row:
    summary: str
    server: str = "db"
    tool: str = "run"


@pytest.mark.parametrize(
    ("summary", "listed", "titled"),
    [
        ("Refund $5.00", "Refund $5.00", "Refund $5.00"),
        ("db.run(sql=DELETE FROM a WHERE b = 1)", "run: DELETE FROM a WHERE b = 1", "Call run on db"),
        ("db.run(number=5, of=7)", "run: number=5, of=7", "Call run on db"),
        ("db.run()", "Call run on db", "Call run on db"),
    ],
)
def test_a_call_without_a_template_is_listed_by_what_it_gets(summary: str, listed: str, titled: str):
    assert (headline(Row(summary), short=True), headline(Row(summary))) == (listed, titled)
