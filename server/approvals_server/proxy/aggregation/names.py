"""Which of several upstreams a name means, where each of them names its things for itself. Pure."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_ODD = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True)
class Route:
    """Where a name leads: an upstream, and the name there."""

    upstream: str
    name: str


@dataclass(frozen=True)
class Names:
    """What a client sees, and what it stands for."""

    routes: Mapping[str, Route] = field(default_factory=dict)
    _shown: Mapping[Route, str] = field(default_factory=dict)

    def shown(self, upstream: str, name: str) -> str | None:
        """The name under which a client sees it; None where no name was left for it."""
        return self._shown.get(Route(upstream, name))


def named(listed: Mapping[str, Iterable[str]], prefixes: Mapping[str, str]) -> Names:
    """The names of all, by upstream: each as it is, or behind its upstream's prefix; and where two upstreams have the
    same, behind the upstream's own name, so that none is lost."""
    asked = {
        Route(upstream, name): f"{prefixes.get(upstream, '')}{name}"
        for upstream, names in listed.items()
        for name in dict.fromkeys(names)
    }
    shown = asked
    for apart in (_apart, _apart, _far_apart):  # what is set apart may meet a name that was nobody else's
        taken = Counter(shown.values())
        shown = {route: name if taken[name] == 1 else apart(route) for route, name in shown.items()}
    taken = Counter(shown.values())
    routes = {name: route for route, name in shown.items() if taken[name] == 1}
    return Names(routes, {route: name for name, route in routes.items()})


def _apart(route: Route) -> str:
    return f"{_ODD.sub('_', route.upstream)}_{route.name}"


def _far_apart(route: Route) -> str:
    """Where also that would be two's: a_b has c, and a has b_c."""
    said = f"{len(route.upstream)} {route.upstream} {route.name}"
    return f"{_apart(route)}_{hashlib.sha256(said.encode()).hexdigest()[:6]}"
