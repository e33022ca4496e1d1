"""What a gate never answers of an edit is not kept."""

import json
from functools import partial

import pytest

from approvals.errors import NotPossible
from approvals.protocol.messages import EditAnswer
from approvals.service import tasks
from approvals.service.requests import edits, presence
from approvals.service.requests.edit_answers import ENDED_FIRST, UNANSWERED
from approvals.service.requests.edits import Wanted

TYPED = "typed-where-none-is-hidden"


@pytest.fixture
def asked(scenario):
    """A pending call, and an edit of it that its gate has not answered."""
    row, ask = asking(scenario)
    return row.id, scenario.write(ask).edit_id


def asking(scenario):
    """A pending call, and what asks its gate to read a change of it."""
    row = scenario.row(scenario.file().request_id)
    wanted = Wanted(json.loads(row.arguments) | {"amount_cents": 1}, TYPED, row.content_version, row.digest)

    def ask(tx):
        presence.stream_opened(tx, row.session_id, "stream")
        return scenario.service.edits.ask(tx, row.id, scenario.person(), wanted)

    return row, ask


def end_unanswered(scenario):
    return scenario.write(scenario.service.edit_answers.end_unanswered)


def found(scenario, edit_id):
    return scenario.read(lambda reader: edits.find(reader, edit_id))


def test_p8_an_edit_that_no_gate_answers_ends_after_a_minute_and_its_arguments_go(scenario, asked):
    request_id, edit_id = asked
    scenario.clock.forward(59)
    end_unanswered(scenario)
    assert json.loads(found(scenario, edit_id).arguments)["amount_cents"] == 1
    scenario.clock.forward(1)
    end_unanswered(scenario)
    ended = found(scenario, edit_id)
    assert (ended.refused, ended.arguments) == (UNANSWERED, "{}")
    assert scenario.events(request_id)[-2:] == ["request.edit_asked", "request.edit_refused"]
    assert scenario.status(request_id).state == "pending"
    end_unanswered(scenario)
    assert scenario.events(request_id).count("request.edit_refused") == 1
    scenario.check_record()


def test_p8_an_unanswered_edit_ends_with_its_request(scenario, asked):
    request_id, edit_id = asked
    scenario.decide(request_id, "deny", comment="no")
    end_unanswered(scenario)
    ended = found(scenario, edit_id)
    assert (ended.refused, ended.arguments) == (ENDED_FIRST, "{}")
    assert scenario.events(request_id)[-1] == "request.edit_refused"
    scenario.check_record()


def test_p2_an_answer_after_the_end_of_its_edit_changes_nothing(scenario, asked):
    request_id, edit_id = asked
    scenario.clock.forward(60)
    end_unanswered(scenario)
    service, installation = scenario.service, scenario.installation()
    with pytest.raises(NotPossible, match="This edit has ended"):
        scenario.read(lambda reader: service.edits.read(reader, installation, request_id, edit_id))
    row = scenario.row(request_id)
    arguments = json.loads(row.arguments) | {"amount_cents": 1}
    answer = EditAnswer(session=row.session_id, tool_hash=row.tool_hash, arguments=arguments)
    scenario.write(
        partial(
            service.edit_answers.answer,
            installation=installation,
            request_id=request_id,
            edit_id=edit_id,
            answer=answer,
        )
    )
    after = scenario.row(request_id)
    assert (after.content_version, after.digest) == (row.content_version, row.digest)


async def test_p8_the_serving_process_ends_edits_that_no_gate_answers(served):
    scenario = served.scenario
    _, ask = asking(scenario)
    asked = await scenario.service.write(ask)
    scenario.clock.forward(60)
    await tasks.move_due(scenario.service)
    assert found(scenario, asked.edit_id).refused == UNANSWERED
