"""Slack's limits on what apps send (https://docs.slack.dev/reference/block-kit/blocks). Pure."""

import json
from collections.abc import Iterator
from typing import Any

MESSAGE_BLOCKS, VIEW_BLOCKS = 50, 100
TEXT = 40_000
_BLOCKS: dict[str, set[str]] = {
    "header": {"text"},
    "section": {"text", "fields", "accessory", "expand"},
    "context": {"elements"},
    "actions": {"elements"},
    "divider": set(),
    "input": {"label", "hint", "element", "optional", "dispatch_action"},
}
_ELEMENTS: dict[str, set[str]] = {
    "button": {"text", "url", "value", "style", "confirm", "accessibility_label"},
    "plain_text_input": {"multiline", "min_length", "max_length", "initial_value", "placeholder"},
    "checkboxes": {"options", "initial_options", "confirm"},
    "radio_buttons": {"options", "initial_option", "confirm"},
}


def message_fault(text: str, blocks: object) -> str | None:
    """Slack's word for what is wrong with a message; None when it would be taken."""
    if len(text) > TEXT:
        return "msg_too_long"
    if not text and not blocks:
        return "no_text"
    return _first(_blocks(blocks, MESSAGE_BLOCKS, views=False)) if blocks else None


def view_fault(view: object) -> str | None:
    """The same for a dialog."""
    if not isinstance(view, dict) or view.get("type") != "modal":
        return "invalid_arguments: type"
    titles = ((name, view.get(name)) for name in ("title", "submit", "close") if name in view)
    wrong = next((name for name, text in titles if list(_text(text, 24, {"plain_text"}))), None)
    if wrong or "title" not in view or len(view.get("private_metadata", "")) > 3000 or not view.get("callback_id"):
        return f"invalid_arguments: {wrong or 'title, callback_id or private_metadata'}"
    return _first(_blocks(view.get("blocks"), VIEW_BLOCKS, views=True))


def _first(faults: Iterator[str]) -> str | None:
    fault = next(faults, None)
    return None if fault is None else f"invalid_blocks: {fault}"


def _blocks(blocks: object, most: int, *, views: bool) -> Iterator[str]:
    if not isinstance(blocks, list) or not 0 < len(blocks) <= most:
        yield f"1 to {most} blocks"
        return
    named = [block.get("block_id") for block in blocks if isinstance(block, dict) and "block_id" in block]
    if len(set(named)) < len(named):
        yield "block_id twice"
    for number, block in enumerate(blocks):
        for fault in _block(block, views=views):
            yield f"{number}: {fault}"


def _block(block: Any, *, views: bool) -> Iterator[str]:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in _BLOCKS or (kind == "input" and not views):
        yield f"unknown block {kind}"
        return
    if more := block.keys() - _BLOCKS[kind] - {"type", "block_id"}:
        yield f"unknown {sorted(more)}"
    if len(block.get("block_id", "")) > 255:
        yield "block_id"
    if kind == "header":
        yield from _text(block.get("text"), 150, {"plain_text"})
    if kind == "section":
        yield from _section(block)
    if kind == "context":
        elements = block.get("elements", [])
        if not 0 < len(elements) <= 10:
            yield "1 to 10 elements"
        for element in elements:
            yield from _text(element, 3000)
    if kind == "actions":
        yield from _elements(block.get("elements", []), 25)
    if kind == "input":
        yield from _text(block.get("label"), 2000, {"plain_text"})
        yield from _elements([block.get("element")], 1)


def _section(block: dict[str, Any]) -> Iterator[str]:
    if "text" not in block and not block.get("fields"):
        yield "text or fields"
    if "text" in block:
        yield from _text(block["text"], 3000)
    fields = block.get("fields", [])
    if len(fields) > 10:
        yield "10 fields"
    for field in fields:
        yield from _text(field, 2000)


def _elements(elements: list[Any], most: int) -> Iterator[str]:
    if not 0 < len(elements) <= most:
        yield f"1 to {most} elements"
    actions = [element.get("action_id") for element in elements if isinstance(element, dict)]
    if len(set(actions)) < len(actions):
        yield "action_id twice"
    for element in elements:
        kind = element.get("type") if isinstance(element, dict) else None
        if kind not in _ELEMENTS:
            yield f"unknown element {kind}"
            continue
        if more := element.keys() - _ELEMENTS[kind] - {"type", "action_id"}:
            yield f"unknown {sorted(more)}"
        if not 0 < len(element.get("action_id", "")) <= 255:
            yield "action_id"
        if kind == "button":
            yield from _button(element)
        if not 0 < element.get("max_length", 1) <= 3000:
            yield "max_length"
        for option in element.get("options", []):
            yield from _text(option.get("text"), 75)


def _button(element: dict[str, Any]) -> Iterator[str]:
    yield from _text(element.get("text"), 75, {"plain_text"})
    if len(element.get("value", "")) > 2000 or len(element.get("url", "")) > 3000:
        yield "value or url"
    if "value" in element and not element["value"]:
        yield "empty value"
    if element.get("style", "primary") not in {"primary", "danger"}:
        yield "style"
    if confirm := element.get("confirm"):
        for name, most in {"title": 100, "text": 300, "confirm": 30, "deny": 30}.items():
            for fault in _text(confirm.get(name), most):
                yield f"confirm {name}: {fault}"


def _text(text: object, most: int, kinds: set[str] = frozenset({"plain_text", "mrkdwn"})) -> Iterator[str]:  # type: ignore[assignment]
    if not isinstance(text, dict) or text.get("type") not in kinds or not isinstance(text.get("text"), str):
        yield f"no text: {json.dumps(text)[:80]}"
    elif not 0 < len(text["text"]) <= most:
        yield f"{len(text['text'])} characters, not 1 to {most}"
    elif text.keys() - {"type", "text", "emoji", "verbatim"}:
        yield "unknown keys in text"
