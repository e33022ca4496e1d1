"""The names of all settings, so that a misspelt one is said: whoever misspells one believes that it counts."""

from collections.abc import Iterable

GATE = "URL SERVER_KEY AGENT_KEY STATE_KEY HOLD HOLD_WITH_PROGRESS HOLD_BY_CLIENT ROUNDS ROUNDS_BY_CLIENT"
SERVICE = """DATABASE_URL DATABASE_DIRECT_URL HOST PORT PUBLIC_URL TRUSTED_PROXIES SECRET_KEY POLICY RETENTION
    AGENT_PENDING AGENT_MINUTE METRICS_TOKEN LOG LOG_LEVEL DEMO_PORT DEMO_SLACK_PORT
    SLACK_BOT_TOKEN SLACK_SIGNING_SECRET SLACK_APP_TOKEN SLACK_CHANNEL SLACK_LINK_BY_EMAIL SLACK_API_URL
    WEBHOOK_URL WEBHOOK_SECRET OIDC_ISSUER OIDC_CLIENT_ID OIDC_CLIENT_SECRET OIDC_SCOPES OIDC_GROUPS_CLAIM
    OIDC_ROLES OIDC_REQUIRE OIDC_AUTO_CREATE OIDC_NAME"""
KNOWN = frozenset(f"APPROVALS_{name}" for name in f"{GATE} {SERVICE}".split())
_OURS = ("APPROVALS_", "APPROVAL_")
_TESTS = ("APPROVALS_TEST_", "APPROVALS_WRITE_DOCS")
LONGEST = 60


def misspelt(environment: Iterable[str]) -> list[str]:
    """A sentence for each name that looks like a setting of this product and is none."""
    strange = [name for name in environment if name.upper().startswith(_OURS) and name.upper() not in KNOWN]
    return [_sentence(name) for name in sorted(strange) if not name.startswith(_TESTS)]


def _sentence(name: str) -> str:
    from difflib import get_close_matches  # hardly ever needed

    near = get_close_matches(name.upper(), KNOWN, n=1, cutoff=0.75)
    return f"{name!r:.{LONGEST}} is no setting, and changes nothing.{f' Did you mean {near[0]}?' if near else ''}"
