"""What a version's rules say to people is read from its text, whatever that is."""

import pytest

from approvals.policy.loader import PolicyRefused, read
from approvals.policy.rule_words import Wording, wordings

TEXT = """version: 1
defaults: {action: require_approval, deny_reasons: [Not now]}
rules:
  - id: big
    title: Large refunds
    when: |
      args.amount_cents > 500
    action: require_approval
    deny_reasons: [Wrong order, "Ask: a photo"]
  - {id: plain, action: require_approval}
"""


def test_a_rules_own_words_come_before_the_defaults():
    read(TEXT)
    assert wordings(TEXT) == {
        "default": Wording(deny_reasons=("Not now",)),
        "big": Wording("Large refunds", "args.amount_cents > 500", ("Wrong order", "Ask: a photo")),
        "plain": Wording(deny_reasons=("Not now",)),
    }


@pytest.mark.parametrize("text", ["", "x", "[1, 2]", "rules: 7", "rules: [7, {id: {}}]", "defaults: 1", "{", "a: &b"])
def test_a_text_that_is_no_policy_says_nothing_and_breaks_nothing(text):
    assert all(said.title == said.when == "" for said in wordings(text).values())


@pytest.mark.parametrize(
    "key", ["title: ''", "title: [a]", "deny_reasons: []\n    title: 3", 'deny_reasons: ["a\\nb"]']
)
def test_words_that_no_card_can_show_are_refused(key):
    with pytest.raises(PolicyRefused):
        read(f"version: 1\nrules:\n  - id: a\n    action: require_approval\n    {key}\n")
