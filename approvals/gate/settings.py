"""What a gate needs to know: where the service is, the keys, and how long calls are held."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from math import nan
from typing import TypeVar

import httpx2

from approvals.errors import NotConfigured
from approvals.gate.budgets import Budgets
from approvals.secret_reference import resolve

N = TypeVar("N", int, float)
STATE_KEY_BYTES = 32
_WORD = re.compile(r"[!-~]+")
LONGEST_UNASKED = 59.0
"""Seconds without progress: nearly every client gives up at 60."""
LONGEST_HOLD = 3600.0
MOST_ROUNDS = 10
"""Clients of 2026-07-28 come back by themselves ten times, and are told in the last round that it still waits."""


@dataclass(frozen=True)
class GateSettings:
    """The service's URL, the installation's key, and (stdio) the agent's key; the rest has good defaults."""

    url: str
    server_key: str = field(repr=False)
    agent_key: str | None = field(default=None, repr=False)
    state_keys: tuple[str, ...] = field(default=(), repr=False)
    """What seals the states of 2026-07-28 calls: the first seals, the others still open."""
    budgets: Budgets = field(default_factory=Budgets)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "GateSettings":
        """The settings in APPROVALS_URL, APPROVALS_SERVER_KEY, APPROVALS_AGENT_KEY, APPROVALS_STATE_KEY,
        APPROVALS_HOLD… and APPROVALS_ROUNDS…; secrets may be references. Raises NotConfigured, naming the variable that
        is missing or wrong."""
        environment = _stripped(environment)
        url = environment.get("APPROVALS_URL", "").rstrip("/")
        key = environment.get("APPROVALS_SERVER_KEY", "")
        missing = [name for name, value in (("APPROVALS_URL", url), ("APPROVALS_SERVER_KEY", key)) if not value]
        if missing:
            raise NotConfigured(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set where this MCP server runs.",
                hint="Make a key with `approvals server add NAME` and set what it prints.",
            )
        _check_url(url)
        agent_key = environment.get("APPROVALS_AGENT_KEY", "")
        return cls(
            url,
            _key("APPROVALS_SERVER_KEY", resolve(key), "mcps_"),
            _key("APPROVALS_AGENT_KEY", resolve(agent_key), "mcpa_") if agent_key else None,
            _state_keys(environment.get("APPROVALS_STATE_KEY", "")),
            _budgets(environment),
        )


def _stripped(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings without the white space around each value. Raises NotConfigured for control characters inside."""
    ours = {name: value.strip() for name, value in environment.items() if name.startswith("APPROVALS_")}
    for name, value in ours.items():
        if not value.isprintable():
            raise NotConfigured(f"{name} has a control character, such as a line's end, in it.")
    return ours


def _key(name: str, value: str, prefix: str) -> str:
    if not value.startswith(prefix) or not _WORD.fullmatch(value):
        raise NotConfigured(f"{name} is no key of the right kind: it should start with {prefix}, and be one word.")
    return value


def _state_keys(value: str) -> tuple[str, ...]:
    """Separated by commas; each a secret or a reference to one, or to several."""
    given = [part.strip() for part in value.split(",") if part.strip()]
    keys = tuple(key.strip() for part in given for key in resolve(part).split(",") if key.strip())
    if any(len(key.encode()) < STATE_KEY_BYTES for key in keys) or len(set(keys)) < len(keys):
        raise NotConfigured(
            f"APPROVALS_STATE_KEY has a key of less than {STATE_KEY_BYTES} bytes, or the same key twice.",
            hint="Make one with: openssl rand -hex 32",
        )
    return keys


def _budgets(environment: Mapping[str, str]) -> Budgets:
    """The budgets with what is set."""
    budgets = Budgets(
        by_client=_by_client(environment, "APPROVALS_HOLD_BY_CLIENT", "seconds", _seconds),
        rounds_by_client=_by_client(environment, "APPROVALS_ROUNDS_BY_CLIENT", "rounds", _rounds),
    )
    if value := environment.get("APPROVALS_HOLD"):
        budgets = replace(budgets, plain=_seconds("APPROVALS_HOLD", value, most=LONGEST_UNASKED))
    if value := environment.get("APPROVALS_HOLD_WITH_PROGRESS"):
        budgets = replace(budgets, with_progress=_seconds("APPROVALS_HOLD_WITH_PROGRESS", value))
    if value := environment.get("APPROVALS_ROUNDS"):
        budgets = replace(budgets, rounds=_rounds("APPROVALS_ROUNDS", value))
    return budgets


def _by_client(environment: Mapping[str, str], variable: str, unit: str, read: Callable[[str, str], N]) -> dict[str, N]:
    """`name=number,name=number`: names as the clients give themselves, in any case."""
    said = {}
    for entry in filter(None, map(str.strip, environment.get(variable, "").split(","))):
        name, _, number = entry.rpartition("=")
        if not name.strip():
            raise NotConfigured(f"{variable} has {entry!r:.100}, which is no name={unit}.")
        said[name.strip().lower()] = read(variable, number.strip())
    return said


def _seconds(variable: str, value: str, most: float = LONGEST_HOLD) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = nan
    if not 0 < seconds <= most:  # nan is neither
        raise NotConfigured(f"{variable} has {value!r:.100}, which is no number of seconds up to {most:g}.")
    return seconds


def _rounds(variable: str, value: str) -> int:
    if value not in map(str, range(1, MOST_ROUNDS + 1)):
        raise NotConfigured(f"{variable} has {value!r:.100}, which is no number from 1 to {MOST_ROUNDS}.")
    return int(value)


def _check_url(url: str) -> None:
    try:
        parts = httpx2.URL(url)
    except httpx2.InvalidURL:
        parts = httpx2.URL()
    if parts.scheme not in {"http", "https"} or not parts.host:
        raise NotConfigured(f"APPROVALS_URL is {url!r:.200}, which is no http(s) address.")
    if parts.scheme == "http" and not _is_near(parts.host):
        raise NotConfigured(
            f"APPROVALS_URL sends keys to {parts.host} without encryption.", hint="Use https for another machine."
        )


def _is_near(host: str) -> bool:
    """Loopback, or a name without dots: a container's neighbour."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or "." not in host
