"""Names that several upstreams give."""

from approvals_server.proxy.aggregation.merging import discovery, greeting, listing
from approvals_server.proxy.aggregation.names import Route, named


def test_a_name_stays_as_it_is_while_nobody_else_has_it():
    names = named({"files": ["read"], "tickets": ["open"]}, {})
    assert names.routes == {"read": Route("files", "read"), "open": Route("tickets", "open")}


def test_what_two_have_stands_behind_their_names():
    names = named({"files": ["read", "read"], "a.b": ["read", "x"]}, {})
    assert set(names.routes) == {"files_read", "a_b_read", "x"}
    assert names.shown("files", "read") == "files_read"


def test_a_prefix_counts_for_all_of_an_upstream():
    names = named({"files": ["read"], "tickets": ["read"]}, {"tickets": "t-"})
    assert set(names.routes) == {"read", "t-read"}


def test_p1_a_name_that_is_like_anothers_behind_its_own_takes_nothing_away():
    names = named({"a": ["read", "b_read"], "b": ["read"], "c": ["read"]}, {})
    assert names.routes["b_read"] == Route("b", "read")
    assert names.routes["a_b_read"] == Route("a", "b_read")
    assert set(names.routes) == {"a_read", "a_b_read", "b_read", "c_read"}


def test_p1_names_that_meet_also_behind_their_upstreams_are_all_there():
    names = named({"a": ["b_c", "c"], "a_b": ["c", "b_c"], "x": ["a_b_c"]}, {})
    assert len(names.routes) == 5
    assert len(set(names.routes.values())) == 5


def test_a_greeting_offers_what_any_offers_in_the_version_that_all_speak():
    told = greeting(
        {
            "a": {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {"listChanged": False}},
                "instructions": "A.",
            },
            "b": {"protocolVersion": "2024-11-05", "capabilities": {"tools": {"listChanged": True}, "prompts": {}}},
        }
    )
    assert told["protocolVersion"] == "2024-11-05"
    assert told["capabilities"] == {"tools": {"listChanged": True}, "prompts": {}}
    assert told["instructions"] == "a: A."


def test_a_discovery_names_the_versions_that_all_speak():
    told = discovery({"a": {"supportedVersions": ["1", "2"]}, "b": {"supportedVersions": ["2"], "ttlMs": 5}})
    assert told["supportedVersions"] == ["2"]
    assert told["ttlMs"] == 0


def test_a_list_is_kept_as_long_as_the_strictest_says():
    results = {"a": {"tools": [], "ttlMs": 9, "cacheScope": "public"}, "b": {"ttlMs": 3, "cacheScope": "private"}}
    assert listing(results, "tools", [1]) == {"tools": [1], "ttlMs": 3, "cacheScope": "private"}
