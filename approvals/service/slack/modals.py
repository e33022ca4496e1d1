"""The dialogs. Pure."""

from typing import Any

from approvals.service.slack.text import plain

DENIAL, FREEZE = "gate:denial", "gate:freeze"
REASON, AGAIN, MODE = "reason", "again", "mode"
MAX_REASON = 2000


def denial(summary: str, private: str) -> dict[str, Any]:
    """Why not. `private` comes back with what was written."""
    return _view(DENIAL, "Deny this request", "Deny", private) | {
        "blocks": [
            {"type": "section", "text": _text(plain(summary, 2900))},
            {
                "type": "input",
                "block_id": REASON,
                "label": _text("Why?"),
                "hint": _text("The agent is told. Say what it should do instead."),
                "element": {
                    "type": "plain_text_input",
                    "action_id": REASON,
                    "multiline": True,
                    "min_length": 1,
                    "max_length": MAX_REASON,
                },
            },
            {
                "type": "input",
                "block_id": AGAIN,
                "optional": True,
                "label": _text("Afterwards"),
                "element": {
                    "type": "checkboxes",
                    "action_id": AGAIN,
                    "options": [{"text": _text("The agent may ask for the same again at once"), "value": AGAIN}],
                },
            },
        ]
    }


def freeze() -> dict[str, Any]:
    """Stop all writes."""
    modes = {
        "hold": "Hold: new requests wait until it is lifted",
        "refuse": "Refuse: new requests are refused",
    }
    options = [{"text": _text(words), "value": mode} for mode, words in modes.items()]
    return _view(FREEZE, "Freeze all writes", "Freeze", "") | {
        "blocks": [
            {"type": "section", "text": _text("Nothing can be approved, and nothing approved can start, from now on.")},
            {
                "type": "input",
                "block_id": MODE,
                "label": _text("What happens to new requests?"),
                "element": {
                    "type": "radio_buttons",
                    "action_id": MODE,
                    "options": options,
                    "initial_option": options[0],
                },
            },
            {
                "type": "input",
                "block_id": REASON,
                "label": _text("Why?"),
                "element": {"type": "plain_text_input", "action_id": REASON, "max_length": MAX_REASON},
            },
        ]
    }


def _view(callback_id: str, title: str, submit: str, private: str) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": callback_id,
        "private_metadata": private,
        "title": _text(title),
        "submit": _text(submit),
        "close": _text("Cancel"),
    }


def _text(words: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": words}
