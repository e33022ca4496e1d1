"""The effect sentence: an accepted template over verified arguments, with nothing hidden in it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.errors import Invalid
from approvals.protocol.canonical import encode, redacted
from approvals.protocol.definitions import checked
from approvals.protocol.registration import ToolDefinition
from approvals.service.text import visible
from approvals.service.tools import summary

SECRET = redacted(b"p" * 32, "pin", "hunter2")
SCHEMA = {
    "properties": {
        "amount_cents": {"type": "integer"},
        "customer": {"type": "object", "properties": {"name": {"type": "string"}}},
        "order_id": {"type": "integer"},
        "open": {},
    }
}


@pytest.mark.parametrize(
    ("template", "arguments", "shown"),
    [
        ("Refund {amount_cents:usd}", {"amount_cents": 12000}, "Refund $120.00"),
        ("Refund {amount_cents:eur}", {"amount_cents": -1234567}, "Refund -€12,345.67"),
        ("Refund {amount_cents:usd}", {"amount_cents": "12000"}, "Refund 12000"),
        ("Refund {amount_cents:usd}", {"amount_cents": True}, "Refund true"),
        ("To {customer}", {"customer": ["web", None, {"a": 1.0}]}, 'To ["web", null, {"a": 1.0}]'),
        ("To {customer.name}", {"customer": {"name": "Mira"}}, "To Mira"),
        ("To {customer.name}", {"customer": {}}, "To —"),
        ("To {customer}", {"customer": "{order_id}", "order_id": 5}, "To {order_id}"),
        ("To {customer}", {"customer": "a" * 200}, "To " + "a" * 119 + "…"),
    ],
)
def test_fields_are_filled_once_and_show_what_they_are(template, arguments, shown):
    assert summary.render(template, encode(arguments)) == shown


def test_a_secret_shows_only_its_length():
    arguments = {"customer": redacted(b"p" * 32, "customer", "hunter2")}
    shown = summary.render("To {customer}", arguments)
    assert "hunter2" not in shown
    assert "secret" in shown


@pytest.mark.parametrize(
    "posing", [{"$redacted": "DROP TABLE", "length": 7}, {"$int": "1"}, {"a": [{"$float": "1.0"}]}]
)
def test_p2_an_argument_in_the_shape_of_a_secret_or_a_number_is_written_out(posing):
    shown = "Run " + json.dumps(posing)
    assert summary.render("Run {open}", encode({"open": posing})) == shown
    assert summary.plain("ops", "run", encode({"q": posing})) == f"ops.run(q={json.dumps(posing)})"


def test_p2_nothing_of_a_stand_in_is_taken_for_an_argument():
    assert summary.render("To {pin.length}", {"pin": SECRET}) == "To —"


def test_without_a_template_the_call_is_written_as_it_was_made_and_what_is_cut_is_said():
    arguments = {"name": "api", "public": True, "tags": ["web"], "gone": None, "n\u200b": 2**60, "pin": SECRET}
    shown = summary.plain("ops", "configure", encode(arguments | {"pin": "x"}) | {"pin": SECRET})
    assert shown == (
        f'ops.configure(name=api, public=true, tags=["web"], gone=null, n⟨U+200B⟩={2**60}, pin=[secret, 7 characters])'
    )
    assert summary.plain("ops", "x", encode({"$x": 1, "$$y": 2})) == "ops.x($x=1, $$y=2)"
    nested = summary.plain("ops", "configure", {"all": [{"pin": SECRET}]})
    assert nested == 'ops.configure(all=[{"pin": "[secret, 7 characters]"}])'
    assert summary.plain("ops", "configure", SECRET) == "ops.configure([secret, 7 characters])"
    assert summary.plain("ops", "x", {f"a{n}": "y" * 50 for n in range(9)}).endswith("…")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("Refund {amount}", "names {amount}, which is no argument of it: the tool has no 'amount'"),
        ("Refund {customer.nme}", "'customer' has no 'nme': did you mean 'name'?"),
        ("Refund {order_id.x}", "there is nothing below 'order_id'"),
        ("Refund {amount_cents:yen}", "unknown format 'yen' (known: usd, eur, gbp)"),
        ("Refund {amount_cents", "a brace that opens no field"),
        ("Refund {", "a brace that opens no field"),
        ("{}", "a brace that opens no field"),
        ("{0}", "a brace that opens no field"),
        ("Refund\nnothing", "one line of printable text"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused_with_what_is_wrong(template, words):
    with pytest.raises(Invalid) as refused:
        checked(ToolDefinition(name="refund", input_schema=SCHEMA, summary=template))
    assert words in refused.value.detail


@given(st.text())
def test_text_cannot_hide_or_reorder_itself(words):
    shown = visible(words)
    assert not any(character in shown for character in "\u202e\u2066\u200b\x00\n\r\x1b\u2028\ufeff")
