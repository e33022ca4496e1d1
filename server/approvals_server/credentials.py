"""Credentials of the systems that servers stand before: from the environment, by value or by reference."""

import os
from collections.abc import Mapping

from approvals.errors import NotConfigured
from approvals.secret_reference import resolve


def credential(name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The secret that a variable holds or names (`file:PATH`, `exec:COMMAND`); None where there is none. Raises
    NotConfigured, never showing what was read."""
    value = environment.get(name, "").strip()
    if not value:
        return None
    try:
        secret = resolve(value)
    except NotConfigured as error:
        raise NotConfigured(f"{name}: {error.detail}") from error
    return secret or None
