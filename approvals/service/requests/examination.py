"""A call as it comes: is it what its gate registered, who makes it, and what do policy and rollout say of it?"""

from dataclasses import dataclass

from approvals.errors import Invalid, Stale
from approvals.policy.model import Action, CallFacts, Judgement, Policy, is_trusted_read
from approvals.protocol import scopes, secret_paths
from approvals.protocol.messages import Filing
from approvals.protocol.previews import known_facts
from approvals.service.controls import audiences, rollouts, state
from approvals.service.keyring import Keyring
from approvals.service.requests.callers import Caller, caller_of
from approvals.service.requests.contents import Content
from approvals.service.storage.database import Transaction
from approvals.service.storage.tables import Installation
from approvals.service.storage.tables.handles import SESSION
from approvals.service.tools.registry import Registry, Standing, facts_of


@dataclass(frozen=True)
class ExaminedCall:
    """A filing, checked and fingerprinted."""

    content: Content
    installation: Installation
    caller: Caller
    tool: Standing
    key: str
    digest: str
    judgement: Judgement
    policy: Policy
    """That judged it."""
    known: CallFacts
    """By what it was judged."""
    standing: state.Controls
    rollout: str

    @property
    def filing(self) -> Filing:
        return self.content.filing

    @property
    def source(self) -> str:
        """What lets it run that nobody is asked about."""
        return rollouts.source(self.judgement.action is Action.ALLOW, self.rollout, self.filing.hidden)

    @property
    def reads(self) -> bool:
        """A read that nobody is asked about is run each time: only effects need to be kept from a second run."""
        return bool(self.source) and is_trusted_read(self.known.tool)


def examined(
    tx: Transaction,
    registry: Registry,
    keyring: Keyring,
    policy: Policy,
    installation: Installation,
    content: Content,
) -> ExaminedCall:
    """Raises Invalid, Unauthenticated (assertion), OutOfScope, NotInAudience, or Stale (register again)."""
    filing = content.filing
    session = tx.one(SESSION, id=filing.session)
    if session is None or session.installation_id != installation.id or session.closed_at is not None:
        raise Stale("This gate process is not registered.", hint="Register the tools again.")
    tool = registry.standing(tx, installation, filing.session, filing.tool)
    if tool.tool_hash != filing.tool_hash:
        raise Stale("The tool's definition has changed.", hint="Register the tools again.")
    for path in secret_paths.shown(filing.arguments, tool.secret):
        raise Invalid(f"The secret argument {path} came unredacted.", hint="Register the tools again.")
    caller = caller_of(tx, keyring, installation, filing.session, filing.assertion, filing.subject)
    if not scopes.allows(caller.scopes, installation.server, filing.tool):
        raise scopes.refusal(installation.server, filing.tool)
    known = _known(tx, installation, caller, tool, filing)
    standing = state.load(tx, installation.server)
    audiences.check(standing.audience, installation.server, caller.agent_name, caller.agent_groups)
    rollout = rollouts.mode(standing.rollouts, filing.tool, caller.agent_name, caller.agent_groups)
    return ExaminedCall(
        content,
        installation,
        caller,
        tool,
        content.attach_key(caller.identity, installation.server),
        content.digest(installation.server),
        policy.judge(known),
        policy,
        known,
        standing,
        rollouts.ENFORCE if filing.hidden else rollout,
    )


def _known(tx: Transaction, installation: Installation, caller: Caller, tool: Standing, filing: Filing) -> CallFacts:
    """What the policy may know of the call."""
    facts = facts_of(installation, tool)
    return CallFacts(
        facts,
        filing.arguments,
        caller.agent_name,
        filing.hidden,
        tx.now,
        caller.agent_groups,
        known_facts(filing.preview),
    )
