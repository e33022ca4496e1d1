"""What an owner says of an upstream's tools beside what they say of themselves. Pure data; a configuration file and the
recipes that come along have the same form."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from approvals.protocol.previews import MAX_FACTS, Fact
from approvals_server.proxy.rules import templates

Template = Annotated[str, Field(min_length=1, max_length=300)]
"""Words with `{argument}`, `{items[].name}` or `{answer.title}` in them."""


class Said(BaseModel):
    """A part of what an owner says; a name that there is not is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Absent(Said):
    """How the read answers, with an error, where there is nothing yet."""

    when: str = Field(min_length=1, max_length=200)
    """Words in that error."""
    effect: Template
    """What the call does then."""


class Read(Said):
    """The call of another tool of the same upstream, which only reads."""

    tool: str = Field(min_length=1)
    arguments: dict[str, Any] = Field(default_factory=dict)
    """`"{path}"` is that argument of the call, of whatever kind it is, and left out where it is; `{name}` among other
    words is one of `words`."""
    changes_nothing: bool = False
    """The owner's word for a tool that does not say that it only reads: with these arguments it does (a dry run)."""
    absent: Absent | None = None


class Word(Said):
    """One word out of an argument's text: letters, digits and underscores, so that it is safe within a statement."""

    of: str
    """The argument."""
    pattern: str = Field(max_length=500)
    """A regular expression whose first group it is, from the beginning of the text."""

    @field_validator("pattern")
    @classmethod
    def _is_pattern(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"this is no regular expression: {error}") from error
        if groups != 1:
            raise ValueError("the pattern has one group, which is the word")
        return pattern


class Shown(Said):
    """What stands before or after: `{answer}` is what was read, `{argument}` an argument of the call."""

    of: str
    kind: Literal["text", "json", "sql"] = "text"
    pick: tuple[str, ...] = ()
    """Of JSON, only what has these names; without, all of it."""

    @field_validator("of")
    @classmethod
    def _is_place(cls, of: str) -> str:
        if templates.whole(of) is None:
            raise ValueError('write one place, such as "{answer}" or "{content}"')
        return of


class Known(Said):
    """A fact of the effect: policies read it as `facts.NAME`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    label: str = Field("", max_length=60)
    of: str
    currency: str | None = None
    """For an amount in the smallest unit: a code such as USD, or the place of one."""


class PreviewRule(Said):
    """How the effect of a tool's call is looked up before anybody is asked, and again before it runs."""

    effect: Template
    object: str = Field("", max_length=200)
    words: dict[str, Word] = Field(default_factory=dict)
    read: Read | None = None
    before: Shown | None = None
    after: Shown | None = None
    facts: tuple[Known, ...] = Field((), max_length=MAX_FACTS)
    reversible: Literal["yes", "no", "by_hand"] | None = None
    until: str = Field("", max_length=200)

    @model_validator(mode="after")
    def _has_its_answer(self) -> "PreviewRule":
        told = [self.effect, self.object, *(shown.of for shown in (self.before, self.after) if shown is not None)]
        told += [fact.of for fact in self.facts]
        if self.read is None and any(templates.ANSWER in templates.roots(text) for text in told):
            raise ValueError("there is no {answer} without a read")
        for fact in self.facts:
            Fact(name=fact.name, value=0, label=fact.label)
        return self


class ToolRule(Said):
    """One tool."""

    read_only: bool | None = None
    """Instead of its own `readOnlyHint`."""
    summary: str | None = None
    """The headline of its calls, with `{argument}` in it."""
    secret: tuple[str, ...] = ()
    """Arguments that never leave the proxy: `card.number`, `items[].token`."""
    preview: PreviewRule | None = None


class Rules(Said):
    """All tools of one upstream, by name."""

    tools: dict[str, ToolRule] = Field(default_factory=dict)

    def of(self, tool: str) -> ToolRule:
        """What is said of one; nothing, for most."""
        return self.tools.get(tool, _NOTHING)


class Recipe(Rules):
    """Rules that come along with the proxy, for a server that many have."""

    title: str
    commands: tuple[str, ...] = ()
    """Packages and programs by which it is started."""
    urls: tuple[str, ...] = ()
    """Hosts at which it is served."""


_NOTHING = ToolRule()
NO_RULES = Rules()
