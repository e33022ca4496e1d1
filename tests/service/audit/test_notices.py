"""What admins are told is what is written on record: no kind that nobody writes, none that is left out by its name."""

import re
from pathlib import Path

import pytest

from approvals.protocol.states import State
from approvals.service.audit.kinds import Kind

ROOT = Path(__file__).parents[3]
SOURCES = "".join(path.read_text() for folder in ("approvals", "web") for path in (ROOT / folder).rglob("*.py"))
WRITTEN = {
    *(Kind[name] for name in re.findall(r"\bKind\.([A-Z_]+)", SOURCES)),
    *(Kind(f"request.{state}") for state in State if state is not State.PENDING),
    *(Kind(f"decision.{verdict}") for verdict in ("approve", "deny")),
    *(Kind(f"{kind}.{deed}") for kind in ("agent", "installation") for deed in ("key_rotated", "revoked")),
}
OF_TRUST = ("user.", "link.made", "token.made", "server.", "agent.", "policy.", "freeze.", "rollout.", "grant.")
QUIET = {
    Kind.USER_SIGNED_IN,
    Kind.USER_SIGN_IN_FAILED,
    Kind.USER_SIGNED_OUT,
    Kind.USER_SIGNED_OUT_EVERYWHERE,
    Kind.USER_RENEWED,
    Kind.SERVER_NAMED,
    Kind.FREEZE_EXPLAINED,
    Kind.GRANT_USED,
}
"""What happens every day and changes nobody's trust, or is told with another event."""


def test_every_kind_is_one_that_is_written():
    for part in ('Kind(f"request.{', 'Kind(f"decision.{', 'Kind(f"{kind}.key_rotated', 'Kind(f"{kind}.revoked'):
        assert part in SOURCES
    assert set(Kind) == WRITTEN


def test_p8_nothing_is_written_by_a_name_that_is_no_kind():
    assert not re.findall(r'\brecord\(\s*f?"', SOURCES)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.startswith(OF_TRUST) and kind not in QUIET])
def test_every_change_of_trust_is_told(kind):
    assert kind.words
