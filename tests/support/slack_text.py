"""A message as somebody reads it, in plain letters: for snapshots that can be read in a review."""

from typing import Any

INSIDE = {"header": "# ", "context": "· "}


def read(text: str, blocks: list[dict[str, Any]]) -> str:
    """What a phone pushes, then block after block."""
    said = [f"push: {text}"]
    for block in blocks:
        said += ["", *_block(block)]
    return "\n".join(said) + "\n"


def _block(block: dict[str, Any]) -> list[str]:
    mark = INSIDE.get(block["type"], "")
    if block["type"] == "actions":
        return [_button(element) for element in block["elements"]]
    texts = block["elements"] if block["type"] == "context" else [block["text"]]
    return [f"{mark}{line}".rstrip() for text in texts for line in text["text"].replace("\u200b", "").split("\n")]


def _button(element: dict[str, Any]) -> str:
    more = [element.get("style", ""), element.get("url", ""), f"read aloud as “{element['accessibility_label']}”"]
    if confirm := element.get("confirm"):
        parts = {name: words["text"] for name, words in confirm.items()}
        more.append(f"asks “{parts['title']} {parts['text']}” [{parts['confirm']}] [{parts['deny']}]")
    return f"[{element['text']['text']}] {'; '.join(filter(None, more))}"
