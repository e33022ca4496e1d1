"""What a key covers: space-separated `SERVER/TOOL` patterns; empty for everything. Pure, the same for gate and service.

`*` stands for any characters and `?` for one, nothing else is special. Servers' names have no slash, so the first
one in a pattern ends its server: `shop/*` covers no server but `shop`. A `*` for a tool covers slashes, too.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from approvals.errors import Invalid, OutOfScope

MOST = 50
LONGEST = 2_000
_FORM = "Patterns as SERVER/TOOL with * and ?, separated by spaces: 'shop/refund_* pg/*'. Everything: '*/*'."


def allows(scopes: str, server: str, tool: str) -> bool:
    """Whether a key with these scopes may call this tool of this server. Scopes that make no sense cover nothing."""
    return not scopes or covers(tools_of(scopes, server), tool)


def tools_of(scopes: str, server: str) -> tuple[str, ...]:
    """The tool patterns of scopes that count on this server."""
    if not scopes:
        return ("*",)
    pairs = (pattern.partition("/") for pattern in scopes.split(" "))
    return tuple(tool for of, _, tool in pairs if of and tool and _matches(of, server))


def covers(patterns: Iterable[str], tool: str) -> bool:
    """Whether one of the tool patterns covers this tool."""
    return any(pattern == "*" or _matches(pattern, tool) for pattern in patterns)


def check(scopes: str) -> str:
    """The scopes as they are kept. Raises Invalid for what is no scope: nobody's typing error may widen a key."""
    patterns = scopes.split()
    if scopes and not patterns:
        raise Invalid("These scopes are blank.", hint=_FORM)
    for pattern in patterns:
        server, slash, tool = pattern.partition("/")
        if not slash or not server or not tool or server != server.lower() or not pattern.isprintable():
            raise Invalid(f"{pattern!r:.80} is no scope.", hint=_FORM)
    if len(patterns) > MOST or len(scopes) > LONGEST:
        raise Invalid(f"These are more than {MOST} scopes, or over {LONGEST:,} characters.", hint="Use patterns.")
    return " ".join(patterns)


def refusal(server: str, tool: str) -> OutOfScope:
    """The error for a call that the key does not cover."""
    return OutOfScope(f"This key does not cover {server}.{tool}.", hint="Its scopes are set where the key was made.")


def _matches(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern.replace("[", "[[]"))
