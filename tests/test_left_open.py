"""What the tests stand on leaves nothing open itself; what a test leaves open would fail it (`nothing_left_open`)."""

import asyncio
import contextlib
import gc
import socket

from support.serving import serving


@contextlib.contextmanager
def complaints(monkeypatch):
    """What is said of garbage."""
    said = []
    monkeypatch.setattr("sys.unraisablehook", lambda of: said.append(str(of.exc_value)))
    yield said
    gc.collect()


async def test_a_connection_that_is_being_accepted_when_its_server_ends_is_closed(scenario, monkeypatch):
    with complaints(monkeypatch) as said:
        for rounds in range(6):
            async with serving(scenario.service) as url:
                caller = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
                for _ in range(rounds):
                    await asyncio.sleep(0)
            caller.close()
    assert [words for words in said if "unclosed" in words] == []  # garbage of tests before may come as well


async def test_a_connection_that_a_test_forgets_is_complained_of_when_garbage_is_collected(served, monkeypatch):
    with complaints(monkeypatch) as said:
        port = int(served.url.rpartition(":")[2])
        way, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, "127.0.0.1", port)
        way.pause_reading()  # then the loop does not know it any more
        del way, _
    assert any("unclosed transport" in words for words in said)
