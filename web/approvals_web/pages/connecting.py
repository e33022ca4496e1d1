"""Connecting a server: its key, what to put where, and how far its gate has come. What is decided here is pure."""

from dataclasses import dataclass
from urllib.parse import urlencode

from approvals.client_configs import Configuration, Launch, Remote, configurations, environment
from approvals.instant import SECOND, Instant
from approvals.service.history.agent_statistics import Recent
from approvals.service.tools.connections import Connection

COMMAND = "YOUR-SERVER-COMMAND"
"""What stands where only its owner knows what to write."""
ADDRESS = "https://YOUR-SERVER/mcp"
AGENT_KEY = "KEY-OF-THE-AGENT"
PATIENCE_SECONDS = 60
"""After these it is said what may be wrong."""


@dataclass(frozen=True)
class Connected:
    """A server that has just got its key: this answer is the only place where the key is."""

    name: str
    installation_id: str
    settings: str
    """Of the process that somebody else starts; empty where the agent's client starts it."""
    configurations: list[Configuration]
    agent: str = ""
    """The agent that got its key with it, if one did."""
    blanks: tuple[str, ...] = ()
    """What is left to fill in."""


def connected(
    name: str, installation_id: str, url: str, key: str, *, enforced: bool, agent: str = "", agent_key: str = ""
) -> Connected:
    """What to put where: all of it if the agent's client starts the server, else the server's part and the agent's."""
    settings = {"APPROVALS_URL": url, "APPROVALS_SERVER_KEY": key}
    known = agent_key or AGENT_KEY
    blanks = (ADDRESS if enforced else COMMAND, *(() if agent_key else (AGENT_KEY,)))
    if enforced:
        made = configurations(Remote(name, ADDRESS, known))
        return Connected(name, installation_id, environment(settings), made, agent, blanks)
    started = ("approvals-proxy", "--name", name, "--", COMMAND)
    made = configurations(Launch(name, started, settings | {"APPROVALS_AGENT_KEY": known}))
    return Connected(name, installation_id, "", made, agent, blanks)


@dataclass(frozen=True)
class Step:
    """One thing that has to happen before a first call is decided."""

    words: str
    done: bool
    trouble: str = ""
    """What may be wrong, once it takes long."""


@dataclass(frozen=True)
class Progress:
    """How far a gate or an agent has come, as its page shows it until a first request came."""

    id: str
    address: str
    """Where it is asked again."""
    steps: tuple[Step, ...]
    first: str = ""
    """The first request, if it was one."""
    summary: str = ""
    unidentified: bool = False
    """Whether that came without an agent's key."""

    @property
    def works(self) -> bool:
        return all(step.done for step in self.steps)

    @property
    def next(self) -> Step | None:
        """What has not happened yet."""
        return next((step for step in self.steps if not step.done), None)


def progress(server: str, installation_id: str, found: Connection, since: Instant, url: str) -> Progress:
    """From what the service knows; `since` is when the key was made."""
    address = f"/servers/{server}/connection?{urlencode({'at': installation_id})}"
    long = found.now - since > PATIENCE_SECONDS * SECOND
    later = _NO_CALL if found.online else _GONE
    steps = (
        Step("The gate reports in", bool(found.sessions), _SILENT.format(url=url) if long else ""),
        Step("A client asks it for tools", found.talked, (_NO_CLIENT if found.online else _GONE) if long else ""),
        Step("A call waits for a person", found.first is not None, later if long else ""),
    )
    if found.first is None:
        return Progress(installation_id, address, steps)
    first, nobody = found.first, found.first.agent_id is None
    return Progress(installation_id, address, steps, first.id, first.summary, nobody)


def of_agent(agent_id: str, name: str, found: Recent, used: bool, since: Instant, now: Instant) -> Progress:
    """As `progress`, of an agent whose key was made at `since`."""
    long = now - since > PATIENCE_SECONDS * SECOND
    steps = (
        Step("Its key is used", used or found.asked > 0, _UNUSED if long else ""),
        Step("It asks for something", found.asked > 0, _NO_CALL if long else ""),
    )
    return Progress(agent_id, f"/agents/{name}/first", steps, found.request_id, found.summary)


def of_key(key: str) -> list[Configuration]:
    """What to put where for an agent's key: how its client finds a server that somebody else starts."""
    return configurations(Remote("SERVER", ADDRESS, key))


_SILENT = (
    "Nothing has come from this server yet. Is its process running? Does it have APPROVALS_SERVER_KEY, whole? "
    "Can it reach {url}? Its log says which of these failed."
)
_UNUSED = (
    "No server has shown this key yet. Is it in the client's configuration, whole? A server that the client starts "
    "takes it as APPROVALS_AGENT_KEY, one at an address as the bearer token. Restart the client after a change."
)
_NO_CLIENT = (
    "The gate is here, and no client has asked for its tools. Restart the agent's client, and see that the server is "
    "switched on there. If it is, look at the server's log: it may have failed to start."
)
_NO_CALL = (
    "A client is connected, and no call has needed a person. Ask the agent for something that changes something; "
    "below, each tool says whether it waits."
)
_GONE = "The gate was here and has stopped. Start the server again, and look at its log."
