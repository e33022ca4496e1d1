"""Insights: shapes that say the same as the table beneath them, and suggestions that lead to a replay."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.instant import to_datetime
from approvals_web.pages.charts import HEIGHT, LEFT, TOP, WIDTH, sparkline, stacked

NAMES = ("approved", "denied")
COLUMNS = st.lists(st.dictionaries(st.sampled_from(NAMES), st.integers(0, 10_000)), min_size=1, max_size=90)


@given(COLUMNS)
def test_bars_stay_inside_the_chart_and_are_as_high_as_their_numbers(columns):
    chart = stacked(columns, NAMES, [str(at) for at in range(len(columns))])
    assert len(chart.bars) == sum(1 for column in columns for number in column.values() if number)
    for bar in chart.bars:
        assert bar.x >= LEFT and bar.x + bar.width <= WIDTH + 0.2
        assert bar.y >= TOP - 0.2 and bar.y + bar.height <= chart.floor + 0.2
    assert len(chart.lines) <= 6 and len(chart.words) <= 10
    heights = [round(bar.height) for bar in chart.bars if bar.name == "approved"]
    numbers = [column["approved"] for column in columns if column.get("approved")]
    assert [heights[at] for at in sorted(range(len(numbers)), key=numbers.__getitem__)] == sorted(heights)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=90))
def test_a_line_has_a_point_for_each_number(numbers):
    points = [tuple(map(float, point.split(","))) for point in sparkline(numbers).split()]
    assert len(points) == len(numbers)
    assert all(0 <= x <= 96 and 0 <= y <= HEIGHT for x, y in points)


async def test_the_chart_has_an_alternative_and_its_numbers_stand_beneath(served, ann):
    scenario = served.scenario
    for number, verdict in enumerate(("approve", "approve", "deny", "")):
        one = scenario.file(scenario.filing({"order_id": number, "amount_cents": 100})).request_id
        if verdict:
            scenario.decide(one, verdict, comment="no")
    page = (await ann.http.get("/figures?days=1")).text
    chart = re.search(r'<svg class="chart".*?</svg>', page, re.S)[0]
    assert 'aria-label="4 requests by hour: 2 approved, 1 denied, 0 expired"' in chart
    assert sorted(re.findall(r'<rect class="(\w+)"', chart)) == ["approved", "denied", "open"]
    assert "style=" not in page.partition("<body")[2]
    last = re.findall(r"<tr><th scope=\"row\">[^<]*</th>(.*?)</tr>", page, re.S)[-1]
    assert re.findall(r"<td>(\d+)</td>", last) == ["2", "1", "0", "1"]


async def test_where_people_approve_nearly_everything_a_rule_is_suggested_to_those_who_oversee(served, visitors, ann):
    scenario = served.scenario
    scenario.add_user("rex", "reviewer")
    for number in range(20):
        one = scenario.file(scenario.filing({"order_id": number, "amount_cents": 100})).request_id
        scenario.decide(one)
    page = (await ann.http.get("/figures")).text
    assert 'href="/policy/draft?above=default&amp;tool=shop%20/%20refund_order"' in page
    draft = (await ann.http.get("/policy/draft?above=default&tool=shop%20/%20refund_order")).text
    assert "default-without-asking" in draft
    rex = await visitors.signed_in("rex")
    assert "/policy/draft" not in (await rex.http.get("/figures")).text


@pytest.mark.parametrize("days", [7, 30, 90])
async def test_each_day_has_its_place(served, ann, days):
    served.scenario.file()
    page = (await ann.http.get(f"/figures?days={days}")).text
    assert page.count('<tr><th scope="row">') == days


async def test_a_request_stands_under_the_day_and_the_hour_it_was_made_in(served, ann):
    scenario = served.scenario
    now = to_datetime(scenario.clock.now())
    scenario.file()
    for days, form in ((7, "%-d %b"), (1, "%H:00")):
        page = (await ann.http.get(f"/figures?days={days}")).text
        rows = re.findall(r"<tr><th scope=\"row\">([^<]*)</th>(.*?)</tr>", page, re.S)
        assert [word for word, cells in rows if "<td>1</td>" in cells] == [now.strftime(form)]
