"""Numbers as shapes, for SVG that is part of the page: places and sizes only, colours are the style sheet's. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 860, 220, 36, 10, 24
GAP = 0.3
"""The part of a span that is between bars."""
_NICE = (1, 2, 5, 10)


@dataclass(frozen=True)
class Bar:
    """One part of a stack."""

    name: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Mark:
    """A number beside the lines, or a word below the bars."""

    words: str
    at: float


@dataclass(frozen=True)
class Bars:
    """Stacks side by side."""

    bars: list[Bar]
    lines: list[Mark]
    words: list[Mark]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    floor: int = HEIGHT - BOTTOM


def stacked(columns: Sequence[Mapping[str, int]], names: Sequence[str], words: Sequence[str]) -> Bars:
    """A stack for each column, of the parts in `names` from below; a word below every few of them."""
    step = _step(max((sum(column.values()) for column in columns), default=0))
    top = step * max(1, -(-max((sum(column.values()) for column in columns), default=0) // step))
    room, floor = (WIDTH - LEFT) / max(1, len(columns)), HEIGHT - BOTTOM
    bars = []
    for at, column in enumerate(columns):
        y = float(floor)
        for name in names:
            height = (floor - TOP) * column.get(name, 0) / top
            y -= height
            if height:
                bars.append(
                    Bar(name, _short(LEFT + room * (at + GAP / 2)), _short(y), _short(room * (1 - GAP)), _short(height))
                )
    lines = [Mark(f"{value:,}", _short(floor - (floor - TOP) * value / top)) for value in range(0, top + 1, step)]
    every = max(1, -(-len(words) // 10))
    shown = [Mark(word, _short(LEFT + room * (at + 0.5))) for at, word in enumerate(words) if at % every == 0]
    return Bars(bars, lines, shown)


def sparkline(numbers: Sequence[int], width: int = 96, height: int = 22) -> str:
    """The points of a line through them."""
    most, last = max([*numbers, 1]), max(1, len(numbers) - 1)
    places = ((width - 2) * at / last + 1 for at in range(len(numbers)))
    return " ".join(
        f"{_short(x)},{_short(height - 2 - (height - 4) * number / most)}"
        for x, number in zip(places, numbers, strict=True)
    )


def _step(most: int) -> int:
    """Of the lines: a round number that makes at most five of them."""
    size = 1
    while True:
        for nice in _NICE:
            if nice * size * 5 >= most:
                return nice * size
        size *= 10


def _short(number: float) -> float:
    return round(number, 1)
