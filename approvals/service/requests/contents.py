"""What a filing says, looked through and written down once; all that is made of it is made of these bytes. Pure.

It costs as much as the arguments are long, and needs no database: it is done outside the writer.
"""

from dataclasses import dataclass

from approvals.errors import TooLarge
from approvals.protocol.canonical import Canonical, attach_key, canonical, check_encoded, digest
from approvals.protocol.limits import MAX_ARGUMENTS
from approvals.protocol.messages import Filing
from approvals.protocol.previews import preview_hash


@dataclass(frozen=True)
class Content:
    """A filing whose arguments are as a gate writes them."""

    filing: Filing
    arguments: Canonical

    def digest(self, server: str) -> str:
        """What a decision on it binds, if its tool is the one that it says."""
        filing = self.filing
        return digest(
            server=server,
            tool=filing.tool,
            tool_hash=filing.tool_hash,
            arguments=self.arguments,
            preview=preview_hash(filing.preview),
        )

    def attach_key(self, caller: str, server: str) -> str:
        """What makes it the same call as another one of this caller."""
        return attach_key(caller=caller, server=server, tool=self.filing.tool, said=self.filing.said or self.arguments)


def content_of(filing: Filing) -> Content:
    """Raises Invalid for arguments that no gate would send, and TooLarge."""
    check_encoded(filing.arguments)
    written = canonical(filing.arguments)
    if len(written) > MAX_ARGUMENTS:
        raise TooLarge(f"The arguments are {len(written):,} bytes; {MAX_ARGUMENTS:,} is the most.", hint="Send less.")
    return Content(filing, written)
