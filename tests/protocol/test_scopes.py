"""What a key covers: exactly what its patterns say."""

import pytest

from approvals.errors import Invalid
from approvals.protocol import scopes
from approvals.service.identity import key_lifetimes


@pytest.mark.parametrize(
    ("given", "server", "tool", "covered"),
    [
        ("", "shop", "refund_order", True),
        ("shop/*", "shop", "refund_order", True),
        ("shop/*", "shop-evil", "refund_order", False),
        ("shop/*", "ashop", "refund_order", False),
        ("shop*/*", "shop-evil", "refund_order", True),
        ("shop/refund_*", "shop", "refund_order", True),
        ("shop/refund_*", "shop", "xrefund_order", False),
        ("shop/refund_order", "shop", "Refund_Order", False),
        ("shop/refund_order", "shop", "refund_order2", False),
        ("pg/* shop/get_*", "shop", "get_order", True),
        ("pg/* shop/get_*", "shop", "refund_order", False),
        ("shop/admin/*", "shop", "admin/delete", True),
        ("shop/*", "shop", "admin/delete", True),
        ("shop/admin", "shop", "admin/delete", False),
        ("shop/a/b", "shop/a", "b", False),
        ("*/get_*", "anything", "get_order", True),
        ("shop/[a-z]*", "shop", "refund_order", False),
        ("shop/[a-z]*", "shop", "[a-z]x", True),
        ("shop/get_order", "shop", "get_order\n", False),
        ("shop/?", "shop", "ab", False),
        (" ", "shop", "refund_order", False),
        ("*", "shop", "refund_order", False),
        ("shop/", "shop", "", False),
        ("/refund_order", "", "refund_order", False),
        ("nonsense", "shop", "refund_order", False),
    ],
)
def test_p1_a_scope_covers_what_it_says_and_nothing_that_looks_like_it(given, server, tool, covered):
    assert scopes.allows(given, server, tool) is covered


@pytest.mark.parametrize("given", [" ", "shop", "shop/", "/tool", "Shop/*", "a/b " * 60, "shop/\x07x"])
def test_p5_what_is_no_scope_is_refused_and_widens_no_key(given):
    with pytest.raises(Invalid):
        scopes.check(given)


def test_scopes_are_kept_as_single_spaced_patterns():
    assert scopes.check("  shop/refund_*   pg/* ") == "shop/refund_* pg/*"
    assert scopes.check("") == ""


def test_a_keys_life_is_read_or_refused():
    assert (key_lifetimes.seconds("30d"), key_lifetimes.seconds("12h"), key_lifetimes.seconds("never")) == (
        2_592_000,
        43_200,
        None,
    )
    for given in ("", "0d", "-1d", "30", "1w", "99999d", "٣d"):
        with pytest.raises(Invalid):
            key_lifetimes.seconds(given)
