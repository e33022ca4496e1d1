"""What a message is made of: the form of all of them, and the forms of their fields."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0)]
Short = Annotated[str, Field(max_length=200)]
ServerName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
ToolName = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=128)]
Handle = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Somebody or something as the agent's side names it: one line, shown and searched, never trusted."""
TraceId = Annotated[str, Field(pattern=r"^([0-9a-f]{32}|\(unreadable\))?$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Identifier = Annotated[str, Field(pattern=r"^[0-9a-zA-Z_-]{8,64}$")]


class Message(BaseModel):
    """Anything that crosses the wire."""

    model_config = ConfigDict(extra="forbid", frozen=True)
