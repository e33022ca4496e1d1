"""What goes to standard error: whole lines, nothing secret."""

import io
import json
import logging
import re
import sys

import pytest

from approvals.errors import Invalid
from approvals_web import logs

KEY = "mcps_0123456789ab_" + "x" * 43


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def logger(monkeypatch):
    """A logger that the service's configuration sees, and everything as it was afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("approvals")
    before, level = root.handlers[:], (root.level, ours.level)
    yield ours
    logging.captureWarnings(False)
    root.handlers[:] = before
    root.setLevel(level[0])
    ours.setLevel(level[1])


def configured(monkeypatch, stream, form="auto", level="INFO"):
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure(form, level)
    return stream


def test_a_line_is_one_object_with_time_level_logger_message_and_fields(logger, monkeypatch):
    out = configured(monkeypatch, io.StringIO())
    logger.info("request %s moved", "r-1", extra={"request": "r-1"})
    logging.getLogger("asyncio").warning("too\nmany \x1b[31mlines\u2028")
    logging.getLogger("httpx2").info("chatter of others")
    first, second = out.getvalue().splitlines()
    assert json.loads(first) | {"time": ""} == {
        "time": "",
        "level": "INFO",
        "logger": "approvals",
        "message": "request r-1 moved",
        "request": "r-1",
    }
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT.*\+00:00", json.loads(first)["time"])
    assert json.loads(second)["message"] == "too\nmany \x1b[31mlines\u2028"
    assert second.isascii()
    assert second.isprintable()


def test_an_exception_is_a_field_with_the_first_line_of_its_words_and_no_secret(logger, monkeypatch):
    out = configured(monkeypatch, io.StringIO(), "json")
    try:
        try:
            raise ValueError(f"no such key {KEY}\nDETAIL: Failing row contains ({1042})")
        except ValueError as error:
            raise RuntimeError("outer") from error
    except RuntimeError:
        logger.exception("it failed for %s", KEY)
    (line,) = out.getvalue().splitlines()
    said = json.loads(line)
    assert said["exception"].startswith("Traceback (most recent call last):\n")
    assert "RuntimeError: outer" in said["exception"]
    assert "ValueError: no such key [61 characters hidden]" in said["exception"]
    assert "row contains (1042" not in line
    assert KEY[20:] not in line


def test_on_a_terminal_it_is_text_that_cannot_move_the_cursor(logger, monkeypatch):
    out = configured(monkeypatch, Terminal(), "auto", "warning")
    logger.warning("one \x1b[2J\nline of %s", KEY)
    logger.info("less than a warning")
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING one \\x1b\[2J\\nline of \[61 characters hidden\]\n", out.getvalue()), (
        out.getvalue()
    )


@pytest.mark.parametrize(("form", "level"), [("xml", "INFO"), ("json", "LOUD")])
def test_a_form_or_a_level_that_does_not_exist_is_refused(form, level):
    with pytest.raises(Invalid, match="APPROVALS_LOG"):
        logs.configure(form, level)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_move_is_told_with_its_request_and_kind_of_actor_but_nobodys_name(scenario, caplog):
    caplog.set_level(logging.INFO, "approvals")
    request_id = scenario.file().request_id
    scenario.decide(request_id)
    scenario.claim(request_id)
    scenario.report(request_id)
    told = [(record.request, record.move, record.state, record.actor) for record in caplog.records]
    assert told == [
        (request_id, "approve", "approved", "user"),
        (request_id, "claim", "executing", "installation"),
        (request_id, "succeed", "succeeded", "installation"),
    ]
    assert not [word for word in ("ann", "shop", "refund_order", "1042", "scout") if word in caplog.text.lower()]
