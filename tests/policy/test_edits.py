"""What a rule lets people change of a call."""

import pytest

from approvals.policy.edits import EditLimits
from approvals.protocol.canonical import encode

WAS = encode(
    {
        "items": [{"price": 10, "qty": 1}],
        "limits": {"small": {"day": 1}, "small.extra": 2, "small[0]": 3, "small[]": 3, "big": 4},
        "debt": -5,
        "rate": 1.5,
        "name": "x",
    }
)
ONLY = EditLimits(only=("items[].price", "limits.small"))


def with_limits(**changed):
    return WAS | {"limits": WAS["limits"] | changed}


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        (with_limits(**{"small.extra": 99}), 'limits["small.extra"]'),
        (with_limits(**{"small[0]": 99}), 'limits["small[0]"]'),
        (with_limits(**{"small[]": 99}), 'limits["small[]"]'),
        (with_limits(**{"small.new": 99}), 'limits["small.new"]'),
        (with_limits(big=99), "limits.big"),
        (WAS | {"limits.small": 99}, '["limits.small"]'),
        (WAS | {"items[0].price": 99}, '["items[0].price"]'),
        (WAS | {"items": [{"price": 10, "qty": 2}]}, "items[0].qty"),
        (WAS | {"items": {"[]": {"price": 9}}}, "items"),
        (WAS | {"items": []}, "items"),
    ],
)
def test_p1_a_name_that_reads_like_a_path_is_not_taken_for_the_path(changed, place):
    (fault,) = ONLY.faults(WAS, changed)
    assert fault.startswith(f"its rule lets {place} be changed by nobody")


@pytest.mark.parametrize(
    "changed",
    [
        with_limits(small={"day": 2, "night": 3}),
        with_limits(small=None),
        WAS | {"items": [{"price": 9, "qty": 1}]},
    ],
)
def test_what_a_rule_names_may_be_changed_with_what_is_in_it(changed):
    assert not list(ONLY.faults(WAS, changed))


@pytest.mark.parametrize(
    "changed",
    [{"debt": -6}, {"debt": -4}, {"debt": 0}, {"rate": encode(-0.5)}, {"rate": 2}, {"rate": "1"}, {"name": "y"}],
)
def test_p1_what_may_be_lowered_goes_neither_below_zero_nor_further_below_it(changed):
    (fault,) = EditLimits(lower=True).faults(WAS, WAS | changed)
    assert fault.endswith("only be lowered, not below zero")


def test_what_may_be_lowered_goes_down_to_zero():
    assert not list(EditLimits(lower=True).faults(WAS, WAS | {"rate": 1}))
    assert not list(EditLimits(lower=True).faults(WAS, WAS | {"rate": 0}))
