"""Who calls: short-lived assertions that bind an agent to the installation that verified it."""

from dataclasses import dataclass

from approvals.errors import Unauthenticated
from approvals.instant import SECOND
from approvals.protocol import scopes
from approvals.protocol.registration import VerifiedAgent
from approvals.service.controls import audiences
from approvals.service.identity import credentials
from approvals.service.keyring import Keyring
from approvals.service.storage.database import Reader
from approvals.service.storage.tables import Agent, Credential, Installation

LIFE_SECONDS = 300


@dataclass(frozen=True)
class Caller:
    """Whoever makes a call, as the service knows them."""

    identity: str
    """What identical calls are compared under: never shared between installations, nor between unidentified callers."""
    agent_id: str | None = None
    credential_id: str | None = None
    agent_name: str | None = None
    agent_groups: tuple[str, ...] = ()
    scopes: str = ""
    """What the key that it came with covers."""
    agent: Agent | None = None


def assert_agent(reader: Reader, keyring: Keyring, installation: Installation, key: str) -> VerifiedAgent:
    """Whose key is this, and what of this installation's server does it cover? Raises Unauthenticated unless it is a
    live agent's, NotInAudience for one that the server is not for."""
    found = credentials.authenticate(reader, key, "agent")
    agent = found.agent
    audiences.check_server(reader, installation.server, agent.name, agent.groups.split())
    claims = {
        "agent": agent.id,
        "credential": found.credential.id,
        "installation": installation.id,
        "until": reader.now + LIFE_SECONDS * SECOND,
    }
    return VerifiedAgent(
        agent=agent.name,
        agent_id=agent.id,
        assertion=keyring.sign(claims),
        expires_in=LIFE_SECONDS,
        tools=scopes.tools_of(found.credential.scopes, installation.server),
    )


def caller_of(
    reader: Reader, keyring: Keyring, installation: Installation, session: str, assertion: str | None, subject: str
) -> Caller:
    """The caller behind a filing. Raises Unauthenticated for an assertion that is forged, another installation's, or
    has run out, and for an agent or key that no longer counts."""
    if assertion is None:
        return Caller(f"{installation.id}/~{session}/{subject}")
    claims = keyring.verify(assertion)
    if claims is None or claims["installation"] != installation.id or reader.now >= claims["until"]:
        raise Unauthenticated("The agent's assertion does not count here.", hint="Verify the agent's key again.")
    agent, key = live_agent(reader, claims["agent"], claims["credential"])
    groups = tuple(agent.groups.split())
    return Caller(f"{installation.id}/{agent.id}", agent.id, key.id, agent.name, groups, key.scopes, agent)


def live_agent(reader: Reader, agent_id: str, credential_id: str | None) -> tuple[Agent, Credential]:
    """The agent and the key that it came with, if both still count. Raises Unauthenticated."""
    agent = credentials.agent(reader, agent_id)
    credential = credentials.find(reader, credential_id) if credential_id is not None else None
    if agent is None or agent.disabled_at is not None or credential is None:
        raise Unauthenticated("This agent is not, or no longer, known here.", hint="Ask for a new key.")
    if not credentials.is_live(credential, reader.now):
        raise Unauthenticated("This agent's key was revoked or has run out.", hint="Ask for a new key.")
    return agent, credential
