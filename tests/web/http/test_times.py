"""Moments and lengths of time as people read them, and text that cannot hide itself."""

import pytest

from approvals.instant import SECOND
from approvals_web.http.rendering import _environment
from approvals_web.http.times import ago, relative, span

NOW = 1_800_000_000 * SECOND
MINUTE, HOUR, DAY = 60, 3600, 86_400


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (59, "just now"),
        (MINUTE, "1 min ago"),
        (HOUR - 1, "59 min ago"),
        (HOUR, "1 h ago"),
        (DAY, "1 day ago"),
        (6 * DAY, "6 days ago"),
        (7 * DAY, "8 Jan 2027"),
        (-30, "in a moment"),
        (-2 * HOUR, "in 2 h"),
    ],
)
def test_a_moment_is_told_as_people_tell_it(seconds, words):
    assert relative(NOW - seconds * SECOND, NOW) == words


def test_a_moment_carries_the_exact_one():
    found = str(ago(NOW - HOUR * SECOND, NOW))
    assert found == '<time datetime="2027-01-15T07:00:00Z" title="15 Jan 2027, 07:00:00 UTC">1 h ago</time>'
    assert ago(None, NOW) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (3600, "1 h"), (6840, "1 h 54 min"), (90_000, "1 d 1 h")],
)
def test_a_length_of_time_has_two_parts_at_most(seconds, words):
    assert span(seconds) == words


def test_p6_whatever_a_template_puts_out_is_escaped_and_hides_nothing():
    made = _environment.from_string('{{ said }}<i title="{{ said }}">{% for one in [said] %}{{ one }}{% endfor %}</i>')
    shown = made.render(said="<b>\u202e\x00\n")
    assert shown.count("&lt;b&gt;⟨U+202E⟩⟨U+0000⟩\n") == 3
    assert _environment.from_string("{{ said | exactly }}").render(said="<\u202e") == "&lt;\u202e"
