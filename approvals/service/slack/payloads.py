"""What Slack sends, as far as this service reads it. Null and left out are the same; what is not read may be anything.

Shapes: https://docs.slack.dev/reference/interaction-payloads and https://docs.slack.dev/interactivity/implementing-slash-commands.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from approvals.errors import BadRequest


class Payload(BaseModel):
    """A part of one."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given

    @field_validator("*")
    @classmethod
    def _is_whole(cls, value: Any) -> Any:
        """No text that cannot be stored or said again."""
        if isinstance(value, str) and ("\0" in value or any("\ud800" <= character <= "\udfff" for character in value)):
            raise ValueError("text with a NUL or half of a character")
        return value


P = TypeVar("P", bound=Payload)


class Team(Payload):
    id: str = ""


class User(Payload):
    id: str = ""
    team_id: str = ""
    name: str = ""
    username: str = ""


class Action(Payload):
    """What was pressed."""

    action_id: str = ""
    value: str = ""


class Container(Payload):
    """The message that it was pressed in."""

    channel_id: str = ""
    message_ts: str = ""


class Option(Payload):
    value: str = ""


class Input(Payload):
    """What somebody put into one field of a dialog."""

    value: str = ""
    selected_option: Option = Option()
    selected_options: tuple[Option, ...] = ()


class Inputs(Payload):
    values: dict[str, dict[str, Input]] = {}


class View(Payload):
    """A dialog."""

    callback_id: str = ""
    private_metadata: str = ""
    state: Inputs = Inputs()

    def input(self, name: str) -> Input:
        """Of the block and the action of this name."""
        return self.state.values.get(name, {}).get(name, Input())


@dataclass(frozen=True)
class Sender:
    """Who a payload says sent it: its user's id and name, and every workspace that it names."""

    user_id: str
    teams: frozenset[str]
    name: str


class Interaction(Payload):
    """A press, or a dialog that was sent."""

    type: str = ""
    user: User = User()
    team: Team = Team()
    team_id: str = ""
    actions: tuple[Action, ...] = ()
    container: Container = Container()
    view: View = View()
    trigger_id: str = ""
    response_url: str = ""

    @property
    def sender(self) -> Sender:
        teams = frozenset(filter(None, (self.team.id, self.user.team_id, self.team_id)))
        return Sender(self.user.id, teams, self.user.name or self.user.username)


class Command(Payload):
    """A slash command."""

    text: str = ""
    user_id: str = ""
    user_name: str = ""
    team_id: str = ""
    trigger_id: str = ""
    response_url: str = ""

    @property
    def sender(self) -> Sender:
        return Sender(self.user_id, frozenset(filter(None, (self.team_id,))), self.user_name)


class Occurrence(Payload):
    type: str = ""


class Event(Payload):
    """Something that happened in the workspace."""

    event: Occurrence = Occurrence()


class Place(Payload):
    """What a denial's dialog carries: the button that was pressed, and where."""

    button: str
    channel: str
    ts: str


def read(kind: type[P], given: Any) -> P:
    """Raises BadRequest, naming the part that has another shape."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(step)[:40] for step in first["loc"])[:200] or "the payload"
        raise BadRequest(
            f"This is not shaped as Slack's payloads are: {where}: {first['msg']}.",
            hint="Is this version of the service as new as the app's manifest?",
        ) from None
