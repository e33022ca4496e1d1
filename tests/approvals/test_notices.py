"""What admins are told is what is written on record: no kind that nobody writes, none that is left out by its name."""

import re
from pathlib import Path

import pytest

from approvals.service.audit.notices import TOLD

ROOT = Path(__file__).parents[2]
SOURCES = [path.read_text() for folder in ("approvals", "web") for path in (ROOT / folder).rglob("*.py")]
KINDS = {kind for text in SOURCES for kind in re.findall(r'"([a-z_]+\.[a-z_]+)"', text.partition("TOLD = {")[0])}
OF_TRUST = ("user.", "link.made", "token.made", "server.", "agent.", "policy.", "freeze.", "rollout.", "grant.")
QUIET = {
    "user.signed_in",
    "user.sign_in_failed",
    "user.signed_out",
    "user.signed_out_everywhere",
    "user.renewed",
    "server.named",
    "freeze.explained",
    "grant.used",
}
"""What happens every day and changes nobody's trust, or is told with another event."""


@pytest.mark.parametrize("kind", sorted(TOLD))
def test_every_kind_of_notice_is_one_that_is_written(kind):
    principal, _, deed = kind.partition(".")
    by_principal = principal in {"agent", "installation"} and f'f"{{kind}}.{deed}"' in "".join(SOURCES)
    assert kind in KINDS or by_principal


def test_every_change_of_trust_is_told():
    written = {kind for text in SOURCES for kind in re.findall(r'append\(\s*tx,\s*"([a-z_.]+)"', text)}
    assert len(written) > 30
    assert {kind for kind in written if kind.startswith(OF_TRUST)} - QUIET <= set(TOLD)
