"""What stands where, on a page that no one installation fills."""

import re

import pytest

from approvals.protocol.registration import Assurance
from approvals_web.pages import servers


@pytest.fixture
def laptops(served):
    """Installations beside agents: one that registers far too much, and another."""
    scenario = served.scenario
    for label in ("noisy", "quiet"):
        scenario.add_server("shop", label, trusted=False, assurance=Assurance.COOPERATIVE)
    many = [scenario.tool(name=f"a_junk_{number:03}") for number in range(120)]
    at = {label: scenario.installation(label=label) for label in ("noisy", "quiet")}
    scenario.register(*many, session="session-noisy", installation=at["noisy"])
    scenario.register(scenario.tool(name="zz_mine"), session="session-quiet", installation=at["quiet"])
    return {label: row.id for label, row in at.items()}


def named(page):
    return set(re.findall(r"shop\.(\w+)", page))


async def test_p8_an_installation_hides_no_other_ones_tools_and_offers(served, ann, laptops):
    page = (await ann.http.get("/servers")).text
    assert "shop.zz_mine changed at quiet" in page
    assert "shop.refund_order" in page
    assert page.count("changed at noisy") == servers.OFFERS
    assert f"{120 - servers.OFFERS} more definitions wait for shop at noisy (bypassable)" in page
    assert f"{120 - servers.TOOLS} more tools of shop at noisy (bypassable)" in page


@pytest.mark.parametrize("offered", [True, False])
async def test_p8_all_that_an_installation_registered_can_be_reached(served, ann, laptops, monkeypatch, offered):
    monkeypatch.setitem(servers.PAGE, offered, 50)
    overview = (await ann.http.get("/servers")).text
    href = re.search(
        rf'href="(/servers/shop/tools\?at={laptops["noisy"]}[^"]+offered={str(offered).lower()})"', overview
    )
    assert href is not None
    seen, address = set(), href[1].replace("&amp;", "&")
    for _ in range(3):
        page = (await ann.http.get(address)).text
        assert not named(page) & seen
        seen |= named(page)
        onward = re.search(r'<a href="([^"]+)">More</a>', page)
        address = onward[1].replace("&amp;", "&") if onward else ""
    assert seen == {f"a_junk_{number:03}" for number in range(120)} and not address


async def test_p1_nothing_of_a_disabled_installation_is_offered(served, ann, laptops):
    served.scenario.run("UPDATE installation SET disabled_at = 1 WHERE id = :id", id=laptops["noisy"])
    page = (await ann.http.get("/servers")).text
    assert "a_junk" not in page and "zz_mine" in page
    assert "a_junk" not in (await ann.http.get(f"/servers/shop/tools?at={laptops['noisy']}")).text
