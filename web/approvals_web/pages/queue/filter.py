"""Which of the open requests a reviewer wants to see."""

from typing import Literal
from urllib.parse import urlencode

from pydantic import BaseModel, Field


class QueueFilter(BaseModel):
    """As it stands in the address. Empty words take everything."""

    show: Literal["", "mine", "all"] = ""
    """What waits for this person, or all that is open; by default the first, to those who decide."""
    server: str = Field("", max_length=200)
    agent: str = Field("", max_length=200)
    risk: Literal["", "critical", "high", "medium", "low"] = ""
    state: Literal["", "pending", "approved", "executing", "unknown"] = ""
    order: Literal["", "newest", "oldest"] = ""
    """By risk and time left, unless said otherwise."""

    @property
    def narrows(self) -> bool:
        """Whether anything is left out, beyond whose it is."""
        return bool(self.server or self.agent or self.risk or self.state)

    def address(self, **changes: str) -> str:
        """The queue's address, with what was asked and these changes."""
        said = {name: value for name, value in (self.model_dump() | changes).items() if value}
        return f"/?{urlencode(said)}" if said else "/"
