"""Text of other people, made harmless for Slack. Pure.

Wherever it can be, such text goes as plain_text, which Slack does not parse. In mrkdwn it is escaped, so that
`<!channel>` and links are letters.
"""

import re

from approvals.service.text import visible

ELLIPSIS = "…"
_ANGLE = re.compile(r"<(?=[!@#hm])")
_MARKS = str.maketrans({mark: f"{mark}\u200b" for mark in "*_~`"})
_PICTURE = re.compile(r":(?=[\w+'-]+:)")
"""Where `:tick:` begins."""
_TAKEN_OUT = re.compile(r"(?<=[ \t])[ \t]+|^[ \t]+|[ \t]+$|\t+", re.MULTILINE)
_LINE_END = re.compile(r"[ \t]*(?:\r\n|[\n\r\u2028\u2029])[ \t]*")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def plain(text: str, most: int) -> str:
    """For plain_text: hidden characters made visible, at most so long. Never empty, which Slack refuses. What would be
    a mention or a link elsewhere is broken here, too; blanks that Slack would take out stay."""
    return cut(_ANGLE.sub("<\u200b", _standing(visible(text, keep="\n\t").strip("\n"))), most) or "—"


def one_line(text: str) -> str:
    """With a sign where a line ends, and hidden characters made visible."""
    return visible(_LINE_END.sub(" ↵ ", text))


def inline(text: str, most: int) -> str:
    """For mrkdwn, within a line of our own: escaped, and no mark of it begins or ends a format. With its escapes it is
    never longer than twice as much."""
    shown = cut(_standing(one_line(text)), most)
    while len(safe := _PICTURE.sub(":\u200b", shown).translate(_ESCAPES).translate(_MARKS)) > 2 * most:
        shown = cut(shown, len(shown) - max(1, (len(safe) - 2 * most) // 6))
    return safe or "—"


def code(text: str, most: int) -> tuple[str, bool]:
    """A block of code of at most so many characters, and whether all of the text is in it. What stands in it cannot
    end it."""
    shown = visible(text, keep="\n\t")
    kept = shown
    while len(block := _fenced(kept)) > most:
        kept = cut(kept, len(kept) - max(1, (len(block) - most) // 6))
    return block, kept == shown


def cut(text: str, most: int) -> str:
    """At most so many characters, and a sign where some are missing."""
    return text if len(text) <= most else text[: most - 1].rstrip() + ELLIPSIS


def moment(at: int, fallback: str) -> str:
    """A time that Slack writes in the reader's own zone. `at` in seconds since 1970."""
    return f"<!date^{at}^{{date_short_pretty}} {{time}}|{fallback}>"


def _standing(text: str) -> str:
    """Blanks that Slack shows as one, or not at all, made such that it keeps: those after another, and at a line's
    ends."""
    if not text.strip():
        return ""
    return _TAKEN_OUT.sub(lambda blanks: blanks[0].replace("\t", "    ").replace(" ", "\u00a0"), text)


def _fenced(text: str) -> str:
    escaped = text.translate(_ESCAPES)
    for _ in range(2):  # the second time for those between two pairs
        escaped = escaped.replace("``", "`\u200b`")
    return f"```\n{escaped}\n```"
