"""Messages as the proxy reads them: bytes stay bytes, and what two readers would read differently is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals_server.proxy import frames

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read_note", "arguments": {"n": 1}}}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}',
        b' { "id" : "a" , "jsonrpc":"2.0" , "result" : { "n" : 1.50, "big": 123456789012345678901234567890 } } ',
        '{"jsonrpc":"2.0","method":"notifications/x","params":{"text":"\u2028é","more":{}}}'.encode(),
        b'{"jsonrpc":"2.0","id":-3,"error":{"code":1,"message":"x"},"com.example/more":[1,2]}',
    ],
)
def test_a_message_is_passed_on_as_it_came(raw):
    frame = frames.read(raw + b"\r\n")
    assert frame.raw == raw.strip()
    assert frame.members == json.loads(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense",
        b"[]",
        b'[{"jsonrpc":"2.0","id":1,"method":"tools/call"}]',
        b'"text"',
        b'{"jsonrpc":"2.0","id":1,"method":"ping"',
        b'{"jsonrpc":"2.0","id":1,"method":"ping",}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
        b'{"jsonrpc":"2.0","id":{"a":1},"result":{}}',
        b'{"jsonrpc":"2.0","id":[],"error":{}}',
        b'{"jsonrpc":"2.0","id":1,"method":7}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
        b'{"jsonrpc":"2.0","id":1,"result":{},"error":{}}',
        b'{"jsonrpc":"2.0","result":{}}',
        b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"n":1e999}}',
        b'{"jsonrpc":"2.0","id":1,"method":"\xff"}',
        b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b'{"a":' * 100_000,
    ],
)
def test_p5_what_is_no_message_is_refused(raw):
    with pytest.raises(frames.Unreadable):
        frames.read(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"write_note"}}',
        '{"jsonrpc":"2.0","id":1,"method":"ping","param\u017f":{"name":"write_note"}}'.encode(),
        b'{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":" tools/call","params":{"name":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_note","name":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_note","Name":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_note","\\u006eame":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call\\u0000x","params":{"name":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"\\u0000tools/call","params":{"name":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/\\u200bcall","params":{"name":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call\\u007f","params":{"name":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools\\uff0fcall","params":{"name":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"/tools//call","params":{"name":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"params\\u0000x":{"name":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_note","name\\u0000":"write_note"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"n":1,"n":2}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":[{"n":1,"\\u006e":2}]}}}',
    ],
)
def test_p1_what_another_reader_may_take_for_another_call_is_refused_with_its_id(raw):
    with pytest.raises(frames.Unreadable) as refused:
        frames.read(raw)
    assert refused.value.of == 1


@pytest.mark.parametrize("value", ["1e999", "NaN", '{"a":' * 100_000, "1" * 5_000, "tru"])
def test_p7_a_call_with_a_value_that_cannot_be_read_is_answered_by_its_id(value):
    raw = f'{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"x","arguments":{{"n":{value}}}}}}}'
    with pytest.raises(frames.Unreadable) as refused:
        frames.read(raw.encode())
    assert refused.value.of == 7


def test_p1_a_message_leaves_on_one_line_whatever_its_white_space():
    inner = json.dumps(CALL)
    raw = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":\r' + inner.encode() + b"\r\n}}"
    assert not set(frames.read(raw).raw) & set(b"\r\n")
    assert json.loads(frames.read(raw).raw) == json.loads(raw)


def test_a_message_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(frames, "MAX_MESSAGE", 20)
    with pytest.raises(frames.Unreadable, match="20 is the most"):
        frames.read(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error", "Method", "x"])


@given(st.binary(max_size=200) | st.dictionaries(NAMES, VALUES).map(lambda message: json.dumps(message).encode()))
def test_p1_whatever_is_passed_on_has_one_meaning(raw):
    try:
        frame = frames.read(raw)
    except frames.Unreadable:
        return
    assert json.loads(frame.raw) == frame.members == json.loads(raw)
    assert b"\n" not in frame.raw
    assert frame.is_request + frame.is_response + ("id" not in frame.members) == 1


@given(st.dictionaries(st.sampled_from(["a", "id ", "ä"]), VALUES), st.text() | st.integers(), st.integers())
def test_another_id_changes_nothing_else(more, id, other):
    before = frames.read(json.dumps({"more": more, "id": id, "method": "x"}, ensure_ascii=False).encode())
    after = frames.with_id(before, other)
    assert frames.read(after.raw).members == {**before.members, "id": other} == after.members
    assert frames.read(frames.with_id(after, id).raw).members == before.members
