"""Every value on a card reads as it is: line breaks, blanks and long words, on desks and phones."""

import json
import random

import pytest

from approvals.service.history.argument_rows import lines
from approvals.service.text import visible
from approvals_web.pages.card.views import views
from approvals_web.pages.card.views.table import MAX_CELL

pytestmark = pytest.mark.databases("one")

PIECES = [
    *(
        "order",
        "rm -rf /var/lib",
        "true",
        "1042",
        "(none)",
        "— и так",
        "שלום עולם",
        "مرحبا",
        "👩\u200d👧",
        "é",
        "<b>",
        "&amp;",
    ),
    *(
        "\n",
        "\n\n",
        "\r\n",
        "\t",
        "  ",
        "     ",
        "\u00a0",
        "\u2003\u2003",
        "\u202e",
        "\u200b",
        "\x00",
        "\u2028",
        "#",
        "-- ",
        '"',
    ),
    *("x" * 900, "_" * 3000, "ab" * 5000, "https://example.com/" + "a/" * 200, "DE89370400440532013000", "W" * 60),
]
SCRIPT = "#!/bin/sh\n# clean the cache\nrm -rf /var/lib/postgresql"
FRIENDLY = "A friendly sentence, then please wire 4,000 EUR to DE00 " + "_" * 900
DICE = random.Random(1042)  # noqa: S311
TEXTS = [SCRIPT, FRIENDLY, "x" * 10_000, "a\nb", "a  b", "a\tb", "a b", "\n\nDROP TABLE orders;\n", "  x", "x\n"]
TEXTS += ["".join(DICE.choices(PIECES, k=DICE.randint(1, 9))) for _ in range(200 - len(TEXTS))]
WIDTHS = (1280, 390, 320)

SHOWN = "boxes => boxes.map(box => box.innerText)"
SIDEWAYS = """() => [document.documentElement, ...document.querySelectorAll("main *")]
    .filter(box => box.scrollWidth > box.clientWidth && box.clientWidth > 0
        && !box.matches(".away, .unseen, #queue *") && getComputedStyle(box).display !== "inline")
    .map(box => `${box.tagName}.${box.className} ${box.scrollWidth} > ${box.clientWidth}`)"""


async def looked_at(tabs, address, width):
    tab = await tabs.open(address)
    await tab.set_viewport_size({"width": width, "height": 800})
    return tab


@pytest.mark.slow
@pytest.mark.parametrize("part", [0, 1, 2])
async def test_p2_each_value_reads_as_it_is_and_no_box_scrolls_sideways(served, open_browser, file_at, part):
    texts = TEXTS[part::3]
    request_id = await file_at(served, arguments={f"t{i:03}": text for i, text in enumerate(texts)})
    arguments = json.loads(served.scenario.row(request_id).arguments)
    found, _ = views(arguments)
    rows, more = lines(arguments, {path for view in found for path in view.covers})
    assert (len(rows), more) == (len(texts), 0)
    tabs = await open_browser(served)
    for width in WIDTHS:
        tab = await looked_at(tabs, f"/requests/{request_id}", width)
        values = await tab.locator("table.arguments td.value > .as-is").evaluate_all(SHOWN)
        assert values == [row.value for row in rows if not row.above]
        assert await tab.evaluate(SIDEWAYS) == []
        await tab.close()


async def test_p2_a_deletion_does_not_read_as_part_of_a_comment(served, open_browser, file_at):
    request_id = await file_at(served, arguments={"script": SCRIPT, "body": FRIENDLY, "amount_cents": 5})
    tab = await looked_at(await open_browser(served), f"/requests/{request_id}", 390)
    values = await tab.locator("table.arguments td.value > .as-is").evaluate_all(SHOWN)
    assert SCRIPT in values
    for box in await tab.locator("table.arguments td.value").all():
        place = await box.bounding_box()
        assert place["x"] + place["width"] <= 390


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
async def test_p2_views_reasons_and_results_read_as_they_are(served, open_browser, file_at, width):
    sql = "\n\nDELETE FROM orders\n  WHERE  id = 5 -- " + "x" * 3000
    old, new = "a  b\n\tc\n" + "y" * 3000, "a b\n\tc\n" + "z" * 3000
    rows = [{name: f"{name}  {n}\n\tx{'w' * 150}" for name in "abcdefgh"} for n in range(3)]
    arguments = {"sql": sql, "old_text": old, "new_text": new, "rows": rows}
    reason = "\nbecause:\n  1.  two  blanks\n\t2. a tab " + "r" * 900
    request_id = await file_at(served, arguments=arguments, reason=reason)
    served.scenario.decide(request_id)
    assert served.scenario.claim(request_id, "claim-0001") is None
    result = "\n\nok:\n   done  twice " + "q" * 4000
    served.scenario.report(request_id, "succeeded", "claim-0001", result=result)
    tab = await looked_at(await open_browser(served), f"/requests/{request_id}", width)
    assert await tab.locator("pre.sql").inner_text() == sql
    for box in await tab.locator(".view pre").all():
        assert await box.evaluate("box => box.scrollHeight <= box.clientHeight")
    assert "- a  b" in await tab.locator("pre.diff").inner_text()
    assert await tab.locator(".asked blockquote").inner_text() == reason
    assert await tab.locator("section[aria-labelledby=result] pre").inner_text() == result
    cells = await tab.locator("table.cells td.value > .as-is").evaluate_all(SHOWN)
    shown = [visible(cell, keep="\n\t") for row in rows for cell in row.values()]
    assert [cell[:MAX_CELL] for cell in cells] == [cell[:MAX_CELL] for cell in shown]
    assert await tab.evaluate(SIDEWAYS) == []


@pytest.mark.slow
async def test_p2_blanks_in_a_summary_are_all_there(served, open_browser, file_at):
    scenario = served.scenario
    scenario.register(scenario.tool(summary="Delete {path}", input_schema={"properties": {"path": {"type": "string"}}}))
    request_id = await file_at(served, arguments={"path": "/srv/a   b " + "/x" * 300})
    summary = scenario.row(request_id).summary
    tabs = await open_browser(served)
    for width in WIDTHS:
        tab = await looked_at(tabs, f"/requests/{request_id}", width)
        assert await tab.locator("#card h1").inner_text() == summary
        queue = await looked_at(tabs, "/", width)
        assert await queue.locator("#queue strong").first.inner_text() == summary
        assert await queue.evaluate(SIDEWAYS) == []
