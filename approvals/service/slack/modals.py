"""The dialogs. Pure."""

from typing import Any

from approvals.service.slack import blocks
from approvals.service.slack.text import plain

DENIAL, FREEZE = "gate:denial", "gate:freeze"
REASON, AGAIN, MODE = "reason", "again", "mode"
MAX_REASON = 2000


def denial(title: str, private: str) -> dict[str, Any]:
    """Why not. `private` comes back with what was written."""
    again = {"text": blocks.text("The agent may ask for the same again at once"), "value": AGAIN}
    reason = {"type": "plain_text_input", "multiline": True, "min_length": 1, "max_length": MAX_REASON}
    asks = [
        _input(REASON, "Why?", reason, hint="The agent is told. Say what it should do instead."),
        _input(AGAIN, "The same call again", {"type": "checkboxes", "options": [again]}, optional=True),
    ]
    return _view(DENIAL, "Deny this request", "Deny", private, [blocks.plain_section(plain(title, 2900)), *asks])


def freeze() -> dict[str, Any]:
    """Stop all writes."""
    modes = {
        "hold": "Hold: new requests wait until it is lifted",
        "refuse": "Refuse: new requests are refused",
    }
    options = [{"text": blocks.text(words), "value": mode} for mode, words in modes.items()]
    choice = {"type": "radio_buttons", "options": options, "initial_option": options[0]}
    asks = [
        blocks.plain_section("Nothing can be approved, and nothing approved can start, from now on."),
        _input(MODE, "What happens to new requests?", choice),
        _input(REASON, "Why?", {"type": "plain_text_input", "max_length": MAX_REASON}),
    ]
    return _view(FREEZE, "Freeze all writes", "Freeze", "", asks)


def _input(name: str, label: str, element: dict[str, Any], *, hint: str = "", optional: bool = False) -> dict[str, Any]:
    """Block and action have one name, by which `View.input` finds what was written."""
    found = {"type": "input", "block_id": name, "label": blocks.text(label), "element": element | {"action_id": name}}
    return found | ({"hint": blocks.text(hint)} if hint else {}) | ({"optional": True} if optional else {})


def _view(callback_id: str, title: str, submit: str, private: str, shown: list[dict[str, Any]]) -> dict[str, Any]:
    named = {"title": blocks.text(title), "submit": blocks.text(submit), "close": blocks.text("Cancel")}
    return {"type": "modal", "callback_id": callback_id, "private_metadata": private, "blocks": shown} | named
