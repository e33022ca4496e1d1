"""What agents, gates and tools send costs as much as it is long, whatever its shape."""

import threading

import pytest

from approvals.errors import BadRequest, Invalid
from approvals.policy.diagnostics import MOST_KNOWN, nearest
from approvals.policy.diff import MOST_MEETINGS, difference, meetings
from approvals.protocol import canonical
from approvals.protocol.canonical import check_encoded, encode
from approvals.service.history.argument_rows import MAX_NAME, lines
from approvals.service.requests import contents
from approvals.service.requests import filing as filings
from approvals.service.tools import summary
from approvals_web.http import strict_json
from approvals_web.pages.card.views import change, views


def test_p5_a_key_that_stands_twice_among_a_hundred_thousand_is_found_at_once():
    keys = ",".join(f'"{number}":0' for number in range(100_000))
    with pytest.raises(BadRequest, match="'99999' stands twice"):
        strict_json.parse(f'{{{keys},"99999":0}}'.encode())


@pytest.mark.parametrize(
    ("before", "after"), [(["x", "y"] * 200, ["x", "z"] * 200), (["x"] * 500, ["x", "z"] * 250)], ids=["xyxz", "xxxz"]
)
def test_p5_texts_of_lines_that_are_all_alike_are_not_compared(before, after):
    assert meetings(before, after) > change.MAX_MEETINGS
    found, _ = views({"old": "\n".join(before), "new": "\n".join(after)})
    assert not [view for view in found if view.kind == "change"]


def test_an_honest_change_of_a_long_text_is_still_shown():
    code = [f"line {number}" if number % 8 else "" for number in range(480)]
    found, _ = views({"old": "\n".join(code), "new": "\n".join([*code[:200], "more", *code[200:]])})
    assert [view.counted for view in found if view.kind == "change"] == ["1 line added, 0 removed"]


def test_p5_definitions_of_lines_that_are_all_alike_are_not_compared_and_policies_are():
    alike = [f"{number % 150}" for number in range(9_000)]
    assert meetings(alike, alike, but_popular=True) > MOST_MEETINGS
    assert difference("\n".join(alike), "\n".join(reversed(alike))) is None
    policy = [line for number in range(1_500) for line in (f"  - id: rule-{number}", "    action: allow", "")]
    assert difference("\n".join(policy), "\n".join(policy[:-3])) is not None


def test_p5_a_long_name_is_not_written_out_again_in_every_path_below_it():
    name, other = "n" * 100_000, "n" * 99_999 + "m"
    shown, _ = lines(encode({name: {str(number): number for number in range(50)}, other: 1}))
    assert sum(len(line.path) for line in shown) < 51 * (MAX_NAME + 100)
    assert len({line.path for line in shown}) == 51, "and names that begin alike stay apart"


def test_p5_only_as_much_of_a_value_is_made_visible_as_a_summary_has_room_for(monkeypatch):
    looked = []
    visible = summary.visible
    monkeypatch.setattr(summary, "visible", lambda text: looked.append(len(text)) or visible(text))
    arguments = {"note": "x" * 250_000}
    assert len(summary.render("{note}" * 80, arguments)) < 80 * 121
    assert len(summary.plain("shop", "note", arguments | {f"n{number}": "" for number in range(50_000)})) == 300
    assert sum(looked) < 130 * 400 + 300 * 10


@pytest.mark.parametrize("check", [encode, check_encoded])
def test_p5_what_is_wrong_deep_below_long_names_is_said_in_a_few_words(check):
    value = float("nan")
    for number in range(30):
        value = {str(number) * 5_000: value}
    with pytest.raises(Invalid) as refused:
        check(value)
    assert len(refused.value.detail) < 1_200


def test_a_suggestion_is_looked_for_among_the_first_names_only():
    known = [f"name{number}" for number in range(MOST_KNOWN)] + ["amount"]
    assert "amount" not in nearest("amout", known)
    assert nearest("amout", reversed(known)) == "Did you mean amount?"


async def test_p5_a_long_call_is_checked_and_written_out_once_beside_the_loop_and_outside_the_writer(
    scenario, monkeypatch
):
    rows = [number + 0.5 for number in range(5_000)]
    filing, at = scenario.filing({"order_id": 1, "rows": rows}), scenario.installation()
    began = []

    def watched(value, kept=canonical.canonical):
        if "rows" in str(value):
            began.append(threading.current_thread())
        return kept(value)

    for module in (canonical, contents, filings):
        monkeypatch.setattr(module, "canonical", watched)
    scenario.service.database.start()
    filed = await scenario.service.file(at, filing, long=True)
    assert len(began) == 1, "the text, the digest and the attach key are of the same bytes"
    assert began[0] is not threading.current_thread(), "and the writer's transactions run on the loop"
    row = scenario.row(filed.request_id)
    assert row.digest == canonical.digest(
        server="shop", tool=filing.tool, tool_hash=filing.tool_hash, arguments=filing.arguments
    )
    assert row.arguments.encode() == canonical.canonical(filing.arguments)
