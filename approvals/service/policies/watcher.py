"""Keeps the policy in force and the policy file together. A broken file never replaces a policy that works."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from approvals.errors import Invalid
from approvals.policy.loader import PolicyRefused, read
from approvals.policy.model import Policy, ToolFacts, policy_hash
from approvals.service.policies import versions
from approvals.service.policies.current import PolicyInForce, Trouble
from approvals.service.policies.file import Content, PolicyFile
from approvals.service.storage.database import Database, Reader

logger = logging.getLogger("approvals")

LOOK_SECONDS = 1.0
NO_FILE = (
    "Mend it, or start without --policy and APPROVALS_POLICY: trusted reads then run, all else needs one reviewer."
)

Tools = Callable[[Reader], Sequence[ToolFacts]]


class PolicyWatch:
    """Over one file."""

    def __init__(self, file: PolicyFile, database: Database, tools: Tools) -> None:
        self.file = file
        self._database = database
        self._tools = tools
        self._seen: Content | None = None
        """Found by the last look."""
        self._dealt_with: Content | None = None
        """In force, or refused."""
        self._refused_for: tuple[ToolFacts, ...] = ()
        """The tools by which it was refused: with others it may be fine."""
        self._said: tuple[Content, str] | None = None

    @property
    def actor(self) -> str:
        """Whose doing a load is: all that is known is that the file says so."""
        return f"file:{self.file.path}"

    def begin(self) -> Policy:
        """The policy to start with, on record. Raises Invalid, with the whole report, for a file that cannot be used.
        Blocking.

        A file that was in force before is used again even if a tool registered since does not fit a condition: such a
        tool's calls are held, and no gate can keep the service from starting.
        """
        content = self.file.look()
        try:
            policy = self._first(content)
        except Invalid as error:
            what = f"The policy file {self.file.path} cannot be used: {self._trouble(error).report}"
            raise Invalid(what, hint=NO_FILE) from error
        self._database.write_now(lambda tx: versions.load(tx, policy, self.actor))
        self._seen = self._dealt_with = content
        return policy

    def _first(self, content: Content) -> Policy:
        if content.trouble:
            raise Invalid(content.trouble)
        tools, before = self._database.read_now(lambda reader: (self._tools(reader), versions.last(reader)))
        try:
            return read(content.text, tools)
        except PolicyRefused:
            policy = read(content.text)
            if before is None or before.hash != policy_hash(policy):
                raise
            return policy

    async def look(self, in_force: PolicyInForce) -> bool:
        """Look at the file, and take what it says into force if it can be used; whether that was news.

        It is taken when two looks found the same: half of a file that is being written may well be a policy, without
        the rules at its end. Raises Unavailable while the database is away: the next look tries again.
        """
        content = await asyncio.to_thread(self.file.look)
        settled, self._seen = content == self._seen, content
        if not settled or (content == self._dealt_with and not await self._worth_another_try(content, in_force)):
            return False
        before = in_force.present
        if content.text == before.text and not content.trouble:
            if in_force.trouble is not None:
                logger.warning("the policy file %s is mended", self.file.path)
            in_force.trouble, self._said = None, None  # as it was: what is in force never left
        else:
            await self._take(content, in_force)
        self._dealt_with = content
        return in_force.present is not before

    async def _take(self, content: Content, in_force: PolicyInForce) -> None:
        tools = () if content.trouble else await self._database.read(self._tools)
        try:
            policy = await self._read(content, tools)
        except Invalid as error:
            in_force.trouble, self._refused_for = self._trouble(error), tuple(tools)
            self._shout(in_force, content, in_force.trouble.report)
            return
        await self._database.write(lambda tx: versions.load(tx, policy, self.actor))
        in_force.present, in_force.trouble, self._said = policy, None, None
        logger.warning("the policy %s is in force, from %s", in_force.hash[:16], self.file.path)

    def _trouble(self, error: Invalid) -> Trouble:
        report = f"\n{error.report(self.file.path.name)}\n" if isinstance(error, PolicyRefused) else f"{error.detail}."
        return Trouble(error.detail, report)

    async def _worth_another_try(self, content: Content, in_force: PolicyInForce) -> bool:
        """Whether what was refused may be fine by now: other tools are registered."""
        if in_force.trouble is None or content.trouble:
            return False
        return tuple(await self._database.read(self._tools)) != self._refused_for

    def _shout(self, in_force: PolicyInForce, content: Content, report: str) -> None:
        """Once for each content that cannot be used, and again when it is for another reason."""
        if (content, report) != self._said:
            said = "the policy file %s cannot be used, and the policy %s stays in force: %s"
            logger.error(said, self.file.path, in_force.hash[:16], report)
        self._said = content, report

    async def _read(self, content: Content, tools: Sequence[ToolFacts]) -> Policy:
        if content.trouble:
            raise Invalid(content.trouble)
        try:
            return await asyncio.to_thread(read, content.text, tools)
        except Invalid:
            raise
        except Exception as error:  # whatever it is: the old policy stays
            logger.exception("the policy file %s could not be read", self.file.path)
            raise Invalid(f"reading it failed: {type(error).__name__}") from error
