"""What a browser loads at its first look, besides the style sheet and the bundle, which it keeps."""

import pytest

MOST = 45 * 1024


@pytest.mark.parametrize(
    "path", ["/", "/history", "/audit", "/requests/{id}", "/figures", "/servers", "/servers/shop", "/policy/draft"]
)
async def test_pages_are_small(served, ann, path):
    scenario = served.scenario
    for number in range(60):
        scenario.clock.forward(1)
        request_id = scenario.file(scenario.filing({"order_id": number, "amount_cents": 12000})).request_id
    page = await ann.http.get(path.format(id=request_id))
    assert page.status_code == 200
    assert int(page.headers["content-length"]) <= MOST, path
