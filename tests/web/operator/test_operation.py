"""Commands as messages: each has one answer, of the type that it says, and survives the socket."""

from importlib import import_module
from typing import get_args, get_type_hints

import pytest

from approvals.errors import BadRequest
from approvals.service.identity.admins import Operator
from approvals_web.operator.dispatch import ANSWERED_BY, carry_out_written
from approvals_web.operator.messages.agents import AddAgent, ListAgents, ListedAgent, SetLimits
from approvals_web.operator.messages.ask import Ask
from approvals_web.operator.operation import HANDLERS, Operation


def asks():
    names = [module.__name__.rpartition(".")[2] for module in ANSWERED_BY]
    places = [import_module(f"approvals_web.operator.messages.{name}") for name in names]
    return [one for place in places for one in vars(place).values() if isinstance(one, type) and Ask in one.__bases__]


@pytest.fixture
def over_the_socket(scenario):
    def sent(name, written):
        work = scenario.service.database.write_now
        return work(lambda tx: carry_out_written(Operation(scenario.service, tx, Operator("ops")), name, written))

    return sent


def test_each_message_has_one_answer_of_the_type_that_it_says():
    assert set(asks()) == set(HANDLERS)
    assert len(HANDLERS) > 35
    for kind, function in HANDLERS.items():
        hints, (says,) = get_type_hints(function), get_args(kind.__orig_bases__[0])
        assert hints["asked"] is kind
        assert hints["return"] == (type(None) if says is None else says), kind


def test_each_message_has_a_name_of_its_own_on_the_socket():
    names = [kind.__name__ for kind in HANDLERS]
    assert len(names) == len(set(names))


def test_what_a_command_asks_and_gets_survives_the_socket(over_the_socket):
    asked = AddAgent("reader", owners=("ann",), covers="shop/*")
    key = over_the_socket("AddAgent", asked.written())
    assert AddAgent.result().validate_python(key).startswith("mcpa_")
    over_the_socket("SetLimits", SetLimits("reader", 3, None).written())
    listed = ListAgents.result().validate_python(over_the_socket("ListAgents", {}))
    (reader,) = [row for row in listed if row.name == "reader"]
    assert isinstance(reader, ListedAgent)
    assert (reader.owners, reader.keys, reader.pending, reader.a_minute) == ("ann", 1, "0 of 3", "any")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("DropEverything", {}),
        ("AddAgent", {}),
        ("AddAgent", {"name": "x", "colour": "red"}),
        ("AddAgent", {"name": ["x"]}),
        ("AddAgent", None),
        (["AddAgent"], {"name": "x"}),
    ],
)
def test_p5_what_another_version_would_ask_is_refused_with_words(over_the_socket, name, written):
    with pytest.raises(BadRequest, match="command"):
        over_the_socket(name, written)
