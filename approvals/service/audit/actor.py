"""Who does something, as an event names them."""


class Actor(str):
    """A name such as `user:ID`; `by_session` names the browser session, token or Slack user by which they act: never
    what opens it."""

    by_session: str

    def __new__(cls, name: str, *, by_session: str = "") -> "Actor":
        actor = super().__new__(cls, name)
        actor.by_session = by_session
        return actor
