"""Checks everything that the service needs where it runs, and says what to do: `approvals doctor`."""

import asyncio
import json
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

from sqlalchemy import func, select

from approvals.errors import ApprovalsError, Invalid, Unavailable
from approvals.service.findings import Finding
from approvals.service.storage import schema_version
from approvals.service.storage.statements import Statement
from approvals.service.storage.tables import GateSession, table_of
from approvals_web.setting_values import address
from approvals_web.settings import Settings

NEAR = frozenset({"127.0.0.1", "::1", "localhost"})
PATIENCE = 5.0
SKEW = 30.0
"""Seconds between this machine's clock and the service's, as its answers are dated."""
LITTLE = 1 << 30
"""Bytes that a database's disk should have left."""
MOST_READ = 100_000
_gates = table_of(GateSession)
_ONLINE = Statement(
    select(func.count().label("n")).where(
        _gates.c.closed_at.is_(None), _gates.c.lost_at.is_(None), _gates.c.gone_at.is_(None)
    )
)


Check = Callable[[Settings], str]
"""What is so, in words. Raises ApprovalsError with what to do."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Check by check; a fault that several meet is told once."""
    told: set[str] = set()
    for what, check in CHECKS.items():
        finding = _found(what, check, settings)
        if finding.ok or finding.said not in told:
            yield finding
        if not finding.ok:
            told.add(finding.said)


def _found(what: str, check: Check, settings: Settings) -> Finding:
    try:
        return Finding(what, ok=True, said=check(settings))
    except ApprovalsError as error:
        return Finding(what, ok=False, said=error.detail, mend=error.hint)


def _settings(settings: Settings) -> str:
    settings.check()
    return "readable"


def _database(settings: Settings) -> str:
    database = settings.database()
    if database.schema() is None:
        schema_version.check(database)
    return database.name


def _schema(settings: Settings) -> str:
    schema_version.check(settings.database())
    return schema_version.newest()


def _key(settings: Settings) -> str:
    """The key that the database belongs to, in a file that is nobody else's."""
    from approvals.service.storage import database_facts

    known, keyring = settings.database().read_now(database_facts.known_key), settings.keyring()
    if known not in {None, keyring.audit_id}:
        raise Invalid(
            "The database belongs to another APPROVALS_SECRET_KEY.", hint="Use the key that the service runs with."
        )
    return "APPROVALS_SECRET_KEY" if settings.secret_key else f"{settings.beside}.key"


def _disk(settings: Settings) -> str:
    if settings.file is None:
        return "the database's own server watches over its disk"
    folder = settings.file.absolute().parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise Unavailable(f"{folder} cannot be looked at: {error.strerror}.", hint="Is it the right folder?") from error
    if free < LITTLE:
        raise Unavailable(
            f"{free >> 20} MiB are left for {settings.file.absolute()}.",
            hint="Make room: on a full disk no call is let through.",
        )
    return f"{free >> 30} GiB left"


def _policy(settings: Settings) -> str:
    from approvals.policy.loader import PolicyRefused, read

    if not settings.policy:
        return "the built-in one: APPROVALS_POLICY is not set"
    try:
        rules = read(Path(settings.policy).read_text(encoding="utf-8")).rules
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is not UTF-8"
        raise Invalid(f"{settings.policy} cannot be read: {words}.", hint="Look at APPROVALS_POLICY.") from error
    except PolicyRefused as error:
        first = error.report(settings.policy).splitlines()[0]
        raise Invalid(first, hint=f"All of it: approvals policy lint {settings.policy}") from error
    return f"{settings.policy}: {len(rules)} rules"


def _address(settings: Settings) -> str:
    """Whether the service answers where people are sent, as seen from here."""
    url = address("APPROVALS_PUBLIC_URL", settings.url())
    _answer(url)
    return f"{url} answers"


def _clock(settings: Settings) -> str:
    date = _answer(address("APPROVALS_PUBLIC_URL", settings.url()))
    try:
        skew = abs(parsedate_to_datetime(date).timestamp() - time.time())
    except (TypeError, ValueError):
        return "the service did not say its time"
    if skew > SKEW:
        raise Unavailable(f"The service's clock is {skew:.0f} s apart from this one.", hint="Set both by NTP.")
    return f"{skew:.0f} s apart"


def _answer(url: str) -> str:
    """When the service says that it is; "" where it does not say. Raises Unavailable where it does not answer."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=PATIENCE) as answer:  # noqa: S310 — http(s), says `address`
            return str(answer.headers.get("Date", ""))
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"{url} does not answer: {getattr(error, 'reason', None) or type(error).__name__}.",
            hint="Does `approvals serve` run, and does APPROVALS_PUBLIC_URL lead to it (port, proxy, certificate)?",
        ) from error


def _encryption(settings: Settings) -> str:
    if settings.url().startswith("https://"):
        return "https"
    if settings.host in NEAR and not settings.public_url:
        return "none: this machine alone"
    if any(settings.url().startswith(f"http://{near}") for near in NEAR):
        return "none: this machine alone"
    raise Invalid(
        f"{settings.url()} is not encrypted: passwords and keys can be read on the way.",
        hint="Put TLS before it, and set APPROVALS_PUBLIC_URL=https://…",
    )


def _proxy(settings: Settings) -> str:
    named = settings.proxies()
    if settings.url().startswith("https://") and not named:
        raise Invalid(
            "Everybody's address on record is the TLS proxy's, and all share one limit of failed sign-ins.",
            hint="Name the proxy in APPROVALS_TRUSTED_PROXIES, and let it set X-Forwarded-For.",
        )
    return f"believed: {', '.join(named)}" if named else "nobody's word on addresses counts"


def _oidc(settings: Settings) -> str:
    client = settings.oidc()
    if client is None:
        return "not set up"
    url = f"{client.issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 — `Client` let https alone pass
            known = json.loads(answer.read(MOST_READ)).get("issuer")
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"{url} does not answer: {getattr(error, 'reason', None) or type(error).__name__}.",
            hint="Look at APPROVALS_OIDC_ISSUER, and whether this machine reaches it.",
        ) from error
    if known != client.issuer:
        raise Invalid(
            f"{url} is of the issuer {known!r:.200}, not of {client.issuer!r:.200}.",
            hint="Set APPROVALS_OIDC_ISSUER exactly as the provider names itself.",
        )
    return f"{client.issuer} answers"


def _slack(settings: Settings) -> str:
    """Have `slack doctor` look; the first thing that is wrong counts."""
    installed = settings.slack()
    if installed is None:
        return "not set up"
    from approvals.service.slack import doctor

    async def wrong() -> Finding | None:
        found = [finding async for finding in doctor.examine(installed)]
        return next((finding for finding in found if not finding.ok), None)

    failed = asyncio.run(wrong())
    if failed is not None:
        raise Unavailable(f"{failed.what}: {failed.said}.", hint=f"{failed.mend} All of it: approvals slack doctor")
    return installed.channel


def _gates_online(settings: Settings) -> str:
    row = settings.database().read_now(lambda reader: reader.one(_ONLINE))
    number = row.n if row else 0
    return f"{number} online" if number else "none online: `approvals server add NAME` makes a gate's key"


CHECKS: dict[str, Check] = {
    "settings": _settings,
    "database": _database,
    "schema": _schema,
    "key": _key,
    "disk": _disk,
    "policy": _policy,
    "address": _address,
    "clock": _clock,
    "encryption": _encryption,
    "proxy": _proxy,
    "sign-in": _oidc,
    "slack": _slack,
    "gates": _gates_online,
}
