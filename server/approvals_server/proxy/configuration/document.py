"""What a proxy's configuration file may say. Pure data; unknown names are errors."""

from ipaddress import ip_address
from typing import Annotated, Any, Literal

import httpx2
from pydantic import Field, TypeAdapter, field_validator, model_validator

from approvals.protocol.message_fields import ServerName
from approvals_server.proxy.rules.recipes import NONE, all_recipes
from approvals_server.proxy.rules.rule import Said, ToolRule

Secret = Annotated[str, Field(min_length=1)]
"""A secret, or better a reference to one: `file:PATH`, `exec:COMMAND`."""


class UpstreamPart(Said):
    """One upstream: a command, or a URL."""

    command: list[str] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict)
    """More for the command's environment; a value may be a reference to a secret."""
    url: str = ""
    token: Secret | None = None
    """The bearer token that lets the proxy in at the URL."""
    key: Secret | None = None
    """Of this server at the approval service (`approvals server add`); else the file NAME.key in the folder of keys."""
    prefix: str = Field("", pattern=r"^[A-Za-z0-9_-]{0,20}$")
    """Before the names of its tools and prompts."""
    recipe: str | None = None
    """Whose previews it has; else found by its command or URL."""
    tools: dict[str, ToolRule] = Field(default_factory=dict)
    """What the owner says of its tools, in place of what the recipe says of the same ones."""

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if url and not is_address(url):
            raise ValueError("this is no http(s) address")
        return url

    @field_validator("recipe")
    @classmethod
    def _is_recipe(cls, recipe: str | None) -> str | None:
        if recipe not in {None, NONE, *all_recipes()}:
            raise ValueError(f"there is no such recipe; there are {', '.join(sorted([*all_recipes(), NONE]))}")
        return recipe

    @model_validator(mode="after")
    def _is_one_upstream(self) -> "UpstreamPart":
        if bool(self.command) == bool(self.url):
            raise ValueError("an upstream has a command or a url, and not both")
        if self.url and self.env:
            raise ValueError("env is of a command")
        if self.command and self.token is not None:
            raise ValueError("token is of a url; a command has its secrets in env")
        if self.token is not None and not keeps_secrets(self.url):
            raise ValueError("the token would be sent without encryption: use https for another machine")
        return self


class Document(Said):
    """The file."""

    version: Literal[1]
    service: str | None = None
    """The approval service; else APPROVALS_URL."""
    agent_key: Secret | None = None
    """Of the agent whose client starts this proxy over stdio; else APPROVALS_AGENT_KEY."""
    http: str | None = Field(None, pattern=r"^\S+:\d{1,5}$")
    """HOST:PORT at which it serves streamable HTTP, at /mcp; without, stdio."""
    upstreams: dict[ServerName, UpstreamPart] = Field(min_length=1)
    """By their names at the approval service."""


def is_address(text: str) -> bool:
    """Whether it is one that HTTP can reach."""
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL:
        return False
    return url.scheme in {"http", "https"} and bool(url.host)


def keeps_secrets(address: str) -> bool:
    """Whether nobody else reads what is sent there."""
    url = httpx2.URL(address)
    try:
        return url.scheme == "https" or ip_address(url.host).is_loopback
    except ValueError:
        return url.host == "localhost"


def json_schema() -> dict[str, Any]:
    """For editors."""
    schema = TypeAdapter(Document).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "approvals-proxy configuration",
    } | schema
